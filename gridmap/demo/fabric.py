"""Houses in their blocks: village houses, walk-ups, slabs in rows and towers, set back from the street.

Everything is placed in the flat plan, where a block is convex and its sides are straight, and bent afterwards:
a footprint is turned and moved, not distorted.
"""

from dataclasses import dataclass

import numpy as np

from gridmap.demo.city import COMPREHENSIVE_RANGE, MICRO_RANGE, Flags, Floats, Ints, Objects, Size
from gridmap.demo.coverage import Layout
from gridmap.demo.division import LANE, MAIN, PATH, RIVER, STREET, WALL, Division
from gridmap.demo.mesh import RIM
from gridmap.errors import InvalidInput

# From the centre line to the nearest house, metres; a wall sways, a bent line bows.
SETBACK_M = {RIVER: 42.0, MAIN: 19.0, STREET: 12.0, LANE: 7.5, PATH: 6.0, WALL: 7.0}
RIM_SETBACK_M = 14.0
RIVER_HALF_WIDTH_M = 30.0
CLEAR_M = 13.0  # from a public building to the next: bending brings long houses up to 10 m closer


@dataclass(frozen=True)
class Style:
    """A kind of building: footprint, households, distance from one to the next."""

    kind: str
    width_m: float
    depth_m: float
    pitch_x_m: float
    pitch_y_m: float
    least: int
    most: int
    loosest: float  # the pitch may grow by this factor where there is room


TOWER = Style("tower", 27, 19, 46, 44, 24, 70, 1.5)
SLAB = Style("slab", 52, 12.5, 64, 27, 20, 48, 1.5)
SHORT_SLAB = Style("slab", 34, 12, 44, 25, 14, 32, 1.5)
WALK_UP = Style("walk_up", 17, 12, 25, 22, 5, 14, 1.8)
HOUSE = Style("house", 10.5, 9, 16, 19.5, 1, 3, 1.35)
COTTAGES = Style("house", 9, 8, 13, 16, 1, 6, 1.2)
PUBLIC = {
    "school": Style("school", 46, 15, 62, 34, 0, 0, 1.6),
    "market": Style("market", 58, 34, 74, 50, 0, 0, 1.3),
    "hospital": Style("hospital", 48, 22, 64, 42, 0, 0, 1.3),
    "park": Style("industrial", 70, 32, 88, 52, 0, 0, 1.4),
    "other": Style("public", 26, 15, 40, 30, 0, 0, 1.0),
}


@dataclass(frozen=True)
class Footprints:
    """Buildings in the flat plan, parallel arrays."""

    x: Floats
    y: Floats
    angle: Floats  # radians
    width_m: Floats
    depth_m: Floats
    households: Ints
    kind: Objects
    micro: Ints  # position of the micro-grid
    dedicated: Ints  # position of the dedicated grid or -1


def household_targets(size: Size, layout: Layout, rng: np.random.Generator) -> tuple[Ints, Flags]:
    """Households of every micro-grid, and whether a single tower holds them all.

    Raises:
        InvalidInput: a grid would leave its range (code `bad_size`).
    """
    low, high = MICRO_RANGE
    grid = layout.comprehensive_of_micro
    urban = layout.urban_village[layout.village_of_micro]
    parcels = np.isin(np.arange(len(grid)), layout.micro_of_dedicated)
    alone = urban & (layout.micro_m2 < 14_000) & ~parcels & (rng.random(len(grid)) < 0.06)
    count = np.bincount(grid)
    # a tower alone only where the others can make up for it, and one a comprehensive grid
    first = np.zeros_like(alone)
    chosen = np.flatnonzero(alone)
    first[chosen[np.unique(grid[chosen], return_index=True)[1]]] = True
    alone = first & (count[grid] <= 5)
    target = np.clip(np.rint(rng.normal(75, 11.5, len(grid))), low + 3, high - 3).astype(np.int64)
    target[alone] = rng.integers(104, 150, int(alone.sum()))
    floor = np.where(alone, 104, low)
    ceiling = np.where(alone, 170, high)
    order = rng.permutation(len(grid))
    _level(target, (floor, ceiling), grid, order, size.households)
    sums = np.bincount(grid, weights=target)
    in_range = (sums >= COMPREHENSIVE_RANGE[0]).all() and (sums <= COMPREHENSIVE_RANGE[1]).all()
    if not in_range or ((target < floor) | (target > ceiling)).any():
        raise InvalidInput("A grid of this size of city would leave its range.", code="bad_size")
    return target, alone


