"""Tiles of areas and grids, drawn from the boundaries in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.access import Scope
from gridmap.errors import InvalidInput
from gridmap.snapshot import KINDS, Snapshot
from gridmap.withholding import held
from layers import mvt
from layers.kept import Kept
from layers.tile_grid import TileAddress, cut, world

# From which zoom on a kind is worth drawing: a village is some ten pixels wide at 8, a micro-grid at 11.
FROM_ZOOM: Mapping[str, int] = {
    "province": 0,
    "city": 0,
    "county": 0,
    "town": 7,
    "village": 8,
    "precinct": 7,
    "court": 5,
    "procuratorate": 5,
    "justice": 7,
    "section": 7,
    "comprehensive": 8,
    "micro": 8,
    "dedicated": 8,
}
AREAS = ("province", "city", "county", "town", "village")
GRIDS = ("comprehensive", "micro", "dedicated")


@dataclass(frozen=True)
class World:
    """All areas of an edition on the unit square of web maps.

    Attributes:
        shapes: oriented multipolygons.
        bounds: low x, low y, high x, high y of each; NaN where there is nothing.
        label: a point inside each.
    """

    shapes: NDArray[np.object_]
    bounds: NDArray[np.float64]
    label: NDArray[np.float64]


def _draw(snapshot: Snapshot, crs: str) -> World:
    shapes = shapely.orient_polygons(shapely.transform(snapshot.geom, lambda xy: world(xy, crs)))
    label = shapely.get_coordinates(shapely.point_on_surface(shapes))
    return World(shapes, np.asarray(shapely.bounds(shapes)), label)


_worlds: Kept[World] = Kept(_draw)


def check_kinds(kinds: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """The kinds asked for, or all that a layer has.

    Raises:
        InvalidInput: one that the layer does not have (`unknown_kind`).
    """
    for kind in kinds:
        if kind not in allowed:
            raise InvalidInput(f"kind={kind[:40]!r}: {', '.join(allowed)}", code="unknown_kind")
    return tuple(kinds) or tuple(allowed)


def rows_in(
    snapshot: Snapshot, address: TileAddress, kinds: Sequence[str], scope: Scope, crs: str
) -> NDArray[np.intp]:
    """Areas of some kinds that touch a tile, are worth drawing at its zoom and may be seen."""
    shown = [kind for kind in kinds if FROM_ZOOM[kind] <= address.z]
    if not shown or not len(snapshot):
        return np.empty(0, dtype=np.intp)
    west, north, east, south = address.box()
    bounds = _worlds.get(snapshot, crs).bounds
    rows = np.flatnonzero(
        (bounds[:, 0] <= east)
        & (bounds[:, 2] >= west)
        & (bounds[:, 1] <= south)
        & (bounds[:, 3] >= north)
        & np.isin(snapshot.kind, shown)
    )
    visible: NDArray[np.intp] = rows[held(scope, snapshot.path[rows])]
    return visible


def grids(snapshot: Snapshot, address: TileAddress, kinds: Sequence[str], scope: Scope, crs: str) -> bytes:
    """The layer `grids`: polygons with code, name, kind, households and parent."""
    rows = rows_in(snapshot, address, check_kinds(kinds, GRIDS), scope, crs)
    return outlines("grids", snapshot, address, rows, crs, _properties(snapshot, rows))


def areas(snapshot: Snapshot, address: TileAddress, kinds: Sequence[str], scope: Scope, crs: str) -> bytes:
    """The layer `areas`, polygons of jurisdictions, and `labels`, a point for each."""
    chosen = check_kinds(kinds, [kind for kind in KINDS if kind not in GRIDS]) if kinds else AREAS
    rows = rows_in(snapshot, address, chosen, scope, crs)
    properties = _properties(snapshot, rows)
    place = address.within(_worlds.get(snapshot, crs).label[rows])
    here = np.all((place >= 0) & (place < mvt.EXTENT), axis=1)  # each label in one tile alone
    named = {key: [values[row] for row in np.flatnonzero(here)] for key, values in properties.items()}
    return outlines("areas", snapshot, address, rows, crs, properties) + mvt.points(
        "labels", place[here, 0], place[here, 1], named
    )


def outlines(
    layer: str,
    snapshot: Snapshot,
    address: TileAddress,
    rows: NDArray[np.intp],
    crs: str,
    properties: Mapping[str, Sequence[Any]],
) -> bytes:
    """A layer of the outlines of areas."""
    if not len(rows):
        return b""
    shapes = cut(_worlds.get(snapshot, crs).shapes[rows], address)
    return mvt.polygons(layer, shapes, properties, address.within)


def _properties(snapshot: Snapshot, rows: NDArray[np.intp]) -> dict[str, list[Any]]:
    return {
        "code": snapshot.code[rows].tolist(),
        "name": snapshot.name[rows].tolist(),
        "kind": snapshot.kind[rows].tolist(),
        "households": snapshot.households[rows].tolist(),
        "parent": snapshot.parent[rows].tolist(),
    }
