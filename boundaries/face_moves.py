"""Moving buildings from a grid to its neighbour: their faces are cut off the one and given to the other.

Both stay one piece of land each; what would tear them is named, and goes along or stays as the planner says.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from boundaries.border_vertices import Area, NewVertices, keys, vertices_of, with_vertices, without_spare
from boundaries.check_edges import Mask, Rows, Shapes
from boundaries.face_graph import CONTACT_M, FaceGraph, contact_m
from boundaries.faces import Faces
from boundaries.pieces import components
from gridmap.errors import InvalidInput

Floats = NDArray[np.float64]

SMOOTH_M: Final = 2.0  # bends of a new border below its square in m² are taken out
_EMPTY_COST, _STEP_COST = 1e-3, 1e-6

Trouble = Literal["", "apart", "torn", "all", "not_neighbours"]


@dataclass(frozen=True, slots=True)
class Move:
    """What goes when buildings are to go to a neighbour.

    Attributes:
        faces: int64, all that go: those asked for and those that go along.
        along: int64, of them those that were not asked for.
        buildings: int64, rows of buildings that stand on these and would have to go, too.
        trouble: why it does not hold as asked: the buildings lie `apart` from the neighbour; the rest would be
            `torn`; `all` that lives in the scope would go; the scope and the other are `not_neighbours`.
            Empty where it holds, maybe with empty faces going along.
    """

    faces: Rows
    along: Rows
    buildings: Rows
    trouble: Trouble

    @property
    def holds(self) -> bool:
        """Whether it can be done without any other building."""
        return not self.trouble


@dataclass(frozen=True, slots=True)
class Moved:
    """Two areas after a move, EPSG:4326.

    Attributes:
        scope: what the giving area keeps.
        neighbour: the taking area.
        land: what changed hands; of the giving area with `added` it is a part by whole edges (`exact.combine`).
        added: new vertices on the giving area's border, for whoever shares its edges.
    """

    scope: Area
    neighbour: Area
    land: Area
    added: NewVertices


def planned_move(faces: Faces, graph: FaceGraph, buildings: Rows, neighbour: Area) -> Move:
    """What has to go so that the neighbour and the rest of the scope are one piece each.

    Faces in between are taken along by the way with the fewest households; empty ones cost next to nothing.
    What the rest loses touch with goes along, too, except for its most populous part. A contact below
    `CONTACT_M` does not hold land together. A scope in several pieces may stay in as many.

    Args:
        faces: of the scope that gives.
        graph: of these.
        buildings: rows of the buildings that are to go, at least one.
        neighbour: Polygon or MultiPolygon that takes, EPSG:4326, sharing its border with the scope bit for bit.

    Raises:
        InvalidInput: no such building (`unknown_building`).
    """
    rows = np.asarray(buildings, dtype=np.int64)
    if not len(rows) or rows.min() < 0 or rows.max() >= len(faces.face_of):
        raise InvalidInput("At least one building of the area has to be named.", code="unknown_building")
    asked = np.unique(faces.face_of[rows])
    near = contact_m(graph, with_vertices(_as_array(neighbour), faces.added)[0]) >= CONTACT_M
    if not near.any():
        return Move(asked, asked[:0], rows[:0], "not_neighbours")
    going = np.zeros(len(faces), dtype=bool)
    going[asked] = True
    trouble: Trouble = ""
    between = _way_to(faces, graph, going, near)
    if between is None:
        return Move(asked, asked[:0], rows[:0], "apart")
    if (faces.building[between] >= 0).any():
        trouble = "apart"
    going[between] = True
    torn = _torn_off(faces, graph, going)
    if (faces.building[torn] >= 0).any():
        trouble = trouble or "torn"
    going[torn] = True
    if not (faces.building[~going] >= 0).any():
        trouble = "all"
    gone = np.flatnonzero(going)
    along = np.setdiff1d(gone, asked)
    others = np.flatnonzero(np.isin(faces.face_of, along))
    return Move(gone, along, others, trouble)


def _as_array(area: Area) -> Shapes:
    return np.array([area], dtype=object)


def _way_to(faces: Faces, graph: FaceGraph, going: Mask, near: Mask) -> Rows | None:
    """The faces between those that go and the neighbour; None where there is no way."""
    count = len(faces)
    cost = np.where(faces.building < 0, _EMPTY_COST, 1.0 + faces.households)
    cost[going] = _STEP_COST
    touch = graph.touches
    one, two = graph.left[touch], graph.right[touch]
    entry = np.flatnonzero(near)
    source = np.concatenate([one, two, np.full(len(entry), count)])
    target = np.concatenate([two, one, entry])
    net = csr_array((cost[target], (source, target)), shape=(count + 1, count + 1))
    distance, before = dijkstra(net, indices=count, return_predecessors=True)
    if not np.isfinite(distance[:count][going]).all():
        return None
    way = np.zeros(count + 1, dtype=bool)
    here = np.flatnonzero(going)
    while len(here):
        here = np.unique(before[here])
        here = here[(here < count) & ~way[here]]
        way[here] = True
    return np.flatnonzero(way[:count] & ~going)


def _torn_off(faces: Faces, graph: FaceGraph, going: Mask) -> Rows:
    """The faces that stay but for those of the most populous part of each piece of the scope."""
    count = len(faces)
    touch = graph.touches
    one, two = graph.left[touch], graph.right[touch]
    before = components(one, two, count)
    stay = ~going[one] & ~going[two]
    after = components(one[stay], two[stay], count)
    kept = np.flatnonzero(~going)
    lived_in = np.bincount(after, weights=faces.building >= 0, minlength=count)
    people = np.bincount(after, weights=faces.households, minlength=count)
    area = np.bincount(after, weights=shapely.area(faces.polygon), minlength=count)
    part = np.unique(after[kept])
    piece = np.empty(count, dtype=np.int64)
    piece[after[kept]] = before[kept]
    order = part[np.lexsort((area[part], lived_in[part], people[part]))]
    main = np.full(count, -1, dtype=np.int64)
    main[piece[order]] = order  # the most populous is written last
    torn: Rows = kept[main[before[kept]] != after[kept]]
    return torn


def moved(faces: Faces, move: Move, neighbour: Area, *, smooth_m: float = SMOOTH_M) -> Moved:
    """Both areas after the move; together they cover what they covered, bit for bit.

    The new border between them is smoothed where that cuts no footprint. Their border with others keeps every
    vertex, and gets one where the new border meets it.

    Args:
        faces: of the scope that gives.
        move: of `planned_move`; what goes along goes.
        neighbour: as there.
        smooth_m: 0 for the ridges as they are.

    Raises:
        InvalidInput: nothing would stay, or the two would not be as many pieces as before (`not_contiguous`).
    """
    goes = np.zeros(len(faces), dtype=bool)
    goes[move.faces] = True
    if move.trouble in {"not_neighbours", "all"} or goes.all():
        raise InvalidInput("These buildings cannot go to that area.", code="not_contiguous")
    other = with_vertices(_as_array(neighbour), faces.added)
    rest, taken = (shapely.coverage_union_all(faces.polygon[each]) for each in (~goes, goes))
    three = without_spare(np.array([rest, taken, other[0]], dtype=object), faces.added.vertex)
    three[:2] = _smoothed(three[:2], faces, goes, smooth_m)
    grown: Any = shapely.coverage_union_all(three[1:])
    pieces = shapely.get_num_geometries(np.array([three[0], grown, faces.scope, neighbour], dtype=object))
    if pieces[0] > pieces[2] or pieces[1] > pieces[3]:
        raise InvalidInput("These buildings would tear an area apart.", code="not_contiguous")
    used = keys(vertices_of(np.array([three[0], grown], dtype=object)))
    stays = np.isin(keys(faces.added.vertex), used)
    return Moved(three[0], grown, three[1], NewVertices(faces.added.edge[stays], faces.added.vertex[stays]))


def _smoothed(sides: Shapes, faces: Faces, goes: Mask, smooth_m: float) -> Shapes:
    """The two sides with a simpler border between them, as simple as cuts no footprint that was whole."""
    plane = faces.blocks.plane
    side = sides[goes[faces.face_of].astype(np.int64)]
    shapely.prepare(sides)
    whole = shapely.covers(side, faces.shape)
    for part in (1.0, 0.5, 0.25):
        tolerance = smooth_m * part / plane.north_m
        if not tolerance:
            break
        simpler = np.asarray(
            shapely.coverage_simplify(sides, tolerance, simplify_boundary=False), dtype=object
        )
        shapely.prepare(simpler)
        still = shapely.covers(simpler[goes[faces.face_of].astype(np.int64)], faces.shape)
        if (still | ~whole).all() and shapely.coverage_is_valid(simpler):
            return simpler
    return sides
