"""Storing buildings in bulk: staged by COPY, then taken over whole.

A building whose count or shape changes closes its old row and opens a new one, so that the households of any
day stay known. What a file does not name stays as it is.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray

from gridmap import staging
from gridmap.db import Writer, copy_text, lock_edition
from gridmap.errors import Conflict
from gridmap.households import count_households
from gridmap.index import Places
from gridmap.snapshot import Snapshot, outermost

DEFAULT_KIND = "residential"
_STAGED = (
    "row", "code", "name", "kind", "households", "geom", "place", "leaf", "owner", "paths", "keep_together",
)  # fmt: skip
_TAKEN = "code, name, kind, households, geom, place, leaf, owner, paths, keep_together"
# Kinds of file turn rings round and wrap single parts; that is no other shape.
_DIFFERS = (
    "(b.households <> i.households OR (NOT b.geom = i.geom"
    " AND NOT ST_Normalize(ST_Multi(b.geom)) = ST_Normalize(ST_Multi(i.geom))))"
)
_SAME_LIVING = "b.code = i.code AND b.valid_to IS NULL"
# What a file does not say stays as it is: name, kind, group, and the footprint where a count comes with a point in it.
_UNSAID = (
    (
        "UPDATE building_in i SET name = coalesce(i.name, b.name), kind = coalesce(i.kind, b.kind),"
        " keep_together = coalesce(i.keep_together, b.keep_together) FROM building b"
        f" WHERE {_SAME_LIVING} AND (i.name IS NULL OR i.kind IS NULL OR i.keep_together IS NULL)"
    ),
    (
        "UPDATE building_in i SET geom = b.geom, place = b.place, leaf = b.leaf, owner = b.owner, paths = b.paths"
        f" FROM building b WHERE {_SAME_LIVING} AND ST_Dimension(i.geom) = 0 AND ST_Dimension(b.geom) = 2"
        " AND ST_Covers(b.geom, i.geom)"
    ),
    (
        f"UPDATE building_in SET name = coalesce(name, ''), kind = coalesce(kind, '{DEFAULT_KIND}'),"
        " keep_together = nullif(keep_together, '') WHERE name IS NULL OR kind IS NULL OR keep_together = ''"
    ),
)
_NOW_IS = (
    "name = i.name, kind = i.kind, households = i.households, geom = i.geom, place = i.place,"
    " leaf = i.leaf, owner = i.owner, paths = i.paths, keep_together = i.keep_together"
)

# A building is added where two levels above its grid buildings stood before; otherwise it came with the first load of
# the land around it. Neighbours are stored side by side: the spatial indexes are built in half the time.
_OPENED = (
    f"SELECT {', '.join(f'i.{name}' for name in _TAKEN.split(', '))},"
    " CASE WHEN o.code IS NULL THEN '-infinity' ELSE CAST(:today AS date) END,"
    " CASE WHEN o.code IS NOT NULL THEN o.added_in WHEN h.buildings > 0 THEN :edition END"
    " FROM building_in i"
    " LEFT JOIN (SELECT DISTINCT ON (code) code, added_in FROM building ORDER BY code, id DESC) o ON o.code = i.code"
    " LEFT JOIN area a ON a.code = i.leaf AND a.edition_from <= :edition"
    " AND (a.edition_to IS NULL OR a.edition_to > :edition)"
    " LEFT JOIN household_count h ON h.code = ltree2text(subpath(a.path, greatest(nlevel(a.path) - 3, 0), 1))"
    " WHERE NOT EXISTS (SELECT FROM building b WHERE b.code = i.code AND b.valid_to IS NULL)"
    " ORDER BY i.place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingDrafts:
    """Some buildings as a file gives them, as parallel columns.

    Attributes:
        row: in the file, for findings.
        name: None where the file does not say, as with `kind` and `keep_together`: what was said before stays.
        households: resident households, 0 or more.
        geom: points or (multi)polygons in EPSG:4326. A point in the footprint that is known leaves that.
        keep_together: what a redraw shall not tear apart: a compound, a villagers' group; empty for nothing.
    """

    row: NDArray[np.int64]
    code: Sequence[str]
    name: Sequence[str] | None
    kind: Sequence[str] | None
    households: NDArray[np.int64]
    geom: NDArray[np.object_]
    keep_together: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What a load did: rows created, changed, and found stored already."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A code that stands in a file more than once."""

    row: int
    code: str
    first_row: int
    lon: float
    lat: float


