"""Drawing on a plan: edits, undo, redo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from boundaries import plan_store, redraw
from boundaries.draft import Draft, Step
from boundaries.plan_store import Edit, Plan
from boundaries.planning import IN_WORK, Desk, require_state
from gridmap.errors import Conflict, InvalidInput

KEEP_CODES: Final = frozenset({"merge", "move", "rename", "reshape", "retire"})


@dataclass(frozen=True)
class Drawn:
    """A plan and its draft after a call."""

    plan: Plan
    draft: Draft


def edit(desk: Desk, number: int, revision: int, request: Mapping[str, Any]) -> Drawn:
    """Does an edit; what was undone before it can be redone no more.

    Args:
        desk: who works, and where.
        number: of the plan.
        revision: that was seen.
        request: `op` and what it needs.

    Raises:
        GridmapError: as of `Desk.take` and `boundaries.redraw.apply`; Conflict `wrong_state`. The plan stays as it was.
    """
    plan = _taken(desk, number, revision, "edit")
    draft = desk.draft(plan)
    step = applied(desk, plan, draft, request)
    after = draft.after(step)
    plan_store.drop_edits(desk.session, plan.id, plan.head)
    op = str(request["op"])
    stored = Edit(plan.head + 1, op, request, step.told, desk.by.name)
    plan_store.store_edit(desk.session, plan, stored, step, after)
    detail = {"edit": stored.number, "areas": sorted(code for code in step.areas if not _touched(step, code))}
    changed = desk.change(plan, op, redraws=True, detail=detail, head=stored.number, state="draft")
    return Drawn(changed, after)


def applied(desk: Desk, plan: Plan, draft: Draft, request: Mapping[str, Any]) -> Step:
    """What an edit does to a draft of a plan, over the ground as it is."""
    taken: list[str] = []
    if request.get("op") not in KEEP_CODES:
        desk.codes_are_mine()
        taken = plan_store.taken_codes(desk.session, plan.id)
    world = desk.grounds.world(desk.session, draft, desk.settings, taken)
    try:
        return redraw.apply(draft, world, request)
    except InvalidInput as error:
        if error.code == "unknown_building":
            _say_where(desk, error)
        raise


def _say_where(desk: Desk, error: InvalidInput) -> None:
    """Buildings that stand outside the plan get their place, where who draws may see them."""
    unknown = {str(each["value"]): each for each in error.findings if "value" in each}
    seen, binds = desk.by.scope("areas").condition("paths")
    rows = desk.session.execute(
        sa.text(
            "SELECT code, ST_X(place) AS lon, ST_Y(place) AS lat FROM building"
            f" WHERE code = ANY(:unknown) AND valid_to IS NULL AND {seen}"
        ),
        {"unknown": list(unknown), **binds},
    )
    for row in rows:
        message = "不在本方案区域内 stands outside the area of this plan"
        unknown[row.code].update(where=[row.lon, row.lat], message=message)


def undo(desk: Desk, number: int, revision: int) -> Drawn:
    """Takes the newest edit in force back.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`, `nothing_to_undo`.
    """
    plan = _taken(desk, number, revision, "undo")
    if plan.head == 0:
        raise Conflict("没有可撤销的操作 There is nothing to undo", code="nothing_to_undo")
    return _at(desk, plan, "undo", plan.head - 1)


def redo(desk: Desk, number: int, revision: int) -> Drawn:
    """Does the edit again that was taken back last.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`, `nothing_to_redo`.
    """
    plan = _taken(desk, number, revision, "redo")
    if all(each.number <= plan.head for each in plan_store.edits(desk.session, plan.id, newest=1)):
        raise Conflict("没有可重做的操作 There is nothing to redo", code="nothing_to_redo")
    return _at(desk, plan, "redo", plan.head + 1)


def _taken(desk: Desk, number: int, revision: int, doing: str) -> Plan:
    plan = desk.take(number, revision, "plan")
    require_state(plan, IN_WORK, doing)
    return plan


def _at(desk: Desk, plan: Plan, op: str, head: int) -> Drawn:
    edit_ = max(plan.head, head)
    changed = desk.change(plan, op, redraws=True, detail={"edit": edit_}, head=head, state="draft")
    return Drawn(changed, desk.draft(changed))


def _touched(step: Step, code: str) -> bool:
    area = step.areas[code]
    return area is not None and area.touched
