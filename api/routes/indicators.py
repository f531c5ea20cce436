"""Indicators: of an area, of its children, by day; numerator and denominator always beside the value."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import problems, shapes
from api.deps import CountsReader, ThePrincipal, TheService, comma_list
from api.schemas import IndicatorsAsked
from api.schemas_answers import Indicators
from gridmap import stats
from gridmap.periods import Period, moment
from gridmap.withholding import Audience

router = APIRouter(prefix="/api", tags=["indicators"])


@router.get(
    "/indicators", responses={200: {"model": Indicators}, **problems.documented(401, 403, 404, 422, 503)}
)
def indicators(
    asked: Annotated[IndicatorsAsked, Query()],
    service: TheService,
    principal: ThePrincipal,
    session: CountsReader,
) -> Response:
    """Indicators of an area and a period with the same days a year before; by=children, day or month."""
    principal.require("counts")
    settings, snapshot = service.settings, service.memory.snapshot
    audience = Audience.of(principal, settings.withhold_below)
    since, until = moment(asked.since, "from", settings.time_zone), moment(asked.to, "to", settings.time_zone)
    period = Period.of(since, until, shapes.now())
    question = stats.Question(area=asked.area or None, period=period, categories=comma_list(asked.category))
    said: dict[str, object] = {"from": period.since, "to": period.until}
    if asked.by in {"day", "month"}:
        zone = settings.time_zone
        steps, before = stats.by_step(session, snapshot, question, audience, zone, unit=asked.by)
        said[f"{asked.by}s"] = [{asked.by: step.day, "count": step.count} for step in steps]
        said["year_before"] = [{asked.by: step.day, "count": step.count} for step in before]
        return shapes.json_response(said)
    if asked.by == "children":
        said["children"] = [
            {
                "code": part.code,
                "name": part.name,
                "kind": part.kind,
                "count": part.received,
                "indicators": {name: one.as_dict() for name, one in part.indicators.items()},
            }
            for part in stats.by_children(session, snapshot, question, audience)
        ]
        return shapes.json_response(said)
    rates = stats.indicators(session, snapshot, question, audience)
    categories = stats.by_category(session, snapshot, question, audience)
    said["indicators"] = {name: one.as_dict() for name, one in rates.items()}
    said["categories"] = {name: numbers[0] for name, numbers in categories.items()}
    said["categories_year_before"] = {name: numbers[1] for name, numbers in categories.items()}
    return shapes.json_response(said)
