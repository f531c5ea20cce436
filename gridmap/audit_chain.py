"""The chain over `audit` and `event_history`: rows are sealed block by block after they were committed.

Intake pays nothing for it: rows carry no hash and wait for none. A block holds the numbers of its rows, and its hash
covers the block before and each row's digest, so that a row changed, removed or put between, a block removed or
changed, shows. Numbers are given out before the commit: what is missing below the largest sealed number stays open
until every transaction that ran then has ended, and is taken by a later block.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.db import LOCK_SPACE, Writer

LOCK_SEAL = 3
BLOCK_ROWS = 10_000
MARK_BYTES = 8
GENESIS = hashlib.sha256(b"gridmap audit chain 1").digest()

# A row's digest is SHA-256 of a JSON array as PostgreSQL writes it (jsonb: one form for equal content); moments
# are microseconds since 1970, so that no setting of a session changes it.
_ROWS = {
    "audit": (
        "'audit', id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, object, area, paths::text, edition,"
        " reason, encode(before_digest, 'hex'), encode(after_digest, 'hex'), detail, events::text"
    ),
    "event_history": (
        "'history', id, event, (extract(epoch FROM at) * 1000000)::bigint, actor, action, status, edition,"
        " encode(digest, 'hex'), detail"
    ),
}


def row_digest(table: str) -> str:
    """SQL for the digest of a row of `audit` or `event_history`."""
    return f"sha256(convert_to(jsonb_build_array({_ROWS[table]})::text, 'UTF8'))"


def _take(table: str) -> sa.TextClause:
    """Rows that no block holds: late ones from among the open numbers, then those after the largest."""
    digest = row_digest(table)
    return sa.text(f"""
        WITH digested AS (
            (SELECT late.* FROM unnest(CAST(:open AS int8multirange)) AS gap, LATERAL (
                SELECT id, {digest} AS digest FROM {table} WHERE id >= lower(gap) AND id < upper(gap)
                ORDER BY id LIMIT :rows) AS late LIMIT :rows)
            UNION ALL (SELECT id, {digest} FROM {table} WHERE id > :sealed_to ORDER BY id LIMIT :rows)
        )
        SELECT coalesce(range_agg(int8range(id, id, '[]')), '{{}}')::text AS rows,
            coalesce(string_agg(digest, ''::bytea ORDER BY id), '') AS digests, count(*) AS n,
            greatest(CAST(:sealed_to AS bigint), max(id)) AS sealed_to FROM digested""")


_LAST = sa.text(
    "SELECT number, hash, audit_to, history_to, audit_open::text, history_open::text FROM audit_block"
    " ORDER BY number DESC LIMIT 1"
)
# Numbers up to those of a block made before every transaction that still runs are not waited for any longer. Ten
# minutes besides: a number is taken a moment before its transaction has a number itself.
_SETTLED = sa.text(
    "SELECT audit_to, history_to FROM audit_block WHERE next_xid <= pg_snapshot_xmin(pg_current_snapshot())"
    " AND sealed_at < now() - make_interval(secs => :patience_s) ORDER BY number DESC LIMIT 1"
)
PATIENCE_S = 600.0
_Facts = Mapping[Any, Any] | None
_SEAL = sa.text("""
    INSERT INTO audit_block (number, sealed_at, audit_rows, history_rows, marks, previous_hash, hash, next_xid,
        audit_to, history_to, audit_open, history_open)
    VALUES (:number, to_timestamp(CAST(:sealed_us AS numeric) / 1000000), CAST(:audit_rows AS int8multirange),
        CAST(:history_rows AS int8multirange), :marks, :previous, :hash, CAST(:next_xid AS xid8), :audit_to,
        :history_to, CAST(:audit_open AS int8multirange), CAST(:history_open AS int8multirange))
