"""The numbers behind the indicators, by the finest area that holds each event.

Written so that indexes answer as much as they can: what is closed is counted as received less what is not, since
open events are few and have an index of their own.
"""

import datetime as dt
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Clauses
from gridmap.selection import Selection, sensitive
from gridmap.snapshot import GRIDS, NESTING, OVERLAYS, Snapshot
from gridmap.withholding import Audience, Bools, Ints, held

# Kinds in which sensitive sub-categories are counted for everybody: towns, what is larger, what lies across.
LARGE = (*NESTING[:4], *OVERLAYS)
NUMBERS = (
    "received",
    "located",
    "disputes",
    "unclosed",
    "unresolved",
    "untouched",
    "owned",
    "due",
    "closed_in_time",
    "accept_due",
    "accepted_in_time",
)
_OCCURRED = "occurred_at >= :since AND occurred_at < :until"
_STATEMENTS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("received", "located", "disputes"),
        "count(*), count(cell), count(*) FILTER (WHERE category = 'dispute')",
        _OCCURRED,
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
    (
        # Where the finest area is a grid, a grid owns the event; where it is not, one may, a dedicated one.
        ("owned",),
        "count(*)",
        f"{_OCCURRED} AND (leaf_now = ANY(:jurisdictions) OR :anywhere AND leaf_now IS NULL) AND owner_now IS NOT NULL",
    ),
    (
        ("due", "closed_in_time"),
        "count(*), count(*) FILTER (WHERE closed_at <= resolve_due_at)",
        "resolve_due_at >= :since AND resolve_due_at < :due_until",
    ),
    (
        ("accept_due", "accepted_in_time"),
        "count(*), count(*) FILTER (WHERE accepted_at <= accept_due_at)",
        "accept_due_at >= :since AND accept_due_at < :due_until",
    ),
)


@dataclass(frozen=True)
class Counts:
    """Numbers by row of a snapshot, descendants not included; one more at the end for events in no area.

    Attributes:
        all: by name, everything.
        delicate: by name, what of it is of a sensitive sub-category and not for this reader below towns.
    """

    all: dict[str, Ints]
    delicate: dict[str, Ints]

    def of(self, name: str, large: Bools) -> Ints:
        """A number for every row; `large` says for which rows the reader may know all."""
        return self.all[name] - np.where(large, 0, self.delicate[name])

    def total(self, name: str, *, large: bool) -> int:
        """The sum over all rows."""
        return int(self.all[name].sum()) - (0 if large else int(self.delicate[name].sum()))


@dataclass(frozen=True)
class Scan:
    """What is gone through.

    Attributes:
        condition: where, the reader's scope in it.
        rows: the areas that it lets through, for what only some kinds hold; None means all, and no area at all.
        apart: whether what is sensitive is counted once more by itself.
        whole: only sums are wanted; what needs no area then stands with no area, which is quicker.
    """

    condition: Clauses
    rows: Bools | None
    apart: bool
    whole: bool


def count(session: Session, snapshot: Snapshot, selection: Selection, scan: Scan) -> Counts:
    """Counts what a selection holds."""
    everything = _count(session, snapshot, selection, scan)
    nothing = {name: np.zeros(len(snapshot) + 1, dtype=np.int64) for name in NUMBERS}
    if not scan.apart:
        return Counts(everything, nothing)
    part = sensitive(session, selection)
    return Counts(everything, nothing if part is None else _count(session, snapshot, part, scan))


def open_to(audience: Audience, snapshot: Snapshot) -> Bools:
    """For every row, and last for no area, whether the audience may know of sensitive events there."""
    known = np.isin(snapshot.kind, LARGE) | held(audience.handled, snapshot.path)
    return np.append(known, audience.handled.paths is None)


def _count(session: Session, snapshot: Snapshot, selection: Selection, scan: Scan) -> dict[str, Ints]:
    where, binds = scan.condition
    chosen, more = selection.kinds()
    now = dt.datetime.now(dt.UTC)
    binds = {
        **binds,
        **more,
        "since": selection.period.since,
        "until": selection.period.until,
        "due_until": min(selection.period.until, now),
        "jurisdictions": _jurisdictions(snapshot, scan.rows),
        "anywhere": scan.rows is None,
    }
    counts = {name: np.zeros(len(snapshot) + 1, dtype=np.int64) for name in NUMBERS}
    row = snapshot.row
    for names, numbers, condition in _STATEMENTS:
        area, group = "leaf_now", " GROUP BY leaf_now"
        if scan.whole and names[0] in {"due", "accept_due"}:
            area, group = "NULL", ""
        statement = f"SELECT {area}, {numbers} FROM event WHERE {condition} AND {chosen} AND {where}{group}"
        found = session.execute(sa.text(statement), binds).all()
        rows = [row.get(leaf, -1) for leaf, *_ in found]
        for place, name in enumerate(names, start=1):
            np.add.at(counts[name], rows, [each[place] for each in found])
    return counts


def _jurisdictions(snapshot: Snapshot, rows: Bools | None) -> list[str]:
    chosen = ~np.isin(snapshot.kind, GRIDS)
    codes: list[str] = snapshot.code[chosen if rows is None else chosen & rows].tolist()
    return codes


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
    if "leaves" in binds:  # of few areas: what is left of the period is small
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
