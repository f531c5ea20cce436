"""Attachments of events: pictures and papers, kept apart as texts are, sealed, for who handles the event.

What is added is digested into history and audit, which go on verifying when the content was erased
(`gridmap.retention`). See docs/adr/0019-attachments.md.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap import attachment_kinds, audit, event_queries, pictures
from gridmap.access import Principal
from gridmap.db import Writer
from gridmap.errors import Conflict, Forbidden, NotFound, NotPossible
from gridmap.sealing import Seal

_COLUMNS = (
    "number AS id, name, type, size_bytes AS bytes, encode(sha256, 'hex') AS sha256,"
    " encode(sent_sha256, 'hex') AS sent_sha256, added_by, added_at, erased_at"
)
_KNOWN = f"""
SELECT {_COLUMNS} FROM event_attachment
WHERE event = :event AND (sent_sha256 = :sent OR sha256 = :sent) ORDER BY number LIMIT 1
"""
_STORE = f"""
WITH added AS (
    INSERT INTO event_attachment (event, number, name, type, size_bytes, sha256, sent_sha256, content, added_by)
    SELECT :event, coalesce(max(number), 0) + 1, :name, :type, :size_bytes, :sha256, :sent, :content, :actor
    FROM event_attachment WHERE event = :event
    RETURNING *
), told AS (
    INSERT INTO change_log (topic, event, edition, paths)
    SELECT 'event', id, edition, paths_now FROM event WHERE id = :event
), noted AS (
    INSERT INTO event_history (event, at, actor, action, status, edition, digest, detail)
    SELECT event.id, added_at, :actor, 'attach', status, edition, sha256, jsonb_build_object('attachment', number,
        'type', type, 'bytes', size_bytes, 'sent', encode(sent_sha256, 'hex'))
    FROM added JOIN event ON event.id = added.event
)
SELECT {_COLUMNS} FROM added
"""
_REPORTED = "SELECT FROM event_history WHERE event = :event AND action = 'report' AND actor = :actor LIMIT 1"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file as it will be kept.

    Attributes:
        name: with an ending that fits.
        media_type: by the content.
        content: without metadata, not yet sealed.
        sent_sha256: of what was sent.
    """

    name: str
    media_type: str
    content: bytes
    sent_sha256: bytes


def prepared(name: str, sent: bytes, *, most_bytes: int) -> Prepared:
    """A file looked at, and a picture drawn anew without all that it says beside what it shows.

    Args:
        name: as it was called.
        sent: the file; the caller has seen to it that it is no larger than allowed.
        most_bytes: of an attachment.

    Raises:
        InvalidInput: the kind, the name or the content will not do.
        Unavailable: no time for it just now.
    """
    media_type = attachment_kinds.kind_of(sent)
    called = attachment_kinds.name_of(name, media_type)
    content = (
        pictures.cleaned(sent, media_type, most_bytes=most_bytes) if media_type in pictures.KINDS else sent
    )
    return Prepared(called, media_type, content, hashlib.sha256(sent).digest())


def require_adding(session: Session, principal: Principal, event: int) -> bool:
    """Refuses who neither acts on an event nor posted it; returns whether they handle it, and so may read of it.

    Args:
        session: sees what the principal may see of events.
        principal: who wants to add something.
        event: its number.

    Raises:
        NotFound: the event is not there, or outside of the principal's areas.
        Forbidden: it is somebody else's.
    """
    row = event_queries.one(session, principal, event)
    whose = row["paths_now"], row["worker"], row["category"]
    handles = principal.reads_text(*whose)
    if handles or principal.acts_on(*whose) or principal.source == row["source"]:
        return handles
    reported = session.execute(sa.text(_REPORTED), {"event": event, "actor": principal.name})
    if reported.first() is None:
        raise Forbidden(
            f"Event {event} is in other hands: who handles it or reported it attaches to it", code="not_yours"
        )
    return handles


def known(session: Session, event: int, sent: bytes) -> sa.RowMapping | None:
    """What an event has of the same bytes, as they were sent or as they are kept; for who may add to it."""
    binds = {"event": event, "sent": hashlib.sha256(sent).digest()}
    return session.execute(sa.text(_KNOWN), binds).mappings().one_or_none()


