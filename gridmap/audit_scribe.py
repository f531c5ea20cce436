"""One thread a process that writes down what was read, and seals what was committed.

What changes something is recorded in its own transaction. What only reads has none that could be written to, and
shall not wait for a commit of its own: it is noted, and stored within a fifth of a second together with what was noted
meanwhile. More than fits is refused, so that nothing is read without being recorded.

What fails is tried again after growing pauses, and `waiting` and `failing` say so. A record that the database does not
take keeps no other one back: in its place stands one that says so.
"""

import dataclasses
import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from gridmap.audit import Entry, record
from gridmap.audit_chain import BLOCK_ROWS, seal
from gridmap.db import Database
from gridmap.errors import Unavailable
from gridmap.sight import EVERYTHING

GATHER_S = 0.2
SEAL_EVERY_S = 5.0
MOST_NOTES = 10_000
TOGETHER = 500
LONGEST_PAUSE_S = 60.0
UNRECORDED = "audit.unrecorded"  # stands for a record that could not be stored
REST_S = 0.05  # between blocks: a million rows that came at once leave the database to others
_log = logging.getLogger(__name__)


class _Step:
    """Something done again and again: after a failure later, and later still after the next."""

    def __init__(self, name: str, work: Callable[[], None], longest_pause_s: float) -> None:
        self._name, self._work, self._longest_pause_s = name, work, longest_pause_s
        self.failures, self.ready_at = 0, 0.0

    def attempt(self) -> None:
        """Does it, unless it has failed a moment ago; failures are counted and logged."""
        if time.monotonic() < self.ready_at:
            return
        try:
            self._work()
            self.failures = 0
        except Exception as error:  # noqa: BLE001  # nobody else would go on
            self.failures += 1
            pause_s = min(self._longest_pause_s, 2.0 ** min(self.failures - 1, 30))
            self.ready_at = time.monotonic() + pause_s
            _log.warning(
                "audit: %s failed %d times (%s); trying again in %.0f s",
                self._name,
                self.failures,
                type(error).__name__,
                pause_s,
            )


class Scribe:
    """From `start` to `stop`.

    Args:
        database: where records go and are sealed; sees all rows of audit and history.
        seal_every_s: how often what was committed is sealed.
        longest_pause_s: after failures.
    """

    def __init__(
        self,
        database: Database,
        *,
        seal_every_s: float = SEAL_EVERY_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._database, self._seal_every_s = database, seal_every_s
        self._notes: deque[Entry] = deque()
        self._noted, self._stopping = threading.Event(), threading.Event()
        self._storing = _Step("storing", self._store, longest_pause_s)
        self._sealing = _Step("sealing", self._seal, longest_pause_s)
        self._thread = threading.Thread(target=self._run, name="gridmap-audit", daemon=True)
        self.unrecorded = 0  # records in whose place one stands that says so

    @property
    def waiting(self) -> int:
        """Records that are not stored yet."""
        return len(self._notes)

    @property
    def failing(self) -> int:
        """How often storing or sealing has failed one time after the other; 0 while all is well."""
        return max(self._storing.failures, self._sealing.failures)

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
            again = self._storing.ready_at if self._notes else due
            if self._noted.wait(max(0.0, min(due, again) - time.monotonic())):
                self._stopping.wait(GATHER_S)
                self._noted.clear()
            self._storing.attempt()
            if time.monotonic() >= due:
                self._sealing.attempt()
                due = time.monotonic() + self._seal_every_s
        self._storing.ready_at = 0.0  # the last chance
        self._storing.attempt()
        if self._notes:
            _log.error("audit: %d records of what was read are lost with this process", len(self._notes))

    def _store(self) -> None:
        while self._notes:
            some = [self._notes[at] for at in range(min(TOGETHER, len(self._notes)))]
            try:
                self._write(some)
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001  # one of them, or the database: each by itself tells which
                self._one_by_one(len(some))
                continue
            for _ in some:  # only now: a failed attempt is made again
                self._notes.popleft()

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._database.writer() as session:
            record(session, *entries)

    def _one_by_one(self, number: int) -> None:
        for _ in range(number):
            entry = self._notes[0]
            try:
                self._write([entry])
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the next one shall be stored
                # Where the database takes this neither, it is not the record's fault, and all is tried again.
                self._write([_in_place_of(entry, error)])
                self.unrecorded += 1
                _log.error(
                    "audit: a record of %s could not be stored (%s)",
                    ascii(entry.action),
                    type(error).__name__,
                )  # its text may hold what was read
            self._notes.popleft()

    def _seal(self) -> None:
        while not self._stopping.is_set():
            with self._database.writer(EVERYTHING) as session:
                sealed = seal(session)
            if not sealed or sealed < BLOCK_ROWS:
                return
            self._stopping.wait(REST_S)


def _in_place_of(entry: Entry, error: Exception) -> Entry:
    """What any database takes of a record: who did what, as printable ASCII."""
    return Entry(
        ascii(entry.actor).strip("'")[:64],
        UNRECORDED,
        "audit",
        detail={"action": ascii(entry.action).strip("'")[:64], "error": type(error).__name__},
        at=entry.at,
    )
