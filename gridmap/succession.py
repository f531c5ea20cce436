"""Who follows whom: lineage of areas from the land that they share, and who serves, or may do, what follows.

A split, merged or retired area passes its people on. A role for an area that lives no more counts for those that
have its land: nothing is written for that, so that it holds again as it was where the area comes back.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.db import Writer
from gridmap.in_force import HELD
from gridmap.next_edition import Change, NextEdition
from gridmap.routing import Office, Person, Roster

# Square degrees: about a square metre. Less in common is rounding, or a vertex that a neighbour got.
LEAST_SHARED = 1e-10
LEAST_SHARE = 1e-6
_Serving = TypeVar("_Serving", bound=Person | Office)


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A row of the lineage: what became of an area, or where one came from; None for nothing."""

    old: str | None
    new: str | None
    change: str


def lineage(following: NextEdition) -> list[Step]:
    """Steps from the base to the next edition, in order.

    Areas of a kind that share more than about a square metre follow each other; an area that stays itself has one
    step that says what became of it. What only got vertices or another path above it has none.
    """
    changes, before = following.changes, following.before
    old = [code for code, change in changes.items() if code in before and not change.touched]
    new = [code for code, change in changes.items() if not change.retired and not change.touched]
    steps: set[Step] = set()
    gave: dict[str, set[str]] = defaultdict(set)
    for source, target in _sharing(following, old, new):
        if source == target:
            continue
        change = _change(changes[source], changes[target], born=target not in before)
        steps.add(Step(source, target, change))
        gave[source].add(change)
        gave[target].add(change)
    for code in set(old) & set(new):
        steps.add(Step(code, code, _own(following, code, gave[code])))
    met = {step.new for step in steps} | {step.old for step in steps}
    steps |= {Step(None, code, "create") for code in new if code not in met and code not in before}
    steps |= {Step(code, None, "retire") for code in old if code not in met and changes[code].retired}
    return sorted(steps, key=lambda step: (step.old or "", step.new or ""))


def _sharing(following: NextEdition, old: Sequence[str], new: Sequence[str]) -> Iterable[tuple[str, str]]:
    for kind in {following.before[code].kind for code in old}:
        ours = [code for code in old if following.before[code].kind == kind]
        theirs = [code for code in new if following.changes[code].kind == kind]
        if not theirs:
            continue
        olds = np.array([following.before[code].geom for code in ours], dtype=object)
        news = np.array([following.changes[code].geom for code in theirs], dtype=object)
        a, b = shapely.STRtree(news).query(olds, predicate="intersects")
        shared = shapely.area(shapely.intersection(olds[a], news[b]))
        least = np.maximum(
            LEAST_SHARED, LEAST_SHARE * np.minimum(shapely.area(olds[a]), shapely.area(news[b]))
        )
        for source, target in zip(a[shared > least], b[shared > least], strict=True):
            yield ours[source], theirs[target]


def _change(source: Change, target: Change, *, born: bool) -> str:
    if born:
        return target.cause or source.cause or ("retire" if source.retired else "create")
    return (source.cause or "retire") if source.retired else "reshape"


def _own(following: NextEdition, code: str, gave: set[str]) -> str:
    """What became of an area that stays itself."""
    for became in ("split", "merge"):
        if became in gave:
            return became
    change, before = following.changes[code], following.before[code]
    same = (change.kind, change.setting, change.parent) == (before.kind, before.setting, before.parent)
    renamed = change.name != before.name and same and shapely.equals_identical(change.geom, before.geom)
    return "rename" if renamed else "reshape"


def heirs(steps: Sequence[Step], retired: Collection[str]) -> list[tuple[str, str]]:
    """Old and new codes where who served the old one serves the new one too: of what was split, merged or retired."""
    return [
        (step.old, step.new)
        for step in steps
        if step.old and step.new and step.old != step.new and (step.change == "split" or step.old in retired)
    ]


def passed_on(roster: Roster, steps: Sequence[Step], retired: Collection[str]) -> Roster:
    """Who would serve what if `pass_on` were called this moment."""
    return replace(
        roster,
        people_of=_inherited(roster.people_of, steps, retired),
        offices_of=_inherited(roster.offices_of, steps, retired),
    )