def add(
    session: Writer, event: int, file: Prepared, seal: Seal, *, actor: str, most: int
) -> tuple[sa.RowMapping, bool]:
    """Attaches a file; the same bytes again are answered as they stand, also once they are erased.

    Args:
        session: sees all events; the caller has asked `require_adding`, and commits.
        event: its number.
        file: as prepared.
        seal: of the installation.
        actor: who adds it.
        most: attachments that an event may have, erased ones not counted.

    Returns:
        The attachment without its content, and whether it is new.

    Raises:
        NotFound: there is no such event.
        Conflict: the event has as many as it may have.
    """
    locked = session.execute(  # one after the other, and not while it is being erased
        sa.text("SELECT paths_now::text[] AS paths, edition FROM event WHERE id = :event FOR NO KEY UPDATE"),
        {"event": event},
    ).one_or_none()
    if locked is None:
        raise NotFound(f"No event {event} within your areas", code="unknown_event")
    binds = {"event": event, "sent": file.sent_sha256}
    there = session.execute(sa.text(_KNOWN), binds).mappings().one_or_none()
    if there is not None:
        return there, False
    kept = session.execute(
        sa.text("SELECT count(*) FROM event_attachment WHERE event = :event AND erased_at IS NULL"), binds
    ).scalar_one()
    if kept >= most:
        raise Conflict(f"Event {event} has {kept} attachments; at most {most}", code="too_many_attachments")
    digest = hashlib.sha256(file.content).digest()
    stored = {
        "name": file.name,
        "type": file.media_type,
        "size_bytes": len(file.content),
        "sha256": digest,
        "content": seal.close_file(file.content),
        "actor": actor,
    }
    row = session.execute(sa.text(_STORE), {**binds, **stored}).mappings().one()
    facts = {name: row[name] for name in ("type", "bytes", "sha256", "sent_sha256")}
    audit.record(
        session,
        audit.Entry(
            actor, "event.attach", f"event:{event}", paths=tuple(locked.paths), after={"id": row["id"], **facts},
            detail={"attachment": row["id"], **facts},
        ),
    )  # fmt: skip
    return row, True


Paths = tuple[str, ...]


def listed(session: Session, principal: Principal, event: int) -> tuple[Sequence[sa.RowMapping], Paths]:
    """An event's attachments without their content, in the order in which they came; and where the event lies.

    Raises:
        Forbidden: no role of the principal reads any.
        NotFound: the event is not there, outside of the principal's areas, or not theirs to handle.
    """
    paths = _require_handling(session, principal, event, f"No attachments of event {event} for you")
    statement = f"SELECT {_COLUMNS} FROM event_attachment WHERE event = :event ORDER BY number"
    return session.execute(sa.text(statement), {"event": event}).mappings().all(), paths


def content_of(
    session: Session, principal: Principal, event: int, number: int
) -> tuple[sa.RowMapping, Paths]:
    """One with its sealed content; and where the event lies.

    Raises:
        Forbidden: no role of the principal reads any.
        NotFound: the event or the attachment is not there, or not theirs; or the content was erased.
    """
    missing = f"No attachment {number} of event {event} for you"
    paths = _require_handling(session, principal, event, missing)
    row = (
        session.execute(
            sa.text(
                f"SELECT {_COLUMNS}, content FROM event_attachment WHERE event = :event AND number = :number"
            ),
            {"event": event, "number": number},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound(missing, code="unknown_attachment")
    if row["content"] is None:
        raise NotFound(f"Attachment {number} of event {event} was erased", code="attachment_erased")
    return row, paths


def opened(row: sa.RowMapping, seal: Seal) -> bytes:
    """The content of a row of `content_of`.

    Raises:
        NotPossible: it was sealed with another secret, or is not what was stored.
    """
    content = seal.open_file(bytes(row["content"]))
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise NotPossible("The attachment is not what was stored: its digest differs", code="altered")
    return content


def _require_handling(session: Session, principal: Principal, event: int, missing: str) -> Paths:
    if not principal.may("text") and principal.worker is None:
        raise Forbidden(
            "Your roles do not allow this: attachments are for who handles the event", code="role_forbids"
        )
    row = event_queries.one(session, principal, event)
    if not principal.reads_text(row["paths_now"], row["worker"], row["category"]):
        raise NotFound(missing, code="unknown_attachment")
    return tuple(row["paths_now"])
