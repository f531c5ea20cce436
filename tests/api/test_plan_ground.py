"""The ground under plans: buildings that are read once, counted, moved; coordinates of other reference systems."""

import numpy as np
import orjson
import pytest
import shapely
import sqlalchemy as sa

from boundaries import ground
from gridmap import crs
from tests.api.conftest import SIDE, SOUTH, WEST
from tests.api.planning import (
    MICRO,
    NEXT,
    VILLAGE,
    born,
    features,
    geometry,
    line,
    opened,
    rename,
    split,
    step,
)


def test_an_edit_reads_no_building_twice(county, wp):
    plan = opened(wp)
    plan = rename(wp, plan, "甲")
    statements = []
    engine = county.service.database.engine

    def heard(_connection, _cursor, statement, *_):
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", heard)
    try:
        plan = rename(wp, plan, "乙")
        once = list(statements)
        county.service.grounds.forget()  # as when households are counted anew
        rename(wp, plan, "丙")
    finally:
        sa.event.remove(engine, "before_cursor_execute", heard)
    assert not any("FROM building" in each for each in once)
    assert len(once) <= 18
    assert sum("FROM building" in each for each in statements) == 1


def test_of_the_ground_no_more_is_kept_than_fits(county, wp, monkeypatch):
    grounds = county.service.grounds
    grounds.forget()
    monkeypatch.setattr(ground, "MOST_BUILDINGS", 20)
    opened(wp, VILLAGE)
    assert len(grounds) == 8
    opened(wp)
    assert len(grounds) == 16  # what was read last; both would be too many
    opened(wp, VILLAGE)
    assert len(grounds) == 8


def test_counts_follow_a_load_of_buildings(county, wp):
    path = f"/api/plans/{opened(wp, VILLAGE)['id']}"
    tag = wp.get(path).headers["etag"]
    with county.database.writer() as session:
        session.execute(
            sa.text("UPDATE building SET households = households + 1 WHERE code = :code"),
            {"code": f"b{NEXT}"},
        )
    try:
        county.service.grounds.forget()
        answer = wp.get(path, headers={"if-none-match": tag})
        assert answer.status_code == 200
        assert features(answer.json())[NEXT]["properties"]["households"] == 62
    finally:
        with county.database.writer() as session:
            session.execute(
                sa.text("UPDATE building SET households = households - 1 WHERE code = :code"),
                {"code": f"b{NEXT}"},
            )
        county.service.grounds.forget()


def test_drawn_and_shown_in_another_reference_system(wp):
    plan, same = opened(wp), split(wp, opened(wp), x=0.4)
    drawn = line((0.4, -1), (0.4, 3))
    drawn["coordinates"] = np.column_stack(
        crs.convert(*np.array(drawn["coordinates"]).T, "wgs84", "gcj02")
    ).tolist()
    body = {"op": "split", "grid": MICRO, "line": drawn}
    assert step(wp, plan, "edits", 422, crs="nowhere", **body)["code"] == "unknown_crs"
    assert step(wp, plan, "edits", 422, crs="EPSG:4547", **body)["code"] in {"bad_drawing", "not_two_pieces"}
    after = step(wp, plan, "edits", crs="gcj02", **body)
    for code in (MICRO, *born(after)):
        mine, wanted = (
            shapely.from_geojson(geometry(each))
            for each in (features(after)[code], features(same)[code if code == MICRO else born(same)[0]])
        )
        assert (
            shapely.hausdorff_distance(mine, wanted) < 1e-6
        )  # a tenth of a metre: the line is straight there
    path = f"/api/plans/{plan['id']}"
    shown = wp.get(f"{path}?crs=gcj02").json()
    for code in (MICRO, NEXT, *born(after)):
        there = shapely.from_geojson(geometry(features(shown)[code]))
        back = shapely.transform(there, lambda xy: np.column_stack(crs.convert(*xy.T, "gcj02", "wgs84")))
        assert shapely.hausdorff_distance(back, shapely.from_geojson(geometry(features(after)[code]))) < 1e-7
    assert wp.get(f"{path}?crs=nowhere").json()["code"] == "unknown_crs"


@pytest.fixture
def compound(county):
    """Two buildings more in the first micro-grid, near the second."""
    with county.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths, keep_together)"
                " SELECT 'near' || n, 5, g, g, :leaf, :leaf, ARRAY[path], '东苑小区'"
                " FROM area, generate_series(0, 1) AS n,"
                " ST_SetSRID(ST_MakePoint(CAST(:x AS float8), :y + 0.0005 * n), 4326) AS g"
                " WHERE code = :leaf AND edition_to IS NULL"
            ),
            {"leaf": MICRO, "x": WEST + SIDE * 0.9, "y": SOUTH + SIDE * 0.2},
        )
    county.service.grounds.forget()
    yield ["near0", "near1"]
    with county.database.writer() as session:
        session.execute(sa.text("DELETE FROM building WHERE keep_together IS NOT NULL"))
    county.service.grounds.forget()


def test_buildings_moved_go_with_their_ground(wp, compound):
    plan = opened(wp, VILLAGE)
    moved = step(wp, plan, "edits", op="move", buildings=compound[:1], to=NEXT)
    before, after = ({code: each["properties"] for code, each in features(p).items()} for p in (plan, moved))
    assert after[NEXT]["households"] == before[NEXT]["households"] + 5
    assert after[MICRO]["households"] == before[MICRO]["households"] - 5
    assert "东苑小区" in orjson.dumps(moved["journal"][0]["told"]).decode()  # which it tears apart
    refused = step(wp, moved, "edits", 422, op="move", buildings=["none"], to=NEXT)
    assert refused["code"] == "unknown_building"
    assert wp.get(f"/api/plans/{plan['id']}/check").json()["errors"] == 0
