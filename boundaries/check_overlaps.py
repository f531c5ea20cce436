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
    number = shapely.get_num_geometries(common)
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
        polygons: valid Polygons and MultiPolygons.
        suspect: which of them have edges that do not cancel, or that several walk the same way.

    Returns:
        positions, the smaller first, in order, and what the two share, MultiPolygons.
    """
    # part by part: the box of an area with a piece far away would hold half the city
    parts, whole = shapely.get_parts(polygons, return_index=True)
    tree = shapely.STRtree(parts)
    waiting = np.flatnonzero(suspect[whole] | _stacked(parts, whole, tree))
    examined = np.zeros(len(parts), dtype=bool)
    pairs, shared = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=object)]
    while len(waiting):
        at, second = tree.query(parts[waiting])
        first = waiting[at]
        together = np.zeros(len(parts), dtype=bool)
        together[waiting] = True
        fresh = (whole[first] != whole[second]) & ~examined[second] & (~together[second] | (first < second))
        first, second = first[fresh], second[fresh]
        examined[waiting] = True
        # exact, and a third of the time of an intersection
        inside = shapely.relate_pattern(parts[first], parts[second], "T********")
        first, second = first[inside], second[inside]
        common = np.asarray(shapely.intersection(parts[first], parts[second]), dtype=object)
        pairs.append(np.sort(np.stack([whole[first], whole[second]], axis=1), axis=1))
        shared.append(common)
        found = np.unique(np.concatenate([first, second]))
        waiting = found[~examined[found]]
    return _together(np.concatenate(pairs), np.concatenate(shared))


def _together(pairs: Rows, shared: Shapes) -> tuple[Rows, Rows, Shapes]:
    """What parts share, as what their polygons share."""
    pieces, of_pair = polygonal(shared)
    different, number = np.unique(pairs[of_pair], axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    common = np.asarray(
        shapely.multipolygons(pieces[order], indices=number.ravel()[order]) if len(pieces) else pieces,
        dtype=object,
    )
    return different[:, 0], different[:, 1], common


def _stacked(parts: Shapes, whole: Rows, tree: shapely.STRtree) -> NDArray[np.bool_]:
    """Parts whose inner point lies in another polygon, and those that it lies in."""
    at, holder = tree.query(inner_points(parts), predicate="within")
    other = whole[at] != whole[holder]
    stacked = np.zeros(len(parts), dtype=bool)
    stacked[at[other]] = True
    stacked[holder[other]] = True
    return stacked
