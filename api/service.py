"""What one process of the service holds: settings, database, memory, tokens, and who is who."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from anyio import to_thread

from api.identities import Identities
from api.metrics import Metrics
from api.oidc_attempt import Attempts
from api.posting import Posting
from api.signing_in import SigningIn
from api.tokens import Claims, Tokens, secret_key
from boundaries.ground import Grounds
from gridmap.access import Principal
from gridmap.activation import Activator
from gridmap.audit_scribe import Scribe
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.errors import Conflict, Unavailable
from gridmap.intake import Outcome, Post, StaleBoundaries, store_few
from gridmap.keeping import Keeper
from gridmap.live import Change, Live
from gridmap.memory import Memory
from gridmap.retention import Eraser
from gridmap.sealing import Seal
from gridmap.settings import Settings

if TYPE_CHECKING:
    from api.oidc_provider import Provider

START_PATIENCE_S = 120.0
TRIES = 4
PREPARED_AT_ONCE = (
    2  # files for events: of a picture each may take a core, and a gigabyte where it is a hostile one
)
PREPARED_WITHIN_S = 30.0


def provider_of(settings: Settings) -> "Provider | None":
    """The external provider of the settings; who has none does without its 28 MB of libraries."""
    if settings.oidc_issuer is None:
        return None
    from api.oidc_provider import Provider  # noqa: PLC0415  # see above

    return Provider(settings)


def boundaries_change() -> Conflict:
    """The answer while one publication follows upon the other."""
    return Conflict("Boundaries are being published; post again", code="boundaries_change")


class Service:
    """Everything a request needs; made once per process, closed at its end.

    Args:
        settings: of the installation.
        url: of the database, migrated already; it is worked on as the service's role, whoever signs in.
        keep: whether the database is the home's private one, to be started again when it dies.
    """

    def __init__(self, settings: Settings, url: str, *, keep: bool = False) -> None:
        self.settings = settings
        self.database = Database(
            url,
            pool_size=settings.pool_size,
            statement_timeout_s=settings.statement_timeout_s,
            restricted=True,
        )
        secret = secret_key(settings)
        self.tokens = Tokens(secret)
        self.seal = Seal(secret)
        self.memory = Memory(self.database, settings.time_zone)
        self.grounds = Grounds()
        self.hub = Hub()
        self.posting = Posting(self._store)
        self.metrics = Metrics(self)
        self.signing_in = SigningIn(self.database, self.tokens)
        self.attempts = Attempts(secret)
        self.provider = provider_of(settings)
        self.identities = Identities(self.database, lambda: self.live.connected)
        self.scribe = Scribe(self.database)
        self.eraser = Eraser(self.database)
        self._preparing = asyncio.Semaphore(PREPARED_AT_ONCE)
        self.activator = Activator(
            self.database, self.memory, settings.time_zone, settings.tolerance_m, self._on_activated
        )
        self.live = Live(self.database, self._on_topic, self.hub.publish)
        self.keeper = Keeper(Cluster(settings.home), lambda: self.live.connected) if keep else None

    @contextlib.asynccontextmanager
    async def preparing(self) -> AsyncIterator[None]:
        """A turn to make a file ready for keeping; few are made at once, whoever sends them.

        Raises:
            Unavailable: it did not come in time.
        """
        try:
            async with asyncio.timeout(PREPARED_WITHIN_S):
                await self._preparing.acquire()
        except TimeoutError as error:
            raise Unavailable("Too many files are being taken in. Try again.", code="busy") from error
        try:
            yield
        finally:
            self._preparing.release()

    def start(self) -> None:
        """Reads what a process keeps in memory and begins to listen; waits for a database that is recovering."""
        if self.keeper is not None:
            self.keeper.start()
        deadline = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                self.memory.refresh()
                break
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.live.start()
        self.scribe.start()
        self.eraser.start()
        self.activator.start()

    def stop(self) -> None:
        """Ends threads and connections."""
        if self.keeper is not None:
            self.keeper.stop()
        self.hub.close()
        self.live.stop()
        self.scribe.stop()
        self.eraser.stop()
        self.activator.stop()
        self.database.close()

    def _store(self, posts: Sequence[Post]) -> Sequence[Outcome | Exception]:
        """Stores posts; those that met old boundaries come again with new ones."""
        results: list[Outcome | Exception] = [StaleBoundaries()] * len(posts)
        for _ in range(TRIES):
            again = [index for index, each in enumerate(results) if isinstance(each, StaleBoundaries)]
            found = store_few(
                self.database, self.memory, self.seal, [posts[i] for i in again], self.settings.tolerance_m
            )
            for index, result in zip(again, found, strict=True):
                results[index] = result
            if not any(isinstance(each, StaleBoundaries) for each in found):
                break
            self.memory.refresh_boundaries()
        stored = sum(isinstance(each, Outcome) and each.state == "stored" for each in results)
        self.metrics.posted(len(posts), stored)
        if stored:
            self.live.changed()
        return [boundaries_change() if isinstance(each, StaleBoundaries) else each for each in results]

    async def current(self, claims: Claims) -> Principal:
        """Who a token speaks for at this moment.

        Raises:
            Unauthorised: the account is disabled or gone, or the token was revoked.
        """
        known = self.identities.known(claims)
        return known if known is not None else await to_thread.run_sync(self.identities.read, claims)

    def accounts_changed(self) -> None:
        """Who may what has changed here: this process need not wait for what it will be told."""
        self.identities.forget()
        self.hub.publish([])  # open streams look anew at who they speak to

    def published(self) -> None:
        """An edition was published here: this process serves it before it says so."""
        self._on_topic("edition")

    def _on_topic(self, topic: str) -> None:
        if topic in {"edition", "everything"}:
            self.memory.refresh_boundaries()
            self.activator.wake()
        if topic == "edition":
            self.memory.refresh_served()
        if topic in {"households", "everything"}:
            self.memory.refresh_households()
        if topic in {"edition", "households", "everything"}:
            self.grounds.forget()
        if topic in {"roster", "everything"}:
            self.memory.refresh_roster()
        if topic in {"accounts", "edition", "everything"}:
            self.accounts_changed()

    def _on_activated(self) -> None:
        """Who may do what, and who serves whom, is another by another edition."""
        self.memory.refresh_served()
        self.grounds.forget()
        self.accounts_changed()


class Hub:
    """Passes changes from the listener's thread to the open streams of this process."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[list[Change] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def readers(self) -> int:
        """Open streams."""
        return len(self._queues)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[list[Change] | None]]:
        """A queue of changes from now on; None says that the service stops."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[list[Change] | None] = asyncio.Queue(maxsize=1000)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def publish(self, changes: list[Change]) -> None:
        """Called from the listener's thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._put, changes)

    def close(self) -> None:
        """Ends every stream."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop may close in between
                loop.call_soon_threadsafe(self._put, None)

    def _put(self, changes: list[Change] | None) -> None:
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):  # a reader this slow reconnects and reads anew
                queue.put_nowait(changes)
