"""Places in WGS-84: converted from any system, refused where they cannot be."""

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from boundaries.fields import Mapped
from boundaries.findings import Findings
from boundaries.places import System, place, system_of
from boundaries.read import Chunk
from boundaries.values import Rows
from gridmap import crs
from gridmap.errors import InvalidInput

WGS84 = System("wgs84")


def of_shapes(shapes):
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return Rows(Chunk(np.arange(1, len(shapes) + 1), {}, array), Mapped(), Findings("f"))


def of_columns(**columns):
    length = len(next(iter(columns.values())))
    chunk = Chunk(np.arange(1, length + 1), columns)
    return Rows(chunk, Mapped({name: name for name in columns}), Findings("f"))


def refusals(rows):
    return [(each.row, each.code) for each in rows.findings.kept]


class FakeSource:
    """What `system_of` needs of a source."""

    has_geometry = True

    def __init__(self, text):
        from pathlib import Path

        self.crs, self.notes, self.path = text, [], Path("f.shp")


def test_broken_coordinates_are_refused_each_with_its_reason():
    rows = of_columns(
        x=["116.4", "", None, "NaN", "inf", "east", "39.9", "500000", "190", 116.4],
        y=["39.9", "39.9", None, "39.9", "39.9", "39.9", "116.4", "4400000", "10", 39.9],
    )
    rows.chunk.columns["x"][1] = None
    places = place(rows, WGS84, "point")
    assert refusals(rows) == [
        (6, "bad_value"),
        (4, "not_finite"),
        (5, "not_finite"),
        (2, "missing"),
        (3, "missing"),
        (7, "swapped_axes"),
        (8, "out_of_range"),
        (9, "out_of_range"),
    ]
    assert [shape is not None for shape in places.geom] == [True] + [False] * 8 + [True]
    assert "--crs EPSG:4547" in rows.findings.kept[6].message
    assert rows.findings.kept[5].value == "39.9, 116.4"


def test_a_row_without_a_place_is_fine_where_none_is_required():
    rows = of_columns(x=[None, 116.4], y=[None, 39.9])
    places = place(rows, WGS84, "point", required=False)
    assert rows.good.tolist() == [True, True]
    assert places.geom[0] is None
    assert np.isnan(places.x[0])
    rows = of_shapes([None, shapely.Point(1, 2)])
    place(rows, WGS84, "point", required=False)
    assert rows.good.all()


def test_shapes_of_the_wrong_kind_or_none_are_refused():
    with np.errstate(invalid="ignore"):
        not_finite = shapely.from_wkt("POLYGON ((0 0, 1 NaN, 1 1, 0 0))")
    rows = of_shapes(
        [
            shapely.box(0, 0, 1, 1),
            None,
            shapely.Polygon(),
            shapely.Point(0, 0),
            shapely.LineString([(0, 0), (1, 1)]),
            shapely.GeometryCollection([shapely.box(0, 0, 1, 1)]),
            shapely.box(0, 95, 1, 96),
            shapely.box(100, 100, 120, 120),
            not_finite,
        ]
    )
    place(rows, WGS84, "area")
    assert refusals(rows) == [
        (2, "no_geometry"),
        (3, "no_geometry"),
        (4, "wrong_geometry"),
        (5, "wrong_geometry"),
        (6, "wrong_geometry"),
        (9, "not_finite"),
        (7, "swapped_axes"),
        (8, "out_of_range"),
    ]


def test_single_parts_of_multi_shapes_are_taken_out_and_heights_dropped():
    rows = of_shapes(
        [shapely.MultiPoint([(1, 2)]), shapely.Point(1, 2, 3), shapely.MultiPoint([(1, 2), (3, 4)])]
    )
    places = place(rows, WGS84, "point")
    assert refusals(rows) == [(3, "wrong_geometry")]
    assert [shape.wkt for shape in places.geom[:2]] == ["POINT (1 2)"] * 2
    assert places.x[:2].tolist() == [1, 1]


