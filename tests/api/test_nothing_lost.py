"""Told is stored: whoever is killed, whatever is lost, nothing that was acknowledged goes, and nothing comes twice."""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time

import psycopg
import pytest

from gridmap.db import LOCK_EDITION, LOCK_SPACE
from gridmap.embedded import Cluster
from tests.bench import killing
from tests.bench.served import GRIDMAP, free_port

KILLS = 10  # of each kind
WAITING = (
    "SELECT pid FROM pg_locks WHERE NOT granted AND (relation = to_regclass('event_text')"
    f" OR (locktype = 'advisory' AND classid = {LOCK_SPACE} AND objid = {LOCK_EDITION}))"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture(scope="module")
def home():
    """Of a small county, its database at rest."""
    with killing.furnished() as home:
        yield home


def test_what_was_told_is_stored_once_whoever_is_killed(home, record_property):
    seed = random.SystemRandom().randrange(10**6)
    kinds = list(killing.KINDS) * KILLS
    random.Random(seed).shuffle(kinds)
    run = killing.run(home, kinds, seed=seed, quick=True)
    balance = run.balance
    report = f"seed {seed}: {dict(run.kills)} kills, {dict(run.told.answers)} answers, {run.seconds:.0f} s"
    record_property("kills", report)
    assert run.told.wrong == [], report
    assert balance.lost == [], report
    assert balance.twice == [], report
    assert balance.incomplete == [], report
    assert balance.unasked == [], report  # every client went on until it was answered
    assert dict(run.kills) == dict.fromkeys(killing.KINDS, KILLS)
    assert run.starts == 1 + 2 * KILLS
    assert balance.acknowledged == balance.stored > 4 * KILLS * 4
    assert run.told.answers[503] > 0, "nobody met a database that was away"
    assert run.told.answers[0] > 0, "no connection was lost"


@contextlib.contextmanager
def held(url, *statements):
    """A transaction of somebody else's that stands in the way until it ends."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)
        yield
        connection.rollback()


def cut(url, posting):
    """Posts from a thread, waits until storage waits for somebody's lock, and ends that connection there."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(posting()))
    thread.start()
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 20
        while not (rows := connection.execute(WAITING).fetchall()):
            assert time.monotonic() < deadline, "nobody waits: the test does not cut where it should"
            assert not answers, answers[0].text
            time.sleep(0.01)
        for (pid,) in rows:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    thread.join(20)
    return answers[0]


def stored(url):
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM event_key), (SELECT count(*) FROM event),"
            " (SELECT count(*) FROM event_text), (SELECT count(*) FROM event_history),"
            " (SELECT count(*) FROM change_log WHERE topic = 'event')"
        ).fetchone()


PUBLISHING = f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {LOCK_EDITION})"
ANOTHERS_TEXT = "LOCK TABLE event_text IN EXCLUSIVE MODE"  # key and event are written by then


@pytest.mark.parametrize("in_the_way", [PUBLISHING, ANOTHERS_TEXT], ids=["before", "half-way"])
def test_a_connection_lost_while_a_post_is_stored_is_503_and_leaves_nothing(app, event, in_the_way):
    caller = app.as_("dispatcher")
    with held(app.url, in_the_way):
        answer = cut(app.url, lambda: caller.post("/api/events", json=event()))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "unavailable"
    assert stored(app.url) == (0, 0, 0, 0, 0)
    assert caller.post("/api/events", json=event()).status_code == 201
    assert stored(app.url) == (1, 1, 1, 2, 1)


@pytest.mark.parametrize("in_the_way", [PUBLISHING, ANOTHERS_TEXT], ids=["before", "half-way"])
def test_a_connection_lost_while_a_batch_is_stored_is_503_and_leaves_nothing(app, event, in_the_way):
    caller = app.as_("dispatcher")
    lines = "\n".join(json.dumps(event(external_id=str(n))) for n in range(30))

    def post():
        return caller.post(
            "/api/events/batch", content=lines, headers={"Content-Type": "application/x-ndjson"}
        )

    with held(app.url, in_the_way):
        answer = cut(app.url, post)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert stored(app.url) == (0, 0, 0, 0, 0)
    assert post().json() == {"accepted": 30, "repeated": 0, "rejected": []}
    assert stored(app.url) == (30, 30, 30, 60, 30)


def test_after_a_lost_server_one_answer_is_503_and_the_next_is_not(app, event):
    """The pool's other connections went with it; each would cost somebody an answer."""
    caller = app.as_("dispatcher")

    def posted(number):
        return caller.post("/api/events", json=event(external_id=f"n{number}")).status_code

    with app.service.database.reader(), app.service.database.reader(), app.service.database.reader():
        pass  # several connections in the pool
    assert posted(1) == 201
    with psycopg.connect(app.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answers = [posted(number) for number in range(2, 8)]
    assert answers.count(503) <= 2, answers  # the principal is looked up on another connection
    assert answers[-4:] == [201] * 4


def up(home, port, *options):
    env = {**os.environ, "GRIDMAP_HOME": str(home)}
    return subprocess.Popen(
        [GRIDMAP, "up", "--port", str(port), *options], env=env, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def ready(port, *, status=200):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status == status:
                return answer.headers
        time.sleep(0.05)
    pytest.fail(f"/readyz was never answered {status}")


def test_processes_whose_parent_was_killed_leave_the_port_to_the_next_and_a_stopped_database_stays_stopped(
    home,
):
    port = free_port()
    first = up(home, port, "--processes", "2")
    try:
        ready(port)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        second = up(home, port)
        try:
            ready(port)
            Cluster(home).stop()
            headers = ready(port, status=503)
            assert int(headers["Retry-After"]) > 0
            time.sleep(2)
            assert not Cluster(home).status().running, "what was stopped on purpose was started again"
            Cluster(home).start()
            ready(port)
        finally:
            second.terminate()
            assert second.communicate(timeout=40)[0] is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
