"""Placing anew what lay in areas that changed: buildings, and the `now` of events.

What held when an event occurred never changes. An event that somebody has accepted stays with them; one that
nobody has accepted yet is routed by the new boundaries.
"""

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from gridmap.db import Writer, copy_rows
from gridmap.errors import Conflict
from gridmap.events import EventDraft
from gridmap.intake import TO_WHOM, Assignment, assign
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.routing import Roster, loads
from gridmap.selection import Clauses
from gridmap.snapshot import Snapshot

BLOCK = 20_000
TRIES = 5
_WAITING = {"unassigned", "assigned"}


@dataclass(frozen=True, slots=True)
class Work:
    """What every block needs; `renew` routes anew also what stays where it is and waits for nobody."""

    session: Writer
    snapshot: Snapshot
    roster: Roster
    load: dict[int, int]
    tolerance_m: float
    renew: bool = False


@dataclass(slots=True)
class Reassigned:
    """How many events were looked at, were given to another area, and were given to somebody else."""

    looked_at: int = 0
    moved: int = 0
    routed: int = 0


def relocate(
    session: Writer,
    snapshot: Snapshot,
    roster: Roster,
    box: tuple[float, float, float, float],
    tolerance_m: float,
) -> tuple[int, int]:
    """Places events and buildings in a box by a new edition; returns how many of each moved.

    The caller holds the edition lock exclusively. Cost follows what lies in the box.
    """
    buildings = relocate_buildings(session, snapshot, box)
    # Degrees, generous: a grid that grew may now be the nearest. A degree of longitude is shorter up north.
    high = tolerance_m / 100_000
    broad = high / max(0.01, math.cos(math.radians(min(90.0, max(abs(box[1]), abs(box[3])) + high))))
    condition: Clauses = (
        "(geom IS NULL OR geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326))",
        {"west": box[0] - broad, "south": box[1] - high, "east": box[2] + broad, "north": box[3] + high},
    )
    work = Work(session, snapshot, roster, loads(session), tolerance_m)
    return place_anew(work, condition).moved, buildings


def place_anew(
    work: Work, condition: Clauses, progress: Callable[[int], None] = lambda _: None
) -> Reassigned:
    """Places all events of a condition; whoever acts on one meanwhile goes before, and it is looked at again.

    Raises:
        Conflict: some change all the time.
    """
    done = Reassigned()
    for rows in _blocks(work.session, condition):
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


def _draft(row: sa.Row[Any]) -> EventDraft:
    return EventDraft(
        source="",
        external_id=str(row.id),
        category=row.category,
        occurred_at=row.occurred_at,
        title="",
        lon=row.lon,
        lat=row.lat,
        # What a source stated is the last of its one path, also where that is an overlay.
        grid=row.paths_now[0].rpartition(".")[2] if row.method == "stated" else None,
    )


def _store(work: Work, rows: Sequence[sa.Row[Any]], done: Reassigned) -> list[int]:
    """Writes what changed of one block; returns those that somebody else changed in between."""
    found = place_many(work.snapshot, [_draft(row) for row in rows], work.tolerance_m)
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
        if routes:
            given = _routed(work, row, placement, now)
            worker, unit, status = given.worker, given.unit, given.status
            why.append(given.reason)
            if stays and (worker, unit, status) == (row.worker, row.unit, row.status):
                continue
        else:  # who has it keeps it, and why
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
        detail = {"from": row.owner_now, "grid": placement.owner, "worker": worker, "unit": unit}
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


def relocate_buildings(session: Writer, snapshot: Snapshot, box: Sequence[float]) -> int:
    """Gives living buildings in a box their leaf, owner and paths anew; returns how many moved."""
    rows = session.execute(
        sa.text(
            "SELECT id, ST_X(place) AS lon, ST_Y(place) AS lat, leaf, owner, paths::text[] AS paths"
            " FROM building WHERE valid_to IS NULL"
            " AND place && ST_MakeEnvelope(:west, :south, :east, :north, 4326)"
        ),
        {"west": box[0], "south": box[1], "east": box[2], "north": box[3]},
    ).all()
    if not rows:
        return 0
    lon = np.array([row.lon for row in rows])
    lat = np.array([row.lat for row in rows])
    places = snapshot.index.locate(lon, lat, 0.0)
    leaf, owner = snapshot.codes(places.leaf), snapshot.codes(places.owner)
    paths = snapshot.paths_of(places)
    moved = [
        (row.id, leaf[i], owner[i], "{" + ",".join(paths[i]) + "}")
        for i, row in enumerate(rows)
        if (row.leaf, row.owner, sorted(row.paths)) != (leaf[i], owner[i], paths[i])
    ]
    if moved:
        session.execute(
            sa.text(
                "CREATE TEMPORARY TABLE IF NOT EXISTS moved (id bigint, leaf text, owner text, paths ltree[])"
                " ON COMMIT DROP"
            )
        )
        session.execute(sa.text("TRUNCATE moved"))
        copy_rows(session, "moved", ("id", "leaf", "owner", "paths"), moved)
        session.execute(
            sa.text(
                "UPDATE building SET leaf = m.leaf, owner = m.owner, paths = m.paths"
                " FROM moved m WHERE building.id = m.id"
            )
        )
        count_households(session)
    return len(moved)


def count_households(session: Writer) -> None:
    """Counts households and buildings of every area anew, from the living buildings."""
    session.execute(sa.text("DELETE FROM household_count"))
    session.execute(
        sa.text(
            "INSERT INTO household_count (code, households, buildings)"
            " SELECT code, sum(households), sum(buildings) FROM ("
            "   SELECT paths, sum(households) AS households, count(*) AS buildings FROM building"
            "   WHERE valid_to IS NULL GROUP BY paths"
            " ) AS held, LATERAL (SELECT DISTINCT regexp_split_to_table(path::text, '[.]') AS code"
            "   FROM unnest(held.paths) AS path) AS codes GROUP BY code"
        )
    )
    session.execute(sa.text("INSERT INTO change_log (topic) VALUES ('households')"))
    session.execute(sa.text("NOTIFY gridmap, 'households'"))
