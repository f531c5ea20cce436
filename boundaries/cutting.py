"""Cutting polygons by what somebody drew: the pieces, and the vertices that come onto their borders.

Where a drawn line meets a border within a hand's breadth of a vertex of it, it meets the vertex. Elsewhere it puts a
vertex of its own onto the border's edge. The borders themselves are never noded anew: every vertex stays where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import edges_of
from boundaries.exact import Shapes
from gridmap.borders import Edge, Inserted, Place
from gridmap.crs_measures import plane_at
from gridmap.errors import InvalidInput

SNAP_M = 0.05
ON_EDGE_M = 1e-6
MOST_VERTICES = 5_000
MOST_CROSSINGS = 1_000  # of a drawing with itself
MOST_MEETINGS = 50_000  # with borders; one that follows them meets four edges at each vertex
_BLOCK = 100


@dataclass(frozen=True)
class Pieces:
    """What polygons and a drawing divide the land into.

    Attributes:
        face: Polygons that tile all that the polygons and the drawing enclose.
        owner: position of the polygon that a face is a piece of; -1 for none.
        inserted: new vertices on edges of the polygons.
    """

    face: Shapes
    owner: NDArray[np.int64]
    inserted: Inserted


def cut(polygons: Sequence[Any], drawn: Any) -> Pieces:
    """Divides polygons by a drawing.

    Args:
        polygons: (Multi)Polygons, EPSG:4326, that overlap nowhere and share their vertices where they touch.
        drawn: a LineString or Polygon, EPSG:4326.

    Raises:
        InvalidInput: `bad_drawing`, or `inexact` where the polygons are no clean coverage.
    """
    shapes = np.empty(len(polygons), dtype=object)
    shapes[:] = polygons
    borders = _unique(edges_of(shapes).ends)
    plane = _Plane(float(np.mean(borders[:, :, 1])) if len(borders) else 0.0)
    lines, touched = _snapped(_segments(drawn), borders, plane)
    lines = _bent(lines, borders, plane)
    on_border, on_line = _crossings(borders, lines, touched, plane)
    inserted = {
        _edge(borders[row]): tuple(_ordered(borders[row], places)) for row, places in on_border.items()
    }
    noded = np.vstack(
        [np.delete(borders, list(on_border), axis=0)]
        + [_chain(borders[row], places) for row, places in on_border.items()]
        + [_chain(lines[row], on_line.get(row, ())) for row in range(len(lines))]
    )
    face = shapely.get_parts(shapely.polygonize(_strokes(_unique(noded))))
    return Pieces(face, _owners(shapes, face), inserted)


class _Plane:
    """Metres around a parallel, good enough to say what is near."""

    def __init__(self, latitude: float) -> None:
        self.scale = plane_at(0.0, latitude).scale

    def distance(self, one: Any, other: Any) -> NDArray[np.float64]:
        """Metres between places (broadcast)."""
        away: NDArray[np.float64] = np.hypot(*np.moveaxis((np.asarray(one) - other) * self.scale, -1, 0))
        return away

    def nearest_on(self, edges: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest place on each edge."""
        start, along = edges[:, 0] * self.scale, (edges[:, 1] - edges[:, 0]) * self.scale
        share = ((place * self.scale - start) * along).sum(axis=1) / (along * along).sum(axis=1)
        on: NDArray[np.float64] = edges[:, 0] + np.clip(share, 0.0, 1.0)[:, None] * (
            edges[:, 1] - edges[:, 0]
        )
        return on


def _segments(drawn: Any) -> NDArray[np.float64]:
    """Edges of the drawing, noded where it crosses itself."""
    places = shapely.get_coordinates(drawn)
    if len(places) > MOST_VERTICES or not np.isfinite(places).all() or shapely.is_empty(drawn):
        raise InvalidInput(
            f"图形应有 2 至 {MOST_VERTICES} 个顶点 A drawing has 2 to {MOST_VERTICES} finite vertices,"
            " longitude first",
            code="bad_drawing",
        )
    lines = shapely.get_rings(drawn) if shapely.get_dimensions(drawn) == 2 else shapely.get_parts(drawn)
    if shapely.is_simple(lines).all():
        noded = lines
    else:
        _require_few_crossings(places)
        noded = shapely.get_parts(shapely.node(shapely.union_all(lines)))
    coordinates, of_line = shapely.get_coordinates(noded, return_index=True)
    start = np.flatnonzero((of_line[1:] == of_line[:-1]) & (coordinates[1:] != coordinates[:-1]).any(axis=1))
    return np.stack([coordinates[start], coordinates[start + 1]], axis=1)


