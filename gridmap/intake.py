"""Taking events in: one transaction for event, key, text, assignment, history and log.

Posted again, an event is answered as it is and nothing is stored. The shared lock, taken before anything is
read, keeps a publication from coming between the boundaries that were used and the commit.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import psycopg

from gridmap.access import Scope
from gridmap.db import LOCK_EDITION, LOCK_SPACE, Database
from gridmap.errors import Conflict, Forbidden, GridmapError, InvalidInput, NotFound
from gridmap.events import EventDraft, due_times
from gridmap.memory import Memory
from gridmap.placement import NOWHERE, Placement, Reason, cell, place_one, unknown_grid
from gridmap.routing import IN_HAND, Candidates, Office, Person, pick
from gridmap.sealing import Seal
from gridmap.snapshot import Snapshot

_LOCK = f"SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, {LOCK_EDITION})"

# What the rules need to know from inside the transaction. The clock, not now(): the transaction may have begun
# before an edition that it waited for at the lock.
_BEFORE = f"""
SELECT (SELECT id FROM edition WHERE in_force_from <= clock_timestamp() ORDER BY in_force_from DESC LIMIT 1),
    (SELECT coalesce(json_object_agg(worker, n), '{{}}') FROM (
        SELECT worker, count(*) AS n FROM event WHERE worker = ANY(%s::integer[]) AND {IN_HAND}
        GROUP BY worker) AS in_hand)
