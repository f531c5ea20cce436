"""Small counts are withheld from those not entitled to them (rule 9), in every answer by the same rule.

Who may see exact small counts is a matter of area: in grids it needs the action `exact`, from villages up (and
overlays) `exact_villages` is enough. For everybody else "no event" and "1 to k-1" are one class, "<k".

What is protected
    Every count below k of an area for which the reader has no exact counts, zero included. Whatever
    subtraction within the tree of areas gives away, for the same period and filters and across kinds: where the
    withheld children of a parent would be known from its total (only one is withheld, or their sum
    leaves one possibility), the smallest shown siblings are withheld as well, from the largest areas down;
    a parent withheld for that reason takes a child with it, so that it cannot be added up from below.

What is not, and is left to a later change
    Differences between answers: a period and the same period a day longer, a category and all categories,
    hexagons of two resolutions or hexagons against grids, boundaries then and now. A parent with one child: a
    village of a single grid, whose exact count a commander may see, tells that grid's. Knowledge from outside
    (who knows all but one event of a grid knows that one). Changes over time as events come in.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from gridmap.access import NOWHERE, Principal, Reach, Scope
from gridmap.snapshot import GRIDS, NESTING, Snapshot

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_TOWN = NESTING.index("town")


@dataclass(frozen=True)
class Audience:
    """For whom counts are made: where they may see counts, exact ones, and sensitive sub-categories.

    Attributes:
        counts: where they may see counts at all, and of which categories.
        exact: where small counts in grids are shown.
        exact_villages: where small counts are shown from villages up.
        handled: where they handle events, so that sensitive sub-categories are counted for them below towns too.
        withhold_below: k; 0 or 1 withholds nothing.
    """

    counts: Scope
    exact: Scope
    exact_villages: Scope
    handled: Scope
    withhold_below: int

    @classmethod
    def of(cls, principal: Principal, withhold_below: int) -> "Audience":
        """What a principal's roles say.

        Where a category is counted by one role and shown exactly by another one to which it is closed, nothing is
        exact: what is shown is the sum over all categories.
        """
        counts = principal.reach("counts")
        exact, villages, handled = (
            _without(principal.reach(action), counts) for action in ("exact", "exact_villages", "text")
        )
        # Where nothing is closed, one scope for all that is kept by it.
        where = counts if counts.narrower else Scope(counts.paths)
        return cls(where, exact, villages, handled, withhold_below)

    def sees_exact(self, tree: "Tree") -> Bools:
        """For every area whether small counts are shown to this audience."""
        exact = held(self.exact, tree.path)
        if exact.all() or self.exact_villages == self.exact:
            return exact
        return exact | (held(self.exact_villages, tree.path) & ~tree.grid)


def _without(reach: Reach, counts: Reach) -> Scope:
    """What of a reach holds for every category that is counted: its paths, but for those that touch a spoilt one."""
    spoilt: list[str] = []
    for category, known in reach.narrower:
        counted = counts.open_to(category)
        if counted.paths is None:
            return NOWHERE
        spoilt += [path for path in counted.paths if not known.holds(path)]
    if not spoilt:
        return Scope(reach.paths)
    lost = Scope.of(spoilt)
    return Scope(tuple(p for p in reach.paths or () if not lost.holds(p) and not _any_below(p, lost)))


def _any_below(path: str, scope: Scope) -> bool:
    return any(map(Scope((path,)).holds, scope.paths or ()))


@dataclass(frozen=True)
class Tree:
    """Areas with what hangs from what, as parallel arrays.

    Attributes:
        parent: number of the area above, or -1.
        level: position of the kind in NESTING, -1 for what lies across.
        grid: whether it is a grid.
    """

    kind: NDArray[np.object_]
    path: NDArray[np.object_]
    parent: NDArray[np.intp]
    level: NDArray[np.int8] = field(init=False)
    grid: Bools = field(init=False)

    def __post_init__(self) -> None:
        levels = {kind: level for level, kind in enumerate(NESTING)}
        # Compared again and again: numbers are, strings are not.
        object.__setattr__(
            self, "level", np.array([levels.get(kind, -1) for kind in self.kind], dtype=np.int8)
        )
        object.__setattr__(self, "grid", np.array([kind in GRIDS for kind in self.kind], dtype=bool))

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Tree":
        """All areas of a snapshot, in its order."""
        row = snapshot.row
        parent = np.fromiter(
            (row.get(code, -1) if code else -1 for code in snapshot.parent), np.intp, len(snapshot)
        )
        return cls(snapshot.kind, snapshot.path, parent)

    @property
    def large(self) -> Bools:
        """Towns, what is larger, and overlays: where sensitive sub-categories are counted for everybody."""
        return (self.level <= _TOWN) & ~self.grid

    def __len__(self) -> int:
        return len(self.parent)

    def roll_up(self, counts: Ints) -> Ints:
        """Adds every area's count to those above it, so that an area counts what its descendants count."""
        total = counts.copy()
        for level in range(len(NESTING) - 1, 0, -1):
            below = np.flatnonzero((self.level == level) & (self.parent >= 0))
            np.add.at(total, self.parent[below], total[below])
        return total


