"""How long texts of events are kept, and erasing one on order: for administrators, with a reason."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import problems
from api.deps import ThePrincipal, TheReader, TheService, TheWriter
from api.schemas import Category
from api.shapes import json_response
from gridmap import retention, sight
from gridmap.errors import Forbidden

router = APIRouter(prefix="/api", tags=["privacy"])
Reason = Annotated[
    str,
    Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Why; never text of the event"),
]


class Periods(BaseModel):
    """Days by category."""

    days: dict[str, int]


class PeriodIn(BaseModel):
    """A category's new period."""

    model_config = ConfigDict(extra="forbid")

    category: Category
    days: Annotated[int, Field(ge=1, le=retention.LONGEST_DAYS)]
    reason: Reason


class EraseIn(BaseModel):
    """An order to erase."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class Erased(BaseModel):
    """Whether there was something to erase."""

    erased: bool


@router.get("/retention", responses={200: {"model": Periods}, **problems.documented(401, 403, 503)})
def periods(principal: ThePrincipal, session: TheReader) -> Response:
    """How many days the texts of each category are kept after closing."""
    principal.require("admin")
    return json_response({"days": retention.periods(session)})


@router.post("/retention", responses={200: {"model": Periods}, **problems.documented(401, 403, 422, 503)})
def set_period(asked: PeriodIn, principal: ThePrincipal, session: TheWriter) -> Response:
    """Sets a category's period; for administrators of everything, since it holds everywhere."""
    if principal.require("admin").paths is not None:
        raise Forbidden(
            "Periods hold for all areas: administrators of everything set them", code="area_forbids"
        )
    retention.set_period(session, asked.category, asked.days, actor=principal.name, reason=asked.reason)
    return json_response({"days": retention.periods(session)})


@router.post(
    "/events/{event:int}/erase",
    responses={200: {"model": Erased}, **problems.documented(401, 403, 404, 422, 503)},
)
def erase(
    event: Annotated[int, Field(ge=0, lt=2**63)],
    asked: EraseIn,
    service: TheService,
    principal: ThePrincipal,
) -> Response:
    """Erases an event's text, contact and attachments for good; its history says that and why."""
    principal.require("admin")
    reach = principal.reach("admin")
    with service.database.writer(sight.EVERYTHING) as session:
        done = retention.erase(session, [event], actor=principal.name, reason=asked.reason, scope=reach)
    service.live.changed()
    return json_response({"erased": bool(done)})
