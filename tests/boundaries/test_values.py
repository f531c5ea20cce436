"""What values mean, and which have no meaning."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundaries.fields import Mapped
from boundaries.findings import Findings
from boundaries.read import Chunk
from boundaries.values import Refused, Rows, read_code, read_moment, read_whole

SHANGHAI = ZoneInfo("Asia/Shanghai")


def rows_of(**columns):
    length = len(next(iter(columns.values())))
    chunk = Chunk(np.arange(1, length + 1), {name: list(values) for name, values in columns.items()})
    return Rows(chunk, Mapped({name: name for name in columns}), Findings("f.csv"))


@pytest.mark.parametrize(
    ("value", "code"), [("a_1", "a_1"), (310101, "310101"), (310101.0, "310101"), (" x ", "x")]
)
def test_codes(value, code):
    assert read_code(value) == code


@pytest.mark.parametrize("value", ["a b", "村1", "a-1", "a.b", "", "a" * 256, 1.5])
def test_bad_codes(value):
    with pytest.raises(Refused) as caught:
        read_code(value)
    assert caught.value.code == "bad_code"


def test_a_code_of_17_digits_that_a_spreadsheet_rounded_is_refused():
    with pytest.raises(Refused) as caught:
        read_code(99012600100200101.0)
    assert caught.value.code == "digits_lost"


@pytest.mark.parametrize("value", ["-1", -1, "1.5", 1.5, "nan", "inf", "many", 1e10, "1e400"])
def test_households_that_are_no_count(value):
    rows = rows_of(households=[3, value])
    assert rows.whole("households")[0] == 3
    assert rows.good.tolist() == [True, False]
    assert rows.findings.kept[0].code == "not_whole"
    assert rows.findings.kept[0].row == 2


@given(
    st.lists(st.one_of(st.integers(-3, 2**31 - 1), st.floats(), st.text(max_size=4), st.none()), min_size=1)
)
def test_the_quick_way_and_the_careful_way_agree(values):
    rows = rows_of(households=values)
    numbers = rows.whole("households", default=0)
    for value, number, good in zip(values, numbers.tolist(), rows.good.tolist(), strict=True):
        expected: int | None
        try:
            expected = 0 if value is None or value == "" else read_whole(value, 0)
        except Refused:
            expected = None
        assert good == (expected is not None)
        if good:
            assert number == expected


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-05-01T08:30:00+08:00", "2024-05-01T00:30:00+00:00"),
        ("2024-05-01T08:30:00Z", "2024-05-01T08:30:00+00:00"),
        ("2024-05-01 08:30:00+0800", "2024-05-01T00:30:00+00:00"),
        ("2024-05-01", "2024-04-30T16:00:00+00:00"),
        ("2024/5/1 8:30:00+08:00", "2024-05-01T00:30:00+00:00"),
        ("2024年5月1日 08:30Z", "2024-05-01T08:30:00+00:00"),
        ("20240501T083000Z", "2024-05-01T08:30:00+00:00"),
        ("2024/5/1", "2024-04-30T16:00:00+00:00"),
        ("2024年5月1日", "2024-04-30T16:00:00+00:00"),
        ("1854-09-01", "1854-08-31T15:54:17+00:00"),
        (dt.date(2024, 5, 1), "2024-04-30T16:00:00+00:00"),
        (dt.datetime(2024, 5, 1, tzinfo=dt.UTC), "2024-05-01T00:00:00+00:00"),
    ],
)
def test_moments(value, moment):
    assert read_moment(value, None, SHANGHAI) == dt.datetime.fromisoformat(moment)


def test_a_local_time_needs_a_zone():
    for value in ("2024-05-01 08:30", dt.datetime(2024, 5, 1, 8, 30)):  # noqa: DTZ001  # the fault under test
        with pytest.raises(Refused) as caught:
            read_moment(value, None, SHANGHAI)
        assert caught.value.code == "missing_time_zone"
        given_zone = read_moment(value, SHANGHAI, SHANGHAI)
        assert given_zone.utcoffset() == dt.timedelta(hours=8)


@pytest.mark.parametrize("value", ["yesterday", "2024-13-01", "2024-02-30", "", "0001-01-01T00:00:00+14:00"])
def test_no_times(value):
    with pytest.raises(Refused) as caught:
        read_moment(value, None, SHANGHAI)
    assert caught.value.code == "bad_time"


def test_words_stand_for_tokens_and_strangers_are_refused():
    rows = rows_of(kind=["微网格", "MICRO", "galaxy", None])
    found = rows.choice("kind", ("micro",), {"微网格": "micro"}, code="unknown_kind")
    assert found[:2] == ["micro", "micro"]
    assert rows.good.tolist() == [True, True, False, False]
    assert [(each.row, each.code) for each in rows.findings.kept] == [(3, "unknown_kind"), (4, "missing")]


def test_what_may_speak_of_people_is_not_shown_in_findings():
    rows = rows_of(description=["王某" * 20000])
    rows.texts("description", longest=20000)
    assert rows.findings.kept[0].code == "too_long"
    assert rows.findings.kept[0].value is None
