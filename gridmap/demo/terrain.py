"""The lie of the invented land: how many people live where, how its lines bend, where on the globe it is.

The county is laid out in a flat plan in metres whose lines are straight, then bent by one smooth function
of the place (`Bend`), then put on the globe (`to_lonlat`). Both act on single vertices, so what two areas
share before they share after, bit for bit.
"""

from dataclasses import dataclass

import numpy as np

from gridmap.demo.city import Floats, Size

# An invented county has to lie somewhere: over a plain, where no such county is.
LON0, LAT0 = 112.0, 30.0
EARTH_RADIUS_M = 6_371_008.8


def to_lonlat(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the county's middle to WGS-84 degrees, one vertex at a time."""
    lat = LAT0 + np.degrees(y / EARTH_RADIUS_M)
    lon = LON0 + np.degrees(x / (EARTH_RADIUS_M * np.cos(np.radians(lat))))
    # whole nanodegrees (0.1 mm): short in files, and the same on every machine
    return np.round(lon, 9), np.round(lat, 9)


@dataclass(frozen=True)
class Density:
    """Households a square metre over the flat plan: a county seat, smaller centres, fields between."""

    width_m: float
    height_m: float
    raster: Floats  # rows from south to north
    rounded: bool  # a large county has no corners

    def at(self, x: Floats, y: Floats) -> Floats:
        """Density at places in metres; beyond the plan that of its edge."""
        rows, columns = self.raster.shape
        column = ((x / self.width_m + 0.5) * columns).astype(np.int64).clip(0, columns - 1)
        row = ((y / self.height_m + 0.5) * rows).astype(np.int64).clip(0, rows - 1)
        found: Floats = self.raster[row, column]
        return found

    def rim(self) -> Floats:
        """The corners of the county in the plan, counter-clockwise, metres."""
        x, y = self.width_m / 2, self.height_m / 2
        if not self.rounded:
            return np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
        turn = (np.arange(26) + 0.5) / 26 * 2 * np.pi
        reach = (np.abs(np.cos(turn)) ** ROUNDNESS + np.abs(np.sin(turn)) ** ROUNDNESS) ** (-1 / ROUNDNESS)
        return np.column_stack([x * reach * np.cos(turn), y * reach * np.sin(turn)])


ASPECT = 0.88  # height of the county by its width
ROUNDNESS = 3.0  # exponent of the outline: 2 an ellipse, more towards a rectangle


def lay_out(size: Size, rng: np.random.Generator) -> Density:
    """Centres for a county of this size, and the extent that makes room for its households."""
    grown = float(np.clip((size.households / 60_000) ** 0.5, 0.25, 3.0))
    peak = 8_500e-6 * float(np.clip(grown, 0.6, 1.2))
    floor = 0.085 / grown**1.6
    centres = _centres(size.towns, rng)
    axis = (np.arange(1024) + 0.5) / 1024 - 0.5
    u, v = np.meshgrid(axis, axis)
    raster = np.zeros_like(u)
    for (cu, cv), rank in zip(centres, range(len(centres)), strict=True):
        radius = (0.15 / grown**0.55) if rank == 0 else rng.uniform(0.05, 0.095) / grown**0.65
        height = 1.0 if rank == 0 else rng.uniform(0.3, 0.85)
        raster = np.maximum(raster, height / (1 + (np.hypot(u - cu, (v - cv) * ASPECT) / radius) ** 3.2))
    tone = np.zeros_like(u)
    for _ in range(6):
        ku, kv = rng.normal(0, 2.5 * grown, 2)
        phase = rng.uniform(0, 2 * np.pi)
        tone += rng.uniform(0.08, 0.22) * np.sin(2 * np.pi * (ku * u + kv * v) + phase)
    raster = peak * (floor + raster) * np.exp(tone)
    rounded = size.villages > 60
    inside = np.abs(2 * u) ** ROUNDNESS + np.abs(2 * v) ** ROUNDNESS < 1 if rounded else np.ones_like(u)
    width = float(np.sqrt(size.households / (raster * inside).mean() / ASPECT))
    return Density(width, ASPECT * width, raster, rounded)


def _centres(towns: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """The county seat and a small centre a town, kept apart; shares of width and height."""
    centres = [(0.03, 0.06)]
    apart = 0.52 / np.sqrt(towns + 1)
    while len(centres) < towns + 1:
        u, v = rng.uniform(-0.43, 0.43, 2)
        if min(np.hypot(u - cu, v - cv) for cu, cv in centres) > apart and abs(u) + abs(v) < 0.72:
            centres.append((float(u), float(v)))
        apart *= 0.999  # an unlucky draw must not go on for ever
    return centres


@dataclass(frozen=True)
class Bend:
    """A smooth one-to-one map of the plan onto itself: displacement by waves, a turn, and a river's meander."""

    turn: Floats  # (2, 2)
    waves: Floats  # (n, 5): wave numbers (1/m) in x and y, phase, displacement (m) in x and y
    river_y_m: float
    river_width_m: float  # how far from the river its meander is felt
    meander: Floats  # (n, 3): wave number (1/m), phase, amplitude (m)

    def __call__(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Bent coordinates of places in metres; every place is moved by itself."""
        swing = np.zeros_like(x)
        for number, phase, amplitude in self.meander:
            swing += amplitude * np.sin(2 * np.pi * number * x + phase)
        y = y + swing * np.exp(-(((y - self.river_y_m) / self.river_width_m) ** 2))
        dx, dy = np.zeros_like(x), np.zeros_like(y)
        for kx, ky, phase, ax, ay in self.waves:
            wave = np.sin(2 * np.pi * (kx * x + ky * y) + phase)
            dx += ax * wave
            dy += ay * wave
        x, y = x + dx, y + dy
        return self.turn[0, 0] * x + self.turn[0, 1] * y, self.turn[1, 0] * x + self.turn[1, 1] * y

    def axes(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Direction (radians) in which a step east, and one north, of the plan points after bending."""
        step = 1.0
        east = np.subtract(self(x + step, y), self(x - step, y))
        north = np.subtract(self(x, y + step), self(x, y - step))
        return np.arctan2(east[1], east[0]), np.arctan2(north[1], north[0])


def bend_for(density: Density, river_y_m: float, rng: np.random.Generator) -> Bend:
    """Waves from the county's own length down to a fifth of it; together they turn no line by more than ~25°."""
    width = density.width_m
    waves = []
    for length, steep in ((1.3, 0.10), (0.8, 0.08), (0.45, 0.065), (0.3, 0.05), (0.2, 0.04)):
        for _ in range(2):
            heading = rng.uniform(0, 2 * np.pi)
            direction = rng.uniform(0, 2 * np.pi)
            metres = steep * length * width / (2 * np.pi)
            number = 1 / (length * width)
            waves.append(
                (
                    number * np.cos(heading),
                    number * np.sin(heading),
                    rng.uniform(0, 2 * np.pi),
                    metres * np.cos(direction),
                    metres * np.sin(direction),
                )
            )
    meander = [
        (1 / (length * width), rng.uniform(0, 2 * np.pi), steep * length * width / (2 * np.pi))
        for length, steep in ((0.85, 0.22), (0.36, 0.20), (0.19, 0.12))
    ]
    angle = np.radians(rng.uniform(2, 6))
    shear = rng.uniform(0.04, 0.09)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.array([[1.0, shear], [shear, 1.0]])
    return Bend(turn, np.array(waves), river_y_m, 0.16 * width, np.array(meander))
