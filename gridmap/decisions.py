"""What becomes of stored events, decided and not yet written: a temporary table, so that a county's events fit in it.

An event that somebody else has changed between reading and writing is told, and is to be decided again.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gridmap.access import Clauses
from gridmap.db import Writer, copy_rows
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.rerouting import Decision, Rules, as_draft, decide

BLOCK = 20_000
_COLUMNS = (
    "id", "revision", "method", "distance_m", "edition", "owner", "leaf", "paths", "status", "worker", "unit", "why",
    "detail", "moved", "routed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """How many events another area has now, how many somebody else, and the numbers of those not written."""

    moved: int
    routed: int
    passed: list[int]


class Decisions:
    """Decisions on events, one an event.

    Args:
        session: sees the events; the caller commits.
        rules: by what is decided.
    """

    def __init__(self, session: Writer, rules: Rules) -> None:
        self._session, self.rules = session, rules
        session.execute(
            sa.text(
                "CREATE TEMPORARY TABLE IF NOT EXISTS decided (id bigint, revision integer, method text,"
                " distance_m float8, edition integer, owner text, leaf text, paths ltree[], status text,"
                " worker integer, unit integer, why jsonb, detail jsonb, moved boolean, routed boolean)"
                " ON COMMIT DROP"
            )
        )
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self._session.execute(sa.text("TRUNCATE decided"))

    def forget(self, numbers: Sequence[int]) -> None:
        """Forgets what was decided on some events."""
        self._session.execute(sa.text("DELETE FROM decided WHERE id = ANY(:ids)"), {"ids": list(numbers)})

    def decide(self, rows: Sequence[sa.Row[Any]]) -> None:
        """Decides on events as `read` gives them."""
        rules = self.rules
        found = place_many(rules.snapshot, [as_draft(rules, row) for row in rows], rules.tolerance_m)
        now = dt.datetime.now(dt.UTC)
        copy_rows(self._session, "decided", _COLUMNS, self._told(rows, found, now))

    def _told(
        self, rows: Sequence[sa.Row[Any]], found: Sequence[object], now: dt.datetime
    ) -> Iterator[tuple[object, ...]]:
        for row, answer in zip(rows, found, strict=True):
            decision = decide(self.rules, row, answer if isinstance(answer, Placement) else NOWHERE, now)
            if decision is not None:
                yield self._row(row, decision)

    def _row(self, row: sa.Row[Any], decision: Decision) -> tuple[object, ...]:
        at, edition = decision.placement, self.rules.snapshot.edition
        detail: dict[str, object] = {} if decision.offered is None else {"offered": decision.offered}
        detail |= {"from": row.owner_now, "grid": at.owner, "worker": decision.worker, "unit": decision.unit}
        return (
            row.id, row.revision, at.method, at.distance_m, edition, at.owner, at.leaf,
            "{" + ",".join(at.paths) + "}", decision.status, decision.worker, decision.unit,
            json.dumps(decision.why), json.dumps(detail), not decision.stays,
            (decision.worker, decision.unit) != (row.worker, row.unit),
        )  # fmt: skip

    def write(self) -> Written:
        """Writes all decisions on events that are still as they were read, with history and log, and forgets them."""
        moved, routed, passed = self._session.execute(
            sa.text(
                "WITH written AS ("
                " UPDATE event SET owner_now = d.owner, leaf_now = d.leaf, paths_now = d.paths,"
                " method = d.method, distance_m = d.distance_m, edition = d.edition, status = d.status,"
                " worker = d.worker, unit = d.unit, why = d.why, revision = event.revision + 1"
                " FROM decided d WHERE event.id = d.id AND event.revision = d.revision"
                " RETURNING event.id, event.edition, event.status, event.paths_now, d.detail, d.moved, d.routed"
                "), told AS ("
                " INSERT INTO change_log (topic, event, edition, paths)"
                " SELECT 'event', id, edition, paths_now FROM written"
                "), kept AS ("
                " INSERT INTO event_history (event, at, actor, action, status, edition, detail)"
                " SELECT id, clock_timestamp(), 'system', 'relocate', status, edition, detail FROM written"
                ") SELECT count(*) FILTER (WHERE w.moved), count(*) FILTER (WHERE w.routed),"
                " coalesce(array_agg(d.id ORDER BY d.id) FILTER (WHERE w.id IS NULL), '{}')"
                " FROM decided d LEFT JOIN written w ON w.id = d.id"
            )
        ).one()
        self.clear()
        return Written(moved, routed, passed)


def read(session: Writer, condition: Clauses, after: int = 0) -> list[sa.Row[Any]]:
    """At most `BLOCK` stored events of a condition with numbers above one, as they are decided on, by their numbers."""
    text, binds = condition
    rows = session.execute(
        sa.text(
            "SELECT id, category, occurred_at, ST_X(geom) AS lon, ST_Y(geom) AS lat, status, worker, unit,"
            " owner_now, leaf_now, paths_now::text[] AS paths_now, method, distance_m, why, edition,"
            f" revision FROM event WHERE id > :after AND {text} ORDER BY id LIMIT :block"
        ),
        {**binds, "after": after, "block": BLOCK},
    )
    return list(rows.all())
