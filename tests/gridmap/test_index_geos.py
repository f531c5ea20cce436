"""Inside and border agree with GEOS for every place, on every path: adversarial polygons and places.

GRIDMAP_ADVERSARIAL_PLACES raises the number of places, about 200,000 by default, to whatever one has time for.
"""

import os
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, scale, translate

from gridmap.index_answers import BORDER, INSIDE, NONE, OPEN
from gridmap.index_build import build
from gridmap.index_engine import locate as ask
from gridmap.index_lattice import Lattice, Plan
from gridmap.index_layer import Layer
from gridmap.index_search import One

PLACES = int(os.environ.get("GRIDMAP_ADVERSARIAL_PLACES", "200000"))
Polygons = list[shapely.Geometry | None]


def curvy(rng: np.random.Generator, columns: int, rows: int, steps: int) -> Polygons:
    """A clean coverage whose neighbours share borders of many vertices."""
    nodes = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0)), axis=-1)
    nodes += rng.uniform(-0.2, 0.2, nodes.shape)

    def curve(a, b):
        t = np.linspace(0, 1, steps + 1)[:, None]
        line = a[..., None, :] * (1 - t) + b[..., None, :] * t
        line[..., 1:-1, :] += rng.normal(0, 0.04, line[..., 1:-1, :].shape)
        return line

    along, up = curve(nodes[:, :-1], nodes[:, 1:]), curve(nodes[:-1], nodes[1:])
    rings = np.concatenate(
        [along[:-1, :, :-1], up[:, 1:, :-1], along[1:, :, :0:-1], up[:, :-1, :0:-1]], axis=2
    )
    return [shapely.Polygon(ring) for ring in rings.reshape(-1, rings.shape[2], 2)]


def clean(rng: np.random.Generator) -> Polygons:
    return curvy(rng, 9, 7, 6)


def squares(_: np.random.Generator) -> Polygons:
    """Level and upright borders on round coordinates, some subdivided on one side only."""
    polygons: Polygons = [shapely.box(x, y, x + 1, y + 1) for x in range(8) for y in range(8)]
    polygons += [shapely.box(8, y / 3, 9, (y + 1) / 3) for y in range(24)]
    return polygons


def holes_and_parts(rng: np.random.Generator) -> Polygons:
    """Grids with holes that others fill, grids of several parts, parts within holes."""
    polygons: Polygons = []
    for x in range(4):
        for y in range(4):
            centre = shapely.Point(x + rng.uniform(0.4, 0.6), y + rng.uniform(0.4, 0.6))
            lake = rotate(scale(centre.buffer(0.2, quad_segs=3), 1.0, 0.6), rng.uniform(0, 180))
            island = scale(lake, 0.5, 0.5)
            block = shapely.box(x, y, x + 1, y + 1)
            polygons += [block.difference(lake).union(island), lake.difference(island)]
    apart = [shapely.union(polygons[i], translate(polygons[i], 5, 0.3)) for i in (0, 6, 20)]
    return [*polygons, *apart]


def overlapping(rng: np.random.Generator) -> Polygons:
    """A broken coverage: everything moved a little by itself, stars over it, some grids twice."""
    moved = [translate(polygon, *rng.normal(0, 0.03, 2)) for polygon in curvy(rng, 6, 5, 4)]
    return [*moved, *moved[:5], *(star(rng, *rng.uniform(0, 6, 2), 1.5) for _ in range(12))]


def star(rng: np.random.Generator, x: float, y: float, size: float) -> shapely.Polygon:
    angle = np.sort(rng.uniform(0, 2 * np.pi, 30))
    radius = rng.uniform(0.2, 1.0, 30) * size
    return shapely.Polygon(np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)]))


