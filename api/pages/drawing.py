"""Draws the landscape of the sign-in page: an invented place, the same every time, no data of anybody.

`python -m api.pages.drawing` writes `static/img/login.svg` again; the file in the tree is what is served.
"""

import math
import random
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

Point = tuple[float, float]
Ring = list[Point]

WIDTH, HEIGHT, SEED = 880, 900, 14
TOWNS, VILLAGES = 9, 4
TARGET = Path(__file__).with_name("static") / "img" / "login.svg"
RIVER = (
    (-0.1, 0.55), (0.15, 0.53), (0.34, 0.50), (0.52, 0.45), (0.585, 0.44), (0.61, 0.46), (0.625, 0.60),
    (0.64, 0.68), (0.66, 0.695), (0.80, 0.66), (1.1, 0.58),
)  # fmt: skip
DENSE = ((0.43, 0.40, 0.13), (0.66, 0.10, 0.14), (0.86, 0.50, 0.10), (0.16, 0.66, 0.09), (0.10, 0.24, 0.07))


def halves(ring: Ring, place: Point, direction: float) -> tuple[Ring, Ring]:
    """A convex ring cut by the line through `place` in `direction` (radians)."""
    nx, ny = -math.sin(direction), math.cos(direction)
    side = [(x - place[0]) * nx + (y - place[1]) * ny for x, y in ring]
    parts: tuple[Ring, Ring] = ([], [])
    for i, here in enumerate(ring):
        j = (i + 1) % len(ring)
        parts[side[i] < 0].append(here)
        if side[i] * side[j] < 0:
            share = side[i] / (side[i] - side[j])
            cut = (here[0] + share * (ring[j][0] - here[0]), here[1] + share * (ring[j][1] - here[1]))
            parts[0].append(cut)
            parts[1].append(cut)
    return parts


def box(ring: Ring) -> tuple[float, float, float, float]:
    """Left, top, right and bottom."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def divide(ring: Ring, pieces: int, dice: random.Random) -> list[Ring]:
    """A convex ring cut across its longer side again and again."""
    if pieces < 2 or len(ring) < 3:
        return [ring]
    left, top, right, bottom = box(ring)
    first = pieces // 2
    share = first / pieces + dice.uniform(-0.09, 0.09)
    across = right - left > (bottom - top) * dice.uniform(0.8, 1.25)
    direction = (math.pi / 2 if across else 0.0) + dice.uniform(-0.11, 0.11)
    place = (left + share * (right - left), top + share * (bottom - top))
    one, other = halves(ring, place, direction)
    if box_size(one) > box_size(other):
        one, other = other, one
    return divide(one, first, dice) + divide(other, pieces - first, dice)


def box_size(ring: Ring) -> float:
    """Area of the box around a ring; 0 for nothing."""
    if len(ring) < 3:
        return 0.0
    left, top, right, bottom = box(ring)
    return (right - left) * (bottom - top)


def bend(x: float, y: float) -> Point:
    """From the unit square, in which all lines are straight, to the picture, in which none is."""
    u = x + 0.045 * math.sin(3.1 * y + 0.6) + 0.02 * math.sin(7.0 * y + 2 * x)
    v = y - 0.075 * math.sin(2.2 * x + 0.4) + 0.022 * math.sin(6.0 * x + 3 * y)
    return u * WIDTH * 1.3 - WIDTH * 0.15, v * HEIGHT * 1.34 - HEIGHT * 0.12


def path(points: Iterable[Point], *, closed: bool, step: float = 0.02) -> str:
    """A path through bent points, with more of them between so that curves are smooth."""
    given = list(points)
    ends = [*given, given[0]] if closed else given
    bent = [bend(*ends[0])]
    for (x0, y0), (x1, y1) in pairwise(ends):
        n = max(1, round(math.hypot(x1 - x0, y1 - y0) / step))
        bent += [bend(x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n) for i in range(1, n + 1)]
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in bent) + ("z" if closed else "")


def rounded(line: Iterable[Point]) -> Ring:
    """A line with its corners cut (Chaikin)."""
    given = list(line)
    cut = [given[0]]
    for (x0, y0), (x1, y1) in pairwise(given):
        cut += [
            (0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1),
            (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1),
        ]
    return [*cut, given[-1]]


def density(ring: Ring) -> float:
    """How densely people live there, from 0 to 1."""
    left, top, right, bottom = box(ring)
    x, y = (left + right) / 2, (top + bottom) / 2
    return min(1.0, sum(math.exp(-((x - a) ** 2 + (y - b) ** 2) / (r * r)) for a, b, r in DENSE))


def shade(light: float) -> str:
    """A blue-green between night and morning."""
    dark, bright = (15, 62, 80), (62, 142, 160)
    return "#" + "".join(f"{round(a + (b - a) * light):02x}" for a, b in zip(dark, bright, strict=True))


def landscape(seed: int = SEED) -> str:
    """The picture as SVG."""
    dice = random.Random(seed)  # noqa: S311  # a drawing, no secret
    fills: dict[str, list[str]] = {}
    villages, towns = [], []
    for town in divide([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], TOWNS, dice):
        towns.append(path(town, closed=True))
        for village in divide(town, VILLAGES, dice):
            villages.append(path(village, closed=True))
            for block in divide(village, 5, dice):
                dense = density(block)
                for grid in divide(block, 2 + round(8 * dense), dice):
                    light = min(1.0, max(0.0, 0.05 + 0.50 * dense + dice.gauss(0, 0.14)))
                    colour = shade(round(light * 14) / 14)
                    fills.setdefault(colour, []).append(path(grid, closed=True, step=0.04))
    bow = path(rounded(rounded(RIVER)), closed=False)
    body = "".join(f'<path fill="{colour}" d="{"".join(rings)}"/>' for colour, rings in sorted(fills.items()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' preserveAspectRatio="xMidYMid slice"><defs><linearGradient id="dusk" x2="0" y2="1">'
        f'<stop offset=".42" stop-color="#0a2430" stop-opacity="0"/>'
        f'<stop offset=".86" stop-color="#0a2430" stop-opacity=".93"/></linearGradient></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#0e394b"/>'
        f'<g stroke="#0b3140" stroke-width=".9" stroke-linejoin="round">{body}</g>'
        f'<path fill="none" stroke="#08222d" stroke-width="2" stroke-linejoin="round" d="{"".join(villages)}"/>'
        f'<path fill="none" stroke="#0b2935" stroke-width="34" stroke-linejoin="round" d="{bow}"/>'
        f'<path fill="none" stroke="#e8b878" stroke-width="1.5" stroke-linejoin="round" d="{"".join(towns)}"/>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#dusk)"/></svg>\n'
    )


if __name__ == "__main__":
    TARGET.write_text(landscape())
    sys.stdout.write(f"{TARGET.name}: {TARGET.stat().st_size // 1024} KB\n")
