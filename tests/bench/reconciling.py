"""What clients were told, against what the database holds."""

from collections import Counter
from dataclasses import dataclass, field

import psycopg


@dataclass
class Told:
    """What clients were answered."""

    answers: Counter = field(default_factory=Counter)  # by status; 0 where the connection was lost
    stored: Counter = field(default_factory=Counter)  # how often 201 was answered, by key
    numbers: dict = field(default_factory=dict)  # key -> event as answered by 200 or 201
    batched: set = field(default_factory=set)  # keys of batches that were answered
    wrong: list = field(default_factory=list)

    @property
    def acknowledged(self) -> set:
        return {*self.numbers, *self.batched}


@dataclass(frozen=True)
class Balance:
    """Acknowledged against stored."""

    acknowledged: int
    stored: int
    lost: list
    twice: list
    incomplete: list
    unasked: list  # stored, though nobody was told; empty once every post was answered


_STORED = """
SELECT k.source, k.external_id, k.event,
    (SELECT count(*) FROM event e WHERE e.id = k.event AND (e.source, e.external_id) = (k.source, k.external_id)),
    (SELECT count(*) FROM event_text t WHERE t.event = k.event),
    (SELECT string_agg(h.action, ' ' ORDER BY h.id) FROM event_history h WHERE h.event = k.event),
    (SELECT count(*) FROM change_log l WHERE l.event = k.event AND l.topic = 'event')
FROM event_key k
"""
_STRAYS = """
SELECT 'event', id FROM event WHERE id NOT IN (SELECT event FROM event_key)
UNION ALL SELECT 'text', event FROM event_text WHERE event NOT IN (SELECT event FROM event_key)
UNION ALL SELECT 'history', event FROM event_history WHERE event NOT IN (SELECT event FROM event_key)
UNION ALL SELECT 'log', event FROM change_log WHERE topic = 'event' AND event NOT IN (SELECT event FROM event_key)
UNION ALL SELECT 'twice: ' || source || ' ' || external_id, count(*) FROM event GROUP BY source, external_id
    HAVING count(*) > 1
"""


def reconcile(url: str, told: Told) -> Balance:
    """Compares what clients were told with what is stored."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(_STORED).fetchall()
        strays = connection.execute(_STRAYS).fetchall()
    events = {(source, key): event for source, key, event, *_ in rows}
    twice = [key for key, count in told.stored.items() if count > 1]
    twice += [name for name, _ in strays if name.startswith("twice")]
    incomplete = [row for row in rows if tuple(row[3:]) != (1, 1, "report assign", 1)]
    incomplete += [stray for stray in strays if not stray[0].startswith("twice")]
    lost = [key for key in told.acknowledged if key not in events]
    lost += [key for key, number in told.numbers.items() if key in events and number != events[key]]
    unasked = [key for key in events if key not in told.acknowledged]
    return Balance(len(told.acknowledged), len(events), lost, twice, incomplete, unasked)
