"""What an edit asks for, read and checked."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from gridmap.errors import InvalidInput
from gridmap.index import NESTING

Request = Mapping[str, Any]
MOST_CODES = 20_000
MOST_LETTERS = 200


def code_of(request: Request, field: str) -> str:
    """A code.

    Raises:
        InvalidInput: `missing_field`.
    """
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise _missing(field, "a code")
    return value


def codes_of(request: Request, field: str) -> list[str]:
    """Codes, each once, in the order given.

    Raises:
        InvalidInput: `missing_field`.
    """
    value = request.get(field)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise _missing(field, "a list of codes")
    if len(value) > MOST_CODES:
        raise _missing(field, f"at most {MOST_CODES} codes")
    return list(dict.fromkeys(value))


def text_of(request: Request, field: str) -> str:
    """A short text.

    Raises:
        InvalidInput: `missing_field`.
    """
    value = request.get(field)
    wanted = f"1 to {MOST_LETTERS} characters that can be seen"
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_LETTERS:
        raise _missing(field, wanted)
    if not {"Cc", "Cf"}.isdisjoint(map(unicodedata.category, value)):  # control, and what turns a line around
        raise _missing(field, wanted)
    return value.strip()


def kind_of(request: Request) -> str:
    """The kind of a new area: a grid, or a jurisdiction that nests.

    Raises:
        InvalidInput: `bad_kind`.
    """
    allowed = (*NESTING[1:], "dedicated")
    kind = request.get("kind")
    if kind not in allowed:
        raise InvalidInput(
            f"kind: {', '.join(allowed)}",
            code="bad_kind",
            findings=[{"field": "kind", "value": str(kind)[:40], "message": "unknown"}],
        )
    return str(kind)


def drawing(request: Request, field: str, kind: str) -> Any:
    """A drawn geometry: GeoJSON of a LineString or Polygon in EPSG:4326.

    Raises:
        InvalidInput: `missing_field`, or `bad_drawing` with the place where it crosses itself.
    """
    value = request.get(field)
    if not isinstance(value, Mapping) or value.get("type") != kind:
        raise _missing(field, f"GeoJSON of a {kind}, longitude first")
    try:
        drawn = shapely.from_geojson(json.dumps(value))
    except (shapely.GEOSException, ValueError, TypeError) as error:
        raise _missing(field, f"GeoJSON of a {kind}, longitude first") from error
    if drawn is None or shapely.is_empty(drawn):
        raise _missing(field, f"a {kind} that is not empty")
    flat = shapely.force_2d(drawn)
    west, south, east, north = shapely.bounds(flat).tolist()
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise _no_degrees(field, flat)
    if kind == "Polygon" and not shapely.is_valid(flat):
        reason = shapely.is_valid_reason(flat)
        x, y = shapely.get_coordinates(flat)[0].tolist()
        raise InvalidInput(
            f"所画图形自相交 The drawing is no valid polygon: {reason}",
            code="bad_drawing",
            findings=[{"code": "bad_drawing", "where": _place(reason) or [x, y], "message": reason}],
        )
    return flat


def _no_degrees(field: str, flat: Any) -> InvalidInput:
    """Coordinates that are none; there is no place to show, so the first of them is named instead."""
    places = shapely.get_coordinates(flat)
    at = int(np.argmax((np.abs(places) > (180, 90)).any(axis=1)))
    said = f"坐标须为度，先经后纬 {field}: degrees, longitude first"
    finding = {
        "code": "bad_drawing",
        "field": f"{field}[{at}]",
        "value": places[at].tolist(),
        "message": said,
    }
    return InvalidInput(said, code="bad_drawing", findings=[finding])


def _place(reason: str) -> list[float] | None:
    inside = reason.partition("[")[2].partition("]")[0].split()
    try:
        return [float(inside[0]), float(inside[1])]
    except (ValueError, IndexError):
        return None


def _missing(field: str, wanted: str) -> InvalidInput:
    return InvalidInput(
        f"缺少或有误 {field}: {wanted}",
        code="missing_field",
        findings=[{"field": field, "message": wanted}],
    )
