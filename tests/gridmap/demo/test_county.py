"""The geography of the invented county: exact, in range, the same for the same seed."""

import datetime as dt
import hashlib
from dataclasses import fields, replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridmap import demo
from gridmap.codes import DEFAULT
from gridmap.demo.mesh import Mesh
from gridmap.errors import InvalidInput
from gridmap.index import AreaIndex

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 11, 21, 14, 32, tzinfo=SHANGHAI)
SMALL = demo.Size(households=3_000, micro_grids=40, comprehensive=8, villages=4, towns=2, events=2_000)
NESTED = ("county", "town", "village", "comprehensive", "micro")


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
        # degrees as metres at 30° N: a degree of longitude is shorter than one of latitude
        water, houses = (
            shapely.transform(geoms, lambda xy: xy * (96_486, 110_852))
            for geoms in (shapely.union_all(rivers), buildings.geom)
        )
        assert shapely.distance(water, houses).min() > 20


def test_children_tile_their_parents_bit_for_bit(city):
    _check_coverage(city.areas)


def test_every_grid_is_in_range(city):
    _check_ranges(city)
    assert city.buildings.households.sum() == SMALL.households


def test_buildings_lie_inside_their_grids_and_apart(city):
    _check_buildings(city)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), comprehensive=st.integers(1, 14))
@example(seed=168, comprehensive=6)  # two houses met where the land bends
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


def test_a_cut_keeps_neighbours_on_the_same_vertices():
    mesh = Mesh.of(np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]))
    left, right = mesh.cut(0, (5.0, 5.0), (0.0, 1.0), 0)
    mesh.cut(right, (7.0, 4.0), (1.0, 0.0), 1)
    assert mesh.ring(left)[:, 0].max() == 5.0
    assert (5.0, 4.0) in {tuple(xy) for xy in mesh.ring(left).tolist()}
    assert shapely.coverage_is_valid([shapely.Polygon(mesh.ring(face)) for face in range(3)])
