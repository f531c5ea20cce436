"""Parquet points, a file or a folder of parts, as a stream; and how such a file is written again.

A block of rows is read, answered and written as one row group. Blocks are the input's row groups, cut where one
is larger than `BLOCK_ROWS` rows or `BLOCK_BYTES`: memory goes by the block, never by the file.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from boundaries.assign_source import Batches
from boundaries.parquet import ParquetSource
from boundaries.read import CHUNK_ROWS, PARQUET_ENDINGS, bad_file
from gridmap.errors import InvalidInput

BLOCK_ROWS: Final = (
    1 << 20
)  # pyarrow's own row group; of half as many, answers take as long and pages are shorter
BLOCK_BYTES: Final = 128 << 20
LEAST_ROWS: Final = 1024
SPREAD: Final = 2.0  # rows in memory are about so much larger than their pages
READ_BYTES: Final = 1 << 20  # of a column at a time; whole column chunks would be as large as their row group

WIDTHS: Final = {"INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
CODECS: Final = {
    "UNCOMPRESSED": "none",
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "BROTLI": "brotli",
    "ZSTD": "zstd",
}
CODECS_ALSO: Final = {"LZ4": "lz4", "LZ4_RAW": "lz4"}


@dataclass(frozen=True)
class Part:
    """Consecutive row groups of a file.

    Attributes:
        path: the file.
        name: under which its rows are written into a folder.
        first: number of the first row group.
        after: number after the last one.
        rows: in all of them.
    """

    path: Path
    name: str
    first: int
    after: int
    rows: int

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows, block by block.

        Raises:
            InvalidInput: the file is damaged.
        """
        done = 0
        try:
            with pq.ParquetFile(self.path, buffer_size=READ_BYTES) as file:
                most = block_rows(file.metadata)
                for group in range(self.first, self.after):
                    for batch in file.iter_batches(most, row_groups=[group], use_threads=False):
                        yield batch
                        done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise bad_file(self.path, f"is damaged after row {done} ({reason}); export it again") from error


