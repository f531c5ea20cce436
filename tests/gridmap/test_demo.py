"""The demonstration city: exact, in range, lifelike, the same every time, and stored whole or not at all."""

import datetime as dt
import hashlib
from dataclasses import fields, replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap import demo, routing, snapshot
from gridmap.codes import DEFAULT
from gridmap.crs import convert, distance_m
from gridmap.db import Database
from gridmap.demo import telling
from gridmap.demo.mesh import Mesh
from gridmap.errors import Conflict, InvalidInput
from gridmap.events import EventDraft
from gridmap.index import METHODS, AreaIndex
from gridmap.placement import cell, place_one

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 11, 21, 14, 32, tzinfo=SHANGHAI)
SMALL = demo.Size(households=3_000, micro_grids=40, comprehensive=8, villages=4, towns=2, events=2_000)
LIVELY = demo.Size(households=6_000, micro_grids=80, comprehensive=16, villages=5, towns=2, events=24_000)
NESTED = ("county", "town", "village", "comprehensive", "micro")


@pytest.fixture(scope="module")
def city():
    return demo.build(SMALL, now=NOW)


@pytest.fixture(scope="module")
def lively():
    return demo.build(LIVELY, now=NOW)


def _households_of(city, kind):
    """Households of every area of a kind, by its code."""
    sums = dict.fromkeys(city.areas.code[city.areas.rows_of(kind)], 0)
    level = {"comprehensive": 15, "micro": 17}[kind]
    for code, count in zip(
        city.areas.code[city.buildings.micro], city.buildings.households.tolist(), strict=True
    ):
        sums[code[:level]] += count
    return sums


def _check_coverage(areas):
    county = areas.geom[areas.rows_of("county")][0]
    for upper, lower in pairwise(NESTED):
        parents = areas.rows_of(upper)
        children = areas.rows_of(lower)
        assert shapely.coverage_is_valid(areas.geom[children])
        assert shapely.is_valid(areas.geom[children]).all()
        for row in parents:
            its = areas.geom[children[areas.parent[children] == areas.code[row]]]
            union = shapely.MultiPolygon([shapely.coverage_union_all(its)])
            assert shapely.normalize(union) == shapely.normalize(areas.geom[row]), areas.code[row]
            corners = {tuple(xy) for xy in shapely.get_coordinates(its)}
            assert corners >= {tuple(xy) for xy in shapely.get_coordinates(areas.geom[row])}
    for overlay in ("precinct", "court", "procuratorate", "justice", "section"):
        geoms = areas.geom[areas.rows_of(overlay)]
        assert shapely.coverage_is_valid(geoms)
        union = shapely.MultiPolygon([shapely.coverage_union_all(geoms)])
        assert shapely.normalize(union) == shapely.normalize(county)


def _check_ranges(city):
    alone = {
        code
        for code, count in zip(
            *np.unique(
                city.areas.code[city.buildings.micro[city.buildings.households > 0]], return_counts=True
            ),
            strict=True,
        )
        if count == 1
    }
    for code, households in _households_of(city, "micro").items():
        assert 50 <= households <= 100 or (households > 100 and code in alone), (code, households)
    for code, households in _households_of(city, "comprehensive").items():
        assert 300 <= households <= 500, (code, households)


def _check_buildings(city):
    areas, buildings = city.areas, city.buildings
    assert shapely.contains_properly(areas.geom[buildings.micro], buildings.geom).all()
    assert shapely.contains_properly(areas.geom[buildings.owner], buildings.geom).all()
    assert shapely.contains_properly(buildings.geom, shapely.points(buildings.lon, buildings.lat)).all()
    tree = shapely.STRtree(buildings.geom)
    one, other = tree.query(buildings.geom, predicate="intersects")
    assert (one == other).all()
    rivers = city.streets.geom[city.streets.rank == "river"]
    if len(rivers):
        degrees = shapely.distance(shapely.union_all(rivers), buildings.geom)
        assert degrees.min() * 96_000 > 20  # metres at the least: a degree of longitude is the shorter


def test_children_tile_their_parents_bit_for_bit(city):
    _check_coverage(city.areas)


def test_every_grid_is_in_range(city):
    _check_ranges(city)
    assert city.buildings.households.sum() == SMALL.households


def test_buildings_lie_inside_their_grids_and_apart(city):
    _check_buildings(city)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), comprehensive=st.integers(1, 14))
