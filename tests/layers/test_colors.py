"""The palette: the same as the pages', told apart by everybody, legible."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from gridmap.errors import InvalidInput
from layers import colors

STYLE_SHEET = Path(__file__).parents[2] / "api" / "pages" / "static" / "css" / "tokens.css"
RAMPS = {"seq": colors.SEQUENTIAL, "div": colors.DIVERGING, "significance": colors.SIGNIFICANCE}

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "full": np.eye(3),
    "red-blind": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "green-blind": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "blue-blind": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(colour, vision):
    xyz = TO_XYZ @ np.clip(vision @ linear(colour), 0, 1) / (0.95047, 1.0, 1.08883)
    edge = 6 / 29
    f = np.where(xyz > edge**3, np.cbrt(xyz), xyz / (3 * edge**2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one, other):
    """CIEDE2000."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25**7))
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * g)) % 360, np.degrees(np.arctan2(b2, a2 * g)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    hue = (h1 + turn / 2) % 360
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    )  # fmt: skip
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    rotation = (
        -2
        * np.sqrt(chroma**7 / (chroma**7 + 25**7))
        * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def contrast(one, other):
    bright, dim = sorted((float(TO_XYZ[1] @ linear(each)) for each in (one, other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_the_difference_is_that_of_the_published_pairs():
    # Sharma, Wu, Dalal 2005, test data, pairs 1 and 25.
    assert difference((50, 2.6772, -79.7751), (50, 0, -82.7485)) == pytest.approx(2.0425, abs=1e-4)
    assert difference((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387)) == pytest.approx(
        1.2644, abs=1e-4
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("ramp", RAMPS)
def test_any_two_classes_differ_for_everybody(dark, vision, ramp):
    palette = colors.palette(dark=dark)
    seen = {token: lab(palette[token], VISION[vision]) for token in RAMPS[ramp]}
    for one, other in itertools.combinations(seen, 2):
        assert difference(seen[one], seen[other]) >= 8, (one, other)


@pytest.mark.parametrize("dark", [False, True])
def test_the_sequential_ramp_goes_in_one_direction_of_lightness(dark):
    palette = colors.palette(dark=dark)
    lightness = [lab(palette[token], VISION["full"])[0] for token in colors.SEQUENTIAL]
    assert lightness == sorted(lightness, reverse=not dark)


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_legible_on_every_ground(dark):
    palette = colors.palette(dark=dark)
    for ink, ground in itertools.product(
        ("ink", "ink-2", "ink-3"), ("paper", "surface", "surface-2", "surface-3")
    ):
        assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    assert contrast(palette["tip-ink"], palette["tip"]) >= 4.5
    assert contrast(palette["tip-ink-2"], palette["tip"]) >= 4.5
    for category in colors.CATEGORIES:
        assert contrast(palette[category], palette["surface"]) >= 4.5, category


def test_the_pages_have_the_same_palette():
    light, dark = re.split(r'data-theme="dark"', STYLE_SHEET.read_text(encoding="utf-8"), maxsplit=1)
    for text, palette in ((light, colors.LIGHT), (dark, colors.DARK)):
        said = dict(re.findall(r"--([\w-]+):\s*(#[0-9A-Fa-f]{6})", text))
        assert {token: said.get(token, "").upper() for token in palette} == dict(palette)


@pytest.mark.parametrize("number", range(6))
def test_few_classes_take_the_whole_ramp(number):
    scheme = colors.scheme("count", number)
    assert len(scheme.tokens) == len(set(scheme.tokens)) == number + 1
    assert scheme.zero == "seq0"
    if number:
        assert (scheme.tokens[0], scheme.tokens[-1]) == ("seq1", "seq6")


def test_change_and_significance_take_all_their_steps():
    assert colors.scheme("change", 6).tokens == colors.DIVERGING
    assert colors.scheme("hotspot", 6).tokens == colors.SIGNIFICANCE


def test_more_classes_than_colours_are_refused():
    with pytest.raises(InvalidInput):
        colors.scheme("count", 6)
