"""On which side of an edge a place lies: certain, or said to be uncertain.

The sign of the determinant is taken from floating point where the error bound of Ozaki, Bünger, Ogita, Oishi
and Rump (2016, "Simple floating-point filters for the two-dimensional orientation problem") proves it, the
same filter that GEOS uses. Else, where all coordinate differences are exact, which for places of one county
is nearly always so, the two products are compared in full length; GEOS's double-double arithmetic is exact in
this case too. What remains is left to GEOS itself, so that there is nothing to disagree about.

The sign is that of the turn start → end → place: 1 left, -1 right, 0 on the line.
"""

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]
Number = TypeVar("Number", float, Floats)

UNCERTAIN = 2
FILTER = 3.3306690621773724e-16  # 3 u - (c - 22) u², u = 2^-53, of the paper
SPLITTER = 134217729.0  # 2^27 + 1 halves a double for a product without rounding (Dekker 1971)
LEAST, MOST = 1e-250, 1e250  # between them no product here under- or overflows


def _gap(a: Number, b: Number, difference: Number) -> Number:
    """What a - b lost by rounding."""
    part = a - difference
    rest = difference + part
    return (a - rest) + (part - b)


def _product(a: Number, b: Number) -> tuple[Number, Number]:
    """The product without rounding, as a sum of two."""
    high = a * b
    c = SPLITTER * a
    a1 = c - (c - a)
    a2 = a - a1
    c = SPLITTER * b
    b1 = c - (c - b)
    b2 = b - b1
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


def side(  # noqa: PLR0911  # every return is a case
    ax: float, ay: float, bx: float, by: float, px: float, py: float
) -> int:
    """Sign of one place against one edge, or `UNCERTAIN`."""
    dax, day, dbx, dby = ax - px, ay - py, bx - px, by - py
    left, right = dax * dby, day * dbx
    det, bound = left - right, abs(left + right) * FILTER
    if det > bound:
        return 1
    if det < -bound:
        return -1
    if _gap(ax, px, dax) or _gap(ay, py, day) or _gap(bx, px, dbx) or _gap(by, py, dby):
        return UNCERTAIN
    if _gap(bx, ax, bx - ax) or _gap(by, ay, by - ay):
        return UNCERTAIN
    if (left == 0.0) != (dax == 0.0 or dby == 0.0) or (right == 0.0) != (day == 0.0 or dbx == 0.0):
        return UNCERTAIN
    if (left and not LEAST < abs(left) < MOST) or (right and not LEAST < abs(right) < MOST):
        return UNCERTAIN
    left_pair, right_pair = _product(dax, dby), _product(day, dbx)
    return (left_pair > right_pair) - (left_pair < right_pair)


def sides(a: Floats, b: Floats, px: Floats, py: Floats) -> Signs:
    """Signs of places against edges, pair by pair, or `UNCERTAIN`; a and b of shape (n, 2)."""
    dax, day, dbx, dby = a[:, 0] - px, a[:, 1] - py, b[:, 0] - px, b[:, 1] - py
    left, right = dax * dby, day * dbx
    det, bound = left - right, np.abs(left + right) * FILTER
    signs = (det > bound).astype(np.int8) - (det < -bound).astype(np.int8)
    close = np.flatnonzero(signs == 0)
    if len(close):
        signs[close] = _close_sides(a[close], b[close], px[close], py[close])
    return signs


def _close_sides(a: Floats, b: Floats, px: Floats, py: Floats) -> Signs:
    """What `side` does where the filter does not decide."""
    ax, ay, bx, by = a[:, 0], a[:, 1], b[:, 0], b[:, 1]
    dax, day, dbx, dby = ax - px, ay - py, bx - px, by - py
    left, right = dax * dby, day * dbx
    pairs = ((ax, px, dax), (ay, py, day), (bx, px, dbx), (by, py, dby), (bx, ax, bx - ax), (by, ay, by - ay))
    open_ = np.logical_or.reduce([_gap(*pair) != 0.0 for pair in pairs])
    open_ |= (left == 0.0) != ((dax == 0.0) | (dby == 0.0))
    open_ |= (right == 0.0) != ((day == 0.0) | (dbx == 0.0))
    for size in (np.abs(left), np.abs(right)):
        open_ |= (size != 0.0) & ~((size > LEAST) & (size < MOST))
    (left, left_low), (right, right_low) = _product(dax, dby), _product(day, dbx)
    high = (left > right).astype(np.int8) - (left < right).astype(np.int8)
    low = (left_low > right_low).astype(np.int8) - (left_low < right_low).astype(np.int8)
    return np.where(open_, UNCERTAIN, np.where(high != 0, high, low)).astype(np.int8)


def exact_side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> int:
    """Sign of one place, moved to the right by next to nothing and up by next to nothing of that.

    Never 0 for an edge of any length; by fractions, for the rare corner of the lattice that is that near.
    """
    sign = side(ax, ay, bx, by, px, py)
    if sign == UNCERTAIN:
        xa, ya, xb, yb = (Fraction(v) for v in (ax, ay, bx, by))
        det = (xa - Fraction(px)) * (yb - Fraction(py)) - (ya - Fraction(py)) * (xb - Fraction(px))
        sign = (det > 0) - (det < 0)
    if sign == 0:
        sign = (ay > by) - (ay < by) or (bx > ax) - (bx < ax)
    return sign
