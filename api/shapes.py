"""Rows and placements in their outer form, in the reader's language."""

import base64
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gridmap import crs
from gridmap.access import Principal
from gridmap.errors import InvalidInput
from gridmap.memory import Memory
from gridmap.reasons import area_in_words, as_told, in_words
from gridmap.snapshot import ORDER, Snapshot

GEOJSON = "application/geo+json"


class GeoJSONResponse(JSONResponse):
    """What a route answers with; for the description, which takes anything but JSON's own classes for text."""

    media_type = GEOJSON


def json_response(content: Any, status: int = 200, media_type: str = "application/json") -> Response:
    """JSON by orjson; times with a zone as RFC 3339, NumPy numbers as numbers."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
    return Response(body, status, media_type=media_type)


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


def area_ref(snapshot: Snapshot, code: str | None) -> dict[str, str] | None:
    """An area in short; one that has gone keeps its code."""
    if code is None:
        return None
    row = snapshot.row.get(code)
    if row is None:
        return {"kind": "micro", "code": code, "name": code}
    key = ("area", code)
    ref: dict[str, str] | None = snapshot.said.get(key)
    if ref is None:
        ref = snapshot.said[key] = {"kind": snapshot.kind[row], "code": code, "name": snapshot.name[row]}
    return ref


def area_chain(snapshot: Snapshot, paths: Sequence[str]) -> list[dict[str, str]]:
    """All areas on these paths, from the largest."""
    key = ("chain", *paths)
    chain: list[dict[str, str]] | None = snapshot.said.get(key)
    if chain is None:
        codes = {label for path in paths for label in path.split(".") if label in snapshot.row}
        ordered = sorted(codes, key=lambda code: (ORDER[snapshot.kind[snapshot.row[code]]], code))
        chain = snapshot.said[key] = [
            ref for code in ordered if (ref := area_ref(snapshot, code)) is not None
        ]
    return chain


def assignee(memory: Memory, worker: int | None, unit: int | None) -> dict[str, Any] | None:
    """The worker or unit whose an event is."""
    if worker is not None:
        person = memory.roster.people.get(worker)
        name, role = (person.name, person.role) if person else ("", "")
        return {"kind": "worker", "id": worker, "name": name, "role": role}
    if unit is not None:
        office = memory.roster.offices.get(unit)
        name, role = (office.name, office.kind) if office else ("", "")
        return {"kind": "unit", "id": unit, "name": name, "role": role}
    return None


_AS_STORED = (
    "id", "source", "external_id", "category", "subcategory", "urgency", "title", "description", "address",
    "occurred_at", "reported_at", "lon", "lat", "accuracy_m", "status", "revision", "edition", "method",
    "distance_m", "accept_due_at", "resolve_due_at", "accepted_at", "resolved_at", "closed_at",
)  # fmt: skip


def knows(snapshot: Snapshot, principal: Principal) -> Callable[[str], bool]:
    """Whether an area's code lies where somebody sees areas, or posts."""
    scopes = principal.scope("areas"), principal.scope("post")

    def known(code: str) -> bool:
        row = snapshot.row.get(code)
        return row is not None and any(scope.holds(snapshot.path[row]) for scope in scopes)

    return known


def event(
    row: Mapping[str, Any] | sa.RowMapping,
    memory: Memory,
    principal: Principal,
    contact: str | None,
    language: str,
) -> dict[str, Any]:
    """An event as interface.md shapes it, for somebody who may see it."""
    snapshot = memory.snapshot
    shaped = {name: row[name] for name in _AS_STORED}
    shaped["contact"] = contact
    shaped["grid"] = area_ref(snapshot, row["owner_now"])
    shaped["areas"] = area_chain(snapshot, row["paths_now"])
    shaped["assignee"] = assignee(memory, row["worker"], row["unit"])
    why = as_told(row["why"], knows(snapshot, principal))
    shaped["why"] = in_words(why, language, area_in_words(snapshot))
    return shaped


def in_system(events: list[dict[str, Any]], system: str) -> list[dict[str, Any]]:
    """Shaped events with lon and lat in a reference system, full precision; null where it does not reach."""
    if system in {"wgs84", "cgcs2000"}:
        return events
    lon, lat = crs.convert(
        np.array([each["lon"] for each in events], dtype=np.float64),
        np.array([each["lat"] for each in events], dtype=np.float64),
        "wgs84",
        system,
    )
    for each, x, y in zip(events, lon.tolist(), lat.tolist(), strict=True):
        there = each["lon"] is not None and math.isfinite(x)
        each["lon"], each["lat"] = (x, y) if there else (None, None)
    return events


def event_feature(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An event as a GeoJSON feature; geometry null where there is no place."""
    located = properties["lon"] is not None
    geometry = {"type": "Point", "coordinates": [properties["lon"], properties["lat"]]} if located else None
    return {"type": "Feature", "id": properties["id"], "geometry": geometry, "properties": properties}


def cursor(values: Sequence[Any]) -> str:
    """An opaque mark of a place in a list."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode().rstrip("=")


def following(request: Request, last: Sequence[Any], **also: object) -> str:
    """The path of the page after the one that ends with `last`; `also` are parameters that it has instead, or None."""
    url = request.url.remove_query_params([name for name, value in also.items() if value is None])
    given = {name: value for name, value in also.items() if value is not None}
    url = url.include_query_params(cursor=cursor(last), **given)
    return f"{url.path}?{url.query}"


def read_cursor(text: str, kinds: Sequence[type]) -> list[Any]:
    """What a mark says.

    Raises:
        InvalidInput: it is none of ours.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError(text)
        read = []
        for value, kind in zip(values, kinds, strict=True):
            if kind is dt.datetime:
                moment = dt.datetime.fromisoformat(value)
                if moment.tzinfo is None:
                    raise ValueError(text)
                read.append(moment)
            else:
                if isinstance(value, bool) or not isinstance(
                    value, int if kind is int else (int, float, str)
                ):
                    raise ValueError(text)
                if kind is int and not 0 <= int(value) < 2**63:
                    raise ValueError(text)
                read.append(kind(value))
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            "cursor is not one that this list gave; begin without", code="bad_cursor"
        ) from error
    return read
