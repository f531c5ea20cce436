"""Anything that GDAL reads, as a stream of chunks: GeoPackage, GeoJSON, Shapefile, FlatGeobuf and the rest.

Shapefiles are read as raw bytes and decoded here: GDAL takes a missing .cpg for Latin-1 and turns 北京 into
±±¾©, while most Chinese Shapefiles are GBK without any .cpg.
"""

import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pyogrio.errors

from boundaries import encodings
from boundaries.arrow import plain_columns, shapes
from boundaries.read import Chunk, bad_file, locate_in_archive
from gridmap.errors import InvalidInput

# Drivers that fetch from elsewhere or follow references out of the file.
REFUSED_DRIVERS = frozenset(
    {"OGR_VRT", "GDALG", "HTTP", "WFS", "OAPIF", "OGCAPI", "CSW", "EEDA", "ADBC", "Elasticsearch", "Carto"}
)
SHAPEFILE = "ESRI Shapefile"
SAMPLE_BATCHES = 10
NAME_BYTES = 10  # at which a Shapefile cuts the names of its columns, through a character if need be


class VectorSource:
    """One layer of a file that GDAL reads."""

    def __init__(self, path: Path, *, layer: str | None, encoding: str | None, chunk_rows: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._chunk_rows = chunk_rows
        if path.suffix.lower() in {".vrt", ".gdalg"} or _refers_elsewhere(path):
            raise bad_file(path, "only refers to other files; name the file that holds the data")
        if path.suffix.lower() in {".geojson", ".json", ".geojsonl"}:
            encodings.check_text(path)
        self._name = locate_in_archive(path) or str(path)
        with _gdal_errors(path):
            self._layer = self._choose(layer)
            info = self._info()
        if info["driver"] in REFUSED_DRIVERS:
            raise bad_file(path, f"is of a kind that is not read here ({info['driver']})")
        self.crs: str | None = info["crs"]
        self.has_geometry = info["geometry_type"] is not None
        self._total = int(info["features"])
        self._options: dict[str, Any] = {}
        self._encoding = "utf-8"
        self._fields: list[str] = [str(name) for name in info["fields"]]
        self.columns = list(self._fields)
        if info["driver"] == SHAPEFILE:
            self._options = {"ENCODING": ""}  # no recoding: the bytes as they are
            self._decode_shapefile(encoding)
        elif encoding is not None and encoding != "utf-8":
            self.notes.append(f"--encoding has no meaning for {info['driver']}")

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only, and their geometry."""
        wanted = [(self.columns.index(name), name) for name in columns]
        done = 0
        for batch in self._batches(self._chunk_rows):
            rows = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
            done += batch.num_rows
            arrays = _arrays(batch)
            values = {name: arrays[place] for place, name in wanted}
            keep, plain, problems = plain_columns(rows, values, self.path.name, self._encoding)
            geometry = shapes(arrays[-1]) if self.has_geometry else None
            yield Chunk(
                rows[keep],
                plain,
                geometry[keep] if geometry is not None else None,
                problems,
                done / max(self._total, done, 1),
            )
        if done < self._total:
            raise bad_file(self.path, f"ends after row {done} of {self._total}: it is cut short")

    def _batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        with ExitStack() as stack:
            with _gdal_errors(self.path):
                _, reader = stack.enter_context(
                    pyogrio.open_arrow(
                        self._name, layer=self._layer, batch_size=rows, use_pyarrow=True, **self._options
                    )
                )
            while True:
                with _gdal_errors(self.path):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch

    def _choose(self, layer: str | None) -> str | None:
        layers = pyogrio.list_layers(self._name)
        names = [str(name) for name in layers[:, 0]]
        if not names:
            raise bad_file(self.path, "holds no layer")
        if layer is not None:
            if layer not in names:
                raise InvalidInput(
                    f"{self.path.name} has no layer {layer!r}; it has {', '.join(names)}",
                    code="unknown_layer",
                )
            return layer
        if len(names) > 1:
            raise InvalidInput(
                f"{self.path.name} has several layers; choose one with --layer: {', '.join(names)}",
                code="several_layers",
            )
        return names[0]

    def _decode_shapefile(self, encoding: str | None) -> None:
        own = None if encoding else _own_encoding(Path(self._name))
        chosen = encoding or self._detected(own)
        if encoding is None and own is None and chosen != "utf-8":
            self.notes.append(f"encoding detected: {chosen} (no .cpg)")
        if own is not None and chosen != own:
            self.notes.append(
                f"warning: .cpg 或 .dbf 写的编码是 {own}，内容实为 {chosen}，按内容读取"
                f" {self.path.name} says that it is {own}, its texts are {chosen}: read so; --encoding says otherwise"
            )
        names = [name.encode("latin-1", "replace") for name in self._raw_names()]
        try:
            self.columns = [encodings.decode_cut(name, chosen, NAME_BYTES) for name in names]
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"{self.path.name}: its column names are not {chosen}; name the --encoding, for example"
                " gb18030 or latin1",
                code="bad_encoding",
            ) from error
        self._encoding = chosen

    def _info(self) -> dict[str, Any]:
        """What GDAL says of the layer; column names are no concern of its where a .cpg beside them is wrong."""
        asked: dict[str, Any] = {"layer": self._layer, "force_feature_count": True}
        try:
            return dict(pyogrio.read_info(self._name, **asked))
        except UnicodeDecodeError:
            return dict(pyogrio.read_info(self._name, **asked, ENCODING=""))

    def _raw_names(self) -> list[str]:
        with _gdal_errors(self.path):
            info = pyogrio.read_info(self._name, layer=self._layer, **self._options)
        return [str(name) for name in info["fields"]]

    def _detected(self, own: str | None) -> str:
        """The encoding by what the file says of itself, unless its texts say plainly that this is wrong."""
        evidence = self._evidence()
        if own is None:
            return encodings.settle(evidence, f"{self.path.name} without a .cpg")
        return encodings.contradicted(own, evidence) or own

    def _evidence(self) -> encodings.Evidence:
        evidence = encodings.Evidence()
        for name in self._raw_names():
            raw = name.encode("latin-1", "replace")
            if len(raw) < NAME_BYTES:  # half a character at the end of a longer one is no evidence
                evidence += encodings.weigh(raw)
        for batch in islice(self._batches(2000), SAMPLE_BATCHES):
            for column in _arrays(batch):
                if pa.types.is_string(column.type):
                    for value in column.cast(pa.binary()).to_pylist():
                        evidence += encodings.weigh(value or b"")
        return evidence


def _arrays(batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns by position: a Shapefile's names are bytes, on which pyarrow's own access stumbles."""
    arrays: list[pa.Array] = batch.to_struct_array().flatten()
    return arrays


def _own_encoding(path: Path) -> str | None:
    """What a Shapefile says of its own encoding: the .cpg, or the language byte of the .dbf."""
    beside = (
        {each.suffix.lower(): each for each in path.parent.glob(f"{path.stem}.*")} if path.exists() else {}
    )
    if ".cpg" in beside:
        text = beside[".cpg"].read_text("ascii", "replace").strip().lower()
        named = {"936": "gb18030", "cp936": "gb18030", "65001": "utf-8", "utf8": "utf-8"}.get(text, text)
        if named.isdigit():
            named = f"cp{named}"
        try:
            return encodings.known(named)
        except InvalidInput:
            return None
    if ".dbf" in beside:
        with beside[".dbf"].open("rb") as stream:
            head = stream.read(32)
        if len(head) == 32 and head[29] == 0x4D:
            return "gb18030"
    return None


def _refers_elsewhere(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as stream:
        head = stream.read(512)
    return b"<OGRVRTDataSource" in head or b"<OGRWFSDataSource" in head or b"gdal_streamed_alg" in head


@contextmanager
def _gdal_errors(path: Path) -> Iterator[None]:
    """GDAL's errors in one sentence about the file; its warnings concern shapes, which are checked here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
    ) as error:
        text = str(error)
        if "not recognized" in text:
            what = "is of no kind that is read here; needed is GeoPackage, GeoJSON, Shapefile, CSV, XLSX, …"
        else:
            what = f"cannot be read ({text.partition(';')[0].splitlines()[0][:160]}); copy or export it again"
        raise bad_file(path, what) from error
    # What GDAL meets while it reads on comes out of Arrow as an OSError; pyogrio 0.13 has no word for a .prj that
    # it cannot turn into WKT, and stumbles over its own variable.
    except (pa.ArrowException, OSError, UnicodeDecodeError, UnboundLocalError) as error:
        raise bad_file(path, f"is damaged ({str(error).splitlines()[0][:160]}); export it again") from error
