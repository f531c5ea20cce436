"""What a process keeps in memory of the database, and how it is renewed.

The snapshot of the edition in force, the next one shortly before its moment, older ones on demand, the roster. Nothing
here decides: intake checks inside its transaction that the edition it used is still the one in force, and comes back
here if not.
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
from sqlalchemy.orm import Session

from gridmap import snapshot as snapshots
from gridmap.db import Database
from gridmap.routing import Roster, load_roster
from gridmap.snapshot import Snapshot

KEPT_EDITIONS = 4
SINCE_EVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)  # -infinity, as far as Python can say it
_log = logging.getLogger(__name__)


# Publication opens and closes rows at the very moment of an edition.
_SERVED = sa.text(
    "SELECT DISTINCT area FROM service_area s JOIN edition e"
    " ON s.valid_from = e.in_force_from OR s.valid_to = e.in_force_from WHERE e.id > :since AND e.id <= :edition"
    " AND e.in_force_from > '-infinity'"
)


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
        self._lock = threading.Lock()  # held while boundaries are read
        self._roster_lock = (
            threading.Lock()
        )  # the same for the roster: boundaries do not wait for its many rows
        self._swap = threading.Lock()  # held while something read is taken over: never for long
        self._timeline = _Timeline()
        self._snapshot = snapshots.empty()
        self._next: Snapshot | None = None
        self._clock_ahead = dt.timedelta()
        self._served = 0
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
        due = self._timeline.at(self.now())
        # What is held may be later than due: by the database's clock, which decides and was asked later.
        if due is not None and due > self._snapshot.edition:
            following = self._next
            if following is not None and following.edition == due:
                self._take_over(following)
            else:
                self.refresh_boundaries()
        return self._snapshot

    def now(self) -> dt.datetime:
        """The moment by the database's clock, as far as this process can tell without asking."""
        return dt.datetime.now(dt.UTC) + self._clock_ahead

    @property
    def next_moment(self) -> dt.datetime | None:
        """When the next edition comes into force, as far as this process has been told."""
        return self._timeline.next_after(self.now())

    def prepare(self, moment: dt.datetime) -> None:
        """Reads and indexes the edition in force from a moment on, so that taking it over then takes no time."""
        edition = self._timeline.at(moment)
        with self._lock:
            held = self._next
            if edition is None or edition <= self._snapshot.edition or (held and held.edition == edition):
                return
            with self._database.reader() as session:
                self._next = self._loaded(session, edition)

    def _loaded(self, session: Session, edition: int) -> Snapshot:
        began = time.perf_counter()
        taken = snapshots.follow(session, self._snapshot, edition)
        spent, size = time.perf_counter() - began, taken.index.nbytes / 1e6
        _log.info("edition %d: %d areas read and indexed in %.2f s, the index takes %.0f MB",
                  edition, len(taken), spent, size)  # fmt: skip
        return taken

    def _take_over(self, taken: Snapshot) -> None:
        with self._swap:
            if taken.edition > self._snapshot.edition:
                if self._snapshot.edition:  # plans and questions about yesterday go on asking for it
                    self._keep(self._snapshot)
                self._snapshot = taken
            if self._next is not None and self._next.edition <= self._snapshot.edition:
                self._next = None

    def refresh(self) -> None:
        """Reads everything anew."""
        self.refresh_boundaries()
        self.refresh_roster()

    def refresh_boundaries(self) -> None:
        """Takes over the edition in force, if it is another one, and the list of editions."""
        with self._lock, self._database.reader() as session:
            asked = dt.datetime.now(dt.UTC)
            rows = session.execute(
                sa.text(
                    "SELECT greatest(in_force_from, :ever), id, clock_timestamp() FROM edition ORDER BY 1"
                ),
                {"ever": SINCE_EVER},
            ).all()
            timeline = _Timeline(tuple(row[0] for row in rows), tuple(row[1] for row in rows))
            if rows:
                self._clock_ahead = rows[0][2] - (asked + (dt.datetime.now(dt.UTC) - asked) / 2)
            due = timeline.at(rows[0][2]) if rows else None
            if due is not None and due > self._snapshot.edition:
                following = self._next
                ready = following is not None and following.edition == due
                self._take_over(following if ready and following else self._loaded(session, due))
            # Only now: whoever sees that another edition is due finds it.
            self._timeline = timeline

    def refresh_households(self) -> None:
        """Takes over the household counts of today."""
        with self._lock, self._database.reader() as session:
            counts = snapshots.households(session)
            if self._next is not None:
                self._next = _counted(self._next, counts)
            current = _counted(self._snapshot, counts)
            with self._swap:
                if current.edition == self._snapshot.edition:
                    self._snapshot = current

    def refresh_roster(self) -> None:
        """Takes over workers, units, areas and shifts, and the sub-categories."""
        with self._roster_lock, self._database.reader() as session:
            self._served = self._snapshot.edition
            self._roster = load_roster(session, self._time_zone)
            rows = session.execute(sa.text("SELECT code, category FROM subcategory")).all()
            self._subcategories = {row.code: row.category for row in rows}

    def refresh_served(self) -> None:
        """Takes over whom editions gave areas to, or took them from, since this was last asked."""
        with self._roster_lock, self._database.reader() as session:
            edition = self._snapshot.edition
            areas = session.execute(_SERVED, {"since": self._served, "edition": edition}).scalars().all()
            if areas:
                fresh = load_roster(session, self._time_zone, areas)
                self._roster = self._roster.renewed(areas, fresh)
            self._served = edition

    def edition_at(self, moment: dt.datetime) -> int | None:
        """Number of the edition in force at a moment."""
        return self._timeline.at(max(moment, SINCE_EVER))

    def at(self, moment: dt.datetime) -> Snapshot:
        """The boundaries in force at a moment; the present ones where it lies before all."""
        edition = self.edition_at(moment)
        return self.edition(edition) if edition is not None else self.snapshot

    def edition(self, number: int) -> Snapshot:
        """One edition; the last few asked for are kept."""
        current = self._snapshot
        if number == current.edition:
            return current
        following = self._next
        if following is not None and number == following.edition:
            return following
        with self._swap:
            if number in self._older:
                self._older.move_to_end(number)
                return self._older[number]
        with self._database.reader() as session:
            older = snapshots.load(session, number)
        with self._swap:
            self._keep(older)
        return older

    def _keep(self, older: Snapshot) -> None:
        self._older[older.edition] = older
        self._older.move_to_end(older.edition)
        while len(self._older) > KEPT_EDITIONS:
            self._older.popitem(last=False)


def _counted(snapshot: Snapshot, counts: Mapping[str, int]) -> Snapshot:
    households = np.array([counts.get(code, 0) for code in snapshot.code], dtype=np.int64)
    return replace(snapshot, households=households)
