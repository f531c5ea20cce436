"""What routes ask for: the service, who asks, a session whose transaction the edge owns, the language."""

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from fastapi import Depends, Query, Request

from api.service import Service
from gridmap import crs, sight
from gridmap.access import Principal
from gridmap.db import Reader, Writer
from gridmap.errors import InvalidInput, Unauthorised


def service_of(request: Request) -> Service:
    """The process's service."""
    found: Service = request.app.state.service
    return found


async def service(request: Request) -> Service:
    """The process's service; async, so that no thread is taken for it."""
    return service_of(request)


TheService = Annotated[Service, Depends(service)]


def principal_of(request: Request) -> Principal:
    """Who asks; the guard has let nobody else through."""
    found: Principal | None = request.scope.get("state", {}).get("principal")
    if found is None:
        raise Unauthorised("Sign in first")
    return found


async def principal(request: Request) -> Principal:
    """Who asks."""
    return principal_of(request)


ThePrincipal = Annotated[Principal, Depends(principal)]


def reader(service: TheService) -> Iterator[Reader]:
    """A read-only transaction for the length of the request; it sees no events."""
    with service.database.reader() as session:
        yield session


def events_reader(service: TheService, principal: ThePrincipal) -> Iterator[Reader]:
    """The same; it sees the events that the asker may see."""
    with service.database.reader(sight.rows(principal)) as session:
        yield session


def counts_reader(service: TheService, principal: ThePrincipal) -> Iterator[Reader]:
    """The same; it sees the events that may be counted for the asker."""
    with service.database.reader(sight.counts(principal)) as session:
        yield session


def audit_reader(service: TheService, principal: ThePrincipal) -> Iterator[Reader]:
    """The same; it sees the audit of the areas that the asker administers."""
    with service.database.reader(sight.rows(principal, "admin")) as session:
        yield session


def loads_reader(service: TheService) -> Iterator[Reader]:
    """The same; of events it sees who has how many in hand."""
    with service.database.reader(sight.TAKING_IN) as session:
        yield session


def writer(service: TheService) -> Iterator[Writer]:
    """A transaction that is committed before the reply is sent."""
    with service.database.writer() as session:
        yield session


# scope="function": the transaction ends before the reply, so that a failed commit is never told as a success.
TheReader = Annotated[Reader, Depends(reader, scope="function")]
EventsReader = Annotated[Reader, Depends(events_reader, scope="function")]
CountsReader = Annotated[Reader, Depends(counts_reader, scope="function")]
AuditReader = Annotated[Reader, Depends(audit_reader, scope="function")]
LoadsReader = Annotated[Reader, Depends(loads_reader, scope="function")]
TheWriter = Annotated[Writer, Depends(writer, scope="function")]


def language_of(request: Request) -> str:
    """`zh` unless the client prefers English; a page says it by `?lang=`."""
    if request.scope["query_string"]:
        asked = request.query_params.get("lang")
        if asked in {"zh", "en"}:
            return asked
    return preferred(request.headers.get("accept-language", ""))


def preferred(header: str) -> str:
    """The first of zh and en in an Accept-Language header by its weights; zh where neither stands there."""
    best, language_ = 0.0, "zh"
    for part in header.split(","):
        name, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            continue
        token = name.split("-")[0].lower()
        if token in {"zh", "en"} and weight > best:
            best, language_ = weight, token
    return language_


async def language(request: Request) -> str:
    """The language to answer in."""
    return language_of(request)


TheLanguage = Annotated[str, Depends(language)]


def comma_list(text: str | None) -> tuple[str, ...]:
    """The parts of a comma-separated list, without empty ones."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


Box = tuple[float, float, float, float]


def bbox(text: str | None, system: str = "wgs84") -> Box | None:
    """West, south, east, north from a query, in WGS-84 degrees.

    Args:
        text: four numbers in `system`.
        system: as of `gridmap.crs.normalise`; of another one the box around the converted sides is taken.

    Raises:
        InvalidInput: not four finite numbers in order, or nowhere on Earth.
    """
    if not text:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west, south, east, north = 1.0, 1.0, 0.0, 0.0
    box = (west, south, east, north)
    if system != "wgs84" and all(map(math.isfinite, box)) and west <= east and south <= north:
        box = _around(box, system)
    if not (-180 <= box[0] <= box[2] <= 180 and -90 <= box[1] <= box[3] <= 90):
        raise InvalidInput(
            f"bbox is west,south,east,north in {system}, west ≤ east and south ≤ north",
            code="bad_bbox",
            findings=[{"field": "bbox", "value": text[:80], "message": f"four numbers in {system}"}],
        )
    return box


def _around(box: Box, system: str) -> Box:
    along = np.linspace(0.0, 1.0, 17)
    x = box[0] + (box[2] - box[0]) * np.concatenate([along, along, 0 * along, 0 * along + 1])
    y = box[1] + (box[3] - box[1]) * np.concatenate([0 * along, 0 * along + 1, along, along])
    lon, lat = crs.convert(x, y, system, "wgs84")
    if not np.isfinite(lon).all():
        return (1.0, 1.0, 0.0, 0.0)
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def near(text: str | None, system: str = "wgs84") -> tuple[float, float] | None:
    """A place from a query, in WGS-84 degrees.

    Raises:
        InvalidInput: not two numbers in `system`, or nowhere on Earth.
    """
    if not text:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = math.nan
    lon, lat = (float(each) for each in crs.convert(x, y, system, "wgs84"))
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InvalidInput(f"near is lon,lat in {system}", code="bad_near")
    return lon, lat


Limit = Annotated[int, Query(ge=1, description="Features a page; a larger one than allowed is clamped.")]
