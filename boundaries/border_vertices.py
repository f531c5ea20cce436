"""Vertices on borders: which a cut put on a border, putting them into neighbours, taking needless ones out.

All comparisons are bit for bit: a border that two areas share has the same vertices in both.
"""

from dataclasses import dataclass
from functools import partial
from math import dist
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import Edges, Mask, Shapes, edges_of
from gridmap.borders import Edge, Inserted, Place, insert
from gridmap.crs_measures import plane_at

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

    @property
    def inserted(self) -> Inserted:
        """The same by edge, from its smaller place to its larger one."""
        by_edge: dict[Edge, list[Place]] = {}
        for (one, two), vertex in zip(self.edge.tolist(), self.vertex.tolist(), strict=True):
            ends = sorted([(one[0], one[1]), (two[0], two[1])])
            by_edge.setdefault((ends[0], ends[1]), []).append((vertex[0], vertex[1]))
        return {edge: tuple(sorted(along, key=partial(dist, edge[0]))) for edge, along in by_edge.items()}


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


def outer_vertices(edges: Edges) -> Floats:
    """The vertices of a coverage's own border, each once."""
    return np.unique(edges.ends[outer_edges(edges)].reshape(-1, 2), axis=0)


def on_border(area: Area, vertices: Floats, within_m: float) -> NewVertices:
    """Those of the vertices (n, 2) that lie within some metres of an area's border and are none of its own."""
    west, south, east, north = shapely.bounds(area).tolist()
    scale = plane_at((west + east) / 2, (south + north) / 2).scale
    reach = within_m / scale
    least, most = np.array([west, south]) - reach, np.array([east, north]) + reach
    near = ((vertices >= least) & (vertices <= most)).all(axis=1)
    near &= ~np.isin(keys(vertices), keys(vertices_of(area)))
    candidates = vertices[near]
    border = shapely.boundary(area)
    shapely.prepare(border)
    close = shapely.dwithin(shapely.points(candidates), border, float(reach.min()))
    return located(area, candidates[close])


def located(area: Area, vertices: Floats) -> NewVertices:
    """Those of the vertices (n, 2) on the border of an area that it has not, and on which of its edges."""
    added = vertices[~np.isin(keys(vertices), keys(vertices_of(area)))]
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
    inserted = new.inserted
    (west, south), (east, north) = new.edge.min(axis=(0, 1)).tolist(), new.edge.max(axis=(0, 1)).tolist()
    result = polygons.copy()
    for row in np.flatnonzero(shapely.intersects(polygons, shapely.box(west, south, east, north))).tolist():
        grown = insert(polygons[row], inserted)
        if grown is not None:
            result[row] = grown if polygons[row].geom_type == grown.geom_type else grown.geoms[0]
    return result


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


def spare_vertices(edges: Edges, candidates: Floats) -> Floats:
    """Those of the candidate vertices (n, 2) of a coverage where no more than two edges meet.

    A street or a border between two faces put them there, and what it parted has become one again.
    """
    _, first = np.unique(edges.number, return_index=True)
    ends = keys(edges.ends[first]).ravel()
    ends = ends[np.isin(ends, keys(candidates))]
    places, count = np.unique(ends, return_counts=True)
    spare = places[count == 2]
    return np.column_stack([spare.real, spare.imag])


def without_spare(polygons: Shapes, candidates: Floats) -> Shapes:
    """A coverage without its `spare_vertices`."""
    if not len(candidates):
        return polygons
    return without_vertices(polygons, spare_vertices(edges_of(polygons), candidates))
