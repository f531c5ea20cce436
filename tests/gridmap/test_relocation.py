"""After a load that moves borders: what is placed anew, what stays, and that nothing slips through."""

import datetime as dt
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gridmap.areas import import_areas
from gridmap.db import lock_edition
from gridmap.households import count_households
from gridmap.placement import Placement, place_many


def swap(county, column=1, row=0):
    """Micro-grids (0, 0) and (column, row) with a common border moved half a square to the west."""
    first, second = county.micro(0, 0), county.micro(column, row)
    return [
        county.area("micro", first, county.box(0, 0, 0.5, 1), parent=county.comprehensive(0, 0)),
        county.area("micro", second, county.box(0.5, 0, 1.5, 1), parent=county.comprehensive(column, row)),
    ]


def across(county):
    """The border between the comprehensive grids of (1, 0) and (2, 0), moved half a square to the west."""
    west, east = county.comprehensive(1, 0), county.comprehensive(2, 0)
    shape = county.box(2, 0, 2, 2).union(county.box(1.5, 0, 0.5, 1))
    return [
        county.area(
            "comprehensive", west, as_multi(county.box(0, 0, 2, 2) - county.box(1.5, 0, 0.5, 1)),
            parent="990126001001",
        ),
        county.area("comprehensive", east, as_multi(shape), parent="990126001001"),
        county.area("micro", county.micro(1, 0), county.box(1, 0, 0.5, 1), parent=west),
        county.area("micro", county.micro(2, 0), county.box(1.5, 0, 1.5, 1), parent=east),
    ]  # fmt: skip


def as_multi(shape):
    from shapely import MultiPolygon

    return shape if shape.geom_type == "MultiPolygon" else MultiPolygon([shape])


def event(desk, number):
    return desk.one(
        "SELECT owner_then, owner_now, leaf_then, leaf_now, paths_then::text[] AS paths_then,"
        " paths_now::text[] AS paths_now, method, distance_m, edition, status, worker, unit, why, revision"
        " FROM event WHERE id = :number",
        number=number,
    )


def worker_of(desk, area):
    return desk.one("SELECT worker FROM service_area WHERE area = :area AND worker IS NOT NULL", area=area)


def fresh_placements(desk):
    """Every event beside its placement by the newest edition."""
    desk.memory.refresh()
    rows = desk.rows(
        "SELECT id, external_id, category, occurred_at, ST_X(geom) AS lon, ST_Y(geom) AS lat, owner_now,"
        " leaf_now, paths_now::text[] AS paths_now, method, why FROM event ORDER BY id"
    )
    from gridmap.events import EventDraft

    drafts = [
        EventDraft(
            source="", external_id="", category=row.category, occurred_at=row.occurred_at, title="",
            lon=row.lon, lat=row.lat,
        )
        for row in rows
    ]  # fmt: skip
    return zip(rows, place_many(desk.memory.snapshot, drafts, desk.settings.tolerance_m), strict=True)


def test_now_follows_and_then_stays(desk, county):
    old, new = county.micro(0, 0), county.micro(1, 0)
    moved = desk.post(county.event(0.75, 0.5)).event
    stays = desk.post(county.event(0.25, 0.5)).event
    before = event(desk, stays)
    result = desk.load(*swap(county))
    assert (result.edition, result.changed, result.created, result.events_moved) == (2, 2, 0, 1)
    after = event(desk, moved)
    assert (after.owner_then, after.leaf_then) == (old, old)
    assert (after.owner_now, after.leaf_now, after.edition) == (new, new, 2)
    assert any(path.endswith(old) for path in after.paths_then)
    assert any(path.endswith(new) for path in after.paths_now)
    assert not any(path.endswith(old) for path in after.paths_now)
    assert any(path.endswith("990126P1") for path in after.paths_now)
    assert event(desk, stays) == before


def test_an_unaccepted_event_is_routed_anew_and_history_and_log_say_so(desk, county):
    number = desk.post(county.event(1.75, 0.5)).event
    assert event(desk, number).worker == worker_of(desk, county.comprehensive(1, 0))
    desk.load(*across(county))
    after = event(desk, number)
    east = worker_of(desk, county.comprehensive(2, 0))
    assert (after.worker, after.status, after.revision) == (east, "assigned", 2)
    assert [reason[1] for reason in after.why] == ["inside", "worker"]
    step = desk.one(
        "SELECT actor, action, status, edition, detail FROM event_history WHERE event = :n"
        " ORDER BY id DESC LIMIT 1",
        n=number,
    )
    assert tuple(step)[:4] == ("system", "relocate", "assigned", 2)
    assert step.detail["from"] == county.micro(1, 0)
    assert step.detail["grid"] == county.micro(2, 0)
    assert desk.one("SELECT count(*) FROM change_log WHERE event = :n AND edition = 2", n=number) == 1


