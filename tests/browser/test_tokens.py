"""The palette: readable text on every ground, classes that stay apart for colour-blind eyes."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import api.pages

SHEET = Path(api.pages.__file__).parent / "static" / "css" / "tokens.css"
THEMES = ("light", "dark")
RAMPS = {
    "seq": [f"seq{i}" for i in range(7)],
    "div": [f"div{i}" for i in range(1, 8)],
    "hot": ["cold3", "cold2", "cold1", "none", "hot1", "hot2", "hot3"],
}
# Complete dichromacy in linear RGB (Machado, Oliveira and Fernandes 2009).
EYES = {
    "usual": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def palette(theme: str) -> dict[str, str]:
    text = SHEET.read_text()
    light, dark = (
        re.search(r":root \{(.*?)\n\}", text, re.DOTALL),
        re.search(r'"dark"\] \{(.*?)\n\}', text, re.DOTALL),
    )
    assert light is not None
    assert dark is not None
    block = (light if theme == "light" else dark).group(1)
    return dict(re.findall(r"--([\w-]+): (#[0-9A-Fa-f]{6})", block))


def linear(colour: str) -> np.ndarray:
    given = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    high, low = sorted((float(TO_XYZ[1] @ linear(each)) for each in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable_on_every_ground(theme):
    colours = palette(theme)
    grounds = ["surface", "surface-2", "surface-3", "paper"]
    pairs = [(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in grounds]
    pairs += [
        ("on-brand", "brand"),
        ("brand-2", "brand-weak"),
        ("danger", "danger-weak"),
        ("warn", "warn-weak"),
    ]
    pairs += [("ok", "ok-weak"), ("violet", "violet-weak"), ("tip-ink", "tip"), ("tip-ink-2", "tip")]
    pairs += [("brand", "surface"), ("ok", "surface"), ("danger", "surface")]
    low = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in low.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("category", ["dispute", "police_case", "appeal", "hazard", "service", "other"])
def test_icons_and_field_borders_carry_meaning(theme, category):
    colours = palette(theme)
    assert contrast(colours[category], colours[f"{category}-weak"]) >= 3
    assert contrast(colours["ink-3"], colours["surface"]) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("ramp", RAMPS)
def test_any_two_classes_of_a_ramp_differ_for_every_eye(theme, eye, ramp):
    colours = palette(theme)
    seen = {name: lab(np.array(EYES[eye]) @ linear(colours[name])) for name in RAMPS[ramp]}
    near = {
        (a, b): round(float(np.linalg.norm(seen[a] - seen[b])), 1)
        for a, b in combinations(RAMPS[ramp], 2)
        if np.linalg.norm(seen[a] - seen[b]) < 8
    }
    assert near == {}


@pytest.mark.parametrize("theme", THEMES)
def test_more_is_one_direction_of_lightness(theme):
    lightness = [lab(linear(palette(theme)[name]))[0] for name in RAMPS["seq"]]
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()
