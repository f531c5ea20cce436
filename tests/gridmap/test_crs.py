"""Reference systems: against independent vectors and libraries, both ways, at the edge of the box too."""

import csv
import threading
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridmap import crs, crs_china
from gridmap.errors import InvalidInput

# 168 places in WGS-84, GCJ-02 and BD-09 from PyPI `coord-convert` 0.2.1 (facts, may be copied)
VECTORS = Path(__file__).parent / "crs_vectors.csv"
SHARED = Path(__file__).parents[3] / "shared" / "data"
SHIFTED = ("gcj02", "bd09")
CM = 1e-7  # degrees; a centimetre is 0.9e-7


def vectors() -> dict[str, np.ndarray]:
    with VECTORS.open(encoding="utf-8") as file:
        table = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    assert len(table) == 168
    return {"wgs84": table[:, :2], "gcj02": table[:, 2:4], "bd09": table[:, 4:]}


@pytest.mark.parametrize("source", ["wgs84", "gcj02", "bd09", "cgcs2000"])
@pytest.mark.parametrize("target", ["wgs84", "gcj02", "bd09", "cgcs2000"])
def test_agrees_with_independent_implementations(source, target):
    places = vectors()
    places["cgcs2000"] = places["wgs84"]
    x, y = crs.convert(*places[source].T, source, target)
    assert np.abs(np.column_stack([x, y]) - places[target]).max() < 2e-9  # the file has nine digits


inside_box = st.tuples(st.floats(crs_china.WEST, crs_china.EAST), st.floats(crs_china.SOUTH, crs_china.NORTH))


@given(st.lists(inside_box, min_size=1, max_size=50))
def test_there_and_back_is_exact_in_all_of_the_box(places):
    lon, lat = np.array(places).T
    for system in SHIFTED:
        back = crs.convert(*crs.convert(lon, lat, "wgs84", system), system, "wgs84")
        assert np.abs(np.array(back) - [lon, lat]).max() < 1e-9


def test_there_and_back_on_the_very_edge():
    lon = np.array([crs_china.WEST, crs_china.EAST, 105.0, 105.0, crs_china.WEST, crs_china.EAST])
    lat = np.array([30.0, 40.0, crs_china.SOUTH, crs_china.NORTH, crs_china.SOUTH, crs_china.NORTH])
    for system in SHIFTED:
        there = crs.convert(lon, lat, "wgs84", system)
        assert np.abs(np.array(there) - [lon, lat]).max(axis=0).min() > 100 * CM
        assert np.abs(np.array(crs.convert(*there, system, "wgs84")) - [lon, lat]).max() < 1e-9


def test_shifted_images_without_a_place_get_the_nearest_one():
    """West of any image: (72.004, 30) makes some libraries loop."""
    for system in SHIFTED:
        lon, lat = crs.convert(72.004, 30.0, system, "wgs84")
        assert lon == crs_china.WEST
        assert abs(lat - 30.0) < 0.02


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_identity_outside_china(lon, lat):
    margin = 0.03  # more than any shift: where an image could belong to a place within the box
    box = crs_china
    near = box.WEST - margin <= lon <= box.EAST + margin and box.SOUTH - margin <= lat <= box.NORTH + margin
    for system in SHIFTED:
        if not near:
            assert crs.convert(lon, lat, system, "wgs84") == (lon, lat)
        if not (box.WEST <= lon <= box.EAST and box.SOUTH <= lat <= box.NORTH):
            assert crs.convert(lon, lat, "wgs84", system) == (lon, lat)


def test_numbers_that_are_none_become_nan():
    lon = np.array([[116.4, np.nan], [np.inf, 116.4]])
    lat = np.array([[39.9, 39.9], [39.9, -np.inf]])
    for source, target in [("wgs84", "wgs84"), ("gcj02", "wgs84"), ("wgs84", "bd09"), ("wgs84", "EPSG:4547")]:
        x, y = crs.convert(lon, lat, source, target)
        assert np.isnan(x).tolist() == np.isnan(y).tolist() == [[False, True], [True, True]]
    assert np.isnan(crs.convert(116.4, 95.0, "wgs84", "EPSG:3857")).all()


def test_shapes_are_kept_and_inputs_are_not_written_to():
    lon, lat = np.full((2, 3), 116.4), np.full((2, 3), 39.9)
    x, y = crs.convert(lon, lat, "wgs84", "gcj02")
    assert x.shape == y.shape == (2, 3)
    assert (lon == 116.4).all()
    x, y = crs.convert(lon, lat, "wgs84", "wgs84")
    x[:] = 0
    assert (lon == 116.4).all()
    x, y = crs.convert(116, 40, "wgs84", "gcj02")
    assert x.shape == ()
    assert crs.convert([], [], "gcj02", "EPSG:3857")[0].shape == (0,)
    with pytest.raises(InvalidInput) as caught:
        crs.convert([1.0, 2.0], [1.0], "wgs84", "wgs84")
    assert caught.value.code == "bad_shape"


