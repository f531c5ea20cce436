"""Who gets an event: role, duty, load, and the chain of fallbacks; Python and SQL name the same."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gridmap import routing
from gridmap.events import CATEGORIES
from gridmap.reasons import ROLE_NAMES
from gridmap.routing import Candidates, Duty, Office, Person, Roster, loads, pick

ZONE = ZoneInfo("Asia/Shanghai")
EVER = (dt.date(1, 1, 1), dt.date(9999, 12, 31))
NOON = dt.datetime(2026, 8, 24, 12, 0, tzinfo=ZONE)  # a Monday


def duty(weekday, start, end, valid=EVER):
    return Duty(weekday, dt.time.fromisoformat(start), dt.time.fromisoformat(end), *valid)


def person(number, role="worker_full_time", capacity=2, duties=()):
    return Person(number, f"w{number}", f"人{number}", role, capacity, tuple(duties))


def office(number, kind="centre"):
    return Office(number, f"u{number}", f"单位{number}", kind)


def roster(people=(), offices=()):
    """From (area, who) pairs."""
    people_of, offices_of = {}, {}
    for area, each in people:
        people_of[area] = (*people_of.get(area, ()), each)
    for area, each in offices:
        offices_of[area] = (*offices_of.get(area, ()), each)
    return Roster(ZONE, {p.id: p for _, p in people}, {o.id: o for _, o in offices}, people_of, offices_of)


def chosen(made, category="appeal", chain=("g", "v", "t"), at=NOON, load=None):
    return pick(made.candidates(category, chain, at), load or {})


def local(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("moment", "on"),
    [
        ("2026-08-24T21:59:59", False),
        ("2026-08-24T22:00:00", True),  # Monday night
        ("2026-08-24T23:59:59", True),
        ("2026-08-25T00:00:00", True),  # still Monday's
        ("2026-08-25T05:59:59", True),
        ("2026-08-25T06:00:00", False),
        ("2026-08-25T23:00:00", False),  # Tuesday has none of its own
        ("2026-08-24T03:00:00", False),  # Sunday had none
    ],
)
def test_a_shift_over_midnight_belongs_to_the_day_on_which_it_begins(moment, on):
    night = duty(1, "22:00", "06:00")
    assert night.covers(local(moment)) == on
    assert night.until(local(moment)) == (local("2026-08-25T06:00:00") if on else None)


@pytest.mark.parametrize(
    ("moment", "on"),
    [
        ("2026-08-23T23:00:00", False),
        ("2026-08-24T23:00:00", True),  # the first day
        ("2026-08-25T05:00:00", True),  # its night ends within the day after
        ("2026-08-31T23:00:00", False),  # the day of valid_to is not in it any more
        ("2026-09-01T05:00:00", False),
    ],
)
def test_a_shift_is_valid_from_a_day_up_to_another(moment, on):
    night = duty(1, "22:00", "06:00", (dt.date(2026, 8, 24), dt.date(2026, 8, 31)))
    assert night.covers(local(moment)) == on


def test_who_has_no_shifts_is_always_there_and_who_has_is_there_in_them():
    assert person(1).on_duty(NOON)
    assert person(1).duty_until(NOON) is None
    worker = person(
        1, duties=[duty(1, "08:00", "12:00"), duty(1, "10:00", "14:00"), duty(2, "08:00", "18:00")]
    )
    assert worker.on_duty(NOON)
    assert worker.duty_until(NOON) == local("2026-08-24T14:00:00")
    assert not worker.on_duty(local("2026-08-24T14:00:00"))


def test_duty_follows_the_clock_of_the_place_not_of_the_server():
    made = roster([("g", person(1, duties=[duty(1, "08:00", "09:00")]))])
    assert chosen(made, at=dt.datetime(2026, 8, 24, 0, 30, tzinfo=dt.UTC)).id == 1
    assert chosen(made, at=dt.datetime(2026, 8, 24, 8, 30, tzinfo=dt.UTC)) is None


def test_the_chain_of_fallbacks():
    """Each step is taken only when the ones before have nobody."""
    full, off = person(1, capacity=1), person(2, duties=[duty(2, "08:00", "09:00")])
    unfit = person(3, role="judge")
    made = roster(
        [("g", full), ("g", off), ("g", unfit), ("v", person(4)), ("t", person(5))],
        [("v", office(1, "committee")), ("t", office(2, "centre"))],
    )
    assert chosen(made).id == 1
    assert chosen(made, load={1: 1}).id == 4
    assert chosen(made, load={1: 1, 4: 2}).id == 5
    assert chosen(made, load={1: 1, 4: 2, 5: 2}) == office(1, "committee")  # the nearest level's unit
    assert chosen(made, chain=("g", "t"), load={1: 1, 5: 2}) == office(2, "centre")
    assert chosen(made, chain=("g",), load={1: 1}) is None
    assert chosen(made, chain=()) is None


def test_role_goes_before_load_and_load_is_a_share_of_capacity():
    made = roster(
        [("g", person(1, "worker_part_time")), ("g", person(2, capacity=2)), ("g", person(3, capacity=8))]
    )
    assert chosen(made, load={2: 1, 3: 3}).id == 3  # 3 of 8 is less than 1 of 2
    assert chosen(made, load={2: 1, 3: 5}).id == 2
    assert chosen(made, load={2: 1, 3: 4}).id == 2  # a tie: the smallest number
    assert chosen(made, load={2: 2, 3: 8}).id == 1  # the next role only when those are full
    assert chosen(made, category="dispute", load={}).id == 2


def test_a_dispute_goes_to_the_mediator_of_the_same_level_only():
    made = roster([("v", person(1, "mediator")), ("g", person(2)), ("v", person(3))])
    assert chosen(made, category="dispute").id == 2
    assert chosen(made, category="dispute", load={2: 2}).id == 1
    assert chosen(made, category="appeal", load={2: 2}).id == 3


def test_who_serves_several_areas_counts_at_the_finest():
    both = person(2)
    made = roster([("g", both), ("v", both), ("v", person(1))])
    candidates = made.candidates("appeal", ("g", "v"), NOON)
    assert [(each.person.id, each.level) for each in candidates.workers] == [(2, 0), (1, 1)]


def test_a_police_case_goes_to_the_station_else_to_police_else_to_nobody():
    officer = person(1, "police")
    people = [("g", person(2)), ("v", officer)]
    offices = [("v", office(1, "committee")), ("t", office(2, "centre"))]
    station = [("p", office(3, "police_station"))]
    chain = ("g", "v", "t", "p")
    with_station = roster(people, [*offices, *station])
    assert chosen(with_station, "police_case", chain) == office(3, "police_station")
    assert chosen(roster(people, offices), "police_case", chain) == officer
    assert chosen(roster(people, offices), "police_case", chain, load={1: 2}) is None
    assert chosen(roster(people[:1], offices), "police_case", chain) is None
    for category in CATEGORIES:  # and the station gets nothing else
        if category != "police_case":
            assert chosen(with_station, category, chain, load={2: 2, 1: 2}) == office(1, "committee")


def test_every_category_has_its_roles_and_they_have_names():
    assert set(routing.ROLE_FIT) == set(CATEGORIES)
    for roles in routing.ROLE_FIT.values():
        assert len(set(roles)) == len(roles) > 0
        assert set(roles) <= set(ROLE_NAMES)


ROLES = ["worker_full_time", "worker_full_time", "worker_part_time", "leader", "mediator", "police", "judge"]


@st.composite
def rosters(draw):
    """Workers of the first square's areas: role, capacity, open events in hand, on duty, areas served."""
    chain = ["99012600100100101", "990126001001001", "990126001001", "990126001", "990126", "990126P1"]
    member = st.tuples(
        st.sampled_from(ROLES),
        st.integers(1, 4),
        st.integers(0, 4),
        st.booleans(),
        st.lists(st.sampled_from(chain), min_size=1, max_size=2, unique=True),
    )
    units = st.lists(
        st.tuples(st.sampled_from(["centre", "committee", "police_station"]), st.sampled_from(chain)),
        max_size=2,
    )
    return draw(st.lists(member, max_size=7)), draw(units), draw(st.sampled_from(CATEGORIES))


