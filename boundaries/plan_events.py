"""Events of a period by the grids of a draft: counted by what they lie in today, and anew where the draft differs."""

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from boundaries.draft import Draft
from boundaries.plan_households import holders
from gridmap.events import CATEGORIES
from gridmap.index import GRIDS
from gridmap.selection import Selection, seen_as_asked
from gridmap.snapshot import NESTING, Snapshot

Counts = dict[str, dict[str, int]]
Kept = dict[Hashable, tuple[float, Counts]]
KEPT_S = 60.0  # of a year up to last midnight: what comes in late may wait
MOST_KEPT = 32
# In grids they are for handlers alone, and no plan is made by them.
_PLAIN = "(subcategory IS NULL OR subcategory NOT IN (SELECT code FROM subcategory WHERE sensitive))"


def events_of(session: Session, draft: Draft, selection: Selection, today: Snapshot, kept: Kept) -> Counts:
    """Events by code of the draft's grids and category, without sensitive sub-categories.

    An event without a place counts where its area is said to be, while that lives. Cost follows the events in what the
    draft changes; those of the edition's grids are counted once in a while.

    Args:
        session: sees what may be counted for who asks.
        draft: any.
        selection: period, categories, scope.
        today: the edition in force, by which events lie where they lie.
        kept: what was counted before on this edition, for whom; added to.
    """
    key = (selection.period, selection.scope)
    moment, known = kept.get(key, (-KEPT_S, {}))
    if time.monotonic() - moment >= KEPT_S:
        known = _counted(session, draft, selection, today)
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = time.monotonic(), known
    counts: Counts = defaultdict(dict, {code: dict(of_it) for code, of_it in known.items()})
    if draft.areas:
        _anew(session, draft, selection, counts)
    return counts


def _counted(session: Session, draft: Draft, selection: Selection, today: Snapshot) -> Counts:
    """Events of the edition's grids inside the scope."""
    base = draft.base
    grids = [code for code in draft.codes_of_base if base.kind[base.row[code]] in GRIDS]
    dedicated = [code for code in grids if base.kind[base.row[code]] == "dedicated"]
    where, binds = selection.filters()
    where = f"{where} AND {_PLAIN}"
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with seen_as_asked(session, selection.scope, today, binds | {"leaves": grids}):
        rows = session.execute(
            sa.text(
                f"SELECT leaf_now AS code, category, count(*) AS number FROM event WHERE {where}"
                " AND leaf_now = ANY(:leaves) GROUP BY 1, 2"
            ),
            {**binds, "leaves": grids},
        )
        for row in rows:
            for code in base.path[base.row[row.code]].split("."):
                if code in base.row and base.kind[base.row[code]] in GRIDS:
                    counts[code][row.category] += row.number
    if dedicated:
        rows = session.execute(
            sa.text(
                f"SELECT owner_now AS code, category, count(*) AS number FROM event WHERE {where}"
                " AND owner_now = ANY(:owners) GROUP BY 1, 2"
            ),
            {**binds, "owners": dedicated},
        )
        for row in rows:
            counts[row.code][row.category] = row.number
    return {code: dict(of_it) for code, of_it in counts.items()}


def _anew(session: Session, draft: Draft, selection: Selection, counts: Counts) -> None:
    """Counts the areas that the draft changes by the places of the events in and around them."""
    changed = [area for area in draft.changed if area.kind in GRIDS]
    for code in (*draft.retired, *(area.code for area in changed)):
        counts.pop(code, None)
    leaves = _leaves(draft)
    if not changed or not leaves:
        return
    where, binds = selection.filters()
    rows = session.execute(
        sa.text(
            f"SELECT leaf_now AS leaf, category, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM event"
            f" WHERE {where} AND {_PLAIN} AND leaf_now = ANY(:leaves)"
        ),
        {**binds, "leaves": leaves},
    ).all()
    placed = [row for row in rows if row.lon is not None]
    category = np.array([CATEGORIES.index(row.category) for row in placed], dtype=np.int64)
    lon, lat = np.array([row.lon for row in placed]), np.array([row.lat for row in placed])
    born = {area.code for area in changed}
    for kind in dict.fromkeys(area.kind for area in changed):
        found = holders(draft, kind, (lon, lat)) if placed else np.empty(0, dtype=object)
        for code in {area.code for area in changed if area.kind == kind}:
            sums = np.bincount(category[found == code], minlength=len(CATEGORIES)).tolist()
            for name, number in zip(CATEGORIES, sums, strict=True):
                if number:
                    counts[code][name] = counts[code].get(name, 0) + number
    for row in rows:
        if row.lon is None:
            for code in _line(draft, row.leaf):
                if code in born:
                    counts[code][row.category] = counts[code].get(row.category, 0) + 1


def _line(draft: Draft, code: str) -> Iterable[str]:
    """An area of a draft and what holds it; nothing where it lives no more."""
    return draft.path(code).split(".") if draft.get(code) is not None else ()


def _leaves(draft: Draft) -> list[str]:
    """Codes of the edition's finest areas where events may lie that the draft gives to another grid."""
    base = draft.base
    differ = [code for code, area in draft.areas.items() if area is None or not area.touched]
    shapes = [
        area.geom for code in differ for area in (draft.before(code), draft.get(code)) if area is not None
    ]
    if not shapes:
        return []
    inside = [draft.scope, *draft.codes_of_base]
    codes = [code for code in inside if base.kind[base.row[code]] in NESTING]
    rows = [base.row[code] for code in codes]
    tree = shapely.STRtree(base.geom[rows])
    near = np.unique(tree.query(np.array(shapes, dtype=object), predicate="intersects")[1])
    return [codes[at] for at in near.tolist()]
