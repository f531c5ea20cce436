"""Pieces of a coverage: how long their shared borders are, and joining small ones to a neighbour."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from boundaries.check_edges import Edges, Mask, Rows, Shapes, edges_of
from gridmap.crs_measures import Plane

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shared:
    """Edges that two polygons of a coverage share.

    Attributes:
        left, right: positions of the polygons, left < right.
        ends: float64 (n, 2, 2), EPSG:4326.
        length_m: float64.
    """

    left: Rows
    right: Rows
    ends: Floats
    length_m: Floats


def shared_edges(edges: Edges, plane: Plane) -> Shared:
    """Pairs of polygons by shared edge; edges with one owner are left out."""
    order = np.argsort(edges.number, kind="stable")
    number = edges.number[order]
    first = np.flatnonzero(number[1:] == number[:-1])
    one, two = edges.owner[order[first]], edges.owner[order[first + 1]]
    ends = edges.ends[order[first]]
    span = (ends[:, 1] - ends[:, 0]) * plane.scale
    return Shared(np.minimum(one, two), np.maximum(one, two), ends, np.hypot(span[:, 0], span[:, 1]))


def borders(shared: Shared, count: int) -> tuple[Rows, Rows, Floats]:
    """Neighbours and the length of their whole border: left, right, metres, sorted by pair."""
    pair, back = np.unique(shared.left * count + shared.right, return_inverse=True)
    length: Floats = np.bincount(back, weights=shared.length_m, minlength=len(pair)).astype(np.float64)
    return pair // count, pair % count, length


def components(left: Rows, right: Rows, count: int) -> Rows:
    """The number of the connected part of each of `count` nodes."""
    if not count:
        return np.empty(0, dtype=np.int64)
    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    _, part = connected_components(links, directed=False)
    return np.asarray(part, dtype=np.int64)


def hosts(polygons: Shapes, homeless: Mask, group: Rows, plane: Plane) -> Rows:
    """Where each piece belongs: its own position, or for a homeless one that of the neighbour it joins.

    The longest border decides, of equal ones the first neighbour. Pieces join within their group alone; what
    has no neighbour there stays.
    """
    count = len(polygons)
    host = np.where(homeless, -1, np.arange(count))
    if not homeless.any():
        return host
    taking = np.flatnonzero(np.isin(group, group[homeless]))
    left, right, length = borders(shared_edges(edges_of(polygons[taking]), plane), len(taking))
    left, right = taking[left], taking[right]
    within = group[left] == group[right]
    one = np.concatenate([left[within], right[within]])
    two = np.concatenate([right[within], left[within]])
    length = np.tile(length[within], 2)
    while True:
        ready = (host[one] < 0) & (host[two] >= 0)
        if not ready.any():
            break
        a, b, metres = one[ready], two[ready], length[ready]
        order = np.lexsort((b, -metres, a))
        best = order[np.concatenate([[True], a[order][1:] != a[order][:-1]])]
        host[a[best]] = host[b[best]]
    alone = host < 0
    host[alone] = np.flatnonzero(alone)
    return host


def dissolved(polygons: Shapes, label: Rows) -> tuple[Rows, Shapes]:
    """Pieces of a coverage united by label: the distinct labels, sorted, and one geometry for each."""
    names, back, many = np.unique(label, return_inverse=True, return_counts=True)
    result = np.empty(len(names), dtype=object)
    single = many[back] == 1
    result[back[single]] = polygons[single]
    order = np.argsort(back, kind="stable")
    begin = np.concatenate([[0], np.cumsum(many)])
    for at in np.flatnonzero(many > 1).tolist():
        result[at] = shapely.coverage_union_all(polygons[order[begin[at] : begin[at + 1]]])
    return names, result


def mean_width_m(polygons: Shapes, plane: Plane) -> Floats:
    """Twice the area over the perimeter: about the width of what is long and thin."""
    flat = shapely.transform(polygons, plane.metres)
    length = shapely.length(flat)
    return np.divide(2 * shapely.area(flat), length, out=np.zeros(len(flat)), where=length > 0)
