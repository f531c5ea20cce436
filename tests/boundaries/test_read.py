"""Files of every kind come out in one shape; files that are none say so in one sentence."""

import gzip
import json
import sqlite3
import struct
import warnings
import zipfile

import geopandas as gpd
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from boundaries.fields import map_fields
from boundaries.read import open_source
from gridmap.errors import InvalidInput

NAMES = ["北新西街居委会", "永安里社区居委会", "大厂镇"]
SHAPES = [shapely.box(112 + i, 30, 113 + i, 31) for i in range(3)]


@pytest.fixture
def frame():
    return gpd.GeoDataFrame({"编码": ["1", "2", "3"], "名称": NAMES}, geometry=SHAPES, crs=4490)


def everything(source, columns=None):
    chunks = list(source.chunks(source.columns if columns is None else columns))
    rows = np.concatenate([chunk.rows for chunk in chunks])
    values = {
        name: [value for chunk in chunks for value in chunk.columns[name]] for name in chunks[0].columns
    }
    shapes = None
    if chunks[0].geometry is not None:
        shapes = np.concatenate([chunk.geometry for chunk in chunks])
    return rows.tolist(), values, shapes, [problem for chunk in chunks for problem in chunk.problems]


def write_gbk(frame, path, cpg):
    frame.to_file(path, encoding="GBK")
    if not cpg:
        path.with_suffix(".cpg").unlink()


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb", "parquet", "shp", "gbk", "gbk.cpg", "zip"])
def test_map_files_of_every_kind(tmp_path, frame, kind):
    path = tmp_path / f"f.{kind}"
    if kind in {"gpkg", "geojson", "fgb"}:
        frame.to_file(path)
    elif kind == "parquet":
        frame.to_parquet(path)
    elif kind == "zip":
        write_gbk(frame, tmp_path / "a.shp", cpg=True)
        with zipfile.ZipFile(path, "w") as archive:
            for part in tmp_path.glob("a.*"):
                archive.write(part, part.name)
    else:
        path = tmp_path / "f.shp"
        if kind == "shp":
            frame.to_file(path, encoding="UTF-8")
        else:
            write_gbk(frame, path, cpg=kind.endswith("cpg"))
    source = open_source(path, chunk_rows=2)
    rows, values, shapes, problems = everything(source)
    assert rows == [1, 2, 3]
    assert source.columns == ["编码", "名称"]
    assert sorted(values["名称"]) == sorted(NAMES)
    assert problems == []
    by_name = dict(zip(values["名称"], shapes, strict=True))
    for name, shape in zip(NAMES, SHAPES, strict=True):
        assert by_name[name].equals(shape)
    if kind == "gbk":
        assert any("gb18030" in note for note in source.notes)


@pytest.mark.parametrize(
    ("written", "stated"), [("GBK", "UTF-8"), ("GBK", "ISO-8859-1"), ("UTF-8", "936"), ("UTF-8", "big5")]
)
def test_a_cpg_that_is_plainly_wrong_is_told_and_passed_over(tmp_path, frame, written, stated):
    path = tmp_path / "f.shp"
    frame.to_file(path, encoding=written)
    path.with_suffix(".cpg").write_text(stated)
    source = open_source(path)
    assert everything(source)[1]["名称"] == NAMES
    assert source.columns == ["编码", "名称"]
    (told,) = source.notes
    assert "warning" in told
    assert source.path.name in told


def test_a_cpg_is_believed_where_the_texts_do_not_speak_against_it(tmp_path):
    names = ["ÄÖÜ Straße", "МОСКВА"]
    for name, encoding in zip(names, ["ISO-8859-1", "cp1251"], strict=True):
        path = tmp_path / f"{encoding}.shp"
        gpd.GeoDataFrame({"name": [name]}, geometry=SHAPES[:1], crs=4326).to_file(path, encoding=encoding)
        path.with_suffix(".cpg").write_text(encoding)
        source = open_source(path)
        assert everything(source)[1]["name"] == [name]
        assert source.notes == []


