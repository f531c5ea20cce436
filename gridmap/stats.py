"""Indicators of an area and a period: numerator and denominator beside every rate, and the year before.

    asked = Question(area="990126001", period=Period(since, until))
    answer = indicators(session, snapshot, asked, Audience.of(principal, 3))
    answer["completion_rate"].value, answer["completion_rate"].year_before.value

| name | numerator / denominator |
| --- | --- |
| in_grid_rate | whose owner is a grid / received |
| located_rate | with a place / received |
| completion_rate | closed / received, also what fell into no grid |
| on_time_rate | closed by then / whose time to be closed ends in the period |
| response_rate | accepted by then / whose time to be accepted ends in the period |
| resolution_rate | disputes resolved, verified or closed / disputes received |
| active_grid_share | grids with an event that somebody has taken up / grids |

Grids are micro-grids here, and comprehensive grids without any. Received is what occurred in the period; times to
be accepted or closed that end after now are not due yet. For the year before, both are the same days a year
before, and what has become of the events is what is known today. Satisfaction and transfers are left out: return
visits and their answers are not stored yet.

Sensitive sub-categories are counted below towns for those alone who handle them. Where a reader has no exact counts
for an area, an indicator whose denominator is below k has no numbers; of several areas side by side the
number received is withheld as gridmap.withholding says, of days and months likewise within their sum. Not protected:
what numerators say about one event in few, and differences between periods and categories.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap import stat_counts
from gridmap.access import Clauses, Scope
from gridmap.db import plan_for_these_values
from gridmap.event_queries import visible_row
from gridmap.events import CATEGORIES
from gridmap.periods import Period
from gridmap.selection import Selection, by_finest_area, seen_as_asked, sensitive
from gridmap.snapshot import GRIDS, NESTING, Snapshot
from gridmap.stat_counts import LARGE, Counts, Scan
from gridmap.withholding import Audience, Bools, Ints, Tree, guarded, held, withheld

_Rates = dict[str, tuple[int | None, int | None]]
RATES: Mapping[str, tuple[str, str]] = {
    "in_grid_rate": ("in_grid", "received"),
    "located_rate": ("located", "received"),
    "completion_rate": ("closed", "received"),
    "on_time_rate": ("closed_in_time", "due"),
    "response_rate": ("accepted_in_time", "accept_due"),
    "resolution_rate": ("resolved", "disputes"),
    "active_grid_share": ("active_grids", "grids"),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked for.

    Attributes:
        area: code; None means everything that the audience may see.
        categories: any of these; none means all.
    """

    period: Period
    area: str | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Indicator:
    """A rate with what it is made of; None where it is withheld or there is nothing to divide by."""

    numerator: int | None
    denominator: int | None
    year_before: "Indicator | None" = None

    @property
    def value(self) -> float | None:
        """The rate, 0 to 1."""
        if self.numerator is None or not self.denominator:
            return None
        return self.numerator / self.denominator

    def as_dict(self) -> dict[str, object]:
        """As interface.md names it."""
        said: dict[str, object] = {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "value": self.value,
        }
        if self.year_before is not None:
            said["year_before"] = self.year_before.as_dict()
        return said


@dataclass(frozen=True)
class Part:
    """One area of several side by side; `received` and all numbers are None where they are withheld."""

    code: str
    name: str
    kind: str
    received: int | None
    indicators: dict[str, Indicator]


@dataclass(frozen=True)
class Step:
    """What was received in a day or month, by its first local day; None where it is withheld."""

    day: dt.date
    count: int | None


def indicators(
    session: Session, snapshot: Snapshot, question: Question, audience: Audience
) -> dict[str, Indicator]:
    """The indicators of one area, each with the year before.

    Raises:
        NotFound: no such area within the audience's areas.
        InvalidInput: an unknown category.
    """
    place = _Place.of(snapshot, question.area, audience)
    now = _selection(question, audience)
    inside = held(place.scope, snapshot.path)
    everywhere = None if place.scope.paths is None else inside
    open_ = stat_counts.open_to(audience, snapshot)
    by_leaf = "scope" not in place.condition[1]
    scan = Scan(place.condition, everywhere, open=open_, apart=not place.large, whole=by_leaf)
    plan_for_these_values(session)
    found = []
    for selection in (now, stat_counts.before(now)):
        with seen_as_asked(session, audience.counts, snapshot, place.condition[1]):
            counts = stat_counts.count(session, snapshot, selection, scan)
        numbers = {name: counts.total(name, large=place.large) for name in stat_counts.NUMBERS}
        numbers["grids"] = int(snapshot.finest_grids[inside].sum())
        numbers["active_grids"] = int(counts.active[inside].sum())
        found.append(_rates(numbers, 0 if place.exact else audience.withhold_below))
    return _compared(*found)


