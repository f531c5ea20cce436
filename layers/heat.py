"""Heat: how many events happened where, by grid, by any other area, or by hexagon.

    answer = heat(session, snapshot, HeatQuery(kind="micro", categories=("dispute",)), Audience.of(principal, 3))
    answer.to_geojson(geometry=False)

Counted is what was received, whatever became of it, by the area that holds the place today (`boundaries="today"`)
or held it when it happened (`"then"`). Dedicated grids count what is theirs, overlays what lies in them; areas
without an event are listed with 0. With `then`, codes that no longer live are listed as well, with name and
outline as they last were; a living code is drawn as it is today, whatever its shape was.

Sensitive sub-categories are counted below towns only for those who handle them. What is withheld, and what that
does not protect: gridmap.withholding. Rates, changes and hot spots say nothing where the count is withheld; the
hot spots of a reader without exact counts are worked out from what that reader may see, so they hold no more
and are shown for every unit. Rates and changes are null where the count is withheld.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from gridmap.access import Scope
from gridmap.db import plan_for_these_values
from gridmap.errors import InvalidInput
from gridmap.event_queries import visible_row
from gridmap.periods import Period
from gridmap.selection import Selection
from gridmap.snapshot import KINDS, Snapshot
from gridmap.withholding import Audience, Bools, held, withheld
from layers import classes, hotspots
from layers.answer import UNITS, Floats, Heat, Outlines
from layers.counting import Rows
from layers.hex_heat import Hexagons, hex_heat
from layers.tally import Request, Tally, tally

MEASURES = tuple(UNITS)
FEW = 3  # a change against fewer is chance, also for those who may see small counts


@dataclass(frozen=True, kw_only=True)
class HeatQuery:
    """What is asked for.

    Attributes:
        by: `grid` (areas of a kind) or `hex`.
        kind: any kind of area; for `grid`.
        res: H3 resolution, 5 to 11; for `hex`.
        area: code of an area; only what lies in it is listed.
        categories: any of these; none means all.
        subcategories: likewise.
        since: inclusive; None: a year before the end.
        until: exclusive; None: now.
        measure: `count`, `per_100_households` (null where nobody lives), `change` (in percent, against
            `compare`; null where either number is small), `hotspot` (Gi* of the rate, or of the count where no
            households are known). Hexagons are counted only.
        boundaries: `today` or `then`.
        compare: `year` (the same days a year before) or `previous` (as long, right before).
        classes: `round`, `quantiles`, `natural` or `equal`: how breaks are found.

    Raises:
        InvalidInput: a value that is not among these (`bad_heat_query`).
    """

    by: str = "grid"
    kind: str = "micro"
    res: int = 9
    area: str | None = None
    categories: tuple[str, ...] = ()
    subcategories: tuple[str, ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    measure: str = "count"
    boundaries: str = "today"
    compare: str = "year"
    classes: str = "round"

    def __post_init__(self) -> None:
        choices = {
            "by": ("grid", "hex"),
            "kind": KINDS,
            "measure": MEASURES if self.by == "grid" else ("count",),
            "boundaries": ("today", "then"),
            "compare": ("year", "previous"),
            "classes": tuple(classes.METHODS),
        }
        for name, allowed in choices.items():
            given = str(getattr(self, name))
            if given not in allowed:
                listed = ", ".join(allowed)
                why = "; hexagons are counted, not rated" if name == "measure" and self.by == "hex" else ""
                raise InvalidInput(
                    f"{name}={given[:40]!r}: {listed}{why}",
                    code="bad_heat_query",
                    findings=[{"field": name, "value": given[:40], "message": listed}],
                )

    def selection(self, audience: Audience) -> Selection:
        """Which events are counted for an audience."""
        period = Period.of(self.since, self.until, dt.datetime.now(dt.UTC))
        return Selection(period, audience.counts, self.categories, self.subcategories)


def heat(session: Session, snapshot: Snapshot, query: HeatQuery, audience: Audience) -> Heat:
    """Counts the events that a query selects, for an audience.

    Args:
        session: a reader's.
        snapshot: the edition in force.
        query: what is asked for.
        audience: for whom; everything outside their areas is as if it were not there.

    Raises:
        InvalidInput: the query is impossible.
        NotFound: no such area within the audience's areas.
    """
    within = visible_row(snapshot, audience.counts, query.area) if query.area else None
    selection = query.selection(audience)
    plan_for_these_values(session)
    if query.by == "hex":
        wanted = Hexagons(query.res, within, query.classes)
        return hex_heat(session, snapshot, selection, wanted, audience)
    selections: tuple[Selection, ...] = (selection,)
    if query.measure == "change":
        period = selection.period
        earlier = period.year_before() if query.compare == "year" else period.previous()
        selections = (selection, selection.during(earlier))
    request = Request(query.kind, then=query.boundaries == "then", within=within)
    counted = tally(session, snapshot, request, selections, audience)
    return _Making(query, selection.period, audience, counted).heat(_rows(counted, query, audience, within))


def _rows(counted: Tally, query: HeatQuery, audience: Audience, within: int | None) -> Rows:
    """The areas to list, in the order of their codes."""
    tree = counted.tree
    rows = np.flatnonzero(tree.kind == query.kind)
    rows = rows[held(audience.counts, tree.path[rows])]
    if within is not None:
        path = counted.snapshot.path[within]
        rows = rows[held(Scope((path,)), tree.path[rows])]
    # What no longer lives and held nothing in the period is no news.
    rows = rows[(rows < len(counted.snapshot)) | (counted.counts[0][rows] > 0)]
    if len(counted.gone):
        rows = rows[np.argsort(counted.column("code")[rows].astype(str), kind="stable")]
    return rows


@dataclass(frozen=True)
class _Making:
    """An answer in the making."""

    query: HeatQuery
    period: Period
    audience: Audience
    counted: Tally

    def heat(self, rows: Rows) -> Heat:
        counted, query = self.counted, self.query
        snapshot = counted.snapshot
        exact = self.audience.sees_exact(counted.tree)[rows]
        hidden = self._hidden(0)[rows]
        count = counted.counts[0][rows]
        value, more = getattr(self, f"_{query.measure}")(rows, hidden)
        living = rows < len(snapshot)
        return Heat(
            by="grid",
            kind=query.kind,
            measure=query.measure,
            boundaries=query.boundaries,
            edition=snapshot.edition,
            period=self.period,
            code=counted.column("code")[rows],
            name=counted.column("name")[rows],
            households=counted.households[rows],
            count=count,
            value=value,
            withheld=hidden,
            breaks=self._breaks(value, all_exact=bool(exact.all())),
            withhold_below=None if exact.all() else self.audience.withhold_below,
            outlines=Outlines(
                snapshot,
                np.where(living, rows, -1),
                counted.gone.geom[rows[~living] - len(snapshot)],
            ),
            retired=np.concatenate([np.zeros(len(snapshot), np.int64), counted.gone.edition])[rows],
            **more,
        )

    def _hidden(self, which: int) -> Bools:
        return withheld(self.counted.tree, self.counted.counts[which], self.audience)

    def _count(self, rows: Rows, hidden: Bools) -> tuple[Floats, dict[str, object]]:
        return np.where(hidden, np.nan, self.counted.counts[0][rows]), {}

    def _per_100_households(self, rows: Rows, hidden: Bools) -> tuple[Floats, dict[str, object]]:
        households = self.counted.households[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = 100.0 * self.counted.counts[0][rows] / households
        return np.where((households > 0) & ~hidden, rate, np.nan), {}

    def _change(self, rows: Rows, hidden: Bools) -> tuple[Floats, dict[str, object]]:
        now, before = (counts[rows] for counts in self.counted.counts)
        hidden_before = self._hidden(1)[rows]
        few = np.minimum(now, before) < max(FEW, self.audience.withhold_below)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = 100.0 * (now - before) / before
        value = np.where(few | hidden | hidden_before, np.nan, change)
        return value, {"before": np.where(hidden_before | hidden, -1, before)}

    def _hotspot(self, rows: Rows, hidden: Bools) -> tuple[Floats, dict[str, object]]:
        households = self.counted.households[rows]
        # One number for all that is withheld: what comes out can then betray none of them.
        seen = np.where(hidden, (self.audience.withhold_below - 1) / 2, self.counted.counts[0][rows])
        if households.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                seen = np.where(households > 0, 100.0 * seen / households, np.nan)
        z = hotspots.gi_star(seen, self._neighbours(rows))
        return z, {"z": z, "p": hotspots.two_sided(z)}

    def _neighbours(self, rows: Rows) -> hotspots.Pairs:
        place = np.full(len(self.counted.tree), -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        one, other = hotspots.neighbours_of(self.counted.snapshot, self.query.kind)
        both = (place[one] >= 0) & (place[other] >= 0)
        return place[one[both]], place[other[both]]

    def _breaks(self, value: Floats, *, all_exact: bool) -> list[float]:
        if self.query.measure == "change":
            return list(classes.CHANGE_BREAKS)
        if self.query.measure == "hotspot":
            return list(classes.Z_BREAKS)
        found = classes.breaks(value, self.query.classes)
        return found if all_exact else classes.from_smallest(found, value, self.audience.withhold_below)
