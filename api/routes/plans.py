"""Plans: opened, drawn on, checked, submitted, approved; by whoever plans or approves in their area."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api import plan_shapes, problems, shapes
from api.deps import ThePrincipal, TheReader, TheService, comma_list
from api.plan_shapes import Which
from api.schemas_plans import EditIn, Findings, Plan, PlanIn, Plans, RejectIn, RevisionIn
from api.service import Service
from boundaries import plan_comments, plan_edits, plan_findings, plan_life, plan_store
from boundaries.plan_edits import Drawn
from boundaries.planning import Desk, check_name
from gridmap import crs as reference_systems
from gridmap.access import Principal
from gridmap.errors import InvalidInput, NotFound
from gridmap.sight import Sight

router = APIRouter(prefix="/api/plans", tags=["plans"])
Number = Annotated[int, Path(ge=0, lt=2**63)]
Areas = Annotated[
    Which,
    Query(
        description="`true`: all areas inside the scope; `changed`: those that differ from the base; `false`: none."
    ),
]
STATES = ("draft", "submitted", "approved", "published", "rejected", "withdrawn")
STEP: dict[int | str, dict[str, Any]] = {
    200: {"model": Plan},
    **problems.documented(401, 403, 404, 409, 422, 503),
}


@contextmanager
def desk(service: Service, principal: Principal, sight: Sight | None = None) -> Iterator[Desk]:
    """Somebody at work at plans; committed at the end, and told to open pages."""
    with service.database.writer(sight) as session:
        yield Desk(session, principal, service.memory.edition, service.grounds, service.settings)
    service.live.changed()


def answer(service: Service, at: Desk, drawn: Drawn, areas: Which = "true", status: int = 200) -> Response:
    """A plan after a call."""
    shaped = plan_shapes.whole(service, at.session, at.by, drawn.plan)
    if areas == "false":
        body = plan_shapes.without_areas(shaped)
    else:
        body = plan_shapes.with_areas(service, at.session, shaped, drawn.draft, areas)
    return Response(body, status, media_type="application/json")


@router.post(
    "", status_code=201, responses={201: {"model": Plan}, **problems.documented(401, 403, 404, 422, 503)}
)
def open_plan(asked: PlanIn, service: TheService, principal: ThePrincipal, areas: Areas = "true") -> Response:
    """Opens a plan on an area, against the newest edition."""
    with desk(service, principal) as at:
        plan = at.open(check_name(asked.name), asked.scope)
        return answer(service, at, Drawn(plan, at.draft(plan)), areas, 201)


@router.get("", responses={200: {"model": Plans}, **problems.documented(401, 403, 404, 422, 503)})
def plans(
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    session: TheReader,
    state: Annotated[str | None, Query(description="One or several, comma-separated.")] = None,
    scope: Annotated[str | None, Query(description="Plans that open on this area, or inside it.")] = None,
    limit: Annotated[int, Query(ge=1)] = 50,
    cursor: str | None = None,
) -> Response:
    """Plans in the areas where I plan or approve, the newest first."""
    mine = plan_store.seen_by(principal)
    states = comma_list(state)
    for each in states:
        if each not in STATES:
            raise InvalidInput(f"state={each[:40]!r}; allowed: {', '.join(STATES)}", code="unknown_state")
    within = None
    if scope is not None:
        snapshot = service.memory.snapshot
        row = snapshot.row.get(scope)
        if row is None or not mine.reaches(snapshot.path[row]):
            raise NotFound(f"No area {scope[:64]} within your areas", code="unknown_area")
        within = snapshot.path[row]
    before = shapes.read_cursor(cursor, (int,))[0] if cursor else None
    limit = min(limit, plan_store.LARGEST_PAGE)
    found = plan_store.page(session, mine, plan_store.Wanted(states, within, before), limit + 1)
    following = shapes.following(request, [found[limit - 1].id]) if len(found) > limit else None
    newest = plan_store.newest_edition(session)
    return shapes.json_response(
        {"plans": [plan_shapes.summary(service, plan, newest) for plan in found[:limit]], "next": following}
    )


@router.get(
    "/{plan:int}",
    responses={
        200: {"model": Plan},
        304: {"description": "Still the same"},
        **problems.documented(401, 403, 404, 422, 503),
    },
)
def one_plan(  # what a request is asked with
    plan: Number,
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    session: TheReader,
    areas: Areas = "true",
    crs: str = "wgs84",
) -> Response:
    """A plan with the areas inside its scope; once approved also for whoever sees areas in it: those."""
    system = reference_systems.normalise(crs)
    found, seen = plan_comments.look_at(session, principal, plan)
    shaped = plan_shapes.whole(service, session, principal, found)
    plain = plan_shapes.without_areas(shaped)
    if areas == "false":
        return _tagged(request, _tag(plain, 0), lambda: plain)
    draft = plan_store.draft_of(session, found, service.memory.edition(found.base))
    ground = service.grounds.under(session, draft)
    tag = _tag(plain + f"{areas} {system} {seen.paths}".encode(), ground.digest)
    return _tagged(
        request,
        tag,
        lambda: plan_shapes.with_areas(service, session, shaped, draft, areas, system=system, seen=seen),
    )


def _tag(told: bytes, ground: int) -> str:
    """Of an answer, before its areas are written: the plan by its revision, and who lives there."""
    return f'W/"{hashlib.blake2b(told, digest_size=12).hexdigest()}-{ground:x}"'


def _tagged(request: Request, tag: str, body: Callable[[], bytes]) -> Response:
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body(), media_type="application/json", headers=headers)


@router.get(
    "/{plan:int}/check", responses={200: {"model": Findings}, **problems.documented(401, 403, 404, 422, 503)}
)
def check(plan: Number, service: TheService, principal: ThePrincipal, session: TheReader) -> Response:
    """What is wrong with a plan as it is now; of that, how many errors keep it from being submitted."""
    found = plan_store.find(session, plan_store.seen_by(principal), plan)
    draft = plan_store.draft_of(session, found, service.memory.edition(found.base))
    checked = plan_findings.check_plan(draft, service.grounds.under(session, draft), service.settings)
    return shapes.json_response(
        {"findings": [each.as_dict() for each in checked.findings], "errors": len(checked.errors)}
    )


@router.post("/{plan:int}/edits", responses=STEP)
def edit(
    plan: Number, asked: EditIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Draws on a plan; what cannot be is refused with its place, and the plan stays as it was."""
    with desk(service, principal) as at:
        drawn = plan_edits.edit(at, plan, asked.root.revision, asked.request())
        return answer(service, at, drawn, areas)


