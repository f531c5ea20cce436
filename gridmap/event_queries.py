"""Reading events: filters, a stable order to page by, counts, one event, its history.

Every statement carries the scope of who asks; somebody without the right to text never gets it selected.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Principal, Scope
from gridmap.db import plan_for_these_values
from gridmap.errors import NotFound
from gridmap.snapshot import NESTING, Snapshot
from gridmap.withholding import held

LARGEST_PAGE = 1000
SMALL = 0.01  # of all areas: events of this part are fewer than what a page's walk back in time would pass
_COLUMNS = (
    "e.id, e.source, e.external_id, e.category, e.subcategory, e.urgency, e.occurred_at, e.reported_at,"
    " ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat, e.accuracy_m, e.status, e.revision, e.edition, e.method,"
    " e.distance_m, e.owner_now, e.leaf_now, e.paths_now::text[] AS paths_now, e.worker, e.unit, e.why,"
    " e.accept_due_at, e.resolve_due_at, e.accepted_at, e.resolved_at, e.closed_at"
)


TEXT = ("title", "description", "address", "contact")


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """What is asked for; everything that is given must hold.

    Attributes:
        bbox: west, south, east, north in WGS-84 degrees.
        near: WGS-84 longitude and latitude; with `radius_m`.
    """

    bbox: tuple[float, float, float, float] | None = None
    grid: str | None = None
    area: str | None = None
    categories: tuple[str, ...] = ()
    subcategories: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    worker: int | None = None
    unit: int | None = None
    overdue: bool | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    near: tuple[float, float] | None = None
    radius_m: float = 500.0


Clauses = tuple[list[str], dict[str, object]]


def clauses(asked: EventFilter, snapshot: Snapshot, principal: Principal) -> Clauses:
    """The WHERE of a filter, scope included.

    Raises:
        NotFound: the grid or area asked for is not there or not within the principal's areas.
    """
    (scope, *more), binds = visible(principal)
    where = [_plannable(scope, principal.scope("events"), snapshot), *more]
    if asked.bbox:
        where.append("e.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)")
        binds |= dict(zip(("west", "south", "east", "north"), asked.bbox, strict=True))
    if asked.near:
        where.append(
            "ST_DWithin(e.geom::geography, ST_SetSRID(ST_MakePoint(:near_lon, :near_lat), 4326)::geography,"
            " :radius_m) AND"
            " e.geom && ST_Expand(ST_SetSRID(ST_MakePoint(:near_lon, :near_lat), 4326), :reach)"
        )
        binds |= {"near_lon": asked.near[0], "near_lat": asked.near[1], "radius_m": asked.radius_m}
        binds["reach"] = min(180.0, asked.radius_m / 111_000 * _stretch(asked.near[1]) * 1.01)
    if asked.grid:
        where.append(_grid(snapshot, principal, asked.grid, binds))
    if asked.area:
        where.append(_in_area(snapshot, visible_row(snapshot, principal.scope("events"), asked.area), binds))
    for column, values in (
        ("category", asked.categories),
        ("subcategory", asked.subcategories),
        ("status", asked.statuses),
    ):
        if values:
            where.append(f"e.{column} = ANY(:{column})")
            binds[column] = list(values)
    for column, number in (("worker", asked.worker), ("unit", asked.unit)):
        if number is not None:
            where.append(f"e.{column} = :{column}")
            binds[column] = number
    if asked.overdue is not None:
        late = (
            "(e.status NOT IN ('resolved','verified','closed','rejected') AND e.resolve_due_at < now()"
            " OR e.status IN ('unassigned','assigned') AND e.accept_due_at < now())"
        )
        where.append(late if asked.overdue else f"NOT {late}")
    if asked.since:
        where.append("e.occurred_at >= :since")
        binds["since"] = asked.since
    if asked.until:
        where.append("e.occurred_at < :until")
        binds["until"] = asked.until
    return where, binds


def _plannable(condition: str, scope: Scope, snapshot: Snapshot) -> str:
    """A condition by paths such that their index is used for small areas alone.

    The planner knows nothing of paths and takes them for rare: for what lies in a small box of a town it would read the
    town's whole record, a second in place of a twentieth. A town's newest events are found by walking back in time.
    """
    if scope.paths is None or np.count_nonzero(held(scope, snapshot.path)) < SMALL * len(snapshot):
        return condition
    return f"({condition}) IS TRUE"


def _in_area(snapshot: Snapshot, row: int, binds: dict[str, object]) -> str:
    """What happened in an area: where its finest area lies below it, as heat counts, or a dedicated grid of its own."""
    below = Scope((snapshot.path[row],))
    inside = held(below, snapshot.path)
    if snapshot.kind[row] not in NESTING or np.count_nonzero(inside) > len(snapshot) / 2:
        condition, more = below.condition("e.paths_now", "area_path")
        binds |= more
        return _plannable(condition, below, snapshot)
    dedicated = inside & (snapshot.kind == "dedicated")
    binds["area_leaves"] = snapshot.code[inside & ~dedicated].tolist()
    binds["area_owners"] = snapshot.code[dedicated].tolist()
    owned = " OR e.owner_now = ANY(:area_owners)" if dedicated.any() else ""
    return f"(e.leaf_now = ANY(:area_leaves){owned})"


def _stretch(lat: float) -> float:
    """How many degrees of longitude a degree of latitude's length is, at most 100 near the poles."""
    return 1 / max(0.01, math.cos(math.radians(lat)))


