"""Whose place is it; areas, editions, and search."""

from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import numpy as np
import shapely
import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from api import problems, shapes
from api.deps import (
    EventsReader,
    ThePrincipal,
    TheReader,
    TheService,
    bbox,
    comma_list,
    language_of,
    principal_of,
    service_of,
)
from api.located import shaped
from api.schemas import Feature, FeatureCollection, Located, LocateQuery, to_wgs84
from api.schemas_answers import Editions, Lineage, SearchResults
from api.service import Service
from gridmap import areas as area_loads
from gridmap import crs as reference_systems
from gridmap import locating
from gridmap.access import Scope
from gridmap.errors import InvalidInput, NotFound
from gridmap.in_force import IN_FORCE
from gridmap.periods import moment
from gridmap.snapshot import KINDS, Snapshot
from layers.features import area_features

router = APIRouter(prefix="/api", tags=["places"])
LARGEST_PAGE = 20_000
LONGEST_SEARCH = 80


@router.get(
    "/locate",
    openapi_extra=problems.queried(LocateQuery),
    responses={200: {"model": Located}, **problems.documented(401, 403, 404, 422, 503)},
)
async def locate(request: Request) -> Response:
    """Whose a place is: the grid, the chain of areas, who would get an event of this category, and why."""
    service = service_of(request)
    scope = principal_of(request).require("areas")
    try:
        asked = LocateQuery.model_validate(
            dict(parse_qsl(request.scope["query_string"].decode("utf-8", "replace")))
        )
    except ValidationError as error:
        raise problems.invalid(error) from error
    x, y = to_wgs84(asked.lon, asked.lat, reference_systems.normalise(asked.crs))
    memory = service.memory
    snapshot = memory.snapshot
    if asked.at or asked.edition:  # boundaries of another time may have to be read first
        snapshot = await to_thread.run_sync(boundaries_of, service, asked.edition, asked.at)
    answer = locating.locate(snapshot, memory.roster, x, y, asked.category, service.settings.tolerance_m)
    # Also what lies in no area at all: else the answer would say where others' areas end.
    if not scope.holds_any(answer.paths):
        raise NotFound("The place is not within your areas", code="outside_areas")
    return shapes.json_response(shaped(snapshot, memory, answer, language_of(request)))


def boundaries_of(service: Service, edition: int | None, at: str | None) -> Snapshot:
    """The boundaries asked for, by number, by moment, or the present ones.

    Raises:
        InvalidInput: both a number and a moment.
        NotFound: there is no such edition.
    """
    when = moment(at, "at", service.settings.time_zone)
    if edition is not None and when is not None:
        raise InvalidInput("edition and at: say one of them", code="edition_and_at")
    if edition is None:
        return service.memory.at(when) if when else service.memory.snapshot
    with service.database.reader() as session:
        known = session.execute(
            sa.text("SELECT 1 FROM edition WHERE id = :edition"), {"edition": edition}
        ).scalar()
    if known is None:
        raise NotFound(f"No edition {edition}", code="unknown_edition")
    return service.memory.edition(edition)


@router.get(
    "/areas",
    response_class=shapes.GeoJSONResponse,
    responses={200: {"model": FeatureCollection}, **problems.documented(401, 403, 404, 422, 503)},
)
def areas(  # noqa: PLR0913  # the query's parameters
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    kind: str | None = None,
    bbox_: Annotated[str | None, Query(alias="bbox")] = None,
    within: str | None = None,
    edition: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    at: str | None = None,
    crs: str = "wgs84",
    geometry: bool = True,
    limit: Annotated[int, Query(ge=1)] = 1000,
    cursor: str | None = None,
) -> Response:
    """Areas as GeoJSON in the order of their codes; `within` an area means all below it."""
    scope = principal.require("areas")
    snapshot = boundaries_of(service, edition, at)
    keep = _in_scope(snapshot, scope)
    if kind:
        for each in comma_list(kind):
            if each not in KINDS:
                raise InvalidInput(f"kind={each[:40]!r}; allowed: {', '.join(KINDS)}", code="unknown_kind")
        keep &= np.isin(snapshot.kind.astype(str), comma_list(kind))
    if within:
        keep &= _below(snapshot, _visible(snapshot, scope, within))
    if box := bbox(bbox_, reference_systems.normalise(crs)):
        keep &= shapely.intersects(shapely.box(*box), snapshot.geom)
    if cursor:
        (after,) = shapes.read_cursor(cursor, (str,))
        keep &= snapshot.code > after
    rows = np.flatnonzero(keep)
    limit = min(limit, LARGEST_PAGE)
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        # of the same edition: one that comes into force between two pages would tear the list
        following = shapes.following(request, [snapshot.code[rows[-1]]], edition=snapshot.edition, at=None)
    body = area_features(
        snapshot, rows, crs=reference_systems.normalise(crs), geometry=geometry, following=following
    )
    return Response(body, media_type=shapes.GEOJSON)