def slivers(rng: np.random.Generator) -> Polygons:
    """Triangles and strips down to a floating-point step in width, beside and over each other."""
    polygons: Polygons = []
    for width in 10.0 ** -np.arange(2, 16):
        a, b = rng.uniform(0, 5, 2), rng.uniform(0, 5, 2)
        polygons.append(shapely.Polygon([a, b, b + np.array([0, width])]))
        polygons.append(shapely.Polygon([a, b, b + np.array([0, width]), a + width]))
        polygons.append(shapely.box(*a, a[0] + width, a[1] + 1))
    return polygons


def invalid(rng: np.random.Generator) -> Polygons:
    """What a file may hold before it is repaired: bow-ties, parts over parts, holes outside, spikes, empties."""
    bows: Polygons = [shapely.Polygon(rng.uniform(0, 4, (9, 2))) for _ in range(12)]
    stacked = shapely.MultiPolygon(
        [shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3), shapely.box(2, 0, 3, 1)]
    )
    astray = shapely.Polygon(
        [(0, 3), (2, 3), (2, 5), (0, 5)], [[(1, 4), (3, 4), (3, 4.5)], [(1.2, 4.1), (1.5, 4.1), (1.4, 4.9)]]
    )
    spike = shapely.Polygon([(4, 0), (5, 0), (5, 1), (4.5, 1), (4.5, 3), (4.5, 1), (4, 1)])
    doubled = shapely.Polygon([(4, 4), (4, 4), (5, 4), (5, 4), (5, 5), (4, 5), (4, 4), (4, 4)])
    flat = shapely.Polygon([(0, 5.5), (3, 5.5), (1, 5.5)])
    return [*bows, stacked, astray, spike, doubled, flat, None, shapely.Polygon(), shapely.MultiPolygon()]


def fan(_: np.random.Generator) -> Polygons:
    """More polygons at one point than a leaf has room for."""
    angle = np.linspace(0, 2 * np.pi, 80)
    rim = np.column_stack([np.cos(angle), np.sin(angle)])
    return [shapely.Polygon([(0, 0), rim[i], rim[i + 1]]) for i in range(79)]


FAMILIES: dict[str, Callable[[np.random.Generator], Polygons]] = {
    f.__name__: f for f in (clean, squares, holes_and_parts, overlapping, slivers, invalid, fan)
}
# scale and shift: a county, a courtyard, the world, across the equator and the prime meridian
FRAMES = {
    "county": (0.01, (116.3, 39.9)),
    "courtyard": (1e-6, (113.7, 22.1)),
    "world": (18.0, (-80.0, -45.0)),
    "zero": (0.1, (-0.3, -0.3)),
}


