"""Storing buildings: what changes closes a row and opens another, and households follow."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.areas import AreaDraft, import_areas
from gridmap.buildings import BuildingDrafts, BuildingLoad
from gridmap.errors import Conflict

TODAY = dt.date(2026, 5, 4)
TOMORROW = dt.date(2026, 5, 5)


def square(west, south, east, north):
    return shapely.MultiPolygon([shapely.box(west, south, east, north)])


@pytest.fixture
def snapshot(writer, settings):
    """A village of two micro-grids, a market in the second, and a precinct over all."""
    drafts = [
        AreaDraft(kind="village", code="v", name="v", geom=square(112, 30, 112.02, 30.01)),
        AreaDraft(kind="micro", code="m1", name="m1", geom=square(112, 30, 112.01, 30.01)),
        AreaDraft(kind="micro", code="m2", name="m2", geom=square(112.01, 30, 112.02, 30.01)),
        AreaDraft(kind="dedicated", code="d", name="d", geom=square(112.015, 30, 112.02, 30.005)),
        AreaDraft(kind="precinct", code="p", name="p", geom=square(112, 30, 112.02, 30.01)),
    ]
    import_areas(writer, drafts, actor="test", settings=settings)
    return snapshots.load(writer)


def drafts(*buildings):
    shapes = np.empty(len(buildings), dtype=object)
    shapes[:] = [shape if not isinstance(shape, tuple) else shapely.Point(shape) for _, _, shape in buildings]
    return BuildingDrafts(
        row=np.arange(1, len(buildings) + 1),
        code=[code for code, _, _ in buildings],
        name=[f"{code}\t栋\\" for code, _, _ in buildings],
        kind=["residential"] * len(buildings),
        households=np.array([count for _, count, _ in buildings], dtype=np.int64),
        geom=shapes,
    )


def load(writer, snapshot, *buildings, today=TODAY):
    job = BuildingLoad(writer, snapshot)
    job.add(drafts(*buildings))
    return job.store(today)


def counts(writer):
    rows = writer.execute(sa.text("SELECT code, households, buildings FROM household_count"))
    return {row.code: (row.households, row.buildings) for row in rows}


def living(writer, code):
    return writer.execute(
        sa.text(
            "SELECT name, households, leaf, owner, paths::text[] AS paths, nullif(valid_from, '-infinity') AS since"
            " FROM building WHERE code = :code AND valid_to IS NULL"
        ),
        {"code": code},
    ).one()


A, B, C, OUT = (112.005, 30.005), (112.012, 30.008), (112.017, 30.002), (113.0, 30.0)


def test_buildings_get_leaf_owner_and_paths_and_areas_their_households(writer, snapshot):
    stored = load(writer, snapshot, ("a", 10, A), ("b", 20, B), ("c", 3, C), ("out", 7, OUT))
    assert (stored.created, stored.changed, stored.unchanged) == (4, 0, 0)
    row = living(writer, "c")
    assert (row.leaf, row.owner) == ("m2", "d")
    assert set(row.paths) == {"v.m2", "v.d", "p"}
    assert row.name == "c\t栋\\"
    assert row.since is None
    assert (living(writer, "out").leaf, living(writer, "out").paths) == (None, [])
    assert counts(writer) == {"v": (33, 3), "p": (33, 3), "m1": (10, 1), "m2": (23, 2), "d": (3, 1)}


def test_a_footprint_belongs_where_a_point_inside_it_lies(writer, snapshot):
    # its centroid lies outside of it, in the other grid
    ring = shapely.Polygon(
        [(112.008, 30.001), (112.014, 30.001), (112.014, 30.002), (112.009, 30.002), (112.009, 30.008),
         (112.008, 30.008)]
    )  # fmt: skip
    load(writer, snapshot, ("a", 1, ring))
    inside = writer.execute(sa.text("SELECT ST_Contains(geom, place), ST_X(place) FROM building")).one()
    assert inside[0] is True
    assert living(writer, "a").leaf == ("m1" if inside[1] < 112.01 else "m2")


def test_another_count_closes_the_row_and_opens_one_the_same_is_left_alone(writer, snapshot):
    load(writer, snapshot, ("a", 10, A), ("b", 20, B))
    stored = load(writer, snapshot, ("a", 11, A), ("b", 20, B), today=TOMORROW)
    assert (stored.created, stored.changed, stored.unchanged) == (0, 1, 1)
    rows = writer.execute(
        sa.text("SELECT households, valid_to FROM building WHERE code = 'a' ORDER BY valid_to NULLS LAST")
    ).all()
    assert [tuple(row) for row in rows] == [(10, TOMORROW), (11, None)]
    assert living(writer, "a").since == TOMORROW
    assert counts(writer)["v"] == (31, 2)


def test_a_second_change_on_the_same_day_replaces_the_first(writer, snapshot):
    load(writer, snapshot, ("a", 10, A))
    load(writer, snapshot, ("a", 11, A), today=TOMORROW)
    stored = load(writer, snapshot, ("a", 12, A), today=TOMORROW)
    assert stored.changed == 1
    assert writer.execute(sa.text("SELECT count(*) FROM building")).scalar_one() == 2
    assert living(writer, "a").households == 12


def test_another_shape_is_a_change_and_rings_turned_round_are_not(writer, snapshot):
    box = shapely.box(112.001, 30.001, 112.002, 30.002)
    load(writer, snapshot, ("a", 1, box))
    same = load(writer, snapshot, ("a", 1, shapely.MultiPolygon([box.reverse()])), today=TOMORROW)
    assert (same.changed, same.unchanged) == (0, 1)
    moved = load(writer, snapshot, ("a", 1, shapely.transform(box, lambda xy: xy + 0.0001)), today=TOMORROW)
    assert (moved.changed, moved.unchanged) == (1, 0)


def test_a_new_name_alone_is_written_into_the_row(writer, snapshot):
    load(writer, snapshot, ("a", 1, A))
    job = BuildingLoad(writer, snapshot)
    new = drafts(("a", 1, A))
    job.add(BuildingDrafts(**{**{name: getattr(new, name) for name in new.__slots__}, "name": ["new"]}))
    assert job.store(TOMORROW).changed == 1
    assert living(writer, "a").name == "new"
    assert writer.execute(sa.text("SELECT count(*) FROM building")).scalar_one() == 1


def test_what_shall_stay_together_stays_said_until_a_file_says_otherwise(writer, snapshot):
    def said(together, count, today=TODAY):
        job = BuildingLoad(writer, snapshot)
        job.add(replace(drafts(("a", count, A)), keep_together=together))
        job.store(today)
        row = "SELECT keep_together FROM building WHERE code = 'a' AND valid_to IS NULL"
        return writer.execute(sa.text(row)).scalar_one()

    assert said(["东苑小区"], 1) == "东苑小区"
    assert said(None, 1) == "东苑小区"
    assert said(None, 2, TOMORROW) == "东苑小区"  # in a row of its own
    assert said(["西苑小区"], 2) == "西苑小区"
    assert said([""], 2) is None


def test_counts_that_come_alone_leave_name_kind_and_footprint(writer, snapshot):
    """The usual update is a table of codes, counts and points."""
    house = shapely.box(112.004, 30.004, 112.006, 30.006)
    first = replace(
        drafts(("a", 1, house), ("b", 1, B)), name=["一栋", "二栋"], kind=["office", "residential"]
    )
    for day, given in ((TODAY, first), (TOMORROW, drafts(("a", 9, A), ("b", 1, B), ("n", 4, C)))):
        job = BuildingLoad(writer, snapshot)
        job.add(given if day == TODAY else replace(given, name=None, kind=None))
        stored = job.store(day)
    assert (stored.created, stored.changed, stored.unchanged) == (1, 1, 1)
    rows = writer.execute(
        sa.text(
            "SELECT code, name, kind, households, ST_AsBinary(geom) AS geom FROM building"
            " WHERE valid_to IS NULL ORDER BY code"
        )
    ).all()
    assert [row[:4] for row in rows] == [
        ("a", "一栋", "office", 9),
        ("b", "二栋", "residential", 1),
        ("n", "", "residential", 4),
    ]
    assert shapely.from_wkb(bytes(rows[0].geom)).equals(house)
    elsewhere = (112.0065, 30.005)  # a point beside it is another place
    load(writer, snapshot, ("a", 9, elsewhere), today=TOMORROW)
    assert (living(writer, "a").households, living(writer, "a").leaf) == (9, "m1")
    kinds = writer.execute(
        sa.text("SELECT GeometryType(geom) FROM building WHERE valid_to IS NULL AND code = 'a'")
    )
    assert kinds.scalar_one() == "POINT"


def test_codes_that_stand_twice_are_taken_out_and_named(writer, snapshot):
    job = BuildingLoad(writer, snapshot)
    job.add(drafts(("a", 1, A), ("b", 2, B), ("a", 3, C), ("a", 4, C)))
    found = job.duplicates()
    assert [(each.row, each.code, each.first_row) for each in found] == [(3, "a", 1), (4, "a", 1)]
    assert job.store(TODAY).created == 2
    assert living(writer, "a").households == 1


def test_without_boundaries_nothing_belongs_anywhere(writer):
    with pytest.raises(Conflict, match="gridmap load areas"):
        BuildingLoad(writer, snapshots.empty())


def test_what_is_added_says_in_which_edition(writer, snapshot):
    added = "SELECT code, added_in FROM building WHERE valid_to IS NULL ORDER BY code"
    load(writer, snapshot, ("a", 3, (112.002, 30.002)))
    # The second grid has no building yet, its village has: what comes there was built since.
    load(writer, snapshot, ("a", 5, (112.002, 30.002)), ("b", 1, (112.012, 30.002)), today=TOMORROW)
    assert writer.execute(sa.text(added)).all() == [("a", None), ("b", snapshot.edition)]
    later = replace(snapshot, edition=snapshot.edition + 1)
    writer.execute(sa.text("INSERT INTO edition SELECT (jsonb_populate_record(e, jsonb_build_object('id', e.id + 1,"
                           " 'in_force_from', now()))).* FROM edition e"))  # fmt: skip
    load(writer, later, ("b", 2, (112.012, 30.002)), ("c", 1, (112.013, 30.002)), today=TOMORROW)
    assert writer.execute(sa.text(added)).all() == [
        ("a", None),
        ("b", snapshot.edition),
        ("c", later.edition),
    ]
