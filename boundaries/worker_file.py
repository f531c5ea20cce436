"""Files of workers on their way in: role, unit, the areas each serves and the weekly shifts."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from boundaries.job import Job, Summary
from boundaries.values import Refused, Rows, as_text, read_code
from gridmap import workers
from gridmap.db import Writer
from gridmap.snapshot import Snapshot
from gridmap.workers import Shift, UnitDraft, WorkerDraft

ROLE_WORDS: Final[Mapping[str, str]] = {
    **{chinese: role for role, (chinese, _) in workers.ROLES.items()},
    "专职": "worker_full_time",
    "兼职": "worker_part_time",
    "网格员": "worker_full_time",
    "社区民警": "police",
    "人民调解员": "mediator",
    "检察官助理": "prosecutor",
    "律师": "counsel",
    "村居法律顾问": "counsel",
}
UNIT_WORDS: Final[Mapping[str, str]] = {
    "综治中心": "centre",
    "中心": "centre",
    "派出所": "police_station",
    "司法所": "justice_office",
    "部门": "department",
    "调委会": "committee",
    "调解委员会": "committee",
}
WEEKDAYS: Final = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "日": 7, "天": 7}
MOST_CAPACITY: Final = 100_000

_SEPARATORS = re.compile(r"[;；、,，\s]+")
_SHIFT = re.compile(
    r"(?:周|星期)?([1-7一二三四五六日天])(?:\s*[-—–至到~]\s*(?:周|星期)?([1-7一二三四五六日天]))?"
    r"\s+(\d{1,2})[:：](\d{2})\s*[-—–至到~]\s*(\d{1,2})[:：](\d{2})"
)
_WHOLE_DAY = ((dt.time(0), dt.time(12)), (dt.time(12), dt.time(0)))


def load_workers(session: Writer, job: Job, snapshot: Snapshot) -> Summary:
    """Reads workers with their areas and shifts, and takes them over.

    Args:
        session: its owner commits or rolls back.
        job: the file.
        snapshot: the edition in force, whose areas may be served.
    """
    job.require("code", "name", "role")
    roles = workers.known_roles(session)
    units = workers.known_units(session)
    drafts: list[WorkerDraft] = []
    first_row: dict[str, int] = {}
    for rows in job.rows():
        created = _new_units(rows, units)
        workers.store_units(session, created)
        for draft in _drafts(rows, snapshot, roles, units):
            before = first_row.setdefault(draft.code, draft.row or 0)
            if before != draft.row:
                message = f"the code stands in row {before} already"
                column = job.mapped.columns["code"]
                job.findings.refuse(draft.row or 0, "duplicate_code", message, field=column, value=draft.code)
            else:
                drafts.append(draft)
    job.summary.add(workers.store_workers(session, drafts, job.options.today))
    return job.done()


def _drafts(rows: Rows, snapshot: Snapshot, roles: set[str], units: set[str]) -> list[WorkerDraft]:
    codes = rows.codes("code") or []
    names = rows.texts("name", required=True, longest=200) or []
    role = rows.choice("role", sorted(roles), ROLE_WORDS, code="unknown_role") or []
    capacity = rows.whole("capacity", least=1, default=workers.DEFAULT_CAPACITY)
    unit = rows.codes("unit", required=False) or [None] * len(rows)
    areas = rows.each("areas", lambda value: read_areas(value, snapshot))
    shifts = rows.each("shifts", read_shifts)
    for at, code in enumerate(unit):
        if code is not None and code not in units:
            message = "no unit has this code; add the columns unit_name and unit_kind to create it"
            rows.refuse(at, "unknown_unit", message, field="unit", value=code)
    return [
        WorkerDraft(
            code=codes[at] or "",
            name=names[at] or "",
            role=role[at] or "",
            capacity=workers.DEFAULT_CAPACITY if capacity is None else int(capacity[at]),
            unit=unit[at],
            areas=None if areas is None else areas[at] or (),
            shifts=None if shifts is None else shifts[at] or (),
            row=int(rows.chunk.rows[at]),
        )
        for at in np.flatnonzero(rows.good).tolist()
    ]


def _new_units(rows: Rows, units: set[str]) -> list[UnitDraft]:
    """Units that the file describes beside its people and that are not known yet; they become known."""
    names = rows.texts("unit_name", longest=200)
    kinds = rows.choice("unit_kind", workers.UNIT_KINDS, UNIT_WORDS, code="bad_value", required=False)
    codes = rows.raw("unit")
    created: list[UnitDraft] = []
    if not (names and kinds and codes):
        return created
    for code, name, kind in zip(codes, names, kinds, strict=True):
        text = as_text(code) if code is not None else ""
        if text and name and kind and text not in units:
            units.add(text)
            created.append(UnitDraft(code=text, name=name, kind=kind))
    return created


def read_areas(value: Any, snapshot: Snapshot) -> tuple[str, ...]:
    """Codes of living areas, separated by `;` or `、`.

    Raises:
        Refused: a code that is no area.
    """
    if isinstance(value, float):
        return read_areas(read_code(value), snapshot)  # a single code that a spreadsheet took for a number
    codes = tuple(code for code in _SEPARATORS.split(as_text(value)) if code)
    for code in codes:
        if code not in snapshot.row:
            raise Refused("unknown_area", f"no living area has the code {code}")
    return codes


def read_shifts(value: Any) -> tuple[Shift, ...]:
    """Weekly duties: `1-5 08:00-18:00; 6 09:00-12:00`, or 周一至周五 08:00-18:00.

    An end not after the start lies on the next day; 00:00-24:00 is the whole day.

    Raises:
        Refused: written otherwise.
    """
    shifts: list[Shift] = []
    for part in re.split(r"[;；、]", as_text(value)):
        text = part.strip()
        if not text:
            continue
        match = _SHIFT.fullmatch(text)
        if match is None:
            raise Refused("bad_shift", "written as 1-5 08:00-18:00; 6 09:00-12:00 (Monday is 1)")
        first, last = (WEEKDAYS.get(day) or int(day) for day in (match[1], match[2] or match[1]))
        days = [(first - 1 + step) % 7 + 1 for step in range((last - first) % 7 + 1)]
        shifts += [Shift(day, *times) for day in days for times in _times(match)]
    return tuple(shifts)


def _times(match: re.Match[str]) -> tuple[tuple[dt.time, dt.time], ...]:
    start_h, start_m, end_h, end_m = (int(match[group]) for group in (3, 4, 5, 6))
    if (start_h, start_m) == (0, 0) and (end_h, end_m) in {(24, 0), (0, 0)}:
        return _WHOLE_DAY
    if (end_h, end_m) == (24, 0):
        end_h = 0
    if start_h > 23 or end_h > 23 or start_m > 59 or end_m > 59 or (start_h, start_m) == (end_h, end_m):
        raise Refused("bad_shift", "no such hours; written as 1-5 08:00-18:00")
    return ((dt.time(start_h, start_m), dt.time(end_h, end_m)),)
