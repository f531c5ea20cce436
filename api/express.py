"""The two requests that come by the thousand, past the framework's own way.

Matching routes, opening exit stacks and solving dependencies cost a request 1 ms here, as much as finding the
owner of a place or storing an event. The routes stand in the framework all the same: they are described there, and
the same function answers on either way.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class Express:
    """Answers some requests itself and hands on the rest.

    Args:
        app: the framework's.
        endpoints: by method and path; what they raise is answered by the guard.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        scope.setdefault("state", {})["route"] = scope["path"]
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)
