"""Plans in their outer form; geometry that is as in the edition is written once for all plans."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import orjson
import shapely
from sqlalchemy.orm import Session

from api.service import Service
from boundaries import plan_life, plan_store
from boundaries.draft import Draft, PlannedArea
from boundaries.plan_metrics import fate
from boundaries.plan_store import Plan
from gridmap import crs
from gridmap.access import Principal, Scope
from layers.features import geometry_json

EVERYWHERE = Scope(None)
Which = Literal["true", "changed", "false"]
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY
_AS_STORED = (
    "id", "name", "scope", "base", "state", "revision", "head", "created_by", "created_at", "updated_at",
    "submitted_by", "submitted_at", "approved_by", "approved_at", "rejected_by", "rejected_at", "rejected_reason",
    "notice_until", "published_by", "published_at", "edition",
)  # fmt: skip


def summary(service: Service, plan: Plan, newest: int) -> dict[str, Any]:
    """A plan without its areas.

    Args:
        service: knows the names of areas.
        plan: which.
        newest: number of the newest edition.
    """
    snapshot = service.memory.snapshot
    row = snapshot.row.get(plan.scope)
    shaped = {name: getattr(plan, name) for name in _AS_STORED}
    shaped["scope_name"] = plan.scope if row is None else snapshot.name[row]
    shaped["base_current"] = plan.base == newest
    return shaped


def whole(service: Service, session: Session, principal: Principal, plan: Plan) -> dict[str, Any]:
    """A plan with its journal, its history, and what somebody may do with it; without its areas."""
    newest = plan_store.newest_edition(session)
    shaped = summary(service, plan, newest)
    journal = plan_store.edits(session, plan.id)
    redoable = sum(each.number > plan.head for each in journal)
    own = plan_life.is_own(principal, plan, plan_store.redrawn_by(session, plan.id))
    history = plan_store.history(session, plan.id)
    may = plan_life.may(
        principal,
        plan,
        redoable=redoable,
        own=own,
        current=shaped["base_current"],
        reverted=any(each.op == "revert" for each in history),
    )
    return shaped | {
        "in_force_from": plan_store.in_force_from(session, plan.edition),
        "edits": plan.head,
        "redoable": redoable,
        "journal": [
            {
                "number": each.number,
                "op": each.op,
                "by": each.actor,
                "at": each.at,
                "told": dict(each.told),
                "areas": list(each.areas),
            }
            for each in journal
        ],
        "history": [
            {
                "revision": each.revision,
                "op": each.op,
                "by": each.actor,
                "at": each.at,
                "detail": dict(each.detail),
            }
            for each in history
        ],
        "may": may,
    }


def with_areas(
    service: Service,
    session: Session,
    shaped: dict[str, Any],
    draft: Draft,
    which: Which = "true",
    *,
    system: str = "wgs84",
    seen: Scope = EVERYWHERE,
) -> bytes:
    """A plan as JSON with the areas inside its scope, or those of them that differ from its base.

    Args:
        service: keeps the ground.
        session: reads it where it is not kept.
        shaped: the plan without.
        draft: as it is now.
        which: `true` for all of them, `changed`.
        system: of the coordinates, as of `gridmap.crs.normalise`.
        seen: only areas in this scope.
    """
    counts = service.grounds.under(session, draft).households.of(draft)
    areas = [
        area
        for area in draft.inside()
        if (which == "true" or area.code in draft.areas) and seen.holds(draft.path(area.code))
    ]
    features = b",".join(
        b'{"type":"Feature","properties":' + orjson.dumps(properties) + b',"geometry":' + geometry + b"}"
        for properties, geometry in zip(
            (_properties(draft, area, counts.get(area.code, 0)) for area in areas),
            _geometries(draft, areas, system),
            strict=True,
        )
    )
    base = draft.base
    retired = [code for code in draft.retired if seen.holds(base.path[base.row[code]])]
    shaped = shaped | {"retired": retired}
    return (
        orjson.dumps(shaped, option=_OPTIONS)[:-1]
        + b',"areas":{"type":"FeatureCollection","features":['
        + features
        + b'],"next":null}}'
    )


def without_areas(shaped: dict[str, Any]) -> bytes:
    """A plan as JSON, of its areas nothing."""
    return orjson.dumps(shaped, option=_OPTIONS)


def _properties(draft: Draft, area: PlannedArea, households: int) -> dict[str, Any]:
    return {
        "code": area.code,
        "name": area.name,
        "kind": area.kind,
        "setting": area.setting,
        "parent": area.parent,
        "path": draft.path(area.code),
        "households": households,
        "fate": fate(draft, area),
    }


def _geometries(draft: Draft, areas: Sequence[PlannedArea], system: str) -> list[bytes]:
    base = draft.base
    same = [area.code not in draft.areas for area in areas]
    rows = np.array(
        [base.row[area.code] for area, is_same in zip(areas, same, strict=True) if is_same], dtype=int
    )
    stored = iter(geometry_json(base, rows, system))
    shapes = np.array(
        [area.geom for area, is_same in zip(areas, same, strict=True) if not is_same], dtype=object
    )
    if system != "wgs84":
        shapes = shapely.transform(
            shapes, lambda xy: np.column_stack(crs.convert(xy[:, 0], xy[:, 1], "wgs84", system))
        )
    drawn = iter(shapely.to_geojson(shapes))
    return [next(stored) if is_same else next(drawn).encode() for is_same in same]
