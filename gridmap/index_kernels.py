"""Asking a lattice for millions of places: compiled code. Importing this module imports Numba (0.6 s, 80 MB).

The functions mirror those of index_search, which says what they do; here the same is done in an order that
keeps the memory busy. Constants are written out: compiled code in Numba's cache is renewed when this file
changes, not when another one does (a test compares them with those of the other modules).
"""

# ruff: noqa: ANN001, ANN201, ANN202  # Numba infers the types
# ruff: noqa: C901, PLR0911, PLR0912, PLR0913, PLR1714  # inner loops over plain numbers, as index_search has them
# mypy: allow-untyped-defs

import numpy as np
from numba import njit

# of index_exact
UNCERTAIN = 2
FILTER = 3.3306690621773724e-16
SPLITTER = 134217729.0
LEAST, MOST = 1e-250, 1e250
# of index_lattice
FAN, CHILDREN, NOBODY = 4, 16, -1
COVER, POLYGONS, CHAINS, HELD, HEAD = range(5)
CHAIN, OPEN_LEAF = 3, -1
# of index_answers
INSIDE, BORDER, NONE, OPEN = 0, 1, 5, 6
# of index_search
_ON, _OPEN = 2, 3

_BLOCK = 1024
_MANY = 1 << 21  # places at a time: enough of them in each part of the map to share what is loaded
_PARTS = 1 << 13
_GROUP = 256


