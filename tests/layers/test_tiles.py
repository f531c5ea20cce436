"""Tiles, decoded by GDAL and looked at as geometry."""

import itertools
import math

import numpy as np
import pyogrio
import pytest
import shapely
import sqlalchemy as sa

from gridmap.errors import Forbidden, InvalidInput, NotFound
from gridmap.event_queries import EventFilter
from layers import mvt, tile_points
from layers.heat import HeatQuery
from layers.tile_grid import TileAddress, world
from layers.tiles import Shelf, Tile, TileQuery, tile

WORLD_M = 20037508.342789244


@pytest.fixture
def decode(tmp_path):
    """Reads a tile's layers back: {layer: frame}, coordinates in the tile's units with y downwards."""
    numbers = itertools.count()

    def read(content, address):
        path = tmp_path / f"{next(numbers)}" / str(address.z) / str(address.x)
        path.mkdir(parents=True)
        file = path / f"{address.y}.mvt"
        file.write_bytes(content)
        frames = {}
        for name, _ in pyogrio.list_layers(file):
            frame = pyogrio.read_dataframe(file, layer=name)
            frame["geometry"] = shapely.transform(frame.geometry.to_numpy(), lambda xy: units(xy, address))
            frames[name] = frame
        return frames

    return read


def units(xy, address):
    size = 2 * WORLD_M / 2**address.z
    west, north = address.x * size - WORLD_M, WORLD_M - address.y * size
    return np.column_stack([(xy[:, 0] - west) / size, (north - xy[:, 1]) / size]) * mvt.EXTENT


def address_of(lon, lat, z):
    x, y = np.floor(world(np.array([[lon, lat]]))[0] * 2**z).astype(int)
    return TileAddress(z, int(x), int(y))


def ask(city, session, who, layer, z, lon=112.008, lat=30.004, **more):
    query = TileQuery(layer=layer, address=address_of(lon, lat, z), **more)
    return tile(session, city.snapshot, query, who), query.address


@pytest.mark.parametrize("z", [10, 13, 15])
def test_grids_of_a_tile_tile_it_without_gap_or_overlap(city, reading, somebody, decode, z):
    found, address = ask(city, reading, somebody("admin"), "grids", z, kinds=("micro",))
    grids = decode(found.content, address)["grids"]
    assert set(grids.columns) >= {"code", "name", "kind", "households", "parent"}
    assert all(shapely.is_valid(grids.geometry))
    shapes = shapely.intersection(grids.geometry.to_numpy(), shapely.box(0, 0, 4096, 4096))
    frame = shapely.box(0, 0, 4096, 4096)  # GDAL leaves the buffer out
    county = shapely.transform(
        city.snapshot.geom[city.snapshot.row["990126"]], lambda xy: address.within(world(xy))
    )
    expected = county.intersection(frame).area
    assert shapely.union_all(shapes).area == pytest.approx(expected, rel=0.02)
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-9)
    households = dict(zip(grids["code"], grids["households"], strict=True))
    assert all(households[code] == city.snapshot.households[city.snapshot.row[code]] for code in households)


def test_names_with_markup_come_through_as_they_are(city, reading, somebody, decode):
    found, address = ask(city, reading, somebody("admin"), "grids", 14)
    grids = decode(found.content, address)["grids"]
    assert all(
        city.snapshot.name[city.snapshot.row[row.code]] == row.name_
        for row in grids.rename(columns={"name": "name_"}).itertuples()
    )


def test_areas_carry_labels_each_in_one_tile(city, reading, somebody, decode):
    z = 15
    first = address_of(112.0, 30.008, z)
    labels, polygons = [], set()
    for dx, dy in itertools.product(range(-1, 4), range(-1, 4)):
        address = TileAddress(z, first.x + dx, first.y + dy)
        found = tile(reading, city.snapshot, TileQuery(layer="areas", address=address), somebody("admin"))
        if found is None:
            continue
        frames = decode(found.content, address)
        polygons |= set(frames["areas"]["code"])
        if "labels" in frames:
            labels += frames["labels"]["code"].tolist()
    expected = {
        c
        for c, k in zip(city.snapshot.code, city.snapshot.kind, strict=True)
        if k in {"county", "town", "village"}
    }
    assert sorted(labels) == sorted(expected) == sorted(polygons)


def test_overlays_come_when_they_are_asked_for(city, reading, somebody, decode):
    found, address = ask(city, reading, somebody("admin"), "areas", 12, kinds=("precinct",))
    assert set(decode(found.content, address)["areas"]["kind"]) == {"precinct"}
    with pytest.raises(InvalidInput, match="village"):
        ask(city, reading, somebody("admin"), "areas", 12, kinds=("micro",))


def in_town(city, code, town):
    return town in city.snapshot.path[city.snapshot.row[code]].split(".")


