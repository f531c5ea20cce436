"""Gauss-Krüger zones of CGCS2000: which system eastings are of, by the number of the zone before them.

Chinese surveys write eastings with the zone's number before them (37,596,488 m: zone 37) or without it
(596,488 m); each zone has a system for either, and a file may name the wrong one of the two.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# First EPSG number of the systems with the zone's number, the first zone, how many there are, and how much
# further the systems without it stand.
SERIES: Final = ((4491, 13, 11, 11), (4513, 25, 21, 21))
MILLION: Final = 1_000_000.0
FARTHEST: Final = (
    2  # million metres that no easting without a zone's number reaches; northings of China begin there
)


def likely(easting: float, system: str) -> str | None:
    """The system that an easting is rather of, as `EPSG:n`; None where there is nothing to say.

    Args:
        easting: metres, of a place that the system does not cover.
        system: name of the one that was taken.
    """
    zone = int(easting // MILLION) if easting > 0 else 0
    for first, lowest, many, _ in SERIES:
        if lowest <= zone < lowest + many:
            found = f"EPSG:{first + zone - lowest}"
            return None if found == system else found
    authority, _, number = system.partition(":")
    if authority != "EPSG" or not 0.0 < easting < MILLION:
        return None
    for first, _, many, further in SERIES:
        if first <= int(number) < first + many:
            return f"EPSG:{int(number) + further}"
    return None


def swapped(x: float, y: float, system: str) -> bool:
    """Whether a place reads as northing, easting in a zone: what stands second is an easting of it, the first none.

    Args:
        x: metres, what stands first in the file.
        y: what stands second.
        system: name of the one that they are said to be in.
    """
    both = mistaken(np.array([x, y]), system)
    return bool(both[0] and not both[1] and 0.0 < x < 10 * MILLION and y > 0.0)


def mistaken(eastings: NDArray[np.float64], system: str) -> NDArray[np.bool_]:
    """Which eastings cannot be of a zone: another zone's number stands before them, or one where none belongs.

    The projection answers for some of them, thousands of kilometres away.

    Args:
        eastings: metres; NaN is none.
        system: name of the one that they are said to be in.
    """
    authority, _, number = system.partition(":")
    if authority == "EPSG":
        zone = np.floor(np.nan_to_num(eastings, posinf=0.0, neginf=0.0) / MILLION)
        for first, lowest, many, further in SERIES:
            position = int(number) - first
            if 0 <= position < many:
                return np.asarray(zone != lowest + position) & np.isfinite(eastings)
            if 0 <= position - further < many:
                return np.asarray(zone >= FARTHEST)
    return np.zeros(len(eastings), dtype=bool)
