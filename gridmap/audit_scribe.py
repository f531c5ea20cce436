"""One thread a process that writes down what was read, and seals what was committed.

What changes something is recorded in its own transaction. What only reads has none that could be written to, and
shall not wait for a commit of its own: it is noted, and stored within a fifth of a second together with what was noted
meanwhile. More than fits is refused, so that nothing is read without being recorded.
"""

import dataclasses
import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from gridmap.audit import Entry, record
from gridmap.audit_chain import BLOCK_ROWS, seal
from gridmap.db import Database
from gridmap.errors import Unavailable
from gridmap.sight import EVERYTHING

GATHER_S = 0.2
SEAL_EVERY_S = 5.0
MOST_NOTES = 10_000
TOGETHER = 500
REST_S = 0.05  # between blocks: a million rows that came at once leave the database to others
_log = logging.getLogger(__name__)


class Scribe:
    """From `start` to `stop`.

    Args:
        database: where records go and are sealed; sees all rows of audit and history.
        seal_every_s: how often what was committed is sealed.
    """

    def __init__(self, database: Database, *, seal_every_s: float = SEAL_EVERY_S) -> None:
        self._database, self._seal_every_s = database, seal_every_s
        self._notes: deque[Entry] = deque()
        self._noted, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="gridmap-audit", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; what was noted is stored before."""
        self._stopping.set()
        self._noted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def note(self, entry: Entry) -> None:
        """Takes a record of something read; it is stored in a moment.

        Raises:
            Unavailable: too many wait already.
        """
        if len(self._notes) >= MOST_NOTES:
            raise Unavailable("What is read cannot be recorded at the moment; try again.")
        moment = dt.datetime.now(dt.UTC)
        self._notes.append(entry if entry.at else dataclasses.replace(entry, at=moment))
        self._noted.set()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            if self._noted.wait(max(0.0, due - time.monotonic())):
                self._stopping.wait(GATHER_S)
                self._noted.clear()
            self._quietly(self._store)
            if self._notes:  # storing failed
                self._noted.set()
            if time.monotonic() >= due:
                self._quietly(self._seal)
                due = time.monotonic() + self._seal_every_s
        self._quietly(self._store)

    def _quietly(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # nobody else would go on
            _log.warning("audit: %s; trying again", type(error).__name__)
            self._stopping.wait(1)

    def _store(self) -> None:
        while self._notes:
            some = [self._notes[at] for at in range(min(TOGETHER, len(self._notes)))]
            with self._database.writer() as session:
                record(session, *some)
            for _ in some:  # only now: a failed attempt is made again
                self._notes.popleft()

    def _seal(self) -> None:
        while not self._stopping.is_set():
            with self._database.writer(EVERYTHING) as session:
                sealed = seal(session)
            if not sealed or sealed < BLOCK_ROWS:
                return
            self._stopping.wait(REST_S)
