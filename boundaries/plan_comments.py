"""What people say of a plan before it is published, while the approver has it and during its notice."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from boundaries import plan_store
from boundaries.plan_life import WITH_APPROVER
from boundaries.plan_store import Plan
from boundaries.planning import Desk, require_state
from gridmap.access import Principal, Scope
from gridmap.errors import NotFound

SHOWN = frozenset({"approved", "published"})


@dataclass(frozen=True)
class Comment:
    """What somebody said."""

    id: int
    by: str
    at: dt.datetime
    text: str


def find_shown(session: Session, principal: Principal, number: int) -> Plan:
    """A plan to be spoken of: theirs who plan or approve in it, and once approved theirs who see areas in it.

    Raises:
        Forbidden: the role sees no areas.
        NotFound: `unknown_plan`.
    """
    areas = principal.require("areas")
    shown = _shown(session, areas, number)
    if shown is not None:
        return shown
    return plan_store.find(session, principal.scope("plan") | principal.scope("approve"), number)


def look_at(session: Session, principal: Principal, number: int) -> tuple[Plan, Scope]:
    """A plan, and which of its areas somebody sees: who plans or approves there all, others those of an approved one.

    Raises:
        Forbidden: neither plans nor approves, and it is not approved.
        NotFound: `unknown_plan`.
    """
    areas = principal.scope("areas")
    if not (principal.may("plan") or principal.may("approve")):
        shown = _shown(session, areas, number)
        if shown is None:
            principal.require("plan")
            raise AssertionError  # whoever neither plans nor approves was refused
        return shown, areas
    plan = find_shown(session, principal, number)
    own = (principal.scope("plan") | principal.scope("approve")).holds(plan.path)
    return plan, Scope(None) if own else areas


def _shown(session: Session, areas: Scope, number: int) -> Plan | None:
    """An approved plan that reaches into some areas; None also where there is no such plan."""
    try:
        plan = plan_store.find(session, Scope(None), number)
    except NotFound:
        return None
    return plan if plan.state in SHOWN and areas.reaches(plan.path) else None


def add(desk: Desk, number: int, text: str) -> Comment:
    """Says something of a plan.

    Raises:
        GridmapError: as of `find_shown`; Conflict `wrong_state`: it is in work, or published.
    """
    plan = find_shown(desk.session, desk.by, number)
    require_state(plan, WITH_APPROVER, "comment")
    return page(desk.session, plan, after=desk.comment(plan, text) - 1, limit=1)[0]


def page(session: Session, plan: Plan, *, after: int, limit: int) -> list[Comment]:
    """Comments on a plan, oldest first, after a number."""
    rows = session.execute(
        sa.text(
            'SELECT id, actor AS "by", at, text FROM plan_comment WHERE plan = :plan AND id > :after'
            " ORDER BY id LIMIT :limit"
        ),
        {"plan": plan.id, "after": after, "limit": limit},
    ).mappings()
    return [Comment(**row) for row in rows]
