"""Heat: values and features, the folium page; indicators."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import problems, shapes
from api.deps import ThePrincipal, TheReader, TheService, comma_list, moment
from api.schemas import FeatureCollection, HeatAsked
from api.service import Service
from gridmap import crs as reference_systems
from gridmap.withholding import Audience
from layers.heat import HeatQuery, heat

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
        since=moment(asked.since, "from", service.settings),
        until=moment(asked.to, "to", service.settings),
        measure=asked.measure,
        boundaries=asked.boundaries,
        compare=asked.compare,
        classes=asked.classes,
    )


@router.get(
    "/heat", responses={200: {"model": FeatureCollection}, **problems.documented(401, 403, 404, 422, 503)}
)
def heat_values(asked: Asked, service: TheService, principal: ThePrincipal, session: TheReader) -> Response:
    """Events by grid, area or hexagon; with `geometry=false` the values alone."""
    principal.require("counts")
    audience = Audience.of(principal, service.settings.withhold_below)
    answer = heat(session, service.memory.snapshot, heat_query(asked, service), audience)
    body = answer.to_geojson(geometry=asked.geometry, crs=reference_systems.normalise(asked.crs))
    return Response(body, media_type=shapes.GEOJSON)
