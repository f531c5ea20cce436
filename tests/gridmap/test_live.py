"""Changes reach whoever watches, each exactly once, whatever happens to transactions and connections."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from gridmap.db import Database
from gridmap.live import Live

PATIENCE_S = 20


class Watcher:
    """Everything that a Live said, and ways to wait for more."""

    def __init__(self, database):
        self.topics, self.changes, self.failing = [], [], []
        self.live = Live(database, self._topic, self.changes.extend)

    def _topic(self, topic):
        self.topics.append(topic)
        if self.failing:
            raise self.failing.pop()

    def events(self):
        return Counter(change.event for change in self.changes)

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.topics, self.events())
            time.sleep(0.01)


@pytest.fixture
def url(database_url):
    """The module's database with an empty log."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE change_log")
    return database_url


@pytest.fixture
def own(url):
    database = Database(url, pool_size=4)
    yield database
    database.close()


@pytest.fixture
def watcher(own):
    watcher = Watcher(own)
    watcher.live.start()
    watcher.wait(lambda: watcher.live.connected)
    yield watcher
    watcher.live.stop()
    assert not any(thread.is_alive() for thread in watcher.live._threads)


def log(session, event):
    session.execute(
        sa.text("INSERT INTO change_log (topic, event, paths) VALUES ('event', :event, '{a.b,c}')"),
        {"event": event},
    )


def commit(database, *events):
    with database.writer() as session:
        for event in events:
            log(session, event)


def terminate(url, which):
    """Ends other backends of this database; `which` is a condition on pg_stat_activity."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND {which}"
        ).fetchall()


def test_a_change_is_told_with_its_paths(own, watcher):
    commit(own, 1)
    watcher.live.changed()
    watcher.wait(lambda: watcher.changes)
    (change,) = watcher.changes
    assert (change.topic, change.event, change.edition, change.paths) == ("event", 1, None, ("a.b", "c"))


def test_what_was_before_is_not_told_also_while_an_older_transaction_runs(own):
    with own.writer() as older:
        log(older, 1)  # holds back the bound below which everything is settled
        commit(own, 2)
        watcher = Watcher(own)
        watcher.live.start()
        try:
            watcher.wait(lambda: watcher.live.connected)
            older.commit()
            commit(own, 3)
            watcher.live.changed()
            watcher.wait(lambda: len(watcher.changes) >= 2)
        finally:
            watcher.live.stop()
    assert watcher.events() == {1: 1, 3: 1}


def test_transactions_that_commit_out_of_order_are_each_told_once(own, watcher):
    with own.writer() as late:
        log(late, 1)
        for event in (2, 3, 4):
            commit(own, event)
            watcher.live.changed()
            watcher.wait(lambda event=event: event in watcher.events())
        assert watcher.events() == {2: 1, 3: 1, 4: 1}
    watcher.live.changed()
    watcher.wait(lambda: 1 in watcher.events())
    commit(own, 5)
    watcher.live.changed()
    watcher.wait(lambda: 5 in watcher.events())
    assert watcher.events() == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}


def test_what_is_rolled_back_is_never_told(own, watcher):
    with own.writer() as session:
        log(session, 1)
        session.rollback()
    commit(own, 2)
    watcher.live.changed()
    watcher.wait(lambda: watcher.changes)
    assert watcher.events() == {2: 1}


def test_another_process_hears_it_too(own, url, watcher):
    other_database = Database(url, pool_size=2)
    other = Watcher(other_database)
    other.live.start()
    try:
        other.wait(lambda: other.live.connected)
        commit(own, 1)
        watcher.live.changed()
        other.wait(lambda: other.changes)
        watcher.wait(lambda: watcher.changes)
    finally:
        other.live.stop()
        other_database.close()
    assert other.events() == watcher.events() == {1: 1}


def test_under_concurrency_everything_is_told_exactly_once(own, watcher):
    def work(first):
        for number in range(first, first + 25):
            with own.writer() as session:
                log(session, number)
                if number % 3 == 0:
                    time.sleep(0.003)
            watcher.live.changed()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(0, 150, 25)))
    watcher.wait(lambda: len(watcher.events()) == 150)
    time.sleep(0.2)
    assert set(watcher.events().values()) == {1}


def test_a_lost_listener_comes_back_and_misses_nothing(own, url, watcher):
    commit(own, 1)
    watcher.live.changed()
    watcher.wait(lambda: 1 in watcher.events())
    assert watcher.topics.count("everything") == 1
    assert terminate(url, "query LIKE '%FROM change_log%'") == [(True,)]
    watcher.wait(lambda: not watcher.live.connected)
    commit(own, 2)  # while nobody listens
    watcher.live.changed()
    watcher.wait(lambda: 2 in watcher.events())
    watcher.wait(lambda: watcher.live.connected)
    commit(own, 3)
    watcher.live.changed()
    watcher.wait(lambda: 3 in watcher.events())
    assert watcher.events() == {1: 1, 2: 1, 3: 1}
    assert watcher.topics.count("everything") == 2


def test_a_database_that_goes_away_whole_does_not_end_the_listener(own, url, watcher):
    """After it, the first use of each pooled connection fails, also in what the listener calls."""
    watcher.failing.append(RuntimeError("memory could not be renewed"))
    terminate(url, "true")
    watcher.wait(lambda: watcher.topics.count("everything") >= 3)  # the second one failed, so it came again
    watcher.wait(lambda: watcher.live.connected)
    for number in range(6):  # connections of the pool that were lost are found out one after the other
        try:
            commit(own, number)
            break
        except Exception:  # noqa: BLE001  # as the service: 503, come again
            assert number < 5
    watcher.live.changed()
    watcher.wait(lambda: watcher.changes)
    assert len(watcher.changes) == 1


def test_a_lost_connection_of_the_notifier_delays_but_loses_nothing(own, url, watcher):
    commit(own, 1)
    watcher.live.changed()
    watcher.wait(lambda: 1 in watcher.events())
    with psycopg.connect(url, autocommit=True) as connection:  # committed by somebody who then says nothing
        connection.execute("INSERT INTO change_log (topic, event) VALUES ('event', 2)")
    terminate(url, "query NOT LIKE '%FROM change_log%' AND query NOT LIKE 'LISTEN%'")
    watcher.live.changed()
    watcher.wait(lambda: 2 in watcher.events())
    assert watcher.live.connected
    assert watcher.events() == {1: 1, 2: 1}


def test_topics_are_told_by_name_and_one_that_fails_does_not_stop_the_rest(own, watcher):
    watcher.failing.append(ValueError("broken"))
    for topic in ("roster", "edition"):
        with own.writer() as session:
            session.execute(sa.text(f"NOTIFY gridmap, '{topic}'"))
        watcher.wait(lambda topic=topic: topic in watcher.topics)
    assert watcher.live.connected


def test_stopping_is_quick_and_before_anything_happened():
    database = Database("postgresql://nobody@127.0.0.1:1/none", pool_size=1)
    watcher = Watcher(database)
    before = set(threading.enumerate())  # of other tests' services, too
    watcher.live.start()
    started = set(threading.enumerate()) - before
    began = time.monotonic()
    watcher.live.stop()
    assert time.monotonic() - began < 4
    assert started
    assert not any(thread.is_alive() for thread in started)
    database.close()