def _inherited(
    serving: Mapping[str, tuple[_Serving, ...]], steps: Sequence[Step], retired: Collection[str]
) -> dict[str, tuple[_Serving, ...]]:
    after = {code: each for code, each in serving.items() if code not in retired}
    for pair in heirs(steps, retired):
        held = dict[int, _Serving]()
        for each in (*after.get(pair[1], ()), *serving.get(pair[0], ())):
            held[each.id] = each
        if held:
            after[pair[1]] = tuple(held[number] for number in sorted(held))
    return after


def pass_on(session: Writer, edition: int, steps: Sequence[Step], retired: Sequence[str]) -> None:
    """Who served an area that was split, merged or retired serves what follows it from the edition's moment on."""
    following = heirs(steps, retired)
    binds = {
        "edition": edition,
        "old": [old for old, _ in following],
        "new": [new for _, new in following],
        "retired": list(retired),
    }
    session.execute(
        sa.text(
            "INSERT INTO service_area (worker, unit, area, valid_from, valid_to)"
            " SELECT DISTINCT ON (s.worker, s.unit, p.new) s.worker, s.unit, p.new,"
            "  greatest(s.valid_from, e.in_force_from), s.valid_to"
            " FROM edition e, service_area s JOIN unnest(CAST(:old AS text[]), CAST(:new AS text[]))"
            "  AS p (old, new) ON s.area = p.old"
            " WHERE e.id = :edition AND (s.valid_to IS NULL OR s.valid_to > greatest(s.valid_from, e.in_force_from))"
            " AND NOT EXISTS (SELECT FROM service_area o WHERE o.area = p.new"
            "  AND (o.worker, o.unit) IS NOT DISTINCT FROM (s.worker, s.unit)"
            "  AND o.valid_from <= greatest(s.valid_from, e.in_force_from)"
            "  AND coalesce(o.valid_to, 'infinity') >= coalesce(s.valid_to, 'infinity'))"
            " ORDER BY s.worker, s.unit, p.new, s.valid_to DESC NULLS FIRST, s.valid_from"
        ),
        binds,
    )
    session.execute(
        sa.text(
            "UPDATE service_area s SET valid_to = e.in_force_from FROM edition e WHERE e.id = :edition"
            " AND s.area = ANY(:retired) AND (s.valid_to IS NULL OR s.valid_to > e.in_force_from)"
            " AND s.valid_from < e.in_force_from"
        ),
        binds,
    )


def give_back(session: Writer, edition: int, undone: int, revived: Sequence[str]) -> None:
    """Who served areas until an edition retired them serves them again, and no more what that edition gave them."""
    binds = {"edition": edition, "undone": undone, "revived": list(revived)}
    session.execute(
        sa.text(
            "UPDATE service_area s SET valid_to = e.in_force_from FROM edition e, edition u"
            " WHERE e.id = :edition AND u.id = :undone AND s.valid_from = u.in_force_from"
            " AND (s.valid_to IS NULL OR s.valid_to > e.in_force_from)"
            " AND EXISTS (SELECT FROM service_area o JOIN lineage l ON l.edition = u.id AND l.old_code = o.area"
            "  AND l.new_code = s.area WHERE o.area = ANY(:revived) AND o.valid_to = u.in_force_from"
            "  AND (o.worker, o.unit) IS NOT DISTINCT FROM (s.worker, s.unit))"
        ),
        binds,
    )
    session.execute(
        sa.text(
            "INSERT INTO service_area (worker, unit, area, valid_from)"
            " SELECT s.worker, s.unit, s.area, e.in_force_from FROM service_area s, edition e, edition u"
            " WHERE e.id = :edition AND u.id = :undone AND s.area = ANY(:revived)"
            " AND s.valid_to = u.in_force_from"
        ),
        binds,
    )


def successors(session: Session, codes: Sequence[str]) -> Mapping[str, list[str]]:
    """For each code those that have its land in the edition in force, itself where it lives; in order."""
    if not codes:
        return {}
    found: dict[str, list[str]] = defaultdict(list)
    held = HELD.format(codes="unnest(CAST(:codes AS text[]))")
    rows = session.execute(
        sa.text(f"WITH {held} SELECT code, now FROM held ORDER BY code, now"), {"codes": list(codes)}
    )
    for code, now in rows:
        found[code].append(now)
    return found
