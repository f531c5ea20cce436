"""Units, workers by role, the areas that they serve, and weekly duty: somebody is there at any hour."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gridmap.demo import names
from gridmap.demo.city import Flags, Ints, Objects, People
from gridmap.demo.coverage import COUNTY_CODE, Layout

DAY, EVENING, NIGHT = (8 * 60, 18 * 60), (17 * 60, 22 * 60), (20 * 60, 8 * 60)
LONG_DAY = (7 * 60 + 30, 20 * 60 + 30)
EARLY, LATE, SMALL_HOURS = (6 * 60, 14 * 60), (14 * 60, 22 * 60), (22 * 60, 6 * 60)
WEEK, WORKDAYS = tuple(range(1, 8)), (1, 2, 3, 4, 5)
TO_SATURDAY, FROM_WEDNESDAY = (2, 3, 4, 5, 6), (3, 4, 5, 6, 7)

DEPARTMENTS = (
    "住房和城乡建设局",
    "综合行政执法局",
    "应急管理局",
    "市场监督管理局",
    "信访局",
    "人力资源和社会保障局",
    "民政局",
)


@dataclass(frozen=True)
class Posts:
    """Who serves what, by position in the layout: rows of units and workers, -1 for nobody."""

    county_centre: int
    town_centre: Ints
    station_by_path: dict[str, int]  # path of the precinct → row of the unit
    committee: Ints  # of a village
    leader: Ints  # of a comprehensive grid
    full_time: Ints  # of a micro-grid
    part_time: Ints
    liaison: Ints  # of a village, by day
    night_liaison: Ints
    mediator: Ints
    police: Ints  # of a village, in three shifts: (n, 3)


@dataclass
class _Register:
    """Rows as they are entered."""

    units: list[tuple[str, str, str]] = field(default_factory=list)
    workers: list[tuple[str, int, int]] = field(default_factory=list)  # role, capacity, unit
    services: list[tuple[int, int, int]] = field(default_factory=list)
    shifts: list[tuple[int, int, int, int]] = field(default_factory=list)

    def unit(self, code: str, name: str, kind: str, area: int) -> int:
        self.units.append((f"{COUNTY_CODE}-{code}", name, kind))
        self.services.append((-1, len(self.units) - 1, area))
        return len(self.units) - 1

    def worker(self, role: str, capacity: int, areas: list[int], unit: int = -1) -> int:
        self.workers.append((role, capacity, unit))
        number = len(self.workers) - 1
        self.services.extend((number, -1, area) for area in areas)
        return number

    def duty(self, worker: int, days: tuple[int, ...], hours: tuple[int, int]) -> None:
        self.shifts.extend((worker, day, *hours) for day in days)


def employ(layout: Layout, rng: np.random.Generator) -> tuple[People, Posts]:
    """Everybody who works for the county's grids; names are drawn at random."""
    register = _Register()
    posts = _units(register, layout)
    leader, full_time, part_time = _grid_workers(register, layout, rng)
    liaison, night_liaison, mediator, police = _village_workers(register, layout, posts)
    _seconded(register, layout, posts)
    people = _people(register, rng)
    path = layout.areas.path
    return people, Posts(
        county_centre=posts.county_centre,
        town_centre=posts.town_centre,
        station_by_path={str(path[row]): unit for row, unit in posts.station_of_precinct.items()},
        committee=posts.committee,
        leader=leader,
        full_time=full_time,
        part_time=part_time,
        liaison=liaison,
        night_liaison=night_liaison,
        mediator=mediator,
        police=police,
    )


@dataclass(frozen=True)
class _Units:
    county_centre: int
    town_centre: Ints
    station_of_precinct: dict[int, int]
    committee: Ints
    precinct_of_village: Ints


def _units(register: _Register, layout: Layout) -> _Units:
    areas = layout.areas
    county = int(areas.rows_of("county")[0])
    centre = register.unit("ZZ000", f"{names.COUNTY}综治中心", "centre", county)
    towns = [
        register.unit(f"ZZ{areas.code[row][6:]}", f"{areas.name[row]}综治中心", "centre", int(row))
        for row in layout.town_row
    ]
    stations = {
        int(row): register.unit(
            f"PS{areas.code[row][-2:]}", areas.name[row].removesuffix("辖区"), "police_station", int(row)
        )
        for row in areas.rows_of("precinct")
    }
    for row in areas.rows_of("justice"):
        register.unit(
            f"SF{areas.code[row][-2:]}", areas.name[row].removesuffix("辖区"), "justice_office", int(row)
        )
    for number, name in enumerate(DEPARTMENTS):
        register.unit(f"BM{number + 1:02d}", f"{names.COUNTY}{name}", "department", county)
    committees = [
        register.unit(f"TJ{areas.code[row][6:]}", f"{areas.name[row]}人民调解委员会", "committee", int(row))
        for row in layout.village_row
    ]
    return _Units(centre, np.array(towns), stations, np.array(committees), precinct_of_village(layout))


def precinct_of_village(layout: Layout) -> Ints:
    """Row of the precinct that holds each village."""
    areas = layout.areas
    inner = [areas.geom[row].representative_point() for row in layout.village_row]
    precincts = areas.rows_of("precinct")
    return np.array([next(int(row) for row in precincts if areas.geom[row].covers(point)) for point in inner])


