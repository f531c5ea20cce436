"""Repairs grids so that they fill what holds them: level by level from the top, each in the one repaired before.

What is stored, and every parent, is fixed: the grids give way. docs/adr/0021 has what was measured.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import repair_snap
from boundaries.check_areas import inner_points
from boundaries.repair_faces import Settling, is_narrow, settle
from boundaries.repair_snap import DEGREE_M, FIXED, MOVABLE, PARENT, Fabric
from boundaries.topology import as_multi
from gridmap import crs
from gridmap.errors import InvalidInput
from gridmap.index import GRIDS, NESTING

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]

WIDTH_M: Final = 1.0
WIDEST_M: Final = 50.0  # beyond that a repair would be a redraw
LEVELS: Final = ("dedicated", *NESTING)  # dedicated grids first: they may fill what the others leave free


@dataclass(frozen=True)
class Layers:
    """Areas of all kinds, as parallel arrays.

    Attributes:
        geom: valid Polygons or MultiPolygons, EPSG:4326.
        kind: members of `gridmap.index.KINDS`.
        parent: position of each one's parent, -1 without.
        movable: which may be changed; the others are stored, or given.
        doubtful_m2: how much area each owes to having been made valid; None for nothing.
    """

    geom: Shapes
    kind: Sequence[str]
    parent: Rows
    movable: Mask
    doubtful_m2: Floats | None = None


@dataclass(frozen=True)
class Mended:
    """What was done to one polygon.

    Attributes:
        gained_m2: area that it has now and had not.
        lost_m2: area that it had and has no more.
        moved_m: how far the farthest vertex was moved.
        gaps: narrow gaps that it took.
        overlaps: narrow overlaps that were decided, for it or against it.
        outside: narrow parts outside of its parent that were cut off.
    """

    gained_m2: float
    lost_m2: float
    moved_m: float
    gaps: int
    overlaps: int
    outside: int


@dataclass
class Repair:
    """Areas after a repair.

    Attributes:
        geom: MultiPolygons for what changed; everything else is the very object that came.
        mended: by position, what was done to each polygon that changed.
        unsettled: places (longitude, latitude) where borders could not be brought together exactly.
    """

    geom: Shapes
    mended: dict[int, Mended] = field(default_factory=dict)
    unsettled: list[tuple[float, float]] = field(default_factory=list)


def repair(layers: Layers, *, width_m: float = WIDTH_M, kinds: Collection[str] = GRIDS) -> Repair:
    """Closes gaps, removes overlaps, joins borders and nests areas in their parents, where no more than a width is off.

    What is wider stays as it is. A fixed area keeps every bit of its border.

    Args:
        layers: all areas concerned: those to be repaired, their parents, their neighbours.
        width_m: metres, above 0 and at most 50.
        kinds: which kinds are repaired.

    Raises:
        InvalidInput: `bad_width`.
    """
    if not 0.0 < width_m <= WIDEST_M:
        raise InvalidInput(
            f"the width of a repair is above 0 and at most {WIDEST_M:g} metres", code="bad_width"
        )
    result = Repair(layers.geom.copy())
    kind = np.array(layers.kind, dtype=object)
    for level in LEVELS:
        rows = np.flatnonzero((kind == level) & layers.movable)
        if level in kinds and len(rows):
            _repair_level(layers, kind, rows, result, width_m)
    return result


def _repair_level(
    layers: Layers, kind: NDArray[np.object_], rows: Rows, result: Repair, width_m: float
) -> None:
    level = kind[rows[0]]
    parents = np.unique(layers.parent[rows])
    parents = parents[parents >= 0]
    beside = _beside(layers, kind, rows, result.geom, width_m)
    fillers = _fillers(layers, kind, rows, result.geom) if level != "dedicated" else rows[:0]
    members = np.concatenate([rows, beside, fillers, parents])
    role = np.repeat([MOVABLE, FIXED, PARENT], [len(rows), len(beside) + len(fillers), len(parents)])
    position = np.full(len(layers.geom), -1, dtype=np.int64)
    position[parents] = len(members) - len(parents) + np.arange(len(parents))
    holder = np.where(layers.parent[members] >= 0, position[layers.parent[members]], -1)
    doubtful = np.zeros(len(members)) if layers.doubtful_m2 is None else layers.doubtful_m2[members]
    shapes = as_multi(result.geom[members])
    before = shapes[: len(rows)].copy()
    _drop_crumbs(shapes, np.flatnonzero(doubtful[: len(rows)] > 0), width_m)
    fabric = Fabric(shapes, role, holder)
    settling = Settling(fabric, width_m, doubtful, fill=level != "dedicated")
    repair_snap.snap(fabric, width_m)
    if settle(settling):
        repair_snap.snap(fabric, width_m)
    result.unsettled += settling.unsettled
    changed = np.array([now is not was for now, was in zip(fabric.shapes[: len(rows)], before, strict=True)])
    at = np.flatnonzero(changed)
    at = at[~shapely.equals_identical(fabric.shapes[at], before[at])]
    gained = crs.area_m2(shapely.difference(fabric.shapes[at], before[at]))
    lost = crs.area_m2(shapely.difference(before[at], fabric.shapes[at]))
    for each, more, less in zip(at.tolist(), gained.tolist(), lost.tolist(), strict=True):
        done: Mapping[str, int] = settling.done.get(each, {})
        result.geom[rows[each]] = fabric.shapes[each]
        result.mended[int(rows[each])] = Mended(
            more, less, float(fabric.moved_m[each]),
            done.get("gap", 0), done.get("overlap", 0), done.get("outside", 0),
        )  # fmt: skip


def _drop_crumbs(shapes: Shapes, mended: Rows, width_m: float) -> None:
    """Takes narrow pieces from polygons that were made valid: of a loop in a ring a crumb remains beside the polygon.

    What they covered is a gap then, as any other.
    """
    for at in mended[shapely.get_num_geometries(shapes[mended]) > 1].tolist():
        pieces = shapely.get_parts(shapes[at])
        kept = ~is_narrow(pieces, width_m)
        kept[np.argmax(shapely.area(pieces))] = True
        if not kept.all():
            shapes[at] = shapely.multipolygons(pieces[kept])


def _beside(layers: Layers, kind: NDArray[np.object_], rows: Rows, geom: Shapes, width_m: float) -> Rows:
    """Areas of the same kind that do not move and concern the others: siblings and neighbours."""
    still = np.flatnonzero((kind == kind[rows[0]]) & ~layers.movable)
    if not len(still):
        return still
    sibling = np.isin(layers.parent[still], layers.parent[rows][layers.parent[rows] >= 0])
    west, south, east, north = shapely.bounds(geom[rows]).T
    up = 1.01 * width_m / DEGREE_M
    aside = up / np.maximum(np.cos(np.radians(np.maximum(np.abs(south), np.abs(north)))), 1e-3)
    boxes = shapely.box(west - aside, south - up, east + aside, north + up)
    near, _ = shapely.STRtree(boxes).query(geom[still], predicate="intersects")
    sibling[np.unique(near)] = True
    return still[sibling]


def _fillers(layers: Layers, kind: NDArray[np.object_], rows: Rows, geom: Shapes) -> Rows:
    """Grids of other kinds that stand where this kind leaves room: dedicated ones, and coarser undivided ones."""
    level = kind[rows[0]]
    coarse = NESTING[NESTING.index("comprehensive") : NESTING.index(level)] if level in NESTING else ()
    others = np.flatnonzero(np.isin(kind, ("dedicated", *coarse)))
    own = np.flatnonzero(kind == level)
    divided = np.isin(others, layers.parent[own])
    others = others[~divided]
    if not len(others):
        return others
    at, _ = shapely.STRtree(geom[own]).query(inner_points(geom[others]), predicate="intersects")
    free = np.ones(len(others), dtype=bool)
    free[at] = False
    parents = np.unique(layers.parent[rows])
    near = np.isin(layers.parent[others], parents) | (layers.parent[others] < 0) | (parents < 0).any()
    # a dedicated grid hangs from a jurisdiction, the grids round it perhaps from a comprehensive grid in it
    touching, _ = shapely.STRtree(geom[rows]).query(geom[others], predicate="intersects")
    near[np.unique(touching)] = True
    return others[free & near]
