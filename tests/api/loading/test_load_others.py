"""`gridmap load buildings|streets|workers`, and `gridmap dump`."""

import datetime as dt
import json

import geopandas as gpd
import openpyxl
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

BUILDINGS = ("楼栋编码,名称,户数,经度,纬度", "b1,一栋,40,112.005,30.005", "b2,二栋,60,112.015,30.005")


def test_buildings_bring_households_to_their_areas(county, table):
    path = table(*BUILDINGS, encoding="gbk")
    result = county("load", "buildings", path, "--commit")
    assert "created 2" in result.output
    assert "encoding detected: gb18030" in result.output
    counts = dict(county.rows("SELECT code, households FROM household_count"))
    assert counts["990126001001"] == 100
    assert counts["99012600100100101"] == 40
    changed = table(BUILDINGS[0], "b1,一栋,41,112.005,30.005", BUILDINGS[2])
    assert "changed 1 · 未变 unchanged 1" in county("load", "buildings", changed, "--commit").output
    assert county.one("SELECT households FROM household_count WHERE code = '990126'") == 101


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("b3,x,-1,112.005,30.005", "not_whole"),
        ("b3,x,1.5,112.005,30.005", "not_whole"),
        ("b3,x,,112.005,30.005", "missing"),
        ("b 3,x,1,112.005,30.005", "bad_code"),
        ("b1,x,1,112.005,30.005", "duplicate_code"),
        ("b3,x,1,30.005,112.005", "swapped_axes"),
        ("b3,x,1,,", "missing"),
    ],
)
def test_each_impossible_building_is_named(county, table, tmp_path, findings, line, code):
    path = table(*BUILDINGS, line)
    county("load", "buildings", path, "--commit", "--report", tmp_path / "r.json", code=1)
    assert [(each["row"], each["code"]) for each in findings()] == [(4, code)]
    assert county.one("SELECT count(*) FROM building") == 0
    county("load", "buildings", path, "--commit", "--skip-refused", code=1)
    assert county.one("SELECT count(*) FROM building") == 2


def test_footprints_that_cross_themselves_are_repaired_where_asked(county, tmp_path):
    bow_tie = shapely.Polygon([(112.001, 30.001), (112.002, 30.002), (112.002, 30.001), (112.001, 30.002)])
    frame = gpd.GeoDataFrame({"code": ["b1"], "households": [3]}, geometry=[bow_tie], crs=4326)
    frame.to_file(tmp_path / "b.gpkg")
    assert "Self-intersection" in county("load", "buildings", tmp_path / "b.gpkg", code=1).stderr
    assert "repaired 1" in county("load", "buildings", tmp_path / "b.gpkg", "--repair", "--commit").output
    assert county.one("SELECT ST_IsValid(geom) FROM building") is True


def test_buildings_outside_of_all_areas_are_stored_and_said(county, table):
    result = county("load", "buildings", table(*BUILDINGS, "b3,x,1,100,30"), "--commit")
    assert "1 buildings lie in no area" in result.output
    assert county.one("SELECT count(*) FROM building") == 3


def test_grids_that_fall_out_of_their_range_are_listed(county, table, tmp_path, findings):
    """One grows too large, one too small, a building over the most stands alone, and one was out before."""
    head = BUILDINGS[0]
    county("load", "buildings", table(head, "a,,60,112.005,30.005", "b,,60,112.015,30.005", "c,,60,112.025,30.005",
                                      "d,,5,112.031,30.005"), "--commit")  # fmt: skip
    report = ("--report", tmp_path / "r.json")
    update = table(head, "a,,60,112.005,30.005", "e,,90,112.006,30.005", "b,,3,112.015,30.005",
                   "c,,160,112.025,30.005", "d,,6,112.031,30.005")  # fmt: skip
    result = county("load", "buildings", update, *report)
    fell = {each["area"]: (each["code"], each["severity"], each["measure"]) for each in findings()}
    assert fell == {
        "99012600100100101": ("households_out_of_range", "warning", 150),
        "99012600100100102": ("households_out_of_range", "warning", 3),
    }
    assert "2 个网格户数超出范围" in result.output
    assert "99012600100100101 60 → 150; 99012600100100102 60 → 3" in result.output
    assert "grids out of range in all: 3 of 4" in result.output
    county("load", "buildings", update, "--commit")
    assert "超出范围" not in county("load", "buildings", update, "--commit").output


