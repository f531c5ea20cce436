"""How often and how much at once: one account or one address cannot take the service from all others.

Three limits, each in every process by itself, none asks the database (docs/adr/0017-limits.md):

* **rate**, by account, and by address for what comes without valid credentials. What costs more weighs more;
* **at once**, by account and kind of request; who comes too many stands in line for a while. All that may hold a
  connection to the database also shares one line, shorter than the pool: posting always finds a connection;
* **body**, the time that a request's content may take to arrive.
"""

import asyncio
import contextlib
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from gridmap.access import Principal
from gridmap.errors import Unavailable
from gridmap.settings import Settings

BURST_S = 10.0  # of its rate may somebody use at once
MOST_KEYS = 10_000  # accounts or addresses that a process counts apart; about a megabyte
SWEEP_S = 1.0
LONGEST_ADDRESS = 45
IPV4_MAPPED = bytes(10) + b"\xff\xff"
RESERVED = (
    4  # connections that no line gives away: two for posting, the rest for who signs in and for the audit
)
BODY_GRACE_S = 30.0
BODY_BYTES_PER_S = 50_000
LARGEST_BODY = 8 * 1024 * 1024  # of anything but a batch, which is read and stored in parts
BATCH = "/api/events/batch"
ATTACHMENTS = "/api/events/{event}/attachments"  # stands for all of them, and for each of their files
PLANS = "/api/plans/{plan}/"
OF_PLANS = ("impact", "export")
LOOK_S = 2.0

ORDINARY, HEAVY = 10, 100
# What an account's request weighs in its rate: about the time that it takes. Not listed: `ORDINARY`.
WEIGHTS: Mapping[tuple[str, str], int] = {
    ("POST", "/api/events"): 1,
    ("GET", "/api/locate"): 1,
    ("GET", "/api/me"): 1,
    ("GET", "/healthz"): 0,
    ("POST", "/api/me/password"): HEAVY,
    ("GET", "/api/heat"): HEAVY,
    ("GET", "/api/heat/map"): HEAVY,
    ("GET", "/api/heat/map.png"): HEAVY,
    ("GET", "/api/indicators"): HEAVY,
    ("POST", "/api/events/reassign"): HEAVY,
    ("POST", ATTACHMENTS): HEAVY,
    **{("GET", f"{PLANS}{last}"): HEAVY for last in OF_PLANS},
}
SIGN_IN = 20  # a password costs 0.1 s of a core and 64 MiB
# The same of a stranger. Not listed: 1. A probe that is refused says that the service is down.
STRANGERS_WEIGHTS: Mapping[tuple[str, str], int] = {
    ("GET", "/healthz"): 0,
    ("POST", "/login"): SIGN_IN,
    ("GET", "/login/oidc/callback"): SIGN_IN,
    ("POST", "/api/token"): SIGN_IN,
}


def _asked(method: str, path: str) -> tuple[str, str]:
    """What a request is limited as: the attachments of all events are one, and what is heavy of all plans."""
    if "/attachments" in path:
        return method, ATTACHMENTS
    last = path.rpartition("/")[2]
    return method, f"{PLANS}{last}" if last in OF_PLANS and path.startswith("/api/plans/") else path


class TooMany(HTTPException):
    """Too often, or too much at once: 429.

    Args:
        detail: what was too many.
        code: which limit.
        wait_s: after which it may go.
    """

    def __init__(self, detail: str, code: str, wait_s: float) -> None:
        super().__init__(429, detail, {"Retry-After": str(max(1, math.ceil(wait_s)))})
        self.code = code