def test_nobody_gets_a_tile_of_what_lies_outside_their_areas(city, reading, somebody, decode):
    west = somebody("planner", "990126001", "990126.990126001")
    for layer, column in (("grids", "code"), ("areas", "code")):
        found, address = ask(city, reading, west, layer, 12)
        assert all(in_town(city, code, "990126001") for code in decode(found.content, address)[layer][column])
    # The same tile, asked for by somebody with other areas, right after: the kept one is not handed out.
    found, address = ask(city, reading, somebody("planner", "990126002", "990126.990126002"), "grids", 12)
    assert all(in_town(city, code, "990126002") for code in decode(found.content, address)["grids"]["code"])
    with pytest.raises(Forbidden):
        ask(city, reading, somebody("source"), "grids", 12)


def test_far_away_and_elsewhere_there_is_nothing(city, reading, somebody):
    assert ask(city, reading, somebody("admin"), "grids", 7)[0] is None
    assert ask(city, reading, somebody("admin"), "grids", 12, lon=0.0, lat=0.0)[0] is None
    assert ask(city, reading, somebody("admin"), "streets", 12)[0] is None
    assert ask(city, reading, somebody("admin"), "buildings", 13)[0] is None


@pytest.mark.parametrize(("z", "x", "y"), [(-1, 0, 0), (23, 0, 0), (2, 4, 0), (2, 0, 4), (2, -1, 0)])
def test_an_impossible_tile_is_refused(z, x, y):
    with pytest.raises(InvalidInput, match="no tile"):
        TileAddress(z, x, y)


def test_an_unknown_layer_is_not_there():
    with pytest.raises(NotFound, match="grids"):
        TileQuery(layer="wishes", address=TileAddress(0, 0, 0))


def test_the_etag_follows_the_content(city, reading, somebody):
    first, _ = ask(city, reading, somebody("admin"), "grids", 12)
    again, _ = ask(city, reading, somebody("planner"), "grids", 12)
    other, _ = ask(city, reading, somebody("admin"), "grids", 12, kinds=("micro",))
    assert first is again
    assert first.etag == Tile.of(first.content).etag != other.etag
    assert first.etag.startswith('"')


def test_new_household_counts_are_in_the_tile_at_once(city, reading, somebody, decode):
    from dataclasses import replace

    ask(city, reading, somebody("admin"), "grids", 12)
    counted = replace(city.snapshot, households=city.snapshot.households + 1)
    query = TileQuery(layer="grids", address=address_of(112.008, 30.004, 12))
    found = tile(reading, counted, query, somebody("admin"))
    households = decode(found.content, query.address)["grids"].set_index("code")["households"]
    row = city.snapshot.row["99012600100100102"]
    assert households["99012600100100102"] == city.snapshot.households[row] + 1


def test_under_a_moved_base_map_the_grids_move_along(city, reading, somebody, decode):
    plain, address = ask(city, reading, somebody("admin"), "grids", 14, kinds=("micro",))
    moved, _ = ask(city, reading, somebody("admin"), "grids", 14, kinds=("micro",), crs="GCJ-02")
    one = decode(plain.content, address)["grids"].set_index("code").geometry
    other = decode(moved.content, address)["grids"].set_index("code").geometry
    shared = sorted(set(one.index) & set(other.index))
    unit_m = 2 * WORLD_M / 2**14 / mvt.EXTENT * math.cos(math.radians(30))
    offsets = [shapely.distance(one[code].centroid, other[code].centroid) * unit_m for code in shared]
    assert 100 < np.median(offsets) < 1000
    with pytest.raises(InvalidInput, match="wgs84"):
        ask(city, reading, somebody("admin"), "grids", 14, crs="EPSG:3857")


def test_events_are_points_near_by_and_numbers_far_away(city, reading, somebody, decode):
    who = somebody("dispatcher")
    number = reading.execute(sa.text("SELECT count(*) FROM event WHERE geom IS NOT NULL")).scalar_one()
    seen = 0
    first = address_of(111.99, 30.02, 14)
    for dx, dy in itertools.product(range(3), range(3)):
        address = TileAddress(14, first.x + dx, first.y + dy)
        found = tile(reading, city.snapshot, TileQuery(layer="events", address=address), who)
        if found:
            events = decode(found.content, address)["events"]
            inside = [0 <= p.x < 4096 and 0 <= p.y < 4096 for p in events.geometry]
            seen += sum(inside)
            assert {"id", "category", "status", "urgency"} <= set(events.columns)
    assert seen == number
    for z in (6, 8, 11):
        first, total, points = address_of(111.98, 30.03, z), 0, 0
        for dx, dy in itertools.product(range(3), range(3)):
            address = TileAddress(z, first.x + dx, first.y + dy)
            found = tile(reading, city.snapshot, TileQuery(layer="events", address=address), who)
            if found:
                clusters = decode(found.content, address)["events"]
                total, points = total + clusters["count"].sum(), points + len(clusters)
        assert total == number, z
        assert points < number / 10


