"""Hexagons: bit arithmetic against H3 itself, in Python and in SQL; a cholera map whose centre everybody knows."""

import datetime as dt

import geopandas
import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from gridmap import snapshot as snapshots
from gridmap.areas import AreaDraft, import_areas
from gridmap.db import Database
from gridmap.errors import InvalidInput
from gridmap.settings import Settings
from layers import hexes
from layers.heat import HeatQuery, heat

places = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@given(st.lists(places, min_size=1, max_size=20), st.integers(hexes.COARSEST, hexes.FINEST))
def test_a_parent_is_the_one_that_h3_says(given_places, res):
    cells = [h3.latlng_to_cell(lat, lon, hexes.STORED_RESOLUTION) for lon, lat in given_places]
    assert hexes.parents(cells, res).tolist() == [h3.cell_to_parent(cell, res) for cell in cells]


@given(st.lists(places, min_size=1, max_size=5), st.integers(hexes.COARSEST, hexes.FINEST))
def test_names_are_those_of_h3(given_places, res):
    cells = [h3.latlng_to_cell(lat, lon, res) for lon, lat in given_places]
    assert hexes.names(cells).tolist() == [h3.int_to_str(cell) for cell in cells]


def test_the_database_groups_as_h3_does(reader):
    rng = np.random.default_rng(1)
    cells = [
        h3.latlng_to_cell(lat, lon, 12)
        for lon, lat in zip(rng.uniform(-180, 180, 200), rng.uniform(-90, 90, 200), strict=True)
    ]
    for res in range(hexes.COARSEST, hexes.FINEST + 1):
        statement = sa.text(f"SELECT {hexes.parent_sql('c', res)} FROM unnest(CAST(:cells AS bigint[])) c")
        found = reader.execute(statement, {"cells": cells}).scalars().all()
        assert found == [h3.cell_to_parent(cell, res) for cell in cells]


@pytest.mark.parametrize("res", [hexes.COARSEST, 8, hexes.FINEST])
def test_hexagons_count_what_the_cells_of_events_say(city, reading, everything, res):
    query = HeatQuery(by="hex", res=res, since=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    answer = heat(reading, city.snapshot, query, everything)
    points = reading.execute(
        sa.text("SELECT ST_X(geom), ST_Y(geom) FROM event WHERE geom IS NOT NULL AND occurred_at < now()")
    ).all()
    expected: dict[str, int] = {}
    for lon, lat in points:
        name = h3.int_to_str(h3.cell_to_parent(h3.latlng_to_cell(lat, lon, 12), res))
        expected[name] = expected.get(name, 0) + 1
    assert dict(zip(answer.code, answer.count.tolist(), strict=True)) == expected
    assert answer.withhold_below is None
    drawn = answer.outlines.geometries()
    assert all(shapely.is_valid(drawn))
    inside = shapely.contains(drawn[answer.count.argmax()], shapely.points(points))
    assert inside.sum() == pytest.approx(answer.count.max(), abs=2)  # they do not nest exactly


def test_an_outline_across_the_date_line_is_not_torn_apart():
    cell = h3.latlng_to_cell(0.0, 179.999, 5)
    (shape,) = hexes.outlines([cell])
    assert shape.bounds[2] - shape.bounds[0] < 1


@pytest.mark.parametrize("res", [0, 4, 12, 16, -1])
def test_another_resolution_is_refused(res):
    with pytest.raises(InvalidInput, match="from 5"):
        hexes.check_resolution(res)


def test_the_unentitled_cannot_tell_an_empty_hexagon_from_a_small_one(city, reading, audience, everything):
    query = HeatQuery(by="hex", res=9, since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    open_ = heat(reading, city.snapshot, query, everything)
    numbers = dict(zip(open_.code, open_.count.tolist(), strict=True))
    closed = heat(reading, city.snapshot, query, audience("commander", "990126", "990126"))
    assert closed.withhold_below == 3
    shown = {code for code, hidden in zip(closed.code, closed.withheld, strict=True) if not hidden}
    listed = set(closed.code)
    assert all(numbers[code] >= 3 for code in shown)
    # Every hexagon that touches the county is listed, with and without events.
    county = city.snapshot.geom[city.snapshot.row["990126"]]
    assert all(shapely.intersects(hexes.outlines([int(code, 16) for code in listed]), county))
    assert any(code not in numbers for code in listed - shown)
    assert any(code in numbers for code in listed - shown)
    text = closed.to_geojson().decode()
    assert '"count":1,' not in text
    assert '"count":2,' not in text
    assert '"count":0,' not in text


def test_too_many_hexagons_to_list_are_left_out_when_small(city, reading, audience, monkeypatch):
    monkeypatch.setattr("layers.hex_heat.MOST_LISTED", 10)
    query = HeatQuery(by="hex", res=10, since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    closed = heat(reading, city.snapshot, query, audience("commander", "990126", "990126"))
    assert len(closed) > 0
    assert not closed.withheld.any()
    assert closed.count.min() >= 3


@pytest.mark.parametrize("res", [9, 10])
def test_cholera_of_1854_peaks_at_the_broad_street_pump(
    fresh_url, tmp_path, shared_data, everything, res, add_events, event
):
    file = shared_data / "snow_cholera_1854.gpkg"
    deaths = geopandas.read_file(file, layer="deaths").to_crs(4326)
    pumps = geopandas.read_file(file, layer="pumps").to_crs(4326).geometry
    west, south, east, north = deaths.total_bounds
    parish = shapely.MultiPolygon([shapely.box(west - 0.001, south - 0.001, east + 0.001, north + 0.001)])
    at = dt.datetime(1854, 9, 2, tzinfo=dt.UTC)
    drafts = [
        event(f"{row}-{death}", shape.x, shape.y, category="hazard", occurred_at=at)
        for row, (shape, number) in enumerate(zip(deaths.geometry, deaths["Count"], strict=True))
        for death in range(int(number))
    ]
    database = Database(fresh_url, pool_size=1)
    with database.writer() as session:
        soho = AreaDraft(kind="town", code="soho", name="Soho", geom=parish)
        import_areas(session, [soho], actor="test", settings=Settings(home=tmp_path))
        snapshot = snapshots.load(session)
        add_events(session, snapshot, drafts)
        query = HeatQuery(
            by="hex", res=res, since=at - dt.timedelta(days=30), until=at + dt.timedelta(days=30)
        )
        answer = heat(session, snapshot, query, everything)
    database.close()
    assert answer.count.sum() == len(drafts) == deaths["Count"].sum()
    peak = answer.outlines.geometries()[answer.count.argmax()]
    nearest = pumps[shapely.distance(np.array(pumps), peak.centroid).argmin()]
    # The pump in Broad Street, today Broadwick Street.
    assert (nearest.x, nearest.y) == (pytest.approx(-0.13668, abs=2e-4), pytest.approx(51.51334, abs=2e-4))
    assert answer.count.max() > 3 * np.median(answer.count)
