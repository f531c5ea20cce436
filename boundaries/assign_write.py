"""Writes points with their answers into a file of any kind; the file appears whole or not at all."""

import csv
import gzip
import io
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa
import shapely

from boundaries import assign_values as values
from boundaries.assign_answer import PACKED, Answers, widened
from boundaries.assign_parquet import Layout, ParquetPoints, geo_metadata
from boundaries.assign_source import Points
from boundaries.places import System
from boundaries.write import DRIVERS, SHEET_ROWS, Table, ending_of, layer_options, write
from gridmap.errors import InvalidInput

Answered = Iterable[tuple[pa.RecordBatch, Answers]]
GEOMETRY: Final = "geometry"
MARK: Final = "\ufeff"  # Excel takes CSV for UTF-8 only where it begins with a mark


@dataclass(frozen=True)
class Rows:
    """What is to be written.

    Attributes:
        points: the file that the rows come from.
        system: of its places.
        names: of the three new columns.
        answered: batches with their answers, in the file's order.
    """

    points: Points
    system: System
    names: Sequence[str]
    answered: Answered


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A name in a hidden folder beside the target; what stands there in the end moves to the target.

    Whatever ends the work earlier leaves nothing behind; only a process that was killed outright may leave the
    hidden folder, `.NAME.….partial`.

    Raises:
        InvalidInput: the folder is not there or cannot be written, or the disk is full.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise InvalidInput(f"{out.parent}: cannot be written ({error.strerror})", code="bad_file") from error
    try:
        yield folder / out.name
        made = sorted(folder.iterdir(), key=lambda each: each.name == out.name)
        for each in made:  # a Shapefile's .shp comes last
            each.replace(out.parent / each.name)
    except OSError as error:
        reason = error.strerror or (str(error).splitlines() or ["cannot be written"])[0]
        raise InvalidInput(f"{out}: {reason}; nothing was written", code="bad_file") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_rows(path: Path, rows: Rows) -> None:
    """Writes a file by its ending.

    Raises:
        InvalidInput: the kind cannot hold the rows.
        OSError: the disk is full, or the like.
    """
    ending = ending_of(path)
    if ending in {".parquet", ".geoparquet"}:
        schema, layout = parquet_form(rows.points, rows.system, rows.names)
        write_parquet(path, schema, layout, rows.answered)
    elif ending in {".csv", ".csv.gz"}:
        _write_csv(path, rows)
    elif ending == ".xlsx":
        _write_sheet(path, rows)
    elif ending in {".geojson", ".json"}:
        _write_geojson(path, rows)
    else:
        _write_gdal(path, rows, DRIVERS[ending])


def parquet_form(points: Points, system: System, names: Sequence[str]) -> tuple[pa.Schema, Layout]:
    """Schema and layout of the output in Parquet: those of the input where it is Parquet too."""
    schema = widened(points.schema, names)
    if isinstance(points, ParquetPoints):
        return schema, points.layout
    if points.geometry is not None:
        schema = geo_metadata(schema, points.geometry, _definition(system))
    return schema, Layout(tuple(points.schema.names), {}, ())


def write_parquet(path: Path, schema: pa.Schema, layout: Layout, answered: Answered) -> None:
    """Writes a Parquet file, a row group for every batch."""
    packed = packed_schema(schema)
    with layout.writer(path, schema, packed) as writer:
        for batch, answers in answered:
            table = pa.Table.from_arrays([*batch.columns, *answers.columns], schema=packed)
            writer.write_table(table, max(batch.num_rows, 1))


def packed_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of an output with the answers' own types for the three columns at its end."""
    kept = pa.schema(list(schema)[: -len(PACKED)], schema.metadata)
    return widened(kept, schema.names[-len(PACKED) :], PACKED)


def _definition(system: System) -> str | None:
    """The reference system as GDAL and pyproj know it; GCJ-02 and BD-09 have no number and are left undefined."""
    names = {"wgs84": "EPSG:4326", "cgcs2000": "EPSG:4490", "gcj02": None, "bd09": None}
    return system.definition or names.get(system.name, system.name)


def _columns(rows: Rows, batch: pa.RecordBatch) -> Iterator[tuple[pa.Array, bool]]:
    """Columns of the input, and whether each is the file's geometry."""
    for name, column in zip(rows.points.schema.names, batch.columns, strict=True):
        yield column, name == rows.points.geometry


def _write_csv(path: Path, rows: Rows) -> None:
    header = io.StringIO(newline="")
    csv.writer(header, lineterminator="\n").writerow([*rows.points.schema.names, *rows.names])
    mark = MARK if getattr(rows.points, "marked", True) else ""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with cast("IO[bytes]", opened(path, "wb")) as stream:
        stream.write((mark + header.getvalue()).encode())
        for batch, answers in rows.answered:
            arrays = [
                values.wkt(column) if is_geometry else values.for_csv(column)
                for column, is_geometry in _columns(rows, batch)
            ]
            arrays += [values.for_csv(column) for column in answers.columns]
            stream.write(values.csv_lines(arrays))


