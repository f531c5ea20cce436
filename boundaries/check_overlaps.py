"""Which areas of a kind lie over each other, and by how much."""

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_areas import Areas, inner_points
from boundaries.check_findings import Examination, in_m, in_m2, mean_width_m, place_in, polygonal
from gridmap import crs

Rows = NDArray[np.int64]
Shapes = NDArray[np.object_]


def add_overlaps(report: Examination, areas: Areas, rows: Rows, geom: Shapes, suspects: Rows) -> None:
    """Reports every pair of areas that share more than borders.

    Args:
        report: takes the findings.
        areas: under check.
        rows: of one kind.
        geom: sound polygons of all areas.
        suspects: rows whose edges do not all cancel.
    """
    first, second, common = overlapping(geom[rows], np.isin(rows, suspects))
    _, of_pair = polygonal(common)
    number = np.bincount(of_pair, minlength=len(common))
    sizes = crs.area_m2(common)
    widths = mean_width_m(common, sizes)
    for at in range(len(common)):
        measure = float(sizes[at])
        if report.is_noise("overlap", measure):
            continue
        one, two = sorted((rows[first[at]], rows[second[at]]), key=lambda row: (areas.code[row], row))
        places = int(number[at])
        size, width = in_m2(measure), in_m(widths[at])
        message = (
            f"{areas.named(one)} 与 {areas.named(two)} 重叠 {size}，平均宽 {width}，{places} 处"
            f" overlaps by {size}, {width} wide on average, in {places} place{'s' if places > 1 else ''}"
        )
        where = place_in(common[at])
        report.add(
            "overlap",
            areas.code[one],
            message,
            other=areas.code[two],
            where=where,
            measure=measure,
            unit="m2",
        )


def overlapping(polygons: Shapes, suspect: NDArray[np.bool_]) -> tuple[Rows, Rows, Shapes]:
    """All pairs of polygons whose insides meet, and what they share.

    Only pairs with a suspect are intersected; who is found to overlap becomes a suspect. That reaches every
    pair: from any place that two polygons share, a way across borders that cancel (on the other side of which
    lies a pair again) leads to one that does not, or the two are the same polygon, whose inner point tells.
    docs/adr/0011 has the argument in full.

    Args:
        polygons: valid, None left out of it.
        suspect: which of them have edges that do not cancel, or that several walk the same way.
    """
    tree = shapely.STRtree(polygons)
    waiting = np.flatnonzero(suspect | _stacked(polygons, tree))
    examined = np.zeros(len(polygons), dtype=bool)
    firsts, seconds, shared = [], [], []
    while len(waiting):
        at, second = tree.query(polygons[waiting])
        first = waiting[at]
        together = np.zeros(len(polygons), dtype=bool)
        together[waiting] = True
        fresh = ~examined[second] & (first != second) & (~together[second] | (first < second))
        first, second = first[fresh], second[fresh]
        examined[waiting] = True
        common = np.asarray(shapely.intersection(polygons[first], polygons[second]), dtype=object)
        met = shapely.area(common) > 0.0
        firsts.append(first[met])
        seconds.append(second[met])
        shared.append(common[met])
        found = np.unique(np.concatenate([first[met], second[met]]))
        waiting = found[~examined[found]]
    if not firsts:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, np.empty(0, dtype=object)
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(shared)


def _stacked(polygons: Shapes, tree: shapely.STRtree) -> NDArray[np.bool_]:
    """Polygons one of whose parts has an inner point that lies in another polygon, too."""
    parts, of_polygon = shapely.get_parts(polygons, return_index=True)
    at, holder = tree.query(inner_points(np.asarray(parts, dtype=object)), predicate="within")
    other = of_polygon[at] != holder
    stacked = np.zeros(len(polygons), dtype=bool)
    stacked[of_polygon[at[other]]] = True
    stacked[holder[other]] = True
    return stacked
