"""Placing anew what lay in areas that changed: buildings, and the `now` of events.

What held when an event occurred never changes. An event that somebody has accepted stays with them; one that
nobody has accepted yet is routed by the new boundaries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.access import Clauses, Scope
from gridmap.affected import BOXES, IN_BOX, between, box_binds, widened
from gridmap.db import Writer
from gridmap.decisions import BLOCK, Decisions, read
from gridmap.errors import Conflict
from gridmap.households import relocate_buildings
from gridmap.rerouting import Rules
from gridmap.routing import load_roster, loads
from gridmap.succession import successors

TRIES = 5


@dataclass(slots=True)
class Reassigned:
    """How many events were looked at, were given to another area, and were given to somebody else."""

    looked_at: int = 0
    moved: int = 0
    routed: int = 0


@dataclass(frozen=True, slots=True)
class Relocated:
    """How many events and buildings moved, and how many events somebody else has got."""

    events: int = 0
    routed: int = 0
    buildings: int = 0


class Relocation:
    """Placing anew, by a later edition, what lies where it differs from an earlier one.

    Cost follows the areas that differ and what lies in them. Reading, placing and deciding (`look`) need no lock: done
    before the boundaries' lock is had, only what changed since is left to do under it (`finish`).

    Args:
        session: sees every event, and the rows of both editions; the caller commits.
        earlier: the edition by which everything is placed.
        later: the edition in force.
        time_zone: whose clock the shifts follow.
        tolerance_m: for places in a gap.
    """

    def __init__(
        self, session: Writer, earlier: int, later: int, time_zone: ZoneInfo, tolerance_m: float
    ) -> None:
        self._session, self.earlier, self.later = session, earlier, later
        affected = between(session, earlier, later)
        self._boxes, self._paths = widened(affected.boxes, 0.0), affected.paths
        inherited = successors(session, _retired(session, earlier, later))
        codes = {label for path in affected.paths for label in path.split(".")}
        codes.update(affected.codes, *inherited.values())
        snapshot = snapshots.around(session, later, widened(self._boxes, 2 * tolerance_m), codes)
        roster = load_roster(session, time_zone, snapshot.code.tolist())
        load = loads(session, list(roster.people))
        self._rules = Rules(snapshot, roster, load, tolerance_m, inherited=inherited, follows=True)
        self._decisions: Decisions | None = None
        self._seen: dict[int, int] = {}

    def look(self) -> Decisions:
        """Decides what becomes of events that were not looked at yet or have changed since."""
        if self._decisions is None:
            self._decisions = Decisions(self._session, self._rules)
        lying = self._lying()
        seen, self._seen = self._seen, lying
        known = [number for number, revision in seen.items() if lying.get(number) != revision]
        if known:
            self._decisions.forget(known)
        fresh = sorted(number for number, revision in lying.items() if seen.get(number) != revision)
        for at in range(0, len(fresh), BLOCK):
            self._decisions.decide(_numbered(self._session, fresh[at : at + BLOCK]))
        return self._decisions

    def finish(self) -> Relocated:
        """Looks once more and writes. The caller holds the boundaries' lock, exclusively.

        Raises:
            Conflict: some events change all the time.
        """
        self._call_the_roll()
        done = Reassigned()
        _write(self._session, self.look(), done)
        buildings = relocate_buildings(self._session, self._rules.snapshot, self._boxes)
        return Relocated(done.moved, done.routed, buildings)

    def _call_the_roll(self) -> None:
        """Decides anew by who serves now, where that is somebody else than when it was looked at."""
        rules = self._rules
        roster = load_roster(self._session, rules.roster.time_zone, rules.snapshot.code.tolist())
        if roster == rules.roster:
            return
        self._rules = replace(rules, roster=roster, load=loads(self._session, list(roster.people)))
        self._decisions, self._seen = None, {}

    def _lying(self) -> dict[int, int]:
        """Revisions of what may lie elsewhere now, by number.

        Events in the boxes; those near that no grid holds; those without a place whose source stated an area that is
        no more or below one.
        """
        statements = [
            (
                f"SELECT event.id, revision FROM {BOXES} JOIN event ON event.geom {IN_BOX} WHERE {method}",
                box_binds(boxes),
            )
            for boxes, method in (
                (self._boxes, "true"),
                (widened(self._boxes, self._rules.tolerance_m), _IN_NO_GRID),
            )
        ]
        if self._paths:
            below, binds = Scope(self._paths).condition("paths_now")
            statements.append((f"SELECT id, revision FROM event WHERE {below} AND method = 'stated'", binds))
        return {
            number: revision
            for text, binds in statements
            for number, revision in self._session.execute(sa.text(text), binds).all()
        }


_IN_NO_GRID = "method IN ('nearest','jurisdiction','none')"


def _retired(session: Writer, earlier: int, later: int) -> list[str]:
    rows = session.execute(
        sa.text("SELECT code FROM area WHERE edition_to > :earlier AND edition_to <= :later"),
        {"earlier": earlier, "later": later},
    )
    return list(rows.scalars())


def place_anew(
    session: Writer, rules: Rules, condition: Clauses, progress: Callable[[int], None] = lambda _: None
) -> Reassigned:
    """Places all events of a condition; whoever acts on one meanwhile goes before, and it is looked at again.

    Raises:
        Conflict: some change all the time.
    """
    done, last = Reassigned(), 0
    decisions = Decisions(session, rules)
    while rows := read(session, condition, last):
        last = rows[-1].id
        done.looked_at += len(rows)
        decisions.decide(rows)
        _write(session, decisions, done)
        progress(done.looked_at)
    return done


def _write(session: Writer, decisions: Decisions, done: Reassigned) -> None:
    for _ in range(TRIES):
        written = decisions.write()
        done.moved += written.moved
        done.routed += written.routed
        if not written.passed:
            return
        decisions.decide(_numbered(session, written.passed))
    raise Conflict("Some events change all the time; try again", code="events_change")


def _numbered(session: Writer, numbers: Sequence[int]) -> list[sa.Row[Any]]:
    """At most `BLOCK` events."""
    return read(session, ("id = ANY(:ids)", {"ids": numbers}))
