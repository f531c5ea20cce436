"""Households of a draft, counted where it differs from its base, against a count of everything anew."""

import numpy as np
import pytest
import shapely

from boundaries import redraw
from boundaries.draft import Draft
from boundaries.plan_households import Households
from gridmap.errors import GridmapError
from gridmap.index import AreaIndex
from tests.boundaries import redraw_ground


@pytest.fixture(scope="module")
def city():
    return redraw_ground.county(4_000)


def anew(draft, homes):
    """By the index of all areas, as buildings are placed when they are loaded."""
    areas = list(draft.inside())
    shapes = np.empty(len(areas), dtype=object)
    shapes[:] = [area.geom for area in areas]
    codes, kinds = [area.code for area in areas], [area.kind for area in areas]
    order = np.argsort(np.array(codes))
    codes, kinds = [codes[at] for at in order], [kinds[at] for at in order]
    paths = [draft.path(code) for code in codes]
    found = AreaIndex.from_arrays(shapes[order], codes, kinds, paths).locate(homes.lon, homes.lat, 0.0)
    counts = dict.fromkeys(codes, 0)
    for kind in set(kinds):
        for row, number in zip(found.holds[kind].tolist(), homes.households.tolist(), strict=True):
            if row >= 0:
                counts[codes[row]] += number
    return counts


@pytest.mark.parametrize("seed", [1, 2])
def test_a_walk_of_edits(city, seed):
    base = redraw_ground.edition(city)
    town = next(code for code, kind in zip(base.code, base.kind, strict=True) if kind == "town")
    world = redraw_ground.ground(city, base.geom[base.row[town]])
    draft = Draft.open(base, town)
    households = Households(draft, world.homes)
    assert households.of(draft) == households.of_base == anew(draft, world.homes)
    total = sum(world.homes.households.tolist())
    chance = np.random.default_rng(seed)
    done = 0
    for request in redraw_ground.requests(draft, world, chance):
        if request["op"] == "move":
            continue
        try:
            draft = draft.after(redraw.apply(draft, world, request))
        except GridmapError:
            continue
        counts = households.of(draft)
        assert counts == anew(draft, world.homes), request
        assert sum(counts[area.code] for area in draft.inside() if area.kind == "micro") == total
        done += 1
        if done == 12:
            return


def test_a_building_on_a_border_is_the_smaller_codes(city):
    """Before an edit and after, as everywhere."""
    base = redraw_ground.edition(city)
    town = next(code for code, kind in zip(base.code, base.kind, strict=True) if kind == "town")
    draft = Draft.open(base, town)
    world = redraw_ground.ground(city, base.geom[base.row[town]])
    micro = [area for area in draft.inside() if area.kind == "micro"]
    first, second = next(
        (one, other)
        for one in micro
        for other in micro
        if one.code < other.code and shapely.length(shapely.intersection(one.geom, other.geom)) > 0
    )
    border = shapely.get_coordinates(shapely.intersection(first.geom, second.geom))[0]
    homes = world.homes
    lon, lat = homes.lon.copy(), homes.lat.copy()
    lon[0], lat[0] = border
    moved = type(homes)(homes.code, lon, lat, homes.households, homes.geom, homes.group)
    households = Households(draft, moved)
    after = draft.after(redraw.apply(draft, world, {"op": "rename", "grid": second.code, "name": "x"}))
    assert households.of(after) == households.of_base == anew(after, moved)