def _grid_workers(register: _Register, layout: Layout, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    leader = np.full(len(layout.comprehensive_row), -1, dtype=np.int64)
    full_time = np.full(len(layout.micro_row), -1, dtype=np.int64)
    part_time = np.full(len(layout.micro_row), -1, dtype=np.int64)
    by_grid = np.argsort(layout.comprehensive_of_micro, kind="stable")
    starts = np.searchsorted(layout.comprehensive_of_micro[by_grid], np.arange(len(leader)))
    for grid in np.argsort(layout.comprehensive_row, kind="stable").tolist():
        members = _members(by_grid, starts, grid)
        members = members[np.argsort(layout.micro_row[members])]
        area = int(layout.comprehensive_row[grid])
        leader[grid] = register.worker("leader", 10, [area])
        register.duty(int(leader[grid]), WEEK, LONG_DAY)
        backbone = register.worker("party_backbone", 5, [area])
        register.duty(backbone, WEEK, NIGHT)
        for pair in range(0, len(members), 2):
            served = members[pair : pair + 2]
            rows = layout.micro_row[served].tolist()
            worker = register.worker("worker_full_time", 10, rows)
            register.duty(worker, (WORKDAYS, TO_SATURDAY, FROM_WEDNESDAY)[worker % 3], DAY)
            full_time[served] = worker
            second = register.worker("worker_part_time", 6, rows)
            register.duty(second, WEEK, EVENING)
            register.duty(second, (6, 7), (9 * 60, 16 * 60))
            part_time[served] = second
        for micro in members.tolist():
            row = [int(layout.micro_row[micro])]
            if rng.random() < 0.4:
                register.duty(register.worker("volunteer", 3, row), (6, 7), DAY)
            if layout.urban_village[layout.village_of_micro[micro]] and rng.random() < 0.5:
                register.duty(register.worker("building_head", 3, row), WEEK, EVENING)
    return leader, full_time, part_time


def _members(by_grid: Ints, starts: Ints, grid: int) -> Ints:
    stop = starts[grid + 1] if grid + 1 < len(starts) else len(by_grid)
    members: Ints = by_grid[starts[grid] : stop]
    return members


def _village_workers(register: _Register, layout: Layout, units: _Units) -> tuple[Ints, Ints, Ints, Ints]:
    count = len(layout.village_row)
    liaison, night_liaison, mediator = (np.full(count, -1, dtype=np.int64) for _ in range(3))
    police = np.full((count, 3), -1, dtype=np.int64)
    for village in np.argsort(layout.village_row, kind="stable").tolist():
        area = [int(layout.village_row[village])]
        liaison[village] = register.worker("liaison", 12, area)
        register.duty(int(liaison[village]), WEEK, LONG_DAY)
        night_liaison[village] = register.worker("liaison", 12, area)
        register.duty(int(night_liaison[village]), WEEK, NIGHT)
        mediator[village] = register.worker("mediator", 10, area, int(units.committee[village]))
        register.duty(int(mediator[village]), TO_SATURDAY, DAY)
        station = units.station_of_precinct[int(units.precinct_of_village[village])]
        for shift, hours in enumerate((EARLY, LATE, SMALL_HOURS)):
            police[village, shift] = register.worker("police", 12, area, station)
            register.duty(int(police[village, shift]), WEEK, hours)
        register.duty(register.worker("counsel", 5, area), (village % 5 + 1,), DAY)
    return liaison, night_liaison, mediator, police


def _seconded(register: _Register, layout: Layout, units: _Units) -> None:
    areas = layout.areas
    for town, row in enumerate(layout.town_row.tolist()):
        centre = int(units.town_centre[town])
        register.duty(register.worker("guide", 15, [row], centre), WORKDAYS, DAY)
        register.duty(register.worker("supervisor", 15, [row], centre), WORKDAYS, DAY)
    for kind, role in (("court", "judge"), ("procuratorate", "prosecutor"), ("section", "supervisor")):
        for row in areas.rows_of(kind).tolist():
            register.duty(register.worker(role, 8, [row]), WORKDAYS, DAY)
    for row, station in units.station_of_precinct.items():
        for hours in (EARLY, LATE, SMALL_HOURS):
            register.duty(register.worker("police", 20, [row], station), WEEK, hours)


def _people(register: _Register, rng: np.random.Generator) -> People:
    def column(rows: Sequence[tuple[int, ...]], number: int) -> Ints:
        return np.array([row[number] for row in rows], dtype=np.int64)

    def texts(values: list[str]) -> Objects:
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array

    count = len(register.workers)
    return People(
        unit_code=texts([unit[0] for unit in register.units]),
        unit_name=texts([unit[1] for unit in register.units]),
        unit_kind=texts([unit[2] for unit in register.units]),
        worker_code=texts([f"W{number + 1:06d}" for number in range(count)]),
        worker_name=names.people(count, rng),
        role=texts([worker[0] for worker in register.workers]),
        capacity=np.array([worker[1] for worker in register.workers], dtype=np.int64),
        worker_unit=np.array([worker[2] for worker in register.workers], dtype=np.int64),
        service_worker=column(register.services, 0),
        service_unit=column(register.services, 1),
        service_area=column(register.services, 2),
        shift_worker=column(register.shifts, 0),
        weekday=column(register.shifts, 1),
        starts_at=column(register.shifts, 2),
        ends_at=column(register.shifts, 3),
    )


def on_duty(people: People, weekday: Ints, minute: Ints, worker: Ints) -> Flags:
    """Whether each worker (row, or -1: never) is on duty at a local weekday (ISO) and minute of the day."""
    here = np.zeros((len(people.worker_code) + 1, 7 * 48), dtype=bool)  # half hours of the week
    start = (people.weekday - 1) * 48 + people.starts_at // 30
    length = np.mod(people.ends_at - people.starts_at - 1, 1440) + 1
    for step in range(48):
        active = length > step * 30
        here[people.shift_worker[active], (start[active] + step) % (7 * 48)] = True
    found: Flags = here[worker, (weekday - 1) * 48 + minute // 30]
    return found
