"""Settings of planning: what is refused at the start, by its name."""

import pytest

from gridmap.errors import InvalidInput
from gridmap.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRIDMAP_CODE_SCHEME", "county"),
        ("GRIDMAP_CODE_SCHEME", "county:6,town:3@village"),
        ("GRIDMAP_CODE_ORDER", "east_west"),
        ("GRIDMAP_HOUSEHOLD_RANGES", "micro=100:50"),
        ("GRIDMAP_HOUSEHOLD_RANGES", "block=1:2"),
        ("GRIDMAP_NOTICE_DAYS", "-1"),
        ("GRIDMAP_NOTICE_DAYS", "1.5"),
        ("GRIDMAP_NOTICE_DAYS", "366"),
    ],
)
def test_what_will_not_do_is_named(name, value):
    with pytest.raises(InvalidInput, match=name):
        Settings.from_environment({name: value})
