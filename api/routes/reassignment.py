"""Stored events onto the boundaries in force now, for those who may act on them."""

from fastapi import APIRouter
from starlette.responses import Response

from api import problems
from api.deps import ThePrincipal, TheService
from api.schemas import ReassignIn, ReassignOut
from api.shapes import json_response
from gridmap import sight
from gridmap.audit import Entry, record
from gridmap.periods import moment
from gridmap.reassignment import Which, reassign

router = APIRouter(prefix="/api/events", tags=["events"])


@router.post(
    "/reassign", responses={200: {"model": ReassignOut}, **problems.documented(401, 403, 404, 409, 422, 503)}
)
def reassign_events(service: TheService, principal: ThePrincipal, asked: ReassignIn) -> Response:
    """Places stored events in my areas by the boundaries in force now, and routes anew what waits for nobody.

    A dry run unless told otherwise; then all or nothing. Who has accepted an event keeps it, and what was true when
    it occurred stays.
    """
    principal.require("act")
    which = Which(
        principal.reach("act"),
        moment(asked.since, "from", service.settings.time_zone),
        moment(asked.to, "to", service.settings.time_zone),
        only_open=not asked.closed,
        area=asked.area,
    )
    with service.database.writer(sight.EVERYTHING) as session:
        done = reassign(session, which, service.settings.time_zone, service.settings.tolerance_m)
        if asked.dry_run:
            session.rollback()
        else:
            given = asked.model_dump(mode="json", include={"since", "to", "closed"})
            record(
                session,
                Entry(
                    principal.name,
                    "event.reassign",
                    "events",
                    asked.area,
                    which.scope.paths or (),
                    detail={**given, "moved": done.moved, "routed": done.routed},
                ),
            )
    if not asked.dry_run:
        service.live.changed()
    return json_response(
        {"looked_at": done.looked_at, "moved": done.moved, "routed": done.routed, "stored": not asked.dry_run}
    )
