"""Whose an event became: the rules of `gridmap.routing` for a million at once, at the hour of reporting.

Nobody's load is counted: whoever had too much in hand two years ago is not remembered.
"""

from collections.abc import Mapping

import numpy as np

from gridmap.demo import rhythm
from gridmap.demo.city import Flags, Floats, Ints, Objects, People
from gridmap.demo.coverage import Layout
from gridmap.demo.people import Posts, on_duty


def assign(
    layout: Layout,
    staff: tuple[People, Posts],
    happened: tuple[Objects, Floats, Flags],
    place: tuple[Ints, Ints, Ints, tuple[str, ...]],
) -> tuple[Ints, Ints, Ints]:
    """Worker or unit of every event, and how many levels above its own grid they serve.

    Args:
        layout: the grids.
        staff: everybody, and who serves what.
        happened: category, moment of reporting in seconds, and whether nobody has taken the event up yet.
        place: rows of owner and leaf, and which of the distinct `paths` hold it.

    Returns:
        Row of the worker or -1, row of the unit or -1, level.
    """
    people, posts = staff
    category, reported_at, nobody = happened
    owner, leaf, held, paths = place
    micro, grid, village = _chain(layout, leaf)
    _, weekday, minute = rhythm.local_clock(reported_at)
    police = category == "police_case"
    station = np.array([_station(text, posts.station_by_path) for text in paths])[held]
    worker = np.full(len(leaf), -1)
    level = np.zeros(len(leaf), dtype=np.int64)
    # a dedicated grid is the finest level of its chain, and has no people of its own
    finest = ((owner >= 0) & (layout.areas.kind[owner] == "dedicated")).astype(np.int64)
    above = finest + np.select([micro >= 0, grid >= 0], [2, 1], 0)
    field = ~police
    officer = police & (station < 0)
    for post, step, fits in (
        (_post(posts.full_time, micro), finest, field),
        (_post(posts.part_time, micro), finest, field),
        (_post(posts.leader, grid), above - 1, field),
        (_post(posts.mediator, village), above, category == "dispute"),
        (_post(posts.liaison, village), above, field),
        (_post(posts.night_liaison, village), above, field),
        (_post(posts.police[:, 0], village), above, officer),
        (_post(posts.police[:, 1], village), above, officer),
        (_post(posts.police[:, 2], village), above, officer),
    ):
        free = (worker < 0) & fits & on_duty(people, weekday, minute, post)
        worker[free] = post[free]
        level[free] = step[free]
    unit = np.where(police, station, _post(posts.committee, village))
    unit[worker >= 0] = -1
    # what no area holds, a dispatcher gave to the county's centre by hand
    unit[(worker < 0) & (unit < 0) & ~nobody] = posts.county_centre
    return worker, unit, level


def _station(paths: str, stations: Mapping[str, int]) -> int:
    for path in paths[1:-1].split(","):
        if path in stations:
            return stations[path]
    return -1


def _post(workers: Ints, position: Ints) -> Ints:
    return np.where(position >= 0, workers[position], -1)


def _chain(layout: Layout, leaf: Ints) -> tuple[Ints, Ints, Ints]:
    """Positions of the micro-grid, comprehensive grid and village whose people are asked, -1 for none."""
    count = len(layout.areas) + 1  # the last for leaf -1
    of_micro, of_grid, of_village = (np.full(count, -1) for _ in range(3))
    of_micro[layout.micro_row] = np.arange(len(layout.micro_row))
    of_grid[layout.comprehensive_row] = np.arange(len(layout.comprehensive_row))
    of_grid[layout.micro_row] = layout.comprehensive_of_micro
    of_village[layout.village_row] = np.arange(len(layout.village_row))
    of_village[layout.comprehensive_row] = layout.village_of_comprehensive
    of_village[layout.micro_row] = layout.village_of_micro
    return of_micro[leaf], of_grid[leaf], of_village[leaf]