def visible(principal: Principal) -> Clauses:
    """Which events `e` a principal may see; the first condition is of areas alone.

    In scope, of categories that are open to them there, and of sensitive sub-categories those that they handle.
    """
    reach = principal.reach("events")
    scope, binds = reach.within("e.paths_now")
    seen = [scope]
    if reach.narrower:
        kinds, more = reach.categories("e.paths_now")
        seen.append(kinds)
        binds |= more
    handled, more = _handled(principal, "handler")
    if handled == "TRUE":
        return seen, binds
    sensitive = "(SELECT code FROM subcategory WHERE sensitive)"
    return [*seen, f"({handled} OR e.subcategory IS NULL OR e.subcategory NOT IN {sensitive})"], binds | more


def _handled(principal: Principal, bind: str) -> tuple[str, dict[str, object]]:
    """Which events `e` a principal handles: those of their areas, or that they have in hand."""
    handled, binds = principal.reach("text").condition("e.paths_now", f"{bind}_scope")
    if handled == "TRUE" or principal.worker is None:
        return handled, binds
    in_hand = f"e.worker = :{bind}"
    more: dict[str, object] = {bind: principal.worker}
    if principal.out_of_hand:
        in_hand = f"{in_hand} AND e.category <> ALL(:{bind}_not)"
        more[f"{bind}_not"] = list(principal.out_of_hand)
    return f"({handled} OR {in_hand})", binds | more


def visible_row(snapshot: Snapshot, scope: Scope, code: str) -> int:
    """The row of an area within a scope.

    Raises:
        NotFound: not there, or outside: the same answer.
    """
    row = snapshot.row.get(code)
    if row is None or not scope.holds(snapshot.path[row]):
        raise NotFound(f"No area {code} within your areas", code="unknown_area")
    return row


def _grid(snapshot: Snapshot, principal: Principal, code: str, binds: dict[str, object]) -> str:
    row = visible_row(snapshot, principal.scope("events"), code)
    binds["grid"] = code
    if snapshot.kind[row] == "dedicated":
        return "e.owner_now = :grid"
    if snapshot.kind[row] == "micro":
        return "e.leaf_now = :grid"
    # A comprehensive grid is its micro-grids and what lies between them.
    binds["grid"] = [code, *snapshot.code[snapshot.children(code)]]
    return "e.leaf_now = ANY(:grid)"


