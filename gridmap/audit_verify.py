"""Does the chain still fit: every row that was sealed, every block, and nothing put between."""

import hmac
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.audit_chain import GENESIS, MARK_BYTES, Head, block_hash, marks_of, row_digest

_BLOCKS = sa.text(
    "SELECT number, (extract(epoch FROM sealed_at) * 1000000)::bigint AS sealed_us, audit_rows::text,"
    " history_rows::text, marks, previous_hash, hash FROM audit_block WHERE number > :after ORDER BY number LIMIT 1"
)
TABLES = ("audit", "event_history")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What does not fit: in which block, and in which row where it is a row."""

    block: int | None
    table: str | None
    row: int | None
    message: str

    def __str__(self) -> str:
        block = f"block {self.block}" if self.block is not None else "in no block"
        row = f", {self.table} row {self.row}" if self.row is not None else ""
        return f"{block}{row}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found.

    Attributes:
        flaw: the first thing that does not fit, or None.
        blocks, rows: how many were checked and fit.
        unsealed: rows that no block holds yet.
        head: the newest block that was checked, None where there is none.
    """

    flaw: Flaw | None
    blocks: int
    rows: int
    unsealed: int
    head: Head | None


def verify(session: Session, anchor: Head | None = None) -> Verdict:
    """Recomputes the chain from its first block to its newest.

    Args:
        session: sees all rows.
        anchor: a block's number and hash noted earlier, outside the database: a chain that was rewritten whole,
            or cut off before it, does not fit it.
    """
    previous, number, rows, anchored = GENESIS, 0, 0, anchor is None
    while (block := session.execute(_BLOCKS, {"after": number}).one_or_none()) is not None:
        number += 1
        flaw, checked = _check(session, block, number, previous)
        if flaw is None and anchor is not None and anchor.number == number:
            anchored = hmac.compare_digest(anchor.hash, bytes(block.hash))
            if not anchored:
                flaw = Flaw(number, None, None, "is not the block that was noted: the chain was rewritten")
        if flaw is not None:
            return Verdict(flaw, number - 1, rows, 0, Head(number - 1, previous) if number > 1 else None)
        previous, rows = bytes(block.hash), rows + checked
    last = Head(number, previous) if number else None
    if not anchored and anchor is not None:
        message = f"the noted block {anchor.number} is not there: the chain ends with {number}"
        return Verdict(Flaw(None, None, None, message), number, rows, 0, last)
    flaw, unsealed = _outside(session)
    return Verdict(flaw, number, rows, unsealed, last)


def _check(session: Session, block: Any, number: int, previous: bytes) -> tuple[Flaw | None, int]:
    if block.number != number:
        return Flaw(number, None, None, f"is missing: the next one is {block.number}"), 0
    if bytes(block.previous_hash) != previous:
        return Flaw(number, None, None, "does not follow the block before it"), 0
    marks, digests, count = bytes(block.marks), b"", 0
    for table, ranges in zip(TABLES, (block.audit_rows, block.history_rows), strict=True):
        found = session.execute(_sealed(table), {"ranges": ranges}).one()
        if found.missing is not None:
            return Flaw(number, table, found.missing, "is missing"), 0
        for at, row in enumerate(_numbers(ranges)):
            place = (count + at) * MARK_BYTES
            if found.digests[at * 32 : at * 32 + MARK_BYTES] != marks[place : place + MARK_BYTES]:
                return Flaw(number, table, row, "is not what was sealed"), 0
        digests += bytes(found.digests)
        count += found.n
    ranges = (block.audit_rows, block.history_rows)
    if marks != marks_of(digests) or bytes(block.hash) != block_hash(
        number, previous, block.sealed_us, ranges, digests
    ):
        return Flaw(number, None, None, "its hash does not fit its content"), 0
    return None, count


def _sealed(table: str) -> sa.TextClause:
    return sa.text(f"""
        WITH found AS (
            SELECT those.* FROM unnest(CAST(:ranges AS int8multirange)) AS part, LATERAL (
                SELECT id, {row_digest(table)} AS digest FROM {table}
                WHERE id >= lower(part) AND id < upper(part) ORDER BY id LIMIT 1000000) AS those
        ), together AS (
            SELECT coalesce(string_agg(digest, ''::bytea ORDER BY id), '') AS digests, count(*) AS n,
                coalesce(range_agg(int8range(id, id, '[]')), '{{}}') AS ids FROM found
        )
        SELECT digests, n, lower(CAST(:ranges AS int8multirange) - ids) AS missing FROM together""")


def _numbers(ranges: str) -> Iterator[int]:
    """The numbers in a multirange of bigint as PostgreSQL writes it: `{[1,4),[7,8)}`."""
    bounds = [int(part) for part in ranges.strip("{}").replace("[", "").replace(")", "").split(",") if part]
    return itertools.chain.from_iterable(
        range(low, high) for low, high in zip(bounds[::2], bounds[1::2], strict=True)
    )


def _outside(session: Session) -> tuple[Flaw | None, int]:
    """Rows that no block holds: new ones wait to be sealed, others were put between sealed ones."""
    unsealed = 0
    for table, name in zip(TABLES, ("audit", "history"), strict=True):
        row = session.execute(
            sa.text(f"""
            WITH last AS (
                SELECT number, {name}_to AS upto, {name}_open AS waited FROM audit_block
                UNION ALL SELECT 0, 0, '{{}}' ORDER BY number DESC LIMIT 1
            ), outside AS (
                SELECT int8multirange(int8range(0, upto, '(]')) - waited
                    - coalesce((SELECT range_agg(part) FROM audit_block, unnest({name}_rows) AS part), '{{}}') AS ids
                FROM last
            )
            SELECT (SELECT min(those.id) FROM outside, unnest(ids) AS part, LATERAL (SELECT id FROM {table}
                    WHERE id >= lower(part) AND id < upper(part) ORDER BY id LIMIT 1) AS those) AS between_sealed,
                (SELECT count(*) FROM {table}, last WHERE id > upto OR waited @> id) AS unsealed,
                (SELECT min(id) FROM {table}) AS least""")
        ).one()
        stray = row.least if row.least is not None and row.least < 1 else row.between_sealed
        if stray is not None:
            return Flaw(None, table, stray, "was put between rows that are sealed"), 0
        unsealed += row.unsealed
    return None, unsealed
