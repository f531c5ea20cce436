"""Numbers of a plan's grids: counted anew where it differs, and small counts kept from who may not see them."""

import pytest

from api.routes.plan_numbers import ROUNDED_TO, shown
from tests.api.planning import EAST, MICRO, NEXT, opened, split, step


@pytest.fixture(scope="module")
def events(county):
    """Seven in the western part of a grid, two in the eastern, six in the next grid; one has no place."""
    from tests.api.conftest import SIDE, SOUTH, WEST

    caller = county.as_("dispatcher")
    places = [(0.1, 0.5)] * 6 + [(0.9, 0.5)] * 2 + [(1.5, 0.5)] * 6
    for number, (x, y) in enumerate(places):
        posted = caller.post("/api/events", json=_event(number, lon=WEST + SIDE * x, lat=SOUTH + SIDE * y))
        assert posted.status_code == 201, posted.text
    assert caller.post("/api/events", json=_event(99, grid=MICRO)).status_code == 201


def _event(number, **where):
    import datetime as dt

    at = dt.datetime.now(dt.UTC) - dt.timedelta(days=20)
    return {"source": "hotline", "external_id": f"numbers-{number}", "category": "hazard", "subcategory": "fire",
            "occurred_at": at.isoformat(), "title": "x", **where}  # fmt: skip


def metrics(caller, plan, status=200):
    answer = caller.get(f"/api/plans/{plan['id']}/metrics")
    assert answer.status_code == status, answer.text
    return answer.json()


def grids(found):
    return {each["code"]: each for each in found["grids"]}


def test_numbers_follow_what_a_plan_changes(county, wp, events):
    plan = opened(wp)
    admin = county.as_("admin")
    before = grids(metrics(admin, plan))
    assert (before[MICRO]["events"]["total"], before[NEXT]["events"]["total"]) == (9, 6)
    assert before[MICRO]["fate"] == "same"
    assert before[MICRO]["households"] == before[MICRO]["households_before"] == 60
    after = split(wp, plan, x=0.3)
    found = metrics(admin, after)
    now = grids(found)
    (born,) = now.keys() - before.keys()
    assert (now[MICRO]["events"]["hazard"], now[born]["events"]["hazard"]) == (3, 6)
    assert (now[MICRO]["households"], now[born]["households"]) == (60, 0)
    assert now[born]["households_before"] is None
    assert (now[born]["fate"], now[born]["breach"], now[born]["range"]) == ("new", "under", [50, 100])
    assert now[born]["workers"] == now[MICRO]["workers"]
    assert now[MICRO]["area_m2"] + now[born]["area_m2"] == pytest.approx(before[MICRO]["area_m2"], abs=0.3)
    assert 0 < now[born]["compactness"] < now[MICRO]["compactness"] <= 0.8
    assert now[NEXT] == before[NEXT]
    comprehensive = MICRO[:15]
    assert now[comprehensive]["workers"] == 1
    assert now[comprehensive]["events"]["total"] == before[comprehensive]["events"]["total"]
    assert found["revision"] == after["revision"]
    assert found["total"]["households"] == found["total"]["households_before"]
    assert found["total"]["grids"] == 17
    merged = step(wp, after, "edits", op="merge", grids=[MICRO, born], into=MICRO)
    assert grids(metrics(admin, merged))[MICRO]["events"]["total"] == 9


def test_small_counts_are_withheld_and_the_others_rounded(wp, events):
    plan = split(wp, opened(wp), x=0.05)
    found = metrics(wp, plan)
    assert (found["withhold_below"], found["rounded_to"]) == (3, ROUNDED_TO)
    counts = {each["events"]["total"] for each in found["grids"]}
    assert counts <= {None, *range(ROUNDED_TO, 100, ROUNDED_TO)}
    assert grids(found)[MICRO]["events"]["total"] == 10
    assert {each["events"]["police_case"] for each in found["grids"]} == {None}


@pytest.mark.parametrize(("number", "said"), [(0, None), (2, None), (3, 5), (7, 5), (8, 10), (102, 100)])
def test_a_count_is_shown_as_a_class(number, said):
    assert shown(number, 3) == said
    assert shown(number, None) == number


def test_numbers_of_a_plan_elsewhere_are_not_there(county, wp):
    other = opened(county.as_("ep"), EAST)
    assert metrics(wp, other, 404)["code"] == "unknown_plan"
