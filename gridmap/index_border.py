"""How far a place is from the border of one area: fast enough to be said with every answer."""

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.crs_measures import distance_one_m
from gridmap.index_nearest import nearest_on_edge

Floats = NDArray[np.float64]

_CLOSE = 1.02  # edges so much farther than the nearest by a plane are looked at again, exactly


class Outline:
    """All rings of a polygon, EPSG:4326."""

    def __init__(self, geom: Any) -> None:
        parts = shapely.get_parts([geom])
        coords, ring = shapely.get_coordinates(shapely.get_rings(parts), return_index=True)
        edge = np.flatnonzero(ring[1:] == ring[:-1])
        self._start, self._end = coords[edge], coords[edge + 1]
        self._x, self._y = (np.ascontiguousarray(v) for v in self._start.T)
        self._along_x, self._along_y = (np.ascontiguousarray(v) for v in (self._end - self._start).T)

    def nearest(self, lon: float, lat: float) -> tuple[float, float, float]:
        """Longitude and latitude of the nearest point of the border, and the distance to it in metres.

        A plane with the scales of the place's latitude tells which edges come into question; these are
        measured on the ellipsoid.
        """
        shrink = math.cos(math.radians(lat)) ** 2
        x, y = self._x - lon, self._y - lat
        along_x, along_y = self._along_x, self._along_y
        size = along_x * along_x * shrink + along_y * along_y
        t = -(x * along_x * shrink + y * along_y) / np.maximum(size, 1e-300)
        t = np.minimum(np.maximum(t, 0.0), 1.0)
        x += t * along_x
        y += t * along_y
        square = x * x * shrink + y * y
        few = np.flatnonzero(square <= square.min() * _CLOSE * _CLOSE + 1e-22).tolist()
        points = [nearest_on_edge((lon, lat), self._edge(number)[0], self._edge(number)[1]) for number in few]
        metres, border = min((distance_one_m(lon, lat, *point), point) for point in set(points))
        return *border, metres

    def _edge(self, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
        (ax, ay), (bx, by) = self._start[number].tolist(), self._end[number].tolist()
        return (ax, ay), (bx, by)
