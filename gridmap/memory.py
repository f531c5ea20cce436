"""What a process keeps in memory of the database, and how it is renewed.

The snapshot of the edition in force, older ones on demand, the roster. Nothing here decides: intake checks
inside its transaction that the edition it used is still the one in force, and comes back here if not.
"""

import bisect
import datetime as dt
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.db import Database
from gridmap.routing import Roster, load_roster
from gridmap.snapshot import Snapshot

KEPT_EDITIONS = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Timeline:
    moments: tuple[dt.datetime, ...] = ()
    editions: tuple[int, ...] = ()

    def at(self, moment: dt.datetime) -> int | None:
        place = bisect.bisect_right(self.moments, moment)
        return self.editions[place - 1] if place else None

    def next_after(self, moment: dt.datetime) -> dt.datetime | None:
        place = bisect.bisect_right(self.moments, moment)
        return self.moments[place] if place < len(self.moments) else None


class Memory:
    """Boundaries and roster of one process; safe to read from many threads.

    Args:
        database: where it reads.
        time_zone: whose clock the shifts follow.
    """

    def __init__(self, database: Database, time_zone: ZoneInfo) -> None:
        self._database = database
        self._time_zone = time_zone
        self._lock = threading.Lock()
        self._timeline = _Timeline()
        self._snapshot = snapshots.empty()
        self._roster = Roster(time_zone)
        self._subcategories: dict[str, str] = {}
        self._older: OrderedDict[int, Snapshot] = OrderedDict()

    @property
    def roster(self) -> Roster:
        """Who serves what, as last read."""
        return self._roster

    @property
    def subcategories(self) -> Mapping[str, str]:
        """The category of every sub-category."""
        return self._subcategories

    @property
    def held(self) -> Snapshot:
        """The edition in memory, whether or not it is the one in force this moment; never reads anything."""
        return self._snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The edition in force now; a later one whose moment has come is activated by the clock."""
        due = self._timeline.at(dt.datetime.now(dt.UTC))
        if due is not None and due != self._snapshot.edition:
            self.refresh_boundaries()
        return self._snapshot

    def refresh(self) -> None:
        """Reads everything anew."""
        self.refresh_boundaries()
        self.refresh_roster()

    def refresh_boundaries(self) -> None:
        """Takes over the edition in force, if it is another one, and the list of editions."""
        with self._lock, self._database.reader() as session:
            rows = session.execute(
                sa.text("SELECT greatest(in_force_from, '0001-01-01 UTC'), id FROM edition ORDER BY 1")
            ).all()
            self._timeline = _Timeline(tuple(row[0] for row in rows), tuple(row[1] for row in rows))
            due = self._timeline.at(dt.datetime.now(dt.UTC))
            if due is not None and due != self._snapshot.edition:
                began = time.perf_counter()
                if self._snapshot.edition:  # plans and questions about yesterday go on asking for it
                    self._keep(self._snapshot)
                self._snapshot = taken = snapshots.load(session, due)
                spent, size = time.perf_counter() - began, taken.index.nbytes / 1e6
                _log.info("edition %d: %d areas read and indexed in %.2f s, the index takes %.0f MB",
                          due, len(taken), spent, size)  # fmt: skip

    def refresh_households(self) -> None:
        """Takes over the household counts of today."""
        with self._lock, self._database.reader() as session:
            counts = snapshots.households(session)
            current = self._snapshot
            households = np.array([counts.get(code, 0) for code in current.code], dtype=np.int64)
            self._snapshot = replace(current, households=households)

    def refresh_roster(self) -> None:
        """Takes over workers, units, areas and shifts, and the sub-categories."""
        with self._lock, self._database.reader() as session:
            self._roster = load_roster(session, self._time_zone)
            rows = session.execute(sa.text("SELECT code, category FROM subcategory")).all()
            self._subcategories = {row.code: row.category for row in rows}

    def edition_at(self, moment: dt.datetime) -> int | None:
        """Number of the edition in force at a moment."""
        return self._timeline.at(moment)

    def at(self, moment: dt.datetime) -> Snapshot:
        """The boundaries in force at a moment; the present ones where it lies before all."""
        edition = self._timeline.at(moment)
        return self.edition(edition) if edition is not None else self.snapshot

    def edition(self, number: int) -> Snapshot:
        """One edition; the last few asked for are kept."""
        current = self._snapshot
        if number == current.edition:
            return current
        with self._lock:
            if number in self._older:
                self._older.move_to_end(number)
                return self._older[number]
        with self._database.reader() as session:
            older = snapshots.load(session, number)
        with self._lock:
            self._keep(older)
        return older

    def _keep(self, older: Snapshot) -> None:
        self._older[older.edition] = older
        self._older.move_to_end(older.edition)
        while len(self._older) > KEPT_EDITIONS:
            self._older.popitem(last=False)
