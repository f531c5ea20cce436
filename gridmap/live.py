"""What changed, told to whoever watches: one listener and one notifier per process.

Intake writes a row into `change_log` and never notifies in its own transaction, which would serialise commits.
The notifier tells everybody once at most every 100 ms; the listener reads what is new. Numbers of rows commit out
of order, so what is new is bounded by transactions still running, not by the largest number seen.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from gridmap.db import Database
from gridmap.sight import ALL

CHANNEL = "gridmap"
PAUSE_S = 0.1
_log = logging.getLogger(__name__)

_NEW = """
SELECT l.id, l.topic, l.event, l.edition, l.paths::text[], pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    e.category
FROM change_log l LEFT JOIN event e ON l.topic = 'event' AND e.id = l.event
WHERE l.transaction >= %s::text::xid8 ORDER BY l.id
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the log."""

    id: int
    topic: str
    event: int | None
    edition: int | None
    paths: tuple[str, ...]
    category: str | None = None  # of the event, as it is when this is read


class Live:
    """Threads that listen and notify, from `start` to `stop`.

    Args:
        database: whose changes are followed.
        on_topic: called with `edition`, `households`, `roster`, `accounts` when that changed anywhere, and with
            `everything` once it listens, at first and after the connection was lost and found again.
        on_changes: called with new rows of the log, each exactly once per process.
    """

    def __init__(
        self,
        database: Database,
        on_topic: Callable[[str], None],
        on_changes: Callable[[list[Change]], None],
    ) -> None:
        self._database = database
        self._on_topic, self._on_changes = on_topic, on_changes
        self._dirty, self._stopping = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._listen_on, name="gridmap-listener", daemon=True),
            threading.Thread(target=self._notify_on, name="gridmap-notifier", daemon=True),
        ]
        self._low = "0"
        self._delivered: set[int] = set()
        self.connected = False

    def start(self) -> None:
        """Begins to listen; what happened before is not told."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends both threads."""
        self._stopping.set()
        self._dirty.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def changed(self) -> None:
        """Says that this process committed something; costs nothing to the caller."""
        self._dirty.set()

    def _notify_on(self) -> None:
        while not self._stopping.is_set():
            self._dirty.wait()
            self._dirty.clear()
            if self._stopping.is_set():
                return
            try:
                connection = self._database.engine.raw_connection()
                try:
                    connection.cursor().execute(f"NOTIFY {CHANNEL}, 'log'")
                    connection.commit()
                finally:
                    connection.close()
            except Exception:  # noqa: BLE001  # the server is away, or only this connection was
                _log.warning("could not notify; trying again")
                self._dirty.set()
                self._stopping.wait(1)
            self._stopping.wait(PAUSE_S)

    def _listen_on(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    if self._database.restricted:  # to whom a change may be told goes by its event's category
                        connection.execute(f"SET ROLE {ALL}")
                    self._begin(connection)
                    self._on_topic("everything")  # what was said before somebody listened
                    self.connected = True
                    self._follow(connection)
            except Exception as error:  # noqa: BLE001  # nobody else would begin to listen again
                self.connected = False
                if not self._stopping.is_set():
                    _log.warning("listener lost the database (%s); trying again", type(error).__name__)
                    self._stopping.wait(1)
        self.connected = False

    def _begin(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        if self._low == "0":
            row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
            self._low = str(row[0]) if row else "0"
            # Committed before, though younger than a transaction that is still running.
            self._delivered = {change.id for change in self._fresh(connection)}
        else:
            self._read(connection)

    def _follow(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        while not self._stopping.is_set():
            topics = {note.payload for note in connection.notifies(timeout=0.5, stop_after=1)}
            if topics:
                time.sleep(PAUSE_S / 5)  # those who committed together are read together
                topics |= {note.payload for note in connection.notifies(timeout=0)}
            for topic in sorted(topics - {"log"}):
                with contextlib.suppress(Exception):
                    self._on_topic(topic)
            if topics:
                self._read(connection)

    def _read(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        fresh = self._fresh(connection)
        if fresh:
            self._on_changes(fresh)

    def _fresh(self, connection: psycopg.Connection[tuple[object, ...]]) -> list[Change]:
        rows = connection.execute(_NEW, (self._low,)).fetchall()
        fresh = [
            Change(int(row[0]), str(row[1]), row[2], row[3], tuple(row[4]), row[6])  # type: ignore[call-overload,arg-type]  # psycopg gives plain objects
            for row in rows
            if row[0] not in self._delivered
        ]
        if rows:
            self._low = str(rows[0][5])
            self._delivered = {int(row[0]) for row in rows}  # type: ignore[call-overload]  # the same
        return fresh