def test_any_seed_and_size_make_a_sound_county(seed, comprehensive):
    size = demo.Size.of(households=comprehensive * 382, events=0)
    city = demo.build(size, seed, now=NOW)
    assert len(city.areas.rows_of("comprehensive")) == comprehensive
    _check_coverage(city.areas)
    _check_ranges(city)
    _check_buildings(city)


@pytest.mark.slow
def test_town_has_its_counts():
    city = demo.build(replace(demo.TOWN, events=0), now=NOW)
    assert city.buildings.households.sum() == 60_000
    assert len(city.areas.rows_of("micro")) == 800
    assert len(city.areas.rows_of("comprehensive")) == 157
    _check_coverage(city.areas)
    _check_ranges(city)
    _check_buildings(city)


def test_sizes_keep_the_promised_counts():
    assert (demo.TOWN.micro_grids, demo.TOWN.events) == (800, 100_000)
    assert (demo.FULL.micro_grids, demo.FULL.comprehensive, demo.FULL.events) == (7_000, 1_374, 1_000_000)
    assert demo.FULL.households >= 500_000


@pytest.mark.parametrize(
    "change",
    [{"micro_grids": 20}, {"households": 9_000}, {"villages": 9}, {"towns": 0}, {"events": -1}],
)
def test_impossible_sizes_are_refused(change):
    with pytest.raises(InvalidInput) as caught:
        replace(SMALL, **change)
    assert caught.value.code == "bad_size"


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(InvalidInput) as caught:
        demo.build(SMALL, now=dt.datetime(2026, 11, 21))  # noqa: DTZ001  # the very mistake
    assert caught.value.code == "no_time_zone"


