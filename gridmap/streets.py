"""Storing streets, rivers and railways in bulk: staged by COPY, then taken over whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from gridmap import staging
from gridmap.buildings import Duplicate, Stored
from gridmap.db import Writer, copy_text

CLASSES: Final = ("motorway", "main", "street", "lane", "path", "river", "railway")

_STAGED = ("row", "code", "name", "class", "geom")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetDrafts:
    """Some streets as a file gives them, as parallel columns; `geom` MultiLineStrings in EPSG:4326.

    A street without a code is known by its shape.
    """

    row: NDArray[np.int64]
    code: Sequence[str | None]
    name: Sequence[str]
    class_: Sequence[str]
    geom: NDArray[np.object_]


class StreetLoad:
    """One load of streets inside the session's transaction; its owner commits."""

    def __init__(self, session: Writer) -> None:
        self._session = session
        session.execute(sa.text("DROP TABLE IF EXISTS street_in"))
        session.execute(
            sa.text(
                "CREATE TEMPORARY TABLE street_in (row bigint, code text, name text, class text,"
                " geom geometry) ON COMMIT DROP"
            )
        )

    def add(self, drafts: StreetDrafts) -> None:
        """Stages some streets."""
        block = staging.block(
            staging.numbers(drafts.row),
            staging.texts(drafts.code),
            staging.texts(drafts.name),
            staging.texts(drafts.class_),
            staging.geometries(drafts.geom),
        )
        copy_text(self._session, "street_in", _STAGED, [block])

    def duplicates(self) -> list[Duplicate]:
        """Rows whose code stood in the file before; they are taken out of the load."""
        rows = self._session.execute(
            sa.text(
                "DELETE FROM street_in i USING (SELECT code, min(row) AS first FROM street_in"
                " GROUP BY code HAVING count(*) > 1) AS d WHERE i.code = d.code AND i.row > d.first"
                " RETURNING i.row, i.code, d.first, ST_X(ST_PointN(ST_GeometryN(i.geom, 1), 1)),"
                " ST_Y(ST_PointN(ST_GeometryN(i.geom, 1), 1))"
            )
        )
        return sorted((Duplicate(*row) for row in rows), key=lambda each: each.row)

    def store(self) -> Stored:
        """Takes the staged streets over: by code, and without one by shape."""
        run = self._run
        self._session.execute(sa.text("ANALYZE street_in"))
        staged = self._session.execute(sa.text("SELECT count(*) FROM street_in")).scalar_one()
        changed = run(
            "UPDATE street s SET name = i.name, class = i.class, geom = i.geom FROM street_in i"
            " WHERE s.code = i.code"
            " AND (s.name, s.class, s.geom) IS DISTINCT FROM (i.name, i.class, i.geom)"
        )
        changed += run(
            "UPDATE street s SET name = i.name, class = i.class FROM street_in i"
            " WHERE s.code IS NULL AND i.code IS NULL AND s.geom = i.geom"
            " AND (s.name, s.class) <> (i.name, i.class)"
        )
        created = run(
            "INSERT INTO street (code, name, class, geom) SELECT code, name, class, geom FROM street_in i"
            " WHERE NOT EXISTS (SELECT FROM street s WHERE s.code = i.code)"
            " AND NOT EXISTS (SELECT FROM street s WHERE s.code IS NULL AND i.code IS NULL"
            " AND s.geom = i.geom) ORDER BY i.geom"
        )
        return Stored(created, changed, staged - changed - created)

    def _run(self, statement: str) -> int:
        return int(self._session.execute(sa.text(statement)).rowcount)  # type: ignore[attr-defined]  # DML has it
