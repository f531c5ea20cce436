"""What snapping leaves: narrow gaps go to a neighbour, narrow overlaps to one of the two, what sticks out is cut.

The borders of the polygons concerned are noded and divide the plane into faces; each face gets one owner, and
polygons are made of their faces again. So neighbours share every vertex, and borders that stay keep theirs bit
for bit. What is wider than the width keeps all owners that it has: that is for a person to decide.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from boundaries.check_areas import inner_points
from boundaries.check_edges import edges_of
from boundaries.repair_snap import DEGREE_M, FIXED, MOVABLE, PARENT, Fabric
from boundaries.topology import as_multi
from gridmap import crs

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]
NOBODY: Final = -1
PASSES: Final = 50  # a face far from its owner is reached through other narrow faces


@dataclass
class Settling:
    """Who may own what.

    Attributes:
        fabric: polygons as they are snapped; their shapes are replaced.
        width_m: what is at most so wide is given to one owner.
        doubtful_m2: for each polygon how much area it owes to having been made valid: a bow tie may cover what its
            neighbours have.
        fill: whether the polygons shall fill their parents; dedicated grids need not.
        done: for each polygon what was done, counted: `gap`, `overlap`, `outside`.
        unsettled: places in degrees where borders could not be noded exactly; the polygons there stay.
    """

    fabric: Fabric
    width_m: float
    doubtful_m2: NDArray[np.float64]
    fill: bool = True
    done: dict[int, Counter[str]] = field(default_factory=dict)
    unsettled: list[tuple[float, float]] = field(default_factory=list)

    def count(self, polygon: int, what: str) -> None:
        """Notes what was done to a polygon."""
        self.done.setdefault(polygon, Counter())[what] += 1


def settle(settling: Settling) -> bool:
    """Gives every narrow face one owner; returns whether any polygon changed."""
    changed = False
    for together in _components(settling.fabric):
        changed |= _Patch(settling, together).settle()
    return changed


def _components(fabric: Fabric) -> list[Rows]:
    """Polygons that have to be looked at, in groups that do not concern each other."""
    edges, bad = fabric.loose_edges()
    if not bad.any():
        return []
    owner = edges.owner[bad]
    corners, place = np.unique(edges.ends[bad].reshape(-1, 2), axis=0, return_inverse=True)
    place = place.ravel().reshape(-1, 2)
    held = np.flatnonzero(fabric.role != PARENT)
    tree = shapely.STRtree(fabric.shapes[held])
    lines = shapely.linestrings(edges.ends[bad])
    links = [np.column_stack([np.repeat(owner, 2), place.ravel()])]
    for predicate in ("crosses", "within"):
        line, inside = tree.query(lines, predicate=predicate)
        links.append(np.column_stack([held[inside], place[line, 0]]))
    pairs = np.concatenate(links)
    many = len(fabric.shapes)
    size = many + len(corners)
    graph = coo_array(
        (np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], many + pairs[:, 1])), shape=(size, size)
    )
    _, label = connected_components(graph, directed=False)
    concerned = np.unique(pairs[:, 0])
    order = concerned[np.argsort(label[concerned], kind="stable")]
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return [np.sort(each) for each in np.split(order, cuts)]


class _Patch:
    """Some polygons, noded against each other, and the faces between their borders."""

    def __init__(self, settling: Settling, together: Rows) -> None:
        self._settling, self._who = settling, together
        self._fabric = settling.fabric
        self._parent = settling.fabric.parent

    def settle(self) -> bool:
        """Decides on all faces; returns whether a polygon changed."""
        shapes = self._fabric.shapes[self._who]
        if not (self._fabric.role[self._who] == MOVABLE).any():
            return False
        noded = shapely.union_all(shapely.boundary(shapes))
        if not _keeps(shapes, noded):
            self._settling.unsettled.append(_corner(shapes))
            return False
        self.faces = np.asarray(shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))), dtype=object)
        if not len(self.faces):
            return False
        self._claim()
        self._adjoin()
        defects = [key for key in range(len(self.faces)) if self._is_defect(key)]
        if not defects:
            return False
        before = [set(each) for each in self.movable]
        narrow = self._narrow(defects)
        self._assign(narrow)
        self._release_scraps(before)
        changed = self.owned != before
        if changed:
            self._rebuild(before)
        return changed

    def _claim(self) -> None:
        """Whose each face is, by a point inside."""
        points = inner_points(self.faces)
        shapes = self._fabric.shapes
        parents = np.flatnonzero(self._fabric.role == PARENT)
        looked = np.union1d(self._who, parents)
        at, holder = shapely.STRtree(shapes[looked]).query(points, predicate="intersects")
        self.movable: list[set[int]] = [set() for _ in self.faces]
        self.fixed: list[set[int]] = [set() for _ in self.faces]
        self.above: list[set[int]] = [set() for _ in self.faces]
        into = {MOVABLE: self.movable, FIXED: self.fixed, PARENT: self.above}
        for face, polygon in zip(at.tolist(), looked[holder].tolist(), strict=True):
            into[int(self._fabric.role[polygon])][face].add(polygon)
        self.rightful = [
            set() if fixed else {each for each in mine if self._at_home(each, above)}
            for mine, fixed, above in zip(self.movable, self.fixed, self.above, strict=True)
        ]

    def _at_home(self, polygon: int, above: set[int]) -> bool:
        return self._parent[polygon] < 0 or int(self._parent[polygon]) in above

    def _is_defect(self, face: int) -> bool:
        mine = self.movable[face]
        if mine:
            return len(mine) > 1 or self.rightful[face] != mine
        return self._settling.fill and not self.fixed[face]

    def _adjoin(self) -> None:
        """Which faces share borders, and how long these are in degrees."""
        edges = edges_of(self.faces)
        order = np.argsort(edges.number, kind="stable")
        number, owner = edges.number[order], edges.owner[order]
        pair = np.flatnonzero(number[1:] == number[:-1])
        length = np.hypot(*(edges.ends[order[pair], 1] - edges.ends[order[pair], 0]).T)
        self.beside: list[dict[int, float]] = [{} for _ in self.faces]
        for one, two, shared in zip(
            owner[pair].tolist(), owner[pair + 1].tolist(), length.tolist(), strict=True
        ):
            self.beside[one][two] = self.beside[one].get(two, 0.0) + shared
            self.beside[two][one] = self.beside[two].get(one, 0.0) + shared

    def _narrow(self, defects: Sequence[int]) -> list[int]:
        """Faces whose defect is nowhere wider than the width; a face alone may be a slice of something wide."""
        wrong = set(defects)

        def same(one: int, two: int) -> bool:
            return (
                two in wrong
                and self.movable[one] == self.movable[two]
                and self.fixed[one] == self.fixed[two]
                and self.above[one] == self.above[two]
            )

        regions = self._regions(defects, same)
        shapes = np.array(
            [shapely.coverage_union_all(self.faces[region]) for region in regions], dtype=object
        )
        thin = is_narrow(shapes, self._settling.width_m)
        for at, size in enumerate(crs.area_m2(shapes).tolist()):
            mine = self.movable[regions[at][0]]
            owed = max((float(self._settling.doubtful_m2[each]) for each in mine), default=0.0)
            thin[at] |= len(mine) > 1 and size <= owed * 1.001
        return [
            face for region, is_thin in zip(regions, thin.tolist(), strict=True) if is_thin for face in region
        ]

    def _regions(self, faces: Sequence[int], same: Callable[[int, int], bool]) -> list[list[int]]:
        """Faces that hang together."""
        left, regions = dict.fromkeys(faces), []
        while left:
            first = next(iter(left))
            del left[first]
            region, waiting = [first], [first]
            while waiting:
                here = waiting.pop()
                for near in self.beside[here]:
                    if near in left and same(here, near):
                        del left[near]
                        region.append(near)
                        waiting.append(near)
            regions.append(region)
        return regions

    def _assign(self, narrow: Sequence[int]) -> None:
        """Gives narrow faces to one owner each: the one along whose land the face lies longest."""
        self.owned = [set(each) for each in self.movable]
        waiting: dict[int, None] = {}
        for face in narrow:
            rightful = self.rightful[face]
            sound = {each for each in rightful if self._settling.doubtful_m2[each] <= 0.0}
            rightful = self.rightful[face] = sound or rightful
            self.owned[face] = set(rightful) if len(rightful) == 1 else set()
            if len(rightful) != 1 and not self.fixed[face]:
                waiting[face] = None
        for _ in range(PASSES):
            given = {face: owner for face in waiting if (owner := self._best(face, self.rightful[face])) >= 0}
            if not given:
                break
            for face, owner in given.items():
                self.owned[face] = {owner}
                del waiting[face]

    def _best(self, face: int, among: set[int], but: int = NOBODY) -> int:
        """The owner of most of the border round a face who may own it."""
        along: dict[int, float] = {}
        if not among and not self._settling.fill:
            return NOBODY
        for near, shared in self.beside[face].items():
            for owner in self.owned[near]:
                if owner == but or not (owner in among if among else self._may(owner, face)):
                    continue
                along[owner] = along.get(owner, 0.0) + shared
        return max(along, key=lambda owner: (along[owner], -owner), default=NOBODY)

    def _may(self, polygon: int, face: int) -> bool:
        parent = int(self._parent[polygon])
        return parent in self.above[face] if parent >= 0 else not self.above[face]

    def _release_scraps(self, before: Sequence[set[int]]) -> None:
        """Hands narrow pieces that were cut off from the rest of their polygon to whom they border on."""
        for polygon in {each for was, now in zip(before, self.owned, strict=True) for each in was ^ now}:
            pieces = self._pieces(polygon)
            spare = len(pieces) - int(shapely.get_num_geometries(self._fabric.shapes[polygon]))
            if spare <= 0:
                continue
            shapes = np.array(
                [shapely.coverage_union_all(self.faces[piece]) for piece in pieces], dtype=object
            )
            order = np.argsort(shapely.area(shapes), kind="stable")[:spare]
            for at in order[is_narrow(shapes[order], self._settling.width_m)].tolist():
                for face in pieces[at]:
                    if self.owned[face] != {polygon}:
                        continue
                    other = self._best(face, set(), polygon)
                    if other >= 0:
                        self.owned[face] = {other}

    def _pieces(self, polygon: int) -> list[list[int]]:
        """The faces of a polygon, piece by piece."""
        faces = [face for face, owners in enumerate(self.owned) if polygon in owners]
        return self._regions(faces, lambda _, near: polygon in self.owned[near])

    def _rebuild(self, before: Sequence[set[int]]) -> None:
        """Makes polygons of their faces."""
        mine: dict[int, list[int]] = {}
        for face, owners in enumerate(self.owned):
            for owner in owners:
                mine.setdefault(owner, []).append(face)
            self._count(face, before[face], owners)
        lost = {each for was in before for each in was} - mine.keys()
        for owner, faces in mine.items():
            made = shapely.coverage_union_all(self.faces[faces])
            if not made.is_valid:
                made = shapely.union_all(self.faces[faces])
            whole = as_multi(np.array([made], dtype=object))[0]
            # most of a coast is as it was, its rings only begin elsewhere
            if not shapely.equals_exact(whole, self._fabric.shapes[owner], 0.0, normalize=True):
                self._fabric.shapes[owner] = whole
        for owner in lost:  # nothing would be left of it: a person has to look
            self._settling.unsettled.append(_corner(self._fabric.shapes[[owner]]))

    def _count(self, face: int, before: set[int], after: set[int]) -> None:
        if before == after:
            return
        what = "gap" if not before else "overlap" if len(before) > 1 or self.fixed[face] else "outside"
        for polygon in before ^ after if before else after:
            self._settling.count(polygon, what)


def is_narrow(shapes: Shapes, width_m: float) -> Mask:
    """Which shapes are nowhere wider than a width: no circle of that diameter fits in.

    Args:
        shapes: polygons, EPSG:4326.
        width_m: metres.
    """
    middle = shapely.get_y(shapely.centroid(shapes)) if len(shapes) else np.empty(0)
    plane = np.empty(len(shapes), dtype=object)
    for at, (shape, latitude) in enumerate(zip(shapes, middle.tolist(), strict=True)):
        plane[at] = _flat(shape, latitude)
    return np.asarray(shapely.is_empty(shapely.buffer(plane, -0.5 * width_m, quad_segs=2)), dtype=bool)


def _flat(shape: shapely.Geometry, latitude: float) -> shapely.Geometry:
    """A shape in metres, near enough for its width."""
    scale = np.array([max(np.cos(np.radians(latitude)), 1e-3), 1.0]) * DEGREE_M
    origin = shapely.get_coordinates(shape)[0]
    return shapely.transform(shape, lambda xy: (xy - origin) * scale)


def _keeps(shapes: Shapes, noded: shapely.Geometry) -> bool:
    """Whether every vertex is among the noded lines bit for bit."""
    have = shapely.get_coordinates(noded)[:, 0] + 1j * shapely.get_coordinates(noded)[:, 1]
    need = shapely.get_coordinates(shapes)[:, 0] + 1j * shapely.get_coordinates(shapes)[:, 1]
    return bool(np.isin(need, have).all())


def _corner(shapes: Shapes) -> tuple[float, float]:
    x, y = shapely.get_coordinates(shapes)[0]
    return float(x), float(y)
