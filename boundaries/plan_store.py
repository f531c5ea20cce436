"""Plans as they are stored: found within somebody's areas, read as drafts, written edit by edit.

What an edit does is stored as the areas it leaves. A plan's draft is, for every code, the row of the newest edit in
force; to undo is to look at one edit fewer.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from boundaries.draft import Draft, PlannedArea, Step
from gridmap.access import Principal, Scope
from gridmap.db import Writer, copy_rows
from gridmap.errors import NotFound
from gridmap.in_force import LIVING
from gridmap.snapshot import Snapshot

State = Literal["draft", "submitted", "approved", "published", "rejected", "withdrawn"]
LARGEST_PAGE = 200
LONGEST_JOURNAL = 200

# Where the area lies today; where it lay, if it is no more.
_PATH = f"coalesce((SELECT a.path FROM {LIVING} a WHERE a.code = p.scope), p.path)"
_COLUMNS = (
    f"p.id, p.name, p.scope, {_PATH}::text AS path, p.base, p.state, p.revision, p.head, p.created_by,"
    " p.created_at, p.updated_at, p.submitted_by, p.submitted_at, p.approved_by, p.approved_at, p.rejected_by,"
    " p.rejected_at, p.rejected_reason, p.notice_until, p.published_by, p.published_at, p.edition"
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan without its areas; `path` is where its scope lies today."""

    id: int
    name: str
    scope: str
    path: str
    base: int
    state: State
    revision: int
    head: int
    created_by: str
    created_at: dt.datetime
    updated_at: dt.datetime
    submitted_by: str | None
    submitted_at: dt.datetime | None
    approved_by: str | None
    approved_at: dt.datetime | None
    rejected_by: str | None
    rejected_at: dt.datetime | None
    rejected_reason: str | None
    notice_until: dt.datetime | None
    published_by: str | None
    published_at: dt.datetime | None
    edition: int | None


@dataclass(frozen=True)
class Wanted:
    """Which plans are asked for.

    Attributes:
        states: any where empty.
        within: path of an area; plans that open on it or inside it.
        before: only plans with a smaller number.
    """

    states: tuple[str, ...] = ()
    within: str | None = None
    before: int | None = None


def seen_by(principal: Principal) -> Scope:
    """Where somebody may look at plans: where they plan or approve.

    Raises:
        Forbidden: nowhere at all.
    """
    if principal.may("approve"):
        return principal.scope("plan") | principal.scope("approve")
    return principal.require("plan")


def find(session: Session, scope: Scope, number: int, *, lock: bool = False) -> Plan:
    """A plan.

    Args:
        session: any; a writer where it is locked.
        scope: only where its area lies in it.
        number: of the plan.
        lock: nobody else changes it until the transaction ends.

    Raises:
        NotFound: `unknown_plan`.
    """
    condition, binds = scope.condition(_PATH)
    row = session.execute(
        sa.text(
            f"SELECT {_COLUMNS} FROM plan p WHERE p.id = :number AND {condition}"
            + (" FOR UPDATE OF p" if lock else "")
        ),
        {"number": number, **binds},
    ).mappings()
    found = row.one_or_none()
    if found is None:
        raise NotFound(f"No plan {number} within your areas", code="unknown_plan")
    return Plan(**found)


def page(session: Session, scope: Scope, wanted: Wanted, limit: int) -> list[Plan]:
    """Plans within a scope, the newest first."""
    condition, binds = scope.condition(_PATH)
    parts: list[str] = [condition]
    given: dict[str, Any] = {**binds, "limit": limit}
    if wanted.states:
        parts.append("p.state = ANY(:states)")
        given["states"] = list(wanted.states)
    if wanted.within is not None:
        parts.append(f"{_PATH} <@ CAST(:within AS ltree)")
        given["within"] = wanted.within
    if wanted.before is not None:
        parts.append("p.id < :before")
        given["before"] = wanted.before
    rows = session.execute(
        sa.text(f"SELECT {_COLUMNS} FROM plan p WHERE {' AND '.join(parts)} ORDER BY p.id DESC LIMIT :limit"),
        given,
    ).mappings()
    return [Plan(**row) for row in rows]


def draft_of(session: Session, plan: Plan, base: Snapshot, head: int | None = None) -> Draft:
    """A plan's draft.

    Args:
        session: any.
        plan: whose.
        base: the edition that it builds on.
        head: with the edits up to this number; by default those in force.
    """
    draft = Draft.open(base, plan.scope)
    rows = session.execute(
        sa.text(
            "SELECT DISTINCT ON (code) code, retired, kind, name, setting, parent, ST_AsBinary(geom) AS geom,"
            " touched, cause FROM plan_area WHERE plan = :plan AND edit <= :head ORDER BY code, edit DESC"
        ),
        {"plan": plan.id, "head": plan.head if head is None else head},
    ).all()
    if not rows:
        return draft
    shapes = np.empty(len(rows), dtype=object)
    shapes[:] = [row.geom for row in rows]
    shapes = shapely.from_wkb(shapes)
    areas = {
        row.code: None
        if row.retired
        else PlannedArea(
            code=row.code,
            kind=row.kind,
            name=row.name,
            setting=row.setting,
            parent=row.parent,
            geom=geom,
            touched=row.touched,
        )
        for row, geom in zip(rows, shapes, strict=True)
    }
    return draft.after(Step(areas, {row.code: row.cause for row in rows if row.cause is not None}))


