"""Taking an event in: one transaction for event, key, text, assignment, history and log.

Posted again, the event is answered as it is and nothing is stored. The shared lock, taken before anything is
read, keeps a publication from coming between the boundaries that were used and the commit.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from gridmap.access import Scope
from gridmap.db import LOCK_EDITION, LOCK_SPACE, Database, Reader
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.events import EventDraft, due_times
from gridmap.memory import Memory
from gridmap.placement import NOWHERE, Placement, Reason, cell, place_one
from gridmap.routing import Candidates, Office, Person
from gridmap.sealing import Seal
from gridmap.snapshot import Snapshot

_LOCK = f"SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, {LOCK_EDITION})"

# One statement for all rows, everything that was sent as one JSON document: binding 45 parameters one by one took
# longer than storing them. The clock, not now(): the transaction may have begun before an edition that it waited
# for at the lock.
_STORE = """
WITH sent AS (
    SELECT * FROM json_to_record(%s::json) AS sent (source text, external_id text, digest bytea, category text,
        subcategory text, urgency text, occurred_at timestamptz, now timestamptz, lon float8, lat float8, x float8,
        y float8, crs text, accuracy_m real, method text, distance_m float8, edition integer, owner_then text,
        owner_now text, leaf_then text, leaf_now text, paths_then text[], paths_now text[], cell bigint, why jsonb,
        accept_due_at timestamptz, resolve_due_at timestamptz, title text, description text, address text,
        contact bytea, text_digest bytea, actor text, candidates json, unit integer, unit_reason jsonb)
), in_force AS (
    SELECT id FROM edition WHERE in_force_from <= clock_timestamp() ORDER BY in_force_from DESC LIMIT 1
), key AS (
    INSERT INTO event_key (source, external_id, event, digest)
    SELECT sent.source, sent.external_id, nextval('event_id'), sent.digest
    FROM sent, in_force WHERE in_force.id = sent.edition
    ON CONFLICT DO NOTHING RETURNING event
), free AS (
    SELECT c.id, c.reason FROM sent,
        json_to_recordset(sent.candidates)
            AS c (id integer, level integer, rank integer, capacity integer, reason jsonb),
        LATERAL (SELECT count(*)::float AS load FROM event WHERE worker = c.id AND status IN
            ('assigned','accepted','transferred','escalated','suspended')) AS l
    WHERE l.load < c.capacity ORDER BY c.level, c.rank, l.load / c.capacity, c.id LIMIT 1
), chosen AS (
    SELECT f.id AS worker, CASE WHEN f.id IS NULL THEN sent.unit END AS unit,
        coalesce(f.reason, sent.unit_reason) AS reason,
        CASE WHEN f.id IS NULL AND sent.unit IS NULL THEN 'unassigned' ELSE 'assigned' END AS status
    FROM sent LEFT JOIN free AS f ON true
), stored AS (
    INSERT INTO event (id, source, external_id, category, subcategory, urgency, occurred_at, reported_at, geom,
        x, y, crs, accuracy_m, method, distance_m, edition, owner_then, owner_now, leaf_then, leaf_now,
        paths_then, paths_now, cell, status, worker, unit, why, accept_due_at, resolve_due_at)
    SELECT key.event, source, external_id, category, subcategory, urgency, occurred_at, now,
        ST_SetSRID(ST_MakePoint(lon, lat), 4326), x, y, crs, accuracy_m, method, distance_m, edition, owner_then,
        owner_now, leaf_then, leaf_now, paths_then::ltree[], paths_now::ltree[], cell, chosen.status, chosen.worker,
        chosen.unit, why || jsonb_build_array(chosen.reason), accept_due_at, resolve_due_at
    FROM key, sent, chosen RETURNING id, status, worker, unit, why
), words AS (
    INSERT INTO event_text (event, title, description, address, contact)
    SELECT key.event, title, description, address, contact FROM key, sent
), history AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, digest, detail)
    SELECT stored.id, sent.now, step.actor, step.action, stored.status, sent.edition, step.digest, step.detail
    FROM stored, sent, LATERAL (VALUES
        (sent.actor, 'report', sent.text_digest, jsonb_build_object('source', sent.source)),
        ('system', 'assign', NULL, jsonb_build_object('worker', stored.worker, 'unit', stored.unit,
            'grid', sent.owner_now, 'why', stored.why))
    ) AS step (actor, action, digest, detail)
), log AS (
    INSERT INTO change_log (topic, event, edition, paths)
    SELECT 'event', key.event, sent.edition, sent.paths_now::ltree[] FROM key, sent
)
SELECT id, status, worker, unit, why FROM stored
"""


class StaleBoundaries(Exception):  # noqa: N818  # a signal between intake and its caller, not an error
    """The edition in memory is not the one in force: renew the memory and come again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a post; a stored one comes with its row, as event_queries would read it, text included."""

    state: Literal["stored", "repeated"]
    event: int
    row: Mapping[str, Any] | None = None


def store_one(
    database: Database,
    memory: Memory,
    seal: Seal,
    draft: EventDraft,
    *,
    actor: str,
    scope: Scope,
    tolerance_m: float,
) -> Outcome:
    """Stores one event in a transaction of its own, or finds it stored already; what comes back is committed.

    Raises:
        Conflict: the same source and id carry something else, or no boundaries are loaded.
        InvalidInput: no place, and the stated grid is unknown.
        NotFound: it lies in areas that are not the poster's.
        StaleBoundaries: nothing was stored; renew `memory` and come again.
        Unavailable: storage is away; nothing is known to be stored, and posting again is safe.
    """
    now = dt.datetime.now(dt.UTC)
    snapshot = memory.snapshot
    if snapshot.edition == 0:
        raise Conflict("No boundaries are loaded yet: gridmap load areas FILE --commit", code="no_boundaries")
    check_subcategory(draft, memory.subcategories)
    placement = place_one(snapshot, draft, tolerance_m)
    check_scope(placement, scope)
    then = memory.at(draft.occurred_at)
    placement_then = placement if then is snapshot else place_then(then, draft, tolerance_m)
    candidates = memory.roster.candidates(draft.category, placement.chain, now)
    parameters = event_parameters(snapshot.edition, draft, placement, placement_then, now)
    contact = seal.close(draft.contact)
    sent = {
        **parameters,
        **_candidate_parameters(candidates),
        "digest": _bytea(draft.digest()),
        "text_digest": _bytea(draft.text_digest()),
        "title": draft.title,
        "description": draft.description,
        "address": draft.address,
        "contact": _bytea(contact),
        "actor": actor,
        "now": now,
    }
    row = database.at_once(_LOCK, _STORE, orjson.dumps(sent).decode())
    if row is not None:
        return Outcome("stored", int(row[0]), _as_read({**sent, "contact": contact}, row))
    with database.reader() as session:
        return _known(session, draft)


def _bytea(content: bytes | None) -> str | None:
    return None if content is None else "\\x" + content.hex()


def _as_read(sent: Mapping[str, Any], stored: Sequence[Any]) -> dict[str, Any]:
    """The new row without reading it again: what was sent and what the statement decided."""
    event, status, worker, unit, why = stored
    return {
        **sent,
        "id": event,
        "status": status,
        "worker": worker,
        "unit": unit,
        "why": why,
        "revision": 1,
        "accepted_at": None,
        "resolved_at": None,
        "closed_at": None,
    }


def check_subcategory(draft: EventDraft, known: Mapping[str, str]) -> None:
    """Refuses a sub-category that is not there or belongs to another category.

    Raises:
        InvalidInput: with those that the category has.
    """
    if draft.subcategory is None or known.get(draft.subcategory) == draft.category:
        return
    allowed = ", ".join(sorted(code for code, category in known.items() if category == draft.category))
    raise InvalidInput(
        f"subcategory {draft.subcategory!r} is none of {draft.category}; allowed: {allowed}",
        code="unknown_subcategory",
        findings=[{"field": "subcategory", "value": draft.subcategory, "message": f"one of {allowed}"}],
    )


def check_scope(placement: Placement, scope: Scope) -> None:
    """Refuses what lies in somebody else's areas; what lies in none may be posted by everybody who posts.

    Raises:
        NotFound: the place is not within the scope.
    """
    if placement.paths and not scope.holds_any(placement.paths):
        raise NotFound("The place is not within your areas", code="outside_areas")


def place_then(snapshot: Snapshot, draft: EventDraft, tolerance_m: float) -> Placement:
    """Where it lay by the boundaries of another time, when a grid stated today need not have been there."""
    try:
        return place_one(snapshot, draft, tolerance_m)
    except InvalidInput:
        return NOWHERE


def _known(session: Reader, draft: EventDraft) -> Outcome:
    found = session.execute(
        sa.text("SELECT event, digest FROM event_key WHERE source = :source AND external_id = :external_id"),
        {"source": draft.source, "external_id": draft.external_id},
    ).one_or_none()
    if found is None:
        raise StaleBoundaries
    if bytes(found.digest) != draft.digest():
        raise collision(draft)
    return Outcome("repeated", found.event)


def collision(draft: EventDraft) -> Conflict:
    """The answer to an id that was used for something else."""
    return Conflict(
        f"Source {draft.source} already sent {draft.external_id} with other content."
        " Correct the stored event, or send this one under an id of its own.",
        code="id_carries_something_else",
    )


def event_parameters(
    edition: int, draft: EventDraft, placement: Placement, then: Placement, now: dt.datetime
) -> dict[str, Any]:
    """Values of an event's columns, by name, its place as lon and lat."""
    accept_due_at, resolve_due_at = due_times(draft, now)
    return {
        "source": draft.source,
        "external_id": draft.external_id,
        "category": draft.category,
        "subcategory": draft.subcategory,
        "urgency": draft.urgency,
        "occurred_at": draft.occurred_at,
        "reported_at": now,
        "lon": draft.lon,
        "lat": draft.lat,
        "x": draft.x,
        "y": draft.y,
        "crs": draft.crs,
        "accuracy_m": draft.accuracy_m,
        "method": placement.method,
        "distance_m": placement.distance_m,
        "edition": edition,
        "owner_then": then.owner,
        "owner_now": placement.owner,
        "leaf_then": then.leaf,
        "leaf_now": placement.leaf,
        "paths_then": list(then.paths),
        "paths_now": list(placement.paths),
        "cell": cell(draft.lon, draft.lat) if draft.lon is not None and draft.lat is not None else None,
        "why": placement.why,
        "accept_due_at": accept_due_at,
        "resolve_due_at": resolve_due_at,
    }


def _candidate_parameters(candidates: Candidates) -> dict[str, Any]:
    workers = () if candidates.unit_first else candidates.workers
    return {
        "candidates": [
            {
                "id": each.person.id,
                "level": each.level,
                "rank": each.rank,
                "capacity": each.person.capacity,
                "reason": to_whom(each.person, each.level),
            }
            for each in workers
        ],
        "unit": candidates.unit.id if candidates.unit else None,
        "unit_reason": to_whom(candidates.unit, 0),
    }


TO_WHOM = ("worker", "unit", "nobody")


def to_whom(chosen: Person | Office | None, level: int) -> Reason:
    """The reason for an assignment."""
    if chosen is None:
        return ["no", "nobody", {}]
    if isinstance(chosen, Person):
        return ["ok", "worker", {"name": chosen.name, "role": chosen.role, "level": level}]
    return ["ok", "unit", {"name": chosen.name, "kind": chosen.kind}]
