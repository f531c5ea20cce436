"""Tiles of heat: outlines with count, value and class, for maps that cannot join values to the grids' tiles."""

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import classes, mvt
from layers.answer import Heat
from layers.tile_grid import TileAddress, cut, world


def heat_tile(answer: Heat, address: TileAddress, crs: str) -> bytes:
    """The layer `heat`: code or cell, name, households, count, value, withheld and class (0 for the lowest).

    What is not shown is left out. Every tile carries the same classes: they come from the whole answer.
    """
    west, north, east, south = address.box()
    shapes = shapely.transform(answer.outlines.geometries(), lambda xy: world(xy, crs))
    bounds = shapely.bounds(shapes)
    here = (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= south) & (bounds[:, 3] >= north)
    rows = np.flatnonzero(here)
    if not len(rows):
        return b""
    properties = {
        "code" if answer.by == "grid" else "cell": answer.code[rows].tolist(),
        "count": _unless(answer.withheld[rows], answer.count[rows]),
        "value": _unless(np.isnan(answer.value[rows]), answer.value[rows]),
        "withheld": answer.withheld[rows].tolist(),
        "class": _unless(np.isnan(answer.value[rows]), classes.of(answer.value[rows], answer.breaks)),
    }
    if answer.name is not None:
        properties["name"] = answer.name[rows].tolist()
    if answer.households is not None:
        properties["households"] = answer.households[rows].tolist()
    return mvt.polygons(
        "heat", cut(shapely.orient_polygons(shapes[rows]), address), properties, address.within
    )


def _unless(hidden: NDArray[np.bool_], values: NDArray[np.generic]) -> list[int | float | None]:
    return [None if skip else value for value, skip in zip(values.tolist(), hidden.tolist(), strict=True)]