class Rates:
    """Token buckets, kept as the moment at which each would be full again: one number a key.

    Args:
        per_s: units a second; `BURST_S` seconds' worth at once.
        clock: seconds.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit_s = 1 / per_s
        self._clock = clock
        self._full_at: dict[int | str, float] = {}
        self._swept_at = -math.inf

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: int | str, weight: int) -> float:
        """Takes from a bucket; returns 0, or the seconds until there is enough and then takes nothing."""
        now = self._clock()
        kept = self._full_at.get(key)
        if kept is None:
            if len(self._full_at) >= MOST_KEYS:
                key = self._room_for(key, now)
            kept = self._full_at.get(key, now)
        full_at = max(now, kept) + weight * self._unit_s
        if full_at > now + BURST_S:
            return full_at - now - BURST_S
        self._full_at[key] = full_at
        return 0.0

    def _room_for(self, key: int | str, now: float) -> int | str:
        """The key, once those that are full again are forgotten; while there are too many, one that all share."""
        if now >= self._swept_at + SWEEP_S:
            self._swept_at = now
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        return key if len(self._full_at) < MOST_KEYS else ""


@dataclass(frozen=True, slots=True, eq=False)  # its identity is its key: hashing five fields took 4 µs
class Line:
    """Of what so many may run at once, so many more wait, and so long.

    Attributes:
        name: told to who has to go.
        at_once: running.
        waiting: standing in line.
        patience_s: longest wait.
        shared: one line for everybody, not one for each account.
        holds_connection: whether whoever runs may hold a connection all the time.
    """

    name: str
    at_once: int
    waiting: int
    patience_s: float
    shared: bool = False
    holds_connection: bool = True


class Turns:
    """Who runs and who waits. A line is kept while somebody stands in it."""

    def __init__(self) -> None:
        self._running: dict[object, int] = {}
        self._waiting: dict[object, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    async def take(self, key: object, line: Line) -> bool:
        """Waits for a turn; False where the line is full or the wait too long. `give_back` it."""
        running = self._running.get(key, 0)
        if running < line.at_once:
            self._running[key] = running + 1
            return True
        waiting = self._waiting.setdefault(key, deque())
        if len(waiting) >= line.waiting:
            self._forget(key)
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(line.patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(key)  # it came as the wait ended
            else:
                with contextlib.suppress(ValueError):  # passed over already
                    waiting.remove(turn)
                self._forget(key)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def give_back(self, key: object) -> None:
        """Lets the next one go."""
        waiting = self._waiting.get(key)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._forget(key)
                return
        self._forget(key)
        left = self._running[key] - 1
        if left:
            self._running[key] = left
        else:
            del self._running[key]

    def _forget(self, key: object) -> None:
        if not self._waiting.get(key, True):
            del self._waiting[key]


class _Held:
    """A turn in a line, and one in the line of all that may hold a connection."""

    def __init__(self, limits: "Limits", line: Line, key: object) -> None:
        self._limits, self._line, self._key = limits, line, key

    async def __aenter__(self) -> Self:
        limits, line = self._limits, self._line
        if not await limits.turns.take(self._key, line):
            limits.refused("busy")
            detail = (
                f"Too many requests of yours at once ({line.name}); at most {line.at_once} run, others wait"
            )
            raise TooMany(detail, "too_many_at_once", 1)
        if line.holds_connection:
            try:
                came = await limits.turns.take(limits.connections, limits.connections)
            except BaseException:
                limits.turns.give_back(self._key)
                raise
            if not came:
                limits.turns.give_back(self._key)
                limits.refused("full")
                raise Unavailable("Too much is asked of the service at the moment. Try again.", code="busy")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line.holds_connection:
            self._limits.turns.give_back(self._limits.connections)
        self._limits.turns.give_back(self._key)


class Limits:
    """The limits of one process.

    Args:
        settings: how much.
        refused: told of each refusal: `rate`, `address`, `busy`, `full`, `slow`.
    """

    def __init__(self, settings: Settings, refused: Callable[[str], None]) -> None:
        self.refused = refused
        self.turns = Turns()
        self._arrivals = Arrivals()
        self._accounts = Rates(settings.requests_per_second)
        self._addresses = Rates(settings.address_requests_per_second)
        pool = settings.pool_size
        most = max(1, 2 * pool - RESERVED)  # the pool opens as many again for a moment
        self.connections = Line("all", most, 500, 10.0, shared=True)
        self._most_bytes = settings.max_body_bytes
        self._most_attached_bytes = settings.attachment_bytes
        streams = Line("streams", 50, 0, 0.0, holds_connection=False)
        batches = Line("batches", 4, 16, 60.0, holds_connection=False)  # as long as the client takes to send
        files = Line("attachments", 4, 16, 60.0, holds_connection=False)  # likewise
        self._ordinary = Line("requests", max(1, min(pool, most)), 200, 10.0)
        heavy = Line("heat, indicators, impacts, reassigning, files", settings.heavy_at_once, 32, 20.0)
        sign_in = Line("sign-ins", 4, 40, 10.0, shared=True)
        probe = Line("probes", 2, 20, 5.0, shared=True)
        self._lines: Mapping[tuple[str, str], Line | None] = {
            **{request: heavy for request, weight in WEIGHTS.items() if weight == HEAVY},
            ("GET", ATTACHMENTS): heavy,  # whole files in memory
            ("POST", "/api/events"): None,  # they stand in a line of their own: api/posting.py
            ("GET", "/api/locate"): None,  # memory alone
            ("GET", "/healthz"): None,
            ("GET", "/api/stream"): streams,
            ("POST", BATCH): batches,
            ("POST", ATTACHMENTS): files,
            ("GET", "/readyz"): probe,
            ("GET", "/metrics"): probe,
            ("POST", "/login"): sign_in,
            ("POST", "/api/token"): sign_in,
            ("POST", "/api/me/password"): sign_in,
        }

    def count(self, method: str, path: str, principal: Principal | None, address: str | None) -> None:
        """Counts a request.

        Raises:
            TooMany: its account, or without one its address, has had enough for now.
        """
        if principal is not None:
            wait_s = self._accounts.take(principal.account, WEIGHTS.get(_asked(method, path), ORDINARY))
            if wait_s:
                self.refused("rate")
                raise TooMany("Too many requests of this account; slow down", "too_many_requests", wait_s)
            return
        wait_s = self._addresses.take(counted_as(address), STRANGERS_WEIGHTS.get((method, path), 1))
        if wait_s:
            self.refused("address")
            detail = "Too many requests without valid credentials from this address; slow down"
            raise TooMany(detail, "too_many_requests", wait_s)

    def turn(self, method: str, path: str, principal: Principal | None) -> _Held | None:
        """A turn to run in, by `async with`; None for what needs none."""
        try:
            line = self._lines[_asked(method, path)]
        except KeyError:
            if principal is None:
                return None  # an answer that no database is asked for
            line = self._ordinary
        if line is None:
            return None
        return _Held(self, line, line if line.shared or principal is None else (line, principal.account))

    def body(self, receive: Receive, path: str) -> Receive:
        """Reads a request's content, which may be so large and must keep coming."""
        if path.endswith("/attachments"):
            most_bytes = self._most_attached_bytes
        else:
            most_bytes = self._most_bytes if path == BATCH else min(self._most_bytes, LARGEST_BODY)
        taken, waited_s, whole = 0, 0.0, False

        async def receiving() -> Message:
            nonlocal taken, waited_s, whole
            if whole:  # what comes now is that the client went away
                return await receive()
            began = time.monotonic()
            try:
                message = await self._arrivals.wait(
                    receive, began + BODY_GRACE_S + taken / BODY_BYTES_PER_S - waited_s
                )
            except TimeoutError as error:
                self.refused("slow")
                detail = "The request's content did not arrive in time"
                raise HTTPException(408, detail, {"Connection": "close"}) from error
            waited_s += time.monotonic() - began
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if taken > most_bytes:
                detail = f"At most {most_bytes} bytes in a request"
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        return receiving


class Arrivals:
    """Who waits for a part of a request's content, and until when: one timer for all of them.

    `asyncio.timeout` does the same at 11 µs a request, thirty times as much.
    """

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[None], float] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._is_looking = False

    async def wait(self, receive: Receive, due: float) -> Message:
        """The next part.

        Raises:
            TimeoutError: it did not come by `due` of the monotonic clock, within `LOOK_S`.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs
        self._due[task] = due
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_S, self._look)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            self._late.discard(task)
            del self._due[task]

    def _look(self) -> None:
        now = time.monotonic()
        for task in [task for task, due in self._due.items() if due < now]:
            self._late.add(task)
            task.cancel()
        self._is_looking = bool(self._due)
        if self._is_looking:
            asyncio.get_running_loop().call_later(LOOK_S, self._look)


def counted_as(address: str | None) -> str:
    """What an address counts as: itself; of IPv6 its network of 64 bits, since one machine has them all."""
    if not address or ":" not in address:
        return (address or "-")[:LONGEST_ADDRESS]
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        return address[:LONGEST_ADDRESS]
    return socket.inet_ntoa(packed[12:]) if packed.startswith(IPV4_MAPPED) else packed[:8].hex()
