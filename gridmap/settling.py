"""Coming into force: who waits for whom, and placing anew, once an edition, what it moves.

`edition` is never changed, so what is done for one stands in a table of its own.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.db import LOCK_EDITION, LOCK_PUBLISH, LOCK_SPACE, Writer
from gridmap.errors import Unavailable
from gridmap.relocation import Relocated, Relocation

# Intake queues behind whoever waits for the exclusive lock: nobody waits long at a time.
LOCK_WAIT_MS = 300
LOCK_PAUSE_S = 0.1
LOCK_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest edition; `moment` None is since ever, `pending` whether it is yet to come."""

    id: int
    moment: dt.datetime | None
    pending: bool


def newest_edition(session: Session) -> Newest:
    """The edition that the next one builds on, also one whose moment has not come; number 0 where there is none."""
    row = session.execute(
        sa.text(
            "SELECT id, nullif(in_force_from, '-infinity'), in_force_from > clock_timestamp() FROM edition"
            " ORDER BY id DESC LIMIT 1"
        )
    ).one_or_none()
    return Newest(0, None, pending=False) if row is None else Newest(row[0], row[1], pending=row[2])


def lock_publications(session: Writer) -> None:
    """One publication at a time; whoever posts is not held up by it."""
    session.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {LOCK_PUBLISH})"))


def lock_boundaries(session: Writer) -> None:
    """Takes the lock that intake shares, exclusively, until the transaction ends.

    Others queue behind whoever waits, so waiting is cut into pieces with room for them in between: a long load of
    buildings holds up a publication, and a publication that waits for it holds up nobody.

    Raises:
        Unavailable: something holds it for minutes.
    """
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            with session.begin_nested():
                session.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}"))
                session.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {LOCK_EDITION})"))
                session.execute(sa.text("SET LOCAL lock_timeout = 0"))
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
        else:
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                "A load or a new assignment holds the boundaries; publish again when it has ended"
            )
        time.sleep(LOCK_PAUSE_S)


_SETTLED: Final = "SELECT coalesce(max(edition), 0) FROM edition_placed"


def upcoming(session: Writer, time_zone: ZoneInfo, tolerance_m: float) -> Relocation | None:
    """What the edition in force moves, to be looked at before `settle`; None where everything is placed by it.

    Needs no lock; whoever holds none yet looks (`Relocation.look`) before taking it.
    """
    placed, due = settled(session)
    if due <= placed:
        return None
    # Before the first edition nothing could be placed: what there is was placed by that one at the earliest.
    first = session.execute(sa.text("SELECT min(id) FROM edition")).scalar_one()
    earlier = max(placed, first)
    return None if earlier == due else Relocation(session, earlier, due, time_zone, tolerance_m)


def settle(
    session: Writer, time_zone: ZoneInfo, tolerance_m: float, ready: Relocation | None = None
) -> Relocated:
    """Places anew what lies where the edition in force differs from the one by which everything was placed.

    Done once an edition, by whoever comes first; does nothing where it is done. The caller holds the boundaries'
    lock (`lock_boundaries`) and commits.

    Args:
        session: sees every event.
        time_zone: whose clock the shifts follow.
        tolerance_m: for places in a gap.
        ready: what was looked at before the lock was had; left aside where it is not what is due by now.
    """
    placed, due = settled(session)
    if due <= placed:
        return Relocated()
    if ready is None or ready.later != due or ready.earlier < placed:
        ready = upcoming(session, time_zone, tolerance_m)
    moved = Relocated() if ready is None else ready.finish()
    session.execute(
        sa.text(
            "INSERT INTO edition_placed (edition, events, buildings) SELECT id, CASE WHEN id = :due THEN :events"
            " ELSE 0 END, CASE WHEN id = :due THEN :buildings ELSE 0 END FROM edition WHERE id > :placed AND id <= :due"
        ),
        {"due": due, "placed": placed, "events": moved.events, "buildings": moved.buildings},
    )
    session.execute(
        sa.text("INSERT INTO change_log (topic, edition) VALUES ('edition', :edition)"), {"edition": due}
    )
    session.execute(sa.text("NOTIFY gridmap, 'edition'"))
    return moved


def settled(session: Session) -> tuple[int, int]:
    """The edition by which everything is placed, and the one in force by the database's clock."""
    placed, due = session.execute(
        sa.text(
            f"SELECT ({_SETTLED}), coalesce((SELECT max(id) FROM edition WHERE in_force_from <= clock_timestamp()), 0)"
        )
    ).one()
    return int(placed), int(due)
