"""One kind of polygons of an edition, and which of them holds a place."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Layer:
    """Polygons in the order in which they win: the first that holds a place inside, else on its border.

    Args:
        geoms: polygons in the order of their codes, EPSG:4326; None and empty ones hold nothing.
        rows: the number by which each is answered.
    """

    def __init__(self, geoms: Any, rows: Rows) -> None:
        self._geoms = np.asarray(geoms, dtype=object)
        self._rows = rows
        self._tree = shapely.STRtree(self._geoms)

    def locate(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[Rows, Flags]:
        """Rows (-1 where nothing holds the place) and whether it lies on the border of that row."""
        best = np.full(len(lon), 2 * len(self._geoms), dtype=np.int64)
        good = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
        points = np.asarray(shapely.points(lon[good], lat[good]), dtype=object)
        point, polygon = self._tree.query(points, predicate="intersects")
        border = shapely.touches(self._geoms[polygon], points[point])
        # inside before border, then the smaller code
        np.minimum.at(best, good[point], polygon + len(self._geoms) * border)
        held = best < 2 * len(self._geoms)
        on_border = held & (best >= len(self._geoms))
        rows = np.full(len(lon), -1, dtype=np.int32)
        rows[held] = self._rows[best[held] % len(self._geoms)]
        return rows, on_border

    def near(self, box: Any) -> NDArray[np.int64]:
        """Positions of the polygons whose boxes meet a box."""
        return np.asarray(self._tree.query(box), dtype=np.int64)

    def locate_one(self, lon: float, lat: float) -> tuple[int, bool]:
        """The same for one place."""
        rows, border = self.locate(np.array([lon]), np.array([lat]))
        return int(rows[0]), bool(border[0])