@router.post("/{plan:int}/undo", responses=STEP)
def undo(
    plan: Number, asked: RevisionIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Takes the newest edit in force back."""
    with desk(service, principal) as at:
        return answer(service, at, plan_edits.undo(at, plan, asked.revision), areas)


@router.post("/{plan:int}/redo", responses=STEP)
def redo(
    plan: Number, asked: RevisionIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Does the edit again that was taken back last."""
    with desk(service, principal) as at:
        return answer(service, at, plan_edits.redo(at, plan, asked.revision), areas)


@router.post("/{plan:int}/submit", responses=STEP)
def submit(
    plan: Number, asked: RevisionIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Hands a plan to the approver; refused with the errors that the edition did not have."""
    with desk(service, principal) as at:
        return stepped(service, at, plan_life.submit(at, plan, asked.revision), areas)


@router.post("/{plan:int}/withdraw", responses=STEP)
def withdraw(
    plan: Number, asked: RevisionIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Takes a plan back; drawn on again it is a draft again."""
    with desk(service, principal) as at:
        return stepped(service, at, plan_life.withdraw(at, plan, asked.revision), areas)


@router.post("/{plan:int}/approve", responses=STEP)
def approve(
    plan: Number, asked: RevisionIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Approves a plan that somebody else drew and submitted; a notice begins, where there is one."""
    with desk(service, principal) as at:
        return stepped(service, at, plan_life.approve(at, plan, asked.revision), areas)


@router.post("/{plan:int}/reject", responses=STEP)
def reject(
    plan: Number, asked: RejectIn, service: TheService, principal: ThePrincipal, areas: Areas = "true"
) -> Response:
    """Sends a plan back with the reason; drawn on again it is a draft again."""
    with desk(service, principal) as at:
        return stepped(service, at, plan_life.reject(at, plan, asked.revision, asked.reason), areas)


def stepped(service: Service, at: Desk, plan: plan_store.Plan, areas: Which) -> Response:
    """A plan after a call that drew nothing."""
    return answer(service, at, Drawn(plan, at.draft(plan)), areas)
