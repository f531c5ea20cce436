"""A plan as layers of a GeoPackage: areas before and after, borders that change, buildings that move."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from boundaries.check_edges import edges_of
from boundaries.draft import Draft, PlannedArea
from boundaries.dump import converted
from boundaries.plan_impact import Told
from boundaries.write import Table, default_crs, write_layers
from gridmap import crs
from gridmap.snapshot import ORDER

_SAME = 1e-8  # degrees, about a millimetre: a vertex that a neighbour got moves a border by less
_Columns = Sequence[tuple[str, pa.DataType]]
_TEXT, _WHOLE = pa.string(), pa.int64()
_AREA = (
    ("code", _TEXT),
    ("name", _TEXT),
    ("kind", _TEXT),
    ("setting", _TEXT),
    ("parent", _TEXT),
    ("path", _TEXT),
    ("households", _WHOLE),
    ("fate", _TEXT),
)


@dataclass(frozen=True)
class File:
    """How a plan is written.

    Attributes:
        system: reference system; None means CGCS2000.
        mark: goes along with the file.
        households: of single buildings too.
    """

    system: str | None
    mark: Mapping[str, object]
    households: bool

    def table(
        self, name: str, columns: _Columns, rows: Sequence[Sequence[Any]], shapes: Sequence[Any], kind: str
    ) -> Table:
        """A layer; `shapes` are in EPSG:4326, `kind` in GDAL's words."""
        system = str(self.system)
        geometry = np.empty(len(shapes), dtype=object)
        geometry[:] = shapes

        def chunks() -> Iterator[tuple[list[list[Any]], NDArray[np.object_]]]:
            values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
            yield values, converted(geometry, system)

        schema = pa.schema([pa.field(*column) for column in columns])
        return Table(name, schema, kind, system, chunks(), self.mark)


def write_plan(path: Path, told: Told, file: File) -> int:
    """Writes the layers `before`, `after`, `borders` and `buildings`; returns the number of rows.

    Args:
        path: a GeoPackage.
        told: the plan with its impact.
        file: how.

    Raises:
        InvalidInput: the reference system is unknown or does not cover the place.
    """
    file = replace(file, system=crs.normalise(file.system) if file.system else default_crs(path))
    tables = [_areas("before", told, file), _areas("after", told, file), _borders(told, file)]
    return write_layers(path, [*tables, _buildings(told, file)])


def _areas(which: str, told: Told, file: File) -> Table:
    draft = told.draft
    if which == "before":
        areas = [area for code in draft.codes_of_base if (area := draft.before(code)) is not None]
        counts: Mapping[str, int] = told.ground.households.of_base
        paths = [draft.base.path[draft.base.row[area.code]] for area in areas]
    else:
        areas, counts = [*draft.inside()], told.households
        paths = [draft.path(area.code) for area in areas]
    rows = [
        (
            *(area.code, area.name, area.kind, area.setting, area.parent, path),
            *(counts.get(area.code, 0), _fate(draft, area.code)),
        )
        for area, path in zip(areas, paths, strict=True)
    ]
    return file.table(which, _AREA, rows, [area.geom for area in areas], "MultiPolygon")


def _fate(draft: Draft, code: str) -> str:
    if code not in draft.areas:
        return "same"
    now = draft.areas[code]
    if now is None:
        return "retired"
    if code not in draft.base.row:
        return "new"
    return "touched" if now.touched else "changed"


def _buildings(told: Told, file: File) -> Table:
    moved, homes = told.impact.buildings, told.ground.homes
    rows = [
        (
            homes.code[row],
            int(homes.households[row]) if file.households else None,
            moved.before[row],
            moved.after[row],
        )
        for row in moved.rows.tolist()
    ]
    columns = (("code", _TEXT), ("households", _WHOLE), ("from", _TEXT), ("to", _TEXT))
    return file.table("buildings", columns, rows, homes.geom[moved.rows].tolist(), "Unknown")


def _borders(told: Told, file: File) -> Table:
    rows, shapes = [], []
    for kind, (gone, come) in borders(told.draft).items():
        for change, line in (("gone", gone), ("new", come)):
            if not shapely.is_empty(line):
                rows.append((kind, change))
                shapes.append(line)
    columns = (("kind", _TEXT), ("change", _TEXT))
    return file.table("borders", columns, rows, shapes, "MultiLineString")


def borders(draft: Draft) -> dict[str, tuple[shapely.MultiLineString, shapely.MultiLineString]]:
    """By kind of area the borders that are no more, and those that are new; kinds in their order."""
    kinds: dict[str, tuple[list[Any], list[Any]]] = {}
    for code, now in draft.areas.items():
        before = draft.before(code)
        if now is not None and now.touched:
            continue
        for side, area in enumerate((before, now)):
            if area is not None:
                kinds.setdefault(area.kind, ([], []))[side].append(area)
    found = {}
    for kind in sorted(kinds, key=ORDER.__getitem__):
        before_lines, after_lines = (_outlines(areas) for areas in kinds[kind])
        found[kind] = (_without(before_lines, after_lines), _without(after_lines, before_lines))
    return found


def _outlines(areas: Sequence[PlannedArea]) -> Any:
    if not areas:
        return shapely.MultiLineString()
    edges = edges_of(np.array([area.geom for area in areas], dtype=object))
    _, first = np.unique(edges.number, return_index=True)
    return shapely.MultiLineString(list(edges.ends[first]))


def _without(lines: Any, others: Any) -> shapely.MultiLineString:
    left = shapely.line_merge(shapely.difference(lines, others, grid_size=_SAME))
    return shapely.MultiLineString(
        [
            part
            for part in shapely.get_parts(left).tolist()
            if part.geom_type == "LineString" and part.length > _SAME
        ]
    )
