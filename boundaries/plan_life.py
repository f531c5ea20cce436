"""The life of a plan beside drawing: submitted, withdrawn, approved, rejected; who may do what next."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Final

from boundaries import plan_store
from boundaries.plan_findings import check_plan
from boundaries.plan_store import Plan, State
from boundaries.planning import IN_WORK, Desk, require_state
from gridmap.access import Principal
from gridmap.errors import Conflict, Forbidden, InvalidInput

SUBMITTED: Final[frozenset[State]] = frozenset({"submitted"})
APPROVED: Final[frozenset[State]] = frozenset({"approved"})
PUBLISHED: Final[frozenset[State]] = frozenset({"published"})
WITH_APPROVER: Final[frozenset[State]] = SUBMITTED | APPROVED
OPEN: Final[frozenset[State]] = WITH_APPROVER | IN_WORK
UNAPPROVED: Final[Mapping[str, Any]] = {"approved_by": None, "approved_at": None, "notice_until": None}


def submit(desk: Desk, number: int, revision: int) -> Plan:
    """Hands a plan to the approver.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`.
        InvalidInput: `nothing_changed`; `check_failed`, with the errors that the edition did not have.
    """
    plan = desk.take(number, revision, "plan")
    require_state(plan, IN_WORK, "submit")
    draft = desk.draft(plan)
    if not draft.areas:
        raise InvalidInput("方案没有改动 The plan changes nothing", code="nothing_changed")
    checked = check_plan(draft, desk.grounds.under(desk.session, draft), desk.settings, whole=True)
    if checked.errors:
        raise InvalidInput(
            f"检查有 {len(checked.errors)} 处错误，不能提交 {len(checked.errors)} errors keep it from being submitted",
            code="check_failed",
            findings=[each.as_dict() for each in checked.errors],
        )
    return desk.change(
        plan,
        "submit",
        detail={"areas_changed": len(draft.changed), "areas_retired": len(draft.retired)},
        state="submitted",
        submitted_by=desk.by.name,
        submitted_at=_now(),
        rejected_by=None,
        rejected_at=None,
        rejected_reason=None,
    )


def withdraw(desk: Desk, number: int, revision: int) -> Plan:
    """Takes a plan back, before or after its approval; drawn on again it is a draft again.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`.
    """
    plan = desk.take(number, revision, "plan")
    require_state(plan, OPEN - {"withdrawn"}, "withdraw")
    return desk.change(plan, "withdraw", state="withdrawn", **UNAPPROVED)


def approve(desk: Desk, number: int, revision: int) -> Plan:
    """Approves a plan; its notice begins, where there is one.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`.
        Forbidden: `own_plan`: who approves submitted it or changed something in it.
    """
    plan = desk.take(number, revision, "approve")
    require_state(plan, SUBMITTED, "approve")
    if is_own(desk.by, plan, plan_store.redrawn_by(desk.session, plan.id)):
        raise Forbidden(
            "不能审批自己编辑或提交的方案 Nobody approves what they submitted or edited", code="own_plan"
        )
    now = _now()
    days = desk.settings.notice_days
    return desk.change(
        plan,
        "approve",
        state="approved",
        approved_by=desk.by.name,
        approved_at=now,
        notice_until=now + dt.timedelta(days=days) if days else None,
    )


def reject(desk: Desk, number: int, revision: int, reason: str | None = None) -> Plan:
    """Sends a plan back, with the reason where one is given; drawn on again it is a draft again.

    Raises:
        GridmapError: as of `Desk.take`; Conflict `wrong_state`.
    """
    plan = desk.take(number, revision, "approve")
    require_state(plan, WITH_APPROVER, "reject")
    return desk.change(
        plan,
        "reject",
        reason=reason,
        state="rejected",
        rejected_by=desk.by.name,
        rejected_at=_now(),
        rejected_reason=reason,
        **UNAPPROVED,
    )


def require_notice_over(plan: Plan, now: dt.datetime) -> None:
    """Refuses to publish while the plan is on notice.

    Raises:
        Conflict: `notice_runs`, with the moment at which it ends.
    """
    if plan.notice_until is not None and now < plan.notice_until:
        until = plan.notice_until.isoformat()
        raise Conflict(
            f"公示至 {until} The plan is on notice until {until}",
            code="notice_runs",
            findings=[{"field": "notice_until", "value": until, "message": "may be published from then on"}],
        )


def is_own(principal: Principal, plan: Plan, redrawn_by: Collection[str]) -> bool:
    """Whether somebody submitted a plan or changed something in it."""
    return principal.name == plan.submitted_by or principal.name in redrawn_by


def may(
    principal: Principal,
    plan: Plan,
    *,
    redoable: int,
    own: bool,
    current: bool,
    reverted: bool = False,
    now: dt.datetime | None = None,
) -> list[str]:
    """What somebody may do with a plan now.

    Args:
        principal: who.
        plan: what.
        redoable: edits that can be redone.
        own: whether they submitted it or changed something in it.
        current: whether it builds on the newest edition.
        reverted: whether what it published was taken back.
        now: the moment; by default this one.
    """
    allowed: list[str] = []
    plans, approves = (principal.scope(action).holds(plan.path) for action in ("plan", "approve"))
    if plans and plan.state in IN_WORK:
        allowed.append("edit")
        allowed += ["undo"] * (plan.head > 0) + ["redo"] * (redoable > 0) + ["submit"] * (plan.head > 0)
    if not current and ((plans and plan.state in OPEN) or (approves and plan.state in WITH_APPROVER)):
        allowed.append("rebase")
    if plans and plan.state in OPEN - {"withdrawn"}:
        allowed.append("withdraw")
    if approves and plan.state == "submitted" and not own:
        allowed.append("approve")
    if approves and plan.state in WITH_APPROVER:
        allowed.append("reject")
    over = plan.notice_until is None or plan.notice_until <= (now or _now())
    if approves and plan.state == "approved" and current and over:
        allowed.append("publish")
    if approves and plan.state == "published" and not reverted:
        allowed.append("revert")
    if plan.state in WITH_APPROVER:
        allowed.append("comment")
    return allowed


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
