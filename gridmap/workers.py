"""Storing workers in bulk, with the areas they serve and their weekly shifts.

Areas and shifts that a file names replace those on record from now on; what was stays on record as history.
Workers that a file does not name stay as they are.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.buildings import Stored
from gridmap.db import Writer, copy_rows

# Roles are data: these are the defaults, with their names in 中文 and English.
ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "leader": ("网格长", "grid leader"),
    "worker_full_time": ("专职网格员", "full-time grid worker"),
    "worker_part_time": ("兼职网格员", "part-time grid worker"),
    "liaison": ("联络员", "liaison"),
    "party_backbone": ("党员骨干", "party backbone"),
    "volunteer": ("志愿者", "volunteer"),
    "guide": ("指导员", "guide"),
    "supervisor": ("监督员", "supervisor"),
    "building_head": ("楼栋长", "building head"),
    "police": ("民警", "community police"),
    "mediator": ("调解员", "mediator"),
    "judge": ("法官", "judge"),
    "prosecutor": ("检察官", "prosecutor"),
    "counsel": ("法律顾问", "counsel"),
}
UNIT_KINDS: Final = ("centre", "police_station", "justice_office", "department", "committee")
DEFAULT_CAPACITY: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """A weekly duty in local time: ISO weekday, start and end; an end not after the start is next day's."""

    weekday: int
    starts_at: dt.time
    ends_at: dt.time


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDraft:
    """A worker as a file gives one.

    Attributes:
        areas: codes; None leaves the areas on record as they are.
        shifts: None leaves the shifts on record as they are.
        unit: code of a unit; None is without.
        row: in the file, for findings.
    """

    code: str
    name: str
    role: str
    capacity: int = DEFAULT_CAPACITY
    unit: str | None = None
    areas: tuple[str, ...] | None = None
    shifts: tuple[Shift, ...] | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDraft:
    """A unit as a workers' file names it beside its people."""

    code: str
    name: str
    kind: str


def known_units(session: Session) -> set[str]:
    """Codes of the units that are not retired."""
    return set(session.execute(sa.text("SELECT code FROM unit WHERE retired_at IS NULL")).scalars())


def known_roles(session: Session) -> set[str]:
    """Default roles and those that are in use."""
    return {*ROLES, *session.execute(sa.text("SELECT DISTINCT role FROM worker")).scalars()}


def store_units(session: Writer, drafts: Iterable[UnitDraft]) -> int:
    """Creates units that are not there yet; returns how many."""
    created = 0
    for draft in drafts:
        created += session.execute(
            sa.text(
                "INSERT INTO unit (code, name, kind) VALUES (:code, :name, :kind) ON CONFLICT DO NOTHING"
            ),
            {"code": draft.code, "name": draft.name, "kind": draft.kind},
        ).rowcount  # type: ignore[attr-defined]  # DML has it
    return created


def store_workers(session: Writer, drafts: Sequence[WorkerDraft], today: dt.date) -> Stored:
    """Creates and changes workers with their areas and shifts.

    Args:
        session: its owner commits.
        drafts: codes once each; units and areas known.
        today: from when changed shifts hold.
    """
    session.execute(sa.text("DROP TABLE IF EXISTS worker_in, served_in, duty_in, touched_in"))
    for statement in _STAGE:
        session.execute(sa.text(statement))
    copy_rows(
        session,
        "worker_in",
        ("code", "name", "role", "capacity", "unit", "with_areas", "with_shifts"),
        ((*_facts(each), each.areas is not None, each.shifts is not None) for each in drafts),
    )
    served = ((each.code, area) for each in drafts for area in sorted(set(each.areas or ())))
    copy_rows(session, "served_in", ("code", "area"), served)
    duties = (
        (each.code, shift.weekday, shift.starts_at, shift.ends_at)
        for each in drafts
        for shift in sorted(set(each.shifts or ()))
    )
    copy_rows(session, "duty_in", ("code", "weekday", "starts_at", "ends_at"), duties)
    for statement in _TAKE_OVER:
        session.execute(sa.text(statement), {"today": today} if ":today" in statement else {})
    created, changed = session.execute(sa.text(_TOUCHED)).one()
    if created or changed:
        session.execute(sa.text("INSERT INTO change_log (topic) VALUES ('roster')"))
        session.execute(sa.text("NOTIFY gridmap, 'roster'"))
    return Stored(created, changed, len(drafts) - created - changed)


def _facts(draft: WorkerDraft) -> tuple[str, str, str, int, str | None]:
    return draft.code, draft.name, draft.role, draft.capacity, draft.unit


_STAGE: Final = (
    """
CREATE TEMPORARY TABLE worker_in (code text PRIMARY KEY, name text, role text, capacity integer, unit text,
    with_areas boolean, with_shifts boolean) ON COMMIT DROP
""",
    "CREATE TEMPORARY TABLE served_in (code text, area text) ON COMMIT DROP",
    """
CREATE TEMPORARY TABLE duty_in (code text, weekday smallint, starts_at time, ends_at time) ON COMMIT DROP
""",
    "CREATE TEMPORARY TABLE touched_in (code text, new boolean) ON COMMIT DROP",
)