def test_wkt():
    rows = of_columns(wkt=["POINT (1 2)", "POINT (1", None, "LINESTRING (0 0, 1 1)", "POINT (NaN 1)"])
    places = place(rows, WGS84, "point")
    assert sorted(refusals(rows)) == [
        (2, "bad_geometry"),
        (3, "no_geometry"),
        (4, "wrong_geometry"),
        (5, "not_finite"),
    ]
    assert places.geom[0].wkt == "POINT (1 2)"


def test_arcs_are_refused_with_their_row():
    rows = of_columns(wkt=["POINT (1 2)", "CIRCULARSTRING (0 0, 1 1, 2 0)", "POINT (2 1)"])
    places = place(rows, WGS84, "point")
    assert refusals(rows) == [(2, "bad_geometry")]
    assert "arcs" in rows.findings.kept[0].message
    assert [shape and shape.wkt for shape in places.geom] == ["POINT (1 2)", None, "POINT (2 1)"]


@pytest.mark.parametrize("system", ["gcj02", "bd09", "EPSG:4547", "EPSG:3857"])
def test_coordinates_are_converted_and_kept_as_they_came(system):
    lon, lat = np.array([113.9, 114.2]), np.array([30.4, 30.7])
    x, y = crs.convert(lon, lat, "wgs84", system)
    rows = of_columns(x=x.tolist(), y=y.tolist())
    places = place(rows, System(system), "point")
    assert places.x.tolist() == x.tolist()
    away_m = crs.distance_m(shapely.get_x(places.geom), shapely.get_y(places.geom), lon, lat)
    assert (away_m < 0.01).all()


def test_shared_borders_stay_shared_bit_for_bit():
    corners = np.random.default_rng(1).uniform((113.5, 30.0), (114.5, 31.0), (400, 2))
    left = shapely.LineString(corners)
    right = shapely.LineString(corners[::-1][:-7])
    rows = of_shapes([left, right])
    geom = place(rows, System("gcj02"), "line").geom
    assert np.array_equal(shapely.get_coordinates(geom[0])[::-1][:-7], shapely.get_coordinates(geom[1]))


def test_feet_by_a_definition_without_a_number_agree_with_proj():
    text = (
        'PROJCS["Local feet",GEOGCS["NAD83",DATUM["North_American_Datum_1983",SPHEROID["GRS 1980",6378137,'
        '298.257222101]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION'
        '["Transverse_Mercator"],PARAMETER["latitude_of_origin",31],PARAMETER["central_meridian",-111.9],'
        'PARAMETER["scale_factor",0.9999],PARAMETER["false_easting",700000],PARAMETER["false_northing",0],'
        'UNIT["US survey foot",0.304800609601219],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    )
    source = FakeSource(text)
    system = system_of(source, None, Mapped())
    assert system.name == "Local feet"
    assert not system.is_degrees
    lon, lat = system.to_wgs84(np.array([727913.0]), np.array([875721.0]))
    expected = Transformer.from_crs(text, "EPSG:4326", always_xy=True).transform(727913.0, 875721.0)
    assert crs.distance_m(lon, lat, *map(np.array, expected))[0] < 0.01


@pytest.mark.parametrize(
    ("own", "chosen", "name"),
    [
        ("EPSG:4326", None, "wgs84"),
        ("EPSG:4490", None, "cgcs2000"),
        ("EPSG:4547", None, "EPSG:4547"),
        ("EPSG:4326", "gcj02", "gcj02"),
        (None, None, "wgs84"),
        (None, "bd09", "bd09"),
    ],
)
def test_the_system_is_the_callers_else_the_files_else_wgs84(own, chosen, name):
    source = FakeSource(own)
    assert system_of(source, chosen, Mapped()).name == name
    assert bool(source.notes) == (own is None and chosen is None)


def test_systems_that_cannot_be_used_are_named():
    with pytest.raises(InvalidInput, match="cannot be read; name it with --crs"):
        system_of(FakeSource("nonsense"), None, Mapped())
    with pytest.raises(InvalidInput, match="neither projected nor geographic"):
        system_of(FakeSource("EPSG:4978"), None, Mapped())
    with pytest.raises(InvalidInput) as caught:
        system_of(FakeSource(None), "mars", Mapped())
    assert caught.value.code == "unknown_crs"
