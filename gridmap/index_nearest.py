"""The nearest grid in true metres, for places that no grid holds.

Polygons' edges are straight in longitude and latitude. The nearest point of an edge is found in a plane whose
scales are those of the ellipsoid halfway between the place and that point; the distance to it is then the
geodesic's. Only the four operations and square roots are used on the way to a choice, since the sine of one
number need not be the sine of an array of numbers to the last bit, and a tie must fall the same way on every
path.
"""

import math
import threading
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.crs_measures import ECCENTRICITY2, SEMI_MAJOR_M, distance_m

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIE_M = 1e-6  # distances closer than this are equal: one border, drawn twice in floating point
_TERMS = 16
_STEPS = 3  # each brings the point nearer to its place by a factor of the earth's radius over the distance
_EDGES_A_CHUNK = 16
_POINTS_A_BLOCK = 8192
_RASTER = 512
# never more metres in a degree than are there: a search box from these is never too small
_LEAST_M_PER_DEGREE = 110_500.0
_RADIANS = np.pi / 180.0


def _cosine_sine(phi: Floats) -> tuple[Floats, Floats]:
    """Cosine and sine of latitudes in radians by their series (error below 1e-12)."""
    square = phi * phi
    cosine, sine = np.ones_like(phi), np.ones_like(phi)
    for n in range(_TERMS, 0, -2):
        cosine = 1.0 - cosine * square / (n * (n - 1))
        sine = 1.0 - sine * square / (n * (n + 1))
    return cosine, sine * phi


def _scales(lat: Floats) -> tuple[Floats, Floats, Floats]:
    """Metres per degree of longitude and of latitude, and how the first changes per degree of latitude."""
    cosine, sine = _cosine_sine(lat * _RADIANS)
    squash = 1.0 - ECCENTRICITY2 * sine * sine
    across = SEMI_MAJOR_M / np.sqrt(squash)
    along = across * (1.0 - ECCENTRICITY2) / squash
    return across * cosine * _RADIANS, along * _RADIANS, -along * sine * _RADIANS * _RADIANS


