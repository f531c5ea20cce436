"""The rule of ownership, the same on every path."""

import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap.errors import InvalidInput
from gridmap.index import KINDS, METHODS, AreaIndex, GridIndex
from gridmap.index_nearest import nearest_on_edge, nearest_on_edges

# a village of two halves, the southern one in two micro-grids of one comprehensive grid, a market on their border;
# a second village east of a gap 0.001° wide
AREAS = {
    "9": ("county", "9", shapely.box(0, 0, 1, 1)),
    "91": ("village", "9.91", shapely.box(0, 0, 0.5, 1)),
    "92": ("village", "9.92", shapely.box(0.5, 0, 1, 1)),
    "91001": ("comprehensive", "9.91.91001", shapely.box(0, 0, 0.5, 0.4)),
    "9100101": ("micro", "9.91.91001.9100101", shapely.box(0, 0, 0.2, 0.4)),
    "9100102": ("micro", "9.91.91001.9100102", shapely.box(0.2, 0, 0.4, 0.4)),
    "91901": ("dedicated", "9.91.91901", shapely.box(0.15, 0.1, 0.25, 0.2)),
    "92001": ("comprehensive", "9.92.92001", shapely.box(0.501, 0, 1, 0.4)),
    "P1": ("precinct", "9.P1", shapely.box(0, 0, 0.3, 1)),
    "P2": ("precinct", "9.P2", shapely.box(0.3, 0, 1, 1)),
}
CODES = list(AREAS)


def area_index(order=None) -> AreaIndex:
    codes = CODES if order is None else order
    kinds, paths, geoms = zip(*(AREAS[code] for code in codes), strict=True)
    return AreaIndex.from_arrays(list(geoms), codes, kinds, paths)


@pytest.fixture(scope="module")
def areas() -> AreaIndex:
    return area_index()


def code(row: int) -> str | None:
    return None if row < 0 else CODES[row]


RULE = [
    # lon, lat, owner, method, leaf, precinct
    (0.10, 0.30, "9100101", "inside", "9100101", "P1"),
    (0.20, 0.15, "91901", "inside", "9100101", "P1"),  # the market wins; below it the smaller micro-grid
    (0.15, 0.15, "91901", "border", "9100101", "P1"),  # its border wins over what is inside a micro-grid
    (0.20, 0.30, "9100101", "border", "9100101", "P1"),  # border of both micro-grids: the smaller code
    (0.40, 0.30, "9100102", "border", "9100102", "P2"),  # a micro-grid's border wins over inside its grid
    (0.45, 0.30, "91001", "inside", "91001", "P2"),
    (0.30, 0.30, "9100102", "inside", "9100102", "P1"),  # border of both precincts
    (0.10, 0.40, "9100101", "border", "9100101", "P1"),
    (0.10, 0.4001, "9100101", "nearest", "91", "P1"),
    (0.45, 0.4001, "91001", "nearest", "91", "P2"),
    (0.10, 0.50, None, "jurisdiction", "91", "P1"),
    (
        0.5003,
        0.20,
        None,
        "jurisdiction",
        "92",
        "P2",
    ),  # 33 m from 91001, but in the other village; 78 m from 92001
    (0.5006, 0.20, "92001", "nearest", "92", "P2"),
    (0.50, 0.20, "91001", "border", "91001", "P2"),
    (2.0, 2.0, None, "none", None, None),
    (math.nan, 0.2, None, "none", None, None),
    (0.2, math.inf, None, "none", None, None),
]


@pytest.mark.parametrize("case", RULE, ids=lambda case: f"{case[0]},{case[1]}")
def test_the_rule(areas, case):
    lon, lat, owner, method, leaf, precinct = case
    place = areas.locate_one(lon, lat)
    assert (code(place.owner), place.method) == (owner, method)
    assert (code(place.leaf), code(place.holds["precinct"])) == (leaf, precinct)
    assert math.isnan(place.distance_m) == (owner is None)
    if method == "nearest":
        assert 1 < place.distance_m <= 50
    elif owner:
        assert place.distance_m == 0


