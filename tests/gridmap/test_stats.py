"""Indicators against counting by hand on a small county."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap import stats
from gridmap.access import Scope
from gridmap.areas import AreaDraft, import_areas
from gridmap.errors import InvalidInput, NotFound
from gridmap.periods import Period
from gridmap.settings import Settings
from gridmap.snapshot import GRIDS
from gridmap.stats import Question
from gridmap.withholding import Audience

ZONE = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime.now(ZONE).replace(microsecond=0)
THIS = Period(NOW - dt.timedelta(days=200), NOW)
EVERYWHERE, NOWHERE = Scope(None), Scope(())
OPEN = Audience(EVERYWHERE, EVERYWHERE, EVERYWHERE, EVERYWHERE, 3)
ADMIN = Audience(EVERYWHERE, EVERYWHERE, EVERYWHERE, NOWHERE, 3)
COMMANDER = Audience(EVERYWHERE, NOWHERE, EVERYWHERE, NOWHERE, 3)
WEST = Audience(Scope(("c.c1",)), Scope(("c.c1",)), Scope(("c.c1",)), Scope(("c.c1",)), 3)
STATES = [
    "unassigned",
    "assigned",
    "accepted",
    "suspended",
    "resolved",
    "verified",
    "closed",
    "closed",
    "rejected",
]


def areas():
    """County c of towns c1, c2; each of two villages of two comprehensive grids of two micro-grids; a precinct."""

    def square(left, right):
        return shapely.MultiPolygon([shapely.box(112 + left / 100, 30, 112 + right / 100, 30.01)])

    drafts = [AreaDraft(kind="county", code="c", name="c", geom=square(0, 16))]
    drafts.append(AreaDraft(kind="precinct", code="p", name="p", parent="c", geom=square(0, 5)))
    for kind, depth in (("town", 1), ("village", 2), ("comprehensive", 3), ("micro", 4)):
        for number in range(2**depth):
            digits = [1 + (number >> bit & 1) for bit in reversed(range(depth))]
            code = "c" + "".join(map(str, digits))
            width = 16 // 2**depth
            if code == "c2222":  # its comprehensive grid has one micro-grid and a rest
                continue
            drafts.append(
                AreaDraft(
                    kind=kind,
                    code=code,
                    name=code,
                    parent=code[:-1],
                    geom=square(number * width, (number + 1) * width),
                )
            )
    return drafts


def due(i, occurred):
    """When an event is due: most soon after it occurred, some long after or before, at the edge of soon, or never."""
    soon = dt.timedelta(days=20)
    far = (
        dt.timedelta(days=-300),
        soon,
        soon + dt.timedelta(microseconds=1),
        dt.timedelta(days=230),
        dt.timedelta(),
    )
    accept, resolve = dt.timedelta(hours=4), dt.timedelta(days=7)
    if i % 6 == 1:
        resolve = far[i // 6 % 5]
    if i % 6 == 2:
        accept = far[i // 6 % 5]
    return None if i % 37 == 0 else occurred + accept, None if i % 41 == 0 else occurred + resolve


def rows_of(snapshot, number=700):
    """Events with every state and time, some in no area, some without a place, some sensitive."""
    rng = np.random.default_rng(3)
    codes = [code for code, kind in zip(snapshot.code, snapshot.kind, strict=True) if kind != "precinct"]
    rows = []
    for i in range(number):
        leaf = None if i % 31 == 0 else str(rng.choice(codes[-14:] if i % 5 else codes))
        kind = snapshot.kind[snapshot.row[leaf]] if leaf else None
        occurred = NOW - dt.timedelta(days=float(rng.uniform(0, 640)))
        if i % 60 in {7, 8}:  # due at the very beginning, and as long after it occurred as is still soon
            occurred = THIS.since - dt.timedelta(days=20)
        accept, resolve = due(i, occurred)
        state = str(rng.choice(STATES))
        took = dt.timedelta(hours=float(rng.uniform(0, 8)))
        category = str(rng.choice(["dispute", "police_case", "appeal"]))
        paths = [snapshot.path[snapshot.row[leaf]]] if leaf else []
        if leaf and i % 3 == 0:
            paths.append("c.p")
        rows.append(
            {
                "id": str(i),
                "category": category,
                "sub": "domestic_violence" if category == "dispute" and i % 4 == 0 else None,
                "at": occurred,
                "owner": leaf if kind in GRIDS else None,
                "leaf": leaf,
                "paths": sorted(paths),
                "cell": None if i % 17 == 0 else 631641196817827839,
                "state": state,
                "accept_due": accept,
                "resolve_due": resolve,
                "accepted": None if state in {"unassigned", "assigned"} else occurred + took,
                "closed": occurred + 40 * took if state == "closed" else None,
            }
        )
    return rows


@pytest.fixture(scope="module")
def county(database, tmp_path_factory):
    with database.writer() as session:
        import_areas(session, areas(), actor="test", settings=Settings(home=tmp_path_factory.mktemp("home")))
        snapshot = snapshots.load(session)
        events = rows_of(snapshot)
        session.execute(
            sa.text(
                "INSERT INTO event (source, external_id, category, subcategory, occurred_at, method, edition,"
                " owner_now, leaf_now, paths_then, paths_now, cell, status, accept_due_at, resolve_due_at,"
                " accepted_at, closed_at) VALUES ('test', :id, :category, :sub, :at, 'inside', 1, :owner, :leaf, '{}',"
                " CAST(:paths AS ltree[]), :cell, :state, :accept_due, :resolve_due, :accepted, :closed)"
            ),
            events,
        )
    return snapshot, events


def inside(snapshot, event, area):
    if area is None:
        return True
    if area == "p":
        return "c.p" in event["paths"]
    return event["leaf"] is not None and area in snapshot.path[snapshot.row[event["leaf"]]].split(".")


def by_hand(snapshot, events, area, period, *, delicate=True, categories=()):
    held = [
        event
        for event in events
        if inside(snapshot, event, area)
        and (delicate or event["sub"] is None)
        and (not categories or event["category"] in categories)
    ]
    received = [event for event in held if period.since <= event["at"] < period.until]
    due, accept = (
        [event for event in held if event[time] and period.since <= event[time] < min(period.until, NOW)]
        for time in ("resolve_due", "accept_due")
    )
    disputes = [event for event in received if event["category"] == "dispute"]
    taken = {e["leaf"] for e in received if e["state"] not in {"unassigned", "assigned", "rejected"}}
    micros = {
        code
        for code, kind, path in zip(snapshot.code, snapshot.kind, snapshot.path, strict=True)
        if kind == "micro" and (area is None or area in path.split("."))
    }
    return {
        "in_grid_rate": (sum(e["owner"] is not None for e in received), len(received)),
        "located_rate": (sum(e["cell"] is not None for e in received), len(received)),
        "completion_rate": (sum(e["state"] == "closed" for e in received), len(received)),
        "on_time_rate": (sum(bool(e["closed"] and e["closed"] <= e["resolve_due"]) for e in due), len(due)),
        "response_rate": (
            sum(bool(e["accepted"] and e["accepted"] <= e["accept_due"]) for e in accept),
            len(accept),
        ),
        "resolution_rate": (
            sum(e["state"] in {"resolved", "verified", "closed"} for e in disputes),
            len(disputes),
        ),
        "active_grid_share": (len(taken & micros), len(micros)),
    }


def told(indicators):
    return {name: (one.numerator, one.denominator) for name, one in indicators.items()}


@pytest.mark.parametrize("area", [None, "c", "c1", "c12", "c121", "c1211", "c222", "p"])
def test_indicators_are_those_of_counting_by_hand(county, reader, area):
    snapshot, events = county
    found = stats.indicators(reader, snapshot, Question(period=THIS, area=area), OPEN)
    assert told(found) == by_hand(snapshot, events, area, THIS)
    before = {name: one.year_before for name, one in found.items()}
    assert told(before) == by_hand(snapshot, events, area, THIS.year_before())
    assert sum(rate[1] for rate in told(found).values()) > 0


def test_categories_narrow_every_number(county, reader):
    snapshot, events = county
    asked = Question(period=THIS, area="c1", categories=("dispute", "appeal"))
    found = told(stats.indicators(reader, snapshot, asked, OPEN))
    assert found == by_hand(snapshot, events, "c1", THIS, categories=("dispute", "appeal"))


@pytest.mark.parametrize("area", ["c", "c1", "c12", "c121"])
def test_children_side_by_side_are_what_each_is_alone(county, reader, area):
    snapshot, _ = county
    for audience in (OPEN, ADMIN):
        parts = stats.by_children(reader, snapshot, Question(period=THIS, area=area), audience)
        assert [part.code for part in parts] == [f"{area}1", f"{area}2"]
        for part in parts:
            alone = stats.indicators(reader, snapshot, Question(period=THIS, area=part.code), audience)
            assert part.indicators == alone


def test_children_of_everything_are_those_of_the_only_county(county, reader):
    snapshot, _ = county
    assert [part.code for part in stats.by_children(reader, snapshot, Question(period=THIS), OPEN)] == [
        "c1",
        "c2",
    ]


def test_sensitive_ones_are_counted_below_towns_for_handlers_alone(county, reader):
    snapshot, events = county
    for area, delicate in (("c", True), ("c1", True), ("c12", False), ("c1211", False), (None, True)):
        found = told(stats.indicators(reader, snapshot, Question(period=THIS, area=area), ADMIN))
        expected = by_hand(snapshot, events, area, THIS, delicate=delicate)
        expected.pop("active_grid_share"), found.pop("active_grid_share")
        assert found == expected, area


def test_nobody_is_told_of_what_lies_outside_their_areas(county, reader):
    snapshot, events = county
    whole = told(stats.indicators(reader, snapshot, Question(period=THIS), WEST))
    assert whole == by_hand(snapshot, events, "c1", THIS)
    for call in (stats.indicators, stats.by_children, stats.by_category):
        with pytest.raises(NotFound):
            call(reader, snapshot, Question(period=THIS, area="c2"), WEST)
        with pytest.raises(NotFound):
            call(reader, snapshot, Question(period=THIS, area="c"), WEST)
    with pytest.raises(NotFound):
        stats.by_step(reader, snapshot, Question(period=THIS, area="c2"), WEST, ZONE)


@pytest.mark.parametrize("area", [None, "c1", "c1211", "p"])
def test_days_follow_the_local_clock_without_a_gap(county, reader, area):
    snapshot, events = county
    period = Period(dt.datetime(2026, 1, 1, tzinfo=ZONE) if NOW.year > 2026 else THIS.since, NOW)
    now, before = stats.by_step(reader, snapshot, Question(period=period, area=area), OPEN, ZONE)
    expected = dict.fromkeys(period.days(ZONE), 0)
    for event in events:
        if inside(snapshot, event, area) and period.since <= event["at"] < period.until:
            expected[event["at"].astimezone(ZONE).date()] += 1
    assert {step.day: step.count for step in now} == expected
    assert abs(len(before) - len(now)) <= 1
    assert before[0].day == period.year_before().since.astimezone(ZONE).date()


def test_a_day_of_the_clock_change_has_its_own_length(county, reader):
    snapshot, _ = county
    berlin = ZoneInfo("Europe/Berlin")
    period = Period(dt.datetime(2026, 3, 28, tzinfo=berlin), dt.datetime(2026, 3, 31, tzinfo=berlin))
    now, _ = stats.by_step(reader, snapshot, Question(period=period), OPEN, berlin)
    assert [step.day.day for step in now] == [28, 29, 30]


def test_months_are_the_sums_of_their_days(county, reader):
    snapshot, _ = county
    asked = Question(period=THIS, area="c12")
    days, _ = stats.by_step(reader, snapshot, asked, OPEN, ZONE)
    months, _ = stats.by_step(reader, snapshot, asked, OPEN, ZONE, unit="month")
    assert sum(step.count for step in months) == sum(step.count for step in days)
    assert [step.day.day for step in months] == [1] * len(months)


def test_more_than_three_years_of_days_are_refused(county, reader):
    snapshot, _ = county
    with pytest.raises(InvalidInput, match="1100"):
        stats.by_step(
            reader, snapshot, Question(period=Period(NOW - dt.timedelta(days=1200), NOW)), OPEN, ZONE
        )


def test_categories_are_counted_with_the_year_before(county, reader):
    snapshot, events = county
    found = stats.by_category(reader, snapshot, Question(period=THIS, area="c1"), OPEN)
    assert set(found) == {"dispute", "police_case", "appeal", "hazard", "service", "other"}
    for category, (now, before) in found.items():
        for number, period in ((now, THIS), (before, THIS.year_before())):
            assert (
                number == by_hand(snapshot, events, "c1", period, categories=(category,))["located_rate"][1]
            )


def test_small_numbers_of_grids_are_withheld_from_a_commander(county, reader):
    snapshot, _ = county
    days, _ = stats.by_step(reader, snapshot, Question(period=THIS, area="c1211"), COMMANDER, ZONE)
    assert all(step.count is None or step.count >= 3 for step in days)
    villages, _ = stats.by_step(reader, snapshot, Question(period=THIS, area="c12"), COMMANDER, ZONE)
    assert all(step.count is not None for step in villages)
    short = Question(period=Period(NOW - dt.timedelta(days=4), NOW), area="c12")
    for part in stats.by_children(reader, snapshot, short, COMMANDER):
        assert part.received is None or part.received >= 3
        for one in part.indicators.values():
            assert (one.numerator is None) == (one.denominator is None)
            assert one.denominator is None or part.received is not None
    found = stats.indicators(reader, snapshot, Question(period=short.period, area="c1211"), COMMANDER)
    assert all(
        one.denominator is None or one.denominator >= 3
        for name, one in found.items()
        if name != "active_grid_share"
    )


def test_an_indicator_is_told_with_its_fraction():
    one = stats.Indicator(3, 4, stats.Indicator(0, 0))
    assert one.as_dict() == {
        "numerator": 3,
        "denominator": 4,
        "value": 0.75,
        "year_before": {"numerator": 0, "denominator": 0, "value": None},
    }


@pytest.mark.parametrize(("since", "until"), [((2026, 2, 1), (2026, 2, 1)), ((2026, 2, 2), (2026, 2, 1))])
def test_an_empty_period_is_refused(since, until):
    with pytest.raises(InvalidInput, match="exclusive"):
        Period(dt.datetime(*since, tzinfo=ZONE), dt.datetime(*until, tzinfo=ZONE))


def test_the_year_before_keeps_the_days():
    leap = Period(dt.datetime(2024, 2, 29, tzinfo=ZONE), dt.datetime(2024, 3, 1, tzinfo=ZONE))
    assert leap.year_before() == Period(
        dt.datetime(2023, 2, 28, tzinfo=ZONE), dt.datetime(2023, 3, 1, tzinfo=ZONE)
    )
    assert leap.previous() == Period(
        dt.datetime(2024, 2, 28, tzinfo=ZONE), dt.datetime(2024, 2, 29, tzinfo=ZONE)
    )
    open_ = Period.of(None, None, NOW)
    assert open_ == Period(NOW.replace(year=NOW.year - 1), NOW)


def test_a_service_without_areas_has_indicators_of_nothing(county, reader):
    empty = snapshots.empty()
    found = stats.indicators(reader, empty, Question(period=THIS), COMMANDER)
    assert found["active_grid_share"].denominator == 0
    assert found["active_grid_share"].value is None
    assert stats.by_children(reader, empty, Question(period=THIS), COMMANDER) == []
    assert set(stats.by_category(reader, empty, Question(period=THIS), COMMANDER)) >= {"dispute"}
