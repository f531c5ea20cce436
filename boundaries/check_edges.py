"""Edges of polygons and how they cancel: what is left is where a coverage is not one.

Walking round every polygon with its inside on the left, each border between two neighbours is walked once
either way. What is walked otherwise, bit for bit, bounds a gap, an overlap or the coverage's outside.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Edges:
    """Edges of polygons, as parallel arrays.

    Attributes:
        ends: float64 (n, 2, 2), in one direction for all polygons that share an edge.
        number: int64, the same for the same edge.
        sign: +1 where the polygon lies on the left of the edge in the direction of `ends`, else -1.
        owner: int64, position of the polygon.
    """

    ends: NDArray[np.float64]
    number: Rows
    sign: Rows
    owner: Rows

    def __len__(self) -> int:
        return len(self.number)


def edges_of(polygons: Shapes) -> Edges:
    """All edges of valid Polygons and MultiPolygons; None has none. Edges without length are left out."""
    parts, of_polygon = shapely.get_parts(polygons, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    first = np.ones(len(rings), dtype=bool)
    first[1:] = of_part[1:] != of_part[:-1]
    turned = shapely.is_ccw(rings) != first  # a hole is walked clockwise
    xy, of_ring = shapely.get_coordinates(rings, return_index=True)
    xy = xy + 0.0  # -0.0 and 0.0 are one place
    vertex = _numbered(xy)
    start = np.flatnonzero((of_ring[1:] == of_ring[:-1]) & (vertex[1:] != vertex[:-1]))
    forward = vertex[start] < vertex[start + 1]
    low = np.where(forward, vertex[start], vertex[start + 1])
    high = np.where(forward, vertex[start + 1], vertex[start])
    _, number = np.unique(low * (len(xy) + 1) + high, return_inverse=True)
    ends = np.stack(
        [xy[np.where(forward, start, start + 1)], xy[np.where(forward, start + 1, start)]], axis=1
    )
    sign = np.where(forward != turned[of_ring[start]], 1, -1)
    owner = of_polygon[of_part[of_ring[start]]]
    return Edges(ends, number.astype(np.int64), sign, owner.astype(np.int64))


def _numbered(xy: NDArray[np.float64]) -> Rows:
    """The same number for the same place, bit for bit."""
    order = np.lexsort((xy[:, 1], xy[:, 0]))
    new = np.zeros(len(xy), dtype=np.int64)
    new[1:] = (xy[order[1:]] != xy[order[:-1]]).any(axis=1)
    numbers = np.empty(len(xy), dtype=np.int64)
    numbers[order] = np.cumsum(new)
    return numbers


def loose(number: Rows, sign: Rows, group: Rows) -> tuple[Mask, Mask]:
    """Which edges do not cancel within their group, and which are walked more than once one way.

    Args:
        number: the same for the same edge.
        sign: of each edge, as it counts in its group: reversed for an area that the others shall fill.
        group: of each edge, from 0; negative takes no part.
    """
    taking = np.flatnonzero(group >= 0)
    many = int(number.max(initial=0)) + 1
    _, key = np.unique(group[taking] * many + number[taking], return_inverse=True)
    different = int(key.max(initial=-1)) + 1
    ways = [np.bincount(key[sign[taking] == way], minlength=different) for way in (1, -1)]
    open_edge, crowded = np.zeros(len(number), dtype=bool), np.zeros(len(number), dtype=bool)
    open_edge[taking] = (ways[0] != ways[1])[key]
    crowded[taking] = ((ways[0] > 1) | (ways[1] > 1))[key]
    return open_edge, crowded


def faces(ends: NDArray[np.float64]) -> Shapes:
    """The polygons into which edges divide the plane; edges may cross and repeat.

    Args:
        ends: float64 (n, 2, 2).
    """
    if not len(ends):
        return np.empty(0, dtype=object)
    different = np.unique(ends.reshape(-1, 4), axis=0).reshape(-1, 2, 2)
    noded = shapely.union_all(shapely.linestrings(different))
    return np.asarray(shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))), dtype=object)
