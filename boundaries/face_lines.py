"""The line work of faces: ridges cut at the borders of their blocks, borders split where ridges meet them.

A crossing is computed once and put, the same bits, into both lines; polygonising then needs no noding.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.border_vertices import Area, keys, once, segments
from boundaries.check_edges import Mask, Rows, Shapes, edges_of
from boundaries.face_ridges import Ridges
from gridmap.crs_measures import Plane

Floats = NDArray[np.float64]

SNAP_M: Final = 0.02  # a ridge that ends this near to a vertex of the border ends at it
SAME_M: Final = 1e-5  # vertices that noding puts on the border nearer together than this are one


@dataclass(frozen=True, slots=True)
class Frame:
    """The edges of blocks, each once.

    Attributes:
        ends: float64 (n, 2, 2), EPSG:4326.
        sides: int64 (n, 2), the blocks beside it, -1 outside.
    """

    ends: Floats
    sides: Rows


@dataclass(frozen=True, slots=True)
class Crossings:
    """Where lines meet the frame: the row of the edge, and the place as float64 (n, 2)."""

    edge: Rows
    place: Floats


def frame_of(blocks: Shapes) -> Frame:
    """Every edge of a coverage of blocks, once."""
    edges = edges_of(blocks)
    order = np.argsort(edges.number, kind="stable")
    number = edges.number[order]
    first = np.concatenate([[True], number[1:] != number[:-1]])
    sides = np.full((int(first.sum()), 2), -1, dtype=np.int64)
    sides[:, 0] = edges.owner[order[first]]
    sides[number[~first], 1] = edges.owner[order[~first]]
    return Frame(edges.ends[order[first]], sides)


def cut(ridges: Ridges, blocks: Shapes, frame: Frame, plane: Plane) -> tuple[Floats, Crossings]:
    """The parts of ridges inside their blocks as (n, 2, 2), and where they meet the blocks' borders."""
    lines = segments(ridges.ends)
    edges = segments(frame.ends)
    at, edge = shapely.STRtree(edges).query(lines, predicate="intersects")
    own = (frame.sides[edge] == ridges.block[at][:, None]).any(axis=1)
    at, edge = at[own], edge[own]
    points = np.asarray(shapely.intersection(lines[at], edges[edge]), dtype=object)
    single = shapely.get_type_id(points) == shapely.GeometryType.POINT
    at, edge, place = at[single], edge[single], shapely.get_coordinates(points[single])
    place = _snapped(place, edge, frame, plane, SNAP_M)
    ends, ridge = _split(ridges.ends, at, place)
    middle = ends.mean(axis=1)
    shapely.prepare(blocks)
    inside = shapely.contains_xy(blocks[ridges.block[ridge]], middle[:, 0], middle[:, 1])
    # borders run from vertex to vertex, so what meets one in a vertex splits nothing
    fresh = ~(keys(place)[:, None] == keys(frame.ends[edge])).any(axis=1)
    return once(ends[inside]), Crossings(edge[fresh], place[fresh])


def _snapped(place: Floats, edge: Rows, frame: Frame, plane: Plane, near_m: float) -> Floats:
    """Places on edges moved to an end or to a place before them that is nearer than `near_m`."""
    start, stop = frame.ends[edge, 0], frame.ends[edge, 1]
    from_start = np.hypot(*((place - start) * plane.scale).T)
    from_stop = np.hypot(*((place - stop) * plane.scale).T)
    result = place.copy()
    result[from_stop < near_m] = stop[from_stop < near_m]
    result[from_start < near_m] = start[from_start < near_m]
    order = np.lexsort((from_start, edge))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (edge[order[1:]] != edge[order[:-1]]) | (np.diff(from_start[order]) >= near_m)
    head = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(order) else order
    free = (from_start >= near_m) & (from_stop >= near_m)
    both = free[order] & free[head]
    result[order[both]] = place[head[both]]
    return result