def _level(target: Ints, bounds: tuple[Ints, Ints], grid: Ints, order: Ints, households: int) -> None:
    """Moves counts, one by one, until every comprehensive grid is in range and the total is met."""
    floor, ceiling = bounds
    sums = np.bincount(grid, weights=target).astype(np.int64)
    low, high = COMPREHENSIVE_RANGE

    def shift(each: int, step: int) -> bool:
        if not floor[each] <= target[each] + step <= ceiling[each]:
            return False
        target[each] += step
        sums[grid[each]] += step
        return True

    for _ in range(200):
        wrong = [each for each in order.tolist() if not low + 4 <= sums[grid[each]] <= high - 4]
        if not wrong:
            break
        for each in wrong:
            if sums[grid[each]] < low + 4:
                shift(each, 1)
            elif sums[grid[each]] > high - 4:
                shift(each, -1)
    missing = households - int(sums.sum())
    for _ in range(100):
        for each in order.tolist():
            step = int(np.sign(missing))
            if step and low < sums[grid[each]] + step < high and shift(each, step):
                missing -= step
        if not missing:
            return


class Builder:
    """Fills one block after another."""

    def __init__(self, division: Division, rng: np.random.Generator) -> None:
        self._division = division
        self._rng = rng
        self._rows: list[tuple[Floats, Floats, Style, Ints, int, int]] = []

    def fill(self, layout: Layout, target: Ints, alone: Flags) -> Footprints:
        """Buildings for every micro-grid and dedicated grid."""
        public = self._rng.random(len(target)) < 0.12
        urban = layout.urban_village[layout.village_of_micro]
        for micro, face in enumerate(layout.home_face.tolist()):
            block = _Block.of(self._division, face)
            households = int(target[micro])
            if alone[micro]:
                self._tower(block, households, micro)
            else:
                self._homes(block, households, micro, urban=bool(urban[micro]))
            if public[micro]:
                self._public(block, "other", micro, -1)
        for dedicated, face in enumerate(layout.parcel_face.tolist()):
            block = _Block.of(self._division, face)
            micro = int(layout.micro_of_dedicated[dedicated])
            self._public(block, str(layout.dedicated_use[dedicated]), micro, dedicated)
        return self._collected()

    def _tower(self, block: "_Block", households: int, micro: int) -> None:
        style = Style("tower", 33, 24, 60, 60, households, households, 1.0)
        place = block.middle(style.width_m, style.depth_m)
        self._keep(block, place[None, :], style, np.array([households]), micro, -1)

    def _homes(self, block: "_Block", households: int, micro: int, *, urban: bool) -> None:
        room = block.area_m2 / households
        for style in _styles(room, urban=urban, draw=self._rng.random()):
            typical = (style.least + style.most) / 2 if style.most > 3 else 1.5
            fewest = -(-households // style.most)
            wanted = max(fewest, round(households / typical))
            spots = self._spots(block, style, wanted)
            if len(spots) >= fewest:
                break
        else:
            spots = block.middle(24, 16)[None, :]
            style = Style("slab", 24, 14, 40, 40, households, households, 1.0)
        if len(spots) > wanted:
            spots = self._chosen(spots, wanted, style)
        self._keep(block, spots, style, self._shared(households, len(spots), style), micro, -1)

    def _spots(self, block: "_Block", style: Style, wanted: int) -> Floats:
        """Places in rows, the pitch as wide as the block allows for so many."""
        fit = np.sqrt(block.area_m2 / (wanted * style.pitch_x_m * style.pitch_y_m)) * 0.93
        stretch = float(np.clip(fit, 1.0, style.loosest))
        while True:
            spots = block.lattice(style, stretch)
            if len(spots) >= wanted or stretch <= 1.0:
                return spots
            stretch = max(1.0, stretch * 0.93)

    def _chosen(self, spots: Floats, wanted: int, style: Style) -> Floats:
        """Drops some places: at random where they nearly fit, else the farthest from a hamlet's heart."""
        if len(spots) < 1.5 * wanted or style.kind != "house":
            keep = np.sort(self._rng.choice(len(spots), wanted, replace=False))
            return np.asarray(spots[keep])
        heart = spots[self._rng.integers(len(spots))] * 0.6 + spots.mean(axis=0) * 0.4
        offset = spots - heart
        ragged = np.exp(self._rng.normal(0, 0.22, len(spots)))
        order = np.argsort(np.hypot(offset[:, 0] * 0.6, offset[:, 1]) * ragged, kind="stable")
        return np.asarray(spots[np.sort(order[:wanted])])

    def _shared(self, households: int, buildings: int, style: Style) -> Ints:
        """Whole counts a building, each at least one, that sum to the block's."""
        weight = (
            self._rng.gamma(7.0, 1.0, buildings) if style.most > 3 else self._rng.gamma(3.0, 1.0, buildings)
        )
        exact = weight / weight.sum() * (households - buildings)
        counts = np.floor(exact).astype(np.int64)
        rest = households - buildings - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:rest]] += 1
        shared: Ints = counts + 1
        return shared

    def _public(self, block: "_Block", use: str, micro: int, dedicated: int) -> None:
        style = PUBLIC[use]
        for scale in (1.0, 0.75, 0.55, 0.4):
            its = Style(style.kind, style.width_m * scale, style.depth_m * scale, style.pitch_x_m * scale,
                        style.pitch_y_m * scale, 0, 0, style.loosest)  # fmt: skip
            spots = block.lattice(its, 1.0)
            if dedicated < 0:
                spots = self._free(spots, its, micro)
            if len(spots):
                break
        if not len(spots):
            return
        wanted = min(len(spots), 1 if dedicated < 0 else int(self._rng.integers(2, 6)))
        near = np.hypot(*(spots - block.middle_point).T)
        spots = spots[np.sort(np.argsort(near, kind="stable")[:wanted])]
        self._keep(block, spots, its, np.zeros(len(spots), dtype=np.int64), micro, dedicated)

    def _free(self, spots: Floats, style: Style, micro: int) -> Floats:
        """Places that keep clear of the houses placed last, which are those of the same block."""
        if not self._rows or self._rows[-1][4] != micro:
            return spots
        houses, _, other, *_ = self._rows[-1]
        apart = np.abs(spots[:, None, :] - houses[None, :, :])
        clear_x = (style.width_m + other.width_m) / 2 + CLEAR_M
        clear_y = (style.depth_m + other.depth_m) / 2 + CLEAR_M
        crowded = (apart[:, :, 0] < clear_x) & (apart[:, :, 1] < clear_y)
        free: Floats = spots[~crowded.any(axis=1)]
        return free

    def _keep(
        self, block: "_Block", spots: Floats, style: Style, households: Ints, micro: int, dedicated: int
    ) -> None:
        turned = block.angle + np.zeros(len(spots))
        self._rows.append((spots, turned, style, households, micro, dedicated))

    def _collected(self) -> Footprints:
        counts = [len(row[0]) for row in self._rows]
        spots = np.concatenate([row[0] for row in self._rows])
        angle = np.concatenate([row[1] for row in self._rows])
        styles = [row[2] for row in self._rows]
        kind = np.repeat(np.array([style.kind for style in styles], dtype=object), counts)
        loose = (kind == "house") | (kind == "walk_up")
        spread = np.where(loose, 1.0, 0.0)
        x = spots[:, 0] * np.cos(angle) - spots[:, 1] * np.sin(angle)
        y = spots[:, 0] * np.sin(angle) + spots[:, 1] * np.cos(angle)
        size = 1 + self._rng.uniform(-0.16, 0.06, len(x)) * spread
        return Footprints(
            x=x + self._rng.uniform(-1.1, 1.1, len(x)) * spread,
            y=y + self._rng.uniform(-1.1, 1.1, len(x)) * spread,
            angle=angle + np.radians(self._rng.uniform(-4, 4, len(x))) * spread,
            width_m=np.repeat([style.width_m for style in styles], counts) * size,
            depth_m=np.repeat([style.depth_m for style in styles], counts) * size,
            households=np.concatenate([row[3] for row in self._rows]),
            kind=kind,
            micro=np.repeat([row[4] for row in self._rows], counts),
            dedicated=np.repeat([row[5] for row in self._rows], counts),
        )


