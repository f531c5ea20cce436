"""Who did or read what: for administrators, within their areas."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import problems, shapes
from api.deps import AuditReader, ThePrincipal, TheService
from api.schemas_accounts import AuditPage, AuditQuery
from gridmap import audit
from gridmap.audit import Entry, Wanted
from gridmap.audit_chain import head
from gridmap.errors import InvalidInput
from gridmap.periods import moment

router = APIRouter(prefix="/api/audit", tags=["audit"])
LARGEST_PAGE = 1000


@router.get("", responses={200: {"model": AuditPage}, **problems.documented(401, 403, 422, 503)})
def records(
    asked: Annotated[AuditQuery, Query()],
    request: Request,
    service: TheService,
    principal: ThePrincipal,
    session: AuditReader,
) -> Response:
    """Records within my areas, newest first. Reading them is recorded too.

    What concerns no area (a sign-in that failed, an account held everywhere) is for administrators of everywhere.
    `head` is the newest sealed block: noted elsewhere, it proves later that nothing before it was rewritten.
    """
    scope = principal.require("admin")
    wanted = Wanted(
        asked.actor or None,
        asked.action or None,
        asked.object or None,
        asked.area or None,
        moment(asked.since, "from", service.settings.time_zone),
        moment(asked.to, "to", service.settings.time_zone),
    )
    if wanted.area is not None and not (wanted.area.isascii() and wanted.area.replace("_", "").isalnum()):
        raise InvalidInput("area is a code: letters, digits and _", code="bad_area")
    before = int(shapes.read_cursor(asked.cursor, (int,))[0]) if asked.cursor else None
    limit = min(asked.limit, LARGEST_PAGE)
    found = audit.page(session, scope, wanted, before=before, limit=limit + 1)
    kept = [dict(row) for row in found[:limit]]
    following = shapes.following(request, (kept[-1]["id"],)) if len(found) > limit else None
    filters = asked.model_dump(exclude_none=True, exclude={"limit", "cursor"})
    service.scribe.note(
        Entry(
            principal.name,
            "audit.read",
            "audit",
            paths=scope.paths or (),
            detail={"filters": {name: value for name, value in filters.items() if value}},
        )
    )
    newest = head(session)
    return shapes.json_response(
        {"records": kept, "next": following, "head": str(newest) if newest is not None else None}
    )
