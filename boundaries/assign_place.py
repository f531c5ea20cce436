"""Where the rows of a batch are: from two columns of coordinates, or from the file's geometry."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from boundaries.arrow import straight
from boundaries.assign_source import Points
from boundaries.fields import Mapped, map_fields
from boundaries.places import System, system_of
from gridmap.errors import InvalidInput

Floats = NDArray[np.float64]

# A point as little-endian WKB: the order of bytes, the number of its kind, two doubles.
WKB_POINT: Final = np.dtype([("head", "V5"), ("x", "<f8"), ("y", "<f8")])
WKB_HEAD: Final = b"\x01\x01\x00\x00\x00"
POINT, MULTIPOINT = 0, 4  # GEOS' numbers


@dataclass(frozen=True)
class Where:
    """Which columns hold the place, by position in the schema, and in which reference system.

    Attributes:
        x: longitudes or eastings; -1 where geometry is used.
        y: latitudes or northings; -1 likewise.
        shape: WKB, WKT or native GeoArrow points; -1 where columns are used.
        system: of the coordinates.
        file: name of the file, for errors.
    """

    x: int
    y: int
    shape: int
    system: System
    file: str


@dataclass(frozen=True)
class Coordinates:
    """Coordinates of a batch as the file has them.

    Attributes:
        x: float64, NaN where there is none.
        y: likewise.
        unreadable: values that are no numbers or no geometry; their rows have NaN.
        first: the first of these: its place in the batch and what stands there.
    """

    x: Floats
    y: Floats
    unreadable: int = 0
    first: tuple[int, str] | None = None


def find_place(points: Points, x: str | None, y: str | None, chosen_crs: str | None) -> Where:
    """Which columns hold the place: those named, else the file's geometry, else those with usual names.

    Args:
        points: the file; what is assumed of its reference system is noted on it.
        x: column of longitudes or eastings, if named.
        y: column of latitudes or northings, if named.
        chosen_crs: reference system, if named; else the file's own (of its geometry); else WGS-84.

    Raises:
        InvalidInput: no such column (names those that there are), one that holds no numbers, an unknown
            reference system.
    """
    names, file = points.schema.names, points.path.name
    mapped = map_fields("streets", names, {}, {}, file=file)
    if x is None and y is None and points.geometry is not None:
        system = _system(points, chosen_crs, mapped)
        return Where(-1, -1, names.index(points.geometry), system, file)
    if x is None and y is None and not {"x", "y"} <= mapped.columns.keys() and "wkt" in mapped:
        at = names.index(mapped.columns["wkt"])
        return Where(-1, -1, at, _system(points, chosen_crs, mapped), file)
    at_x, at_y = (
        _column(points, axis, name or mapped.columns.get(axis)) for axis, name in (("x", x), ("y", y))
    )
    if at_x == at_y:
        raise InvalidInput(f"{file}: --x and --y name the same column {names[at_x]!r}", code="bad_column")
    if points.geometry is not None and chosen_crs is None and points.crs is not None:
        # the file's own system is that of its geometry; columns beside it are nearly always degrees
        points.notes.append(
            f"{names[at_x]}, {names[at_y]}: WGS-84 assumed, whatever the geometry beside is in; say otherwise"
            " with --crs"
        )
        return Where(at_x, at_y, -1, System("wgs84"), file)
    return Where(at_x, at_y, -1, _system(points, chosen_crs, Mapped({"x": names[at_x]})), file)


def _system(points: Points, chosen_crs: str | None, mapped: Mapped) -> System:
    source: Any = points  # as much of a Source as is looked at
    return system_of(source, chosen_crs, mapped)


def _column(points: Points, axis: str, name: str | None) -> int:
    names, file = points.schema.names, points.path.name
    there = ", ".join(each for each in names if each) or "none"
    if name is None:
        raise InvalidInput(
            f"{file} has no column that is named like {'a longitude' if axis == 'x' else 'a latitude'};"
            f" name it with --{axis}. It has {there}",
            code="missing_column",
        )
    if name not in names:
        raise InvalidInput(f"{file} has no column {name!r} (--{axis}); it has {there}", code="missing_column")
    if names.count(name) > 1:
        raise InvalidInput(f"{file} has the column {name!r} more than once", code="bad_column")
    at = int(names.index(name))
    kind = points.schema.types[at]
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    checks = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_null, _is_text)
    if not any(check(kind) for check in checks):
        raise InvalidInput(
            f"{file}: the column {name!r} (--{axis}) holds {kind}, no numbers", code="bad_column"
        )
    return at


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def coordinates(batch: pa.RecordBatch, where: Where) -> Coordinates:
    """Coordinates of a batch.

    Raises:
        InvalidInput: a geometry that is no point.
    """
    if where.shape >= 0:
        return coordinates_of(batch.column(where.shape), where.file)
    (x, bad_x), (y, bad_y) = _numbers(batch.column(where.x)), _numbers(batch.column(where.y))
    bad = sorted([*bad_x, *bad_y])
    return Coordinates(x, y, len(bad), bad[0] if bad else None)


def _numbers(column: pa.Array) -> tuple[Floats, list[tuple[int, str]]]:
    """Values as floats, without a copy where they are that already; and those that are no numbers."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if _is_text(column.type):
        return _numbers_of_text(column)
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)
    # with nulls a copy that has NaN in their place
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64), []


