"""An edition is taken back after others redrew what lies beside it: the coverage is exact, their work stays."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import shapely

from boundaries import redraw
from boundaries.draft import Draft, PlannedArea
from gridmap.borders import only_got_vertices
from gridmap.crs_measures import area_m2
from gridmap.errors import GridmapError
from gridmap.next_edition import Stored
from gridmap.undoing import Undone
from tests.boundaries.redraw_ground import faults, free_land, geojson, ground, requests


@pytest.fixture(scope="module")
def villages(base):
    return [str(code) for code in base.code[base.kind == "village"]]


def differs(one, other):
    """Whether an area is another one, whatever vertices are on its border."""
    if one is None or other is None:
        return one is not other
    facts = [(each.kind, each.name, each.setting, each.parent) for each in (one, other)]
    return facts[0] != facts[1] or float(area_m2(shapely.symmetric_difference(one.geom, other.geom))) > 1e-4


def undone(before, after, now):
    """What is known of the step from a draft to the next one, when another one is the newest."""
    codes = {*before.areas, *after.areas, *now.areas}
    its = {code for code in codes if before.get(code) != after.get(code)}
    later = {code for code in codes - its if after.get(code) != now.get(code)}
    touched = {code for code in its if not differs(before.get(code), after.get(code))}

    def states(draft, codes):
        living = ((code, area) for code in codes if (area := draft.get(code)) is not None)
        return {
            code: Stored(each.kind, each.name, each.setting, each.parent, "", each.geom)
            for code, each in living
        }

    return Undone(
        states(before, its), states(after, its), states(now, its), frozenset(touched), states(now, later)
    )


def taken_back(now, restored):
    areas = dict(now.areas)
    for code, area in restored.items():
        if area is None and code not in now.base.row:
            del areas[code]
            continue
        facts = area and {name: getattr(area, name) for name in ("kind", "name", "setting", "parent", "geom")}
        areas[code] = facts and PlannedArea(code=code, **facts)
    return replace(now, areas=areas)


def all_fit(draft):
    """Whether what lies around the scope fits what lies in it."""
    return all(
        shapely.coverage_is_valid(np.array([area.geom for area in areas], dtype=object))
        for kind in ("micro", "comprehensive", "village")
        if (
            areas := [
                area
                for code in {*draft.base.code, *draft.areas}
                if (area := draft.get(code)) is not None and area.kind == kind
            ]
        )
    )


def edited(draft, world, chance):
    asked = requests(draft, world, chance)
    while True:
        try:
            return draft.after(redraw.apply(draft, world, next(asked)))
        except GridmapError:
            continue


def test_whatever_is_taken_back_the_coverage_is_exact_and_what_others_did_stays(city, base, villages):
    chance, seen = np.random.default_rng(5), Counter()
    for scope in [*villages, *villages][:12]:
        draft = Draft.open(base, scope)
        world, rest = ground(city, base.geom[base.row[scope]]), free_land(draft)
        editions = [draft, edited(draft, world, chance)]
        for _ in range(12):
            now = editions[-1]
            if chance.random() < 0.45:
                editions.append(edited(now, world, chance))
                continue
            at = int(chance.integers(max(1, len(editions) - 4), len(editions)))
            its = undone(*editions[at - 1 : at + 1], now)
            really = {code for code in its.changed if differs(its.after.get(code), its.now.get(code))}
            assert set(its.changed_since) == really
            if really:
                seen["refused"] += 1
                continue
            restored = its.restored()
            assert its.in_the_way(restored) == []
            after = taken_back(now, restored)
            assert faults(after, rest) == []
            assert all_fit(after)
            living = [code for code, area in restored.items() if area is not None]
            assert all(only_got_vertices(its.before[code].geom, restored[code].geom) for code in living)
            count = [households(editions[at - 1], world, code) for code in living]
            assert count == [households(after, world, code) for code in living]
            merged = any(size(restored, code) > size(its.before, code) for code in living)
            seen["merged" if merged else "plain"] += 1
            editions.append(after)
    assert min(seen[what] for what in ("refused", "merged", "plain")) > 2, seen


def size(areas, code):
    return shapely.get_num_coordinates(areas[code].geom)


def households(draft, world, code):
    return int(world.homes.households[world.homes.within(draft.get(code).geom)].sum())


def test_a_neighbours_cut_is_on_the_border_that_comes_back(city, base, villages):
    """A is split; then B beside it, with a cut that ends on A: back comes A, with B's vertex on its border."""
    draft = Draft.open(base, villages[0])
    world = ground(city, base.geom[base.row[villages[0]]])
    micro = [area for area in draft.inside() if area.kind == "micro"]
    for one in micro:
        for other in micro:
            found = _cut_one_and_its_neighbour(draft, world, one, other)
            if found is not None:
                break
        if found is not None:
            break
    first, second, added = found
    its = undone(draft, first, second)
    assert other.code in its.touched  # by the cut of A; redrawn since, and it stays so
    assert its.changed_since == []
    restored = its.restored()
    assert restored.keys() == its.changed
    assert other.code not in restored
    back = restored[one.code].geom
    assert added <= places(back)
    assert area_m2(back) == pytest.approx(area_m2(one.geom), abs=1e-4)
    after = taken_back(second, restored)
    assert faults(after, free_land(draft)) == []
    assert after.get(other.code).geom == second.get(other.code).geom
    named = second.after(redraw.apply(second, world, {"op": "rename", "grid": other.code, "name": "改名"}))
    assert undone(first, second, named).changed_since == [other.code]
    assert undone(first, named, named).changed_since == []


def places(geom):
    return set(map(tuple, shapely.get_coordinates(geom).tolist()))


def _cut_one_and_its_neighbour(draft, world, one, other):
    """Both drafts and the vertices of A that the second cut made; None where these two are not such neighbours."""
    if one is other or not shapely.touches(one.geom, other.geom):
        return None
    (x0, y0), (x1, y1) = (shapely.get_coordinates(shapely.centroid(each.geom))[0] for each in (one, other))
    away = shapely.LineString([(2 * x1 - x0, 2 * y1 - y0), (2 * x0 - x1, 2 * y0 - y1)])  # through both
    try:
        first = draft.after(
            redraw.apply(draft, world, {"op": "split", "grid": one.code, "line": geojson(away)})
        )
        away = shapely.transform(away, lambda xy: xy + np.array([2e-5, 1e-5]))
        second = first.after(
            redraw.apply(first, world, {"op": "split", "grid": other.code, "line": geojson(away)})
        )
    except GridmapError:
        return None
    pieces = [
        area for area in first.changed if shapely.intersects(area.geom, one.geom) and area.kind == "micro"
    ]
    added = set().union(
        *(
            places(second.get(each.code).geom) - places(each.geom)
            for each in pieces
            if each.code != other.code
        )
    )
    touched = first.get(other.code).touched
    return (first, second, added) if touched and added else None
