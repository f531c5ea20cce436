"""Classes of a legend: where one colour ends and the next begins.

Breaks are lower bounds: a value belongs to class `i` where `breaks[i - 1] <= value < breaks[i]`, so there is
one class more than there are breaks. Zero is told apart before (no event is not little), so only positive
values are classed.

The methods are those of mapclassify, which the tests hold beside them, without its import: with scikit-learn,
numba and SciPy's statistics it takes 290 MB in a process that shall stay under 500.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridmap.errors import InvalidInput

CLASSES = 6
CHANGE_BREAKS = (-60.0, -30.0, -10.0, 10.0, 30.0, 60.0)
# Two-sided 90, 95 and 99 % of the normal distribution.
Z_BREAKS = (-2.5758293, -1.9599640, -1.6448536, 1.6448536, 1.9599640, 2.5758293)
_ROUND = (1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_MOST_DISTINCT = 800  # the search for natural classes is quadratic in distinct values

Floats = NDArray[np.float64]


def breaks(values: ArrayLike, method: str = "round", classes: int = CLASSES) -> list[float]:
    """Breaks of at most so many classes.

    Args:
        values: any shape, any unit; NaN, zero and what is below are left out.
        method: `round` (round numbers near the natural classes), `quantiles` (equally many in each),
            `natural` (least variance within: Fisher and Jenks), `equal` (equal intervals).
        classes: from 2 to 7; fewer come out where there are too few distinct values.

    Returns:
        Ascending; whole numbers where all values are whole. Every class holds at least one value.

    Raises:
        InvalidInput: unknown method (`bad_classes`) or number of classes.
    """
    if method not in METHODS or not 2 <= classes <= 7:
        raise InvalidInput(
            f"classes={method}, {classes}: {', '.join(METHODS)}, from 2 to 7", code="bad_classes"
        )
    given = np.asarray(values, dtype=np.float64).ravel()
    given = np.sort(given[np.isfinite(given) & (given > 0)])
    if not len(given) or given[0] == given[-1]:
        return []
    found = METHODS[method](given, classes)
    place = np.searchsorted(given, found, side="left")
    # A break below all values, above all, or with none between it and the one before, would label nothing.
    keep = (place > 0) & (place < len(given)) & (np.diff(place, prepend=0) > 0)
    return [float(each) for each in found[keep]]


def of(values: ArrayLike, edges: ArrayLike) -> NDArray[np.intp]:
    """The class of each value, from 0."""
    return np.searchsorted(np.asarray(edges, dtype=np.float64), np.asarray(values), side="right")


def _round(given: Floats, classes: int) -> Floats:
    whole = bool(np.all(given == np.rint(given)))
    powers = np.arange(np.floor(np.log10(given[0])), np.floor(np.log10(given[-1])) + 1)
    candidates = np.unique(np.round(np.outer(10.0**powers, _ROUND), 10))
    if whole:
        candidates = candidates[candidates == np.rint(candidates)]
        candidates = np.union1d(candidates, np.arange(1.0, min(11.0, given[-1] + 1)))
    candidates = candidates[(candidates > given[0]) & (candidates <= given[-1])]
    return _best(given, candidates, classes)


def _best(given: Floats, candidates: Floats, classes: int) -> Floats:
    """Of the candidates those that leave the least variance within classes, after a square root.

    The square root keeps one very high value from taking a class or two for itself.
    """
    place, first = np.unique(np.searchsorted(given, candidates, side="left"), return_index=True)
    cut = _segments(np.sqrt(given), place, classes)
    # Where several candidates part the values alike, the highest names the class best: 12–, not 11.5–.
    last = np.append(first[1:], len(candidates)) - 1
    chosen: Floats = candidates[last[np.searchsorted(place, cut)]]
    return chosen


def _natural(given: Floats, classes: int) -> Floats:
    distinct = np.unique(given)
    if len(distinct) > _MOST_DISTINCT:
        sample = np.linspace(0, len(given) - 1, _MOST_DISTINCT).round().astype(np.intp)
        distinct = np.unique(given[sample])
    cut = _segments(given, np.searchsorted(given, distinct[1:], side="left"), classes)
    return given[cut]


def _segments(given: Floats, place: NDArray[np.intp], classes: int) -> NDArray[np.intp]:
    """Positions among `place` at which sorted values are cut into the classes of least variance within.

    Exact, by dynamic programming over the places (Fisher 1958).
    """
    ends = np.concatenate([[0], place, [len(given)]])
    classes = min(classes, len(ends) - 1)
    total = np.concatenate([[0.0], np.cumsum(given - given[0])])[ends]
    square = np.concatenate([[0.0], np.cumsum((given - given[0]) ** 2)])[ends]
    size = ends[None, :] - ends[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = square[None, :] - square[:, None] - (total[None, :] - total[:, None]) ** 2 / size
    inside[size <= 0] = np.inf
    best = inside[0]
    back = []
    for _ in range(classes - 1):
        cost = best[:, None] + inside
        back.append(np.argmin(cost, axis=0))
        best = np.min(cost, axis=0)
    cut = []
    end = len(ends) - 1
    for choice in reversed(back):
        end = int(choice[end])
        cut.append(ends[end])
    return np.array(cut[::-1], dtype=np.intp)


def _quantiles(given: Floats, classes: int) -> Floats:
    return _above(given, np.quantile(given, np.arange(1, classes) / classes))


def _equal(given: Floats, classes: int) -> Floats:
    return _above(given, np.linspace(given[0], given[-1], classes + 1)[1:-1])


def _above(given: Floats, upper: Floats) -> Floats:
    """The first value above each upper bound: what was the end of a class becomes the beginning of the next."""
    place = np.searchsorted(given, np.unique(upper), side="right")
    return given[np.unique(place[place < len(given)])]


METHODS: Mapping[str, Callable[[Floats, int], Floats]] = {
    "round": _round,
    "quantiles": _quantiles,
    "natural": _natural,
    "equal": _equal,
}


def from_smallest(found: list[float], values: ArrayLike, smallest: int) -> list[float]:
    """Breaks that begin where values are shown at all: below lies what is withheld, which is its own class.

    Args:
        found: of whole numbers or rates.
        values: what is shown; NaN is not.
        smallest: the smallest count that is shown.
    """
    shown = np.asarray(values, dtype=np.float64)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if smallest <= 1 or not len(shown) or np.any(shown != np.rint(shown)) or shown.min() < smallest:
        return found
    return [float(smallest), *(each for each in found if each > smallest)]
