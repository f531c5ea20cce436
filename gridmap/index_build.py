"""Building the lattice of a kind of areas: which cells no border crosses, and what is needed in the others.

The extent is divided into square cells. A cell that no edge comes near has one answer for all its places. A
cell with many edges is divided again, sixteen to one. What remains are leaves: cells with few edges, each with
the polygons these belong to and whether these hold the cell's corner. From the corner any place of the cell is
reached by walking along the cell's left side and then to the right, and each crossed edge changes sides.

Corners are moved to the right by next to nothing (d) and up by next to nothing of that (e), so that none lies
on an edge and no walk runs along one. All decisions here are exact; that edges are entered into cells a little
too generously costs time and never an answer.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmap.index_edges import Edges, edges_of
from gridmap.index_lattice import (
    CHAIN,
    CHAINS,
    CHILDREN,
    COVER,
    FAN,
    HEAD,
    HELD,
    MOST_POLYGONS,
    NOBODY,
    OPEN_LEAF,
    POLYGONS,
    Lattice,
    Plan,
)
from gridmap.index_raster import crossings as crossings_of_lines
from gridmap.index_raster import expand, first_beyond, settle, touched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Flags = NDArray[np.bool_]

_LEAST_CELL_DEGREES = 1e-7  # a cell smaller than a centimetre is not divided
_MOST_DEPTH = 8
_EDGES_A_BLOCK = 1_000_000


@dataclass
class _Cells:
    """Cells of one size that have edges, and these edges, sorted by cell and vertex.

    A pair is a cell and a polygon that has an edge in it; pairs are sorted likewise.
    """

    corner: Floats  # (n, 2)
    slot: Ints  # where the code of each cell stands
    cover: Ints  # first polygon that holds all of the cell; past the last one where there is none
    size: float
    depth: int
    of_edge: Ints  # cell of each incidence
    edge: Ints
    pair_one: Ints  # pair of the incidence and the edge's first polygon, -1 where it does not matter
    pair_two: Ints
    pair_cell: Ints
    pair_polygon: Ints
    pair_base: Flags  # whether the polygon holds the corner


@dataclass
class _Work:
    """What is being built."""

    edges: Edges
    row_of: Rows
    plan: Plan
    nodes: int = 0
    pool_size: int = 0
    pool: list[Rows] = field(default_factory=list)

    @property
    def polygons(self) -> int:
        return len(self.row_of)

    def code_of(self, position: Ints) -> Rows:
        """Codes of cells with one owner or none."""
        codes: Rows = np.append(self.row_of + 1, 0).astype(np.int32)[position]
        return codes


def build(geoms: Any, row_of: Rows, plan: Plan | None = None, *, bulk: bool = False) -> Lattice:
    """Lattice of polygons in the order in which they win.

    Args:
        geoms: polygons, EPSG:4326, finite coordinates; None and empty ones hold nothing. Those of several
            rings must be valid.
        row_of: the number by which each is answered.
        plan: how finely to divide; by default as of `Plan.for_size`.
        bulk: its argument.
    """
    edges = edges_of(geoms)
    plan = plan or Plan.for_size(len(geoms), len(edges), bulk=bulk)
    work = _Work(edges, np.asarray(row_of, dtype=np.int32), plan)
    low = edges.coords.min(axis=0) if len(edges) else np.zeros(2)
    high = edges.coords.max(axis=0) if len(edges) else np.zeros(2)
    extent = np.maximum(high - low, 1e-6)
    size = max(float(np.sqrt(extent[0] * extent[1] / plan.root_cells)), float(extent.max()) / 16_000)
    # no round number of cells to the left and below: corners shall not fall on round coordinates
    origin = low - size * np.array([0.3719, 0.4283])
    columns, rows = (int(n) for n in np.floor((high - origin) / size + 1.01))
    root, cells = _root(work, origin, size, (columns, rows))
    levels = [root]
    while cells is not None:
        cells = _divide(work, cells, levels)
    return Lattice(
        origin=(float(origin[0]), float(origin[1])),
        size=size,
        columns=columns,
        rows=rows,
        root=root,
        nodes=np.concatenate([np.zeros(0, dtype=np.int32), *levels[1:]]),
        pool=np.concatenate([np.zeros(0, dtype=np.int32), *work.pool]),
        coords=edges.coords,
    )


def _root(work: _Work, origin: Floats, size: float, shape: tuple[int, int]) -> tuple[Rows, _Cells | None]:
    """The first division: codes of its cells, and those that need more."""
    columns, rows = shape
    edges = work.edges
    xs, ys = origin[0] + np.arange(columns) * size, origin[1] + np.arange(rows) * size
    shift = _bits(len(edges))
    incidences, crossings = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for block in range(0, len(edges), _EDGES_A_BLOCK):
        part = np.arange(block, min(block + _EDGES_A_BLOCK, len(edges)))
        a, b = edges.ends(part)
        start, end = (a - origin) / size, (b - origin) / size
        which, column, row = touched(start, end, columns, rows)
        incidences.append(((row * columns + column) << shift) | part[which])
        which, line, corner = crossings_of_lines((a, b), (start, end), xs, ys)
        for polygon in (edges.one[part[which]], edges.two[part[which]]):
            known = polygon >= 0
            crossings.append(((polygon * rows + line) * (columns + 1) + corner)[known])
    # between the first and second, third and fourth … crossing of a line, the corners are inside
    spans = np.sort(np.concatenate(crossings))
    begin, length = spans[0::2], spans[1::2] - spans[0::2]
    where, first = np.divmod(begin, columns + 1)
    polygon, line = np.divmod(where, rows)
    which, step = expand(length)
    held_cell = (line * columns + first)[which] + step
    held_polygon = polygon[which]
    root = np.zeros(columns * rows, dtype=np.int32)
    # spans ascend by polygon: written backwards, the first polygon remains
    root[held_cell[::-1]] = work.row_of[held_polygon[::-1]] + 1
    keys = np.sort(np.concatenate(incidences))
    if not len(keys):
        return root, None
    cell, of_edge, edge = _grouped(keys, shift)
    number = np.full(columns * rows, -1, dtype=np.int32)
    number[cell] = np.arange(len(cell))
    mixed = number[held_cell] >= 0
    held = np.sort(number[held_cell[mixed]].astype(np.int64) * work.polygons + held_polygon[mixed])
    corner = np.column_stack([xs[cell % columns], ys[cell // columns]])
    nobody: Ints = np.full(len(cell), work.polygons, dtype=np.int64)
    return root, _paired(work, (corner, cell, nobody, size, 0), (of_edge, edge), held)


def _bits(many: int) -> int:
    return max(many.bit_length(), 1)


def _grouped(keys: Ints, shift: int) -> tuple[Ints, Ints, Ints]:
    """Sorted keys of cell and edge: the cells, the number of each key's cell, its edge."""
    of_cell, edge = keys >> shift, keys & ((1 << shift) - 1)
    new = np.r_[True, of_cell[1:] != of_cell[:-1]]
    return of_cell[new], np.cumsum(new, dtype=np.int64) - 1, edge


