"""Logs: a line a thing, for people or for programs, each with the number of the request that it belongs to.

Nothing here knows what a request carried: paths are logged without their query, headers and bodies never.
"""

import contextvars
import datetime as dt
import logging
import sys

import orjson

ACCESS = logging.getLogger("gridmap.access")
request_number: contextvars.ContextVar[str] = contextvars.ContextVar("request_number", default="")


class _Numbered(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request"):
            record.request = request_number.get()
        return True


class _Json(logging.Formatter):
    """A JSON object a line: at, level, logger, message, request, error, and what the line is about."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if number := getattr(record, "request", ""):
            line["request"] = number
        line |= getattr(record, "about", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, option=orjson.OPT_UTC_Z, default=str).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        number = getattr(record, "request", "")
        text = super().format(record)
        return f"{text} [{number}]" if number else text


def configure(form: str) -> None:
    """Logs to standard error from now on: `text` without accesses, `json` with a line for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Numbered())
    handler.setFormatter(
        _Json() if form == "json" else _Text("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    ACCESS.setLevel(logging.INFO if form == "json" else logging.WARNING)


def access(method: str, path: str, status: int, seconds: float, actor: str | None) -> None:
    """Logs that a request was answered."""
    if ACCESS.isEnabledFor(logging.INFO):
        about = {"method": method, "path": path, "status": status, "ms": round(seconds * 1e3, 1)}
        ACCESS.info("%s %s %d", method, path, status, extra={"about": about | {"actor": actor}})
