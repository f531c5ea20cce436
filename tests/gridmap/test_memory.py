"""What a process keeps: editions that others publish arrive, older ones stay at hand."""

import datetime as dt
import threading

import numpy as np
import pytest

from gridmap import snapshot as snapshots
from gridmap.access import Scope
from gridmap.areas import import_areas
from gridmap.intake import Post, StaleBoundaries, store_few
from gridmap.memory import KEPT_EDITIONS, Memory


@pytest.fixture
def other(desk):
    """The memory of another process on the same database."""
    memory = Memory(desk.database, desk.settings.time_zone)
    memory.refresh()
    return memory


def redraw(county, height):
    return county.area(
        "micro", county.micro(0, 0), county.box(0, 0, 1, height), parent=county.comprehensive(0, 0)
    )


def publish(desk, county, height):
    with desk.database.writer() as session:
        return import_areas(session, [redraw(county, height)], actor="test", settings=desk.settings).edition


def test_before_anything_is_loaded_there_is_an_empty_edition(empty_desk):
    assert (empty_desk.memory.snapshot.edition, len(empty_desk.memory.snapshot)) == (0, 0)
    assert empty_desk.memory.at(dt.datetime.now(dt.UTC)).edition == 0
    assert empty_desk.memory.edition_at(dt.datetime.now(dt.UTC)) is None


def test_an_edition_published_elsewhere_arrives_when_told(desk, county, other, caplog):
    caplog.set_level("INFO")
    held = other.snapshot
    publish(desk, county, 0.5)
    assert other.snapshot is held  # nobody has told yet
    other.refresh_boundaries()
    assert other.snapshot.edition == 2
    assert held.edition == 1  # what somebody was working with stays whole
    assert f"edition 2: {len(held)} areas read and indexed in " in caplog.text
    again = other.snapshot
    other.refresh_boundaries()
    assert other.snapshot is again  # nothing is built anew for nothing


def test_intake_with_old_boundaries_stores_nothing_and_asks_to_come_again(desk, county):
    publish(desk, county, 0.5)
    post = Post(county.event(), "t", Scope(None))
    (kept_out,) = store_few(desk.database, desk.memory, desk.seal, [post], 50)
    assert isinstance(kept_out, StaleBoundaries)
    with pytest.raises(StaleBoundaries):
        desk.post_many([county.event()], tries=1)
    assert desk.one("SELECT count(*) FROM event_key") == 0
    # the second try had renewed it
    assert desk.memory.snapshot.edition == 2
    assert desk.post(county.event()).state == "stored"


def test_a_repeated_post_is_answered_also_by_old_boundaries(desk, county):
    draft = county.event()
    first = desk.post(draft)
    publish(desk, county, 0.5)
    assert desk.post(draft, tries=1) == type(first)("repeated", first.event)


def test_each_moment_has_its_boundaries(desk, county, other):
    moments = [dt.datetime(1900, 1, 1, tzinfo=dt.UTC)]
    for number in range(2, 5):
        publish(desk, county, 1 / number)
        moments.append(dt.datetime.now(dt.UTC))
    other.refresh()
    assert [other.edition_at(moment) for moment in moments] == [1, 2, 3, 4]
    for number, moment in enumerate(moments, 1):
        found = other.at(moment)
        assert found.edition == number
        height = found.bounds[found.row[county.micro(0, 0)]][3] - county.south
        assert np.isclose(height, county.side / number)
    # exactly from its moment on
    (start,) = [row[0] for row in desk.rows("SELECT in_force_from FROM edition WHERE id = 3")]
    assert other.edition_at(start) == 3
    assert other.edition_at(start - dt.timedelta(microseconds=1)) == 2


def test_an_edition_whose_moment_comes_is_activated_by_the_clock(desk, other):
    desk.do("INSERT INTO edition VALUES (2, clock_timestamp() + interval '0.6 s', now(), 'test', '', 0)")
    other.refresh()
    assert other.snapshot.edition == 1
    waited = threading.Event()
    waited.wait(0.8)
    assert other.snapshot.edition == 2


def test_only_the_last_few_older_editions_are_kept(desk, county, other, monkeypatch):
    for number in range(2, 9):
        publish(desk, county, 1 / number)
    other.refresh()
    read = []
    load = snapshots.load
    monkeypatch.setattr(
        snapshots, "load", lambda session, number: read.append(number) or load(session, number)
    )
    for number in (1, 2, 3, 4, 1, 5, 1, 2, 8):
        assert other.edition(number).edition == number
    # 1 was in force before, was asked for again and kept; 2 was the oldest and went
    assert read == [2, 3, 4, 5, 2]
    assert len(other._older) == KEPT_EDITIONS


def test_roster_and_households_are_renewed_when_told(desk, county, other):
    assert len(other.roster.people) == 8
    held = other.snapshot
    desk.do("UPDATE worker SET retired_at = now() WHERE code = :code", code=f"w{county.comprehensive(0, 0)}")
    desk.do("INSERT INTO household_count VALUES (:code, 77, 1)", code=county.micro(0, 0))
    desk.do("INSERT INTO subcategory VALUES ('new', 'other', '新', 'New')")
    other.refresh_roster()
    other.refresh_households()
    assert len(other.roster.people) == 7
    assert other.subcategories["new"] == "other"
    made = other.snapshot
    assert made.households[made.row[county.micro(0, 0)]] == 77
    assert held.households.sum() == 0
    assert made.index is held.index  # boundaries are not built anew


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ("UPDATE service_area SET valid_to = now() - interval '1 h', valid_from = now() - interval '2 h'", False),
        ("UPDATE service_area SET valid_from = now() + interval '1 h'", False),
        ("UPDATE service_area SET valid_from = now() - interval '1 h', valid_to = now() + interval '1 h'", True),
        ("UPDATE worker SET retired_at = now() + interval '1 day'", True),
        ("UPDATE worker SET retired_at = now() - interval '1 day'", False),
        (("INSERT INTO shift (worker, weekday, starts_at, ends_at, valid_to) SELECT id,"
         " 1 + (extract(isodow FROM now() AT TIME ZONE 'Asia/Shanghai')::int + 2) % 7, '08:00', '09:00', NULL"
         " FROM worker"), False),
        (("INSERT INTO shift (worker, weekday, starts_at, ends_at, valid_from, valid_to) SELECT id, weekday,"
         " '00:00', '23:59:59.999999', '-infinity', 'infinity' FROM worker, generate_series(1, 7) AS weekday"),
         True),
    ],
)  # fmt: skip
def test_the_roster_is_who_serves_an_area_today(desk, county, change, serves):
    desk.do(change)
    desk.memory.refresh_roster()
    worker = desk.one("SELECT worker FROM event WHERE id = :n", n=desk.post(county.event()).event)
    assert (worker is not None) == serves


def test_many_threads_may_ask_while_editions_come(desk, county, other):
    stop, failures = threading.Event(), []

    def ask():
        try:
            while not stop.wait(0.005):
                made = other.snapshot
                assert len(made.code) == len(made.households) == len(made.geom)
                assert other.edition(1).edition == 1
        except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 6):
            publish(desk, county, 1 / number)
            other.refresh()
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert failures == []
    assert other.snapshot.edition == 5
