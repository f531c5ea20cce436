"""Faces: the land of each building, so that grids can be made of buildings (step 2 of a proposal).

The faces of an area tile it exactly. Wherever a building goes its face goes along, and what is left and what
was taken on are again exact: their borders consist of whole edges of faces.
"""

from dataclasses import dataclass
from operator import is_not
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.blocks import Blocks, blocks_of, middle_plane
from boundaries.border_vertices import (
    Area,
    NewVertices,
    keys,
    located,
    outer_vertices,
    spare_vertices,
    vertices_of,
    without_vertices,
)
from boundaries.check_edges import Mask, Rows, Shapes, edges_of
from boundaries.face_buildings import Buildings, Standing, standing
from boundaries.face_drawing import drawing, drawn
from boundaries.face_owners import Owned, owned
from gridmap.crs import area_m2

Floats = NDArray[np.float64]

LAST_ATTEMPT: Final = 3
CUT_M2: Final = 0.01  # of a footprint outside its face; less is the last bits of noding


@dataclass(frozen=True, slots=True)
class Faces:
    """One face a building, and those where nobody lives, as parallel arrays.

    Attributes:
        polygon: Polygons, EPSG:4326: a valid coverage that tiles the scope. First those of buildings in the
            order of rows, then the empty ones.
        building: int64, the row of the face's building, of several the first; -1 where there is none.
        households: int64.
        block: int64, row in `blocks`.
        face_of: int64, for each building the row of its face.
        added: the vertices that the scope's border got, for the neighbours to take over.
        shared: rows of buildings that share a face, since no line parts their places.
        cut: rows of buildings whose footprint does not lie in their face wholly.
        undivided: rows of blocks where no exact lines could be found: one face each, shared by all buildings.
        blocks: where faces were made.
        shape: the buildings, repaired, as points and footprints, EPSG:4326.
        scope: what was divided.
    """

    polygon: Shapes
    building: Rows
    households: Rows
    block: Rows
    face_of: Rows
    added: NewVertices
    shared: Rows
    cut: Rows
    undivided: Rows
    blocks: Blocks
    shape: Shapes
    scope: Area

    def __len__(self) -> int:
        return len(self.polygon)


def faces_of(scope: Area, buildings: Buildings, streets: Shapes | None = None) -> Faces:
    """Gives each building its land.

    Where footprints touch neither each other nor the scope's border, the whole footprint lies in its face.
    Blocks without buildings are faces of nobody. The same input gives the same faces.

    Args:
        scope: Polygon or MultiPolygon, EPSG:4326, valid: a village, a grid, several grids.
        buildings: all have their places in the scope.
        streets: lines, EPSG:4326, also beyond the scope.

    Raises:
        InvalidInput: `bad_scope`, `bad_building` or `outside_scope`, with the rows.
    """
    stand = standing(scope, buildings, middle_plane(scope))
    blocks = blocks_of(scope, streets, footprints=stand.shape[stand.solid])
    plan = drawing(stand, blocks)
    exact, whole = plan.touching, np.zeros(len(blocks), dtype=bool)
    # what plain lines do not bring out right is noded exactly; what noding does not either stays whole; and
    # as faces have to be exact whatever comes, the last way out is the blocks themselves
    for attempt in range(LAST_ATTEMPT + 1):
        whole |= attempt == LAST_ATTEMPT
        pieces, crossings, stuck = drawn(plan, exact, whole)
        whole |= stuck
        result = owned(pieces, plan, exact & ~whole)
        edges = edges_of(result.polygon)
        spare = spare_vertices(edges, crossings)
        wrong, result = _checked(result, spare, blocks)
        if not wrong.any():
            break
        whole |= wrong & exact
        exact = exact | wrong
    border = outer_vertices(edges)
    added = located(scope, border[~np.isin(keys(border), keys(spare))])
    return _finished(scope, stand, (blocks, np.flatnonzero(whole)), (result, added))


def _checked(result: Owned, spare: Floats, blocks: Blocks) -> tuple[Mask, Owned]:
    """Blocks that their faces do not tile, and the faces without their spare vertices."""
    polygon = without_vertices(result.polygon, spare)
    wrong = np.zeros(len(blocks), dtype=bool)
    area = shapely.area(blocks.polygon)
    tiled = np.bincount(result.block, weights=shapely.area(polygon), minlength=len(blocks))
    wrong |= np.abs(tiled - area) > 1e-9 * area
    # what polygonising made is valid
    changed = np.fromiter(map(is_not, polygon, result.polygon), dtype=bool, count=len(polygon))
    sound = shapely.get_type_id(polygon) == shapely.GeometryType.POLYGON
    sound[changed] &= shapely.is_valid(polygon[changed])
    wrong[result.block[~sound]] = True
    if not shapely.coverage_is_valid(polygon):
        broken = ~shapely.is_empty(shapely.coverage_invalid_edges(polygon))
        wrong[result.block[broken]] = True
    corner, of_block = shapely.get_coordinates(blocks.polygon, return_index=True)
    wrong[of_block[~np.isin(keys(corner), keys(vertices_of(polygon)))]] = True
    return wrong, Owned(polygon, result.block, result.face_of)


def _finished(
    scope: Area,
    stand: Standing,
    ground: tuple[Blocks, Rows],
    found: tuple[Owned, NewVertices],
) -> Faces:
    (blocks, undivided), (result, added) = ground, found
    count, face_of = len(result.polygon), result.face_of
    building = np.full(count, -1, dtype=np.int64)
    building[face_of[::-1]] = np.arange(len(face_of))[::-1]
    lodgers = np.bincount(face_of, minlength=count)
    return Faces(
        polygon=result.polygon,
        building=building,
        households=np.bincount(face_of, weights=stand.households, minlength=count).astype(np.int64),
        block=result.block,
        face_of=face_of,
        added=added,
        shared=np.flatnonzero(lodgers[face_of] > 1),
        cut=_cut(stand, result),
        undivided=undivided,
        blocks=blocks,
        shape=stand.shape,
        scope=scope,
    )


def _cut(stand: Standing, result: Owned) -> Rows:
    """Rows of buildings of which more than `CUT_M2` lies outside their face."""
    rows = np.flatnonzero(stand.solid)
    face = result.polygon[result.face_of[rows]]
    beyond = ~shapely.covers(face, stand.shape[rows])
    rest = shapely.difference(stand.shape[rows[beyond]], face[beyond])
    return rows[beyond][area_m2(rest) > CUT_M2]
