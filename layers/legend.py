"""The legend of a heat answer: its classes in words, their colours, and which feature belongs to which."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from layers import classes, colors
from layers.answer import Heat

WITHHELD, NOBODY, ZERO = -1, -2, -3
_WORDS = {
    "zh": {
        "count": "件数",
        "per_100_households": "每百户事件",
        "change": "同比",
        "hotspot": "高发与低发聚集",
        "hex": "蜂窝件数",
        "zero": "无事件",
        "nobody": "无住户",
        "withheld": "少于 {k} 件，不显示数值",
        "few": "件数太少，不比",
        "level": "±{0}% 以内",
        "rise": "升 {0}–{1}%",
        "rise_more": "升 {0}% 以上",
        "fall": "降 {0}–{1}%",
        "fall_more": "降 {0}% 以上",
        "hot": "高发 · {0}%",
        "cold": "低发 · {0}%",
        "even": "不显著",
        "unknown": "户数不详",
    },
    "en": {
        "count": "Events",
        "per_100_households": "Events per 100 households",
        "change": "Change",
        "hotspot": "High and low clusters",
        "hex": "Events by hexagon",
        "zero": "No event",
        "nobody": "Nobody lives here",
        "withheld": "Fewer than {k}, not shown",
        "few": "Too few to compare",
        "level": "within ±{0} %",
        "rise": "up {0}–{1} %",
        "rise_more": "up {0} % or more",
        "fall": "down {0}–{1} %",
        "fall_more": "down {0} % or more",
        "hot": "high · {0} %",
        "cold": "low · {0} %",
        "even": "not significant",
        "unknown": "Households unknown",
    },
}


@dataclass(frozen=True)
class Entry:
    """A class: `key` is what `Legend.of` gives its features; `token` a colour, or None for the hatch."""

    key: int
    token: str | None
    label: str
    number: int


@dataclass(frozen=True)
class Legend:
    """Classes from the highest down, then zero, nobody, withheld; `of` has a key a feature."""

    title: str
    entries: tuple[Entry, ...]
    of: NDArray[np.int64]


def legend(answer: Heat, language: str = "zh") -> Legend:
    """The legend of an answer in `zh` or `en`; classes without a feature are left out where they only tell of gaps."""
    words = _WORDS[language]
    scheme = colors.scheme(answer.measure, len(answer.breaks) - _below(answer))
    keys = classes.of(answer.value, answer.breaks).astype(np.int64)
    missing = np.isnan(answer.value)
    keys[missing] = NOBODY
    keys[missing & answer.withheld] = WITHHELD
    if answer.measure == "change":
        keys[missing] = WITHHELD
    if scheme.zero is not None:
        keys[answer.value == 0] = ZERO
    numbers = dict(zip(*(each.tolist() for each in np.unique(keys, return_counts=True)), strict=True))
    labels = _labels(answer, words)
    entries = [
        Entry(key, scheme.tokens[key - _below(answer)], labels[key], numbers.get(key, 0))
        for key in range(len(labels) - 1, _below(answer) - 1, -1)
    ]
    hidden = words["few"] if answer.measure == "change" else words["withheld"].format(k=answer.withhold_below)
    for key, token, label in (
        (ZERO, scheme.zero, words["zero"]),
        (NOBODY, "none", words["nobody"]),
        (WITHHELD, None, hidden),
    ):
        if key in numbers:
            entries.append(Entry(key, token, label, numbers[key]))
    title = words["hex" if answer.by == "hex" else answer.measure]
    return Legend(title, tuple(entries), keys)


def _below(answer: Heat) -> int:
    """1 where the lowest class lies below what is shown at all, and holds nothing; else 0."""
    if answer.withhold_below is None or answer.measure in {"change", "hotspot"} or not answer.breaks:
        return 0
    return int(answer.breaks[0] <= answer.withhold_below and answer.measure == "count")


def brief(value: float) -> str:
    """A number as a person writes it: 12, 4.8, 0.25."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _labels(answer: Heat, words: dict[str, str]) -> list[str]:
    edges = answer.breaks
    if answer.measure == "change":
        size = [brief(abs(edge)) for edge in edges]
        return [
            words["fall_more"].format(size[0]),
            words["fall"].format(size[1], size[0]),
            words["fall"].format(size[2], size[1]),
            words["level"].format(size[3]),
            words["rise"].format(size[3], size[4]),
            words["rise"].format(size[4], size[5]),
            words["rise_more"].format(size[5]),
        ]
    if answer.measure == "hotspot":
        cold = [words["cold"].format(level) for level in (99, 95, 90)]
        return [*cold, words["even"], *(words["hot"].format(level) for level in (90, 95, 99))]
    if not edges:
        shown = answer.value[np.isfinite(answer.value) & (answer.value > 0)]
        return [brief(float(shown[0])) if len(shown) else "–"]
    if answer.measure != "count":
        between = [f"{brief(low)} – {brief(high)}" for low, high in pairwise(edges)]
        return [f"< {brief(edges[0])}", *between, f"≥ {brief(edges[-1])}"]
    between = [
        brief(low) if high - low <= 1 else f"{brief(low)} – {brief(high - 1)}"
        for low, high in pairwise(edges)
    ]
    return [_up_to(edges[0]), *between, f"≥ {brief(edges[-1])}"]


def _up_to(edge: float) -> str:
    return "1" if edge <= 2 else f"1 – {brief(edge - 1)}"
