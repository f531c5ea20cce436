"""Class breaks: honest for small numbers, and those of mapclassify where the method is one of its."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap.errors import InvalidInput
from layers import classes

wholes = st.lists(st.integers(0, 60), min_size=1, max_size=80)
rates = st.lists(st.floats(0, 1e4, allow_nan=False), min_size=1, max_size=80)


@given(st.one_of(wholes, rates), st.sampled_from(sorted(classes.METHODS)), st.integers(2, 7))
@settings(deadline=None)
def test_every_class_holds_something_and_breaks_ascend(values, method, most):
    found = classes.breaks(values, method, most)
    positive = np.array([value for value in values if value > 0])
    assert found == sorted(set(found))
    assert len(found) < most
    if len(positive):
        sizes = np.bincount(classes.of(positive, found), minlength=len(found) + 1)
        assert np.all(sizes > 0)


@given(wholes)
def test_whole_numbers_have_whole_breaks(values):
    assert all(edge == int(edge) for edge in classes.breaks(values))


def test_few_distinct_counts_are_a_class_each():
    assert classes.breaks([0, 1, 1, 2, 3, 3, 4]) == [2, 3, 4]


@pytest.mark.parametrize("values", [[], [0, 0], [5, 5, 5], [np.nan, 3]])
def test_nothing_to_tell_apart_has_no_breaks(values):
    assert classes.breaks(values) == []


def test_round_breaks_are_round_and_near_the_natural_ones():
    rng = np.random.default_rng(4)
    values = rng.lognormal(1.7, 0.6, 700)
    found = classes.breaks(values)
    assert 4 <= len(found) <= 5
    assert all(f"{edge:.2g}" == f"{edge:g}" for edge in found)
    sizes = np.bincount(classes.of(values, found))
    assert sizes[-1] < sizes.max() / 3  # the darkest class is for few
    assert sizes.min() > 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("natural", "FisherJenks"),
        ("quantiles", "Quantiles"),
        ("equal", "EqualInterval"),
    ],
)
def test_the_classes_are_those_of_mapclassify(seed, whole, method, peer):
    import mapclassify  # compiles as it is imported: seconds, in each process that collects the tests

    rng = np.random.default_rng(seed)
    values = rng.poisson(9, 240) + 1.0 if whole else rng.lognormal(1, 0.8, 240)
    theirs = getattr(mapclassify, peer)(values, k=5)
    found = classes.breaks(values, method, 5)
    _, mine = np.unique(classes.of(values, found), return_inverse=True)
    _, other = np.unique(theirs.yb, return_inverse=True)  # without their empty classes
    assert mine.tolist() == other.tolist()


def test_natural_breaks_of_many_values_come_from_a_sample_in_time():
    values = np.random.default_rng(0).lognormal(1, 0.8, 20_000)
    found = classes.breaks(values, "natural")
    spread = sum(
        values[classes.of(values, found) == k].var() * np.mean(classes.of(values, found) == k)
        for k in range(6)
    )
    assert spread < 0.1 * values.var()


def test_what_is_withheld_begins_the_scale():
    assert classes.from_smallest([2, 4, 8], [3, 4, 5, np.nan], 3) == [3, 4, 8]
    assert classes.from_smallest([2.5, 4], [3.5, 4.0], 3) == [2.5, 4]


@pytest.mark.parametrize(("method", "number"), [("magic", 5), ("round", 1), ("round", 8)])
def test_an_unknown_method_says_which_there_are(method, number):
    with pytest.raises(InvalidInput, match="quantiles"):
        classes.breaks([1, 2, 3], method, number)


def test_the_service_answers_heat_without_the_large_libraries():
    large = ("mapclassify", "sklearn", "pandas", "geopandas", "folium", "scipy.stats")
    code = f"import sys, layers.heat, layers.tiles, layers.page; print([m for m in {large!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