def by_children(session: Session, snapshot: Snapshot, question: Question, audience: Audience) -> list[Part]:
    """The indicators of the areas right below one, in the order of their codes."""
    children = _children(snapshot, question.area, audience)
    now = _selection(question, audience)
    tree = Tree.of(snapshot)
    exact = audience.sees_exact(tree)
    # What is withheld is decided on everything that the audience sees (gridmap.withholding), not on a part.
    scope = audience.counts
    if question.area and bool(exact[children].all()):
        scope = Scope((snapshot.path[snapshot.row[question.area]],))
    inside = None if scope.paths is None else held(scope, snapshot.path)
    apart = any(
        snapshot.kind[row] not in LARGE and not audience.handled.holds(snapshot.path[row]) for row in children
    )
    open_ = stat_counts.open_to(audience, snapshot)
    scan = Scan(by_finest_area(scope, snapshot), inside, open=open_, apart=apart, whole=False)
    plan_for_these_values(session)
    rates, shown = [], []
    for selection in (now, stat_counts.before(now)):
        with seen_as_asked(session, audience.counts, snapshot, scan.condition[1]):
            counts = stat_counts.count(session, snapshot, selection, scan)
        numbers = _rolled_up(snapshot, tree, counts, open_[:-1])
        hidden = withheld(tree, numbers["received"], audience)
        shown.append([None if hidden[row] else int(numbers["received"][row]) for row in children])
        rates.append(
            [
                _rates(
                    {name: int(column[row]) for name, column in numbers.items()},
                    0 if exact[row] else audience.withhold_below,
                    hidden=bool(hidden[row]),
                )
                for row in children
            ]
        )
    return [
        Part(
            snapshot.code[row],
            snapshot.name[row],
            snapshot.kind[row],
            received,
            _compared(today, earlier),
        )
        for row, received, today, earlier in zip(children, shown[0], *rates, strict=True)
    ]


def by_step(
    session: Session,
    snapshot: Snapshot,
    question: Question,
    audience: Audience,
    zone: ZoneInfo,
    *,
    unit: str = "day",
) -> tuple[list[Step], list[Step]]:
    """What was received each local day (or month, with its first day), without a gap; then the year before.

    Raises:
        NotFound: no such area within the audience's areas.
        InvalidInput: more than three years.
    """
    place = _Place.of(snapshot, question.area, audience)
    now = _selection(question, audience)
    plan_for_these_values(session)
    series = []
    for selection in (now, stat_counts.before(now)):
        counts = dict.fromkeys(selection.period.days(zone), 0)
        for sign, part in place.parts(session, selection, audience):
            with seen_as_asked(session, audience.counts, snapshot, place.condition[1]):
                days = stat_counts.by_local_day(session, part, place.condition, zone)
            for day, number in days.items():
                counts[day] += sign * number
        if unit == "month":
            months: dict[dt.date, int] = {}
            for day, number in counts.items():
                months[day.replace(day=1)] = months.get(day.replace(day=1), 0) + number
            counts = months
        shown = place.shown(list(counts.values()), audience)
        series.append([Step(day, number) for day, number in zip(counts, shown, strict=True)])
    return series[0], series[1]


def by_category(
    session: Session, snapshot: Snapshot, question: Question, audience: Audience
) -> dict[str, tuple[int | None, int | None]]:
    """What was received by category, and the same days a year before; None where it is withheld.

    Raises:
        NotFound: no such area within the audience's areas.
    """
    place = _Place.of(snapshot, question.area, audience)
    now = _selection(question, audience)
    plan_for_these_values(session)
    columns = []
    for selection in (now, stat_counts.before(now)):
        counts = dict.fromkeys(question.categories or CATEGORIES, 0)
        for sign, part in place.parts(session, selection, audience):
            with seen_as_asked(session, audience.counts, snapshot, place.condition[1]):
                categories = stat_counts.by_category(session, part, place.condition)
            for category, number in categories.items():
                counts[category] += sign * number
        columns.append(place.shown(list(counts.values()), audience))
    return dict(zip(question.categories or CATEGORIES, zip(*columns, strict=True), strict=True))


def _selection(question: Question, audience: Audience) -> Selection:
    return Selection(question.period, audience.counts, question.categories)