def places(rng: np.random.Generator, polygons: Polygons, many: int) -> np.ndarray:
    """Vertices, places on edges, all of them also a floating-point step away, and places in line with vertices."""
    known = np.array([p for p in polygons if p is not None and not p.is_empty], dtype=object)
    coords, index = shapely.get_coordinates(known, return_index=True)
    edge = np.flatnonzero(index[1:] == index[:-1])
    share = max(many // 8, 8)
    vertex = coords[rng.integers(0, len(coords), share)]
    on = rng.choice(edge, 2 * share)
    t = np.r_[np.full(share, 0.5), rng.random(share)][:, None]
    on_edge = coords[on] + t * (coords[on + 1] - coords[on])
    low, high = coords.min(axis=0), coords.max(axis=0)
    anywhere = rng.uniform(low - 0.1 * (high - low), high + 0.1 * (high - low), (share, 2))
    in_line = np.column_stack([rng.uniform(low[0], high[0], share), vertex[:, 1]])
    in_column = np.column_stack([vertex[:, 0], rng.uniform(low[1], high[1], share)])
    exact = np.concatenate([vertex, on_edge])
    step = rng.integers(-1, 2, exact.shape)
    beside = np.where(step == 0, exact, np.nextafter(exact, np.where(step < 0, -np.inf, np.inf)))
    return np.concatenate([exact, beside, anywhere, in_line, in_column])


def by_geos(polygons: Polygons, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule, spelled out on GEOS's predicates without any index but boxes."""
    geoms = np.array(polygons, dtype=object)
    shapes = shapely.points(points)
    point, polygon = shapely.STRtree(geoms).query(shapes)
    held = shapely.intersects(geoms[polygon], shapes[point])
    border = shapely.touches(geoms[polygon], shapes[point])
    rows, states = np.full(len(points), -1), np.full(len(points), NONE)
    for which, state in ((held & border, BORDER), (held & ~border, INSIDE)):
        order = np.argsort(-polygon[which], kind="stable")
        rows[point[which][order]] = polygon[which][order]
        states[point[which][order]] = state
    return rows, states


def framed(polygons: Polygons, frame: str) -> Polygons:
    size, shift = FRAMES[frame]
    return [None if p is None else shapely.transform(p, lambda xy: xy * size + shift) for p in polygons]


def layer_of(polygons: Polygons, plan: Plan | None = None) -> Layer:
    return Layer(np.array(polygons, dtype=object), np.arange(len(polygons), dtype=np.int32), plan)


def assert_agrees(polygons: Polygons, points: np.ndarray, layer: Layer | None = None) -> None:
    """NumPy, compiled code and single questions against GEOS."""
    rows, states = by_geos(polygons, points)
    layer = layer or layer_of(polygons)
    lon, lat = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    for engine in ("numpy", "compiled"):
        found, how = layer.locate(lon, lat, engine)
        wrong = np.flatnonzero((found != rows) | (how != states))
        assert len(wrong) == 0, describe(engine, points, wrong, (found, how), (rows, states))
    some = np.linspace(0, len(points) - 1, min(len(points), 2000)).astype(int)
    for i in some.tolist():
        assert layer.locate_one(float(lon[i]), float(lat[i])) == (rows[i], states[i]), points[i].tolist()


def describe(engine, points, wrong, found, right):
    i = wrong[0]
    answers = [[int(v[i]) for v in answer] for answer in (found, right)]
    return f"{engine}: {len(wrong)} differ; at {points[i].tolist()} {answers[0]}, GEOS {answers[1]}"


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_geos(family, frame):
    share = PLACES // (len(FAMILIES) * len(FRAMES))
    for number in range(max(share // 10_000, 1)):
        rng = np.random.default_rng([number, *map(ord, family + frame)])
        polygons = framed(FAMILIES[family](rng), frame)
        rng.shuffle(polygons)
        assert_agrees(polygons, places(rng, polygons, min(share, 10_000)))


@pytest.mark.parametrize("plan", [Plan(1, 1, 10**6), Plan(300, 2, 10**6), Plan(40_000, 1, 0)], ids=str)
@pytest.mark.parametrize("family", ["clean", "overlapping", "invalid"])
def test_however_finely_it_is_divided(family, plan):
    rng = np.random.default_rng(7)
    polygons = framed(FAMILIES[family](rng), "county")
    points = places(rng, polygons, PLACES // 60)
    layer = layer_of(polygons, plan)
    assert_agrees(polygons, np.concatenate([points, corners(layer.lattice)]), layer)


def corners(lattice: Lattice) -> np.ndarray:
    """Places on the lines of the lattice itself, and a step beside them."""
    size = lattice.size / 16
    xs = lattice.origin[0] + np.arange(0, lattice.columns * 16, max(lattice.columns // 4, 1)) * size
    ys = lattice.origin[1] + np.arange(0, lattice.rows * 16, max(lattice.rows // 4, 1)) * size
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    return np.concatenate([grid, np.nextafter(grid, np.inf), np.nextafter(grid, -np.inf)])


@pytest.mark.parametrize("most_edges", [1, 4, 1000])
def test_borders_through_the_corners_of_the_lattice(most_edges):
    """Level, upright and slanting edges from corner to corner, whose vertices no map would have put there."""
    plan = Plan(400, most_edges, 10**6)
    frame = shapely.box(0.1, 0.2, 1.3, 1.1)  # keeps the lattice where it is, whatever lies within
    empty = build(np.array([frame], dtype=object), np.zeros(1, dtype=np.int32), plan)
    for seed in range(6):
        rng = np.random.default_rng([seed, most_edges])
        fine = empty.size / rng.choice([1, 4, 16])
        corner = np.array(empty.origin) + np.arange(1, 200)[:, None] * fine
        corner = corner[(corner[:, 0] < 1.3) & (corner[:, 1] < 1.1)]
        rings = [
            np.column_stack([rng.choice(corner[:, 0], 6), rng.choice(corner[:, 1], 6)]) for _ in range(8)
        ]
        boxes = [
            shapely.box(*np.sort(ring[:2], axis=0).ravel()) for ring in rings if (ring[0] != ring[1]).all()
        ]
        polygons: Polygons = [*(shapely.Polygon(ring) for ring in rings[:4]), *boxes, frame]
        layer = layer_of(polygons, plan)
        assert_agrees(polygons, np.concatenate([places(rng, polygons, 2000), corners(layer.lattice)]), layer)


def test_nearly_everything_is_decided_without_geos():
    """Else the figures of the lattice would be those of GEOS: also places on borders are decided exactly."""
    rng = np.random.default_rng(3)
    polygons = framed(clean(rng), "county")
    lattice = build(np.array(polygons, dtype=object), np.arange(len(polygons), dtype=np.int32))
    lon, lat = (np.ascontiguousarray(v) for v in places(rng, polygons, 20_000).T)
    for engine in ("numpy", "compiled"):
        _, states = ask(lattice, lon, lat, engine)
        assert np.count_nonzero(states == BORDER) > 3000
        assert np.count_nonzero(states == OPEN) == 0


# Not below: there GEOS's own products underflow. It says of (0.5, 0), a third of a degree outside, that it is on
# the border of POLYGON ((1 0, 1 5e-324, 0 1, 1 0)); we say that it does not.
LEAST = 1e-100
coordinate = st.one_of(
    st.integers(0, 6).map(float),
    st.floats(0, 6).map(lambda value: value if value >= LEAST else 0.0),
    st.sampled_from([1.0, np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0), LEAST, 2.0**-300, 0.1]),
)
corner_points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(corner_points, min_size=1, max_size=5), st.lists(st.tuples(coordinate, coordinate), max_size=12)
)
def test_agrees_with_geos_on_any_rings(rings, points):
    polygons: Polygons = [shapely.Polygon(ring) for ring in rings]
    everywhere = np.array([*points, *(point for ring in rings for point in ring)])
    middles = (everywhere[:-1] + everywhere[1:]) / 2
    assert_agrees(polygons, np.concatenate([everywhere, middles]))


def test_what_is_no_number_is_nobodys():
    layer = Layer(np.array([shapely.box(0, 0, 1, 1)], dtype=object), np.zeros(1, dtype=np.int32))
    odd = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 0.5])
    lon, lat = (v.ravel() for v in np.meshgrid(odd, odd))
    for engine in ("numpy", "compiled"):
        rows, states = layer.locate(lon, lat, engine)
        assert rows.tolist() == [-1] * 35 + [0]
        assert states.tolist() == [NONE] * 35 + [INSIDE]
    assert [
        layer.locate_one(x, y)[0] for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ] == rows.tolist()


def test_a_single_place_asks_like_many():
    rng = np.random.default_rng(11)
    polygons = framed(overlapping(rng), "county")
    lattice = build(np.array(polygons, dtype=object), np.arange(len(polygons), dtype=np.int32))
    points = places(rng, polygons, 4000)
    rows, states = ask(lattice, *(np.ascontiguousarray(v) for v in points.T), "numpy")
    one = One(lattice)
    assert [one.locate(x, y) for x, y in points.tolist()] == list(
        zip(rows.tolist(), states.tolist(), strict=True)
    )