def answers(places):
    columns = [places.owner, places.method, places.leaf, *(places.holds[kind] for kind in KINDS)]
    return [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def one_by_one(index, lon, lat, tolerance_m=50.0):
    places = [index.locate_one(x, y, tolerance_m) for x, y in zip(lon, lat, strict=True)]
    return [(p.owner, p.method, p.leaf, *(p.holds[kind] for kind in KINDS)) for p in places]


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_many_at_once_are_answered_like_one(areas, engine):
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-0.1, 1.1, (2, 3000))
    lon[::3], lat[::5] = (
        rng.choice([0, 0.15, 0.2, 0.3, 0.4, 0.4002, 0.5, 0.501], 1000),
        rng.choice([0, 0.1, 0.4], 600),
    )
    lon, lat = np.r_[lon, [c[0] for c in RULE]], np.r_[lat, [c[1] for c in RULE]]
    many = areas.locate(lon, lat, engine=engine)
    assert answers(many) == one_by_one(areas, lon, lat)
    np.testing.assert_array_equal(
        many.distance_m, [areas.locate_one(x, y).distance_m for x, y in zip(lon, lat, strict=True)]
    )
    assert sum(many.counts().values()) == len(lon)
    assert min(many.counts()[method] for method in METHODS if method != "stated") > 0
    owner, method, distance = areas.owners(lon, lat, engine=engine)
    np.testing.assert_array_equal(owner, many.owner)
    np.testing.assert_array_equal(distance, many.distance_m)
    in_area = many.method == "jurisdiction"
    assert set(method[in_area].tolist()) == {METHODS.index("none")}
    np.testing.assert_array_equal(method[~in_area], many.method_code[~in_area])


@settings(max_examples=10, deadline=None)
@given(st.permutations(CODES))
def test_the_order_of_the_areas_does_not_matter(order):
    lon, lat = np.array([case[:2] for case in RULE]).T
    found = area_index(order).locate(lon, lat)
    assert [None if row < 0 else order[row] for row in found.owner] == [case[2] for case in RULE]
    assert found.method.tolist() == [case[3] for case in RULE]
    assert [None if row < 0 else order[row] for row in found.leaf] == [case[4] for case in RULE]


def test_smallest_code_is_the_smallest_string():
    boxes = [shapely.box(0, 0, 1, 1)] * 3
    for codes in permutations(["10", "9", "1A"]):
        index = AreaIndex.from_arrays(boxes, codes, ["micro"] * 3, codes)
        assert codes[index.locate_one(0.5, 0.5).owner] == "10"
        assert codes[index.locate_one(0.0, 0.5).owner] == "10"


def test_inside_wins_over_a_border_with_a_smaller_code():
    index = AreaIndex.from_arrays(
        [shapely.box(0, 0, 1, 1), shapely.box(0.5, 0, 2, 1)], ["b", "a"], ["micro"] * 2, ["b", "a"]
    )
    assert (index.locate_one(0.5, 0.5).owner, index.locate_one(0.5, 0.5).method) == (0, "inside")
    assert index.locate_one(0.6, 0.5).owner == 1


def metres_by_projection(lon: float, lat: float, polygon: shapely.Geometry) -> float:
    """Distance by the azimuthal equidistant projection around the place, edges in pieces of some metres."""
    project = pyproj.Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")
    near = shapely.segmentize(polygon.boundary, 1e-4 * math.cos(math.radians(lat)))
    return shapely.distance(shapely.Point(0, 0), shapely.transform(near, project, interleaved=False))


