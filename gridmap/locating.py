"""Whose a place is, explained; and finding places by name, code or number."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Principal, Scope
from gridmap.event_queries import visible
from gridmap.events import EventDraft
from gridmap.intake import to_whom
from gridmap.placement import Reason, place_one
from gridmap.routing import Office, Person, Roster, pick
from gridmap.snapshot import ORDER, Snapshot


@dataclass(frozen=True, slots=True)
class Answer:
    """Whose a place is; `why` holds [mark, code, parameters] each."""

    method: str
    distance_m: float | None
    owner: str | None
    paths: tuple[str, ...]
    worker: int | None
    unit: int | None
    why: tuple[Reason, ...]


def locate(
    snapshot: Snapshot, roster: Roster, lon: float, lat: float, category: str, tolerance_m: float
) -> Answer:
    """Whose a place is and who would get an event of a category there now, were nobody busy.

    Args:
        snapshot: the boundaries to go by.
        roster: who serves what.
        lon: WGS-84 degrees.
        lat: WGS-84 degrees.
        category: of the event to be.
        tolerance_m: for places in a gap.
    """
    now = dt.datetime.now(dt.UTC)
    draft = EventDraft(
        source="", external_id="", category=category, occurred_at=now, title="", lon=lon, lat=lat
    )
    placement = place_one(snapshot, draft, tolerance_m)
    why = list(placement.why)
    if placement.owner is not None and placement.method == "inside":
        why[0] = _with_border(snapshot, snapshot.row[placement.owner], lon, lat)
    if placement.owner is not None and not any(code == "dedicated" for _, code, _ in why):
        why.append(["no", "no_dedicated", {}])
    chosen = pick(roster.candidates(category, placement.chain, now), {})
    why.append(to_whom(chosen, 0))
    return Answer(
        placement.method,
        placement.distance_m,
        placement.owner,
        placement.paths,
        chosen.id if isinstance(chosen, Person) else None,
        chosen.id if isinstance(chosen, Office) else None,
        tuple(why),
    )


def _with_border(snapshot: Snapshot, row: int, lon: float, lat: float) -> Reason:
    border_m, neighbour = snapshot.index.nearest_border(lon, lat, row)
    parameters: dict[str, Any] = {"grid": snapshot.code[row], "border_m": round(border_m, 1)}
    if neighbour >= 0:
        parameters["neighbour"] = snapshot.code[neighbour]
    return ["ok", "inside", parameters]


def search_areas(snapshot: Snapshot, scope: Scope, words: str, limit: int) -> list[dict[str, Any]]:
    """Areas whose code begins with, or whose name contains, the words; exact and coarser ones first."""
    asked = words.casefold()
    found = [
        row
        for row in range(len(snapshot))
        if (asked in snapshot.name[row].casefold() or snapshot.code[row].casefold().startswith(asked))
        and scope.holds(snapshot.path[row])
    ]
    found.sort(
        key=lambda row: (
            snapshot.code[row] != words and snapshot.name[row] != words,
            ORDER[str(snapshot.kind[row])],
            snapshot.code[row],
        )
    )
    return [area_result(snapshot, row) for row in found[:limit]]


def area_result(snapshot: Snapshot, row: int) -> dict[str, Any]:
    """An area as a search result."""
    box = snapshot.bounds[row].tolist()
    return {
        "type": "area",
        "code": snapshot.code[row],
        "name": snapshot.name[row],
        "kind": snapshot.kind[row],
        "path_names": [snapshot.name[above] for above in snapshot.ancestors(row)[:-1]],
        "bbox": box,
        "centre": [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
    }


def search_streets(
    session: Session, snapshot: Snapshot, scope: Scope, words: str, limit: int
) -> list[dict[str, Any]]:
    """Streets whose name contains the words and which touch the scope."""
    if not scope:
        return []
    rows = session.execute(
        sa.text(
            "SELECT name, class, ST_XMin(box) AS w, ST_YMin(box) AS s, ST_XMax(box) AS e, ST_YMax(box) AS n"
            " FROM (SELECT name, min(class) AS class, ST_Extent(geom) AS box FROM street"
            " WHERE name ILIKE :pattern ESCAPE '!' GROUP BY name ORDER BY name LIMIT :most) AS found"
        ),
        {"pattern": f"%{_literal(words)}%", "most": limit * 4},
    ).all()
    results = []
    for row in rows:
        box = [row.w, row.s, row.e, row.n]
        if scope.paths is None or _touches(snapshot, scope, box):
            centre = [(row.w + row.e) / 2, (row.s + row.n) / 2]
            results.append(
                {
                    "type": "street",
                    "name": row.name,
                    "kind": row[1],
                    "path_names": [],
                    "bbox": box,
                    "centre": centre,
                }
            )
    return results[:limit]


def _literal(words: str) -> str:
    return words.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _touches(snapshot: Snapshot, scope: Scope, box: list[float]) -> bool:
    bounds = snapshot.bounds
    near = np.flatnonzero(
        (bounds[:, 0] <= box[2])
        & (bounds[:, 2] >= box[0])
        & (bounds[:, 1] <= box[3])
        & (bounds[:, 3] >= box[1])
    )
    return any(scope.holds(snapshot.path[row]) for row in near)


def search_events(session: Session, principal: Principal, words: str, limit: int) -> list[dict[str, Any]]:
    """Events by number or by the beginning of the source's own id."""
    where, binds = visible(principal)
    number = int(words) if words.isascii() and words.isdigit() and len(words) < 18 else -1
    rows = session.execute(
        sa.text(
            "SELECT e.id, e.source, e.external_id, e.category, ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat"
            " FROM event e WHERE e.id IN (SELECT CAST(:number AS bigint) UNION"
            f" SELECT event FROM event_key WHERE external_id = :words)"
            f" AND {' AND '.join(where)} ORDER BY e.id LIMIT :most"
        ),
        {**binds, "number": number, "words": words, "most": limit},
    ).all()
    return [
        {
            "type": "event",
            "id": row.id,
            "name": f"{row.source} {row.external_id}",
            "kind": row.category,
            "path_names": [],
            "bbox": None,
            "centre": None if row.lon is None else [row.lon, row.lat],
        }
        for row in rows
    ]