def _require_few_crossings(places: NDArray[np.float64]) -> None:
    """Refuses a scribble: its crossings grow with the square of its vertices, and each has to be noded."""
    strokes = _strokes(np.stack([places[:-1], places[1:]], axis=1))
    tree = shapely.STRtree(strokes)
    met = 0
    for at in range(0, len(strokes), _BLOCK):
        block = strokes[at : at + _BLOCK]
        met += tree.query(block, predicate="intersects").shape[1] - 3 * len(
            block
        )  # itself and both beside it
        if met > 2 * MOST_CROSSINGS:
            raise _too_much(
                places[at],
                f"所画图形自交超过 {MOST_CROSSINGS} 处 The drawing crosses itself more often than that",
            )


def _too_much(place: Any, message: str) -> InvalidInput:
    where = [float(place[0]), float(place[1])]
    return InvalidInput(
        message,
        code="bad_drawing",
        findings=[{"code": "bad_drawing", "where": where, "message": message}],
    )


def _snapped(
    lines: NDArray[np.float64], borders: NDArray[np.float64], plane: _Plane
) -> tuple[NDArray[np.float64], dict[Place, list[int]]]:
    """The drawing with its vertices on those of the borders, or on their edges, where they are near.

    Returns:
        the lines, and for a vertex that was put onto edges which ones these are.
    """
    moved = lines.copy().reshape(-1, 2)
    touched: dict[Place, list[int]] = {}
    tree = shapely.STRtree(_strokes(borders)) if len(borders) else None
    reach = 2 * SNAP_M / plane.scale
    for place in np.unique(moved, axis=0):
        if tree is None:
            break
        rows = tree.query(shapely.box(*(place - reach), *(place + reach)))
        if not len(rows):
            continue
        ends = borders[rows].reshape(-1, 2)
        away = plane.distance(ends, place)
        to = ends[int(np.argmin(away))]
        if away.min() > SNAP_M:
            on = plane.nearest_on(borders[rows], place)
            away = plane.distance(on, place)
            if away.min() > SNAP_M:
                continue
            # What already stands on the edge, as a page that snaps sends it, stays as it is.
            to = place if away.min() < ON_EDGE_M else on[int(np.argmin(away))]
            touched[_place(to)] = rows[plane.distance(on, to) < ON_EDGE_M].tolist()
        moved[(moved == place).all(axis=1)] = to
    found = moved.reshape(-1, 2, 2)
    return found[(found[:, 0] != found[:, 1]).any(axis=1)], touched


def _crossings(
    borders: NDArray[np.float64], lines: NDArray[np.float64], touched: dict[Place, list[int]], plane: _Plane
) -> tuple[dict[int, set[Place]], dict[int, set[Place]]]:
    """New vertices on edges of the borders, and on those of the drawing, by row."""
    on_border: dict[int, set[Place]] = {}
    on_line: dict[int, set[Place]] = {}
    for place, rows in touched.items():
        for each in rows:
            on_border.setdefault(each, set()).add(place)
    row, line = _meetings(borders, lines, 0.0)
    met, which = shapely.get_coordinates(
        shapely.intersection(_strokes(borders[row]), _strokes(lines[line])), return_index=True
    )
    row, line = row[which], line[which]
    at = _settled(met, borders[row], lines[line], plane)
    for ends, owner, found in ((borders, row, on_border), (lines, line, on_line)):
        for each in np.flatnonzero(~(ends[owner] == at[:, None]).all(axis=2).any(axis=1)).tolist():
            found.setdefault(int(owner[each]), set()).add(_place(at[each]))
    return on_border, on_line


