"""The grids of `gridmap assign`: read from a file of any kind, checked, and made an index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import topology
from boundaries.arrow import straight
from boundaries.fields import Mapped, map_fields
from boundaries.places import System, system_of
from boundaries.read import Source, open_source
from boundaries.values import as_text
from gridmap import crs
from gridmap.errors import InvalidInput
from gridmap.index import KINDS, AreaIndex, GridIndex
from gridmap.index_frame import read_frame

SHOWN: Final = 3  # invalid polygons that are named one by one


@dataclass(frozen=True)
class Grids:
    """Polygons with their codes, as read; small enough to be sent to other processes.

    Attributes:
        file: name of the file.
        rows: the number of each row in the file, as a person counts.
        shapes: polygons in `system`, with whatever coordinates the file has.
        columns: code, and where the file has them kind, parent and path, each as long as `shapes`.
        system: what the coordinates are in.
        notes: what was assumed, and what is wrong but not so that nothing can be answered.
    """

    file: str
    rows: NDArray[np.int64]
    shapes: NDArray[np.object_]
    columns: dict[str, list[Any]]
    system: System
    notes: list[str]

    @property
    def codes(self) -> list[str]:
        """Codes by position, as `GridIndex` answers positions."""
        return self.columns["code"]

    def index(self, *, bulk: bool = True) -> GridIndex:
        """The index of these grids, in WGS-84: that of `GridIndex.from_frame`.

        Args:
            bulk: with the finer lattice, which takes half a second longer to build for 7,000 grids and pays from
                some 20 million points on; the answers are the same.

        Raises:
            InvalidInput: as of `GridIndex.from_frame`, with the rows as a person counts.
        """
        try:
            if bulk:
                return GridIndex.from_frame(_Frame(self))
            shapes, codes, kinds, paths, rows = read_frame(_Frame(self), "code")
            return GridIndex(AreaIndex.from_arrays(shapes, codes, kinds, paths), rows)
        except InvalidInput as error:
            raise self._in_file(error) from error

    def check(self) -> None:
        """Refuses what `index` would refuse, without building it.

        Raises:
            InvalidInput: as of `index`.
        """
        try:
            read_frame(_Frame(self), "code")
        except InvalidInput as error:
            raise self._in_file(error) from error

    def wgs84(self) -> NDArray[np.object_]:
        """The polygons in WGS-84."""
        if self.system.is_wgs84:
            return self.shapes
        flat = shapely.force_2d(self.shapes)
        moved: NDArray[np.object_] = shapely.transform(flat, self.system.to_wgs84, interleaved=False)  # type: ignore[arg-type]  # the stubs know one argument only
        return moved

    def _in_file(self, error: InvalidInput) -> InvalidInput:
        findings = [
            {**each, "file": self.file, "row": int(self.rows[each["row"]])}
            for each in error.findings
            if each.get("row") is not None
        ]
        if not findings:
            return InvalidInput(f"{self.file}: {error.message}", code=error.code, findings=error.findings)
        named = ", ".join(str(each["row"]) for each in findings[:5])
        more = f" and {len(findings) - 5} more" if len(findings) > 5 else ""
        what = f"{findings[0]['message']} in row {named}{more}"
        return InvalidInput(f"{self.file}: {what}", code=error.code, findings=findings)


class _Frame:
    """As much of a geopandas frame as `GridIndex.from_frame` looks at; geopandas itself takes half a second."""

    crs = None

    def __init__(self, grids: Grids) -> None:
        self._grids = grids
        self.columns = list(grids.columns)
        self.geometry = self
        self.array = grids.wgs84()

    def __len__(self) -> int:
        return len(self._grids.rows)

    def __getitem__(self, name: str) -> list[Any]:
        return self._grids.columns[name]


def read_grids(
    path: Path, *, code: str | None = None, chosen_crs: str | None = None, encoding: str | None = None
) -> Grids:
    """Reads the polygons to which points are assigned.

    Args:
        path: a file of any kind that `boundaries.read` opens, with polygons.
        code: the column with the unique codes; by default the one that is named so (`code`, `编码`, …).
        chosen_crs: reference system of the polygons; by default the file's own.
        encoding: of CSV and Shapefile.

    Raises:
        InvalidInput: no column of codes (lists the columns there are), an empty or repeated code, a row without
            a polygon, an unknown reference system; with file and row.
    """
    source = open_source(path, encoding=encoding)
    if code is not None and code not in source.columns:
        raise InvalidInput(
            f"{source.path.name} has no column {code!r} (--code); it has {', '.join(source.columns) or 'none'}",
            code="missing_column",
        )
    mapped = map_fields("areas", source.columns, {"code": code} if code else {}, {}, file=source.path.name)
    if "code" not in mapped:
        raise InvalidInput(
            f"{source.path.name} has no column that is named like a code; name it with --code. It has"
            f" {', '.join(source.columns) or 'none'}",
            code="missing_column",
        )
    if not source.has_geometry and "wkt" not in mapped:
        raise InvalidInput(f"{source.path.name} holds no polygons", code="no_geometry")
    system = system_of(source, chosen_crs, mapped)
    rows, shapes, columns = _read(source, mapped)
    grids = Grids(source.path.name, rows, shapes, columns, system, list(source.notes))
    _check_codes(grids)
    grids.notes.extend(_invalid(grids))
    return grids


def _read(source: Source, mapped: Mapped) -> tuple[Any, Any, dict[str, list[Any]]]:
    wanted = {field: mapped.columns[field] for field in ("code", "kind", "parent") if field in mapped}
    if "path" in source.columns:
        wanted["path"] = "path"
    wkt = None if source.has_geometry else mapped.columns["wkt"]
    rows: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    shapes: list[NDArray[np.object_]] = [np.zeros(0, dtype=object)]
    values: dict[str, list[Any]] = {field: [] for field in wanted}
    for chunk in source.chunks([*wanted.values(), *([wkt] if wkt else [])]):
        if chunk.problems:
            first = chunk.problems[0]
            raise InvalidInput(f"{first.file}, row {first.row}: {first.message}", code=first.code)
        rows.append(chunk.rows)
        shapes.append(chunk.geometry if chunk.geometry is not None else _from_wkt(chunk.columns[wkt or ""]))
        for field, column in wanted.items():
            values[field] += chunk.columns[column]
    texts = {
        field: ["" if value is None else as_text(value) for value in column]
        for field, column in values.items()
    }
    if "kind" in texts:
        texts["kind"] = _kinds(texts["kind"])
    return np.concatenate(rows), np.concatenate(shapes), texts


def _from_wkt(values: Sequence[Any]) -> NDArray[np.object_]:
    texts = np.array([None if value is None else str(value) for value in values], dtype=object)
    return straight(shapely.from_wkt, texts)


def _kinds(texts: list[str]) -> list[str]:
    """Kinds in the words of the index; 微网格 and its like as `gridmap load` takes them."""
    if set(texts) <= {*KINDS, ""}:
        return texts
    from boundaries.area_file import KIND_WORDS  # noqa: PLC0415  # drags the database in

    return [KIND_WORDS.get(text, text) for text in texts]


def _check_codes(grids: Grids) -> None:
    first: dict[str, int] = {}
    for row, text in zip(grids.rows.tolist(), grids.codes, strict=True):
        if not text:
            raise _bad_code(grids, row, "the code is empty", "empty_code")
        if text in first:
            message = f"code {text!r} is in row {first[text]} already"
            raise _bad_code(grids, row, message, "duplicate_code")
        first[text] = row


def _bad_code(grids: Grids, row: int, message: str, code: str) -> InvalidInput:
    finding = {"file": grids.file, "row": row, "field": "code", "message": message}
    return InvalidInput(f"{grids.file}, row {row}: {message}", code=code, findings=[finding])


def _invalid(grids: Grids) -> Iterator[str]:
    """Notes on polygons that break the rules of OGC: places in them are answered as GEOS reads them."""
    solid = grids.shapes.copy()
    solid[shapely.get_dimensions(solid) != 2] = None
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers are refused by the index
        found = topology.flaws(solid)
    for at, flaw in list(found.items())[:SHOWN]:
        where = f" ({flaw.where[0]:.6f}, {flaw.where[1]:.6f})" if flaw.where else ""
        yield (
            f"warning: {grids.file}, row {grids.rows[at]}, {grids.codes[at]}: 图形无效 invalid polygon:"
            f" {flaw.reason}{where}"
        )
    if found:
        yield (
            f"warning: {len(found)} of {len(grids.rows)} polygons are invalid; points in them are answered as"
            " GEOS reads them. `gridmap load areas --repair` mends"
        )


def sample_suspicion(grids: Grids, lon: NDArray[np.float64], lat: NDArray[np.float64], given: str) -> str:
    """One sentence where another reading of the points fits the grids clearly better; else empty.

    Args:
        grids: the grids.
        lon: a sample of the points as they came, longitudes or eastings in `given`.
        lat: latitudes or northings.
        given: the reference system they were read in, by gridmap's own names.
    """
    polygons = grids.wgs84()
    polygons = polygons[shapely.is_valid(polygons)]
    if not len(lon) or not len(polygons):
        return ""
    return crs.suspect(lon, lat, polygons, crs=given, sample=len(lon)).message
