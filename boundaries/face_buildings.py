"""Buildings as faces need them: usable shapes, a place inside each, all within the area."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from boundaries.border_vertices import Area
from boundaries.check_edges import Mask, Rows, Shapes
from boundaries.repair import make_valid
from gridmap.crs_measures import Plane
from gridmap.errors import InvalidInput

FINDINGS_AT_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildings:
    """Some buildings, as parallel arrays.

    Attributes:
        geom: Points, Polygons or MultiPolygons, EPSG:4326; invalid footprints are repaired.
        households: int64.
        place: Points inside, EPSG:4326, that decide where each belongs; without them one is found.
    """

    geom: Shapes
    households: Rows
    place: Shapes | None = None

    def __len__(self) -> int:
        return len(self.geom)


@dataclass(frozen=True, slots=True)
class Standing:
    """Buildings made usable.

    Attributes:
        shape: valid Points, Polygons or MultiPolygons, EPSG:4326.
        flat: the same in metres of the plane.
        place: Points, EPSG:4326.
        households: int64.
    """

    shape: Shapes
    flat: Shapes
    place: Shapes
    households: Rows

    @property
    def solid(self) -> Mask:
        """Which have a footprint."""
        mask: Mask = shapely.get_dimensions(self.shape) == 2
        return mask


def standing(scope: Area, buildings: Buildings, plane: Plane) -> Standing:
    """Buildings made usable for an area.

    Raises:
        InvalidInput: a building without a usable shape (`bad_building`), or whose place does not lie in the
            area (`outside_scope`); findings name the rows.
    """
    shape = np.array(buildings.geom, dtype=object)
    kind = shapely.get_type_id(shape)
    allowed = np.isin(kind, [0, 3, 6]) & ~shapely.is_empty(shape)
    xy, of_shape = shapely.get_coordinates(shape, return_index=True)
    allowed[of_shape[~np.isfinite(xy).all(axis=1)]] = False
    if not allowed.all():
        rows = np.flatnonzero(~allowed)
        raise InvalidInput(
            f"{len(rows)} buildings are neither a point nor a footprint.",
            code="bad_building",
            findings=[
                {"row": row, "message": "a point or a polygon is needed"}
                for row in rows[:FINDINGS_AT_MOST].tolist()
            ],
        )
    broken = ~shapely.is_valid(shape)
    if broken.any():
        shape[broken] = make_valid(shape[broken]).polygons
    if buildings.place is None:
        place = shape.copy()
        solid = shapely.get_dimensions(shape) == 2
        place[solid] = shapely.point_on_surface(shape[solid])
    else:
        place = np.array(buildings.place, dtype=object)
    shapely.prepare(scope)
    outside = np.flatnonzero(~shapely.intersects(scope, place))
    if len(outside):
        raise InvalidInput(
            f"{len(outside)} buildings do not lie in the area.",
            code="outside_scope",
            findings=list(_outside(outside[:FINDINGS_AT_MOST], place)),
        )
    flat = np.asarray(shapely.transform(shape, plane.metres), dtype=object)
    return Standing(shape, flat, place, np.asarray(buildings.households, dtype=np.int64))


def _outside(rows: Rows, place: Shapes) -> Iterator[dict[str, Any]]:
    for row in rows.tolist():
        point = place[row]
        where = None if point is None or point.is_empty else [point.x, point.y]
        yield {"row": row, "where": where, "message": "the building does not lie in the area"}
