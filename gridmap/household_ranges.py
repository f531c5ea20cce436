"""How many households a grid should have, by kind."""

from collections.abc import Mapping
from typing import Final, Literal

from gridmap.errors import InvalidInput
from gridmap.index import KINDS

__all__ = ["USUAL", "Ranges", "breach", "parse_ranges"]

Ranges = Mapping[str, tuple[int, int]]
USUAL: Final[Ranges] = {"micro": (50, 100), "comprehensive": (300, 500)}


def parse_ranges(text: str, name: str = "--households") -> dict[str, tuple[int, int]]:
    """`micro=50:100,comprehensive=300:500` as a mapping.

    Args:
        text: ranges by kind.
        name: of the option or setting, for the message.

    Raises:
        InvalidInput: `bad_range`.
    """
    ranges: dict[str, tuple[int, int]] = {}
    for part in text.split(","):
        kind, _, span = part.strip().partition("=")
        least, _, most = span.partition(":")
        numbers = least.isdecimal() and most.isdecimal() and int(least) <= int(most)
        if kind not in KINDS or kind in ranges or not numbers:
            raise InvalidInput(
                f"{name} {part.strip()!r}: written as KIND=LEAST:MOST, for example"
                f" micro=50:100,comprehensive=300:500; kinds are {', '.join(KINDS)}",
                code="bad_range",
            )
        ranges[kind] = (int(least), int(most))
    return ranges


def breach(
    households: int, buildings: int | None, limits: tuple[int, int] | None
) -> Literal["under", "over"] | None:
    """Whether too few or too many live in a grid; a single building over the most may stand alone.

    Args:
        households: of the grid.
        buildings: of the grid; None where nobody counted them.
        limits: least and most of its kind; None where none are set.
    """
    if limits is None:
        return None
    low, high = limits
    if households < low:
        return "under"
    return "over" if households > high and (buildings is None or buildings > 1) else None
