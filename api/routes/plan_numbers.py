"""Numbers of a plan's grids as it stands: households, events, workers, shape."""

import datetime as dt
from typing import Any

import shapely
from fastapi import APIRouter
from starlette.responses import Response

from api import problems, shapes
from api.deps import ThePrincipal, TheReader, TheService
from api.routes.plans import Number
from api.schemas_plans import PlanNumbers
from api.service import Service
from boundaries import plan_events, plan_metrics, plan_store
from boundaries.draft import Draft
from boundaries.ground import ranges_of
from boundaries.plan_metrics import GridNumbers
from gridmap import periods, sight
from gridmap.access import Principal
from gridmap.events import CATEGORIES
from gridmap.index import GRIDS
from gridmap.selection import Selection
from gridmap.withholding import Audience

router = APIRouter(prefix="/api/plans", tags=["plans"])
ROUNDED_TO = 5


@router.get(
    "/{plan:int}/metrics",
    responses={200: {"model": PlanNumbers}, **problems.documented(401, 403, 404, 422, 503)},
)
def metrics(plan: Number, service: TheService, principal: ThePrincipal, session: TheReader) -> Response:
    """Households, events of twelve months, workers and shape of every grid of a plan as it is now."""
    found = plan_store.find(session, plan_store.seen_by(principal), plan)
    draft = plan_store.draft_of(session, found, service.memory.edition(found.base))
    ground = service.grounds.under(session, draft)
    ranges = ranges_of(service.settings.household_ranges)
    events = _events(service, principal, draft, ground.events)
    numbers = plan_metrics.numbers(draft, ground, events, _workers(service, draft), ranges)
    audience = Audience.of(principal, service.settings.withhold_below)
    below = audience.withhold_below
    totals = plan_metrics.totals(draft, ground, numbers)
    exact = [audience.exact.holds(draft.path(each.area.code)) for each in numbers]
    return shapes.json_response(
        {
            "revision": found.revision,
            "grids": [
                _shaped(each, None if open_ else below) for each, open_ in zip(numbers, exact, strict=True)
            ],
            "total": None if totals is None else {name: getattr(totals, name) for name in totals.__slots__},
            "withhold_below": None if all(exact) else below,
            "rounded_to": None if all(exact) else ROUNDED_TO,
        }
    )


def _events(
    service: Service, principal: Principal, draft: Draft, kept: plan_events.Kept
) -> plan_events.Counts:
    # Whole days: what is rounded would be told by the minute otherwise.
    midnight = dt.datetime.combine(
        dt.datetime.now(service.settings.time_zone).date(), dt.time(), service.settings.time_zone
    )
    period = periods.Period.of(None, midnight, midnight)
    selection = Selection(period, principal.reach("counts"))
    with service.database.reader(sight.counts(principal)) as session:
        return plan_events.events_of(session, draft, selection, service.memory.snapshot, kept)


def _workers(service: Service, draft: Draft) -> dict[str, int]:
    """How many serve each grid of a draft; one that is new has those of the grid that it came from."""
    serving = {code: len(people) for code, people in service.memory.roster.people_of.items()}
    base = draft.base
    for area in draft.changed:
        if area.code not in base.row and area.kind in GRIDS:
            point = shapely.point_on_surface(area.geom)
            row = base.index.locate_one(point.x, point.y, 0.0).holds.get(area.kind, -1)
            serving[area.code] = serving.get(base.code[row], 0) if row >= 0 else 0
    return serving


def _shaped(each: GridNumbers, below: int | None) -> dict[str, Any]:
    area = each.area
    events = {category: each.events.get(category, 0) for category in CATEGORIES}
    return {
        "code": area.code,
        "name": area.name,
        "kind": area.kind,
        "parent": area.parent,
        "fate": each.fate,
        "households": each.households,
        "households_before": each.households_before,
        "buildings": each.buildings,
        "events": {
            "total": shown(sum(events.values()), below),
            **{category: shown(number, below) for category, number in events.items()},
        },
        "workers": each.workers,
        "area_m2": round(each.area_m2, 1),
        "compactness": round(each.compactness, 4),
        "parts": each.parts,
        "range": None if each.limits is None else list(each.limits),
        "breach": each.breach,
    }


def shown(number: int, below: int | None) -> int | None:
    """A count as it may be shown: as it is, or rounded, and withheld where it is small.

    Shapes that somebody draws for the purpose would give small counts away by subtraction; so all are rounded, also
    those of grids that stand.

    Args:
        number: of events.
        below: counts below it are withheld; None for those who see exact ones.
    """
    if below is None:
        return number
    if number < below:
        return None
    return max(ROUNDED_TO, round(number / ROUNDED_TO) * ROUNDED_TO)
