"""What the doors record of reading: whose text, and what is taken out. What is written is recorded where it is."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from api.service import Service
from gridmap.access import Principal
from gridmap.audit import Entry
from gridmap.event_queries import TEXT


def text_read(service: Service, principal: Principal, rows: Sequence[sa.RowMapping]) -> None:
    """Notes which events' text is about to be answered; nothing where there is none among it.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be read.
    """
    told = [row for row in rows if any(row[name] is not None for name in TEXT)]
    if not told:
        return
    service.scribe.note(
        Entry(
            actor=principal.name,
            action="event.read",
            object=f"event:{told[0]['id']}" if len(told) == 1 else "events",
            paths=tuple(sorted({path for row in told for path in row["paths_now"]})),
            edition=service.memory.snapshot.edition or None,
            events=tuple(row["id"] for row in told),
        )
    )


def attachments_listed(
    service: Service, principal: Principal, event: int, rows: Sequence[sa.RowMapping], paths: tuple[str, ...]
) -> None:
    """Notes that somebody is about to read what an event's attachments are called; nothing where none has a name.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be read.
    """
    if any(row["name"] is not None for row in rows):
        _note_reading(service, principal, "attachment.list", event, paths, {})


def attachment_read(
    service: Service, principal: Principal, event: int, number: int, paths: tuple[str, ...]
) -> None:
    """Notes that an attachment is about to be answered.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be read.
    """
    _note_reading(service, principal, "attachment.read", event, paths, {"attachment": number})


def _note_reading(
    service: Service,
    principal: Principal,
    action: str,
    event: int,
    paths: tuple[str, ...],
    detail: Mapping[str, Any],
) -> None:
    service.scribe.note(
        Entry(
            actor=principal.name,
            action=action,
            object=f"event:{event}",
            paths=paths,
            edition=service.memory.snapshot.edition or None,
            detail=detail,
        )
    )


def exported(
    service: Service,
    principal: Principal,
    what: str,
    reason: str | None,
    filters: Mapping[str, Any],
    *,
    path: str | None = None,
) -> str:
    """Notes that somebody takes something out that will be sent on; returns the mark that goes along with it.

    Args:
        service: whose audit it is.
        principal: who.
        what: as the audit calls it.
        reason: why, as they say.
        filters: what was asked for.
        path: of the area that it is of; by default wherever they see counts.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be taken out.
    """
    said = (reason or "").strip()
    service.scribe.note(
        Entry(
            actor=principal.name,
            action=f"export.{what}",
            object=what,
            paths=principal.scope("counts").paths or () if path is None else (path,),
            edition=service.memory.snapshot.edition or None,
            reason=said or None,
            detail={"filters": {name: str(value).replace("\0", "") for name, value in filters.items()}},
        )
    )
    now = dt.datetime.now(service.settings.time_zone).isoformat(timespec="minutes")
    return " · ".join(part for part in (principal.name, now, said) if part)
