"""Opens any file that holds places or tables, and hands it out as a stream of chunks in bounded memory.

By ending: `.csv .tsv .txt` (also `.gz`), `.xlsx`, `.parquet .geoparquet`; everything else, zipped too, by
GDAL: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GML, KML, MapInfo, … Whatever comes out has the same
shape: columns of plain values, and geometry in the file's own reference system where the file has any.
"""

import struct
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from boundaries.findings import Finding
from gridmap.errors import InvalidInput

CHUNK_ROWS: Final = 50_000

# First bytes of what people send by mistake, or under a wrong ending.
MAGIC: Final = (
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.xls, .doc): save it as .xlsx"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"AC10", "an AutoCAD drawing (.dwg): export it as .dxf or .shp"),
)
# Unpacked size at which an archive must explain itself, and the ratio that no honest table reaches.
UNPACKED_LIMIT: Final = 64 << 20
UNPACKED_RATIO: Final = 200
UNPACKED_MOST: Final = 32 << 30

MOST_COLUMNS: Final = 16_384  # a spreadsheet's
CSV_ENDINGS: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_ENDINGS: Final = (".parquet", ".geoparquet", ".pq")


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows.

    Attributes:
        rows: int64, as a person counts: records from 1; for CSV and XLSX the line in the file.
        columns: values by column name, each as long as `rows`: text, numbers, dates, booleans or None.
        geometry: shapely geometries in the file's reference system, None where a row has none; None as a
            whole where the file holds no geometry.
        problems: findings on rows that could not be read at all and are not among `rows`.
        fraction: how much of the file has been read, 0 to 1.
    """

    rows: NDArray[np.int64]
    columns: Mapping[str, list[Any]]
    geometry: NDArray[np.object_] | None = None
    problems: list[Finding] = field(default_factory=list)
    fraction: float = 0.0


class Source(Protocol):
    """A file that was opened and found readable.

    Attributes:
        path: the file.
        columns: names of its columns, without geometry.
        crs: its own reference system, `EPSG:n` or WKT; None where it names none.
        has_geometry: whether its chunks carry geometry.
        notes: what was assumed on the way, for the summary.
    """

    path: Path
    columns: list[str]
    crs: str | None
    has_geometry: bool
    notes: list[str]

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only."""
        ...


def open_source(
    path: Path | str,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Source:
    """Opens a file by its ending, or by what GDAL finds in it.

    Args:
        path: a local file, or a folder that is a File Geodatabase (`.gdb`).
        layer: which layer or sheet, where a file has several.
        encoding: of CSV and Shapefile; by default detected.
        chunk_rows: rows a chunk.

    Raises:
        InvalidInput: not there, empty, of a wrong kind, cut short, or of several layers with none chosen.
    """
    # The readers import pyogrio, pyarrow and openpyxl, each only for its own kind of file.
    from boundaries import encodings  # noqa: PLC0415

    path = Path(path)
    _check_file(path)
    name = path.name.lower()
    if encoding is not None:
        encoding = encodings.known(encoding)
    if name.endswith(CSV_ENDINGS):
        from boundaries.tables import CsvSource  # noqa: PLC0415

        return CsvSource(path, encoding=encoding, chunk_rows=chunk_rows)
    if name.endswith((".xlsx", ".xlsm")):
        from boundaries.sheets import SheetSource  # noqa: PLC0415

        return SheetSource(path, sheet=layer, chunk_rows=chunk_rows)
    if name.endswith(PARQUET_ENDINGS):
        from boundaries.parquet import ParquetSource  # noqa: PLC0415

        return ParquetSource(path, chunk_rows=chunk_rows)
    from boundaries.vector import VectorSource  # noqa: PLC0415

    return VectorSource(path, layer=layer, encoding=encoding, chunk_rows=chunk_rows)


def bad_file(path: Path, what: str) -> InvalidInput:
    """The error for a file that cannot be what it should be."""
    return InvalidInput(
        f"{path.name}: {what}", code="bad_file", findings=[{"file": path.name, "message": what}]
    )


def check_names(path: Path, names: list[str]) -> None:
    """Refuses a table whose columns cannot be told apart, or are more than any spreadsheet has.

    Raises:
        InvalidInput: with the names that are there twice.
    """
    if len(names) > MOST_COLUMNS:
        raise bad_file(path, f"has {len(names)} columns; at most {MOST_COLUMNS} are read: is it a table?")
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if twice:
        raise bad_file(path, f"has the column {', '.join(twice)} more than once; rename one")


def kind_of(path: Path) -> str | None:
    """What the first bytes say a file is, where it is something that holds no table and no map."""
    if path.is_dir():
        return "a folder"
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((what for magic, what in MAGIC if head.startswith(magic)), None)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InvalidInput(f"{path}: there is no such file", code="no_such_file")
    if path.is_dir():
        if path.suffix.lower() == ".gdb":
            return
        raise bad_file(path, "is a folder; name a file in it")
    try:
        size = path.stat().st_size
        kind = kind_of(path)
    except OSError as error:
        raise bad_file(path, f"cannot be read ({error.strerror})") from error
    if size == 0:
        raise bad_file(path, "is empty (0 bytes); copy or export it again")
    if kind:
        raise bad_file(path, f"is {kind}; needed is GeoPackage, GeoJSON, Shapefile, CSV, XLSX, …")
    if zipfile.is_zipfile(path):
        _check_archive(path)


def _check_archive(path: Path) -> None:
    """Refuses what unpacks to far more than any honest file: it would fill the memory or the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    # Beside BadZipFile: a version of the format, an encryption, a name in an encoding that nobody ever used.
    except (zipfile.BadZipFile, RuntimeError, ValueError, struct.error) as error:
        raise bad_file(path, "is a damaged archive; copy or export it again") from error
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > UNPACKED_MOST or (
        unpacked > UNPACKED_LIMIT and unpacked > UNPACKED_RATIO * path.stat().st_size
    ):
        raise bad_file(
            path, f"unpacks to {unpacked >> 20} MB, {unpacked // path.stat().st_size} times its size"
        )


def locate_in_archive(path: Path) -> str | None:
    """For a zip with one readable file inside, GDAL's name for it.

    Raises:
        InvalidInput: none or several.
    """
    if not zipfile.is_zipfile(path):
        return None
    endings = (".shp", ".gpkg", ".geojson", ".json", ".fgb", ".kml", ".gml", ".tab", ".mif")
    with zipfile.ZipFile(path) as archive:
        names = [
            name
            for name in archive.namelist()
            if name.lower().endswith(endings) and not name.startswith("__MACOSX/")
        ]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise bad_file(path, f"one map file inside is needed, found: {found}; unpack it and name the file")
    return f"/vsizip/{path.absolute()}/{names[0]}"
