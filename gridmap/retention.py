"""Erasing what events' texts say of people: when it is due by its category, or on order with a reason.

Title, description, address, contact and attachments go for good. The event stays with its place, its times and its
history, which held digests from the beginning: history and audit verify as before.
"""

import datetime as dt
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap import audit
from gridmap.access import Scope
from gridmap.db import LOCK_SPACE, Database, Writer
from gridmap.errors import GridmapError, InvalidInput, NotFound
from gridmap.events import CATEGORIES
from gridmap.sight import EVERYTHING

BLOCK = 5_000
LOCK_ERASE = 3
LONGEST_DAYS = 36_500
FIRST_AFTER_S = 60.0
EVERY_S = 6 * 3600.0
_log = logging.getLogger(__name__)
_DONE = "('resolved','verified','closed','rejected')"

# Something of an event is left to erase.
_HELD = (
    "(EXISTS (SELECT FROM event_text t WHERE t.event = e.id AND t.erased_at IS NULL)"
    " OR EXISTS (SELECT FROM event_attachment a WHERE a.event = e.id AND a.erased_at IS NULL))"
)
_ERASE = """
WITH words AS (
    UPDATE event_text SET title = NULL, description = NULL, address = NULL, contact = NULL,
        erased_at = clock_timestamp()
    WHERE event = ANY(:events) AND erased_at IS NULL RETURNING event
), files AS (
    UPDATE event_attachment SET name = NULL, content = NULL, erased_at = clock_timestamp()
    WHERE event = ANY(:events) AND erased_at IS NULL RETURNING event, number
), erased AS (
    SELECT event, array_agg(number ORDER BY number) FILTER (WHERE number IS NOT NULL) AS numbers
    FROM (SELECT event, NULL::integer AS number FROM words UNION ALL SELECT event, number FROM files) AS each
    GROUP BY event
), risen AS (
    UPDATE event SET revision = revision + 1 FROM erased WHERE event.id = erased.event
    RETURNING event.id, event.status, event.edition, event.paths_now, erased.numbers
), told AS (
    INSERT INTO change_log (topic, event, edition, paths) SELECT 'event', id, edition, paths_now FROM risen
), noted AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, detail)
    SELECT id, clock_timestamp(), :actor, 'erase', status, edition, jsonb_strip_nulls(
        jsonb_build_object('reason', CAST(:reason AS text), 'attachments', numbers))
    FROM risen
)
SELECT id FROM risen ORDER BY id
"""
_ERASE_ATTACHMENT = """
WITH erased AS (
    UPDATE event_attachment SET name = NULL, content = NULL, erased_at = clock_timestamp()
    WHERE event = :event AND number = :number AND erased_at IS NULL RETURNING event, number
), told AS (
    INSERT INTO change_log (topic, event, edition, paths)
    SELECT 'event', id, edition, paths_now FROM event JOIN erased ON event.id = erased.event
), noted AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, detail)
    SELECT id, clock_timestamp(), :actor, 'erase', status, edition,
        jsonb_build_object('reason', CAST(:reason AS text), 'attachments', jsonb_build_array(number))
    FROM event JOIN erased ON event.id = erased.event
)
SELECT number FROM erased
"""


class Eraser:
    """A thread that erases what is due, a few times a day, from `start` to `stop`.

    Args:
        database: where it works; what cannot be done now is done at the next time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="gridmap-eraser", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the block in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _work(self) -> None:
        pause = FIRST_AFTER_S
        while not self._stopping.wait(pause):
            pause = EVERY_S
            try:
                erased = 0
                while not self._stopping.is_set():
                    with self._database.writer(EVERYTHING) as session:
                        some = erase_due(session, dt.datetime.now(dt.UTC))
                    erased += some
                    if not some:
                        break
                if erased:
                    _log.info("erased the texts and attachments of %d events that were due", erased)
            except GridmapError as error:
                _log.warning("could not erase what is due: %s", error.message)


def periods(session: Session) -> dict[str, int]:
    """Days that a category's texts are kept after the event was closed."""
    rows = session.execute(sa.text("SELECT category, days FROM retention"))
    found: Mapping[str, int] = {row.category: row.days for row in rows}
    return {category: found[category] for category in CATEGORIES}


def set_period(session: Writer, category: str, days: int, *, actor: str, reason: str) -> None:
    """Sets how long a category's texts are kept; what is due by it goes at the next daily look.

    Raises:
        InvalidInput: the category or the number of days will not do, or no reason is given.
    """
    if category not in CATEGORIES:
        raise InvalidInput(
            f"{category!r} is no category; allowed: {', '.join(CATEGORIES)}", code="unknown_category"
        )
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"days={days}: 1 to {LONGEST_DAYS}", code="bad_days")
    _require_reason(reason)
    before = periods(session)[category]
    session.execute(
        sa.text("UPDATE retention SET days = :days WHERE category = :category"),
        {"category": category, "days": days},
    )
    audit.record(
        session,
        audit.Entry(actor, "retention.set", f"category:{category}", reason=reason, before=before, after=days,
                    detail={"from": before, "to": days}),
    )  # fmt: skip


