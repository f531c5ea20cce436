"""Reasons in words: every code that is produced has its text in both languages, and saying it never fails."""

import ast
import json
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gridmap
from gridmap import reasons
from gridmap.reasons import LANGUAGES, area_in_words, in_words

ROOM = Path(gridmap.__file__).parent
MARKS = {"ok", "warn", "no"}
LATER = {"accuracy"}  # texts that are there before something produces them


@cache
def produced():
    """Codes in the sources: lists and JSON texts of [mark, code, {…}]."""
    found = {}
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple) and len(node.elts) == 3:
                mark, code, parameters = node.elts
                if (
                    isinstance(mark, ast.Constant) and mark.value in MARKS
                    and isinstance(code, ast.Constant) and isinstance(code.value, str)
                    and isinstance(parameters, ast.Dict)
                ):  # fmt: skip
                    keys = {key.value for key in parameters.keys if isinstance(key, ast.Constant)}
                    found.setdefault(code.value, set()).update(keys)
    return found


def fields(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_the_search_over_the_sources_finds_what_is_known_to_be_there():
    assert {"inside", "border", "nearest", "jurisdiction", "stated"} <= set(produced())
    assert {"worker", "unit", "nobody", "no_place", "outside"} <= set(produced())


@pytest.mark.parametrize("code", sorted(produced()))
def test_every_code_has_its_text_with_the_parameters_it_is_given(code):
    assert code in reasons._TEXTS
    for text in reasons._TEXTS[code]:
        assert fields(text) <= produced()[code] | {"border_m", "neighbour"}


def test_no_text_is_left_over():
    forms = {"inside_far", "inside_edge", "station"}
    assert set(reasons._TEXTS) == set(produced()) | forms | LATER


@pytest.mark.parametrize("code", sorted(reasons._TEXTS))
def test_both_languages_say_the_same_things(code):
    zh, en = reasons._TEXTS[code]
    assert fields(zh) == fields(en)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in zh)
    assert en.isascii() or set(en) - set(map(chr, range(128))) <= {"±"}


json_value = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
names = st.sampled_from(
    ["grid", "area", "neighbour", "stated", "role", "name", "kind", "distance_m", "border_m"]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(MARKS)),
            st.sampled_from([*sorted(reasons._TEXTS), "of_a_newer_version"]),
            st.dictionaries(names, json_value, max_size=5),
        ),
        max_size=4,
    ),
    st.sampled_from(LANGUAGES),
)
def test_saying_it_never_fails(stored, language):
    """Whatever an older or newer version stored."""
    said = in_words(json.loads(json.dumps(stored)), language, lambda code: code)
    assert [(each["mark"], each["code"]) for each in said] == [(mark, code) for mark, code, _ in stored]
    assert all(isinstance(each["text"], str) and each["text"] for each in said)


def test_names_are_said_in_words(shared_desk, county):
    say = area_in_words(shared_desk.memory.snapshot)
    grid = county.micro(0, 0)
    assert say(grid) == f"village 990126001001 micro {grid}"
    assert say("990126001001") == "village 990126001001"
    assert say("990126") == "county 990126"
    assert say("gone") == "gone"
    far = ["ok", "inside", {"grid": grid, "border_m": 12.5, "neighbour": "990126"}]
    (text,) = in_words([far], "en", say)
    assert text["text"] == (
        f"Inside village 990126001001 micro {grid}, 12.5 m from the nearest border (next to county 990126)"
    )
    (text,) = in_words([["ok", "worker", {"name": "{x}", "role": "worker_full_time"}]], "zh", say)
    assert text["text"] == "专职网格员，在岗且有余力：{x}"
    (text,) = in_words([["ok", "unit", {"name": "西所", "kind": "police_station"}]], "zh", say)
    assert text["text"] == "警情归辖区派出所：西所"
