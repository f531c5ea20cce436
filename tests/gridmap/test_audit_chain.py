"""The chain over audit and history: what is sealed, what comes late, and every way of altering it is found."""

import hashlib
import json

import psycopg
import pytest
import sqlalchemy as sa

from gridmap import audit
from gridmap.audit import Entry
from gridmap.audit_chain import GENESIS, Head, block_hash, head, seal
from gridmap.audit_verify import verify
from gridmap.db import Database


@pytest.fixture
def database(fresh_url):
    database = Database(fresh_url, pool_size=3)
    with database.writer() as session:
        session.execute(sa.text("INSERT INTO edition VALUES (1, '-infinity', now(), 'test', '', 0)"))
    yield database
    database.close()


def add(database, count=1, table="audit"):
    with database.writer() as session:
        if table == "audit":
            audit.record(session, *[Entry("x", "test.thing", f"thing:{i}") for i in range(count)])
        else:
            session.execute(
                sa.text(
                    "INSERT INTO event_history (event, actor, action, status, edition, detail)"
                    " SELECT i, 'x', 'report', 'assigned', 1, '{\"why\": [\"ok\"]}' FROM generate_series(1, :n) i"
                ),
                {"n": count},
            )


def sealed(database, **options):
    with database.writer() as session:
        return seal(session, **options)


def checked(database, anchor=None):
    with database.reader() as session:
        return verify(session, anchor)


