"""Placing anew what lay in areas that changed: buildings, and the `now` of events.

What held when an event occurred never changes. An event that somebody has accepted stays with them; one that
nobody has accepted yet is routed by the new boundaries.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.access import Clauses, Scope
from gridmap.affected import BOXES, IN_BOX, Floats, between, box_binds, widened
from gridmap.db import Writer, copy_rows
from gridmap.errors import Conflict
from gridmap.events import EventDraft
from gridmap.households import relocate_buildings
from gridmap.intake import TO_WHOM, Assignment, assign
from gridmap.placement import NOWHERE, Placement, Reason, place_many
from gridmap.routing import Roster, load_roster, loads
from gridmap.snapshot import Snapshot
from gridmap.succession import successors

BLOCK = 20_000
TRIES = 5
_WAITING = {"unassigned", "assigned"}
KEPT_STATES = {"accepted", "transferred", "escalated", "suspended"}  # somebody has it in hand and keeps it


@dataclass(frozen=True, slots=True)
class Work:
    """What every block needs.

    Attributes:
        renew: what stays where it is and waits for nobody is routed anew too.
        follows: what a source stated follows it; who keeps an event is offered to hand it over.
        inherited: the codes that have the land of those that live no more.
    """

    session: Writer
    snapshot: Snapshot
    roster: Roster
    load: dict[int, int]
    tolerance_m: float
    renew: bool = False
    follows: bool = False
    inherited: Mapping[str, Sequence[str]] = field(default_factory=dict)


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


def relocate(session: Writer, earlier: int, later: int, time_zone: ZoneInfo, tolerance_m: float) -> Relocated:
    """Places anew by a later edition what lies where it differs from an earlier one.

    The caller holds the edition lock exclusively. Cost follows the areas that differ and what lies in them.

    Args:
        session: sees every event; the caller commits.
        earlier: the edition by which everything is placed.
        later: the edition in force.
        time_zone: whose clock the shifts follow.
        tolerance_m: for places in a gap.
    """
    affected = between(session, earlier, later)
    boxes = widened(affected.boxes, 0.0)
    inherited = successors(session, _retired(session, earlier, later))
    codes = {label for path in affected.paths for label in path.split(".")}
    codes.update(affected.codes, *inherited.values())
    snapshot = snapshots.around(session, later, widened(boxes, 2 * tolerance_m), codes)
    roster = load_roster(session, time_zone, snapshot.code.tolist())
    load = loads(session, list(roster.people))
    work = Work(session, snapshot, roster, load, tolerance_m, inherited=inherited, follows=True)
    buildings = relocate_buildings(session, snapshot, boxes)
    events = _which(session, boxes, tolerance_m, affected.paths)
    blocks = (events[at : at + BLOCK] for at in range(0, len(events), BLOCK))
    done = _place(work, (_read(session, ("id = ANY(:ids)", {"ids": block}), 0) for block in blocks))
    return Relocated(done.moved, done.routed, buildings)


def _retired(session: Writer, earlier: int, later: int) -> list[str]:
    rows = session.execute(
        sa.text("SELECT code FROM area WHERE edition_to > :earlier AND edition_to <= :later"),
        {"earlier": earlier, "later": later},
    )
    return list(rows.scalars())


_IN_NO_GRID = "method IN ('nearest','jurisdiction','none')"


def _which(session: Writer, boxes: Floats, tolerance_m: float, paths: Sequence[str]) -> list[int]:
    """Events in boxes, those near that no grid holds, and those whose source stated an area below a path, no place."""
    found: set[int] = set()
    for those, method in ((boxes, "true"), (widened(boxes, tolerance_m), _IN_NO_GRID)):
        found.update(
            session.execute(
                sa.text(f"SELECT event.id FROM {BOXES} JOIN event ON event.geom {IN_BOX} WHERE {method}"),
                box_binds(those),
            ).scalars()
        )
    if paths:
        below, binds = Scope(tuple(paths)).condition("paths_now")
        found.update(
            session.execute(
                sa.text(f"SELECT id FROM event WHERE {below} AND method = 'stated'"), binds
            ).scalars()
        )
    return sorted(found)


def place_anew(
    work: Work, condition: Clauses, progress: Callable[[int], None] = lambda _: None
) -> Reassigned:
    """Places all events of a condition; whoever acts on one meanwhile goes before, and it is looked at again.

    Raises:
        Conflict: some change all the time.
    """
    return _place(work, _blocks(work.session, condition), progress)


def _place(
    work: Work, blocks: Iterable[list[sa.Row[Any]]], progress: Callable[[int], None] = lambda _: None
) -> Reassigned:
    done = Reassigned()
    for rows in blocks:
        done.looked_at += len(rows)
        left = rows
        for _ in range(TRIES):
            passed = _store(work, left, done)
            if not passed:
                break
            left = list(_read(work.session, ("id = ANY(:ids)", {"ids": passed}), 0))
        else:
            raise Conflict(f"{len(left)} events change all the time; try again", code="events_change")
        progress(done.looked_at)
    return done


def _blocks(session: Writer, condition: Clauses) -> Iterator[list[sa.Row[Any]]]:
    last = 0
    while rows := _read(session, condition, last):
        yield rows
        last = rows[-1].id


def _read(session: Writer, condition: Clauses, last: int) -> list[sa.Row[Any]]:
    text, binds = condition
    return list(
        session.execute(
            sa.text(
                "SELECT id, category, occurred_at, ST_X(geom) AS lon, ST_Y(geom) AS lat, status, worker, unit,"
                " owner_now, leaf_now, paths_now::text[] AS paths_now, method, distance_m, why, edition,"
                f" revision FROM event WHERE id > :last AND {text} ORDER BY id LIMIT :block"
            ),
            {**binds, "last": last, "block": BLOCK},
        )
    )


def _draft(work: Work, row: sa.Row[Any]) -> EventDraft:
    return EventDraft(
        source="",
        external_id=str(row.id),
        category=row.category,
        occurred_at=row.occurred_at,
        title="",
        lon=row.lon,
        lat=row.lat,
        # What a source stated is the last of its one path, also where that is an overlay.
        grid=_stated(work, row.paths_now[0]) if row.method == "stated" else None,
    )


def _stated(work: Work, path: str) -> str:
    """The area that a source stated; where it lives no more, the one that has its land, or what holds those that do."""
    above, _, code = path.rpartition(".")
    row = work.snapshot.row
    if code in row or not work.follows:
        return code
    heirs = [work.snapshot.path[row[heir]].split(".") for heir in work.inherited.get(code, ()) if heir in row]
    common = [labels[0] for labels in zip(*heirs, strict=False) if len(set(labels)) == 1]
    living = common or [label for label in above.split(".") if label in row]
    return living[-1] if living else code


def _store(work: Work, rows: Sequence[sa.Row[Any]], done: Reassigned) -> list[int]:
    """Writes what changed of one block; returns those that somebody else changed in between."""
    found = place_many(work.snapshot, [_draft(work, row) for row in rows], work.tolerance_m)
    now = dt.datetime.now(dt.UTC)
    updates: list[tuple[object, ...]] = []
    history: dict[int, tuple[object, ...]] = {}
    moved: set[int] = set()
    routed: set[int] = set()
    for row, answer in zip(rows, found, strict=True):
        placement = answer if isinstance(answer, Placement) else NOWHERE
        before = (row.owner_now, row.leaf_now, sorted(row.paths_now))
        stays = before == (placement.owner, placement.leaf, sorted(placement.paths))
        orphan = work.renew and (row.worker is None or row.worker not in work.roster.people) and not (
            row.unit is not None and row.unit in work.roster.offices
        )  # fmt: skip
        routes = row.status in _WAITING and (orphan or not stays)
        if stays and not routes and (row.method, row.distance_m) == (placement.method, placement.distance_m):
            continue
        worker, unit, status, why = row.worker, row.unit, row.status, list(placement.why)
        detail: dict[str, object] = {}
        if placement.method == row.method == "stated" and not stays:
            why += _succeeded(row.paths_now[0].rpartition(".")[2], placement)
        if routes:
            given = _routed(work, row, placement, now)
            worker, unit, status = given.worker, given.unit, given.status
            why.append(given.reason)
            if stays and (worker, unit, status) == (row.worker, row.unit, row.status):
                continue
        else:  # who has it keeps it, and why
            if not stays and (offered := _offered(work, row, placement, now)) is not None:
                why.append(["warn", "handover", {"grid": placement.owner or placement.leaf}])
                detail["offered"] = offered
            why += [reason for reason in row.why if reason[1] in TO_WHOM]
        if not stays:
            moved.add(row.id)
        if (worker, unit) != (row.worker, row.unit):
            routed.add(row.id)
        updates.append(
            (row.id, row.revision, placement.method, placement.distance_m, work.snapshot.edition,
             placement.owner, placement.leaf, "{" + ",".join(placement.paths) + "}", status, worker, unit,
             json.dumps(why))
        )  # fmt: skip
        detail |= {"from": row.owner_now, "grid": placement.owner, "worker": worker, "unit": unit}
        history[row.id] = (
            row.id, now, "system", "relocate", status, work.snapshot.edition, json.dumps(detail),
        )  # fmt: skip
    written = _apply(work.session, updates, history) if updates else set()
    done.moved += len(moved & written)
    done.routed += len(routed & written)
    return sorted(history.keys() - written)


def _routed(work: Work, row: sa.Row[Any], placement: Placement, now: dt.datetime) -> Assignment:
    if row.worker is not None and row.worker in work.load:
        work.load[row.worker] -= 1  # it is not in its own way
    return assign(work.roster.candidates(row.category, placement.chain, now), work.load)


def _succeeded(stated: str, placement: Placement) -> list[Reason]:
    """What a source stated lives no more: who has its land stands for it."""
    now = placement.paths[0].rpartition(".")[2]
    return [] if stated == now else [["warn", "succeeded", {"stated": stated, "area": now}]]


def _offered(
    work: Work, row: sa.Row[Any], placement: Placement, now: dt.datetime
) -> dict[str, object] | None:
    """To whom somebody who keeps an event may hand it over; None where there is nobody to, or no need."""
    if not work.follows or row.status not in KEPT_STATES or not placement.chain:
        return None
    serving = {each.id for code in placement.chain for each in work.roster.people_of.get(code, ())}
    offices = {each.id for code in placement.chain for each in work.roster.offices_of.get(code, ())}
    if row.worker in serving or row.unit in offices:
        return None
    given = assign(work.roster.candidates(row.category, placement.chain, now), dict(work.load))
    return {"worker": given.worker, "unit": given.unit}


def _apply(
    session: Writer, updates: Sequence[tuple[object, ...]], history: Mapping[int, tuple[object, ...]]
) -> set[int]:
    """Writes events, history and log; returns those that were still as they had been read."""
    session.execute(
        sa.text(
            "CREATE TEMPORARY TABLE IF NOT EXISTS relocated (id bigint, revision integer, method text,"
            " distance_m float8, edition integer, owner text, leaf text, paths ltree[], status text,"
            " worker integer, unit integer, why jsonb) ON COMMIT DROP"
        )
    )
    session.execute(sa.text("TRUNCATE relocated"))
    columns = (
        "id", "revision", "method", "distance_m", "edition", "owner", "leaf", "paths", "status", "worker",
        "unit", "why",
    )  # fmt: skip
    copy_rows(session, "relocated", columns, updates)
    written = session.execute(
        sa.text(
            "WITH written AS ("
            " UPDATE event SET owner_now = r.owner, leaf_now = r.leaf, paths_now = r.paths,"
            " method = r.method, distance_m = r.distance_m, edition = r.edition, status = r.status,"
            " worker = r.worker, unit = r.unit, why = r.why, revision = event.revision + 1"
            " FROM relocated r WHERE event.id = r.id AND event.revision = r.revision"
            " RETURNING event.id, event.edition, event.paths_now"
            "), told AS ("
            " INSERT INTO change_log (topic, event, edition, paths)"
            " SELECT 'event', id, edition, paths_now FROM written"
            ") SELECT id FROM written ORDER BY id"
        )
    ).scalars()
    ids = list(written)
    copy_rows(
        session,
        "event_history",
        ("event", "at", "actor", "action", "status", "edition", "detail"),
        (history[number] for number in ids),
    )
    return set(ids)
