"""Assigning files of points: the answers of the index, the columns as they came, any kind of file to any other."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from boundaries.assign import Options, assign_file
from gridmap import crs
from gridmap.errors import InvalidInput
from gridmap.index import METHODS, GridIndex

WEST, SOUTH, STEP = 112.0, 30.0, 0.01
METRES_PER_DEGREE = 111_195.0


LON = [112.005, 112.01, 112.02500001, 111.9999, 111.0, np.nan, np.inf, 112.015]
LAT = [30.005, 30.005, 30.0149, 30.005, 30.005, 30.0, 30.0, np.nan]
GRID = ["990000", "990000", "990102", "990000", None, None, None, None]
METHOD = ["inside", "border", "inside", "nearest", "none", "none", "none", "none"]


def points_table(**more):
    return pa.table({"id": pa.array(range(8)), "lon": LON, "lat": LAT, **more})


def assign(points, grids, out, **options):
    return assign_file(points, grids, out, Options(**options))


def refusal(*arguments, **options):
    with pytest.raises(InvalidInput) as caught:
        assign(*arguments, **options)
    return caught.value


def test_every_row_is_answered_in_its_place(tmp_path, grids):
    pq.write_table(points_table(), tmp_path / "p.parquet")
    summary = assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    found = pq.read_table(tmp_path / "o.parquet")
    assert found.column_names == ["id", "lon", "lat", "grid", "method", "distance_m"]
    assert found["id"].to_pylist() == list(range(8))
    assert found["grid"].to_pylist() == GRID
    assert found["method"].to_pylist() == METHOD
    distance = found["distance_m"].to_pylist()
    assert distance[:3] == [0.0, 0.0, 0.0]
    assert distance[3] == pytest.approx(1e-4 * METRES_PER_DEGREE * np.cos(np.radians(30.005)), rel=0.01)
    assert distance[4:] == [None] * 4
    assert summary.tally.counts() == {"inside": 2, "border": 1, "nearest": 1, "none": 4}
    assert (summary.tally.rows, summary.tally.located, summary.tally.in_grid) == (8, 5, 4)


def test_the_tolerance_is_the_callers(tmp_path, grids):
    pq.write_table(points_table(), tmp_path / "p.parquet")
    for metres, method in ((5.0, "none"), (15.0, "nearest"), (0.0, "none")):
        assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet", tolerance_m=metres)
        assert pq.read_table(tmp_path / "o.parquet")["method"][3].as_py() == method
    assert refusal(tmp_path / "p.parquet", grids, tmp_path / "n", tolerance_m=-1.0).code == "bad_tolerance"


coordinate = st.integers(-4, 16).map(lambda n: n * STEP / 4)
free = st.floats(-0.02, 0.05, allow_nan=False)


@settings(max_examples=25, deadline=None)
@given(
    places=st.lists(st.tuples(coordinate | free, coordinate | free), min_size=1, max_size=60),
    skip=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=4),
)
def test_answers_are_those_of_geos(tmp_path_factory, squares, places, skip):
    folder = tmp_path_factory.mktemp("geos")
    frame = squares(skip=skip)
    frame.sample(frac=1, random_state=1).to_file(folder / "grids.gpkg")
    lon, lat = (np.array(axis) for axis in zip(*places, strict=True))
    lon, lat = lon + WEST, lat + SOUTH
    pq.write_table(pa.table({"lon": lon, "lat": lat}), folder / "p.parquet")
    assign(folder / "p.parquet", folder / "grids.gpkg", folder / "o.parquet", tolerance_m=0.0)
    found = pq.read_table(folder / "o.parquet").to_pylist()
    for x, y, row in zip(lon, lat, found, strict=True):
        held = frame[frame.intersects(shapely.Point(x, y))]
        inside = held[~held.touches(shapely.Point(x, y))]
        expected = inside if len(inside) else held
        assert row["grid"] == (expected["code"].min() if len(expected) else None)
        assert row["method"] == ("inside" if len(inside) else "border" if len(held) else "none")


def test_answers_are_those_of_the_index_to_the_last_bit(tmp_path, squares):
    rng = np.random.default_rng(7)
    frame = squares(20, 20, skip={(3, 4), (9, 9)})
    frame["kind"] = rng.choice(["micro", "comprehensive", "dedicated"], len(frame))
    frame.to_crs(4547).to_parquet(tmp_path / "grids.parquet")
    lon, lat = rng.uniform(111.99, 112.21, 20_000), rng.uniform(29.99, 30.21, 20_000)
    x, y = crs.convert(lon, lat, "wgs84", "gcj02")
    pq.write_table(pa.table({"lon": x, "lat": y}), tmp_path / "p.parquet", row_group_size=3000)
    summary = assign(
        tmp_path / "p.parquet",
        tmp_path / "grids.parquet",
        tmp_path / "o.parquet",
        crs="gcj02",
        tolerance_m=200.0,
    )
    index = GridIndex.from_frame(gpd.read_parquet(tmp_path / "grids.parquet"))
    expected = index.locate(*crs.convert(x, y, "gcj02", "wgs84"), 200.0)
    found = pq.read_table(tmp_path / "o.parquet")
    codes = np.append(frame["code"].to_numpy(dtype=object), None)
    assert found["grid"].to_pylist() == codes[expected.position].tolist()
    assert found["method"].to_pylist() == expected.method.tolist()
    np.testing.assert_array_equal(found["distance_m"].to_numpy(), expected.distance_m)
    assert summary.tally.methods.tolist() == list(expected.counts().values())
    assert sum(summary.tally.counts().values()) == sum(expected.counts()[name] for name in METHODS)
    assert any("gcj02" in note and "EPSG:4547" in note for note in summary.notes)


def test_columns_beside_a_geometry_are_degrees(tmp_path, grids):
    frame = gpd.GeoDataFrame({"lon": [112.005], "lat": [30.005]}, geometry=[shapely.Point(0, 0)], crs=3857)
    frame.to_parquet(tmp_path / "p.parquet")
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["method"].to_pylist() == ["none"]
    summary = assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet", x="lon", y="lat")
    assert pq.read_table(tmp_path / "o.parquet")["grid"].to_pylist() == ["990000"]
    assert any("WGS-84 assumed" in note for note in summary.notes)


def test_a_kind_in_chinese_words_decides_who_wins(tmp_path, squares):
    frame = squares(1, 1)
    frame = gpd.GeoDataFrame(
        pd.concat([frame.assign(code="b", 类型="专属网格"), frame.assign(code="a", 类型="微网格")])
    )
    frame.to_file(tmp_path / "g.gpkg")
    pq.write_table(points_table(), tmp_path / "p.parquet")
    assign(tmp_path / "p.parquet", tmp_path / "g.gpkg", tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["grid"][0].as_py() == "b"


def test_points_that_look_shifted_are_said(tmp_path, grids):
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(112.0, 112.03, 3000), rng.uniform(30.0, 30.02, 3000)
    x, y = crs.convert(lon, lat, "wgs84", "gcj02")
    pq.write_table(pa.table({"lon": x, "lat": y}), tmp_path / "p.parquet")
    summary = assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    assert any("look like GCJ-02" in note for note in summary.notes)
    summary = assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet", crs="gcj02")
    assert not any("look like" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"x": "east"}, "missing_column", "no column 'east' (--x); it has id, lon, lat"),
        ({"y": "lon"}, "bad_column", "the same column 'lon'"),
        ({"crs": "EPSG:1"}, "unknown_crs", "EPSG:1"),
        ({"crs": "mars"}, "unknown_crs", "mars"),
        ({"grids_crs": "mars"}, "unknown_crs", "mars"),
        ({"code": "number"}, "missing_column", "no column 'number' (--code); it has code"),
        ({"layer": "x", "encoding": "klingon"}, "unknown_encoding", "klingon"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_there_is(tmp_path, grids, options, code, words):
    pq.write_table(points_table(), tmp_path / "p.parquet")
    error = refusal(tmp_path / "p.parquet", grids, tmp_path / "o.parquet", **options)
    assert (error.code, words in error.message) == (code, True), error.message
    assert not (tmp_path / "o.parquet").exists()


def test_points_without_a_place(tmp_path, grids):
    pq.write_table(pa.table({"id": [1], "text": ["x"], "lon": [True]}), tmp_path / "p.parquet")
    error = refusal(tmp_path / "p.parquet", grids, tmp_path / "o.csv", x="lon", y="id")
    assert "'lon' (--x) holds bool, no numbers" in error.message
    pq.write_table(pa.table({"id": [1], "text": ["x"]}), tmp_path / "p.parquet")
    error = refusal(tmp_path / "p.parquet", grids, tmp_path / "o.csv")
    assert "like a longitude; name it with --x. It has id, text" in error.message


def bad_grids(tmp_path, codes, shapes):
    path = tmp_path / "bad.gpkg"
    gpd.GeoDataFrame({"code": codes}, geometry=shapes, crs=4326).to_file(path)
    return path


def test_grids_that_cannot_be_asked(tmp_path):
    pq.write_table(points_table(), tmp_path / "p.parquet")
    box = shapely.box(112, 30, 112.01, 30.01)
    for codes, shapes, code, words in (
        (["a", "b", "a"], [box] * 3, "duplicate_code", "row 3: code 'a' is in row 1 already"),
        (["a", None], [box] * 2, "empty_code", "row 2"),
        (["a", "b"], [box, None], "empty_geometry", "row 2"),
        (["a", "b"], [box, shapely.Point(1, 2)], "not_a_polygon", "row 2"),
    ):
        error = refusal(tmp_path / "p.parquet", bad_grids(tmp_path, codes, shapes), tmp_path / "o.parquet")
        assert (error.code, words in error.message) == (code, True), error.message
        assert error.message.startswith("bad.gpkg")
        (tmp_path / "bad.gpkg").unlink()


def test_invalid_polygons_are_said_and_answered_as_geos_reads_them(tmp_path):
    bow = shapely.Polygon([(112, 30), (112.01, 30.01), (112.01, 30), (112, 30.01)])
    pq.write_table(points_table(), tmp_path / "p.parquet")
    summary = assign(tmp_path / "p.parquet", bad_grids(tmp_path, ["a"], [bow]), tmp_path / "o.parquet")
    assert any("row 1, a" in note and "Self-intersection" in note for note in summary.notes)
    assert pq.read_table(tmp_path / "o.parquet")["method"][4].as_py() == "none"


@pytest.mark.parametrize("name", ["grid", "Method", "DISTANCE_M"])
def test_a_column_of_the_input_is_never_replaced(tmp_path, grids, name):
    pq.write_table(points_table(**{name: ["mine"] * 8}), tmp_path / "p.parquet")
    error = refusal(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    assert (error.code, name in error.message) == ("column_taken", True)
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet", prefix="new_")
    found = pq.read_table(tmp_path / "o.parquet")
    assert found.column_names[3:] == [name, "new_grid", "new_method", "new_distance_m"]
    assert found[name].to_pylist() == ["mine"] * 8
    assert found["new_grid"].to_pylist() == GRID


def test_an_input_is_never_written_to(tmp_path, grids):
    points = tmp_path / "p.parquet"
    pq.write_table(points_table(), points)
    (tmp_path / "link.parquet").symlink_to(points)
    before = points.read_bytes(), grids.read_bytes()
    for out in (points, tmp_path / "link.parquet", grids):
        assert refusal(points, grids, out).code == "same_file"
    assert (points.read_bytes(), grids.read_bytes()) == before


def test_outputs_that_cannot_be(tmp_path, grids):
    points = tmp_path / "p.parquet"
    pq.write_table(points_table(), points)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "p.csv").write_text("lon,lat\n112.005,30.005\n")
    assert refusal(points, grids, tmp_path / "nowhere" / "o.csv").code == "no_such_file"
    assert refusal(points, grids, tmp_path / "o.docx").code == "unknown_ending"
    assert refusal(points, grids, tmp_path / "full").code == "out_exists"
    assert refusal(tmp_path / "p.csv", grids, tmp_path / "parts").code == "unknown_ending"
    assert refusal(tmp_path / "none.parquet", grids, tmp_path / "o.csv").code == "no_such_file"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.parquet", b"PAR1 no, it is not"),
        ("p.csv", b"\x89PNG\r\n\x1a\n"),
        ("p.gpkg", b"%PDF-1.7"),
        ("p.xlsx", b"PK\x03\x04 broken"),
        ("p.csv", b"lon,lat\n1,2\n1,2,3\n"),
        ("p.csv", b""),
        ("p.geojson", b'{"type": "FeatureCollection"'),
    ],
)
def test_files_of_a_wrong_kind(tmp_path, grids, name, content):
    (tmp_path / name).write_bytes(content)
    before = b"what was there"
    (tmp_path / "o.csv").write_bytes(before)
    assert name in refusal(tmp_path / name, grids, tmp_path / "o.csv").message
    assert (tmp_path / "o.csv").read_bytes() == before
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_polygons_are_no_points(tmp_path, grids):
    error = refusal(grids, grids, tmp_path / "o.csv")
    assert (error.code, "Polygon" in error.message) == ("wrong_geometry", True)


@pytest.mark.parametrize("target", ["parquet", "csv", "gpkg", "shp", "geojson", "xlsx"])
def test_what_breaks_off_leaves_nothing(tmp_path, grids, target):
    points, out = tmp_path / "p.parquet", tmp_path / f"o.{target}"
    pq.write_table(pa.concat_tables([points_table()] * 625), points, row_group_size=1000)
    damaged = bytearray(points.read_bytes())
    at = pq.ParquetFile(points).metadata.row_group(4).column(1)
    damaged[at.data_page_offset : at.data_page_offset + 12] = b"\xff" * 12
    points.write_bytes(damaged)
    error = refusal(points, grids, out)
    assert (error.code, "damaged" in error.message) == ("bad_file", True), error.message
    assert sorted(each.name for each in tmp_path.iterdir()) == ["grids.parquet", "p.parquet"]


def test_a_folder_of_parts_becomes_a_folder_or_a_file(tmp_path, grids):
    folder = tmp_path / "parts"
    for year in (2025, 2026):
        (folder / f"year={year}").mkdir(parents=True)
        pq.write_table(points_table(), folder / f"year={year}" / "a.parquet")
    (folder / "_SUCCESS").touch()
    summary = assign(folder, grids, tmp_path / "out")
    assert summary.tally.rows == 16
    found = pq.read_table(tmp_path / "out")
    assert found["grid"].to_pylist() == GRID * 2
    assert sorted({str(each) for each in found["year"].to_pylist()}) == ["2025", "2026"]
    assert refusal(folder, grids, tmp_path / "o.parquet").code == "partitioned"
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in "ba":
        pq.write_table(points_table(name=[name] * 8), plain / f"{name}.parquet")
    assign(plain, grids, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["name"].to_pylist() == ["a"] * 8 + ["b"] * 8
    assert refusal(plain, grids, plain / "o.parquet").code == "same_file"
    pq.write_table(points_table(name=range(8)), plain / "c.parquet")
    assert "name is int64, not string" in refusal(plain, grids, tmp_path / "o.parquet").message
