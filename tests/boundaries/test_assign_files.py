"""Any kind of file of points becomes any other: types, metadata, encodings, geometry, text to the letter."""

import datetime as dt
import decimal
import json
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from boundaries import assign_parquet
from boundaries.assign import Options, assign_file

LON = [112.005, 112.01, 112.02500001, 111.9999, 111.0, np.nan, np.inf, 112.015]
LAT = [30.005, 30.005, 30.0149, 30.005, 30.005, 30.0, 30.0, np.nan]
GRID = ["990000", "990000", "990102", "990000", None, None, None, None]


def points_table(**more):
    return pa.table({"id": pa.array(range(8)), "lon": LON, "lat": LAT, **more})


def assign(points, grids, out, **options):
    return assign_file(points, grids, out, Options(**options))


def rich_table():
    moments = [dt.datetime(2026, 1, day, 12, tzinfo=dt.UTC) for day in range(1, 9)]
    fields = {
        "when": pa.array(moments, pa.timestamp("us", "Asia/Shanghai")),
        "nanoseconds": pa.array(range(8), pa.timestamp("ns")),
        "day": pa.array([moment.date() for moment in moments], pa.date32()),
        "amount": pa.array([decimal.Decimal("1.50")] * 7 + [None], pa.decimal128(12, 2)),
        "category": pa.array(["dispute", "hazard"] * 4).dictionary_encode(),
        "tags": pa.array([["a"], [], None, ["b", "c"]] * 2, pa.list_(pa.string())),
        "who": pa.array([{"n": 1, "s": "x"}] * 8, pa.struct([("n", pa.int8()), ("s", pa.large_string())])),
        "raw": pa.array([b"\x00\xff"] * 8, pa.binary()),
        "small": pa.array(range(8), pa.uint16()),
        "half": pa.array(np.arange(8, dtype=np.float16)),
        "flag": pa.array([True, None] * 4),
        "span": pa.array(range(8), pa.duration("ms")),
        "nothing": pa.nulls(8),
        "名称": pa.array(["一"] * 8),
    }
    return points_table(**fields)


def test_types_metadata_and_layout_are_kept(tmp_path, grids):
    table = rich_table()
    table = table.cast(table.schema.with_metadata({"origin": "survey"}))
    pq.write_table(
        table,
        tmp_path / "p.parquet",
        row_group_size=3,
        compression=dict.fromkeys(table.column_names, "zstd") | {"tags.list.element": "gzip"},
    )
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    before, after = pq.read_table(tmp_path / "p.parquet"), pq.read_table(tmp_path / "o.parquet")
    assert after.schema.metadata == before.schema.metadata
    kept = after.drop_columns(["grid", "method", "distance_m"])
    assert kept.schema.equals(before.schema, check_metadata=True)
    assert kept.drop_columns(["lon", "lat"]).equals(before.drop_columns(["lon", "lat"]))
    np.testing.assert_array_equal(kept["lon"].to_numpy(), before["lon"].to_numpy())
    assert after.schema.types[-3:] == [pa.string(), pa.string(), pa.float64()]
    old, new = (
        pq.ParquetFile(tmp_path / "p.parquet").metadata,
        pq.ParquetFile(tmp_path / "o.parquet").metadata,
    )
    assert [new.row_group(n).num_rows for n in range(new.num_row_groups)] == [3, 3, 2]
    codecs = [
        {c["path_in_schema"]: c["compression"] for c in meta.row_group(0).to_dict()["columns"]}
        for meta in (old, new)
    ]
    assert {path: codecs[1][path] for path in codecs[0]} == codecs[0]
    assert codecs[1]["tags.list.element"] == "GZIP"
    assert codecs[1]["grid"] == "ZSTD"