def test_streets_in_words_of_openstreetmap_and_in_chinese(gridmap, tmp_path):
    lines = [shapely.LineString([(112, 30 + i / 100), (112.1, 30)]) for i in range(4)]
    frame = gpd.GeoDataFrame({"highway": ["primary", "footway", None, "高速"]}, geometry=lines, crs=4326)
    frame.to_file(tmp_path / "s.gpkg")
    gridmap("load", "streets", tmp_path / "s.gpkg", "--commit")
    assert gridmap.rows("SELECT class, count(*) FROM street GROUP BY 1 ORDER BY 1") == [
        ("main", 1),
        ("motorway", 1),
        ("path", 1),
        ("street", 1),
    ]
    frame.loc[0, "highway"] = "airway"
    frame.to_file(tmp_path / "s.gpkg")
    assert "class is none of motorway, main" in gridmap("load", "streets", tmp_path / "s.gpkg", code=1).stderr


WORKERS = "工号,姓名,岗位,单位,unit_name,unit_kind,责任网格,班次"


def test_workers_with_units_areas_and_shifts(county, table):
    path = table(
        WORKERS,
        "w1,江一,专职网格员,u1,云江综治中心,综治中心,99012600100100101;99012600100100102,1-5 08:00-18:00",
        "w2,江二,police,u1,,,990126,周六至周日 20:00-08:00；3 00:00-24:00",
    )
    assert "created 2" in county("load", "workers", path, "--commit").output
    assert county.rows("SELECT code, kind FROM unit") == [("u1", "centre")]
    served = "SELECT w.code, s.area FROM service_area s JOIN worker w ON w.id = s.worker ORDER BY 1, 2"
    assert county.rows(served) == [
        ("w1", "99012600100100101"),
        ("w1", "99012600100100102"),
        ("w2", "990126"),
    ]
    assert county.rows(
        "SELECT weekday, starts_at, ends_at FROM shift s JOIN worker w ON w.id = s.worker"
        " WHERE w.code = 'w2' ORDER BY 1, 2"
    ) == [
        (3, dt.time(0), dt.time(12)),
        (3, dt.time(12), dt.time(0)),
        (6, dt.time(20), dt.time(8)),
        (7, dt.time(20), dt.time(8)),
    ]
    assert "unchanged 2" in county("load", "workers", path, "--commit").output


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("w2,x,astronaut,,,,,", "unknown_role"),
        ("w2,x,leader,nobody,,,,", "unknown_unit"),
        ("w2,x,leader,,,,99012600100100101;nowhere,", "unknown_area"),
        ("w2,x,leader,,,,,weekdays", "bad_shift"),
        ("w2,x,leader,,,,,1 08:00-08:00", "bad_shift"),
        ("w2,x,leader,,,,,1 25:00-26:00", "bad_shift"),
        ("w2,,leader,,,,,", "missing"),
        ("w1,x,leader,,,,,", "duplicate_code"),
    ],
)
def test_each_impossible_worker_is_named(county, table, tmp_path, findings, line, code):
    path = table(WORKERS, "w1,江一,网格长,,,,,", line)
    county("load", "workers", path, "--commit", "--report", tmp_path / "r.json", code=1)
    assert [(each["row"], each["code"]) for each in findings()] == [(3, code)]
    assert county.one("SELECT count(*) FROM worker") == 0


def test_a_column_that_is_not_there_lists_those_that_are(county, table):
    result = county("load", "buildings", table(*BUILDINGS), "--fields", "code=nr", code=1)
    assert "no such column; it has 楼栋编码, 名称, 户数, 经度, 纬度" in result.output


@pytest.fixture
def furnished(county, table):
    county("load", "buildings", table(*BUILDINGS), "--commit")
    county(
        "load", "events", table("external_id,category,occurred_at,lon,lat,title",
            "1,dispute,2026-03-01T08:00:00Z,112.005,30.005,私密", "2,appeal,2026-03-02,112.005,30.005,t"),
        "--set", "source=s", "--commit",
    )  # fmt: skip
    return county