def _write_sheet(path: Path, rows: Rows) -> None:
    from openpyxl import Workbook  # noqa: PLC0415  # 0.2 s
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.utils.exceptions import IllegalCharacterError  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet("assign")

    def cell(value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("="):
            return value
        made = WriteOnlyCell(sheet, value)
        made.data_type = "s"  # text, not a formula
        return made

    sheet.append([cell(name) for name in (*rows.points.schema.names, *rows.names)])
    done = 0
    try:
        for batch, answers in rows.answered:
            if done + batch.num_rows > SHEET_ROWS:
                raise InvalidInput(
                    f"a sheet holds {SHEET_ROWS} rows at most; choose another kind of file",
                    code="too_many_rows",
                )
            columns = [
                values.for_sheet(values.wkt(column) if is_geometry else column)
                for column, is_geometry in _columns(rows, batch)
            ]
            columns += [values.for_sheet(column) for column in answers.columns]
            for row in zip(*columns, strict=True):
                done += 1
                sheet.append([cell(value) for value in row])
    except IllegalCharacterError as error:
        raise InvalidInput(
            f"{rows.points.path.name}, row {done}: a control character, which no sheet can hold; choose another"
            " kind of file",
            code="bad_value",
        ) from error
    finally:
        book.save(path)  # also what is given up: openpyxl would leave its own temporary file


def _write_geojson(path: Path, rows: Rows) -> None:
    """Points in WGS-84, as RFC 7946 wants them; other geometry is not carried along."""
    kept = [name for name in rows.points.schema.names if name != rows.points.geometry]

    def chunks() -> Iterator[tuple[list[list[Any]], Any]]:
        for batch, answers in rows.answered:
            columns = [
                values.for_json(column) for column, is_geometry in _columns(rows, batch) if not is_geometry
            ]
            columns += [values.for_json(column) for column in answers.columns]
            yield columns, shapely.from_wkb(_list(values.points(answers.lon, answers.lat)))

    schema = pa.schema([pa.field(name, pa.string()) for name in (*kept, *rows.names)])
    write(path, Table("assign", schema, "Point", "wgs84", chunks()))


def _list(column: pa.Array) -> Any:
    import numpy as np  # noqa: PLC0415  # a name for one line

    return np.array(column.to_pylist(), dtype=object)


def _write_gdal(path: Path, rows: Rows, driver: str) -> None:
    import pyogrio  # noqa: PLC0415  # 0.2 s, and CSV does without
    import pyogrio.errors  # noqa: PLC0415

    stream = _Stream(rows, short=driver == "ESRI Shapefile")
    reader = pa.RecordBatchReader.from_batches(stream.schema, iter(stream))
    own = rows.points.geometry is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL speaks of what a Shapefile cannot hold
            pyogrio.write_arrow(
                reader,
                path,
                layer=path.stem,
                driver=driver,
                geometry_name=stream.geometry,
                geometry_type="Unknown" if own and not stream.short else "Point",
                crs=_definition(rows.system) if own else "EPSG:4326",
                layer_options=layer_options(driver),
            )
    except (
        RuntimeError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.DataSourceError,
        pa.ArrowException,
    ) as error:
        if stream.error is not None:
            raise stream.error from error
        raise InvalidInput(f"{path.name}: {str(error).splitlines()[0]}", code="bad_file") from error


class _Stream:
    """Batches as GDAL takes them; keeps the error that GDAL would swallow.

    The first batch decides the types: what a column becomes follows from its type alone, and is not known before.
    """

    def __init__(self, rows: Rows, *, short: bool) -> None:
        self.short = short
        self.error: BaseException | None = None
        self._rows = rows
        names = [name for name in rows.points.schema.names if name != rows.points.geometry]
        self.geometry = rows.points.geometry or next(n for n in (GEOMETRY, "geom", "point") if n not in names)
        # an empty batch tells the types
        nothing = pa.RecordBatch.from_pylist([], schema=rows.points.schema)
        kinds = [
            values.for_gdal(column).type for column, is_geometry in _columns(rows, nothing) if not is_geometry
        ]
        kinds += [pa.string(), pa.string(), pa.float64()]
        fields = [pa.field(name, kind) for name, kind in zip((*names, *rows.names), kinds, strict=True)]
        if short:
            fields = [pa.field(name, each.type) for name, each in zip(_short(fields), fields, strict=True)]
        self.schema = pa.schema([*fields, pa.field(self.geometry, pa.binary())])

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch, answers in self._rows.answered:
                own = [
                    values.wkb(column) for column, is_geometry in _columns(self._rows, batch) if is_geometry
                ]
                arrays = [
                    values.for_gdal(column)
                    for column, is_geometry in _columns(self._rows, batch)
                    if not is_geometry
                ]
                shape = own[0] if own else values.points(answers.lon, answers.lat)
                arrays += [values.for_gdal(column) for column in answers.columns]
                yield pa.RecordBatch.from_arrays([*arrays, shape], schema=self.schema)
        except BaseException as error:
            self.error = error
            raise


def _short(fields: Sequence[pa.Field]) -> list[str]:
    """Column names that a Shapefile can hold: ten bytes, each once; the last three as they are."""
    names = [each.name for each in fields[-3:]]
    short: list[str] = []
    for each in fields[:-3]:
        name, number = _cut(each.name, 10), 0
        while name.lower() in {other.lower() for other in (*short, *names)}:
            number += 1
            name = _cut(each.name, 10 - len(str(number))) + str(number)
        short.append(name)
    return [*short, *(_cut(name, 10) for name in names)]


def _cut(name: str, most: int) -> str:
    return name.encode()[:most].decode("utf-8", "ignore")
