"""The way to a provider: whole answers of bounded size, as they are."""

import ssl
from collections.abc import AsyncIterator

import httpx2

LARGEST = 1024 * 1024


class _Part(httpx2.AsyncByteStream):
    def __init__(self, whole: httpx2.AsyncByteStream) -> None:
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for part in self._whole:
            taken += len(part)
            if taken > LARGEST:
                raise httpx2.ReadError(f"more than {LARGEST} bytes")
            yield part

    async def aclose(self) -> None:
        await self._whole.aclose()


class Bounded(httpx2.AsyncBaseTransport):
    """Refuses what is too large, and what is packed, which may be anything.

    Args:
        trust: whose certificates are believed.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=trust, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, one answer."""
        answer = await self._inner.handle_async_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise httpx2.DecodingError("packed, though that was not asked for")
        stream = answer.stream
        if isinstance(stream, httpx2.AsyncByteStream):
            answer.stream = _Part(stream)
        return answer

    async def aclose(self) -> None:
        """Ends connections."""
        await self._inner.aclose()
