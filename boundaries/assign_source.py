"""Files of points as a stream of Arrow batches, with every column as the file has it.

`boundaries.read` hands out plain values, checked for a database. Here nothing is asked of the columns: they go
through, in their order and types. The readers beside are used for what they know of files: kinds, encodings,
layers, headers.
"""
# ruff: noqa: SLF001  # the readers' batches are taken before they become plain values

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from boundaries.read import PARQUET_ENDINGS, Source, bad_file, open_source
from gridmap.errors import InvalidInput

CHUNK_ROWS: Final = 50_000
Batches = Iterator[tuple[pa.RecordBatch, float]]

# Kinds of cells in a sheet for which a column has a type of its own; any other mixture is text.
SHEET_TYPES: Final[dict[frozenset[type], pa.DataType]] = {
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({bool}): pa.bool_(),
    frozenset({dt.datetime}): pa.timestamp("us"),
    frozenset({dt.time}): pa.time64("us"),
}


class Points(Protocol):
    """A file of points that was opened and found readable.

    Attributes:
        path: the file, or a folder of Parquet parts.
        schema: Arrow types of all columns in the file's order, with the file's metadata.
        geometry: the column that holds the file's own geometry, None where there is none.
        crs: the reference system that the file names, `EPSG:n` or WKT or PROJJSON; None where it names none.
        has_geometry: whether there is a column of geometry.
        notes: what was assumed on the way.
        rows: how many rows there are, where that is known beforehand.
    """

    path: Path
    schema: pa.Schema
    geometry: str | None
    crs: str | None
    has_geometry: bool
    notes: list[str]
    rows: int | None

    def batches(self) -> Batches:
        """The rows in the file's order, and how much of the file has been read, 0 to 1."""
        ...


def is_parquet(path: Path) -> bool:
    """Whether a path is a Parquet file by its ending, or a folder (of Parquet parts)."""
    return path.name.lower().endswith(PARQUET_ENDINGS) or (path.is_dir() and path.suffix.lower() != ".gdb")


def open_points(path: Path, *, layer: str | None = None, encoding: str | None = None) -> Points:
    """Opens a file of points of any kind but Parquet, which `boundaries.assign_parquet` reads.

    Args:
        path: a local file.
        layer: which layer or sheet, where the file has several.
        encoding: of CSV and Shapefile; by default detected.

    Raises:
        InvalidInput: as of `boundaries.read.open_source`.
    """
    source: Any = open_source(path, layer=layer, encoding=encoding, chunk_rows=CHUNK_ROWS)
    if hasattr(source, "_batches"):
        return _Layer(source)
    if hasattr(source, "_records"):
        return _Text(source)
    return _Sheet(source)


class _Opened:
    """What the readers know of the file."""

    geometry: str | None = None

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self.crs = source.crs
        self.has_geometry = source.has_geometry
        self.notes = source.notes
        self.rows: int | None = None


