"""Counts by the boundaries as they were when each event occurred.

An event keeps the finest area that held it then. What that area hung from is looked up in the edition in force
at the time, so that a grid that has since moved to another parent counts for the old one. Codes that no longer
live are listed too, with name, path and outline as they last were.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.selection import Selection
from gridmap.snapshot import Snapshot
from gridmap.withholding import Tree


@dataclass(frozen=True)
class Retired:
    """Areas that no longer live, as parallel arrays; `parent` is the code of what they last hung from."""

    code: NDArray[np.object_]
    kind: NDArray[np.object_]
    name: NDArray[np.object_]
    path: NDArray[np.object_]
    geom: NDArray[np.object_]
    edition: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.code)


def by_area_then(session: Session, snapshot: Snapshot, selection: Selection) -> Mapping[str, int]:
    """Events by the code of every area that held them when they occurred, from the finest to the largest."""
    editions = _editions(session, selection)
    where, binds = selection.where(snapshot)
    bucket = "0"
    if len(editions) > 1:
        bucket = "width_bucket(occurred_at, CAST(:moments AS timestamptz[]))"
        binds["moments"] = [moment for _, moment in editions[1:]]
    found = session.execute(
        sa.text(
            f"SELECT {bucket} AS bucket, leaf_then, count(*) FROM event"
            f" WHERE {where} AND leaf_then IS NOT NULL GROUP BY 1, 2"
        ),
        binds,
    ).all()
    paths = _paths(session, {row[1] for row in found})
    totals: dict[str, int] = defaultdict(int)
    for number, leaf, count in found:
        edition = editions[number][0]
        for first, last, path in paths.get(leaf, ()):
            if first <= edition and (last is None or edition < last):
                for code in path.split("."):
                    totals[code] += count
                break
    return totals


def _editions(session: Session, selection: Selection) -> list[tuple[int, object]]:
    """Editions in force at some time of the period, in their order, each with the moment it began."""
    rows = session.execute(
        sa.text(
            "SELECT id, greatest(in_force_from, '0001-01-01 UTC') FROM edition"
            " WHERE in_force_from < :until ORDER BY in_force_from"
        ),
        {"until": selection.period.until},
    ).all()
    begun = [number for number, row in enumerate(rows) if row[1] <= selection.period.since]
    return [(row[0], row[1]) for row in rows[begun[-1] if begun else 0 :]]


def _paths(session: Session, codes: set[str]) -> dict[str, list[tuple[int, int | None, str]]]:
    rows = session.execute(
        sa.text("SELECT code, edition_from, edition_to, path::text FROM area WHERE code = ANY(:codes)"),
        {"codes": sorted(codes)},
    ).all()
    paths: dict[str, list[tuple[int, int | None, str]]] = defaultdict(list)
    for code, first, last, path in rows:
        paths[code].append((first, last, path))
    return paths


def retired(session: Session, snapshot: Snapshot, codes: set[str]) -> Retired:
    """Those of the codes that the snapshot does not know, as they last were."""
    rows = session.execute(
        sa.text(
            "SELECT DISTINCT ON (code) code, kind, name, path::text, ST_AsBinary(geom), edition_from FROM area"
            " WHERE code = ANY(:codes) ORDER BY code, edition_from DESC"
        ),
        {"codes": sorted(codes - snapshot.row.keys())},
    ).all()
    columns = [np.empty(len(rows), dtype=object) for _ in range(5)]
    for number, column in enumerate(columns):
        column[:] = [row[number] for row in rows]
    code, kind, name, path, wkb = columns
    geom = shapely.from_wkb(wkb) if len(rows) else wkb
    return Retired(code, kind, name, path, geom, np.array([row[5] for row in rows], dtype=np.int64))


def nothing() -> Retired:
    """No area that no longer lives."""
    none = np.empty(0, dtype=object)
    return Retired(none, none, none, none, none, np.empty(0, dtype=np.int64))


def grown(snapshot: Snapshot, tree: Tree, gone: Retired) -> tuple[Tree, Mapping[str, int]]:
    """The tree of a snapshot with retired areas behind it, and the number of every code in it."""
    if not len(gone):
        return tree, snapshot.row
    number = snapshot.row | {code: len(snapshot) + place for place, code in enumerate(gone.code)}
    above = [path.split(".")[-2] if "." in path else "" for path in gone.path]
    parent = np.array([number.get(code, -1) for code in above], dtype=np.intp)
    grown_tree = Tree(
        np.concatenate([tree.kind, gone.kind]),
        np.concatenate([tree.path, gone.path]),
        np.concatenate([tree.parent, parent]),
    )
    return grown_tree, number