# Each statement notes whom it touched, so that the summary counts people, not rows.
_CREATE = """
WITH done AS (
    INSERT INTO worker (code, name, role, capacity, unit)
    SELECT i.code, i.name, i.role, i.capacity, u.id FROM worker_in i LEFT JOIN unit u ON u.code = i.unit
    WHERE NOT EXISTS (SELECT FROM worker w WHERE w.code = i.code) ORDER BY i.code RETURNING code
) INSERT INTO touched_in SELECT code, true FROM done
"""
_CHANGE = """
WITH done AS (
    UPDATE worker w SET name = i.name, role = i.role, capacity = i.capacity, unit = u.id, retired_at = NULL
    FROM worker_in i LEFT JOIN unit u ON u.code = i.unit
    WHERE w.code = i.code AND (w.name, w.role, w.capacity, w.unit, w.retired_at)
        IS DISTINCT FROM (i.name, i.role, i.capacity, u.id, NULL::timestamptz) RETURNING w.code
) INSERT INTO touched_in SELECT code, false FROM done
"""
# An area given and taken within one transaction leaves nothing behind.
_FORGET_AREAS = """
DELETE FROM service_area s USING worker w, worker_in i
WHERE s.worker = w.id AND w.code = i.code AND i.with_areas AND s.valid_from >= now()
    AND NOT EXISTS (SELECT FROM served_in a WHERE a.code = i.code AND a.area = s.area)
"""
_END_AREAS = """
WITH done AS (
    UPDATE service_area s SET valid_to = now() FROM worker w, worker_in i
    WHERE s.worker = w.id AND w.code = i.code AND i.with_areas
        AND (s.valid_to IS NULL OR s.valid_to > now())
        AND NOT EXISTS (SELECT FROM served_in a WHERE a.code = i.code AND a.area = s.area) RETURNING w.code
) INSERT INTO touched_in SELECT code, false FROM done
"""
_BEGIN_AREAS = """
WITH done AS (
    INSERT INTO service_area (worker, area, valid_from)
    SELECT w.id, a.area, CASE WHEN EXISTS (SELECT FROM touched_in t WHERE t.code = w.code AND t.new)
        THEN '-infinity' ELSE now() END
    FROM served_in a JOIN worker w ON w.code = a.code
    WHERE NOT EXISTS (SELECT FROM service_area s WHERE s.worker = w.id AND s.area = a.area
        AND (s.valid_to IS NULL OR s.valid_to > now())) RETURNING worker
) INSERT INTO touched_in SELECT w.code, false FROM done JOIN worker w ON w.id = done.worker
"""
# What began today and ends today never held.
_FORGET_SHIFTS = """
WITH done AS (
    DELETE FROM shift s USING worker w, worker_in i
    WHERE s.worker = w.id AND w.code = i.code AND i.with_shifts AND s.valid_from >= :today
        AND NOT EXISTS (SELECT FROM duty_in d WHERE d.code = i.code
            AND (d.weekday, d.starts_at, d.ends_at) = (s.weekday, s.starts_at, s.ends_at)) RETURNING w.code
) INSERT INTO touched_in SELECT code, false FROM done
"""
_END_SHIFTS = """
WITH done AS (
    UPDATE shift s SET valid_to = :today FROM worker w, worker_in i
    WHERE s.worker = w.id AND w.code = i.code AND i.with_shifts
        AND (s.valid_to IS NULL OR s.valid_to > :today)
        AND NOT EXISTS (SELECT FROM duty_in d WHERE d.code = i.code
            AND (d.weekday, d.starts_at, d.ends_at) = (s.weekday, s.starts_at, s.ends_at)) RETURNING w.code
) INSERT INTO touched_in SELECT code, false FROM done
"""
_BEGIN_SHIFTS = """
WITH done AS (
    INSERT INTO shift (worker, weekday, starts_at, ends_at, valid_from)
    SELECT w.id, d.weekday, d.starts_at, d.ends_at,
        CASE WHEN EXISTS (SELECT FROM touched_in t WHERE t.code = w.code AND t.new)
        THEN '-infinity' ELSE CAST(:today AS date) END
    FROM duty_in d JOIN worker w ON w.code = d.code
    WHERE NOT EXISTS (SELECT FROM shift s WHERE s.worker = w.id
        AND (s.weekday, s.starts_at, s.ends_at) = (d.weekday, d.starts_at, d.ends_at)
        AND (s.valid_to IS NULL OR s.valid_to > :today)) RETURNING worker
) INSERT INTO touched_in SELECT w.code, false FROM done JOIN worker w ON w.id = done.worker
"""
_TAKE_OVER: Final = (
    *(_CREATE, _CHANGE, _FORGET_AREAS, _END_AREAS, _BEGIN_AREAS),
    *(_FORGET_SHIFTS, _END_SHIFTS, _BEGIN_SHIFTS),
)
_TOUCHED = """
SELECT count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new)
FROM (SELECT code, bool_or(new) AS new FROM touched_in GROUP BY code) AS touched
"""
