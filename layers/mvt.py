"""Mapbox Vector Tiles of polygons and points, written from arrays.

For areas, which are in memory anyway: a tile of them needs no query and can be drawn in any reference system.
What is not in memory (buildings, streets, single events) is cut by PostGIS's ST_AsMVT.

Vertices are rounded to the tile's units, nothing else. Neighbours share their vertices, so they share the
rounded ones: no gap opens and nothing overlaps. What rounding makes superfluous (repeated vertices, vertices
on a straight line) is left out, which moves no border. Specification: vector-tile-spec 2.1.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

EXTENT = 4096
BUFFER = 64
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Value = str | int | float | bool

_POINT, _POLYGON = 1, 3
_MOVE_ONE, _CLOSE = 9, 15


def polygons(
    name: str,
    shapes: NDArray[np.object_],
    properties: Mapping[str, Sequence[Value | None]],
    to_tile: Callable[[Floats], Floats],
) -> bytes:
    """A layer of polygons.

    Args:
        name: of the layer.
        shapes: shapely polygons and multipolygons, y downwards, clipped to the tile and its buffer, rings oriented
            so that `shapely.orient_polygons` would leave them.
        properties: a value a shape under each name; None leaves it out.
        to_tile: gives coordinates, shape (n, 2), in the tile's units.

    Returns:
        Empty where every shape is smaller than a unit.
    """
    geometry, kept = _rings(shapes, to_tile)
    chosen = {key: [values[row] for row in kept] for key, values in properties.items()}
    return _layer(name, _POLYGON, geometry, chosen)


def points(
    name: str,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    properties: Mapping[str, Sequence[Value | None]],
) -> bytes:
    """A layer of points in the tile's units; empty where there is none."""
    place = np.rint(np.column_stack([x, y])).astype(np.int64)
    stream = np.column_stack([np.full(len(place), _MOVE_ONE), _zigzag(place)]).astype(np.uint32)
    return _layer(name, _POINT, _split(stream.ravel(), np.arange(len(place) + 1) * 3), properties)


def _rings(shapes: NDArray[np.object_], to_tile: Callable[[Floats], Floats]) -> tuple[list[bytes], list[int]]:
    """The encoded geometry of every shape of which something is left, and which these are."""
    seeded = np.empty(len(shapes) + 1, dtype=object)
    seeded[:-1], seeded[-1] = shapes, _SEED
    _, coordinates, offsets = shapely.to_ragged_array(seeded)
    ring_ends, part_ends, shape_ends = (np.asarray(each, dtype=np.int64) for each in offsets)
    ring_of = np.repeat(np.arange(len(ring_ends) - 1), np.diff(ring_ends))
    shape_of_ring = np.repeat(np.arange(len(shape_ends) - 1), np.diff(part_ends[shape_ends]))
    part_of_ring = np.repeat(np.arange(len(part_ends) - 1), np.diff(part_ends))
    last = ring_ends[1:] - 1
    place = np.delete(
        np.rint(to_tile(coordinates)).astype(np.int64), last, axis=0
    )  # a ring is closed by a command
    ring_of = np.delete(ring_of, last)
    for superfluous in (_repeated, _straight):
        keep = ~superfluous(place, ring_of)
        place, ring_of = place[keep], ring_of[keep]
    area = _areas(place, ring_of, len(last))
    outer = np.zeros(len(last), dtype=bool)
    outer[part_ends[:-1]] = True
    # A ring that rounding has turned over or emptied is gone; a hole goes with the ring around it.
    alive = np.where(outer, area > 0, area < 0)
    alive &= alive[part_ends[:-1]][part_of_ring]
    alive[shape_of_ring == len(shapes)] = False
    keep = alive[ring_of]
    return _stream(place[keep], ring_of[keep], shape_of_ring)


# Behind the shapes of every tile, so that the ragged arrays are never empty and always of multipolygons.
_SEED = shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])


def _neighbours(ring_of: Ints) -> tuple[Ints, Ints]:
    """Positions of the vertex before and after each, around its ring."""
    number = np.arange(len(ring_of))
    first = np.flatnonzero(np.diff(ring_of, prepend=-1))
    last = np.append(first[1:], len(ring_of)) - 1
    before, after = number - 1, number + 1
    before[first], after[last] = last, first
    return before, after


def _repeated(place: Ints, ring_of: Ints) -> NDArray[np.bool_]:
    before, _ = _neighbours(ring_of)
    same: NDArray[np.bool_] = np.all(place == place[before], axis=1)
    return same