def _numbers_of_text(column: pa.Array) -> tuple[Floats, list[tuple[int, str]]]:
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    try:
        return trimmed.cast(pa.float64()).to_numpy(zero_copy_only=False), []
    except pa.ArrowInvalid:
        pass
    numbers = np.full(len(trimmed), np.nan)
    bad: list[tuple[int, str]] = []
    for at, text in enumerate(trimmed.to_pylist()):
        try:
            numbers[at] = np.nan if text is None else float(text)
        except ValueError:
            bad.append((at, text))
    return numbers, bad


def coordinates_of(column: pa.Array, file: str) -> Coordinates:
    """Coordinates of a column of points: WKB, WKT, or native GeoArrow.

    Raises:
        InvalidInput: a geometry that is no point.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_struct(column.type) or pa.types.is_fixed_size_list(column.type):
        return _of_native(column)
    if pa.types.is_binary(column.type) and column.null_count == 0:
        plain = _plain_wkb(column)
        if plain is not None:
            return plain
    if _is_text(column.type):
        values: list[Any] = [text.strip() if text else None for text in column.to_pylist()]
    else:
        values = column.cast(pa.large_binary()).to_pylist()
    given = np.array([bool(value) for value in values], dtype=bool)
    texts: Any = np.array([value or None for value in values], dtype=object)
    with np.errstate(invalid="ignore"):  # NaN is an answer here, not a reason to warn
        read: Any = shapely.from_wkt if _is_text(column.type) else shapely.from_wkb
        shapes = straight(read, texts)
    return _of_points(shapes, np.flatnonzero(given & shapely.is_missing(shapes)), file)


def _plain_wkb(column: pa.Array) -> Coordinates | None:
    """Coordinates without parsing where all values are plain points in WKB."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32, count=len(column) + 1, offset=4 * column.offset)
    if data is None or not np.array_equal(np.diff(ends), np.full(len(column), WKB_POINT.itemsize)):
        return None
    values = np.frombuffer(data, dtype=WKB_POINT, count=len(column), offset=int(ends[0]))
    if not np.all(values["head"] == np.void(WKB_HEAD)):
        return None
    return Coordinates(np.ascontiguousarray(values["x"]), np.ascontiguousarray(values["y"]))


def _of_native(column: pa.Array) -> Coordinates:
    if pa.types.is_struct(column.type):
        x, y = (column.field(axis) for axis in ("x", "y"))
    else:
        size = column.type.list_size
        flat = column.values.slice(column.offset * size, len(column) * size)
        x, y = (flat.take(pa.array(np.arange(axis, len(flat), size))) for axis in (0, 1))
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = [np.where(valid, _numbers(axis)[0], np.nan) for axis in (x, y)]
    return Coordinates(numbers[0], numbers[1])


def _of_points(shapes: NDArray[np.object_], unreadable: NDArray[np.int64], file: str) -> Coordinates:
    kinds = shapely.get_type_id(shapes)
    single = (kinds == MULTIPOINT) & (shapely.get_num_geometries(shapes) == 1)
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    other = (shapely.get_type_id(shapes) > POINT) & ~shapely.is_empty(shapes)
    if other.any():
        kind = shapes[np.argmax(other)].geom_type
        raise InvalidInput(
            f"{file}: its geometry is {kind}; needed are points. Name columns of coordinates with --x and --y,"
            " or take a point of each first",
            code="wrong_geometry",
        )
    shapes[shapely.is_empty(shapes)] = None  # GEOS has no coordinates of these to give
    x, y = shapely.get_x(shapes), shapely.get_y(shapes)
    first = (int(unreadable[0]), "geometry") if len(unreadable) else None
    return Coordinates(x, y, len(unreadable), first)