def test_a_column_name_that_a_shapefile_cut_through_a_character(tmp_path, frame):
    path = tmp_path / "f.shp"
    cut = frame.rename(columns={"编码": "网格编码", "名称": "网格名称"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that names are cut
        cut.to_file(path, encoding="UTF-8")
    source = open_source(path)
    assert source.columns == ["网格编", "网格名"]
    mapped = map_fields("areas", source.columns, {}, {}, file=path.name)
    assert dict(mapped.columns) == {"code": "网格编", "name": "网格名"}
    assert everything(source)[1]["网格名"] == NAMES


def test_arcs_in_a_map_are_rows_without_a_shape(tmp_path, frame):
    path = tmp_path / "f.gpkg"
    frame.to_file(path)
    ring = np.array([(0, 0), (1, 1), (2, 0), (1, -1), (0, 0)], dtype="<f8")
    arc = struct.pack("<BII", 1, 10, 1) + struct.pack("<BII", 1, 8, len(ring)) + ring.tobytes()
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f'DROP TRIGGER "{name}"')
        file.execute("UPDATE f SET geom = ? WHERE fid = 2", (b"GP\x00\x01" + struct.pack("<i", 4490) + arc,))
    file.close()
    shapes = everything(open_source(path))[2]
    assert [shape is None for shape in shapes] == [False, True, False]


def test_a_wrong_encoding_named_for_a_shapefile_is_a_clear_error(tmp_path, frame):
    write_gbk(frame, tmp_path / "f.shp", cpg=False)
    with pytest.raises(InvalidInput, match="are not utf-8; name the --encoding"):
        open_source(tmp_path / "f.shp", encoding="utf-8")


def test_half_a_character_in_a_shapefile_refuses_its_row(tmp_path):
    frame = gpd.GeoDataFrame({"name": ["好" * 5, "村" * 4]}, geometry=SHAPES[:2], crs=4326)
    frame.to_file(tmp_path / "f.shp", encoding="UTF-8")
    raw = (tmp_path / "f.dbf").read_bytes()
    (tmp_path / "f.dbf").write_bytes(raw.replace("村".encode() * 4, "村".encode() * 3 + b"\xe6\x9d "))
    rows, values, shapes, problems = everything(open_source(tmp_path / "f.shp"))
    assert rows == [1]
    assert values == {"name": ["好" * 5]}
    assert len(shapes) == 1
    assert [(each.row, each.field, each.code) for each in problems] == [(2, "name", "bad_encoding")]


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_geoparquet_in_both_of_its_encodings(tmp_path, encoding):
    shapes = [
        shapely.box(0, 0, 1, 1),
        None,
        shapely.Polygon(SHAPES[0].exterior, [shapely.box(112.2, 30.2, 112.4, 30.4).exterior]),
    ]
    frame = gpd.GeoDataFrame({"a": [1, 2, 3]}, geometry=shapes, crs=4490)
    frame.to_parquet(tmp_path / "f.parquet", geometry_encoding=encoding)
    source = open_source(tmp_path / "f.parquet")
    _, values, found, _ = everything(source)
    assert values == {"a": [1, 2, 3]}
    assert found[1] is None
    assert found[0].equals(shapes[0])
    assert found[2].equals(shapes[2])
    assert "4490" in source.crs


def test_points_of_geoparquet_in_the_native_encoding(tmp_path):
    frame = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 4)], crs=4326)
    frame.to_parquet(tmp_path / "f.parquet", geometry_encoding="geoarrow")
    _, _, found, _ = everything(open_source(tmp_path / "f.parquet"))
    assert [(each.x, each.y) for each in found] == [(1, 2), (3, 4)]


