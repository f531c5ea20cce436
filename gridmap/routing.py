"""Who gets an event: role fit for its category, on duty, least loaded; and the chain of fallbacks.

1. A police case goes to the police station of its precinct, else to police of its areas, else to nobody.
2. Anything else goes up the chain of areas that hold it, the grid first. At each level the workers whose role
   fits, who are on duty and below their capacity are taken, best role first, then the least loaded share of
   capacity, then the smallest id.
3. Where no level has one, the unit of the nearest level that has a fitting unit takes it into its queue.
4. Else nobody: the event is unassigned, and a dispatcher sees it.

Who has how much in hand is only known inside the transaction; `candidates` gives the order, `pick` or the SQL
of intake applies the load.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

_FIELD = ("worker_full_time", "worker_part_time", "leader", "liaison")
ROLE_FIT: Mapping[str, tuple[str, ...]] = {
    "dispute": ("mediator", *_FIELD),
    "police_case": ("police",),
    "appeal": _FIELD,
    "hazard": ("worker_full_time", "leader", "worker_part_time", "liaison"),
    "service": ("worker_full_time", "liaison", "worker_part_time", "leader"),
    "other": _FIELD,
}
UNIT_FIT: Mapping[str, tuple[str, ...]] = {
    "dispute": ("committee", "centre"),
    "police_case": ("police_station",),
}
ANY_UNIT = ("centre", "committee")
OPEN_STATES = ("assigned", "accepted", "transferred", "escalated", "suspended")
# As the partial index says it: with a parameter in its place the index would not be used.
IN_HAND = f"status IN {OPEN_STATES}"


@dataclass(frozen=True, slots=True)
class Duty:
    """A weekly pattern: ISO weekday, local start and end; an end before the start is on the next day."""

    weekday: int
    starts_at: dt.time
    ends_at: dt.time
    valid_from: dt.date
    valid_to: dt.date

    def covers(self, local: dt.datetime) -> bool:
        """Whether a local moment lies within it."""
        return self.until(local) is not None

    def until(self, local: dt.datetime) -> dt.datetime | None:
        """When the duty that covers a local moment ends; None if it does not cover it."""
        over_night = self.ends_at <= self.starts_at
        for days_back in (0, 1) if over_night else (0,):
            day = local.date() - dt.timedelta(days=days_back)
            if day.isoweekday() != self.weekday or not self.valid_from <= day < self.valid_to:
                continue
            start = dt.datetime.combine(day, self.starts_at, local.tzinfo)
            end = dt.datetime.combine(day + dt.timedelta(days=over_night), self.ends_at, local.tzinfo)
            if start <= local < end:
                return end
        return None


@dataclass(frozen=True, slots=True)
class Person:
    """A worker as routing sees one."""

    id: int
    code: str
    name: str
    role: str
    capacity: int
    duties: tuple[Duty, ...]

    def on_duty(self, local: dt.datetime) -> bool:
        """Whether on duty at a local moment; who has no shifts on record is taken to be always there."""
        return not self.duties or any(duty.covers(local) for duty in self.duties)

    def duty_until(self, local: dt.datetime) -> dt.datetime | None:
        """When the present duty ends; None when off duty."""
        return max(filter(None, (duty.until(local) for duty in self.duties)), default=None)


@dataclass(frozen=True, slots=True)
class Office:
    """A unit as routing sees one."""

    id: int
    code: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody on duty whose role fits; `level` counts from the event's own grid upwards."""

    person: Person
    level: int
    rank: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """Whom an event could go to: workers in order but for their load, and the unit behind them."""

    workers: tuple[Candidate, ...]
    unit: Office | None
    unit_first: bool = False


@dataclass(frozen=True)
class Roster:
    """Who serves which area, and when on duty; one immutable state of it."""

    time_zone: ZoneInfo
    people: Mapping[int, Person] = field(default_factory=dict)
    offices: Mapping[int, Office] = field(default_factory=dict)
    people_of: Mapping[str, tuple[Person, ...]] = field(default_factory=dict)
    offices_of: Mapping[str, tuple[Office, ...]] = field(default_factory=dict)
    _minute: list[tuple[int, dict[int, bool]]] = field(
        default_factory=lambda: [(-1, {})], repr=False, compare=False
    )

    def candidates(self, category: str, chain: Sequence[str], at: dt.datetime) -> Candidates:
        """Whom an event at a place may go to.

        Args:
            category: of the event.
            chain: codes of the areas that hold it, the finest first (overlays too).
            at: the moment of assignment, with a zone.
        """
        on_duty = self._duty_at(at)
        fit = ROLE_FIT[category]
        found: list[Candidate] = []
        seen: set[int] = set()
        for level, code in enumerate(chain):
            for person in self.people_of.get(code, ()):
                if person.role in fit and person.id not in seen and on_duty(person):
                    seen.add(person.id)
                    found.append(Candidate(person, level, fit.index(person.role)))
        unit = self._unit(category, chain)
        return Candidates(tuple(found), unit, unit_first=category == "police_case" and unit is not None)

    def renewed(self, areas: Iterable[str], fresh: "Roster") -> "Roster":
        """The same but for some areas, whom `fresh` knows.

        Args:
            areas: codes whose people are as in `fresh`, also where that has none.
            fresh: read for these areas alone.
        """
        gone = set(areas)
        return Roster(
            self.time_zone,
            {**self.people, **fresh.people},
            {**self.offices, **fresh.offices},
            {**{area: each for area, each in self.people_of.items() if area not in gone}, **fresh.people_of},
            {
                **{area: each for area, each in self.offices_of.items() if area not in gone},
                **fresh.offices_of,
            },
        )

    def _duty_at(self, at: dt.datetime) -> Callable[[Person], bool]:
        """Who is on duty at a moment; shifts begin and end with whole minutes, so a minute's answers are kept."""
        minute = int(at.timestamp()) // 60
        kept = self._minute[0]
        if kept[0] != minute:
            kept = self._minute[0] = (minute, {})
        known = kept[1]
        local = at.astimezone(self.time_zone)

        def on_duty(person: Person) -> bool:
            answer = known.get(person.id)
            if answer is None:
                answer = known[person.id] = person.on_duty(local)
            return answer

        return on_duty

    def _unit(self, category: str, chain: Iterable[str]) -> Office | None:
        fit = UNIT_FIT.get(category, ANY_UNIT)
        for code in chain:
            for kind in fit:
                for office in self.offices_of.get(code, ()):
                    if office.kind == kind:
                        return office
        return None


