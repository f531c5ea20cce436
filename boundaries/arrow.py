"""From Arrow's columns to plain values, with the rows whose text is half a character sorted out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from boundaries.findings import Finding, shorten


def plain_columns(
    rows: NDArray[np.int64], columns: Mapping[str, pa.Array], file: str, encoding: str = "utf-8"
) -> tuple[NDArray[np.bool_], dict[str, list[Any]], list[Finding]]:
    """Values of columns as Python has them, without the rows whose text cannot be decoded.

    Args:
        rows: the rows' numbers, for the findings.
        columns: by name.
        file: its name, for the findings.
        encoding: of the bytes in text columns.

    Returns:
        which rows were kept; the values of the kept rows by column; findings on the others.
    """
    keep = np.ones(len(rows), dtype=bool)
    problems: list[Finding] = []
    values: dict[str, list[Any]] = {}
    for name, column in columns.items():
        values[name], bad = _values(column, encoding)
        for place in bad:
            if keep[place]:
                keep[place] = False
                problems.append(
                    Finding(
                        "bad_encoding",
                        f"half a character: bytes that are not {encoding}",
                        file=file,
                        row=int(rows[place]),
                        field=name,
                        value=shorten(values[name][place]),
                    )
                )
    if problems:
        values = {
            name: [value for value, kept in zip(column, keep, strict=True) if kept]
            for name, column in values.items()
        }
    return keep, values, problems


@np.errstate(invalid="ignore")  # NaN coordinates are refused with their row
def shapes(column: pa.Array) -> NDArray[np.object_]:
    """Geometries of a column of WKB; None where there is none, or one that cannot be read."""
    wkb = np.array(column.to_pylist(), dtype=object)
    return straight(shapely.from_wkb, wkb)


def straight(read: Callable[..., Any], texts: NDArray[np.object_]) -> NDArray[np.object_]:
    """Geometries read by `shapely.from_wkb` or `from_wkt`; None where there is none, or one that cannot be read.

    Of arcs and curves shapely reads nothing, and says so by an error instead of None.
    """
    try:
        return np.asarray(read(texts, on_invalid="ignore"), dtype=object)
    except NotImplementedError:
        return np.array([_straight(read, text) for text in texts], dtype=object)


def _straight(read: Callable[..., Any], text: Any) -> Any:
    try:
        return read(text, on_invalid="ignore")
    except NotImplementedError:
        return None


def _values(column: pa.Array, encoding: str) -> tuple[list[Any], list[int]]:
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return _texts(column, encoding)
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        # Python's datetime ends at microseconds; pyarrow would want pandas for more
        column = pc.cast(column, pa.timestamp("us", tz=kind.tz), safe=False)
    try:
        return column.to_pylist(), []
    except (OverflowError, ValueError):  # a moment before the year 1 or after 9999
        return [_value(each) for each in column], []


def _value(scalar: pa.Scalar) -> Any:
    """As Python has it; what Python has no date for stays text, which whoever needs a moment refuses."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return str(pc.cast(scalar, pa.string()))


def _texts(column: pa.Array, encoding: str) -> tuple[list[Any], list[int]]:
    large = pa.types.is_large_string(column.type)
    raw: list[bytes | None] = column.cast(pa.large_binary() if large else pa.binary()).to_pylist()
    texts: list[str | None] = []
    bad: list[int] = []
    for place, value in enumerate(raw):
        if value is None:
            texts.append(None)
            continue
        try:
            text = value.decode(encoding)
        except UnicodeDecodeError:
            text = value.decode(encoding, "replace")
            bad.append(place)
        if "\0" in text:
            bad.append(place)
        texts.append(text.strip() or None)
    return texts, bad
