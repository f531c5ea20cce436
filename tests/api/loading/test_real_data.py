"""Real files, as they were published: what they hold arrives, and what is wrong with them is said."""

import re

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from pyproj import Transformer

from gridmap import crs
from tests.api.loading.conftest import line


@pytest.fixture(scope="module")
def repaired(template, copied, shared_data, tmp_path_factory):
    """Name of a database with 3,220 counties of the United States, repaired; to be copied."""
    with copied(template) as url:
        for gridmap in line(url, tmp_path_factory.mktemp("counties")):
            result = gridmap(
                "load", "areas", shared_data / "us_counties.gpkg", "--kind", "county", "--repair", "--commit"
            )
        assert "read 3220 · 新增 created 3220" in result.output
        assert "repaired 29 (" in result.output
        yield sa.make_url(url).database


@pytest.fixture
def counties(repaired, copied, tmp_path):
    """The command line with these counties."""
    with copied(repaired) as url:
        yield from line(url, tmp_path)


def test_invalid_counties_are_refused_with_their_rows(gridmap, shared_data, tmp_path, findings):
    path = shared_data / "us_counties.gpkg"
    words = ("load", "areas", path, "--kind", "county", "--commit", "--report", tmp_path / "r.json")
    result = gridmap(*words, code=1)
    assert "refused 29" in result.output
    assert gridmap.one("SELECT count(*) FROM area") == 0
    found = findings()
    frame = gpd.read_file(path)
    assert sorted(each["row"] - 1 for each in found) == np.flatnonzero(~frame.is_valid).tolist()
    for each in found:
        assert each["code"] == "invalid"
        assert each["area"] == frame.code[each["row"] - 1]
        # the place is told to 15 digits
        assert frame.geometry[each["row"] - 1].envelope.buffer(1e-9).intersects(shapely.Point(each["where"]))
    assert "created 3191" in gridmap(*words, "--skip-refused", code=1).output
    assert gridmap.one("SELECT count(*) FROM area WHERE kind = 'county'") == 3191


def test_repaired_counties_say_how_much_of_each_changed(gridmap, shared_data, tmp_path, findings):
    report = ("--report", tmp_path / "r.json")
    gridmap("load", "areas", shared_data / "us_counties.gpkg", "--kind", "county", "--repair", *report)
    found = {each["area"]: each for each in findings()}
    assert len(found) == 29
    assert {each["code"] for each in found.values()} == {"repaired"}
    # one town was rounded to a line when the file was made: it is kept as a band, and said so
    collapsed = found.pop("51610")
    assert collapsed["severity"] == "warning"
    assert "draw it anew" in collapsed["message"]
    assert all(each["unit"] == "m2" and each["measure"] < 1_000_000 for each in found.values())


@pytest.mark.slow
def test_places_that_name_their_county_agree_with_where_they_lie(counties, shared_data):
    result = counties(
        *("load", "events", shared_data / "us_zip_points.csv.gz"),
        *("--fields", "external_id=zip_code,stated=county,title=city"),
        *("--set", "category=other,source=zip,occurred_at=2025-06-01"),
    )
    assert "created 42049" in result.output
    assert "in-grid rate 0/42049" in result.output
    assert "located rate 41428/42049 = 98.52 %" in result.output
    match = re.search(r"stated area agrees \d+/42049 = ([\d.]+) %", result.output)
    assert match is not None
    assert float(match[1]) >= 94


def test_crimes_in_feet_lie_where_proj_puts_them(counties, shared_data):
    path = shared_data / "arizona_crimes.gpkg"
    result = counties(
        *("load", "events", path, "--layer", "crimes", "--kind", "police_case", "--commit"),
        *("--fields", "external_id=POLYID2", "--set", "occurred_at=2020-01-01,source=police"),
    )
    assert "created 287" in result.output
    stored = {
        int(row[0]): row[1:]
        for row in counties.rows("SELECT external_id, ST_X(geom), ST_Y(geom), x, y, crs, leaf_now FROM event")
    }
    frame = gpd.read_file(path, layer="crimes")
    expected = Transformer.from_crs(frame.crs, 4326, always_xy=True).transform(
        frame.geometry.x, frame.geometry.y
    )
    lon, lat, x, y = (np.array([stored[key][i] for key in frame.POLYID2]) for i in range(4))
    assert crs.distance_m(lon, lat, *expected).max() < 1
    assert np.array_equal(x, frame.geometry.x)
    assert np.array_equal(y, frame.geometry.y)
    assert {row[4] for row in stored.values()} == {"ESRI:102649"}
    assert {row[5] for row in stored.values()} == {"04013"}  # Maricopa
    counties("load", "streets", path, "--layer", "streets", "--commit")
    assert counties.one("SELECT count(*) FROM street") == 293


