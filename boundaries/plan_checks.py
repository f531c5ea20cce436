"""Whether a plan may well be published: each condition with whether it holds, in words."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from boundaries.draft import Draft, PlannedArea
from boundaries.homes import Homes
from boundaries.impact import NESTING_GRIDS, Impact
from boundaries.plan_findings import Checked
from boundaries.plan_store import Plan
from gridmap.index import GRIDS
from gridmap.routing import Roster

Code = Literal[
    "no_errors",
    "base_current",
    "households_conserved",
    "households_in_range",
    "everybody_has_a_worker",
    "notice_over",
    "sets_whole",
]
_NAMED = 5  # codes that a sentence lists


@dataclass(frozen=True, slots=True)
class Check:
    """A condition of publishing, whether it holds, and what is to be said."""

    code: Code
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the checks look at beside the plan and its draft.

    Attributes:
        newest: number of the newest edition.
        notice_days: how long a plan is on notice once approved; 0 for not at all.
        roster: who would serve what.
        households: of every area inside the scope in the edition, and of those of the draft.
        now: the moment.
    """

    newest: int
    notice_days: int
    checked: Checked
    roster: Roster
    households: tuple[Mapping[str, int], Mapping[str, int]]
    now: dt.datetime


def checks(plan: Plan, draft: Draft, homes: Homes, told: Impact, known: Known) -> list[Check]:
    """What is to hold before a plan is published, in a fixed order.

    Args:
        plan: as it is stored.
        draft: as it is now.
        homes: living buildings inside its scope.
        told: what it changes.
        known: all else.
    """
    return [
        _no_errors(known.checked),
        _base_current(plan, known.newest),
        _conserved(draft, known.households),
        _in_range(known.checked),
        _served(draft, known.roster),
        _notice(plan, known),
        _sets_whole(homes, told),
    ]


def _no_errors(checked: Checked) -> Check:
    number = len(checked.errors)
    text = (
        f"检查有 {number} 处错误 {number} errors in the check"
        if number
        else "无缝隙、无重叠，编码合规 No gaps, no overlaps, codes well formed"
    )
    return Check("no_errors", not number, text)


def _base_current(plan: Plan, newest: int) -> Check:
    current = plan.base == newest
    text = (
        f"现行最新版仍是第 {newest} 版 Edition {newest} is still the newest"
        if current
        else f"基于第 {plan.base} 版，最新为第 {newest} 版，请先变基 It builds on edition {plan.base},"
        f" the newest is {newest}: rebase first"
    )
    return Check("base_current", current, text)


def _conserved(draft: Draft, households: tuple[Mapping[str, int], Mapping[str, int]]) -> Check:
    base = draft.base
    kind_of = {code: base.kind[base.row[code]] for code in draft.codes_of_base}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for code, kind in kind_of.items():
        sums[kind][0] += households[0].get(code, 0)
    for area in draft.inside():
        sums[area.kind][1] += households[1].get(area.code, 0)
    told = {kind: tuple(sums[kind]) for kind in NESTING_GRIDS if kind in sums}
    lost = {kind: pair for kind, pair in told.items() if pair[0] != pair[1]}
    if not lost:
        number = next((pair[1] for pair in told.values()), 0)
        return Check(
            "households_conserved", ok=True, text=f"户数总数不变，{number} 户 All {number} households kept"
        )
    parts = "; ".join(f"{kind} {pair[0]} → {pair[1]}" for kind, pair in lost.items())
    return Check("households_conserved", ok=False, text=f"户数总数有变 Households differ: {parts}")


def _in_range(checked: Checked) -> Check:
    out = [each.area or "" for each in checked.findings if each.code == "households_out_of_range"]
    text = (
        f"{len(out)} 个网格户数超限 {len(out)} grids are out of range: {_listed(out)}"
        if out
        else "各网格户数均在范围内 All grids are in range"
    )
    return Check("households_in_range", not out, text)


def _served(draft: Draft, roster: Roster) -> Check:
    """Grids that the plan makes or changes, without anybody who serves them or a grid that they lie in."""
    grids = [area for area in draft.changed if area.kind in GRIDS]
    alone = [area.code for area in grids if not _has_worker(draft, area, roster)]
    text = (
        f"{len(alone)} 个网格没有网格员 {len(alone)} grids have no worker: {_listed(alone)}"
        if alone
        else "变动的网格都有网格员 Every changed grid has a worker"
    )
    return Check("everybody_has_a_worker", not alone, text)


def _has_worker(draft: Draft, area: PlannedArea, roster: Roster) -> bool:
    above: PlannedArea | None = area
    while above is not None and above.kind in GRIDS:
        if roster.people_of.get(above.code):
            return True
        above = draft.get(above.parent) if above.parent else None
    return False


def _notice(plan: Plan, known: Known) -> Check:
    until = plan.notice_until
    if until is None:
        waits = known.notice_days > 0 and plan.state in {"draft", "submitted", "rejected", "withdrawn"}
        text = (
            f"批准后公示 {known.notice_days} 天 On notice for {known.notice_days} days once approved"
            if waits
            else "不需公示 No notice is needed"
        )
        return Check("notice_over", not waits, text)
    over = until <= known.now
    when = until.isoformat(timespec="minutes")
    text = f"公示已于 {when} 结束 The notice ended then" if over else f"公示至 {when} On notice until then"
    return Check("notice_over", over, text)


def _sets_whole(homes: Homes, told: Impact) -> Check:
    """Compounds and groups that lay in one grid and would lie in several."""
    torn = _torn(homes, told)
    text = (
        f"{len(torn)} 个整体被拆开 {len(torn)} sets are torn apart: {_listed(torn)}"
        if torn
        else "小区、村民小组未被拆开 No compound or group is torn apart"
    )
    return Check("sets_whole", not torn, text)


def _torn(homes: Homes, told: Impact) -> list[str]:
    moved = told.buildings
    torn = []
    for group in sorted({group for group in homes.group[moved.rows] if group}):
        members = homes.group == group
        before, after = set(moved.before[members]), set(moved.after[members])
        if len(before) == 1 and len(after) > 1:
            torn.append(str(group))
    return torn


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(codes[:_NAMED]) + (" …" if len(codes) > _NAMED else "")
