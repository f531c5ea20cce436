"""The palette of what is drawn on a map, in a light and a dark form.

The same tokens stand in the pages' style sheet; a test keeps the two equal. Folium pages and pictures, which
have no style sheet, take them from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gridmap.errors import InvalidInput

SEQUENTIAL = tuple(f"seq{step}" for step in range(7))
DIVERGING = tuple(f"div{step}" for step in range(1, 8))
SIGNIFICANCE = ("cold3", "cold2", "cold1", "none", "hot1", "hot2", "hot3")
CATEGORIES = ("dispute", "police_case", "appeal", "hazard", "service", "other")
_GROUNDS = (
    "paper", "surface", "surface-2", "surface-3", "line", "line-2", "ink", "ink-2", "ink-3", "brand",
    "hatch-ground", "hatch-line", "tip", "tip-ink", "tip-ink-2",
)  # fmt: skip
_TOKENS = (*_GROUNDS, *SEQUENTIAL, *DIVERGING, *SIGNIFICANCE, *CATEGORIES)

_LIGHT = """
    EAEEEC FFFFFF F6F8F8 ECF0F1 DEE4E6 BCC7CB 14222A 42525B 5F6E77 0B5C78 F7F8F7 B4BDC1 14222A FFFFFF B9C7CE
    FFFFFF FBF0DA F6D8A2 EDB065 DB7F40 B64C2E 782423
    1B5E8C 5C9AC2 B5D3E4 F3F2EE F4CFA3 D98844 9E4512
    1B4F78 5C9AC2 C5DCE9 F3F4F2 F4C9A8 DB7F40 8E2A1E
    B5431C 1F5FA8 7446A0 946200 17785A 586770
"""
_DARK = """
    0B1218 121C24 172530 1E2F3B 243644 3B5161 EAF1F4 B4C4CD 8DA1AD 5CC0DE 131E26 3B4E5C EAF1F4 0B1218 42525B
    121C24 2A2725 54392A 8A5227 C47626 F0A63C FFE3A0
    7CC4F2 4A8DB8 2B5270 24303A 6B4A2A C07A35 FFB066
    9ED5F7 4A8DB8 2B4A60 1A2630 6B4A2A C4762A FFC46B
    FF9566 7DB5F5 C79BF0 F0BE4C 5FD0A6 A4B5BF
"""


def _palette(text: str) -> Mapping[str, str]:
    colours = (f"#{colour}" for colour in text.split())
    return MappingProxyType(dict(zip(_TOKENS, colours, strict=True)))


LIGHT = _palette(_LIGHT)
DARK = _palette(_DARK)


def palette(*, dark: bool = False) -> Mapping[str, str]:
    """Colours as `#RRGGBB` by token, without the leading dashes of the style sheet."""
    return DARK if dark else LIGHT


@dataclass(frozen=True)
class Scheme:
    """How the values of a measure are coloured.

    Attributes:
        tokens: a token a class, from the lowest values to the highest; one more than there are breaks.
        zero: token of values that are exactly 0 and are told apart from the lowest class, or None.
    """

    tokens: tuple[str, ...]
    zero: str | None


def scheme(measure: str, breaks: int) -> Scheme:
    """The classes' tokens for a measure with so many breaks.

    Fewer classes than a ramp has steps are spread over the whole ramp, so that dark always means most.

    Raises:
        InvalidInput: more classes than the ramp has steps.
    """
    if measure == "change":
        return Scheme(_spread(DIVERGING, breaks + 1), None)
    if measure == "hotspot":
        return Scheme(_spread(SIGNIFICANCE, breaks + 1), None)
    return Scheme(_spread(SEQUENTIAL[1:], breaks + 1), SEQUENTIAL[0])


def _spread(ramp: tuple[str, ...], classes: int) -> tuple[str, ...]:
    if classes > len(ramp):
        raise InvalidInput(
            f"{classes} classes are more than {len(ramp)} colours can tell apart", code="too_many_classes"
        )
    if classes == 1:
        return (ramp[len(ramp) // 2],)
    return tuple(ramp[int(step * (len(ramp) - 1) / (classes - 1) + 0.5)] for step in range(classes))