def _in_scope(snapshot: Snapshot, scope: Scope) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if scope.paths is None:
        return np.ones(len(snapshot), dtype=bool)
    return np.fromiter((scope.holds(path) for path in snapshot.path), dtype=bool, count=len(snapshot))


def _below(snapshot: Snapshot, row: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """An area and all whose path goes through it."""
    inside = Scope((snapshot.path[row],))
    return np.fromiter((inside.holds(path) for path in snapshot.path), dtype=bool, count=len(snapshot))


def _visible(snapshot: Snapshot, scope: Scope, code: str) -> int:
    row = snapshot.row.get(code)
    if row is None or not scope.holds(snapshot.path[row]):
        raise NotFound(f"No area {code[:64]} within your areas", code="unknown_area")
    return row


@router.get(
    "/areas/{code}",
    response_class=shapes.GeoJSONResponse,
    responses={200: {"model": Feature}, **problems.documented(401, 403, 404, 422, 503)},
)
def area(  # the query's parameters
    code: str,
    service: TheService,
    principal: ThePrincipal,
    edition: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    at: str | None = None,
    crs: str = "wgs84",
) -> Response:
    """One area as a GeoJSON feature."""
    scope = principal.require("areas")
    snapshot = boundaries_of(service, edition, at)
    row = _visible(snapshot, scope, code)
    body = area_features(
        snapshot, np.array([row]), crs=reference_systems.normalise(crs), geometry=True, following=None
    )
    start = body.index(b'"features":[') + len(b'"features":[')
    return Response(body[start : body.rindex(b"]")], media_type=shapes.GEOJSON)


@router.get(
    "/areas/{code}/lineage",
    responses={200: {"model": Lineage}, **problems.documented(401, 403, 404, 422, 503)},
)
def lineage(code: str, principal: ThePrincipal, session: TheReader) -> Response:
    """Where an area came from and where it went, by edition; codes beyond my areas are null."""
    scope = principal.require("areas")
    # As it lies today, or last did; what is yet to come counts for what has not been before.
    latest = (
        f"(SELECT a.path FROM area a WHERE a.code = {{}} ORDER BY a.edition_from <= {IN_FORCE} DESC,"
        " a.edition_from DESC LIMIT 1)"
    )
    given: dict[str, object] = {
        "code": "" if "\x00" in code else code
    }  # no code has one, and the database takes none
    held = session.execute(sa.text(f"SELECT {latest.format(':code')}::text"), given).scalar_one()
    if held is None or not scope.holds(held):
        raise NotFound(f"No area {code[:64]} within your areas", code="unknown_area")
    shown = {}
    for name in ("old_code", "new_code"):
        condition, binds = scope.condition(latest.format(f"l.{name}"))
        shown[name] = f"CASE WHEN {condition} THEN l.{name} END AS {name}"
        given |= binds
    steps = session.execute(
        sa.text(
            "SELECT l.edition, nullif(e.in_force_from, '-infinity') AS in_force_from, l.change,"
            f" {shown['old_code']}, {shown['new_code']} FROM lineage l JOIN edition e ON e.id = l.edition"
            " WHERE l.old_code = :code OR l.new_code = :code ORDER BY l.edition, l.old_code, l.new_code"
        ),
        given,
    ).mappings()
    return shapes.json_response({"code": code, "lineage": [dict(step) for step in steps]})


@router.get("/editions", responses={200: {"model": Editions}, **problems.documented(401, 403, 503)})
def editions(service: TheService, principal: ThePrincipal, session: TheReader) -> Response:
    """Editions, newest first; `in_force_from` null means since ever."""
    principal.require("areas")
    return shapes.json_response(
        {"current": service.memory.snapshot.edition, "editions": area_loads.editions(session)}
    )


Kind = Literal["area", "street", "event"]


@router.get("/search", responses={200: {"model": SearchResults}, **problems.documented(401, 403, 422, 503)})
def search(
    q: str,
    service: TheService,
    principal: ThePrincipal,
    session: EventsReader,
    limit: Annotated[int, Query(ge=1)] = 20,
) -> Response:
    """Areas by code or name, streets by name, events by number or external id: within my areas only."""
    scope = principal.require("areas")
    words = q.strip().replace("\x00", "")[:LONGEST_SEARCH]
    limit = min(limit, 50)
    if not words:
        return shapes.json_response({"results": []})
    results = locating.search_areas(service.memory.snapshot, scope, words, limit)
    if len(results) < limit:
        results += locating.search_streets(
            session, service.memory.snapshot, scope, words, limit - len(results)
        )
    if len(results) < limit and principal.may("events"):
        results += locating.search_events(session, principal, words, limit - len(results))
    return shapes.json_response({"results": results})
