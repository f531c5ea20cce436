"""What of a plan's village suits a test: buildings that can be moved or stand in the way, grids between streets.

What cannot be known of an invented county beforehand is tried on a plan of its own.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from gridmap.db import Database
from tests.browser.desk import DeskPage, neighbours, opened, ring, step, village

Place = tuple[float, float]
Item = dict[str, Any]


def same(grid: Item) -> bool:
    """Whether nothing was done to a grid."""
    return bool(grid["properties"]["fate"] == "same")


def untouched(desk: DeskPage, trial: int) -> Iterator[tuple[str, str, list[Item]]]:
    """(from, to, buildings of the first) of neighbours that nothing was done to, by another plan that is as before."""
    client, grids = desk.client, desk.micro()
    for giver, taker, _ in neighbours(grids):
        if not (same(grids[giver]) and same(grids[taker])):
            continue
        step(client, trial, "edits", op="merge", grids=[giver, taker], into=taker)
        found = client.get(f"/api/plans/{trial}/impact").json()["buildings"]["items"]
        step(client, trial, "undo")
        yield giver, taker, found


def tried(client: Any, trial: int, code: str, taker: str) -> Any:
    """What comes of moving one building."""
    revision = client.get(f"/api/plans/{trial}?areas=false").json()["revision"]
    body = {"revision": revision, "op": "move", "buildings": [code], "to": taker}
    return client.post(f"/api/plans/{trial}/edits?areas=false", json=body)


def movable(desk: DeskPage) -> tuple[str, str, Item]:
    """(from, to, building) of one that can go to the neighbour and stands apart from others, tried on another plan."""
    client = desk.client
    trial = opened(client, village(client))
    for giver, taker, found in untouched(desk, trial):
        places = np.array([(each["lon"], each["lat"]) for each in found])
        for i in range(len(found)):
            metres = np.hypot(*((np.delete(places, i, 0) - places[i]) * (96_000, 111_000)).T)
            if not found[i]["households"] or metres.min(initial=99) < 24:
                continue
            if tried(client, trial, found[i]["code"], taker).status_code == 200:
                return giver, taker, found[i]
    pytest.fail("no building of this village can be moved")


def in_the_way(desk: DeskPage, trial: int) -> tuple[str, str, Item, list[str], str]:
    """(from, to, building, others that would have to go along, one that stays) of a move that is refused."""
    for giver, taker, found in untouched(desk, trial):
        land = shapely.Polygon(ring(desk.micro()[taker]))
        found.sort(key=lambda each: land.distance(shapely.Point(each["lon"], each["lat"])))
        for building in found[len(found) // 3 :]:
            answer = tried(desk.client, trial, building["code"], taker)
            if answer.status_code == 200:
                step(desk.client, trial, "undo")
                continue
            (refused,) = answer.json()["findings"]
            others = refused["buildings"]
            left = [each["code"] for each in found if each["code"] not in {building["code"], *others}]
            if refused["reason"] in {"apart", "torn"} and others and left:
                return giver, taker, building, others, left[0]
    pytest.fail("nothing of this village stands in the way of anything")


def moved_along(client: Any, plan: int, code: str, taker: str) -> Item:
    """What an edit did besides moving a building."""
    after = step(client, plan, "edits", op="move", buildings=[code], to=taker, along=True)
    told: Item = after["journal"][-1]["told"]
    return told


def buildings_moved(desk: DeskPage) -> list[Item]:
    """Buildings that lie in another grid than in the base."""
    found: list[Item] = desk.client.get(f"/api/plans/{desk.plan}/impact").json()["buildings"]["items"]
    return found


def on_streets(desk: DeskPage, storage: Database) -> tuple[Any, str, Place, Place]:
    """Streets, a grid, and the ends of a line through it from street to street, where it is widest beside the line."""
    with storage.reader() as session:
        rows = session.execute(sa.text("SELECT ST_AsBinary(geom) FROM street")).scalars().all()
    streets = shapely.union_all(shapely.from_wkb(rows))
    found = []
    for code, each in desk.micro().items():
        land = shapely.Polygon(ring(each))
        edges = shapely.get_parts(shapely.line_merge(land.exterior.intersection(streets.buffer(2e-6))))
        places = [edge.interpolate(share, normalized=True) for edge in edges for share in (0.25, 0.5, 0.75)]
        for one, other in itertools.combinations(places, 2):
            line = shapely.LineString([one, other])
            if same(each) and land.buffer(1e-7).contains(line):
                room = land.exterior.distance(line.interpolate(0.5, normalized=True))
                found.append((room, code, (one.x, one.y), (other.x, other.y)))
    assert found
    _, code, start, end = max(found)
    return streets, code, start, end