@pytest.mark.parametrize("lat", [0.3, 23.0, -41.0, 60.0, 84.0])
def test_nearest_is_the_nearest_in_true_metres(lat):
    """Where a degree of longitude is shorter than one of latitude, the nearest in degrees is another one."""
    rng = np.random.default_rng(int(lat * 10) + 900)
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    centres = np.array([113.0, lat]) + rng.uniform(-0.02, 0.02, (60, 2))
    polygons = [
        shapely.Polygon(
            c + 0.002 * rng.uniform(0.3, 1, (8, 1)) * np.column_stack([np.cos(turn), np.sin(turn)])
        )
        for c in centres
    ]
    codes = [f"{i:03d}" for i in range(60)]
    index = AreaIndex.from_arrays(polygons, codes, ["micro"] * 60, codes)
    lons, lats = (np.array([[113.0], [lat]]) + rng.uniform(-0.022, 0.022, (2, 120))).tolist()
    found = index.locate(lons, lats, 300.0)
    checked = 0
    for i in np.flatnonzero(found.method_code >= METHODS.index("nearest")):
        # no degree of latitude is twice as long as another: the nearest is among these
        degrees = np.hypot(*((centres - [lons[i], lats[i]]) * [np.cos(np.radians(lat)), 1]).T)
        few = np.flatnonzero(degrees < degrees.min() + 0.005)
        metres = np.array([metres_by_projection(lons[i], lats[i], polygons[k]) for k in few])
        if metres.min() > 300.0 * (1 + 1e-6):
            assert found.owner[i] == -1
        elif metres.min() < 300.0 * (1 - 1e-6):
            assert found.owner[i] == few[metres.argmin()]
            assert found.distance_m[i] == pytest.approx(metres.min(), rel=1e-6, abs=1e-6)
            checked += 1
    assert checked > 15


def test_the_tolerance_is_a_limit(areas):
    distance = areas.locate_one(0.1, 0.4002).distance_m
    assert distance == pytest.approx(22.1, abs=0.1)
    assert areas.locate_one(0.1, 0.4002, distance).method == "nearest"
    assert areas.locate_one(0.1, 0.4002, distance * (1 - 1e-9)).method == "jurisdiction"
    assert areas.locate_one(0.1, 0.4002, 0.0).method == "jurisdiction"
    assert areas.locate([0.1], [0.4002], 0.0).method.tolist() == ["jurisdiction"]


def test_equally_near_grids_go_by_kind_then_code():
    """One border drawn once more with other vertices is no nearer for that."""
    micro = shapely.Polygon([(0, 0), (0.3, 0), (0.3, 0.1), (0.2, 0.1 + 1e-16), (0.1, 0.1), (0, 0.1)])
    codes, kinds = ["1", "102", "101", "9"], ["comprehensive", "micro", "micro", "dedicated"]
    for members, winner in [((0, 1, 2, 3), 3), ((0, 1, 2), 2), ((0, 1), 1), ((0,), 0)]:
        geoms = [shapely.box(0, 0, 0.3, 0.1), micro, micro, micro]
        for order in permutations(members):
            pick = [[values[i] for i in order] for values in (geoms, codes, kinds)]
            index = AreaIndex.from_arrays(*pick, pick[1])
            place = index.locate_one(0.17, 0.1001)
            assert order[place.owner] == winner
            assert place.method == "nearest"


def test_without_villages_any_grid_may_be_the_nearest():
    keep = [row for row, name in enumerate(CODES) if AREAS[name][0] != "village"]
    index = area_index([CODES[row] for row in keep])
    assert CODES[keep[index.locate_one(0.5003, 0.20).owner]] == "91001"


def test_distance_to_the_border_and_who_is_across(areas):
    metres, neighbour = areas.nearest_border(0.199, 0.3, CODES.index("9100101"))
    assert metres == pytest.approx(111.3, abs=0.2)
    assert code(neighbour) == "9100102"
    metres, neighbour = areas.nearest_border(0.001, 0.3, CODES.index("9100101"))
    assert (round(metres), neighbour) == (111, -1)
    metres, neighbour = areas.nearest_border(0.2, 0.3, CODES.index("9100101"))
    assert (metres, code(neighbour)) == (pytest.approx(0.0, abs=1e-9), "9100102")
    assert areas.nearest_border(0.0, 0.3, CODES.index("9100101")) == (pytest.approx(0.0, abs=1e-9), -1)


def test_the_border_is_the_nearest_of_all_edges():
    rng = np.random.default_rng(5)
    turn = np.linspace(0, 2 * np.pi, 60)[:-1]
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(0.4, 1, (59, 1)) * 0.01
    centre = np.array([113, 50])
    polygon = shapely.Polygon(centre + ring, [centre + ring * 0.3])
    index = AreaIndex.from_arrays([polygon], ["1"], ["micro"], ["1"])
    for lon, lat in (centre + rng.uniform(-0.01, 0.01, (60, 2))).tolist():
        expected = metres_by_projection(lon, lat, polygon)
        assert index.nearest_border(lon, lat, 0)[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=3, max_size=3))