class BuildingLoad:
    """One load of buildings inside the session's transaction.

    Args:
        session: its owner commits.
        snapshot: the edition in force, by which the buildings get their areas.

    Raises:
        Conflict: no boundaries are loaded; buildings belong to areas.
    """

    def __init__(self, session: Writer, snapshot: Snapshot) -> None:
        if snapshot.edition == 0:
            raise Conflict(
                "No boundaries are loaded yet: gridmap load areas FILE --commit", code="no_boundaries"
            )
        self._session, self._snapshot = session, snapshot
        # A publication in between would leave these with the owners of a superseded edition.
        lock_edition(session, exclusive=False)
        session.execute(sa.text("DROP TABLE IF EXISTS building_in"))
        session.execute(
            sa.text(
                "CREATE TEMPORARY TABLE building_in (row bigint, code text, name text, kind text,"
                " households integer, geom geometry, place geometry, leaf text, owner text, paths ltree[],"
                " keep_together text)"
                " ON COMMIT DROP"
            )
        )

    def add(self, drafts: BuildingDrafts) -> NDArray[np.bool_]:
        """Finds the areas of some buildings and stages them; returns which of them lie in any area."""
        inside = shapely.get_type_id(drafts.geom) == shapely.GeometryType.POINT
        place = drafts.geom.copy()
        place[~inside] = shapely.point_on_surface(place[~inside])
        snapshot = self._snapshot
        found = snapshot.index.locate(shapely.get_x(place), shapely.get_y(place), 0.0)
        shapes = staging.geometries(drafts.geom)
        unsaid = [None] * len(drafts.code)
        block = staging.block(
            staging.numbers(drafts.row),
            staging.texts(drafts.code),
            staging.texts(drafts.name or unsaid),
            staging.texts(drafts.kind or unsaid),
            staging.numbers(drafts.households),
            shapes,
            shapes if inside.all() else staging.geometries(place),
            staging.texts(snapshot.codes(found.leaf)),
            staging.texts(snapshot.codes(found.owner)),
            staging.arrays(_paths(snapshot, found)),
            staging.texts(drafts.keep_together or unsaid),
        )
        copy_text(self._session, "building_in", _STAGED, [block])
        held: NDArray[np.bool_] = found.method != "none"
        return held

    def duplicates(self) -> list[Duplicate]:
        """Rows whose code stood in the file before; they are taken out of the load."""
        rows = self._session.execute(
            sa.text(
                "DELETE FROM building_in i USING (SELECT code, min(row) AS first FROM building_in"
                " GROUP BY code HAVING count(*) > 1) AS d WHERE i.code = d.code AND i.row > d.first"
                " RETURNING i.row, i.code, d.first, ST_X(place), ST_Y(place)"
            )
        )
        return sorted((Duplicate(*row) for row in rows), key=lambda each: each.row)

    def drop(self, rows: Sequence[int]) -> None:
        """Takes rows that turned out impossible out of the load."""
        self._session.execute(sa.text("DELETE FROM building_in WHERE row = ANY(:rows)"), {"rows": list(rows)})

    def store(self, today: dt.date) -> Stored:
        """Takes the staged buildings over and counts households anew.

        Args:
            today: from when changed counts and shapes hold; a second change that day replaces the first.
        """
        run = self._run
        session = self._session
        session.execute(sa.text("ANALYZE building_in"))
        for statement in _UNSAID:
            session.execute(sa.text(statement))
        staged = session.execute(sa.text("SELECT count(*) FROM building_in")).scalar_one()
        corrected = run(
            f"UPDATE building b SET {_NOW_IS} FROM building_in i"
            f" WHERE {_SAME_LIVING} AND b.valid_from >= :today AND {_DIFFERS}",
            today,
        )
        renamed = run(
            "UPDATE building b SET name = i.name, kind = i.kind, keep_together = i.keep_together"
            f" FROM building_in i WHERE {_SAME_LIVING} AND (b.name, b.kind, b.keep_together)"
            f" IS DISTINCT FROM (i.name, i.kind, i.keep_together) AND NOT {_DIFFERS}"
        )
        closed = run(
            "UPDATE building b SET valid_to = :today FROM building_in i"
            f" WHERE {_SAME_LIVING} AND b.valid_from < :today AND {_DIFFERS}",
            today,
        )
        opened = run(
            f"INSERT INTO building ({_TAKEN}, valid_from, added_in) {_OPENED}",
            today,
        )
        changed = corrected + renamed + closed
        if changed or opened:
            count_households(session)
        return Stored(opened - closed, changed, staged - changed - (opened - closed))

    def _run(self, statement: str, today: dt.date | None = None) -> int:
        done = self._session.execute(sa.text(statement), {"today": today, "edition": self._snapshot.edition})
        return int(done.rowcount)  # type: ignore[attr-defined]  # the result of a DML statement has it


def _paths(snapshot: Snapshot, found: Places) -> list[list[str]]:
    """Paths of all areas that hold each place, as `Snapshot.paths_of`, for a million of them.

    A dictionary by the bytes of a row takes a fifth of the time of `numpy.unique` over rows.
    """
    held = np.column_stack(list(found.holds.values()))
    known: dict[bytes, list[str]] = {}
    paths: list[list[str]] = []
    width = held.itemsize * held.shape[1]
    flat = np.ascontiguousarray(held).tobytes()
    for at in range(len(held)):
        key = flat[at * width : (at + 1) * width]
        if key not in known:
            rows = [row for row in held[at].tolist() if row >= 0]
            known[key] = outermost(snapshot.path[row] for row in rows) if rows else []
        paths.append(known[key])
    return paths
