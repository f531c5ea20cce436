"""Vertices on borders: which a cut put on a border, putting them into neighbours, taking needless ones out.

All comparisons are bit for bit: a border that two areas share has the same vertices in both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import Edges, Mask, Shapes, edges_of

Area = shapely.Polygon | shapely.MultiPolygon
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NewVertices:
    """Vertices that a border got, in the order of the edges they lie on.

    Attributes:
        edge: float64 (n, 2, 2), the edge as it was before, EPSG:4326.
        vertex: float64 (n, 2), on it as near as numbers can say (2e-9 m).
    """

    edge: Floats
    vertex: Floats

    def __len__(self) -> int:
        return len(self.vertex)


def keys(xy: Floats) -> NDArray[np.complex128]:
    """One comparable number for each place of (…, 2)."""
    return np.ascontiguousarray(xy + 0.0).view(np.complex128)[..., 0]


def vertices_of(geometries: Any) -> Floats:
    """All vertices of one geometry or an array of them, with repetitions."""
    xy: Floats = shapely.get_coordinates(geometries)
    return xy


def once(ends: Floats) -> Floats:
    """Segments without repetitions, either way."""
    if not len(ends):
        return ends
    own = keys(ends)
    pair = np.stack([np.minimum(*own.T), np.maximum(*own.T)], axis=1)
    order = np.lexsort((pair[:, 1], pair[:, 0]))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (pair[order[1:]] != pair[order[:-1]]).any(axis=1)
    return ends[np.sort(order[fresh])]


def segments(ends: Floats) -> Shapes:
    """Two-point lines of (n, 2, 2) ends."""
    return np.asarray(shapely.linestrings(ends), dtype=object)


def outer_edges(edges: Edges) -> Mask:
    """Which edges of a valid coverage lie on its own border: those of one polygon alone."""
    alone: Mask = np.bincount(edges.number)[edges.number] == 1
    return alone


def new_vertices(area: Area, polygons: Shapes) -> NewVertices:
    """Which vertices the border of a coverage has that the area it tiles has not, and on which edges.

    Args:
        area: Polygon or MultiPolygon.
        polygons: a valid coverage that tiles it.
    """
    edges = edges_of(polygons)
    ends = edges.ends[outer_edges(edges)].reshape(-1, 2)
    return _located(area, np.unique(ends[~np.isin(keys(ends), keys(vertices_of(area)))], axis=0))


def _located(area: Area, added: Floats) -> NewVertices:
    """The edge of the area for each of its new vertices."""
    if not len(added):
        return NewVertices(np.empty((0, 2, 2)), np.empty((0, 2)))
    own = edges_of(np.array([area], dtype=object)).ends
    tree = shapely.STRtree(segments(own))
    of_vertex, at = tree.query_nearest(shapely.points(added), all_matches=False)
    edge = np.empty(len(added), dtype=np.int64)
    edge[of_vertex] = at
    away = np.hypot(*(added - own[edge, 0]).T)
    order = np.lexsort((away, edge))
    return NewVertices(own[edge[order]], added[order])


def with_vertices(polygons: Shapes, new: NewVertices) -> Shapes:
    """Polygons with new vertices on those of their edges that are named, bit for bit; others stay the same.

    Args:
        polygons: Polygons or MultiPolygons.
        new: for example what `Faces.added` says.
    """
    if not len(new):
        return polygons
    named = keys(new.edge)
    low, high = np.minimum(*named.T), np.maximum(*named.T)
    result = polygons.copy()
    (west, south), (east, north) = new.edge.min(axis=(0, 1)).tolist(), new.edge.max(axis=(0, 1)).tolist()
    touched = np.flatnonzero(shapely.intersects(polygons, shapely.box(west, south, east, north)))
    for row in touched.tolist():
        result[row] = _inserted(polygons[row], new, low, high)
    return result


def _inserted(
    polygon: Area,
    new: NewVertices,
    low: NDArray[np.complex128],
    high: NDArray[np.complex128],
) -> Area:
    kind, xy, offsets = shapely.to_ragged_array([polygon])
    own = keys(xy)
    ring_end = np.zeros(len(xy), dtype=bool)
    ring_end[offsets[0][1:] - 1] = True
    start = np.flatnonzero(~ring_end)
    # a border has few named edges: sorted once, looked up from the polygon's
    order = np.argsort(low, kind="stable")
    here = np.minimum(own[start], own[start + 1])
    first = np.searchsorted(low[order], here, "left")
    last = np.searchsorted(low[order], here, "right")
    positions: list[int] = []
    values: list[Floats] = []
    for at in np.flatnonzero(last > first).tolist():
        far = np.maximum(own[start[at]], own[start[at] + 1])
        mine = [row for row in order[first[at] : last[at]].tolist() if high[row] == far]
        away = [float(np.hypot(*(new.vertex[row] - xy[start[at]]))) for row in mine]
        for _, row in sorted(zip(away, mine, strict=True)):
            positions.append(int(start[at]) + 1)
            values.append(new.vertex[row])
    if not positions:
        return polygon
    more = np.searchsorted(np.array(positions), offsets[0], side="left")
    grown = np.insert(xy, positions, values, axis=0)
    rebuilt: Area = shapely.from_ragged_array(kind, grown, (offsets[0] + more, *offsets[1:]))[0]
    return rebuilt


def without_vertices(polygons: Shapes, places: Floats) -> Shapes:
    """Polygons without the vertices at these places (n, 2); those without any stay the very same.

    Who calls it knows that every polygon that has such a vertex loses it here, so that shared borders stay
    shared.
    """
    if not len(places):
        return polygons
    xy, of_polygon = shapely.get_coordinates(polygons, return_index=True)
    drop = np.isin(keys(xy), keys(places))
    rows = np.unique(of_polygon[drop])
    result = polygons.copy()
    kinds = shapely.get_type_id(polygons[rows])
    for kind in np.unique(kinds):  # an array of both kinds would come back as MultiPolygons
        its = rows[kinds == kind]
        result[its] = _thinned(polygons[its], keys(places))
    return result


def _thinned(polygons: Shapes, places: NDArray[np.complex128]) -> Shapes:
    kind, coords, offsets = shapely.to_ragged_array(polygons)
    rings = offsets[0]
    keep = ~np.isin(keys(coords), places)
    keep[rings[1:] - 1] = False  # rings are closed again below, wherever they now begin
    count = np.add.reduceat(keep.astype(np.int64), rings[:-1])
    begin = np.concatenate([[0], np.cumsum(count)])
    kept = coords[keep]
    closed = np.insert(kept, begin[1:], kept[begin[:-1]], axis=0)
    begin = begin + np.arange(len(begin))
    return np.asarray(shapely.from_ragged_array(kind, closed, (begin, *offsets[1:])), dtype=object)


def without_spare(polygons: Shapes, candidates: Floats) -> Shapes:
    """A coverage without those of the candidate vertices (n, 2) where no more than two edges meet.

    A street or a border between two faces put them there, and what it parted has become one again.
    """
    if not len(candidates):
        return polygons
    edges = edges_of(polygons)
    _, first = np.unique(edges.number, return_index=True)
    ends = keys(edges.ends[first]).ravel()
    ends = ends[np.isin(ends, keys(candidates))]
    places, count = np.unique(ends, return_counts=True)
    spare = places[count == 2]
    return without_vertices(polygons, np.column_stack([spare.real, spare.imag]))