def test_one_edge_is_measured_like_many_bit_for_bit(points):
    (lon, lat), start, end = points
    many = np.array([[lon] * 37, [lat] * 37]), np.array([start] * 37), np.array([end] * 37)
    near, _ = nearest_on_edges(*many[0], many[1], many[2])
    turned, _ = nearest_on_edges(*many[0], many[2], many[1])
    one = nearest_on_edge((lon, lat), start, end)
    assert {tuple(row) for row in [*near.tolist(), *turned.tolist(), list(one)]} == {one}


def test_nobody_at_all():
    index = AreaIndex.from_arrays([], [], [], [])
    assert index.locate([0.0, 1.0], [0.0, 1.0]).method.tolist() == ["none", "none"]
    assert index.locate_one(0.0, 0.0).method == "none"
    assert index.owners([0.0], [0.0])[0].tolist() == [-1]
    assert area_index().locate([], []).counts() == dict.fromkeys(METHODS, 0)


def test_bad_questions(areas):
    for call in (
        lambda: areas.locate([0.0], [0.0, 1.0]),
        lambda: areas.locate([[0.0]], [[0.0]]),
        lambda: areas.locate([0.0], [0.0], -1.0),
        lambda: areas.locate_one(0.0, 0.0, math.nan),
        lambda: areas.owners([0.0], [0.0], math.inf),
        lambda: AreaIndex.from_arrays([None], ["1"], ["nation"], ["1"]),
        lambda: AreaIndex.from_arrays([None, None], ["1", "1"], ["micro"] * 2, ["1", "1"]),
        lambda: AreaIndex.from_arrays([None], ["1"], ["micro"], []),
        lambda: AreaIndex.from_arrays([shapely.Point(0, 0)], ["1"], ["micro"], ["1"]),
        lambda: AreaIndex.from_arrays(
            [shapely.Polygon([(0, 0), (1, 0), (0, math.inf)])], ["1"], ["micro"], ["1"]
        ),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_many_threads_ask_at_once():
    """Also for the first gap, which makes what finds the nearest grid."""
    index = area_index()
    rng = np.random.default_rng(4)
    lon, lat = rng.uniform(0, 1, (2, 4000))
    expected = answers(area_index().locate(lon, lat))
    start = threading.Barrier(6)

    def work(number):
        start.wait()
        if number % 2:
            return one_by_one(index, lon[:500], lat[:500]) == expected[:500]
        return answers(index.locate(lon, lat)) == expected

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))


def test_pickled_it_answers_the_same(areas):
    lon, lat = np.array([case[:2] for case in RULE]).T
    again = pickle.loads(pickle.dumps(areas))  # noqa: S301  # our own
    assert answers(again.locate(lon, lat)) == answers(areas.locate(lon, lat))
    grids = GridIndex.from_frame(frame())
    same = pickle.loads(pickle.dumps(grids))  # noqa: S301  # our own
    assert same.locate(lon, lat).position.tolist() == grids.locate(lon, lat).position.tolist()


def frame(**columns) -> geopandas.GeoDataFrame:
    data = {"code": CODES, "kind": [AREAS[c][0] for c in CODES], "path": [AREAS[c][1] for c in CODES]}
    return geopandas.GeoDataFrame(data | columns, geometry=[AREAS[c][2] for c in CODES], crs="EPSG:4326")


@pytest.mark.parametrize("lacking", [[], ["path"]])
def test_a_frame_of_all_kinds_is_answered_like_the_database(areas, lacking):
    """With the path of each grid, and with nothing but its place to tell its village."""
    index = GridIndex.from_frame(frame().drop(columns=lacking))
    lon, lat = np.array([case[:2] for case in RULE]).T
    answer = index.locate(lon, lat)
    assert [code(row) for row in answer.position] == [case[2] for case in RULE]
    expected = ["none" if case[3] == "jurisdiction" else case[3] for case in RULE]
    assert answer.method.tolist() == expected
    np.testing.assert_array_equal(answer.distance_m, areas.locate(lon, lat).distance_m)
    assert answer.counts()["inside"] == expected.count("inside")


