"""What the database holds, as rows for a file: areas, buildings, streets, and events without their text."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from boundaries.write import Table, default_crs, ending_of, write
from gridmap import crs
from gridmap import snapshot as snapshots
from gridmap.errors import InvalidInput, NotFound

CHUNK_ROWS: Final = 20_000
NOUNS: Final = ("areas", "buildings", "streets", "events")

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
# RFC 3339 as text: every kind of file can hold it, and a zone goes along.
_MOMENT = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


@dataclass(frozen=True)
class _Noun:
    columns: tuple[tuple[str, str, pa.DataType], ...]  # name, SQL, type
    source: str
    geometry: str
    geometry_type: str
    kind: str  # the column that --kind chooses by
    order: str


_AREAS = _Noun(
    columns=(
        ("code", "t.code", _TEXT),
        ("name", "t.name", _TEXT),
        ("kind", "t.kind", _TEXT),
        ("setting", "t.setting", _TEXT),
        ("parent", "t.parent", _TEXT),
        ("path", "t.path::text", _TEXT),
        ("households", "CASE WHEN :today THEN h.households END", _WHOLE),
        ("edition", ":edition", _WHOLE),
    ),
    source="area t LEFT JOIN household_count h ON h.code = t.code WHERE t.edition_from <= :edition"
    " AND (t.edition_to IS NULL OR t.edition_to > :edition)",
    geometry="t.geom",
    geometry_type="MultiPolygon",
    kind="t.kind",
    order="nlevel(t.path), t.code",
)
_BUILDINGS = _Noun(
    columns=(
        ("code", "t.code", _TEXT),
        ("name", "t.name", _TEXT),
        ("kind", "t.kind", _TEXT),
        ("households", "t.households", _WHOLE),
        ("keep_together", "t.keep_together", _TEXT),
        ("grid", "t.owner", _TEXT),
        ("area", "t.leaf", _TEXT),
        ("valid_from", "nullif(t.valid_from, '-infinity')::text", _TEXT),
        ("valid_to", "t.valid_to::text", _TEXT),
    ),
    source="building t WHERE t.valid_from <= :day AND (t.valid_to IS NULL OR t.valid_to > :day)",
    geometry="t.geom",
    geometry_type="Unknown",
    kind="t.kind",
    order="t.id",
)
_STREETS = _Noun(
    columns=(("code", "t.code", _TEXT), ("name", "t.name", _TEXT), ("class", "t.class", _TEXT)),
    source="street t WHERE true",
    geometry="t.geom",
    geometry_type="MultiLineString",
    kind="t.class",
    order="t.id",
)
_EVENTS = _Noun(
    columns=(
        ("id", "t.id", _WHOLE),
        ("source", "t.source", _TEXT),
        ("external_id", "t.external_id", _TEXT),
        ("category", "t.category", _TEXT),
        ("subcategory", "t.subcategory", _TEXT),
        ("urgency", "t.urgency", _TEXT),
        ("occurred_at", _MOMENT.format("t.occurred_at"), _TEXT),
        ("reported_at", _MOMENT.format("t.reported_at"), _TEXT),
        ("status", "t.status", _TEXT),
        ("method", "t.method", _TEXT),
        ("distance_m", "t.distance_m", _REAL),
        ("edition", "t.edition", _WHOLE),
        ("grid", "t.owner_now", _TEXT),
        ("area", "t.leaf_now", _TEXT),
        ("worker", "(SELECT w.code FROM worker w WHERE w.id = t.worker)", _TEXT),
        ("unit", "(SELECT u.code FROM unit u WHERE u.id = t.unit)", _TEXT),
    ),
    source="event t WHERE t.occurred_at <= :moment",
    geometry="t.geom",
    geometry_type="Point",
    kind="t.category",
    order="t.occurred_at, t.id",
)
_NOUNS: Final = {"areas": _AREAS, "buildings": _BUILDINGS, "streets": _STREETS, "events": _EVENTS}


def dump(
    session: Session,
    noun: str,
    path: Path,
    *,
    kind: str | None = None,
    system: str | None = None,
    at: dt.datetime | None = None,
    today: dt.date,
    mark: Mapping[str, object] | None = None,
) -> int:
    """Writes what is stored, or was at a moment, into a file; returns the number of rows.

    Args:
        session: a reader; rows are fetched as they are written.
        noun: one of `NOUNS`.
        path: the file; its ending decides the kind.
        kind: only areas or buildings of a kind, streets of a class, events of a category.
        system: reference system; None means CGCS2000 for GeoPackage and Shapefile, else WGS-84.
        at: areas by the edition in force then, buildings of that day, events that had occurred; None is now.
            Household counts of areas are those of today and are left out for other moments.
        today: the local day of `at`, or of now.
        mark: goes along with the file, with the edition in force.

    Raises:
        InvalidInput: the ending or the reference system is unknown, or the file cannot be written.
        NotFound: no edition was in force at that moment.
    """
    ending = ending_of(path)
    system = crs.normalise(system) if system else default_crs(path)
    what = _NOUNS[noun]
    values: dict[str, Any] = {"kind": kind}
    edition = snapshots.current_edition(session, at)
    if noun == "areas":
        if edition is None:
            raise NotFound("No areas were loaded at that moment", code="no_boundaries")
        values |= {"edition": edition, "today": at is None}
    elif noun == "buildings":
        values |= {"day": today}
    elif noun == "events":
        values |= {"moment": at or dt.datetime.now(dt.UTC)}
    geometry, geometry_type = what.geometry, what.geometry_type
    if noun == "buildings":
        geometry, geometry_type = _building_geometry(session, ending)
    condition = f" AND {what.kind} = :kind" if kind else ""
    columns = ", ".join(sql for _, sql, _ in what.columns)
    statement = (
        f"SELECT {columns}, ST_AsBinary({geometry}) FROM {what.source}{condition} ORDER BY {what.order}"
    )
    schema = pa.schema([pa.field(name, kind_of) for name, _, kind_of in what.columns])
    chunks = _chunks(session, statement, values, system)
    marked = {**mark, "edition": edition} if mark else {}
    return write(path, Table(noun, schema, geometry_type, system, chunks, marked))


def _building_geometry(session: Session, ending: str) -> tuple[str, str]:
    """Footprints and points side by side where the file can hold both; else what all have."""
    points, others = session.execute(
        sa.text(
            "SELECT EXISTS (SELECT FROM building WHERE GeometryType(geom) = 'POINT'),"
            " EXISTS (SELECT FROM building WHERE GeometryType(geom) <> 'POINT')"
        )
    ).one()
    if points and others and ending == ".shp":
        return "t.place", "Point"
    if points and not others:
        return "t.geom", "Point"
    return ("t.geom", "Unknown") if points else ("ST_Multi(t.geom)", "MultiPolygon")


def _chunks(
    session: Session, statement: str, values: dict[str, Any], system: str
) -> Iterator[tuple[list[list[Any]], NDArray[np.object_]]]:
    """Rows of a statement as columns and geometry, fetched by a cursor on the server."""
    rows = session.execute(
        sa.text(statement), values, execution_options={"stream_results": True, "yield_per": CHUNK_ROWS}
    )
    for block in rows.partitions():
        columns = [list(column) for column in zip(*block, strict=True)]
        wkb = np.array([None if each is None else bytes(each) for each in columns.pop()], dtype=object)
        yield columns, converted(np.asarray(shapely.from_wkb(wkb), dtype=object), system)


def converted(geometry: NDArray[np.object_], system: str) -> NDArray[np.object_]:
    """Geometry of the database in another reference system.

    Raises:
        InvalidInput: `out_of_range`.
    """
    if system in {"wgs84", "cgcs2000"}:
        return geometry
    converted = np.asarray(
        shapely.transform(
            geometry,
            lambda xy: np.column_stack(crs.convert(xy[:, 0], xy[:, 1], "wgs84", system)),
        ),
        dtype=object,
    )
    if not np.isfinite(shapely.get_coordinates(converted)).all():
        raise InvalidInput(f"some places lie outside of what {system} covers", code="out_of_range")
    return converted
