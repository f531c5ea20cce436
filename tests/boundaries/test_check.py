"""A check finds all that is wrong with a coverage and nothing else: beside the plain way, all pairs and one union."""

import itertools

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from boundaries import check_overlaps
from boundaries.check import Areas, Rules, check, examine
from boundaries.check_edges import edges_of, loose
from boundaries.check_findings import TITLES, TOLERANCE_M2, counts
from boundaries.check_overlaps import overlapping
from gridmap.crs import area_m2

GEOD = pyproj.Geod(ellps="WGS84")
WEST, SOUTH, CELL, SIDE = 112.0, 30.0, 0.004, 0.001


def coverage(rng, columns=4, rows=4, bends=3):
    """Polygons that tile a rectangle of jittered nodes; neighbours share winding borders, vertex by vertex."""
    nodes = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0)), axis=-1)
    nodes = (nodes + rng.uniform(-0.2, 0.2, nodes.shape)) * CELL + [WEST, SOUTH]

    def border(a, b):
        share = np.linspace(0, 1, bends + 2)[:, None]
        line = a + share * (b - a)
        line[1:-1] += rng.uniform(-0.04, 0.04, (bends, 2)) * CELL
        return line

    along = {(x, y): border(nodes[y, x], nodes[y, x + 1]) for y in range(rows + 1) for x in range(columns)}
    up = {(x, y): border(nodes[y, x], nodes[y + 1, x]) for y in range(rows) for x in range(columns + 1)}
    rings = [
        np.concatenate([along[x, y][:-1], up[x + 1, y][:-1], along[x, y + 1][:0:-1], up[x, y][:0:-1]])
        for y in range(rows)
        for x in range(columns)
    ]
    return np.array([shapely.Polygon(ring) for ring in rings], dtype=object)


def areas_of(shapes, **columns):
    return Areas.from_arrays(shapes, [f"g{number:03d}" for number in range(len(shapes))], **columns)


def moved(polygon, vertex, step):
    xy = shapely.get_coordinates(polygon)
    xy[vertex] += step
    return shapely.Polygon(xy)


def geodesic_m2(polygon):
    """By another library, whose edges are geodesics: they lie up to 0.1 mm beside 100 m of a straight one."""
    return abs(GEOD.geometry_area_perimeter(polygon)[0])


def expected(shapes):
    """Every pair and the whole union, as anybody would do it."""
    pairs = {}
    for one, two in itertools.combinations(range(len(shapes)), 2):
        size = float(area_m2(shapely.intersection(shapes[one], shapes[two])))
        if size > TOLERANCE_M2:
            pairs[f"g{one:03d}", f"g{two:03d}"] = size
    # not the interior rings of the union: parts that touch in corners enclose holes, too
    whole = shapely.union_all(shapes)
    lines = shapely.get_parts(shapely.node(shapely.boundary(whole)))
    rooms = shapely.get_parts(shapely.polygonize(lines))
    holes = area_m2(shapely.difference(rooms, whole)).tolist()
    return pairs, sorted(size for size in holes if size > TOLERANCE_M2)


def compare(shapes):
    findings = check(areas_of(shapes))
    pairs, holes = expected(shapes)
    overlaps = {(each.area, each.other): each for each in findings if each.code == "overlap"}
    assert overlaps.keys() == pairs.keys()
    for pair, each in overlaps.items():
        assert each.measure == pytest.approx(pairs[pair], rel=1e-6, abs=1e-6)
        both = [shapes[int(code[1:])] for code in pair]
        assert shapely.distance(shapely.Point(each.where), shapely.intersection(*both)) < 1e-12
    gaps = [each for each in findings if each.code == "gap"]
    assert sorted(each.measure for each in gaps) == pytest.approx(holes, rel=1e-6, abs=1e-6)
    for each in gaps:
        inner = shapely.intersects(shapes, shapely.Point(each.where))
        assert not inner.any()
    return findings


seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(seeds, sizes, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_coverage_is_clean(seed, size, bends):
    report = examine(areas_of(coverage(np.random.default_rng(seed), *size, bends)))
    assert report.findings == []
    assert not report.below


@given(seeds, st.integers(0, 15), st.integers(0, 15), st.floats(0.02, 0.2))
@settings(max_examples=80, deadline=None)
def test_a_moved_vertex_is_an_overlap_or_a_gap_of_that_size(seed, which, vertex, share):
    rng = np.random.default_rng(seed)
    shapes = coverage(rng)
    xy = shapely.get_coordinates(shapes[which])
    step = rng.normal(0, 1, 2) * share * CELL / 4
    dirty = shapes.copy()
    dirty[which] = moved(shapes[which], vertex, step) if vertex else shapes[which]
    if not shapely.is_valid(dirty[which]):
        return
    findings = compare(dirty)
    if not vertex:
        assert findings == []
        return
    # what the area gains lies over its neighbours or outside, what it loses is a gap or outside, in m²
    everything = shapely.union_all(shapes)
    gained = shapely.intersection(shapely.difference(dirty[which], shapes[which]), everything)
    assert sum(each.measure for each in findings if each.code == "overlap") == pytest.approx(
        geodesic_m2(gained), rel=1e-5, abs=0.05
    )
    assert {"overlap", "gap"} >= {each.code for each in findings}
    assert len(xy) == 17


@given(seeds, st.integers(0, 15))
@settings(max_examples=40, deadline=None)
def test_a_removed_area_is_a_gap_where_others_enclose_it(seed, which):
    shapes = coverage(np.random.default_rng(seed))
    codes = [f"g{number:03d}" for number in range(16)]
    left = np.delete(shapes, which)
    findings = check(Areas.from_arrays(left, codes[:which] + codes[which + 1 :]))
    if which not in {5, 6, 9, 10}:
        assert findings == []
        return
    (gap,) = findings
    assert gap.code == "gap"
    assert gap.measure == pytest.approx(geodesic_m2(shapes[which]), rel=1e-5)
    assert shapes[which].contains(shapely.Point(gap.where))
    beside = {codes[which + step] for step in (-4, -1, 1, 4)}
    assert {gap.area, gap.other} < beside


@given(seeds, st.integers(0, 15), st.booleans())
@settings(max_examples=40, deadline=None)
def test_an_area_there_twice(seed, which, same_code):
    shapes = coverage(np.random.default_rng(seed))
    codes = [f"g{number:03d}" for number in range(16)]
    again = codes[which] if same_code else "z"
    findings = check(Areas.from_arrays([*shapes, shapes[which].reverse()], [*codes, again]))
    overlap = findings[-1]
    assert (overlap.code, overlap.area, overlap.other) == ("overlap", codes[which], again)
    assert overlap.measure == pytest.approx(geodesic_m2(shapes[which]), rel=1e-5)
    if same_code:
        assert [(each.code, each.area, each.measure) for each in findings[:-1]] == [
            ("duplicate_code", again, 2.0)
        ]
    else:
        assert len(findings) == 1


def stacked(rng):
    """Two coverages over each other whose borders partly coincide, with other vertices on them."""
    lower = coverage(rng, 3, 3, 2)
    upper = lower[rng.permutation(9)[: rng.integers(1, 9)]]
    if rng.random() < 0.5:
        upper = np.array([shapely.segmentize(each, CELL / 7) for each in upper], dtype=object)
    merged = shapely.union_all(upper[: rng.integers(1, len(upper) + 1)])
    return [*lower, *upper, *shapely.get_parts(merged)]


@given(seeds, st.sampled_from(["stacked", "jittered", "boxes", "shifted"]))
@settings(max_examples=120, deadline=None)
def test_whatever_is_wrong_is_found_as_the_plain_way_finds_it(seed, way):
    rng = np.random.default_rng(seed)
    if way == "stacked":
        shapes = stacked(rng)
    elif way == "jittered":
        shapes = [moved(each, 3, rng.normal(0, 1e-5, 2)) for each in coverage(rng)]
    elif way == "boxes":
        # on few different coordinates: shared edges, T-junctions, containment, islands in holes
        west, south = rng.integers(0, 8, (2, 12))
        wide, high = rng.integers(1, 4, (2, 12))
        shapes = [
            shapely.box(*box)
            for box in zip(
                WEST + west * CELL, SOUTH + south * CELL, WEST + (west + wide) * CELL,
                SOUTH + (south + high) * CELL, strict=True,
            )
        ]  # fmt: skip
    else:
        shapes = [*coverage(rng, 3, 3, 1), *coverage(rng, 2, 2, 1)]
    shapes = np.array([each for each in shapes if each.is_valid], dtype=object)
    compare(shapes)


def test_full_layers_over_each_other_are_found_though_all_edges_inside_cancel():
    lower = coverage(np.random.default_rng(1), 4, 4, 2)
    upper = np.array([shapely.coverage_union_all(lower[[n, n + 1]]) for n in range(0, 16, 2)], dtype=object)
    shapes = np.concatenate([lower, upper])
    first, second, _ = overlapping(shapes, np.zeros(len(shapes), dtype=bool))
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    assert found == {(n, 16 + n // 2) for n in range(16)}


def test_two_areas_in_the_middle_of_their_layers_are_found_by_way_of_their_neighbours(monkeypatch):
    def layer(xs, ys):
        """A row of areas between two that run along all of them, vertex by vertex."""
        below = [(x, ys[1]) for x in xs]
        above = [(x, ys[2]) for x in xs]
        middle = [shapely.box(west, ys[1], east, ys[2]) for west, east in itertools.pairwise(xs)]
        foot = shapely.Polygon([*below, (xs[-1], ys[0]), (xs[0], ys[0])])
        head = shapely.Polygon([*above, (xs[-1], ys[3]), (xs[0], ys[3])])
        return [*middle, foot, head]

    # inner points aside, neither the second nor the seventh has anything to betray it
    monkeypatch.setattr(check_overlaps, "_stacked", lambda parts, *_: np.zeros(len(parts), dtype=bool))
    lower, upper = layer((0, 4, 14, 16), (0, 1, 5, 6)), layer((11, 13, 25, 30), (0.2, 2, 4, 5.8))
    shapes = shapely.transform(np.array([*lower, *upper]), lambda xy: [WEST, SOUTH] + xy * SIDE)
    found = compare(shapes)
    assert ("overlap", "g001", "g006") in {(each.code, each.area, each.other) for each in found}


def test_edges_cancel_between_neighbours_and_around_holes():
    outer = shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2))
    inner = shapely.box(1, 1, 2, 2)
    edges = edges_of(np.array([outer, inner, None], dtype=object))
    assert len(edges) == 12
    open_edge, crowded = loose(edges.number, edges.sign, np.zeros(12, dtype=np.int64))
    assert open_edge.sum() == 4
    assert not crowded.any()
    assert (np.abs(edges.ends[open_edge] - 1.5).max(axis=(1, 2)) == 1.5).all()
    turned = edges_of(np.array([shapely.reverse(outer), inner], dtype=object))
    assert loose(turned.number, turned.sign, np.zeros(12, dtype=np.int64))[0].sum() == 4


def test_what_is_below_the_tolerance_is_counted_and_what_is_above_listed():
    left = shapely.Polygon([(112, 30), (112.001, 30), (112.001, 30.0005), (112.001, 30.001), (112, 30.001)])

    def beside(step):
        return shapely.Polygon(
            [(112.001, 30), (112.002, 30), (112.002, 30.001), (112.001, 30.001), (112.001 + step, 30.0005)]
        )

    for step, code in ((-1e-13, "overlap"), (1e-13, "gap")):
        report = examine(areas_of([left, beside(step)]))
        assert report.findings == []
        assert report.below == {code: 1}
        assert 0 < report.below_m2 < 1e-6
        (finding,) = check(areas_of([left, beside(step)]), rules=Rules(tolerance_m2=0.0))
        assert (finding.code, finding.measure) == (code, report.below_m2)
    (finding,) = check(areas_of([left, beside(-1e-9)]))
    assert finding.code == "overlap"
    # a triangle 111 m long and a tenth of a millimetre high
    assert finding.measure == pytest.approx(0.5 * 110.85 * 1e-9 * 96_488, rel=1e-3)
    assert "0.0053 m²" in finding.message


def test_the_order_does_not_depend_on_the_order_of_the_areas():
    rng = np.random.default_rng(7)
    shapes = np.array([moved(each, 3, rng.normal(0, 1e-5, 2)) for each in coverage(rng)], dtype=object)
    codes = [f"g{number:03d}" for number in range(16)]
    findings = check(Areas.from_arrays(shapes, codes))
    assert len(findings) > 10
    order = rng.permutation(16)
    turned = check(Areas.from_arrays(shapes[order], [codes[n] for n in order]))
    listed = [
        [(each.code, each.severity, each.area, each.other) for each in some] for some in (findings, turned)
    ]
    assert listed[0] == listed[1]
    assert [each.measure for each in turned] == pytest.approx([each.measure for each in findings])
    assert list(counts(findings)) == [code for code in TITLES if code in counts(findings)]
    assert findings == check(Areas.from_arrays(shapes, codes))


def test_no_areas_at_all():
    assert check(Areas.from_arrays([], [])) == []