def test_a_frame_with_parents_instead_of_paths():
    parents = [AREAS[c][1].split(".")[-2] if "." in AREAS[c][1] else None for c in CODES]
    index = GridIndex.from_frame(frame(parent=parents).drop(columns="path"))
    assert code(index.locate([0.5003], [0.2]).position[0]) is None
    assert code(index.locate([0.5006], [0.2]).position[0]) == "92001"


def test_a_frame_without_kinds_is_of_one_kind():
    grids = frame().drop(columns=["kind", "path"]).iloc[[4, 5, 6]]
    answer = GridIndex.from_frame(grids).locate([0.2, 0.15, 5.0], [0.15, 0.15, 5.0])
    assert answer.position.tolist() == [2, 0, -1]
    named = GridIndex.from_frame(
        grids.assign(code=[3.0, 1.0, 2.0], kind="county").rename(columns={"code": "nr"}), "nr"
    )
    assert named.locate([0.2], [0.3]).position.tolist() == [1]


@pytest.mark.parametrize("system", ["EPSG:3857", "EPSG:4547", "EPSG:4490", "+proj=utm +zone=50 +datum=WGS84"])
def test_frames_in_other_systems_are_converted(system):
    """Places are asked in WGS-84 whatever the grids are in; CGCS2000 is WGS-84 bit for bit."""
    here = geopandas.GeoDataFrame(
        {"code": ["a", "b"]},
        geometry=[shapely.box(116, 39, 116.1, 39.1), shapely.box(116.1, 39, 116.2, 39.1)],
    )
    there = here.set_crs(system) if system == "EPSG:4490" else here.set_crs("EPSG:4326").to_crs(system)
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform([[116], [39]], [[116.2], [39.1]], (2, 1000))
    expected = GridIndex.from_frame(here).locate(lon, lat)
    found = GridIndex.from_frame(there).locate(lon, lat)
    assert (found.position == expected.position).all()
    border = GridIndex.from_frame(there).locate([116.1], [39.05]).method.tolist()
    assert system != "EPSG:4490" or border == ["border"]


@pytest.mark.parametrize(
    ("change", "error", "row"),
    [
        (lambda f: f.drop(columns="code"), "missing_column", None),
        (lambda f: f.iloc[:0], "no_areas", None),
        (lambda f: f.assign(code=["1", "2", "1", *CODES[3:]]), "duplicate_code", 2),
        (lambda f: f.assign(code=[*CODES[:4], None, *CODES[5:]]), "empty_code", 4),
        (lambda f: f.assign(code=[*CODES[:4], "  ", *CODES[5:]]), "empty_code", 4),
        (lambda f: f.set_geometry([*f.geometry[:3], None, *f.geometry[4:]]), "empty_geometry", 3),
        (
            lambda f: f.set_geometry([*f.geometry[:3], shapely.Polygon(), *f.geometry[4:]]),
            "empty_geometry",
            3,
        ),
        (
            lambda f: f.set_geometry([*f.geometry[:3], shapely.Point(1, 1), *f.geometry[4:]]),
            "not_a_polygon",
            3,
        ),
        (
            lambda f: f.set_geometry([shapely.Polygon([(0, 0), (1, 0), (math.inf, 1)]), *f.geometry[1:]]),
            "bad_coordinates",
            0,
        ),
    ],
)
def test_bad_frames_are_refused_by_row(change, error, row):
    with pytest.raises(InvalidInput) as caught:
        GridIndex.from_frame(change(frame()))
    assert caught.value.code == error
    if row is not None:
        assert caught.value.findings[0]["row"] == row
        assert f"row {row}" in caught.value.message


def test_codes_that_a_reader_made_numbers_of():
    numbers = pd.Series([1, 2, np.nan], dtype=float)
    polygons = [shapely.box(x, 0, x + 1, 1) for x in range(3)]
    grids = geopandas.GeoDataFrame({"code": numbers}, geometry=polygons)
    with pytest.raises(InvalidInput, match="row 2"):
        GridIndex.from_frame(grids)
    three = geopandas.GeoDataFrame({"code": [1, 2, 3]}, geometry=[shapely.force_3d(p, 7.0) for p in polygons])
    assert GridIndex.from_frame(three).locate([1.0], [0.5]).position.tolist() == [0]