_DUE = "coalesce(e.resolve_due_at, '9999-12-31'::timestamptz)"
_ORDER: Mapping[str, tuple[str, str]] = {
    "time": ("(e.occurred_at, e.id) < (:after_key, :after_id)", "e.occurred_at DESC, e.id DESC"),
    "due": (f"({_DUE}, e.id) > (:after_key, :after_id)", f"{_DUE}, e.id"),
    "near": ("({distance}, e.id) > (:after_key, :after_id)", "{distance}, e.id"),
}
_DISTANCE = "ST_Distance(e.geom::geography, ST_SetSRID(ST_MakePoint(:near_lon, :near_lat), 4326)::geography)"


@dataclass(frozen=True)
class Page:
    """Rows in order and the key of the last one, None where nothing follows."""

    rows: Sequence[sa.RowMapping]
    last: tuple[Any, int] | None


def page(
    session: Session,
    snapshot: Snapshot,
    principal: Principal,
    asked: EventFilter,
    *,
    sort: str = "time",
    after: tuple[Any, int] | None = None,
    limit: int = 100,
) -> Page:
    """One page of events; `after` is the `last` of the page before."""
    plan_for_these_values(session)
    where, binds = clauses(asked, snapshot, principal)
    following, order = (part.replace("{distance}", _DISTANCE) for part in _ORDER[sort])
    key = {
        "time": "e.occurred_at",
        "due": _DUE,
        "near": _DISTANCE if asked.near else "0",
    }[sort]
    if after is not None:
        where.append(following)
        binds |= {"after_key": after[0], "after_id": after[1]}
    text, more = _text_columns(principal)
    limit = min(limit, LARGEST_PAGE)
    rows = (
        session.execute(
            sa.text(
                f"SELECT {_COLUMNS}, {text}, {key} AS sort_key FROM event e"
                f" LEFT JOIN event_text t ON t.event = e.id"
                f" WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :page_size"
            ),
            {**binds, **more, "page_size": limit + 1},
        )
        .mappings()
        .all()
    )
    kept = rows[:limit]
    last = (kept[-1]["sort_key"], kept[-1]["id"]) if len(rows) > limit else None
    return Page(kept, last)


def _text_columns(principal: Principal) -> tuple[str, dict[str, object]]:
    """Text for those who handle the event, null for all others: decided in the statement, row by row."""
    handled, binds = _handled(principal, "reader")
    columns = ", ".join(f"CASE WHEN {handled} THEN t.{name} END AS {name}" for name in TEXT)
    return columns, binds


def counts(session: Session, snapshot: Snapshot, principal: Principal, asked: EventFilter) -> dict[str, int]:
    """Number of events by status."""
    plan_for_these_values(session)
    where, binds = clauses(asked, snapshot, principal)
    rows = session.execute(
        sa.text(f"SELECT e.status, count(*) FROM event e WHERE {' AND '.join(where)} GROUP BY e.status"),
        binds,
    )
    return {str(status): int(count) for status, count in rows}


def one(session: Session, principal: Principal, event: int) -> sa.RowMapping:
    """One event; a machine account sees what it posted itself.

    Raises:
        NotFound: not there, or outside the principal's areas.
    """
    where, binds = visible(principal)
    condition = " AND ".join(where)
    if principal.source is not None:
        condition = f"(({condition}) OR e.source = :own_source)"
        binds["own_source"] = principal.source
    text, more = _text_columns(principal)
    row = (
        session.execute(
            sa.text(
                f"SELECT {_COLUMNS}, {text} FROM event e LEFT JOIN event_text t ON t.event = e.id"
                f" WHERE e.id = :event AND {condition}"
            ),
            {**binds, **more, "event": event},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound(f"No event {event} within your areas", code="unknown_event")
    return row


def history(session: Session, principal: Principal, event: int) -> list[sa.RowMapping]:
    """The steps of an event's life, oldest first.

    Raises:
        NotFound: as for the event itself.
    """
    one(session, principal, event)
    return list(
        session.execute(
            sa.text(
                "SELECT id, at, actor, action, status, edition, encode(digest, 'hex') AS digest, detail"
                " FROM event_history WHERE event = :event ORDER BY id"
            ),
            {"event": event},
        ).mappings()
    )
