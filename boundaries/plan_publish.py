"""An approved plan becomes the next edition, in the transaction in which it becomes published."""

import datetime as dt
from typing import Any

from boundaries.draft import Draft
from boundaries.plan_life import APPROVED, PUBLISHED, require_notice_over
from boundaries.plan_store import Plan
from boundaries.planning import Desk, require_state
from gridmap.publishing import Change, Published, publish
from gridmap.undoing import revert


def publish_plan(desk: Desk, number: int, revision: int, effective_from: dt.datetime | None = None) -> Plan:
    """Publishes a plan.

    Args:
        desk: who publishes; its session sees everything (`gridmap.sight.EVERYTHING`), its owner commits soon.
        number: of the plan.
        revision: that was seen.
        effective_from: the moment from which the edition is in force; None means now.

    Raises:
        GridmapError: as of `Desk.take` and `gridmap.publishing.publish`; Conflict `wrong_state`; `notice_runs`, with
            the moment at which it ends.
    """
    plan = desk.take(number, revision, "approve")
    require_state(plan, APPROVED, "publish")
    now = dt.datetime.now(dt.UTC)
    require_notice_over(plan, now)
    made = publish(
        desk.session,
        plan.base,
        changes(desk.draft(plan)),
        actor=desk.by.name,
        note=plan.name,
        effective_from=effective_from,
        settings=desk.settings,
    )
    return desk.change(
        plan,
        "publish",
        detail=_detail(made),
        state="published",
        edition=made.edition,
        published_by=desk.by.name,
        published_at=now,
    )


def revert_plan(
    desk: Desk, number: int, revision: int, reason: str, effective_from: dt.datetime | None = None
) -> Plan:
    """Takes back what a plan published: a new edition in which its areas are as they were before.

    Args:
        desk: as of `publish_plan`.
        number: of the plan.
        revision: that was seen.
        reason: for whoever reads the history.
        effective_from: as of `publish_plan`.

    Raises:
        GridmapError: as of `Desk.take` and `gridmap.undoing.revert`; Conflict `wrong_state`, and `changed_since` where
            an area that it changed is another one by now, so also where it was taken back before.
    """
    plan = desk.take(number, revision, "approve")
    require_state(plan, PUBLISHED, "revert")
    assert plan.edition is not None  # noqa: S101  # a published plan has one
    made = revert(
        desk.session,
        plan.edition,
        actor=desk.by.name,
        note=f"撤回 {plan.name}",
        effective_from=effective_from,
        settings=desk.settings,
    )
    return desk.change(plan, "revert", detail=_detail(made), reason=reason)


def _detail(made: Published) -> dict[str, Any]:
    return {
        "edition": made.edition,
        "in_force_from": made.in_force_from and made.in_force_from.isoformat(),
        "areas_changed": len(made.changed),
        "areas_created": len(made.created),
        "areas_retired": len(made.retired),
        "events_moved": made.events_moved,
        "events_routed": made.events_routed,
        "buildings_moved": made.buildings_moved,
    }


def changes(draft: Draft) -> list[Change]:
    """What a draft makes of the edition that it builds on."""
    return [
        Change(code=code, geom=None, cause=draft.causes.get(code))
        if area is None
        else Change(
            code=code,
            geom=area.geom,
            kind=area.kind,
            name=area.name,
            setting=area.setting,
            parent=area.parent,
            touched=area.touched,
            cause=draft.causes.get(code),
        )
        for code, area in draft.areas.items()
    ]
