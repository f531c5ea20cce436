"""The invented county in a real database: as the service would have placed and routed it."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from gridmap import demo, routing, snapshot
from gridmap.db import Database
from gridmap.demo import telling
from gridmap.errors import Conflict
from gridmap.events import EventDraft
from gridmap.index import METHODS
from gridmap.placement import place_one

SHANGHAI = ZoneInfo("Asia/Shanghai")
SMALL = demo.Size(households=3_000, micro_grids=40, comprehensive=8, villages=4, towns=2, events=2_000)
NESTED = ("county", "town", "village", "comprehensive", "micro")


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
        "edition_placed": 1,  # or the first moment would place all of it anew
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
