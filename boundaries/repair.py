"""Repairs of single polygons, each with what it changed in square metres."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap import crs

BAND_M: Final = 1.0
DEGREE_M: Final = 111_320.0  # of latitude, near enough for the width of a band


@dataclass(frozen=True)
class Repaired:
    """Polygons that were made valid.

    Attributes:
        polygons: the same array length; what could not be repaired is None.
        changed_m2: by how much each polygon's area differs from what its rings enclosed before, in m².
        widened: which had no area left and are now a band along the line they had collapsed to.
    """

    polygons: NDArray[np.object_]
    changed_m2: NDArray[np.float64]
    widened: NDArray[np.bool_]


def make_valid(polygons: NDArray[np.object_]) -> Repaired:
    """Makes polygons valid, keeping every ring's area and of the result the polygons alone.

    The structure method unites what rings cover and takes out what holes cover, so a spike, a crossing or a
    ring that runs twice does not tear a hole; lines and points that it leaves are dropped. What consists of
    them alone (a small town in a file that was rounded too coarsely) becomes a band one metre wide, so that
    its code and its events keep a place until somebody draws it anew.

    Args:
        polygons: Polygons or MultiPolygons in EPSG:4326.
    """
    before = crs.area_m2(polygons)
    valid = np.asarray(shapely.make_valid(polygons, method="structure", keep_collapsed=False), dtype=object)
    kept = np.array([_polygonal(each) for each in valid], dtype=object)
    widened = shapely.is_missing(kept) & ~shapely.is_missing(polygons) & ~shapely.is_empty(polygons)
    for at in np.flatnonzero(widened).tolist():
        kept[at] = _band(shapely.make_valid(polygons[at], method="structure", keep_collapsed=True))
    after = crs.area_m2(kept)
    return Repaired(kept, np.abs(after - before), widened)


def describe(reason: str, changed_m2: float, *, widened: bool) -> str:
    """What was wrong with a polygon and what the repair did."""
    if widened:
        return f"{reason}; without area, kept as a band {BAND_M:g} m wide ({changed_m2:.1f} m²): draw it anew"
    return f"{reason} repaired; its area changed by {changed_m2:.1f} m²"


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry | None:
    parts = shapely.get_parts(shapely.get_parts(shape))
    parts = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)]
    if not len(parts):
        return None
    # Parts that share an edge are valid each and no valid whole.
    whole = parts[0] if len(parts) == 1 else shapely.union_all(parts)
    return whole if whole.is_valid else None


def _band(shape: shapely.Geometry) -> shapely.Geometry:
    """A line or point in degrees, widened to a band in true metres."""
    narrow = math.cos(math.radians(shapely.get_coordinates(shape)[0, 1]))
    scale = np.array([max(narrow, 0.01), 1.0]) * DEGREE_M
    plane = shapely.transform(shape, lambda xy: xy * scale)
    wide = shapely.buffer(plane, BAND_M / 2, quad_segs=1, cap_style="square", join_style="mitre")
    return shapely.transform(wide, lambda xy: xy / scale)
