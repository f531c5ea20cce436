"""Vector tiles, each for one principal."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import problems
from api.deps import ThePrincipal, TheService, comma_list
from api.routes.events import event_filter
from api.routes.heat import heat_query
from api.routes.places import boundaries_of
from api.schemas import EventQuery, HeatAsked
from gridmap import sight
from layers.heat import HeatQuery
from layers.tile_grid import TileAddress
from layers.tiles import TileQuery, tile

router = APIRouter(prefix="/api", tags=["maps"])
MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
# A browser may keep a tile, for this signed-in person alone, but asks each time whether it still holds:
# another who signs in at the same browser is asked for the tile of their own areas, whose tag differs.
CACHE = "private, no-cache"


class _TileResponse(Response):
    media_type = MEDIA_TYPE


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.mvt",
    response_class=_TileResponse,
    responses={
        200: {"description": "A tile"},
        204: {"description": "Nothing here"},
        304: {"description": "Still the same"},
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def vector_tile(  # noqa: PLR0913  # what FastAPI injects
    layer: str,
    z: int,
    x: int,
    y: int,
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    events: Annotated[EventQuery, Query()],
    heat: Annotated[HeatAsked, Query()],
    edition: Annotated[
        int | None, Query(ge=1, lt=2**31, description="Of areas and grids: the boundaries of that edition.")
    ] = None,
    at: Annotated[
        str | None, Query(description="Of areas and grids: the boundaries in force at a moment.")
    ] = None,
) -> Response:
    """Vector tiles: areas, grids, buildings, streets, events, heat; filters as in /api/events and /api/heat."""
    drawn = layer in {"areas", "grids"}
    snapshot = boundaries_of(service, edition, at) if drawn else service.memory.snapshot
    kinds = comma_list(request.query_params.get("kind"))
    query = TileQuery(
        layer=layer,
        address=TileAddress(z, x, y),
        kinds=kinds if drawn else (),
        crs=heat.crs,
        events=event_filter(events, service),
        heat=heat_query(heat, service) if layer == "heat" else HeatQuery(),
        withhold_below=service.settings.withhold_below,
    )
    seen = {"events": sight.rows, "heat": sight.counts}.get(layer)
    with service.database.reader(seen(principal) if seen else None) as session:
        found = tile(session, snapshot, query, principal)
    headers = {"Cache-Control": CACHE, "Vary": "Authorization, Cookie"}
    if found is None:
        return Response(status_code=204, headers=headers)
    headers["ETag"] = found.etag
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=MEDIA_TYPE)