def pick(candidates: Candidates, load: Mapping[int, int]) -> Person | Office | None:
    """The one whom the rules name, given the open events each has in hand."""
    if candidates.unit_first:
        return candidates.unit
    free = [each for each in candidates.workers if load.get(each.person.id, 0) < each.person.capacity]
    if not free:
        return candidates.unit
    return min(
        free,
        key=lambda each: (
            each.level,
            each.rank,
            load.get(each.person.id, 0) / each.person.capacity,
            each.person.id,
        ),
    ).person


def loads(
    session: Session, workers: Sequence[int] | None = None, *, without: Sequence[str] = ()
) -> dict[int, int]:
    """Open events in hand, by worker; of all workers where none are named. Some categories may be left out."""
    condition, binds = "", dict[str, list[Any]]()
    if workers is not None:
        condition, binds = " AND worker = ANY(:workers)", {"workers": list(workers)}
    if without:
        condition, binds = f"{condition} AND category <> ALL(:without)", {**binds, "without": list(without)}
    rows = session.execute(
        sa.text(
            f"SELECT worker, count(*) FROM event WHERE worker IS NOT NULL AND {IN_HAND}{condition} GROUP BY worker"
        ),
        binds,
    )
    return {int(worker): int(count) for worker, count in rows}


def load_roster(session: Session, time_zone: ZoneInfo, areas: Sequence[str] | None = None) -> Roster:
    """Reads everybody who serves an area this moment; of some areas alone where they are named.

    The clock, not now(): the transaction may have begun before the edition that gave somebody an area.
    """
    of_areas = "" if areas is None else "area = ANY(:areas) AND"
    of_workers, of_units = (
        "" if areas is None else f"{name} IN (SELECT {who} FROM service_area WHERE area = ANY(:areas)) AND"
        for name, who in (("worker", "worker"), ("id", "unit"))
    )
    binds = {} if areas is None else {"areas": list(areas)}
    duties: dict[int, list[Duty]] = {}
    for row in session.execute(
        sa.text(
            "SELECT worker, weekday, starts_at, ends_at,"
            " greatest(valid_from, '0001-01-01'), least(coalesce(valid_to, '9999-12-31'), '9999-12-31')"
            f" FROM shift WHERE {of_workers} true ORDER BY worker, weekday, starts_at"
        ),
        binds,
    ):
        duties.setdefault(row[0], []).append(Duty(*row[1:]))
    lives = "(retired_at IS NULL OR retired_at > clock_timestamp())"
    people = {
        row.worker: Person(
            row.worker, row.code, row.name, row.role, row.capacity, tuple(duties.get(row.worker, ()))
        )
        for row in session.execute(
            sa.text(
                "SELECT * FROM (SELECT id AS worker, code, name, role, capacity, retired_at FROM worker) w"
                f" WHERE {of_workers} {lives}"
            ),
            binds,
        )
    }
    offices = {
        row.id: Office(row.id, row.code, row.name, row.kind)
        for row in session.execute(
            sa.text(f"SELECT id, code, name, kind FROM unit WHERE {of_units} {lives}"), binds
        )
    }
    people_of: dict[str, list[Person]] = {}
    offices_of: dict[str, list[Office]] = {}
    for area, worker, unit in session.execute(
        sa.text(
            f"SELECT area, worker, unit FROM service_area WHERE {of_areas} valid_from <= clock_timestamp()"
            " AND (valid_to IS NULL OR valid_to > clock_timestamp()) ORDER BY area, worker, unit"
        ),
        binds,
    ):
        if worker in people:
            people_of.setdefault(area, []).append(people[worker])
        if unit in offices:
            offices_of.setdefault(area, []).append(offices[unit])
    return Roster(time_zone, people, offices, _frozen(people_of), _frozen(offices_of))


def _frozen(lists: Mapping[str, list[Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(value) for key, value in lists.items()}
