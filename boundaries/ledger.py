"""The ledger of a plan's grids (网格台账) as a workbook: a row a grid, with its limits in words."""

import datetime as dt
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from sqlalchemy.orm import Session

from boundaries.draft import Draft, PlannedArea
from boundaries.ground import read_streets
from boundaries.limits import Limits, limits
from boundaries.plan_impact import Told
from boundaries.plan_metrics import fate
from boundaries.write import ILLEGAL_IN_A_SHEET
from gridmap.crs_measures import area_m2
from gridmap.index import GRIDS
from gridmap.routing import Person

KINDS: Final = {"comprehensive": "综合网格", "micro": "微网格", "dedicated": "专属网格"}
CHANGES: Final = {
    "split": "拆分", "merge": "合并", "retire": "停用", "create": "新建", "reshape": "调整边界", "rename": "改名",
}  # fmt: skip
ROLES: Final = {
    "leader": "网格长", "worker_full_time": "专职", "worker_part_time": "兼职", "liaison": "联络员",
    "party_backbone": "党员骨干", "volunteer": "志愿者", "guide": "指导员", "supervisor": "监督员",
    "building_head": "楼栋长", "police": "民警", "mediator": "调解员", "judge": "法官", "prosecutor": "检察官",
    "counsel": "律师",
}  # fmt: skip
FATES: Final = {
    "same": "未变 same", "changed": "变动 changed", "new": "新增 new", "touched": "未变 same",
}  # fmt: skip
_WIDTHS: Final = (22, 18, 16, 22, 11, 11, 16, 30, 14, 56, 16)
_AROUND_DEGREES: Final = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """A grid in the ledger.

    Attributes:
        leaders: who leads it, `workers` all others who serve it, each with their role.
    """

    area: PlannedArea
    parent: str
    households: int
    buildings: int
    leaders: tuple[str, ...]
    workers: tuple[str, ...]
    area_m2: float
    limits: Limits
    fate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands above every sheet.

    Attributes:
        scope: name and code of the plan's area.
        mark: who took it out, when and why.
    """

    title: str
    scope: str
    state: str
    day: dt.date
    mark: str
    households: bool


def grid_rows(session: Session, told: Told) -> list[GridRow]:
    """The grids of a plan as it is, in the order of kinds and codes.

    Args:
        session: streets are read in it.
        told: the plan with its impact.
    """
    draft = told.draft
    grids = [area for area in draft.inside() if area.kind in GRIDS]
    if not grids:
        return []
    around = _described(session, told, grids)
    sizes = area_m2(np.array([area.geom for area in grids], dtype=object)).tolist()
    buildings = told.ground.buildings.of(draft)
    people = told.seen.roster.people_of
    rows = []
    for area, size, words in zip(grids, sizes, around, strict=True):
        serving = people.get(area.code, ())
        above = draft.get(area.parent) if area.parent else None
        rows.append(
            GridRow(
                area=area,
                parent="" if above is None else f"{above.name} {above.code}",
                households=told.households.get(area.code, 0),
                buildings=buildings.get(area.code, 0),
                leaders=tuple(each.name for each in serving if each.role == "leader"),
                workers=tuple(_named(each) for each in serving if each.role != "leader"),
                area_m2=size,
                limits=words,
                fate=fate(draft, area),
            )
        )
    return rows


def _named(person: Person) -> str:
    return f"{person.name}（{ROLES.get(person.role, person.role)}）"


def _described(session: Session, told: Told, grids: Sequence[PlannedArea]) -> list[Limits]:
    """Limits of grids, each among those of its kind and what lies around the plan's area."""
    draft, base = told.draft, told.draft.base
    ground = shapely.box(*shapely.total_bounds(np.array([area.geom for area in grids], dtype=object)))
    streets = read_streets(session, ground)
    west, south, east, north = ground.bounds
    near = (base.bounds[:, 0] <= east + _AROUND_DEGREES) & (base.bounds[:, 2] >= west - _AROUND_DEGREES)
    near &= (base.bounds[:, 1] <= north + _AROUND_DEGREES) & (base.bounds[:, 3] >= south - _AROUND_DEGREES)
    inside = {draft.scope, *draft.codes_of_base}
    living = {area.code: area for area in draft.inside()}
    found: dict[str, Limits] = {}
    for kind in {area.kind for area in grids}:
        beside = "comprehensive" if kind == "dedicated" else kind
        rows = [
            row
            for row in np.flatnonzero(near & (base.kind == beside)).tolist()
            if base.code[row] not in inside
        ]
        paths = [draft.path(code) for code, area in living.items() if area.kind == beside]
        paths += base.path[rows].tolist()
        shapes = [area.geom for area in living.values() if area.kind == beside] + base.geom[rows].tolist()
        mine = [area for area in grids if area.kind == kind]
        words = limits([area.geom for area in mine], streets, shapes, _told_apart(draft, paths))
        found.update(zip((area.code for area in mine), words, strict=True))
    return [found[area.code] for area in grids]


