"""Files in front of a check: areas, what they shall lie in, and buildings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from boundaries.area_file import KIND_WORDS
from boundaries.check import Examination, Rules, examine
from boundaries.check_areas import UNKNOWN, Areas, code_text
from boundaries.check_households import BuildingCount
from boundaries.fields import Mapped, map_fields, require
from boundaries.findings import Findings
from boundaries.places import System, place, system_of
from boundaries.read import Chunk, Source, open_source
from boundaries.values import Refused, Rows, read_whole
from gridmap.codes import DEFAULT, Scheme
from gridmap.errors import InvalidInput
from gridmap.index import KINDS

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file to be read, and how.

    Attributes:
        path: where it is.
        crs: of its coordinates; None means its own.
        otherwise: the system where neither `crs` nor the file names one; None means WGS-84.
        encoding: of CSV and Shapefile; None means detected.
        layer: layer or sheet, where there are several.
        fields: column by field.
        constants: text by field, the same for all rows.
    """

    path: Path
    crs: str | None = None
    otherwise: str | None = None
    encoding: str | None = None
    layer: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)


def check_files(
    grids: Given,
    *,
    within: Given | None = None,
    buildings: Given | None = None,
    rules: Rules | None = None,
    progress: Progress | None = None,
) -> Examination:
    """Checks a file of areas; no database is needed.

    Args:
        grids: the areas.
        within: areas that these must lie in and fill.
        buildings: their households are counted instead of what the areas state.
        rules: what the areas are held to.
        progress: called with how much of the areas has been read, 0 to 1.

    Raises:
        InvalidInput: a file cannot be read, lacks columns, or holds rows that are none.
    """
    notes: list[str] = []
    scheme = (rules or Rules()).scheme or DEFAULT
    areas = read_areas(grids, notes, scheme, progress=progress)
    outer = None if within is None else read_areas(within, notes, scheme, needs_code=False)

    def count(into: BuildingCount) -> None:
        if buildings is not None:
            _count(buildings, into, notes)

    report = examine(areas, within=outer, rules=rules, count=None if buildings is None else count)
    report.notes[:0] = notes
    return report


def read_areas(
    given: Given,
    notes: list[str],
    scheme: Scheme = DEFAULT,
    *,
    needs_code: bool = True,
    progress: Progress | None = None,
) -> Areas:
    """Areas of a file in WGS-84; what is wrong with single ones is left to the check.

    Args:
        given: the file.
        notes: takes what was assumed.
        scheme: by which codes name their kinds, where the file does not.
        needs_code: whether a column of codes must be there.
        progress: called with how much has been read, 0 to 1.

    Raises:
        InvalidInput: as of `check_files`.
    """
    opened = _open(given, "areas", ("code",) if needs_code else (), notes)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("geom", "code", "kind", "parent", "households", "rows")
    }
    flaws: dict[int, str] = {}
    uncounted = 0
    for chunk in opened.chunks():
        findings = Findings(given.path.name, keep=len(chunk.rows) + 1)
        rows = Rows(chunk, opened.mapped, findings)
        places = place(rows, opened.system, "area")
        first = len(columns["rows"])
        position = {int(row): first + at for at, row in enumerate(chunk.rows.tolist())}
        flaws |= {position[each.row]: each.message for each in findings.kept if each.row in position}
        columns["geom"] += list(places.geom)
        columns["rows"] += chunk.rows.tolist()
        nothing: list[Any] = [None] * len(chunk.rows)
        columns["code"] += rows.raw("code") or nothing
        columns["parent"] += rows.raw("parent") or nothing
        columns["kind"] += rows.raw("kind") or nothing
        for value in rows.raw("households") or nothing:
            number = _households(value)
            uncounted += number is None
            columns["households"].append(UNKNOWN if number is None else number)
        if progress:
            progress(chunk.fraction)
    if not columns["rows"]:
        raise InvalidInput(f"{given.path.name} holds no areas", code="no_areas")
    if uncounted:
        notes.append(
            f"{given.path.name}：{uncounted} 行户数无法识别 rows whose households are no whole number"
        )
    kinds = _kinds(opened, columns, notes)
    return Areas.from_arrays(
        columns["geom"],
        columns["code"],
        kind=kinds,
        parent=columns["parent"],
        households=columns["households"],
        rows=columns["rows"],
        flaws=flaws,
        scheme=scheme,
    )


