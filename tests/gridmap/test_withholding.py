"""Small counts: nothing shown that subtraction within the tree could turn into one of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap.access import Scope
from gridmap.withholding import Audience, Tree, guarded, held, withheld

EVERYWHERE, NOWHERE = Scope(None), Scope(())
COMMANDER = Audience(EVERYWHERE, NOWHERE, EVERYWHERE, NOWHERE, 3)
WORKER = Audience(EVERYWHERE, NOWHERE, NOWHERE, NOWHERE, 3)
ADMIN = Audience(EVERYWHERE, EVERYWHERE, EVERYWHERE, NOWHERE, 3)


def tree_of(villages):
    """A town of villages of comprehensive grids of so many micro-grids: [[4, 3], [5]]."""
    kind, path, parent = ["town"], ["t"], [-1]

    def add(what, above):
        kind.append(what)
        path.append(f"{path[above]}.{len(kind)}")
        parent.append(above)
        return len(kind) - 1

    for village in villages:
        v = add("village", 0)
        for micros in village:
            c = add("comprehensive", v)
            for _ in range(micros):
                add("micro", c)
    return Tree(np.array(kind, dtype=object), np.array(path, dtype=object), np.array(parent, dtype=np.intp))


def counted(tree, leaves):
    counts = np.zeros(len(tree), dtype=np.int64)
    counts[tree.kind == "micro"] = leaves
    return tree.roll_up(counts)


shapes = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=4)


@st.composite
def cities(draw):
    villages = draw(shapes)
    number = sum(map(sum, villages))
    tree = tree_of(villages)
    return tree, counted(tree, draw(st.lists(st.integers(0, 7), min_size=number, max_size=number)))


@given(cities(), st.sampled_from([COMMANDER, WORKER]))
@settings(max_examples=150, deadline=None)
def test_no_small_count_is_shown_and_no_shown_family_leaves_one_unknown(city, who):
    tree, counts = city
    hidden = withheld(tree, counts, who)
    exact = who.sees_exact(tree)
    assert not np.any(~hidden & ~exact & (counts < 3))
    assert not np.any(hidden & exact)
    for above in range(len(tree)):
        family = np.flatnonzero(tree.parent == above)
        free = family[~exact[family]]
        if not hidden[above] and len(free) > 1:
            assert hidden[free].sum() != 1


@given(cities())
@settings(max_examples=60, deadline=None)
def test_what_is_small_is_not_known_from_its_parent_by_counting_all_possibilities(city):
    tree, counts = city
    hidden = withheld(tree, counts, COMMANDER)
    for village in np.flatnonzero(tree.kind == "village"):
        family = np.flatnonzero(tree.parent == village)
        unknown = family[hidden[family]]
        if not len(unknown) or hidden[family].all() or len(unknown) > 4:
            continue
        left = counts[village] - counts[family[~hidden[family]]].sum()
        # Every way to share what is left among the unknown: no child of it may have one value in all of them.
        ways = [
            way for way in itertools.product(range(int(left) + 1), repeat=len(unknown)) if sum(way) == left
        ]
        for place, row in enumerate(unknown):
            if counts[row] < 3:
                assert len({way[place] for way in ways}) > 1


def test_one_small_grid_takes_its_smallest_neighbour_with_it():
    tree = tree_of([[4]])
    counts = counted(tree, [1, 9, 5, 7])
    assert counts[withheld(tree, counts, COMMANDER) & (tree.kind == "micro")].tolist() == [1, 5]


def test_two_empty_grids_take_a_third_or_the_sum_would_say_that_they_are_empty():
    tree = tree_of([[4, 2]])
    counts = counted(tree, [0, 0, 5, 7, 9, 9])
    hidden = withheld(tree, counts, COMMANDER)
    assert counts[hidden & (tree.kind == "micro")].tolist() == [0, 0, 5]


def test_two_full_small_grids_take_a_third_as_well():
    tree = tree_of([[4]])
    counts = counted(tree, [2, 2, 5, 7])
    assert counts[withheld(tree, counts, COMMANDER) & (tree.kind == "micro")].tolist() == [2, 2, 5]


def test_a_grid_withheld_for_its_neighbour_cannot_be_added_up_from_below():
    tree = tree_of([[1, 3, 2]])
    counts = counted(tree, [1, 4, 5, 6, 20, 20])
    hidden = withheld(tree, counts, COMMANDER)
    assert counts[hidden & (tree.kind == "comprehensive")].tolist() == [1, 15]
    assert counts[hidden & (tree.kind == "micro")].tolist() == [1, 4]


def test_who_may_see_exact_counts_sees_them():
    tree = tree_of([[2, 2]])
    counts = counted(tree, [0, 1, 2, 0])
    assert not withheld(tree, counts, ADMIN).any()
    assert not withheld(tree, counts, COMMANDER)[tree.kind == "village"].any()
    assert withheld(tree, counts, COMMANDER)[tree.kind == "micro"].all()
    assert withheld(tree, counts, WORKER)[tree.kind == "comprehensive"].all()


@pytest.mark.parametrize("below", [0, 1])
def test_nothing_is_withheld_where_the_setting_says_so(below):
    tree = tree_of([[3]])
    counts = counted(tree, [0, 1, 2])
    assert not withheld(tree, counts, Audience(EVERYWHERE, NOWHERE, NOWHERE, NOWHERE, below)).any()


def test_exact_in_one_village_is_exact_there_alone():
    tree = tree_of([[2], [2]])
    counts = counted(tree, [1, 1, 1, 1])
    half = Audience(EVERYWHERE, Scope((str(tree.path[1]),)), EVERYWHERE, NOWHERE, 3)
    hidden = withheld(tree, counts, half)
    micros = np.flatnonzero(tree.kind == "micro")
    assert hidden[micros].tolist() == [False, False, True, True]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_parts_of_a_known_total_hide_each_other(numbers):
    counts = np.array(numbers, dtype=np.int64)
    hidden = guarded(counts, 3)
    assert np.all(hidden[counts < 3])
    if hidden.any() and not hidden.all():
        assert hidden.sum() > 1


@given(st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=4).map(".".join))
def test_held_says_what_scope_holds_says(path):
    for scope in (Scope(None), Scope(()), Scope(("a",)), Scope(("a.b", "b"))):
        assert held(scope, np.array([path], dtype=object)).tolist() == [scope.holds(path)]
