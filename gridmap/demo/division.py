"""Cuts the county into towns, villages, comprehensive grids and micro-grids, in the flat plan.

The counts are decided first (they are the ranges of the rules), the places after: a part of the plan is cut in
two so that each half has room, by the density of people, for the grids that it has to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gridmap.demo.city import Floats, Size
from gridmap.demo.mesh import Mesh
from gridmap.demo.terrain import Density

RIVER, MAIN, STREET, LANE, PATH, WALL = "river", "main", "street", "lane", "path", "wall"
FLOOD_PLAIN_M = 46.0  # to each side of the middle of a river


@dataclass
class Part:
    """A part of the county at some level: what it is made of, or the one face that it covers."""

    level: int
    weight: float
    parts: list["Part"] = field(default_factory=list)
    dedicated: bool = False  # a parcel for a school, a market, a park
    face: int = -1


@dataclass(frozen=True)
class Line:
    """A cut: what its two sides are to each other, and what runs along it."""

    level: int  # the level of the parts that it divides
    rank: str
    length_m: float


@dataclass
class Division:
    """The plan, cut: the mesh, its lines (by the numbers in `mesh.line_of`) and the county's parts."""

    mesh: Mesh
    lines: list[Line]
    county: Part
    river_y_m: float = 0.0


def divide(size: Size, density: Density, rng: np.random.Generator) -> Division:
    """Lays out every level; the first cut of all is the river, from west to east."""
    county = _parts_of(size, rng)
    division = Division(Mesh.of(density.rim()), [], county)
    _Surveyor(division, density, rng).lay(county, 0)
    return division


def shared_out(total: int, parts: int, rng: np.random.Generator, spread: float = 0.0) -> list[int]:
    """Whole numbers that sum to `total`, each at least 1, even but for `spread` (a share of the mean)."""
    share = np.clip(rng.normal(1, spread, parts), 0.4, 1.8) if spread else np.ones(parts)
    exact = share / share.sum() * (total - parts)
    counts = np.floor(exact).astype(int)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - parts - int(counts.sum())]] += 1
    return [int(count) + 1 for count in counts]


