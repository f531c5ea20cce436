"""The moment of an edition: prepared before, taken over by the clock, and everything placed anew once."""

import datetime as dt
import threading
import time

import pytest
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.activation import Activator, activate
from gridmap.db import Database
from gridmap.events import EventDraft
from gridmap.memory import Memory
from gridmap.placement import Placement, place_many
from gridmap.publishing import Change, publish

PATIENCE_S = 30.0


def moved(county, at=0.5):
    """The border between squares (0, 0) and (1, 0) elsewhere."""
    known = {draft.code: draft for draft in county.drafts()}
    shapes = {county.micro(0, 0): county.box(0, 0, at, 1), county.micro(1, 0): county.box(at, 0, 2 - at, 1)}
    return [
        Change(code=code, geom=geom, kind="micro", name=known[code].name, parent=known[code].parent)
        for code, geom in shapes.items()
    ]


def published(desk, county, base=1, **more):
    with desk.database.writer() as session:
        return publish(session, base, moved(county), actor="x", settings=desk.settings, **more)


def ahead(seconds):
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def comes(desk, seconds=0.0):
    """Sets the clock for whoever was told an hour: the moment of the newest edition is near, or has just been.

    A moment that is near already while it is published may be past before that is done.
    """
    with desk.database.writer() as session:
        session.execute(sa.text("ALTER TABLE edition DISABLE TRIGGER append_only"))
        session.execute(
            sa.text(
                "UPDATE edition SET in_force_from = clock_timestamp() + make_interval(secs => id * 1e-6 + :seconds)"
                " WHERE in_force_from > clock_timestamp()"
            ),
            {"seconds": seconds},
        )
        session.execute(sa.text("ALTER TABLE edition ENABLE TRIGGER append_only"))
    return desk.one("SELECT max(in_force_from) FROM edition")


def wait_for(said):
    until = time.monotonic() + PATIENCE_S
    while not said():
        assert time.monotonic() < until
        time.sleep(0.01)


def placed_by(desk):
    return desk.one("SELECT max(edition) FROM edition_placed")


@pytest.fixture
def process(desk):
    """Makes what a process of the service has: the restricted role, a memory, a thread; all ended at the end."""
    made = []

    def start():
        database = Database(desk.database.url, pool_size=2, restricted=True)
        memory = Memory(database, desk.settings.time_zone)
        memory.refresh()
        told = []
        activator = Activator(
            database, memory, desk.settings.time_zone, desk.settings.tolerance_m,
            lambda: told.append(memory.held.edition),
        )  # fmt: skip
        made.append((database, activator))
        activator.start()
        return memory, activator, told

    yield start
    for database, activator in made:
        activator.stop()
        database.close()


def test_an_edition_is_ready_before_its_moment_and_nobody_reads_at_it(desk, county, monkeypatch):
    memory = desk.memory
    made = published(desk, county, effective_from=ahead(3600))
    memory.refresh_boundaries()
    assert (memory.snapshot.edition, memory.next_moment) == (1, made.in_force_from)
    memory.prepare(made.in_force_from)
    with desk.database.writer() as session:
        county.insert(session, "unit", code="later", name="x", kind="centre")

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(snapshots, "load", never)
    monkeypatch.setattr(memory, "refresh_boundaries", never)
    assert memory.edition(2).edition == 2  # asked for by its number, it is at hand
    monkeypatch.setattr(memory, "_clock_ahead", dt.timedelta(hours=2))
    assert memory.snapshot.edition == 2
    monkeypatch.setattr(memory, "_clock_ahead", dt.timedelta())
    assert memory.snapshot.edition == 2  # a clock that is set back takes nothing back


def test_at_its_moment_every_process_serves_it_and_one_places_everything_anew(desk, county, process):
    """Posts go on before, at and after the moment; none is left with the edition before."""
    (memory, activator, told), (other, second, told_too) = process(), process()
    lies = desk.post(county.event(0.75, 0.5)).event
    stop, failures, count = threading.Event(), [], [0, 0]

    def posting(number):
        try:
            while not stop.is_set():
                desk.post(county.event(0.75, 0.1 + 0.8 * number / 2), tries=50)
                count[number] += 1
        except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=posting, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        published(desk, county, effective_from=ahead(3600))
        assert desk.one("SELECT owner_now FROM event WHERE id = :n", n=lies) == county.micro(0, 0)
        moment = comes(desk, 0.5)
        for each, thread in ((memory, activator), (other, second)):
            each.refresh_boundaries()
            thread.wake()
        wait_for(lambda: placed_by(desk) == 2)
        assert desk.one("SELECT at >= :moment FROM edition_placed WHERE edition = 2", moment=moment)
        wait_for(lambda: told == told_too == [2])
        before = list(count)
        wait_for(lambda: failures or all(now > then for now, then in zip(count, before, strict=True)))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    rows = desk.rows(
        "SELECT category, occurred_at, ST_X(geom) AS lon, ST_Y(geom) AS lat, owner_now, edition FROM event"
    )
    assert len(rows) == 1 + sum(count)
    drafts = [
        EventDraft(source="", external_id="", category=row.category, occurred_at=row.occurred_at, title="",
                   lon=row.lon, lat=row.lat)
        for row in rows
    ]  # fmt: skip
    for row, placement in zip(rows, place_many(memory.snapshot, drafts, 50), strict=True):
        assert isinstance(placement, Placement)
        assert (row.owner_now, row.edition) == (placement.owner, 2) == (county.micro(1, 0), 2)
    assert desk.one("SELECT count(*) FROM change_log WHERE topic = 'edition' AND edition = 2") == 1


def test_a_moment_that_nobody_was_awake_for_is_made_up_for(desk, county, process):
    number = desk.post(county.event(0.75, 0.5)).event
    published(desk, county, effective_from=ahead(3600))
    named = [
        Change(code="990126P1", geom=county.box(0, 0, 4, 4), kind="precinct", name="改名", parent="990126")
    ]
    with desk.database.writer() as session:
        publish(session, 2, named, actor="x", effective_from=ahead(7200), settings=desk.settings)
    comes(desk)
    assert placed_by(desk) == 1
    process()
    wait_for(lambda: placed_by(desk) == 3)
    assert desk.one("SELECT owner_now FROM event WHERE id = :n", n=number) == county.micro(1, 0)
    rows = desk.rows("SELECT edition, events FROM edition_placed ORDER BY edition")
    assert [tuple(row) for row in rows] == [(1, 0), (2, 0), (3, 1)]
    assert activate(desk.database, desk.settings.time_zone, 50) == 3  # once and no more


def test_a_publication_settles_what_nobody_has_settled_before(desk, county):
    number = desk.post(county.event(0.75, 0.5)).event
    published(desk, county, effective_from=ahead(3600))
    comes(desk)
    name = Change(code="990126P1", geom=county.box(0, 0, 4, 4), kind="precinct", name="改名", parent="990126")
    with desk.database.writer() as session:
        publish(session, 2, [name], actor="x", settings=desk.settings)
    assert placed_by(desk) == 3
    assert desk.one("SELECT owner_now FROM event WHERE id = :n", n=number) == county.micro(1, 0)
