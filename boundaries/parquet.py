"""Parquet and GeoParquet as a stream of chunks."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from boundaries.arrow import plain_columns, shapes
from boundaries.read import Chunk, bad_file

# GeoParquet's native encodings, with shapely's names for the same.
NATIVE = {
    "point": shapely.GeometryType.POINT,
    "linestring": shapely.GeometryType.LINESTRING,
    "polygon": shapely.GeometryType.POLYGON,
    "multipoint": shapely.GeometryType.MULTIPOINT,
    "multilinestring": shapely.GeometryType.MULTILINESTRING,
    "multipolygon": shapely.GeometryType.MULTIPOLYGON,
}


class ParquetSource:
    """A Parquet file; with geometry where it carries GeoParquet's `geo` key."""

    def __init__(self, path: Path, *, chunk_rows: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._chunk_rows = chunk_rows
        try:
            self._file = pq.ParquetFile(path)
            schema = self._file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise bad_file(path, f"is no readable Parquet file ({reason}); export it again") from error
        self._geometry, self._encoding, self.crs = _geo(schema.metadata or {}, path)
        self.has_geometry = self._geometry is not None
        self.columns = [name for name in schema.names if name != self._geometry]

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only."""
        wanted = list(columns)
        names = [*wanted, self._geometry] if self._geometry else wanted
        total = max(self._file.metadata.num_rows, 1)
        done = 0
        try:
            for batch in self._file.iter_batches(self._chunk_rows, columns=names or None):
                rows = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
                done += batch.num_rows
                values = {name: batch.column(name) for name in wanted}
                keep, plain, problems = plain_columns(rows, values, self.path.name)
                geometry = self._shapes(batch.column(self._geometry))[keep] if self._geometry else None
                yield Chunk(rows[keep], plain, geometry, problems, done / total)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise bad_file(self.path, f"is damaged after row {done} ({reason}); export it again") from error

    def _shapes(self, column: pa.Array) -> NDArray[np.object_]:
        if self._encoding == "wkb":
            return shapes(column)
        return _from_native(column, self._encoding)


def _geo(metadata: dict[bytes, bytes], path: Path) -> tuple[str | None, str, str | None]:
    """Geometry column, its encoding and the reference system, as the `geo` key says."""
    if b"geo" not in metadata:
        return None, "", None
    try:
        geo: dict[str, Any] = json.loads(metadata[b"geo"])
        name = geo["primary_column"]
        column = geo["columns"][name]
        encoding = str(column["encoding"]).lower()
        crs = column.get("crs", "OGC:CRS84")
    except (ValueError, KeyError, TypeError) as error:
        raise bad_file(path, f"its GeoParquet header is broken ({error!r}); export it again") from error
    if encoding != "wkb" and encoding not in NATIVE:
        raise bad_file(path, f"its geometry is encoded as {encoding!r}; export it as GeoParquet with WKB")
    return name, encoding, json.dumps(crs) if isinstance(crs, dict) else crs


def _from_native(column: pa.Array, encoding: str) -> NDArray[np.object_]:
    found = np.full(len(column), None, dtype=object)
    valid = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    part = column.take(pa.array(valid))
    offsets: list[NDArray[np.int64]] = []
    while pa.types.is_list(part.type) or pa.types.is_large_list(part.type):
        offsets.insert(0, np.asarray(part.offsets, dtype=np.int64) - part.offsets[0].as_py())
        part = part.flatten()
    x, y = (part.field(axis).to_numpy(zero_copy_only=False) for axis in ("x", "y"))
    points = np.column_stack([x, y]).astype(np.float64)
    ragged = tuple(offsets) or None
    if encoding == "point":
        found[valid] = shapely.points(points, handle_nan="allow")  # an empty one is NaN; refused later
    else:
        found[valid] = shapely.from_ragged_array(NATIVE[encoding], points, ragged)
    return found
