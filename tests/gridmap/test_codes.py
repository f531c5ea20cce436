"""Codes: read, check, give; never twice."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmap.codes import DEFAULT, Code, Level, Scheme
from gridmap.errors import InvalidInput

DIVISIONS = Path(__file__).parents[3] / "shared" / "data" / "divisions_cn.csv.gz"
VILLAGE = "990126001002"


@pytest.mark.parametrize(
    ("code", "kind", "parent"),
    [
        ("99", "province", None),
        ("9901", "city", "99"),
        ("990126", "county", "9901"),
        ("990126001", "town", "990126"),
        (VILLAGE, "village", "990126001"),
        (f"{VILLAGE}003", "comprehensive", VILLAGE),
        (f"{VILLAGE}903", "dedicated", VILLAGE),
        (f"{VILLAGE}00304", "micro", f"{VILLAGE}003"),
    ],
)
def test_every_level_is_read(code, kind, parent):
    assert DEFAULT.parse(code) == Code(code, kind, int(code[len(parent or "") :]), parent)
    assert DEFAULT.kind(code) == kind
    assert DEFAULT.parent(code) == parent
    assert DEFAULT.check(code, kind, parent) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "empty"),
        ("99012", "5 digits"),
        ("99 126", "only letters"),
        ("9901é6", "only letters"),
        ("９９０１２６", "only letters"),
        ("990126AB1", "digits only"),
        ("990126000", "number 0"),
        (f"{VILLAGE}900", "number 900"),
        (f"{VILLAGE}00300", "number 0"),
        (f"{VILLAGE}90304", "hangs from a comprehensive"),
        ("000126001", "its parent"),
    ],
)
def test_a_bad_code_says_why(code, reason):
    assert reason in str(DEFAULT.check(code))
    assert DEFAULT.kind(code) is None
    with pytest.raises(InvalidInput, match="code") as caught:
        DEFAULT.parse(code)
    assert caught.value.code == "bad_code"


def test_kind_and_parent_are_checked():
    assert "of a town, not of a village" in str(DEFAULT.check("990126001", "village"))
    assert "hangs from 990126" in str(DEFAULT.check("990126001", "town", "990127"))
    assert DEFAULT.check("990126P01", "precinct") is None
    assert DEFAULT.check("990126-P01", "precinct") is not None


def test_chain_runs_from_the_top():
    assert DEFAULT.chain(f"{VILLAGE}00304") == (
        "99", "9901", "990126", "990126001", VILLAGE, f"{VILLAGE}003", f"{VILLAGE}00304",
    )  # fmt: skip


def test_numbers_run_west_to_east_then_north_to_south():
    places = [(1.0, 0.0), (0.0, 0.0), (1.0 + 1e-13, 1.0), (0.0, 1.0)]
    assert DEFAULT.generate("comprehensive", VILLAGE, places) == [
        f"{VILLAGE}004", f"{VILLAGE}002", f"{VILLAGE}003", f"{VILLAGE}001",
    ]  # fmt: skip
    by_rows = Scheme(order="rows")
    assert by_rows.generate("comprehensive", VILLAGE, places) == [
        f"{VILLAGE}004", f"{VILLAGE}003", f"{VILLAGE}002", f"{VILLAGE}001",
    ]  # fmt: skip


def test_dedicated_grids_have_numbers_of_their_own():
    assert DEFAULT.generate("dedicated", VILLAGE, [(0, 0)], {f"{VILLAGE}001"}) == [f"{VILLAGE}901"]


def test_numbers_left_out_come_last_and_then_nothing():
    used = {f"{VILLAGE}001{number:02d}" for number in range(1, 100) if number not in (7, 9)}
    assert DEFAULT.generate("micro", f"{VILLAGE}001", [(1, 0), (0, 0)], used) == [
        f"{VILLAGE}00109", f"{VILLAGE}00107",
    ]  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        DEFAULT.generate("micro", f"{VILLAGE}001", [(1, 0), (0, 0), (2, 0)], used)
    assert caught.value.code == "codes_used_up"


@given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=60),
    st.sets(st.integers(1, 899), max_size=800),
    st.randoms(use_true_random=False),
)
def test_new_codes_are_new_and_do_not_depend_on_the_order_of_asking(places, numbers, random):
    used = {f"{VILLAGE}{number:03d}" for number in numbers}
    codes = DEFAULT.generate("comprehensive", VILLAGE, places, used)
    assert len(set(codes)) == len(codes) == len(places)
    assert not used.intersection(codes)
    assert all(DEFAULT.check(code, "comprehensive", VILLAGE) is None for code in codes)
    if len({round(lon, 6) for lon, _ in places}) == len(places):
        shuffled = list(zip(places, codes, strict=True))
        random.shuffle(shuffled)
        again = DEFAULT.generate("comprehensive", VILLAGE, [place for place, _ in shuffled], used)
        assert again == [code for _, code in shuffled]


def test_bad_questions_to_generate():
    for kind, parent, places, code in [
        ("precinct", "990126", [(0, 0)], "bad_kind"),
        ("micro", VILLAGE, [(0, 0)], "bad_code"),
        ("comprehensive", VILLAGE, [(0, np.nan)], "bad_shape"),
        ("comprehensive", VILLAGE, [0, 1, 2], "bad_shape"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            DEFAULT.generate(kind, parent, places)
        assert caught.value.code == code
    assert DEFAULT.generate("comprehensive", VILLAGE, []) == []


def test_another_county_has_another_scheme():
    scheme = Scheme.from_text(
        "county:6,town:3,comprehensive:4,micro:3:0-499,dedicated:3@comprehensive:500-999"
    )
    assert scheme.generate("micro", "9901260010001", [(0, 0)]) == ["9901260010001000"]
    assert scheme.kind("9901260010001500") == "dedicated"
    default = "province:2,city:2,county:2,town:3,village:3,comprehensive:3:1-899,dedicated:3@village:901-999,"
    assert [level.numbers for level in Scheme.from_text(default + "micro:2@comprehensive").levels] == [
        level.numbers for level in DEFAULT.levels
    ]


@pytest.mark.parametrize(
    "text",
    [
        "micro",
        "town:3,town:3",
        "town:3@county",
        "town:2:1-100",
        "town:2:9-3",
        "town:0",
        "village:3,micro:2,dedicated:2@village",
        "village:3,micro:1,dedicated:1@micro,court:2@village:50-60",
    ],
)
def test_a_scheme_that_contradicts_itself_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        Scheme.from_text(text)
    assert caught.value.code == "bad_scheme"


def test_order_of_numbering_is_one_of_two():
    with pytest.raises(InvalidInput):
        Scheme((Level("town", 3),), order="south")  # type: ignore[arg-type]


def test_the_real_divisions_are_well_formed():
    if not DIVISIONS.exists():
        pytest.skip("../shared/data/divisions_cn.csv.gz is missing")
    with gzip.open(DIVISIONS, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 5000
    bad = [row for row in rows if DEFAULT.check(row["code"], row["level"], row["parent"] or None)]
    assert bad == []
