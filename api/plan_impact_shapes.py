"""A plan's impact in its outer form, for whoever asks: buildings, events and their numbers as far as they may see."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from api.routes.plan_numbers import ROUNDED_TO, shown
from api.service import Service
from boundaries.impact import Serving
from boundaries.plan_impact import Told
from gridmap import crs, foresight, sight
from gridmap.access import Principal
from gridmap.foresight import Fate
from gridmap.rerouting import WAITING
from gridmap.routing import Office, Person, Roster, loads
from gridmap.withholding import Audience

MOST_ITEMS = 500


def shaped(
    service: Service, principal: Principal, told: Told, now: dt.datetime, system: str
) -> dict[str, Any]:
    """An impact.

    Args:
        service: reads events.
        principal: who asks.
        told: what the plan changes.
        now: the moment of routing.
        system: of coordinates, as of `gridmap.crs.normalise`.
    """
    impact = told.impact
    return {
        "revision": told.plan.revision,
        "grids": [
            {
                "kind": each.kind,
                "old": list(each.old),
                "new": list(each.new),
                "change": each.change,
                "households": each.households,
                "flows": [
                    {
                        "old": flow.old,
                        "new": flow.new,
                        "households": flow.households,
                        "buildings": flow.buildings,
                    }
                    for flow in each.flows
                ],
            }
            for each in impact.grids
        ],
        "buildings": buildings(principal, told, system=system),
        "workers": [_serving(each, "role") for each in impact.people],
        "units": [_serving(each, "kind") for each in impact.offices],
        "events": events(service, principal, told, now),
        "retired": impact.retired,
        "born": impact.born,
        "checks": [{"code": each.code, "ok": each.ok, "text": each.text} for each in told.checks],
    }


def buildings(
    principal: Principal, told: Told, *, most: int = MOST_ITEMS, system: str = "wgs84"
) -> dict[str, Any]:
    """Buildings that move; their households only for who may see those of single buildings."""
    moved, homes = told.impact.buildings, told.ground.homes
    rows = moved.rows
    listed = rows[:most]
    may = principal.scope("households").holds(told.plan.path)
    columns = (
        homes.code[listed],
        homes.households[listed].tolist(),
        moved.before[listed],
        moved.after[listed],
        *(axis.tolist() for axis in crs.convert(homes.lon[listed], homes.lat[listed], "wgs84", system)),
    )
    return {
        "count": len(rows),
        "households": int(homes.households[rows].sum()) if len(rows) else 0,
        "by_kind": {
            kind: {"buildings": number, "households": households}
            for kind, (number, households) in moved.by_kind.items()
        },
        "items": [
            {
                "code": code,
                "households": households if may else None,
                "from": old,
                "to": new,
                "lon": lon,
                "lat": lat,
            }
            for code, households, old, new, lon, lat in zip(*columns, strict=True)
        ],
        "more": len(rows) - len(listed),
    }


def _serving(each: Serving, what: str) -> dict[str, Any]:
    return {
        "id": each.who.id,
        "name": each.who.name,
        what: getattr(each.who, what),
        "from": list(each.old),
        "to": list(each.new),
        "households_before": each.households_before,
        "households": each.households,
    }


def events(service: Service, principal: Principal, told: Told, now: dt.datetime) -> dict[str, Any]:
    """Open events that change hands: each for who sees events in all of the plan's area, else rounded numbers."""
    if not principal.scope("events").holds(told.plan.path):
        return _counted(service, principal, told)
    seen = told.seen
    with service.database.reader(sight.TAKING_IN) as session:
        load = loads(session, _around(seen.roster, seen.snapshot.code.tolist()))
    with service.database.reader(sight.rows(principal)) as session:
        fates = foresight.fates(session, seen, principal, load, now)
    kept = [each for each in fates if each.event.status not in WAITING]
    roster = service.memory.roster
    return {
        "open": len(fates),
        "routed": len(fates) - len(kept),
        "kept": len(kept),
        "items": [_event(roster, each) for each in fates[:MOST_ITEMS]],
        "more": max(0, len(fates) - MOST_ITEMS),
        "withhold_below": None,
        "rounded_to": None,
    }


def _around(roster: Roster, codes: Sequence[str]) -> list[int]:
    return sorted({person.id for code in codes for person in roster.people_of.get(code, ())})


def _counted(service: Service, principal: Principal, told: Told) -> dict[str, Any]:
    audience = Audience.of(principal, service.settings.withhold_below)
    below = None if audience.exact.holds(told.plan.path) else audience.withhold_below
    with service.database.reader(sight.counts(principal)) as session:
        moving = foresight.moving(session, told.seen, principal.reach("counts"))
    return {
        "open": shown(moving.waiting + moving.in_hand, below),
        "routed": shown(moving.waiting, below),
        "kept": shown(moving.in_hand, below),
        "items": [],
        "more": 0,
        "withhold_below": below,
        "rounded_to": None if below is None else ROUNDED_TO,
    }


def _event(roster: Roster, fate: Fate) -> dict[str, Any]:
    row, decision = fate.event, fate.decision
    offered = decision.offered or {"worker": None, "unit": None}
    return {
        "id": row.id,
        "category": row.category,
        "status": row.status,
        "urgency": row.urgency,
        "from": row.owner_now or row.leaf_now,
        "to": decision.placement.owner or decision.placement.leaf,
        "handler": _handler(roster, row.worker, row.unit),
        "handler_after": _handler(roster, decision.worker, decision.unit),
        "offered": _handler(roster, offered["worker"], offered["unit"]),
        "accept_due_at": row.accept_due_at,
        "resolve_due_at": row.resolve_due_at,
    }


def _handler(roster: Roster, worker: int | None, unit: int | None) -> dict[str, Any] | None:
    if worker is not None:
        person: Person | None = roster.people.get(worker)
        name, role = (None, None) if person is None else (person.name, person.role)
        return {"kind": "worker", "id": worker, "name": name, "role": role}
    if unit is not None:
        office: Office | None = roster.offices.get(unit)
        name, role = (None, None) if office is None else (office.name, office.kind)
        return {"kind": "unit", "id": unit, "name": name, "role": role}
    return None


__all__ = ["MOST_ITEMS", "buildings", "events", "shaped"]
