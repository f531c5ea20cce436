"""Codes of areas: how they are built, read, checked and given.

By default: province 2 digits, city 2 more, county 2 more (GB/T 2260), town 3 (GB/T 10114), village 3; below
the village a comprehensive grid 3 (001-899) or a dedicated grid 3 (901-999), below the comprehensive grid a
micro-grid 2. Another county has another `Scheme`. Overlays and whatever a scheme does not name carry any code
of letters, digits and underscores.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridmap.errors import InvalidInput

__all__ = ["DEFAULT", "Code", "Level", "Scheme"]

Order = Literal["west_east", "rows"]

MOST_DIGITS = 18  # of one level
_MOST_KNOWN = 50_000
_ALLOWED = re.compile(r"[A-Za-z0-9_]+")
_LEVEL = re.compile(
    r"(?P<kind>[a-z]+):(?P<digits>[0-9]{1,2})(@(?P<above>[a-z]+))?(:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18}))?"
)
# centroids of one column of squares differ in the last bits; a tenth of a millimetre is one longitude
_SAME_DEGREES = 1e-9


@dataclass(frozen=True)
class Level:
    """One level of a scheme.

    Attributes:
        kind: kind of area.
        digits: how many digits it adds to the code of what it hangs from.
        above: kind that it hangs from; None for the first.
        first: smallest number given.
        last: largest number given; None for all that the digits allow.
    """

    kind: str
    digits: int
    above: str | None = None
    first: int = 1
    last: int | None = None

    @property
    def numbers(self) -> range:
        """The numbers that may be given."""
        return range(self.first, (10**self.digits - 1 if self.last is None else self.last) + 1)


@dataclass(frozen=True)
class Code:
    """A code, taken apart.

    Attributes:
        text: the whole code.
        kind: kind of area by its length and number.
        number: its number below its parent.
        parent: code of the area it hangs from; None at the top.
    """

    text: str
    kind: str
    number: int
    parent: str | None


_DIVISIONS = (
    Level("province", 2),
    Level("city", 2, "province"),
    Level("county", 2, "city"),
    Level("town", 3, "county"),
    Level("village", 3, "town"),
)
_GRIDS = (
    Level("comprehensive", 3, "village", last=899),
    Level("dedicated", 3, "village", first=901),
    Level("micro", 2, "comprehensive"),
)


@dataclass(frozen=True)
class Scheme:
    """How the codes of a county are built.

    Attributes:
        levels: from the top down, each after the level it hangs from.
        order: how new areas are numbered: `west_east` from west to east, on one longitude from north to south;
            `rows` in rows from north to south, each from west to east.

    Raises:
        InvalidInput: `bad_scheme`: levels that contradict each other.
    """

    levels: tuple[Level, ...] = (*_DIVISIONS, *_GRIDS)
    order: Order = "west_east"
    _length: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    _known: dict[str, str | Code] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.order not in ("west_east", "rows"):
            raise InvalidInput(f"numbering order {self.order!r}: west_east or rows", code="bad_scheme")
        for level in self.levels:
            if level.kind in self._length:
                raise InvalidInput(f"level {level.kind!r} is there twice", code="bad_scheme")
            if level.above is not None and level.above not in self._length:
                raise InvalidInput(
                    f"level {level.kind!r} hangs from {level.above!r}, which does not stand before it",
                    code="bad_scheme",
                )
            if (
                not 1 <= level.digits <= MOST_DIGITS
                or not 0 <= level.first < level.numbers.stop <= 10**level.digits
            ):
                raise InvalidInput(
                    f"level {level.kind!r}: its numbers do not fit its {level.digits} digits, at most {MOST_DIGITS}",
                    code="bad_scheme",
                )
            self._length[level.kind] = level.digits + (self._length[level.above] if level.above else 0)
        self._refuse_ambiguity()

    def _refuse_ambiguity(self) -> None:
        for at, one in enumerate(self.levels):
            for other in self.levels[:at]:
                low = max(one.numbers.start, other.numbers.start)
                apart = one.digits == other.digits and low >= min(one.numbers.stop, other.numbers.stop)
                if self._length[one.kind] == self._length[other.kind] and not apart:
                    raise InvalidInput(
                        f"a code of {other.kind!r} could also be one of {one.kind!r}: they are equally long",
                        code="bad_scheme",
                    )

    @classmethod
    def from_text(cls, text: str, order: Order = "west_east") -> "Scheme":
        """Scheme from a setting: `kind:digits[@above][:first-last]`, comma-separated.

        Without `@above` a level hangs from the one before it. The default is
        `province:2,city:2,county:2,town:3,village:3,comprehensive:3:1-899,dedicated:3@village:901-999,`
        `micro:2@comprehensive`.

        Raises:
            InvalidInput: `bad_scheme`.
        """
        levels: list[Level] = []
        for part in text.split(","):
            match = _LEVEL.fullmatch(part.strip())
            if match is None:
                raise InvalidInput(
                    f"{part.strip()!r} is no level; for example micro:2@comprehensive:1-99", code="bad_scheme"
                )
            above = match["above"] or (levels[-1].kind if levels else None)
            first, last = match["first"], match["last"]
            levels.append(
                Level(
                    match["kind"],
                    int(match["digits"]),
                    above,
                    1 if first is None else int(first),
                    None if last is None else int(last),
                )
            )
        return cls(tuple(levels), order)

    @cached_property
    def _by_kind(self) -> dict[str, Level]:
        return {level.kind: level for level in self.levels}

    def level(self, kind: str) -> Level | None:
        """The level of a kind; None for kinds that the scheme leaves free."""
        return self._by_kind.get(kind)

    def _reason(self, code: str) -> str | Code:
        """The code taken apart, or why that is not possible; those of a county are asked for again and again."""
        found = self._known.get(code)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[code] = self._taken_apart(code)
        return found

    def _taken_apart(self, code: str) -> str | Code:
        if not code:
            return "empty"
        if not _ALLOWED.fullmatch(code):
            return "only letters A-Z, digits and _ are allowed"
        if not code.isdigit():
            return "a code of a division or grid has digits only"
        fitting = [level for level in self.levels if self._length[level.kind] == len(code)]
        if not fitting:
            lengths = ", ".join(f"{self._length[level.kind]} ({level.kind})" for level in self.levels)
            return f"{len(code)} digits; allowed are {lengths}"
        number = int(code[len(code) - fitting[0].digits :])
        for level in fitting:
            if number in level.numbers:
                parent = code[: len(code) - level.digits] or None
                return self._with_parent(Code(code, level.kind, number, parent), level)
        ranges = ", ".join(f"{level.numbers[0]}-{level.numbers[-1]} ({level.kind})" for level in fitting)
        return f"number {number}; allowed are {ranges}"

    def _with_parent(self, code: Code, level: Level) -> str | Code:
        if code.parent is None:
            return code
        above = self._reason(code.parent)
        if isinstance(above, str):
            return f"its parent {code.parent}: {above}"
        if above.kind != level.above:
            return f"a {code.kind} hangs from a {level.above}, but {code.parent} is a {above.kind}"
        return code

    def parse(self, code: str) -> Code:
        """A code taken apart.

        Raises:
            InvalidInput: `bad_code`, with the reason.
        """
        parsed = self._reason(code)
        if isinstance(parsed, str):
            raise InvalidInput(f"code {code!r}: {parsed}", code="bad_code")
        return parsed

    def check(self, code: str, kind: str | None = None, parent: str | None = None) -> str | None:
        """Why a code is not well formed; None where it is.

        Args:
            code: the code.
            kind: what it shall be a code of; kinds outside the scheme may have any code.
            parent: code of the area it shall hang from.
        """
        if kind is not None and kind not in self._by_kind:
            return None if _ALLOWED.fullmatch(code) else "only letters A-Z, digits and _ are allowed"
        parsed = self._reason(code)
        if isinstance(parsed, str):
            return parsed
        if kind is not None and parsed.kind != kind:
            return f"a code of a {parsed.kind}, not of a {kind}"
        if parent is not None and parsed.parent != parent:
            return f"it hangs from {parsed.parent}, not from {parent}"
        return None

    def kind(self, code: str) -> str | None:
        """Kind of area by the code; None where it is not well formed."""
        parsed = self._reason(code)
        return None if isinstance(parsed, str) else parsed.kind

    def parent(self, code: str) -> str | None:
        """Code of the area that this one hangs from; None at the top.

        Raises:
            InvalidInput: `bad_code`.
        """
        return self.parse(code).parent

    def chain(self, code: str) -> tuple[str, ...]:
        """Codes from the top down to this one.

        Raises:
            InvalidInput: `bad_code`.
        """
        parsed = self.parse(code)
        return (*(self.chain(parsed.parent) if parsed.parent else ()), code)

    def generate(self, kind: str, parent: str, places: ArrayLike, used: Iterable[str] = ()) -> list[str]:
        """New codes for areas below one parent.

        Numbers go on after the highest that was ever used below this parent; when they are used up, those
        that were left out before are given. None is given twice.

        Args:
            kind: kind of the new areas.
            parent: code that they hang from; empty for the top level.
            places: longitude and latitude of a point of each area (centroid or inner point), shape (n, 2).
            used: every code ever used, retired ones included.

        Returns:
            n codes in the order of `places`.

        Raises:
            InvalidInput: `bad_kind`, `bad_code` (the parent's), `bad_shape`, `codes_used_up`.
        """
        level = self._by_kind.get(kind)
        if level is None:
            raise InvalidInput(f"the scheme gives no codes to {kind!r}", code="bad_kind")
        if level.above is not None and (reason := self.check(parent, level.above)):
            raise InvalidInput(f"parent {parent!r}: {reason}", code="bad_code")
        points = np.asarray(places, dtype=np.float64)
        if points.size == 0:
            return []
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise InvalidInput("places: finite longitudes and latitudes, shape (n, 2)", code="bad_shape")
        free = self._free(level, parent, used)
        codes = [""] * len(points)
        for row in self._numbering(points).tolist():
            number = next(free, None)
            if number is None:
                raise InvalidInput(
                    f"all {len(level.numbers)} codes for {kind} below {parent or 'the top'} are used up",
                    code="codes_used_up",
                )
            codes[row] = f"{parent}{number:0{level.digits}d}"
        return codes

    def _free(self, level: Level, parent: str, used: Iterable[str]) -> Iterator[int]:
        size = len(parent) + level.digits
        tails = (code[len(parent) :] for code in used if len(code) == size and code.startswith(parent))
        taken = {int(tail) for tail in tails if tail.isdigit()} & set(level.numbers)
        highest = max(taken, default=level.first - 1)
        yield from range(highest + 1, level.numbers.stop)
        yield from (number for number in range(level.first, highest) if number not in taken)

    def _numbering(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Rows in the order in which they get their numbers."""
        lon, lat = np.round(points[:, 0] / _SAME_DEGREES), np.round(points[:, 1] / _SAME_DEGREES)
        if self.order == "west_east":
            return np.lexsort((-lat, lon))
        # as many rows as columns, on the average
        height = (lat.max() - lat.min()) / max(round(float(np.sqrt(len(lat)))), 1)
        band = np.zeros_like(lat) if height == 0 else np.floor((lat.max() - lat) / (height * (1 + 1e-12)))
        return np.lexsort((-lat, lon, band))


DEFAULT = Scheme()
