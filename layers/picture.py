"""Heat as a PNG, for reports and messages: drawn in NumPy, so that it needs no browser and no further library.

The legend has figures only, since there is no font here to write words with: class bounds, `0` for no event, `<3`
for withheld (hatched), a dash where nobody lives. Title, measure, period and edition stand in the file's text
fields. The map is Web Mercator, north up; the bar at the bottom is a round number of metres or kilometres.
"""

import math
import struct
import zlib

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.errors import InvalidInput
from layers import colors
from layers.answer import Heat
from layers.legend import NOBODY, WITHHELD, ZERO, brief, legend
from layers.tile_grid import world

LEAST, MOST = 200, 4_000  # pixels a side
_FINER = 2  # drawn so many times as large, then averaged: smooth borders
_MARGIN = 24
_EARTH_M = 40_075_016.68
Image = NDArray[np.uint8]
Ids = NDArray[np.int32]

# Five by seven pixels a sign, a row of bits each.
_SIGNS = {
    "0": "0e11131519110e", "1": "040c040404040e", "2": "0e11010204081f", "3": "1f02040201110e",
    "4": "02060a121f0202", "5": "1f101e0101110e", "6": "0608101e11110e", "7": "1f010204080808",
    "8": "0e11110e11110e", "9": "0e11110f01020c", ".": "00000000000c0c", ",": "00000000040408",
    "<": "02040810080402", "≥": "100804081f001f", "–": "0000001f000000", "-": "0000001f000000",
    "+": "0004041f040400", "%": "18190204081303", "k": "10101214181412", "m": "00001a15151515",
    "z": "00001f0204081f",
}  # fmt: skip


def heat_picture(
    answer: Heat,
    *,
    title: str = "",
    width: int = 1200,
    height: int = 900,
    dark: bool = False,
    mark: str = "",
) -> bytes:
    """A PNG of an answer.

    Args:
        answer: what to draw; an empty one gives an empty ground.
        title: for the file's text field.
        width: in pixels, from 200 to 4,000.
        height: likewise.
        dark: in the dark palette.
        mark: who took it out, when and why; for the file's text field.

    Raises:
        InvalidInput: a size out of range (`bad_size`).
    """
    if not (LEAST <= width <= MOST and LEAST <= height <= MOST):
        raise InvalidInput(f"{width}×{height}: from {LEAST} to {MOST} pixels a side", code="bad_size")
    palette = {token: _rgb(colour) for token, colour in colors.palette(dark=dark).items()}
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[:] = palette["paper"]
    told = legend(answer, "en")
    if len(answer):
        shapes = shapely.transform(answer.outlines.geometries(), world)
        frame = _Frame.around(shapes, width, height)
        tokens = {one.key: one.token for one in told.entries}
        image = _painted(frame, shapes, [tokens[key] for key in told.of.tolist()], palette)
        _bar(image, frame, palette)
    rows = [(one.token, _figure(one.key, one.label, answer)) for one in told.entries]
    _key(image, rows, palette)
    period = f"{answer.period.since.isoformat()} / {answer.period.until.isoformat()}"
    said = {
        "Title": title,
        "Description": f"{answer.unit} by {answer.kind}, {period}, edition {answer.edition}",
        "Software": "gridmap",
        "Comment": mark,
    }
    return _png(image, {key: text for key, text in said.items() if text})


