"""Requests to the application as a server hands them on: raw bytes, any address, streams that are left again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from starlette.testclient import TestClient

LONGEST_S = 30.0
ELSEWHERE = ("192.0.2.7", 40_000)  # no loopback: /metrics is open to that


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def ask(
    client: TestClient,
    method: str,
    target: str | bytes,
    *,
    token: str | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    json: Any = None,
    body: bytes = b"",
) -> Answer:
    """Sends one request; the client leaves as soon as it has sent it, so that a stream ends after its greeting.

    Args:
        client: an entered one, whose event loop the application runs in.
        method: in capitals.
        target: path and query as they stand in the request line.
        token: a bearer token.
        headers: more headers, names in small letters.
        json: a body to be encoded.
        body: or its bytes.
    """
    raw = target if isinstance(target, bytes) else target.encode()
    path, _, query = raw.partition(b"?")
    given: dict[str, str | bytes] = {"host": "127.0.0.1"}
    if token is not None:
        given["authorization"] = f"Bearer {token}"
    if json is not None:
        body = orjson.dumps(json)
        given["content-type"] = "application/json"
    if body:
        given["content-length"] = str(len(body))
    given |= headers or {}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [
            (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in given.items()
        ],
        "client": ELSEWHERE,
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    assert client.portal is not None
    answer: Answer = client.portal.call(_asked, client.app, scope, body)
    return answer


async def _asked(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    # A stream asks whether its reader has gone: the first thing it must hear is that.
    incoming = (
        [] if scope["method"] == "GET" else [{"type": "http.request", "body": body, "more_body": False}]
    )
    start: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await asyncio.wait_for(app(scope, receive, send), LONGEST_S)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(parts))
