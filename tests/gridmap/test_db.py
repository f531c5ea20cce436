"""Sessions of two kinds, COPY, and what becomes of a transaction when the server goes away in the middle."""

import threading
import time

import psycopg
import pytest
import sqlalchemy as sa

from gridmap import db
from gridmap.db import Database, copy_rows, copy_text, lock_edition, raw
from gridmap.errors import NotPossible, Unavailable


@pytest.fixture
def own(database_url):
    """A pool of one connection, so that the next session surely uses the same one."""
    database = Database(database_url, pool_size=1)
    with database.writer() as session:
        session.execute(sa.text("DROP TABLE IF EXISTS noted"))
        session.execute(sa.text("CREATE TABLE noted (number integer PRIMARY KEY, word text)"))
    yield database
    database.close()


def noted(database):
    with database.reader() as session:
        return session.execute(sa.text("SELECT number FROM noted ORDER BY number")).scalars().all()


def note(session, number):
    session.execute(sa.text("INSERT INTO noted (number) VALUES (:number)"), {"number": number})


def kill(database_url, session):
    """Ends a session's backend from another connection."""
    pid = session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            time.sleep(0.01)


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO noted VALUES (1)", "CREATE TABLE other (a int)", "SELECT nextval('event_id')"],
)
def test_a_reader_refuses_to_write_and_its_connection_writes_again_afterwards(own, statement):
    with (
        pytest.raises(sa.exc.DBAPIError, match="read-only transaction"),
        own.reader() as session,
    ):
        session.execute(sa.text(statement))
    with own.writer() as session:
        note(session, 2)
    assert noted(own) == [2]


def test_a_writer_commits_at_its_end(own):
    with own.writer() as session:
        note(session, 1)
        note(session, 2)
    assert noted(own) == [1, 2]


def test_a_writer_leaves_no_trace_of_what_fails(own):
    with pytest.raises(ZeroDivisionError), own.writer() as session:  # noqa: PT012  # the transaction is what fails
        note(session, 1)
        raise ZeroDivisionError
    with pytest.raises(sa.exc.IntegrityError), own.writer() as session:  # noqa: PT012  # the transaction is what fails
        note(session, 1)
        note(session, 1)
    assert noted(own) == []


@pytest.mark.parametrize("way", ["statement", "raw", "commit", "copy"])
def test_a_connection_lost_in_the_middle_stores_nothing_and_the_next_request_works(own, database_url, way):
    with pytest.raises(Unavailable), own.writer() as session:  # noqa: PT012  # the transaction is what fails
        note(session, 1)
        kill(database_url, session)
        if way == "statement":
            note(session, 2)
        elif way == "raw":
            with raw(session).pipeline():
                raw(session).execute("INSERT INTO noted VALUES (3)")
        elif way == "copy":
            copy_rows(session, "noted", ("number", "word"), [(4, "a")])
    assert noted(own) == []
    with own.writer() as session:
        note(session, 5)
    assert noted(own) == [5]


def test_after_a_restart_one_request_finds_out_for_the_whole_pool(database_url):
    database = Database(database_url, pool_size=4)
    readers = [database.reader() for _ in range(4)]
    sessions = [reader.__enter__() for reader in readers]
    for session in sessions:
        session.execute(sa.text("SELECT 1"))
    for reader in readers:
        reader.__exit__(None, None, None)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(Unavailable), database.reader() as session:
        session.execute(sa.text("SELECT 1"))
    for _ in range(4):
        with database.reader() as session:
            assert session.execute(sa.text("SELECT 1")).scalar_one() == 1
    database.close()


def test_a_statement_that_takes_too_long_is_stopped(database_url):
    database = Database(database_url, pool_size=1, statement_timeout_s=0.05)
    with pytest.raises(Unavailable, match="too long"), database.reader() as session:
        session.execute(sa.text("SELECT pg_sleep(5)"))
    with pytest.raises(Unavailable, match="too long"), database.reader() as session:
        raw(session).execute("SELECT pg_sleep(5)")
    with database.reader() as session:
        assert session.execute(sa.text("SELECT 1")).scalar_one() == 1
    database.close()


