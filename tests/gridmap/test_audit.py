"""Records: stored with their transaction, read within a scope, noted reads, and sealed by the scribe."""

import datetime as dt
import time

import pytest
import sqlalchemy as sa

from gridmap import audit
from gridmap.access import Scope
from gridmap.audit import Entry, Wanted
from gridmap.audit_scribe import MOST_NOTES, Scribe, _Step
from gridmap.audit_verify import verify
from gridmap.errors import Unavailable

EVERYWHERE = Scope(None)


@pytest.fixture
def entries(writer):
    audit.record(
        writer,
        Entry("chief", "account.add", "account:west", area="a", paths=("c.a",), after={"role": "x"}),
        Entry("west", "event.read", "event:17", paths=("c.a.v", "c.p"), events=(17,)),
        Entry("west", "event.read", "events", paths=("c.a.v",), events=(16, 17, 18)),
        Entry("nobody", "sign_in.failed", "account:-", detail={"address": "10.0.0.1"}),
        Entry(
            "east", "account.disable", "account:x", area="b", paths=("c.b",), before={"a": 1}, reason="left"
        ),
    )
    return writer


def objects(session, scope=EVERYWHERE, **wanted):
    return [row["object"] for row in audit.page(session, scope, Wanted(**wanted))]


def test_records_are_read_newest_first_by_whoever_administers_their_area(entries):
    assert objects(entries) == ["account:x", "account:-", "events", "event:17", "account:west"]
    assert objects(entries, Scope.of(["c.a"])) == ["events", "event:17", "account:west"]
    assert objects(entries, Scope.of(["c.a.v"])) == ["events", "event:17"]
    assert objects(entries, Scope.of(["c.p"])) == ["event:17"]
    assert objects(entries, Scope.of(["c.a", "c.b"])) == ["account:x", "events", "event:17", "account:west"]
    assert objects(entries, Scope(())) == []


def test_filters(entries):
    assert objects(entries, actor="west") == ["events", "event:17"]
    assert objects(entries, action="account.disable") == ["account:x"]
    assert objects(entries, action="account.") == ["account:x", "account:west"]
    assert objects(entries, object="event:17") == ["events", "event:17"]
    assert objects(entries, object="event:16") == ["events"]
    assert objects(entries, object="event:" + "9" * 40) == []
    assert objects(entries, object="account:west") == ["account:west"]
    assert objects(entries, area="a") == ["events", "event:17", "account:west"]
    assert objects(entries, area="v") == ["events", "event:17"]
    now = dt.datetime.now(dt.UTC)
    assert len(objects(entries, since=now - dt.timedelta(minutes=1))) == 5
    assert objects(entries, until=now - dt.timedelta(minutes=1)) == []


def test_pages_follow_each_other(entries):
    first = audit.page(entries, EVERYWHERE, Wanted(), limit=2)
    second = audit.page(entries, EVERYWHERE, Wanted(), before=first[-1]["id"], limit=9)
    assert [row["object"] for row in (*first, *second)] == objects(entries)


def test_states_are_kept_as_digests_alone(entries):
    by_object = {row["object"]: row for row in audit.page(entries, EVERYWHERE, Wanted())}
    assert by_object["account:west"]["before"] is None
    assert by_object["account:west"]["after"] == audit.digest_of({"role": "x"}).hex()
    assert by_object["account:x"]["before"] == audit.digest_of({"a": 1}).hex()
    assert by_object["account:x"]["reason"] == "left"
    assert audit.digest_of({"a": 1, "b": 2}) == audit.digest_of({"b": 2, "a": 1}) != audit.digest_of({"a": 1})


def test_a_record_names_the_boundaries_in_force(writer):
    writer.execute(sa.text("INSERT INTO edition VALUES (1, '-infinity', now(), 't', '', 0),"
                           " (2, now() - interval '1 h', now(), 't', '', 0),"
                           " (3, now() + interval '1 h', now(), 't', '', 0)"))  # fmt: skip
    audit.record(writer, Entry("x", "a.b", "c"), Entry("x", "a.b", "d", edition=1))
    assert [row["edition"] for row in audit.page(writer, EVERYWHERE, Wanted())] == [1, 2]


