"""Two invented counties: a small one, and one with enough events to have a rhythm."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from gridmap import demo

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 11, 21, 14, 32, tzinfo=SHANGHAI)
SMALL = demo.Size(households=3_000, micro_grids=40, comprehensive=8, villages=4, towns=2, events=2_000)
LIVELY = demo.Size(households=6_000, micro_grids=80, comprehensive=16, villages=5, towns=2, events=24_000)


@pytest.fixture(scope="session")
def city():
    return demo.build(SMALL, now=NOW)


@pytest.fixture(scope="session")
def lively():
    return demo.build(LIVELY, now=NOW)
