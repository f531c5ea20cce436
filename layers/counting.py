"""Counts of events by area and by hexagon: one GROUP BY each, rolled up in memory.

Everything that was received counts, whatever became of it. Whose events: gridmap.selection.
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import repeat

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.access import Clauses, Scope
from gridmap.selection import Selection, seen_as_asked
from gridmap.snapshot import NESTING, Snapshot
from gridmap.withholding import held
from layers import hexes

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]


def by_leaf(session: Session, snapshot: Snapshot, selection: Selection, rows: Rows | None) -> Ints:
    """Events whose finest area is a row, those of its descendants not included; a number a row.

    An event whose finest area the snapshot does not know (another edition has just begun) is left out.

    Args:
        session: any.
        snapshot: the edition in force.
        selection: its scope is not looked at, `rows` says it.
        rows: all nesting areas that the reader may see and is interested in; None means every one.
    """
    where, binds = selection.filters()
    if rows is not None:
        where += " AND leaf_now = ANY(:leaves)"
        binds["leaves"] = snapshot.code[rows].tolist()
    # Two strings instead of 7,000 rows: a third of the time that their objects take. No code has a comma. What lies in
    # no area is left out of them, not of the events: that is asked once instead of for each.
    statement = (
        "SELECT coalesce(string_agg(leaf_now, ','), ''),"
        " coalesce(string_agg(number::text, ',') FILTER (WHERE leaf_now IS NOT NULL), '')"
        f" FROM (SELECT leaf_now, count(*) AS number FROM event WHERE {where} GROUP BY leaf_now) AS counted"
    )
    # Said of the finest area also where no area has to be named; by paths a county's year took three times as long.
    with seen_as_asked(session, selection.scope, snapshot, {**binds, "leaves": ()}):
        leaves, numbers = session.execute(sa.text(statement), binds).one()
    counts = np.zeros(len(snapshot) + 1, dtype=np.int64)  # the last one takes what no row has
    if leaves:
        rows_found = list(map(snapshot.row.get, leaves.split(","), repeat(-1)))
        counts[rows_found] = np.fromstring(numbers, dtype=np.int64, sep=",")
    return counts[:-1]


def by_owner(
    session: Session, selection: Selection, snapshot: Snapshot, *, then: bool = False
) -> Mapping[str, int]:
    """Events by the code of the dedicated grid whose they are (or were, also if that no longer lives)."""
    where, binds = selection.where(snapshot)
    owner = "owner_then" if then else "owner_now"
    dedicated = "SELECT code FROM area_code WHERE kind = 'dedicated'"
    statement = (
        f"SELECT {owner}, count(*) FROM event"
        f" WHERE {where} AND {owner} = ANY(ARRAY({dedicated})) GROUP BY {owner}"
    )
    return {row[0]: row[1] for row in session.execute(sa.text(statement), binds)}


def by_path(
    session: Session, selection: Selection, snapshot: Snapshot, kind: str, *, then: bool = False
) -> Mapping[str, int]:
    """Events by the code of the areas of a kind that hold them, through the paths that an event carries.

    For kinds from which nothing hangs. Grouped as text: arrays of ltree have no hash here, and comparing each
    path with each area took 11 s where this takes one.
    """
    where, binds = selection.where(snapshot)
    column = "paths_then" if then else "paths_now"
    statement = f"SELECT {column}::text, count(*) FROM event WHERE {where} GROUP BY {column}::text"
    known = set(
        session.execute(sa.text("SELECT code FROM area_code WHERE kind = :kind"), {"kind": kind}).scalars()
    )
    counts: dict[str, int] = defaultdict(int)
    for paths, number in session.execute(sa.text(statement), binds):
        for path in paths.strip("{}").split(","):
            code = path.rpartition(".")[2]
            if code in known:
                counts[code] += number
    return counts


def by_cell(
    session: Session, snapshot: Snapshot, selection: Selection, res: int, within: int | None
) -> tuple[Ints, Ints]:
    """Cells at a resolution that hold events, ascending, and how many; `within` is a row of an area or None."""
    where, binds = selection.where(snapshot)
    if within is not None:
        where, binds = _within(snapshot, selection, within)
    statement = (
        f"SELECT {hexes.parent_sql('cell', res)}, count(*) FROM event WHERE {where} AND cell IS NOT NULL"
        " GROUP BY 1 ORDER BY 1"
    )
    with seen_as_asked(session, selection.scope, snapshot, binds):
        found = session.execute(sa.text(statement), binds).all()
    pairs = np.array([tuple(row) for row in found], dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _within(snapshot: Snapshot, selection: Selection, row: int) -> Clauses:
    if snapshot.kind[row] not in NESTING:
        where, binds = selection.where(snapshot)
        return f"{where} AND paths_now <@ CAST(:area_path AS ltree)", binds | {
            "area_path": snapshot.path[row]
        }
    where, binds = selection.filters()
    leaves = snapshot.code[held(below(snapshot, row), snapshot.path)]
    return f"{where} AND leaf_now = ANY(:leaves)", binds | {"leaves": leaves.tolist()}


def below(snapshot: Snapshot, row: int) -> Scope:
    """An area and all that hangs from it, as a scope."""
    return Scope((snapshot.path[row],))