def _parts_of(size: Size, rng: np.random.Generator) -> Part:
    per_comprehensive = np.full(size.comprehensive, size.micro_grids // size.comprehensive)
    per_comprehensive[: size.micro_grids - int(per_comprehensive.sum())] += 1
    _vary(per_comprehensive, rng)
    rng.shuffle(per_comprehensive)
    counts = iter(per_comprehensive.tolist())
    towns = []
    villages_of_town = shared_out(size.villages, size.towns, rng, 0.15)
    comprehensive_of_village = iter(shared_out(size.comprehensive, size.villages, rng, 0.25))
    for villages in villages_of_town:
        town = Part(1, 0)
        for _ in range(villages):
            grids = [_comprehensive(next(counts), rng) for _ in range(next(comprehensive_of_village))]
            _set_parcels_aside(grids, rng)
            town.parts.append(Part(2, 0, grids))
        towns.append(town)
    county = Part(0, 0, towns)
    _weigh(county)
    return county


def _vary(counts: Floats, rng: np.random.Generator) -> None:
    """Moves micro-grids between comprehensive grids, 4 to 6 each, so that they are not all alike."""
    for _ in range(len(counts) // 4):
        give, take = rng.integers(0, len(counts), 2)
        if give != take and counts[give] > 4 and counts[take] < 6:
            counts[give] -= 1
            counts[take] += 1


def _comprehensive(micros: int, rng: np.random.Generator) -> Part:
    return Part(3, 0, [Part(4, float(np.exp(rng.normal(0, 0.25)))) for _ in range(micros)])


def _set_parcels_aside(grids: Sequence[Part], rng: np.random.Generator) -> None:
    micros = [micro for grid in grids for micro in grid.parts]
    wanted = min(len(micros) // 4, 1 + int(rng.random() < 0.6))
    for chosen in rng.choice(len(micros), wanted, replace=False):
        micros[chosen].parts = [Part(5, 0.9), Part(5, rng.uniform(0.6, 1.1), dedicated=True)]


def _weigh(part: Part) -> float:
    if part.parts:
        part.weight = sum(_weigh(each) for each in part.parts)
    return part.weight


class _Surveyor:
    """Walks down the levels and cuts; keeps what every cut needs."""

    def __init__(self, division: Division, density: Density, rng: np.random.Generator) -> None:
        self.division = division
        self.density = density
        self.rivers: list[tuple[Floats, float]] = []  # unit normal and distance from the origin
        self.rng = rng

    def lay(self, part: Part, face: int) -> None:
        """Gives a part its face, or cuts the face for its parts."""
        if not part.parts:
            part.face = face
            return
        for child, its_face in self._halve(part.parts, face):
            self.lay(child, its_face)

    def _halve(self, parts: list[Part], face: int) -> list[tuple[Part, int]]:
        if len(parts) == 1:
            return [(parts[0], face)]
        middle = len(parts) // 2
        if len(parts) % 2 and self.rng.random() < 0.5:
            middle += 1
        share = sum(part.weight for part in parts[:middle]) / sum(part.weight for part in parts)
        left, right = self._cut(face, share, parts[0].level)
        return self._halve(parts[:middle], left) + self._halve(parts[middle:], right)

    def _cut(self, face: int, share: float, level: int) -> tuple[int, int]:
        mesh = self.division.mesh
        ring = mesh.ring(face)
        number = len(self.division.lines)
        frame = _frame(ring)
        across, place, length = self._where(ring, frame, share, level)
        through = across * place
        if number == 0:
            self.division.river_y_m = float(through[1])
        rank = self._rank(level, length, through)
        if rank == RIVER:
            self.rivers.append((across, place))
        # left of `along` is the side of smaller `across`
        along = (float(-across[1]), float(across[0]))
        self.division.lines.append(Line(level, rank, length))
        return mesh.cut(face, (float(through[0]), float(through[1])), along, number)

    def _where(self, ring: Floats, frame: float, share: float, level: int) -> tuple[Floats, float, float]:
        """Unit normal of the cut, its distance from the origin along it, and about its length."""
        axes = np.array([[np.cos(frame), np.sin(frame)], [-np.sin(frame), np.cos(frame)]])
        extent = np.ptp(ring @ axes.T, axis=0)
        if not self.division.lines:
            longest = 1  # the river flows from west to east
        elif level <= 2:
            longest = int(extent[1] > extent[0])
        else:
            longest = int(extent[1] * self.rng.uniform(0.8, 1.25) > extent[0])
        tilt = self.rng.normal(0, np.radians((0, 7, 7, 5, 4, 2)[level]))
        normal = np.array(
            [
                axes[longest, 0] * np.cos(tilt) - axes[longest, 1] * np.sin(tilt),
                axes[longest, 0] * np.sin(tilt) + axes[longest, 1] * np.cos(tilt),
            ]
        )
        along = np.array([-normal[1], normal[0]])
        near, far = (ring @ normal).min(), (ring @ normal).max()
        low, high = (ring @ along).min(), (ring @ along).max()
        n = 28 if level <= 2 else 14
        a, b = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n)
        a, b = near + a.ravel() * (far - near), low + b.ravel() * (high - low)
        points = a[:, None] * normal + b[:, None] * along
        weight = self.density.at(points[:, 0], points[:, 1]) * _inside(ring, points) * self._dry(points)
        order = np.argsort(a, kind="stable")
        total = np.cumsum(weight[order])
        place = float(np.interp(share * total[-1], total, a[order]))
        place = float(np.clip(place, near + 0.2 * (far - near), far - 0.2 * (far - near)))
        return normal, place, float(extent[1 - longest])

    def _dry(self, points: Floats) -> Floats:
        """Little where nobody can live because of the river, so that its blocks reach far enough back."""
        dry = np.ones(len(points))
        for number, (across, place) in enumerate(self.rivers):
            near = np.abs(points @ across - place) < FLOOD_PLAIN_M
            if number == 1:  # the side arm is on one side of the river only: the one that was cut second
                normal, at = self.rivers[0]
                near &= points @ normal < at
            dry[near] = 0.02
        return dry

    def _rank(self, level: int, length_m: float, through: Floats) -> str:
        count = len(self.division.lines)
        if count == 0 or (count == 1 and level == 1):
            return RIVER  # the second cut is a side arm that joins the first
        if level <= 2:
            return MAIN if level == 1 or length_m > 1_500 or self.rng.random() < 0.35 else STREET
        if level == 3:
            return STREET
        if level == 5:
            return WALL
        urban = self.density.at(through[:1], through[1:])[0] > 1_200e-6
        draw = self.rng.random()
        if urban:
            return LANE if draw < 0.62 else WALL
        return PATH if draw < 0.3 else WALL


def _frame(ring: Floats) -> float:
    """The direction (radians) that the edges of a face follow, up to quarter turns."""
    edges = np.roll(ring, -1, axis=0) - ring
    length = np.hypot(edges[:, 0], edges[:, 1])
    angle = np.arctan2(edges[:, 1], edges[:, 0])
    return float(np.angle(np.sum(length * np.exp(4j * angle))) / 4)


def _inside(ring: Floats, points: Floats) -> Floats:
    edges = np.roll(ring, -1, axis=0) - ring
    turn = edges[:, 0] * (points[:, 1, None] - ring[:, 1]) - edges[:, 1] * (points[:, 0, None] - ring[:, 0])
    return np.asarray((turn >= 0).all(axis=1), dtype=np.float64)