class _Frame:
    """From the unit square of web maps to pixels."""

    def __init__(self, west: float, north: float, scale: float, width: int, height: int) -> None:
        self.west, self.north, self.scale, self.width, self.height = west, north, scale, width, height

    @classmethod
    def around(cls, shapes: NDArray[np.object_], width: int, height: int) -> "_Frame":
        west, north, east, south = shapely.total_bounds(shapes).tolist()
        room = (
            (width - 2 * _MARGIN) / max(east - west, 1e-12),
            (height - 2 * _MARGIN) / max(south - north, 1e-12),
        )
        scale = min(room)
        middle = (west + east) / 2, (north + south) / 2
        return cls(middle[0] - width / 2 / scale, middle[1] - height / 2 / scale, scale, width, height)

    def pixels(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return (xy - (self.west, self.north)) * (self.scale * _FINER)

    def metres_a_pixel(self) -> float:
        y = self.north + self.height / 2 / self.scale
        lat = math.atan(math.sinh(math.pi * (1 - 2 * y)))
        return _EARTH_M * math.cos(lat) / self.scale


def _painted(
    frame: _Frame,
    shapes: NDArray[np.object_],
    tokens: list[str | None],
    palette: dict[str, NDArray[np.uint8]],
) -> Image:
    ids = _filled(frame, shapes)
    # The last colour is the ground's, which -1 takes.
    fills = np.array(
        [palette[token or "hatch-ground"] for token in tokens] + [palette["paper"]], dtype=np.float64
    )
    drawn = fills[ids]
    hatched = np.append([token is None for token in tokens], False)[ids]  # the ground
    down, across = np.indices(ids.shape)
    drawn[hatched & ((down + across) % (6 * _FINER) < _FINER)] = palette["hatch-line"]
    border = np.zeros(ids.shape, dtype=bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    drawn[border] = 0.72 * drawn[border] + 0.28 * palette["ink"]
    averaged = drawn.reshape(frame.height, _FINER, frame.width, _FINER, 3).mean(axis=(1, 3))
    image: Image = np.rint(averaged).astype(np.uint8)
    return image


def _filled(frame: _Frame, shapes: NDArray[np.object_]) -> Ids:
    """The number of the shape at every fine pixel's middle, -1 where there is none: scan lines, even and odd."""
    wide, high = frame.width * _FINER, frame.height * _FINER
    ids = np.full((high, wide), -1, dtype=np.int32)
    low, up, owner = _edges(frame, shapes)
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, high).astype(np.int64)
    last = np.clip(np.ceil(up[:, 1] - 0.5), 0, high).astype(np.int64)
    edge = np.repeat(np.arange(len(first)), last - first)
    row = (
        np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[edge]
    )
    part = (row + 0.5 - low[edge, 1]) / (up[edge, 1] - low[edge, 1])
    x = low[edge, 0] + part * (up[edge, 0] - low[edge, 0])
    order = np.lexsort((x, row, owner[edge]))
    enter, leave = order[::2], order[1::2]
    begin = np.clip(np.ceil(x[enter] - 0.5), 0, wide).astype(np.int64)
    length = np.clip(np.ceil(x[leave] - 0.5), 0, wide).astype(np.int64) - begin
    span = np.repeat(np.arange(len(begin)), length)
    column = np.arange(len(span)) - np.repeat(np.cumsum(length) - length, length) + begin[span]
    ids[row[enter][span], column] = owner[edge][enter][span]
    return ids


def _edges(
    frame: _Frame, shapes: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Lower and upper end of every edge that is not level, and whose it is."""
    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    places, of_ring = shapely.get_coordinates(rings, return_index=True)
    places = frame.pixels(places)
    same = of_ring[1:] == of_ring[:-1]
    start, end = places[:-1][same], places[1:][same]
    owner = of_shape[of_part][of_ring[:-1][same]]
    sloped = start[:, 1] != end[:, 1]
    start, end, owner = start[sloped], end[sloped], owner[sloped]
    upward = (start[:, 1] < end[:, 1])[:, None]
    return np.where(upward, start, end), np.where(upward, end, start), owner


def _figure(key: int, label: str, answer: Heat) -> str:
    if key == WITHHELD:
        return f"<{answer.withhold_below}" if answer.withhold_below else "–"
    if key in {ZERO, NOBODY}:
        return "0" if key == ZERO else "–"
    if answer.measure == "change":
        edges = [-math.inf, *answer.breaks, math.inf]
        low, high = edges[key], edges[key + 1]
        if low == -math.inf:
            return f"<{brief(high)}%"
        return f"≥{brief(low)}%" if high == math.inf else f"{brief(low)} – {brief(high)}%"
    if answer.measure == "hotspot":
        return ("-99%", "-95%", "-90%", "–", "+90%", "+95%", "+99%")[key]
    return label


def _key(image: Image, rows: list[tuple[str | None, str]], palette: dict[str, NDArray[np.uint8]]) -> None:
    """Swatches with their figures, bottom left."""
    step, left = 20, _MARGIN
    top = image.shape[0] - _MARGIN - 16 - step * len(rows)
    wide = 66 + max((12 * len(text) for _, text in rows), default=0)
    if not rows or top < 4:
        return
    image[top - 10 : top + step * len(rows) + 2, left - 10 : left + wide] = palette["surface"]
    for number, (token, text) in enumerate(rows):
        y = top + step * number
        swatch = image[y : y + 12, left : left + 26]
        swatch[:] = palette[token or "hatch-ground"]
        if token is None:
            down, across = np.indices(swatch.shape[:2])
            swatch[(down + across) % 6 < 1] = palette["hatch-line"]
        swatch[[0, -1]] = swatch[:, [0, -1]] = palette["line-2"]
        _write(image, left + 36, y, text, palette["ink"])


def _bar(image: Image, frame: _Frame, palette: dict[str, NDArray[np.uint8]]) -> None:
    """A scale of a round length, bottom right."""
    metres = frame.metres_a_pixel()
    power = 10.0 ** math.floor(math.log10(metres * 140))
    length = max(step * power for step in (1, 2, 5) if step * power <= metres * 140)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    wide = round(length / metres)
    right, bottom = image.shape[1] - _MARGIN, image.shape[0] - _MARGIN
    image[bottom - 2 : bottom, right - wide : right] = palette["ink"]
    image[bottom - 8 : bottom, [right - wide, right - 1]] = palette["ink"]
    _write(image, right - wide + 4, bottom - 20, text, palette["ink"])


def _write(image: Image, x: int, y: int, text: str, colour: NDArray[np.uint8]) -> None:
    """Figures, twice the size they are stored in; what there is no sign for stays empty."""
    for sign in text:
        rows = bytes.fromhex(_SIGNS.get(sign, "00" * 7))
        bits = np.array([[row >> bit & 1 for bit in range(4, -1, -1)] for row in rows], dtype=bool)
        big = bits.repeat(2, axis=0).repeat(2, axis=1)
        area = image[y : y + big.shape[0], x : x + big.shape[1]]
        area[big[: area.shape[0], : area.shape[1]]] = colour
        x += 12


def _rgb(colour: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(colour[1:]), dtype=np.uint8)


def _png(image: Image, texts: dict[str, str]) -> bytes:
    height, width, _ = image.shape
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # a filter byte, 0, before each line
    lines[:, 1:] = image.reshape(height, -1)
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += [_chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + text.encode()) for key, text in texts.items()]
    parts += [_chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
