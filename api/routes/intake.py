"""Posting events: one, or many as lines."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from api import problems, shapes
from api.deps import ThePrincipal, TheService, language_of, principal_of, service_of
from api.schemas import BatchOut, EventIn, EventOut
from api.service import TRIES, Service, boundaries_change
from gridmap import event_queries, sight
from gridmap.access import Principal
from gridmap.errors import Forbidden, GridmapError, InvalidInput
from gridmap.events import EventDraft
from gridmap.intake import Outcome, Post, StaleBoundaries
from gridmap.intake_bulk import store_many

router = APIRouter(prefix="/api/events", tags=["events"])
BLOCK = 5_000
LONGEST_LINE = 256 * 1024


def _draft(body: bytes, principal: Principal) -> EventDraft:
    """A posted event, checked.

    Raises:
        InvalidInput: with the field and what is allowed.
        Forbidden: the source is not the principal's own.
    """
    try:
        posted = EventIn.model_validate_json(body)
    except ValidationError as error:
        raise problems.invalid(error) from error
    if principal.source is not None and posted.source != principal.source:
        raise Forbidden(f"This account posts as {principal.source} only", code="other_source")
    return posted.draft()


def _known(service: Service, principal: Principal, event: int) -> Mapping[str, Any]:
    """An event as its poster may see it."""
    with service.database.reader(sight.rows(principal)) as session:
        return dict(event_queries.one(session, principal, event))


_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": EventIn.model_json_schema()}},
    }
}
_LINES = {
    "requestBody": {
        "required": False,  # no line is a batch too
        "content": {"application/x-ndjson": {"schema": {"type": "string", "description": "An event a line"}}},
    }
}


@router.post(
    "",
    openapi_extra=_BODY,
    responses={
        200: {"model": EventOut, "description": "Posted before: the event as it is now"},
        201: {"model": EventOut, "description": "Stored, with its assignment"},
        **problems.documented(401, 403, 404, 409, 413, 422, 503),
    },
)
async def post_event(request: Request) -> Response:
    """Posts one event; what is answered is committed.

    The same source and external id again: 200 and the event as it is now; with other content: 409.
    """
    service, principal = service_of(request), principal_of(request)
    principal.require("post")
    post = Post(_draft(await request.body(), principal), principal.name, principal.reach("post"))
    outcome = await service.posting.take(post)
    row = outcome.row
    if row is None:
        row = await to_thread.run_sync(_known, service, principal, outcome.event)
    elif not principal.reads_text(row["paths_now"], row["worker"], row["category"]):
        row = {**row, **dict.fromkeys(event_queries.TEXT)}
    contact = service.seal.open(row["contact"])
    shaped = shapes.event(row, service.memory, principal, contact, language_of(request))
    return shapes.json_response(shaped, 201 if outcome.state == "stored" else 200)


@router.post(
    "/batch",
    openapi_extra=_LINES,
    responses={200: {"model": BatchOut}, **problems.documented(401, 403, 409, 413, 422, 503)},
)
async def post_batch(request: Request, service: TheService, principal: ThePrincipal) -> Response:
    """Posts many events, one JSON object a line; each stands alone, refused ones are named by line.

    Blocks of lines are committed as they come. After a lost connection send the same again: what is stored
    already counts as repeated.
    """
    principal.require("post")
    result: dict[str, Any] = {"accepted": 0, "repeated": 0, "rejected": []}
    async for block in _blocks(request):
        await to_thread.run_sync(_batch_block, service, principal, block, result)
    return shapes.json_response(result)


async def _blocks(request: Request) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Numbered lines of the body in blocks, read as they arrive."""
    rest, number = b"", 0
    block: list[tuple[int, bytes]] = []
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                block.append((number, line))
            if len(block) >= BLOCK:
                yield block
                block = []
        if len(rest) > LONGEST_LINE:
            raise InvalidInput(f"line {number + 1} is longer than {LONGEST_LINE} bytes", code="line_too_long")
    if rest.strip():
        block.append((number + 1, rest))
    if block:
        yield block


def _batch_block(
    service: Service, principal: Principal, lines: Sequence[tuple[int, bytes]], result: dict[str, Any]
) -> None:
    numbers: list[int] = []
    drafts: list[EventDraft] = []
    for number, line in lines:
        try:
            drafts.append(_draft(line, principal))
            numbers.append(number)
        except GridmapError as error:
            result["rejected"].append({"line": number, "code": error.code, "message": error.message})
    outcomes = _store_block(service, principal, drafts)
    for number, outcome in zip(numbers, outcomes, strict=True):
        if isinstance(outcome, Outcome):
            result["accepted" if outcome.state == "stored" else "repeated"] += 1
        else:
            result["rejected"].append({"line": number, "code": outcome.code, "message": outcome.message})
    result["rejected"].sort(key=lambda each: each["line"])
    service.live.changed()


def _store_block(
    service: Service, principal: Principal, drafts: Sequence[EventDraft]
) -> list[Outcome | GridmapError]:
    for _ in range(TRIES):
        try:
            with service.database.writer(sight.TAKING_IN) as session:
                return store_many(
                    session,
                    service.memory,
                    service.seal,
                    drafts,
                    actor=principal.name,
                    scope=principal.reach("post"),
                    tolerance_m=service.settings.tolerance_m,
                )
        except StaleBoundaries:
            service.memory.refresh_boundaries()
    raise boundaries_change()