def block_rows(metadata: Any) -> int:
    """How many rows of a file are taken at a time."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    of_row = SPREAD * sum(group.total_byte_size for group in groups) / max(metadata.num_rows, 1)
    return max(LEAST_ROWS, min(BLOCK_ROWS, int(BLOCK_BYTES / max(of_row, 1.0))))


class ParquetPoints:
    """Points in Parquet; fields as of `boundaries.assign_source.Points`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = _parts_of(path) if path.is_dir() else [path]
        source = ParquetSource(self._files[0], chunk_rows=CHUNK_ROWS)
        self.crs, self.has_geometry, self.notes = source.crs, source.has_geometry, source.notes
        self.schema: pa.Schema = self._metadata[0][1]
        shapes = [name for name in self.schema.names if name not in source.columns]
        self.geometry = shapes[0] if self.has_geometry and shapes else None
        for file, (_, schema) in zip(self._files, self._metadata, strict=True):
            if not schema.equals(self.schema):
                raise bad_file(
                    file, f"has other columns than {self._files[0].name}: {_difference(self.schema, schema)}"
                )
        self.rows: int | None = sum(metadata.num_rows for metadata, _ in self._metadata)

    @cached_property
    def _metadata(self) -> list[tuple[Any, pa.Schema]]:
        return [_header(file) for file in self._files]

    @property
    def is_folder(self) -> bool:
        """Whether the points are a folder of parts."""
        return self.path.is_dir()

    @property
    def layout(self) -> "Layout":
        """How the (first) file is written."""
        return Layout.of(self._metadata[0][0], self.schema.names)

    def parts(self, at_least: int = 1) -> list[Part]:
        """All row groups in the file's order, in about so many parts or more; a folder's files are not joined.

        Args:
            at_least: parts that are wanted, to be worked on by several at a time.
        """
        parts: list[Part] = []
        wanted = max(1, -(-at_least // len(self._files)))
        for file, (metadata, _) in zip(self._files, self._metadata, strict=True):
            sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            name = str(file.relative_to(self.path)) if self.is_folder else ""
            parts += [
                Part(file, name, first, after, sum(sizes[first:after]))
                for first, after in _cuts(sizes, wanted)
            ]
        if not self.is_folder:
            return [
                Part(p.path, f"part-{n:05d}.parquet", p.first, p.after, p.rows) for n, p in enumerate(parts)
            ]
        names = [part.name for part in parts]
        return [_numbered(part, n, names) for n, part in enumerate(parts)]

    def batches(self) -> Batches:
        """The rows in the file's order, and how much of the file has been read, 0 to 1."""
        done = 0
        for part in self.parts():
            for batch in part.blocks():
                done += batch.num_rows
                yield batch, done / max(self.rows or 0, 1)


def _numbered(part: Part, number: int, names: Sequence[str]) -> Part:
    """A file of a folder keeps its name; where it was cut, its parts are numbered."""
    if names.count(part.name) == 1:
        return part
    stem, ending = part.name.rsplit(".", 1)
    return Part(
        part.path, f"{stem}-{number - names.index(part.name):05d}.{ending}", part.first, part.after, part.rows
    )


def _cuts(sizes: Sequence[int], wanted: int) -> list[tuple[int, int]]:
    """Row groups cut into runs of about the same number of rows."""
    if not sizes:
        return [(0, 0)]
    aim = sum(sizes) / min(wanted, len(sizes))
    cuts: list[tuple[int, int]] = []
    first, total = 0, 0
    for number, size in enumerate(sizes):
        total += size
        if total >= aim * (len(cuts) + 1) - 0.5 or number == len(sizes) - 1:
            cuts.append((first, number + 1))
            first = number + 1
    return cuts


def _parts_of(folder: Path) -> list[Path]:
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.name.lower().endswith(PARQUET_ENDINGS)
        and not any(piece.startswith((".", "_")) for piece in file.relative_to(folder).parts)
    )
    if not found:
        raise bad_file(folder, "is a folder without a Parquet file in it")
    return found


def _header(path: Path) -> tuple[Any, pa.Schema]:
    try:
        with pq.ParquetFile(path) as file:
            return file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise bad_file(path, f"is no readable Parquet file ({reason}); export it again") from error


def _difference(one: pa.Schema, other: pa.Schema) -> str:
    if one.names != other.names:
        odd = [name for name in (*one.names, *other.names) if (name in one.names) != (name in other.names)]
        return ", ".join(odd) or "the same in another order"
    return ", ".join(
        f"{a.name} is {b.type}, not {a.type}" for a, b in zip(one, other, strict=True) if not a.equals(b)
    )


@dataclass(frozen=True)
class Layout:
    """How a Parquet file is written: what can be known of another one, to do the same.

    Attributes:
        names: the columns.
        compression: codec by path of the column, which for a nested one is longer than its name.
        dictionary: columns with a dictionary of their values.
        otherwise: codec of columns that are not in there.
        page_index: whether there are indexes of pages.
        sorting: by which columns rows are sorted, as Parquet says.
    """

    names: tuple[str, ...]
    compression: dict[str, str]
    dictionary: tuple[str, ...]
    otherwise: str = "zstd"
    page_index: bool = False
    sorting: tuple[Any, ...] = ()

    @classmethod
    def of(cls, metadata: Any, names: Sequence[str]) -> "Layout":
        """Layout of a file; pyarrow's own with Zstandard where it holds no rows."""
        if not metadata.num_row_groups:
            return cls(tuple(names), {}, ())
        group = metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        codecs = {**CODECS, **CODECS_ALSO}
        compression = {each.path_in_schema: codecs.get(each.compression, "zstd") for each in columns}
        used = list(compression.values())
        return cls(
            tuple(names),
            compression,
            tuple(each.path_in_schema for each in columns if _pays(each)),
            max(sorted(set(used)), key=used.count) if used else "zstd",
            any(each.has_offset_index for each in columns),
            tuple(group.sorting_columns or ()),
        )

    def writer(self, path: Path, schema: pa.Schema, packed: pa.Schema) -> pq.ParquetWriter:
        """A writer of the same layout.

        Args:
            path: the new file.
            schema: what the file says that its columns are.
            packed: the types in which they are handed over: where text is repeated, its dictionary, which is
                written twice as fast as the text and is the same in the file.
        """
        added = [name for name in schema.names if name not in self.names]
        compression: Any = self.compression and {**self.compression, **dict.fromkeys(added, self.otherwise)}
        # the Arrow schema as pyarrow itself would store it, but of the types that readers shall see
        stored = {
            **(schema.metadata or {}),
            b"ARROW:schema": base64.b64encode(schema.serialize().to_pybytes()),
        }
        writer = pq.ParquetWriter(
            path,
            packed,
            compression=compression or self.otherwise,
            use_dictionary=[*self.dictionary, *added] if self.compression else True,
            write_page_index=self.page_index,
            sorting_columns=list(self.sorting) or None,
            store_schema=False,
        )
        writer.add_key_value_metadata(stored)
        return writer


def _pays(chunk: Any) -> bool:
    """Whether a column's dictionary pays: one that grew too large was given up, and its values stand plainly."""
    width = WIDTHS.get(chunk.physical_type)
    plain = chunk.num_values * width if width else 0
    return bool(chunk.has_dictionary_page and not 0 < plain <= chunk.total_uncompressed_size)


def geo_metadata(schema: pa.Schema, geometry: str, crs: str | None) -> pa.Schema:
    """A schema with GeoParquet's header for a column of WKB points.

    Args:
        schema: columns.
        geometry: the one with WKB.
        crs: its reference system as pyproj reads it; None where it has no name (GCJ-02, BD-09).
    """
    import pyproj  # noqa: PLC0415  # only where a file of another kind becomes GeoParquet

    try:
        system = pyproj.CRS(crs).to_json_dict() if crs else None
    except pyproj.exceptions.CRSError as error:
        raise InvalidInput(
            f"reference system {crs[:60] if crs else crs!r} cannot be read", code="unknown_crs"
        ) from error
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": system}
    geo = {"version": "1.1.0", "primary_column": geometry, "columns": {geometry: column}}
    return schema.with_metadata({**(schema.metadata or {}), b"geo": json.dumps(geo).encode()})
