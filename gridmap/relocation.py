"""Placing anew what lay in areas that changed: buildings, and the `now` of events.

What held when an event occurred never changes. An event that somebody has accepted stays with them; one that
nobody has accepted yet is routed by the new boundaries.
"""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from gridmap.db import Writer, copy_rows
from gridmap.events import EventDraft
from gridmap.intake import TO_WHOM, assign
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.routing import Office, Person, Roster, loads
from gridmap.snapshot import Snapshot

BLOCK = 20_000
_WAITING = {"unassigned", "assigned"}


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
    moved = 0
    load = loads(session)
    # Degrees, generous: a grid that grew may now be the nearest. A degree of longitude is shorter up north.
    high = tolerance_m / 100_000
    broad = high / max(0.01, math.cos(math.radians(min(90.0, max(abs(box[1]), abs(box[3])) + high))))
    wide = (box[0] - broad, box[1] - high, box[2] + broad, box[3] + high)
    for rows in _blocks(session, wide):
        drafts = [_draft(row) for row in rows]
        found = place_many(snapshot, drafts, tolerance_m)
        moved += _store(session, snapshot, roster, load, rows, drafts, found)
    return moved, buildings


def _blocks(session: Writer, box: Sequence[float]) -> Iterator[list[sa.Row[Any]]]:
    last = 0
    while True:
        rows = list(
            session.execute(
                sa.text(
                    "SELECT id, category, occurred_at, ST_X(geom) AS lon, ST_Y(geom) AS lat, status, worker,"
                    " unit, owner_now, leaf_now, paths_now::text[] AS paths_now,"
                    " method, distance_m, why FROM event WHERE id > :last AND (geom IS NULL OR"
                    " geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)) ORDER BY id LIMIT :block"
                ),
                {
                    "last": last,
                    "west": box[0],
                    "south": box[1],
                    "east": box[2],
                    "north": box[3],
                    "block": BLOCK,
                },
            )
        )
        if not rows:
            return
        yield rows
        last = rows[-1].id


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


def _store(
    session: Writer,
    snapshot: Snapshot,
    roster: Roster,
    load: dict[int, int],
    rows: Sequence[sa.Row[Any]],
    drafts: Sequence[EventDraft],
    found: Sequence[object],
) -> int:
    """Writes what changed of one block."""
    now = dt.datetime.now(dt.UTC)
    updates: list[tuple[object, ...]] = []
    history: list[tuple[object, ...]] = []
    for row, draft, answer in zip(rows, drafts, found, strict=True):
        placement = answer if isinstance(answer, Placement) else NOWHERE
        before = (row.owner_now, row.leaf_now, sorted(row.paths_now))
        stays = before == (placement.owner, placement.leaf, sorted(placement.paths))
        if stays and (row.method, row.distance_m) == (placement.method, placement.distance_m):
            continue
        worker, unit, status, why = row.worker, row.unit, row.status, list(placement.why)
        if row.status in _WAITING and not stays:
            if worker is not None:
                load[worker] -= 1  # it is not in its own way
            chosen, reason = assign(roster.candidates(draft.category, placement.chain, now), load)
            worker = chosen.id if isinstance(chosen, Person) else None
            unit = chosen.id if isinstance(chosen, Office) else None
            status = "assigned" if chosen else "unassigned"
            why.append(reason)
        else:  # who has it keeps it, and why
            why += [reason for reason in row.why if reason[1] in TO_WHOM]
        paths = "{" + ",".join(placement.paths) + "}"
        updates.append(
            (row.id, placement.method, placement.distance_m, snapshot.edition, placement.owner,
             placement.leaf, paths, status, worker, unit, json.dumps(why))
        )  # fmt: skip
        detail = {"from": row.owner_now, "grid": placement.owner, "worker": worker, "unit": unit}
        history.append((row.id, now, "system", "relocate", status, snapshot.edition, json.dumps(detail)))
    if updates:
        _apply(session, updates, history)
    return len(updates)


def _apply(
    session: Writer, updates: Sequence[tuple[object, ...]], history: Sequence[tuple[object, ...]]
) -> None:
    session.execute(
        sa.text(
            "CREATE TEMPORARY TABLE IF NOT EXISTS relocated (id bigint, method text, distance_m float8,"
            " edition integer, owner text, leaf text, paths ltree[], status text, worker integer,"
            " unit integer, why jsonb) ON COMMIT DROP"
        )
    )
    session.execute(sa.text("TRUNCATE relocated"))
    columns = (
        "id", "method", "distance_m", "edition", "owner", "leaf", "paths", "status", "worker", "unit", "why",
    )  # fmt: skip
    copy_rows(session, "relocated", columns, updates)
    session.execute(
        sa.text(
            "UPDATE event SET owner_now = r.owner, leaf_now = r.leaf, paths_now = r.paths,"
            " method = r.method, distance_m = r.distance_m, edition = r.edition, status = r.status,"
            " worker = r.worker, unit = r.unit, why = r.why, revision = revision + 1"
            " FROM relocated r WHERE event.id = r.id"
        )
    )
    copy_rows(
        session,
        "event_history",
        ("event", "at", "actor", "action", "status", "edition", "detail"),
        history,
    )
    session.execute(
        sa.text(
            "INSERT INTO change_log (topic, event, edition, paths)"
            " SELECT 'event', id, edition, paths FROM relocated"
        )
    )


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
