"""Legends say what is on the map."""

import datetime as dt

import numpy as np
import pytest

from gridmap import snapshot as snapshots
from gridmap.periods import Period
from layers.answer import Heat, Outlines
from layers.legend import NOBODY, WITHHELD, ZERO, brief, legend

PERIOD = Period(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 2, 1, tzinfo=dt.UTC))


def answer(values, breaks, *, measure="count", withheld=(), below=None):
    value = np.array(values, dtype=np.float64)
    hidden = np.zeros(len(value), dtype=bool)
    hidden[list(withheld)] = True
    return Heat(
        by="grid",
        kind="micro",
        measure=measure,
        boundaries="today",
        edition=1,
        period=PERIOD,
        code=np.array([str(i) for i in range(len(value))], dtype=object),
        name=None,
        households=None,
        count=np.nan_to_num(value).astype(np.int64),
        value=value,
        withheld=hidden,
        breaks=breaks,
        withhold_below=below,
        outlines=Outlines(snapshots.empty(), np.full(len(value), -1)),
    )


def rows(told):
    return [(one.label, one.token, one.number) for one in told.entries]


def test_counts_are_ranges_of_whole_numbers():
    told = legend(answer([0, 1, 2, 3, 4, 9], [2, 3, 5]))
    assert rows(told) == [
        ("≥ 5", "seq6", 1),
        ("3 – 4", "seq4", 2),
        ("2", "seq3", 1),
        ("1", "seq1", 1),
        ("无事件", "seq0", 1),
    ]
    assert told.of.tolist() == [ZERO, 0, 1, 2, 2, 3]


def test_what_is_withheld_is_hatched_and_the_lowest_class_begins_above():
    told = legend(answer([np.nan, 3, 5, 8], [3, 5, 8], withheld=[0], below=3), "en")
    assert rows(told) == [
        ("≥ 8", "seq6", 1),
        ("5 – 7", "seq4", 1),
        ("3 – 4", "seq1", 1),
        ("Fewer than 3, not shown", None, 1),
    ]
    assert told.of[0] == WITHHELD


def test_rates_are_ranges_and_nobody_is_not_nothing():
    told = legend(answer([np.nan, 0, 1.5, 4.8], [2.5], measure="per_100_households"))
    assert rows(told) == [
        ("≥ 2.5", "seq6", 1),
        ("< 2.5", "seq1", 1),
        ("无事件", "seq0", 1),
        ("无住户", "none", 1),
    ]
    assert told.of[0] == NOBODY


def test_change_and_significance_have_seven_steps():
    change = [-60.0, -30.0, -10.0, 10.0, 30.0, 60.0]
    told = legend(answer([-70, 0, 70, np.nan], change, measure="change"))
    assert [row[0] for row in rows(told)] == [
        "升 60% 以上", "升 30–60%", "升 10–30%", "±10% 以内", "降 10–30%", "降 30–60%", "降 60% 以上", "件数太少，不比",
    ]  # fmt: skip
    hot = legend(
        answer(
            [-3, 0, 2.0, 3], [-2.58, -1.96, -1.64, 1.64, 1.96, 2.58], measure="hotspot", withheld=[1], below=3
        )
    )
    assert [(row[0], row[2]) for row in rows(hot)][:4] == [
        ("高发 · 99%", 1),
        ("高发 · 95%", 1),
        ("高发 · 90%", 0),
        ("不显著", 1),
    ]


@pytest.mark.parametrize(("values", "label"), [([4, 4], "4"), ([0, 0], "–")])
def test_one_value_is_one_class(values, label):
    assert rows(legend(answer(values, [])))[0][0] == label


@pytest.mark.parametrize(
    ("value", "text"), [(12.0, "12"), (4.832, "4.83"), (0.25, "0.25"), (12345.0, "12,345")]
)
def test_numbers_are_brief(value, text):
    assert brief(value) == text
