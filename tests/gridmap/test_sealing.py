"""Contacts are sealed: opened with the secret alone, and never the same twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap.errors import NotPossible
from gridmap.sealing import Seal


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_is_sealed_opens_again(text):
    seal = Seal("a secret")
    sealed = seal.close(text)
    assert Seal("a secret").open(memoryview(sealed)) == text
    assert seal.close(text) != sealed  # equal contacts do not show as equal
    if len(text) > 3:
        assert text.encode() not in sealed


def test_nothing_stays_nothing():
    assert Seal("x").close(None) is None
    assert Seal("x").open(None) is None
    assert Seal("x").open(Seal("x").close("")) == ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s[:-1],
        lambda s: s[:0],
        lambda s: s[:20] + bytes([s[20] ^ 1]) + s[21:],
        lambda s: s[::-1],
    ],
)
def test_altered_or_with_another_secret_it_says_the_remedy_and_nothing_of_the_content(spoil):
    sealed = Seal("one").close("张三 13800000000")
    with pytest.raises(NotPossible, match="GRIDMAP_SECRET_KEY"):
        Seal("two").open(sealed)
    with pytest.raises(NotPossible):
        Seal("one").open(spoil(sealed))
