"""Who did or read what, when and why: the records, and reading them back.

What changes something is recorded in the transaction that changes it. The records themselves cannot be changed:
the database refuses it, and `gridmap.audit_chain` seals them.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Scope
from gridmap.in_force import LIVING

OPERATOR = "operator"  # whoever has the machine's command line

_INSERT = sa.text(
    "INSERT INTO audit (at, actor, action, object, area, paths, edition, reason, before_digest, after_digest,"
    " detail, events) VALUES (coalesce(:at, clock_timestamp()), :actor, :action, :object, :area,"
    " CAST(:paths AS ltree[]), coalesce(:edition, (SELECT id FROM edition WHERE in_force_from <= clock_timestamp()"
    " ORDER BY in_force_from DESC LIMIT 1)), :reason, :before, :after, CAST(:detail AS jsonb), :events)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record.

    Attributes:
        actor: the account's name, or `operator` for the machine's command line.
        action: a word with a dot, such as `account.add`.
        object: what it was done to, such as `account:west` or `event:17`.
        area: the code of the area that it concerns, where it concerns one.
        paths: whose administrators may read the record; none: those of everywhere only.
        edition: boundaries by which it was done; None: those in force.
        before, after: the object's state, of which a digest alone is kept.
        detail: what may be read of it: never text of events, never a password.
        events: numbers of the events whose text was read.
        at: the moment; None: when it is stored.
    """

    actor: str
    action: str
    object: str
    area: str | None = None
    paths: tuple[str, ...] = ()
    edition: int | None = None
    reason: str | None = None
    before: Any = None
    after: Any = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[int, ...] | None = None
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for; None: any."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    area: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def digest_of(state: Any) -> bytes | None:
    """SHA-256 of a state as JSON with sorted keys; None for no state."""
    if state is None:
        return None
    return hashlib.sha256(orjson.dumps(state, option=orjson.OPT_SORT_KEYS)).digest()


def record(session: Session, *entries: Entry) -> None:
    """Stores records in the session's transaction."""
    if not entries:
        return
    session.execute(
        _INSERT,
        [
            {
                "at": each.at,
                "actor": each.actor,
                "action": each.action,
                "object": each.object,
                "area": each.area,
                "paths": list(each.paths),
                "edition": each.edition,
                "reason": each.reason,
                "before": digest_of(each.before),
                "after": digest_of(each.after),
                "detail": json.dumps(dict(each.detail), ensure_ascii=False),
                "events": None if each.events is None else list(each.events),
            }
            for each in entries
        ],
    )


def paths_of(session: Session, codes: Iterable[str]) -> tuple[str, ...]:
    """Where areas lie today; what has gone has no path."""
    rows = session.execute(
        sa.text(f"SELECT path::text FROM {LIVING} AS a WHERE code = ANY(:codes) ORDER BY path"),
        {"codes": list(codes)},
    )
    return tuple(rows.scalars())


def page(
    session: Session, scope: Scope, wanted: Wanted, *, before: int | None = None, limit: int = 100
) -> Sequence[sa.RowMapping]:
    """Records within a scope, newest first.

    Args:
        session: any.
        scope: of whoever asks; what concerns no area is for those of everywhere.
        wanted: filters. `action` ending in a dot takes all that begin so; an `object` `event:17` also takes the
            lists in which that event's text was read.
        before: only records with a smaller number: where the page before ended.
        limit: at most as many.
    """
    condition, binds = _condition(scope, wanted)
    if before is not None:
        condition, binds["before"] = f"{condition} AND id < :before", before
    rows = session.execute(
        sa.text(
            "SELECT id, at, actor, action, object, area, edition, reason, encode(before_digest, 'hex') AS before,"
            " encode(after_digest, 'hex') AS after, detail, events"
            f" FROM audit WHERE {condition} ORDER BY id DESC LIMIT :limit"
        ),
        {**binds, "limit": limit},
    )
    return rows.mappings().all()


def _condition(scope: Scope, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    condition, given = scope.condition("paths")
    parts, binds = [condition], dict(given)
    for name, comparison, value in (
        ("actor", "actor = :actor", wanted.actor),
        ("since", "at >= :since", wanted.since),
        ("until", "at < :until", wanted.until),
    ):
        if value is not None:
            parts.append(comparison)
            binds[name] = value
    if wanted.action is not None:
        whole = not wanted.action.endswith(".")
        parts.append("action = :action" if whole else "starts_with(action, :action)")
        binds["action"] = wanted.action
    if wanted.object is not None:
        kind, _, number = wanted.object.partition(":")
        binds["object"] = wanted.object
        if kind == "event" and number.isascii() and number.isdecimal() and int(number) < 2**63:
            parts.append("(object = :object OR events @> ARRAY[CAST(:event AS bigint)])")
            binds["event"] = int(number)
        else:
            parts.append("object = :object")
    if wanted.area is not None:
        # The area itself and whatever lay in it, by the boundaries of the moment.
        parts.append("(area = :area OR paths ~ CAST(:within AS lquery))")
        binds |= {"area": wanted.area, "within": f"*.{wanted.area}.*"}
    return " AND ".join(parts), binds
