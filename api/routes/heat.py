"""Heat: values and features, the folium page; indicators."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from api import problems, recording, shapes
from api.deps import CountsReader, TheLanguage, ThePrincipal, TheService, comma_list
from api.schemas import FeatureCollection, HeatAsked
from api.service import Service
from gridmap import crs as reference_systems
from gridmap.periods import moment
from gridmap.withholding import Audience
from layers.heat import HeatQuery, heat
from layers.page import heat_map_page
from layers.picture import heat_picture

# A document of its own: its script stands inside it, it loads nothing, and it may not act as the signed-in person.
MAP_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data: blob:{basemap}"
)
_LAYER_NAMES = {
    "zh": {
        "count": "件数",
        "per_100_households": "每百户",
        "change": "同比",
        "hotspot": "热点",
        "hex": "蜂窝",
    },
    "en": {
        "count": "Events",
        "per_100_households": "Per 100 households",
        "change": "Change",
        "hotspot": "Hot spots",
        "hex": "Hexagons",
    },
}
LARGEST_PAGE = 20_000
Reason = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[^\x00]*$", description="Why it is taken out; recorded, and goes along"),
]
router = APIRouter(prefix="/api", tags=["heat"])
Asked = Annotated[HeatAsked, Query()]


def heat_query(asked: HeatAsked, service: Service) -> HeatQuery:
    """The query in the layer's terms."""
    return HeatQuery(
        by=asked.by,
        kind=asked.kind,
        res=asked.res,
        area=asked.area or None,
        categories=comma_list(asked.category),
        subcategories=comma_list(asked.subcategory),
        since=moment(asked.since, "from", service.settings.time_zone),
        until=moment(asked.to, "to", service.settings.time_zone),
        measure=asked.measure,
        boundaries=asked.boundaries,
        compare=asked.compare,
        classes=asked.classes,
    )


@router.get(
    "/heat",
    response_class=shapes.GeoJSONResponse,
    responses={200: {"model": FeatureCollection}, **problems.documented(401, 403, 404, 422, 503)},
)
def heat_values(
    request: Request, asked: Asked, service: TheService, principal: ThePrincipal, session: CountsReader
) -> Response:
    """Events by grid, area or hexagon, all of them unless a limit is given; with `geometry=false` the values alone."""
    principal.require("counts")
    audience = Audience.of(principal, service.settings.withhold_below)
    answer = heat(session, service.memory.snapshot, heat_query(asked, service), audience)
    part, following = slice(None), None
    if asked.limit is not None or asked.cursor:
        (after,) = shapes.read_cursor(asked.cursor, (str,)) if asked.cursor else ("",)
        start = int(np.searchsorted(answer.code.astype(str), after, side="right")) if after else 0
        part = slice(start, start + min(asked.limit or LARGEST_PAGE, LARGEST_PAGE))
        if part.stop < len(answer):
            following = shapes.following(request, [str(answer.code[part.stop - 1])])
    crs = reference_systems.normalise(asked.crs)
    body = answer.to_geojson(geometry=asked.geometry, crs=crs, part=part, following=following)
    return Response(body, media_type=shapes.GEOJSON)


@router.get(
    "/heat/map",
    response_class=HTMLResponse,
    responses={
        200: {"description": "A page"},
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def heat_map(
    asked: Asked,
    service: TheService,
    principal: ThePrincipal,
    session: CountsReader,
    language: TheLanguage,
    reason: Reason = None,
) -> Response:
    """The same as a stand-alone folium page that loads nothing from elsewhere; it can be saved and sent on.

    The page says who took it out, when and why, and the audit does.
    """
    principal.require("counts")
    settings = service.settings
    audience = Audience.of(principal, settings.withhold_below)
    first = heat_query(asked, service)
    queries = [first]
    if first.by == "grid" and first.measure == "count":
        queries.append(replace(first, measure="per_100_households"))
    if first.by == "grid" and first.boundaries == "today":
        queries.append(replace(first, by="hex", measure="count"))
    names = _LAYER_NAMES[language]
    layers = [
        (
            names["hex" if query.by == "hex" else query.measure],
            heat(session, service.memory.snapshot, query, audience),
        )
        for query in queries
    ]
    mark = recording.exported(
        service, principal, "heat.page", reason, asked.model_dump(exclude_defaults=True)
    )
    page = heat_map_page(
        layers, title=settings.title, language=language, basemap_url=settings.basemap_url, mark=mark
    )
    origin = urlsplit(settings.basemap_url or "")
    basemap = f" {origin.scheme}://{origin.netloc}" if origin.netloc else ""
    return HTMLResponse(page, headers={"Content-Security-Policy": MAP_POLICY.format(basemap=basemap)})


class _PictureResponse(Response):
    media_type = "image/png"


@router.get(
    "/heat/map.png",
    response_class=_PictureResponse,
    responses={
        200: {"description": "A picture"},
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def heat_picture_of(
    asked: Asked,
    service: TheService,
    principal: ThePrincipal,
    session: CountsReader,
    width: Annotated[int, Query(ge=200, le=4000)] = 1200,
    height: Annotated[int, Query(ge=200, le=4000)] = 900,
    reason: Reason = None,
) -> Response:
    """The same as a picture, for a report; who took it out, when and why stands in its text field and in the audit."""
    principal.require("counts")
    audience = Audience.of(principal, service.settings.withhold_below)
    answer = heat(session, service.memory.snapshot, heat_query(asked, service), audience)
    mark = recording.exported(
        service, principal, "heat.picture", reason, asked.model_dump(exclude_defaults=True)
    )
    picture = heat_picture(answer, title=service.settings.title, width=width, height=height, mark=mark)
    return Response(picture, media_type="image/png")
