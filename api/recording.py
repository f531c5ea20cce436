"""What the doors record of reading: who read whose text. What is written is recorded where it is written."""

from collections.abc import Sequence

import sqlalchemy as sa

from api.service import Service
from gridmap.access import Principal
from gridmap.audit import Entry
from gridmap.event_queries import TEXT


def text_read(service: Service, principal: Principal, rows: Sequence[sa.RowMapping]) -> None:
    """Notes which events' text is about to be answered; nothing where there is none among it.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be read.
    """
    told = [row for row in rows if any(row[name] is not None for name in TEXT)]
    if not told:
        return
    service.scribe.note(
        Entry(
            actor=principal.name,
            action="event.read",
            object=f"event:{told[0]['id']}" if len(told) == 1 else "events",
            paths=tuple(sorted({path for row in told for path in row["paths_now"]})),
            edition=service.memory.snapshot.edition or None,
            events=tuple(row["id"] for row in told),
        )
    )