@dataclass(frozen=True)
class _Place:
    """One area, or everything that an audience sees.

    Attributes:
        condition: of its events, the audience's scope in it.
        large: whether sensitive sub-categories are counted here for this audience.
        exact: whether small counts are shown.
    """

    row: int | None
    scope: Scope
    condition: Clauses
    large: bool
    exact: bool

    @classmethod
    def of(cls, snapshot: Snapshot, area: str | None, audience: Audience) -> "_Place":
        if area is None:
            scope = audience.counts
            large = _covers(audience.handled, scope) or all(
                snapshot.kind[row] in LARGE for row in _tops(snapshot, scope)
            )
            exact = _covers(audience.exact, scope) or (
                _covers(audience.exact_villages, scope)
                and all(snapshot.kind[row] not in GRIDS for row in _tops(snapshot, scope))
            )
            return cls(None, scope, _finest_or_paths(snapshot, scope, None), large, exact)
        row = visible_row(snapshot, audience.counts, area)
        path, kind = snapshot.path[row], snapshot.kind[row]
        return cls(
            row,
            Scope((path,)),
            _finest_or_paths(snapshot, Scope((path,)), kind),
            kind in LARGE or audience.handled.holds(path),
            audience.exact.holds(path) or (kind not in GRIDS and audience.exact_villages.holds(path)),
        )

    def parts(
        self, session: Session, selection: Selection, audience: Audience
    ) -> list[tuple[int, Selection]]:
        """What is added and what is taken away again."""
        parts = [(1, selection)]
        if not self.large and audience.handled.paths is None:
            return parts
        delicate = None if self.large else sensitive(session, selection)
        return [*parts, (-1, delicate)] if delicate else parts

    def shown(self, counts: list[int], audience: Audience) -> list[int | None]:
        """Counts of the parts of one whole, None where they are withheld."""
        if self.exact or audience.withhold_below <= 1:
            return list(counts)
        hidden = guarded(np.array(counts, dtype=np.int64), audience.withhold_below)
        return [None if skip else number for number, skip in zip(counts, hidden.tolist(), strict=True)]


def _covers(scope: Scope, region: Scope) -> bool:
    if scope.paths is None:
        return True
    return region.paths is not None and bool(scope.paths) and all(map(scope.holds, region.paths))


def _tops(snapshot: Snapshot, scope: Scope) -> list[int]:
    """The largest areas of a scope."""
    if scope.paths is None:
        return [row for row in range(len(snapshot)) if not snapshot.parent[row]]
    return [snapshot.row[code] for path in scope.paths if (code := path.rpartition(".")[2]) in snapshot.row]


def _finest_or_paths(snapshot: Snapshot, scope: Scope, kind: str | None) -> Clauses:
    """The finest area says it where areas nest; what lies across is in an event's paths."""
    kinds = {kind} if kind else {snapshot.kind[row] for row in _tops(snapshot, scope)}
    return (
        by_finest_area(scope, snapshot)
        if kinds <= set(NESTING) or scope.paths is None
        else scope.condition("paths_now")
    )


def _children(snapshot: Snapshot, area: str | None, audience: Audience) -> NDArray[np.intp]:
    """Rows of the nesting areas right below one; without one, below the largest that has several."""
    if area is not None:
        row = visible_row(snapshot, audience.counts, area)
        below = snapshot.children(snapshot.code[row])
    else:
        below = np.array(_tops(snapshot, audience.counts), dtype=np.intp)
        while len(below) == 1:
            further = snapshot.children(snapshot.code[below[0]])
            further = further[np.isin(snapshot.kind[further], NESTING)]
            if not len(further):
                break
            below = further
    nesting: NDArray[np.intp] = below[np.isin(snapshot.kind[below], NESTING)]
    return nesting


def _rolled_up(snapshot: Snapshot, tree: Tree, counts: Counts, open_: Bools) -> dict[str, Ints]:
    """Numbers for every row, those of its descendants included."""
    numbers = {
        name: tree.roll_up(counts.all[name][:-1])
        - np.where(open_, 0, tree.roll_up(counts.delicate[name][:-1]))
        for name in stat_counts.NUMBERS
    }
    numbers["grids"] = tree.roll_up(snapshot.finest_grids.astype(np.int64))
    numbers["active_grids"] = tree.roll_up(counts.active.astype(np.int64))
    return numbers


def _compared(today: _Rates, earlier: _Rates) -> dict[str, Indicator]:
    return {name: Indicator(rate[0], rate[1], Indicator(*earlier[name])) for name, rate in today.items()}


def _rates(numbers: Mapping[str, int], below: int, *, hidden: bool = False) -> _Rates:
    """Numerator and denominator of every indicator; None where fewer than `below` events would be told of."""
    made = {
        **numbers,
        "closed": numbers["received"] - numbers["unclosed"],
        "resolved": numbers["disputes"] - numbers["unresolved"],
    }
    rates: _Rates = {}
    for name, (numerator, denominator) in RATES.items():
        few = made["received" if name == "active_grid_share" else denominator] < below
        rates[name] = (None, None) if hidden or few else (made[numerator], made[denominator])
    return rates
