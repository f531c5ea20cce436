"""Borders that lie beside each other become one: vertices onto vertices, vertices into edges.

Nothing that fits already is touched. Only edges that do not cancel (`check_edges`) are looked at, and what moves
is a place, in every polygon that has it: so a border that two polygons share stays shared.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from boundaries.check_edges import Edges, edges_of, loose
from boundaries.repair_rings import Rings, inserted, rings_of, shapes_of

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]

MOVABLE: Final = 0
FIXED: Final = 1  # a neighbour that is stored: nothing of it moves
PARENT: Final = 2  # what the others shall fill: nothing of it moves either, and it counts the other way round
EARTH_M: Final = 6_371_008.8
DEGREE_M: Final = EARTH_M * np.pi / 180.0
ON_LINE_M: Final = 1e-6  # a place computed on a straight border lies beside it by some nanometres
ROUNDS: Final = 4


@dataclass
class Fabric:
    """Polygons that should fit each other, and what may be done with each.

    Attributes:
        shapes: valid Polygons and MultiPolygons, EPSG:4326.
        role: `MOVABLE`, `FIXED` or `PARENT` for each.
        parent: for each the position of its parent among them, -1 without.
        moved_m: for each, how far its farthest vertex was moved.
        stubborn: movable ones that a move would have broken; they are left as they are.
    """

    shapes: Shapes
    role: Rows
    parent: Rows
    moved_m: Floats = field(init=False)
    stubborn: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.moved_m = np.zeros(len(self.shapes))
        self.stubborn = np.zeros(len(self.shapes), dtype=bool)

    @property
    def still(self) -> Mask:
        """Which polygons do not give way."""
        still: Mask = (self.role != MOVABLE) | self.stubborn
        return still

    def loose_edges(self) -> tuple[Edges, Mask]:
        """All edges, and which of them do not cancel: against neighbours, or against what they shall fill."""
        edges = edges_of(self.shapes)
        is_parent = self.role[edges.owner] == PARENT
        bad = np.logical_or(*loose(edges.number, edges.sign, np.where(is_parent, -1, 0)))
        filling = np.where(is_parent, edges.owner, self.parent[edges.owner])
        sign = np.where(is_parent, -edges.sign, edges.sign)
        bad |= np.logical_or(*loose(edges.number, sign, filling))
        return edges, bad


def snap(fabric: Fabric, width_m: float) -> None:
    """Brings borders together that lie at most a width apart; the fabric's shapes are replaced.

    Args:
        fabric: polygons of one kind, their neighbours and parents.
        width_m: metres; a vertex moves at most so far.
    """
    for _ in range(ROUNDS):
        changed = _join(fabric, width_m)
        changed |= _insert(fabric, width_m)
        if not changed:
            return


def _join(fabric: Fabric, width_m: float) -> bool:
    """Moves loose vertices onto others, or onto the borders that do not move."""
    edges, bad = fabric.loose_edges()
    if not bad.any():
        return False
    rings = rings_of(fabric.shapes)
    places, number_of = _places(rings, edges.ends[bad].reshape(-1, 2))
    owners = _owners(rings, number_of, len(places))
    still = np.zeros(len(places), dtype=bool)
    still[number_of[(number_of >= 0) & fabric.still[rings.polygon]]] = True
    target = _nearest_first(places, owners, still, width_m)
    goal = places[target]
    free = (target == np.arange(len(places))) & ~still
    led = np.zeros(len(places), dtype=bool)
    led[target[target != np.arange(len(places))]] = True
    at = np.flatnonzero(free & ~led)
    lines = bad & fabric.still[edges.owner]
    goal[at] = _onto(places[at], edges.ends[lines], width_m)
    moves = (goal != places).any(axis=1)
    if not moves.any():
        return False
    xy = rings.xy.copy()
    there = np.flatnonzero(number_of >= 0)
    there = there[moves[number_of[there]] & ~fabric.still[rings.polygon[there]]]
    xy[there] = goal[number_of[there]]
    return _take(fabric, rings, rings.moved(xy))


def _places(rings: Rings, ends: Floats) -> tuple[Floats, Rows]:
    """Different places among ends of edges, in order, and for every vertex the number of its place or -1."""
    places = np.unique(ends + 0.0, axis=0)
    both = np.concatenate([places, rings.xy + 0.0])
    order = np.lexsort((both[:, 1], both[:, 0]))
    new = np.ones(len(both), dtype=bool)
    new[1:] = (both[order[1:]] != both[order[:-1]]).any(axis=1)
    group = np.empty(len(both), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    number = np.full(int(group.max(initial=-1)) + 1, -1, dtype=np.int64)
    number[group[: len(places)]] = np.arange(len(places))
    return places, number[group[len(places) :]]


def _owners(rings: Rings, number_of: Rows, many: int) -> list[frozenset[int]]:
    """The polygons that have each place as a vertex."""
    found: list[set[int]] = [set() for _ in range(many)]
    there = np.flatnonzero(number_of >= 0)
    for number, polygon in zip(number_of[there].tolist(), rings.polygon[there].tolist(), strict=True):
        found[number].add(polygon)
    return [frozenset(each) for each in found]


def on_globe(places: Floats) -> Floats:
    """Places in degrees as x, y, z in metres, so that distances are the same everywhere."""
    lon, lat = np.radians(places[:, 0]), np.radians(places[:, 1])
    near: Floats = EARTH_M * np.column_stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    )
    return near


def _nearest_first(places: Floats, owners: list[frozenset[int]], still: Mask, width_m: float) -> Rows:
    """For each place the one that it joins, itself where it stays.

    The nearest two join first; what may not move leads, then what more polygons have. Two vertices of one
    polygon never become one: that would close what its owner drew apart.
    """
    globe = on_globe(places)
    pairs = cKDTree(globe).query_pairs(width_m, output_type="ndarray")
    pairs = pairs[~(still[pairs[:, 0]] & still[pairs[:, 1]])]
    apart = np.linalg.norm(globe[pairs[:, 0]] - globe[pairs[:, 1]], axis=1)
    leader = list(range(len(places)))
    members = {number: [number] for number in range(len(places))}
    have = [set(each) for each in owners]
    holds = still.tolist()
    for one, two in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], apart))].tolist():
        goal, mover = leader[one], leader[two]
        if goal == mover or have[goal] & have[mover]:
            continue
        if _rank(mover, holds, members, owners) > _rank(goal, holds, members, owners):
            goal, mover = mover, goal
        if holds[mover]:
            continue
        alone = {goal, mover} == {one, two} and len(members[mover]) == 1
        if not alone and np.linalg.norm(globe[members[mover]] - globe[goal], axis=1).max() > width_m:
            continue
        for each in members[mover]:
            leader[each] = goal
        members[goal] += members.pop(mover)
        have[goal] |= have[mover]
    return np.array(leader, dtype=np.int64)


def _rank(
    place: int, holds: list[bool], members: dict[int, list[int]], owners: list[frozenset[int]]
) -> tuple[bool, int, int, int]:
    """The place of higher rank stays where two join."""
    return holds[place], len(members[place]), len(owners[place]), -place


def _onto(places: Floats, lines: Floats, width_m: float) -> Floats:
    """Places on the nearest of some lines, where one is within a width; otherwise as they were."""
    goal = places.copy()
    at, _, spot, apart, _ = near_lines(places, lines, width_m)
    order = np.lexsort((apart, at))
    at, spot, apart = at[order], spot[order], apart[order]
    first = np.ones(len(at), dtype=bool)
    first[1:] = at[1:] != at[:-1]
    first &= apart > ON_LINE_M
    goal[at[first]] = spot[first]
    return goal


def near_lines(places: Floats, lines: Floats, width_m: float) -> tuple[Rows, Rows, Floats, Floats, Floats]:
    """Pairs of a place and an edge whose inside is within a width.

    Args:
        places: degrees, (n, 2).
        lines: two ends each, degrees, (m, 2, 2).
        width_m: metres.

    Returns:
        positions of the places, of the lines, the nearest places on the lines, their distances in metres, and
        where along the line they are, between 0 and 1, both excluded.
    """
    none = np.empty(0, dtype=np.int64)
    if not len(places) or not len(lines):
        return none, none, np.empty((0, 2)), np.empty(0), np.empty(0)
    narrow = np.maximum(np.cos(np.radians(places[:, 1])), 1e-3)
    segments: Shapes = np.asarray(shapely.linestrings(lines), dtype=object)
    tree = shapely.STRtree(segments)
    reach = 1.01 * width_m / DEGREE_M / narrow
    at, line = tree.query(shapely.points(places), predicate="dwithin", distance=reach)
    scale = np.column_stack([narrow[at], np.ones(len(at))]) * DEGREE_M
    begin, end = lines[line, 0], lines[line, 1]
    along, off = (end - begin) * scale, (places[at] - begin) * scale
    share = np.einsum("ij,ij->i", along, off) / np.maximum(np.einsum("ij,ij->i", along, along), 1e-300)
    spot = begin + (end - begin) * share[:, None]
    apart = np.hypot(*((places[at] - spot) * scale).T)
    good = (share > 0.0) & (share < 1.0) & (apart <= width_m)
    good &= (spot != begin).any(axis=1) & (spot != end).any(axis=1)
    return at[good], line[good], spot[good], apart[good], share[good]


def _insert(fabric: Fabric, width_m: float) -> bool:
    """Leads edges through vertices of others that lie beside them; what does not move takes what lies on it."""
    edges, bad = fabric.loose_edges()
    if not bad.any():
        return False
    rings = rings_of(fabric.shapes)
    places, number_of = _places(rings, edges.ends[bad].reshape(-1, 2))
    owners = _owners(rings, number_of, len(places))
    starts = rings.starts()
    loose_start = starts[(number_of[starts] >= 0) & (number_of[starts + 1] >= 0)]
    lines = np.stack([rings.xy[loose_start], rings.xy[loose_start + 1]], axis=1)
    at, line, _, apart, share = near_lines(places, lines, width_m)
    polygon = rings.polygon[loose_start[line]]
    may = ~fabric.still[polygon] | (apart <= ON_LINE_M)
    may &= np.array(
        [into not in owners[place] for place, into in zip(at.tolist(), polygon.tolist(), strict=True)],
        dtype=bool,
    )
    at, line, apart, share, polygon = at[may], line[may], apart[may], share[may], polygon[may]
    # of several edges of one polygon the nearest takes the vertex
    order = np.lexsort((line, apart, polygon, at))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (at[order[1:]] != at[order[:-1]]) | (polygon[order[1:]] != polygon[order[:-1]])
    chosen = order[first]
    if not len(chosen):
        return False
    fabric_rings = inserted(rings, loose_start[line[chosen]], share[chosen], places[at[chosen]])
    np.maximum.at(
        fabric.moved_m, polygon[chosen], np.where(fabric.still[polygon[chosen]], 0.0, apart[chosen])
    )
    return _take(fabric, rings, fabric_rings)


def _take(fabric: Fabric, before: Rings, after: Rings) -> bool:
    """Puts changed rings into the fabric; a polygon that they would break stays and does not move any more."""
    touched = np.unique(after.polygon[after.touched])
    if not len(touched):
        return False
    fresh: Any = shapes_of(after, touched)
    sound = ~shapely.is_missing(fresh)
    sound[sound] = shapely.is_valid(fresh[sound]) & (shapely.area(fresh[sound]) > 0)
    same_parts = shapely.get_num_geometries(fresh) == shapely.get_num_geometries(fabric.shapes[touched])
    sound &= same_parts
    fabric.stubborn[touched[~sound]] |= fabric.role[touched[~sound]] == MOVABLE
    good = touched[sound]
    fabric.shapes[good] = fresh[sound]
    if len(before.xy) == len(after.xy):
        apart = np.linalg.norm(on_globe(before.xy[after.touched]) - on_globe(after.xy[after.touched]), axis=1)
        rows = after.polygon[after.touched]
        keep = ~fabric.stubborn[rows]
        np.maximum.at(fabric.moved_m, rows[keep], apart[keep])
    return bool(len(good))
