"""Storing workers: what a file names replaces what was, and what was stays on record."""

import datetime as dt

import pytest
import sqlalchemy as sa

from gridmap.routing import load_roster
from gridmap.workers import Shift, UnitDraft, WorkerDraft, known_units, store_units, store_workers

TODAY = dt.date(2026, 5, 4)
TOMORROW = dt.date(2026, 5, 5)
EARLY = Shift(1, dt.time(8), dt.time(12))
LATE = Shift(1, dt.time(20), dt.time(6))


def worker(**changes):
    return WorkerDraft(**{"code": "w1", "name": "江一", "role": "liaison", **changes})


def store(writer, *drafts, today=TODAY):
    stored = store_workers(writer, drafts, today)
    return stored.created, stored.changed, stored.unchanged


def rows(writer, sql):
    return [tuple(row) for row in writer.execute(sa.text(sql))]


def next_moment(writer):
    """Moves the transaction's rows a day back, as if they had been stored yesterday."""
    writer.execute(
        sa.text(
            "UPDATE service_area SET valid_from = valid_from - interval '1 day' WHERE isfinite(valid_from)"
        )
    )


def test_workers_with_areas_and_shifts(writer, settings):
    assert store_units(writer, [UnitDraft(code="u1", name="综治中心", kind="centre")]) == 1
    assert store_units(writer, [UnitDraft(code="u1", name="another", kind="centre")]) == 0
    assert known_units(writer) == {"u1"}
    draft = worker(unit="u1", areas=("m2", "m1", "m1"), shifts=(EARLY, LATE), capacity=5)
    assert store(writer, draft) == (1, 0, 0)
    assert store(writer, draft) == (0, 0, 1)
    roster = load_roster(writer, settings.time_zone)
    (person,) = roster.people.values()
    assert (person.code, person.role, person.capacity) == ("w1", "liaison", 5)
    assert roster.people_of == {"m1": (person,), "m2": (person,)}
    assert len(person.duties) == 2
    assert rows(
        writer, "SELECT DISTINCT valid_from::text FROM service_area UNION SELECT valid_from::text FROM shift"
    ) == [("-infinity",)]


def test_a_file_that_does_not_speak_of_areas_and_shifts_leaves_them(writer):
    store(writer, worker(areas=("m1",), shifts=(EARLY,)))
    assert store(writer, worker(name="江二")) == (0, 1, 0)
    assert rows(writer, "SELECT area, valid_to FROM service_area") == [("m1", None)]
    assert rows(writer, "SELECT weekday, valid_to FROM shift") == [(1, None)]


def test_areas_that_are_no_longer_named_end_now(writer):
    store(writer, worker(areas=("m1", "m2")))
    assert store(writer, worker(areas=("m2", "m3"))) == (0, 1, 0)
    found = rows(
        writer, "SELECT area, valid_from = '-infinity', valid_to IS NULL FROM service_area ORDER BY area"
    )
    assert found == [("m1", True, False), ("m2", True, True), ("m3", False, True)]
    next_moment(writer)
    assert store(writer, worker(areas=())) == (0, 1, 0)
    assert rows(writer, "SELECT count(*) FROM service_area WHERE valid_to IS NULL") == [(0,)]


def test_an_area_given_and_taken_within_one_transaction_leaves_nothing(writer):
    store(writer, worker())
    store(writer, worker(areas=("m1",)))
    store(writer, worker(areas=("m2",)))
    assert rows(writer, "SELECT area FROM service_area") == [("m2",)]


def test_shifts_change_by_days(writer):
    store(writer, worker(shifts=(EARLY,)))
    assert store(writer, worker(shifts=(LATE,)), today=TOMORROW) == (0, 1, 0)
    found = rows(
        writer, "SELECT starts_at, nullif(valid_from, '-infinity'), valid_to FROM shift ORDER BY starts_at"
    )
    assert found == [(dt.time(8), None, TOMORROW), (dt.time(20), TOMORROW, None)]
    store(writer, worker(shifts=(EARLY,)), today=TOMORROW)
    assert rows(writer, "SELECT count(*) FROM shift WHERE starts_at = '20:00'") == [(0,)]


@pytest.mark.parametrize("drafts", [(), (worker(),)])
def test_the_roster_is_told_only_of_changes(writer, drafts):
    store(writer, *drafts)
    told = rows(writer, "SELECT count(*) FROM change_log WHERE topic = 'roster'")[0][0]
    assert told == len(drafts)
    store(writer, *drafts)
    assert rows(writer, "SELECT count(*) FROM change_log WHERE topic = 'roster'")[0][0] == told