@dataclass(frozen=True)
class _Opened:
    source: Source
    mapped: Mapped
    system: System

    def chunks(self) -> Any:
        """The chunks of the file, with the mapped columns; a row that is none ends it."""
        columns = list(dict.fromkeys(self.mapped.columns.values()))
        for chunk in self.source.chunks(columns):
            _refuse_problems(chunk, self.source.path.name)
            yield chunk


def _refuse_problems(chunk: Chunk, file: str) -> None:
    if chunk.problems:
        first = chunk.problems[0]
        raise InvalidInput(
            f"{file}, row {first.row}: {first.message}",
            code=first.code,
            findings=[
                {"row": each.row, "field": each.field, "message": each.message} for each in chunk.problems
            ],
        )


def _open(given: Given, noun: str, needed: tuple[str, ...], notes: list[str]) -> _Opened:
    source = open_source(given.path, layer=given.layer, encoding=given.encoding)
    mapped = map_fields(noun, source.columns, given.fields, given.constants, file=source.path.name)
    require(mapped, needed, source.columns, file=source.path.name)
    if not source.has_geometry and "wkt" not in mapped:
        if noun == "areas":
            raise InvalidInput(
                f"{source.path.name} has no polygons: a map file or a column of WKT is needed (--fields wkt=COLUMN);"
                f" its columns are {', '.join(source.columns) or 'none'}",
                code="missing_columns",
            )
        require(mapped, ("x", "y"), source.columns, file=source.path.name)
    chosen = given.crs or (given.otherwise if source.crs is None else None)
    system = system_of(source, chosen, mapped)
    notes += [f"{source.path.name}: {note}" for note in source.notes]
    if not system.is_wgs84:
        notes.append(f"{source.path.name}：由 {system.name} 转为 WGS-84 后检查 converted from {system.name}")
    return _Opened(source, mapped, system)


def _households(value: Any) -> int | None:
    """A count; `UNKNOWN` where nothing stands, None where something else does."""
    if value is None or value == "" or value != value:  # noqa: PLR0124  # NaN
        return UNKNOWN
    try:
        return read_whole(value, 0)
    except Refused:
        return None


def _kinds(opened: _Opened, columns: Mapping[str, list[Any]], notes: list[str]) -> list[str | None]:
    """Kinds as stated; a column that only looks like one by its name is passed over."""
    file = opened.source.path.name
    words = [code_text(value) for value in columns["kind"]]
    kinds = [KIND_WORDS.get(word, word.casefold()) or None for word in words]
    unknown = [at for at, kind in enumerate(kinds) if kind is not None and kind not in KINDS]
    if not unknown:
        if not any(kinds):
            notes.append(
                f"{file}：没有类型列，按编码判断类型 no column of kinds: kinds are taken from the codes"
            )
        return kinds
    known = len([kind for kind in kinds if kind]) - len(unknown)
    if known == 0 and "kind" in opened.mapped.columns:
        column = opened.mapped.columns["kind"]
        notes.append(
            f"{file}：列 {column} 不是区域类型，按编码判断"
            f" column {column} holds no kinds: they are taken from the codes"
        )
        return [None] * len(kinds)
    at = unknown[0]
    raise InvalidInput(
        f"{file}, row {columns['rows'][at]}: {words[at]!r} is no kind of area; kinds are {', '.join(KINDS)}"
        " (--fields kind=- takes none, --kind KIND the same for all)",
        code="unknown_kind",
    )


def _count(given: Given, into: BuildingCount, notes: list[str]) -> None:
    """Streams buildings into a count."""
    opened = _open(given, "buildings", ("households",), notes)
    refused = 0
    for chunk in opened.chunks():
        findings = Findings(given.path.name, keep=1)
        rows = Rows(chunk, opened.mapped, findings)
        places = place(rows, opened.system, "building")
        households = rows.whole("households")
        good = rows.good & ~shapely.is_missing(places.geom)
        points = shapely.point_on_surface(places.geom[good])
        if households is not None:
            into.add(shapely.get_x(points), shapely.get_y(points), households[good])
        refused += len(chunk.rows) - int(np.count_nonzero(good))
    if refused:
        notes.append(
            f"{given.path.name}：{refused} 栋楼无法读取，未计入 buildings cannot be read and are not counted"
        )
