"""What docs/security.md names exists: files, tests; and no requirement of ASVS is missing or named twice."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
PLACE = re.compile(
    r"`((?:api|gridmap|layers|boundaries|tests|docs|docker)/[\w./-]+|requirements[.]lock)(?:::(\w+))?`"
)
# Levels 1 and 2 of version 5.0.0.
REQUIREMENTS = """
    1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1 3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5 3.7.1-2
    4.1.1-3 4.2.1 4.3.1-2 4.4.1-4 5.1.1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-12 6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3
    6.8.1-4 7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2 8.1.1-2 8.2.1-3 8.3.1 8.4.1 9.1.1-3 9.2.1-4 10.1.1-2
    10.2.1-2 10.3.1-4 10.4.1-11 10.5.1-5 10.6.1-2 10.7.1-3 11.1.1-2 11.2.1-3 11.3.1-3 11.4.1-4 11.5.1 11.6.1
    12.1.1-3 12.2.1-2 12.3.1-4 13.1.1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2 14.2.1-4 14.3.1-3 15.1.1-3 15.2.1-3
    15.3.1-7 16.1.1 16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3 17.1.1 17.2.1-4 17.3.1-2
"""


def expanded(said):
    """`1.2.1–1.2.3` or `1.2.1-3` as three numbers."""
    for first, last in re.findall(r"(\d+[.]\d+[.]\d+)(?:[-–](?:\d+[.]\d+[.])?(\d+))?", said):
        section, _, number = first.rpartition(".")
        for each in range(int(number), int(last or number) + 1):
            yield f"{section}.{each}"


def rows():
    table = TEXT[TEXT.index("| requirement |") :]
    return [line.strip("| \n").split(" | ", 3) for line in table.splitlines()[2:] if line.startswith("| ")]


def test_every_file_and_every_test_named_exists():
    found = PLACE.findall(TEXT)
    assert len(found) > 60
    for path, test in found:
        assert (ROOT / path).exists(), path
        if test:
            assert re.search(rf"^def {test}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), (
                f"{path}::{test}"
            )


def test_every_requirement_of_the_two_levels_has_one_row():
    wanted = list(expanded(REQUIREMENTS))
    assert len(wanted) == 253
    named = Counter(number for row in rows() for number in expanded(row[0]))
    assert {number for number, times in named.items() if times > 1} == set()
    assert set(named) == set(wanted)


def test_every_row_says_how_it_stands_and_where_or_why_not():
    for requirement, _, state, *where in rows():
        assert state in {"met", "partly", "not met", "n/a"}, requirement
        if state != "n/a":
            assert where, requirement
            assert where[0].strip(), requirement
