"""Backup while in service, and restoring: whole and compared, or nothing that looks like an installation."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from api.cli import main
from gridmap import sight
from gridmap.backup import backup, restore_home
from gridmap.backup_file import DUMP, KEY, MANIFEST, opened
from gridmap.backup_programs import Server
from gridmap.embedded import Cluster
from gridmap.errors import NotPossible, Unavailable
from gridmap.settings import Settings
from tests.api.conftest import middle, serve
from tests.bench import killing
from tests.bench.pictured import PDF

SECRET = "the county's secret key, for tests only"
COUNTS = (
    "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM event_key), (SELECT count(*) FROM event_text),"
    " (SELECT count(*) FROM event_history) / 2, (SELECT count(*) FROM event e JOIN event_key k ON k.event = e.id)"
)


def body(number):
    lon, lat = middle(number % 8, number // 8 % 4)
    return {"source": "12345", "external_id": f"n{number}", "lon": lon, "lat": lat,
            "category": "dispute", "occurred_at": "2026-08-24T13:51:00+08:00", "title": f"楼道{number}",
            "contact": "13900000000"}  # fmt: skip


@contextlib.contextmanager
def serving(home):
    """The application on a home's private database."""
    url = Cluster(home).start()
    served = serve(url, Settings(home=home))
    try:
        yield next(served)
    finally:
        served.close()


@pytest.fixture(scope="module")
def home():
    """A small county with some events and a key, its database running."""
    with killing.furnished() as home:
        (home / KEY).write_text(SECRET)
        with serving(home) as app:
            caller = app.as_("dispatcher")
            assert {caller.post("/api/events", json=body(n)).status_code for n in range(20)} == {201}
            assert caller.post("/api/events/1/attachments?name=a.pdf", content=PDF).status_code == 201
        yield home


@pytest.fixture
def under(home, tmp_path_factory):
    """A folder for new homes, beside the first: the database's account can pass there."""
    folder = home.parent / tmp_path_factory.mktemp("x").name
    folder.mkdir(mode=0o711)
    yield folder
    for record in list(folder.rglob("cluster.json")):
        Cluster(record.parent).remove()


@pytest.fixture(scope="module")
def kept(home):
    """A backup with the key in it."""
    file = home.parent / "kept.backup"
    done = gridmap(home, "db", "backup", str(file), "--with-key")
    assert done.exit_code == 0, done.output
    assert "The secret key is in it" in done.stdout
    return file


def gridmap(home, *argv, **env):
    env = {"GRIDMAP_HOME": str(home), "GRIDMAP_DATABASE_URL": "", "GRIDMAP_SECRET_KEY": "", **env}
    return CliRunner().invoke(main, argv, env=env, catch_exceptions=False)


