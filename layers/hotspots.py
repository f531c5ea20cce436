"""Where high or low values gather: Getis and Ord's Gi*, with areas that share a border as neighbours.

Significance, not amount: a unit is hot when it and its neighbours together lie above what the same values would
give if they were scattered at random (Getis & Ord 1992, Ord & Getis 1995). The z-values are analytic, so the
answer is the same every time.
"""

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.snapshot import Snapshot
from layers.kept import Kept

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def neighbours(geometries: NDArray[np.object_]) -> Pairs:
    """Pairs of polygons that share some length of border, both ways; positions in the array."""
    tree = shapely.STRtree(geometries)
    one, other = tree.query(geometries, predicate="intersects")
    ahead = one < other
    one, other = one[ahead], other[ahead]
    # Corner to corner is no border: of a coverage only what shares a line counts.
    shared = shapely.length(shapely.intersection(geometries[one], geometries[other])) > 0
    one, other = one[shared], other[shared]
    return np.concatenate([one, other]), np.concatenate([other, one])


def _of_kind(snapshot: Snapshot, kind: str) -> Pairs:
    rows = snapshot.rows_of(kind)
    one, other = neighbours(snapshot.geom[rows])
    return rows[one], rows[other]


_kept: Kept[Pairs] = Kept(_of_kind)


def neighbours_of(snapshot: Snapshot, kind: str) -> Pairs:
    """Pairs of rows of a kind that share a border; a second for 7,000 grids, once an edition."""
    return _kept.get(snapshot, kind)


def gi_star(values: Floats, pairs: Pairs) -> Floats:
    """Gi* of each unit, as a z-value; itself counts as its neighbour.

    Args:
        values: one a unit; NaN units take no part and get NaN.
        pairs: positions of neighbours, both ways, without the unit itself.

    Returns:
        NaN also where all values are equal, or where a unit's neighbourhood is all there is.
    """
    part = ~np.isnan(values)
    known = np.where(part, values, 0.0)
    number = int(part.sum())
    if number < 2:
        return np.full(len(values), np.nan)
    one, other = pairs
    both = part[one] & part[other]
    size = len(values)
    weight = 1.0 + np.bincount(one[both], minlength=size)
    total = known + np.bincount(one[both], weights=known[other[both]], minlength=size)
    mean = known.sum() / number
    spread = math.sqrt(max(0.0, (known**2).sum() / number - mean**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = spread * np.sqrt((number * weight - weight**2) / (number - 1))
        z: Floats = (total - mean * weight) / scale
    z[~part | ~np.isfinite(z)] = np.nan
    return z


def two_sided(z: Floats) -> Floats:
    """The probability of a z-value at least so far from 0, both ways; NaN stays."""
    return np.array([math.erfc(abs(each) / math.sqrt(2)) for each in z.tolist()], dtype=np.float64)
