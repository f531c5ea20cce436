"""What is found and counted of a draft by what changed since the last time is what a look at everything finds."""

from dataclasses import replace

import numpy as np
import pytest

from boundaries import redraw
from boundaries.draft import Draft
from boundaries.ground import Ground, ranges_of
from boundaries.plan_findings import check_plan
from boundaries.plan_households import Households
from boundaries.plan_metrics import numbers
from gridmap.errors import GridmapError
from tests.boundaries.redraw_ground import county, edition, ground, requests


@pytest.fixture(scope="module")
def town():
    city = county(7_000)
    base = edition(city)
    code = str(base.code[base.kind == "town"][0])
    return Draft.open(base, code), ground(city, base.geom[base.row[code]])


def under(draft, homes):
    ones = np.ones(len(homes), dtype=np.int64)
    return Ground(homes, Households(draft, homes), Households(draft, homes, ones), digest=0)


@pytest.mark.parametrize("seed", [3, 4])
def test_a_walk_back_and_forth_is_told_as_if_seen_for_the_first_time(town, settings, seed):
    draft, world = town
    chance = np.random.default_rng(seed)
    kept = under(draft, world.homes)
    ranges = ranges_of(settings.household_ranges)
    trail, at = [draft], 0
    for _ in range(25):
        chosen = chance.random()
        if chosen < 0.3:
            at = int(chance.integers(len(trail)))
        else:
            try:
                step = redraw.apply(trail[at], world, next(requests(trail[at], world, chance)))
            except GridmapError:
                continue
            trail[at + 1 :] = [trail[at].after(step)]
            at += 1
        now, fresh = trail[at], under(draft, world.homes)
        found = check_plan(now, kept, settings)
        whole = check_plan(now, fresh, settings, whole=True)
        assert [each.as_dict() for each in found.findings] == [each.as_dict() for each in whole.findings]
        assert found.errors == whole.errors
        assert kept.households.of(now) == fresh.households.of(now)
        assert kept.buildings.of(now) == fresh.buildings.of(now)
        assert numbers(now, kept, {}, {}, ranges) == numbers(now, fresh, {}, {}, ranges)


def test_check_and_numbers_agree_that_one_building_may_stand_alone(town, settings):
    draft, world = town
    homes = world.homes
    ranges = ranges_of(settings.household_ranges)
    grids = {each.area.code: each for each in numbers(draft, under(draft, homes), {}, {}, ranges)}
    held = draft.base.codes(draft.base.index.locate(homes.lon, homes.lat, 0.0).holds["micro"])
    codes = sorted(set(held.tolist()) & {code for code, each in grids.items() if each.buildings > 1})
    alone, crowd = codes[:2]
    keep = np.array([code != alone for code in held])
    keep[np.flatnonzero(held == alone)[0]] = True
    households = np.where(np.isin(held, [alone, crowd]), 104, homes.households)[keep]
    fewer = replace(
        homes, code=homes.code[keep], lon=homes.lon[keep], lat=homes.lat[keep], households=households,
        geom=homes.geom[keep], group=homes.group[keep],
    )  # fmt: skip
    told = under(draft, fewer)
    out = {each.area for each in check_plan(draft, told, settings, whole=True).findings
           if each.code == "households_out_of_range"}  # fmt: skip
    assert out == {each.area.code for each in numbers(draft, told, {}, {}, ranges) if each.breach}
    assert crowd in out
    assert alone not in out
    assert told.households.of(draft)[alone] == 104