def soho(gridmap, tmp_path):
    """A county around Broad Street."""
    box = shapely.box(-0.16, 51.50, -0.12, 51.53)
    gpd.GeoDataFrame({"code": ["soho"], "kind": ["county"]}, geometry=[box], crs=4326).to_file(
        tmp_path / "a.gpkg"
    )
    gridmap("load", "areas", tmp_path / "a.gpkg", "--commit")


def test_every_death_of_1854_is_an_event(gridmap, shared_data, tmp_path):
    soho(gridmap, tmp_path)
    path = shared_data / "snow_cholera_1854.gpkg"
    words = ("load", "events", path, "--layer", "deaths", "--fields", "count=Count", "--kind", "other")
    result = gridmap(*words, "--set", "occurred_at=1854-09-01,source=snow", "--commit")
    deaths = gpd.read_file(path, layer="deaths").to_crs(4326)
    assert f"created {deaths.Count.sum()}" in result.output
    # the pump of Broad Street is the one with most deaths nearby
    pumps = gpd.read_file(path, layer="pumps").to_crs(4326)
    near = [
        gridmap.one(
            "SELECT count(*) FROM event WHERE ST_DWithin(geom::geography,"
            " ST_SetSRID(ST_MakePoint(:x, :y), 4326)::geography, 150)",
            x=pump.x,
            y=pump.y,
        )
        for pump in pumps.geometry
    ]
    broad_street = np.argmin(
        crs.distance_m(pumps.geometry.x, pumps.geometry.y, *np.array([[-0.13667], [51.51334]]))
    )
    assert np.argmax(near) == broad_street


def test_chinese_counties_with_names_and_parents_by_code(gridmap, shared_data):
    path = shared_data / "counties_target_cgcs2000.gpkg"
    words = ("load", "areas", path, "--kind", "county", "--fields", "code=district_adcode,name=district_name")
    result = gridmap(*words, "--names", shared_data / "divisions_cn.csv.gz", "--commit")
    assert "created 42" in result.output
    frame = gpd.read_file(path)
    stored = dict(gridmap.rows("SELECT code, name FROM area"))
    assert stored == {str(row.district_adcode): row.district_name for row in frame.itertuples()}
    area = gridmap.one("SELECT sum(ST_Area(geom::geography)) FROM area")
    assert area == pytest.approx(float(crs.area_m2(frame.geometry.to_numpy()).sum()), rel=1e-5)
    # the same polygons given as GCJ-02 lie some hundred metres away
    assert "changed 42" in gridmap(*words, "--crs", "gcj02").output


def town(gridmap, shared_data, tmp_path, name):
    """A village around the buildings of a file."""
    frame = gpd.read_file(shared_data / name, layer="buildings").to_crs(4326)
    box = shapely.box(*frame.total_bounds).buffer(0.001)
    gpd.GeoDataFrame({"code": ["v"], "kind": ["village"]}, geometry=[box], crs=4326).to_file(
        tmp_path / "v.gpkg"
    )
    gridmap("load", "areas", tmp_path / "v.gpkg", "--commit")
    return frame


def test_a_quarter_of_prague_in_web_mercator(gridmap, shared_data, tmp_path):
    town(gridmap, shared_data, tmp_path, "bubenec.gpkg")
    path = shared_data / "bubenec.gpkg"
    missing = gridmap("load", "buildings", path, "--layer", "buildings", code=1)
    assert "no column for households" in missing.output
    gridmap("load", "buildings", path, "--layer", "buildings", "--set", "households=7", "--commit")
    assert gridmap.rows("SELECT households, buildings FROM household_count WHERE code = 'v'") == [
        (7 * 144, 144)
    ]
    frame = gpd.read_file(path, layer="buildings").to_crs(4326)
    area = gridmap.one("SELECT sum(ST_Area(geom::geography)) FROM building")
    assert area == pytest.approx(float(crs.area_m2(frame.geometry.to_numpy()).sum()), rel=1e-4)
    gridmap("load", "streets", path, "--layer", "streets", "--commit")
    assert gridmap.one("SELECT count(*) FROM street") == 35


def test_a_small_town_with_households_by_kind_of_building(gridmap, shared_data, tmp_path):
    frame = town(gridmap, shared_data, tmp_path, "osm_kouvola2019.gpkg")
    frame["households"] = (
        frame.building.map({"residential": 1, "terrace": 6, "house": 1}).fillna(0).astype(int)
    )
    frame.to_file(tmp_path / "b.fgb")
    result = gridmap("load", "buildings", tmp_path / "b.fgb", "--commit")
    assert "created 2171" in result.output
    expected = int(frame.households.sum())
    assert gridmap.one("SELECT households FROM household_count WHERE code = 'v'") == expected
    gridmap("load", "streets", shared_data / "osm_kouvola2019.gpkg", "--layer", "roads", "--commit")
    assert gridmap.one("SELECT count(DISTINCT class) FROM street") == 5