def _entry(function):
    """Compiled with a cache on disk; without one where there is no folder to write to."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


@njit
def _gap(a, b, difference):
    part = a - difference
    rest = difference + part
    return (a - rest) + (part - b)


@njit
def _low_part(a, b, high):
    c = SPLITTER * a
    a1 = c - (c - a)
    a2 = a - a1
    c = SPLITTER * b
    b1 = c - (c - b)
    b2 = b - b1
    return ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


@njit
def _close_side(ax, ay, bx, by, px, py):
    dax, day, dbx, dby = ax - px, ay - py, bx - px, by - py
    left, right = dax * dby, day * dbx
    if _gap(ax, px, dax) != 0.0 or _gap(ay, py, day) != 0.0 or _gap(bx, px, dbx) != 0.0:
        return UNCERTAIN
    if _gap(by, py, dby) != 0.0 or _gap(bx, ax, bx - ax) != 0.0 or _gap(by, ay, by - ay) != 0.0:
        return UNCERTAIN
    if (left == 0.0) != (dax == 0.0 or dby == 0.0) or (right == 0.0) != (day == 0.0 or dbx == 0.0):
        return UNCERTAIN
    if left != 0.0 and not LEAST < abs(left) < MOST:
        return UNCERTAIN
    if right != 0.0 and not LEAST < abs(right) < MOST:
        return UNCERTAIN
    left_low, right_low = _low_part(dax, dby, left), _low_part(day, dbx, right)
    if left != right:
        return 1 if left > right else -1
    if left_low != right_low:
        return 1 if left_low > right_low else -1
    return 0


@njit
def _side(ax, ay, bx, by, px, py):
    left, right = (ax - px) * (by - py), (ay - py) * (bx - px)
    det, bound = left - right, abs(left + right) * FILTER
    if det > bound:
        return 1
    if det < -bound:
        return -1
    return _close_side(ax, ay, bx, by, px, py)


@njit
def _corner_side(cx, cy, ax, ay, bx, by):
    if ay <= cy and by <= cy:
        return 1 if bx > ax else -1
    if ay > cy and by > cy:
        return -1 if bx > ax else 1
    sign = _side(ax, ay, bx, by, cx, cy)
    if sign == 0:
        sign = -1 if by > ay else 1
        if by == ay:
            sign = 1 if bx > ax else -1
    return sign


@njit
def _walk(px, py, cx, cy, ax, ay, bx, by):
    spans_x = (ax > cx) != (bx > cx)
    rising = by > ay
    if (ay > py) == (by > py):
        if ay == py or by == py:
            if (ax == px and ay == py) or (bx == px and by == py):
                return _ON
            if ay == by and min(ax, bx) <= px <= max(ax, bx):
                return _ON
        if not spans_x:
            return 0
        sign = _corner_side(cx, cy, ax, ay, bx, by)
        if sign == UNCERTAIN:
            return _OPEN
        return 1 if (ay <= py) != ((sign > 0) == (bx > ax)) else 0
    if ax > px and bx > px:
        place = 1 if rising else -1
    elif ax < px and bx < px:
        place = -1 if rising else 1
    else:
        place = _side(ax, ay, bx, by, px, py)
        if place == 0:
            return _ON
        if place == UNCERTAIN:
            return _OPEN
    if not spans_x:
        return 1 if ((place > 0) == rising) != (ax > cx) else 0
    sign = _corner_side(cx, cy, ax, ay, bx, by)
    if sign == UNCERTAIN:
        return _OPEN
    return 1 if place != sign else 0


@njit
def _chain(px, py, cx, cy, coords, at, many, bits, inside, border):
    """What a chain of edges makes of the bits inside and on the border; border -1: it cannot be told.

    `_walk` with few branches: what decides nearly always is computed for every edge, since a branch that is
    taken every other time costs more than the arithmetic.
    """
    ax, ay = coords[at, 0], coords[at, 1]
    dax, day = ax - px, ay - py
    for _ in range(many):
        at += 1
        bx, by = coords[at, 0], coords[at, 1]
        dbx, dby = bx - px, by - py
        left, right = dax * dby, day * dbx
        det = left - right
        spans_y = (day > 0.0) != (dby > 0.0)
        clear = abs(det) > abs(left + right) * FILTER
        east = ax > cx
        if (day == 0.0) | (dby == 0.0) | (spans_y & (not clear)):
            crossed = _walk(px, py, cx, cy, ax, ay, bx, by)
        elif east == (bx > cx):
            crossed = 1 if spans_y & (((det > 0.0) == (dby > 0.0)) != east) else 0
        else:
            left, right = (ax - cx) * (by - cy), (ay - cy) * (bx - cx)
            det_c = left - right
            if abs(det_c) > abs(left + right) * FILTER:
                same = (det > 0.0) == (det_c > 0.0) if spans_y else (day <= 0.0) == ((det_c > 0.0) != east)
                crossed = 0 if same else 1
            else:
                crossed = _walk(px, py, cx, cy, ax, ay, bx, by)
        inside ^= bits if crossed == 1 else 0
        if crossed >= _ON:
            if crossed == _OPEN:
                return inside, -1
            border |= bits
        ax, ay, dax, day = bx, by, dbx, dby
    return inside, border


@njit
def _lowest(bits):
    number = 0
    while not bits & 1:
        bits >>= 1
        number += 1
    return number


@njit
def _in_leaf(px, py, cx, cy, begin, pool, coords):
    """Row and state."""
    chains, polygons = pool[begin + CHAINS], pool[begin + POLYGONS]
    if chains == OPEN_LEAF:
        return NOBODY, OPEN
    inside, border = pool[begin + HELD], np.int32(0)
    at = begin + HEAD + polygons
    for _ in range(chains):
        inside, border = _chain(px, py, cx, cy, coords, pool[at], pool[at + 1], pool[at + 2], inside, border)
        if border == -1:
            return NOBODY, OPEN
        at += CHAIN
    inside &= ~border
    if inside:
        return pool[begin + HEAD + _lowest(inside)], INSIDE
    if pool[begin + COVER] != NOBODY:
        return pool[begin + COVER], INSIDE
    if border:
        return pool[begin + HEAD + _lowest(border)], BORDER
    return NOBODY, NONE


@njit
def _cells(lon, lat, shape, rows, cells):
    """Numbers of the cells of the first division; -1 outside, also for what is no number."""
    x0, y0, _, per_degree, columns = shape
    east, north, width = float(columns), float(rows), np.int32(columns)
    for k in range(len(lon)):
        u, v = (lon[k] - x0) * per_degree, (lat[k] - y0) * per_degree
        inside = (u >= 0.0) & (u < east) & (v >= 0.0) & (v < north)
        u = u if inside else 0.0
        v = v if inside else 0.0
        cells[k] = np.int32(v) * width + np.int32(u) if inside else np.int32(-1)


@njit
def _descend(px, py, shape, root, nodes):
    """Code of the smallest cell, and its corner."""
    x0, y0, size, per_degree, columns = shape
    u, v = (px - x0) * per_degree, (py - y0) * per_degree
    column, row = int(u), int(v)
    x, y = x0 + column * size, y0 + row * size
    code = root[row * columns + column]
    while code < 0 and ~code & 1:
        size /= FAN
        u, v = (u - column) * FAN, (v - row) * FAN
        column, row = int(u), int(v)
        x, y = x + column * size, y + row * size
        code = nodes[(~code >> 1) * CHILDREN + row * FAN + column]
    return code, x, y


@njit
def _leaves(lon, lat, order, shape, root, nodes, pool, coords, out_rows, out_states):
    px, py, cx, cy = np.empty(_GROUP), np.empty(_GROUP), np.empty(_GROUP), np.empty(_GROUP)
    code = np.empty(_GROUP, np.int32)
    states = np.empty(_GROUP, np.uint8)
    touched = 0.0
    for begin in range(0, len(order), _GROUP):
        many = min(_GROUP, len(order) - begin)
        for k in range(many):
            i = order[begin + k]
            px[k], py[k] = lon[i], lat[i]
        for k in range(many):
            code[k], cx[k], cy[k] = _descend(px[k], py[k], shape, root, nodes)
        for k in range(many):
            if code[k] < 0:
                leaf = ~code[k] >> 1
                touched += coords[pool[leaf + HEAD + pool[leaf + POLYGONS]], 0]
        for k in range(many):
            row, state = code[k] - 1, INSIDE if code[k] > 0 else NONE
            if code[k] < 0:
                row, state = _in_leaf(px[k], py[k], cx[k], cy[k], ~code[k] >> 1, pool, coords)
            code[k], states[k] = row, state
        for k in range(many):
            i = order[begin + k]
            out_rows[i] = code[k]
            out_states[i] = states[k]
    return touched


@_entry
def locate(lon, lat, x0, y0, size, columns, rows, root, nodes, pool, coords, out_rows, out_states):
    """Rows and states of places, written into the last two; the other arguments are a Lattice's fields.

    First the cells of the first division, a block at a time in loops simple enough to become vector code. The
    places in cells with edges are noted and taken afterwards, by parts of the map: what one of them loads into
    the cache the next ones use (measured: 4 times as fast as in the order of the input).
    """
    per_degree = 1.0 / size
    shift = 0
    while (columns * rows) >> shift >= _PARTS:
        shift += 1
    where = np.empty(min(len(lon), _MANY), np.int32)
    part = np.empty(len(where), np.uint16)
    order = np.empty(len(where), np.int32)
    ends = np.empty(_PARTS + 1, np.int32)
    cells, codes = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
    shape = (x0, y0, size, per_degree, columns)
    for begin in range(0, len(lon), _MANY):
        end = min(begin + _MANY, len(lon))
        left = 0
        for block in range(begin, end, _BLOCK):
            many = min(_BLOCK, end - block)
            _cells(lon[block : block + many], lat[block : block + many], shape, rows, cells)
            for k in range(many):
                codes[k] = root[cells[k]] if cells[k] >= 0 else 0
            for k in range(many):
                out_rows[block + k] = codes[k] - 1
                out_states[block + k] = INSIDE if codes[k] > 0 else NONE
            for k in range(many):
                where[left] = block - begin + k
                part[left] = cells[k] >> shift
                left += codes[k] < 0
        ends[:] = 0
        for k in range(left):
            ends[part[k] + 1] += 1
        for k in range(_PARTS):
            ends[k + 1] += ends[k]
        for k in range(left):
            order[ends[part[k]]] = where[k]
            ends[part[k]] += 1
        _leaves(
            lon[begin:end],
            lat[begin:end],
            order[:left],
            shape,
            root,
            nodes,
            pool,
            coords,
            out_rows[begin:end],
            out_states[begin:end],
        )
