"""What happens between looking at events and the lock that intake shares: it counts like what happened before."""

import pytest

from gridmap import decisions, publishing
from tests.gridmap.redrawn import give_worker, published, split


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something done by others when everything was looked at and the lock is not yet had."""

    def before_the_lock(act):
        lock = publishing.lock_boundaries

        def late(session):
            act()
            lock(session)

        monkeypatch.setattr(publishing, "lock_boundaries", late)

    return before_the_lock


@pytest.fixture
def decided(monkeypatch):
    """The numbers of events that were decided on, in turn."""
    seen = []
    decide = decisions.Decisions.decide

    def noted(self, rows):
        seen.append([row.id for row in rows])
        decide(self, rows)

    monkeypatch.setattr(decisions.Decisions, "decide", noted)
    return seen


def owners(desk, *numbers):
    return [desk.one("SELECT owner_now, owner_then FROM event WHERE id = :n", n=number) for number in numbers]


def test_what_was_looked_at_before_the_lock_is_not_looked_at_again(desk, county, decided):
    numbers = [desk.post(county.event(x, 0.5)).event for x in (0.6, 0.7, 0.8)]
    assert published(desk, *split(county)).events_moved == 3
    assert decided == [numbers]


def test_what_is_posted_before_the_lock_follows(desk, county, meanwhile, decided):
    code, late = county.micro(0, 0), []
    early = desk.post(county.event(0.7, 0.5)).event
    meanwhile(lambda: late.append(desk.post(county.event(0.8, 0.5)).event))
    assert published(desk, *split(county)).events_moved == 2
    assert owners(desk, early, *late) == [("new1", code)] * 2
    assert decided == [[early], late]


def test_who_accepts_before_the_lock_keeps_it(desk, county, meanwhile):
    code = county.micro(0, 0)
    give_worker(desk, county, code, "ww")
    numbers = [desk.post(county.event(0.7, 0.5)).event for _ in range(2)]
    worker = desk.one("SELECT worker FROM event WHERE id = :n", n=numbers[0])
    meanwhile(
        lambda: desk.do(
            "UPDATE event SET status = 'accepted', accepted_at = now(), revision = revision + 1 WHERE id = :n",
            n=numbers[0],
        )
    )
    assert published(desk, *split(county)).events_moved == 2
    row = desk.one("SELECT owner_now, status, worker, revision FROM event WHERE id = :n", n=numbers[0])
    assert tuple(row) == ("new1", "accepted", worker, 3)
    told = "SELECT count(*) FROM event_history WHERE action = 'relocate' AND event = :n"
    assert [desk.one(told, n=number) for number in numbers] == [1, 1]


def test_what_leaves_before_the_lock_is_left_alone(desk, county, meanwhile):
    """Erased or corrected meanwhile: no decision on it is written."""
    number = desk.post(county.event(0.7, 0.5)).event
    there = county.event(3.5, 0.5)
    meanwhile(
        lambda: desk.do(
            "UPDATE event SET geom = ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), owner_now = :o, leaf_now = :o"
            " WHERE id = :n",
            n=number, lon=there.lon, lat=there.lat, o=county.micro(3, 0),
        )
    )  # fmt: skip
    assert published(desk, *split(county)).events_moved == 0
    assert owners(desk, number)[0][0] == county.micro(3, 0)
    assert desk.one("SELECT count(*) FROM event_history WHERE action = 'relocate'") == 0


@pytest.mark.parametrize("leaves", [False, True])
def test_who_serves_no_more_before_the_lock_gets_nothing(desk, county, meanwhile, leaves):
    give_worker(desk, county, county.micro(0, 0), "ww")
    number = desk.post(county.event(0.7, 0.5)).event
    if leaves:
        meanwhile(lambda: desk.do("UPDATE worker SET retired_at = clock_timestamp() WHERE code = 'ww'"))
    published(desk, *split(county))
    given = desk.one("SELECT w.code FROM event e JOIN worker w ON w.id = e.worker WHERE e.id = :n", n=number)
    assert (given == "ww") is not leaves
