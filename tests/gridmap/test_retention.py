"""What events say of people goes when it is due, or on order; the rest stays and verifies."""

import datetime as dt
import time
from dataclasses import replace

import pytest

from gridmap import retention
from gridmap.access import Scope
from gridmap.errors import InvalidInput, NotFound
from gridmap.events import CATEGORIES
from gridmap.retention import Eraser, erase, erase_due, periods, set_period

WORDS = {"title": "邻里纠纷", "description": "张三与李四", "address": "3 栋 201", "contact": "13800000000"}


@pytest.fixture
def told(desk, county):
    """Posts an event with a text and gives its number; closed so many days ago where told."""

    def post(closed=None, **changes):
        draft = replace(county.event(**{**WORDS, **changes}))
        number = desk.post(draft).event
        if closed is not None:
            desk.do(
                "UPDATE event SET status = 'closed', closed_at = now() - make_interval(days => :days) WHERE id = :id",
                id=number,
                days=closed,
            )
        return number

    return post


def text(desk, number):
    return desk.one(
        "SELECT title, description, address, contact, erased_at FROM event_text WHERE event = :id", id=number
    )


def is_whole(desk, number):
    found = text(desk, number)
    return found.title == WORDS["title"] and found.contact is not None and found.erased_at is None


def is_erased(desk, number):
    found = text(desk, number)
    return found[:4] == (None, None, None, None) and found.erased_at is not None


def due(desk, **more):
    with desk.database.writer() as session:
        return erase_due(session, dt.datetime.now(dt.UTC), **more)


def test_every_category_has_a_period(desk):
    with desk.database.reader() as session:
        found = periods(session)
    assert list(found) == list(CATEGORIES)
    assert set(found.values()) == {1095}


def test_only_what_is_closed_for_longer_than_its_category_says_goes(desk, told):
    old, young, other = told(closed=1096), told(closed=1094), told(closed=1096, category="dispute")
    waiting = told()
    desk.do("UPDATE event SET occurred_at = now() - interval '9 years' WHERE id = :id", id=waiting)
    with desk.database.writer() as session:
        set_period(session, "dispute", 2000, actor="chief", reason="court practice")
    assert due(desk) == 1
    assert is_erased(desk, old)
    assert all(is_whole(desk, number) for number in (young, other, waiting))
    assert due(desk) == 0
    with desk.database.writer() as session:
        set_period(session, "dispute", 1000, actor="chief", reason="shorter")
    assert due(desk) == 1
    assert is_erased(desk, other)


def test_the_event_its_history_and_its_key_stay(desk, county, told):
    number = told(closed=2000)
    columns = "owner_then, owner_now, occurred_at, geom, status, revision"
    before = desk.one(f"SELECT {columns} FROM event WHERE id = :id", id=number)
    steps = "SELECT action, digest, detail FROM event_history WHERE event = :id ORDER BY id"
    history = desk.rows(steps, id=number)
    assert due(desk) == 1
    after = desk.one(f"SELECT {columns} FROM event WHERE id = :id", id=number)
    assert after[:-1] == before[:-1]
    assert after.revision == before.revision + 1
    later = desk.rows(steps, id=number)
    assert later[: len(history)] == history  # the digest of the text as it was among it
    assert [row.action for row in later[len(history) :]] == ["erase"]
    assert later[-1].detail == {"reason": "retention"}
    told_live = "SELECT count(*) FROM change_log WHERE event = :id"
    assert desk.one(told_live, id=number) == 2
    audited = desk.one("SELECT actor, reason, detail, events FROM audit WHERE action = 'event.erase'")
    assert (audited.actor, audited.reason, audited.detail, audited.events) == (
        "system", "retention", {"count": 1}, [number],
    )  # fmt: skip


def test_many_go_in_blocks_and_one_worker_at_a_time(desk, told):
    numbers = [told(closed=2000) for _ in range(5)]
    with desk.database.writer() as session:
        assert erase_due(session, dt.datetime.now(dt.UTC), most=2) == 2
        assert due(desk) == 0  # another process finds the work taken
    assert [due(desk, most=2), due(desk, most=2), due(desk, most=2)] == [2, 1, 0]
    assert all(is_erased(desk, number) for number in numbers)


def test_on_order_with_a_reason_within_ones_areas(desk, told):
    first, second = told(), told()
    path = desk.one("SELECT paths_now::text[] FROM event WHERE id = :id", id=first)[0]
    elsewhere, everywhere = Scope(("1.2",)), Scope(None)

    def order(numbers, scope=everywhere, reason="§47"):
        with desk.database.writer() as session:
            return erase(session, numbers, actor="chief", reason=reason, scope=scope)

    for numbers, scope in (([first], elsewhere), ([first, 10**9], everywhere)):
        with pytest.raises(NotFound):
            order(numbers, scope)
    with pytest.raises(InvalidInput):
        order([first], reason=" ")
    assert is_whole(desk, first)
    assert order([first], Scope((path,))) == 1
    assert order([first]) == 0  # already
    assert is_erased(desk, first)
    assert is_whole(desk, second)
    audited = desk.rows("SELECT actor, object, reason FROM audit WHERE action = 'event.erase'")
    assert [tuple(row) for row in audited] == [("chief", f"event:{first}", "§47")]


def test_what_is_posted_again_after_erasing_is_still_the_same_event(desk, county, told):
    draft = county.event(**WORDS)
    number = desk.post(draft).event
    with desk.database.writer() as session:
        erase(session, [number], actor="chief", reason="§47", scope=Scope(None))
    again = desk.post(draft)
    assert (again.state, again.event) == ("repeated", number)
    assert is_erased(desk, number)


@pytest.mark.parametrize(
    ("category", "days", "reason"), [("gossip", 5, "x"), ("other", 0, "x"), ("other", 5, "")]
)
def test_periods_that_cannot_be(desk, category, days, reason):
    with pytest.raises(InvalidInput), desk.database.writer() as session:
        set_period(session, category, days, actor="chief", reason=reason)


def test_the_service_erases_by_itself(desk, told, monkeypatch):
    number = told(closed=2000)
    monkeypatch.setattr(retention, "FIRST_AFTER_S", 0.01)
    eraser = Eraser(desk.database)
    eraser.start()
    until = time.monotonic() + 10
    while not is_erased(desk, number) and time.monotonic() < until:
        time.sleep(0.02)
    eraser.stop()
    assert is_erased(desk, number)
