"""The squares of web maps: which part of the world a tile shows, and coordinates within it."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap import crs as reference_systems
from gridmap.errors import InvalidInput
from layers.mvt import BUFFER, EXTENT

DEEPEST = 22
_SOUTHMOST = math.degrees(math.atan(math.sinh(math.pi)))  # where the square ends


@dataclass(frozen=True)
class TileAddress:
    """A tile by zoom, column from the west, row from the north.

    Raises:
        InvalidInput: there is no such tile (`bad_tile`).
    """

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.z <= DEEPEST and 0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z):
            raise InvalidInput(
                f"There is no tile {self.z}/{self.x}/{self.y}: zoom 0 to {DEEPEST},"
                " column and row from 0 to 2^zoom - 1",
                code="bad_tile",
            )

    def box(self, buffer: float = BUFFER) -> tuple[float, float, float, float]:
        """Low x, low y, high x, high y of the tile and its buffer, as of `world`."""
        pad = buffer / EXTENT
        size = 1.0 / (1 << self.z)
        return (
            (self.x - pad) * size,
            (self.y - pad) * size,
            (self.x + 1 + pad) * size,
            (self.y + 1 + pad) * size,
        )

    def within(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates of `world` in the tile's units."""
        return (xy * (1 << self.z) - (self.x, self.y)) * EXTENT


def world(xy: NDArray[np.float64], crs: str = "wgs84") -> NDArray[np.float64]:
    """Web Mercator as a unit square: (0, 0) north-west, y downwards.

    Args:
        xy: longitude and latitude in WGS-84 degrees, shape (n, 2).
        crs: geographic system in which the map is drawn: `wgs84`, or `gcj02`, `bd09` under a base map that has
            moved.
    """
    lon, lat = xy[:, 0], xy[:, 1]
    if crs != "wgs84":
        lon, lat = reference_systems.convert(lon, lat, "wgs84", crs)
    y = np.radians(np.clip(lat, -_SOUTHMOST, _SOUTHMOST))
    return np.column_stack([lon / 360.0 + 0.5, 0.5 - np.arcsinh(np.tan(y)) / (2 * np.pi)])


def drawable(crs: str) -> str:
    """The canonical name of a system in which tiles can be drawn.

    Raises:
        InvalidInput: `unknown_crs`, or not a geographic system of degrees (`bad_tile_crs`).
    """
    name = reference_systems.normalise(crs)
    if name not in {"wgs84", "cgcs2000", "gcj02", "bd09"}:
        raise InvalidInput(
            f"Tiles are drawn in wgs84, cgcs2000, gcj02 or bd09, not in {name}", code="bad_tile_crs"
        )
    return "wgs84" if name == "cgcs2000" else name


def cut(shapes: NDArray[np.object_], address: TileAddress) -> NDArray[np.object_]:
    """Polygons of `world` clipped to a tile and its buffer; empty ones where nothing is left.

    Only what crosses the edge is clipped, so that all borders inside the tile keep their vertices.
    """
    west, north, east, south = address.box()
    bounds = shapely.bounds(shapes)
    crossing = (bounds[:, 0] < west) | (bounds[:, 1] < north) | (bounds[:, 2] > east) | (bounds[:, 3] > south)
    cut_shapes = shapes.copy()
    if crossing.any():
        clipped = shapely.clip_by_rect(shapes[crossing], west, north, east, south)
        cut_shapes[crossing] = shapely.orient_polygons([_polygons(each) for each in clipped])
    return cut_shapes


def _polygons(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of a shape, without the lines and points to which clipping may shrink some."""
    parts = [
        part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon) and not part.is_empty
    ]
    return shapely.MultiPolygon(parts)
