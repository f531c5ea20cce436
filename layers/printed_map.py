"""A map for paper: grids with their labels, borders that change, streets, as SVG in millimetres.

Vectors alone, and whatever fonts the reader's machine has: nothing is fetched. The scale is a round one, so that the
sheet can be measured; the projection is a plane through the middle of the map, true to a tenth of a per mille over a
county. Names are data: they are written as text, never as markup.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.crs_measures import distance_m

Place = tuple[float, float]
_STEPS: Final = (1.0, 1.1, 1.2, 1.25, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0,
                 7.5, 8.0, 9.0, 10.0)  # fmt: skip
_LEAST_TEXT_MM, _MOST_TEXT_MM, _NAME_MM = 1.1, 3.0, 4.5
_COLOURS: Final = {
    "paper": "#FFFFFF", "changed": "#DFEEF3", "new": "#CFE6DC", "line": "#42525B", "coarse": "#14222A",
    "gone": "#B5431C", "come": "#0B5C78", "street": "#BCC7CB", "river": "#8FB7D3", "ink": "#14222A",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """An area on the map.

    Attributes:
        geom: (Multi)Polygon, EPSG:4326.
        lines: of its label, the first bold.
        fill: `changed`, `new` or none.
        coarse: drawn as the outline of a larger area, without a fill; of its label the first line.
    """

    geom: Any
    lines: tuple[str, ...] = ()
    fill: str | None = None
    coarse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is drawn.

    Attributes:
        areas: in the order of drawing.
        streets: lines and whether each is a river; in EPSG:4326.
        gone: borders that are no more; `come` those that are new.
    """

    areas: Sequence[Area]
    streets: Sequence[tuple[Any, bool]] = ()
    gone: Sequence[Any] = ()
    come: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing.

    Attributes:
        svg: one `<svg>` element, its size in millimetres.
        scale: one millimetre on paper is so many on the ground.
        bar_m: length of the scale bar, of a round number of metres; `bar_mm` on paper.
    """

    svg: str
    scale: int
    bar_m: int
    bar_mm: float


def drawn(content: Content, width_mm: float, height_mm: float) -> Drawn:
    """A map of areas, north up.

    Args:
        content: at least one area.
        width_mm: of the drawing.
        height_mm: of the drawing.
    """
    plane = _Plane.around([area.geom for area in content.areas], width_mm, height_mm)
    size = f'width="{width_mm:g}mm" height="{height_mm:g}mm" viewBox="0 0 {width_mm:g} {height_mm:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f'<defs><clipPath id="map"><rect width="{width_mm:g}" height="{height_mm:g}"/></clipPath></defs>',
        f'<rect width="{width_mm:g}" height="{height_mm:g}" fill="{_COLOURS["paper"]}"/>',
        '<g clip-path="url(#map)" stroke-linejoin="round" stroke-linecap="round">',
    ]
    fine = [area for area in content.areas if not area.coarse]
    coarse = [area for area in content.areas if area.coarse]
    parts += [_polygon(plane, area.geom, fill=_COLOURS.get(area.fill or "", "none")) for area in fine]
    parts += [
        _line(plane, line, _COLOURS["river" if river else "street"], 1.0 if river else 0.6)
        for line, river in content.streets
    ]
    parts += [_polygon(plane, area.geom, stroke=_COLOURS["line"], width=0.18) for area in fine]
    parts += [
        _polygon(plane, area.geom, stroke=_COLOURS["coarse"], width=0.75 if area.lines else 0.4)
        for area in coarse
    ]
    parts += [_line(plane, line, _COLOURS["gone"], 0.7, dash="2 1.2") for line in content.gone]
    parts += [_line(plane, line, _COLOURS["come"], 0.7) for line in content.come]
    parts += _names(plane, coarse)
    parts += _labels(plane, fine)
    parts.append("</g></svg>")
    bar_m = _round_down(plane.metres_a_mm * width_mm / 5)
    return Drawn("".join(parts), round(plane.metres_a_mm * 1000), bar_m, bar_m / plane.metres_a_mm)


@dataclass(frozen=True)
class _Plane:
    """From degrees to millimetres on paper."""

    middle: Place
    metres: Place  # a degree of longitude, of latitude
    metres_a_mm: float
    size: Place

    @classmethod
    def around(cls, shapes: Sequence[Any], width: float, height: float) -> "_Plane":
        west, south, east, north = shapely.total_bounds(np.array(shapes, dtype=object)).tolist()
        lon, lat = (west + east) / 2, (south + north) / 2
        half = 0.005
        across = float(distance_m(lon - half, lat, lon + half, lat)) / (2 * half)
        up = float(distance_m(lon, lat - half, lon, lat + half)) / (2 * half)
        needed = max((east - west) * across / width, (north - south) * up / height, 1e-6) * 1.06
        return cls((lon, lat), (across, up), _round_scale(needed), (width, height))

    def mm(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        across = (xy[:, 0] - self.middle[0]) * self.metres[0] / self.metres_a_mm
        up = (xy[:, 1] - self.middle[1]) * self.metres[1] / self.metres_a_mm
        return np.column_stack([self.size[0] / 2 + across, self.size[1] / 2 - up])


def _round_scale(metres_a_mm: float) -> float:
    """The next rounder scale that shows no less."""
    power = 10.0 ** math.floor(math.log10(metres_a_mm))
    return next(step * power for step in _STEPS if step * power >= metres_a_mm * (1 - 1e-9))


def _round_down(metres: float) -> int:
    power = 10 ** math.floor(math.log10(max(metres, 1.0)))
    return int(max(step * power for step in (1, 2, 5) if step * power <= max(metres, 1.0)))


def _path(plane: _Plane, lines: Sequence[Any], *, closed: bool) -> str:
    written = []
    for line in lines:
        xy = plane.mm(shapely.get_coordinates(line))
        if closed:
            xy = xy[:-1]
        written.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in xy.tolist()) + ("Z" if closed else ""))
    return "".join(written)


def _polygon(
    plane: _Plane, geom: Any, *, fill: str = "none", stroke: str = "none", width: float = 0.0
) -> str:
    rings = shapely.get_rings(shapely.get_parts(geom)).tolist()
    return (
        f'<path d="{_path(plane, rings, closed=True)}" fill="{fill}" fill-rule="evenodd" stroke="{stroke}"'
        f' stroke-width="{width:g}"/>'
    )


def _line(plane: _Plane, line: Any, colour: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    path = _path(plane, shapely.get_parts(line).tolist(), closed=False)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _names(plane: _Plane, areas: Sequence[Area]) -> list[str]:
    """Names of larger areas, pale, below what is written of grids."""
    written = []
    for area in areas:
        if area.lines:
            x, y, reach = _room(plane, area.geom)
            size = min(_NAME_MM, 1.8 * reach / _width(area.lines[0]))
            look = f'fill="{_COLOURS["line"]}" fill-opacity="0.45" font-weight="700"'
            written.append(_text(area.lines[0], x, y + size * 0.35, size, look))
    return written


def _labels(plane: _Plane, areas: Sequence[Area]) -> list[str]:
    """A label inside each area, as large as it has room; the first line alone where there is little, else none."""
    written = []
    for area in areas:
        if not area.lines:
            continue
        x, y, reach = _room(plane, area.geom)
        lines = area.lines
        size = _size(lines, reach)
        if size < _LEAST_TEXT_MM:
            lines = lines[:1]
            size = _size(lines, reach)
        if size < _LEAST_TEXT_MM:
            continue
        top = y - size * 1.2 * (len(lines) - 1) / 2 + size * 0.35
        for number, line in enumerate(lines):
            look = f'fill="{_COLOURS["ink"]}"' + (' font-weight="700"' if number == 0 else "")
            halo = f' stroke="#fff" stroke-width="{size * 0.18:.2f}" paint-order="stroke"'
            written.append(_text(line, x, top + number * size * 1.2, size, look + halo))
    return written


def _text(line: str, x: float, y: float, size: float, look: str) -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:.2f}" text-anchor="middle"'
    return f"<text {place} {look}>{html.escape(line)}</text>"


def _room(plane: _Plane, geom: Any) -> tuple[float, float, float]:
    """The middle of the largest circle inside an area, and its radius; in millimetres."""
    largest = max(shapely.get_parts(geom).tolist(), key=shapely.area)
    circle = shapely.maximum_inscribed_circle(shapely.transform(largest, plane.mm), tolerance=0.2)
    (x, y), _ = shapely.get_coordinates(circle).tolist()
    return x, y, float(shapely.length(circle))


def _size(lines: Sequence[str], reach: float) -> float:
    """Of letters, so that lines fit into a circle: half their diagonal is its radius."""
    wide, high = max(_width(line) for line in lines), 1.2 * len(lines)
    return min(_MOST_TEXT_MM, 2 * reach / math.hypot(wide, high))


def _width(text: str) -> float:
    """Of a text, in units of its size: a Chinese sign is square, others about half."""
    return sum(1.0 if ord(sign) > 0x2E7F else 0.62 for sign in text) or 1.0
