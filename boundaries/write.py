"""Writes a stream of rows into a file of any common kind; the file appears whole or not at all.

A mark says whose export it is. It goes into the file where its kind has a place for it, else into a file beside it.
"""

import csv
import gzip
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from gridmap.errors import InvalidInput

# Driver of GDAL by ending.
DRIVERS: Final = {
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf",
}
CGCS2000_ENDINGS: Final = (".gpkg", ".shp")  # what Chinese offices exchange; everything else is WGS-84
OTHER_ENDINGS: Final = (".geojson", ".json", ".parquet", ".geoparquet", ".csv", ".csv.gz", ".xlsx")
GEOMETRY: Final = "geometry"
SHAPEFILE_NAME: Final = 10
SHEET_ROWS: Final = 1_048_575
ILLEGAL_IN_A_SHEET: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MARK: Final = "gridmap_export"
MARK_BESIDE: Final = ".mark.json"  # the file beside one that has no place for a mark
_NO_PLACE: Final = (".shp", ".csv", ".csv.gz")


@dataclass(frozen=True)
class Table:
    """What is to be written.

    Attributes:
        layer: name of the layer or sheet.
        schema: Arrow types of the columns, without geometry.
        geometry_type: in GDAL's words: `MultiPolygon`, `Point`, `Unknown` (several), …
        crs: of the geometry: `wgs84`, `cgcs2000`, `gcj02`, `bd09` or `EPSG:n`.
        chunks: columns in the schema's order, and geometry (None where a row has none).
        mark: who exported it, when, why, by which boundaries; empty for none.
    """

    layer: str
    schema: pa.Schema
    geometry_type: str
    crs: str
    chunks: Iterator[tuple[list[list[Any]], NDArray[np.object_]]]
    mark: Mapping[str, object] = field(default_factory=dict)

    def mark_text(self) -> dict[str, str]:
        """The mark as metadata; empty for none."""
        return {MARK: json.dumps(dict(self.mark), ensure_ascii=False)} if self.mark else {}


def ending_of(path: Path) -> str:
    """The ending by which a file is written.

    Raises:
        InvalidInput: not one that is written here.
    """
    name = path.name.lower()
    for ending in (*OTHER_ENDINGS, *DRIVERS):
        if name.endswith(ending):
            return ending
    raise InvalidInput(
        f"{path.name}: the ending decides the kind of file; {', '.join((*DRIVERS, *OTHER_ENDINGS))}",
        code="unknown_ending",
    )


def default_crs(path: Path) -> str:
    """CGCS2000 for GeoPackage and Shapefile, WGS-84 for the rest."""
    return "cgcs2000" if ending_of(path) in CGCS2000_ENDINGS else "wgs84"


def write(path: Path, table: Table) -> int:
    """Writes a table; returns the number of rows. A file of the same name is replaced at the end.

    Raises:
        InvalidInput: the folder is not there or cannot be written, or the kind cannot hold so many rows.
    """
    ending = ending_of(path)
    writers: dict[str, Callable[[Path, Table], int]] = {
        ".geojson": _write_geojson,
        ".json": _write_geojson,
        ".parquet": _write_parquet,
        ".geoparquet": _write_parquet,
        ".csv": _write_csv,
        ".csv.gz": _write_csv,
        ".xlsx": _write_sheet,
    }
    with _beside(path) as partial:
        if table.mark and ending in _NO_PLACE:
            beside = partial.with_name(f"{partial.name}{MARK_BESIDE}")
            beside.write_text(
                json.dumps(dict(table.mark), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )
        return writers.get(ending, _write_gdal)(partial, table)


def write_layers(path: Path, tables: Sequence[Table]) -> int:
    """Writes tables as the layers of one GeoPackage; returns the number of rows. Its mark is the first table's.

    Raises:
        InvalidInput: as of `write`; another kind of file.
    """
    if ending_of(path) != ".gpkg":
        raise InvalidInput(f"{path.name}: a GeoPackage alone has several layers", code="unknown_ending")
    with _beside(path) as partial:
        return sum(_write_gdal(partial, table) for table in tables)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in a folder of its own beside the target, whose files move to the target when all went well."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InvalidInput(f"{path.parent}: cannot be written ({error.strerror})", code="bad_file") from error
    try:
        yield folder / path.name
        for part in sorted(folder.iterdir()):
            part.replace(path.parent / part.name)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}", code="bad_file") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _authority(name: str) -> str | None:
    """The reference system as GDAL knows it; GCJ-02 and BD-09 have no number and are left undefined."""
    return {"wgs84": "EPSG:4326", "cgcs2000": "EPSG:4490", "gcj02": None, "bd09": None}.get(name, name)


def layer_options(driver: str) -> dict[str, str]:
    """What a GDAL driver has to be told for a new layer."""
    if driver == "FlatGeobuf":  # with an index, rows without geometry are refused, and it is kept in memory
        return {"SPATIAL_INDEX": "NO"}
    return {"ENCODING": "UTF-8"} if driver == "ESRI Shapefile" else {}


