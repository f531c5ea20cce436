"""The demonstration city: an invented county, whole from its province down to every house and event.

云江县 (code 990126; no division of the country has a code from 99) lies near 112° E, 30° N because an invented
county has to lie somewhere. Nothing in it is real: names come from lists of syllables, lines from a seed.
The same size, seed and moment give the same city, byte for byte.
"""

from collections.abc import Callable
from datetime import datetime

import numpy as np

from gridmap.demo import (
    buildings,
    coverage,
    division,
    events,
    fabric,
    outline,
    people,
    places,
    streets,
    terrain,
)
from gridmap.demo.city import FULL, TOWN, Areas, Buildings, City, Events, People, Size, Streets
from gridmap.demo.store import store
from gridmap.errors import InvalidInput

__all__ = [
    "FULL",
    "TOWN",
    "Areas",
    "Buildings",
    "City",
    "Events",
    "People",
    "Size",
    "Streets",
    "build",
    "store",
]

DEFAULT_SEED = 2026


def build(
    size: Size,
    seed: int = DEFAULT_SEED,
    *,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> City:
    """Invents a city.

    Args:
        size: `TOWN`, `FULL` or another.
        seed: everything follows from it.
        now: with a zone; the last event was reported just before it.
        progress: called with the name of each step as it begins.

    Raises:
        InvalidInput: `now` has no zone, or a grid would leave its range of households.
    """
    if now.tzinfo is None:
        raise InvalidInput("The moment needs a time zone.", code="no_time_zone")
    say = progress or (lambda _step: None)
    # a stream of chance for each step: a change in one leaves the others as they were
    chance = [np.random.default_rng([seed, step]) for step in range(7)]
    say("areas")
    density = terrain.lay_out(size, chance[0])
    plan = division.divide(size, density, chance[1])
    bend = terrain.bend_for(density, plan.river_y_m, chance[2])
    drawn = outline.draw(plan, bend, chance[2])
    layout = coverage.lay_out(drawn, chance[3])
    say("streets")
    lines, beside = streets.lay(drawn, layout, chance[3])
    say("buildings")
    target, alone = fabric.household_targets(size, layout, chance[4])
    footprints = fabric.Builder(plan, chance[4]).fill(layout, target, alone)
    homes = places.with_paths(buildings.stand(footprints, layout, bend, chance[4]), layout.areas)
    say("people")
    staff, posts = people.employ(layout, chance[5])
    say("events")
    happened = events.report(size, layout, (homes, beside), (staff, posts), (now, chance[6]))
    return City(
        size=size,
        seed=seed,
        now=now,
        areas=layout.areas,
        buildings=homes,
        streets=lines,
        people=staff,
        events=happened,
    )
