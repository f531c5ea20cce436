"""Grids out of a geopandas frame, checked row by row."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap import crs
from gridmap.errors import InvalidInput

_GRIDS = frozenset({"dedicated", "micro", "comprehensive"})
_MOST_FINDINGS = 100

Checked = tuple[Any, list[str], list[str], list[str], NDArray[np.int32]]


def read_frame(grids: Any, code: str) -> Checked:
    """Polygons in WGS-84, codes, kinds, paths, and the row of the frame each came from.

    Raises:
        InvalidInput: as of `GridIndex.from_frame`.
    """
    columns = [str(name) for name in grids.columns]
    if code not in columns:
        raise InvalidInput(
            f"column {code!r} is missing; there are {', '.join(columns)}",
            code="missing_column",
            findings=[{"field": code, "message": "missing"}],
        )
    if not len(grids):
        raise InvalidInput("there is no grid in the input", code="no_areas")
    codes = _codes(list(grids[code]), code)
    geoms = _wgs84(_polygons(np.asarray(grids.geometry.array, dtype=object)), grids.crs)
    kinds, rows = _kinds(list(grids["kind"]) if "kind" in columns else [None] * len(codes))
    parents = dict(zip(codes, grids["parent"], strict=True)) if "parent" in columns else {}
    stored = list(grids["path"]) if "path" in columns else [None] * len(codes)
    paths = [
        text if isinstance(text, str) and text else _climb(own, parents)
        for own, text in zip(codes, stored, strict=True)
    ]
    if "path" not in columns and "parent" not in columns and "village" in kinds:
        paths = _paths_by_place(geoms, codes, kinds, rows)
    return geoms[rows], [codes[r] for r in rows], kinds, [paths[r] for r in rows], rows


def _refuse(what: str, code: str, rows: Iterable[int], field: str) -> None:
    bad = [int(row) for row in rows]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InvalidInput(
            f"{what} in row {', '.join(map(str, bad[:5]))}{more}",
            code=code,
            findings=[{"row": row, "field": field, "message": what} for row in bad[:_MOST_FINDINGS]],
        )


def _text(value: Any) -> str:
    """A code as text; numbers as a reader of tables may have made them of digits."""
    if value is None or value != value:  # noqa: PLR0124  # NaN and NaT of every library
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _codes(values: list[Any], field: str) -> list[str]:
    codes = [_text(value) for value in values]
    _refuse("empty code", "empty_code", (row for row, text in enumerate(codes) if not text), field)
    first: dict[str, int] = {}
    again = [row for row, text in enumerate(codes) if first.setdefault(text, row) != row]
    if again:
        row = again[0]
        _refuse(f"code {codes[row]!r} of row {first[codes[row]]} again", "duplicate_code", again, field)
    return codes


def _polygons(geoms: Any) -> Any:
    flat = shapely.force_2d(geoms)
    bare = shapely.is_missing(flat) | shapely.is_empty(flat)
    _refuse("empty geometry", "empty_geometry", np.flatnonzero(bare), "geometry")
    kind = shapely.get_type_id(flat)
    solid = (kind == shapely.GeometryType.POLYGON) | (kind == shapely.GeometryType.MULTIPOLYGON)
    _refuse("no polygon", "not_a_polygon", np.flatnonzero(~solid), "geometry")
    _refuse_infinite(flat)
    return flat


def _refuse_infinite(geoms: Any) -> None:
    coords, index = shapely.get_coordinates(geoms, return_index=True)
    bad = np.unique(index[~np.isfinite(coords).all(axis=1)])
    _refuse("coordinates that are no numbers", "bad_coordinates", bad, "geometry")


def _wgs84(geoms: Any, system: Any) -> Any:
    """Polygons converted; the identity, bit for bit, where they are in WGS-84 or CGCS2000 already."""
    epsg = None if system is None else system.to_epsg()
    move: Any
    if system is None or epsg in (4326, 4490):
        return geoms
    if epsg is not None:
        move = partial(crs.convert, source=f"EPSG:{epsg}", target="wgs84")
    else:
        from pyproj import Transformer  # noqa: PLC0415  # only for a system without a number

        move = Transformer.from_crs(system, "EPSG:4326", always_xy=True).transform
    moved = shapely.transform(geoms, move, interleaved=False)
    _refuse_infinite(moved)
    return moved


def _kinds(values: list[Any]) -> tuple[list[str], NDArray[np.int32]]:
    """Kinds as the index takes them, and the rows that take part."""
    names = [_text(value) for value in values]
    if not _GRIDS.intersection(names):
        return ["micro"] * len(names), np.arange(len(names), dtype=np.int32)
    rows = [row for row, name in enumerate(names) if name in _GRIDS or name == "village"]
    return [names[row] for row in rows], np.array(rows, dtype=np.int32)


def _climb(code: str, parents: dict[str, Any]) -> str:
    """Path by the column of parents; a circle ends where it closes."""
    path = [code]
    while (above := _text(parents.get(path[0]))) and above not in path:
        path.insert(0, above)
    return ".".join(path)


def _paths_by_place(geoms: Any, codes: list[str], kinds: list[str], rows: NDArray[np.int32]) -> list[str]:
    """Path of every row of the frame as far as villages go: the village that holds a point of the grid."""
    villages = [int(row) for row, kind in zip(rows, kinds, strict=True) if kind == "village"]
    villages.sort(key=codes.__getitem__)
    tree = shapely.STRtree(geoms[villages])
    grid, village = tree.query(shapely.point_on_surface(geoms), predicate="intersects")
    paths, own = list(codes), set(villages)
    for at, over in sorted(zip(grid.tolist(), village.tolist(), strict=True), reverse=True):
        paths[at] = codes[at] if at in own else f"{codes[villages[over]]}.{codes[at]}"
    return paths
