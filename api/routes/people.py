"""Roster: workers with duty and load, units, and who serves which area."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import problems, shapes
from api.deps import LoadsReader, ThePrincipal, TheService
from api.schemas_answers import Assignments, Units, Workers
from api.service import Service
from gridmap.access import Principal
from gridmap.event_queries import visible_row
from gridmap.routing import Office, Person, loads

router = APIRouter(prefix="/api", tags=["people"])
LARGEST_PAGE = 1000


def _served(service: Service, principal: Principal, area: str | None) -> list[str]:
    """Codes of the areas in question: one with all above it that also serve it, or all that I may see.

    Raises:
        NotFound: the area is not there or not mine.
    """
    snapshot, scope = service.memory.snapshot, principal.require("areas")
    if area is None:
        return [code for code, path in zip(snapshot.code, snapshot.path, strict=True) if scope.holds(path)]
    row = visible_row(snapshot, scope, area)
    chain = [snapshot.code[above] for above in snapshot.ancestors(row)][::-1]
    # A grid is served by its own people and those of the levels above, up to its village.
    return [
        code
        for code in chain
        if snapshot.kind[snapshot.row[code]] not in {"province", "city", "county", "town"}
    ] or [area]


@router.get("/workers", responses={200: {"model": Workers}, **problems.documented(401, 403, 404, 422, 503)})
def workers(
    service: TheService,
    principal: ThePrincipal,
    session: LoadsReader,
    area: str | None = None,
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """Workers who serve an area, the nearest level first, with duty and open events in hand."""
    roster = service.memory.roster
    people: dict[int, tuple[Person, str]] = {}
    for code in _served(service, principal, area):
        for person in roster.people_of.get(code, ()):
            people.setdefault(person.id, (person, code))
    chosen = list(people.values())[: min(limit, LARGEST_PAGE)]
    # By the areas of each event it is not known here: what is closed anywhere is not counted anywhere.
    closed = [category for category, _ in principal.reach("areas").narrower]
    in_hand = loads(session, [person.id for person, _ in chosen], without=closed)
    local = dt.datetime.now(service.settings.time_zone)
    shaped = [
        {
            "id": person.id,
            "code": person.code,
            "name": person.name,
            "role": person.role,
            "area": code,
            "on_duty": person.on_duty(local),
            "until": person.duty_until(local),
            "load": in_hand.get(person.id, 0),
            "capacity": person.capacity,
        }
        for person, code in chosen
    ]
    return shapes.json_response({"workers": shaped, "total": len(people)})


@router.get("/units", responses={200: {"model": Units}, **problems.documented(401, 403, 404, 422, 503)})
def units(service: TheService, principal: ThePrincipal, area: str | None = None) -> Response:
    """Units with the areas that they serve, as far as I may see them."""
    roster = service.memory.roster
    found: dict[int, tuple[Office, list[str]]] = {}
    for code in _served(service, principal, area):
        for office in roster.offices_of.get(code, ()):
            found.setdefault(office.id, (office, []))[1].append(code)
    shaped = [
        {"id": office.id, "code": office.code, "name": office.name, "kind": office.kind, "areas": areas}
        for office, areas in found.values()
    ]
    return shapes.json_response({"units": shaped})


@router.get(
    "/assignments", responses={200: {"model": Assignments}, **problems.documented(401, 403, 404, 422, 503)}
)
def assignments(service: TheService, principal: ThePrincipal, area: str | None = None) -> Response:
    """Who serves which area today, many to many."""
    roster = service.memory.roster
    shaped = [
        {"area": code, "kind": kind, "id": each.id, "name": each.name}
        for code in _served(service, principal, area)
        for kind, held in (("worker", roster.people_of), ("unit", roster.offices_of))
        for each in held.get(code, ())
    ]
    return shapes.json_response({"assignments": shaped})