class _Layer(_Opened):
    """A layer that GDAL reads; geometry as WKB in the last column."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self._source = source
        self.rows = source._total
        self.schema = self._read_schema()

    def _read_schema(self) -> pa.Schema:
        import pyogrio  # noqa: PLC0415  # 0.2 s that a CSV need not pay

        source = self._source
        with pyogrio.open_arrow(
            source._name, layer=source._layer, batch_size=1, use_pyarrow=True, **source._options
        ) as (meta, reader):
            types = list(reader.schema.types)
        names = list(source.columns)
        if self.has_geometry:
            self.geometry = meta.get("geometry_name") or "geometry"
            if self.geometry in names:
                self.geometry = next(n for n in ("wkb_geometry", "geometry_", "geometry__") if n not in names)
            names.append(self.geometry)
        elif len(types) > len(names):
            del types[len(names) :]  # a table without geometry
        return pa.schema([pa.field(name, _storage(kind)) for name, kind in zip(names, types, strict=True)])

    def batches(self) -> Batches:
        done = 0
        for batch in self._source._batches(CHUNK_ROWS):
            arrays = batch.to_struct_array().flatten()[: len(self.schema)]
            yield (
                pa.RecordBatch.from_arrays(
                    [self._decoded(array, done) for array in arrays], schema=self.schema
                ),
                (done + batch.num_rows) / max(self.rows or 0, done + batch.num_rows),
            )
            done += batch.num_rows
        if done < (self.rows or 0):
            raise bad_file(self.path, f"ends after row {done} of {self.rows}: it is cut short")

    def _decoded(self, array: pa.Array, done: int) -> pa.Array:
        """Text as text: a Shapefile's comes as bytes in the Shapefile's encoding."""
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        encoding = self._source._encoding
        if not pa.types.is_string(array.type) or encoding == "utf-8":
            return array
        texts: list[str | None] = []
        for value in array.cast(pa.binary()).to_pylist():
            try:
                texts.append(None if value is None else value.decode(encoding))
            except UnicodeDecodeError as error:
                row = done + len(texts) + 1
                raise InvalidInput(
                    f"{self.path.name}, row {row}: half a character: bytes that are not {encoding};"
                    " name the --encoding",
                    code="bad_encoding",
                    findings=[{"file": self.path.name, "row": row, "message": f"not {encoding}"}],
                ) from error
        return pa.array(texts, pa.string())


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


class _Text(_Opened):
    """A delimited text file: every column is text, to the letter; an empty cell is null."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self._source = source
        self.schema = pa.schema([pa.field(name, pa.string()) for name in source.columns])
        self.marked = source._encoding != "utf-8"

    def batches(self) -> Batches:
        source = self._source
        width = len(source.columns)
        with source._open() as (stream, file):
            records = source._records(stream)
            while batch := list(islice(records, CHUNK_ROWS)):
                for line, record in batch:
                    if len(record) > width and not any(record[width:]):
                        del record[width:]  # spreadsheets end lines with spare delimiters
                    if len(record) != width:
                        raise self._refused(line, f"{len(record)} values where the header names {width}")
                columns = zip(*(record for _, record in batch), strict=True)
                yield self._batch(batch, columns), min(1.0, file.tell() / max(source._size, 1))

    def _batch(self, batch: Sequence[tuple[int, list[str]]], columns: Iterator[tuple[str, ...]]) -> Any:
        try:
            arrays = [pa.array([value or None for value in column], pa.string()) for column in columns]
        except UnicodeEncodeError:
            for line, record in batch:
                try:
                    "".join(record).encode()
                except UnicodeEncodeError:
                    what = f"half a character: bytes that are not {self._source._encoding}"
                    raise self._refused(line, f"{what}; name the --encoding", "bad_encoding") from None
            raise
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _refused(self, line: int, message: str, code: str = "bad_row") -> InvalidInput:
        name = self.path.name
        finding = {"file": name, "row": line, "message": message}
        return InvalidInput(f"{name}, line {line}: {message}", code=code, findings=[finding])


class _Sheet(_Opened):
    """A sheet of a workbook; a column has a type where all its cells are of one kind, else it is text."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self._source = source
        self._names = [name for name in source.columns if name]
        kinds: dict[str, set[type]] = {name: set() for name in self._names}
        self.rows = 0
        for chunk in source.chunks(self._names):
            self.rows += len(chunk.rows)
            for name, values in chunk.columns.items():
                kinds[name].update(map(type, values))
        self.schema = pa.schema(
            [
                pa.field(name, SHEET_TYPES.get(frozenset(kinds[name] - {type(None)}), pa.string()))
                for name in self._names
            ]
        )

    def batches(self) -> Batches:
        for chunk in self._source.chunks(self._names):
            arrays = [
                pa.array(_texts(chunk.columns[name]) if kind == pa.string() else chunk.columns[name], kind)
                for name, kind in zip(self.schema.names, self.schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema), chunk.fraction


def _texts(values: list[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]
