"""Who touches whom, and what goes along when buildings change their grid."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from boundaries.blocks import blocks_of
from boundaries.border_vertices import with_vertices
from boundaries.exact import combine
from boundaries.face_graph import contact_m, graph_of
from boundaries.face_moves import moved, planned_move
from boundaries.faces import Buildings, faces_of
from gridmap.crs import length_m
from gridmap.errors import InvalidInput
from tests.boundaries.landscape import area, box, buildings_in, line, shapes, streets

WEST, EAST = box(0, 0, 100, 100), box(100, 0, 200, 100)
NORTH = box(0, 100, 100, 200)
CROSS = [line((50, -5), (50, 105)), line((-5, 50), (105, 50))]


def corners(*places):
    """Houses of ten metres around places."""
    return Buildings(
        geom=shapes(*[box(x - 5, y - 5, x + 5, y + 5) for x, y in places]),
        households=np.full(len(places), 3),
    )


def laid(*places, lines=(), classes=None):
    faces = faces_of(WEST, corners(*places), shapes(*lines))
    return faces, graph_of(faces, classes)


def contacts(graph, mask):
    return list(zip(graph.left[mask].tolist(), graph.right[mask].tolist(), strict=True))


def test_contacts_are_measured_on_the_ground():
    faces, graph = laid((25, 50), (75, 50))
    assert contacts(graph, graph.touches) == [(0, 1)]
    common = shapely.intersection(*faces.polygon)
    assert graph.length_m == pytest.approx([float(length_m(common))], rel=1e-5)
    assert graph.street_m.tolist() == [0.0]
    assert graph.street.tolist() == [-1]
    assert graph.outer_m.sum() == pytest.approx(float(length_m(WEST.exterior)), rel=1e-5)


def test_four_corners_do_not_touch_across():
    _, graph = laid((25, 25), (75, 25), (25, 75), (75, 75), lines=CROSS)
    assert contacts(graph, graph.touches) == [(0, 1), (0, 2), (1, 3), (2, 3)]


def test_a_barrier_cuts_and_a_street_does_not():
    lines = [line((-5, 50), (105, 50)), line((50, 50), (50, 105))]
    faces, graph = laid((50, 25), (25, 75), (75, 75), lines=lines, classes=["river", "lane"])
    assert contacts(graph, graph.touches) == [(0, 1), (0, 2), (1, 2)]
    assert contacts(graph, graph.connects) == [(1, 2)]
    assert graph.street.tolist() == [0, 0, 1]
    assert graph.street_m == pytest.approx(graph.length_m)
    assert graph.barrier_m[2] == 0.0
    assert contacts(graph_of(faces), graph_of(faces).connects) == [(0, 1), (0, 2), (1, 2)]


def test_the_contact_with_a_neighbour_is_that_of_the_face():
    faces, graph = laid((25, 50), (75, 50))
    grown = with_vertices(shapes(EAST, NORTH), faces.added)
    assert contact_m(graph, grown[0]) == pytest.approx([0, 110.8], rel=1e-2)
    assert contact_m(graph, grown[1]) == pytest.approx([48, 48], rel=5e-2)


def check(faces, move, neighbour, others=()):
    """What a move gives is exact, with all who share the border."""
    after = moved(faces, move, neighbour)
    every = with_vertices(shapes(*others), after.added) if others else np.empty(0, dtype=object)
    coverage = np.concatenate([shapes(after.scope, after.neighbour), every])
    assert shapely.coverage_is_valid(coverage)
    before = with_vertices(shapes(faces.scope, neighbour), after.added)
    unions = [shapely.coverage_union_all(each) for each in (coverage[:2], before)]
    assert shapely.equals_exact(*[shapely.normalize(each) for each in unions], 0.0)
    # the same by the way that edits of a plan go
    kept, grown = combine([before[0]], [after.land]), combine([before[1], after.land])
    for mine, edited in ((after.scope, kept), (after.neighbour, grown)):
        pair = [shapely.normalize(shapely.multipolygons(shapely.get_parts(each))) for each in (mine, edited)]
        assert shapely.equals_exact(*pair, 0.0)
    return after


def test_a_house_at_the_border_moves_with_its_land():
    faces, graph = laid((25, 25), (75, 25), (25, 75), (75, 75))
    move = planned_move(faces, graph, [1], EAST)
    assert move.holds
    assert move.faces.tolist() == [1]
    assert len(move.along) == 0
    after = check(faces, move, EAST, [NORTH])
    assert shapely.covers(after.neighbour, faces.shape).tolist() == [False, True, False, False]
    assert shapely.covers(after.scope, faces.shape).tolist() == [True, False, True, True]
    # only where the new border meets the old one is there a new vertex
    assert len(after.added) == 2


def test_empty_land_in_between_goes_along():
    faces, graph = laid((20, 50), (50, 50), lines=[line((70, -5), (70, 105))])
    move = planned_move(faces, graph, [1], EAST)
    assert move.holds
    assert faces.building[move.along].tolist() == [-1]
    after = check(faces, move, EAST, [NORTH])
    assert after.scope.geom_type == "Polygon"


def test_inhabited_land_in_between_is_named():
    faces, graph = laid((20, 50), (50, 50), (80, 50))
    move = planned_move(faces, graph, [0], EAST)
    assert (move.trouble, move.buildings.tolist(), move.along.tolist()) == ("all", [1, 2], [1, 2])
    move = planned_move(faces, graph, [1], EAST)
    assert (move.trouble, move.buildings.tolist(), move.along.tolist()) == ("apart", [2], [2])
    check(faces, move, EAST, [NORTH])


def test_what_would_be_torn_off_is_named():
    faces, graph = laid((50, 20), (50, 50), (50, 80))
    move = planned_move(faces, graph, [1], EAST)
    assert (move.trouble, tuple(move.buildings.tolist())) in {("torn", (0,)), ("torn", (2,))}
    check(faces, move, EAST, [NORTH])


def test_everybody_and_strangers_cannot_be_moved():
    faces, graph = laid((25, 50), (75, 50))
    everybody = planned_move(faces, graph, [0, 1], EAST)
    stranger = planned_move(faces, graph, [0], box(300, 0, 400, 100))
    assert (everybody.trouble, stranger.trouble) == ("all", "not_neighbours")
    for move in (everybody, stranger):
        with pytest.raises(InvalidInput) as refused:
            moved(faces, move, EAST)
        assert refused.value.code == "not_contiguous"
    for rows in ([], [2], [-1]):
        with pytest.raises(InvalidInput):
            planned_move(faces, graph, rows, EAST)


def test_a_smoother_border_cuts_no_house():
    row, column = np.divmod(np.arange(30), 5)
    houses = corners(*np.column_stack([8.0 + 18 * column + 12 * (row % 2), 10.0 + 15 * row]))
    faces = faces_of(WEST, houses)
    graph = graph_of(faces)
    east = np.flatnonzero(contact_m(graph, with_vertices(shapes(EAST), faces.added)[0])[faces.face_of] >= 1)
    move = planned_move(faces, graph, east, EAST)
    assert move.holds
    rough, smooth = moved(faces, move, EAST, smooth_m=0), moved(faces, move, EAST)
    assert shapely.get_num_coordinates(smooth.scope) < shapely.get_num_coordinates(rough.scope)
    for each in (rough, smooth, moved(faces, move, EAST, smooth_m=40)):
        whole = shapely.covers(each.scope, faces.shape) | shapely.covers(each.neighbour, faces.shape)
        assert whole.all()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_moves_on_any_land_are_exact(seed):
    rng = np.random.default_rng(seed)
    whole = area(rng)
    ways = streets(int(rng.integers(0, 5)), rng)
    # two halves of one area share a border bit for bit once each has the other's vertices
    halves = blocks_of(whole, shapes(line((-400, -20), (5, 3), (500, 10)))).polygon
    halves = halves[np.argsort(-shapely.area(halves))][:2]
    if len(halves) < 2:
        return
    giver, taker = halves
    geoms = buildings_in(giver, int(rng.integers(1, 25)), rng)
    if not len(geoms):
        return
    faces = faces_of(giver, Buildings(geom=geoms, households=rng.integers(0, 9, len(geoms))), ways)
    graph = graph_of(faces)
    rows = rng.choice(len(geoms), size=int(rng.integers(1, len(geoms) + 1)), replace=False)
    move = planned_move(faces, graph, rows, taker)
    assert np.isin(faces.face_of[rows], move.faces).all()
    assert np.isin(faces.face_of[move.buildings], move.along).all()
    if move.trouble in {"not_neighbours", "all"} or len(move.faces) == len(faces):
        return
    if move.holds:
        assert (faces.building[move.along] < 0).all()
    after = check(faces, move, taker)
    assert after.scope.geom_type == "Polygon"