def _styles(room_m2: float, *, urban: bool, draw: float) -> tuple[Style, ...]:
    """Styles to try in turn, by the ground a household has."""
    if room_m2 < 120:
        return (TOWER, SLAB, SHORT_SLAB) if draw < 0.45 else (SLAB, SHORT_SLAB, TOWER)
    if room_m2 < 230:
        return (SLAB, SHORT_SLAB, WALK_UP) if draw < 0.72 else (WALK_UP, SHORT_SLAB, SLAB, TOWER)
    if room_m2 < 420:
        if urban:
            return (WALK_UP, COTTAGES, SHORT_SLAB) if draw < 0.6 else (SHORT_SLAB, WALK_UP)
        return (COTTAGES, WALK_UP, SHORT_SLAB)
    if urban and room_m2 < 700 and draw < 0.45:
        return (WALK_UP, COTTAGES, SHORT_SLAB)
    return (HOUSE, COTTAGES, WALK_UP, SHORT_SLAB)


@dataclass(frozen=True)
class _Block:
    """A convex face in a frame along its longest side, its sides moved inwards by their setbacks."""

    angle: float
    corners: Floats  # (n, 2) in the frame
    normals: Floats  # outward, (n, 2)
    bare: Floats  # a place p is in the face, and not in a river, where normals @ p <= bare
    limits: Floats  # and within the setbacks where normals @ p <= limits
    area_m2: float  # within the setbacks, about

    @classmethod
    def of(cls, division: Division, face: int) -> "_Block":
        mesh = division.mesh
        ring = mesh.ring(face)
        vertices = mesh.faces[face]
        setback = np.array(
            [
                _setback(division, mesh.line_of[min(a, b), max(a, b)])
                for a, b in zip(vertices, vertices[1:] + vertices[:1], strict=True)
            ]
        )
        edges = np.roll(ring, -1, axis=0) - ring
        length = np.hypot(edges[:, 0], edges[:, 1])
        heading = np.arctan2(edges[:, 1], edges[:, 0])
        angle = float(np.angle(np.sum(length * np.exp(4j * heading))) / 4)
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners = ring @ axes.T
        spans = np.roll(corners, -1, axis=0) - corners
        normals = np.column_stack([spans[:, 1], -spans[:, 0]]) / length[:, None]
        sides = (normals * corners).sum(axis=1)
        # what must be kept clear even where that leaves no room for the usual setbacks
        bare = sides - np.where(setback == SETBACK_M[RIVER], RIVER_HALF_WIDTH_M, 2.5)
        gross = 0.5 * float(
            np.sum(corners[:, 0] * np.roll(corners[:, 1], -1) - np.roll(corners[:, 0], -1) * corners[:, 1])
        )
        net = max(gross - float(length @ setback) + 4 * float(setback.mean()) ** 2, 0.15 * gross)
        return cls(angle, corners, normals, bare, sides - setback, net)

    @property
    def middle_point(self) -> Floats:
        """The mean of the corners."""
        point: Floats = self.corners.mean(axis=0)
        return point

    def room(self, points: Floats, width_m: float, depth_m: float) -> Floats:
        """How far a footprint around each point stays within the limits, at the tightest side."""
        reach = (np.abs(self.normals[:, 0]) * width_m + np.abs(self.normals[:, 1]) * depth_m) / 2
        tightest: Floats = (self.limits - reach - points @ self.normals.T).min(axis=1)
        return tightest

    def lattice(self, style: Style, stretch: float) -> Floats:
        """Places in rows where a footprint fits."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        pitch = np.array([style.pitch_x_m, style.pitch_y_m]) * stretch
        counts = np.maximum(np.floor((high - low) / pitch).astype(np.int64), 1)
        start = (low + high) / 2 - (counts - 1) * pitch / 2
        columns, rows = np.meshgrid(np.arange(counts[0]), np.arange(counts[1]))
        points = start + np.column_stack([columns.ravel(), rows.ravel()]) * pitch
        fitting: Floats = points[self.room(points, style.width_m, style.depth_m) >= 0]
        return fitting

    def middle(self, width_m: float, depth_m: float) -> Floats:
        """The place with the most room around a footprint."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        across, up = np.meshgrid(np.linspace(0.2, 0.8, 13), np.linspace(0.2, 0.8, 13))
        points = low + np.column_stack([across.ravel(), up.ravel()]) * (high - low)
        room = self.room(points, width_m, depth_m)
        if room.max() < 0:  # a strip by the river: its setbacks leave nothing
            room = (self.bare - points @ self.normals.T).min(axis=1)
        best: Floats = points[int(np.argmax(room))]
        return best


def _setback(division: Division, line: int) -> float:
    return RIM_SETBACK_M if line == RIM else SETBACK_M[division.lines[line].rank]
