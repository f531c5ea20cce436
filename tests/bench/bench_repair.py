"""How long a dirty coverage takes to repair, what it changes, and GEOS' own `coverage_clean` beside it.

`bench_repair.py [--grids 7000] [--quick]`. Every vertex of every grid is moved on its own by up to some centimetres
or decimetres, so every border is a row of gaps and overlaps. Three levels: villages that do not move, comprehensive
grids, micro-grids. CPU seconds of one thread. Then real counties of the United States, as grids without parents.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import shapely
from bench_index import coverage

from boundaries.check import Areas, examine
from boundaries.check_findings import counts
from boundaries.repair import make_valid
from boundaries.repair_coverage import Layers, repair

LIMIT_S = 60.0
DEGREE_M = 111_195.0
COUNTIES = Path(__file__).parents[3] / "shared" / "data" / "us_counties.gpkg"


class City:
    """Villages of 12 by 12 micro-grids, in which comprehensive grids hold 3 by 3."""

    def __init__(self, grids: int, halvings: int, by_m: float, seed: int = 7):
        rows = max(round((grids * 0.75) ** 0.5 / 12), 1) * 12
        columns = max(round(grids / rows / 12), 1) * 12
        micro = coverage(columns, rows, halvings)
        x, y = np.arange(len(micro)) % columns, np.arange(len(micro)) // columns
        village, in_village = merged(micro, y // 12 * 1000 + x // 12)
        comprehensive, in_comprehensive = merged(micro, y // 3 * 1000 + x // 3)
        first = np.unique(in_comprehensive, return_index=True)[1]
        rng = np.random.default_rng(seed)
        self.geom = np.concatenate([village, shaken(comprehensive, by_m, rng), shaken(micro, by_m, rng)])
        sizes = len(village), len(comprehensive), len(micro)
        self.kind = [
            kind
            for kind, many in zip(("village", "comprehensive", "micro"), sizes, strict=True)
            for _ in range(many)
        ]
        self.parent = np.concatenate(
            [np.full(len(village), -1), in_village[first], len(village) + in_comprehensive]
        )
        self.movable = np.arange(len(self.geom)) >= len(village)

    def examine(self, geom: np.ndarray):
        codes = [f"a{number}" for number in range(len(geom))]
        parents = [codes[at] if at >= 0 else "" for at in self.parent]
        return examine(Areas.from_arrays(geom, codes, kind=self.kind, parent=parents))


def merged(shapes: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    names, number = np.unique(groups, return_inverse=True)
    whole = np.array(
        [shapely.coverage_union_all(shapes[number == at]) for at in range(len(names))], dtype=object
    )
    return whole, number


def shaken(shapes: np.ndarray, by_m: float, rng: np.random.Generator) -> np.ndarray:
    """Vertices moved each on its own; a shape that this breaks keeps its own."""
    made = shapes.copy()
    for at, shape in enumerate(shapes):
        xy = shapely.get_coordinates(shape)[:-1]
        moved = shapely.Polygon(xy + rng.uniform(-by_m, by_m, xy.shape) / DEGREE_M)
        if moved.is_valid:
            made[at] = moved
    return made


def timed(work, *arguments, **named):
    begin = time.process_time()
    answer = work(*arguments, **named)
    return time.process_time() - begin, answer


def of_city(grids: int, by_m: float, *, look: bool, peer: bool) -> bool:
    city = City(grids, 3, by_m)
    vertices = int(shapely.get_num_coordinates(city.geom).sum())
    print(f"{len(city.geom):,} areas of {vertices:,} vertices, each moved by up to {by_m:g} m either way")
    if look:
        took, report = timed(city.examine, city.geom)
        print(f"  before: {counts(report.findings)}, found in {took:.1f} s")
    took, result = timed(repair, Layers(city.geom, city.kind, city.parent, city.movable))
    checking, report = timed(city.examine, result.geom)
    kinds = np.array(city.kind)
    exact = [
        bool(shapely.coverage_is_valid(result.geom[kinds == kind])) for kind in ("comprehensive", "micro")
    ]
    mended = list(result.mended.values())
    found = counts(report.findings) or "nothing found"
    print(
        f"  repaired in {took:.1f} s (limit {LIMIT_S:g}), checked in {checking:.1f} s: {found},"
        f" coverages exact: {all(exact)}; {len(mended):,} polygons, +{sum(each.gained_m2 for each in mended):,.0f} m²"
        f" -{sum(each.lost_m2 for each in mended):,.0f} m², at most {max(each.moved_m for each in mended):.2f} m,"
        f" {int(shapely.get_num_coordinates(result.geom).sum()):,} vertices"
    )
    if peer:
        of_peer(city.geom[kinds == "micro"])
    return took < LIMIT_S and not report.findings and all(exact)


def of_peer(grids: np.ndarray) -> None:
    """The micro-grids alone, without any parent, both ways."""
    alone = Layers(grids, ["micro"] * len(grids), np.full(len(grids), -1), np.ones(len(grids), dtype=bool))
    ours, result = timed(repair, alone)
    theirs, cleaned = timed(shapely.coverage_clean, grids, gap_width=1.0 / DEGREE_M)
    for name, took, shapes in (("ours", ours, result.geom), ("shapely.coverage_clean", theirs, cleaned)):
        found = counts(examine(Areas.from_arrays(shapes, [f"g{at}" for at in range(len(shapes))])).findings)
        vertices = int(shapely.get_num_coordinates(shapes).sum())
        print(
            f"  micro-grids without parents by {name}: {took:.1f} s, {vertices:,} vertices, {found or 'nothing found'}"
        )


def of_counties() -> None:
    import geopandas as gpd

    if not COUNTIES.exists():
        print("us_counties.gpkg is not there: left out")
        return
    shapes = gpd.read_file(COUNTIES).geometry.to_numpy()
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = make_valid(shapes[broken]).polygons
    codes = [f"g{at}" for at in range(len(shapes))]
    before = counts(examine(Areas.from_arrays(shapes, codes)).findings)
    layers = Layers(
        shapes, ["micro"] * len(shapes), np.full(len(shapes), -1), np.ones(len(shapes), dtype=bool)
    )
    for width_m in (1.0, 50.0):
        took, result = timed(repair, layers, width_m=width_m)
        after = counts(examine(Areas.from_arrays(result.geom, codes)).findings)
        changed = sum(each.gained_m2 + each.lost_m2 for each in result.mended.values())
        print(
            f"3,220 real counties, width {width_m:g} m: {took:.1f} s, before {before}, after {after};"
            f" {len(result.mended)} polygons, {changed:,.1f} m²"
        )
    took, cleaned = timed(shapely.coverage_clean, shapes)
    after = counts(examine(Areas.from_arrays(cleaned, codes)).findings)
    moved = shapely.area(shapely.symmetric_difference(cleaned, shapes)).sum() * DEGREE_M**2 * 0.78
    print(f"  shapely.coverage_clean: {took:.1f} s, {after}, about {moved:,.0f} m² changed")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--grids", type=int, default=7_000)
    options.add_argument(
        "--quick", action="store_true", help="without the check of what is dirty, and without the peer"
    )
    chosen = options.parse_args()
    fine = True
    for by_m in (0.01, 0.25):
        fine &= of_city(
            chosen.grids, by_m, look=not chosen.quick and by_m > 0.1, peer=not chosen.quick and by_m > 0.1
        )
    of_counties()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
