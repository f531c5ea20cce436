"""Taking an event in: one transaction for event, key, text, assignment, history and log.

Posted again, the event is answered as it is and nothing is stored. The shared lock, taken before anything is
read, keeps a publication from coming between the boundaries that were used and the commit.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from gridmap.access import Scope
from gridmap.db import LOCK_EDITION, LOCK_SPACE, Writer, raw
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.events import EventDraft, due_times
from gridmap.memory import Memory
from gridmap.placement import NOWHERE, Placement, Reason, cell, place_one
from gridmap.routing import Candidates, Office, Person
from gridmap.sealing import Seal
from gridmap.snapshot import Snapshot

_LOCK = f"SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, {LOCK_EDITION})"

# One statement for all rows: a post costs two round trips, BEGIN with lock and this, then COMMIT.
# The clock, not now(): the transaction may have begun before an edition that it waited for at the lock.
_STORE = """
WITH in_force AS (
    SELECT id FROM edition WHERE in_force_from <= clock_timestamp() ORDER BY in_force_from DESC LIMIT 1
), key AS (
    INSERT INTO event_key (source, external_id, event, digest)
    SELECT %(source)s::text, %(external_id)s::text, nextval('event_id'), %(digest)s::bytea
    FROM in_force WHERE id = %(edition)s::integer
    ON CONFLICT DO NOTHING RETURNING event
), free AS (
    SELECT c.id, c.reason FROM unnest(%(workers)s::integer[], %(levels)s::integer[], %(ranks)s::integer[],
            %(capacities)s::integer[], %(reasons)s::jsonb[])
            AS c (id, level, rank, capacity, reason),
        LATERAL (SELECT count(*)::float AS load FROM event WHERE worker = c.id AND status IN
            ('assigned','accepted','transferred','escalated','suspended')) AS l
    WHERE l.load < c.capacity ORDER BY c.level, c.rank, l.load / c.capacity, c.id LIMIT 1
), chosen AS (
    SELECT f.id AS worker, CASE WHEN f.id IS NULL THEN %(unit)s::integer END AS unit,
        coalesce(f.reason, %(unit_reason)s::jsonb) AS reason,
        CASE WHEN f.id IS NULL AND %(unit)s::integer IS NULL THEN 'unassigned' ELSE 'assigned' END AS status
    FROM (SELECT 1) AS one LEFT JOIN free AS f ON true
), stored AS (
    INSERT INTO event (id, source, external_id, category, subcategory, urgency, occurred_at, reported_at, geom,
        x, y, crs, accuracy_m, method, distance_m, edition, owner_then, owner_now, leaf_then, leaf_now,
        paths_then, paths_now, cell, status, worker, unit, why, accept_due_at, resolve_due_at)
    SELECT key.event, %(source)s, %(external_id)s, %(category)s, %(subcategory)s, %(urgency)s,
        %(occurred_at)s::timestamptz, %(now)s::timestamptz, %(geom)s::geometry,
        %(x)s::float8, %(y)s::float8, %(crs)s, %(accuracy_m)s::real, %(method)s, %(distance_m)s::float8,
        %(edition)s::integer, %(owner_then)s, %(owner_now)s, %(leaf_then)s, %(leaf_now)s,
        %(paths_then)s::ltree[], %(paths_now)s::ltree[], %(cell)s::bigint,
        chosen.status, chosen.worker, chosen.unit, %(why)s::jsonb || jsonb_build_array(chosen.reason),
        %(accept_due_at)s::timestamptz, %(resolve_due_at)s::timestamptz
    FROM key, chosen RETURNING id, status, worker, unit, why
), words AS (
    INSERT INTO event_text (event, title, description, address, contact)
    SELECT event, %(title)s, %(description)s, %(address)s, %(contact)s::bytea FROM key
), history AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, digest, detail)
    SELECT stored.id, %(now)s::timestamptz, step.actor, step.action, stored.status, %(edition)s::integer,
        step.digest, step.detail
    FROM stored, LATERAL (VALUES
        (%(actor)s::text, 'report', %(text_digest)s::bytea, jsonb_build_object('source', %(source)s::text)),
        ('system', 'assign', NULL, jsonb_build_object('worker', stored.worker, 'unit', stored.unit,
            'grid', %(owner_now)s::text, 'why', stored.why))
    ) AS step (actor, action, digest, detail)
), log AS (
    INSERT INTO change_log (topic, event, edition, paths)
    SELECT 'event', event, %(edition)s::integer, %(paths_now)s::ltree[] FROM key
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
    session: Writer,
    memory: Memory,
    seal: Seal,
    draft: EventDraft,
    *,
    actor: str,
    scope: Scope,
    tolerance_m: float,
) -> Outcome:
    """Stores one event, or finds it stored already.

    Raises:
        Conflict: the same source and id carry something else, or no boundaries are loaded.
        InvalidInput: no place, and the stated grid is unknown.
        NotFound: it lies in areas that are not the poster's.
        StaleBoundaries: nothing was stored; renew `memory` and come again in a new transaction.
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
    parameters |= _candidate_parameters(candidates)
    parameters |= {
        "digest": draft.digest(),
        "text_digest": draft.text_digest(),
        "title": draft.title,
        "description": draft.description,
        "address": draft.address,
        "contact": seal.close(draft.contact),
        "actor": actor,
        "now": now,
    }
    connection = raw(session)
    with connection.pipeline():
        connection.execute(_LOCK)
        cursor = connection.execute(_STORE, parameters)
    row = cursor.fetchone()
    if row is not None:
        return Outcome("stored", int(row[0]), _as_read(parameters, draft, row))
    return _known(session, draft)


def _as_read(parameters: Mapping[str, Any], draft: EventDraft, stored: Sequence[Any]) -> dict[str, Any]:
    """The new row without reading it again: what was sent and what the statement decided."""
    event, status, worker, unit, why = stored
    return {
        **parameters,
        "id": event,
        "lon": draft.lon,
        "lat": draft.lat,
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


def _known(session: Writer, draft: EventDraft) -> Outcome:
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
    """Values of an event's columns, by name; geometry as EWKT."""
    accept_due_at, resolve_due_at = due_times(draft, now)
    located = draft.lon is not None and draft.lat is not None
    return {
        "source": draft.source,
        "external_id": draft.external_id,
        "category": draft.category,
        "subcategory": draft.subcategory,
        "urgency": draft.urgency,
        "occurred_at": draft.occurred_at,
        "reported_at": now,
        "geom": f"SRID=4326;POINT({draft.lon!r} {draft.lat!r})" if located else None,
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
        "why": json.dumps(placement.why),
        "accept_due_at": accept_due_at,
        "resolve_due_at": resolve_due_at,
    }


def _candidate_parameters(candidates: Candidates) -> dict[str, Any]:
    workers = () if candidates.unit_first else candidates.workers
    return {
        "workers": [each.person.id for each in workers],
        "levels": [each.level for each in workers],
        "ranks": [each.rank for each in workers],
        "capacities": [each.person.capacity for each in workers],
        "reasons": [json.dumps(to_whom(each.person, each.level)) for each in workers],
        "unit": candidates.unit.id if candidates.unit else None,
        "unit_reason": json.dumps(to_whom(candidates.unit, 0)),
    }


TO_WHOM = ("worker", "unit", "nobody")


def to_whom(chosen: Person | Office | None, level: int) -> Reason:
    """The reason for an assignment."""
    if chosen is None:
        return ["no", "nobody", {}]
    if isinstance(chosen, Person):
        return ["ok", "worker", {"name": chosen.name, "role": chosen.role, "level": level}]
    return ["ok", "unit", {"name": chosen.name, "kind": chosen.kind}]
