"""Taking a publication back: a new edition in which what an edition changed is again as it was before."""

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.db import Writer
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.next_edition import Cause, Change, Stored, areas_of
from gridmap.publishing import Order, Published, make_edition
from gridmap.settings import Settings
from gridmap.settling import lock_publications, newest_edition


def revert(  # what an approver says, and the settings
    session: Writer,
    edition: int,
    *,
    actor: str,
    note: str = "",
    effective_from: dt.datetime | None = None,
    settings: Settings,
) -> Published:
    """Publishes the earlier state of what an edition changed. Codes that it retired live again, as the areas they were.

    An edition whose moment has not come is taken back right after that moment: in between nothing happens.

    Args:
        session: as of `publish`.
        edition: the number of the edition to take back; need not be the newest.
        actor: who publishes.
        note: what for.
        effective_from: as of `publish`.
        settings: time zone and tolerance.

    Raises:
        NotFound: `unknown_edition`.
        Conflict: `changed_since` with the codes: an area that it changed has been changed again; and as of `publish`.
        InvalidInput: `nothing_before`: the first edition has no earlier state; and as of `publish`.
    """
    lock_publications(session)
    if (
        session.execute(
            sa.text("SELECT count(*) FROM edition WHERE id = :edition"), {"edition": edition}
        ).scalar_one()
        == 0
    ):
        raise NotFound(f"No edition {edition}", code="unknown_edition")
    if edition == 1:
        raise InvalidInput("Before the first edition there was nothing", code="nothing_before")
    newest = newest_edition(session)
    before, after = _changed(session, edition)
    _check_untouched_since(session, edition, [*before, *after])
    causes, touched = _causes(session, edition), _touched(session, edition)
    changes = [
        _as_it_was(
            code,
            before.get(code),
            None if code in before and code in after else causes.get(code),
            touched=code in touched,
        )
        for code in sorted(before.keys() | after.keys())
    ]
    order = Order(
        actor=actor,
        note=note,
        moment=effective_from,
        after_pending=edition == newest.id,
        undone=edition,
        revived=frozenset(before.keys() - after.keys()),
    )
    published = make_edition(session, newest.id, changes, order, settings)
    if published is None:
        raise InvalidInput(f"Edition {edition} changed nothing", code="nothing_changes")
    return published


def _changed(session: Session, edition: int) -> tuple[dict[str, Stored], dict[str, Stored]]:
    codes = list(
        session.execute(
            sa.text("SELECT DISTINCT code FROM area WHERE edition_from = :edition OR edition_to = :edition"),
            {"edition": edition},
        ).scalars()
    )
    return areas_of(session, edition - 1, codes), areas_of(session, edition, codes)


def _touched(session: Session, edition: int) -> set[str]:
    rows = session.execute(
        sa.text("SELECT code FROM area WHERE edition_from = :edition AND touched"), {"edition": edition}
    )
    return set(rows.scalars())


def _check_untouched_since(session: Session, edition: int, codes: list[str]) -> None:
    since = session.execute(
        sa.text(
            "SELECT DISTINCT code FROM area WHERE code = ANY(:codes)"
            " AND (edition_from > :edition OR edition_to > :edition) ORDER BY code"
        ),
        {"codes": codes, "edition": edition},
    ).scalars()
    if collide := list(since):
        raise Conflict(
            f"Changed again since edition {edition}: {', '.join(collide[:20])}", code="changed_since"
        )


def _causes(session: Session, edition: int) -> Mapping[str, Cause]:
    """Why codes now come back or go: what was split is merged, what was merged is split."""
    turned: Mapping[str, Cause] = {"split": "merge", "merge": "split", "create": "retire", "retire": "create"}
    causes: dict[str, Cause] = {}
    for old, new, change in session.execute(
        sa.text("SELECT old_code, new_code, change FROM lineage WHERE edition = :edition"),
        {"edition": edition},
    ):
        if old != new and change in turned:
            for code in (old, new):
                if code is not None:
                    causes[code] = turned[change]
    return causes


def _as_it_was(code: str, before: Stored | None, cause: Cause | None, *, touched: bool) -> Change:
    if before is None:
        return Change(code=code, geom=None, cause=cause)
    return Change(
        code=code,
        geom=before.geom,
        kind=before.kind,
        name=before.name,
        setting=before.setting,
        parent=before.parent,
        touched=touched,
        cause=cause,
    )
