"""Borders that areas share: vertices that came onto them since, and what does not fit any more."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap.borders import edges, misfits, only_got_vertices, with_vertices_of

WEST, SOUTH, SIDE = 112.0, 30.0, 0.002
M = SIDE / 193  # a metre and a little, on either axis


def ring(*places):
    return shapely.MultiPolygon([shapely.Polygon([(WEST + SIDE * x, SOUTH + SIDE * y) for x, y in places])])


def shapes(*geoms):
    return np.array(geoms, dtype=object)


def square(x=0, y=0, *south):
    """A square; `south` are vertices on its southern side."""
    return ring((x, y), *((x + each, y) for each in south), (x + 1, y), (x + 1, y + 1), (x, y + 1))


def test_an_earlier_border_gets_the_vertices_that_are_on_it_today():
    earlier = square(0, 0)
    beside = ring((0, -1), (1, -1), (1, 0), (0.7, 0), (0.3, 0), (0, 0))
    (back,) = with_vertices_of(shapes(earlier), shapes(beside, square(0, 0, 0.5)))
    assert only_got_vertices(earlier, back)
    assert not only_got_vertices(back, earlier)
    assert {tuple(edge) for edge in edges(shapes(back)).tolist() if edge[1] == edge[3] == SOUTH} <= {
        *map(tuple, edges(shapes(beside, square(0, 0, 0.5))).tolist())
    }
    (back,) = with_vertices_of(shapes(earlier), shapes(beside))
    assert shapely.equals_identical(back, square(0, 0, 0.3, 0.7))


@pytest.mark.parametrize(("aside_m", "taken"), [(0.009, True), (0.3, False)])
def test_a_vertex_lies_on_a_border_where_files_that_were_digitised_apart_have_it(aside_m, taken):
    bent = ring((0, -1), (1, -1), (1, 0), (0.5, -aside_m * M / SIDE), (0, 0))
    (back,) = with_vertices_of(shapes(square()), shapes(bent))
    assert shapely.get_num_coordinates(back) == (6 if taken else 5)


def test_a_border_that_only_begins_as_one_of_today_stays_as_it_was():
    turned = ring((0, 0), (0.4, 0), (0.6, -0.3), (1, -1), (0, -1))
    (back,) = with_vertices_of(shapes(square()), shapes(turned))
    assert shapely.equals_identical(back, square())
    assert shapely.equals_identical(with_vertices_of(shapes(square()), shapes())[0], square())


@settings(deadline=None, max_examples=40)  # other work beside it is no fault
@given(st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True), st.integers(0, 4))
def test_vertices_alone_make_no_other_polygon(places, start):
    grown = square(0, 0, *(each / 100 for each in sorted(places)))
    ring_ = shapely.get_coordinates(grown)[:-1]
    turned = shapely.MultiPolygon([shapely.Polygon(np.roll(ring_, start, axis=0))])
    assert only_got_vertices(square(), turned)
    moved = shapely.get_coordinates(turned)[:-1]
    moved[start] += SIDE / 10
    assert not only_got_vertices(square(), shapely.MultiPolygon([shapely.Polygon(moved)]))


def test_what_overlaps_or_meets_in_other_vertices_does_not_fit_what_comes_back():
    wide, narrow = ring((0, 0), (2, 0), (2, 1), (0, 1)), square()
    inside, beside, apart = square(1, 0), square(2, 0), square(5, 5)
    half = ring((2, 0), (3, 0), (3, 1), (2, 1), (2, 0.5))
    others = shapes(inside, beside, apart, half)
    assert misfits(shapes(wide), shapes(narrow), others[:3]).tolist() == [True, False, False]
    assert misfits(shapes(wide), shapes(narrow), shapes(half, apart)).tolist() == [True, False]
    assert misfits(shapes(wide), shapes(wide), others[:3]).tolist() == [False] * 3  # no worse than it is
    assert misfits(shapes(inside), shapes(), shapes(inside)).tolist() == [True]
    small = ring((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
    assert misfits(shapes(small), shapes(), shapes(narrow, inside)).tolist() == [True, False]
    assert misfits(shapes(), shapes(narrow), others).tolist() == [False] * 4
