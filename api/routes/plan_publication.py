"""What becomes of plans: onto the newest edition, spoken of by people, published."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import problems, shapes
from api.deps import ThePrincipal, TheReader, TheService
from api.routes.plans import STEP, Areas, Number, answer, desk
from api.schemas import LATEST
from api.schemas_plans import Comment, CommentIn, Comments, PublishIn, RebaseIn, RevertIn
from api.service import Service
from boundaries import plan_comments, plan_edits, plan_publish, plan_rebase
from gridmap.errors import InvalidInput
from gridmap.periods import moment
from gridmap.sight import EVERYTHING

router = APIRouter(prefix="/api/plans", tags=["plans"])
LARGEST_PAGE = 500


@router.post("/{plan:int}/rebase", responses=STEP)
def rebase(
    plan: Number, asked: RebaseIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Does a plan's edits again on the newest edition; refused where others changed what it changes.

    A refusal says what collides, by which edition and who published that, and the first edit concerned.
    What is with the approver stays there where the same comes of it, else it is a draft again.
    """
    with desk(service, principal) as at:
        return answer(service, at, plan_rebase.rebase(at, plan, asked.revision, keep=asked.keep), areas)


@router.post("/{plan:int}/publish", responses=STEP)
def publish(
    plan: Number, asked: PublishIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Makes an approved plan the next edition, in force now or from a moment to come."""
    when = _moment(service, asked.effective_from)
    with desk(service, principal, EVERYTHING) as at:
        published = plan_publish.publish_plan(at, plan, asked.revision, when)
    service.published()
    with desk(service, principal) as at:  # intake waits for the commit, not for this
        return answer(service, at, plan_edits.Drawn(published, at.draft(published)), areas)


@router.post("/{plan:int}/revert", responses=STEP)
def revert(
    plan: Number, asked: RevertIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Takes back what a plan published: the next edition has its areas as they were, codes that it retired live again.

    What was redrawn beside them since stays. Refused where one of them was itself changed since, with the edition that
    did it and who published that. Who published it may take it back alone.
    """
    when = _moment(service, asked.effective_from)
    with desk(service, principal, EVERYTHING) as at:
        taken_back = plan_publish.revert_plan(at, plan, asked.revision, asked.reason, when)
    service.published()
    with desk(service, principal) as at:
        return answer(service, at, plan_edits.Drawn(taken_back, at.draft(taken_back)), areas)


def _moment(service: Service, text: str | None) -> dt.datetime | None:
    when = moment(text, "effective_from", service.settings.time_zone)
    if when is not None and not when < LATEST:
        raise InvalidInput(f"effective_from must lie before {LATEST.year}", code="bad_time")
    return when


@router.get(
    "/{plan:int}/comments",
    responses={200: {"model": Comments}, **problems.documented(401, 403, 404, 422, 503)},
)
def comments(
    plan: Number,
    request: Request,
    principal: ThePrincipal,
    session: TheReader,
    limit: Annotated[int, Query(ge=1)] = 100,
    cursor: str | None = None,
) -> Response:
    """What people say of a plan, oldest first."""
    found = plan_comments.find_shown(session, principal, plan)
    after = shapes.read_cursor(cursor, (int,))[0] if cursor else 0
    limit = min(limit, LARGEST_PAGE)
    said = plan_comments.page(session, found, after=after, limit=limit + 1)
    following = shapes.following(request, [said[limit - 1].id]) if len(said) > limit else None
    return shapes.json_response({"comments": said[:limit], "next": following})


@router.post(
    "/{plan:int}/comments",
    status_code=201,
    responses={201: {"model": Comment}, **problems.documented(401, 403, 404, 409, 422, 503)},
)
def comment(plan: Number, asked: CommentIn, service: TheService, principal: ThePrincipal) -> Response:
    """Says something of a plan that is with the approver or on notice, for whoever decides."""
    with desk(service, principal) as at:
        said = plan_comments.add(at, plan, asked.text)
    return shapes.json_response(said, 201)
