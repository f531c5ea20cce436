"""Reference systems: their names, conversion both ways, measures, and the look for a wrong one.

Longitude (or easting) always comes first. WGS-84 is the hub: every conversion goes through it. CGCS2000
(EPSG:4490) counts as WGS-84: the two differ by the movement of the plates since 2000, some decimetres, which
is below what any address or phone in these files knows (docs/adr/0003).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridmap import crs_china
from gridmap.crs_measures import area_m2, distance_m, length_m
from gridmap.errors import InvalidInput

if TYPE_CHECKING:
    from pyproj import Transformer

__all__ = ["Reading", "Suspicion", "area_m2", "convert", "distance_m", "length_m", "normalise", "suspect"]

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]

_ALIASES = {
    "wgs84": "wgs84",
    "epsg:4326": "wgs84",
    "ogc:crs84": "wgs84",
    "crs84": "wgs84",
    "ogc:1.3:crs84": "wgs84",
    "cgcs2000": "cgcs2000",
    "epsg:4490": "cgcs2000",
    "gcj02": "gcj02",
    "bd09": "bd09",
    "bd09ll": "bd09",
}
_TO_WGS84: dict[str, Callable[[Floats, Floats], Pair]] = {
    "gcj02": crs_china.gcj02_to_wgs84,
    "bd09": crs_china.bd09_to_wgs84,
}
_FROM_WGS84: dict[str, Callable[[Floats, Floats], Pair]] = {
    "gcj02": crs_china.wgs84_to_gcj02,
    "bd09": crs_china.wgs84_to_bd09,
}
_per_thread = threading.local()  # a Transformer must not be used by two threads at once


def normalise(name: str) -> str:
    """Canonical name: `wgs84`, `cgcs2000`, `gcj02`, `bd09` or `EPSG:n`.

    Upper and lower case, `-`, `_` and blanks do not matter; EPSG:4326 is wgs84 and EPSG:4490 cgcs2000.

    Raises:
        InvalidInput: `unknown_crs`; also for a system without two horizontal axes.
    """
    text = str(name).strip().lower()
    if text.startswith("urn:ogc:def:crs:"):
        text = text.removeprefix("urn:ogc:def:crs:").replace("::", ":")
    for plain in (text, text.replace("-", "").replace("_", "").replace(" ", "")):
        if plain in _ALIASES:
            return _ALIASES[plain]
    authority, _, number = text.partition(":")
    if authority == "epsg" and number.strip().isascii() and number.strip().isdigit() and len(number) <= 10:
        canonical = f"EPSG:{int(number)}"
        if canonical.lower() in _ALIASES:
            return _ALIASES[canonical.lower()]
        _transformer(canonical, inverse=False)
        return canonical
    raise _unknown(name)


def _unknown(name: object) -> InvalidInput:
    return InvalidInput(
        f"{str(name)[:60]!r} is no reference system known here; wgs84, cgcs2000, gcj02, bd09 or EPSG:n",
        code="unknown_crs",
    )


def _transformer(name: str, *, inverse: bool) -> "Transformer":
    cache: dict[tuple[str, bool], Transformer] = _per_thread.__dict__.setdefault("transformers", {})
    found = cache.get((name, inverse))
    if found is None:
        found = cache[name, inverse] = _new_transformer(name, inverse=inverse)
    return found


def _new_transformer(name: str, *, inverse: bool) -> "Transformer":
    import pyproj  # noqa: PLC0415  # 20 MB and 0.15 s that a process on WGS-84 alone never pays
    from pyproj import network  # noqa: PLC0415
    from pyproj.exceptions import CRSError, ProjError  # noqa: PLC0415

    # grids from the network would differ between machines; the stub forgets the name
    network.set_network_enabled(active=False)  # type: ignore[attr-defined]
    try:
        system = pyproj.CRS.from_user_input(name)
        if len(system.axis_info) != 2 or not (system.is_projected or system.is_geographic):
            raise InvalidInput(
                f"{name} ({system.name}) has no two horizontal axes; give a projected or geographic system",
                code="unknown_crs",
            )
        # CGCS2000 and its zones against CGCS2000 itself: the same numbers as WGS-84, by decision
        datum = system.geodetic_crs.to_epsg() if system.geodetic_crs is not None else None
        hub = pyproj.CRS.from_epsg(4490 if datum == 4490 else 4326)
        ends = (hub, system) if inverse else (system, hub)
        return pyproj.Transformer.from_crs(*ends, always_xy=True)
    except (CRSError, ProjError) as error:
        raise _unknown(name) from error


def _by_proj(name: str, x: Floats, y: Floats, *, inverse: bool) -> Pair:
    out_x, out_y = _transformer(name, inverse=inverse).transform(x, y)
    return np.asarray(out_x, dtype=np.float64), np.asarray(out_y, dtype=np.float64)


def convert(x: ArrayLike, y: ArrayLike, source: str, target: str) -> Pair:
    """Coordinates of `source` in `target`.

    Args:
        x: longitudes in degrees or eastings in the system's unit; any shape, scalars too.
        y: latitudes or northings, same shape.
        source: a name as of `normalise`.
        target: another.

    Returns:
        New float64 arrays in the shape of the input. Where an input is NaN or infinite, or lies where the
        projection does not reach, both are NaN.

    Raises:
        InvalidInput: `unknown_crs`, or x and y differ in shape (`bad_shape`).
    """
    source, target = normalise(source), normalise(target)
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape:
        raise InvalidInput(f"x and y differ in shape: {xs.shape} and {ys.shape}", code="bad_shape")
    flat_x, flat_y = np.array(xs).ravel(), np.array(ys).ravel()
    bad = ~(np.isfinite(flat_x) & np.isfinite(flat_y))
    flat_x[bad] = flat_y[bad] = np.nan
    if _family(source) != _family(target):
        flat_x, flat_y = _to_wgs84(source, flat_x, flat_y)
        flat_x, flat_y = _from_wgs84(target, flat_x, flat_y)
        lost = ~(np.isfinite(flat_x) & np.isfinite(flat_y))
        flat_x[lost] = flat_y[lost] = np.nan
    return flat_x.reshape(xs.shape), flat_y.reshape(xs.shape)


def _family(name: str) -> str:
    return "wgs84" if name == "cgcs2000" else name


def _to_wgs84(name: str, x: Floats, y: Floats) -> Pair:
    if _family(name) == "wgs84":
        return x, y
    if name in _TO_WGS84:
        return _TO_WGS84[name](x, y)
    return _by_proj(name, x, y, inverse=False)


def _from_wgs84(name: str, x: Floats, y: Floats) -> Pair:
    if _family(name) == "wgs84":
        return x, y
    if name in _FROM_WGS84:
        return _FROM_WGS84[name](x, y)
    return _by_proj(name, x, y, inverse=True)


@dataclass(frozen=True)
class Reading:
    """One way to read a set of points.

    Attributes:
        name: `as_given`; the reference system that the points would really be in; `swapped` (latitude first);
            or `areas_gcj02`, `areas_bd09`: the points are right and the areas are shifted.
        placed: how many of the points looked at fall where they should.
        gained: fall into place by this reading and not as given.
        lost: the other way round.
    """

    name: str
    placed: int
    gained: int
    lost: int


@dataclass(frozen=True)
class Suspicion:
    """What `suspect` found.

    Attributes:
        given: the reference system that the points were said to be in.
        likely: name of the reading that puts most points into place; `as_given` where nothing is wrong.
        points: how many points were looked at (finite ones, thinned to the sample).
        readings: all that were tried, `as_given` first.
        message: one sentence for a person, empty where nothing is wrong.
    """

    given: str
    likely: str
    points: int
    readings: tuple[Reading, ...]
    message: str

    @property
    def suspicious(self) -> bool:
        """Whether another reading fits clearly better than the one given."""
        return self.likely != "as_given"


_TITLES = {"wgs84": "WGS-84", "cgcs2000": "CGCS2000", "gcj02": "GCJ-02", "bd09": "BD-09"}
_MEANING = {
    "wgs84": "WGS-84 coordinates given as {given}",
    "gcj02": "GCJ-02 coordinates given as {given}",
    "bd09": "BD-09 coordinates given as {given}",
    "swapped": "latitude and longitude swapped",
    "areas_gcj02": "right, and the areas GCJ-02 given as WGS-84",
    "areas_bd09": "right, and the areas BD-09 given as WGS-84",
}


def suspect(
    x: ArrayLike,
    y: ArrayLike,
    areas: Any,
    stated: ArrayLike | None = None,
    *,
    crs: str = "wgs84",
    sample: int = 20_000,
) -> Suspicion:
    """Tries which reading of the points puts most of them where they should be, and reports it.

    The comparison is of the points that only one of two readings puts into place: those far from any border
    are placed by all and say nothing. A reading is suspected when it gains three times as many points as it
    loses, by more than three standard deviations of a fair coin (10 points, where it loses none).

    Args:
        x: longitudes or eastings in `crs`, 1-d.
        y: latitudes or northings.
        areas: shapely polygons in EPSG:4326: the areas that the points should fall into (also footprints of
            residential buildings).
        stated: for each point the position of its own area in `areas`, -1 where it states none (then any
            area will do); None means that any area will do for all.
        crs: the system that the points are said to be in.
        sample: at most so many points are looked at, evenly spread over the input.

    Raises:
        InvalidInput: `unknown_crs`, or arrays of different length.
    """
    given = normalise(crs)
    xs, ys = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    own = np.full(len(xs), -1) if stated is None else np.asarray(stated, dtype=np.int64).ravel()
    if not len(xs) == len(ys) == len(own):
        raise InvalidInput("x, y and the stated areas differ in length", code="bad_shape")
    usable = np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))
    if len(usable) > sample:
        usable = usable[np.linspace(0, len(usable) - 1, sample).astype(np.int64)]
    xs, ys, own = xs[usable], ys[usable], own[usable]
    polygons = np.asarray(areas, dtype=object).ravel()
    as_given = _placed(_to_wgs84(given, xs.copy(), ys.copy()), polygons, own)
    readings = [Reading("as_given", int(as_given.sum()), 0, 0)]
    for name, places in _other_readings(given, xs, ys):
        placed = _placed(places, polygons, own)
        gained, lost = int((placed & ~as_given).sum()), int((as_given & ~placed).sum())
        readings.append(Reading(name, int(placed.sum()), gained, lost))
    best = max(readings, key=lambda reading: reading.placed)
    if best.gained < 3 * best.lost or best.gained - best.lost <= 3.0 * np.sqrt(best.gained + best.lost):
        return Suspicion(given, "as_given", len(xs), tuple(readings), "")
    meaning = _MEANING[best.name].format(given=_TITLES.get(given, given))
    message = (
        f"these points look like {meaning}: read so, {best.placed} of {len(xs)} fall where they should, "
        f"as given only {readings[0].placed}"
    )
    return Suspicion(given, best.name, len(xs), tuple(readings), message)


def _other_readings(given: str, x: Floats, y: Floats) -> list[tuple[str, Pair]]:
    """WGS-84 places of the points by every reading but the one given."""
    readings = [
        (name, _to_wgs84(name, x.copy(), y.copy()))
        for name in ("wgs84", "gcj02", "bd09")
        if name != _family(given)
    ]
    readings.append(("swapped", _to_wgs84(given, y.copy(), x.copy())))
    lon, lat = _to_wgs84(given, x.copy(), y.copy())
    readings += [(f"areas_{name}", _FROM_WGS84[name](lon, lat)) for name in ("gcj02", "bd09")]
    return readings


def _placed(places: Pair, polygons: Any, own: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which places lie in their own area, or in any where they state none."""
    import shapely  # noqa: PLC0415  # conversion alone does without

    lon, lat = places
    placed = np.zeros(len(lon), dtype=bool)
    good = np.isfinite(lon) & np.isfinite(lat)
    named = np.flatnonzero(good & (own >= 0))
    placed[named] = shapely.intersects_xy(polygons[own[named]], lon[named], lat[named])
    free = np.flatnonzero(good & (own < 0))
    if len(free):
        tree = shapely.STRtree(polygons)
        hit, _ = tree.query(shapely.points(lon[free], lat[free]), predicate="intersects")
        placed[free[np.unique(hit)]] = True
    return placed