def _digest(record):
    digest = hashlib.sha256()
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray) and len(value) and isinstance(value[0], shapely.Geometry):
            digest.update(b"".join(shapely.to_wkb(value)))
        elif isinstance(value, np.ndarray) and value.dtype == object:
            digest.update(repr(value.tolist()).encode())
        elif isinstance(value, np.ndarray):
            digest.update(value.tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def test_same_seed_same_bytes(city):
    again = demo.build(SMALL, now=NOW)
    other = demo.build(SMALL, seed=7, now=NOW)
    for part in ("areas", "buildings", "streets", "people", "events"):
        assert _digest(getattr(city, part)) == _digest(getattr(again, part)), part
        assert _digest(getattr(city, part)) != _digest(getattr(other, part)), part


def test_codes_follow_the_scheme_from_west_to_east(city):
    areas = city.areas
    for kind, code, parent in zip(areas.kind, areas.code, areas.parent, strict=True):
        if code.isdigit():
            assert DEFAULT.check(code, kind, parent) is None, code
    middle = shapely.get_coordinates(shapely.centroid(areas.geom))[:, 0]
    for row in areas.rows_of("comprehensive"):
        micros = np.flatnonzero(areas.parent == areas.code[row])
        assert (np.diff(middle[micros[np.argsort(areas.code[micros])]]) > 0).all()


def test_paths_lead_from_the_province_to_each_area(city):
    areas = city.areas
    row = {code: number for number, code in enumerate(areas.code)}
    for code, parent, path in zip(areas.code, areas.parent, areas.path, strict=True):
        assert path == (f"{areas.path[row[parent]]}.{code}" if parent else code)
        assert not parent or row[parent] < row[code]


def test_dedicated_grids_lie_within_their_village(city):
    areas = city.areas
    row = {code: number for number, code in enumerate(areas.code)}
    dedicated = areas.rows_of("dedicated")
    assert len(dedicated)
    for each in dedicated:
        assert areas.setting[each] == "dedicated"
        assert areas.geom[row[areas.parent[each]]].covers(areas.geom[each])


def test_the_index_finds_what_was_built(city):
    areas, buildings = city.areas, city.buildings
    index = AreaIndex.from_arrays(areas.geom, areas.code.tolist(), areas.kind.tolist(), areas.path.tolist())
    found = index.locate(buildings.lon, buildings.lat)
    assert (found.owner == buildings.owner).all()
    assert (found.leaf == buildings.micro).all()
    assert (found.method == "inside").all()


def test_precincts_do_not_follow_towns(lively):
    areas = lively.areas
    towns = areas.geom[areas.rows_of("town")]
    precincts = areas.geom[areas.rows_of("precinct")]
    shared = shapely.area(shapely.intersection(towns[:, None], precincts[None, :]))
    crossed = (shared > shapely.area(towns)[:, None] * 1e-6).sum(axis=1)
    assert crossed.max() > 1


def test_disputes_gather_at_week_ends_and_services_on_workdays(lively):
    events = lively.events
    weekday = np.array(
        [dt.datetime.fromtimestamp(at, SHANGHAI).isoweekday() for at in events.occurred_at.tolist()]
    )
    for name, low, high in (("dispute", 1.1, 1.6), ("service", 0.1, 0.6)):
        its = weekday[events.category == events.vocabulary["category"].index(name)]
        ratio = ((its > 5).sum() / 2) / ((its <= 5).sum() / 5)
        assert low < ratio < high, (name, ratio)


def test_nights_are_quieter_and_summers_louder(lively):
    events = lively.events
    police = events.category == events.vocabulary["category"].index("police_case")
    local = [dt.datetime.fromtimestamp(at, SHANGHAI) for at in events.occurred_at.tolist()]
    hour, month = np.array([(at.hour, at.month) for at in local]).T
    assert (hour == 3).sum() * 4 < (hour == 19).sum()
    assert (month[police] == 7).sum() > 1.1 * (month[police] == 2).sum()


def test_the_second_year_has_more_than_the_first(lively):
    year_ago = (NOW - dt.timedelta(days=365)).timestamp()
    second = (lively.events.occurred_at >= year_ago).mean()
    assert 0.51 < second < 0.58


def test_some_grids_are_many_times_as_hot(lively):
    events, areas = lively.events, lively.areas
    counts = np.bincount(events.leaf[events.leaf >= 0], minlength=len(areas))[areas.rows_of("micro")]
    assert counts.max() > 2.5 * np.median(counts)
    brawls = events.subcategory == events.vocabulary["subcategory"].index("brawl")
    of_brawls = np.bincount(events.leaf[brawls & (events.leaf >= 0)], minlength=len(areas))
    assert of_brawls.max() > 6 * np.median(of_brawls[areas.rows_of("micro")])


def test_categories_have_their_shares(lively):
    shares = np.bincount(lively.events.category) / len(lively.events)
    assert shares == pytest.approx([0.46, 0.23, 0.17, 0.07, 0.05, 0.02], abs=0.035)


def test_about_two_in_a_hundred_have_no_place(lively):
    events = lively.events
    without = np.isnan(events.lon)
    methods = np.array(METHODS)[events.method]
    assert 0.015 < without.mean() < 0.025
    assert set(methods[without]) == {"stated", "none"}
    assert (methods[without] == "stated").mean() > 0.5
    assert (methods == "border").any()
    beyond = ~without & (methods == "none")
    assert 0 < beyond.sum() < 0.01 * len(events)
    assert (events.cell[without] == -1).all()


def test_places_follow_from_what_was_sent(lively):
    events = lively.events
    shifted = events.crs == events.vocabulary["crs"].index("gcj02")
    assert 0.01 < shifted.mean() < 0.1
    lon, lat = convert(events.x[shifted], events.y[shifted], "gcj02", "wgs84")
    assert (distance_m(lon, lat, events.lon[shifted], events.lat[shifted]) < 0.01).all()
    assert (distance_m(events.x[shifted], events.y[shifted], lon, lat) > 100).all()
    plain = ~shifted & np.isfinite(events.lon)
    assert (events.x[plain] == events.lon[plain]).all()
    assert [cell(events.lon[i], events.lat[i]) for i in np.flatnonzero(plain)[:50]] == events.cell[
        np.flatnonzero(plain)[:50]
    ].tolist()


def test_times_come_in_order_and_none_lies_ahead(lively):
    events, now = lively.events, NOW.timestamp()
    assert (np.diff(events.reported_at) >= 0).all()
    assert (events.occurred_at <= events.reported_at).all()
    steps = [events.reported_at, events.accepted_at, events.resolved_at, events.verified_at, events.closed_at]
    for before, after in pairwise(steps):
        known = np.isfinite(after)
        assert np.isfinite(before[known]).all()
        assert (before[known] <= after[known]).all()
        assert (after[known] <= now).all()
    assert (events.reported_at <= now).all()


def test_status_agrees_with_the_times(lively):
    events = lively.events
    status = np.array(events.vocabulary["status"])[events.status]
    reached = {
        "assigned": (False, False, False),
        "transferred": (False, False, False),
        "unassigned": (False, False, False),
        "rejected": (False, False, False),
        "accepted": (True, False, False),
        "escalated": (True, False, False),
        "suspended": (True, False, False),
        "resolved": (True, True, False),
        "verified": (True, True, False),
        "closed": (True, True, True),
    }
    times = np.isfinite(np.column_stack([events.accepted_at, events.resolved_at, events.closed_at]))
    for name, expected in reached.items():
        assert (times[status == name] == expected).all(), name
    old = events.reported_at < NOW.timestamp() - 90 * 86_400
    assert set(status[old]) <= {"closed", "rejected"}
    assert {"assigned", "accepted", "resolved", "closed", "rejected", "escalated"} <= set(status)
    overdue = (events.resolve_due_at < NOW.timestamp()) & ~np.isin(status, ("closed", "rejected"))
    assert 0 < overdue.sum() < 0.01 * len(events)


def test_nine_in_ten_are_closed_in_time(lively):
    events = lively.events
    closed = np.isfinite(events.closed_at)
    assert 0.87 < (events.closed_at <= events.resolve_due_at)[closed].mean() < 0.94
    assert 0.93 < (events.accepted_at <= events.accept_due_at)[closed].mean() < 0.98


def test_external_ids_are_unique_within_their_source(lively):
    assert len(set(lively.events.external_id)) == len(lively.events)
    assert lively.events.external_id[-1].split("-")[1] == "20261121"


def test_somebody_is_on_duty_at_any_hour(city):
    people = city.people
    served = people.service_worker >= 0
    fit = {"leader", "worker_full_time", "worker_part_time", "liaison"}
    villages = city.areas.code[city.areas.rows_of("village")]
    shifts = list(
        zip(
            people.shift_worker.tolist(),
            people.weekday.tolist(),
            people.starts_at.tolist(),
            people.ends_at.tolist(),
            strict=True,
        )
    )
    of_worker = {}
    for worker, area in zip(people.service_worker[served], people.service_area[served], strict=True):
        if people.role[worker] in fit:
            of_worker.setdefault(int(worker), city.areas.code[area][:12])
    for village in villages:
        covered = np.zeros(7 * 1_440, dtype=bool)
        for worker, weekday, start, end in shifts:
            if of_worker.get(worker) == village:
                begin = (weekday - 1) * 1_440 + start
                covered[np.arange(begin, begin + (end - start - 1) % 1_440 + 1) % (7 * 1_440)] = True
        assert covered.all(), village


def test_a_cut_keeps_neighbours_on_the_same_vertices():
    mesh = Mesh.of(np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]))
    left, right = mesh.cut(0, (5.0, 5.0), (0.0, 1.0), 0)
    mesh.cut(right, (7.0, 4.0), (1.0, 0.0), 1)
    assert mesh.ring(left)[:, 0].max() == 5.0
    assert (5.0, 4.0) in {tuple(xy) for xy in mesh.ring(left).tolist()}
    assert shapely.coverage_is_valid([shapely.Polygon(mesh.ring(face)) for face in range(3)])


