"""Which faces touch, for how long, and what runs between them (step 3 of a proposal)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.border_vertices import Area, keys, outer_edges
from boundaries.check_edges import Mask, Rows, edges_of
from boundaries.faces import Faces
from boundaries.pieces import Shared, borders, shared_edges

Floats = NDArray[np.float64]

CONTACT_M: Final = 1.0  # who shares less stands corner to corner
BARRIERS: Final = frozenset({"motorway", "river", "railway"})  # of gridmap.streets.CLASSES
_ON_LINE_M: Final = 0.01


@dataclass(frozen=True, slots=True)
class FaceGraph:
    """Contacts between faces, one a pair, sorted by `left`, then `right`, as parallel arrays.

    Attributes:
        left, right: int64, rows of faces, left < right.
        length_m: float64, of the whole shared border.
        street_m: float64, of it along streets of any class.
        barrier_m: float64, of it along barriers.
        street: int64, row of the street that runs along most of the border, -1 where none does.
        outer: float64 (n, 2, 2), edges on the scope's own border, EPSG:4326.
        outer_face: int64, the face of each.
        outer_m: float64, the length of each.
        count: how many faces there are.
    """

    left: Rows
    right: Rows
    length_m: Floats
    street_m: Floats
    barrier_m: Floats
    street: Rows
    outer: Floats
    outer_face: Rows
    outer_m: Floats
    count: int

    @property
    def touches(self) -> Mask:
        """Contacts long enough for two faces to be one piece of land."""
        mask: Mask = self.length_m >= CONTACT_M
        return mask

    @property
    def connects(self) -> Mask:
        """Contacts across which a grid may reach: long enough without what lies on barriers."""
        mask: Mask = self.length_m - self.barrier_m >= CONTACT_M
        return mask


def graph_of(faces: Faces, classes: Sequence[str] | None = None) -> FaceGraph:
    """The contacts of faces, by edges that are the same bit for bit.

    Args:
        faces: of `faces_of`.
        classes: of each street that the faces were made with, as in `gridmap.streets.CLASSES`; without them
            there are no barriers.
    """
    edges = edges_of(faces.polygon)
    plane = faces.blocks.plane
    shared = shared_edges(edges, plane)
    count = len(faces)
    left, right, length = borders(shared, count)
    pair = np.searchsorted(left * count + right, shared.left * count + shared.right)
    along = np.flatnonzero(faces.block[shared.left] != faces.block[shared.right])
    street, barrier = _streets(faces, shared, along, classes)

    def total(rows: Rows) -> Floats:
        metres = np.bincount(pair[rows], weights=shared.length_m[rows], minlength=len(left))
        return metres.astype(np.float64)

    outside = outer_edges(edges)
    outer = edges.ends[outside]
    span = (outer[:, 1] - outer[:, 0]) * plane.scale
    return FaceGraph(
        left=left,
        right=right,
        length_m=length,
        street_m=total(along),
        barrier_m=total(along[barrier]),
        street=_longest(pair[along], street, shared.length_m[along], len(left)),
        outer=outer,
        outer_face=edges.owner[outside],
        outer_m=np.hypot(span[:, 0], span[:, 1]),
        count=count,
    )


def _streets(faces: Faces, shared: Shared, along: Rows, classes: Sequence[str] | None) -> tuple[Rows, Mask]:
    """For edges between blocks the row of their street (-1 for what only leads one on), and which are barriers.

    Where a street and a river are one line it is a barrier.
    """
    street = np.full(len(along), -1, dtype=np.int64)
    barrier = np.zeros(len(along), dtype=bool)
    blocks = faces.blocks
    if not len(along) or not len(blocks.line):
        return street, barrier
    middle = shapely.points(shared.ends[along].mean(axis=1))
    edge, line = shapely.STRtree(blocks.line).query(
        middle, predicate="dwithin", distance=_ON_LINE_M / blocks.plane.north_m
    )
    row = blocks.street[line]
    street[edge[::-1]] = row[::-1]
    if classes is not None:
        cuts = np.array([each in BARRIERS for each in classes], dtype=bool)
        barrier[edge[cuts[row]]] = True
    return street, barrier


def _longest(pair: Rows, street: Rows, length: Floats, count: int) -> Rows:
    """The street with most metres for each pair, -1 where there is none; of equal ones the first."""
    known = street >= 0
    result = np.full(count, -1, dtype=np.int64)
    if not known.any():
        return result
    many = int(street.max()) + 1
    key, back = np.unique(pair[known] * many + street[known], return_inverse=True)
    metres = np.bincount(back, weights=length[known])
    order = np.lexsort((-key, metres))  # the longest is written last
    result[key[order] // many] = key[order] % many
    return result


def contact_m(graph: FaceGraph, neighbour: Area) -> Floats:
    """Metres of border that each face shares with an area outside the scope.

    Args:
        graph: of the scope's faces.
        neighbour: Polygon or MultiPolygon with the scope's new vertices (`with_vertices`), EPSG:4326.
    """
    other = keys(edges_of(np.array([neighbour], dtype=object)).ends)
    own = keys(graph.outer)
    # two complex numbers an edge: one number each by their order among all ends
    places = np.unique(np.concatenate([own.ravel(), other.ravel()]))
    mine, its = (np.sort(np.searchsorted(places, each), axis=1) for each in (own, other))
    both = np.isin(mine @ [len(places), 1], its @ [len(places), 1])
    metres = np.bincount(graph.outer_face[both], weights=graph.outer_m[both], minlength=graph.count)
    return metres.astype(np.float64)
