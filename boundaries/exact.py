"""Adding and taking away land without moving a vertex.

Polygons whose common borders are the same vertices, bit for bit, are added and subtracted by their edges alone: an
edge that is walked once either way vanishes, what is left bounds the sum. Nothing is computed that could be rounded,
so a coverage stays one. Where a new vertex comes onto a border, everything that has the edge gets it
(`gridmap.borders.insert`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import edges_of
from gridmap.errors import InvalidInput

Shapes = NDArray[np.object_]


def combine(plus: Sequence[Any], minus: Sequence[Any] = ()) -> shapely.MultiPolygon:
    """Land of some polygons without that of others, vertex for vertex; empty where nothing is left.

    Args:
        plus: (Multi)Polygons that do not overlap each other.
        minus: (Multi)Polygons that lie inside these and do not overlap each other; every edge of theirs that meets
            an edge of the others is that edge, or lies wholly inside.

    Raises:
        InvalidInput: `inexact`: they overlap, or meet in vertices that one of them lacks.
    """
    edges = edges_of(_shapes([*plus, *minus]))
    weight = np.where(edges.owner < len(plus), edges.sign, -edges.sign)
    net = np.bincount(edges.number, weights=weight).astype(np.int64)
    left = np.flatnonzero(net)
    if not len(left):
        return shapely.MultiPolygon()
    first = np.zeros(len(net), dtype=np.int64)
    first[edges.number] = np.arange(len(edges))
    ends = edges.ends[first[left]]
    ends[net[left] < 0] = ends[net[left] < 0][:, ::-1]
    found = _inside(ends)
    if found is None or (np.abs(net) > 1).any():
        x, y = ends[0, 0].tolist()
        raise InvalidInput(
            "边界不吻合，请先修复 Borders that should be one differ in their vertices here: repair the boundaries first"
            " (gridmap check says where)",
            code="inexact",
            findings=[{"code": "inexact", "where": [x, y], "message": "borders differ in their vertices"}],
        )
    return shapely.MultiPolygon(found.tolist())


def _inside(ends: NDArray[np.float64]) -> Shapes | None:
    """The faces on the left of directed edges; None where the edges bound none."""
    faces = shapely.orient_polygons(
        shapely.get_parts(shapely.polygonize(np.asarray(shapely.linestrings(ends), dtype=object))),
        exterior_cw=False,
    )
    exterior = shapely.get_exterior_ring(faces)
    starts = shapely.get_coordinates(shapely.get_point(exterior, 0))
    following = shapely.get_coordinates(shapely.get_point(exterior, 1))
    directed = set(map(tuple, ends.reshape(-1, 4).tolist()))
    kept = faces[[each in directed for each in map(tuple, np.hstack([starts, following]).tolist())]]
    # Every edge must bound what is kept; one that dangles, or crosses another, does not.
    return (
        kept
        if len(kept) and shapely.get_num_coordinates(kept).sum() - len(_rings(kept)) == len(ends)
        else None
    )


def _rings(polygons: Shapes) -> Shapes:
    rings: Shapes = shapely.get_rings(polygons)
    return rings


def shared_length(one: Any, others: Iterable[Any]) -> list[float]:
    """Length in degrees of the border that a polygon shares, vertex for vertex, with each of others."""
    rest = list(others)
    edges = edges_of(_shapes([one, *rest]))
    mine = np.zeros(int(edges.number.max(initial=-1)) + 1, dtype=bool)
    mine[edges.number[edges.owner == 0]] = True
    lengths = np.hypot(*(edges.ends[:, 1] - edges.ends[:, 0]).T)
    shared = np.bincount(
        edges.owner, weights=np.where(mine[edges.number], lengths, 0.0), minlength=len(rest) + 1
    )
    return [float(each) for each in shared[1:]]


def _shapes(polygons: Sequence[Any]) -> Shapes:
    shapes = np.empty(len(polygons), dtype=object)
    shapes[:] = polygons
    return shapes
