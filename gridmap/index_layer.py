"""One kind of areas of an edition, and which of them holds a place: the lattice, and GEOS where it must decide."""

from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap import index_engine
from gridmap.index_answers import BORDER, INSIDE, NONE, OPEN
from gridmap.index_build import build
from gridmap.index_engine import Engine
from gridmap.index_lattice import Plan
from gridmap.index_search import One

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
States = NDArray[np.uint8]


class Layer:
    """Polygons in the order in which they win: the first that holds a place inside, else on its border.

    Args:
        geoms: polygons in the order of their codes, EPSG:4326, finite coordinates; None and empty ones hold
            nothing.
        rows: the number by which each is answered.
        plan: how finely the lattice is divided, if not as of `Plan.for_size`.
        bulk: its argument.
    """

    def __init__(self, geoms: Any, rows: Rows, plan: Plan | None = None, *, bulk: bool = False) -> None:
        self._geoms = np.asarray(geoms, dtype=object)
        self._rows = rows
        # GEOS counts crossings of all rings only of what is valid; one ring is counted in any case
        odd = (shapely.get_num_coordinates(self._geoms) > 0) & (_rings(self._geoms) > 1)
        odd[odd] = ~shapely.is_valid(self._geoms[odd])
        self._odd: list[list[float]] = shapely.bounds(self._geoms[odd]).tolist()
        regular = self._geoms.copy()
        regular[odd] = None
        self.lattice = build(regular, rows, plan, bulk=bulk)
        self._one = One(self.lattice)

    def __getstate__(self) -> dict[str, Any]:
        """What cannot be built again in a moment."""
        return {name: value for name, value in vars(self).items() if name not in {"_one", "_tree"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _one=One(state["lattice"]))

    @property
    def nbytes(self) -> int:
        """Memory of the lattice; the polygons are the caller's."""
        return self.lattice.nbytes

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._geoms)

    def locate(self, lon: Floats, lat: Floats, engine: Engine = "auto") -> tuple[Rows, States]:
        """Rows (-1 where nothing holds the place) and INSIDE, BORDER or NONE."""
        rows, states = index_engine.locate(self.lattice, lon, lat, engine)
        for west, south, east, north in self._odd:
            states[(lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)] = OPEN
        left = np.flatnonzero(states == OPEN)
        if len(left):
            rows[left], states[left] = self._by_geos(lon[left], lat[left])
        return rows, states

    def _by_geos(self, lon: Floats, lat: Floats) -> tuple[Rows, States]:
        many = len(self._geoms)
        best = np.full(len(lon), 2 * many, dtype=np.int64)
        points = np.asarray(shapely.points(lon, lat), dtype=object)
        point, polygon = self._tree.query(points)
        held = shapely.intersects(self._geoms[polygon], points[point])
        point, polygon = point[held], polygon[held]
        border = shapely.touches(self._geoms[polygon], points[point])
        # inside before border, then the smaller code
        np.minimum.at(best, point, polygon + many * border)
        states = np.where(best < many, INSIDE, np.where(best < 2 * many, BORDER, NONE)).astype(np.uint8)
        return np.where(states == NONE, -1, self._rows[best % many]).astype(np.int32), states

    def locate_one(self, lon: float, lat: float) -> tuple[int, int]:
        """The same for one place, given as Python's own numbers: NumPy's would warn where they overflow."""
        row, state = self._one.locate(lon, lat)
        if self._odd and any(w <= lon <= e and s <= lat <= n for w, s, e, n in self._odd):
            state = OPEN
        if state == OPEN:
            rows, states = self._by_geos(np.array([lon]), np.array([lat]))
            return int(rows[0]), int(states[0])
        return row, state

    def holders(self, lon: float, lat: float) -> list[int]:
        """Rows of all polygons that hold a place, on their borders too, in the order in which they win."""
        position = np.sort(self._tree.query(shapely.Point(lon, lat), predicate="intersects"))
        return [int(row) for row in self._rows[position]]


def _rings(geoms: Any) -> NDArray[np.int64]:
    parts, of_part = shapely.get_parts(geoms, return_index=True)
    return np.bincount(
        of_part, weights=1 + shapely.get_num_interior_rings(parts), minlength=len(geoms)
    ).astype(np.int64)
