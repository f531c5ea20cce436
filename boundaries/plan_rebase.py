"""A plan onto the newest edition: the same edits once more, on what others have published meanwhile."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import shapely
import sqlalchemy as sa

from boundaries import plan_store, redraw
from boundaries.check_findings import TOLERANCE_M2
from boundaries.draft import Draft, PlannedArea, Step
from boundaries.plan_edits import Drawn
from boundaries.plan_life import OPEN, UNAPPROVED, WITH_APPROVER
from boundaries.plan_store import Edit, Plan
from boundaries.planning import Desk, require_state
from gridmap.crs_measures import area_m2
from gridmap.errors import Conflict, GridmapError, InvalidInput, NotFound
from gridmap.snapshot import Snapshot

EVERY: Final = 2**31 - 1
_CODES: Final = ("grid", "into", "to")  # what of a request names one area; `grids` names several

Replayed = list[tuple[Edit, Step, Draft]]


def rebase(desk: Desk, number: int, revision: int) -> Drawn:
    """Does a plan's edits again on the newest edition; what was undone can be redone no more.

    What is with the approver stays there where the same comes of it; else it is a draft again, and only a planner
    may make it one. A plan that builds on the newest edition is left alone.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`; `rebase_collides`, with what others changed of what
            this plan changes, or the edit that is not possible any more; `rebase_changes`.
    """
    plan = desk.take(number, revision, "plan", "approve")
    plans = desk.by.scope("plan").holds(plan.path)
    require_state(plan, OPEN if plans else WITH_APPROVER, "rebase")
    draft = desk.draft(plan)
    newest = plan_store.newest_edition(desk.session)
    if newest == plan.base:
        return Drawn(plan, draft)
    base = desk.editions(newest)
    _refuse_collisions(desk, plan, draft, base)
    replayed = _replay(desk, plan, base)
    after = replayed[-1][2] if replayed else Draft.open(base, plan.scope)
    same = _same(draft, after)
    if not same and not plans:
        raise Conflict(
            "在新版本上结果不同，须由规划员重新提交 On the newest edition something else comes of it: a planner"
            " rebases it and submits it again",
            code="rebase_changes",
        )
    plan_store.drop_edits(desk.session, plan.id, 0)
    for edit, step, draft_after in replayed:
        plan_store.store_edit(desk.session, plan, edit, step, draft_after)
    kept = same and plan.state in WITH_APPROVER
    changed = desk.change(
        plan,
        "rebase",
        redraws=not same,
        detail={"from": plan.base, "to": newest, "same": same},
        base=newest,
        head=len(replayed),
        **({"state": plan.state} if kept else {"state": "draft", **UNAPPROVED}),
    )
    return Drawn(changed, after)


def _refuse_collisions(desk: Desk, plan: Plan, draft: Draft, base: Snapshot) -> None:
    """Refuses where others changed, not merely touched, what the plan changes or touches."""
    redrawn = set(
        desk.session.execute(
            sa.text(
                "SELECT code FROM area WHERE code = ANY(:codes) AND edition_from > :base AND NOT touched"
            ),
            {"codes": [*draft.areas, plan.scope], "base": plan.base},
        ).scalars()
    )
    found = [
        finding
        for code in sorted({*draft.areas, plan.scope})
        if (finding := _collision(draft.base, base, code, redrawn=code in redrawn)) is not None
    ]
    if found:
        codes = ", ".join(str(each["area"]) for each in found[:5])
        raise Conflict(
            f"{len(found)} 个区域已被别的方案改动 Others changed {codes}{'…' if len(found) > 5 else ''} since",
            code="rebase_collides",
            findings=found,
        )


def _collision(before: Snapshot, now: Snapshot, code: str, *, redrawn: bool) -> dict[str, Any] | None:
    old, new = before.row.get(code), now.row.get(code)
    if old is None and new is None:
        return None
    if new is None:
        what = "已停用 was retired"
    elif old is None:
        what = "编码已被使用 the code was given to another area"
    elif any(
        getattr(before, name)[old] != getattr(now, name)[new]
        for name in ("kind", "name", "setting", "parent")
    ):
        what = "已改动 was changed"
    elif redrawn and not shapely.equals_identical(before.geom[old], now.geom[new]):
        what = "边界已改动 its border was changed"
    else:
        return None
    shape = now.geom[new] if new is not None else before.geom[old]
    where = shapely.get_coordinates(shapely.point_on_surface(shape))[0].tolist()
    return {"code": "changed_since", "area": code, "where": where, "message": f"{code} {what}"}


def _replay(desk: Desk, plan: Plan, base: Snapshot) -> Replayed:
    desk.codes_are_mine()
    try:
        draft = Draft.open(base, plan.scope)
    except (NotFound, InvalidInput) as error:
        raise _impossible(error, None) from error
    taken = plan_store.taken_codes(desk.session, plan.id)
    world = desk.grounds.world(desk.session, draft, desk.settings, taken)
    born = _born(desk, plan)
    given: dict[str, str] = {}  # a code of before: the one in its place
    replayed: Replayed = []
    for edit in plan_store.edits(desk.session, plan.id, newest=EVERY, requests=True):
        if edit.number > plan.head:
            break
        before = born.get(edit.number, [])
        request = _asked(edit.request, given, before)
        try:
            step = redraw.apply(draft, world, request)
        except GridmapError as error:
            raise _impossible(error, edit) from error
        now = sorted(code for code in step.areas if step.areas[code] is not None and draft.get(code) is None)
        given |= {old: new for old, new in zip(before, now, strict=False) if old != new}
        draft = draft.after(step)
        replayed.append((replace(edit, request=request, told=step.told), step, draft))
    return replayed


def _born(desk: Desk, plan: Plan) -> dict[int, list[str]]:
    """Codes that came to life, by the edit that brought them; in their order."""
    rows = desk.session.execute(
        sa.text(
            "SELECT edit, code FROM (SELECT edit, code, retired, cause, coalesce(lag(retired) OVER"
            " (PARTITION BY code ORDER BY edit), true) AS was_none FROM plan_area WHERE plan = :plan) AS rows"
            " WHERE was_none AND NOT retired AND cause IN ('split', 'create') ORDER BY edit, code"
        ),
        {"plan": plan.id},
    )
    born: dict[int, list[str]] = {}
    for row in rows:
        born.setdefault(row.edit, []).append(row.code)
    return born


def _asked(request: Mapping[str, Any], given: Mapping[str, str], born: list[str]) -> dict[str, Any]:
    """A request as it is to be done again: with the code that was given, and those that others got instead."""
    asked = dict(request)
    for field in _CODES:
        if field in asked:
            asked[field] = given.get(asked[field], asked[field])
    if "grids" in asked:
        asked["grids"] = [given.get(code, code) for code in asked["grids"]]
    if len(born) == 1 and asked.get("op") in {"split", "create"}:
        asked["code"] = born[0]
    return asked


def _impossible(error: GridmapError, edit: Edit | None) -> Conflict:
    said = "" if edit is None else f"第 {edit.number} 步 {edit.op} Edit {edit.number} ({edit.op}): "
    finding = {"field": "op", "value": None if edit is None else edit.number, "code": error.code}
    return Conflict(
        f"{said}{error.message}",
        code="rebase_collides",
        findings=[{**finding, "message": error.message}, *error.findings],
    )


def _same(before: Draft, after: Draft) -> bool:
    """Whether two drafts change the same areas in the same way; vertices that others put onto borders do not count."""
    if before.retired != after.retired or before.causes != after.causes:
        return False
    ones, others = before.changed, after.changed
    if len(ones) != len(others):
        return False
    return all(_alike(one, other) for one, other in zip(ones, others, strict=True))


def _alike(one: PlannedArea, other: PlannedArea) -> bool:
    if replace(one, geom=other.geom) != other:
        return False
    if shapely.equals_identical(one.geom, other.geom):
        return True
    return float(area_m2(shapely.symmetric_difference(one.geom, other.geom))) <= TOLERANCE_M2