def _draft(city, number):
    """An event as its source would have sent it."""
    events = city.events
    words = events.vocabulary
    told = telling.told(city, slice(number, number + 1))
    known = bool(np.isfinite(events.lon[number]))
    stated = METHODS[events.method[number]] == "stated"
    return EventDraft(
        source=words["source"][events.source[number]],
        external_id=events.external_id[number],
        category=words["category"][events.category[number]],
        occurred_at=dt.datetime.fromtimestamp(events.occurred_at[number], dt.UTC),
        title=told.title[0],
        description=told.description[0],
        address=told.address[0],
        lon=float(events.lon[number]) if known else None,
        lat=float(events.lat[number]) if known else None,
        grid=city.areas.code[events.leaf[number]] if stated else None,
    )


def test_digests_are_those_of_the_texts(city):
    told = telling.told(city, slice(0, 300))
    assert told.digests() == [_draft(city, number).text_digest().hex() for number in range(300)]


@pytest.fixture(scope="module")
def stored(database: Database, city):
    before = _structure(database)
    seen = []
    with database.writer() as session:
        demo.store(session, city, lambda table, done, all_: seen.append((table, done, all_)))
    assert seen[-1][0] == "indexes"
    assert ("event", SMALL.events, SMALL.events) in seen
    assert _structure(database) == before
    return database


def _structure(database: Database):
    with database.reader() as session:
        return session.execute(
            sa.text(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL"
                " SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)"
                " FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1"
            )
        ).all()


