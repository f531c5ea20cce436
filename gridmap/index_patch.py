"""One kind of areas of an edition, as of an earlier one but for a few boxes: so that an edition costs what it changes.

Nothing is decided otherwise than in a layer of its own: outside of the boxes no polygon differs, and inside of them a
layer of all polygons that reach into them answers.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.index_engine import Engine
from gridmap.index_layer import Layer

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
States = NDArray[np.uint8]


class Patched:
    """Answers as a `Layer` of the later edition.

    Args:
        base: of an earlier edition.
        rows: the row in the later edition for each of the earlier one, -1 for what lives no more; one more, -1, at
            the end, which is what nobody has.
        boxes: west, south, east, north, a row each: all that may be another one's.
        patch: all polygons of the later edition that reach into the boxes; None where there are no boxes.
    """

    def __init__(self, base: Layer, rows: Rows, boxes: Floats, patch: Layer | None) -> None:
        self.base, self.rows, self.boxes, self._patch = base, rows, boxes, patch
        self._row_list: list[int] = rows.tolist()
        self._box_list: list[list[float]] = boxes.tolist()

    @property
    def nbytes(self) -> int:
        """Memory of both."""
        return self.base.nbytes + (0 if self._patch is None else self._patch.nbytes)

    def locate(self, lon: Floats, lat: Floats, engine: Engine = "auto") -> tuple[Rows, States]:
        """As of `Layer`."""
        rows, states = self.base.locate(lon, lat, engine)
        rows = self.rows[rows]
        if self._patch is not None:
            inside = np.zeros(len(lon), dtype=bool)
            for west, south, east, north in self._box_list:
                inside |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
            if inside.any():
                rows[inside], states[inside] = self._patch.locate(lon[inside], lat[inside], engine)
        return rows, states

    def _inside(self, lon: float, lat: float) -> Layer | None:
        for west, south, east, north in self._box_list:
            if west <= lon <= east and south <= lat <= north:
                return self._patch
        return None

    def locate_one(self, lon: float, lat: float) -> tuple[int, int]:
        """As of `Layer`."""
        patch = self._inside(lon, lat)
        if patch is not None:
            return patch.locate_one(lon, lat)
        row, state = self.base.locate_one(lon, lat)
        return self._row_list[row], state

    def holders(self, lon: float, lat: float) -> list[int]:
        """As of `Layer`."""
        patch = self._inside(lon, lat)
        if patch is not None:
            return patch.holders(lon, lat)
        return [self._row_list[row] for row in self.base.holders(lon, lat)]


def followed(
    earlier: Layer | Patched, rows: Rows, boxes: Floats, geoms: Any, members: Rows
) -> Layer | Patched:
    """The layer of a later edition out of an earlier one's; built anew where too much of it differs.

    Args:
        earlier: of an earlier edition.
        rows: as of `Patched`, for the edition of `earlier`.
        boxes: what differs between the two.
        geoms: polygons of this kind in the later edition, in the order of their codes.
        members: their rows.
    """
    base = earlier
    if isinstance(earlier, Patched):
        base, rows, boxes = earlier.base, rows[earlier.rows], np.concatenate([earlier.boxes, boxes])
    elif not len(boxes) and (rows[:-1] == np.arange(len(rows) - 1)).all():
        return earlier
    assert isinstance(base, Layer)  # noqa: S101  # a patch is laid on a layer, never on a patch
    if not len(boxes):
        return Patched(base, rows, boxes, None)
    bounds = shapely.bounds(geoms).reshape(-1, 4)
    reach = np.zeros(len(members), dtype=bool)
    for west, south, east, north in boxes:
        reach |= (
            (bounds[:, 0] <= east)
            & (bounds[:, 2] >= west)
            & (bounds[:, 1] <= north)
            & (bounds[:, 3] >= south)
        )
    if reach.sum() * MOST_PATCHED > len(members):
        return Layer(geoms, members)
    return Patched(base, rows, boxes, Layer(geoms[reach], members[reach]))


MOST_PATCHED = 8  # a larger share than one in so many is built anew with all others