def test_pandas_and_geoparquet_headers_are_kept(tmp_path, grids):
    frame = gpd.GeoDataFrame(
        {"n": pd.array([1, None, 3], "Int64")},
        geometry=gpd.points_from_xy([112.005, 112.015, 5], [30.005, 30.015, 5]),
        crs=4490,
    ).set_index(pd.Index(["a", "b", "c"], name="key"))  # fmt: skip
    frame.to_parquet(tmp_path / "p.parquet")
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    found = gpd.read_parquet(tmp_path / "o.parquet")
    assert found.crs == frame.crs
    pd.testing.assert_frame_equal(pd.DataFrame(found[["n", "geometry"]]), pd.DataFrame(frame))
    assert found["grid"].tolist()[:2] == ["990000", "990101"]


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_geometry_of_every_encoding(tmp_path, grids, encoding):
    points = [shapely.Point(112.005, 30.005), None, shapely.Point(112.015, 30.015), shapely.Point(0, 0)]
    frame = gpd.GeoDataFrame({"n": range(4)}, geometry=points, crs=4326)
    frame.to_parquet(tmp_path / "p.parquet", geometry_encoding=encoding, row_group_size=3)
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["grid"].to_pylist() == ["990000", None, "990101", None]
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.gpkg")
    found = gpd.read_file(tmp_path / "o.gpkg")
    assert shapely.to_wkt(found.geometry.to_numpy()).tolist() == [
        None if p is None else p.wkt for p in points
    ]


def test_empty_and_odd_geometry_is_nobodys(tmp_path, grids):
    shapes = [
        b"",
        shapely.to_wkb(shapely.Point()),
        shapely.to_wkb(shapely.MultiPoint([(112.005, 30.005)])),
        b"rubbish",
    ]
    shapes.append(shapely.to_wkb(shapely.Point(112.005, 30.005, 7)))
    pq.write_table(pa.table({"geometry": pa.array(shapes, pa.binary())}), tmp_path / "p.parquet")
    summary = assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["method"].to_pylist() == [
        "none",
        "none",
        "inside",
        "none",
        "inside",
    ]
    assert summary.tally.unreadable == 1
    assert any("row 4" in note for note in summary.notes)


KINDS = ("parquet", "csv", "csv.gz", "xlsx", "gpkg", "geojson", "shp", "fgb")


def write_points(path, ending):
    """Three points in a file of any kind, whose columns are as plain as the plainest of them."""
    frame = pd.DataFrame({"id": ["007", "8", "9"], "名": ["甲, 乙", "丙", None]})
    lon, lat = [112.005, 112.025, 111.0], [30.005, 30.015, 30.0]
    if ending in {"gpkg", "geojson", "shp", "fgb"}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(lon, lat), crs=4326).to_file(
                path, encoding="utf-8"
            )
        return
    frame["lon"], frame["lat"] = lon, lat
    if ending == "parquet":
        frame.to_parquet(path, index=False)
    elif ending == "xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False)


def read_back(path, ending):
    if ending == "parquet":
        return pq.read_table(path).to_pandas()
    if ending == "xlsx":
        return pd.read_excel(path, dtype={"id": str, "grid": str})
    if ending.startswith("csv"):
        return pd.read_csv(path, dtype={"id": str, "grid": str})
    return gpd.read_file(path)


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_becomes_any_other(tmp_path, grids, kind, target):
    points, out = tmp_path / f"p.{kind}", tmp_path / f"o.{target}"
    write_points(points, kind)
    summary = assign(points, grids, out)
    found = read_back(out, target)
    assert found["id"].tolist() == ["007", "8", "9"]
    assert found["名"].tolist()[:2] == ["甲, 乙", "丙"]
    assert found["grid"].tolist()[:2] == ["990000", "990102"]
    assert pd.isna(found["grid"].tolist()[2])
    assert found["method"].tolist() == ["inside", "inside", "none"]
    assert found["distance_m"].tolist()[:2] == [0.0, 0.0]
    assert summary.tally.rows == 3
    names = [name for name in found.columns if name not in {"lon", "lat", "geometry", "geom"}]
    assert names == ["id", "名", "grid", "method", "distance_m"]
    if target in {"gpkg", "geojson", "shp", "fgb"}:
        np.testing.assert_allclose(found.geometry.x, [112.005, 112.025, 111.0], rtol=0, atol=1e-12)
        assert found.crs.to_epsg() == 4326
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


@pytest.mark.parametrize("target", ["csv", "xlsx", "gpkg", "geojson", "shp", "fgb"])
def test_rich_types_find_a_form_in_every_kind(tmp_path, grids, target):
    pq.write_table(rich_table(), tmp_path / "p.parquet")
    out = tmp_path / f"o.{target}"
    assign(tmp_path / "p.parquet", grids, out)
    found = read_back(out, target) if target != "geojson" else pd.DataFrame(
        [each["properties"] for each in json.loads(out.read_text())["features"]]
    )  # fmt: skip
    assert len(found) == 8
    assert [float(value) for value in found["amount"]][:7] == [1.5] * 7
    assert found["category"].tolist() == ["dispute", "hazard"] * 4
    assert found["grid"].iloc[:4].astype(str).tolist() == GRID[:4]
    if target != "shp":
        assert [json.loads(text) if isinstance(text, str) else text for text in found["who"]] == [
            {"n": 1, "s": "x"}
        ] * 8


