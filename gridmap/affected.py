"""Where the owner of a place may be another one by a later edition: a few boxes, and the paths that are no more."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.borders import edges

Floats = NDArray[np.float64]

MOST_BOXES = 200
_GROWN = 1e-9  # degrees: boxes of straight edges have no area, and neighbours shall meet
_EARTH_RADIUS_M = 6_371_000.0
# Boxes as a table, to be joined: so that a spatial index is walked once a box.
BOXES = (
    "unnest(CAST(:west AS float8[]), CAST(:south AS float8[]), CAST(:east AS float8[]), CAST(:north AS float8[]))"
    " AS b (w, s, e, n)"
)
IN_BOX = "&& ST_MakeEnvelope(b.w, b.s, b.e, b.n, 4326)"


@dataclass(frozen=True)
class Affected:
    """What has to be looked at again between two editions.

    Attributes:
        boxes: west, south, east, north in degrees, a row each: whatever another area holds by the later edition, or
            by the earlier one, lies in one of them, on their sides at most.
        paths: earlier paths of areas that live no more or hang from another parent, the outermost alone.
        codes: living areas that have another path, or none before.
    """

    boxes: Floats
    paths: tuple[str, ...]
    codes: tuple[str, ...]


def between(session: Session, earlier: int, later: int) -> Affected:
    """What differs from one edition to a later one. Cost follows the rows that were written in between.

    An area whose path is the same answers otherwise only where its border runs otherwise: between the edges that one
    edition has and the other has not. What comes, goes or moves to another parent counts as a whole.
    """
    lives = "(edition_from <= {0} AND (edition_to IS NULL OR edition_to > {0}))"
    rows = session.execute(
        sa.text(
            f"SELECT code, kind, path::text, ST_AsBinary(geom), {lives.format(':earlier')}, {lives.format(':later')}"
            " FROM area WHERE (edition_from > :earlier AND edition_from <= :later)"
            " OR (edition_to > :earlier AND edition_to <= :later)"
        ),
        {"earlier": earlier, "later": later},
    ).all()
    return differing(
        {row[0]: Lying(row[1], row[2], _shape(row[3])) for row in rows if row[4]},
        {row[0]: Lying(row[1], row[2], _shape(row[3])) for row in rows if row[5]},
    )


@dataclass(frozen=True, slots=True)
class Lying:
    """An area as far as it decides who owns a place; `geom` a polygon in EPSG:4326."""

    kind: str
    path: str
    geom: shapely.Geometry


def differing(before: Mapping[str, Lying], after: Mapping[str, Lying]) -> Affected:
    """What differs where some areas, by code, are others; see `between`."""
    stay = sorted(
        code
        for code in before.keys() & after.keys()
        if (before[code].kind, before[code].path) == (after[code].kind, after[code].path)
    )
    kept = set(stay)
    whole = [area.geom for each in (before, after) for code, area in each.items() if code not in kept]
    boxes = [shapely.bounds(np.array(whole, dtype=object)).reshape(-1, 4)] if whole else []
    boxes += [moved(np.array([before[code].geom, after[code].geom], dtype=object)) for code in stay]
    return Affected(
        _joined(np.concatenate(boxes)) if boxes else np.empty((0, 4)),
        _outer([area.path for code, area in before.items() if code not in kept]),
        tuple(sorted(code for code in after if code not in kept)),
    )


def _shape(wkb: bytes) -> shapely.Geometry:
    return shapely.from_wkb(bytes(wkb))


def moved(pair: NDArray[np.object_]) -> Floats:
    """Boxes of the edges that only one of two polygons has, joined where they meet.

    What one holds and the other does not is bounded by such edges, and those round one piece of it hang together.
    """
    both = np.concatenate([edges(pair[:1]), edges(pair[1:])])
    different, times = np.unique(both, axis=0, return_counts=True)
    lone = different[times == 1]
    low, high = np.minimum(lone[:, :2], lone[:, 2:]), np.maximum(lone[:, :2], lone[:, 2:])
    return _joined(np.column_stack([low, high]))


def _joined(boxes: Floats) -> Floats:
    """Fewer boxes round the same: those that meet are one, and very many are one in all."""
    while len(boxes) > 1:
        grown = boxes + np.array([-_GROWN, -_GROWN, _GROWN, _GROWN])
        parts = shapely.get_parts(shapely.union_all(shapely.box(*grown.T)))
        fewer = shapely.bounds(parts).reshape(-1, 4)
        if len(fewer) == len(boxes):
            break
        boxes = fewer
    if len(boxes) > MOST_BOXES:
        return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]).reshape(1, 4)
    return boxes


def widened(boxes: Floats, by_m: float) -> Floats:
    """Boxes wider by at least as many metres on every side; a degree of longitude is shorter up north."""
    if not len(boxes):
        return boxes
    high = math.degrees(by_m / _EARTH_RADIUS_M) * 1.02 + _GROWN
    furthest = np.minimum(89.4, np.maximum(abs(boxes[:, 1]), abs(boxes[:, 3])) + high)
    broad = high / np.cos(np.radians(furthest))
    return _joined(
        np.column_stack([boxes[:, 0] - broad, boxes[:, 1] - high, boxes[:, 2] + broad, boxes[:, 3] + high])
    )


def box_binds(boxes: Floats) -> dict[str, object]:
    """What `BOXES` binds."""
    return dict(zip(("west", "south", "east", "north"), boxes.T.tolist(), strict=True))


def _outer(paths: list[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(paths):
        if not kept or not path.startswith(kept[-1] + "."):
            kept.append(path)
    return tuple(kept)