@dataclass(frozen=True)
class Edit:
    """An edit as it is stored; `areas` are the codes of those that it made, changed or retired."""

    number: int
    op: str
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    actor: str
    at: dt.datetime | None = None
    areas: Sequence[str] = ()


def store_edit(session: Writer, plan: Plan, edit: Edit, step: Step, after: Draft) -> None:
    """Stores an edit and the areas it leaves.

    Args:
        session: its owner commits.
        plan: whose.
        edit: with its number.
        step: what it does.
        after: the draft with it; says what an area was born or retired by, also when an earlier edit did it.
    """
    session.execute(
        sa.text(
            "INSERT INTO plan_edit (plan, number, op, request, told, actor, at) VALUES (:plan, :number, :op,"
            " CAST(:request AS jsonb), CAST(:told AS jsonb), :actor, coalesce(:at, now()))"
        ),
        {
            "plan": plan.id,
            "number": edit.number,
            "op": edit.op,
            "request": _json(edit.request),
            "told": _json(edit.told),
            "actor": edit.actor,
            "at": edit.at,
        },
    )
    columns = (
        "plan",
        "edit",
        "code",
        "retired",
        "kind",
        "name",
        "setting",
        "parent",
        "geom",
        "touched",
        "cause",
    )
    copy_rows(
        session,
        "plan_area",
        columns,
        (
            (plan.id, edit.number, code, *_cells(area), after.causes.get(code))
            for code, area in sorted(step.areas.items())
        ),
    )


def _json(said: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(said), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _cells(area: PlannedArea | None) -> tuple[object, ...]:
    if area is None:
        return (True, None, None, None, None, None, False)
    geom = shapely.to_wkb(shapely.set_srid(area.geom, 4326), hex=True, include_srid=True)
    return (False, area.kind, area.name, area.setting, area.parent, geom, area.touched)


def drop_edits(session: Writer, plan: int, beyond: int) -> None:
    """Forgets the edits above a number, with their areas."""
    session.execute(
        sa.text("DELETE FROM plan_edit WHERE plan = :plan AND number > :beyond"),
        {"plan": plan, "beyond": beyond},
    )


def edits(
    session: Session, plan: int, *, newest: int = LONGEST_JOURNAL, requests: bool = False
) -> list[Edit]:
    """Edits of a plan by their numbers, those to be redone included.

    Args:
        session: any.
        plan: its number.
        newest: so many of them.
        requests: with what was asked for; else that is left empty.
    """
    rows = session.execute(
        sa.text(
            "SELECT number, op, told, actor, at, ARRAY(SELECT a.code FROM plan_area a WHERE a.plan = e.plan"
            " AND a.edit = e.number AND NOT a.touched ORDER BY a.code) AS areas"
            + (", request" if requests else "")
            + " FROM plan_edit e WHERE plan = :plan ORDER BY number DESC LIMIT :newest"
        ),
        {"plan": plan, "newest": newest},
    ).mappings()
    nothing: Mapping[str, Any] = MappingProxyType({})
    return [Edit(**{"request": nothing, **row}) for row in rows][::-1]


@dataclass(frozen=True)
class Done:
    """What made a revision."""

    revision: int
    op: str
    actor: str
    at: dt.datetime
    detail: Mapping[str, Any]


def history(session: Session, plan: int, *, after: int = 0, newest: int = LONGEST_JOURNAL) -> list[Done]:
    """What was done to a plan, oldest first: after a revision, and so many of them at most."""
    rows = session.execute(
        sa.text(
            "SELECT revision, op, actor, at, detail FROM plan_step WHERE plan = :plan AND revision > :after"
            " ORDER BY revision DESC LIMIT :newest"
        ),
        {"plan": plan, "after": after, "newest": newest},
    ).mappings()
    return [Done(**row) for row in rows][::-1]


def redrawn_by(session: Session, plan: int) -> frozenset[str]:
    """Everybody who ever changed an area of a plan, also where it was undone."""
    rows = session.execute(
        sa.text("SELECT DISTINCT actor FROM plan_step WHERE plan = :plan AND redraws"), {"plan": plan}
    )
    return frozenset(rows.scalars())


def taken_codes(session: Session, plan: int) -> list[str]:
    """Codes of areas that were born in other plans which are not published."""
    rows = session.execute(
        sa.text(
            "SELECT DISTINCT a.code FROM plan p JOIN plan_area a ON a.plan = p.id AND a.cause IS NOT NULL"
            " AND NOT a.retired WHERE p.state <> 'published' AND p.id <> :plan"
        ),
        {"plan": plan},
    )
    return list(rows.scalars())


def newest_edition(session: Session) -> int:
    """The newest edition, also one whose moment has not come; 0 where there is none."""
    return int(session.execute(sa.text("SELECT coalesce(max(id), 0) FROM edition")).scalar_one())


def in_force_from(session: Session, edition: int | None) -> dt.datetime | None:
    """The moment from which an edition is in force; None for none, and for since ever."""
    if edition is None:
        return None
    moment: dt.datetime | None = session.execute(
        sa.text("SELECT nullif(in_force_from, '-infinity') FROM edition WHERE id = :edition"),
        {"edition": edition},
    ).scalar_one()
    return moment