@pytest.mark.parametrize("status", ["accepted", "escalated", "suspended", "resolved", "closed"])
def test_who_has_accepted_an_event_keeps_it_and_its_reason(desk, county, status):
    number = desk.post(county.event(1.75, 0.5)).event
    desk.do("UPDATE event SET status = :status WHERE id = :n", status=status, n=number)
    before = event(desk, number)
    desk.load(*across(county))
    after = event(desk, number)
    assert (after.worker, after.unit, after.status) == (before.worker, None, status)
    assert after.owner_now == county.micro(2, 0)
    assert after.why[-1] == before.why[-1]
    assert after.why[-1][1] == "worker"


def test_its_own_load_does_not_take_a_moved_event_from_its_worker(desk, county):
    """A worker with three in hand, the most that fit, keeps all three when they move within the area served."""
    numbers = [desk.post(county.event(0.75, 0.5)).event for _ in range(3)]
    worker = worker_of(desk, county.comprehensive(0, 0))
    assert {event(desk, number).worker for number in numbers} == {worker}
    desk.load(*swap(county))
    assert {event(desk, number).worker for number in numbers} == {worker}
    assert {event(desk, number).owner_now for number in numbers} == {county.micro(1, 0)}


def test_who_is_full_gets_no_more_by_a_load(desk, county):
    here = [desk.post(county.event(1.75, 0.5)).event for _ in range(3)]
    there = [desk.post(county.event(2.5, 0.5)).event for _ in range(2)]
    desk.load(*across(county))
    east = worker_of(desk, county.comprehensive(2, 0))
    held = [event(desk, number) for number in here]
    assert [each.worker == east for each in held] == [True, False, False]
    assert all(each.unit is not None for each in held[1:])
    assert {event(desk, number).worker for number in there} == {east}


def test_an_event_in_a_gap_follows_a_grid_that_came_or_went(desk, county):
    """At the very edge of the tolerance, east of what changed: 49.5 m are more degrees here than at the equator."""
    lon = county.at(8, 0)[0] + 49.5 / (111_320 * 0.866)
    outside = county.event(8.5, 0.5)
    number = desk.post(replace(outside, lon=lon, x=lon)).event
    assert event(desk, number).method == "none"
    # a new village beside the county's east, with one grid along the county's border and the rest of it a gap
    village = county.area("village", "990126002009", county.box(8, 0, 2, 1), parent="990126002")
    desk.load(village)
    assert event(desk, number).method == "jurisdiction"
    thin = county.area(
        "comprehensive", "990126002009001", as_multi(county.box(8, 0, 0.0001, 1)), parent="990126002009"
    )
    desk.load(thin)
    after = event(desk, number)
    assert (after.method, after.owner_now) == ("nearest", "990126002009001")


def test_the_method_follows_also_where_the_owner_stays(desk, county):
    number = desk.post(county.event(1, 0.5)).event
    assert (event(desk, number).method, event(desk, number).owner_now) == ("border", county.micro(0, 0))
    worker = event(desk, number).worker
    desk.load(
        county.area("micro", county.micro(0, 0), county.box(0, 0, 1.5, 1), parent=county.comprehensive(0, 0)),
        county.area("micro", county.micro(1, 0), county.box(1.5, 0, 0.5, 1), parent=county.comprehensive(0, 0)),
    )  # fmt: skip
    after = event(desk, number)
    assert (after.method, after.owner_now, after.worker) == ("inside", county.micro(0, 0), worker)
    assert [reason[1] for reason in after.why] == ["inside", "worker"]


@pytest.mark.parametrize("stated", ["990126P1", "990126D01", "990126001001", "99012600100100101"])
def test_a_stated_event_stays_where_its_source_said(desk, county, stated):
    number = desk.post(county.event(None, None, grid=stated, address="某处")).event
    before = event(desk, number)
    assert before.method == "stated"
    result = desk.load(*swap(county))
    assert (result.events_moved, event(desk, number)) == (0, before)


