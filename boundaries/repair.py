"""Repairs of single polygons, each with what it changed in square metres."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap import crs


@dataclass(frozen=True)
class Repaired:
    """Polygons that were made valid.

    Attributes:
        polygons: the same array length; what could not be repaired is None.
        changed_m2: by how much each polygon's area differs from what its rings enclosed before, in m².
    """

    polygons: NDArray[np.object_]
    changed_m2: NDArray[np.float64]


def make_valid(polygons: NDArray[np.object_]) -> Repaired:
    """Makes polygons valid, keeping every ring's area and of the result the polygons alone.

    The structure method unites what rings cover and takes out what holes cover, so a spike, a crossing or a
    ring that runs twice does not tear a hole; lines and points that it leaves are dropped.

    Args:
        polygons: Polygons or MultiPolygons in EPSG:4326.
    """
    before = np.abs(crs.area_m2(polygons))
    valid = np.asarray(shapely.make_valid(polygons, method="structure", keep_collapsed=False), dtype=object)
    kept = np.array([_polygonal(each) for each in valid], dtype=object)
    after = np.zeros(len(kept))
    present = ~shapely.is_missing(kept)
    after[present] = crs.area_m2(kept[present])
    return Repaired(kept, np.abs(after - before))


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry | None:
    parts = shapely.get_parts(shapely.get_parts(shape))
    parts = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)]
    if not len(parts):
        return None
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
