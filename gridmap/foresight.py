"""What publishing changes would do, told beforehand: who would serve what, and what becomes of open events.

It is decided by the functions that decide when it is published (`gridmap.succession`, `gridmap.rerouting`), on the
boundaries as they would be around what changes. Nothing is written, nothing is locked; what is posted until the
publication is not foreseen.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap import event_queries
from gridmap.access import Principal, Scope
from gridmap.affected import BOXES, IN_BOX, Affected, Floats, Lying, box_binds, differing, widened
from gridmap.events import EventDraft
from gridmap.next_edition import Change, NextEdition
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.rerouting import WAITING, Decision, Rules, as_draft, decide
from gridmap.routing import OPEN_STATES, Roster
from gridmap.snapshot import Snapshot, of_columns
from gridmap.succession import Step, lineage, passed_on

# What is open, as the partial index and the filters of lists say it.
OPEN = ("unassigned", *OPEN_STATES)
_PLAIN = "(e.subcategory IS NULL OR e.subcategory NOT IN (SELECT code FROM subcategory WHERE sensitive))"


@dataclass(frozen=True)
class Foresight:
    """The day after, as far as it differs.

    Attributes:
        steps: of the lineage.
        boxes: west, south, east, north in degrees: what is owned otherwise lies in one of them.
        snapshot: the areas as they would be in and around the boxes, and whatever changes.
        roster: who would serve what.
        inherited: for every code that would live no more those that have its land.
        tolerance_m: for places in a gap.
    """

    following: NextEdition
    steps: Sequence[Step]
    boxes: Floats
    affected: Affected
    snapshot: Snapshot
    roster: Roster
    inherited: Mapping[str, Sequence[str]]
    tolerance_m: float


def foresee(base: Snapshot, following: NextEdition, roster: Roster, tolerance_m: float) -> Foresight:
    """What would be if an edition followed this moment.

    Args:
        base: the edition that it builds on.
        following: the difference.
        roster: who serves what now.
        tolerance_m: for places in a gap.
    """
    along = {code: base.geom[base.row[code]] for code in following.along}
    kinds = {code: base.kind[base.row[code]] for code in following.along}
    affected = differing(
        {
            **{code: Lying(kinds[code], base.path[base.row[code]], geom) for code, geom in along.items()},
            **{
                code: Lying(area.kind, area.path, area.geom)
                for code, area in following.before.items()
                if area.geom is not None
            },
        },
        {
            **{code: Lying(kinds[code], following.along[code], geom) for code, geom in along.items()},
            **{
                code: Lying(change.kind, following.paths[code], change.geom)
                for code, change in following.changes.items()
                if change.geom is not None
            },
        },
    )
    steps = lineage(following)
    boxes = widened(affected.boxes, tolerance_m)
    inherited = {
        code: sorted({step.new for step in steps if step.old == code and step.new})
        for code in following.retired
    }
    return Foresight(
        following=following,
        steps=steps,
        boxes=boxes,
        affected=affected,
        snapshot=_around(base, following, widened(boxes, tolerance_m)),
        roster=passed_on(roster, steps, following.retired),
        inherited=inherited,
        tolerance_m=tolerance_m,
    )


def _around(base: Snapshot, following: NextEdition, boxes: Floats) -> Snapshot:
    """The next edition's areas in boxes, those that change, and all that these hang from."""
    west, south, east, north = base.bounds.T
    near = np.zeros(len(base), dtype=bool)
    for box in boxes:
        near |= (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
    living = {code: change for code, change in following.changes.items() if change.geom is not None}
    paths = {**following.along, **following.paths}
    codes = {code for code in base.code[near] if code not in following.changes} | living.keys()
    codes |= following.along.keys()
    for code in [*codes]:
        codes.update((paths.get(code) or base.path[base.row[code]]).split("."))
    rows = [_row(base, living.get(code), code, paths.get(code)) for code in sorted(codes)]
    columns = [np.empty(len(rows), dtype=object) for _ in range(7)]
    for number, column in enumerate(columns):
        column[:] = [row[number] for row in rows]
    return of_columns(base.edition + 1, None, columns, {})


def _row(base: Snapshot, change: Change | None, code: str, path: str | None) -> tuple[object, ...]:
    if change is not None:
        return code, change.kind, change.name, change.setting, change.parent, path, change.geom
    at = base.row[code]
    columns = (base.kind, base.name, base.setting, base.parent)
    return (code, *(column[at] for column in columns), path or base.path[at], base.geom[at])


@dataclass(frozen=True, slots=True)
class Fate:
    """An open event and what becomes of it."""

    event: sa.Row[Any]
    decision: Decision


def fates(
    session: Session, seen: Foresight, principal: Principal, load: Mapping[int, int], now: dt.datetime
) -> list[Fate]:
    """Open events that somebody may see and that would lie elsewhere or be somebody else's, by their numbers.

    Args:
        session: sees the events of that somebody.
        seen: the day after.
        principal: for whom.
        load: events in hand, by worker.
        now: the moment of routing.
    """
    (scope, *more), binds = event_queries.visible(principal)
    columns = (
        "e.id, e.category, e.subcategory, e.urgency, e.occurred_at, ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat,"
        " e.status, e.worker, e.unit, e.owner_now, e.leaf_now, e.paths_now::text[] AS paths_now, e.method,"
        " e.distance_m, e.why, e.accept_due_at, e.resolve_due_at"
    )
    rows = _lying(session, seen, columns, "e.method = 'stated'", (" AND ".join([scope, *more]), binds))
    rules = Rules(
        seen.snapshot, seen.roster, dict(load), seen.tolerance_m, follows=True, inherited=seen.inherited
    )
    found = place_many(seen.snapshot, [as_draft(rules, row) for row in rows], seen.tolerance_m)
    told = []
    for row, answer in zip(rows, found, strict=True):
        decision = decide(rules, row, answer if isinstance(answer, Placement) else NOWHERE, now)
        if decision is not None and (_elsewhere(row, decision.placement) or _somebody_else(row, decision)):
            told.append(Fate(row, decision))
    return told


@dataclass(frozen=True, slots=True)
class Moving:
    """How many open events would lie in another grid: of those that wait, and of those that somebody has in hand."""

    waiting: int = 0
    in_hand: int = 0


def moving(session: Session, seen: Foresight, scope: Scope) -> Moving:
    """Open events that would lie in another grid, counted without sensitive sub-categories.

    Args:
        session: sees what may be counted for who asks.
        seen: the day after.
        scope: where who asks may see counts.
    """
    condition, binds = scope.condition("e.paths_now")
    columns = (
        "e.id, e.category, e.occurred_at, ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat, e.status, e.owner_now,"
        " e.leaf_now, e.paths_now::text[] AS paths_now, CASE WHEN e.geom IS NULL THEN 'stated' END AS method"
    )
    # Whoever counts does not see by which method.
    rows = _lying(session, seen, columns, "e.geom IS NULL", (f"{condition} AND {_PLAIN}", binds))
    rules = Rules(seen.snapshot, seen.roster, {}, seen.tolerance_m, follows=True, inherited=seen.inherited)
    drafts: list[EventDraft] = [as_draft(rules, row) for row in rows]
    found = place_many(seen.snapshot, drafts, seen.tolerance_m)
    moved = [
        row
        for row, answer in zip(rows, found, strict=True)
        if isinstance(answer, Placement) and _elsewhere(row, answer)
    ]
    waiting = sum(row.status in WAITING for row in moved)
    return Moving(waiting, len(moved) - waiting)


def _elsewhere(row: sa.Row[Any], at: Placement) -> bool:
    return bool((row.owner_now or row.leaf_now) != (at.owner or at.leaf))


def _somebody_else(row: sa.Row[Any], decision: Decision) -> bool:
    return (row.worker, row.unit) != (decision.worker, decision.unit)


def _lying(
    session: Session, seen: Foresight, columns: str, stated: str, condition: tuple[str, Mapping[str, object]]
) -> list[sa.Row[Any]]:
    """Open events in the boxes, and those that state an area which is no more or hangs from another one."""
    text, binds = condition
    given: dict[str, object] = {**binds, "open": list(OPEN)}
    text = f"e.status = ANY(:open) AND {text}"
    found: dict[int, sa.Row[Any]] = {}
    if len(seen.boxes):
        statement = f"SELECT {columns} FROM {BOXES} JOIN event e ON e.geom {IN_BOX} WHERE {text}"
        rows = session.execute(sa.text(statement), {**given, **box_binds(seen.boxes)}).all()
        found.update((row.id, row) for row in rows)
    if seen.affected.paths:
        below, more = Scope(seen.affected.paths).condition("e.paths_now", "beneath")
        statement = f"SELECT {columns} FROM event e WHERE {below} AND {stated} AND {text}"
        found.update((row.id, row) for row in session.execute(sa.text(statement), {**given, **more}).all())
    return [found[number] for number in sorted(found)]
