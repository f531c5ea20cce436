"""GCJ-02 and BD-09: the two shifted systems of Chinese maps, both ways, in NumPy.

GCJ-02 moves a WGS-84 place by up to about 700 m with a smooth known formula; BD-09 moves a GCJ-02 place once
more. Both apply only within a box around China; elsewhere they are the identity.

The formulas as they are widely published put a jump at the edge of the box, so that near it some places have
no image and some images two places. Which of them an inverse returns is decided in `_within_box`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]

# the box outside which both systems are the identity: degrees, closed
WEST, EAST, SOUTH, NORTH = 72.004, 137.8347, 0.8293, 55.8271

_AXIS_M = 6378245.0  # Krasovsky 1940, as GCJ-02 uses it
_ECCENTRICITY2 = 0.00669342162296594323
_BD_TURN = np.pi * 3000.0 / 180.0
# the iteration shrinks the error some 300-fold a step: after a step this small it is below 1e-13 degrees
_MOST_STEPS = 30
_ENOUGH = 1e-11


def _shift(lon: Floats, lat: Floats) -> Pair:
    """GCJ-02 minus WGS-84 in degrees by the formula, wherever the place is."""
    x, y = lon - 105.0, lat - 35.0
    root, product = np.sqrt(np.abs(x)), x * y
    fast, slow_x, slow_y = (np.sin(np.pi * v) for v in (2.0 * x, x / 3.0, y / 3.0))
    common = (20.0 * _sine_of_triple(fast) + 20.0 * fast) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * product + 0.2 * root + common
    north += (20.0 * _sine_of_triple(slow_y) + 40.0 * slow_y) * 2.0 / 3.0
    north += (160.0 * np.sin(np.pi / 12.0 * y) + 320.0 * np.sin(np.pi / 30.0 * y)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * product + 0.1 * root + common
    east += (20.0 * _sine_of_triple(slow_x) + 40.0 * slow_x) * 2.0 / 3.0
    east += (150.0 * np.sin(np.pi / 12.0 * x) + 300.0 * np.sin(np.pi / 30.0 * x)) * 2.0 / 3.0
    phi = np.radians(lat)
    magic = 1.0 - _ECCENTRICITY2 * np.sin(phi) ** 2
    east = np.degrees(east / (_AXIS_M / np.sqrt(magic) * np.cos(phi)))
    north = np.degrees(north / (_AXIS_M * (1.0 - _ECCENTRICITY2) / (magic * np.sqrt(magic))))
    return east, north


def _sine_of_triple(sine: Floats) -> Floats:
    """Sine of three times the angle: half the sines of the formula are such."""
    return sine * (3.0 - 4.0 * sine * sine)


def _gcj_formula(lon: Floats, lat: Floats) -> Pair:
    east, north = _shift(lon, lat)
    return lon + east, lat + north


def _bd_formula(lon: Floats, lat: Floats) -> Pair:
    """BD-09 of a GCJ-02 place."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BD_TURN)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BD_TURN)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def _undo(formula: Callable[[Floats, Floats], Pair], lon: Floats, lat: Floats) -> Pair:
    """The place whose image by `formula` is given, by fixed point iteration; always ends.

    The formulas move places smoothly by a few hundred metres, so that the step below contracts; the known
    closed inverses stop after one step and are wrong by up to 4 m.
    """
    x, y = lon.copy(), lat.copy()
    for _ in range(_MOST_STEPS):
        image_x, image_y = formula(x, y)
        step_x, step_y = image_x - lon, image_y - lat
        x -= step_x
        y -= step_y
        largest = max(np.abs(step_x).max(initial=0.0), np.abs(step_y).max(initial=0.0))
        if largest < _ENOUGH:
            break
    return x, y


def _in_box(lon: Floats, lat: Floats, slack: float = 0.0) -> NDArray[np.bool_]:
    return (lon >= WEST - slack) & (lon <= EAST + slack) & (lat >= SOUTH - slack) & (lat <= NORTH + slack)


def _within_box(lon: Floats, lat: Floats, x: Floats, y: Floats) -> Pair:
    """Chooses between the place (x, y) that the formula gives for the image (lon, lat) and the identity.

    1. The formula's place lies in the box: it is the answer, so that there and back is exact for all of the
       box, its edge included.
    2. Else the image lies outside the box: identity.
    3. Else no place at all has this image (a strip of some 500 m along the western and northern edges): the
       nearest place of the box.
    """
    # the iteration ends within 1e-12 degrees: what belongs on the edge may come out just beyond it
    keep = ~_in_box(x, y, slack=1e-10) & ~_in_box(lon, lat)
    return (
        np.where(keep, lon, np.clip(x, WEST, EAST)),
        np.where(keep, lat, np.clip(y, SOUTH, NORTH)),
    )


def _apply(lon: Floats, lat: Floats, work: Callable[[Floats, Floats], Pair]) -> Pair:
    """Runs `work` on the places near China only: elsewhere nothing changes, and NaN stays NaN."""
    near = (lon > WEST - 1.0) & (lon < EAST + 1.0) & (lat > SOUTH - 0.8) & (lat < NORTH + 1.0)
    out_lon, out_lat = lon.copy(), lat.copy()
    if near.any():
        out_lon[near], out_lat[near] = work(lon[near], lat[near])
    return out_lon, out_lat


def _forward(lon: Floats, lat: Floats, formula: Callable[[Floats, Floats], Pair]) -> Pair:
    x, y = formula(lon, lat)
    inside = _in_box(lon, lat)
    return np.where(inside, x, lon), np.where(inside, y, lat)


def wgs84_to_gcj02(lon: Floats, lat: Floats) -> Pair:
    """GCJ-02 of WGS-84 places; 1-d float64 arrays in degrees."""
    return _apply(lon, lat, lambda x, y: _forward(x, y, _gcj_formula))


def wgs84_to_bd09(lon: Floats, lat: Floats) -> Pair:
    """BD-09 of WGS-84 places; 1-d float64 arrays in degrees."""
    return _apply(lon, lat, lambda x, y: _forward(x, y, lambda a, b: _bd_formula(*_gcj_formula(a, b))))


def gcj02_to_wgs84(lon: Floats, lat: Floats) -> Pair:
    """WGS-84 of GCJ-02 places, to better than 1e-9 degrees; 1-d float64 arrays in degrees."""
    return _apply(lon, lat, lambda x, y: _within_box(x, y, *_undo(_gcj_formula, x, y)))


def bd09_to_wgs84(lon: Floats, lat: Floats) -> Pair:
    """WGS-84 of BD-09 places, to better than 1e-9 degrees; 1-d float64 arrays in degrees."""

    def work(x: Floats, y: Floats) -> Pair:
        return _within_box(x, y, *_undo(_gcj_formula, *_undo(_bd_formula, x, y)))

    return _apply(lon, lat, work)
