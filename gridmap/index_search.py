"""Asking a lattice: for one place in plain Python, for many in NumPy. The compiled way is index_kernels.

All three walk the same way and give the same answers: from the corner of the place's leaf, whose holders are
known, up along the left side to the height of the place and then to the right. Corner and turning point are
moved by next to nothing (see index_exact.exact_side), so that only the place itself can lie on an edge.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmap.index_answers import BORDER, INSIDE, NONE, OPEN
from gridmap.index_exact import UNCERTAIN, side, sides
from gridmap.index_lattice import (
    CHAIN,
    CHAINS,
    CHILDREN,
    COVER,
    FAN,
    HEAD,
    HELD,
    NOBODY,
    OPEN_LEAF,
    POLYGONS,
    Lattice,
)
from gridmap.index_raster import expand

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
States = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_ON, _OPEN = 2, 3  # beside 0 and 1: the place lies on the edge; it cannot be told
_BLOCK = 65_536  # places: the arrays of a block stay in the cache


def locate(lattice: Lattice, lon: Floats, lat: Floats) -> tuple[Rows, States]:
    """Rows (-1 for nobody) and states of many places; coordinates may be NaN or infinite."""
    rows, states = np.full(len(lon), -1, dtype=np.int32), np.full(len(lon), NONE, dtype=np.uint8)
    for begin in range(0, len(lon), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        _locate_block(lattice, lon[block], lat[block], rows[block], states[block])
    return rows, states


def _locate_block(lattice: Lattice, lon: Floats, lat: Floats, rows: Rows, states: States) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        u = (lon - lattice.origin[0]) * lattice.per_degree
        v = (lat - lattice.origin[1]) * lattice.per_degree
        at = np.flatnonzero((u >= 0.0) & (u < lattice.columns) & (v >= 0.0) & (v < lattice.rows))
    u, v = u[at], v[at]
    column, row = u.astype(np.int64), v.astype(np.int64)
    code = lattice.root[row * lattice.columns + column]
    _answer(rows, states, at, code)
    size = lattice.size
    more = np.flatnonzero(code < 0)
    code = code[more]
    cell = _Cell(at[more], u[more], v[more], column[more], row[more], *lattice.origin).at_corner(size)
    while len(cell.at):
        leaf = np.flatnonzero(~code & 1 == 0)
        if len(leaf):
            at = cell.at[leaf]
            corner = (cell.x[leaf], cell.y[leaf])
            begin = (~code[leaf] >> 1).astype(np.int64)
            rows[at], states[at] = _in_leaves(lattice, (lon[at], lat[at]), corner, begin)
        node = np.flatnonzero(~code & 1)
        number = (~code[node] >> 1).astype(np.int64)
        size /= FAN
        cell = cell.some(node).divided().at_corner(size)
        code = lattice.nodes[number * CHILDREN + cell.row * FAN + cell.column]
        _answer(rows, states, cell.at, code)
        more = np.flatnonzero(code < 0)
        cell, code = cell.some(more), code[more]


@dataclass(frozen=True)
class _Cell:
    """Cells in which places are: column and row within the cell above, and the corner of that or this cell."""

    at: Ints  # number of the place
    u: Floats  # the place in units of cells
    v: Floats
    column: Ints
    row: Ints
    x: Any  # degrees
    y: Any

    def some(self, which: Ints) -> "_Cell":
        return _Cell(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def divided(self) -> "_Cell":
        u, v = (self.u - self.column) * FAN, (self.v - self.row) * FAN
        return replace(self, u=u, v=v, column=u.astype(np.int64), row=v.astype(np.int64))

    def at_corner(self, size: float) -> "_Cell":
        return replace(self, x=self.x + self.column * size, y=self.y + self.row * size)


def _answer(rows: Rows, states: States, at: Ints, code: Rows) -> None:
    """Writes the answers of cells with one owner."""
    owned = code > 0
    rows[at[owned]] = code[owned] - 1
    states[at[owned]] = INSIDE


def _in_leaves(
    lattice: Lattice, place: tuple[Floats, Floats], corner: tuple[Floats, Floats], begin: Ints
) -> tuple[Rows, States]:
    """Rows and states of places in leaves."""
    pool = lattice.pool
    polygons, chains = pool[begin + POLYGONS].astype(np.int64), pool[begin + CHAINS].astype(np.int64)
    point, step = expand(np.maximum(chains, 0))
    chain = (begin + HEAD + polygons)[point] + CHAIN * step
    of_chain, step = expand(pool[chain + 1].astype(np.int64))
    vertex = pool[chain[of_chain]] + step
    of_edge = point[of_chain]
    walk = _walks(
        (lattice.coords[vertex], lattice.coords[vertex + 1]),
        (place[0][of_edge], place[1][of_edge]),
        (corner[0][of_edge], corner[1][of_edge]),
    )
    bits = pool[chain[of_chain] + 2]
    inside, border = pool[begin + HELD], np.zeros(len(begin), dtype=np.int32)
    if len(of_edge):
        first = np.flatnonzero(np.r_[True, of_edge[1:] != of_edge[:-1]])
        some = of_edge[first]  # all but the places of open leaves
        inside[some] ^= np.bitwise_xor.reduceat(np.where(walk == 1, bits, 0), first)
        border[some] = np.bitwise_or.reduceat(np.where(walk == _ON, bits, 0), first)
    inside &= ~border
    rows, states = pool[begin + COVER], np.full(len(begin), INSIDE, dtype=np.uint8)
    states[rows == NOBODY] = NONE
    on = (rows == NOBODY) & (border != 0)
    rows[on], states[on] = pool[begin[on] + HEAD + _lowest(border[on])], BORDER
    on = inside != 0
    rows[on], states[on] = pool[begin[on] + HEAD + _lowest(inside[on])], INSIDE
    states[of_edge[walk == _OPEN]] = OPEN
    states[chains == OPEN_LEAF] = OPEN
    return rows, states


def _lowest(bits: Rows) -> Ints:
    """Number of the lowest bit set; bits are at most 31."""
    alone = (bits & -bits).astype(np.float64)
    return np.frexp(alone)[1].astype(np.int64) - 1


def _walks(
    edges: tuple[Floats, Floats], place: tuple[Floats, Floats], corner: tuple[Floats, Floats]
) -> States:
    """For each edge whether the walk crosses it, or `_ON`, or `_OPEN`; as `_walk`, in arrays."""
    a, b = edges
    (px, py), (cx, cy) = place, corner
    ax, ay, bx, by = a[:, 0], a[:, 1], b[:, 0], b[:, 1]
    spans_y, spans_x = (ay > py) != (by > py), (ax > cx) != (bx > cx)
    rising, eastward = by > ay, bx > ax
    walk = np.zeros(len(px), dtype=np.uint8)
    place_left = np.minimum(ax, bx) > px
    near = np.flatnonzero(spans_y & ~place_left & (np.maximum(ax, bx) >= px))
    sign = sides(a[near], b[near], px[near], py[near])
    place_left[near] = (sign > 0) == rising[near]
    corner_above = np.maximum(ay, by) <= cy
    near_c = np.flatnonzero(spans_x & ~corner_above & (np.minimum(ay, by) <= cy))
    sign_c = sides(a[near_c], b[near_c], cx[near_c], cy[near_c])
    tie = np.where(ay[near_c] == by[near_c], eastward[near_c], ~rising[near_c])
    corner_above[near_c] = np.where(sign_c == 0, tie, sign_c > 0) == eastward[near_c]
    walk[spans_y & ~spans_x] = (place_left != (ax > cx))[spans_y & ~spans_x]
    walk[spans_x & ~spans_y] = ((ay <= py) != corner_above)[spans_x & ~spans_y]
    both = spans_x & spans_y
    walk[both] = ((place_left == rising) != (corner_above == eastward))[both]
    walk[near_c[sign_c == UNCERTAIN]] = _OPEN
    walk[near[sign == UNCERTAIN]] = _OPEN
    walk[near[sign == 0]] = _ON
    touch = np.flatnonzero(~spans_y & ((ay == py) | (by == py)))
    ax, ay, bx, by, px, py = (v[touch] for v in (ax, ay, bx, by, px, py))
    on = ((ax == px) & (ay == py)) | ((bx == px) & (by == py))
    on |= (ay == by) & (np.minimum(ax, bx) <= px) & (px <= np.maximum(ax, bx))
    walk[touch[on]] = _ON
    return walk


def _walk(  # noqa: PLR0911  # an inner loop over plain numbers; every return is a case
    px: float, py: float, cx: float, cy: float, ax: float, ay: float, bx: float, by: float
) -> int:
    """Whether the walk from a corner to a place crosses an edge: 0, 1, or `_ON` it, or `_OPEN`."""
    spans_x = (ax > cx) != (bx > cx)
    if (ay > py) == (by > py):
        if py in (ay, by) and (
            (ax == px and ay == py)
            or (bx == px and by == py)
            or (ay == by and min(ax, bx) <= px <= max(ax, bx))
        ):
            return _ON
        if not spans_x:
            return 0
        sign = _corner_side(cx, cy, ax, ay, bx, by)
        return _OPEN if sign == UNCERTAIN else int((ay <= py) != ((sign > 0) == (bx > ax)))
    if ax > px and bx > px:
        place = 1 if by > ay else -1
    elif ax < px and bx < px:
        place = -1 if by > ay else 1
    else:
        place = side(ax, ay, bx, by, px, py)
        if place == 0:
            return _ON
        if place == UNCERTAIN:
            return _OPEN
    if not spans_x:
        return int(((place > 0) == (by > ay)) != (ax > cx))
    sign = _corner_side(cx, cy, ax, ay, bx, by)
    return _OPEN if sign == UNCERTAIN else int(place != sign)


def _corner_side(cx: float, cy: float, ax: float, ay: float, bx: float, by: float) -> int:
    """Side of the moved corner, 1 or -1, for an edge that spans its longitude; or UNCERTAIN."""
    if ay <= cy and by <= cy:
        return 1 if bx > ax else -1
    if ay > cy and by > cy:
        return -1 if bx > ax else 1
    sign = side(ax, ay, bx, by, cx, cy)
    if sign == 0:
        sign = (ay > by) - (ay < by) or (bx > ax) - (bx < ax)
    return sign


class One:
    """Asks a lattice for one place at a time, reading the arrays through memory views, which makes it fast."""

    def __init__(self, lattice: Lattice) -> None:
        self._x0, self._y0 = lattice.origin
        self._size, self._per_degree = lattice.size, lattice.per_degree
        self._columns, self._rows = lattice.columns, lattice.rows
        self._root, self._nodes, self._pool = lattice.root.data, lattice.nodes.data, lattice.pool.data
        self._coords = lattice.coords.reshape(-1).data

    def locate(self, lon: float, lat: float) -> tuple[int, int]:
        """Row (-1 for nobody) and state."""
        u, v = (lon - self._x0) * self._per_degree, (lat - self._y0) * self._per_degree
        if not (0.0 <= u < self._columns and 0.0 <= v < self._rows):
            return -1, NONE
        column, row = int(u), int(v)
        code = self._root[row * self._columns + column]
        if code > 0:
            return code - 1, INSIDE
        if code == 0:
            return -1, NONE
        size = self._size
        x, y = self._x0 + column * size, self._y0 + row * size
        while code < 0 and ~code & 1:
            size /= FAN
            u, v = (u - column) * FAN, (v - row) * FAN
            column, row = int(u), int(v)
            x, y = x + column * size, y + row * size
            code = self._nodes[(~code >> 1) * CHILDREN + row * FAN + column]
        if code < 0:
            return self._in_leaf((lon, lat, x, y), ~code >> 1)
        return code - 1, INSIDE if code else NONE

    def _in_leaf(self, walk: tuple[float, float, float, float], begin: int) -> tuple[int, int]:
        pool, coords = self._pool, self._coords
        if pool[begin + CHAINS] == OPEN_LEAF:
            return -1, OPEN
        inside, border = pool[begin + HELD], 0
        chain = begin + HEAD + pool[begin + POLYGONS]
        for _ in range(pool[begin + CHAINS]):
            at, bits = 2 * pool[chain], pool[chain + 2]
            ax, ay = coords[at], coords[at + 1]
            for _ in range(pool[chain + 1]):
                at += 2
                bx, by = coords[at], coords[at + 1]
                crossed = _walk(*walk, ax, ay, bx, by)
                if crossed == 1:
                    inside ^= bits
                elif crossed == _ON:
                    border |= bits
                elif crossed == _OPEN:
                    return -1, OPEN
                ax, ay = bx, by
            chain += CHAIN
        inside &= ~border
        if inside:
            return pool[begin + HEAD + (inside & -inside).bit_length() - 1], INSIDE
        if pool[begin + COVER] != NOBODY:
            return pool[begin + COVER], INSIDE
        if border:
            return pool[begin + HEAD + (border & -border).bit_length() - 1], BORDER
        return -1, NONE
