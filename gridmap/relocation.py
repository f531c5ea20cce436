"""Placing anew what lay in areas that changed: buildings, and the `now` of events.

What held when an event occurred never changes. An event that somebody has accepted stays with them; one that
nobody has accepted yet is routed by the new boundaries.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.access import Clauses, Scope
from gridmap.affected import BOXES, IN_BOX, Floats, between, box_binds, widened
from gridmap.db import Writer, copy_rows
from gridmap.errors import Conflict
from gridmap.households import relocate_buildings
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.rerouting import Decision, Rules, as_draft, decide
from gridmap.routing import load_roster, loads
from gridmap.snapshot import Snapshot
from gridmap.succession import successors

BLOCK = 20_000
TRIES = 5


@dataclass(frozen=True, slots=True)
class Work:
    """What every block needs: where it is written, and by what it is decided."""

    session: Writer
    rules: Rules


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
    work = Work(session, Rules(snapshot, roster, load, tolerance_m, inherited=inherited, follows=True))
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


def _store(work: Work, rows: Sequence[sa.Row[Any]], done: Reassigned) -> list[int]:
    """Writes what changed of one block; returns those that somebody else changed in between."""
    rules = work.rules
    found = place_many(rules.snapshot, [as_draft(rules, row) for row in rows], rules.tolerance_m)
    now = dt.datetime.now(dt.UTC)
    updates: list[tuple[object, ...]] = []
    history: dict[int, tuple[object, ...]] = {}
    moved: set[int] = set()
    routed: set[int] = set()
    for row, answer in zip(rows, found, strict=True):
        decided = decide(rules, row, answer if isinstance(answer, Placement) else NOWHERE, now)
        if decided is None:
            continue
        if not decided.stays:
            moved.add(row.id)
        if (decided.worker, decided.unit) != (row.worker, row.unit):
            routed.add(row.id)
        updates.append(_update(rules.snapshot, row, decided))
        detail: dict[str, object] = {} if decided.offered is None else {"offered": decided.offered}
        owner = decided.placement.owner
        detail |= {"from": row.owner_now, "grid": owner, "worker": decided.worker, "unit": decided.unit}
        history[row.id] = (
            row.id, now, "system", "relocate", decided.status, rules.snapshot.edition, json.dumps(detail),
        )  # fmt: skip
    written = _apply(work.session, updates, history) if updates else set()
    done.moved += len(moved & written)
    done.routed += len(routed & written)
    return sorted(history.keys() - written)


def _update(snapshot: Snapshot, row: sa.Row[Any], decided: Decision) -> tuple[object, ...]:
    """A row of `relocated`."""
    at = decided.placement
    return (
        row.id, row.revision, at.method, at.distance_m, snapshot.edition, at.owner, at.leaf,
        "{" + ",".join(at.paths) + "}", decided.status, decided.worker, decided.unit, json.dumps(decided.why),
    )  # fmt: skip


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
