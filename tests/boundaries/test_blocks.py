"""Streets divide an area exactly: its border keeps its bits, and gets a vertex only where blocks meet."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from boundaries.blocks import blocks_of
from boundaries.border_vertices import keys, vertices_of, with_vertices, without_vertices
from gridmap.crs import area_m2, distance_m
from gridmap.crs_measures import plane_at
from gridmap.errors import InvalidInput
from tests.boundaries.landscape import (
    METRE,
    area,
    box,
    line,
    new_vertices,
    place,
    polygon,
    shapes,
    streets,
    tiles,
)

SCOPE = box(0, 0, 100, 100)


def test_without_streets_the_parts_of_the_area_are_its_blocks():
    scope = shapely.union(SCOPE, box(200, 0, 300, 100)).difference(box(20, 20, 40, 40))
    found = blocks_of(scope)
    assert len(found) == 2
    assert tiles(scope, found.polygon)
    assert len(new_vertices(scope, found.polygon)) == 0


def test_a_street_across_makes_two_blocks_and_two_new_vertices():
    found = blocks_of(SCOPE, shapes(line((50, -500), (50, 600))))
    assert len(found) == 2
    assert tiles(SCOPE, found.polygon)
    new = new_vertices(SCOPE, found.polygon)
    assert sorted(new.vertex[:, 1].tolist()) == [SCOPE.bounds[1], SCOPE.bounds[3]]
    assert np.isin(keys(vertices_of(SCOPE)), keys(vertices_of(found.polygon))).all()


def test_where_a_street_only_crosses_the_border_it_leaves_no_vertex():
    found = blocks_of(SCOPE, shapes(line((50, -30), (50, 30)), line((-20, 70), (-5, 70), (0, 70))))
    assert len(found) == 1
    assert len(new_vertices(SCOPE, found.polygon)) == 0


def test_an_end_is_led_on_a_little_and_no_further():
    near, far = line((50, 0), (50, 96)), line((50, 0), (50, 80))
    assert len(blocks_of(SCOPE, shapes(near))) == 2
    assert len(blocks_of(SCOPE, shapes(far))) == 1


def test_nothing_is_divided_through_a_footprint():
    across = line((50, -10), (50, 110))
    assert len(blocks_of(SCOPE, shapes(across), footprints=shapes(box(45, 40, 55, 60)))) == 1
    beside = blocks_of(SCOPE, shapes(across), footprints=shapes(box(50, 40, 60, 60), place(50, 50), None))
    assert len(beside) == 2


def test_a_street_drawn_along_the_border_makes_no_sliver():
    along = shapes(line((-10, 0.3), (30, 0.2), (60, 0.4), (110, 0.1)), line((0, 0), (0, 100)))
    found = blocks_of(SCOPE, along)
    assert len(found) == 1
    assert tiles(SCOPE, found.polygon)
    assert len(new_vertices(SCOPE, found.polygon)) == 0


def test_a_sliver_beyond_the_border_takes_no_vertex_of_it():
    """The street follows the border as it was before a cut put a vertex on it, a hair's breadth beside the line."""
    one, between, other = (
        (112.005573106, 30.00433693),
        (112.00557443826419, 30.004417107959483),
        (112.00558207, 30.004876399),
    )
    scope = shapely.Polygon([one, (112.0066, 30.0044), (112.0066, 30.0049), other, between])
    blocks = blocks_of(scope, shapes(shapely.LineString([one, other])))
    assert [shapely.equals_exact(each, scope, normalize=True) for each in blocks.polygon] == [True]


def test_what_is_no_line_is_passed_over():
    with np.errstate(invalid="ignore"):
        torn = line((50, -1), (np.nan, 50), (50, 101))
    odd = shapes(None, place(50, 50), shapely.LineString(), torn, SCOPE)
    assert len(blocks_of(SCOPE, odd)) == 1


@pytest.mark.parametrize(
    "scope",
    [
        place(0, 0),
        shapely.Polygon(),
        polygon([(0, 0), (10, 10), (10, 0), (0, 10)]),
        shapely.box(500_000, 3_000_000, 500_100, 3_000_100),
    ],
)
def test_an_area_that_cannot_be_divided_is_refused(scope):
    with pytest.raises(InvalidInput) as refused:
        blocks_of(scope)
    assert refused.value.code == "bad_scope"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_blocks_tile_any_area(seed):
    rng = np.random.default_rng(seed)
    scope = area(rng)
    found = blocks_of(scope, streets(int(rng.integers(0, 9)), rng, scope))
    assert tiles(scope, found.polygon)
    assert np.isin(keys(vertices_of(scope)), keys(vertices_of(found.polygon))).all()


def test_new_vertices_go_into_whoever_shares_the_edge():
    west, east, apart = box(0, 0, 50, 100), box(50, 0, 100, 100), box(200, 0, 300, 100)
    halves = blocks_of(west, shapes(line((-9, 40), (59, 40)), line((-9, 70), (59, 70)))).polygon
    new = new_vertices(west, halves)
    assert len(new) == 4
    grown = with_vertices(shapes(east, apart, shapely.multipolygons([east])), new)
    assert grown[1] is apart
    assert shapely.get_num_coordinates(grown).tolist() == [7, 5, 7]
    assert shapely.coverage_is_valid(np.concatenate([halves, grown[:1]]))
    assert not shapely.coverage_is_valid(np.concatenate([halves, shapes(east)]))
    again = without_vertices(grown, new.vertex)
    assert shapely.equals_exact(again[0], east, 0.0)


def test_a_ring_loses_also_the_vertex_that_it_begins_with():
    ring = polygon([(0, 0), (50, 0), (100, 0), (100, 100), (0, 100)])
    begins = shapely.get_coordinates(ring)[:1]
    (less,) = without_vertices(shapes(ring), begins)
    assert less.is_valid
    assert shapely.get_num_coordinates(less) == 5
    assert not np.isin(keys(vertices_of(shapes(less))), keys(begins)).any()


def test_metres_of_a_plane_are_those_of_the_ellipsoid():
    plane = plane_at(112.0, 30.0)
    far = plane.degrees(np.array([[3000.0, 0.0], [0.0, 4000.0]]))
    assert distance_m(112.0, 30.0, far[:, 0], far[:, 1]) == pytest.approx([3000.0, 4000.0], rel=1e-4)
    assert plane.metres(far) == pytest.approx(np.array([[3000.0, 0.0], [0.0, 4000.0]]), abs=1e-6)
    assert plane.east_m * plane.north_m * METRE**2 * 1e4 == pytest.approx(
        area_m2(shapely.box(112 - 5e-4, 30 - 5e-4, 112 + 5e-4, 30 + 5e-4)), rel=1e-6
    )
