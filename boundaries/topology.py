"""Checks of single polygons; the checks of whole coverages stand on the same findings."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True)
class Flaw:
    """Why a polygon is not valid.

    Attributes:
        reason: GEOS's words, for example `Self-intersection`.
        where: longitude and latitude of the place, in the polygon's own reference system.
    """

    reason: str
    where: tuple[float, float] | None


def flaws(polygons: NDArray[np.object_]) -> dict[int, Flaw]:
    """What is wrong with polygons by the rules of OGC simple features, by position; valid ones are absent.

    Args:
        polygons: Polygons or MultiPolygons; None is passed over.
    """
    broken = np.flatnonzero(~shapely.is_missing(polygons) & ~shapely.is_valid(polygons))
    return {int(each): _flaw(polygons[each]) for each in broken}


def _flaw(polygon: shapely.Geometry) -> Flaw:
    # GEOS answers `Self-intersection[120.5 31.2]`
    reason, _, rest = shapely.is_valid_reason(polygon).partition("[")
    try:
        x, y = (float(number) for number in rest.rstrip("]").split()[:2])
    except ValueError:
        return Flaw(reason, None)
    return Flaw(reason, (x, y))


def as_multi(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Polygons as MultiPolygons; MultiPolygons and None stay."""
    multi = polygons.copy()
    single = shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON
    if single.any():
        multi[single] = shapely.multipolygons(polygons[single], indices=np.arange(single.sum()))
    return multi
