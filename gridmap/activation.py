"""The moment of an edition: prepared ahead, taken over by the clock, and what it moves placed anew once.

Every process has such a thread. Boundaries are read and indexed before their moment, so that nobody waits for them;
who places events and buildings anew is settled by a lock, and that it was done stands in the database, so that a
moment that nobody was awake for is made up for at the next start.
"""

import logging
import threading
from collections.abc import Callable
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gridmap.db import LOCK_SPACE, Database
from gridmap.errors import GridmapError
from gridmap.memory import Memory
from gridmap.settling import lock_boundaries, settle, settled, upcoming
from gridmap.sight import EVERYTHING

LOCK_ACTIVATE = 6
PREPARE_S = 60.0  # so long before its moment an edition is read: many times what that takes
LOOK_EVERY_S = 30.0
AGAIN_S = 0.2
_log = logging.getLogger(__name__)


class Activator:
    """A thread that follows the clock from one edition to the next, from `start` to `stop`.

    Args:
        database: where it works.
        memory: what it prepares the next edition in.
        time_zone: whose clock the shifts follow.
        tolerance_m: for places in a gap.
        on_activated: called in the thread after another edition has come into force by the clock.
    """

    def __init__(
        self,
        database: Database,
        memory: Memory,
        time_zone: ZoneInfo,
        tolerance_m: float,
        on_activated: Callable[[], None],
    ) -> None:
        self._database, self._memory = database, memory
        self._time_zone, self._tolerance_m = time_zone, tolerance_m
        self._on_activated = on_activated
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="gridmap-activator", daemon=True)
        self._seen = 0

    def start(self) -> None:
        """Begins; what was slept through is made up for first."""
        self._seen = self._memory.held.edition
        self._thread.start()

    def stop(self) -> None:
        """Ends after what is in hand."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def wake(self) -> None:
        """Says that editions have been published; costs nothing to the caller."""
        self._woken.set()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            pause = LOOK_EVERY_S
            try:
                pause = self.look()
            except GridmapError as error:
                _log.warning("an edition could not be brought into force: %s", error.message)
                pause = 1.0
            except Exception:  # noqa: BLE001  # nobody else would do it in this process
                _log.exception("an edition could not be brought into force")
            self._woken.wait(pause)

    def look(self) -> float:
        """Does what the clock says; returns after how many seconds it has more to say."""
        memory = self._memory
        moment = memory.next_moment
        left = LOOK_EVERY_S if moment is None else (moment - memory.now()).total_seconds()
        if moment is not None and left <= PREPARE_S:
            memory.prepare(moment)
        edition = memory.snapshot.edition
        if edition != self._seen:
            self._seen = edition
            self._on_activated()
        if activate(self._database, self._time_zone, self._tolerance_m) < edition:
            return AGAIN_S  # another process is at it, or the database's clock is behind
        if moment is None:
            return LOOK_EVERY_S
        left = (moment - memory.now()).total_seconds()
        return min(LOOK_EVERY_S, max(0.0, left - PREPARE_S if left > PREPARE_S else left))


def activate(database: Database, time_zone: ZoneInfo, tolerance_m: float) -> int:
    """Places anew what editions moved whose moment has come, unless another process is at it.

    Returns:
        The edition by which everything is placed.
    """
    with database.reader(EVERYTHING) as session:
        placed, due = settled(session)
        if due <= placed:
            return placed
    with database.writer(EVERYTHING) as session:
        alone = session.execute(sa.text(f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, {LOCK_ACTIVATE})"))
        if not alone.scalar_one():
            return placed
        ready = upcoming(session, time_zone, tolerance_m)
        if ready is not None:
            ready.look()
        lock_boundaries(session)
        moved = settle(session, time_zone, tolerance_m, ready)
        placed, _ = settled(session)
        _log.info("edition %d came into force: %d events and %d buildings moved",
                  placed, moved.events, moved.buildings)  # fmt: skip
        return placed