def ask(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()


def changed(kept, file, **changes):
    """The backup with another manifest."""
    with zipfile.ZipFile(kept) as old, zipfile.ZipFile(file, "w") as new:
        new.writestr(DUMP, old.read(DUMP))
        new.writestr(MANIFEST, json.dumps({**json.loads(old.read(MANIFEST)), **changes}))
    return file


def test_a_backup_made_while_posts_come_in_holds_whole_events_and_a_restored_service_goes_on(home, under):
    file, new = under / "county.backup", under / "new"
    with serving(home) as app:
        caller, going, posted = app.as_("dispatcher"), threading.Event(), []

        def post():
            while not going.is_set():
                posted.append(caller.post("/api/events", json=body(1000 + len(posted))).status_code)

        thread = threading.Thread(target=post)
        thread.start()
        try:
            done = gridmap(home, "db", "backup", str(file))
        finally:
            going.set()
            thread.join()
        assert set(posted) == {201}
        largest = ask(app.url, "SELECT max(id) FROM event")[0]
        transaction = int(ask(app.url, "SELECT pg_current_xact_id()::text")[0])
        stored = ask(app.url, COUNTS)
    assert done.exit_code == 0, done.output
    assert "saving event" in done.stderr
    assert "The secret key is not in it" in done.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert zipfile.ZipFile(file).namelist() == [DUMP, MANIFEST]

    done = gridmap(new, "db", "restore", str(file))
    assert done.exit_code == 0, done.output
    assert "put the installation's secret.key into" in done.stderr
    assert sorted(path.name for path in new.iterdir()) == [
        "cluster-passwords.json", "cluster.json", "cluster.lock", "postgres"
    ]  # fmt: skip
    (new / KEY).write_text(SECRET)
    with serving(new) as app:
        counts = ask(app.url, COUNTS)
        assert len(set(counts)) == 1, "an event came without its parts"
        assert 20 <= counts[0] <= stored[0]
        caller = app.as_("dispatcher")
        again = caller.post("/api/events", json=body(7))
        assert (again.status_code, again.json()["contact"]) == (200, "13900000000")
        assert caller.get("/api/events/1/attachments/1").content == PDF
        fresh = caller.post("/api/events", json=body(5000))
        assert fresh.status_code == 201
        assert fresh.json()["id"] > counts[0]
        assert app.service.live.connected
        # Rows remember transactions: later ones must have larger numbers than those of the old server.
        assert int(ask(app.url, "SELECT pg_current_xact_id()::text")[0]) > transaction
        assert ask(app.url, "SELECT count(*) FROM change_log")[0] == 1
    assert largest >= counts[0]


def test_a_backup_is_recorded_and_made_also_where_it_cannot_be(home, kept, under, monkeypatch):
    query = (
        "SELECT actor, detail ->> 'with_key' FROM audit"
        f" WHERE action = 'db.backup' AND detail ->> 'file' = '{kept.name}'"
    )
    assert ask(Cluster(home).admin_url(), query) == ("operator", "true")

    def refused(*_):
        raise Unavailable("read-only")

    monkeypatch.setattr("gridmap.audit.record", refused)
    done = gridmap(home, "db", "backup", str(under / "file"))
    assert done.exit_code == 0
    assert "could not record" in done.stderr


def test_the_key_travels_only_where_that_was_asked_for(home, kept, under):
    done = gridmap(under / "new", "db", "restore", str(kept))
    assert done.exit_code == 0, done.output
    key = under / "new" / KEY
    assert (key.read_text(), key.stat().st_mode & 0o777) == (SECRET, 0o600)
    assert SECRET not in zipfile.ZipFile(kept).read(MANIFEST).decode()


def test_beside_another_key_nothing_is_restored(kept, under):
    done = gridmap(under / "new", "db", "restore", str(kept), GRIDMAP_SECRET_KEY="another")
    assert done.exit_code == 1
    assert "GRIDMAP_SECRET_KEY is not the key" in done.stderr
    (under / "keyed").mkdir(mode=0o711)
    (under / "keyed" / KEY).write_text("another")
    done = gridmap(under / "keyed", "db", "restore", str(kept))
    assert done.exit_code == 1
    assert [path.name for path in (under / "keyed").iterdir()] == [KEY]
    assert not (under / "new").exists()


def test_a_file_that_is_there_is_not_replaced(home, under):
    file = under / "county.backup"
    file.write_text("last year's")
    done = gridmap(home, "db", "backup", str(file))
    assert done.exit_code == 1
    assert f"{file} is there already" in done.stderr
    assert file.read_text() == "last year's"


def test_a_home_that_holds_something_is_refused(home, kept):
    before = sorted(home.iterdir())
    done = gridmap(home, "db", "restore", str(kept))
    assert done.exit_code == 1
    assert "is not empty" in done.stderr
    assert sorted(home.iterdir()) == before


def test_what_cannot_be_restored_is_said_in_a_sentence_and_leaves_nothing(kept, under):
    whole = kept.read_bytes()
    manifest = json.loads(zipfile.ZipFile(kept).read(MANIFEST))
    content = {**manifest["tables"], "public.worker": {**manifest["tables"]["public.worker"], "sum": "1"}}
    files = {
        "is no backup made by gridmap db backup": b"PGDMP something else",
        "is cut short or damaged": whole[: len(whole) // 2],
        "is cut short or damaged: copy": whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:],
        "which this version does not know": {"revision": "9999"},
        "in a form that this version does not know": {"form": 2},
        "The backup comes from PostgreSQL 99": {"postgres": 990001},
        "public.worker has other content": {"tables": content},
        "A new database needs": {"database_bytes": 10**15},
    }
    for number, (sentence, content_) in enumerate(files.items()):
        file = under / f"{number}.backup"
        if isinstance(content_, bytes):
            file.write_bytes(content_)
        else:
            changed(kept, file, **content_)
        done = gridmap(under / "new", "db", "restore", str(file))
        assert done.exit_code == 1, sentence
        assert sentence in done.stderr.splitlines()[-1]
        assert done.stdout == ""
        assert not (under / "new").exists(), sentence
    assert "cannot be read" in gridmap(under / "new", "db", "restore", str(under / "none")).stderr


def test_a_home_without_a_database_has_nothing_to_back_up(under):
    done = gridmap(under / "none", "db", "backup", str(under / "file"))
    assert done.exit_code == 1
    assert "There is no database in" in done.stderr
    assert not (under / "none").exists()


def test_a_backup_that_fails_leaves_no_file(home, under):
    server = Server(Cluster(home).admin_url(), lambda _: "/bin/false")
    with pytest.raises(NotPossible, match="was not made"):
        backup(server, under / "county.backup", version="", secret=None, with_key=False, progress=str)
    assert list(under.iterdir()) == []

    code = "import sys; from api.cli import main; main(sys.argv[1:])"
    small = subprocess.run(
        [sys.executable, "-c", code, "db", "backup", under / "county.backup"],
        env={**os.environ, "GRIDMAP_HOME": str(home)}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert small.returncode == 1
    assert "is full" in small.stderr.splitlines()[-1]
    assert list(under.iterdir()) == []


def test_a_restore_that_was_killed_is_no_installation_and_the_next_one_goes_through(kept, under):
    new = under / "new"
    code = "import sys; from api.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "db", "restore", str(kept)],
        env={**os.environ, "GRIDMAP_HOME": str(new)}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    for line in process.stderr:
        if "loading event" in line:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (new / "cluster.json").exists()
    assert not (new / "postgres").exists()
    left = next(new.glob(".restoring-*/new/cluster.json")).parent
    server = Cluster(left).status().postmaster_pid
    done = gridmap(new, "db", "restore", str(kept))
    assert done.exit_code == 0, done.output
    assert not left.exists()
    assert server is None or not Path(f"/proc/{server}/cwd").exists()
    assert ask(Cluster(new).start(), COUNTS)[0] >= 20


def test_into_an_empty_database_of_a_server(kept, cluster, under):
    name = f"r{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER gridmap")
    with psycopg.connect(cluster.admin_url(name), autocommit=True) as connection:
        for extension in ("postgis", "ltree", "pg_trgm", "btree_gist"):
            connection.execute(f"CREATE EXTENSION {extension}")
    url = cluster.status().url.replace("/gridmap?", f"/{name}?")
    relations = (
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')"
    )
    functions = "SELECT count(*) FROM pg_proc WHERE proowner = 'gridmap'::regrole"
    before = ask(url, relations)

    def restored(file):
        return gridmap(under / "home", "db", "restore", str(file), GRIDMAP_DATABASE_URL=url)

    done = restored(changed(kept, under / "bad", sequences={"public.event_id": 10**9}))
    assert done.exit_code == 1
    assert (ask(url, relations), ask(url, functions)) == (before, (0,))

    done = restored(kept)
    assert done.exit_code == 0, done.output
    with psycopg.connect(url) as connection:  # as a restore leaves it that was killed before it had compared
        connection.execute("DELETE FROM alembic_version")
    assert (
        "a restore was broken off"
        in gridmap(under / "home", "db", "upgrade", GRIDMAP_DATABASE_URL=url).stderr
    )
    with psycopg.connect(url) as connection, opened(kept) as archive:
        connection.execute("INSERT INTO alembic_version VALUES (%s)", [archive.manifest.revision])
    assert ask(url, COUNTS)[0] >= 20
    assert ask(url, "SELECT count(*) FROM pg_trigger WHERE tgname = 'append_only'")[0] >= 3
    assert (under / "home" / KEY).read_text() == SECRET
    done = restored(kept)
    assert done.exit_code == 1
    assert "a backup goes into an empty one" in done.stderr

    file = under / "again.backup"
    done = gridmap(under / "home", "db", "backup", str(file), GRIDMAP_DATABASE_URL=url)
    assert done.exit_code == 0, done.output
    with opened(file) as again, opened(kept) as first:
        tables = dict(again.manifest.tables)
        audit = tables.pop("public.audit")  # which has the second backup's own record besides
        assert audit.rows == first.manifest.tables["public.audit"].rows + 1
        assert tables == {
            name: each for name, each in first.manifest.tables.items() if name != "public.audit"
        }


def test_rights_of_other_roles_come_along(home, under):
    with psycopg.connect(Cluster(home).admin_url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE looker NOLOGIN")
        connection.execute("GRANT SELECT ON area TO looker")
    try:
        assert gridmap(home, "db", "backup", str(under / "file")).exit_code == 0
        with opened(under / "file") as archive:
            own = [
                sight.ALL,
                sight.AREAS,
                sight.COUNTS,
                sight.INTAKE,
                sight.LEAVES,
                sight.PARTLY,
                sight.SERVICE,
            ]
            assert archive.manifest.roles == sorted([*own, "looker"])
            restore_home(under / "new", archive, progress=str)
    finally:
        with psycopg.connect(Cluster(home).admin_url(), autocommit=True) as connection:
            connection.execute("REVOKE SELECT ON area FROM looker")
            connection.execute("DROP ROLE looker")
    assert ask(Cluster(under / "new").start(), "SELECT has_table_privilege('looker', 'area', 'SELECT')") == (
        True,
    )
