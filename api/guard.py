"""Before any route: a number for the request, who asks, how often and how much; after it: the security headers.

Every path under /api, also an unknown one, answers 401 without valid credentials before anything else is looked
at. A pure ASGI wrapper: it costs a few microseconds where a framework middleware costs a few hundred.
"""

import logging
import secrets
import string
import time
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import logs, problems
from api.limits import Limits
from api.service import Service
from api.tokens import LIFETIME, Claims
from gridmap.access import Principal
from gridmap.errors import Forbidden, GridmapError, Unauthorised

SESSION_COOKIE = "gridmap_session"
CSRF_HEADER = "x-csrf-token"
OPEN_PATHS = frozenset({"/api/token", "/api/openapi.json"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_log = logging.getLogger("gridmap.api")

# No inline script, nothing from elsewhere. MapLibre sets styles from script, which style-src does not touch;
# its worker is a file of ours. Pictures may be drawn into blobs and data URLs by the map itself.
CSP = (
    "default-src 'self'; script-src 'self'; worker-src 'self' blob:; style-src 'self';"
    " img-src 'self' data: blob:{basemap}; connect-src 'self'{basemap}; font-src 'self'; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)


class _Answer:
    """One answer on its way out: how far it is, and the headers that every answer carries."""

    __slots__ = ("_headers", "_number", "_path", "_send", "cookie", "finished", "started", "status")

    def __init__(self, path: str, number: str, headers: Sequence[tuple[bytes, bytes]], send: Send) -> None:
        self._path, self._number, self._headers, self._send = path, number, headers, send
        self.started = self.finished = False
        self.status = 0
        self.cookie: bytes | None = None

    async def send(self, message: Message) -> None:
        """Passes a message on."""
        self.finished = message["type"] == "http.response.body" and not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            given = message["headers"]
            names = {name for name, _ in given}
            given.append((b"x-request-id", self._number.encode()))
            if self.cookie is not None and b"set-cookie" not in names:
                given.append((b"set-cookie", self.cookie))
            given.extend(header for header in self._headers if header[0] not in names)
            if b"cache-control" not in names and self._path.startswith("/api"):
                given.append((b"cache-control", b"no-store"))
        await self._send(message)


class Guard:
    """Wraps the app.

    Args:
        app: what answers once the request may pass.
        service: who is who.
        basemap: origin of a configured base map, for the content security policy.
    """

    def __init__(self, app: ASGIApp, service: Service, basemap: str = "") -> None:
        self._app, self._service = app, service
        self._limits = Limits(service.settings, service.metrics.refused)
        self._headers = (
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"content-security-policy", CSP.format(basemap=f" {basemap}" if basemap else "").encode()),
        )
        self._secure_headers = (*self._headers, (b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or says why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope[
            "query_string"
        ].isascii():  # as it should have been sent; else whoever decodes it stumbles
            scope["query_string"] = quote(scope["query_string"], safe=string.punctuation).encode()
        number = secrets.token_hex(6)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = number
        logs.request_number.set(number)
        headers = self._secure_headers if scope["scheme"] == "https" else self._headers
        answer = _Answer(scope["path"], number, headers, send)
        began = time.perf_counter()
        try:
            await self._answered(scope, receive, answer, state)
        finally:
            self._tell(scope, state, answer, time.perf_counter() - began)

    def _tell(self, scope: Scope, state: dict[str, Any], answer: _Answer, seconds: float) -> None:
        """Counts and logs an answer; 499 where nobody was left to have it."""
        status = answer.status or 499
        self._service.metrics.answered(scope["method"], _route(scope), status, seconds)
        principal: Principal | None = state.get("principal")
        logs.access(scope["method"], scope["path"], status, seconds, principal.name if principal else None)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer, state: dict[str, Any]) -> None:
        number = state["request_id"]
        try:
            try:
                await self._admit(scope, state)
            finally:  # also what is refused: guessing costs as much as asking
                principal: Principal | None = state.get("principal")
                client = scope["client"]
                address = client[0] if client else None
                self._limits.count(scope["method"], scope["path"], principal, address)
            answer.cookie = self._renewed(scope, state)
            content = self._limits.body(receive, scope["path"])
            turn = self._limits.turn(scope["method"], scope["path"], principal)
            if turn is None:
                await self._app(scope, content, answer.send)
            else:
                async with turn:
                    await self._app(scope, content, answer.send)
        except ClientDisconnect:
            pass  # nobody is left to be answered
        except (GridmapError, HTTPException) as error:
            if answer.started:
                raise
            said = problems.known(error, number)
            await said(scope, receive, answer.send)
        except Exception:
            _log.exception("request %s %s %r failed", number, scope["method"], scope["path"])
            if not answer.started:
                await problems.internal(number)(scope, receive, answer.send)
            elif not answer.finished:
                raise  # half an answer went out: only closing the connection says so

    def _renewed(self, scope: Scope, state: dict[str, Any]) -> bytes | None:
        """The next cookie of a session in use: it ends by itself half an hour after nobody used it."""
        claims: Claims | None = state.get("claims")
        token = self._service.tokens.renewed(claims) if claims is not None else None
        return None if token is None else session_cookie(token, secure=scope["scheme"] == "https").encode()

    async def _admit(self, scope: Scope, state: dict[str, Any]) -> None:
        path: str = scope["path"]
        headers = Headers(scope=scope)
        api = path == "/api" or path.startswith("/api/")
        if path in OPEN_PATHS or path.startswith("/static/"):
            return
        token, cookie = _credentials(headers)
        if token is None:
            if api:
                raise Unauthorised("Credentials are needed: a bearer token, or sign in at /login")
            return
        try:
            claims = self._service.tokens.read(token)
            if (claims.kind == "session") != cookie:
                raise Unauthorised("A session is no bearer token", code="token_invalid")
            state["principal"] = await self._service.current(claims)
        except Unauthorised:
            if api:
                raise
            return
        state["csrf"], state["claims"] = claims.csrf, claims
        if cookie and scope["method"] not in SAFE_METHODS and not path.startswith("/login"):
            sent = headers.get(CSRF_HEADER, "")
            if api and not secrets.compare_digest(sent.encode(), claims.csrf.encode()):
                raise Forbidden(f"The page's {CSRF_HEADER} is missing or old; load it anew", code="csrf")


def session_cookie(token: str, *, secure: bool) -> str:
    """The header's value that gives a browser its session: no script reads it, no other site sends it along."""
    kept = f"Max-Age={LIFETIME.total_seconds():.0f}; Path=/; HttpOnly; SameSite=lax"
    return f"{SESSION_COOKIE}={token}; {kept}{'; Secure' if secure else ''}"


def _route(scope: Scope) -> str:
    """The route's pattern: addresses with numbers and codes in them are not told apart."""
    if scope["path"].startswith("/static/"):
        return "/static"
    return str(scope["state"].get("route") or getattr(scope.get("route"), "path_format", "other"))


def _credentials(headers: Headers) -> tuple[str | None, bool]:
    """The token that a request carries and whether it came as a cookie."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(), False
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return None, False
    return (morsel.value, True) if morsel else (None, False)
