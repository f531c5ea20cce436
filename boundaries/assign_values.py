"""Columns of any Arrow type as what a CSV, a sheet or GDAL can hold."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from boundaries.assign_place import coordinates_of

# Types that GDAL takes as they are. What has more (decimals, nested values, durations) becomes the nearest of them.
_GDAL: Final = (
    pa.types.is_boolean,
    pa.types.is_signed_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_date32,
    pa.types.is_binary,
)
_CSV: Final = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_date32,
    pa.types.is_timestamp,
    pa.types.is_decimal128,
)
EXACT_DIGITS: Final = 10**15  # of a number in a sheet


def for_gdal(column: pa.Array) -> pa.Array:
    """A column as GDAL takes it: numbers, text, dates, bytes."""
    column = _bare(column)
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return column.cast(pa.float64())
    if pa.types.is_unsigned_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("ms", kind.tz), safe=False)  # GDAL keeps milliseconds
    return column if any(fits(kind) for fits in _GDAL) else as_text(column)


def for_csv(column: pa.Array) -> pa.Array:
    """A column as text in a CSV, in quotes where it must; bytes as hexadecimal digits, nested values as JSON."""
    column = _bare(column)
    column = column.cast(pa.string()) if any(fits(column.type) for fits in _CSV) else as_text(column)
    special = pc.match_substring_regex(column, r'[",\r\n]')
    if not pc.any(special).as_py():
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def csv_lines(columns: Sequence[pa.Array]) -> bytes:
    """Lines of a CSV out of columns as of `for_csv`; null is an empty cell.

    pyarrow's own writer puts quotes round all text or none.
    """
    rows = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise(rows, "", "\n")
    if not len(lines):
        return b""
    first, last = lines.offset, lines.offset + len(lines)
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    return bytes(memoryview(lines.buffers()[2])[offsets[first] : offsets[last]])


def for_sheet(column: pa.Array) -> list[Any]:
    """Values of a column as a sheet holds them: numbers to 15 digits, dates without zone, text."""
    column = _bare(column)
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_floating(kind):
        column = column.cast(pa.float64())
    elif not any(fits(kind) for fits in (*_CSV, pa.types.is_time)):
        column = as_text(column)
    return [_cell(value) for value in column.to_pylist()]


def for_json(column: pa.Array) -> list[Any]:
    """Values of a column as JSON holds them; dates and times in ISO 8601."""
    column = _bare(column)
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_floating(kind):
        return [value if value is not None and np.isfinite(value) else None for value in column.to_pylist()]
    return [_json_value(value) for value in column.to_pylist()]


def as_text(column: pa.Array) -> pa.Array:
    """A column as text."""
    if (
        pa.types.is_null(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_string_view(column.type)
    ):
        return column.cast(pa.string())
    return pa.array([_text(value) for value in column.to_pylist()], pa.string())


def wkb(column: pa.Array) -> pa.Array:
    """Geometry as WKB, also where it comes as native GeoArrow points."""
    bare = _bare(column)
    if not (pa.types.is_struct(bare.type) or pa.types.is_fixed_size_list(bare.type)):
        return bare.cast(pa.binary())
    found = coordinates_of(bare, "geometry")
    return points(found.x, found.y)


def points(x: NDArray[np.float64], y: NDArray[np.float64]) -> pa.Array:
    """Points as WKB; null where a coordinate is not finite."""
    shapes = np.full(len(x), None, dtype=object)
    finite = np.isfinite(x) & np.isfinite(y)
    shapes[finite] = shapely.points(x[finite], y[finite])
    return pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary())


def wkt(column: pa.Array) -> pa.Array:
    """Geometry as WKT with all digits; what cannot be read is null."""
    with np.errstate(invalid="ignore"):  # NaN in a file is no reason to warn
        raw: Any = np.array([value or None for value in wkb(column).to_pylist()], dtype=object)
        shapes: Any = shapely.from_wkb(raw, on_invalid="ignore")
        return pa.array(shapely.to_wkt(shapes, rounding_precision=-1).tolist(), pa.string())


def _bare(column: pa.Array) -> pa.Array:
    """Without extension types and dictionaries."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    plain = _json_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.isoformat()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= EXACT_DIGITS:
        return str(value)
    return value