CANONICAL = {
    "WGS84": "wgs84",
    "wgs-84": "wgs84",
    "epsg:4326": "wgs84",
    "urn:ogc:def:crs:OGC:1.3:CRS84": "wgs84",
    "EPSG:4490": "cgcs2000",
    "CGCS2000": "cgcs2000",
    "GCJ-02": "gcj02",
    "bd_09": "bd09",
    "Epsg:04547": "EPSG:4547",
    "urn:ogc:def:crs:EPSG::3857": "EPSG:3857",
    " EPSG:2223 ": "EPSG:2223",
}
UNKNOWN = [
    "",
    "x",
    "4326",
    "EPSG:",
    "EPSG:0",
    "EPSG:99999999",
    "EPSG:1e3",
    "EPSG:４３２６",
    "EPSG:4979",
    "EPSG:5773",
]


@pytest.mark.parametrize("name", CANONICAL)
def test_names(name):
    assert crs.normalise(name) == CANONICAL[name]


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_names(name):
    with pytest.raises(InvalidInput) as caught:
        crs.normalise(name)
    assert caught.value.code == "unknown_crs"
    with pytest.raises(InvalidInput):
        crs.convert(0, 0, "wgs84", name)


def test_gauss_krueger_zones_of_cgcs2000():
    """The zone's formula by PROJ from its parameters: no datum shift against WGS-84 creeps in."""
    project = pyproj.Proj("+proj=tmerc +lat_0=0 +lon_0=114 +k=1 +x_0=500000 +y_0=0 +ellps=GRS80")
    lon, lat = np.array([113.2, 114.0, 115.4]), np.array([22.5, 36.0, 39.9])
    for source in ("wgs84", "cgcs2000"):
        east, north = crs.convert(lon, lat, source, "EPSG:4547")
        np.testing.assert_allclose([east, north], project(lon, lat), rtol=0, atol=1e-4)
    back = crs.convert(east, north, "EPSG:4547", "wgs84")
    np.testing.assert_allclose(back, [lon, lat], rtol=0, atol=1e-9)


def test_state_plane_feet():
    x, y = crs.convert(-111.9, 33.4, "wgs84", "EPSG:2223")
    lon, lat = crs.convert(x, y, "EPSG:2223", "wgs84")
    assert abs(lon + 111.9) < 2e-5
    assert abs(lat - 33.4) < 2e-5
    assert 600_000 < x < 800_000


def test_transformers_are_not_shared_between_threads():
    lon, lat = np.full(20_000, 116.4), np.linspace(20, 50, 20_000)
    expected = crs.convert(lon, lat, "wgs84", "EPSG:4549")
    wrong = []

    def work():
        answers = (crs.convert(lon, lat, "wgs84", "EPSG:4549") for _ in range(5))
        wrong.extend(answer for answer in answers if not np.array_equal(answer, expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_areas_agree_with_the_geodesic_ones():
    geod = pyproj.Geod(ellps="WGS84")
    rng = np.random.default_rng(0)
    for _ in range(200):
        lon, lat = rng.uniform(-170, 170), rng.uniform(-85, 85)
        size = 10 ** rng.uniform(-4, -0.5)
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        ring = np.column_stack([lon + size * np.cos(turn), lat + size * np.sin(turn)])
        polygon = shapely.Polygon(ring, [np.array([lon, lat]) + (ring[::-1] - [lon, lat]) * 0.4])
        # geodesic edges of at most 20 m leave no room between the two readings of an edge
        fine = shapely.segmentize(polygon, max(size / 400, 2e-4))
        reference, _ = geod.geometry_area_perimeter(shapely.orient_polygons(fine))
        assert crs.area_m2(polygon) == pytest.approx(reference, rel=1e-6)


def test_areas_of_anything():
    square = shapely.box(116, 39, 116.01, 39.01)
    two = shapely.MultiPolygon([square, shapely.box(117, 39, 117.01, 39.01)])
    areas = crs.area_m2(np.array([[square, two], [None, shapely.Point(1, 1)]], dtype=object))
    assert areas.shape == (2, 2)
    assert areas[0, 1] == pytest.approx(2 * areas[0, 0], rel=1e-12)
    assert areas[1].tolist() == [0.0, 0.0]
    assert crs.area_m2(square.reverse()) == pytest.approx(areas[0, 0], rel=1e-12)
    assert crs.area_m2([]).shape == (0,)
    assert crs.area_m2(shapely.Polygon()) == 0.0


def test_areas_of_neighbours_add_up():
    """Also where the border is long: no strip between two readings of it is lost."""
    west, east = shapely.box(100, 30, 103, 38), shapely.box(103, 30, 109, 38)
    assert crs.area_m2([west, east]).sum() == pytest.approx(
        crs.area_m2(shapely.box(100, 30, 109, 38)), rel=1e-12
    )


def test_lengths_and_distances():
    geod = pyproj.Geod(ellps="WGS84")
    line = shapely.LineString([(116, 39), (116.1, 39.2), (116.4, 39.1)])
    assert crs.length_m(line) == pytest.approx(geod.geometry_length(line), rel=1e-12)
    holed = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1)], [[(0.2, 0.2), (0.4, 0.2), (0.4, 0.4)]])
    rings = geod.geometry_length(holed.exterior) + geod.geometry_length(holed.interiors[0])
    assert crs.length_m([holed, shapely.Point(1, 1), None]).tolist() == pytest.approx([rings, 0, 0])
    metres = crs.distance_m([116, 116, np.nan, 116], [39, 39, 39, np.inf], 117, [39, 40, 39, 39])
    assert (metres[:2] > [86_000, 140_000]).all()
    assert np.isnan(metres[2:]).all()
    assert crs.distance_m(116, 39, 116, 39) == 0
    # Karney (2013), Algorithms for geodesics: New York to London
    assert crs.distance_m(-73.8, 40.6, -0.5, 51.6) == pytest.approx(5_551_759.400, abs=1e-3)