def _split(ends: Floats, at: Rows, place: Floats) -> tuple[Floats, Rows]:
    """Segments split at places on them: (m, 2, 2) and the row of the segment of each part."""
    count = len(ends)
    span = ends[at, 1] - ends[at, 0]
    along = ((place - ends[at, 0]) * span).sum(axis=1) / np.maximum((span * span).sum(axis=1), 1e-300)
    row = np.concatenate([np.arange(count), at, np.arange(count)])
    share = np.concatenate([np.full(count, -np.inf), along, np.full(count, np.inf)])
    xy = np.concatenate([ends[:, 0], place, ends[:, 1]])
    order = np.lexsort((share, row))
    one, two = order[:-1], order[1:]
    real = (row[one] == row[two]) & (xy[one] != xy[two]).any(axis=1)
    return np.stack([xy[one[real]], xy[two[real]]], axis=1), row[one[real]]


def split_frame(frame: Frame, crossings: Crossings) -> Floats:
    """The frame's edges, (n, 2, 2), with their crossings as vertices."""
    ends, _ = _split(frame.ends, crossings.edge, crossings.place)
    return ends


def noded(
    lines: Shapes, block: Area, own: Rows, frame: Frame, plane: Plane
) -> tuple[Floats, Crossings] | None:
    """Lines that cross anyhow, noded with each other and with their block's border.

    Args:
        lines: ridges and outlines, also beyond the block.
        block: its polygon.
        own: rows of the frame that are its edges.
        frame: of all blocks.
        plane: for distances.

    Returns:
        what lies inside as (n, 2, 2), and the border's new vertices; None where noding moved the border.
    """
    ring = shapely.boundary(block)
    mesh = shapely.union_all(np.concatenate([lines, [ring]]))
    xy, of_line = shapely.get_coordinates(shapely.get_parts(mesh), return_index=True)
    start = np.flatnonzero(of_line[1:] == of_line[:-1])
    ends = once(np.stack([xy[start], xy[start + 1]], axis=1))
    corners = keys(shapely.get_coordinates(ring))
    if not np.isin(corners, keys(xy)).all():
        return None
    # also what lies beside the border by its last bits belongs to it, or it would cut off a piece of nothing
    added = np.unique(ends.reshape(-1, 2)[~np.isin(keys(ends).ravel(), corners)], axis=0)
    tree = shapely.STRtree(segments(frame.ends[own]))
    of_point, near = tree.query_nearest(
        shapely.points(added), max_distance=SAME_M / plane.north_m, all_matches=False
    )
    added, edge = added[of_point], own[near]
    place = _snapped(added, edge, frame, plane, SAME_M)
    if len(added):
        ends = once(_replaced(ends, added, place))
    middle = ends.mean(axis=1)
    inside = shapely.contains_xy(block, middle[:, 0], middle[:, 1])
    # what runs along the border is the frame's business: other blocks may split it once more
    on_border = np.isin(keys(ends), np.concatenate([corners, keys(place)])).all(axis=1)
    chord = np.flatnonzero(inside & on_border)
    along, _ = tree.query(shapely.points(middle[chord]), predicate="dwithin", distance=SAME_M / plane.north_m)
    inside[chord[along]] = False
    inner = ends[inside]
    fresh = ~(keys(place)[:, None] == keys(frame.ends[edge])).any(axis=1)
    return inner, Crossings(edge[fresh], place[fresh])


def _replaced(ends: Floats, old: Floats, new: Floats) -> Floats:
    """Segments whose ends at old places lie at the new ones; those that lose their length are left out."""
    order = np.argsort(keys(old))
    at = np.searchsorted(keys(old)[order], keys(ends))
    at = order[np.minimum(at, len(old) - 1)]
    hit = keys(old)[at] == keys(ends)
    result = np.where(hit[..., None], new[at], ends)
    long: Floats = result[(result[:, 0] != result[:, 1]).any(axis=1)]
    return long


def beside(frame: Frame, block: int) -> Rows:
    """Rows of the frame's edges of one block."""
    mine: Mask = (frame.sides == block).any(axis=1)
    return np.flatnonzero(mine)
