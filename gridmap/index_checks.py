"""What an index is given: places, polygons and a tolerance that will do, or a clear refusal."""

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike

from gridmap.errors import InvalidInput
from gridmap.index_answers import Floats


def checked(lon: ArrayLike, lat: ArrayLike, tolerance_m: float) -> tuple[Floats, Floats]:
    """Places as two arrays of numbers."""
    x, y = np.ascontiguousarray(lon, dtype=np.float64), np.ascontiguousarray(lat, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InvalidInput(
            f"longitudes and latitudes are 1-d arrays of the same length, not {x.shape} and {y.shape}",
            code="bad_shape",
        )
    check_tolerance(tolerance_m)
    return x, y


def check_polygons(geoms: Any) -> None:
    """Refuses what is no polygon or has coordinates that are no numbers."""
    kind = shapely.get_type_id(geoms)
    solid = np.isin(kind, [-1, shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    if not solid.all():
        raise refused(int(np.argmin(solid)), "geometry", "no polygon", "not_a_polygon")
    coords, row = shapely.get_coordinates(geoms, return_index=True)
    finite = np.isfinite(coords).all(axis=1)
    if not finite.all():
        bad = int(row[np.argmin(finite)])
        raise refused(bad, "geometry", "coordinates that are no numbers", "bad_coordinates")


def refused(row: int, field: str, message: str, code: str) -> InvalidInput:
    """The refusal of a row."""
    finding = {"row": row, "field": field, "message": message}
    return InvalidInput(f"row {row}: {message}", code=code, findings=[finding])


def check_tolerance(tolerance_m: float) -> None:
    """Refuses a tolerance that is no length."""
    if not 0.0 <= tolerance_m < math.inf:
        raise InvalidInput(f"tolerance_m={tolerance_m!r}: a number from 0 on is needed", code="bad_tolerance")