def _write_gdal(path: Path, table: Table) -> int:
    import pyogrio  # noqa: PLC0415  # 0.2 s, and CSV does without
    import pyogrio.errors  # noqa: PLC0415

    driver = DRIVERS[ending_of(path)]
    schema = _short_names(table.schema) if driver == "ESRI Shapefile" else table.schema
    counted = _Counted(table.chunks)
    batches = (
        pa.record_batch(
            [*_arrays(columns, schema), pa.array(_wkb(geometry), pa.binary())],
            schema=schema.append(pa.field(GEOMETRY, pa.binary())),
        )
        for columns, geometry in counted
    )
    reader = pa.RecordBatchReader.from_batches(schema.append(pa.field(GEOMETRY, pa.binary())), batches)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL speaks of what a Shapefile cannot hold
            pyogrio.write_arrow(
                reader,
                path,
                layer=table.layer,
                driver=driver,
                geometry_name=GEOMETRY,
                geometry_type=table.geometry_type,
                crs=_authority(table.crs),
                layer_options=layer_options(driver),
                **_metadata(driver, table),
            )
    except (RuntimeError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        if counted.error is not None:
            raise counted.error from error
        raise InvalidInput(f"{path.name}: {str(error).splitlines()[0]}", code="bad_file") from error
    return counted.rows


def _metadata(driver: str, table: Table) -> dict[str, Any]:
    if driver == "GPKG":
        return {"dataset_metadata": table.mark_text()}
    return {"layer_metadata": table.mark_text()} if driver == "FlatGeobuf" else {}


class _Counted:
    """Counts rows as they pass, and keeps the error that GDAL would swallow."""

    def __init__(self, chunks: Iterator[tuple[list[list[Any]], NDArray[np.object_]]]) -> None:
        self._chunks = chunks
        self.rows = 0
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[tuple[list[list[Any]], NDArray[np.object_]]]:
        try:
            for columns, geometry in self._chunks:
                self.rows += len(geometry)
                yield columns, geometry
        except Exception as error:
            self.error = error
            raise


def _short_names(schema: pa.Schema) -> pa.Schema:
    """Column names that a Shapefile can hold: ten characters, each once."""
    names: list[str] = []
    for name in schema.names:
        short = name[:SHAPEFILE_NAME]
        names.append(short if short not in names else f"{short[: SHAPEFILE_NAME - 1]}{len(names) % 10}")
    return pa.schema([pa.field(name, kind) for name, kind in zip(names, schema.types, strict=True)])


def _arrays(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]


def _wkb(geometry: NDArray[np.object_]) -> list[bytes | None]:
    wkb: list[bytes | None] = shapely.to_wkb(geometry, flavor="iso").tolist()
    return wkb


def _write_geojson(path: Path, table: Table) -> int:
    # Not by GDAL, which drops digits that look like noise: what is loaded again shall be the same to the bit.
    number = _authority(table.crs)
    head: dict[str, Any] = {"type": "FeatureCollection", "name": table.layer}
    if number not in {"EPSG:4326", None}:
        urn = f"urn:ogc:def:crs:{str(number).replace(':', '::')}"
        head["crs"] = {"type": "name", "properties": {"name": urn}}
    if table.mark:
        head[MARK] = dict(table.mark)
    rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [')
        for columns, geometry in table.chunks:
            shapes = shapely.to_geojson(geometry).tolist()
            for values, shape in zip(zip(*columns, strict=True), shapes, strict=True):
                properties = json.dumps(
                    dict(zip(table.schema.names, values, strict=True)), ensure_ascii=False
                )
                comma = ",\n" if rows else "\n"
                stream.write(
                    f'{comma}{{"type": "Feature", "properties": {properties}, "geometry": {shape or "null"}}}'
                )
                rows += 1
        stream.write("\n]}\n")
    return rows


def _write_parquet(path: Path, table: Table) -> int:
    import pyarrow.parquet as pq  # noqa: PLC0415  # only here

    number = _authority(table.crs)
    column = {
        "encoding": "WKB",
        "geometry_types": [] if table.geometry_type == "Unknown" else [table.geometry_type],
        "crs": pyproj.CRS(number).to_json_dict() if number else None,
    }
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    schema = table.schema.append(pa.field(GEOMETRY, pa.binary()))
    schema = schema.with_metadata({"geo": json.dumps(geo), **table.mark_text()})
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for columns, geometry in table.chunks:
            arrays = [*_arrays(columns, table.schema), pa.array(_wkb(geometry), pa.binary())]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows += len(geometry)
    return rows


def _write_csv(path: Path, table: Table) -> int:
    points = table.geometry_type == "Point"
    rows = 0
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    # Excel takes CSV for UTF-8 only where it begins with a mark.
    with opened(path, "wt", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*table.schema.names, *(("lon", "lat") if points else ("wkt",))])
        for columns, geometry in table.chunks:
            writer.writerows(zip(*columns, *_text_columns(geometry, points=points), strict=True))
            rows += len(geometry)
    return rows


def _text_columns(geometry: NDArray[np.object_], *, points: bool) -> list[list[Any]]:
    if not points:
        return [shapely.to_wkt(geometry, rounding_precision=-1).tolist()]
    return [
        [None if np.isnan(value) else value for value in axis(geometry).tolist()]
        for axis in (shapely.get_x, shapely.get_y)
    ]


def _write_sheet(path: Path, table: Table) -> int:
    from openpyxl import Workbook  # noqa: PLC0415  # 0.2 s
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    book = Workbook(write_only=True)
    book.properties.description = table.mark_text().get(MARK)
    sheet = book.create_sheet(table.layer)

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        # A source chooses its numbers: one that begins with = is text, not a formula.
        made = WriteOnlyCell(sheet, ILLEGAL_IN_A_SHEET.sub("", value))
        made.data_type = "s"
        return made

    sheet.append([*table.schema.names, "lon", "lat"])
    rows = 0
    for columns, geometry in table.chunks:
        rows += len(geometry)
        if rows > SHEET_ROWS:
            raise InvalidInput(
                f"a sheet holds {SHEET_ROWS} rows at most; choose another kind of file", code="too_many_rows"
            )
        # A cell cannot hold a long border: a sheet gets a point inside.
        inner = shapely.point_on_surface(geometry)
        for row in zip(*columns, *_text_columns(inner, points=True), strict=True):
            sheet.append([cell(value) for value in row])
    book.save(path)
    return rows
