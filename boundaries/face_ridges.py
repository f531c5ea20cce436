"""Ridges: the lines halfway between neighbouring buildings of a block, by one Voronoi diagram for all blocks.

Buildings are sampled along their outlines; ridges between samples of the same building are dropped. Each block
is laid out far from the others and at the same size, so that blocks do not see each other.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import Rows, Shapes
from gridmap.crs_measures import Plane

Floats = NDArray[np.float64]

TOUCHING_M: Final = 0.6  # nearer than this buildings' outlines decide, not what lies between them
SPACING_OF_GAP: Final = 1.5  # below 2 no ridge can cut a building
SPACING_M: Final = (0.9, 25.0)
TOUCHING_SPACING_M: Final = 2.0  # the outline itself is noded; samples only divide what lies outside
SAME_M: Final = 1e-3  # samples nearer than this are one
GRAIN_M: Final = 1e-5  # of the diagram's vertices; what is closer together becomes one
_SLOT, _FENCE = 5.0, 2.0  # in sizes of a block: how far apart blocks lie, and how far out their fence stands
_FENCE_POSTS = 8


@dataclass(frozen=True, slots=True)
class Samples:
    """Points along outlines, float64 (n, 2) in metres of the plane, the building of each and its block."""

    xy: Floats
    building: Rows
    block: Rows


@dataclass(frozen=True, slots=True)
class Ridges:
    """Lines between two buildings.

    Attributes:
        ends: float64 (n, 2, 2), EPSG:4326.
        block: int64.
        buildings: int64 (n, 2), the two that a ridge parts.
    """

    ends: Floats
    block: Rows
    buildings: Rows


def gaps_m(flat: Shapes) -> Floats:
    """Metres from each outline to the nearest other one that is not its equal, at most what widens spacing."""
    enough_m = SPACING_M[1] / SPACING_OF_GAP
    gap = np.full(len(flat), enough_m)
    if len(flat) < 2:
        return gap
    (one, _), away = shapely.STRtree(flat).query_nearest(
        flat, max_distance=enough_m, exclusive=True, return_distance=True, all_matches=False
    )
    np.minimum.at(gap, one, away)
    return gap


def sampled(flat: Shapes, gap_m: Floats, block: Rows) -> Samples:
    """Points along outlines, close enough that no place of an outline is nearer to another building.

    Args:
        flat: Points, Polygons or MultiPolygons in metres.
        gap_m: to the nearest other one.
        block: of each.
    """
    spacing = np.where(gap_m < TOUCHING_M, TOUCHING_SPACING_M, np.clip(SPACING_OF_GAP * gap_m, *SPACING_M))
    xy, building = shapely.get_coordinates(shapely.segmentize(flat, spacing), return_index=True)
    # a ring's end is its beginning, and touching buildings share corners: the first building keeps them
    cell = np.rint(xy / SAME_M)
    key = np.column_stack([block[building], cell])
    order = np.lexsort((building, key[:, 2], key[:, 1], key[:, 0]))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (key[order[1:]] != key[order[:-1]]).any(axis=1)
    kept = np.sort(order[fresh])
    return Samples(xy[kept], building[kept], block[building[kept]])


def ridges_of(samples: Samples, blocks: Shapes, plane: Plane) -> Ridges:
    """The lines between different buildings of the same block, long enough to leave the block on both sides.

    Args:
        samples: of the blocks that have two buildings at least.
        blocks: all blocks' polygons, EPSG:4326.
        plane: of the samples' metres.
    """
    if not len(samples.xy):
        return Ridges(np.empty((0, 2, 2)), np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.int64))
    from scipy.spatial import Voronoi  # noqa: PLC0415  # 30 ms that a server without plans never pays

    rows, local = np.unique(samples.block, return_inverse=True)
    middle, size = _frames(samples, local, blocks[rows], plane)
    slot = _slots(len(rows))
    angle = np.arange(_FENCE_POSTS) * (2 * np.pi / _FENCE_POSTS) + 0.1
    fence = _FENCE * np.column_stack([np.cos(angle), np.sin(angle)])
    sites = (samples.xy - middle[local]) / size[local, None] + slot[local]
    posts = (slot[:, None, :] + fence[None, :, :]).reshape(-1, 2)
    diagram = Voronoi(np.concatenate([sites, posts]))
    owner = np.concatenate([samples.building, np.full(len(posts), -1)])
    pair = owner[diagram.ridge_points]
    wanted = np.flatnonzero((pair[:, 0] != pair[:, 1]) & (pair >= 0).all(axis=1))
    corner = np.array(diagram.ridge_vertices, dtype=np.int64)[wanted]
    wanted, corner = wanted[(corner >= 0).all(axis=1)], corner[(corner >= 0).all(axis=1)]
    its = local[diagram.ridge_points[wanted, 0]]
    ends = diagram.vertices[corner] - slot[its][:, None, :]
    ends = ends * size[its][:, None, None] + middle[its][:, None, :]
    grain = np.rint(ends / GRAIN_M).astype(np.int64)
    long = (grain[:, 0] != grain[:, 1]).any(axis=1)
    degrees = plane.degrees(grain[long] * GRAIN_M)
    return Ridges(degrees, rows[its[long]], pair[wanted[long]])


def _frames(samples: Samples, local: Rows, blocks: Shapes, plane: Plane) -> tuple[Floats, Floats]:
    """Middle and size in metres of what each block and its samples take up."""
    box = shapely.bounds(blocks)
    low, high = plane.metres(box[:, :2]), plane.metres(box[:, 2:])
    np.minimum.at(low, local, samples.xy)
    np.maximum.at(high, local, samples.xy)
    return (low + high) / 2, np.hypot(*(high - low).T)


def _slots(count: int) -> Floats:
    """Places for blocks on a square lattice around the origin, where numbers are finest."""
    wide = int(np.ceil(np.sqrt(count)))
    at = np.arange(count)
    slots: Floats = _SLOT * (np.column_stack([at % wide, at // wide]) - (wide - 1) / 2).astype(np.float64)
    return slots