def test_a_set_in_the_wrong_system_is_recognised():
    rng = np.random.default_rng(1)
    areas = np.array([shapely.box(x, y, x + 0.02, y + 0.02) for x in (113.0, 113.02) for y in (22.0, 22.02)])
    stated = np.repeat(np.arange(4), 500)
    lower = shapely.bounds(areas)[stated][:, :2]
    lon, lat = (lower + rng.uniform(0, 0.02, lower.shape)).T
    assert not crs.suspect(lon, lat, areas, stated).suspicious
    for given_as, really in [
        ("wgs84", "gcj02"),
        ("wgs84", "bd09"),
        ("gcj02", "wgs84"),
        ("cgcs2000", "gcj02"),
    ]:
        x, y = crs.convert(lon, lat, "wgs84", really)
        found = crs.suspect(x, y, areas, stated, crs=given_as)
        assert found.likely == really
        assert found.suspicious
        assert {"gcj02": "GCJ-02", "bd09": "BD-09", "wgs84": "WGS-84"}[really] in found.message
        assert found.readings[0].placed < max(r.placed for r in found.readings) == found.points == 2000
    found = crs.suspect(lat, lon, areas, stated)
    assert found.likely == "swapped"
    shifted = shapely.transform(areas, lambda x, y: crs.convert(x, y, "wgs84", "gcj02"), interleaved=False)
    assert crs.suspect(lon, lat, shifted, stated).likely == "areas_gcj02"


def test_suspicion_without_stated_areas_and_with_little_to_go_by():
    area = [shapely.box(113.0, 22.0, 113.001, 22.001)]
    lon, lat = np.array([[113.0], [22.0]]) + np.random.default_rng(2).uniform(0, 0.001, (2, 300))
    x, y = crs.convert(lon, lat, "wgs84", "gcj02")
    assert crs.suspect(x, y, area).likely == "gcj02"
    assert crs.suspect(x, y, area, sample=50).points == 50
    assert crs.suspect(x[:4], y[:4], area).likely == "as_given"
    assert crs.suspect([np.nan], [1.0], area).points == 0
    assert crs.suspect([], [], []).likely == "as_given"
    with pytest.raises(InvalidInput):
        crs.suspect([1.0], [], area)


def test_places_that_name_their_county_are_not_suspected():
    counties, points = SHARED / "us_counties.gpkg", SHARED / "us_zip_points.csv.gz"
    if not counties.exists() or not points.exists():
        pytest.skip("../shared/data is missing")
    areas = geopandas.read_file(counties).geometry.array
    table = pd.read_csv(points, usecols=["longitude", "latitude"])
    found = crs.suspect(table["longitude"], table["latitude"], areas)
    assert found.points == 20_000
    assert found.readings[0].placed > 19_000
    assert not found.suspicious
    assert crs.suspect(table["latitude"], table["longitude"], areas).likely == "swapped"
