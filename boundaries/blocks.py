"""Blocks: the pieces into which streets divide an area (step 1 of a proposal, and of moving a building).

Everything is noded in degrees with floating numbers and never snapped, so the vertices of the area's border
stay bit for bit. Where a block's corner lies on that border, the border gets a vertex, and nowhere else.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.border_vertices import Area, keys, once, segments, vertices_of, without_spare
from boundaries.check_edges import Mask, Rows, Shapes, edges_of
from boundaries.pieces import dissolved, hosts, mean_width_m
from gridmap.crs_measures import Plane, plane_at
from gridmap.errors import InvalidInput

Floats = NDArray[np.float64]

EXTEND_M: Final = 5.0  # streets are drawn to end a little before what they lead to
CORNER_M: Final = 1e-3  # a street that meets the border this near to a vertex meets it there
SLIVER_M: Final = 1.0  # mean width: between a border and a street that was drawn along it once more
SPECK_M2: Final = 5.0


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of an area, EPSG:4326.

    Attributes:
        polygon: Polygons; a valid coverage that tiles the area.
        line: two-point LineStrings, the pieces of streets that were used: extended, cut out of footprints.
        street: int64, for each of `line` the row of its street.
        plane: metres around the area's middle.
    """

    polygon: Shapes
    line: Shapes
    street: Rows
    plane: Plane

    def __len__(self) -> int:
        return len(self.polygon)


def middle_plane(area: shapely.Geometry) -> Plane:
    """Metres around the middle of a geometry's box.

    Raises:
        InvalidInput: it is no valid polygon with an area (code `bad_scope`).
    """
    if not isinstance(area, shapely.Polygon | shapely.MultiPolygon) or area.is_empty or not area.is_valid:
        raise InvalidInput("An area to divide has to be one valid polygon.", code="bad_scope")
    west, south, east, north = area.bounds
    if not (south >= -90 and north <= 90):
        raise InvalidInput("The area has to be in longitude and latitude.", code="bad_scope")
    return plane_at((west + east) / 2, (south + north) / 2)


def blocks_of(scope: Area, streets: Shapes | None = None, *, footprints: Shapes | None = None) -> Blocks:
    """Divides an area along streets.

    A street that ends is led on for five metres, where it meets something within them; an end that meets
    nothing divides nothing. Nothing is divided through a footprint. Slivers join the neighbour with which
    they share most.

    Args:
        scope: Polygon or MultiPolygon, EPSG:4326, valid; holes and several parts are fine.
        streets: lines, EPSG:4326, also far beyond the area; None and whatever is no line is passed over.
        footprints: valid polygons that no border may cross, EPSG:4326; points and None are passed over.

    Raises:
        InvalidInput: the scope is not a valid polygon in degrees (`bad_scope`).
    """
    plane = middle_plane(scope)
    parts = shapely.get_parts(scope)
    ends, street = _segments(scope, streets)
    if len(ends):
        ends, street = _extended(scope, ends, street, plane)
        lines, street = _cut_out(segments(ends), street, footprints)
    else:
        lines = np.empty(0, dtype=object)
    pieces = _pieces(scope, lines, plane) if len(lines) else parts
    if not _sound(pieces, scope):
        pieces, lines, street = parts, lines[:0], street[:0]
    if len(lines):
        pieces = _without_slivers(pieces, scope, plane)
    return Blocks(pieces, lines, street, plane)


def _segments(scope: Area, streets: Shapes | None) -> tuple[Floats, Rows]:
    """Two-point pieces of streets that meet the area, (n, 2, 2), and the street of each."""
    none = np.empty((0, 2, 2)), np.empty(0, dtype=np.int64)
    if streets is None or not len(streets):
        return none
    parts, of_street = shapely.get_parts(streets, return_index=True)
    west, south, east, north = scope.bounds
    box = shapely.bounds(parts)
    with np.errstate(invalid="ignore"):
        near = (box[:, 0] <= east) & (box[:, 2] >= west) & (box[:, 1] <= north) & (box[:, 3] >= south)
    near &= shapely.get_dimensions(parts) == 1
    parts, of_street = parts[near], of_street[near]
    xy, of_part = shapely.get_coordinates(parts, return_index=True)
    start = np.flatnonzero((of_part[1:] == of_part[:-1]) & (xy[1:] != xy[:-1]).any(axis=1))
    ends = np.stack([xy[start], xy[start + 1]], axis=1)
    street = of_street[of_part[start]]
    good = np.isfinite(ends).all(axis=(1, 2))
    ends, street = ends[good], street[good]
    if not len(ends):
        return none
    shapely.prepare(scope)
    meets = shapely.intersects(scope, segments(ends))
    return ends[meets], street[meets]