def test_everything_is_stored(stored, city):
    events = len(city.events)
    expected = {
        "edition": 1,
        "area": len(city.areas),
        "area_code": len(city.areas),
        "lineage": len(city.areas),
        "household_count": len(city.areas),
        "building": len(city.buildings),
        "street": len(city.streets.code),
        "unit": len(city.people.unit_code),
        "worker": len(city.people.worker_code),
        "service_area": len(city.people.service_area),
        "shift": len(city.people.shift_worker),
        "event": events,
        "event_key": events,
        "event_text": events,
    }
    with stored.reader() as session:
        for table, count in expected.items():
            assert session.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == count, table
        steps = session.execute(sa.text("SELECT count(*), count(DISTINCT event) FROM event_history")).one()
        assert steps[1] == events
        assert 3 * events < steps[0] <= 4 * events
        dangling = session.execute(
            sa.text(
                "SELECT count(*) FROM event LEFT JOIN event_key k ON (k.event, k.source, k.external_id)"
                " = (event.id, event.source, event.external_id) WHERE k.event IS NULL"
            )
        ).scalar_one()
        assert dangling == 0
        assert session.execute(sa.text("SELECT last_value >= 2000 FROM event_id")).scalar_one()


def test_stored_places_are_those_that_the_service_finds(stored, city):
    with stored.reader() as session:
        edition = snapshot.load(session)
        roster = routing.load_roster(session, SHANGHAI)
        rows = session.execute(
            sa.text(
                "SELECT owner_now, leaf_now, paths_now::text[], paths_then = paths_now, method, worker, unit, why"
                " FROM event ORDER BY id"
            )
        ).all()
    assert edition.edition == 1
    events = city.events
    police = events.vocabulary["category"].index("police_case")
    methods = set()
    for number in range(0, len(events), 3):
        draft = _draft(city, number)
        placed = place_one(edition, draft, 50.0)
        row = rows[number]
        assert (placed.owner, placed.leaf, list(placed.paths), placed.method) == (
            row[0],
            row[1],
            row[2],
            row[4],
        )
        assert row[3]
        methods.add(placed.method)
        if placed.method == "none":
            continue
        at = dt.datetime.fromtimestamp(events.reported_at[number], dt.UTC)
        chosen = routing.pick(roster.candidates(draft.category, placed.chain, at), {})
        assert chosen is not None
        assert chosen.id == (row[5] or row[6]), (number, placed.chain, row)
        reasons = [tuple(reason[:2]) for reason in row[7]]
        assert [tuple(reason[:2]) for reason in placed.why] == reasons[:-1]
        assert reasons[-1] == ("ok", "unit" if row[6] else "worker")
        assert row[7][-1][2]["name"] == chosen.name
        assert events.category[number] != police or row[6] or placed.method == "stated"
    assert methods >= {"inside", "stated", "none"}


def test_household_counts_add_up(stored):
    with stored.reader() as session:
        edition = snapshot.load(session)
        counts = session.execute(sa.text("SELECT code, households FROM household_count")).all()
    counted = {code: households for code, households in counts}  # noqa: C416  # rows are no pairs to dict()
    assert counted["990126"] == SMALL.households
    for upper, lower in pairwise(NESTED):
        for row in edition.rows_of(upper):
            children = [edition.code[child] for child in edition.children(edition.code[row])]
            its = [code for code in children if edition.kind[edition.row[code]] == lower]
            assert counted[edition.code[row]] == sum(counted[code] for code in its)
    precincts = edition.code[edition.rows_of("precinct")]
    assert sum(counted[code] for code in precincts) == SMALL.households


def test_stored_geometry_is_valid_and_identical(stored, city):
    with stored.reader() as session:
        edition = snapshot.load(session)
        invalid = session.execute(
            sa.text(
                "SELECT (SELECT count(*) FROM area WHERE NOT ST_IsValid(geom))"
                " + (SELECT count(*) FROM building WHERE NOT ST_Contains(geom, place))"
            )
        ).scalar_one()
    assert invalid == 0
    for code, geom in zip(city.areas.code, city.areas.geom, strict=True):
        assert shapely.equals_identical(edition.geom[edition.row[code]], geom)


def test_a_second_city_is_refused(stored, city):
    with pytest.raises(Conflict) as caught, stored.writer() as session:
        demo.store(session, city)
    assert caught.value.code == "not_empty"


def test_a_failure_leaves_no_trace(fresh_url, city):
    database = Database(fresh_url)
    before = _structure(database)

    def fail(table, done, all_):  # the signature of a progress report
        if table == "indexes":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), database.writer() as session:
        demo.store(session, city, fail)
    with database.reader() as session:
        for table in ("edition", "area", "event", "worker"):
            assert session.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    assert _structure(database) == before
    database.close()
