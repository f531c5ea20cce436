"""Polygons as one array of vertices, to be moved and added to by the thousand."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Rings:
    """Vertices of polygons, ring after ring, each ring closed.

    Attributes:
        xy: float64 (n, 2).
        ring: number of the ring of each vertex, ascending.
        part: for each ring the number of the polygon without parts that it bounds, ascending; its first ring is
            the outer one.
        whole: for each part the position of the polygon that it belongs to, ascending.
        polygon: position of the polygon of each vertex.
        touched: which vertices are not as they were.
    """

    xy: Floats
    ring: Rows
    part: Rows
    whole: Rows
    polygon: Rows
    touched: Mask

    def starts(self) -> Rows:
        """Vertices that an edge begins at: all but the last of each ring."""
        return np.flatnonzero(self.ring[1:] == self.ring[:-1])

    def moved(self, xy: Floats) -> "Rings":
        """The same rings with vertices elsewhere."""
        return Rings(xy, self.ring, self.part, self.whole, self.polygon, (xy != self.xy).any(axis=1))


def rings_of(polygons: Shapes) -> Rings:
    """Rings of Polygons and MultiPolygons; None has none."""
    parts, whole = shapely.get_parts(polygons, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    untouched = np.zeros(len(xy), dtype=bool)
    return Rings(xy, ring, part, whole, whole[part[ring]], untouched)


def inserted(rings: Rings, start: Rows, share: Floats, places: Floats) -> Rings:
    """Rings with further vertices.

    Args:
        rings: as they are.
        start: vertices after which a vertex is put in.
        share: where along the edge, which orders several of one edge.
        places: of the new vertices.
    """
    order = np.lexsort((share, start))
    start, places = start[order], places[order]
    into = start + 1
    ring = np.insert(rings.ring, into, rings.ring[start])
    polygon = np.insert(rings.polygon, into, rings.polygon[start])
    touched = np.insert(np.zeros(len(rings.xy), dtype=bool), into, values=True)
    return Rings(np.insert(rings.xy, into, places, axis=0), ring, rings.part, rings.whole, polygon, touched)


def shapes_of(rings: Rings, polygons: Rows) -> Shapes:
    """Polygons out of rings, without repeated vertices; None where an outer ring has collapsed.

    Args:
        rings: of all polygons.
        polygons: ascending positions of those wanted.
    """
    chosen = np.isin(rings.polygon, polygons)
    xy, ring = rings.xy[chosen], rings.ring[chosen]
    fresh = np.ones(len(xy), dtype=bool)
    fresh[1:] = (ring[1:] != ring[:-1]) | (xy[1:] != xy[:-1]).any(axis=1)
    xy, ring = xy[fresh], ring[fresh]
    enough = np.bincount(ring, minlength=len(rings.part)) >= 4
    xy, ring = xy[enough[ring]], ring[enough[ring]]
    outer = np.ones(len(rings.part), dtype=bool)
    outer[1:] = rings.part[1:] != rings.part[:-1]
    lost_parts = rings.part[outer & ~enough]
    there = np.zeros(len(rings.part), dtype=bool)
    there[ring] = True
    there &= ~np.isin(rings.part, lost_parts)
    kept = there[ring]
    numbers = np.flatnonzero(there)
    lines: Shapes = np.asarray(
        shapely.linearrings(xy[kept], indices=np.searchsorted(numbers, ring[kept])), dtype=object
    )
    part = rings.part[numbers]
    parts = np.unique(part)
    made: Shapes = np.asarray(shapely.polygons(lines, indices=np.searchsorted(parts, part)), dtype=object)
    whole = rings.whole[parts]
    result = np.full(len(polygons), None, dtype=object)
    at = np.searchsorted(polygons, whole)
    number = np.bincount(at, minlength=len(polygons))
    if len(made):
        result[number > 0] = shapely.multipolygons(
            made, indices=np.searchsorted(np.flatnonzero(number > 0), at)
        )
    return result
