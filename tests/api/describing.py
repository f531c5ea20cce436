"""schemathesis on the running application: whatever the description lets somebody send, and much that it does not."""

import collections
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.config._checks import POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES
from schemathesis.engine import Status, events, from_schema

from tests.api.conftest import App


# An event a line; a string of the description is such lines.
@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


# A file as the description allows it: any bytes.
@schemathesis.serializer("application/pdf", "image/jpeg", "image/png", "image/webp")
def _file(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


ACCEPTED = [*POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES, "422"]  # see `what_is_well_formed_is_read`
PHASES = ("examples", "coverage", "fuzzing")
# What a schema cannot say is refused with a code of its own (bad_time, unknown_crs, bad_cursor …). These codes say
# that the form itself was wrong, and what the description calls well formed must never meet them …
FORM = {"invalid_input", "bad_json", "bad_body"}
# … but where fields hang together, or depend on the clock.
HANG_TOGETHER = {
    "POST /api/events": "lon and lat come together, a place, grid or address is needed, and nothing occurs tomorrow",
    "POST /api/users/{name}/actions": "each action has its own fields",
}
# Lines stand alone: what is wrong with them is told line by line, with 200.
LINE_BY_LINE = {("POST /api/events/batch", "negative_data_rejection")}


@schemathesis.check
def what_is_well_formed_is_read(_: Any, response: Any, case: Any) -> None:
    """Nothing that the description allows is refused for its form."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if positive and response.status_code == 422 and case.operation.label not in HANG_TOGETHER:
        said = response.json()
        assert said["code"] not in FORM, f"well formed, and refused: {said['detail']}"


@dataclass
class Run:
    """What came of it.

    Attributes:
        answers: how many, by status.
        operations: labels of those that were asked.
        findings: what failed, each told once by operation, check and message, with the request that shows it.
    """

    answers: collections.Counter[int] = field(default_factory=collections.Counter)
    operations: set[str] = field(default_factory=set)
    findings: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return sum(self.answers.values())


def described(
    app: App, who: str, *, seed: int, examples: int, phases: tuple[str, ...] = PHASES, only: str | None = None
) -> Run:
    """Runs all checks over all operations, or those whose path fits a pattern, signed in as somebody."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {who}"},
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
            "analysis": {"constants": {"enabled": False}},  # the code's own words say nothing of its input
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
            "phases": {
                "stateful": {"enabled": False},
                **{name: {"enabled": name in phases} for name in PHASES},
            },
        }
    )
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", _Door(app, who), config=config)
    if only is not None:
        schema = schema.include(path_regex=only)
    run = Run()
    for event in from_schema(schema).execute():
        for finding in _told(event, run):
            run.findings.setdefault(*finding)
    return run


def _told(event: Any, run: Run) -> Iterator[tuple[tuple[str, str], str]]:
    if isinstance(event, events.NonFatalError):
        yield (event.label, type(event.value).__name__), str(event.value)
    if isinstance(event, events.FatalError):
        raise event.exception
    if not isinstance(event, events.ScenarioFinished):
        return
    run.operations.add(event.recorder.label)
    for interaction in event.recorder.interactions.values():
        if interaction.response is not None:
            run.answers[interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for check in checks:
            expected = (event.recorder.label, check.name) in LINE_BY_LINE
            if check.status == Status.FAILURE and check.failure_info is not None and not expected:
                failure = check.failure_info.failure
                key = (event.recorder.label, f"{check.name}: {failure.title}")
                yield key, f"{failure.message}\n{check.failure_info.code_sample}"


class _Door:
    """Lets schemathesis in: it started nothing, so it stops nothing, and its marker becomes a token that holds.

    What it sends may end the token that it came with; it gets a new one for each request.
    """

    def __init__(self, app: App, who: str) -> None:
        self._app, self._who = app, who

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        marker = f"Bearer {self._who}".encode()
        token = f"Bearer {self._app.token(self._who)}".encode()
        scope["headers"] = [
            (name, token if (name.lower(), value) == (b"authorization", marker) else value)
            for name, value in scope["headers"]
        ]
        await self._app.client.app(scope, receive, send)
