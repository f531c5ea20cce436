"""Attachments of events: adding a file, listing, taking one out, erasing one on order.

The file itself is the request's content: no form around it, whose parser would write parts of it to disk in the clear.
"""

from typing import Annotated
from urllib.parse import quote

import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api import problems
from api.deps import EventsReader, ThePrincipal, TheService, principal_of, service_of
from api.recording import attachment_read, attachments_listed
from api.routes.retention import Erased, Reason
from api.schemas_answers import Attachment, Attachments
from api.service import Service
from api.shapes import json_response
from gridmap import attachments, retention, sight
from gridmap.access import Principal
from gridmap.attachment_kinds import ENDINGS, LONGEST_NAME, PDF

router = APIRouter(prefix="/api/events/{event:int}/attachments", tags=["attachments"])
_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file itself. Its type is told by its content, whatever the header says.",
        "content": dict.fromkeys((*ENDINGS, "application/octet-stream"), _FILE),
    }
}
# Saved, never shown by the browser under our origin; what is opened all the same may run nothing.
_KEPT_APART = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
Event = Annotated[int, Path(ge=0, lt=2**63)]
Number = Annotated[int, Path(ge=1, lt=2**31, description="Within the event")]


class FileResponse(Response):
    """A file of one of the types that are taken."""

    media_type = PDF


@router.post(
    "",
    openapi_extra=_BODY,
    responses={
        200: {"model": Attachment, "description": "Attached before: it as it is now, nothing stored"},
        201: {"model": Attachment, "description": "Stored"},
        **problems.documented(401, 403, 404, 409, 422, 503),
    },
)
async def attach(
    event: Event,
    name: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, description="What the file is called")],
    request: Request,
) -> Response:
    """Attaches a picture (JPEG, PNG, WebP) or a PDF to an event; what is answered is committed.

    Who handles the event may, who reported it, and the source that posted it. Pictures are kept upright and without
    their metadata: place, time, device, thumbnails. The same bytes again: 200 and nothing is stored.
    """
    service, principal = service_of(request), principal_of(request)
    principal.require("act" if principal.source is None else "post")
    handles = await to_thread.run_sync(_require_adding, service, principal, event)  # before anything is read
    sent = await request.body()
    there = await to_thread.run_sync(_known, service, event, sent)
    if there is not None:
        return _answer(principal, there, 200, handles=handles)
    async with service.preparing():
        file = await to_thread.run_sync(_prepared, service, name, sent)
    row, is_new = await to_thread.run_sync(_add, service, principal, event, file)
    service.live.changed()
    return _answer(principal, row, 201 if is_new else 200, handles=handles)


def _answer(principal: Principal, row: sa.RowMapping, status: int, *, handles: bool) -> Response:
    """The attachment; what somebody else called it is for who handles the event."""
    shown = dict(row)
    if not handles and row["added_by"] != principal.name:
        shown["name"] = None
    return json_response(shown, status)


def _require_adding(service: Service, principal: Principal, event: int) -> bool:
    with service.database.reader(sight.rows(principal)) as session:
        return attachments.require_adding(session, principal, event)


def _known(service: Service, event: int, sent: bytes) -> sa.RowMapping | None:
    with service.database.reader(sight.EVERYTHING) as session:
        return attachments.known(session, event, sent)


def _prepared(service: Service, name: str, sent: bytes) -> attachments.Prepared:
    return attachments.prepared(name, sent, most_bytes=service.settings.attachment_bytes)


def _add(
    service: Service, principal: Principal, event: int, file: attachments.Prepared
) -> tuple[sa.RowMapping, bool]:
    most = service.settings.attachments_per_event
    with service.database.writer(sight.EVERYTHING) as session:
        return attachments.add(session, event, file, service.seal, actor=principal.name, most=most)


@router.get("", responses={200: {"model": Attachments}, **problems.documented(401, 403, 404, 422, 503)})
def listing(event: Event, service: TheService, principal: ThePrincipal, session: EventsReader) -> Response:
    """An event's attachments, for who handles it; of an erased one the digests are left."""
    rows, paths = attachments.listed(session, principal, event)
    attachments_listed(service, principal, event, rows, paths)
    return json_response({"attachments": [dict(row) for row in rows]})


@router.get(
    "/{number:int}",
    response_class=FileResponse,
    responses={
        200: {"description": "The file", "content": dict.fromkeys(ENDINGS, _FILE)},
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def content(
    event: Event, number: Number, service: TheService, principal: ThePrincipal, session: EventsReader
) -> Response:
    """One attachment's content, to be saved; its reading is recorded."""
    row, paths = attachments.content_of(session, principal, event, number)
    attachment_read(service, principal, event, number, paths)
    ending = ENDINGS[row["type"]][0]
    named = (
        f"attachment; filename=\"{event}-{number}{ending}\"; filename*=UTF-8''{quote(row['name'], safe='')}"
    )
    return FileResponse(
        attachments.opened(row, service.seal),
        media_type=row["type"],
        headers={**_KEPT_APART, "Content-Disposition": named},
    )


@router.delete(
    "/{number:int}", responses={200: {"model": Erased}, **problems.documented(401, 403, 404, 422, 503)}
)
def erase(
    event: Event,
    number: Number,
    reason: Annotated[Reason, Query()],
    service: TheService,
    principal: ThePrincipal,
) -> Response:
    """Erases one attachment for good, by order of an administrator; the event's history says that and why."""
    scope = principal.require("admin")
    with service.database.writer(sight.EVERYTHING) as session:
        done = retention.erase_attachment(
            session, event, number, actor=principal.name, reason=reason, scope=scope
        )
    service.live.changed()
    return json_response({"erased": done})
