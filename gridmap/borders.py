"""Borders that areas share, vertex for vertex: putting vertices onto them, and earlier polygons among today's.

Two areas share a border where both have its edges bit for bit. So whatever comes onto an edge goes into everything
that has it, and a polygon that comes back needs the vertices that its neighbours' borders got meanwhile.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.crs_measures import plane_at

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]
Place = tuple[float, float]
Edge = tuple[Place, Place]  # the smaller place first
Inserted = Mapping[Edge, tuple[Place, ...]]  # new vertices on an edge, from its first place to its second
Onward = tuple[float, float, Place, Place]  # how far along a step begins and ends, from where, to where

# How far from an edge a vertex may lie that was put onto it. Files that were digitised apart are a centimetre apart
# where an edit gave them each other's vertices; one put between two such is another.
ON_EDGE_M = 0.02


def edges(polygons: Shapes) -> Floats:
    """Both ends of every edge of Polygons and MultiPolygons, float64 (n, 4), each once; the smaller end first."""
    rings = shapely.get_rings(shapely.get_parts(polygons))
    return _steps(*shapely.get_coordinates(rings, return_index=True))


def _steps(points: Floats, line: NDArray[np.int64]) -> Floats:
    if not len(points):
        return np.empty((0, 4))
    found = np.column_stack([points[:-1], points[1:]])[line[:-1] == line[1:]]
    turned = (found[:, 0] > found[:, 2]) | ((found[:, 0] == found[:, 2]) & (found[:, 1] > found[:, 3]))
    found[turned] = found[turned][:, [2, 3, 0, 1]]
    return np.unique(found + 0.0, axis=0)  # -0.0 and 0.0 are one place


def insert(polygon: Any, inserted: Inserted) -> shapely.MultiPolygon | None:
    """A polygon with the new vertices on those of its edges that have some; None where it has no such edge.

    Args:
        polygon: (Multi)Polygon.
        inserted: new vertices by edge.
    """
    coordinates, of_ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(polygon)), return_index=True
    )
    at: dict[int, list[Place]] = {}
    for (first, second), places in inserted.items():
        for position in np.flatnonzero(
            (coordinates[:, 0] == first[0]) & (coordinates[:, 1] == first[1])
        ).tolist():
            for step, along in ((1, places), (-1, places[::-1])):
                other = position + step
                if (
                    0 <= other < len(coordinates)
                    and of_ring[other] == of_ring[position]
                    and tuple(coordinates[other].tolist()) == second
                ):
                    at[min(position, other)] = list(along)
    if not at:
        return None
    where = [position + 1 for position, along in at.items() for _ in along]
    new = [place for along in at.values() for place in along]
    grown = np.insert(coordinates, where, new, axis=0)
    owner = np.insert(of_ring, where, of_ring[[each - 1 for each in where]])
    return _rebuilt(polygon, np.asarray(shapely.linearrings(grown, indices=owner), dtype=object))


def _rebuilt(polygon: Any, rings: Shapes) -> shapely.MultiPolygon:
    """A polygon of the same make with other rings."""
    parts = shapely.get_parts(polygon)
    counts = shapely.get_num_interior_rings(parts) + 1
    ends = np.cumsum(counts).tolist()
    polygons = [
        shapely.Polygon(rings[end - count], rings[end - count + 1 : end])
        for count, end in zip(counts.tolist(), ends, strict=True)
    ]
    return shapely.MultiPolygon(polygons)


def with_vertices_of(earlier: Shapes, today: Shapes) -> Shapes:
    """Earlier polygons with the vertices that today's borders have where theirs ran, bit for bit.

    An edge of before that is a chain of edges today becomes that chain, in every polygon that has it. One that is no
    border today, or only in part, stays as it was: nobody shares it.

    Args:
        earlier: (Multi)Polygons, EPSG:4326, that come back.
        today: (Multi)Polygons around and in place of them.
    """
    chains = _chains(edges(earlier), edges(today))
    result = earlier.copy()
    for row, polygon in enumerate(earlier if chains else ()):
        its = (((a, b), (c, d)) for a, b, c, d in edges(earlier[row : row + 1]).tolist())
        grown = insert(polygon, {edge: chains[edge] for edge in its if edge in chains})
        if grown is not None:
            result[row] = grown
    return result


def only_got_vertices(earlier: Any, later: Any) -> bool:
    """Whether a polygon is another one with vertices put onto its edges, and nothing else."""
    if shapely.equals_identical(earlier, later):
        return True
    one, other = (np.array([each], dtype=object) for each in (earlier, later))
    grown = with_vertices_of(one, other)[0]
    return bool(shapely.equals_identical(_of_parts(grown), _of_parts(later)))


def _of_parts(polygon: Any) -> shapely.Geometry:
    """The same, however its rings begin and whether it is said to have parts."""
    return shapely.normalize(shapely.MultiPolygon(shapely.get_parts(polygon).tolist()))


def _chains(wanted: Floats, present: Floats) -> dict[Edge, tuple[Place, ...]]:
    """For each wanted edge that is not present the places along a chain of present edges from end to end of it."""
    both, first = np.unique(np.concatenate([present, wanted]), axis=0, return_index=True)
    missing = both[first >= len(present)]
    missing = missing[(missing[:, :2] != missing[:, 2:]).any(axis=1)]
    if not len(missing) or not len(present):
        return {}
    middle = missing.reshape(-1, 2).mean(axis=0).tolist()
    scale = plane_at(*middle).scale
    here, there = ((each.reshape(-1, 2, 2) - middle) * scale for each in (missing, present))
    of, at = shapely.STRtree(shapely.linestrings(there)).query(
        shapely.linestrings(here), predicate="dwithin", distance=ON_EDGE_M
    )
    start, along = here[of, 0], here[of, 1] - here[of, 0]
    length = np.hypot(*along.T)
    ends = there[at] - start[:, None]
    share = (ends * along[:, None]).sum(axis=2) / length[:, None] ** 2
    aside = np.abs(ends[..., 0] * along[:, None, 1] - ends[..., 1] * along[:, None, 0]) / length[:, None]
    on = (aside <= ON_EDGE_M).all(axis=1)
    steps: dict[int, list[Onward]] = defaultdict(list)
    for edge, step, shares in zip(of[on].tolist(), present[at[on]].tolist(), share[on].tolist(), strict=True):
        low, high = sorted(zip(shares, [(step[0], step[1]), (step[2], step[3])], strict=True))
        if low[0] < high[0]:
            steps[edge].append((low[0], high[0], low[1], high[1]))
    found: dict[Edge, tuple[Place, ...]] = {}
    for edge, its in steps.items():
        a, b, c, d = missing[edge].tolist()
        chain = _walk((a, b), (c, d), its)
        if chain:
            found[(a, b), (c, d)] = chain
    return found


def _walk(first: Place, last: Place, steps: list[Onward]) -> tuple[Place, ...]:
    """The places between two on a way from one to the other; none where there is no way."""
    onward: dict[Place, Place] = {}  # the next place of those from which the last one is reached
    for _, _, low, high in sorted(steps, reverse=True):
        if high == last or high in onward:
            onward[low] = high
    places: list[Place] = []
    at = onward.get(first)
    while at is not None and at != last:
        places.append(at)
        at = onward.get(at)
    return tuple(places)


def misfits(back: Shapes, today: Shapes, others: Shapes) -> NDArray[np.bool_]:
    """Which of other polygons do not fit those that come back: they overlap, or meet in vertices that one lacks.

    What does not fit today either, or among those that come back alone, does not count.

    Args:
        back: (Multi)Polygons that come back; one kind of area.
        today: what is there today in place of them.
        others: others of the kind, which stay.

    Returns:
        bool, for each of the others.
    """
    if not len(back) or not len(others):
        return np.zeros(len(others), dtype=bool)
    known = {*_keys(_open(back)), *_keys(_open(np.concatenate([others, today])))}
    wrong = shapely.coverage_invalid_edges(np.concatenate([others, back]))
    found = np.array(
        [any(edge not in known for edge in _keys(_lines(each))) for each in wrong[: len(others)]]
    )
    # Of what lies wholly inside another one, only its own edges are wrong.
    inner = [edge for edge in _keys(_lines(wrong[len(others) :])) if edge not in known]
    middles = shapely.points(np.array(inner).reshape(-1, 2, 2).mean(axis=1))
    found[shapely.STRtree(others).query(middles, predicate="within")[1]] = True
    return found


def _keys(lines: Floats) -> list[tuple[float, ...]]:
    return [tuple(edge) for edge in lines.tolist()]


def _open(coverage: Shapes) -> Floats:
    wrong: Shapes = shapely.coverage_invalid_edges(coverage)
    return _lines(wrong)


def _lines(lines: Any) -> Floats:
    return _steps(*shapely.get_coordinates(shapely.get_parts(lines), return_index=True))
