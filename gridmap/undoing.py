"""Taking a publication back: a new edition in which what an edition changed is again as it was before.

What others did since stays. Where their borders meet what comes back, it gets the vertices that they put there, so
that the coverage stays exact; where they changed what the edition had changed, it is not taken back.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.affected import BOXES, IN_BOX, box_binds
from gridmap.borders import Shapes, misfits, only_got_vertices, with_vertices_of
from gridmap.db import Writer
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.next_edition import Cause, Change, Stored, areas_of
from gridmap.publishing import Order, Published, make_edition
from gridmap.settings import Settings
from gridmap.settling import lock_publications, newest_edition

_MOST_NAMED = 5  # in a sentence; the findings have them all


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
        Conflict: `changed_since`, with each area, the edition that changed it and its place: what it changed has
            been changed again, not merely touched, or another area lies there now; and as of `publish`.
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
    undone = _undone(session, edition, newest.id)
    _refuse(session, edition, undone, undone.changed_since)
    undone = replace(undone, later=_later(session, edition, undone))
    restored = undone.restored()
    _refuse(session, edition, undone, undone.in_the_way(restored))
    causes = _causes(session, edition)
    changes = [
        _as_it_was(code, area, None if code in undone.before and code in undone.after else causes.get(code))
        for code, area in sorted(restored.items())
    ]
    revived = undone.changed & (undone.before.keys() - undone.after.keys())
    order = Order(
        actor=actor,
        note=note,
        moment=effective_from,
        after_pending=edition == newest.id,
        undone=edition,
        revived=frozenset(revived),
    )
    published = make_edition(session, newest.id, changes, order, settings)
    if published is None:
        raise InvalidInput(f"Edition {edition} changed nothing", code="nothing_changes")
    return published


@dataclass(frozen=True)
class Undone:
    """An edition that is taken back: what it changed or touched, and what has become of that.

    Attributes:
        before: those areas by code as they were before it; without those that it created.
        after: as it left them; without those that it retired.
        now: as they are in the newest edition.
        touched: codes of those that it merely gave vertices.
        later: other areas around, by code, that later editions changed or touched, as they are now.
    """

    before: Mapping[str, Stored]
    after: Mapping[str, Stored]
    now: Mapping[str, Stored]
    touched: frozenset[str]
    later: Mapping[str, Stored] = field(default_factory=dict)

    @cached_property
    def changed(self) -> frozenset[str]:
        """What it changed, created or retired; not what it touched, or took along with what is above."""
        same = shapely.equals_identical
        codes = (self.before.keys() | self.after.keys()) - self.touched
        return frozenset(
            code for code in codes if not _still(self.before.get(code), self.after.get(code), same)
        )

    @cached_property
    def changed_since(self) -> list[str]:
        """Codes of what it changed that is something else by now than it made of it; vertices aside."""
        return sorted(code for code in self.changed if not _still(self.after.get(code), self.now.get(code)))

    def restored(self) -> dict[str, Stored | None]:
        """What comes back, by code; None for what goes again.

        It gets the vertices that are on its borders now, also those that the edition itself put there: what was
        merely touched stays as it is, for a neighbour may have been redrawn along those vertices since.
        """
        codes = sorted(self.changed & self.before.keys())
        earlier = _shapes(self.before[code] for code in codes)
        shapes = with_vertices_of(earlier, _shapes([*self.now.values(), *self.later.values()]))
        back: dict[str, Stored | None] = dict.fromkeys(self.changed)
        for code, geom in zip(codes, shapes, strict=True):
            back[code] = replace(self.before[code], geom=geom)
        return back

    def in_the_way(self, restored: Mapping[str, Stored | None]) -> list[str]:
        """Codes of areas that later editions put where land comes back, or onto what goes again."""
        staying = {code: area for code, area in {**self.now, **self.later}.items() if code not in restored}
        gone = {code for code, area in restored.items() if area is None}
        found = [code for code, area in staying.items() if area.parent in gone]
        for kind in sorted({area.kind for area in staying.values()}):
            others = sorted(code for code, area in staying.items() if area.kind == kind)
            wrong = misfits(
                _shapes(area for area in restored.values() if area is not None and area.kind == kind),
                _shapes(area for code, area in self.now.items() if code in restored and area.kind == kind),
                _shapes(staying[code] for code in others),
            )
            found += [code for code, each in zip(others, wrong.tolist(), strict=True) if each]
        return sorted(set(found))


def _shapes(areas: Iterable[Stored]) -> Shapes:
    return np.array([area.geom for area in areas], dtype=object)


def _facts(area: Stored) -> tuple[str, str, str | None, str | None]:
    return area.kind, area.name, area.setting, area.parent


def _still(
    one: Stored | None, other: Stored | None, alike: Callable[[Any, Any], Any] = only_got_vertices
) -> bool:
    """Whether an area is the same, or by default the same but for vertices."""
    if one is None or other is None:
        return one is other
    return _facts(one) == _facts(other) and bool(alike(one.geom, other.geom))


def _undone(session: Session, edition: int, newest: int) -> Undone:
    rows = session.execute(
        sa.text(
            "SELECT code, bool_or(touched AND edition_from = :edition) FROM area"
            " WHERE edition_from = :edition OR edition_to = :edition GROUP BY code"
        ),
        {"edition": edition},
    ).all()
    codes = [row[0] for row in rows]
    return Undone(
        areas_of(session, edition - 1, codes),
        areas_of(session, edition, codes),
        areas_of(session, newest, codes),
        frozenset(row[0] for row in rows if row[1]),
    )


def _later(session: Session, edition: int, undone: Undone) -> dict[str, Stored]:
    """Areas around what an edition changed that others have written since; cost follows what they changed."""
    states = (undone.before, undone.after)
    shapes = [state[code].geom for state in states for code in undone.changed if code in state]
    if not shapes:
        return {}
    codes = session.execute(
        sa.text(
            "SELECT code FROM area WHERE edition_to IS NULL AND edition_from > :edition AND code <> ALL (:known)"
            f" AND EXISTS (SELECT FROM {BOXES} WHERE geom {IN_BOX})"
        ),
        {
            "edition": edition,
            "known": [*undone.before.keys() | undone.after.keys()],
            **box_binds(shapely.bounds(np.array(shapes, dtype=object))),
        },
    ).scalars()
    return areas_of(session, newest_edition(session).id, list(codes))


def _refuse(session: Session, edition: int, undone: Undone, codes: Sequence[str]) -> None:
    """Says which areas keep an edition from being taken back, since which edition, where."""
    if not codes:
        return
    by = changed_by(session, edition, codes)
    findings = []
    for code in codes:
        number, who = by[code]
        area = next(
            each[code] for each in (undone.now, undone.later, undone.after, undone.before) if code in each
        )
        findings.append(
            {
                "code": "changed_since",
                "area": code,
                "edition": number,
                "by": who,
                "where": shapely.get_coordinates(shapely.point_on_surface(area.geom))[0].tolist(),
                "message": f"已由第 {number} 版（{who}）改动 Changed by edition {number}",
            }
        )
    chinese, english = named(by, codes)
    raise Conflict(
        f"第 {edition} 版不能撤回，其后又有改动：{chinese} Edition {edition} cannot be taken back, others changed"
        f" since: {english}",
        code="changed_since",
        findings=findings,
    )


def named(by: Mapping[str, tuple[int, str]], codes: Sequence[str]) -> tuple[str, str]:
    """Areas with the edition that changed each, for a sentence in Chinese and for one in English."""
    some = [(code, *by[code]) for code in codes[:_MOST_NAMED]]
    more = len(codes) > _MOST_NAMED
    chinese = "、".join(f"{code}（第 {edition} 版，{who}）" for code, edition, who in some)
    # Who looks for where the Chinese ends finds it: names may be Chinese, so they stand in the first half alone.
    english = ", ".join(f"{code} (edition {edition})" for code, edition, _ in some)
    return chinese + ("等" if more else ""), english + (", …" if more else "")


def changed_by(session: Session, edition: int, codes: Sequence[str]) -> dict[str, tuple[int, str]]:
    """For each code the newest edition that changed, or else touched, it after another, and who published that."""
    rows = session.execute(
        sa.text(
            "SELECT DISTINCT ON (code) code, id, published_by FROM"
            " (SELECT new_code AS code, edition AS at, 0 AS merely FROM lineage WHERE new_code = ANY(:codes)"
            "  UNION ALL SELECT old_code, edition, 0 FROM lineage WHERE old_code = ANY(:codes)"
            "  UNION ALL SELECT code, edition_from, 1 FROM area WHERE code = ANY(:codes)) AS written"
            " JOIN edition ON id = at WHERE at >= :edition ORDER BY code, at = :edition, merely, at DESC"
        ),
        {"codes": list(codes), "edition": edition},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


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


def _as_it_was(code: str, before: Stored | None, cause: Cause | None) -> Change:
    if before is None:
        return Change(code=code, geom=None, cause=cause)
    return Change(
        code=code,
        geom=before.geom,
        kind=before.kind,
        name=before.name,
        setting=before.setting,
        parent=before.parent,
        cause=cause,
    )
