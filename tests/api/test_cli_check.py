"""`gridmap check`: any file, no database, one exit code and one shape of JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from click.testing import CliRunner

from api.cli import main
from boundaries.check_findings import TITLES

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
KEYS = ["code", "severity", "area", "other", "where", "measure", "unit", "message"]
SIDE = 0.001


def square(x, y, wide=1.0, high=1.0):
    return shapely.box(112 + x * SIDE, 30 + y * SIDE, 112 + (x + wide) * SIDE, 30 + (y + high) * SIDE)


def frame(shapes, **columns):
    codes = [f"990126001001001{number:02d}" for number in range(1, len(shapes) + 1)]
    return gpd.GeoDataFrame({"编码": codes, **columns}, geometry=shapes, crs=4326)


CLEAN = [square(0, 0), square(1, 0), square(0, 1), square(1, 1)]
DIRTY = [square(0, 0), square(1, 0), square(0, 1, 1.5), square(1, 1)]


def gridmap(*words, code=None):
    # a database that cannot be reached: nothing may ask for one
    environment = {"GRIDMAP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    result = CliRunner().invoke(main, ["check", *map(str, words)], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert code is None or result.exit_code == code, result.output
    return result


def findings(*words, code=1):
    result = gridmap(*words, "--json", code=code)
    answer = json.loads(result.stdout)
    assert list(answer) == ["findings"]
    assert all(list(each) == KEYS for each in answer["findings"])
    return answer["findings"]


def one_sentence(*words):
    result = gridmap(*words, code=1)
    assert result.stdout == ""
    first = result.stderr.splitlines()[0]
    assert first.startswith("gridmap: ")
    return first


def test_a_clean_file_and_a_dirty_one(tmp_path):
    frame(CLEAN).to_file(tmp_path / "clean.gpkg")
    result = gridmap(tmp_path / "clean.gpkg", code=0)
    assert "检查 checked 4 (micro 4)" in result.stdout
    assert "没有发现问题 nothing found" in result.stdout
    assert findings(tmp_path / "clean.gpkg", code=0) == []
    frame(DIRTY).to_file(tmp_path / "dirty.gpkg")
    result = gridmap(tmp_path / "dirty.gpkg", code=1)
    assert result.stdout.splitlines()[0] == "重叠 overlap"
    assert "发现 findings 1: 重叠 overlap 1" in result.stdout
    (overlap,) = findings(tmp_path / "dirty.gpkg")
    assert (overlap["code"], overlap["severity"], overlap["unit"]) == ("overlap", "error", "m2")
    assert (overlap["area"], overlap["other"]) == ("99012600100100103", "99012600100100104")
    assert overlap["measure"] == pytest.approx(0.5 * 96.49 * 110.85, rel=1e-3)
    assert square(1, 1, 0.5).contains(shapely.Point(overlap["where"]))


@pytest.mark.parametrize("ending", ["geojson", "fgb", "parquet", "shp", "csv", "csv.gz"])
def test_files_of_every_kind(tmp_path, ending):
    path = tmp_path / f"grids.{ending}"
    dirty = frame(DIRTY)
    if ending == "parquet":
        dirty.to_parquet(path)
    elif ending.startswith("csv"):
        dirty.to_wkt().rename(columns={"geometry": "wkt"}).to_csv(path, index=False)
    elif ending == "shp":
        # as they come: GBK, and nothing that says so
        dirty["名称"] = ["北新西街网格", "永安里网格", "大厂镇网格", "东关网格"]
        dirty.to_file(path, encoding="GBK")
        path.with_suffix(".cpg").unlink()
    else:
        dirty.to_file(path)
    assert [each["code"] for each in findings(path)] == ["overlap"]


def test_another_system_is_converted_and_said(tmp_path):
    frame(CLEAN).to_crs(4547).to_file(tmp_path / "zone.gpkg")
    result = gridmap(tmp_path / "zone.gpkg", "--json", code=0)
    assert "EPSG:4547" in result.stderr
    shifted = frame(CLEAN).to_wkt().rename(columns={"geometry": "wkt"})
    shifted.to_csv(tmp_path / "gcj.csv", index=False)
    within = gpd.GeoDataFrame(geometry=[shapely.coverage_union_all(CLEAN)], crs=4326)
    within.to_file(tmp_path / "within.geojson")
    found = findings(tmp_path / "gcj.csv", "--crs", "gcj02", "--within", tmp_path / "within.geojson")
    assert {each["code"] for each in found} == {"gap", "outside_parent"}
    shown = "--within", tmp_path / "within.geojson", "--within-crs", "gcj02"
    assert findings(tmp_path / "gcj.csv", "--crs", "gcj02", *shown, code=0) == []


def test_within_and_buildings(tmp_path):
    frame(CLEAN).to_file(tmp_path / "city.gpkg", layer="grids")
    outline = gpd.GeoDataFrame({"name": ["街道"]}, geometry=[square(0, 0, 2, 3)], crs=4326)
    outline.to_file(tmp_path / "city.gpkg", layer="street")
    houses = gpd.GeoDataFrame(
        {"户数": [60, 40, 45, 70, 5]},
        geometry=[
            square(0.2, 0.2).centroid, square(1.1, 0.1, 0.3, 0.3), square(1.6, 0.6, 0.1, 0.1),
            square(0.3, 1.2).centroid, square(5, 5).centroid,
        ],
        crs=4326,
    )  # fmt: skip
    houses.to_file(tmp_path / "houses.geojson")
    layers = "--layer", "grids", "--within", tmp_path / "city.gpkg", "--within-layer", "street"
    (gap,) = findings(tmp_path / "city.gpkg", *layers)
    assert gap["code"] == "gap"
    assert gap["measure"] == pytest.approx(2 * 96.49 * 110.85, rel=1e-3)
    found = findings(tmp_path / "city.gpkg", "--layer", "grids", "--buildings", tmp_path / "houses.geojson")
    assert [(each["code"], each["area"], each["measure"]) for each in found] == [
        ("households_out_of_range", "99012600100100104", 0.0)
    ]
    own = "--households", "micro=0:65"
    found = findings(
        tmp_path / "city.gpkg", "--layer", "grids", "--buildings", tmp_path / "houses.geojson", *own
    )
    assert [each["measure"] for each in found] == [85.0, 70.0]
    assert "several layers" in one_sentence(tmp_path / "city.gpkg")


def test_households_of_the_grids_are_looked_at_where_a_range_is_given(tmp_path):
    frame(CLEAN, households=["50", "100", "101", None]).to_file(tmp_path / "grids.gpkg")
    assert findings(tmp_path / "grids.gpkg", code=0) == []
    (found,) = findings(tmp_path / "grids.gpkg", "--households", "micro=50:100")
    assert (found["area"], found["measure"], found["unit"]) == ("99012600100100103", 101.0, "households")


def test_broken_rows_are_findings(tmp_path):
    shapes = [*CLEAN, None, shapely.Point(112, 30)]
    table = frame(shapes, kind=["微网格"] * 6).to_wkt().rename(columns={"geometry": "wkt"})
    table.loc[3, "编码"] = table.loc[0, "编码"]
    table.loc[2, "编码"] = "9901-26"
    table.to_csv(tmp_path / "grids.csv", index=False)
    found = findings(tmp_path / "grids.csv")
    assert [each["code"] for each in found] == ["invalid", "invalid", "duplicate_code", "bad_code"]
    assert found[0]["where"] is None
    assert "is a Point" in found[1]["message"]
    assert "rows 2, 5" in found[2]["message"]


def test_files_that_will_not_do(tmp_path):
    assert "no such file" in one_sentence(tmp_path / "nothing.gpkg")
    (tmp_path / "text.gpkg").write_text("no map")
    assert "text.gpkg" in one_sentence(tmp_path / "text.gpkg")
    frame(CLEAN).rename(columns={"编码": "whatever"}).to_file(tmp_path / "grids.gpkg")
    sentence = one_sentence(tmp_path / "grids.gpkg")
    assert "no column for code" in sentence
    assert "whatever" in sentence
    assert findings(tmp_path / "grids.gpkg", "--fields", "code=whatever", code=0) == []
    (tmp_path / "points.csv").write_text("code,lon,lat\na,112,30\n")
    assert "no polygons" in one_sentence(tmp_path / "points.csv")
    (tmp_path / "empty.csv").write_text("code,wkt\n")
    assert "empty.csv" in one_sentence(tmp_path / "empty.csv")
    frame(CLEAN, kind=["micro", "micro", "mikro", "micro"]).to_file(tmp_path / "kinds.gpkg")
    assert "row 3: 'mikro' is no kind" in one_sentence(tmp_path / "kinds.gpkg")
    good = tmp_path / "good.gpkg"
    frame(CLEAN).to_file(good)
    assert "no reference system" in one_sentence(good, "--crs", "EPSG:0")
    assert "KIND=LEAST:MOST" in one_sentence(good, "--households", "micro")
    assert "no column for households" in one_sentence(good, "--buildings", good)
    assert "no such file" in one_sentence(good, "--within", tmp_path / "nothing.shp")


def test_a_column_that_is_only_called_level(tmp_path):
    frame(CLEAN, level=[1, 2, 3, 4]).to_file(tmp_path / "grids.gpkg")
    result = gridmap(tmp_path / "grids.gpkg", code=0)
    assert "level" in result.stderr


def test_a_tolerance_is_said(tmp_path):
    frame([square(0, 0), square(1, 0), square(0, 1, 1 + 1e-12)]).to_file(tmp_path / "grids.gpkg")
    other = frame([square(0, 0), square(1 - 1e-9, 0)])
    other.to_file(tmp_path / "near.gpkg")
    result = gridmap(tmp_path / "near.gpkg", code=0)
    assert "overlap 1" in result.stdout
    assert "0.0001 m²" in result.stdout
    assert [each["code"] for each in findings(tmp_path / "near.gpkg", "--tolerance-m2", 0)] == ["overlap"]


def test_long_lists_are_cut_on_the_screen_alone(tmp_path):
    frame([square(0, 0)] * 12).to_file(tmp_path / "grids.gpkg")
    short = gridmap(tmp_path / "grids.gpkg", code=1).stdout
    assert "其余见 --all" in short
    assert len(gridmap(tmp_path / "grids.gpkg", "--all", code=1).stdout.splitlines()) == 66 + 3
    assert len(findings(tmp_path / "grids.gpkg")) == 66


def test_as_a_program_json_stands_alone(tmp_path):
    frame(DIRTY).to_file(tmp_path / "dirty.gpkg")
    program = subprocess.run(
        [
            sys.executable,
            "-c",
            "from api.cli import main; main()",
            "check",
            tmp_path / "dirty.gpkg",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GRIDMAP_HOME": str(tmp_path / "home")},
        timeout=120,
    )
    assert program.returncode == 1
    assert len(json.loads(program.stdout)["findings"]) == 1
    assert "检查 checked" in program.stderr
    assert not (tmp_path / "home").exists()


def test_the_guide_names_every_code_and_option():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "checking.md").read_text("utf-8")
    assert [code for code in TITLES if f"`{code}`" not in guide or TITLES[code] not in guide] == []
    named = {option for each in main.get_command(None, "check").params for option in each.opts}
    assert [option for option in sorted(named) if option.startswith("--") and option not in guide] == []


@pytest.mark.skipif(not DATA.exists(), reason="real data are not on this machine")
def test_counties_of_the_united_states():
    found = findings(DATA / "us_counties.gpkg", "--kind", "county")
    # three counties are missing from the file: Weld, Arapahoe, and Montgomery in Virginia
    gaps = sorted(each["measure"] / 1e6 for each in found if each["code"] == "gap")
    assert gaps == pytest.approx([1_043, 2_464, 12_409], abs=1)
    assert sum(each["code"] == "invalid" for each in found) == 29
    assert {each["code"] for each in found} == {"invalid", "overlap", "gap"}


@pytest.mark.skipif(not DATA.exists(), reason="real data are not on this machine")
def test_counties_of_china():
    fields = "--fields", "code=district_adcode", "--kind", "county"
    assert findings(DATA / "counties_target_cgcs2000.gpkg", *fields, code=0) == []