def _staff(session, county, staff, units):
    for table in ("service_area", "shift", "event", "event_key", "event_text", "worker", "unit"):
        session.execute(sa.text(f"DELETE FROM {table}"))
    today = dt.datetime.now(ZONE).isoweekday()
    tomorrow = today % 7 + 1
    for number, (role, capacity, load, on_duty, areas) in enumerate(staff):
        worker = county.insert(
            session, "worker", code=f"w{number}", name=f"人{number}", role=role, capacity=capacity
        )
        if not on_duty:
            county.insert(
                session, "shift", worker=worker, weekday=tomorrow, starts_at="08:00", ends_at="08:01"
            )
        for area in areas:
            county.insert(session, "service_area", worker=worker, area=area)
        for event in range(load):
            session.execute(
                sa.text(
                    "INSERT INTO event (source, external_id, category, occurred_at, method, edition, paths_then,"
                    " paths_now, status, worker) VALUES ('load', :id, 'other', now(), 'none', 1, '{}', '{}',"
                    " (ARRAY['assigned','accepted','transferred','escalated','suspended'])[:which], :worker)"
                ),
                {"id": f"{worker}-{event}", "which": 1 + event % 5, "worker": worker},
            )
        for status in ("resolved", "closed", "rejected", "verified"):  # no load
            session.execute(
                sa.text(
                    "INSERT INTO event (source, external_id, category, occurred_at, method, edition, paths_then,"
                    " paths_now, status, worker) VALUES ('done', '', 'other', now(), 'none', 1, '{}', '{}',"
                    " :status, :worker)"
                ),
                {"status": status, "worker": worker},
            )
    for number, (kind, area) in enumerate(units):
        unit = county.insert(session, "unit", code=f"u{number}", name=f"单位{number}", kind=kind)
        county.insert(session, "service_area", unit=unit, area=area)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(  # the same level and role: the share of capacity decides, then the number
    drawn=(
        [
            ("worker_full_time", 4, 3, True, ["990126001001001"]),
            ("worker_full_time", 4, 1, True, ["990126001001001"]),
            ("worker_full_time", 2, 1, True, ["990126001001001"]),
            ("worker_full_time", 4, 1, True, ["990126001001001"]),
        ],
        [],
        "appeal",
    )
)
@given(drawn=rosters())
def test_one_by_one_in_bulk_and_by_the_rules_the_same_worker_is_chosen(shared_desk, county, drawn):
    """SQL of single intake, the bulk's own arithmetic, and `pick` on what the database says of loads."""
    staff, units, category = drawn
    desk = shared_desk
    with desk.database.writer() as session:
        _staff(session, county, staff, units)
    desk.memory.refresh_roster()
    drafts = [county.event(0.5, 0.5, category=category) for _ in range(3)]
    singles = []
    for draft in drafts:
        with desk.database.reader() as session:
            load = loads(session)
        chain = ("99012600100100101", "990126001001001", "990126001001", "990126001", "990126", "990126P1")
        named = pick(desk.memory.roster.candidates(category, chain, dt.datetime.now(dt.UTC)), load)
        expected = (
            named.id if isinstance(named, Person) else None,
            named.id if isinstance(named, Office) else None,
        )
        event = desk.post(draft).event
        row = desk.one("SELECT worker, unit, status, why FROM event WHERE id = :n", n=event)
        assert (row.worker, row.unit) == expected
        assert row.status == ("assigned" if named else "unassigned")
        singles.append((row.worker, row.unit, row.status, row.why))
    desk.do("DELETE FROM event WHERE source = '12345'")
    desk.do("DELETE FROM event_key")
    outcomes = desk.post_many(drafts)
    bulk = [
        tuple(desk.one("SELECT worker, unit, status, why FROM event WHERE id = :n", n=outcome.event))
        for outcome in outcomes
    ]
    assert bulk == singles


def test_nobody_is_candidate_of_an_empty_roster():
    assert Roster(ZONE).candidates("appeal", ("g",), NOON) == Candidates((), None)
