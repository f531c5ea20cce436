"""What no area of a coverage holds: holes that it encloses, and what it leaves of the area that it should fill."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_areas import Areas, inner_points
from boundaries.check_edges import faces
from boundaries.check_findings import Examination, in_m, in_m2, mean_width_m, place_in, polygonal
from gridmap import crs

Rows = NDArray[np.int64]
Shapes = NDArray[np.object_]


def holes(ends: NDArray[np.float64], polygons: Shapes) -> Shapes:
    """Holes that polygons enclose together.

    Args:
        ends: edges of the polygons that do not cancel, float64 (n, 2, 2).
        polygons: valid ones.
    """
    return _without(faces(ends), polygons)


def uncovered(ends: NDArray[np.float64], whole: shapely.Geometry, polygons: Shapes) -> Shapes:
    """What polygons leave of an area that they should fill.

    Args:
        ends: edges of the area and of those polygons that do not cancel against each other, (n, 2, 2).
        whole: the area.
        polygons: whatever may fill it.
    """
    found = faces(ends)
    shapely.prepare(whole)
    found = found[shapely.intersects(whole, inner_points(found))]
    return _without(found, polygons)


def _without(candidates: Shapes, polygons: Shapes) -> Shapes:
    """Candidates that lie in no polygon, by a point inside each."""
    tree = shapely.STRtree(shapely.get_parts(polygons))  # by parts: boxes of scattered ones hold too much
    covered, _ = tree.query(inner_points(candidates), predicate="intersects")
    free = np.ones(len(candidates), dtype=bool)
    free[covered] = False
    return candidates[free]


def subtract(gaps: Shapes, fillers: Shapes) -> Shapes:
    """Gaps without what other areas fill of them; a gap may fall into several."""
    fillers = fillers[~shapely.is_missing(fillers)]
    if not len(gaps) or not len(fillers):
        return gaps
    return Fillers(fillers).out_of(gaps)


class Fillers:
    """Areas that may fill gaps, to be asked again and again.

    Args:
        shapes: polygons; None is passed over.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._tree = shapely.STRtree(shapes)

    def out_of(self, gaps: Shapes, allowed: NDArray[np.bool_] | None = None) -> Shapes:
        """Gaps without what these areas, or those of them that are allowed, fill of them."""
        at, over = self._tree.query(gaps, predicate="intersects")
        if allowed is not None:
            at, over = at[allowed[over]], over[allowed[over]]
        inside = shapely.relate_pattern(gaps[at], self._shapes[over], "T********")
        at, over = at[inside], over[inside]
        if not len(at):
            return gaps
        left = gaps.copy()
        order = np.argsort(at, kind="stable")
        for pairs in np.split(order, np.flatnonzero(np.diff(at[order])) + 1):
            each = at[pairs[0]]
            left[each] = shapely.difference(gaps[each], shapely.union_all(self._shapes[over[pairs]]))
        return polygonal(left)[0]

    def without(self, gaps: Shapes) -> Shapes:
        """Gaps that do not lie in any of these areas, by a point inside each."""
        covered, _ = self._tree.query(inner_points(gaps), predicate="intersects")
        free = np.ones(len(gaps), dtype=bool)
        free[covered] = False
        return gaps[free]


def add_gaps(
    report: Examination, areas: Areas, gaps: Shapes, neighbours: tuple[Rows, Shapes], meaning: Sequence[str]
) -> None:
    """Reports gaps.

    Args:
        report: takes the findings.
        areas: under check.
        gaps: polygons.
        neighbours: rows of areas, and their polygons, that may border on the gaps.
        meaning: of the gaps, 中文 and English.
    """
    sizes = crs.area_m2(gaps)
    widths = mean_width_m(gaps, sizes)
    real = np.array([not report.is_noise("gap", float(size)) for size in sizes], dtype=bool)
    beside = _beside(gaps[real], areas, *neighbours)
    for gap, size, width, rows in zip(gaps[real], sizes[real], widths[real], beside, strict=True):
        named = "、".join(areas.named(row) for row in rows[:4]) or "–"
        message = (
            f"{meaning[0]} {in_m2(size)}，平均宽 {in_m(width)}，相邻 {named}"
            f" {meaning[1]}: {in_m2(size)}, {in_m(width)} wide on average, beside {named}"
        )
        codes = [areas.code[row] for row in rows[:2]] + [None, None]
        report.add(
            "gap", codes[0], message, other=codes[1], where=place_in(gap), measure=float(size), unit="m2"
        )


def _beside(gaps: Shapes, areas: Areas, rows: Rows, polygons: Shapes) -> list[list[int]]:
    """Areas along each gap, the one with the longest shared border first."""
    parts, whole = shapely.get_parts(polygons, return_index=True)
    at, part = shapely.STRtree(parts).query(gaps, predicate="intersects")
    shared = shapely.length(shapely.intersection(shapely.boundary(gaps[at]), parts[part]))
    near = whole[part]
    found: list[list[int]] = [[] for _ in gaps]
    # lengths of equal borders differ in their last bits
    order = sorted(
        range(len(at)), key=lambda n: (at[n], -round(shared[n], 12), areas.code[rows[near[n]]], rows[near[n]])
    )
    for each in order:
        row = int(rows[near[each]])
        if row not in found[at[each]]:
            found[at[each]].append(row)
    return found