def held(scope: Scope, paths: NDArray[np.object_]) -> Bools:
    """For every path whether it lies in a scope; not to be written to."""
    if scope.paths is None:
        return np.ones(len(paths), dtype=bool)
    if not scope.paths:
        return np.zeros(len(paths), dtype=bool)
    if len(paths) < _WORTH_KEEPING:
        return _held(scope, paths)
    key = (id(paths), scope)
    with _lock:
        kept = _kept.get(key)
    if kept is None or kept[0] is not paths:
        kept = paths, _held(scope, paths)
        with _lock:
            _kept[key] = kept
            _kept.move_to_end(key)
            while len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
    return kept[1]


# One answer asks the same of all areas half a dozen times, and so does the next one of the same reader.
_WORTH_KEEPING, _MOST_KEPT = 500, 64
_kept: OrderedDict[tuple[int, Scope], tuple[NDArray[np.object_], Bools]] = OrderedDict()
_lock = Lock()


def _held(scope: Scope, paths: NDArray[np.object_]) -> Bools:
    # The same as Scope.holds path by path, in a tenth of the time.
    heads = tuple(f"{path}." for path in scope.paths or ())
    found = np.array([f"{path}.".startswith(heads) for path in paths], dtype=bool)
    found.flags.writeable = False
    return found


def small(counts: Ints, exact: Bools, withhold_below: int) -> Bools:
    """Which counts are withheld for being small, subtraction aside."""
    if withhold_below <= 1:  # from 1 to k - 1 there is no number; zero alone hides nothing
        return np.zeros(len(counts), dtype=bool)
    return ~exact & (counts < withhold_below)


def withheld(tree: Tree, counts: Ints, audience: Audience) -> Bools:
    """Which areas' counts are withheld: the small ones and whatever would give them away.

    Always decided on the whole tree that the audience may see, never on a part of it that was asked for:
    otherwise two answers would withhold different areas and give each other away.

    Args:
        tree: the areas.
        counts: an area, its descendants included.
        audience: for whom.
    """
    below = audience.withhold_below
    exact = audience.sees_exact(tree)
    hidden = small(counts, exact, below)
    if not hidden.any():
        return hidden
    parent = tree.parent
    # Children of these kinds tile their parent; overlays and dedicated grids lie across and add up to nothing.
    tiles = (tree.level >= 0) & (parent >= 0)
    tiles &= held(audience.counts, tree.path)[parent]
    for level in range(len(NESTING) - 1):
        rows = np.flatnonzero(tiles & (tree.level[parent] == level))
        if len(rows):
            _cover(rows, parent[rows], (counts, exact, hidden), below)
    return hidden


def guarded(counts: Ints, withhold_below: int) -> Bools:
    """Which of the parts of one known total are withheld, for a reader without exact counts."""
    hidden = counts < withhold_below
    if withhold_below > 1 and hidden.any() and not hidden.all() and _pinned(hidden, counts, withhold_below):
        hidden[np.flatnonzero(~hidden)[np.argmin(counts[~hidden])]] = True
    return hidden


def _pinned(hidden: Bools, counts: Ints, below: int) -> bool:
    number, total = int(hidden.sum()), int(counts[hidden].sum())
    return number == 1 or total <= 0 or total >= number * (below - 1)


def _cover(
    rows: NDArray[np.intp], parent: NDArray[np.intp], state: tuple[Ints, Bools, Bools], below: int
) -> None:
    """Withholds siblings in one level of the tree, in place; the parents have been decided before."""
    counts, exact, hidden = state
    size = len(counts)
    number = np.bincount(parent[hidden[rows]], minlength=size)
    total = np.bincount(parent, weights=counts[rows] * hidden[rows], minlength=size)
    # With a shown parent the sum of the withheld is known: it may not leave them a single possibility.
    pinned = (number > 0) & ((number == 1) | (total <= 0) | (total >= number * (below - 1)))
    # A withheld parent may not be added up from children that are all shown.
    needs = np.where(hidden, number == 0, pinned)
    free = np.flatnonzero(needs[parent] & ~hidden[rows] & ~exact[rows])
    free = free[np.lexsort((counts[rows[free]], parent[free]))]  # each family from its smallest count up
    _, first = np.unique(parent[free], return_index=True)
    hidden[rows[free[first]]] = True
