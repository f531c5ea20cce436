"""Placing stored events by the boundaries in force now, because somebody asks for it: all open ones, or a period's.

A publication does this by itself for what it changed. By hand it serves where the tolerance was changed, where
workers came and went, or where somebody wants to see that nothing would move.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gridmap import snapshot as snapshots
from gridmap.access import Clauses, Scope
from gridmap.db import Writer, lock_edition
from gridmap.errors import Conflict, NotFound
from gridmap.relocation import Reassigned, place_anew
from gridmap.rerouting import Rules
from gridmap.routing import OPEN_STATES, load_roster, loads
from gridmap.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Which:
    """Which events.

    Attributes:
        scope: only those in it.
        since: only what occurred at or after it.
        until: only what occurred before it.
        only_open: nothing that is resolved, verified, closed or rejected.
        area: only those in this area, by its living code.
    """

    scope: Scope
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    only_open: bool = True
    area: str | None = None

    def clauses(self, snapshot: Snapshot) -> Clauses:
        """The condition in SQL.

        Raises:
            NotFound: no such area within the scope.
        """
        text, binds = self.scope.condition("paths_now")
        clauses = [text]
        if self.area is not None:
            row = snapshot.row.get(self.area)
            if row is None or not self.scope.holds(snapshot.path[row]):
                raise NotFound(f"No area {self.area} within your areas", code="unknown_area")
            text, more = Scope((snapshot.path[row],)).condition("paths_now", "area")
            clauses.append(text)
            binds = {**binds, **more}
        if self.since is not None:
            clauses.append("occurred_at >= :since")
            binds = {**binds, "since": self.since}
        if self.until is not None:
            clauses.append("occurred_at < :until")
            binds = {**binds, "until": self.until}
        if self.only_open:
            clauses.append("status = ANY(:open)")
            binds = {**binds, "open": ["unassigned", *OPEN_STATES]}
        return " AND ".join(clauses), binds


def reassign(
    session: Writer,
    which: Which,
    time_zone: ZoneInfo,
    tolerance_m: float,
    progress: Callable[[int], None] = lambda _: None,
) -> Reassigned:
    """Places stored events by the boundaries in force now, and routes anew what waits for nobody.

    What held when an event occurred stays. Who has accepted an event keeps it; what is assigned and stays where it
    is keeps its worker, unless that worker serves no more. No edition comes into force before the caller's
    transaction ends.

    Args:
        session: the caller commits, or rolls back a trial.
        which: events to look at.
        time_zone: whose clock the shifts follow.
        tolerance_m: for places in a gap.
        progress: is told how many were looked at, from time to time.

    Raises:
        Conflict: no boundaries are loaded, or an event changes all the time.
        NotFound: no such area within the scope.
    """
    lock_edition(session, exclusive=False)
    snapshot = snapshots.load(session)
    if snapshot.edition == 0:
        raise Conflict("No boundaries are loaded yet: gridmap load areas FILE --commit", code="no_boundaries")
    roster = load_roster(session, time_zone)
    rules = Rules(snapshot, roster, loads(session), tolerance_m, renew=True)
    return place_anew(session, rules, which.clauses(snapshot), progress)