def test_buildings_and_household_counts_follow(desk, county):
    lon, lat = county.at(0.75, 0.5)
    with desk.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths) SELECT 'b1', 60,"
                " point, point, code, code, ARRAY[path] FROM area,"
                " (SELECT ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS point) AS p WHERE code = :code"
            ),
            {"lon": lon, "lat": lat, "code": county.micro(0, 0)},
        )
        count_households(session)
    counted = "SELECT households FROM household_count WHERE code = :code"
    assert desk.one(counted, code=county.micro(0, 0)) == 60
    result = desk.load(*swap(county))
    assert result.buildings_moved == 1
    leaf, owner = desk.one("SELECT leaf, owner FROM building WHERE code = 'b1'")
    assert (leaf, owner) == (county.micro(1, 0), county.micro(1, 0))
    assert desk.one(counted, code=county.micro(1, 0)) == 60
    assert desk.rows(counted, code=county.micro(0, 0)) == []
    assert desk.one(counted, code="990126") == 60
    assert desk.one(counted, code="990126P1") == 60  # moved with all areas that hold it, overlays too
    desk.memory.refresh_households()
    snapshot = desk.memory.snapshot
    assert snapshot.households[snapshot.row[county.micro(1, 0)]] == 60


def test_nothing_is_left_with_a_superseded_edition_while_boundaries_are_published(desk, county):
    """Posts, one by one and in blocks, in threads while two layouts replace each other.

    Among them are posts that wait at the lock while a load commits: their transaction began before the edition
    was in force.
    """
    stop = threading.Event()
    failures = []

    def posting(bulk, column):
        try:
            while not stop.is_set():
                drafts = [county.event(column, 0.1 + 0.8 * i / 7) for i in range(8)]
                if bulk:
                    desk.post_many(drafts, tries=30)
                else:
                    for draft in drafts:
                        desk.post(draft, tries=30)
        except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
            failures.append(error)

    threads = [
        threading.Thread(target=posting, args=(bulk, column))
        for bulk, column in ((False, 1.75), (False, 0.75), (True, 1.6))
    ]
    for thread in threads:
        thread.start()
    original = [draft for draft in county.drafts() if draft.code in {each.code for each in across(county)}]
    try:
        for number in range(6):
            with desk.database.writer() as session:
                drafts = original if number % 2 else across(county)
                import_areas(session, drafts, actor="test", settings=desk.settings)
                time.sleep(0.1)  # so that posts are surely waiting at the lock
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
    assert failures == []
    assert desk.one("SELECT max(id) FROM edition") == 7
    compared = 0
    for row, placement in fresh_placements(desk):
        assert isinstance(placement, Placement)
        assert sorted(row.paths_now) == sorted(placement.paths), row
        assert (row.owner_now, row.leaf_now, row.method) == (
            placement.owner,
            placement.leaf,
            placement.method,
        )
        compared += 1
    assert compared >= 24


def test_a_post_that_began_before_an_edition_and_waited_for_it_is_placed_by_it(desk, county):
    """The same race, made sure: the load holds the lock while the post's transaction has begun."""
    done = []
    with desk.database.writer() as session:
        lock_edition(session, exclusive=True)
        post = threading.Thread(target=lambda: done.append(desk.post(county.event(1.75, 0.5)).event))
        block = threading.Thread(
            target=lambda: done.append(desk.post_many([county.event(1.75, 0.4)])[0].event)
        )
        post.start()
        block.start()
        deadline = time.monotonic() + 10
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while desk.one(waiting) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert desk.one(waiting) == 2
        import_areas(session, across(county), actor="test", settings=desk.settings)
    post.join(10)
    block.join(10)
    assert {event(desk, number).owner_now for number in done} == {county.micro(2, 0)}
    assert {event(desk, number).edition for number in done} == {2}
    assert {event(desk, number).owner_then for number in done} == {county.micro(1, 0)}


def test_moments_in_force_strictly_increase(desk, county):
    for _ in range(3):
        desk.load(*swap(county))
        desk.load(*county.drafts())
    moments = [row[0] for row in desk.rows("SELECT in_force_from FROM edition WHERE id > 1 ORDER BY id")]
    assert len(moments) == 6
    assert moments == sorted(set(moments))
    assert moments[-1] <= dt.datetime.now(dt.UTC)
    # also after one whose moment has not come yet
    desk.do("INSERT INTO edition VALUES (8, now() + interval '1 hour', now(), 'test', '', 0)")
    desk.load(*swap(county))
    assert desk.one(
        "SELECT n.in_force_from > b.in_force_from FROM edition n, edition b WHERE n.id = 9 AND b.id = 8"
    )
