"""Every code of a refusal has its 中文, and stands in the guide."""

import re
from pathlib import Path

from boundaries.findings import TITLES

ROOT = Path(__file__).resolve().parents[2]


def codes_in_the_source():
    text = "".join(path.read_text("utf-8") for path in (ROOT / "boundaries").glob("*.py"))
    used = set(re.findall(r"(?:Refused|Finding)\(\s*\"([a-z_]+)\"", text))
    used |= set(re.findall(r"refuse\(\s*[^,()]+(?:\([^()]*\))?,\s*\"([a-z_]+)\"", text))
    used |= set(re.findall(r"choice\([^)]*code=\"([a-z_]+)\"", text))
    return used


def test_codes_have_titles_and_stand_in_the_guide():
    used = codes_in_the_source()
    assert {"bad_code", "swapped_axes", "unknown_kind", "not_finite"} <= used
    assert used <= TITLES.keys()
    guide = (ROOT / "docs" / "loading.md").read_text("utf-8")
    assert [code for code in TITLES if code != "repaired" and f"`{code}`" not in guide] == []
