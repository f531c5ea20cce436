"""How long a city's coverage takes to check, whether exactly what was put in is found, and the plain way beside it.

`bench_check.py [--polygons 7000] [--quick]`. One thread, one run, wall-clock. The plain way is what anybody writes
first with the same library: intersect all neighbours, unite everything and look for holes; geopandas does the
first as an overlay of the layer with itself.
"""

import argparse
import sys
import time
import warnings

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from bench_index import SOUTH, coverage, shape_of

from boundaries.check import Areas, Rules, examine
from gridmap.crs import area_m2

LIMIT_S = 10.0
GEOD = pyproj.Geod(ellps="WGS84")
KINDS = ("moved in", "moved out", "removed", "twice", "in pieces", "invalid")


def dirty(columns: int, rows: int, halvings: int, seed: int = 9):
    """A coverage with one injury in every third block either way, and what must be found.

    Returns:
        polygons, codes, and for each injury (finding, smaller code, other code or None, m² or None).
    """
    rng = np.random.default_rng(seed)
    clean = coverage(columns, rows, halvings)
    side = 2**halvings
    codes = [f"g{number:06d}" for number in range(len(clean))]
    shapes, extra, expected = clean.copy(), [], []
    centres = [y * columns + x for y in range(1, rows - 1, 3) for x in range(1, columns - 1, 3)]
    for number, at in enumerate(centres):
        kind = KINDS[number % len(KINDS)]
        if kind == "in pieces" and at > 2 * columns:
            kind = (
                "removed"  # far pieces have boxes that hold half the city, which only slows the others down
            )
        if kind in {"moved in", "moved out"}:
            # a vertex in the middle of the southern border
            south, code = at - columns, ("gap" if kind == "moved in" else "overlap")
            shape, lost = _moved(clean[at], side // 2, kind, rng)
            if not shape.is_valid or not lost.is_valid:
                continue
            shapes[at] = shape
            pair = (codes[south], codes[at])
            expected.append((code, pair, abs(GEOD.geometry_area_perimeter(lost)[0])))
        elif kind == "removed":
            shapes[at] = None
            expected.append(("gap", None, abs(GEOD.geometry_area_perimeter(clean[at])[0])))
        elif kind == "twice":
            extra.append((clean[at], codes[at]))
            size = abs(GEOD.geometry_area_perimeter(clean[at])[0])
            expected += [
                ("duplicate_code", (codes[at], None), 2.0),
                ("overlap", (codes[at], codes[at]), size),
            ]
        elif kind == "in pieces":
            # a piece of an area of the lowest rows, south of all
            west = shapely.bounds(clean[at])[0]
            away = shapely.box(west, SOUTH - 0.01, west + 0.001, SOUTH - 0.009)
            shapes[at] = shapely.MultiPolygon([clean[at], away])
            expected.append(("not_contiguous", (codes[at], None), abs(GEOD.geometry_area_perimeter(away)[0])))
        else:
            # a spike without area
            ring = shapely.get_coordinates(clean[at])
            spike = ring[0] + rng.uniform(1e-5, 2e-5, 2)
            shapes[at] = shapely.Polygon(np.concatenate([ring[:1], [spike], ring]))
            expected.append(("invalid", (codes[at], None), None))
    there = [(shape, code) for shape, code in zip(shapes, codes, strict=True) if shape is not None] + extra
    polygons = np.array([shape for shape, _ in there], dtype=object)
    return polygons, [code for _, code in there], expected


def _moved(polygon, vertex: int, kind: str, rng):
    """The polygon with a vertex moved by a tenth of an edge, and the four-cornered place between old and new."""
    xy = shapely.get_coordinates(polygon)
    before, here, after = xy[vertex - 1], xy[vertex], xy[vertex + 1]
    along = after - before
    inward = np.array([-along[1], along[0]]) * rng.uniform(0.02, 0.1)
    xy[vertex] = here + (inward if kind == "moved in" else -inward)
    return shapely.Polygon(xy), shapely.Polygon([before, here, after, xy[vertex]])


def missed(findings, expected) -> int:
    """How many findings were not put in, or were put in and not found, or have another measure."""
    left = [(each.code, (each.area, each.other), each.measure) for each in findings]
    wrong = 0
    for code, pair, size in expected:
        for at, (found, areas, measure) in enumerate(left):
            same = found == code and (pair is None or set(areas) == set(pair))
            if same and (size is None or abs(measure - size) <= 1e-5 * size + 1e-3):
                del left[at]
                break
        else:
            wrong += 1
    return wrong + len(left)


def plainly(polygons: np.ndarray) -> tuple[int, int]:
    """Overlaps and holes by intersecting all neighbours and uniting all areas."""
    valid = shapely.make_valid(polygons)
    tree = shapely.STRtree(valid)
    one, two = tree.query(valid)
    pairs = one < two
    common = shapely.intersection(valid[one[pairs]], valid[two[pairs]])
    overlaps = int(np.count_nonzero(area_m2(common) > 1e-4))
    whole = shapely.get_parts(shapely.union_all(valid))
    return overlaps, int(shapely.get_num_interior_rings(whole).sum())


def by_overlay(polygons: np.ndarray) -> int:
    """Overlaps by geopandas."""
    frame = gpd.GeoDataFrame(
        {"row": np.arange(len(polygons))}, geometry=shapely.make_valid(polygons), crs=4326
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it drops lines, and says so
        both = gpd.overlay(frame, frame, how="intersection", keep_geom_type=True)
    both = both[both["row_1"] < both["row_2"]]
    return int(np.count_nonzero(area_m2(both.geometry.to_numpy()) > 1e-4))


def timed(work, *arguments):
    begin = time.perf_counter()
    answer = work(*arguments)
    return time.perf_counter() - begin, answer


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--polygons", type=int, default=7_000)
    options.add_argument("--quick", action="store_true", help="fewer vertices, no overlay")
    chosen = options.parse_args()
    fine = True
    for halvings in (3,) if chosen.quick else (3, 5):
        polygons, codes, expected = dirty(*shape_of(chosen.polygons), halvings)
        vertices = int(shapely.get_num_coordinates(polygons).sum())
        took, report = timed(lambda a: examine(a, rules=Rules()), Areas.from_arrays(polygons, codes))
        wrong = missed(report.findings, expected)
        print(
            f"{len(polygons):,} areas of {vertices:,} vertices: checked in {took:.2f} s (limit {LIMIT_S:g})"
        )
        print(f"  {len(expected)} injuries, {len(report.findings)} findings, {wrong} of them differ")
        plain, counted = timed(plainly, polygons)
        print(f"  all neighbours and one union: {plain:.1f} s, {plain / took:.1f} times as long: {counted}")
        edges, _ = timed(shapely.coverage_invalid_edges, shapely.make_valid(polygons))
        print(
            f"  shapely.coverage_invalid_edges, which names edges alone: {edges:.1f} s, {edges / took:.1f} times"
        )
        if not chosen.quick:
            overlay, _ = timed(by_overlay, polygons)
            print(f"  geopandas.overlay, overlaps alone: {overlay:.1f} s, {overlay / took:.1f} times as long")
        fine &= took < LIMIT_S and wrong == 0
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
