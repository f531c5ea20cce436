"""A plan onto the newest edition: the same edits once more, on what others have published meanwhile."""

from collections.abc import Iterable, Mapping
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
from gridmap.undoing import changed_by, named

EVERY: Final = 2**31 - 1
_CODES: Final = ("grid", "into", "to")  # what of a request names one area; `grids` names several

Replayed = list[tuple[Edit, Step, Draft]]


def rebase(desk: Desk, number: int, revision: int, *, keep: bool = False) -> Drawn:
    """Does a plan's edits again on the newest edition; what was undone can be redone no more.

    What is with the approver stays there where the same comes of it; else it is a draft again, and only a planner
    may make it one. A plan that builds on the newest edition is left alone.

    Args:
        desk: who does it.
        number: of the plan.
        revision: that was seen.
        keep: where an edit collides, keep those before it and drop it with those after it, instead of refusing; the
            plan's history says which.

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
    edits = plan_store.edits(desk.session, plan.id, newest=EVERY, requests=True)[: plan.head]
    replayed = _replay(desk, plan, base, edits[: _possible(desk, plan, draft, base, keep=keep)], keep=keep)
    dropped = edits[len(replayed) :]
    after = replayed[-1][2] if replayed else Draft.open(base, plan.scope)
    same = not dropped and _same(draft, after)
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
    told = {"dropped": [{"number": each.number, "op": each.op} for each in dropped]} if dropped else {}
    changed = desk.change(
        plan,
        "rebase",
        redraws=not same,
        detail={"from": plan.base, "to": newest, "same": same, **told},
        base=newest,
        head=len(replayed),
        **({"state": plan.state} if kept else {"state": "draft", **UNAPPROVED}),
    )
    return Drawn(changed, after)


def _possible(desk: Desk, plan: Plan, draft: Draft, base: Snapshot, *, keep: bool) -> int:
    """How many edits come before the first that changes or touches what others changed, not merely touched.

    Raises:
        Conflict: `rebase_collides`, where there is such an edit and none may be dropped, or the scope was changed.
    """
    rows = desk.session.execute(
        sa.text("SELECT code, min(edit) FROM plan_area WHERE plan = :plan AND edit <= :head GROUP BY code"),
        {"plan": plan.id, "head": plan.head},
    )
    first: dict[str, int] = {row[0]: row[1] for row in rows}
    # An area that edits changed and changed back is in nobody's way, unless only some of them are done again.
    codes = {*(first if keep else draft.areas), plan.scope}
    found = _collisions(desk, plan, draft, base, codes)
    for finding in found:
        finding["edit"] = first.get(finding["area"])
    if not found:
        return plan.head
    if keep and all(each["edit"] is not None and each["area"] != plan.scope for each in found):
        return min(int(each["edit"]) for each in found) - 1
    by = {each["area"]: (each["edition"], each["by"]) for each in found}
    chinese, english = named(by, list(by))
    raise Conflict(
        f"{len(found)} 个区域已被别的方案改动：{chinese} Others changed what this plan changes: {english}",
        code="rebase_collides",
        findings=found,
    )


def _collisions(
    desk: Desk, plan: Plan, draft: Draft, base: Snapshot, codes: Iterable[str]
) -> list[dict[str, Any]]:
    redrawn = set(
        desk.session.execute(
            sa.text(
                "SELECT code FROM area WHERE code = ANY(:codes) AND edition_from > :base AND NOT touched"
            ),
            {"codes": list(codes), "base": plan.base},
        ).scalars()
    )
    found = [
        finding
        for code in sorted(codes)
        if (finding := _collision(draft.base, base, code, redrawn=code in redrawn)) is not None
    ]
    by = changed_by(desk.session, plan.base, [each["area"] for each in found])
    for finding in found:
        finding["edition"], finding["by"] = edition, who = by[finding["area"]]
        chinese, english = finding["message"]
        finding["message"] = f"已由第 {edition} 版（{who}）{chinese} {english} by edition {edition}"
    return found


def _collision(before: Snapshot, now: Snapshot, code: str, *, redrawn: bool) -> dict[str, Any] | None:
    old, new = before.row.get(code), now.row.get(code)
    if old is None and new is None:
        return None
    if new is None:
        what = "停用", "Retired"
    elif old is None:
        what = "启用", "Given to another area"
    elif any(
        getattr(before, name)[old] != getattr(now, name)[new]
        for name in ("kind", "name", "setting", "parent")
    ):
        what = "改动", "Changed"
    elif redrawn and not shapely.equals_identical(before.geom[old], now.geom[new]):
        what = "改动边界", "Redrawn"
    else:
        return None
    shape = now.geom[new] if new is not None else before.geom[old]
    where = shapely.get_coordinates(shapely.point_on_surface(shape))[0].tolist()
    return {"code": "changed_since", "area": code, "where": where, "message": what}


def _replay(desk: Desk, plan: Plan, base: Snapshot, edits: Iterable[Edit], *, keep: bool) -> Replayed:
    """Edits done again, in turn; all of them, or up to the first that is not possible any more."""
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
    for edit in edits:
        before = born.get(edit.number, [])
        request = _asked(edit.request, given, before)
        try:
            step = redraw.apply(draft, world, request)
        except GridmapError as error:
            if keep:
                break
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
    number = None if edit is None else edit.number
    finding = {"field": "op", "value": number, "edit": number, "code": error.code}
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