def test_no_server_and_no_free_connection_are_unavailable(own):
    away = Database("postgresql://nobody:x@127.0.0.1:1/none", pool_size=1)
    with pytest.raises(Unavailable, match="away"), away.reader() as session:
        session.execute(sa.text("SELECT 1"))
    away.close()
    own.engine.pool._timeout = 0.05
    with own.reader() as first, own.reader() as second:
        first.execute(sa.text("SELECT 1"))
        second.execute(sa.text("SELECT 1"))
        with pytest.raises(Unavailable, match="busy"), own.reader() as third:
            third.execute(sa.text("SELECT 1"))


def test_a_deadlock_is_unavailable_and_leaves_no_trace(database_url):
    database = Database(database_url, pool_size=2)
    with database.writer() as session:
        session.execute(sa.text("CREATE TABLE IF NOT EXISTS pair (a int PRIMARY KEY, b int)"))
        session.execute(sa.text("INSERT INTO pair VALUES (1, 0), (2, 0) ON CONFLICT DO NOTHING"))
    both = threading.Barrier(2)
    outcomes = []

    def work(order):
        try:
            with database.writer() as session:
                for number in order:
                    session.execute(sa.text("UPDATE pair SET b = b + 1 WHERE a = :a"), {"a": number})
                    if number == order[0]:
                        both.wait(5)
            outcomes.append("done")
        except Unavailable:
            outcomes.append("unavailable")

    threads = [threading.Thread(target=work, args=(order,)) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["done", "unavailable"]
    with database.reader() as session:
        assert session.execute(sa.text("SELECT sum(b) FROM pair")).scalar_one() == 2
    database.close()


def test_copy_counts_and_belongs_to_the_transaction(own):
    with own.writer() as session:
        assert copy_rows(session, "noted", ("number", "word"), ((n, f"a\tb\\{n}") for n in range(3))) == 3
        assert copy_text(session, "noted", ("number", "word"), [b"7\t\\N\n8\t", b"x\n"]) == 2
    with own.reader() as session:
        words = session.execute(sa.text("SELECT number, word FROM noted ORDER BY number")).all()
    assert [tuple(row) for row in words] == [
        (0, "a\tb\\0"), (1, "a\tb\\1"), (2, "a\tb\\2"), (7, None), (8, "x"),
    ]  # fmt: skip
    with pytest.raises(RuntimeError), own.writer() as session:  # noqa: PT012  # the transaction is what fails
        copy_rows(session, "noted", ("number", "word"), [(20, None)])
        raise RuntimeError
    assert 20 not in noted(own)


def test_the_edition_lock_is_shared_by_intake_and_alone_with_a_publication(database_url):
    database = Database(database_url, pool_size=3)

    def free(*, exclusive):
        name = "pg_try_advisory_xact_lock" + ("" if exclusive else "_shared")
        with database.writer() as session:
            return session.execute(sa.text(f"SELECT {name}({db.LOCK_SPACE}, {db.LOCK_EDITION})")).scalar_one()

    with database.writer() as session:
        lock_edition(session, exclusive=False)
        assert (free(exclusive=False), free(exclusive=True)) == (True, False)
    with database.writer() as session:
        lock_edition(session, exclusive=True)
        assert (free(exclusive=False), free(exclusive=True)) == (False, False)
    assert free(exclusive=True)
    database.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "", "sqlite:///x.db", "mysql://a/b", "postgresql://host:port/x", "http://a"]
)
def test_a_url_that_names_no_server_gets_one_sentence(url):
    with pytest.raises(NotPossible, match="GRIDMAP_DATABASE_URL") as caught:
        db.sqlalchemy_url(url)
    assert "\n" not in caught.value.message


def test_the_url_is_kept_as_libpq_reads_it():
    database = Database(
        "postgresql+psycopg://me:p%40ss%2Fword@/gridmap?host=%2Frun%2Fa%20folder", pool_size=1
    )
    assert psycopg.conninfo.conninfo_to_dict(database.url) == {
        "user": "me", "password": "p@ss/word", "dbname": "gridmap", "host": "/run/a folder",
    }  # fmt: skip
    assert database.engine.url.query["host"] == "/run/a folder"
    database.close()


def test_times_are_utc_in_every_session(own):
    with own.reader() as session:
        assert session.execute(sa.text("SHOW timezone")).scalar_one() == "UTC"
