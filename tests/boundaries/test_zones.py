"""Gauss-Krüger zones: with the zone's number before the easting and without, and told apart where a file is wrong."""

import numpy as np
import pyproj
import pytest
import shapely

from boundaries.fields import Mapped, map_fields
from boundaries.findings import Findings
from boundaries.places import System, place
from boundaries.read import Chunk
from boundaries.values import Rows
from boundaries.zones import likely
from gridmap import crs

EASTINGS = {"EPSG:4525": 37_593_700.0, "EPSG:4546": 593_700.0}


def placed(x, y, system):
    columns = {"x": [float(x)], "y": [float(y)]}
    chunk = Chunk(np.array([1], dtype=np.int64), columns, None, [], 1.0)
    rows = Rows(chunk, map_fields("buildings", list(columns), {}, {}, file="f.csv"), Findings("f.csv"))
    return place(rows, System(system), "point"), rows.findings.kept


@pytest.mark.parametrize("zone", [25, 37, 40, 45])
@pytest.mark.parametrize("width", [3, 6])
def test_every_zone_comes_in_either_way_and_the_wrong_one_names_the_right_one(zone, width):
    if width == 6:
        zone = {25: 13, 37: 19, 40: 21, 45: 23}[zone]
    middle = 3.0 * zone if width == 3 else 6.0 * zone - 3
    first, lowest = (4513, 25) if width == 3 else (4491, 13)
    numbered, bare = (
        f"EPSG:{first + zone - lowest}",
        f"EPSG:{first + zone - lowest + (21 if width == 3 else 11)}",
    )
    x, y = crs.convert(np.array([middle + 0.7]), np.array([30.0]), "wgs84", numbered)
    short, _ = crs.convert(np.array([middle + 0.7]), np.array([30.0]), "wgs84", bare)
    assert x[0] - short[0] == pytest.approx(zone * 1e6, abs=1e-6)
    for easting, right, wrong in ((x[0], numbered, bare), (short[0], bare, numbered)):
        places, found = placed(easting, y[0], right)
        assert not found
        assert (places.geom[0].x, places.geom[0].y) == pytest.approx((middle + 0.7, 30), abs=1e-8)
        _, (refused,) = placed(easting, y[0], wrong)
        assert refused.code == "out_of_range"
        assert f"--crs {right}" in refused.message
    _, (refused,) = placed(x[0], y[0], "wgs84")
    assert f"--crs {numbered}" in refused.message


def test_the_numbers_are_those_of_the_register():
    for number in (4491, 4501, 4513, 4533):
        name = pyproj.CRS.from_epsg(number).name
        zone = int(name.rsplit(" ", 1)[1])
        assert likely(zone * 1e6 + 500_000, "wgs84") == f"EPSG:{number}"
        bare = likely(500_000, f"EPSG:{number}")
        assert pyproj.CRS.from_epsg(int(bare[5:])).name.startswith("CGCS2000 / ")
        assert likely(500_000, bare) is None
    assert likely(float("nan"), "wgs84") is None
    assert likely(12_500_000, "wgs84") is None
    assert likely(500_000, "gcj02") is None


@pytest.mark.parametrize("system", list(EASTINGS))
def test_polygons_outside_of_their_system_are_refused_row_by_row(system):
    """A ring that ends in places that are none cannot be closed, and no library shall say so instead."""
    x = EASTINGS[system]
    good = shapely.box(x, 3_320_400, x + 300, 3_320_900)
    swapped = shapely.transform(good, lambda xy: xy[:, ::-1])
    elsewhere = shapely.transform(good, lambda xy: np.column_stack([xy[:, 0] + 90e6, xy[:, 1]]))
    with np.errstate(invalid="ignore"):  # the polygon is meant to be broken
        broken = shapely.Polygon([(1, 1), (2, np.nan), (3, 1)])
    array = np.array([good, swapped, elsewhere, broken], dtype=object)
    rows = Rows(Chunk(np.arange(1, 5), {}, array), Mapped(), Findings("f.gpkg"))
    places = place(rows, System(system), "area")
    refused = {each.row: each.code for each in rows.findings.kept}
    assert refused == {2: "swapped_axes", 3: "out_of_range", 4: "not_finite"}
    assert [shape is None for shape in places.geom] == [False, True, True, True]
    assert places.geom[0].bounds == pytest.approx((111.97, 29.99, 111.98, 30.0), abs=0.02)
