"""How long the land of buildings takes to find: a demonstration town and its villages, real towns, one grid.

`bench_faces.py [--quick]`. CPU seconds of one thread, as other work may share the machine. Beside it stands what a
rough prototype took for a county of 725,677 households in 313 villages on the same kind of machine: 38 s with houses
that stand apart, 65 s where party walls are exact. Time is given a building, too, as houses hold 1 to 40 households.

Prints for every row whether the faces tile their area exactly; fails where they do not, or where one grid of about a
hundred buildings takes longer than its limit.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from boundaries.border_vertices import with_vertices
from boundaries.face_graph import contact_m, graph_of
from boundaries.face_moves import moved, planned_move
from boundaries.faces import Buildings, Faces, faces_of
from gridmap.demo import TOWN, build

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LIMIT_GRID_MS = 30.0
PROTOTYPE_MS_A_HOUSEHOLD = (38e3 / 725_677, 65e3 / 725_677)


def tiles(faces: Faces) -> bool:
    whole = shapely.coverage_union_all(faces.polygon)
    (grown,) = with_vertices(np.array([faces.scope], dtype=object), faces.added)
    same = [shapely.normalize(shapely.multipolygons(shapely.get_parts(each))) for each in (whole, grown)]
    return bool(shapely.coverage_is_valid(faces.polygon)) and bool(shapely.equals_exact(*same, 0.0))


def timed(work, *arguments):
    begin = time.process_time()
    answer = work(*arguments)
    return time.process_time() - begin, answer


class Town:
    """The demonstration town's buildings by area, and its streets."""

    def __init__(self) -> None:
        city = build(TOWN, now=datetime(2026, 6, 1, tzinfo=UTC))
        self.areas, self.homes, self.streets = city.areas, city.buildings, city.streets
        self.place = np.asarray(shapely.points(self.homes.lon, self.homes.lat), dtype=object)
        self.tree = shapely.STRtree(self.streets.geom)

    def shapes(self, *kinds: str):
        return np.concatenate([self.areas.geom[self.areas.rows_of(kind)] for kind in kinds])

    def stock(self, area):
        rows = np.flatnonzero(shapely.intersects(area, self.place))
        homes = self.homes
        return Buildings(geom=homes.geom[rows], households=homes.households[rows], place=self.place[rows])

    def near(self, area):
        rows = np.sort(self.tree.query(area))
        return self.streets.geom[rows], self.streets.rank[rows].tolist()


def villages(town: Town) -> bool:
    """Every village, then the largest on its own."""
    total, made, homes, households, fine = 0.0, 0, 0, 0, True
    worst = (0.0, 0)
    for area in town.shapes("village"):
        shapely.prepare(area)
        stock, (streets, classes) = town.stock(area), town.near(area)
        took, found = timed(faces_of, area, stock, streets)
        joined, _ = timed(graph_of, found, classes)
        total, made, homes = total + took + joined, made + len(found), homes + len(stock)
        households += int(stock.households.sum())
        worst = max(worst, (took + joined, len(stock)))
        fine &= tiles(found)
    at_their_pace = households * PROTOTYPE_MS_A_HOUSEHOLD[0] / 1e3
    print(
        f"demonstration town: {homes:,} buildings of {households:,} households, {made:,} faces and their graph"
    )
    print(
        f"  {total:.2f} s, {total / homes * 1e3:.2f} ms a building, {total / households * 1e3:.3f} ms a household"
    )
    print(f"  (the prototype at its pace a household: {at_their_pace:.1f} s); exact: {fine}")
    print(f"  its slowest village: {worst[1]:,} buildings in {worst[0]:.2f} s")
    return fine


def real(name: str) -> bool:
    """A real town with all its streets."""
    path = DATA / f"osm_{name}2019.gpkg"
    if not path.exists():
        print(f"{name}: {path} is not here")
        return True
    homes, roads = (
        pyogrio.read_dataframe(path, layer=layer).geometry.to_numpy() for layer in ("buildings", "roads")
    )
    scope = shapely.box(*(shapely.total_bounds(homes) + np.array([-1, -1, 1, 1]) * 1e-4).tolist())
    stock = Buildings(geom=homes, households=np.ones(len(homes), dtype=np.int64))
    took, found = timed(faces_of, scope, stock, roads)
    joined, graph = timed(graph_of, found)
    fine = tiles(found)
    print(
        f"{name}: {len(homes):,} buildings in {len(found.blocks):,} blocks, {len(found):,} faces: {took:.2f} s,"
    )
    print(
        f"  {took / len(homes) * 1e3:.2f} ms a building; graph of {len(graph.left):,} contacts {joined:.2f} s"
    )
    print(
        f"  {len(found.cut)} footprints not wholly in their face, {len(found.shared)} share one; exact: {fine}"
    )
    return fine


def one_grid(town: Town) -> bool:
    """A grid of about a hundred buildings: its faces, its graph, and a house moved to a neighbour."""
    grids = town.shapes("micro", "comprehensive")
    stocks = [(area, town.stock(area)) for area in grids]
    chosen = [(area, stock) for area, stock in stocks if 80 <= len(stock) <= 120][:10]
    micro = town.shapes("micro")
    tree = shapely.STRtree(micro)
    steps: list[list[float]] = []
    fine = True
    for area, stock in [*chosen[:1], *chosen]:  # once to warm up
        streets, classes = town.near(area)
        at_faces, faces = timed(faces_of, area, stock, streets)
        at_graph, graph = timed(graph_of, faces, classes)
        fine &= tiles(faces)
        beside = [row for row in tree.query(area) if shapely.relate_pattern(area, micro[row], "FF2F1*2*2")]
        if not beside:
            steps.append([at_faces, at_graph])
            continue
        other = micro[beside[0]]
        contact = contact_m(graph, with_vertices(np.array([other], dtype=object), faces.added)[0])
        building = faces.building[int(np.argmax(np.where(faces.building >= 0, contact, -1.0)))]
        at_plan, move = timed(planned_move, faces, graph, np.array([building]), other)
        at_move, after = timed(moved, faces, move, other)
        pair = np.array([after.scope, after.neighbour], dtype=object)
        fine &= bool(shapely.coverage_is_valid(pair))
        steps.append([at_faces, at_graph, at_plan, at_move])
    whole = [each for each in steps[1:] if len(each) == 4]
    middle = np.median([each[:2] for each in steps[1:]], axis=0) * 1e3
    rest = np.median([each[2:] for each in whole], axis=0) * 1e3 if whole else [np.nan, np.nan]
    many = np.mean([len(stock) for _, stock in chosen])
    print(
        f"one grid of {many:.0f} buildings: faces {middle[0]:.1f} ms (limit {LIMIT_GRID_MS:g}),"
        f" graph {middle[1]:.1f} ms"
    )
    print(
        f"  plan of a move {rest[0]:.1f} ms, the move {rest[1]:.1f} ms ({len(whole)} of them); exact: {fine}"
    )
    return fine and bool(middle[0] <= LIMIT_GRID_MS)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="one grid alone")
    chosen = options.parse_args()
    town = Town()
    fine = one_grid(town)
    if not chosen.quick:
        fine &= villages(town)
        fine &= real("kouvola")
        fine &= real("helsinki")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
