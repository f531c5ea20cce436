"""The description holds: all checks of schemathesis over all operations, for each of those who work here every day.

A bounded number of examples with one seed; `tests/bench/bench_schema.py` tries many more, for every role.
"""

import pytest

from tests.api.conftest import serve
from tests.api.describing import described
from tests.api.permitting import OPERATIONS, made
from tests.bench.furnished import unhurried

SEED = 20260824


@pytest.fixture(scope="module")
def app(module_app):
    made(module_app)
    yield from serve(module_app.url, unhurried(module_app.settings))


@pytest.mark.parametrize("who", ["as_dispatcher", "as_worker", "admin"])
def test_what_the_description_says_holds(app, who):
    run = described(app, who, seed=SEED, examples=1, phases=("examples", "fuzzing"))
    assert run.operations >= set(OPERATIONS)
    assert run.findings == {}
    assert run.answers[200] > 10
    assert run.requests > len(OPERATIONS)


def test_what_comes_by_the_thousand_is_tried_at_every_edge(app):
    """Posting and locating pass the framework by: nothing but these tests says that they check as much."""
    run = described(app, "dispatcher", seed=SEED, examples=5, only=r"^/api/(events|locate)$")
    assert run.operations == {"POST /api/events", "GET /api/events", "GET /api/locate"}
    assert run.findings == {}
    assert run.answers[422] > 100
