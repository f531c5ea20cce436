"""From error to status, in one table; problems as application/problem+json. Unknown errors are logged, not shown."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.schemas import Problem
from gridmap.errors import (
    Conflict,
    Forbidden,
    GridmapError,
    InvalidInput,
    NotFound,
    NotPossible,
    Unauthorised,
    Unavailable,
)

_log = logging.getLogger("gridmap.api")

STATUS: Mapping[type[GridmapError], int] = {
    InvalidInput: 422,
    NotFound: 404,
    Forbidden: 403,
    Unauthorised: 401,
    Conflict: 409,
    Unavailable: 503,
    NotPossible: 500,
}
CODES: Mapping[int, str] = {413: "too_large", 422: "invalid_input"}
RETRY_AFTER_S = 2
MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}


def problem(
    status: int, code: str, detail: str, *, instance: str = "", findings: Sequence[Mapping[str, Any]] = ()
) -> Response:
    """A problem as a response."""
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "instance": instance,
        "findings": list(findings),
    }
    try:
        content = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (
        TypeError
    ):  # half a character: JSON may hold one, UTF-8 may not, and what was sent is repeated here
        content = json.dumps(body, default=str, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, headers, media_type=MEDIA_TYPE)


def of(error: GridmapError, instance: str = "") -> Response:
    """A core error as a response."""
    if isinstance(error, NotPossible | Unavailable):
        _log.warning("%s: %s", error.code, error.message)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return problem(status, error.code, error.message, instance=instance, findings=error.findings)


def http(error: HTTPException, instance: str = "") -> Response:
    """An error of the protocol as a response."""
    # Python renamed some statuses in 3.13; a code that programs rely on may not change with it.
    named = getattr(error, "code", None) or CODES.get(error.status_code)
    code = named or HTTPStatus(error.status_code).name.lower()
    response = problem(error.status_code, code, str(error.detail), instance=instance)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def known(error: GridmapError | HTTPException, instance: str = "") -> Response:
    """An error of either kind as a response."""
    return of(error, instance) if isinstance(error, GridmapError) else http(error, instance)


def findings(error: ValidationError | RequestValidationError) -> list[dict[str, Any]]:
    """Pydantic's errors as findings: field, what was wrong, and the value, shortened."""
    found = []
    for each in error.errors():
        place = [str(part) for part in each["loc"] if part not in {"body", "query", "path"}]
        finding = {"field": ".".join(place), "message": each["msg"].removeprefix("Value error, ")}
        value = each.get("input")
        if isinstance(value, str | int | float | bool):
            finding["value"] = str(value)[:80]
        found.append(finding)
    return found


def invalid(error: ValidationError | RequestValidationError) -> InvalidInput:
    """Pydantic's errors as the core's; the message names the first field."""
    found = findings(error)
    first = found[0] if found else {"field": "", "message": "invalid"}
    where = f"{first['field']}: " if first["field"] else ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    code = "bad_json" if any(each["type"] == "json_invalid" for each in error.errors()) else "invalid_input"
    return InvalidInput(f"{where}{first['message']}{more}", code=code, findings=found)


def request_id(request: Request) -> str:
    """The request's number to quote."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Hangs the table into an app."""

    @app.exception_handler(GridmapError)
    async def _core(request: Request, error: Exception) -> Response:
        assert isinstance(error, GridmapError)  # noqa: S101  # what the handler is registered for
        return of(error, request_id(request))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  # the same
        return of(invalid(error), request_id(request))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # the same
        if (
            error.status_code == HTTPStatus.BAD_REQUEST
        ):  # only the framework says so, of a body it cannot read
            unread = InvalidInput(f"The request's content cannot be read: {error.detail}", code="bad_body")
            return of(unread, request_id(request))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = _allowed(request) or error.headers
        return http(error, request_id(request))

    @app.exception_handler(Exception)
    async def _unknown(request: Request, _: Exception) -> Response:
        return internal(request_id(request))  # Starlette raises it again, and the guard logs it


def _allowed(request: Request) -> dict[str, str]:
    """What a described path takes, by all of its routes: the framework names those of the first alone."""
    path, paths = request.url.path, request.app.openapi()["paths"]
    found: dict[str, Any] = paths.get(path) or next(
        (methods for form, methods in paths.items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", form), path)),
        {},
    )
    return {"Allow": ", ".join(sorted(method.upper() for method in found))} if found else {}


def internal(instance: str) -> Response:
    """The answer to what should not have happened: a number to quote, and nothing of the inside."""
    detail = "Something went wrong here; quote the number in `instance`"
    return problem(500, "internal", detail, instance=instance)


def queried(model: type[BaseModel]) -> dict[str, Any]:
    """A model of a query as parameters for the OpenAPI description."""
    schema = model.model_json_schema()
    required = schema.get("required", ())
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": each}
            for name, each in schema["properties"].items()
        ]
    }


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error responses for the OpenAPI description."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
            **({"headers": {"Retry-After": _RETRY_AFTER}} if status in {429, 503} else {}),
        }
        for status in statuses
    }