def test_nothing_is_recorded_of_what_was_not_done(database):
    with database.writer() as session:
        audit.record(session, Entry("x", "a.b", "undone"))
        session.rollback()
    with database.reader() as session:
        assert objects(session, object="undone") == []


def test_what_was_noted_is_stored_soon_and_at_the_end_and_sealed(database):
    scribe = Scribe(database, seal_every_s=0.1)
    scribe.start()
    scribe.note(Entry("x", "event.read", "event:1", events=(1,)))
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with database.reader() as session:
            verdict = verify(session)
            if objects(session, object="event:1") and not verdict.unsealed and verdict.blocks:
                break
        time.sleep(0.05)
    else:
        pytest.fail("not stored and sealed")
    assert verdict.flaw is None
    for number in range(1500):
        scribe.note(Entry("x", "event.read", f"last:{number}"))
    scribe.stop()
    with database.reader() as session:
        assert (
            session.execute(sa.text("SELECT count(*) FROM audit WHERE object LIKE 'last:%'")).scalar() == 1500
        )


def test_more_than_can_be_recorded_is_not_read(database):
    scribe = Scribe(database)  # not started: nothing is taken off
    for _ in range(MOST_NOTES):
        scribe.note(Entry("x", "event.read", "event:1"))
    with pytest.raises(Unavailable):
        scribe.note(Entry("x", "event.read", "event:1"))


def test_a_record_that_cannot_be_stored_keeps_no_other_back(database, caplog):
    scribe = Scribe(database)
    for number in range(3):
        scribe.note(Entry("y", "event.read", f"before:{number}"))
    scribe.note(Entry("y", "event.read", "poison\0"))
    scribe.note(Entry("y", "event.read", "poison", paths=("no ltree !",)))
    scribe.note(Entry("y", "event.read", "after"))
    scribe.start()
    scribe.stop()
    assert (scribe.waiting, scribe.failing, scribe.unrecorded) == (0, 0, 2)
    with database.reader() as session:
        found = session.execute(
            sa.text("SELECT action, object, detail FROM audit WHERE actor = 'y' ORDER BY id")
        ).all()
    assert [each.object for each in found] == ["before:0", "before:1", "before:2", "audit", "audit", "after"]
    assert found[3].action == "audit.unrecorded"
    assert found[3].detail["action"] == "event.read"
    assert "poison" not in caplog.text


def test_what_fails_is_tried_again_later_and_later_and_says_so(database, monkeypatch, caplog):
    scribe = Scribe(database, longest_pause_s=0.01)
    scribe.note(Entry("z", "event.read", "event:1"))
    write, tries = scribe._write, []

    def away(entries):
        tries.append(scribe.failing)
        if len(tries) <= 4:
            raise (
                Unavailable("away")
                if len(tries) % 2
                else sa.exc.ProgrammingError("x", {}, Exception("denied"))
            )
        write(entries)

    monkeypatch.setattr(scribe, "_write", away)
    scribe.start()
    deadline = time.monotonic() + 30
    while scribe.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    scribe.stop()
    assert (scribe.waiting, scribe.failing, scribe.unrecorded) == (0, 0, 0)
    assert max(tries) >= 2
    assert "storing failed 2 times" in caplog.text
    with database.reader() as session:
        assert session.execute(sa.text("SELECT count(*) FROM audit WHERE actor = 'z'")).scalar_one() == 1


def test_pauses_grow():
    step = _Step("it", lambda: 1 / 0, 60.0)
    pauses = []
    for _ in range(9):
        step.ready_at, before = 0.0, time.monotonic()
        step.attempt()
        pauses.append(round(step.ready_at - before))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    before = step.failures
    step.attempt()  # too early
    assert step.failures == before
