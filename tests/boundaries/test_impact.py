"""What a plan changes, worked out around the changes alone, against counting everything anew; over a random walk."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from boundaries import redraw
from boundaries.draft import Draft
from boundaries.impact import NESTING_GRIDS, impact
from boundaries.plan_following import following
from boundaries.plan_households import Households, holders
from gridmap.foresight import foresee
from gridmap.next_edition import NextEdition
from gridmap.routing import Person, Roster
from tests.boundaries.redraw_ground import GridmapError, county, edition, ground, requests

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def town():
    city = county(2400)
    base = edition(city)
    draft = Draft.open(base, base.code[np.flatnonzero(base.kind == "town")[0]])
    return draft, ground(city, draft.get(draft.scope).geom)


def walked(town, seed, edits=6):
    draft, world = town
    asked = requests(draft, world, np.random.default_rng(seed))
    while edits:
        try:
            draft = draft.after(redraw.apply(draft, world, next(asked)))
        except GridmapError:
            continue
        edits -= 1
    return draft, world.homes


@pytest.mark.parametrize("seed", range(12))
def test_buildings_and_flows_are_those_of_counting_all(town, seed):
    draft, homes = walked(town, seed)
    counts = Households(draft, homes)
    roster = Roster(ZONE)
    seen = foresee(draft.base, following(draft), roster, 50.0)
    told = impact(draft, homes, seen, roster, (counts.of_base, counts.of(draft)))
    places = homes.lon, homes.lat
    nothing = Draft.open(draft.base, draft.scope)
    for at, which in ((told.buildings.before, nothing), (told.buildings.after, draft)):
        finest = np.full(len(homes), "", dtype=object)
        for kind in NESTING_GRIDS[::-1]:
            held = holders(which, kind, places)
            finest[held != ""] = held[held != ""]
        assert [each or "" for each in at] == finest.tolist()
    before, after = counts.of_base, counts.of(draft)
    for group in told.grids:
        for code in group.new:
            assert sum(flow.households for flow in group.flows if flow.new == code) == after[code]
        for code in group.old:
            assert sum(flow.households for flow in group.flows if flow.old == code) == before[code]
    named = {code for group in told.grids for code in group.old + group.new}
    assert set(told.retired) | set(told.born) <= named


def test_a_plan_without_changes_has_no_impact(town):
    draft, world = town
    counts = Households(draft, world.homes)
    seen = foresee(draft.base, following(draft), Roster(ZONE), 50.0)
    told = impact(draft, world.homes, seen, Roster(ZONE), (counts.of_base, counts.of(draft)))
    assert following(draft) == NextEdition(draft.base.edition, {}, {}, {}, {})
    assert (told.grids, told.people, told.retired, told.born) == ([], [], [], [])
    assert len(told.buildings.rows) == 0


def test_who_serves_a_grid_that_is_cut_serves_both_and_households_count_once(town):
    draft, world = town
    grid = next(area for area in draft.inside() if area.kind == "comprehensive" and draft.children(area.code))
    micro = draft.children(grid.code)[0]
    west, south, east, north = micro.geom.bounds
    middle = (west + east) / 2
    line = {"type": "LineString", "coordinates": [[middle, south - 0.01], [middle, north + 0.01]]}
    after = draft.after(redraw.apply(draft, world, {"op": "split", "grid": micro.code, "line": line}))
    one = Person(1, "a", "甲", "worker_full_time", 3, ())
    both = Person(2, "b", "乙", "leader", 3, ())
    roster = Roster(ZONE, {1: one, 2: both}, {}, {micro.code: (one, both), grid.code: (both,)}, {})
    seen = foresee(draft.base, following(after), roster, 50.0)
    counts = Households(draft, world.homes)
    told = impact(after, world.homes, seen, roster, (counts.of_base, counts.of(after)))
    (born,) = told.born
    served = {each.who.name: each for each in told.people}
    assert served["甲"].new == tuple(sorted((micro.code, born)))
    assert served["甲"].households == served["甲"].households_before == counts.of_base[micro.code]
    assert served["乙"].new == tuple(sorted((grid.code, micro.code, born)))
    assert served["乙"].households == counts.of_base[grid.code]
