"""Whose each piece of land is: the building's that stands on it; what is left over joins a neighbour."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import Mask, Rows, Shapes, edges_of
from boundaries.face_drawing import Drawing
from boundaries.pieces import components, dissolved, hosts, shared_edges

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Owned:
    """Faces and whose they are.

    Attributes:
        polygon: EPSG:4326; first those of buildings in the order of rows.
        block: int64.
        face_of: int64, for each building its face, -1 where it has none.
    """

    polygon: Shapes
    block: Rows
    face_of: Rows


def owned(pieces: Shapes, drawing: Drawing, exact: Mask) -> Owned:
    """Gives pieces to buildings and unites what belongs together.

    Args:
        pieces: a coverage of the blocks, and maybe of holes between them.
        drawing: what they were drawn from.
        exact: blocks whose outlines were noded, where a building may have many pieces.
    """
    inner = shapely.point_on_surface(pieces)
    block = _first(shapely.STRtree(drawing.blocks.polygon), inner)
    pieces, inner, block = pieces[block >= 0], inner[block >= 0], block[block >= 0]
    home = _homes(pieces, block, drawing)
    stands = np.full(len(pieces), -1, dtype=np.int64)
    some = np.flatnonzero(home >= 0)[::-1]
    stands[home[some]] = some  # of several the first, written last
    anchor = np.where(stands >= 0, np.arange(len(pieces)), -1)
    lived_in = np.isin(block, block[stands >= 0])
    anchor[~lived_in] = np.flatnonzero(~lived_in)
    many = exact[block]
    if many.any():
        _spread(anchor, np.flatnonzero(many), (pieces, inner, block), (stands, home), drawing)
    host = hosts(pieces, anchor < 0, block, drawing.blocks.plane)
    names, polygon = dissolved(pieces, anchor[host])
    building = stands[names]
    order = np.lexsort((names, building, building < 0))
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    face_of = np.full(len(home), -1, dtype=np.int64)
    lives = home >= 0
    face_of[lives] = rank[np.searchsorted(names, home[lives])]
    return Owned(polygon[order], block[names[order]], face_of)


def _first(tree: shapely.STRtree, points: Shapes) -> Rows:
    """The first of the tree's polygons that each point meets, -1 where there is none."""
    point, at = tree.query(points, predicate="intersects")
    first = np.full(len(points), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(first, point, at)
    first[first == np.iinfo(np.int64).max] = -1
    return first


def _homes(pieces: Shapes, block: Rows, drawing: Drawing) -> Rows:
    """The piece, in its own block, that each building's place lies in; -1 where its block has no piece."""
    building, at = shapely.STRtree(pieces).query(drawing.stand.place, predicate="intersects")
    own = block[at] == drawing.block[building]
    home = np.full(len(drawing.block), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(home, building[own], at[own])
    home[home == np.iinfo(np.int64).max] = -1
    for row in np.flatnonzero(home < 0).tolist():  # between the last bits of two pieces
        near = np.flatnonzero(block == drawing.block[row])
        if len(near):
            home[row] = near[np.argmin(shapely.distance(pieces[near], drawing.stand.place[row]))]
    return home


def _spread(
    anchor: Rows,
    many: Rows,
    land: tuple[Shapes, Shapes, Rows],
    people: tuple[Rows, Rows],
    drawing: Drawing,
) -> None:
    """Gives a building's other pieces, where they hang together with the one it stands on, the same anchor.

    A piece is of the footprint that it lies in (of several the first), else of the nearest sample.
    """
    (pieces, inner, block), (stands, home) = land, people
    label = stands[many].copy()
    free = np.flatnonzero(label < 0)
    label[free] = _by_outline(inner[many[free]], block[many[free]], drawing)
    outside = free[label[free] < 0]
    label[outside] = _by_sample(inner[many[outside]], block[many[outside]], drawing)
    # who shares a piece goes by the name of the first
    known = label >= 0
    its = home[label[known]]
    label[known] = np.where(its >= 0, stands[its], label[known])
    shared = shared_edges(edges_of(pieces[many]), drawing.blocks.plane)
    alike = (label[shared.left] == label[shared.right]) & (label[shared.left] >= 0)
    alike &= block[many[shared.left]] == block[many[shared.right]]
    part = components(shared.left[alike], shared.right[alike], len(many))
    lived = np.flatnonzero(stands[many] >= 0)
    home_of_part = np.full(int(part.max()) + 1, -1, dtype=np.int64)
    home_of_part[part[lived]] = many[lived]
    own = anchor[many] < 0
    anchor[many[own]] = home_of_part[part[own]]


def _by_outline(points: Shapes, block: Rows, drawing: Drawing) -> Rows:
    close = np.flatnonzero(drawing.close)
    point, at = shapely.STRtree(drawing.stand.shape[close]).query(points, predicate="intersects")
    own = drawing.block[close[at]] == block[point]
    label = np.full(len(points), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(label, point[own], close[at[own]])
    label[label == np.iinfo(np.int64).max] = -1
    return label


def _by_sample(points: Shapes, block: Rows, drawing: Drawing) -> Rows:
    """The building of the nearest sample in the same block, -1 where it has none."""
    label = np.full(len(points), -1, dtype=np.int64)
    samples = drawing.samples
    if not len(points) or not len(samples.xy):
        return label
    from scipy.spatial import cKDTree  # noqa: PLC0415  # as Voronoi in face_ridges

    # blocks as floors far above each other: one tree serves them all
    floor_m = 1e6
    tree = cKDTree(np.column_stack([samples.xy, samples.block * floor_m]))
    xy = drawing.blocks.plane.metres(shapely.get_coordinates(points))
    _, at = tree.query(np.column_stack([xy, block * floor_m]))
    same = samples.block[at] == block
    label[same] = samples.building[at[same]]
    return label
