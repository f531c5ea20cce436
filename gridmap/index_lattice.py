"""The lattice of a kind of areas: what is kept of it once it is built (gridmap/index_build.py)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]

FAN = 4  # a cell is divided into FAN x FAN
CHILDREN = FAN * FAN
NOBODY = -1

# a leaf's record in the pool: row of the polygon that holds all of it, number of its polygons, number of its
# chains of edges (OPEN_LEAF where GEOS must decide), bits of the polygons that hold its corner; then the rows
# of the polygons in the order in which they win; then the chains: first vertex, number of edges, bits of the
# polygons whose border they are
COVER, POLYGONS, CHAINS, HELD, HEAD = range(5)
CHAIN = 3
MOST_POLYGONS = 31
OPEN_LEAF = -1


@dataclass(frozen=True)
class Plan:
    """How finely to divide.

    Attributes:
        root_cells: cells of the first division.
        most_edges: a cell with more edges than this is divided again.
        most_children: as long as there are no more cells than this.
    """

    root_cells: int
    most_edges: int
    most_children: int

    @classmethod
    def for_size(cls, polygons: int, edges: int, *, bulk: bool = False) -> "Plan":
        """What was measured to be good (tests/bench/bench_index.py, docs/adr/0007).

        Args:
            polygons: how many there are.
            edges: how many they have together.
            bulk: for many millions of places: four times as many cells, 10 to 20 % faster, twice the memory.
        """
        if bulk:
            root = min(max(600 * polygons, 2 * edges, 4096), 16_000_000)
        else:
            root = min(max(150 * polygons, edges, 4096), 4_000_000)
        return cls(root, 8, min(max(8 * edges, 65_536), 64_000_000))


@dataclass(frozen=True)
class Lattice:
    """A built lattice; codes of cells: 0 nobody, row + 1 one owner, else ~code is 2 * leaf or 2 * node + 1.

    Attributes:
        origin: lower left corner, degrees.
        size: of a cell of the first division, degrees.
        columns: of the first division.
        rows: of the first division.
        root: codes, row by row from the south.
        nodes: codes of divided cells, CHILDREN each, row by row from the south.
        pool: records of the leaves; the number of a leaf is where its record begins.
        coords: vertices of all rings, shape (n, 2).
    """

    origin: tuple[float, float]
    size: float
    columns: int
    rows: int
    root: Rows
    nodes: Rows
    pool: Rows
    coords: Floats

    @property
    def per_degree(self) -> float:
        """Cells of the first division in a degree, both ways."""
        return 1.0 / self.size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.root.nbytes + self.nodes.nbytes + self.pool.nbytes + self.coords.nbytes
