"""Metres and square metres of things in longitude and latitude: the one place that knows the ellipsoid.

Everything is on the WGS-84 ellipsoid, which differs from that of CGCS2000 by 0.1 mm in the minor axis.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Geod

Floats = NDArray[np.float64]

SEMI_MAJOR_M = 6378137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY2 = FLATTENING * (2.0 - FLATTENING)
_E = float(np.sqrt(ECCENTRICITY2))

# three Gauss-Legendre nodes on [0, 1]: the error over an edge of one degree is below 1e-12 of its strip
_NODES = np.array([0.5 - np.sqrt(0.15), 0.5, 0.5 + np.sqrt(0.15)])
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0


@cache
def _geod() -> "Geod":
    from pyproj import Geod  # noqa: PLC0415  # 20 MB and 0.15 s that a process without measures never pays

    return Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Plane:
    """A flat map in metres around a place, east and north: degrees are stretched, nothing is bent.

    Straight lines stay straight and what touches goes on touching, so constructions made in it hold in
    degrees. Lengths are off by tan(latitude) / 6,400 km a metre north or south of the place: at 45° by
    4e-4 five kilometres away. For distances of a village, not of a county.
    """

    lon: float
    lat: float
    east_m: float  # metres a degree
    north_m: float

    def metres(self, lonlat: ArrayLike) -> Floats:
        """Metres east and north of the place, from (…, 2) degrees."""
        plane: Floats = (np.asarray(lonlat, dtype=np.float64) - [self.lon, self.lat]) * self.scale
        return plane

    def degrees(self, metres: ArrayLike) -> Floats:
        """Longitude and latitude, from (…, 2) metres."""
        lonlat: Floats = np.asarray(metres, dtype=np.float64) / self.scale + [self.lon, self.lat]
        return lonlat

    @property
    def scale(self) -> Floats:
        """Metres a degree, east and north."""
        return np.array([self.east_m, self.north_m])


def plane_at(lon: float, lat: float) -> Plane:
    """The flat map around a place in degrees; within a degree of a pole it is as at a degree from it."""
    phi = float(np.radians(np.clip(lat, -89.0, 89.0)))
    bent = 1.0 - ECCENTRICITY2 * float(np.sin(phi)) ** 2
    across = SEMI_MAJOR_M / float(np.sqrt(bent))
    along = across * (1.0 - ECCENTRICITY2) / bent
    return Plane(lon, lat, float(np.radians(across * np.cos(phi))), float(np.radians(along)))


def _strip(phi: Floats) -> Floats:
    """Area in m² between the equator and the parallel at `phi` radians, per radian of longitude."""
    sine = np.sin(phi)
    e_sine = _E * sine
    half = SEMI_MAJOR_M**2 * (1.0 - ECCENTRICITY2) / 2.0
    strip: Floats = half * (sine / (1.0 - e_sine * e_sine) + np.arctanh(e_sine) / _E)
    return strip


def area_m2(geometries: Any) -> Floats:
    """True area of polygons whose edges are straight in longitude and latitude, as GEOS sees them.

    The strips under the edges are integrated on the ellipsoid, vectorised over all coordinates (about 100
    times as fast as `pyproj.Geod.geometry_area_perimeter`, which also takes the edges as geodesics: for edges
    of a kilometre the two agree to 1e-6, for longer ones this one tiles with its neighbours).

    Args:
        geometries: shapely Polygons or MultiPolygons (anything else counts 0), EPSG:4326, longitude first;
            an array of any shape or one geometry. None and empty give 0. Rings may turn either way.

    Returns:
        m², float64, in the shape of the input; never negative.
    """
    geoms = np.asarray(geometries, dtype=object)
    flat = geoms.ravel()
    parts, of_geom = shapely.get_parts(flat, return_index=True)
    polygonal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, of_geom = parts[polygonal], of_geom[polygonal]
    rings, of_part = shapely.get_rings(parts, return_index=True)
    if not len(rings):
        return np.zeros(geoms.shape)
    first_of_part = np.ones(len(rings), dtype=bool)
    first_of_part[1:] = of_part[1:] != of_part[:-1]
    sizes = np.abs(_ring_areas(rings))
    signed = np.where(first_of_part, sizes, -sizes)
    total = np.bincount(of_geom[of_part], weights=signed, minlength=len(flat))
    return np.maximum(total, 0.0).reshape(geoms.shape)


def _ring_areas(rings: Any) -> Floats:
    """Signed m² of closed rings."""
    coords, of_ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = np.radians(coords[:, 0]), np.radians(coords[:, 1])
    first = np.zeros(len(rings), dtype=np.int64)
    start = np.flatnonzero(np.r_[True, of_ring[1:] != of_ring[:-1]])
    first[of_ring[start]] = start
    # strips are measured from the ring's first parallel, or a block of houses would be the small difference
    # of two strips that reach to the equator
    base = _strip(lat[first])
    inner = of_ring[1:] == of_ring[:-1]
    at = np.flatnonzero(inner)
    width, rise = lon[at + 1] - lon[at], lat[at + 1] - lat[at]
    under = sum(w * _strip(lat[at] + t * rise) for t, w in zip(_NODES, _WEIGHTS, strict=True))
    strips = width * (under - base[of_ring[at]])
    return np.bincount(of_ring[at], weights=strips, minlength=len(rings)).astype(np.float64)


def length_m(geometries: Any) -> Floats:
    """True length of lines, or of all rings of polygons: the sum of the geodesics between vertices.

    Args:
        geometries: shapely geometries, EPSG:4326, longitude first; an array of any shape or one.

    Returns:
        metres, float64, in the shape of the input; 0 for points, None and empty.
    """
    geoms = np.asarray(geometries, dtype=object)
    parts, of_geom = shapely.get_parts(geoms.ravel(), return_index=True)
    polygonal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, of_part = shapely.get_rings(parts[polygonal], return_index=True)
    lines = np.concatenate([parts[~polygonal], rings])
    of_line = np.concatenate([of_geom[~polygonal], of_geom[polygonal][of_part]])
    coords, index = shapely.get_coordinates(lines, return_index=True)
    at = np.flatnonzero(index[1:] == index[:-1])
    steps = distance_m(coords[at, 0], coords[at, 1], coords[at + 1, 0], coords[at + 1, 1])
    steps = np.where(shapely.get_dimensions(lines)[index[at]] == 1, steps, 0.0)
    lengths = np.bincount(of_line[index[at]], weights=steps, minlength=geoms.size)
    return lengths.astype(np.float64).reshape(geoms.shape)


def distance_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> Floats:
    """Geodesic distance in metres between places in degrees (broadcast); NaN where an input is not finite."""
    ends = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (lon1, lat1, lon2, lat2)))
    good = np.logical_and.reduce([np.isfinite(v) for v in ends])
    out = np.full(ends[0].shape, np.nan)
    x1, y1, x2, y2 = (v[good] for v in ends)
    *_, out[good] = _geod().inv(x1, y1, x2, y2)
    return out


def distance_one_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """The same between two places with finite coordinates, bit for bit, without the cost of arrays."""
    return float(_geod().inv(lon1, lat1, lon2, lat2)[2])
