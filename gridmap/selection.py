"""Which events are counted for somebody, as conditions in SQL.

Who asks sees what happened in their areas. Where counts go by the finest area that holds an event, that condition
is said of the finest area itself, `leaf_now = ANY(codes in scope)`: the paths of an event hold its finest area
(gridmap.placement), so what this lets through `paths_now <@ scope` lets through as well, and an event that it
holds back belongs to no area that the reader may see. It is answered from indexes alone: a town's year takes
30 ms that way, 600 ms by paths.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap import sight
from gridmap.access import Clauses as Clauses  # noqa: PLC0414  # whoever asks for a selection's
from gridmap.access import Scope
from gridmap.errors import InvalidInput
from gridmap.events import CATEGORIES
from gridmap.periods import Period
from gridmap.snapshot import NESTING, Snapshot
from gridmap.withholding import held


@dataclass(frozen=True)
class Selection:
    """Which events are counted.

    Attributes:
        scope: where who asks may see counts, and of which categories.
        categories: any of these; none means all.
        subcategories: likewise.

    Raises:
        InvalidInput: `unknown_category`.
    """

    period: Period
    scope: Scope
    categories: tuple[str, ...] = ()
    subcategories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for category in self.categories:
            if category not in CATEGORIES:
                raise InvalidInput(
                    f"category={category[:40]!r}: {', '.join(CATEGORIES)}",
                    code="unknown_category",
                    findings=[{"field": "category", "value": category[:40], "message": "unknown"}],
                )

    def during(self, period: Period) -> "Selection":
        """The same in another period."""
        return replace(self, period=period)

    def filters(self) -> Clauses:
        """The condition without the scope's areas, and its binds."""
        kinds, binds = self.kinds()
        period = {"since": self.period.since, "until": self.period.until}
        return f"occurred_at >= :since AND occurred_at < :until AND {kinds}", {**binds, **period}

    def kinds(self) -> Clauses:
        """The part that is of categories and sub-categories: those asked for, of those that are open."""
        open_, binds = self.scope.categories("paths_now")
        clauses = [] if open_ == "TRUE" else [open_]
        for column, values in (("category", self.categories), ("subcategory", self.subcategories)):
            if values:
                clauses.append(f"{column} = ANY(:{column})")
                binds[column] = list(values)
        return " AND ".join(clauses) or "TRUE", binds

    def where(self, snapshot: Snapshot) -> Clauses:
        """The whole condition and its binds."""
        filters, binds = self.filters()
        if self.scope.paths is None:
            return filters, binds
        above = beyond(self.scope, snapshot)
        if above is not None:
            # Nearly all that lies in an area is in scope; said by the finest area the index alone answers.
            return f"leaf_now IS NOT NULL AND leaf_now <> ALL(:beyond) AND {filters}", binds | {
                "beyond": above
            }
        areas, more = self.scope.within("paths_now")
        return f"{areas} AND {filters}", binds | more


def beyond(scope: Scope, snapshot: Snapshot) -> list[str] | None:
    """Codes of the nesting areas outside a scope where these are no more than what the scope hangs from.

    So for a county's scope in a database that holds the county, its city and its province; None elsewhere.
    """
    if scope.paths is None:
        return []
    outside = np.flatnonzero(~held(scope, snapshot.path))
    if len(outside) > len(NESTING):
        return None
    if not all(any(path.startswith(f"{above}.") for path in scope.paths) for above in snapshot.path[outside]):
        return None
    codes: list[str] = snapshot.code[outside].tolist()
    return codes


def sensitive(session: Session, selection: Selection) -> Selection | None:
    """The part of a selection whose sub-category is sensitive, or None where there can be none."""
    rows = session.execute(
        sa.text("SELECT code, category FROM subcategory WHERE sensitive ORDER BY code")
    ).all()
    chosen = tuple(
        row.code
        for row in rows
        if (not selection.categories or row.category in selection.categories)
        and (not selection.subcategories or row.code in selection.subcategories)
    )
    return replace(selection, subcategories=chosen) if chosen else None


def by_finest_area(scope: Scope, snapshot: Snapshot) -> Clauses:
    """The condition that an event's finest area lies in a scope; TRUE for everywhere."""
    if scope.paths is None:
        return "TRUE", {}
    above = beyond(scope, snapshot)
    if above is not None:
        return "leaf_now IS NOT NULL AND leaf_now <> ALL(:beyond)", {"beyond": above}
    leaves = snapshot.code[held(scope, snapshot.path)]
    return "leaf_now = ANY(:leaves)", {"leaves": leaves.tolist()}


@contextmanager
def seen_as_asked(
    session: Session, scope: Scope, snapshot: Snapshot, binds: dict[str, object]
) -> Iterator[None]:
    """Where a statement's condition is one of the finest area, what the transaction sees is said so as well.

    Args:
        session: any.
        scope: where who asks may see counts; where it is of areas that lie across, nothing changes.
        snapshot: the edition in force.
        binds: of the statement's condition.
    """
    by_leaf = "leaves" in binds or "beyond" in binds
    if not by_leaf or scope.paths is None or not _nests(scope, snapshot):
        yield
        return
    _, codes = by_finest_area(scope, snapshot)
    with sight.by_leaf(session, **codes):  # type: ignore[arg-type]  # lists of codes
        yield


def _nests(scope: Scope, snapshot: Snapshot) -> bool:
    tops = [snapshot.row.get(path.rpartition(".")[2]) for path in scope.paths or ()]
    return all(row is not None and snapshot.kind[row] in NESTING for row in tops)