@pytest.fixture
def superuser(fresh_url, cluster):
    """Whoever can pass by the triggers."""
    with psycopg.connect(cluster.admin_url(sa.make_url(fresh_url).database), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection.execute


@pytest.fixture
def chain(database):
    """Three blocks of both tables: audit 1–3, 4–6, 7–9, history the same."""
    for _ in range(3):
        add(database, 3)
        add(database, 3, "event_history")
        assert sealed(database) == 6
    return database


def test_an_empty_chain_fits(database):
    assert sealed(database) == 0
    verdict = checked(database)
    assert (verdict.flaw, verdict.blocks, verdict.rows, verdict.unsealed, verdict.head) == (
        None,
        0,
        0,
        0,
        None,
    )


def test_what_is_committed_is_sealed_once_and_fits(chain):
    assert sealed(chain) == 0
    add(chain, 2)
    verdict = checked(chain)
    assert (verdict.flaw, verdict.blocks, verdict.rows, verdict.unsealed) == (None, 3, 18, 2)
    with chain.reader() as session:
        assert verdict.head == head(session)


def test_the_first_hash_can_be_computed_without_this_program(database):
    add(database, 1)
    sealed(database)
    with database.reader() as session:
        row = session.execute(
            sa.text("SELECT *, (extract(epoch FROM at) * 1000000)::bigint AS us FROM audit")
        ).one()
        block = session.execute(
            sa.text("SELECT *, (extract(epoch FROM sealed_at) * 1000000)::bigint AS us FROM audit_block")
        ).one()
    values = ["audit", 1, row.us, "x", "test.thing", "thing:0", None, "{}", 1, None, None, None, {}, None]
    digest = hashlib.sha256(json.dumps(values).encode()).digest()
    assert bytes(block.hash) == block_hash(1, GENESIS, block.us, ("{[1,2)}", "{}"), digest)


def test_sessions_in_another_zone_and_another_locale_see_the_same_digests(chain, fresh_url):
    elsewhere = Database(
        fresh_url + "&options=-c%20timezone%3DAsia/Shanghai%20-c%20datestyle%3DGerman", pool_size=1
    )
    with elsewhere.engine.connect() as connection:
        connection.execute(sa.text("SET timezone = 'Asia/Shanghai'; SET extra_float_digits = 0"))
        session = sa.orm.Session(connection)
        assert verify(session).flaw is None
    elsewhere.close()


def test_large_amounts_go_into_several_blocks(database):
    add(database, 25, "event_history")
    assert [sealed(database, rows=10) for _ in range(4)] == [10, 10, 5, 0]
    assert checked(database).flaw is None
    assert checked(database).blocks == 3


def test_what_commits_late_is_taken_by_a_later_block(database):
    with database.writer() as late:
        audit.record(late, Entry("late", "test.thing", "x"))  # number 1, not committed yet
        add(database, 2)
        assert sealed(database) == 2
        assert sealed(database, patience_s=0) == 0
        add(database)
        assert sealed(database, patience_s=0) == 1  # the gap stays open while that transaction runs
    assert checked(database).unsealed == 1
    assert checked(database).flaw is None
    assert sealed(database, patience_s=0) == 1
    verdict = checked(database)
    assert (verdict.flaw, verdict.rows, verdict.unsealed) == (None, 4, 0)


def test_numbers_that_were_rolled_back_are_not_waited_for_for_ever(database):
    with database.writer() as session:
        audit.record(session, Entry("x", "test.thing", "x"))
        session.rollback()
    for _ in range(2):
        add(database)
        sealed(database, patience_s=0)
    with database.reader() as session:
        waited = session.execute(
            sa.text("SELECT audit_open::text FROM audit_block ORDER BY number")
        ).scalars()
        assert list(waited) == ["{[1,2)}", "{}"]
    assert checked(database).flaw is None


def test_only_one_seals_at_a_time(database):
    add(database)
    with database.writer() as first:
        assert seal(first) == 1
        assert sealed(database) is None
    assert sealed(database) == 0


@pytest.mark.parametrize(
    ("forgery", "block", "table", "row"),
    [
        ("UPDATE audit SET actor = 'y' WHERE id = 5", 2, "audit", 5),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 4", 2, "audit", 4),
        ("UPDATE audit SET reason = '' WHERE id = 9", 3, "audit", 9),
        ("UPDATE audit SET detail = '{\"a\": 1}' WHERE id = 1", 1, "audit", 1),
        ("UPDATE audit SET events = '{1}' WHERE id = 1", 1, "audit", 1),
        ("UPDATE event_history SET detail = '{}' WHERE id = 6", 2, "event_history", 6),
        ("UPDATE event_history SET event = 99 WHERE id = 7", 3, "event_history", 7),
        ("DELETE FROM audit WHERE id = 8", 3, "audit", 8),
        ("DELETE FROM event_history WHERE id = 2", 1, "event_history", 2),
        ("UPDATE audit_block SET sealed_at = sealed_at + interval '1 s' WHERE number = 2", 2, None, None),
        ("UPDATE audit_block SET hash = sha256('') WHERE number = 3", 3, None, None),
        ("UPDATE audit_block SET hash = sha256('') WHERE number = 1", 1, None, None),
        ("UPDATE audit_block SET previous_hash = sha256('') WHERE number = 2", 2, None, None),
        ("UPDATE audit_block SET marks = marks || '\\x00' WHERE number = 2", 2, None, None),
        ("DELETE FROM audit_block WHERE number = 2", 2, None, None),
        ("DELETE FROM audit_block WHERE number = 1", 1, None, None),
        ("DELETE FROM audit WHERE id = 2; UPDATE audit_block SET audit_rows = '{[1,2),[3,4)}' WHERE number = 1",
         1, "audit", 3),
    ],
)  # fmt: skip
def test_what_was_altered_is_named(chain, superuser, forgery, block, table, row):
    superuser(forgery)
    flaw = checked(chain).flaw
    assert flaw is not None
    assert (flaw.block, flaw.table, flaw.row) == (block, table, row)
    assert str(block) in str(flaw)


def test_a_row_put_between_sealed_ones_is_named(database, superuser):
    with database.writer() as session:
        audit.record(session, Entry("x", "test.thing", "x"))
        session.rollback()
    for _ in range(2):
        add(database)
        sealed(database, patience_s=0)
    superuser(
        "INSERT INTO audit (id, actor, action, object) OVERRIDING SYSTEM VALUE VALUES (1, 'x', 'y', 'z')"
    )
    flaw = checked(database).flaw
    assert (flaw.block, flaw.table, flaw.row) == (None, "audit", 1)
    superuser("DELETE FROM audit WHERE id = 1")
    assert checked(database).flaw is None
    superuser(
        "INSERT INTO audit (id, actor, action, object) OVERRIDING SYSTEM VALUE VALUES (-7, 'x', 'y', 'z')"
    )
    assert checked(database).flaw.row == -7


def test_a_chain_cut_off_or_rewritten_does_not_fit_the_noted_head(chain, superuser):
    noted = checked(chain).head
    assert checked(chain, noted).flaw is None
    add(chain)
    sealed(chain)
    assert checked(chain, noted).flaw is None  # it has grown
    superuser("DELETE FROM audit_block WHERE number > 2; DELETE FROM audit WHERE id > 6;"
              " DELETE FROM event_history WHERE id > 6")  # fmt: skip
    assert checked(chain).flaw is None  # which is why a head is noted elsewhere
    assert "ends with 2" in str(checked(chain, noted).flaw)
    sealed(chain)
    other = Head(2, b"x" * 32)
    assert "rewritten" in str(checked(chain, other).flaw)
