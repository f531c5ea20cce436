"""Posts that arrive together: each gets its own answer, and what is wrong with one keeps no other back."""

import asyncio
import threading
from dataclasses import replace

import pytest

from api.app import EXPRESS
from api.posting import MOST, WAITING, Posting
from api.schemas import EventIn
from gridmap.access import Scope
from gridmap.errors import InvalidInput, Unavailable
from gridmap.intake import Outcome, Post, store_few
from tests.api.conftest import in_a_loop


class Slow:
    """Stores nothing, as slowly as the test wants, and remembers what it was given."""

    def __init__(self):
        self.groups, self.begun, self.going = [], threading.Event(), threading.Event()

    def __call__(self, posts):
        self.groups.append(list(posts))
        self.begun.set()
        assert self.going.wait(10)
        return [InvalidInput("odd") if post % 2 else Outcome("stored", post) for post in posts]


def together(slow, numbers):
    async def taking():
        posting = Posting(slow)
        tasks = [asyncio.create_task(posting.take(number)) for number in numbers]
        await asyncio.to_thread(slow.begun.wait, 10)
        slow.going.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return in_a_loop(taking())


def test_what_comes_while_others_are_stored_is_stored_together_and_each_gets_its_answer():
    slow = Slow()
    answers = together(slow, range(200))
    assert [answer.event for answer in answers[::2]] == list(range(0, 200, 2))
    assert {type(answer) for answer in answers[1::2]} == {InvalidInput}
    assert sorted(number for group in slow.groups for number in group) == list(range(200))
    assert max(map(len, slow.groups)) <= MOST
    assert len(slow.groups) < 10  # not 200 transactions


def test_storage_that_is_away_is_told_to_all_who_wait_and_the_next_are_served_again():
    calls = []

    def store(posts):
        calls.append(len(posts))
        if len(calls) == 1:
            raise Unavailable("away")
        return [Outcome("stored", post) for post in posts]

    async def taking():
        posting = Posting(store)
        first = await asyncio.gather(*(posting.take(n) for n in range(2)), return_exceptions=True)
        return first, await posting.take(7)

    first, later = in_a_loop(taking())
    assert {type(answer) for answer in first} == {Unavailable}
    assert later == Outcome("stored", 7)


def test_who_leaves_takes_nobody_else_along():
    slow = Slow()

    async def taking():
        posting = Posting(slow)
        tasks = [asyncio.create_task(posting.take(number)) for number in (0, 2, 4, 6)]
        await asyncio.to_thread(slow.begun.wait, 10)
        tasks[1].cancel()
        slow.going.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = in_a_loop(taking())
    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answer.event for answer in (answers[0], answers[2], answers[3])] == [0, 4, 6]


def test_more_than_can_wait_are_told_to_come_again():
    slow = Slow()
    answers = together(slow, range(WAITING + 3 * MOST))
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert refused
    assert {error.code for error in refused} == {"too_many_posts"}
    assert len(answers) - len(refused) >= WAITING


@pytest.fixture
def post(event):
    """Makes posts as the route does, past its checks where a test says so."""

    def make(number, **changes):
        draft = EventIn.model_validate(event(external_id=str(number), title=f"第{number}件")).draft()
        return Post(replace(draft, **changes), "test", Scope(None))

    return make


def few(app, posts):
    service = app.service
    return store_few(service.database, service.memory, service.seal, posts, 50.0)


def test_one_that_storage_refuses_keeps_no_other_back(app, post):
    posts = [
        post(1),
        post(2, title="half a \x00 character"),
        post(3, grid="nowhere", lon=None, lat=None),
        post(4),
    ]
    first, bad, unknown, last = few(app, posts)
    assert (first.state, last.state) == ("stored", "stored")
    assert type(bad).__module__.startswith("psycopg")
    assert unknown.code == "unknown_grid"
    assert [result.state for result in few(app, [posts[0], posts[3]])] == ["repeated", "repeated"]


def test_the_same_id_twice_in_one_group_is_one_event(app, post):
    first, same, other = few(app, [post(1), post(1), post(1, title="别的")])
    assert (first.state, same.state) == ("stored", "repeated")
    assert first.event == same.event
    assert other.code == "id_carries_something_else"


def test_work_is_shared_out_within_a_group(app, post):
    results = few(app, [post(number, category="appeal") for number in range(5)])
    workers = [result.row["worker"] for result in results]
    assert workers.count(workers[0]) == 3  # its capacity: what one post of the group took counts for the next
    assert results[-1].row["unit"] is not None or results[-1].row["worker"] != workers[0]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/locate?lon=112.0015&lat=30.001&category=police_case", None),
        ("GET", "/api/locate?lon=nan&lat=30.001", None),
        ("GET", "/api/locate?lat=30.001", None),
        ("GET", "/api/locate?lon=112&lat=30&category=gossip", None),
        ("POST", "/api/events", b"{"),
        ("POST", "/api/events", b'{"source": "\xe6'),
        ("POST", "/api/events", b"x" * 70_000_000),
    ],
)
def test_the_short_way_answers_as_the_framework_does(app, monkeypatch, method, path, body):
    def ask():
        headers = app.as_("dispatcher").headers
        return app.client.request(method, path, content=body, headers=headers)

    assert (method, path.partition("?")[0]) in EXPRESS
    short = ask()
    monkeypatch.setattr(app.client.app._app, "_endpoints", {})
    long = ask()
    assert short.status_code == long.status_code

    def without_number(answer):
        return {key: value for key, value in answer.json().items() if key != "instance"}

    assert without_number(short) == without_number(long)
    assert set(short.headers) == set(long.headers)


def test_the_framework_describes_what_goes_the_short_way(app):
    described = app.as_("dispatcher").get("/api/openapi.json").json()["paths"]
    for method, path in EXPRESS:
        assert described[path][method.lower()]["responses"]["401"]
    assert {each["name"] for each in described["/api/locate"]["get"]["parameters"]} == {
        "lon", "lat", "crs", "at", "edition", "category",
    }  # fmt: skip
