"""Events read: lists with filters, counts, one, its history."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api import problems, shapes
from api.deps import EventsReader, TheLanguage, ThePrincipal, TheService, bbox, comma_list, near
from api.recording import text_read
from api.schemas import EventCounts, EventOut, EventQuery, FeatureCollection
from api.schemas_answers import History
from api.service import Service
from gridmap import crs, event_queries
from gridmap.access import Principal
from gridmap.errors import InvalidInput
from gridmap.event_queries import EventFilter
from gridmap.events import CATEGORIES, STATES
from gridmap.periods import moment
from gridmap.reasons import as_told

router = APIRouter(prefix="/api/events", tags=["events"])


def _known(values: Sequence[str], allowed: Sequence[str], name: str) -> tuple[str, ...]:
    for value in values:
        if value not in allowed:
            raise InvalidInput(
                f"{name}={value[:40]!r} is not known; allowed: {', '.join(allowed)}",
                code=f"unknown_{name}",
                findings=[{"field": name, "value": value[:40], "message": f"one of {', '.join(allowed)}"}],
            )
    return tuple(values)


def event_filter(asked: EventQuery, service: Service) -> EventFilter:
    """The filters of a query, checked; several values are comma-separated."""
    system = crs.normalise(asked.crs)
    return EventFilter(
        bbox=bbox(asked.bbox, system),
        grid=asked.grid or None,
        area=asked.area or None,
        categories=_known(comma_list(asked.category), CATEGORIES, "category"),
        subcategories=comma_list(asked.subcategory),
        statuses=_known(comma_list(asked.status), STATES, "status"),
        worker=asked.worker,
        unit=asked.unit,
        overdue=asked.overdue,
        since=moment(asked.since, "from", service.settings.time_zone),
        until=moment(asked.to, "to", service.settings.time_zone),
        near=near(asked.near, system),
        radius_m=asked.radius_m,
    )


Asked = Annotated[EventQuery, Query()]


@router.get(
    "",
    response_class=shapes.GeoJSONResponse,
    responses={200: {"model": FeatureCollection}, **problems.documented(401, 403, 404, 422, 503)},
)
def events(  # what FastAPI injects
    asked: Asked,
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    session: EventsReader,
    language: TheLanguage,
) -> Response:
    """Events in my areas as GeoJSON, newest first; `next` is the path of the next page."""
    principal.require("events")
    wanted = event_filter(asked, service)
    if asked.sort == "near" and wanted.near is None:
        raise InvalidInput("sort=near needs near=lon,lat", code="bad_sort")
    after = None
    if asked.cursor:
        key, number = shapes.read_cursor(asked.cursor, (float if asked.sort == "near" else dt.datetime, int))
        after = (key, number)
    found = event_queries.page(
        session, service.memory.snapshot, principal, wanted, sort=asked.sort, after=after, limit=asked.limit
    )
    text_read(service, principal, found.rows)
    shaped = [
        shapes.event(row, service.memory, principal, service.seal.open(row["contact"]), language)
        for row in found.rows
    ]
    features = [shapes.event_feature(each) for each in shapes.in_system(shaped, crs.normalise(asked.crs))]
    following = None if found.last is None else shapes.following(request, found.last)
    return shapes.json_response(
        {"type": "FeatureCollection", "features": features, "next": following}, media_type=shapes.GEOJSON
    )


@router.get(
    "/counts", responses={200: {"model": EventCounts}, **problems.documented(401, 403, 404, 422, 503)}
)
def counts(asked: Asked, service: TheService, principal: ThePrincipal, session: EventsReader) -> Response:
    """Number of events by status, for the same filters."""
    principal.require("events")
    wanted = event_filter(asked, service)
    by_status = event_queries.counts(session, service.memory.snapshot, principal, wanted)
    return shapes.json_response({"counts": by_status, "total": sum(by_status.values())})


@router.get(
    "/{event:int}", responses={200: {"model": EventOut}, **problems.documented(401, 403, 404, 422, 503)}
)
def event(  # what FastAPI injects
    event: Annotated[int, Path(ge=0)],
    service: TheService,
    principal: ThePrincipal,
    session: EventsReader,
    language: TheLanguage,
    system: Annotated[str, Query(alias="crs", description="Of lon and lat in the answer")] = "wgs84",
) -> Response:
    """One event, with the reasons for its grid and its worker."""
    _require_reading(principal)
    name = crs.normalise(system)
    row = event_queries.one(session, principal, _number(event))
    text_read(service, principal, [row])
    shaped = shapes.event(row, service.memory, principal, service.seal.open(row["contact"]), language)
    return shapes.json_response(shapes.in_system([shaped], name)[0])


@router.get(
    "/{event:int}/history",
    responses={200: {"model": History}, **problems.documented(401, 403, 404, 422, 503)},
)
def history(
    event: Annotated[int, Path(ge=0)], service: TheService, principal: ThePrincipal, session: EventsReader
) -> Response:
    """The steps of an event's life, oldest first; nobody can change them."""
    _require_reading(principal)
    known = shapes.knows(service.memory.snapshot, principal)
    steps = [dict(step) for step in event_queries.history(session, principal, _number(event))]
    for step in steps:
        if step["detail"] and "why" in step["detail"]:
            step["detail"] = {**step["detail"], "why": as_told(step["detail"]["why"], known)}
    return shapes.json_response({"history": steps})


def _require_reading(principal: Principal) -> None:
    """Who sees counts alone is told so, whether or not the event is there; a source reads what it posted."""
    principal.require("events" if principal.source is None else "post")


def _number(event: int) -> int:
    # Larger than any number that the sequence gives: not there, rather than an error of the database.
    return event if 0 <= event < 2**63 else 0
