"""Logs: a line a thing, for people or for programs, each with the number of the request that it belongs to.

Nothing here knows what a request carried: paths are logged without their query, headers and bodies never. Of an
error in the database its kind is logged and what PostgreSQL says in one sentence, not the row that it shows.
"""

import contextvars
import datetime as dt
import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import orjson
import psycopg
from sqlalchemy.exc import DBAPIError

ACCESS = logging.getLogger("gridmap.access")
request_number: contextvars.ContextVar[str] = contextvars.ContextVar("request_number", default="")


class _Numbered(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request"):
            record.request = request_number.get()
        return True


class _Discreet(logging.Formatter):
    """Tells errors, but nothing of the rows that they were about."""

    def formatException(  # noqa: N802  # logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return "".join(_told(ei[1])).rstrip() if ei[1] is not None else ""


def _told(error: BaseException) -> Iterator[str]:
    if error.__cause__ is not None:
        yield from _told(error.__cause__)
        yield "\nThe above was the direct cause of:\n\n"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _told(error.__context__)
        yield "\nWhile that was handled:\n\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}: {_sentence(error)}\n"


def _sentence(error: BaseException) -> str:
    inner = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(inner, psycopg.Error):
        # Its text may show a whole row ("Failing row contains …"); of class 22 even its sentence shows the value.
        shows = (inner.sqlstate or "22").startswith("22")
        sentence = "" if shows else inner.diag.message_primary
        return f"{inner.sqlstate or ''} {sentence or type(inner).__name__}".strip()
    return str(error)


class _Json(_Discreet):
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


class _Text(_Discreet):
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