"""

_KNOWN = """
SELECT source, external_id, event, digest FROM event_key
JOIN unnest(%s::text[], %s::text[]) AS asked (s, e) ON source = s AND external_id = e
"""

# Everything that was sent as one JSON document: binding 45 parameters one by one took longer than storing them.
_STORE = """
WITH sent AS (
    SELECT * FROM json_to_recordset(%s::json) AS sent (source text, external_id text, digest bytea, category text,
        subcategory text, urgency text, occurred_at timestamptz, reported_at timestamptz, lon float8, lat float8,
        x float8, y float8, crs text, accuracy_m real, method text, distance_m float8, edition integer,
        owner_then text, owner_now text, leaf_then text, leaf_now text, paths_then text[], paths_now text[],
        cell bigint, status text, worker integer, unit integer, why jsonb, accept_due_at timestamptz,
        resolve_due_at timestamptz, title text, description text, address text, contact bytea, text_digest bytea,
        actor text)
), key AS (
    INSERT INTO event_key (source, external_id, event, digest)
    SELECT source, external_id, nextval('event_id'), digest FROM sent
    ON CONFLICT DO NOTHING RETURNING source, external_id, event
), stored AS (
    INSERT INTO event (id, source, external_id, category, subcategory, urgency, occurred_at, reported_at, geom,
        x, y, crs, accuracy_m, method, distance_m, edition, owner_then, owner_now, leaf_then, leaf_now,
        paths_then, paths_now, cell, status, worker, unit, why, accept_due_at, resolve_due_at)
    SELECT key.event, source, external_id, category, subcategory, urgency, occurred_at, reported_at,
        ST_SetSRID(ST_MakePoint(lon, lat), 4326), x, y, crs, accuracy_m, method, distance_m, edition, owner_then,
        owner_now, leaf_then, leaf_now, paths_then::ltree[], paths_now::ltree[], cell, status, worker, unit, why,
        accept_due_at, resolve_due_at
    FROM key JOIN sent USING (source, external_id)
), words AS (
    INSERT INTO event_text (event, title, description, address, contact)
    SELECT key.event, title, description, address, contact FROM key JOIN sent USING (source, external_id)
), history AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, digest, detail)
    SELECT key.event, reported_at, step.actor, step.action, status, edition, step.digest, step.detail
    FROM key JOIN sent USING (source, external_id), LATERAL (VALUES
        (sent.actor, 'report', text_digest, jsonb_build_object('source', source)),
        ('system', 'assign', NULL, jsonb_build_object('worker', worker, 'unit', unit, 'grid', owner_now,
            'why', why))
    ) AS step (actor, action, digest, detail)
), log AS (
    INSERT INTO change_log (topic, event, edition, paths)
    SELECT 'event', key.event, edition, paths_now::ltree[] FROM key JOIN sent USING (source, external_id)
)
SELECT source, external_id, event FROM key
"""

_Key = tuple[str, str]


class StaleBoundaries(Exception):  # noqa: N818  # a signal between intake and its caller, not an error
    """The edition in memory is not the one in force: renew the memory and come again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a post; a stored one comes with its row, as event_queries would read it, text included."""

    state: Literal["stored", "repeated"]
    event: int
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """One post: what was sent, by whom, and whose areas it may lie in."""

    draft: EventDraft
    actor: str
    scope: Scope

    @property
    def key(self) -> _Key:
        """What identifies it."""
        return self.draft.source, self.draft.external_id


@dataclass(frozen=True, slots=True)
class _Placed:
    post: Post
    placement: Placement
    then: Placement
    candidates: Candidates


def store_few(
    database: Database, memory: Memory, seal: Seal, posts: Sequence[Post], tolerance_m: float
) -> list[Outcome | Exception]:
    """Stores the posts of one moment in one transaction of their own; what comes back as stored is committed.

    Each post stands alone: what is wrong with one stands in its place and keeps no other back.

    Returns:
        For each post its outcome, or what kept it out: `Conflict` (the same source and id carry something else),
        `InvalidInput` (no place, and the stated grid is unknown), `NotFound` (it lies in areas that are not the
        poster's), `Forbidden` (its category is closed to the poster), `StaleBoundaries` (renew `memory` and come
        again).

    Raises:
        Conflict: no boundaries are loaded.
        Unavailable: storage is away; nothing is known to be stored, and posting again is safe.
    """
    snapshot = memory.snapshot
    if snapshot.edition == 0:
        raise Conflict("No boundaries are loaded yet: gridmap load areas FILE --commit", code="no_boundaries")
    now = dt.datetime.now(dt.UTC)
    results: list[Outcome | Exception | None] = []
    placed: dict[_Key, _Placed] = {}
    for post in posts:
        try:
            each = _place(memory, snapshot, post, now, tolerance_m)
            placed.setdefault(post.key, each)
            results.append(None)
        except GridmapError as error:
            results.append(error)
    try:
        stored = _store(database, seal, snapshot.edition, placed, now) if placed else {}
    except (psycopg.DataError, psycopg.IntegrityError):  # something in one of them that storage refuses
        if len(posts) == 1:
            raise
        return [_alone(database, memory, seal, post, tolerance_m) for post in posts]
    for index, post in enumerate(posts):
        if results[index] is None and placed[post.key].post is post and post.key in stored:
            row = stored[post.key]
            results[index] = Outcome("stored", int(row["id"]), row)
    left = [post for post, result in zip(posts, results, strict=True) if result is None]
    known = _known(database, left) if left else {}
    return [_repeated(post, known) if result is None else result
            for post, result in zip(posts, results, strict=True)]  # fmt: skip


def _alone(
    database: Database, memory: Memory, seal: Seal, post: Post, tolerance_m: float
) -> Outcome | Exception:
    try:
        return store_few(database, memory, seal, [post], tolerance_m)[0]
    except Exception as error:  # noqa: BLE001  # handed to whoever posted it, not swallowed
        return error


def _place(memory: Memory, snapshot: Snapshot, post: Post, now: dt.datetime, tolerance_m: float) -> _Placed:
    draft = post.draft
    check_subcategory(draft, memory.subcategories)
    placement = place_one(snapshot, draft, tolerance_m)
    check_scope(placement, post.scope, draft, snapshot.edition)
    then = memory.at(draft.occurred_at)
    before = placement if then is snapshot else place_then(then, draft, tolerance_m)
    return _Placed(post, placement, before, memory.roster.candidates(draft.category, placement.chain, now))


def _store(
    database: Database, seal: Seal, edition: int, placed: Mapping[_Key, _Placed], now: dt.datetime
) -> dict[_Key, dict[str, Any]]:
    """Two flights: what the rules need, then the rows and the commit; new rows by key, as they would be read."""
    workers = {each.person.id for one in placed.values() for each in one.candidates.workers}
    with database.flight() as connection:
        connection.execute(_LOCK)
        in_force, in_hand = connection.execute(_BEFORE, (list(workers),)).fetchone() or (None, {})
        if in_force != edition:
            return {}
        load = {int(worker): count for worker, count in in_hand.items()}
        # In the order of their keys: else two processes could wait for each other.
        rows = {key: _row(placed[key], seal, edition, load, now) for key in sorted(placed)}
        document = [{**row, **{name: _hex(row[name]) for name in _BINARY}} for row in rows.values()]
        cursor = connection.execute(_STORE, (orjson.dumps(document).decode(),))
        connection.commit()
        return {
            (source, external_id): {**rows[source, external_id], **_NEW, "id": event}
            for source, external_id, event in cursor.fetchall()
        }


_BINARY = ("digest", "text_digest", "contact")
_NEW = {"revision": 1, "accepted_at": None, "resolved_at": None, "closed_at": None}


def _row(placed: _Placed, seal: Seal, edition: int, load: dict[int, int], now: dt.datetime) -> dict[str, Any]:
    draft = placed.post.draft
    given = assign(placed.candidates, load)
    row = event_parameters(edition, draft, placed.placement, placed.then, now)
    return {
        **row,
        "status": given.status,
        "worker": given.worker,
        "unit": given.unit,
        "why": [*placed.placement.why, given.reason],
        "digest": draft.digest(),
        "text_digest": draft.text_digest(),
        "title": draft.title,
        "description": draft.description,
        "address": draft.address,
        "contact": seal.close(draft.contact),
        "actor": placed.post.actor,
    }


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has an event, as its row says it, and why."""

    worker: int | None
    unit: int | None
    status: str
    reason: Reason