def _paired(
    work: _Work,
    cells: tuple[Any, Ints, Ints, float, int],
    incidences: tuple[Ints, Ints],
    held: Ints,
) -> _Cells:
    """Cells with their pairs; `held` are sorted keys of the pairs whose polygon holds the corner."""
    corner, slot, cover, size, depth = cells
    of_edge, edge = incidences
    many = work.polygons
    two = work.edges.two[edge]
    key_one, key_two = of_edge * many + work.edges.one[edge], of_edge * many + two
    pair_key = np.sort(np.concatenate([key_one, key_two[two >= 0]]))
    pair_key = pair_key[np.r_[True, pair_key[1:] != pair_key[:-1]]]
    at = np.searchsorted(pair_key, held)
    known = pair_key[np.minimum(at, len(pair_key) - 1)] == held
    base = np.zeros(len(pair_key), dtype=bool)
    base[at[known]] = True
    whole_cell, whole_polygon = np.divmod(held[~known][::-1], many)
    cover = cover.copy()
    cover[whole_cell] = np.minimum(whole_polygon, cover[whole_cell])  # backwards: the first polygon remains
    pair_cell, pair_polygon = np.divmod(pair_key, many)
    pair_two = np.where(two >= 0, np.searchsorted(pair_key, key_two), -1)
    pair_one = np.searchsorted(pair_key, key_one)
    return _Cells(
        corner, slot, cover, size, depth, of_edge, edge, pair_one, pair_two, pair_cell, pair_polygon, base
    )


def _without_beaten(cells: _Cells) -> _Cells:
    """Without the pairs that lose to a polygon that holds all of their cell."""
    wins = cells.pair_polygon < cells.cover[cells.pair_cell]
    if wins.all():
        return cells
    number = np.r_[np.where(wins, np.cumsum(wins) - 1, -1), -1]
    one, two = number[cells.pair_one], number[cells.pair_two]
    keep = (one >= 0) | (two >= 0)
    return replace(
        cells,
        of_edge=cells.of_edge[keep],
        edge=cells.edge[keep],
        pair_one=one[keep],
        pair_two=two[keep],
        pair_cell=cells.pair_cell[wins],
        pair_polygon=cells.pair_polygon[wins],
        pair_base=cells.pair_base[wins],
    )