def nearest_on_edges(lon: Floats, lat: Floats, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Nearest points of edges to places, pair by pair.

    Args:
        lon: longitudes, degrees, shape (n,).
        lat: latitudes.
        start: one end of each edge, shape (n, 2), degrees; which end is which does not matter.
        end: the other end.

    Returns:
        The nearest points, shape (n, 2), bit for bit a vertex where a vertex is nearest, and their distances
        in metres (relative error about 1e-9 below 1 km, 1e-6 at 50 km).
    """
    # the same edge walked the other way must give the same bits
    turn = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    a, b = np.where(turn[:, None], end, start), np.where(turn[:, None], start, end)
    step = b - a
    to_x, to_y = a[:, 0] - lon, a[:, 1] - lat
    at = np.zeros_like(lon)
    near = a
    for _ in range(_STEPS):
        per_lon, per_lat, change = _scales((lat + near[:, 1]) / 2.0)
        bend = per_lon * change * step[:, 1] / 2.0 * (near[:, 0] - lon) ** 2
        along = per_lon * per_lon * to_x * step[:, 0] + per_lat * per_lat * to_y * step[:, 1] + bend
        size = per_lon * per_lon * step[:, 0] ** 2 + per_lat * per_lat * step[:, 1] ** 2
        at = np.clip(np.divide(-along, size, out=np.zeros_like(lon), where=size > 0.0), 0.0, 1.0)
        near = np.where((at == 1.0)[:, None], b, a + at[:, None] * step)
    per_lon, per_lat, _ = _scales((lat + near[:, 1]) / 2.0)
    metres = np.sqrt((per_lon * (near[:, 0] - lon)) ** 2 + (per_lat * (near[:, 1] - lat)) ** 2)
    return near, metres


def nearest_on_edge(
    place: tuple[float, float], start: tuple[float, float], end: tuple[float, float]
) -> tuple[float, float]:
    """The same for one edge, step by step the same operations: bit for bit the same point."""
    lon, lat = place
    (ax, ay), (bx, by) = (end, start) if start > end else (start, end)
    step_x, step_y = bx - ax, by - ay
    to_x, to_y = ax - lon, ay - lat
    x, y = ax, ay
    for _ in range(_STEPS):
        per_lon, per_lat, change = _scales_at((lat + y) / 2.0)
        bend = per_lon * change * step_y / 2.0 * (x - lon) ** 2
        along = per_lon * per_lon * to_x * step_x + per_lat * per_lat * to_y * step_y + bend
        size = per_lon * per_lon * step_x**2 + per_lat * per_lat * step_y**2
        at = min(max(-along / size, 0.0), 1.0) if size > 0.0 else 0.0
        x, y = (bx, by) if at == 1.0 else (ax + at * step_x, ay + at * step_y)
    return x, y


def _scales_at(lat: float) -> tuple[float, float, float]:
    phi = lat * _RADIANS
    square = phi * phi
    cosine = sine = 1.0
    for n in range(_TERMS, 0, -2):
        cosine = 1.0 - cosine * square / (n * (n - 1))
        sine = 1.0 - sine * square / (n * (n + 1))
    sine *= phi
    squash = 1.0 - ECCENTRICITY2 * sine * sine
    across = SEMI_MAJOR_M / math.sqrt(squash)
    along = across * (1.0 - ECCENTRICITY2) / squash
    return across * cosine * _RADIANS, along * _RADIANS, -along * sine * _RADIANS * _RADIANS


class NearestGrid:
    """Finds the nearest of some polygons, within a tolerance, possibly of a named group only.

    Args:
        geoms: polygons, EPSG:4326; empty ones and None are never found.
        order: rank of each polygon when several are equally near; the smallest wins.
        group: a number for each polygon (its village), or None where groups do not matter.
    """

    def __init__(self, geoms: Any, order: Ints, group: Ints | None = None) -> None:
        rings, of_ring = _rings(geoms)
        coords, index = shapely.get_coordinates(rings, return_index=True)
        edge = np.flatnonzero(index[1:] == index[:-1])
        ring_of_edge = index[edge]
        in_ring = np.arange(len(edge)) - np.searchsorted(ring_of_edge, ring_of_edge, side="left")
        first = np.flatnonzero(in_ring % _EDGES_A_CHUNK == 0)
        self._coords = coords
        self._edge_from = edge[first] if len(first) else np.zeros(0, dtype=np.int64)
        self._edge_count = np.diff(np.r_[first, len(edge)])
        self._polygon = of_ring[ring_of_edge[first]] if len(first) else np.zeros(0, dtype=np.int64)
        self._order, self._group = order, group
        low, high = np.minimum(coords[edge], coords[edge + 1]), np.maximum(coords[edge], coords[edge + 1])
        self._low = np.minimum.reduceat(low, first) if len(first) else np.zeros((0, 2))
        self._high = np.maximum.reduceat(high, first) if len(first) else np.zeros((0, 2))
        self._reach: tuple[float, Floats, Floats, NDArray[np.bool_]] | None = None
        self._arrange()

    def _arrange(self) -> None:
        boxes: Any = shapely.box(*self._low.T, *self._high.T)
        self._tree = shapely.STRtree(boxes)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What cannot be built again in a moment."""
        return {name: value for name, value in vars(self).items() if name not in {"_tree", "_lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._arrange()

    @property
    def nbytes(self) -> int:
        """Memory of the arrays; the tree of chunks takes about as much as their boxes."""
        boxes = self._low.nbytes + self._high.nbytes
        return int(self._coords.nbytes + 3 * boxes + self._edge_from.nbytes + self._edge_count.nbytes)

    def find(
        self, lon: Floats, lat: Floats, tolerance_m: float, wanted: Ints | None = None
    ) -> tuple[Ints, Floats]:
        """Nearest polygon of each place.

        Args:
            lon: finite longitudes, degrees, 1-d.
            lat: finite latitudes.
            tolerance_m: nothing farther away counts.
            wanted: for each place the group that its polygon must be of; needs `group`.

        Returns:
            Positions in `geoms` (-1 where there is none) and distances in metres (NaN there).
        """
        found, metres = np.full(len(lon), -1, dtype=np.int64), np.full(len(lon), np.nan)
        if not len(self._edge_from) or tolerance_m <= 0.0:
            return found, metres
        maybe = np.flatnonzero(self._within_reach(lon, lat, tolerance_m))
        for begin in range(0, len(maybe), _POINTS_A_BLOCK):
            block = maybe[begin : begin + _POINTS_A_BLOCK]
            group = None if wanted is None else wanted[block]
            found[block], metres[block] = self._block(lon[block], lat[block], tolerance_m, group)
        return found, metres

    def _block(
        self, lon: Floats, lat: Floats, tolerance_m: float, wanted: Ints | None
    ) -> tuple[Ints, Floats]:
        reach_x, reach_y = _reach_degrees(lat, tolerance_m)
        boxes = shapely.box(lon - reach_x, lat - reach_y, lon + reach_x, lat + reach_y)
        point, chunk = self._tree.query(boxes)
        if wanted is not None and self._group is not None:
            fits = self._group[self._polygon[chunk]] == wanted[point]
            point, chunk = point[fits], chunk[fits]
        many = self._edge_count[chunk]
        pair = np.repeat(np.arange(len(chunk)), many)
        edge = self._edge_from[chunk[pair]] + np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
        point, polygon = point[pair], self._polygon[chunk[pair]]
        start, end = self._coords[edge], self._coords[edge + 1]
        few = _close((lon[point], lat[point]), (start, end), point, tolerance_m)
        point, polygon = point[few], polygon[few]
        near, metres = nearest_on_edges(lon[point], lat[point], start[few], end[few])
        return self._choose(lon, lat, tolerance_m, (point, polygon, near, metres))

    def _choose(
        self, lon: Floats, lat: Floats, tolerance_m: float, candidates: tuple[Ints, Ints, Floats, Floats]
    ) -> tuple[Ints, Floats]:
        """The nearest by geodesic distance, the first in order among the equally near."""
        point, polygon, near, metres = candidates
        found, distance = np.full(len(lon), -1, dtype=np.int64), np.full(len(lon), np.nan)
        least = np.full(len(lon), np.inf)
        np.minimum.at(least, point, metres)
        slack = 1e-5 * least + 1e-3
        keep = (metres <= (least + slack)[point]) & (metres <= tolerance_m * (1.0 + 1e-5) + 1e-3)
        point, polygon, near = point[keep], polygon[keep], near[keep]
        exact = distance_m(lon[point], lat[point], near[:, 0], near[:, 1])
        keep = exact <= tolerance_m
        point, polygon, exact = point[keep], polygon[keep], exact[keep]
        least[:] = np.inf
        np.minimum.at(least, point, exact)
        keep = exact <= least[point] + TIE_M
        point, polygon, exact = point[keep], polygon[keep], exact[keep]
        # the last one written stays: worst first, so that the best order, then its nearest edge, remains
        last = np.lexsort((-exact, -self._order[polygon], point))
        found[point[last]], distance[point[last]] = polygon[last], exact[last]
        return found, distance

    def _within_reach(self, lon: Floats, lat: Floats, tolerance_m: float) -> NDArray[np.bool_]:
        """Whether anything may lie within the tolerance, from a raster: most far places end here."""
        with self._lock:
            if self._reach is None or self._reach[0] != tolerance_m:
                self._reach = (tolerance_m, *self._raster(tolerance_m))
            _, low, cell, raster = self._reach
        with np.errstate(over="ignore", invalid="ignore"):
            column, row = np.floor((lon - low[0]) / cell[0]), np.floor((lat - low[1]) / cell[1])
        inside: NDArray[np.bool_] = (column >= 0) & (row >= 0) & (column < _RASTER) & (row < _RASTER)
        inside[inside] = raster[row[inside].astype(np.int64), column[inside].astype(np.int64)]
        return inside

    def _raster(self, tolerance_m: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        widest = np.abs(np.stack([self._low[:, 1], self._high[:, 1]])).max(axis=0)
        reach_x, reach_y = _reach_degrees(widest, tolerance_m)
        margin = np.column_stack([reach_x, reach_y])
        low, high = self._low - margin, self._high + margin
        origin = low.min(axis=0)
        cell = np.maximum((high.max(axis=0) - origin) / (_RASTER - 1), 1e-12)
        first = np.clip(((low - origin) / cell - 1e-6).astype(np.int64), 0, _RASTER - 1)
        last = np.clip(((high - origin) / cell + 1e-6).astype(np.int64), 0, _RASTER - 1)
        corners = np.zeros((_RASTER + 1, _RASTER + 1), dtype=np.int64)
        np.add.at(corners, (first[:, 1], first[:, 0]), 1)
        np.add.at(corners, (last[:, 1] + 1, first[:, 0]), -1)
        np.add.at(corners, (first[:, 1], last[:, 0] + 1), -1)
        np.add.at(corners, (last[:, 1] + 1, last[:, 0] + 1), 1)
        filled = corners.cumsum(axis=0).cumsum(axis=1)[:_RASTER, :_RASTER] > 0
        return origin, cell, filled


def _close(
    place: tuple[Floats, Floats], edges: tuple[Floats, Floats], point: Ints, tolerance_m: float
) -> Ints:
    """Edges that may be the nearest of their place: measured in a plane, with more than its error to spare."""
    (lon, lat), (start, end) = place, edges
    cosine, _ = _cosine_sine(lat * _RADIANS)
    shrink = cosine * cosine
    x, y = start[:, 0] - lon, start[:, 1] - lat
    along_x, along_y = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    size = along_x * along_x * shrink + along_y * along_y
    t = -(x * along_x * shrink + y * along_y) / np.maximum(size, 1e-300)
    t = np.minimum(np.maximum(t, 0.0), 1.0)
    x, y = x + t * along_x, y + t * along_y
    square = x * x * shrink + y * y
    least = np.full(int(point.max(initial=-1)) + 1, np.inf)
    np.minimum.at(least, point, square)
    slack = (1.02 + tolerance_m / 2e5) ** 2
    most = (tolerance_m / _LEAST_M_PER_DEGREE) ** 2
    return np.flatnonzero((square <= least[point] * slack + 1e-22) & (square <= most * slack))


def _rings(geoms: Any) -> tuple[Any, Ints]:
    parts, of_part = shapely.get_parts(np.asarray(geoms, dtype=object), return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    return rings, of_part[of_ring]


def _reach_degrees(lat: Floats, tolerance_m: float) -> tuple[Floats, Floats]:
    """Half width and height in degrees of a box that holds everything within the tolerance."""
    reach_y = np.full_like(lat, tolerance_m / _LEAST_M_PER_DEGREE)
    cosine, _ = _cosine_sine(np.minimum(np.abs(lat) + reach_y, 89.9) * _RADIANS)
    return np.minimum(reach_y / cosine, 360.0), reach_y
