"""Rates, turns and the time that a body may take: by account and by address, bounded in memory, told as 429."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from api import limits
from api.app import create_app
from api.limits import BURST_S, MOST_KEYS, Limits, Line, Rates, Turns, counted_as
from gridmap.access import Principal, Role
from gridmap.errors import InvalidInput, Unavailable
from gridmap.settings import Settings
from tests.api.conftest import in_a_loop


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_rate_allows_a_burst_then_its_rate_and_says_how_long_to_wait():
    clock = Clock()
    rates = Rates(8, clock)
    assert [rates.take("a", 1) for _ in range(int(8 * BURST_S))] == [0.0] * 80
    assert rates.take("a", 1) == 0.125
    assert rates.take("a", 16) == 2.0, "nothing was taken by the refusal"
    assert rates.take("b", 1) == 0.0, "another has a bucket of its own"
    clock.now += 1.0
    assert [rates.take("a", 1) for _ in range(9)] == [0.0] * 8 + [0.125]


def test_many_addresses_take_no_more_memory_and_get_no_more_than_one_together():
    clock = Clock()
    rates = Rates(1, clock)
    for number in range(3 * MOST_KEYS):
        rates.take(f"10.0.{number}", 1)
    assert len(rates) <= MOST_KEYS + 1
    assert rates.take("192.0.2.77", 1) > 0, "newcomers share one bucket, which is empty"
    assert rates.take("10.0.5", 1) == 0.0, "who was known before is not touched"
    clock.now += 20.0
    assert rates.take("192.0.2.77", 1) == 0.0, "all that are full again were forgotten"
    assert len(rates) == 1


def test_an_address_is_counted_by_what_one_machine_has():
    assert counted_as("192.0.2.1") == "192.0.2.1"
    assert counted_as("2001:db8:1:2:3::4") == counted_as("2001:db8:1:2::") != counted_as("2001:db8:1:3::")
    assert counted_as("::ffff:192.0.2.1") == "192.0.2.1"
    assert counted_as(None) == counted_as("") == "-"
    assert len(counted_as("x:" * 50_000)) <= 45


LINE = Line("tests", 2, 2, 0.2)


def test_turns_run_so_many_at_once_and_in_order_and_refuse_the_rest():
    async def run():
        turns, ran, most = Turns(), [], 0

        async def one(number):
            nonlocal most
            if not await turns.take("k", LINE):
                return "refused"
            ran.append(number)
            most = max(most, len([each for each in ran if each is not None]) - done)
            await asyncio.sleep(0.01)
            turns.give_back("k")
            return "ran"

        done = 0
        answers = await asyncio.gather(*(one(number) for number in range(6)))
        assert answers == ["ran"] * 4 + ["refused"] * 2
        assert ran == [0, 1, 2, 3]
        assert len(turns) == 0
        assert not turns._waiting

    in_a_loop(run())


def test_a_turn_that_is_not_waited_for_is_lost_to_nobody():
    async def run():
        turns = Turns()
        line = Line("tests", 1, 5, 5.0)
        assert await turns.take("k", line)
        leaving = asyncio.create_task(turns.take("k", line))
        staying = asyncio.create_task(turns.take("k", line))
        await asyncio.sleep(0)
        leaving.cancel()
        turns.give_back("k")
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await asyncio.wait_for(staying, 1)
        # Its turn comes and it is cancelled in the same moment: the next one gets it.
        unlucky = asyncio.create_task(turns.take("k", line))
        following = asyncio.create_task(turns.take("k", line))
        await asyncio.sleep(0)
        turns.give_back("k")
        unlucky.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unlucky
        assert await asyncio.wait_for(following, 1)
        impatient = Line("tests", 1, 5, 0.01)
        assert not await turns.take("k", impatient)
        turns.give_back("k")
        assert len(turns) == 0
        assert not turns._waiting

    in_a_loop(run())


def test_one_account_leaves_connections_to_others_and_all_leave_some_to_posting(settings, principal_of):
    async def run():
        told = []
        some = Limits(replace(settings, pool_size=3, heavy_at_once=1), told.append)
        first, second = principal_of(1), principal_of(2)
        assert some.turn("POST", "/api/events", first) is None
        assert some.turn("GET", "/api/locate", first) is None
        assert some.turn("GET", "/somewhere", None) is None
        for heavy in ("/api/heat", "/api/plans/17/impact", "/api/plans/17/export"):
            assert some.turn("GET", heavy, first)._line.at_once == 1
        assert some.turn("GET", "/api/plans/17/check", first)._line.at_once > 1
        some.connections = replace(some.connections, patience_s=0.01)
        async with some.turn("GET", "/api/heat", first):
            async with some.turn("GET", "/api/events", second):  # of 2 × 3 − 4 connections the last
                with pytest.raises(Unavailable, match="Too much"):
                    async with some.turn("GET", "/api/areas", first):
                        pass
            async with some.turn("GET", "/api/areas", first):
                pass
        assert told == ["full"]
        assert len(some.turns) == 0

    in_a_loop(run())


def test_a_body_that_stops_coming_is_given_up_and_one_that_came_is_left_alone(settings, monkeypatch):
    monkeypatch.setattr(limits, "LOOK_S", 0.02)
    monkeypatch.setattr(limits, "BODY_GRACE_S", 0.1)

    async def run():
        told = []
        some = Limits(settings, told.append)
        parts = asyncio.Queue()
        receive = some.body(parts.get, "/api/events")
        parts.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        await receive()
        with pytest.raises(HTTPException) as late:
            await receive()
        assert (late.value.status_code, told) == (408, ["slow"])
        assert asyncio.current_task().cancelling() == 0
        receive = some.body(parts.get, "/api/events")
        parts.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
        await receive()
        gone = asyncio.create_task(receive())  # a live stream waits so for hours
        await asyncio.sleep(0.3)
        assert not gone.done()
        parts.put_nowait({"type": "http.disconnect"})
        assert (await gone)["type"] == "http.disconnect"
        stopped = asyncio.create_task(some.body(parts.get, "/api/events")())
        await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        await asyncio.sleep(0.05)
        assert not some._arrivals._is_looking

    in_a_loop(run())


@pytest.fixture
def principal_of():
    return lambda number: Principal("x", "x", (Role("admin", "*"),), account=number)


@pytest.fixture
def settings(settings):
    """An installation that allows little."""
    return replace(settings, requests_per_second=4, address_requests_per_second=10, max_body_bytes=4096)


def test_an_account_that_asks_too_often_is_told_so_and_others_are_not(own_app, event):
    caller, other = own_app.as_("commander"), own_app.as_("dispatcher")
    answers = [caller.get("/api/me") for _ in range(60)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert {each.status_code for each in answers} == {200, 429}
    said = refused[0]
    assert said.headers["content-type"] == "application/problem+json"
    assert int(said.headers["retry-after"]) >= 1
    assert said.json()["code"] == "too_many_requests"
    assert said.headers["content-security-policy"]
    assert other.post("/api/events", json=event()).status_code == 201
    text = own_app.as_("admin").get("/metrics").text
    assert f'gridmap_refused_total{{limit="rate"}} {len(refused)}.0' in text
    assert re.search(rf'^gridmap_requests_total{{.*status="429"}} {len(refused)}[.]0$', text, re.MULTILINE)


def test_strangers_are_counted_by_address_and_passwords_weigh_more(own_app):
    answers = []
    while len(answers) < 60 and 429 not in answers:
        answers.append(
            own_app.client.post("/api/token", data={"username": "nobody", "password": "x"}).status_code
        )
    assert 2 <= answers.index(429) <= 20, "a password weighs as much as twenty other requests"
    assert own_app.client.get("/healthz").status_code == 200, "a probe is never refused"
    assert own_app.as_("admin").get("/api/me").status_code == 200, "who has credentials is not a stranger"
    bad = {"Authorization": "Bearer x"}
    assert {own_app.client.get("/api/me", headers=bad).status_code for _ in range(70)} <= {401, 429}
    assert own_app.client.get("/api/me", headers=bad).status_code == 429


def test_what_is_too_large_is_refused_however_it_is_read(own_app):
    admin = own_app.as_("admin")
    for path, content in (
        ("/api/events", b"x" * 5000),
        ("/api/events/batch", b"x\n" * 2500),
        ("/api/users", b"[" + b" " * 5000 + b"]"),
    ):
        answer = admin.post(path, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), path
        assert answer.headers["connection"] == "close"


def test_the_description_names_429_everywhere_and_408_and_413_where_there_is_content(settings):
    app = create_app(settings, "postgresql://nowhere/x")._app._app
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            said = operation["responses"]
            assert "429" in said, (method, path)
            assert "Retry-After" in said["429"]["headers"]
            assert ("408" in said, "413" in said) == ("requestBody" in operation,) * 2, (method, path)


def test_addresses_of_proxies_are_read_and_checked():
    def read(text):
        return Settings.from_environment({"GRIDMAP_PROXIES": text}).proxies

    assert read("") == ("127.0.0.1",)
    assert read("none") == ()
    assert read("10.0.0.5, 172.18.0.0/16") == ("10.0.0.5", "172.18.0.0/16")
    for bad in ("*", "proxy", "10.0.0.0/99", "10.0.0.1/8"):
        with pytest.raises(InvalidInput, match="GRIDMAP_PROXIES"):
            read(bad)


def test_what_the_guard_asks_of_limits_takes_microseconds(tmp_path, principal_of):
    some = Limits(Settings(home=tmp_path), lambda _: None)
    principal = principal_of(1)
    best = min(_seconds_each(some, principal) for _ in range(20))
    assert best < 20e-6, "about 1 µs on a quiet machine"


def _seconds_each(some, principal):
    began = time.perf_counter()
    for _ in range(200):
        some.count("POST", "/api/events", principal, "192.0.2.1")
        some.turn("POST", "/api/events", principal)
    return (time.perf_counter() - began) / 200


def test_the_numbers_in_the_record_are_the_codes():
    text = (Path(__file__).parents[2] / "docs/adr/0017-limits.md").read_text()
    usual = Settings.from_environment({})
    for number in (
        usual.requests_per_second,
        usual.address_requests_per_second,
        usual.heavy_at_once,
        usual.statement_timeout_s,
        2 * usual.pool_size - limits.RESERVED,
        limits.BURST_S,
        limits.BODY_GRACE_S,
        limits.MOST_KEYS,
        limits.BODY_BYTES_PER_S,
        limits.LARGEST_BODY / 2**20,
    ):
        assert re.search(rf"(?<![\d,.]){number:,.0f}(?![\d,.]*\d)", text), number
