"""Connections that ask for nothing, or take nothing, are closed: uvicorn has no such limit of its own.

A request's head must be complete within `HEAD_S`, also the next one of a connection that is kept; an answer must be
taken, if slowly. Behind a proxy it is the proxy that meets such clients. One timer a connection, none a request.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 20.0
LOOK_S = 5.0
STUCK_LOOKS = 12  # a minute in which not one byte was taken


class Impatient(HttpToolsProtocol):
    """uvicorn's protocol, with an eye on the time."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._asked_since: float | None = None  # since when a head is awaited
        self._unsent, self._stuck = 0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begins to look."""
        super().connection_made(transport)
        self._asked_since = self.loop.time()
        self.loop.call_later(LOOK_S, self._look)

    def data_received(self, data: bytes) -> None:
        """Notes whether a head is still incomplete; uvicorn's own timer ends with the first byte of it."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._asked_since = None
        elif self._asked_since is None:
            self._asked_since = self.loop.time()

    def _look(self) -> None:
        if self not in self.connections:  # closed meanwhile
            return
        late = self._asked_since is not None and self.loop.time() - self._asked_since > HEAD_S
        unsent = self.transport.get_write_buffer_size()
        self._stuck = self._stuck + 1 if unsent and unsent == self._unsent else 0
        self._unsent = unsent
        if late or self._stuck >= STUCK_LOOKS:
            self.transport.abort()
            return
        self.loop.call_later(LOOK_S, self._look)
