"""What becomes of an event where boundaries change: where it lies by the others, and who has it then.

Whoever has an event in hand keeps it and is offered to hand it over; what waits is routed anew. Nothing is written
here: `gridmap.relocation` does what is decided, `gridmap.foresight` tells it beforehand.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridmap.events import EventDraft
from gridmap.intake import TO_WHOM, Assignment, assign
from gridmap.placement import Placement, Reason
from gridmap.routing import Roster
from gridmap.snapshot import Snapshot

WAITING = frozenset({"unassigned", "assigned"})
KEPT_STATES = frozenset({"accepted", "transferred", "escalated", "suspended"})  # somebody has it and keeps it


@dataclass(frozen=True, slots=True)
class Rules:
    """By what is decided.

    Attributes:
        snapshot: the boundaries.
        roster: who serves what.
        load: events in hand by worker; what is decided is counted.
        tolerance_m: for places in a gap.
        renew: what stays where it is and waits for nobody is routed anew too.
        follows: what a source stated follows it; who keeps an event is offered to hand it over.
        inherited: the codes that have the land of those that live no more.
    """

    snapshot: Snapshot
    roster: Roster
    load: dict[int, int]
    tolerance_m: float
    renew: bool = False
    follows: bool = False
    inherited: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an event.

    Attributes:
        placement: where it lies.
        stays: in the same areas as before.
        offered: to whom whoever keeps it may hand it over, `{worker, unit}`.
    """

    placement: Placement
    stays: bool
    worker: int | None
    unit: int | None
    status: str
    why: tuple[Reason, ...]
    offered: Mapping[str, int | None] | None = None


def as_draft(rules: Rules, row: Any) -> EventDraft:
    """A stored event as it is placed.

    Args:
        rules: whose boundaries.
        row: of the table of events, with `lon` and `lat`.
    """
    return EventDraft(
        source="",
        external_id=str(row.id),
        category=row.category,
        occurred_at=row.occurred_at,
        title="",
        lon=row.lon,
        lat=row.lat,
        # What a source stated is the last of its one path, also where that is an overlay.
        grid=_stated(rules, row.paths_now[0]) if row.method == "stated" else None,
    )


def _stated(rules: Rules, path: str) -> str:
    """The area that a source stated; where it lives no more, the one that has its land, or what holds those that do."""
    above, _, code = path.rpartition(".")
    row = rules.snapshot.row
    if code in row or not rules.follows:
        return code
    heirs = [
        rules.snapshot.path[row[heir]].split(".") for heir in rules.inherited.get(code, ()) if heir in row
    ]
    common = [labels[0] for labels in zip(*heirs, strict=False) if len(set(labels)) == 1]
    living = common or [label for label in above.split(".") if label in row]
    return living[-1] if living else code


def decide(rules: Rules, row: Any, placement: Placement, now: dt.datetime) -> Decision | None:
    """What becomes of a stored event; None where nothing does.

    Args:
        rules: by what; the load of whoever gets it, or has it no more, is counted.
        row: of the table of events.
        placement: where it lies by the rules' boundaries.
        now: the moment of routing.
    """
    before = (row.owner_now, row.leaf_now, sorted(row.paths_now))
    stays = before == (placement.owner, placement.leaf, sorted(placement.paths))
    orphan = rules.renew and (row.worker is None or row.worker not in rules.roster.people) and not (
        row.unit is not None and row.unit in rules.roster.offices
    )  # fmt: skip
    routes = row.status in WAITING and (orphan or not stays)
    if stays and not routes and (row.method, row.distance_m) == (placement.method, placement.distance_m):
        return None
    why = list(placement.why)
    if placement.method == row.method == "stated" and not stays:
        why += _succeeded(row.paths_now[0].rpartition(".")[2], placement)
    if routes:
        given = _routed(rules, row, placement, now)
        if stays and (given.worker, given.unit, given.status) == (row.worker, row.unit, row.status):
            return None
        why.append(given.reason)
        return Decision(placement, stays, given.worker, given.unit, given.status, tuple(why))
    # who has it keeps it, and why
    offered = None if stays else _offered(rules, row, placement, now)
    if offered is not None:
        why.append(["warn", "handover", {"grid": placement.owner or placement.leaf}])
    why += [reason for reason in row.why if reason[1] in TO_WHOM]
    return Decision(placement, stays, row.worker, row.unit, row.status, tuple(why), offered)


def _routed(rules: Rules, row: Any, placement: Placement, now: dt.datetime) -> Assignment:
    if row.worker is not None and row.worker in rules.load:
        rules.load[row.worker] -= 1  # it is not in its own way
    return assign(rules.roster.candidates(row.category, placement.chain, now), rules.load)


def _succeeded(stated: str, placement: Placement) -> list[Reason]:
    """What a source stated lives no more: who has its land stands for it."""
    now = placement.paths[0].rpartition(".")[2]
    return [] if stated == now else [["warn", "succeeded", {"stated": stated, "area": now}]]


def _offered(rules: Rules, row: Any, placement: Placement, now: dt.datetime) -> dict[str, int | None] | None:
    """To whom somebody who keeps an event may hand it over; None where there is nobody to, or no need."""
    if not rules.follows or row.status not in KEPT_STATES or not placement.chain:
        return None
    serving = {each.id for code in placement.chain for each in rules.roster.people_of.get(code, ())}
    offices = {each.id for code in placement.chain for each in rules.roster.offices_of.get(code, ())}
    if row.worker in serving or row.unit in offices:
        return None
    given = assign(rules.roster.candidates(row.category, placement.chain, now), dict(rules.load))
    return {"worker": given.worker, "unit": given.unit}