def erase_due(session: Writer, now: dt.datetime, *, most: int = BLOCK) -> int:
    """Erases texts and attachments of events closed longer ago than their category keeps them; the oldest first.

    An event that was resolved or rejected and never closed counts from then. Call again until 0 comes back, each in a
    transaction of its own; of several processes one works, the others find 0.

    Args:
        session: the caller commits.
        now: with a zone.
        most: at most as many.

    Returns:
        How many were erased.
    """
    alone = session.execute(sa.text(f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, {LOCK_ERASE})"))
    if not alone.scalar_one():
        return 0
    due = session.execute(
        sa.text(
            "SELECT e.id FROM event e JOIN retention r USING (category)"
            f" WHERE {_HELD} AND e.status IN {_DONE}"
            " AND coalesce(e.closed_at, e.resolved_at, e.reported_at) < :now - make_interval(days => r.days)"
            " ORDER BY e.id LIMIT :most"
        ),
        {"now": now, "most": most},
    ).scalars()
    events = list(due)
    if not events:
        return 0
    done = _erase(session, events, actor="system", reason="retention")
    audit.record(
        session,
        audit.Entry("system", "event.erase", "events", reason="retention", detail={"count": len(done)},
                    events=tuple(done)),
    )  # fmt: skip
    return len(done)


def erase(session: Writer, events: Sequence[int], *, actor: str, reason: str, scope: Scope) -> int:
    """Erases the texts and attachments of events on order, whatever their state.

    Args:
        session: the caller commits.
        events: their numbers; all of them, or none where one is not there.
        actor: who ordered it.
        reason: why, for the audit; never text of the events.
        scope: where the actor may order it.

    Returns:
        How many had something to erase.

    Raises:
        InvalidInput: no reason is given.
        NotFound: one of them is not there or not within the scope.
    """
    _require_reason(reason)
    rows = _locked(session, events, scope)
    done = _erase(session, sorted(set(events)), actor=actor, reason=reason)
    audit.record(
        session,
        *(
            audit.Entry(actor, "event.erase", f"event:{row.id}", reason=reason, paths=tuple(row.paths))
            for row in rows
            if row.id in set(done)
        ),
    )
    return len(done)


def erase_attachment(
    session: Writer, event: int, number: int, *, actor: str, reason: str, scope: Scope
) -> bool:
    """Erases one attachment on order; everything else of the event stays. Arguments as of `erase`.

    Returns:
        Whether there was something to erase.

    Raises:
        InvalidInput: no reason is given.
        NotFound: the event or its attachment is not there or not within the scope.
    """
    _require_reason(reason)
    (row,) = _locked(session, [event], scope)
    binds = {"event": event, "number": number, "actor": actor, "reason": reason}
    there = session.execute(
        sa.text("SELECT FROM event_attachment WHERE event = :event AND number = :number"), binds
    ).first()
    if there is None:
        raise NotFound(f"No attachment {number} of event {event}", code="unknown_attachment")
    done = session.execute(sa.text(_ERASE_ATTACHMENT), binds).first() is not None
    if done:
        audit.record(
            session,
            audit.Entry(actor, "event.erase", f"event:{event}", reason=reason, paths=tuple(row.paths),
                        detail={"attachment": number}),
        )  # fmt: skip
    return done


def _locked(session: Writer, events: Sequence[int], scope: Scope) -> Sequence[sa.Row[Any]]:
    """Number and paths of events, kept from being added to until the transaction ends.

    Raises:
        NotFound: one is not there or not within the scope.
    """
    condition, binds = scope.condition("paths_now")
    rows = session.execute(
        sa.text(
            f"SELECT id, paths_now::text[] AS paths FROM event WHERE id = ANY(:events) AND {condition}"
            " ORDER BY id FOR NO KEY UPDATE"
        ),
        {**binds, "events": list(events)},
    ).all()
    missing = sorted(set(events) - {row.id for row in rows})
    if missing:
        raise NotFound(f"No event {missing[0]} within your areas", code="unknown_event")
    return rows


def _erase(session: Writer, events: Sequence[int], *, actor: str, reason: str) -> list[int]:
    rows = session.execute(sa.text(_ERASE), {"events": list(events), "actor": actor, "reason": reason})
    return [int(number) for number in rows.scalars()]


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput("A reason is needed", code="no_reason")
