"""Edits of a plan: how long one takes with its check and its numbers, and whether a long walk of them stays exact.

`bench_redraw.py [--edits 2000] [--quick]`. One thread, wall-clock. The plan opens on a town of 300 micro-grids and more
than 5,000 buildings; once in a county of two such towns, once in one of twelve, since what lies outside should not
cost. The peer of an edit is what a general library does for a split: cutting the polygon with the line and checking
the whole coverage with GEOS, which leaves the neighbours without the new vertices.
"""

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import shapely
import shapely.ops

from boundaries import plan_findings, plan_metrics, redraw
from boundaries.draft import Draft
from boundaries.ground import Ground, ranges_of
from boundaries.plan_households import Households
from gridmap import demo
from gridmap.errors import GridmapError
from gridmap.settings import Settings
from tests.boundaries.redraw_ground import NOW, edition, faults, free_land, ground, requests

LIMIT_MS = 100.0
GRIDS, COMPREHENSIVE, VILLAGES, HOUSEHOLDS = 300, 60, 10, 23_400


def county(towns):
    size = demo.Size(
        households=HOUSEHOLDS * towns, micro_grids=GRIDS * towns, comprehensive=COMPREHENSIVE * towns,
        villages=VILLAGES * towns, towns=towns, events=10,
    )  # fmt: skip
    return demo.build(size, now=NOW)


class Plan:
    """A plan on the first town of a county, without a database."""

    def __init__(self, towns):
        city = county(towns)
        base = edition(city)
        self.draft = Draft.open(base, str(base.code[base.kind == "town"][0]))
        self.world = ground(city, base.geom[base.row[self.draft.scope]])
        homes = self.world.homes
        ones = np.ones(len(homes), dtype=np.int64)
        self.ground = Ground(
            homes, Households(self.draft, homes), Households(self.draft, homes, ones), digest=0
        )
        self.settings = Settings(home=Path(tempfile.gettempdir()), secret_key="of no account here")
        self.areas = len(base)

    def after(self, draft):
        """What a planner is told after an edit: findings and numbers."""
        plan_findings.check_plan(draft, self.ground, self.settings)
        ranges = ranges_of(self.settings.household_ranges)
        found = plan_metrics.numbers(draft, self.ground, {}, {}, ranges)
        plan_metrics.totals(draft, self.ground, found)


def timed(plan, edits, seed=3):
    """Milliseconds of edits by their op, whole: edit, check, numbers."""
    chance = np.random.default_rng(seed)
    draft, spent = plan.draft, defaultdict(list)
    plan.after(draft)
    while sum(map(len, spent.values())) < edits:
        request = next(requests(draft, plan.world, chance))
        began = time.perf_counter()
        try:
            after = draft.after(redraw.apply(draft, plan.world, request))
        except GridmapError:
            continue
        edited = time.perf_counter()
        plan.after(after)
        ended = time.perf_counter()
        spent[request["op"]].append(((edited - began) * 1000, (ended - began) * 1000))
        draft = after
    return spent


def peer(plan, seed=3):
    """Milliseconds of splits as a general library does them, and how many leave an invalid coverage."""
    chance = np.random.default_rng(seed)
    grids = [area for area in plan.draft.inside() if area.kind == "micro"]
    shapes = np.array([area.geom for area in grids], dtype=object)
    spent, broken = [], 0
    for _ in range(40):
        at = int(chance.integers(len(grids)))
        west, south, east, north = shapes[at].bounds
        line = shapely.LineString(
            [(west, chance.uniform(south, north)), (east, chance.uniform(south, north))]
        )
        began = time.perf_counter()
        pieces = shapely.get_parts(shapely.ops.split(shapes[at].geoms[0], line))
        after = np.concatenate([np.delete(shapes, at), pieces])
        broken += not shapely.coverage_is_valid(after)
        spent.append((time.perf_counter() - began) * 1000)
    return float(np.median(spent)), broken


def walk(plan, edits, seed=1):
    """A walk of edits, undo and redo; what was not exact."""
    chance = np.random.default_rng(seed)
    rest = free_land(plan.draft)
    trail, at, went, wrong = [plan.draft], 0, 0, []
    lived = plan.ground.households.of_base
    whole = sum(lived[area.code] for area in plan.draft.inside() if area.kind == "micro")
    while went < edits:
        chosen = chance.random()
        if chosen < 0.12 and at > 0:
            at -= 1
        elif chosen < 0.2 and at + 1 < len(trail):
            at += 1
        else:
            request = next(requests(trail[at], plan.world, chance))
            try:
                step = redraw.apply(trail[at], plan.world, request)
            except GridmapError as error:
                if error.code in {"inexact", "invalid"}:
                    wrong.append(f"{request['op']}: {error}")
                continue
            trail[at + 1 :] = [trail[at].after(step)]
            at += 1
        went += 1
        draft = trail[at]
        wrong += faults(draft, rest)
        now = plan.ground.households.of(draft)
        if sum(now[area.code] for area in draft.inside() if area.kind == "micro") != whole:
            wrong.append("households are lost")
        if went % 500 == 0:
            print(f"  {went} edits, {len(draft.areas)} areas differ, {len(wrong)} faults", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=2000, help="of the walk")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    edits = 120 if given.quick else given.edits
    medians = []
    for towns in (2, 4) if given.quick else (2, 12):
        plan = Plan(towns)
        spent = timed(plan, 30 if given.quick else 200)
        every = [whole for of_op in spent.values() for _, whole in of_op]
        medians.append(np.median(every))
        print(
            f"{plan.areas} areas in the county, {GRIDS} grids and {len(plan.world.homes)} buildings in the plan:"
        )
        for op, of_op in sorted(spent.items()):
            edit, whole = np.median(of_op, axis=0)
            longest = max(each for _, each in of_op)
            print(
                f"  {op:8} {edit:6.1f} ms, with check and numbers {whole:6.1f} ms, longest {longest:6.1f} ms"
            )
        most = np.quantile(every, 0.95)
        print(f"  all: median {medians[-1]:.1f} ms, 95 of 100 within {most:.1f} ms (limit {LIMIT_MS:.0f} ms)")
        if towns == 2:
            first = plan
    median, broken = peer(first)
    print(
        f"peer, a split and GEOS' check of the coverage alone: {median:.1f} ms; {broken} of 40 leave it invalid"
    )
    print(f"six times the county: {medians[1] / medians[0]:.2f} times the time")
    print(f"walk of {edits} edits, undo and redo:")
    wrong = walk(first, edits)
    print(f"  {len(wrong)} faults {wrong[:3]}")
    missed = bool(wrong) or medians[0] > LIMIT_MS
    print("MISSED" if missed else "met", dt.datetime.now(dt.UTC).strftime("%H:%M"))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
