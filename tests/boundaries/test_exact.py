"""Land added and taken away by its edges, and walks of edits that leave a coverage exact."""

import numpy as np
import pytest
import shapely

from boundaries import redraw
from boundaries.cutting import cut
from boundaries.draft import Draft
from boundaries.exact import combine
from boundaries.homes import World
from gridmap.borders import insert
from gridmap.errors import GridmapError, InvalidInput
from tests.boundaries.redraw_ground import faults, free_land, ground, requests

EDITS = 60


@pytest.fixture(scope="module")
def town(city, base):
    code = str(base.code[base.kind == "town"][0])
    return Draft.open(base, code), ground(city, base.geom[base.row[code]])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_walk_of_edits_leaves_the_coverage_exact_after_each(town, seed):
    draft, world = town
    chance = np.random.default_rng(seed)
    rest, now, went, refusals = free_land(draft), draft, 0, []
    total = int(world.homes.households.sum())
    while went < EDITS:
        request = next(requests(now, world, chance))
        try:
            after = now.after(redraw.apply(now, world, request))
        except GridmapError as error:
            refusals.append((error.code, request))
            continue
        assert faults(after, rest) == [], request
        now, went = after, went + 1
    assert [each for each in refusals if each[0] in {"inexact", "invalid"}] == []
    grids = [area for area in now.inside() if area.kind == "micro"]
    owned = np.zeros(len(world.homes), dtype=int)
    for area in grids:
        owned[world.homes.within(area.geom)] += 1
    before = np.zeros(len(world.homes), dtype=int)
    for area in [area for area in draft.inside() if area.kind == "micro"]:
        before[world.homes.within(area.geom)] += 1
    assert ((owned > 0) == (before > 0)).all()
    assert (
        int(world.homes.households[owned > 0].sum()) == int(world.homes.households[before > 0].sum()) <= total
    )


def test_land_is_added_and_taken_away_without_moving_a_vertex():
    ring = shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2))
    hole = shapely.box(1, 1, 2, 2)
    whole = combine([ring, hole])
    assert shapely.equals(whole, shapely.box(0, 0, 3, 3))
    assert shapely.equals(combine([whole], [hole]), ring)
    assert combine([hole], [hole]).is_empty
    with pytest.raises(InvalidInput):
        combine([shapely.box(0, 0, 1, 1)], [shapely.box(0.5, 0, 1.5, 1)])


def test_new_vertices_come_onto_an_edge_from_either_side():
    left, right = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)
    pieces = cut([left], shapely.LineString([(-1, 0.3), (1.00, 0.7)]))
    assert len(pieces.face) == 2
    grown = insert(right, pieces.inserted)
    assert grown is not None
    assert (1.0, 0.7) in set(map(tuple, shapely.get_coordinates(grown).tolist()))
    assert insert(shapely.box(5, 5, 6, 6), pieces.inserted) is None
    assert World().used == frozenset()
