"""Drawing faces: from buildings in blocks to the pieces into which ridges and outlines divide the blocks."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.blocks import Blocks
from boundaries.border_vertices import once, segments
from boundaries.check_edges import Mask, Rows, Shapes
from boundaries.face_buildings import Standing
from boundaries.face_lines import Crossings, beside, cut, frame_of, noded, split_frame
from boundaries.face_ridges import TOUCHING_M, Ridges, Samples, gaps_m, ridges_of, sampled

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the faces of an area are drawn from.

    Attributes:
        stand: the buildings.
        blocks: the blocks.
        block: int64, of each building.
        samples: of buildings in blocks that hold several; `building` is a row in `stand`.
        ridges: between these.
        close: which buildings have a footprint that touches another building.
    """

    stand: Standing
    blocks: Blocks
    block: Rows
    samples: Samples
    ridges: Ridges
    close: Mask

    @property
    def touching(self) -> Mask:
        """Which blocks hold footprints that touch."""
        mask = np.zeros(len(self.blocks), dtype=bool)
        mask[self.block[self.close]] = True
        return mask


def drawing(stand: Standing, blocks: Blocks) -> Drawing:
    """Samples outlines and finds the ridges between them."""
    block = _block_of(stand, blocks)
    crowded = np.bincount(block, minlength=len(blocks)) > 1
    rows = np.flatnonzero(crowded[block])
    gap = gaps_m(stand.flat[rows])
    found = sampled(stand.flat[rows], gap, block[rows])
    samples = Samples(found.xy, rows[found.building], found.block)
    ridges = ridges_of(samples, blocks.polygon, blocks.plane)
    close = np.zeros(len(block), dtype=bool)
    close[rows] = gap < TOUCHING_M
    return Drawing(stand, blocks, block, samples, ridges, close & stand.solid)


def _block_of(stand: Standing, blocks: Blocks) -> Rows:
    """The block of each building's place; on a street's middle the first of them."""
    tree = shapely.STRtree(blocks.polygon)
    building, at = tree.query(stand.place, predicate="intersects")
    block = np.full(len(stand.place), len(blocks), dtype=np.int64)
    np.minimum.at(block, building, at)
    lost = np.flatnonzero(block == len(blocks))  # between the last bits of two blocks
    if len(lost):
        block[lost] = tree.nearest(stand.place[lost])
    return block


def drawn(drawing: Drawing, exact: Mask, whole: Mask) -> tuple[Shapes, Floats, Mask]:
    """The pieces of the area, the vertices (n, 2) that blocks' borders got, and the blocks that cannot be noded.

    Args:
        drawing: what to draw.
        exact: blocks whose ridges and outlines are noded.
        whole: blocks that are not divided.
    """
    blocks, ridges = drawing.blocks, drawing.ridges
    frame = frame_of(blocks.polygon)
    plain = ~(exact | whole)[ridges.block]
    kept = Ridges(ridges.ends[plain], ridges.block[plain], ridges.buildings[plain])
    inner, crossings = cut(kept, blocks.polygon, frame, blocks.plane)
    lines, edge, place = [inner], [crossings.edge], [crossings.place]
    stuck = np.zeros(len(blocks), dtype=bool)
    for row in np.flatnonzero(exact & ~whole).tolist():
        found = noded(_lines_in(drawing, row), blocks.polygon[row], beside(frame, row), frame, blocks.plane)
        if found is None:
            stuck[row] = True
            continue
        lines.append(found[0])
        edge.append(found[1].edge)
        place.append(found[1].place)
    places = np.concatenate(place)
    border = split_frame(frame, Crossings(np.concatenate(edge), places))
    every = once(np.concatenate([border, *lines]))
    pieces = shapely.get_parts(shapely.polygonize(segments(every)))
    return np.asarray(pieces, dtype=object), places, stuck


def _lines_in(drawing: Drawing, block: int) -> Shapes:
    """Ridges and touching outlines of a block; ridges inside an outline that nobody else stands in are left out."""
    here = np.flatnonzero(drawing.block == block)
    close = here[drawing.close[here]]
    ridges = segments(drawing.ridges.ends[drawing.ridges.block == block])
    if not len(close):
        return ridges
    shape = drawing.stand.shape
    guest, host = shapely.STRtree(shape[close]).query(drawing.stand.place[here], predicate="intersects")
    alone = np.ones(len(close), dtype=bool)
    alone[host[here[guest] != close[host]]] = False
    inside = np.zeros(len(ridges), dtype=bool)
    if alone.any():
        within, _ = shapely.STRtree(shape[close[alone]]).query(ridges, predicate="within")
        inside[within] = True
    return np.concatenate([ridges[~inside], shapely.boundary(shape[close])])
