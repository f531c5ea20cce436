"""`gridmap load areas`: an edition from a file, whole or not at all."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

BOW_TIE = shapely.Polygon([(112.1, 30), (112.11, 30.01), (112.11, 30), (112.1, 30.01)])


def with_rows(frame, *rows):
    """The county with more areas, each (code, kind, parent, shape)."""
    more = gpd.GeoDataFrame(
        {
            "code": [row[0] for row in rows],
            "kind": [row[1] for row in rows],
            "name": ["新" for _ in rows],
            "parent": [row[2] for row in rows],
        },
        geometry=[row[3] for row in rows],
        crs=4490,
    )
    import pandas as pd

    return pd.concat([frame, more], ignore_index=True)


def test_a_dry_run_stores_nothing_and_says_so(gridmap, frame, tmp_path):
    frame.to_file(tmp_path / "f.gpkg")
    result = gridmap("load", "areas", tmp_path / "f.gpkg")
    assert "read 8" in result.output
    assert "created 8" in result.output
    assert "Dry run, nothing stored" in result.output
    assert gridmap.one("SELECT count(*) FROM area") == 0
    assert gridmap.one("SELECT count(*) FROM edition") == 0


def test_what_is_committed_is_an_edition_in_force_since_ever(gridmap, frame, tmp_path):
    frame.to_file(tmp_path / "f.gpkg")
    assert "edition 1" in gridmap("load", "areas", tmp_path / "f.gpkg", "--commit").output
    assert gridmap.one("SELECT in_force_from = '-infinity' FROM edition") is True
    assert gridmap.rows("SELECT path::text, parent FROM area WHERE name = '西二'") == [
        ("990126.990126001002.99012600100200102", "990126001002")
    ]
    again = gridmap("load", "areas", tmp_path / "f.gpkg", "--commit")
    assert "unchanged 8" in again.output
    assert gridmap.one("SELECT count(*) FROM edition") == 1


@pytest.mark.parametrize("kind", ["shp", "geojson", "fgb", "parquet", "xlsx"])
def test_areas_come_in_any_kind_of_file(gridmap, frame, tmp_path, kind):
    path = tmp_path / f"f.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "xlsx":
        frame.to_wkt().rename(columns={"geometry": "图形", "code": "编码"}).to_excel(path, index=False)
    else:
        frame.to_file(path, **({"encoding": "GBK"} if kind == "shp" else {}))
    if kind == "shp":
        path.with_suffix(".cpg").unlink()
    gridmap("load", "areas", path, "--commit")
    assert gridmap.one("SELECT name FROM area WHERE code = '990126'") == "云江县"
    assert gridmap.one("SELECT count(*) FROM area") == 8


def test_the_same_areas_in_another_kind_of_file_are_unchanged(county, tmp_path):
    for kind in ("shp", "geojson", "fgb", "parquet", "csv"):
        county("dump", "areas", tmp_path / f"d.{kind}")
        assert "unchanged 8" in county("load", "areas", tmp_path / f"d.{kind}").output, kind


def test_refused_rows_are_named_and_nothing_is_stored(gridmap, frame, tmp_path, findings):
    bad = with_rows(
        frame,
        ("b1", "micro", "990126001001", BOW_TIE),
        ("b 2", "micro", None, shapely.box(112, 30, 112.01, 30.01)),
        ("b3", "galaxy", None, shapely.box(112, 30, 112.01, 30.01)),
        ("b4", "micro", "nobody", shapely.box(112, 30, 112.01, 30.01)),
        ("990126", "county", None, shapely.box(112, 30, 112.01, 30.01)),
        ("b5", "micro", None, None),
        ("b6", "micro", None, shapely.box(30, 112, 30.01, 112.01)),
        ("b7", "micro", None, shapely.LineString([(0, 0), (1, 1)])),
        ("b8", "county", "990126001001", shapely.box(112, 30, 112.01, 30.01)),
    )
    bad.to_file(tmp_path / "f.gpkg")
    result = gridmap(
        "load", "areas", tmp_path / "f.gpkg", "--commit", "--report", tmp_path / "r.json", code=1
    )
    assert "refused 9" in result.output
    assert "Nothing stored" in result.output
    assert gridmap.one("SELECT count(*) FROM area") == 0
    found = {each["row"]: each for each in findings()}
    assert {row: each["code"] for row, each in found.items()} == {
        9: "invalid",
        10: "bad_code",
        11: "unknown_kind",
        12: "unknown_parent",
        13: "duplicate_code",
        14: "no_geometry",
        15: "swapped_axes",
        16: "wrong_geometry",
        17: "bad_parent",
    }
    assert found[9]["where"] == pytest.approx([112.105, 30.005])
    assert found[9]["field"] == "geometry"
    assert found[10]["value"] == "b 2"
    assert all(each["file"] == "f.gpkg" for each in found.values())
    assert "f.gpkg, row 9, b1, geometry: 图形无效（自相交等） Self-intersection" in result.stderr


def test_boundaries_alone_leave_names_and_settings(county, frame, tmp_path):
    settings = {"99012600100100101": "urban"}
    frame.assign(setting=[settings.get(code) for code in frame.code]).to_file(tmp_path / "f.gpkg")
    county("load", "areas", tmp_path / "f.gpkg", "--commit")
    stored = county.rows("SELECT code, name, setting FROM area WHERE edition_to IS NULL ORDER BY code")
    bare = frame[["code", "kind", "geometry"]]
    bare.to_file(tmp_path / "g.gpkg")
    assert "unchanged 8" in county("load", "areas", tmp_path / "g.gpkg", "--commit").output
    bare.assign(name="", setting=None).to_file(tmp_path / "h.gpkg")
    assert "changed 1 · 未变 unchanged 7" in county("load", "areas", tmp_path / "h.gpkg", "--commit").output
    now = county.rows("SELECT code, name, setting FROM area WHERE edition_to IS NULL ORDER BY code")
    assert [row[:2] for row in now] == [row[:2] for row in stored]
    assert [row[2] for row in now] == [None] * 8  # a column that is there and empty says so


def test_characters_that_cannot_be_seen_do_not_get_into_names(gridmap, frame, tmp_path):
    frame.loc[0, "name"] = "\u202e云江\x07县\x1b[31m\n（新）\u200b"
    frame.to_file(tmp_path / "f.gpkg")
    gridmap("load", "areas", tmp_path / "f.gpkg", "--commit")
    assert gridmap.one("SELECT name FROM area WHERE code = '990126'") == "云江县[31m （新）"


def test_skip_refused_stores_the_others(gridmap, frame, tmp_path):
    with_rows(frame, ("b1", "micro", None, BOW_TIE), ("b4", "micro", "nobody", BOW_TIE)).to_file(
        tmp_path / "f.gpkg"
    )
    result = gridmap("load", "areas", tmp_path / "f.gpkg", "--commit", "--skip-refused", code=1)
    assert "created 8" in result.output
    assert gridmap.one("SELECT count(*) FROM area") == 8


def test_repair_stores_all_and_says_by_how_much(gridmap, frame, tmp_path, findings):
    with_rows(frame, ("b1", "village", None, BOW_TIE)).to_file(tmp_path / "f.gpkg")
    report = ("--report", tmp_path / "r.json")
    result = gridmap("load", "areas", tmp_path / "f.gpkg", "--commit", "--repair", *report)
    assert "repaired 1" in result.output
    (finding,) = findings()
    assert (finding["code"], finding["severity"], finding["unit"]) == ("repaired", "info", "m2")
    assert finding["measure"] > 500_000
    assert gridmap.one("SELECT ST_IsValid(geom) FROM area WHERE code = 'b1'") is True


def test_a_later_load_closes_what_changed_and_never_takes_a_code_of_another_kind(county, frame, tmp_path):
    frame.loc[frame.code == "990126D01", "name"] = "新市场"
    frame.loc[frame.code == "990126001001", "kind"] = "town"
    frame.to_file(tmp_path / "g.gpkg")
    result = county("load", "areas", tmp_path / "g.gpkg", "--commit", "--skip-refused", code=1)
    assert "changed 1" in result.output
    assert "belongs to a village" in result.stderr
    assert county.rows(
        "SELECT name, edition_from, edition_to FROM area WHERE code = '990126D01' ORDER BY 2"
    ) == [
        ("市场", 1, 2),
        ("新市场", 2, None),
    ]


def test_one_kind_for_all_and_names_from_a_register(gridmap, frame, table, tmp_path):
    bare = frame[frame.kind == "village"][["code", "geometry"]].rename(columns={"code": "GEOID"})
    bare.to_file(tmp_path / "f.gpkg")
    register = table("code,name,parent", "990126001001,东风村,990126001", "990126001002,西风村,990126001")
    result = gridmap(
        *("load", "areas", tmp_path / "f.gpkg", "--kind", "village", "--names", register, "--commit")
    )
    assert "1 parents of the register are not loaded (990126001)" in result.output
    assert gridmap.rows("SELECT name, kind, parent FROM area ORDER BY code") == [
        ("东风村", "village", None),
        ("西风村", "village", None),
    ]


def test_without_a_kind_the_remedy_is_named(gridmap, frame, tmp_path):
    frame[["code", "geometry"]].to_file(tmp_path / "f.gpkg")
    result = gridmap("load", "areas", tmp_path / "f.gpkg", code=1)
    assert "no column for kind" in result.output
    assert "--set kind=" in result.output


def test_gauss_krueger_and_gcj02_come_in_as_what_they_are(gridmap, frame, tmp_path):
    frame.to_crs(4546).to_file(tmp_path / "zone.gpkg")
    gridmap("load", "areas", tmp_path / "zone.gpkg", "--commit")
    away = gridmap.one(
        "SELECT max(ST_Distance(ST_PointN(ST_ExteriorRing(ST_GeometryN(geom, 1)), 1)::geography,"
        " ST_SetSRID(ST_MakePoint(112.04, 30.00), 4326)::geography)) FROM area WHERE code = '990126'"
    )
    assert away < 0.01
    shifted = gridmap("load", "areas", tmp_path / "zone.gpkg", "--crs", "gcj02", code=1)
    assert "for metres name the reference system" in shifted.output


@pytest.mark.parametrize("how", ["parent", "code"])
def test_areas_shifted_against_what_is_stored_are_suspected(county, tmp_path, how):
    from gridmap import crs

    codes = {"parent": "n{}", "code": "990126001001{}"}[how]
    more = {"parent": "990126001001"} if how == "parent" else {}

    west, south = np.meshgrid(np.arange(112, 112.0195, 0.001), np.arange(30, 30.0095, 0.001))
    boxes = shapely.box(west.ravel(), south.ravel(), west.ravel() + 0.001, south.ravel() + 0.001)

    def shift(xy):
        return np.column_stack(crs.convert(xy[:, 0], xy[:, 1], "wgs84", "gcj02"))

    for shapes, suspected in ((boxes, False), (shapely.transform(boxes, shift), True)):
        gpd.GeoDataFrame(
            {"code": [codes.format(i) for i in range(100, 300)], "kind": "comprehensive", **more},
            geometry=list(shapes),
            crs=4326,
        ).to_file(tmp_path / "n.gpkg")
        # shifted ones also leave their village, and are refused for that
        result = county("load", "areas", tmp_path / "n.gpkg", code=int(suspected))
        assert ("warning: these points look like GCJ-02" in result.output) == suspected


def test_a_constant_that_means_nothing_is_said_once(gridmap, frame, tmp_path):
    frame.to_file(tmp_path / "f.gpkg")
    result = gridmap("load", "areas", tmp_path / "f.gpkg", "--kind", "galaxy", code=1)
    assert result.output.count("galaxy") == 1
    assert "province, city, county" in result.output


def test_a_terminal_sees_a_bar(monkeypatch):
    import io

    from api import progress

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(progress.sys, "stderr", Terminal())
    with progress.progress_of("f.gpkg") as told:
        told(0.25)
        told(1.0)
    assert "100%" in progress.sys.stderr.getvalue()


def test_a_report_that_cannot_be_written_is_said_before_anything_is_read(gridmap, frame, tmp_path):
    frame.to_file(tmp_path / "f.gpkg")
    result = gridmap("load", "areas", tmp_path / "f.gpkg", "--report", tmp_path / "no" / "r.csv", code=1)
    assert "--report" in result.output
    assert "cannot be written" in result.output


def test_a_file_of_the_wrong_kind_is_one_sentence_and_stands_in_the_report(gridmap, tmp_path, findings):
    (tmp_path / "a.gpkg").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    result = gridmap("load", "areas", tmp_path / "a.gpkg", "--report", tmp_path / "r.json", code=1)
    assert "is a PNG picture" in result.output
    assert "Traceback" not in result.output
    assert findings()[0]["code"] == "bad_file"
