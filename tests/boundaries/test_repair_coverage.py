"""Grids that fit: what is narrow is closed, what is wide stays, and what is fixed keeps every bit."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from boundaries.check import Areas, check
from boundaries.repair_coverage import Layers, repair
from boundaries.repair_faces import is_narrow
from gridmap import crs
from gridmap.errors import InvalidInput

PAIR, MOVABLE = np.array([-1, 0, 0]), np.array([False, True, True])
METRE = 1 / 111_195  # degrees of latitude


def array(shapes):
    listed = list(shapes)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made


def tiles(columns, rows, step=0.001):
    """Squares with a vertex in the middle of each side."""
    made = []
    for number in range(columns * rows):
        west, south = 112 + number % columns * step, 30 + number // columns * step
        half, east, north = step / 2, 112 + (number % columns + 1) * step, 30 + (number // columns + 1) * step
        made.append(
            shapely.Polygon(
                [
                    (west, south), (west + half, south), (east, south), (east, south + half), (east, north),
                    (west + half, north), (west, north), (west, south + half),
                ]
            )
        )  # fmt: skip
    return array(made)


def shaken(shapes, metres, seed):
    """Every vertex of every polygon moved on its own."""
    rng = np.random.default_rng(seed)

    def shake(shape):
        xy = shapely.get_coordinates(shape)[:-1]
        return shapely.Polygon(xy + rng.uniform(-metres, metres, xy.shape) * METRE)

    return array(shake(shape) for shape in shapes)


class County:
    """Two villages of four comprehensive grids each, these of four micro-grids; grids shaken."""

    def __init__(self, metres, seed=0):
        micro = tiles(8, 4)
        block = np.array([(n // 16) * 4 + n % 8 // 2 for n in range(32)])
        comprehensive = array(shapely.coverage_union_all(micro[block == n]) for n in range(8))
        village = array(
            shapely.coverage_union_all(comprehensive[np.arange(8) % 4 // 2 == n]) for n in range(2)
        )
        self.village = village
        self.kind = ["village"] * 2 + ["comprehensive"] * 8 + ["micro"] * 32
        self.parent = np.concatenate([[-1, -1], np.arange(8) % 4 // 2, 2 + block])
        self.code = [f"a{n:02d}" for n in range(42)]
        self.geom = array([*village, *shaken(comprehensive, metres, seed), *shaken(micro, metres, seed + 1)])

    def layers(self, geom=None, movable=None):
        still = np.array([kind != "village" for kind in self.kind]) if movable is None else movable
        return Layers(self.geom if geom is None else geom, self.kind, self.parent, still)

    def findings(self, geom):
        parents = [self.code[at] if at >= 0 else "" for at in self.parent]
        return check(Areas.from_arrays(geom, self.code, kind=self.kind, parent=parents))

    def of(self, kind, geom):
        return geom[np.array(self.kind) == kind]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.1, 0.25]))
def test_whatever_is_below_the_width_comes_out_clean_and_parents_keep_every_bit(seed, metres):
    county = County(metres, seed)
    assert county.findings(county.geom)
    result = repair(county.layers())
    assert county.findings(result.geom) == []
    assert result.unsettled == []
    for kind in ("comprehensive", "micro"):
        assert shapely.coverage_is_valid(county.of(kind, result.geom))
    assert all(now is was for now, was in zip(result.geom[:2], county.village, strict=True))
    assert repair(county.layers(result.geom)).mended == {}


def test_what_changed_is_said_in_square_metres():
    county = County(0.25)
    result = repair(county.layers())
    assert set(result.mended) == set(range(2, 42))
    for at, mended in result.mended.items():
        before, after = county.geom[at], result.geom[at]
        assert mended.gained_m2 == pytest.approx(float(crs.area_m2(after.difference(before))), abs=1e-6)
        assert mended.lost_m2 == pytest.approx(float(crs.area_m2(before.difference(after))), abs=1e-6)
        assert 0 < mended.moved_m <= 1
    # the parts of a village are the village
    assert crs.area_m2(county.of("micro", result.geom)).sum() == pytest.approx(
        float(crs.area_m2(county.village).sum()), rel=1e-9
    )


def test_what_is_stored_beside_keeps_every_bit_and_the_others_give_way():
    county = County(0.2)
    clean = repair(county.layers())
    dirty = clean.geom.copy()
    moved = [12, 13, 20]
    dirty[moved] = shaken(array(shapely.get_geometry(dirty[moved], 0)), 0.2, 5)
    result = repair(county.layers(dirty, np.isin(np.arange(42), moved)))
    assert set(result.mended) <= set(moved)
    assert county.findings(result.geom) == []
    assert all(result.geom[at] is dirty[at] for at in range(42) if at not in moved)


def test_what_is_wider_stays_as_it_is_and_is_still_found():
    left, right = shapely.box(112, 30, 112.001, 30.001), shapely.box(112.00105, 30, 112.002, 30.001)
    parent = shapely.box(112, 30, 112.002, 30.001)
    layers = Layers(
        array([parent, left, right]),
        ["village", "micro", "micro"],
        np.array([-1, 0, 0]),
        np.array([0, 1, 1]) > 0,
    )
    result = repair(layers)
    areas = Areas.from_arrays(result.geom, ["v", "m1", "m2"], kind=layers.kind, parent=["", "v", "v"])
    (gap,) = check(areas)
    assert gap.code == "gap"
    assert gap.measure == pytest.approx(
        float(crs.area_m2(shapely.box(112.001, 30, 112.00105, 30.001))), rel=1e-6
    )
    assert result.mended == {}
    wide = repair(layers, width_m=6)
    areas = Areas.from_arrays(wide.geom, ["v", "m1", "m2"], kind=layers.kind, parent=["", "v", "v"])
    assert check(areas) == []


def test_a_border_on_one_side_alone_becomes_one_border():
    """More vertices on one side, and a corner in the middle of the parent's long edge."""
    parent = shapely.box(112, 30, 112.002, 30.001)
    left = shapely.Polygon([(112, 30), (112.001, 30 + 0.3 * METRE), (112.001, 30.001), (112, 30.001)])
    right = shapely.Polygon(
        [(112.001, 30), (112.002, 30), (112.002, 30.001), (112.001, 30.001), (112.001 + 0.4 * METRE, 30.0005)]
    )
    layers = Layers(
        array([parent, left, right]),
        ["village", "micro", "micro"],
        np.array([-1, 0, 0]),
        np.array([0, 1, 1]) > 0,
    )
    result = repair(layers)
    assert shapely.coverage_is_valid(result.geom[1:])
    assert (
        check(Areas.from_arrays(result.geom, ["v", "m1", "m2"], kind=layers.kind, parent=["", "v", "v"]))
        == []
    )


