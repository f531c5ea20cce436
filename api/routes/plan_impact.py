"""What a plan changes, told before it is published; and taken out as files and pages."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import plan_exports, plan_impact_shapes, problems, shapes
from api.deps import ThePrincipal, TheService
from api.routes.heat import Reason
from api.routes.plans import Number
from api.schemas_impact import PlanImpact
from api.service import Service
from boundaries import plan_store
from boundaries.plan_impact import Background, Told, tell
from gridmap import crs as reference_systems
from gridmap.access import Principal

router = APIRouter(prefix="/api/plans", tags=["plans"])


def told_of(service: Service, principal: Principal, plan: int, now: dt.datetime) -> Told:
    """A plan's impact, for whoever may look at the plan."""
    background = Background(service.memory.edition, service.grounds, service.memory.roster, service.settings)
    # Given back before events are read in a session with another sight: a request holds one connection at a time.
    with service.database.reader() as session:
        found = plan_store.find(session, plan_store.seen_by(principal), plan)
        return tell(session, found, background, now)


@router.get(
    "/{plan:int}/impact",
    responses={200: {"model": PlanImpact}, **problems.documented(401, 403, 404, 422, 503)},
)
def impact(plan: Number, service: TheService, principal: ThePrincipal, crs: str = "wgs84") -> Response:
    """Who and what changes hands if a plan is published as it is now: grids, buildings, workers, open events, codes.

    Events one by one only for who sees events in all of the plan's area, others get rounded numbers.
    """
    now, system = dt.datetime.now(dt.UTC), reference_systems.normalise(crs)
    told = told_of(service, principal, plan, now)
    return shapes.json_response(plan_impact_shapes.shaped(service, principal, told, now, system))


class _ExportResponse(Response):
    media_type = plan_exports.PACKAGE


@router.get(
    "/{plan:int}/export",
    response_class=_ExportResponse,
    responses={
        200: {
            "description": "A file or a page",
            "content": {plan_exports.SHEET: {}, "text/html": {"schema": {"type": "string"}}},
        },
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def export(  # what a request is asked with
    plan: Number,
    service: TheService,
    principal: ThePrincipal,
    format: Annotated[  # noqa: A002  # as it is called in the query
        plan_exports.Format,
        Query(
            description="`gpkg`: areas before and after, borders that change, buildings that move; `xlsx`: the ledger"
            " of grids with their limits in words; `map`: for A3; `page`: for A4, to be signed."
        ),
    ],
    crs: Annotated[
        str | None, Query(max_length=40, description="Of the GeoPackage; CGCS2000 unless said.")
    ] = None,
    reason: Reason = None,
) -> Response:
    """A plan as it is now, to be sent on or printed: it says who took it out, when and why, and the audit does."""
    told = told_of(service, principal, plan, dt.datetime.now(dt.UTC))
    return plan_exports.export(service, principal, told, format, {"crs": crs, "reason": reason})
