"""Pages, health, and the live stream."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from api import problems, rendering, shapes
from api.deps import ThePrincipal, TheService, principal_of
from api.metrics import MEDIA_TYPE
from api.routes.session import home
from api.schemas_answers import Health, Readiness
from api.service import Service
from api.tokens import Claims
from gridmap.access import Principal, Scope
from gridmap.errors import GridmapError, Unauthorised
from gridmap.event_queries import visible_row
from gridmap.live import Change

router = APIRouter()
HEARTBEAT_S = 15.0
RENEWAL_S = 600.0
LOOPBACK = frozenset({"127.0.0.1", "::1"})


@router.get("/", include_in_schema=False)
async def command_map(request: Request, service: TheService) -> Response:
    """The command map; who is not signed in signs in first."""
    return _page_of(request, service, "/", "index.html")


@router.get("/admin", include_in_schema=False)
async def administration(request: Request, service: TheService) -> Response:
    """Accounts and audit; whoever administers nothing is led to the map."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is not None and not principal.may("admin"):
        return RedirectResponse("/", status_code=303)
    return _page_of(request, service, "/admin", "admin.html")


@router.get("/plan", include_in_schema=False)
async def planning_desk(request: Request, service: TheService) -> Response:
    """The planning desk; whoever neither plans nor approves is led to the map."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is not None and not (principal.may("plan") or principal.may("approve")):
        return RedirectResponse("/", status_code=303)
    return _page_of(request, service, "/plan", "plan.html")


def _page_of(request: Request, service: Service, path: str, template: str) -> Response:
    state = request.scope.get("state", {})
    principal: Principal | None = state.get("principal")
    if principal is None:
        query = f"?{request.url.query}" if request.url.query else ""
        onward = request.url_for("login_page").include_query_params(next=f"{path}{query}")
        return RedirectResponse(f"{onward.path}?{onward.query}", status_code=303)
    _, name, _ = home(service, principal)
    values = {"csrf": state.get("csrf", ""), "user": rendering.user(principal, name)}
    return rendering.page(request, service, template, values)


@router.get("/healthz", tags=["operation"], responses={200: {"model": Health}})
async def healthz() -> Response:
    """The process answers."""
    return shapes.json_response({"status": "ok"})


@router.get("/readyz", tags=["operation"], responses={200: {"model": Readiness}, **problems.documented(503)})
def readyz(service: TheService) -> Response:
    """Requests can be served: the database answers and the boundaries are in memory."""
    try:
        with service.database.reader() as session:
            newest = session.execute(sa.text("SELECT max(id) FROM edition")).scalar()
    except GridmapError as error:
        return problems.of(error)
    snapshot = service.memory.snapshot
    return shapes.json_response(
        {
            "status": "ready",
            "edition": snapshot.edition,
            "newest_edition": newest,
            "live": service.live.connected,
        }
    )


@router.get(
    "/metrics", tags=["operation"], response_class=PlainTextResponse, responses=problems.documented(401, 403)
)
def metrics(request: Request, service: TheService) -> Response:
    """Counts and states for Prometheus: open to this machine, from elsewhere for admins."""
    if request.client is None or request.client.host not in LOOPBACK:
        principal_of(request).require("admin")
    return Response(service.metrics.text(), media_type=MEDIA_TYPE)


class _StreamResponse(StreamingResponse):
    media_type = "text/event-stream"


@router.get(
    "/api/stream",
    tags=["live"],
    response_class=_StreamResponse,
    responses=problems.documented(401, 403, 404, 422, 503),
)
async def stream(
    request: Request, service: TheService, principal: ThePrincipal, area: str | None = None
) -> Response:
    """Server-sent events: `event` for new and changed events, `edition` for new boundaries, `plan` for changed plans.

    Only of what lies within my areas.
    """
    scope = principal.require("areas")
    below = None
    if area:
        snapshot = service.memory.snapshot
        below = snapshot.path[visible_row(snapshot, scope, area)]
    follow = _follow(request, service, request.scope["state"]["claims"], below)
    return _StreamResponse(follow, headers={"X-Accel-Buffering": "no"})


async def _follow(
    request: Request, service: Service, claims: Claims, below: str | None
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    # A session's stream ends while the session could be renewed: who comes back gets the next cookie.
    ends_at = claims.expires_at - (RENEWAL_S if claims.kind == "session" else 0)
    with service.hub.subscribe() as queue:
        while not await request.is_disconnected() and time.time() < ends_at:
            try:
                changes = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
            except TimeoutError:
                changes = []
                yield b": still here\n\n"
            if changes is None:
                return
            try:  # each time anew: a role or an area may have changed since
                principal = await service.current(claims)
            except Unauthorised:
                return
            if not principal.may("areas"):
                return
            for change in changes:
                if said := _said(change, principal, below):
                    yield said


def _said(change: Change, principal: Principal, below: str | None) -> bytes | None:
    """A change as a server-sent event, if this principal may know of it.

    Those who see counts but no events are told that something changed, not what.
    """
    if change.topic == "plan":
        return _plan_said(change, principal, below)
    if change.topic != "event":
        return _event(change.id, change.topic, {"edition": change.edition})
    if below is not None and not any(path == below or path.startswith(below + ".") for path in change.paths):
        return None
    if principal.reach("events").open_to(change.category).holds_any(change.paths):
        return _event(change.id, "event", {"id": change.event})
    counted = principal.reach("counts").open_to(change.category)
    return _event(change.id, "event", {}) if counted.holds_any(change.paths) else None


def _plan_said(change: Change, principal: Principal, below: str | None) -> bytes | None:
    """A changed plan, for those who may look at it; `below` may be an area in it or one that holds it."""
    drawn = principal.scope("plan") | principal.scope("approve")
    asked = below is None or any(Scope((below,)).reaches(path) for path in change.paths)
    asked = asked or Scope(change.paths).holds(below or "")
    return (
        _event(change.id, "plan", {"id": change.event}) if asked and drawn.holds_any(change.paths) else None
    )


def _event(number: int, name: str, data: dict[str, object]) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"
