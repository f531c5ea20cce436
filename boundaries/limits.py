"""Limits of areas in words (四至): what their borders run along to the east, south, west and north.

A piece of a border belongs to the side that its outward normal points to. It runs along a street, river or railway
where one with a name lies within `NEAR_M` of it and in about its direction; else along the neighbour on its other
side. Of each side what takes up a good part is named, in the order of walking round.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.homes import Streets
from gridmap.crs_measures import distance_m

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]

NEAR_M: Final = 15.0  # half a wide street, and what two surveys differ by
ALONG_DEGREES: Final = 30.0
STEP_M: Final = 20.0  # a border is looked at in pieces no longer than this
ASIDE_M: Final = 3.0  # so far beyond its border lies the neighbour that is asked for
LEAST_SHARE: Final = 0.2  # of a side; less is a corner
MOST_NAMES: Final = 3
SIDES: Final = ("east", "south", "west", "north")
_ZH: Final = dict(zip(SIDES, "东南西北", strict=True))
NOTHING: Final = ("辖区边界", "the outer border")


@dataclass(frozen=True)
class Limits:
    """What an area borders on; for each side names, the order is that of walking round clockwise.

    An empty name stands for the outer border, where that is at least half of a side that has others too.
    """

    east: tuple[str, ...]
    south: tuple[str, ...]
    west: tuple[str, ...]
    north: tuple[str, ...]

    @property
    def zh(self) -> str:
        """东至…，南至…，西至…，北至…."""
        return "，".join(f"{_ZH[side]}至{'、'.join(self._said(side, NOTHING[0]))}" for side in SIDES)

    @property
    def en(self) -> str:
        """East to …, south to …, west to …, north to …."""
        return ", ".join(f"{side} to {' / '.join(self._said(side, NOTHING[1]))}" for side in SIDES)

    def _said(self, side: str, nothing: str) -> list[str]:
        names: tuple[str, ...] = getattr(self, side)
        return [name or nothing for name in names or ("",)]


def limits(
    shapes: Sequence[Any], streets: Streets, neighbours: Sequence[Any], names: Sequence[str]
) -> list[Limits]:
    """Limits of areas.

    Args:
        shapes: (Multi)Polygons, EPSG:4326.
        streets: in and around them; those without a name are passed over.
        neighbours: polygons that may lie on the other side of a border, those of `shapes` among them.
        names: of the neighbours.
    """
    if not len(shapes):
        return []
    pieces = _Pieces.of(shapes)
    named = _along_streets(pieces, streets)
    unnamed = np.flatnonzero(named == "")
    named[unnamed] = _beyond(pieces, unnamed, neighbours, names)
    found = []
    for area in range(len(shapes)):
        sides = [
            _told(pieces, named, (pieces.area == area) & (pieces.side == side)) for side in range(len(SIDES))
        ]
        found.append(Limits(*sides))
    return found


@dataclass(frozen=True)
class _Pieces:
    """Short pieces of outer borders in the order of walking round clockwise, on a plane of metres.

    `x`, `y` are their middles, `dx`, `dy` their unit directions (the outside is on the left), `side` one of `SIDES`.
    """

    area: NDArray[np.intp]
    x: Floats
    y: Floats
    dx: Floats
    dy: Floats
    length_m: Floats
    side: NDArray[np.intp]
    scale: tuple[float, float]  # metres a degree of longitude, of latitude

    @classmethod
    def of(cls, shapes: Sequence[Any]) -> "_Pieces":
        geom = np.array(shapes, dtype=object)
        scale = _scale(geom)
        parts, of_area = shapely.get_parts(geom, return_index=True)
        parts = shapely.orient_polygons(parts, exterior_cw=True)
        rings = shapely.transform(shapely.get_exterior_ring(parts), lambda xy: xy * scale)
        xy, ring = shapely.get_coordinates(shapely.segmentize(rings, STEP_M), return_index=True)
        at = np.flatnonzero(ring[1:] == ring[:-1])
        step = xy[at + 1] - xy[at]
        length = np.hypot(*step.T)
        real = length > 0
        at, step, length = at[real], step[real], length[real]
        dx, dy = (step / length[:, None]).T
        middle = (xy[at] + xy[at + 1]) / 2
        # walking clockwise the outside is on the left: the normal is the direction turned left
        normal_x, normal_y = -dy, dx
        upright = np.abs(normal_x) >= np.abs(normal_y)
        side = np.where(upright, np.where(normal_x > 0, 0, 2), np.where(normal_y < 0, 1, 3))
        return cls(of_area[ring[at]], middle[:, 0], middle[:, 1], dx, dy, length, side, scale)


def _scale(geom: Texts) -> tuple[float, float]:
    west, south, east, north = shapely.total_bounds(geom).tolist()
    lon, lat = (west + east) / 2, (south + north) / 2
    half = 0.005
    across = float(distance_m(lon - half, lat, lon + half, lat)) / (2 * half)
    up = float(distance_m(lon, lat - half, lon, lat + half)) / (2 * half)
    return across, up


def _along_streets(pieces: _Pieces, streets: Streets) -> Texts:
    """For each piece the name of the nearest street along it; empty where there is none."""
    named = np.full(len(pieces.x), "", dtype=object)
    wanted = np.array([bool(name) for name in streets.name], dtype=bool)
    if not wanted.any():
        return named
    lines, of_street = shapely.get_parts(streets.geom[wanted], return_index=True)
    names = streets.name[wanted][of_street]
    xy, line = shapely.get_coordinates(lines, return_index=True)
    xy = xy * pieces.scale
    at = np.flatnonzero(line[1:] == line[:-1])
    step = xy[at + 1] - xy[at]
    length = np.hypot(*step.T)
    at, step, length = at[length > 0], step[length > 0], length[length > 0]
    segments = np.asarray(shapely.linestrings(np.stack([xy[at], xy[at + 1]], axis=1)), dtype=object)
    middles = np.asarray(shapely.points(pieces.x, pieces.y), dtype=object)
    piece, segment = shapely.STRtree(segments).query(middles, predicate="dwithin", distance=NEAR_M)
    direction = step[segment] / length[segment, None]
    cosine = np.abs(direction[:, 0] * pieces.dx[piece] + direction[:, 1] * pieces.dy[piece])
    along = cosine >= math.cos(math.radians(ALONG_DEGREES))
    piece, segment = piece[along], segment[along]
    away = shapely.distance(middles[piece], segments[segment])
    texts = names[line[at[segment]]].astype(str)
    order = np.lexsort((texts, away, piece))
    first = np.unique(piece[order], return_index=True)[1]
    named[piece[order][first]] = texts[order][first]
    return named


def _beyond(
    pieces: _Pieces, rows: NDArray[np.intp], neighbours: Sequence[Any], names: Sequence[str]
) -> Texts:
    """For each of some pieces the name of what lies on its other side; empty where nothing does."""
    found = np.full(len(rows), "", dtype=object)
    if not len(rows) or not len(neighbours):
        return found
    outside = np.column_stack([pieces.x - ASIDE_M * pieces.dy, pieces.y + ASIDE_M * pieces.dx])[rows]
    points = shapely.points(outside / pieces.scale)
    at, which = shapely.STRtree(np.array(neighbours, dtype=object)).query(points, predicate="intersects")
    order = np.lexsort((which, at))
    first = np.unique(at[order], return_index=True)[1]
    found[at[order][first]] = np.array(names, dtype=object)[which[order][first]]
    return found


def _told(pieces: _Pieces, named: Texts, mine: NDArray[np.bool_]) -> tuple[str, ...]:
    """Names of one side of one area: those of a good part of it, in the order of walking round."""
    rows = np.flatnonzero(mine)
    lengths: dict[str, float] = {}
    for name, length in zip(named[rows].tolist(), pieces.length_m[rows].tolist(), strict=True):
        lengths[name] = lengths.get(name, 0.0) + length
    whole = sum(lengths.values())
    ranked = sorted((name for name in lengths if name), key=lambda name: (-lengths[name], name))
    kept = {name for name in ranked[:MOST_NAMES] if lengths[name] >= LEAST_SHARE * whole}
    if 2 * lengths.get("", 0.0) >= whole:  # a stub of a street is not the limit of a side that has none
        kept.add("")
    if kept == {""}:
        return ()
    return tuple(name for name in lengths if name in (kept or set(ranked[:1])))