def test_a_thin_strip_outside_is_cut_off_and_a_thick_one_is_not():
    parent = shapely.box(112, 30, 112.001, 30.001)
    for metres, cut in ((0.8, True), (5, False)):
        spur = [(112.0004, 30.001), (112.0005, 30.001 + metres * METRE), (112.0006, 30.001)]
        grid = shapely.Polygon([(112, 30), (112.001, 30), (112.001, 30.001), *spur[::-1], (112, 30.001)])
        result = repair(
            Layers(array([parent, grid]), ["village", "micro"], np.array([-1, 0]), np.array([False, True]))
        )
        found = check(Areas.from_arrays(result.geom, ["v", "m"], kind=["village", "micro"], parent=["", "v"]))
        assert [each.code for each in found] == ([] if cut else ["outside_parent"])


def test_a_market_keeps_its_hole_and_the_crack_round_it_closes():
    hole = shapely.box(112.0003, 30.0003, 112.0007, 30.0007)
    around = shapely.box(112, 30, 112.001, 30.001).difference(hole.buffer(0.4 * METRE, join_style="mitre"))
    parent = shapely.box(112, 30, 112.001, 30.001)
    layers = Layers(
        array([parent, hole, around]),
        ["village", "dedicated", "micro"],
        np.array([-1, 0, 0]),
        np.array([0, 1, 1]) > 0,
    )
    result = repair(layers)
    assert result.geom[1].equals(hole)
    assert result.geom[2].equals(parent.difference(hole))


def test_a_width_that_is_none_is_refused():
    for width in (0, -1, 51, float("nan")):
        with pytest.raises(InvalidInput, match="width"):
            repair(County(0).layers(), width_m=width)


def test_narrow_is_where_no_circle_fits():
    strip = shapely.box(112, 60, 112 + 0.9 * METRE / 0.5, 60.01)
    wide = shapely.box(112, 60, 112 + 1.1 * METRE / 0.5, 60.01)
    assert is_narrow(array([strip, wide]), 1.0).tolist() == [True, False]


def test_what_a_bow_tie_covers_of_its_neighbour_when_made_valid_is_the_neighbours():
    lobe = shapely.box(112.001, 30.0006, 112.0012, 30.0008)
    left = shapely.box(112, 30, 112.001, 30.001).union(lobe)
    right = shapely.box(112.001, 30, 112.002, 30.001)
    lap = float(crs.area_m2(left.intersection(right)))
    assert lap > 100
    for owed, settled in ((0.0, False), (lap, True)):
        still = np.array([-1, -1])
        result = repair(Layers(array([left, right]), ["micro"] * 2, still, still < 0, np.array([owed, 0.0])))
        assert (float(crs.area_m2(result.geom[0].intersection(result.geom[1]))) == 0.0) == settled
        assert result.geom[1].equals(right)


def test_the_crumb_of_a_loop_does_not_leave_a_grid_in_pieces():
    """Two vertices of a corner in the wrong order: made valid, a crumb of the ring touches the polygon there."""
    ring = np.array([(-236, 159), (-110, 227), (-25, 152), (0, -0.3), (0.1, 0), (-95, -9), (-236, 159)])
    loop = shapely.Polygon(ring * METRE + (112, 30))
    assert not loop.is_valid
    mended = shapely.make_valid(loop, method="structure")
    sizes = crs.area_m2(shapely.get_parts(mended)).tolist()
    assert len(sizes) == 2
    assert min(sizes) < 0.1
    still = np.array([-1])
    for owed, pieces in ((0.0, 2), (min(sizes), 1)):
        result = repair(Layers(array([mended]), ["micro"], still, still < 0, np.array([owed])))
        assert shapely.get_num_geometries(result.geom[0]) == pieces
        lost = sum(each.lost_m2 for each in result.mended.values())
        assert lost == pytest.approx(min(sizes) if owed else 0.0, rel=1e-3)