""")
_MOMENT = sa.text(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us,"
    " pg_snapshot_xmax(pg_current_snapshot())::text AS next_xid"
)
_OPEN = sa.text("""
    SELECT ((CAST(:open AS int8multirange) + int8multirange(int8range(:was, :now, '(]'))
        - CAST(:rows AS int8multirange)) * int8multirange(int8range(:settled, NULL, '()')))::text
""")


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block: noted elsewhere, it proves later that nothing before it was rewritten."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


def head(session: Session) -> Head | None:
    """The newest block."""
    row = session.execute(_LAST).one_or_none()
    return None if row is None else Head(int(row.number), bytes(row.hash))


def seal(session: Writer, *, rows: int = BLOCK_ROWS, patience_s: float = PATIENCE_S) -> int | None:
    """Seals what was committed and is in no block yet into one block; the caller commits.

    Args:
        session: sees all rows; every statement a snapshot of its own (READ COMMITTED).
        rows: at most twice as many of either table.
        patience_s: how long at least a missing number is waited for.

    Returns:
        Number of rows sealed; None where another process is sealing.
    """
    if not session.execute(
        sa.text(f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, {LOCK_SEAL})")
    ).scalar_one():
        return None
    last = session.execute(_LAST).mappings().one_or_none()
    number, previous = (1, GENESIS) if last is None else (last["number"] + 1, bytes(last["hash"]))
    # Before anything is taken: what had ended by now is seen by the statements that follow.
    settled = session.execute(_SETTLED, {"patience_s": patience_s}).mappings().one_or_none()
    audit, history = (_taken(session, table, last, settled, rows) for table in ("audit", "event_history"))
    if audit.count + history.count == 0:
        return 0
    moment = session.execute(_MOMENT).one()
    digests, ranges = audit.digests + history.digests, (audit.rows, history.rows)
    session.execute(
        _SEAL,
        {
            "number": number,
            "sealed_us": moment.us,
            "audit_rows": audit.rows,
            "history_rows": history.rows,
            "marks": marks_of(digests),
            "previous": previous,
            "hash": block_hash(number, previous, moment.us, ranges, digests),
            "next_xid": moment.next_xid,
            "audit_to": audit.sealed_to,
            "history_to": history.sealed_to,
            "audit_open": audit.still_open,
            "history_open": history.still_open,
        },
    )
    return audit.count + history.count


@dataclass(frozen=True, slots=True)
class _Taken:
    rows: str
    digests: bytes
    count: int
    sealed_to: int
    still_open: str


def _taken(session: Writer, table: str, last: _Facts, settled: _Facts, rows: int) -> _Taken:
    name = "audit" if table == "audit" else "history"
    was, waited = (0, "{}") if last is None else (last[f"{name}_to"], last[f"{name}_open"])
    found = session.execute(_take(table), {"open": waited, "sealed_to": was, "rows": rows}).one()
    upto = 0 if settled is None else settled[f"{name}_to"]
    still_open = session.execute(
        _OPEN, {"open": waited, "was": was, "now": found.sealed_to, "rows": found.rows, "settled": upto}
    ).scalar_one()
    return _Taken(str(found.rows), bytes(found.digests), found.n, found.sealed_to, str(still_open))


def block_hash(
    number: int, previous: bytes, sealed_us: int, ranges: tuple[str, str], digests: bytes
) -> bytes:
    """SHA-256 over a line of the block's facts and the digests of its rows, audit first, each by number.

    Args:
        number: of the block, from 1.
        previous: hash of the block before, `GENESIS` for the first.
        sealed_us: microseconds since 1970.
        ranges: numbers of its rows of `audit` and of `event_history`, as PostgreSQL writes multiranges.
        digests: 32 bytes a row.
    """
    facts = f"{number} {previous.hex()} {sealed_us} {ranges[0]} {ranges[1]}\n"
    return hashlib.sha256(facts.encode() + digests).digest()


def marks_of(digests: bytes) -> bytes:
    """The first bytes of each digest."""
    return b"".join(digests[at : at + MARK_BYTES] for at in range(0, len(digests), 32))