def test_tables_without_geometry(tmp_path):
    pq.write_table(pa.table({"lon": [1.5, None], "name": ["a", None]}), tmp_path / "f.parquet")
    source = open_source(tmp_path / "f.parquet")
    assert not source.has_geometry
    assert everything(source)[1] == {"lon": [1.5, None], "name": ["a", None]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
def test_csv_by_any_delimiter_and_encoding(tmp_path, delimiter, encoding):
    lines = ["编码,名称", "1,北新西街居委会", '"2","永安里\n社区"', "", "3,大厂镇,"]
    path = tmp_path / "f.csv"
    path.write_bytes("\r\n".join(lines).replace(",", delimiter).encode(encoding))
    rows, values, _, problems = everything(open_source(path, chunk_rows=2))
    assert rows == [2, 3, 6]  # lines: the second record has a line break, then comes an empty line
    assert values == {"编码": ["1", "2", "3"], "名称": ["北新西街居委会", "永安里\n社区", "大厂镇"]}
    assert problems == []


def test_csv_rows_that_cannot_be_read_are_named_by_line(tmp_path):
    path = tmp_path / "f.csv.gz"
    good = "".join(f"{i},村{i}\n" for i in range(5)).encode()
    path.write_bytes(gzip.compress(b"code,name\n" + good + b"6,\xe6\x9d\n7\n8,a,b\n9,c\0\n" + good))
    rows, _, _, problems = everything(open_source(path, chunk_rows=3))
    assert rows == [2, 3, 4, 5, 6, 11, 12, 13, 14, 15]
    assert [(each.row, each.code) for each in problems] == [
        (7, "bad_encoding"),
        (8, "bad_row"),
        (9, "bad_row"),
        (10, "bad_encoding"),
    ]
    assert problems[0].field == "name"


def test_a_quote_that_is_never_closed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("boundaries.tables.LONGEST_FIELD", 1000)
    path = tmp_path / "f.csv"
    path.write_text('code,name\n1,a\n2,"b\n' + "3,c\n" * 1000)
    with pytest.raises(InvalidInput, match=r"line 3.*never closed"):
        everything(open_source(path))


def test_xlsx_keeps_types_and_counts_lines(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["code", "households", "name"])
    sheet.append([310101001.0, 12, "a"])
    sheet.append([])
    sheet.append(["x1", None, " b "])
    book.create_sheet("other").append(["z"])
    book.save(tmp_path / "f.xlsx")
    source = open_source(tmp_path / "f.xlsx")
    rows, values, _, _ = everything(source)
    assert rows == [2, 4]
    assert values == {"code": [310101001, "x1"], "households": [12, None], "name": ["a", "b"]}
    assert any("choose with --layer" in note for note in source.notes)
    assert open_source(tmp_path / "f.xlsx", layer="other").columns == ["z"]
    with pytest.raises(InvalidInput, match="it has Sheet, other"):
        open_source(tmp_path / "f.xlsx", layer="third")


def test_several_layers_ask_for_one(tmp_path, frame):
    frame.to_file(tmp_path / "f.gpkg", layer="a")
    frame.to_file(tmp_path / "f.gpkg", layer="b")
    with pytest.raises(InvalidInput, match="--layer: a, b"):
        open_source(tmp_path / "f.gpkg")
    with pytest.raises(InvalidInput, match="no layer 'c'"):
        open_source(tmp_path / "f.gpkg", layer="c")
    assert everything(open_source(tmp_path / "f.gpkg", layer="b"))[0] == [1, 2, 3]


def bad_files(folder, frame):
    """Name and content of files that cannot be read, and what is said of each."""
    frame.to_file(folder / "whole.gpkg")
    frame.to_parquet(folder / "whole.parquet")
    gpkg = (folder / "whole.gpkg").read_bytes()
    parquet = (folder / "whole.parquet").read_bytes()
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    geojson = json.dumps({"type": "FeatureCollection", "features": []})
    return [
        ("a.gpkg", png, "is a PNG picture"),
        ("a.csv", png, "is a PNG picture"),
        ("a.xlsx", b"%PDF-1.7 xxxxxxxx", "is a PDF document"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
        ("empty.gpkg", b"", "is empty"),
        ("empty.csv", b"", "is empty"),
        ("cut.gpkg", gpkg[: len(gpkg) // 2], "cannot be read|cut short"),
        ("cut.parquet", parquet[: len(parquet) // 2], "no readable Parquet"),
        ("cut.geojson", geojson[:-3].encode(), "cannot be read|no kind"),
        ("cut.csv.gz", gzip.compress(b"code,name\n" + bytes(range(48, 58)) * 9999)[:60], "cannot be unpacked"),
        ("no.csv.gz", b"code,name\n1,2\n", "cannot be unpacked"),
        ("no.xlsx", b"code,name\n1,2\n", "no readable workbook"),
        ("what.dat", b"hello world, this is no map", "no kind that is read here"),
        ("only.vrt", b"<OGRVRTDataSource></OGRVRTDataSource>", "only refers to other files"),
        ("hidden.xml", b"<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>", "only refers"),
        ("blank.csv", b"\n\n\n", "no header"),
        ("twice.csv", b"code,code\n1,2\n", "code more than once"),
        ("half.geojson", b'{"type":"FeatureCollection","features":[],"a":"\xe4\xb8"}', "half a UTF-8 character"),
    ]  # fmt: skip


def test_files_of_the_wrong_kind_say_so_in_one_sentence(tmp_path, frame):
    for name, content, message in bad_files(tmp_path, frame):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=message) as caught:
            everything(open_source(path))
        assert name in caught.value.message
        assert "\n" not in caught.value.message


def test_a_folder_and_nothing(tmp_path):
    with pytest.raises(InvalidInput, match="is a folder"):
        open_source(tmp_path)
    with pytest.raises(InvalidInput, match="no such file"):
        open_source(tmp_path / "nothing.gpkg")


@pytest.mark.parametrize("name", ["bomb.xlsx", "bomb.zip"])
def test_an_archive_that_unpacks_to_far_more_than_it_is_worth(tmp_path, name):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(80 << 20))
    with pytest.raises(InvalidInput, match="unpacks to 80 MB"):
        open_source(path)


def test_an_archive_of_several_maps_asks_to_be_unpacked(tmp_path):
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.shp", b"x")
        archive.writestr("b.shp", b"x")
    with pytest.raises(InvalidInput, match=r"found: a\.shp, b\.shp"):
        open_source(path)
