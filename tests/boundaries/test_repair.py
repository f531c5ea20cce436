"""Single polygons: what is wrong and where, and what a repair changes."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from boundaries.repair import make_valid
from boundaries.topology import as_multi, flaws
from gridmap import crs


def array(*shapes):
    made = np.empty(len(shapes), dtype=object)
    made[:] = shapes
    return made


BOW_TIE = shapely.Polygon([(112, 30), (112.01, 30.01), (112.01, 30), (112, 30.01)])


def test_flaws_name_reason_and_place():
    found = flaws(array(shapely.box(0, 0, 1, 1), BOW_TIE, None))
    assert list(found) == [1]
    assert found[1].reason == "Self-intersection"
    assert found[1].where == pytest.approx((112.005, 30.005))


def test_a_repair_says_what_it_changed():
    spike = shapely.Polygon(
        [(112, 30), (112.01, 30), (112.02, 30), (112.01, 30), (112.01, 30.01), (112, 30.01)]
    )
    repaired = make_valid(array(BOW_TIE, spike))
    assert shapely.is_valid(repaired.polygons).all()
    # the halves of a bow tie turn opposite ways: their rings enclose nothing, the repair two triangles
    triangle_m2 = float(crs.area_m2(shapely.Polygon([(112, 30), (112.005, 30.005), (112, 30.01)])))
    assert repaired.changed_m2[0] == pytest.approx(2 * triangle_m2, rel=1e-4)
    assert repaired.changed_m2[1] == pytest.approx(0, abs=1e-3)
    assert repaired.polygons[1].equals(shapely.box(112, 30, 112.01, 30.01))
    assert not repaired.widened.any()


def test_what_collapsed_to_a_line_becomes_a_band_a_metre_wide():
    flat = shapely.MultiPolygon([shapely.Polygon([(112, 30), (112.01, 30.01), (112, 30), (112, 30)])])
    repaired = make_valid(array(flat))
    assert repaired.widened.tolist() == [True]
    assert repaired.polygons[0].is_valid
    length_m = float(crs.length_m(shapely.LineString([(112, 30), (112.01, 30.01)])))
    assert repaired.changed_m2[0] == pytest.approx(length_m + 1, rel=0.01)
    point = shapely.Polygon([(112, 30)] * 4)
    assert make_valid(array(point)).changed_m2[0] == pytest.approx(1, rel=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12).filter(
        lambda points: len(set(points)) > 2
    )
)
def test_whatever_the_ring_a_repair_is_valid_and_covers_no_more_than_its_hull(points):
    ring = shapely.Polygon([(112 + x / 1000, 30 + y / 1000) for x, y in points])
    repaired = make_valid(array(ring))
    polygon = repaired.polygons[0]
    assert polygon.is_valid
    assert polygon.geom_type in {"Polygon", "MultiPolygon"}
    assert polygon.area > 0
    if not repaired.widened[0]:
        assert ring.convex_hull.buffer(1e-9).covers(polygon)
    if ring.is_valid:
        assert polygon.equals(ring)


def test_polygons_become_multi():
    both = as_multi(array(shapely.box(0, 0, 1, 1), None, shapely.MultiPolygon([BOW_TIE])))
    assert [None if each is None else each.geom_type for each in both] == [
        "MultiPolygon",
        None,
        "MultiPolygon",
    ]