def test_text_of_a_csv_goes_through_to_the_letter(tmp_path, grids):
    text = 'id,"a ""b""",lon,lat\n 01 ,"x, y\nz",112.005,30.005\n1e5,  ,abc,30.0\n,é,,\n'
    (tmp_path / "p.csv").write_text(text)
    summary = assign(tmp_path / "p.csv", grids, tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == (
        'id,"a ""b""",lon,lat,grid,method,distance_m\n'
        ' 01 ,"x, y\nz",112.005,30.005,990000,inside,0\n1e5,  ,abc,30.0,,none,\n,é,,,,none,\n'
    )
    assert summary.tally.unreadable == 1
    assert any("row 2, 'abc'" in note for note in summary.notes)


def test_a_csv_in_gb18030_and_chinese_column_names(tmp_path, grids):
    (tmp_path / "p.csv").write_bytes("编号;经度;纬度;地址\n1;112.005;30.005;栖冈村\n".encode("gb18030"))
    assign(tmp_path / "p.csv", grids, tmp_path / "o.parquet")
    (row,) = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert (row["地址"], row["grid"]) == ("栖冈村", "990000")


def test_a_shapefile_in_gbk_without_its_encoding(tmp_path, grids):
    frame = gpd.GeoDataFrame(
        {"名称": ["栖冈村的一处地方", "网格员巡查记录"]},
        geometry=gpd.points_from_xy([112.005, 112.015], [30.005, 30.005]),
        crs=4326,
    )  # fmt: skip
    pyogrio.write_dataframe(frame, tmp_path / "p.shp", encoding="GB18030")
    (tmp_path / "p.cpg").unlink()
    assign(tmp_path / "p.shp", grids, tmp_path / "o.csv")
    found = pd.read_csv(tmp_path / "o.csv", dtype=str)
    assert found["名称"].tolist() == ["栖冈村的一处地方", "网格员巡查记录"]
    assert found["grid"].tolist() == ["990000", "990001"]


def test_a_sheet_keeps_types_and_makes_no_formula(tmp_path, grids):
    frame = pd.DataFrame({"n": [1, 2], "when": [pd.Timestamp("2026-01-01"), None], "mixed": ["=1+1", 5]})
    frame["lon"], frame["lat"] = [112.005, 1.0], [30.005, 1.0]
    pq.write_table(
        pa.Table.from_pandas(frame.astype({"mixed": str}), preserve_index=False), tmp_path / "p.parquet"
    )
    assign(tmp_path / "p.parquet", grids, tmp_path / "s.xlsx")
    assign(tmp_path / "s.xlsx", grids, tmp_path / "o.parquet", prefix="b_")
    found = pq.read_table(tmp_path / "o.parquet")
    assert found["mixed"].to_pylist() == ["=1+1", "5"]
    assert found.schema.field("n").type == pa.int64()
    assert pa.types.is_timestamp(found.schema.field("when").type)
    assert found["b_grid"].to_pylist() == found["grid"].to_pylist() == ["990000", None]


def test_memory_goes_by_blocks(tmp_path, grids, monkeypatch):
    monkeypatch.setattr(assign_parquet, "BLOCK_ROWS", 1000)
    many = 10_500
    pq.write_table(
        pa.table({"lon": np.full(many, 112.005), "lat": np.full(many, 30.005)}), tmp_path / "p.parquet"
    )
    assign(tmp_path / "p.parquet", grids, tmp_path / "o.parquet")
    meta = pq.ParquetFile(tmp_path / "o.parquet").metadata
    assert max(meta.row_group(n).num_rows for n in range(meta.num_row_groups)) <= 1024
    assert meta.num_rows == many


def test_a_file_without_rows(tmp_path, grids):
    pq.write_table(points_table().slice(0, 0), tmp_path / "p.parquet")
    for target in ("parquet", "csv", "gpkg"):
        summary = assign(tmp_path / "p.parquet", grids, tmp_path / f"o.{target}")
        assert summary.tally.rows == 0
        assert list(read_back(tmp_path / f"o.{target}", target).columns)[:6] == [
            "id", "lon", "lat", "grid", "method", "distance_m",
        ]  # fmt: skip