def test_events_of_a_tile_are_those_in_scope_and_not_sensitive(city, reading, somebody, decode):
    def total(who, **asked):
        found, address = ask(city, reading, who, "events", 8, events=EventFilter(**asked))
        return 0 if found is None else int(decode(found.content, address)["events"]["count"].sum())

    def count(where):
        return reading.execute(
            sa.text(f"SELECT count(*) FROM event WHERE geom IS NOT NULL AND {where}")
        ).scalar_one()

    insensitive = "coalesce(subcategory, '') NOT IN ('domestic_violence', 'minor')"
    west = "paths_now <@ '990126.990126001'"
    assert total(somebody("dispatcher")) == count("TRUE")
    assert total(somebody("dispatcher"), categories=("appeal",)) == count("category = 'appeal'")
    assert total(somebody("commander", "990126001", "990126.990126001")) == count(f"{insensitive} AND {west}")
    with pytest.raises(Forbidden):
        total(somebody("planner"))


def test_too_many_events_come_as_numbers_that_add_up(city, reading, somebody, decode, monkeypatch):
    monkeypatch.setattr(tile_points, "MOST_EVENTS_APART", 20)
    found, address = ask(city, reading, somebody("dispatcher"), "events", 13, lon=112.002, lat=30.004)
    events = decode(found.content, address)["events"]
    assert "id" not in events.columns
    assert events["count"].sum() > 20


def test_households_of_a_building_are_for_those_who_plan(city, somebody, decode):
    with city.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, paths, added_in) SELECT 'b' || code, 24,"
                " ST_Centroid(geom), ST_Centroid(geom), ARRAY[path], 1 FROM area WHERE kind = 'micro'"
            )
        )
        for role, sees in (("planner", True), ("admin", True), ("dispatcher", False), ("commander", False)):
            found, address = ask(city, session, somebody(role), "buildings", 15, lon=112.001, lat=30.001)
            frame = decode(found.content, address)["buildings"]
            assert len(frame)
            assert [name in frame.columns for name in ("households", "added_in")] == [sees, sees], role
        # Stored last, it still comes first: the same tile is the same bytes, whoever else reads the table.
        first = session.execute(
            sa.text(
                "UPDATE building SET name = '甲' WHERE id = (SELECT min(id) FROM building) RETURNING code"
            )
        ).scalar_one()
        found, address = ask(city, session, somebody("planner"), "buildings", 14, lon=112.001, lat=30.001)
        assert decode(found.content, address)["buildings"]["code"].tolist()[0] == first
        west, address = ask(
            city,
            session,
            somebody("planner", "990126001", "990126.990126001"),
            "buildings",
            14,
            lon=112.009,
            lat=30.004,
        )
        codes = decode(west.content, address)["buildings"]["code"]
        assert all(code.startswith("b990126001") for code in codes)
        session.rollback()


def test_streets_come_by_zoom_and_belong_to_whom_they_touch(city, somebody, decode):
    with city.database.writer() as session:
        for name, kind, line in (
            ("main", "main", "MULTILINESTRING((112.001 30.001, 112.006 30.001))"),
            ("path", "path", "MULTILINESTRING((112.001 30.002, 112.006 30.002))"),
            ("east", "main", "MULTILINESTRING((112.010 30.001, 112.014 30.001))"),
        ):
            session.execute(
                sa.text("INSERT INTO street (name, class, geom) VALUES (:n, :k, ST_GeomFromText(:g, 4326))"),
                {"n": name, "k": kind, "g": line},
            )

        def names(who, z):
            found, address = ask(city, session, who, "streets", z, lon=112.003, lat=30.001)
            return set(decode(found.content, address)["streets"]["name"]) if found else set()

        admin, west = somebody("admin"), somebody("planner", "990126001", "990126.990126001")
        assert names(admin, 11) == {"main", "east"}
        assert names(admin, 14) >= {"main", "path"}
        assert names(west, 11) == {"main"}
        session.rollback()


def test_heat_tiles_carry_the_values_of_the_answer(city, reading, somebody, decode):
    query = HeatQuery(kind="micro", since=None)
    found, address = ask(
        city, reading, somebody("commander", "990126", "990126"), "heat", 13, heat=query, lon=112.002
    )
    heat = decode(found.content, address)["heat"]
    assert {"code", "name", "households", "withheld"} <= set(heat.columns)
    shown = heat[~heat["withheld"].astype(bool)]
    assert (shown["count"] >= 3).all()
    assert heat[heat["withheld"].astype(bool)]["count"].isna().all()


def test_a_shelf_forgets_the_oldest():
    shelf = Shelf(most_bytes=3_000)
    for number in range(5):
        shelf.put(number, Tile(bytes(600), ""))
    assert len(shelf) == 2
    assert shelf.get(4)[0]
    assert not shelf.get(0)[0]
