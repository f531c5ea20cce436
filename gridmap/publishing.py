"""Publishing: the next edition in one transaction, in force now or at a moment to come, and undoing one.

What can be worked out before is worked out before; the lock that intake shares is taken only to write rows and to
place anew what lies where boundaries changed. An edition for a later moment is written at once and holds nobody up:
when its moment comes, `gridmap.activation` places anew what lies in it.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.audit import Entry, record
from gridmap.db import Writer, copy_rows
from gridmap.errors import Conflict, InvalidInput
from gridmap.next_edition import Change, NextEdition, work_out
from gridmap.relocation import Relocated, Relocation
from gridmap.settings import Settings
from gridmap.settling import Newest, lock_boundaries, lock_publications, newest_edition, settle, upcoming
from gridmap.snapshot import ORDER
from gridmap.succession import Step, give_back, lineage, pass_on

_MOST_NAMED = 200  # of codes in a record of the audit; the lineage has them all

__all__ = ["Change", "Published", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication did; codes are in order.

    Attributes:
        in_force_from: None for the first edition, in force since ever.
        in_force: whether it is in force already; else events and buildings move when its moment comes.
        changed: areas that are another one than before.
        touched: areas that only got vertices.
        along: areas that only have another path.
        events_moved: events that have another area now, `events_routed` of them somebody else.
    """

    edition: int
    in_force_from: dt.datetime | None
    in_force: bool
    changed: tuple[str, ...]
    touched: tuple[str, ...]
    created: tuple[str, ...]
    retired: tuple[str, ...]
    along: tuple[str, ...]
    events_moved: int = 0
    events_routed: int = 0
    buildings_moved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who publishes, and how.

    Attributes:
        moment: from which it is in force; None means now.
        after_pending: an edition whose moment has not come is followed at once, not refused.
        undone: the edition that this one takes back.
        imported: out of a file that says nothing of what became of what; an area's lineage is its code then.
    """

    actor: str
    note: str = ""
    moment: dt.datetime | None = None
    after_pending: bool = False
    undone: int | None = None
    revived: frozenset[str] = frozenset()
    imported: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


def publish(  # what planners, an approver and the settings say
    session: Writer,
    base: int,
    changes: Sequence[Change],
    *,
    actor: str,
    note: str = "",
    effective_from: dt.datetime | None = None,
    settings: Settings,
) -> Published:
    """Makes the next edition out of the newest one.

    Args:
        session: sees everything (`gridmap.sight.EVERYTHING`); the caller commits, soon: intake waits for it.
        base: the edition that the changes were made against.
        changes: every area that is another one, at most one a code.
        actor: who publishes, for the edition and the audit.
        note: what for.
        effective_from: the moment from which it is in force, with a zone; None means now.
        settings: time zone and tolerance.

    Raises:
        Conflict: `base_changed`: the base is not the newest edition; `edition_pending`: another edition comes into
            force later than this one would.
        InvalidInput: `past_moment`; `nothing_changes`; `changes_refused` with findings.
        Unavailable: something that holds the boundaries does not end.
    """
    order = Order(actor=actor, note=note, moment=effective_from)
    published = make_edition(session, base, changes, order, settings)
    if published is None:
        raise InvalidInput(f"Nothing differs from edition {base}", code="nothing_changes")
    return published


def make_edition(
    session: Writer, base: int, changes: Sequence[Change], order: Order, settings: Settings
) -> Published | None:
    """As `publish`, for whoever has an order; None where nothing differs from the base."""
    lock_publications(session)
    newest = newest_edition(session)
    _check_base(newest, base)
    _check_moment(session, newest, order)
    following = work_out(session, base, changes, order.revived)
    if not following.changes:
        return None
    steps = _imported(following) if order.imported else lineage(following)
    at_once = order.moment is None and not newest.pending
    ready = None
    if at_once:
        if newest.id:  # before the first edition nothing could be placed: it moves nothing
            ready = _rehearse(session, order, following, steps, settings)
        if ready is not None:
            ready.look()
        lock_boundaries(session)
    made = _write(session, order, following, steps)
    _record(session, made.id, order, following)
    session.execute(sa.text("NOTIFY gridmap, 'edition'"))
    # With a moment nobody was kept from posting: even if it has come by now, whoever settles comes after them.
    moved = settle(session, settings.time_zone, settings.tolerance_m, ready) if at_once else Relocated()
    return Published(
        edition=made.id,
        in_force_from=made.moment,
        in_force=at_once,
        changed=tuple(following.changed),
        touched=tuple(following.touched),
        created=tuple(following.created),
        retired=tuple(following.retired),
        along=tuple(sorted(following.along)),
        events_moved=moved.events,
        events_routed=moved.routed,
        buildings_moved=moved.buildings,
    )


def _rehearse(
    session: Writer, order: Order, following: NextEdition, steps: Sequence[Step], settings: Settings
) -> Relocation | None:
    """What the edition will move, found by making it and taking it back: posts do not wait for that.

    Nobody else makes an edition meanwhile, so that it has the same number when it is made again under the lock.
    """
    with session.begin_nested() as rehearsal:
        _write(session, order, following, steps)
        ready = upcoming(session, settings.time_zone, settings.tolerance_m)
        rehearsal.rollback()
    return ready


def _check_base(newest: Newest, base: int) -> None:
    if newest.id != base:
        raise Conflict(
            f"边界已有新版本，请先更新方案 The newest edition is {newest.id}, the changes were made against {base}",
            code="base_changed",
        )


def _check_moment(session: Session, newest: Newest, order: Order) -> None:
    """Moments in force strictly increase, and none lies in the past."""
    if order.moment is not None:
        if order.moment.tzinfo is None:
            raise InvalidInput("The moment in force needs a zone", code="bad_moment")
        now = session.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        if order.moment <= now:
            said = f"生效时间已过 {order.moment.isoformat()} is past: an edition is in force from now on or later"
            finding = {"field": "effective_from", "value": order.moment.isoformat(), "message": said}
            raise InvalidInput(said, code="past_moment", findings=[finding])
    if not newest.pending or newest.moment is None:
        return
    if order.moment is None and order.after_pending:
        return
    if order.moment is None or order.moment <= newest.moment:
        raise Conflict(
            f"第 {newest.id} 版尚未生效 Edition {newest.id} comes into force at {newest.moment.isoformat()}:"
            " this one can be in force after it only. Give a later moment, or take that edition back",
            code="edition_pending",
        )


def _insert_edition(session: Writer, order: Order, following: NextEdition) -> Newest:
    """The row of the edition; pending where its moment has not come by now."""
    row = session.execute(
        sa.text(
            "INSERT INTO edition (id, in_force_from, published_by, note, areas_changed)"
            " SELECT coalesce(max(id), 0) + 1, CASE WHEN max(id) IS NULL THEN '-infinity'"
            # Moments strictly increase, also when two editions share a microsecond.
            " ELSE greatest(coalesce(CAST(:moment AS timestamptz), clock_timestamp()),"
            "  max(in_force_from) + interval '1 microsecond') END, :actor, :note, :changed FROM edition"
            " RETURNING id, nullif(in_force_from, '-infinity'), in_force_from > clock_timestamp()"
        ),
        {
            "moment": order.moment,
            "actor": order.actor,
            "note": order.note,
            "changed": len(following.changes) - len(following.touched) + len(following.along),
        },
    ).one()
    return Newest(row[0], row[1], pending=row[2])


def _imported(following: NextEdition) -> list[Step]:
    living = [code for code, change in following.changes.items() if not change.retired]
    created = set(following.created)
    return [
        Step(None if code in created else code, code, "import")
        for code in sorted([*living, *following.along])
    ]


def _write(session: Writer, order: Order, following: NextEdition, steps: Sequence[Step]) -> Newest:
    """The edition with its areas, codes and lineage, and who serves them."""
    made = _insert_edition(session, order, following)
    _write_areas(session, made.id, following)
    _write_codes(session, made.id, following)
    copy_rows(
        session,
        "lineage",
        ("edition", "old_code", "new_code", "change"),
        ((made.id, step.old, step.new, step.change) for step in steps),
    )
    if order.undone is not None:
        give_back(session, made.id, order.undone, sorted(order.revived))
    fresh = [step for step in steps if step.new not in order.revived]
    pass_on(session, made.id, fresh, following.retired)
    return made


def _write_areas(session: Writer, edition: int, following: NextEdition) -> None:
    changes = following.changes
    session.execute(
        sa.text("UPDATE area SET edition_to = :edition WHERE code = ANY(:codes) AND edition_to IS NULL"),
        {"edition": edition, "codes": [*following.before, *following.along]},
    )
    living = [change for change in changes.values() if not change.retired]
    ordered = sorted(living, key=lambda change: (ORDER[change.kind], change.code))
    shapes = np.array([change.geom for change in ordered], dtype=object)
    wkb = shapely.to_wkb(shapely.set_srid(shapes, 4326), hex=True, include_srid=True)
    copy_rows(
        session,
        "area",
        ("kind", "code", "name", "setting", "parent", "path", "geom", "edition_from", "touched"),
        (
            (
                each.kind,
                each.code,
                each.name,
                each.setting,
                each.parent,
                following.paths[each.code],
                geom,
                edition,
                each.touched,
            )
            for each, geom in zip(ordered, wkb, strict=True)
        ),
    )
    session.execute(  # what only moves along keeps its polygon, which need not travel for it
        sa.text(
            "INSERT INTO area (kind, code, name, setting, parent, path, geom, edition_from)"
            " SELECT kind, code, name, setting, parent, CAST(m.path AS ltree), geom, :edition FROM area"
            " JOIN unnest(CAST(:codes AS text[]), CAST(:paths AS text[])) AS m (c, path) ON code = m.c"
            " WHERE edition_to = :edition"
        ),
        {"edition": edition, "codes": list(following.along), "paths": list(following.along.values())},
    )


def _write_codes(session: Writer, edition: int, following: NextEdition) -> None:
    """Every code ever used is known for ever; one that lives again is retired no more."""
    session.execute(
        sa.text(
            "INSERT INTO area_code (code, kind) SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:kinds AS text[]))"
            " ON CONFLICT (code) DO UPDATE SET retired_in = NULL"
        ),
        {
            "codes": following.created,
            "kinds": [following.changes[code].kind for code in following.created],
        },
    )
    session.execute(
        sa.text("UPDATE area_code SET retired_in = :edition WHERE code = ANY(:codes)"),
        {"edition": edition, "codes": following.retired},
    )


def _record(session: Writer, edition: int, order: Order, following: NextEdition) -> None:
    areas = {
        name: getattr(following, name)[:_MOST_NAMED] for name in ("changed", "touched", "created", "retired")
    }
    paths = {area.path for area in following.before.values()} | set(following.paths.values())
    entry = Entry(
        order.actor,
        "edition.publish" if order.undone is None else "edition.revert",
        f"edition:{edition}",
        paths=_holding(paths),
        edition=edition,
        detail={
            "areas_changed": len(following.changes) - len(following.touched) + len(following.along),
            "note": order.note,
            **{name: codes for name, codes in areas.items() if codes},
            **({} if order.undone is None else {"undone": order.undone}),
            **order.detail,
        },
    )
    record(session, entry)


def _holding(paths: Iterable[str]) -> tuple[str, ...]:
    """The path of the finest area that holds all; none where nothing does."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    common = ".".join(labels[0] for labels in takewhile(lambda labels: len(set(labels)) == 1, levels))
    return (common,) if common else ()