def _kept(cells: _Cells, keep: Flags) -> _Cells:
    """Some of the cells, renumbered, with what belongs to them."""
    number = np.cumsum(keep) - 1
    of_edge, pair = keep[cells.of_edge], keep[cells.pair_cell]
    pair_number = np.r_[np.cumsum(pair) - 1, -1]
    return _Cells(
        cells.corner[keep],
        cells.slot[keep],
        cells.cover[keep],
        cells.size,
        cells.depth,
        number[cells.of_edge[of_edge]],
        cells.edge[of_edge],
        pair_number[cells.pair_one[of_edge]],
        pair_number[cells.pair_two[of_edge]],
        number[cells.pair_cell[pair]],
        cells.pair_polygon[pair],
        cells.pair_base[pair],
    )


def _divide(work: _Work, cells: _Cells, levels: list[Rows]) -> _Cells | None:
    """Writes the codes of some cells, makes leaves of those with few edges and divides the others."""
    cells = _without_beaten(cells)
    codes = levels[cells.depth]
    many = np.bincount(cells.of_edge, minlength=len(cells.slot))
    bare = many == 0
    codes[cells.slot[bare]] = work.code_of(cells.cover[bare])
    plan = work.plan
    divided = many > plan.most_edges
    if cells.depth >= _MOST_DEPTH or cells.size / FAN < _LEAST_CELL_DEGREES:
        divided[:] = False
    room = max(plan.most_children // CHILDREN - work.nodes, 0)
    if np.count_nonzero(divided) > room:
        crowded = np.argsort(-many, kind="stable")[:room]
        divided[:] = False
        divided[crowded] = many[crowded] > plan.most_edges
    leaf = ~bare & ~divided
    if leaf.any():
        leaves = _kept(cells, leaf)
        begin = work.pool_size
        codes[leaves.slot] = ~(2 * (begin + _write_records(work, leaves)))
    if not divided.any():
        return None
    parents = _kept(cells, divided)
    codes[parents.slot] = ~(2 * (work.nodes + np.arange(len(parents.slot))) + 1)
    work.nodes += len(parents.slot)
    return _children(work, parents, levels)


def _children(work: _Work, parents: _Cells, levels: list[Rows]) -> _Cells | None:
    """The cells that some cells are divided into, those with edges; the codes of the others are written."""
    size = parents.size / FAN
    a, b = work.edges.ends(parents.edge)
    corner = parents.corner[parents.of_edge]
    start, end = (a - corner) / size, (b - corner) / size
    which, column, row = touched(start, end, FAN, FAN)
    child = row * FAN + column
    shift = _bits(len(work.edges))
    keys = np.sort(((parents.of_edge[which] * CHILDREN + child) << shift) | parents.edge[which])
    near = np.zeros(
        (len(parents.pair_cell) + 1, CHILDREN), dtype=bool
    )  # the last row takes what is for nobody
    near[parents.pair_one[which], child] = True
    near[parents.pair_two[which], child] = True
    near = near[:-1]
    holds = _holds(parents, (a, b), (start, end), size)
    # a child without an edge of a polygon that holds its corner is held by it as a whole
    whole = np.where(holds & ~near, parents.pair_polygon[:, None], work.polygons)
    first = np.flatnonzero(np.r_[True, parents.pair_cell[1:] != parents.pair_cell[:-1]])
    cover = np.minimum(np.minimum.reduceat(whole, first, axis=0), parents.cover[:, None]).ravel()
    levels.append(work.code_of(cover))
    if not len(keys):
        return None
    slot, of_edge, edge = _grouped(keys, shift)
    number = np.full(len(cover), -1, dtype=np.int64)
    number[slot] = np.arange(len(slot))
    pair, its_child = np.nonzero(holds & near)
    held = number[parents.pair_cell[pair] * CHILDREN + its_child] * work.polygons + parents.pair_polygon[pair]
    offset = np.column_stack([slot % FAN, slot % CHILDREN // FAN]) * size
    corners = parents.corner[slot // CHILDREN] + offset
    # pairs beaten above come back here with their edges, and are beaten again by the same cover
    return _paired(
        work, (corners, slot, cover[slot], size, parents.depth + 1), (of_edge, edge), np.sort(held)
    )


def _holds(parents: _Cells, ends: tuple[Floats, Floats], scaled: tuple[Floats, Floats], size: float) -> Flags:
    """Whether each pair's polygon holds the corners of the children: shape (pairs, CHILDREN).

    From the parent's corner up its left side, then to the right; every edge crossed changes sides.
    """
    (a, b), (start, end) = ends, scaled
    corner = parents.corner[parents.of_edge]
    pairs = len(parents.pair_cell)
    step = end - start
    across = np.flatnonzero((a[:, 0] > corner[:, 0]) != (b[:, 0] > corner[:, 0]))
    slope = step[across, 1] / step[across, 0]
    crossed, open_ = first_beyond(start[across, 1] - start[across, 0] * slope, slope)
    few = across[open_]
    if len(few):
        ys = corner[few, 1][:, None] + np.arange(FAN) * size
        crossed[open_] = settle(
            (a[few], b[few]), np.broadcast_to(corner[few, :1], ys.shape), ys, upwards=True
        )
    upwards = _changes(parents, across, crossed, pairs)
    sideways = np.empty((pairs, FAN, FAN), dtype=np.int64)
    for line in range(FAN):
        y = corner[:, 1] + line * size
        across = np.flatnonzero((a[:, 1] > y) != (b[:, 1] > y))
        slope = step[across, 0] / step[across, 1]
        crossed, open_ = first_beyond(start[across, 0] + (line - start[across, 1]) * slope, slope)
        few = across[open_]
        if len(few):
            xs = corner[few, 0][:, None] + np.arange(FAN) * size
            table = np.broadcast_to(y[few][:, None], xs.shape)
            crossed[open_] = settle((a[few], b[few]), xs, table, upwards=False)
        sideways[:, line] = _changes(parents, across, crossed, pairs)
    changes = upwards[:, :, None] + sideways + parents.pair_base[:, None, None]
    odd: Flags = (changes % 2 == 1).reshape(pairs, CHILDREN)
    return odd


def _changes(parents: _Cells, across: Ints, crossed: Ints, pairs: int) -> Ints:
    """How many edges of each pair have been crossed at each of FAN corners of a line."""
    here = (crossed > 0) & (crossed < FAN)
    across, crossed = across[here], crossed[here]
    total = np.zeros((pairs + 1) * FAN, dtype=np.int64)  # the last ones take what is for nobody
    for pair in (parents.pair_one[across], parents.pair_two[across]):
        total += np.bincount(np.where(pair >= 0, pair, pairs) * FAN + crossed, minlength=len(total))
    changes: Ints = total.reshape(-1, FAN)[:pairs].cumsum(axis=1)
    return changes


def _write_records(work: _Work, leaves: _Cells) -> Ints:
    """Appends the records of leaves to the pool; where each begins in what is appended."""
    cells = len(leaves.slot)
    polygons = np.bincount(leaves.pair_cell, minlength=cells)
    first_pair = np.cumsum(polygons) - polygons
    head = np.r_[True, leaves.of_edge[1:] != leaves.of_edge[:-1]]
    vertex = work.edges.vertex[leaves.edge]
    head[1:] |= vertex[1:] != vertex[:-1] + 1
    for pair in (leaves.pair_one, leaves.pair_two):
        head[1:] |= pair[1:] != pair[:-1]
    run = np.flatnonzero(head)
    its_cell = leaves.of_edge[run]
    chains = np.bincount(its_cell, minlength=cells)
    size = HEAD + polygons + CHAIN * chains
    begin: Ints = np.cumsum(size) - size
    bits = [
        np.where(pair >= 0, np.int64(1) << np.clip(pair - first_pair[its_cell], 0, MOST_POLYGONS), 0)
        for pair in (leaves.pair_one[run], leaves.pair_two[run])
    ]
    held = np.int64(1) << np.clip(np.arange(len(leaves.pair_cell)) - first_pair[leaves.pair_cell], 0, 31)
    crowded = polygons > MOST_POLYGONS
    pool = np.empty(int(size.sum()), dtype=np.int32)
    pool[begin + COVER] = np.append(work.row_of, NOBODY)[leaves.cover]
    pool[begin + POLYGONS] = polygons
    pool[begin + CHAINS] = np.where(crowded, OPEN_LEAF, chains)
    corner = np.bincount(leaves.pair_cell, weights=held * leaves.pair_base, minlength=cells).astype(np.int64)
    pool[begin + HELD] = np.where(crowded, 0, corner)
    its_begin = begin[leaves.pair_cell] + HEAD
    pool[its_begin + np.arange(len(its_begin)) - first_pair[leaves.pair_cell]] = work.row_of[
        leaves.pair_polygon
    ]
    its_begin = (begin + HEAD + polygons - CHAIN * (np.cumsum(chains) - chains))[
        its_cell
    ] + CHAIN * np.arange(len(run))
    pool[its_begin] = vertex[run]
    pool[its_begin + 1] = np.diff(np.r_[run, len(head)])
    pool[its_begin + 2] = np.where(crowded[its_cell], 0, bits[0] | bits[1])
    work.pool.append(pool)
    work.pool_size += len(pool)
    return begin