def _straight(place: Ints, ring_of: Ints) -> NDArray[np.bool_]:
    before, after = _neighbours(ring_of)
    come, go = place - place[before], place[after] - place
    turn = come[:, 0] * go[:, 1] - come[:, 1] * go[:, 0]
    onward = come[:, 0] * go[:, 0] + come[:, 1] * go[:, 1]
    straight: NDArray[np.bool_] = (turn == 0) & (onward > 0)
    return straight


def _areas(place: Ints, ring_of: Ints, rings: int) -> NDArray[np.float64]:
    """Twice the signed area of each ring."""
    _, after = _neighbours(ring_of)
    cross = place[:, 0] * place[after, 1] - place[after, 0] * place[:, 1]
    return np.bincount(ring_of, weights=cross, minlength=rings).astype(np.float64)


def _stream(place: Ints, ring_of: Ints, shape_of_ring: Ints) -> tuple[list[bytes], list[int]]:
    if not len(place):
        return [], []
    first = np.flatnonzero(np.diff(ring_of, prepend=-1))
    size = np.diff(np.append(first, len(place)))
    shape = shape_of_ring[ring_of[first]]
    # The pen's steps: from one vertex to the next, also into the next ring; a shape begins at the origin.
    step = np.diff(place, axis=0, prepend=0)
    opening = first[np.diff(shape, prepend=-1) != 0]
    step[opening] = place[opening]
    start = np.concatenate([[0], np.cumsum(2 * size + 3)])
    stream = np.empty(start[-1], dtype=np.uint32)
    stream[start[:-1]] = _MOVE_ONE
    stream[start[:-1] + 3] = ((size - 1) << 3) | 2
    stream[start[1:] - 1] = _CLOSE
    within = np.arange(len(place)) - np.repeat(first, size)
    at = np.repeat(start[:-1], size) + 1 + 2 * within + (within > 0)
    stream[at], stream[at + 1] = _zigzag(step).T
    begins = np.flatnonzero(np.diff(shape, prepend=-1))
    return _split(stream, np.append(start[begins], start[-1])), shape[begins].tolist()


def _zigzag(values: Ints) -> Ints:
    zigzag: Ints = (values << 1) ^ (values >> 63)
    return zigzag


def _split(stream: NDArray[np.uint32], ends: Ints) -> list[bytes]:
    """Numbers as varints, cut at `ends` (positions in the stream, the first 0)."""
    size = np.ones(len(stream), dtype=np.int64)
    for bits in (7, 14, 21, 28):
        size += stream >= 1 << bits
    offset = np.concatenate([[0], np.cumsum(size)])
    written = np.empty(offset[-1], dtype=np.uint8)
    for byte in range(int(size.max(initial=0))):
        has = size > byte
        more = np.where(size[has] > byte + 1, 0x80, 0).astype(np.uint32)
        written[offset[:-1][has] + byte] = (stream[has] >> np.uint32(7 * byte)) & np.uint32(0x7F) | more
    whole = written.tobytes()
    cuts = offset[ends].tolist()
    return [whole[begin:end] for begin, end in itertools.pairwise(cuts)]


def _layer(
    name: str, kind: int, geometry: Sequence[bytes], properties: Mapping[str, Sequence[Value | None]]
) -> bytes:
    if not geometry:
        return b""
    numbers: dict[bytes, int] = {}
    columns = []
    for key, values in enumerate(properties.values()):
        tag: dict[Value | None, bytes] = {None: b""}
        for value in dict.fromkeys(values):
            if value is not None:
                tag[value] = _varint(key) + _varint(numbers.setdefault(_value(value), len(numbers)))
        columns.append([tag[value] for value in values])
    tags = map(b"".join, zip(*columns, strict=True)) if columns else [b""] * len(geometry)
    marks = b"\x18" + _varint(kind) + b"\x22"
    features: list[bytes] = []
    for tagged, shape in zip(tags, geometry, strict=True):
        body = b"".join((b"\x12", _varint(len(tagged)), tagged, marks, _varint(len(shape)), shape))
        features += (b"\x12", _varint(len(body)), body)
    keys = [_field(3, key.encode()) for key in properties]
    known = [_field(4, value) for value in numbers]
    end = b"\x28" + _varint(EXTENT) + b"\x78\x02"
    return _field(3, b"".join((_field(1, name.encode()), *features, *keys, *known, end)))


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"\x38" + _varint(int(value))
    if isinstance(value, int):
        return b"\x30" + _varint(int(_zigzag(np.int64(value))))  # type: ignore[arg-type]  # a scalar does as well
    if isinstance(value, float):
        return b"\x19" + np.float64(value).tobytes()
    return _field(1, value.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@functools.lru_cache(1 << 16)
def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
