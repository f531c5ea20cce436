"""Working at plans: who may, at which revision, and what every accepted call leaves behind.

One call is one transaction: the plan's row is locked, the revision compared, the plan changed, its revision raised,
and said who did what.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from boundaries import plan_store
from boundaries.draft import Draft
from boundaries.ground import Grounds
from boundaries.plan_store import Plan, State
from gridmap.access import Action, Principal
from gridmap.audit import Entry, record
from gridmap.db import LOCK_SPACE, Writer
from gridmap.errors import Conflict, Forbidden, InvalidInput, NotFound
from gridmap.settings import Settings
from gridmap.snapshot import Snapshot

LOCK_CODES = 7
LONGEST_NAME = 200
# What may be drawn on; what was refused or taken back is a draft again once somebody does.
IN_WORK: Final[frozenset[State]] = frozenset({"draft", "rejected", "withdrawn"})


@dataclass(frozen=True)
class Desk:
    """Somebody at work at plans, in one transaction.

    Attributes:
        session: its owner commits.
        by: who works.
        editions: reads an edition.
        grounds: of the process.
        settings: of the installation.
    """

    session: Writer
    by: Principal
    editions: Callable[[int], Snapshot]
    grounds: Grounds
    settings: Settings

    def open(self, name: str, scope: str) -> Plan:
        """A new plan on the newest edition.

        Raises:
            Forbidden: the role plans nothing.
            NotFound: `unknown_area`: there is no such area within those that somebody plans.
            InvalidInput: `bad_scope`: it holds no others.
        """
        mine = self.by.require("plan")
        base = self.editions(plan_store.newest_edition(self.session))
        row = base.row.get(scope)
        if row is None or not mine.holds(base.path[row]):
            raise NotFound(f"No area {scope[:64]} within your areas", code="unknown_area")
        Draft.open(base, scope)
        number = self.session.execute(
            sa.text(
                "INSERT INTO plan (name, scope, path, base, created_by) VALUES (:name, :scope,"
                " CAST(:path AS ltree), :base, :by) RETURNING id"
            ),
            {"name": name, "scope": scope, "path": base.path[row], "base": base.edition, "by": self.by.name},
        ).scalar_one()
        plan = plan_store.find(self.session, mine, number)
        self._say(plan, "open", redraws=False, detail={"base": plan.base})
        return plan

    def take(self, number: int, revision: int, *actions: Action) -> Plan:
        """A plan to be changed, locked.

        Args:
            number: of the plan.
            revision: that somebody saw.
            *actions: `plan`, `approve`; one of them must be somebody's in all of the plan's area.

        Raises:
            Forbidden: the role does not allow it, or not in all of this plan's area.
            NotFound: `unknown_plan`: not within the areas of somebody who may look at it.
            Conflict: `stale_revision`, with who did what since.
        """
        self.by.require(next(filter(self.by.may, actions), actions[0]))
        plan = plan_store.find(self.session, plan_store.seen_by(self.by), number, lock=True)
        if not any(self.by.scope(action).holds(plan.path) for action in actions):
            said = ", ".join(actions)
            raise Forbidden(f"Your areas for this ({said}) do not hold {plan.scope}", code="area_forbids")
        if plan.revision != revision:
            raise self._stale(plan, revision)
        return plan

    def _stale(self, plan: Plan, revision: int) -> Conflict:
        since = plan_store.history(self.session, plan.id, after=revision)
        last = f"：{since[-1].actor} {since[-1].op}" if since else ""
        return Conflict(
            f"方案已变 The plan is at revision {plan.revision}, not {revision}{last}",
            code="stale_revision",
            findings=[
                {
                    "field": "revision",
                    "value": each.revision,
                    "op": each.op,
                    "by": each.actor,
                    "at": each.at.isoformat(),
                    "message": f"{each.actor}: {each.op}",
                }
                for each in since
            ],
        )

    def draft(self, plan: Plan) -> Draft:
        """The plan as it is now."""
        return plan_store.draft_of(self.session, plan, self.editions(plan.base))

    def codes_are_mine(self) -> None:
        """Until the transaction ends nobody else gives codes: two plans never give the same one."""
        self.session.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {LOCK_CODES})"))

    def change(
        self,
        plan: Plan,
        op: str,
        *,
        redraws: bool = False,
        detail: Mapping[str, Any] | None = None,
        reason: str | None = None,
        **columns: Any,
    ) -> Plan:
        """Writes what a call changes of a plan, raises its revision, and says who did it.

        Args:
            plan: as it was taken.
            op: what was done.
            redraws: whether areas changed by it.
            detail: what may be read of it.
            reason: that was given for it.
            **columns: new values.
        """
        values = {**columns, "revision": plan.revision + 1}
        sets = ", ".join(f"{name} = :{name}" for name in values)
        self.session.execute(
            sa.text(f"UPDATE plan SET {sets}, updated_at = now() WHERE id = :id"), {**values, "id": plan.id}
        )
        after = plan_store.find(self.session, plan_store.seen_by(self.by), plan.id)
        self._say(after, op, redraws=redraws, detail=detail or {}, reason=reason, before=plan)
        return after

    def comment(self, plan: Plan, text: str) -> int:
        """Stores what somebody has to say of a plan, which does not change by it; returns its number."""
        number: int = self.session.execute(
            sa.text("INSERT INTO plan_comment (plan, actor, text) VALUES (:plan, :by, :text) RETURNING id"),
            {"plan": plan.id, "by": self.by.name, "text": text},
        ).scalar_one()
        entry = Entry(
            self.by.name,
            "plan.comment",
            f"plan:{plan.id}",
            plan.scope,
            (plan.path,),
            after={"text": text},
            detail={"comment": number},
        )
        record(self.session, entry)
        self._tell(plan)
        return number

    def _say(
        self,
        plan: Plan,
        op: str,
        *,
        redraws: bool,
        detail: Mapping[str, Any],
        reason: str | None = None,
        before: Plan | None = None,
    ) -> None:
        told = json.dumps(dict(detail), ensure_ascii=False)
        self.session.execute(
            sa.text(
                "INSERT INTO plan_step (plan, revision, op, actor, redraws, detail) VALUES (:plan, :revision,"
                " :op, :actor, :redraws, CAST(:detail AS jsonb))"
            ),
            {
                "plan": plan.id,
                "revision": plan.revision,
                "op": op,
                "actor": self.by.name,
                "redraws": redraws,
                "detail": told,
            },
        )
        record(
            self.session,
            Entry(
                self.by.name,
                f"plan.{op}",
                f"plan:{plan.id}",
                plan.scope,
                (plan.path,),
                reason=reason,
                before=None if before is None else _state(before),
                after=_state(plan),
                detail={**detail, "revision": plan.revision},
            ),
        )
        self._tell(plan)

    def _tell(self, plan: Plan) -> None:
        # Open pages look at the plan anew; the number of what changed stands where an event's does.
        self.session.execute(
            sa.text(
                "INSERT INTO change_log (topic, event, edition, paths)"
                " VALUES ('plan', :plan, :base, ARRAY[CAST(:path AS ltree)])"
            ),
            {"plan": plan.id, "base": plan.base, "path": plan.path},
        )


def _state(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "scope": plan.scope,
        "base": plan.base,
        "state": plan.state,
        "revision": plan.revision,
        "head": plan.head,
        "edition": plan.edition,
    }


def require_state(plan: Plan, states: frozenset[State], doing: str) -> None:
    """Refuses a step that the state does not allow.

    Raises:
        Conflict: `wrong_state`, with the states that do.
    """
    if plan.state not in states:
        allowed = ", ".join(sorted(states))
        raise Conflict(
            f"方案状态为 {plan.state}，不能 {doing} The plan is {plan.state}; {doing} needs: {allowed}",
            code="wrong_state",
            findings=[{"field": "state", "value": plan.state, "message": f"needs {allowed}"}],
        )


def check_name(name: str) -> str:
    """A plan's name.

    Raises:
        InvalidInput: `bad_name`.
    """
    text = name.strip()
    unseen = not {"Cc", "Cf"}.isdisjoint(
        map(unicodedata.category, text)
    )  # control, and what turns a line round
    if not text or len(text) > LONGEST_NAME or unseen:
        raise InvalidInput(f"name: 1 to {LONGEST_NAME} characters that can be seen", code="bad_name")
    return text
