"""Which categories are closed to which roles: for administrators, with a reason."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import problems
from api.deps import ThePrincipal, TheReader, TheService
from api.schemas import Category
from api.shapes import json_response
from gridmap.accounts import Administrator
from gridmap.closed_categories import closings, set_closings

router = APIRouter(prefix="/api", tags=["privacy"])
RoleName = Literal["admin", "planner", "approver", "dispatcher", "commander", "worker", "source"]


class Closings(BaseModel):
    """A category and the roles to which it is closed."""

    category: Category
    closed_to: list[RoleName]


class CategoryList(BaseModel):
    """Every category."""

    categories: list[Closings]


class ClosingsIn(BaseModel):
    """To which roles a category is closed from now on, and to no other."""

    model_config = ConfigDict(extra="forbid")

    category: Category
    closed_to: Annotated[list[RoleName], Field(max_length=7)]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Why")]


def _listed(found: dict[str, list[str]]) -> Response:
    return json_response(
        {"categories": [{"category": name, "closed_to": roles} for name, roles in found.items()]}
    )


@router.get("/categories", responses={200: {"model": CategoryList}, **problems.documented(401, 403, 503)})
def categories(principal: ThePrincipal, session: TheReader) -> Response:
    """Categories and the roles to which each is closed."""
    principal.require("admin")
    return _listed(closings(session))


@router.post(
    "/categories", responses={200: {"model": CategoryList}, **problems.documented(401, 403, 422, 503)}
)
def close(asked: ClosingsIn, service: TheService, principal: ThePrincipal) -> Response:
    """Closes a category to roles and opens it to all others, at once; for administrators of everything.

    Who holds only roles to which it is closed sees, counts and posts no event of it.
    """
    by = Administrator(principal.name, principal.require("admin"))
    with service.database.writer() as session:
        set_closings(session, by, asked.category, asked.closed_to, asked.reason)
        found = closings(session)
    service.accounts_changed()
    return _listed(found)