def _bent(lines: NDArray[np.float64], borders: NDArray[np.float64], plane: _Plane) -> NDArray[np.float64]:
    """The drawing led through those vertices of the borders that it passes by a hand's breadth.

    Left straight it would cross the border beside the vertex as well, and cut off a splinter.
    """
    passed: dict[int, set[Place]] = {}
    row, which = _meetings(borders, lines, float(SNAP_M / plane.scale.min()))
    for ends in (borders[row, 0], borders[row, 1]):
        near = plane.distance(plane.nearest_on(lines[which], ends), ends) <= SNAP_M
        new = near & ~(lines[which] == ends[:, None]).all(axis=2).any(axis=1)
        for each in np.flatnonzero(new).tolist():
            passed.setdefault(int(which[each]), set()).add(_place(ends[each]))
    return np.vstack([_chain(lines[line], passed.get(line, ())) for line in range(len(lines))] or [lines])


def _meetings(
    borders: NDArray[np.float64], lines: NDArray[np.float64], margin: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of edges, and rows of strokes that may be as near to them as the margin."""
    if not len(borders) or not len(lines):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    strokes = _strokes(lines)
    around = shapely.buffer(strokes, margin, quad_segs=1) if margin else strokes
    which, border = shapely.STRtree(_strokes(borders)).query(around)
    if len(which) > MOST_MEETINGS:
        raise _too_much(
            lines[0, 0],
            f"所画图形与边界相交超过 {MOST_MEETINGS} 处 The drawing meets borders more often than that",
        )
    return border, which


def _settled(
    places: NDArray[np.float64], borders: NDArray[np.float64], lines: NDArray[np.float64], plane: _Plane
) -> NDArray[np.float64]:
    """Where meetings count as: the border's vertex, else the drawing's, else the place itself."""
    settled = places.copy()
    for ends in (lines, borders):
        away = plane.distance(ends, places[:, None])
        near = away.min(axis=1) <= SNAP_M
        settled[near] = ends[near, away[near].argmin(axis=1)]
    return settled


def _strokes(ends: NDArray[np.float64]) -> Shapes:
    return np.asarray(shapely.linestrings(ends), dtype=object)


def _place(place: Any) -> Place:
    return float(place[0]) + 0.0, float(place[1]) + 0.0


def _edge(ends: NDArray[np.float64]) -> Edge:
    first, second = sorted((_place(ends[0]), _place(ends[1])))
    return first, second


def _ordered(ends: NDArray[np.float64], places: Any) -> list[Place]:
    """Places on an edge from its smaller end to its larger."""
    first, second = np.array(_edge(ends))
    along = second - first
    return sorted(places, key=lambda place: float((np.array(place) - first) @ along))


def _chain(ends: NDArray[np.float64], places: Any) -> NDArray[np.float64]:
    """An edge in pieces, broken at places on it."""
    first, second = _edge(ends)
    stops = np.array([first, *_ordered(ends, places), second])
    return np.stack([stops[:-1], stops[1:]], axis=1)


def _unique(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges once each, whichever way they are walked."""
    if not len(ends):
        return ends
    turned = (ends[:, 0, 0] > ends[:, 1, 0]) | (
        (ends[:, 0, 0] == ends[:, 1, 0]) & (ends[:, 0, 1] > ends[:, 1, 1])
    )
    same_way = np.where(turned[:, None, None], ends[:, ::-1], ends)
    return np.unique(same_way.reshape(-1, 4), axis=0).reshape(-1, 2, 2)


def _owners(shapes: Shapes, face: Shapes) -> NDArray[np.int64]:
    points = shapely.point_on_surface(face)
    at, holder = shapely.STRtree(shapes).query(points, predicate="within")
    owner = np.full(len(face), -1, dtype=np.int64)
    owner[at] = holder
    if len(np.unique(at)) < len(at):
        twice = points[at[np.flatnonzero(np.diff(at) == 0)[0]]]
        raise InvalidInput(
            "区域在此重叠，请先修复 Areas overlap here: repair the boundaries first",
            code="inexact",
            findings=[{"code": "inexact", "where": [twice.x, twice.y], "message": "areas overlap here"}],
        )
    return owner