def test_dump_writes_cgcs2000_into_geopackage_and_wgs84_into_geojson(furnished, tmp_path):
    for kind, number in (("gpkg", 4490), ("shp", 4490), ("geojson", 4326), ("fgb", 4326), ("parquet", 4326)):
        furnished("dump", "areas", tmp_path / f"a.{kind}")
        path = tmp_path / f"a.{kind}"
        frame = gpd.read_parquet(path) if kind == "parquet" else gpd.read_file(path)
        assert frame.crs.to_epsg() == number, kind
        assert len(frame) == 8
        assert dict(zip(frame.code, frame.name, strict=True))["990126"] == "云江县"
        assert dict(zip(frame.code, frame.households, strict=True))["990126"] == 100
    furnished("dump", "areas", tmp_path / "g.gpkg", "--crs", "EPSG:4546", "--kind", "county")
    (shape,) = gpd.read_file(tmp_path / "g.gpkg").to_crs(4490).geometry
    assert shape.symmetric_difference(shapely.box(112.0, 30.0, 112.04, 30.01)).area < 1e-12
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_dumped_events_carry_no_text(furnished, tmp_path):
    for kind in ("gpkg", "geojson", "csv", "xlsx", "parquet"):
        assert "written 2" in furnished("dump", "events", tmp_path / f"e.{kind}").output
    for path in tmp_path.glob("e.*"):
        assert "私密".encode() not in path.read_bytes()
    furnished("dump", "events", tmp_path / "f.csv", "--kind", "dispute")
    rows = (tmp_path / "f.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == 2
    assert "2026-03-01T08:00:00.000000Z" in rows[1]
    assert rows[1].endswith("112.005,30.005")


def mark_of(path):
    """The mark that goes along with a dump."""
    beside = path.with_name(f"{path.name}.mark.json")
    if beside.exists():
        return json.loads(beside.read_text("utf-8"))
    if path.suffix == ".geojson":
        return json.loads(path.read_text("utf-8"))["gridmap_export"]
    if path.suffix == ".parquet":
        return json.loads(pq.read_schema(path).metadata[b"gridmap_export"])
    if path.suffix == ".xlsx":
        return json.loads(openpyxl.load_workbook(path).properties.description)
    info = pyogrio.read_info(path)
    return json.loads((info["dataset_metadata"] or info["layer_metadata"])["gridmap_export"])


def test_a_dump_says_who_took_it_out_when_why_and_by_which_edition(furnished, tmp_path):
    kinds = ("gpkg", "shp", "geojson", "fgb", "parquet", "csv", "csv.gz", "xlsx")
    for kind in kinds:
        path = tmp_path / f"e.{kind}"
        furnished("dump", "events", path, "--reason", "年度检查 yearly", "--kind", "dispute")
        mark = mark_of(path)
        assert mark["exported_by"].startswith("operator:"), kind
        assert dt.datetime.fromisoformat(mark["exported_at"]).tzinfo is not None
        assert (mark["reason"], mark["what"]) == ("年度检查 yearly", "events")
        assert (mark["kind"], mark["edition"]) == ("dispute", 1)
        # What was marked is read as before; the event is there with another title.
        again = furnished("load", "events", path, "--set", "title=x", code=1)
        assert "read 1" in again.output
        assert "with other content" in again.output
    records = furnished.rows("SELECT actor, reason FROM audit WHERE action = 'dump.events'")
    assert records == [("operator", "年度检查 yearly")] * len(kinds)


def test_what_a_source_wrote_becomes_no_formula_in_a_sheet(county, table, tmp_path):
    lines = ("external_id,category,occurred_at,lon,lat,title", "=1+1,appeal,2026-03-02,112.005,30.005,t")
    county("load", "events", table(*lines), "--set", "source=s\x07", "--commit")
    county("dump", "events", tmp_path / "e.xlsx", "--reason", "test")
    sheet = openpyxl.load_workbook(tmp_path / "e.xlsx").active
    cells = dict(zip((each.value for each in sheet[1]), sheet[2], strict=True))
    assert (cells["external_id"].value, cells["external_id"].data_type) == ("=1+1", "s")
    assert cells["source"].value == "s"


def test_events_taken_out_without_a_reason_are_recorded_as_such_and_areas_need_none(
    furnished, tmp_path, monkeypatch
):
    said = furnished("dump", "events", tmp_path / "e.csv")
    assert "--reason" in said.stderr
    assert mark_of(tmp_path / "e.csv")["reason"] == "no reason given"
    assert furnished("dump", "areas", tmp_path / "a.csv").stderr == ""
    assert "says why" in furnished("dump", "areas", tmp_path / "b.csv", "--reason", " ", code=1).output
    assert furnished.rows("SELECT action, reason FROM audit WHERE action LIKE 'dump.%' ORDER BY id") == [
        ("dump.events", "no reason given"),
        ("dump.areas", None),
    ]
    # A person is asked.
    monkeypatch.setattr("api.cli_dump._is_asked", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: "asked and told")
    furnished("dump", "events", tmp_path / "f.csv")
    assert mark_of(tmp_path / "f.csv")["reason"] == "asked and told"


def test_dump_as_of_a_moment(furnished, frame, tmp_path):
    before = dt.datetime.now(dt.UTC).isoformat()
    frame.loc[frame.code == "990126D01", "name"] = "新市场"
    frame.to_file(tmp_path / "g.gpkg")
    furnished("load", "areas", tmp_path / "g.gpkg", "--commit")
    furnished("dump", "areas", tmp_path / "then.csv", "--at", before)
    furnished("dump", "areas", tmp_path / "now.csv")
    assert "新市场" not in (tmp_path / "then.csv").read_text("utf-8")
    assert "新市场" in (tmp_path / "now.csv").read_text("utf-8")
    furnished("dump", "events", tmp_path / "e.csv", "--at", "2026-03-02")
    assert "written 1" not in furnished("dump", "events", tmp_path / "e.csv", "--at", "2026-03-03").output
    assert (
        "RFC 3339 with a zone"
        in furnished("dump", "areas", tmp_path / "x.csv", "--at", "2026-03-01T08:00", code=1).output
    )


def test_a_dump_that_fails_leaves_no_file_and_the_old_one_as_it_was(gridmap, tmp_path, monkeypatch):
    # the second street lies a quarter of the world away from the zone: the first has been written by then
    monkeypatch.setattr("boundaries.dump.CHUNK_ROWS", 1)
    lines = [shapely.LineString([(112, 30), (112, 31)]), shapely.LineString([(22, 0), (22, 1)])]
    gpd.GeoDataFrame(geometry=lines, crs=4326).to_file(tmp_path / "s.gpkg")
    gridmap("load", "streets", tmp_path / "s.gpkg", "--commit")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.gpkg").write_bytes(b"old")
    for kind in ("gpkg", "shp", "csv", "parquet", "geojson", "fgb"):
        result = gridmap("dump", "streets", out / f"a.{kind}", "--crs", "EPSG:4546", code=1)
        assert "lie outside of what EPSG:4546 covers" in result.output, kind
    assert (out / "a.gpkg").read_bytes() == b"old"
    assert [each.name for each in out.iterdir()] == ["a.gpkg"]
    assert "the ending decides" in gridmap("dump", "streets", out / "a.doc", code=1).output
    assert "cannot be written" in gridmap("dump", "streets", out / "no" / "a.csv", code=1).output


def test_boundaries_change_around_buildings_that_no_area_holds(county, table, frame, tmp_path):
    county("load", "buildings", table(*BUILDINGS, "b3,x,5,112.05,30.005"), "--commit")
    frame.loc[frame.kind == "county", "geometry"] = shapely.box(112.00, 30.00, 112.06, 30.01)
    frame.to_file(tmp_path / "g.gpkg")
    assert (
        "0 events and 1 buildings changed hands"
        in county("load", "areas", tmp_path / "g.gpkg", "--commit").output
    )
    assert county.one("SELECT leaf FROM building WHERE code = 'b3'") == "990126"
    frame.loc[frame.kind == "county", "geometry"] = shapely.box(112.00, 30.00, 112.04, 30.01)
    frame.to_file(tmp_path / "g.gpkg")
    county("load", "areas", tmp_path / "g.gpkg", "--commit")
    assert county.one("SELECT leaf FROM building WHERE code = 'b3'") is None
    assert county.one("SELECT households FROM household_count WHERE code = '990126'") == 100
