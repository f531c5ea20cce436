"""Edges against the lines of a lattice: which cells they come near, and which corners lie beyond them."""

import numpy as np
from numpy.typing import NDArray

from gridmap.index_exact import exact_side

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# cells; far more than rounding can move a place or an edge
_MARGIN = 1e-5


def expand(many: Ints) -> tuple[Ints, Ints]:
    """Each number n as n rows: whose they are and how many came before."""
    which = np.repeat(np.arange(len(many)), many)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)


def touched(start: Floats, end: Floats, columns: int, rows: int) -> tuple[Ints, Ints, Ints]:
    """Cells that edges come near, in units of cells: number of the edge, column, row."""
    low, high = np.minimum(start, end) - _MARGIN, np.maximum(start, end) + _MARGIN
    first = np.maximum(np.floor(low), 0.0).astype(np.int64)
    last = np.minimum(np.floor(high), [columns - 1, rows - 1]).astype(np.int64)
    single = (first == last).all(axis=1)
    some = np.flatnonzero(~single & (first <= last).all(axis=1))
    which, column, row = _slanted(start[some], end[some], columns, rows)
    one = np.flatnonzero(single)
    return (
        np.concatenate([one, some[which]]),
        np.concatenate([first[one, 0], column]),
        np.concatenate([first[one, 1], row]),
    )


def _slanted(start: Floats, end: Floats, columns: int, rows: int) -> tuple[Ints, Ints, Ints]:
    """The same for edges that may reach into several cells: row by row, from where they enter to where they leave."""
    u, v = start[:, 0], start[:, 1]
    du, dv = end[:, 0] - u, end[:, 1] - v
    first = np.maximum(np.floor(np.minimum(v, end[:, 1]) - _MARGIN), 0).astype(np.int64)
    last = np.minimum(np.floor(np.maximum(v, end[:, 1]) + _MARGIN), rows - 1).astype(np.int64)
    which, step = expand(np.maximum(last - first + 1, 0))
    row = first[which] + step
    # along a nearly level edge the crossing of a line of the lattice is known too badly: all its columns
    level = np.abs(dv) < 1e-2
    slope = (du / np.where(level, 1.0, dv))[which]
    below = u[which] + (row - _MARGIN - v[which]) * slope
    above = u[which] + (row + 1 + _MARGIN - v[which]) * slope
    west, east = np.minimum(u, end[:, 0])[which], np.maximum(u, end[:, 0])[which]
    level = level[which]
    low = np.where(level, west, np.maximum(np.minimum(below, above), west))
    high = np.where(level, east, np.minimum(np.maximum(below, above), east))
    first = np.maximum(np.floor(low - _MARGIN), 0).astype(np.int64)
    last = np.minimum(np.floor(high + _MARGIN), columns - 1).astype(np.int64)
    again, step = expand(np.maximum(last - first + 1, 0))
    return which[again], first[again] + step, row[again]


def first_beyond(crossing: Floats, slope: Floats) -> tuple[Ints, Flags]:
    """Number of the first corner beyond a crossing (in cells), and where rounding leaves that open."""
    nearest = np.rint(crossing)
    open_ = np.abs(crossing - nearest) < 1e-6 + 1e-11 * np.abs(slope)
    return np.ceil(np.clip(crossing, -1e9, 1e9)).astype(np.int64), open_


def settle(edges: tuple[Floats, Floats], xs: Floats, ys: Floats, *, upwards: bool) -> Ints:
    """The same exactly, for edges that cross the line of corners; corners of each edge in a row."""
    result = np.empty(len(xs), dtype=np.int64)
    for i, (ax, ay, bx, by) in enumerate(np.hstack(edges).tolist()):
        # right of a rising edge and above one that runs to the left is its right side
        beyond = -1 if (bx < ax if upwards else by > ay) else 1
        low, high = 0, xs.shape[1]
        while low < high:
            middle = (low + high) // 2
            if exact_side(ax, ay, bx, by, float(xs[i, middle]), float(ys[i, middle])) == beyond:
                high = middle
            else:
                low = middle + 1
        result[i] = low
    return result


def crossings(
    ends: tuple[Floats, Floats], scaled: tuple[Floats, Floats], xs: Floats, ys: Floats
) -> tuple[Ints, Ints, Ints]:
    """Where edges cross the level lines of corners: edge, line, number of the first corner beyond."""
    (a, b), (start, end) = ends, scaled
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.maximum(np.ceil(low - _MARGIN), 0).astype(np.int64)
    last = np.minimum(np.floor(high + _MARGIN), len(ys) - 1).astype(np.int64)
    which, step = expand(np.maximum(last - first + 1, 0))
    line = first[which] + step
    y = ys[line]
    straddles = (a[which, 1] > y) != (b[which, 1] > y)
    which, line, y = which[straddles], line[straddles], y[straddles]
    slope = (end[which, 0] - start[which, 0]) / (end[which, 1] - start[which, 1])
    corner, open_ = first_beyond(start[which, 0] + (line - start[which, 1]) * slope, slope)
    if open_.any():
        few = which[open_]
        table = np.broadcast_to(xs, (len(few), len(xs)))
        corner[open_] = settle(
            (a[few], b[few]), table, np.broadcast_to(y[open_][:, None], table.shape), upwards=False
        )
    return which, line, np.clip(corner, 0, len(xs))