def assign(candidates: Candidates, load: dict[int, int]) -> Assignment:
    """Whom the rules name and why; what is in hand grows by it."""
    chosen = pick(candidates, load)
    if isinstance(chosen, Person):
        load[chosen.id] = load.get(chosen.id, 0) + 1
    level = next((each.level for each in candidates.workers if each.person is chosen), 0)
    return Assignment(
        worker=chosen.id if isinstance(chosen, Person) else None,
        unit=chosen.id if isinstance(chosen, Office) else None,
        status="assigned" if chosen else "unassigned",
        reason=to_whom(chosen, level),
    )


def _hex(content: bytes | None) -> str | None:
    return None if content is None else "\\x" + content.hex()


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


def check_scope(placement: Placement, scope: Scope, draft: EventDraft, edition: int) -> None:
    """Refuses what lies in somebody else's areas; what lies in none may be posted by everybody who posts.

    Of a category that is closed to the poster, nothing may be.

    Raises:
        NotFound: the place is not within the scope.
        InvalidInput: the area that stands for a place is not: the same answer as to a code that is not there.
        Forbidden: it is, but not for this category (`category_closed`).
    """
    open_ = scope.open_to(draft.category)
    if scope and not open_:
        raise _closed(draft.category)
    if placement.paths and not scope.holds_any(placement.paths):
        if placement.method == "stated" and draft.grid:
            raise unknown_grid(draft.grid, edition)
        raise NotFound("The place is not within your areas", code="outside_areas")
    if placement.paths and not open_.holds_any(placement.paths):
        raise _closed(draft.category)


def _closed(category: str) -> Forbidden:
    return Forbidden(
        f"The category {category} is closed to your roles here: it may not be posted", code="category_closed"
    )


def place_then(snapshot: Snapshot, draft: EventDraft, tolerance_m: float) -> Placement:
    """Where it lay by the boundaries of another time, when a grid stated today need not have been there."""
    try:
        return place_one(snapshot, draft, tolerance_m)
    except InvalidInput:
        return NOWHERE


def _known(database: Database, posts: Sequence[Post]) -> dict[_Key, tuple[int, bytes]]:
    with database.flight() as connection:
        rows = connection.execute(
            _KNOWN, ([post.draft.source for post in posts], [post.draft.external_id for post in posts])
        )
        return {(source, key): (event, bytes(digest)) for source, key, event, digest in rows.fetchall()}


def _repeated(post: Post, known: Mapping[_Key, tuple[int, bytes]]) -> Outcome | Exception:
    event, digest = known.get(post.key, (0, b""))
    if not event:
        return StaleBoundaries()
    return Outcome("repeated", event) if digest == post.draft.digest() else collision(post.draft)


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


TO_WHOM = ("worker", "unit", "nobody")


def to_whom(chosen: Person | Office | None, level: int) -> Reason:
    """The reason for an assignment."""
    if chosen is None:
        return ["no", "nobody", {}]
    if isinstance(chosen, Person):
        return ["ok", "worker", {"name": chosen.name, "role": chosen.role, "level": level}]
    return ["ok", "unit", {"name": chosen.name, "kind": chosen.kind}]