def _extended(scope: Area, ends: Floats, street: Rows, plane: Plane) -> tuple[Floats, Rows]:
    """The segments, with one more for each free end that lies in the area."""
    places, back, many = np.unique(keys(ends), return_inverse=True, return_counts=True)
    on_ring = np.isin(places, keys(vertices_of(scope)))
    free = ((many == 1) & ~on_ring)[back.reshape(-1, 2)]
    free &= shapely.intersects_xy(scope, ends[..., 0].ravel(), ends[..., 1].ravel()).reshape(-1, 2)
    at, side = np.nonzero(free)
    tip, root = ends[at, side], ends[at, 1 - side]
    span = (tip - root) * plane.scale
    length = np.hypot(span[:, 0], span[:, 1])
    more = tip + span / length[:, None] * EXTEND_M / plane.scale
    return np.concatenate([ends, np.stack([tip, more], axis=1)]), np.concatenate([street, street[at]])


def _cut_out(lines: Shapes, street: Rows, footprints: Shapes | None) -> tuple[Shapes, Rows]:
    """Lines without what lies inside footprints; the stubs that are left lead nowhere and divide nothing."""
    if footprints is None or not len(footprints):
        return lines, street
    solid = footprints[shapely.get_dimensions(footprints) == 2]
    at, which = shapely.STRtree(solid).query(lines, predicate="intersects")
    inside = shapely.relate_pattern(lines[at], solid[which], "T********")
    at, which = at[inside], which[inside]
    if not len(at):
        return lines, street
    crossed = np.unique(at)
    rest = [shapely.difference(lines[row], shapely.union_all(solid[which[at == row]])) for row in crossed]
    parts, of_rest = shapely.get_parts(rest, return_index=True)
    good = ~shapely.is_empty(parts)
    whole = np.ones(len(lines), dtype=bool)
    whole[crossed] = False
    return (
        np.concatenate([lines[whole], parts[good]]),
        np.concatenate([street[whole], street[crossed[of_rest[good]]]]),
    )


def _pieces(scope: Area, lines: Shapes, plane: Plane) -> Shapes:
    noded = shapely.get_parts(shapely.union_all(np.concatenate([lines, [shapely.boundary(scope)]])))
    pieces = shapely.get_parts(shapely.polygonize(_at_corners(noded, scope, plane)))
    inside = shapely.intersects(scope, shapely.point_on_surface(pieces))
    return np.asarray(pieces[inside & ~_beyond(pieces, scope)], dtype=object)


def _beyond(pieces: Shapes, scope: Area) -> Mask:
    """Which pieces lie on the outer side of the area's border.

    Between a border and a street that was drawn along it before it got a vertex lies a sliver so thin that a point of
    it may count as inside.
    """
    edges = edges_of(np.array([*pieces, scope], dtype=object))
    own = edges.owner == len(pieces)
    side = np.zeros(len(edges), dtype=np.int64)  # by the number of an edge
    side[edges.number[own]] = edges.sign[own]
    found = np.zeros(len(pieces) + 1, dtype=bool)
    found[edges.owner[side[edges.number] == -edges.sign]] = True
    return found[:-1]


def _at_corners(lines: Shapes, scope: Area, plane: Plane) -> Shapes:
    """Noded lines whose vertices all but at a vertex of the area's border lie at it: no edges of nanometres."""
    corners = vertices_of(scope)
    xy, of_line = shapely.get_coordinates(lines, return_index=True)
    others = np.flatnonzero(~np.isin(keys(xy), keys(corners)))
    at, corner = shapely.STRtree(np.asarray(shapely.points(corners), dtype=object)).query(
        shapely.points(xy[others]), predicate="dwithin", distance=CORNER_M / plane.north_m
    )
    if not len(at):
        return lines
    xy[others[at]] = corners[corner]
    start = np.flatnonzero((of_line[1:] == of_line[:-1]) & (xy[1:] != xy[:-1]).any(axis=1))
    return segments(once(np.stack([xy[start], xy[start + 1]], axis=1)))


def _sound(pieces: Shapes, scope: Area) -> bool:
    """Whether the border's vertices all stayed and nothing was lost: noding may snap where it is in trouble."""
    if not np.isin(keys(vertices_of(scope)), keys(vertices_of(pieces))).all():
        return False
    lost = abs(float(shapely.area(pieces).sum()) - scope.area)
    return bool(lost <= 1e-9 * scope.area) and bool(shapely.coverage_is_valid(pieces))


def _without_slivers(pieces: Shapes, scope: Area, plane: Plane) -> Shapes:
    area_m2 = shapely.area(pieces) * plane.east_m * plane.north_m
    thin = (mean_width_m(pieces, plane) < SLIVER_M) | (area_m2 < SPECK_M2)
    if thin.any():
        host = hosts(pieces, thin, np.zeros(len(pieces), dtype=np.int64), plane)
        _, united = dissolved(pieces, host)
        if (shapely.get_type_id(united) == shapely.GeometryType.POLYGON).all():
            pieces = united
    # only on the area's own border is a vertex somebody else's business
    on_border = vertices_of(shapely.boundary(shapely.coverage_union_all(pieces)))
    return without_spare(pieces, on_border[~np.isin(keys(on_border), keys(vertices_of(scope)))])
