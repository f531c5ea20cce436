"""Counts by area for one reader: by which boundaries, without what only handlers see."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.selection import Selection, beyond, sensitive
from gridmap.snapshot import NESTING, OVERLAYS, Snapshot
from gridmap.withholding import Audience, Tree, held
from layers import counting, history
from layers.counting import Ints, Rows
from layers.history import Retired
from layers.kept import Kept

# Kinds in which sensitive sub-categories are counted for everybody: towns, what is larger, what lies across.
SEEN_WHOLE = (*NESTING[:4], *OVERLAYS)
Found = Ints | Mapping[str, int]

_trees: Kept[Tree] = Kept(lambda snapshot, _key: Tree.of(snapshot))


@dataclass(frozen=True)
class Tally:
    """Areas and the number of events in each, once for every selection.

    Attributes:
        tree: the snapshot's areas, then those that no longer live.
        counts: an array of numbers a selection, descendants included, as the audience may know them.
    """

    snapshot: Snapshot
    gone: Retired
    tree: Tree
    counts: tuple[Ints, ...]

    def column(self, name: str) -> NDArray[np.object_]:
        """`code` or `name` in the order of the tree."""
        return np.concatenate([getattr(self.snapshot, name), getattr(self.gone, name)])

    @property
    def households(self) -> Ints:
        """Households in the order of the tree; nobody lives in what is gone."""
        return np.concatenate([self.snapshot.households, np.zeros(len(self.gone), dtype=np.int64)])


@dataclass(frozen=True)
class Request:
    """What of the areas is wanted.

    Attributes:
        kind: of area; decides by what an event is counted.
        then: by the boundaries as they were.
        within: row of the area that is looked at, or None.
    """

    kind: str
    then: bool = False
    within: int | None = None


def tally(
    session: Session,
    snapshot: Snapshot,
    request: Request,
    selections: tuple[Selection, ...],
    audience: Audience,
) -> Tally:
    """Counts selections for an audience."""
    count = _Counter(session, snapshot, request, audience)
    found = [(count(selection), count.delicate(selection)) for selection in selections]
    codes = {
        code
        for pair in found
        for each in pair
        if isinstance(each, Mapping)
        for code in each
        if code not in snapshot.row
    }
    # By today's boundaries an unknown code is one of an edition that has just begun, or is no longer anybody's.
    gone = history.retired(session, snapshot, codes) if codes and request.then else history.nothing()
    tree, number = history.grown(snapshot, _trees.get(snapshot), gone)
    open_ = tree.large | held(audience.handled, tree.path)
    counts = []
    for total, delicate in found:
        counted = _aligned(total, number)
        if delicate is not None:
            counted = counted - np.where(open_, 0, _aligned(delicate, number))
        counts.append(counted)
    return Tally(snapshot, gone, tree, tuple(counts))


@dataclass(frozen=True)
class _Counter:
    session: Session
    snapshot: Snapshot
    request: Request
    audience: Audience

    def __call__(self, selection: Selection) -> Found:
        then, kind = self.request.then, self.request.kind
        if kind == "dedicated":
            return counting.by_owner(self.session, selection, self.snapshot, then=then)
        if kind in OVERLAYS:
            return counting.by_path(self.session, selection, self.snapshot, kind, then=then)
        if then:
            return history.by_area_then(self.session, self.snapshot, selection)
        leaves = counting.by_leaf(self.session, self.snapshot, selection, self._leaves(selection))
        return _trees.get(self.snapshot).roll_up(leaves)

    def delicate(self, selection: Selection) -> Found | None:
        """Those of sensitive sub-categories, where somebody may not know them."""
        if self.request.kind in SEEN_WHOLE or self.audience.handled.paths is None:
            return None
        part = sensitive(self.session, selection)
        return self(part) if part else None

    def _leaves(self, selection: Selection) -> Rows | None:
        """Finest areas to count in; None means everywhere."""
        snapshot, within = self.snapshot, self.request.within
        tree = _trees.get(snapshot)
        # What is withheld in a part depends on the whole: only who sees everything exactly may look at a part.
        if within is not None and snapshot.kind[within] in NESTING and self._exact(tree):
            return np.flatnonzero(held(counting.below(snapshot, within), snapshot.path))
        if beyond(selection.scope, snapshot) is not None:
            return None
        return np.flatnonzero(held(selection.scope, snapshot.path))

    def _exact(self, tree: Tree) -> bool:
        seen = held(self.audience.counts, tree.path)
        return bool(self.audience.sees_exact(tree)[seen].all())


def _aligned(found: Found, number: Mapping[str, int]) -> Ints:
    if not isinstance(found, Mapping):
        return np.concatenate([found, np.zeros(len(number) - len(found), dtype=np.int64)])
    counts = np.zeros(len(number), dtype=np.int64)
    for code, total in found.items():
        if code in number:
            counts[number[code]] = total
    return counts
