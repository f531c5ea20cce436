"""Gi* against its definition, and what neighbours are."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import hotspots

GRID = np.array([shapely.box(x, y, x + 1, y + 1) for y in range(5) for x in range(5)], dtype=object)


def pairs_of(found):
    return set(zip(found[0].tolist(), found[1].tolist(), strict=True))


def test_neighbours_share_a_border_and_not_only_a_corner():
    pairs = pairs_of(hotspots.neighbours(GRID))
    assert (0, 1) in pairs
    assert (1, 0) in pairs
    assert (0, 5) in pairs
    assert (0, 6) not in pairs
    assert (0, 0) not in pairs
    assert len(pairs) == 2 * 2 * 5 * 4


def test_neighbours_of_a_kind_are_kept_for_its_boundaries(city):
    first = hotspots.neighbours_of(city.snapshot, "micro")
    assert hotspots.neighbours_of(city.snapshot, "micro") is first
    kinds = {city.snapshot.kind[row] for row in np.concatenate(first)}
    assert kinds == {"micro"}


def by_definition(values, pairs):
    """Ord & Getis 1995, equation for Gi* with binary weights, one unit at a time."""
    part = [i for i, value in enumerate(values) if not math.isnan(value)]
    n = len(part)
    mean = sum(values[i] for i in part) / n
    spread = math.sqrt(sum(values[i] ** 2 for i in part) / n - mean**2)
    z = []
    for i in range(len(values)):
        if i not in part:
            z.append(math.nan)
            continue
        near = [j for j in part if j == i or (i, j) in pairs]
        w = len(near)
        scale = spread * math.sqrt((n * w - w**2) / (n - 1))
        z.append((sum(values[j] for j in near) - mean * w) / scale if scale else math.nan)
    return z


@given(st.lists(st.one_of(st.integers(0, 30), st.just(math.nan)), min_size=25, max_size=25))
@settings(deadline=None, max_examples=50)
def test_gi_star_is_the_published_formula(values):
    given_values = np.array(values, dtype=np.float64)
    if np.isfinite(given_values).sum() < 2 or np.nanstd(given_values) < 1e-6:
        return
    found = hotspots.neighbours(GRID)
    expected = by_definition(values, pairs_of(found))
    assert hotspots.gi_star(given_values, found).tolist() == pytest.approx(expected, nan_ok=True, abs=1e-6)


def test_equal_values_are_nowhere_hot():
    assert np.isnan(hotspots.gi_star(np.full(25, 3.0), hotspots.neighbours(GRID))).all()
    assert np.isnan(hotspots.gi_star(np.array([1.0]), (np.array([], int), np.array([], int)))).all()


def test_a_block_of_high_values_is_hot_in_its_middle():
    values = np.ones(25)
    values[[6, 7, 8, 11, 12, 13, 16, 17, 18]] = 9
    z = hotspots.gi_star(values, hotspots.neighbours(GRID))
    assert z.argmax() == 12
    assert hotspots.two_sided(z)[12] < 0.05
    assert hotspots.two_sided(np.array([0.0, 1.959964, np.nan])).tolist() == pytest.approx(
        [1.0, 0.05, math.nan], nan_ok=True, abs=1e-6
    )
