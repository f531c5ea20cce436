"""The impact of a stored plan: its draft, the ground under it and the day after, brought together."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from boundaries import plan_store
from boundaries.draft import Draft
from boundaries.ground import Ground, Grounds
from boundaries.impact import Impact, impact
from boundaries.plan_checks import Check, Known, checks
from boundaries.plan_findings import check_plan
from boundaries.plan_following import following
from boundaries.plan_store import Plan
from gridmap.foresight import Foresight, foresee
from gridmap.routing import Roster
from gridmap.settings import Settings
from gridmap.snapshot import Snapshot


@dataclass(frozen=True)
class Background:
    """What a process knows.

    Attributes:
        editions: reads an edition.
        grounds: kept of what lies under plans.
        roster: who serves what.
    """

    editions: Callable[[int], Snapshot]
    grounds: Grounds
    roster: Roster
    settings: Settings


@dataclass(frozen=True)
class Told:
    """A plan with its impact."""

    plan: Plan
    draft: Draft
    ground: Ground
    seen: Foresight
    impact: Impact
    checks: list[Check]
    households: dict[str, int]


def tell(session: Session, plan: Plan, background: Background, now: dt.datetime) -> Told:
    """What a plan changes if it is published as it is.

    Args:
        session: any; events are not read in it.
        plan: as it is stored.
        background: what is known.
        now: the moment.
    """
    draft = plan_store.draft_of(session, plan, background.editions(plan.base))
    ground = background.grounds.under(session, draft)
    seen = foresee(draft.base, following(draft), background.roster, background.settings.tolerance_m)
    households = (ground.households.of_base, ground.households.of(draft))
    told = impact(draft, ground.homes, seen, background.roster, households)
    known = Known(
        newest=plan_store.newest_edition(session),
        notice_days=background.settings.notice_days,
        checked=check_plan(draft, ground, background.settings),
        roster=seen.roster,
        households=households,
        now=now,
    )
    found = checks(plan, draft, ground.homes, told, known)
    return Told(plan, draft, ground, seen, told, found, households[1])