def _told_apart(draft: Draft, paths: Sequence[str]) -> list[str]:
    """Names of areas by their paths; those that several have, with the name of the jurisdiction that holds them."""
    areas = [[area for code in path.split(".") if (area := draft.get(code)) is not None] for path in paths]
    names = [line[-1].name for line in areas]
    often = Counter(names)
    return [
        name
        if often[name] == 1
        else "".join([*(area.name for area in line if area.kind not in GRIDS)][-1:]) + name
        for name, line in zip(names, areas, strict=True)
    ]


def workbook(rows: Sequence[GridRow], told: Told, head: Head) -> bytes:
    """The ledger as an XLSX file: grids, what became of what, buildings that move, a summary.

    Args:
        rows: as of `grid_rows`.
        told: the plan with its impact.
        head: what stands above.
    """
    from openpyxl import Workbook  # noqa: PLC0415  # 0.2 s that nothing else of the server needs

    book = Workbook(write_only=True)
    book.properties.title = head.title
    book.properties.description = head.mark
    _sheet(book, "网格台账 Ledger", head, (_ledger(row) for row in rows), columns=_LEDGER, widths=_WIDTHS)
    _sheet(book, "沿革 Changes", head, _changes(told), columns=_LINEAGE, widths=(16, 14, 44, 44, 12))
    _sheet(book, "楼栋 Buildings", head, _moved(told, head), columns=_MOVED, widths=(26, 11, 24, 24, 14, 14))
    _sheet(
        book, "汇总 Summary", head, _summary(rows, told), columns=("项目 Item", "值 Value"), widths=(44, 60)
    )
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


_LEDGER: Final = (
    "编码 Code", "名称 Name", "类型 Kind", "上级 Parent", "户数 Households", "楼栋 Buildings", "网格长 Leader",
    "网格员 Workers", "面积（平方米）Area (m²)", "四至 Limits", "变化 Change",
)  # fmt: skip
_LINEAGE: Final = ("类型 Kind", "变化 Change", "原编码 Old codes", "新编码 New codes", "户数 Households")
_MOVED: Final = ("楼栋 Building", "户数 Households", "原网格 From", "新网格 To", "经度 Lon", "纬度 Lat")


def _sheet(
    book: Any,
    name: str,
    head: Head,
    rows: Iterable[Sequence[Any]],
    *,
    columns: Sequence[str],
    widths: Sequence[int],
) -> None:
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415  # as above
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    sheet = book.create_sheet(name)
    for number, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9  # A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True

    def cell(value: Any, *, bold: bool = False) -> Any:
        text = isinstance(value, str)
        made = WriteOnlyCell(sheet, ILLEGAL_IN_A_SHEET.sub("", value) if text else value)
        if text:
            made.data_type = "s"  # a name that begins with = is no formula
            made.alignment = Alignment(vertical="top", wrap_text=not bold)
        if bold:
            made.font = Font(bold=True)
        return made

    for line in (
        head.title,
        f"{head.scope} · {head.state}",
        f"日期 Date {head.day.isoformat()} · {head.mark}",
    ):
        sheet.append([cell(line, bold=True)])
    sheet.append([])
    sheet.append([cell(column, bold=True) for column in columns])
    for row in rows:
        sheet.append([cell(value) for value in row])


def _ledger(row: GridRow) -> tuple[Any, ...]:
    area = row.area
    return (
        area.code,
        area.name,
        f"{KINDS[area.kind]} {area.kind}",
        row.parent,
        row.households,
        row.buildings,
        "、".join(row.leaders),
        "、".join(row.workers),
        round(row.area_m2),
        f"{row.limits.zh}\n{row.limits.en}",
        FATES[row.fate],
    )


def _changes(told: Told) -> Iterable[tuple[Any, ...]]:
    for each in told.impact.grids:
        kind = KINDS.get(each.kind, each.kind)
        change = f"{CHANGES[each.change]} {each.change}"
        yield kind, change, "、".join(each.old), "、".join(each.new), each.households


def _moved(told: Told, head: Head) -> Iterable[tuple[Any, ...]]:
    moved, homes = told.impact.buildings, told.ground.homes
    for row in moved.rows.tolist():
        households = int(homes.households[row]) if head.households else None
        lon, lat = round(float(homes.lon[row]), 7), round(float(homes.lat[row]), 7)
        yield homes.code[row], households, moved.before[row] or "", moved.after[row] or "", lon, lat


def _summary(rows: Sequence[GridRow], told: Told) -> Iterable[tuple[str, Any]]:
    moved, homes = told.impact.buildings, told.ground.homes
    for kind, word in KINDS.items():
        mine = [row for row in rows if row.area.kind == kind]
        if mine:
            yield f"{word} {kind}", len(mine)
            yield f"{word}户数 households in {kind} grids", sum(row.households for row in mine)
    yield "停用编码 Codes retired", "、".join(told.impact.retired)
    yield "新增编码 Codes born", "、".join(told.impact.born)
    yield "划转楼栋 Buildings that move", len(moved.rows)
    yield "划转户数 Households that move", int(homes.households[moved.rows].sum())
    yield "网格员变动 Workers with other grids", sum(each.old != each.new for each in told.impact.people)
    for check in told.checks:
        yield f"{'✓' if check.ok else '✗'} {check.code}", check.text
