"""Edges of polygons; one that two polygons share is one edge."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """Edges in the order of their vertices.

    Attributes:
        coords: vertices of all rings, degrees, shape (n, 2).
        vertex: where each edge starts; it ends at the next vertex.
        one: position of a polygon whose border it is.
        two: position of another one, -1 where there is none. Where more than two polygons share an edge, it is
            there several times.
    """

    coords: Floats
    vertex: Ints
    one: Ints
    two: Ints

    def __len__(self) -> int:
        return len(self.vertex)

    def ends(self, number: Ints) -> tuple[Floats, Floats]:
        """Both ends of some edges, shape (n, 2) each."""
        vertex = self.vertex[number]
        return self.coords[vertex], self.coords[vertex + 1]


def edges_of(geoms: Any) -> Edges:
    """Edges of polygons (None and empty ones have none)."""
    parts, of_part = shapely.get_parts(np.asarray(geoms, dtype=object), return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    coords = np.ascontiguousarray(coords)
    vertex = np.flatnonzero(ring[1:] == ring[:-1])
    polygon = of_part[of_ring[ring[vertex]]].astype(np.int64)
    if not len(vertex):
        return Edges(coords, vertex, polygon, polygon)
    mark = _marks(coords, vertex)
    order = np.argsort(mark)
    first, second = _couples(coords, vertex, polygon, mark, order)
    two = np.full(len(vertex), -1, dtype=np.int64)
    two[first] = polygon[second]
    keep = np.ones(len(vertex), dtype=bool)
    keep[second] = False
    return Edges(coords, vertex[keep], polygon[keep], two[keep])


def _marks(coords: Floats, vertex: Ints) -> NDArray[np.uint64]:
    """A number for each edge, the same for the same edge walked either way."""
    bits = coords.view(np.uint64) * np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)
    of_vertex = bits[:, 0] ^ (bits[:, 1] >> np.uint64(29)) ^ bits[:, 1]
    of_vertex ^= of_vertex >> np.uint64(32)
    of_vertex *= np.uint64(0xD6E8FEB86659FD93)
    marks: NDArray[np.uint64] = of_vertex[vertex] + of_vertex[vertex + 1]
    return marks


def _couples(
    coords: Floats, vertex: Ints, polygon: Ints, mark: NDArray[np.uint64], order: Ints
) -> tuple[Ints, Ints]:
    """Pairs of equal edges of two polygons, each edge in one pair at most; the earlier one first."""
    same = mark[order[1:]] == mark[order[:-1]]
    begin = np.flatnonzero(same & ~np.r_[False, same[:-1]])  # the first two of each group
    left, right = order[begin], order[begin + 1]
    first, second = np.minimum(left, right), np.maximum(left, right)
    along = np.argsort(first)  # in the order of the rings: their vertices lie together in memory
    first, second = first[along], second[along]
    a, b = coords[vertex[first]], coords[vertex[first] + 1]
    c, d = coords[vertex[second]], coords[vertex[second] + 1]
    equal = ((a == d) & (b == c)).all(axis=1) | ((a == c) & (b == d)).all(axis=1)
    # a spike runs forth and back within one polygon: its edges are two
    equal &= polygon[first] != polygon[second]
    return first[equal], second[equal]
