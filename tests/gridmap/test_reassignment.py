"""Stored events onto today's boundaries, by hand: what moves, what stays, and who goes before."""

import datetime as dt
import threading

import pytest

from gridmap import decisions
from gridmap.access import Scope
from gridmap.errors import Conflict, NotFound
from gridmap.reassignment import Which, reassign

EVERYWHERE = Which(Scope(None))


def again(desk, which=EVERYWHERE, *, commit=True):
    with desk.database.writer() as session:
        done = reassign(session, which, desk.settings.time_zone, desk.settings.tolerance_m)
        if not commit:
            session.rollback()
    return done.looked_at, done.moved, done.routed


def misplaced(desk, county, count=4, **changes):
    """Events whose `now` says another grid than the one they lie in, as after an import that went wrong."""
    numbers = [desk.post(county.event(0.5, 0.5, **changes)).event for _ in range(count)]
    desk.do(
        "UPDATE event SET owner_now = :code, leaf_now = :code, paths_now = ARRAY[(SELECT path FROM area WHERE"
        f" code = :code AND edition_to IS NULL)] WHERE id IN ({','.join(map(str, numbers))})",
        code=county.micro(2, 0),
    )
    return numbers


def rows(desk, numbers):
    return desk.rows(
        "SELECT id, owner_now, owner_then, status, worker, unit, revision, why FROM event WHERE id = ANY(:ids)"
        " ORDER BY id",
        ids=sorted(numbers),
    )


def test_nothing_moves_where_all_is_right(desk, county):
    for column in range(3):
        desk.post(county.event(column + 0.5, 0.5))
    assert again(desk) == (3, 0, 0)
    assert desk.one("SELECT count(*) FROM event_history WHERE action = 'relocate'") == 0


def test_a_trial_says_what_would_move_and_moves_nothing(desk, county):
    numbers = misplaced(desk, county)
    before = rows(desk, numbers)
    assert again(desk, commit=False)[:2] == (4, 4)
    assert rows(desk, numbers) == before
    assert again(desk)[:2] == (4, 4)
    after = rows(desk, numbers)
    assert {row.owner_now for row in after} == {county.micro(0, 0)}
    assert {row.owner_then for row in after} == {row.owner_then for row in before}
    assert desk.one("SELECT count(*) FROM event_history WHERE action = 'relocate'") == 4
    assert again(desk) == (4, 0, 0)


def test_only_what_is_asked_for(desk, county):
    early = misplaced(desk, county, 1, occurred_at=dt.datetime(2025, 3, 1, tzinfo=dt.UTC))
    late = misplaced(desk, county, 1, occurred_at=dt.datetime(2025, 9, 1, tzinfo=dt.UTC))
    closed = misplaced(desk, county, 1, occurred_at=dt.datetime(2025, 9, 1, tzinfo=dt.UTC))
    desk.do("UPDATE event SET status = 'closed', closed_at = now() WHERE id = :id", id=closed[0])
    june = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
    assert again(desk, Which(Scope(None), until=june), commit=False)[:2] == (1, 1)
    assert again(desk, Which(Scope(None), since=june), commit=False)[:2] == (1, 1)
    assert again(desk, Which(Scope(None), since=june, only_open=False), commit=False)[:2] == (2, 2)
    elsewhere = county.comprehensive(0, 2)
    assert again(desk, Which(Scope(None), area=elsewhere, only_open=False)) == (0, 0, 0)
    assert again(desk, Which(Scope(()), only_open=False)) == (0, 0, 0)
    with pytest.raises(NotFound):
        again(desk, Which(Scope(None), area="nowhere"))
    with pytest.raises(NotFound):
        again(desk, Which(Scope(("other",)), area=elsewhere))
    assert again(desk, Which(Scope(None), only_open=False))[:2] == (3, 3)
    assert {row.owner_now for row in rows(desk, early + late + closed)} == {county.micro(0, 0)}


def test_who_has_accepted_keeps_it_and_what_waits_for_nobody_is_given_out(desk, county):
    first, second, third = misplaced(desk, county, 3)
    worker = rows(desk, [first])[0].worker
    assert worker is not None
    desk.do("UPDATE event SET status = 'accepted', accepted_at = now() WHERE id = :id", id=first)
    desk.do("UPDATE event SET status = 'unassigned', worker = NULL, unit = NULL WHERE id = :id", id=second)
    assert again(desk)[:2] == (3, 3)
    kept, given, assigned = rows(desk, [first, second, third])
    assert (kept.status, kept.worker) == ("accepted", worker)
    assert given.status == assigned.status == "assigned"
    assert given.why[-1][1] in {"worker", "unit"}


def test_a_worker_who_left_hands_over_what_was_not_accepted(desk, county):
    number = desk.post(county.event(0.5, 0.5)).event
    worker = rows(desk, [number])[0].worker
    assert again(desk) == (1, 0, 0)
    desk.do("UPDATE worker SET retired_at = now() - interval '1 minute' WHERE id = :id", id=worker)
    assert again(desk) == (1, 0, 1)
    after = rows(desk, [number])[0]
    assert after.worker != worker
    assert after.owner_now == county.micro(0, 0)


def test_whoever_acts_meanwhile_goes_before(desk, county, monkeypatch):
    """Between reading and writing somebody accepts one: it keeps its worker, and moves all the same."""
    numbers = misplaced(desk, county, 3)
    place_many = decisions.place_many
    acted = threading.Event()

    def slow(*arguments):
        found = place_many(*arguments)
        if not acted.is_set():
            acted.set()
            desk.do(
                "UPDATE event SET status = 'accepted', accepted_at = now(), revision = revision + 1 WHERE id = :id",
                id=numbers[1],
            )
        return found

    monkeypatch.setattr(decisions, "place_many", slow)
    assert again(desk)[:2] == (3, 3)
    after = rows(desk, numbers)
    assert {row.owner_now for row in after} == {county.micro(0, 0)}
    assert [row.status for row in after] == ["assigned", "accepted", "assigned"]
    assert [row.revision for row in after] == [2, 3, 2]
    told = "SELECT count(*) FROM event_history WHERE action = 'relocate' AND event = :id"
    assert [desk.one(told, id=number) for number in numbers] == [1, 1, 1]


def test_one_that_changes_all_the_time_leaves_no_trace(desk, county, monkeypatch):
    numbers = misplaced(desk, county, 2)
    place_many = decisions.place_many

    def busy(*arguments):
        found = place_many(*arguments)
        desk.do("UPDATE event SET revision = revision + 1 WHERE id = :id", id=numbers[0])
        return found

    monkeypatch.setattr(decisions, "place_many", busy)
    with pytest.raises(Conflict):
        again(desk)
    assert desk.one("SELECT count(*) FROM event_history WHERE action = 'relocate'") == 0


def test_without_boundaries(empty_desk):
    with pytest.raises(Conflict):
        again(empty_desk)
