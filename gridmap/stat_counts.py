"""The numbers behind the indicators, by the finest area that holds each event.

Written so that indexes answer as much as they can (migration 0010). What an event was received as and what was due
of it is counted in one walk along the time when it occurred: nearly everything is due within `DUE_WITHIN` of that,
so the walk begins so much earlier, and what is due at another time has indexes of its own, nearly empty. Open
events are few and have an index too, so what is closed is what was received less what is open; likewise in a grid
is what was received less what is nobody's. Walking by itself along each kind of due time took twice as long.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Clauses
from gridmap.selection import Selection, sensitive
from gridmap.snapshot import NESTING, OVERLAYS, Snapshot
from gridmap.withholding import Audience, Bools, Ints, held

# Kinds in which sensitive sub-categories are counted for everybody: towns, what is larger, what lies across.
LARGE = (*NESTING[:4], *OVERLAYS)
NUMBERS = (
    "received",
    "located",
    "disputes",
    "in_grid",
    "unclosed",
    "unresolved",
    "untouched",
    "due",
    "closed_in_time",
    "accept_due",
    "accepted_in_time",
)
# 15 days are the longest by our own rules (gridmap.events), and five for what is told late; below once more in hours,
# which no clock change bends. The partial indexes of migration 0010 hold what lies outside: changed here, they are to
# be made anew, or they are no longer used.
DUE_WITHIN = "20 days"
RECENT = dt.timedelta(days=30)
_RECEIVED = "occurred_at >= :since"
_OCCURRED = f"{_RECEIVED} AND occurred_at < :until"
_BEGIN = "CAST(:since AS timestamptz) - interval '480 hours'"
_DUE, _ACCEPT_DUE = (
    f"{time} >= :since AND {time} < :due_until" for time in ("resolve_due_at", "accept_due_at")
)


def _far(due: str) -> str:
    """What the walk along the time of occurrence passes by."""
    return (
        f"({due} < occurred_at OR {due} - occurred_at > interval '{DUE_WITHIN}')"
        f" AND (occurred_at < {_BEGIN} OR occurred_at >= :until)"
    )


_STATEMENTS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("received", "located", "disputes", "due", "closed_in_time", "accept_due", "accepted_in_time"),
        (
            f"count(*) FILTER (WHERE {_RECEIVED}), count(cell) FILTER (WHERE {_RECEIVED}),"
            f" count(*) FILTER (WHERE {_RECEIVED} AND category = 'dispute'),"
            f" count(*) FILTER (WHERE {_DUE}), count(*) FILTER (WHERE {_DUE} AND closed_at <= resolve_due_at),"
            f" count(*) FILTER (WHERE {_ACCEPT_DUE}),"
            f" count(*) FILTER (WHERE {_ACCEPT_DUE} AND accepted_at <= accept_due_at)"
        ),
        f"occurred_at >= {_BEGIN} AND occurred_at < :until",
    ),
    (
        ("due", "closed_in_time"),
        "count(*), count(*) FILTER (WHERE closed_at <= resolve_due_at)",
        f"{_DUE} AND {_far('resolve_due_at')}",
    ),
    (
        ("accept_due", "accepted_in_time"),
        "count(*), count(*) FILTER (WHERE accepted_at <= accept_due_at)",
        f"{_ACCEPT_DUE} AND {_far('accept_due_at')}",
    ),
    (
        ("unclosed", "unresolved", "untouched"),
        (
            "count(*),"
            " count(*) FILTER (WHERE category = 'dispute' AND status NOT IN ('resolved', 'verified')),"
            " count(*) FILTER (WHERE status IN ('unassigned', 'assigned', 'rejected'))"
        ),
        f"{_OCCURRED} AND status <> 'closed'",
    ),
    (("nobodys",), "count(*)", f"{_OCCURRED} AND owner_now IS NULL"),
)
_WHOLE = ("received", "due", "accept_due")  # of statements that need no area where sums alone are wanted


@dataclass(frozen=True)
class Counts:
    """Numbers by row of a snapshot, descendants not included; one more at the end for events in no area.

    Attributes:
        all: by name, everything.
        delicate: by name, what of it is of a sensitive sub-category and not for this reader below towns.
        active: whether a row is a finest grid of which the reader may know that somebody took up an event.
    """

    all: dict[str, Ints]
    delicate: dict[str, Ints]
    active: Bools

    def total(self, name: str, *, large: bool) -> int:
        """The sum over all rows."""
        return int(self.all[name].sum()) - (0 if large else int(self.delicate[name].sum()))


@dataclass(frozen=True)
class Scan:
    """What is gone through.

    Attributes:
        condition: where, the reader's scope in it.
        rows: the areas that it lets through, for what only some kinds hold; None means all, and no area at all.
        open: for every row, and last for no area, whether what is sensitive there may be known.
        apart: whether what is sensitive is counted once more by itself.
        whole: only sums are wanted, of what the finest area lets through: all then stands with no area.
    """

    condition: Clauses
    rows: Bools | None
    open: Bools
    apart: bool
    whole: bool


def count(session: Session, snapshot: Snapshot, selection: Selection, scan: Scan) -> Counts:
    """Counts what a selection holds."""
    counting = _Counting(session, snapshot, scan, dt.datetime.now(dt.UTC))
    everything = counting.numbers(selection, whole=scan.whole)
    delicate = {name: np.zeros(len(snapshot) + 1, dtype=np.int64) for name in NUMBERS}
    part = sensitive(session, selection) if scan.apart else None
    if part is not None:
        delicate = counting.numbers(part, whole=False)
    unknown = np.where(scan.open, 0, delicate["received"] - delicate["untouched"])
    passed_by = everything["untouched"] + unknown
    if scan.whole:
        active = counting.with_more(selection, passed_by[:-1])
    else:
        active = snapshot.finest_grids & (everything["received"] > passed_by)[:-1]
    return Counts(everything, delicate, active)


def open_to(audience: Audience, snapshot: Snapshot) -> Bools:
    """For every row, and last for no area, whether the audience may know of sensitive events there."""
    known = np.isin(snapshot.kind, LARGE) | held(audience.handled, snapshot.path)
    return np.append(known, audience.handled.paths is None)


@dataclass(frozen=True)
class _Counting:
    session: Session
    snapshot: Snapshot
    scan: Scan
    now: dt.datetime

    def numbers(self, selection: Selection, *, whole: bool) -> dict[str, Ints]:
        """By name, a number for every row and one for no area; `whole` as of a scan."""
        size = len(self.snapshot)
        # One place more for codes of another edition, which has just begun.
        counts = {name: np.zeros(size + 2, dtype=np.int64) for name in (*NUMBERS, "nobodys")}
        row = self.snapshot.row
        for names, numbers, condition in _STATEMENTS:
            found = self._found(selection, numbers, condition, by_leaf=not whole or names[0] not in _WHOLE)
            rows = [size if leaf is None else row.get(leaf, size + 1) for leaf, *_ in found]
            for place, name in enumerate(names, start=1):
                np.add.at(counts[name], rows, [each[place] for each in found])
        grids, mixed = self._owning
        nobodys = np.where(mixed, counts.pop("nobodys"), 0)
        if whole:
            counts["in_grid"][size] = counts["received"][size] - nobodys.sum()
        else:
            counts["in_grid"] = np.where(grids | mixed, counts["received"] - nobodys, 0)
        for numbers_ in counts.values():
            numbers_[size] += numbers_[size + 1]
        return {name: numbers_[:-1] for name, numbers_ in counts.items()}

    def with_more(self, selection: Selection, number: Ints) -> Bools:
        """Which finest grids received more than a number of events; of most the last days alone say so."""
        period = selection.period
        recently = max(period.since, min(period.until, self.now) - RECENT)
        active = np.zeros(len(self.snapshot), dtype=bool)
        condition = _OCCURRED
        rest: dict[str, object] = {}
        for since in dict.fromkeys((recently, period.since)):
            received = self._received(selection, condition, since=since, **rest)
            active |= self.snapshot.finest_grids & (received > number)
            condition = f"{_OCCURRED} AND leaf_now = ANY(:rest)"
            rest = {"rest": self.snapshot.code[self._asked & ~active].tolist()}
        return active

    def _received(self, selection: Selection, condition: str, **more: object) -> Ints:
        statement, binds = self._statement(selection, "count(*) AS number", condition, "leaf_now")
        # Two strings instead of 7,000 rows, as in layers.counting.
        statement = (
            "SELECT coalesce(string_agg(leaf_now, ','), ''),"
            " coalesce(string_agg(number::text, ',') FILTER (WHERE leaf_now IS NOT NULL), '')"
            f" FROM ({statement}) AS counted"
        )
        leaves, numbers = self.session.execute(sa.text(statement), {**binds, **more}).one()
        received = np.zeros(len(self.snapshot) + 1, dtype=np.int64)  # the last one takes what no row has
        if leaves:
            rows = [self.snapshot.row.get(leaf, -1) for leaf in leaves.split(",")]
            received[rows] = np.fromstring(numbers, dtype=np.int64, sep=",")
        return received[:-1]

    def _found(
        self, selection: Selection, numbers: str, condition: str, *, by_leaf: bool
    ) -> Sequence[Sequence[Any]]:
        statement, binds = self._statement(selection, numbers, condition, "leaf_now" if by_leaf else None)
        return self.session.execute(sa.text(statement), binds).all()

    def _statement(self, selection: Selection, numbers: str, condition: str, by: str | None) -> Clauses:
        where, binds = self.scan.condition
        chosen, kinds = selection.kinds()
        period = selection.period
        due_until = min(period.until, self.now)
        times = {"since": period.since, "until": period.until, "due_until": due_until}
        group = f" GROUP BY {by}" if by else ""
        return (
            f"SELECT {by or 'NULL'}, {numbers} FROM event WHERE {condition} AND {chosen} AND {where}{group}",
            {**binds, **kinds, **times},
        )

    @property
    def _asked(self) -> Bools:
        """The finest grids that the scan lets through."""
        rows, finest = self.scan.rows, self.snapshot.finest_grids
        return finest if rows is None else finest & rows

    @property
    def _owning(self) -> tuple[Bools, Bools]:
        """Whose events a grid owns, each, and whose it may own, a dedicated one; then of no area, and of unknown."""
        grids, rows = self.snapshot.is_grid, self.scan.rows
        mixed = ~grids if rows is None else ~grids & rows
        return np.append(grids, (False, False)), np.append(mixed, (rows is None, False))


def by_local_day(
    session: Session, selection: Selection, condition: Clauses, zone: ZoneInfo
) -> dict[dt.date, int]:
    """Events each local day of a period, also where there are none.

    Raises:
        InvalidInput: more than three years.
    """
    where, binds = condition
    chosen, more = selection.kinds()
    period = selection.period
    counts = dict.fromkeys(period.days(zone), 0)
    binds = {**binds, **more}
    if binds.keys() & {"leaves", "scope"}:
        # Of few areas: what is left of the period is small. By paths a range a day took 9 s for 45 days of a
        # precinct, since all that lies in it was looked up again for each.
        statement = (
            "SELECT CAST(occurred_at AT TIME ZONE :zone AS date), count(*) FROM event"
            f" WHERE {_OCCURRED} AND {chosen} AND {where} GROUP BY 1"
        )
        binds |= {"since": period.since, "until": period.until, "zone": zone.key}
    else:
        # A range a day, each counted in the index by itself: a quarter of the time that turning half a million
        # moments into local dates takes.
        statement = (
            "SELECT day.name, (SELECT count(*) FROM event WHERE occurred_at >= day.starts"
            f" AND occurred_at < day.ends AND {chosen} AND {where})"
            " FROM unnest(CAST(:days AS date[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))"
            " AS day (name, starts, ends)"
        )
        midnights = [dt.datetime.combine(day, dt.time(), zone) for day in counts]
        edges = [period.since, *midnights[1:], period.until]
        binds |= {"days": list(counts), "starts": edges[:-1], "ends": edges[1:]}
    for day, number in session.execute(sa.text(statement), binds):
        counts[day] = number
    return counts


def by_category(session: Session, selection: Selection, condition: Clauses) -> dict[str, int]:
    """Events by category."""
    where, binds = condition
    chosen, more = selection.kinds()
    statement = f"SELECT category, count(*) FROM event WHERE {_OCCURRED} AND {chosen} AND {where} GROUP BY 1"
    period = {"since": selection.period.since, "until": selection.period.until}
    return {row[0]: row[1] for row in session.execute(sa.text(statement), {**binds, **more, **period})}


def before(selection: Selection) -> Selection:
    """The same days a year before."""
    return replace(selection, period=selection.period.year_before())
