"""Plans over HTTP: opened, drawn on, undone, submitted, approved; by whom, and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import shapely
import sqlalchemy as sa

from api.routes import site
from gridmap.live import Change
from tests.api.conftest import middle
from tests.api.planning import (
    EAST,
    MICRO,
    NEXT,
    TOWN,
    VILLAGE,
    born,
    features,
    geometry,
    line,
    opened,
    rename,
    split,
    step,
)


def test_a_plan_opens_with_the_areas_of_its_scope(wp):
    plan = opened(wp)
    assert (plan["state"], plan["revision"], plan["head"], plan["base"], plan["base_current"]) == (
        "draft",
        1,
        0,
        1,
        True,
    )
    assert (plan["scope"], plan["scope_name"], plan["created_by"]) == (TOWN, "第1镇", "wp")
    found = features(plan)
    assert len(found) == 2 + 4 + 16
    assert {each["properties"]["fate"] for each in found.values()} == {"same"}
    assert found[MICRO]["properties"]["households"] == 60
    assert found[MICRO]["properties"]["path"] == f"990126.{TOWN}.{VILLAGE}.{VILLAGE}001.{MICRO}"
    assert found[VILLAGE]["properties"]["households"] == sum(range(60, 68))
    assert plan["may"] == ["edit", "withdraw"]
    assert plan["history"][0]["op"] == "open"


def test_an_edit_undone_and_redone(wp):
    plan = opened(wp)
    after = split(wp, plan)
    found = features(after)
    (new,) = born(after)
    assert after["head"] == 1
    assert after["revision"] == 2
    assert found[MICRO]["properties"]["fate"] == "changed"
    # the building in the middle stays in the larger piece
    assert (found[MICRO]["properties"]["households"], found[new]["properties"]["households"]) == (60, 0)
    both = shapely.union_all([shapely.from_geojson(geometry(found[code])) for code in (MICRO, new)])
    before = shapely.from_geojson(geometry(features(plan)[MICRO]))
    assert both.area == pytest.approx(before.area, rel=1e-12)
    assert [(each["op"], each["areas"]) for each in after["journal"]] == [("split", sorted([MICRO, new]))]
    back = step(wp, after, "undo")
    assert {code: each["geometry"] for code, each in features(back).items()} == {
        code: each["geometry"] for code, each in features(plan).items()
    }
    assert (back["head"], back["redoable"]) == (0, 1)
    assert back["may"] == ["edit", "redo", "withdraw"]
    again = step(wp, back, "redo")
    assert again["areas"] == after["areas"]
    assert again["revision"] == 4
    seen = wp.get(f"/api/plans/{plan['id']}").json()
    assert seen["areas"] == after["areas"]


def test_undo_and_redo_end(wp):
    plan = opened(wp)
    assert step(wp, plan, "undo", 409)["code"] == "nothing_to_undo"
    assert step(wp, plan, "redo", 409)["code"] == "nothing_to_redo"
    one = rename(wp, plan, "甲")
    back = step(wp, one, "undo")
    other = rename(wp, back, "乙")
    assert step(wp, other, "redo", 409)["code"] == "nothing_to_redo"
    assert [each["number"] for each in other["journal"]] == [1]
    assert features(other)[NEXT]["properties"]["name"] == "乙"
    assert features(step(wp, other, "undo"))[NEXT]["properties"]["fate"] == "same"


def test_two_planners_at_once_one_is_told_who_did_what(county, wp):
    plan = opened(wp)
    rename(county.as_("wp2"), plan, "先到")
    told = rename(wp, plan, "后到", status=409)
    assert told["code"] == "stale_revision"
    assert [(each["by"], each["op"], each["value"]) for each in told["findings"]] == [("wp2", "rename", 2)]
    seen = wp.get(f"/api/plans/{plan['id']}").json()
    assert features(seen)[NEXT]["properties"]["name"] == "先到"
    assert seen["revision"] == 2


def stored(county, plan):
    with county.database.reader() as session:
        tables = ("plan", "plan_edit", "plan_area", "plan_step")
        return [
            session.execute(
                sa.text(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
            ).scalar()
            for table in tables
        ]


def test_a_failing_edit_leaves_the_plan_as_it_was(county, wp):
    plan = step(wp, rename(wp, opened(wp), "甲"), "undo")
    before = stored(county, plan)
    missed = step(wp, plan, "edits", 422, op="split", grid=MICRO, line=line((5.5, -1), (5.5, 3)))
    assert missed["code"] == "not_two_pieces"
    assert missed["findings"][0]["where"]
    assert rename(wp, plan, "x", grid="990126002001001001", status=404)["code"] == "unknown_area"
    assert (
        step(wp, plan, "edits", 422, op="merge", grids=[MICRO, "99012600100100104"])["code"] == "not_touching"
    )
    assert stored(county, plan) == before


def test_a_building_outside_is_shown_to_who_may_see_it(wp):
    there = ["b99012600100200101", f"b{EAST}00100101"]
    refused = step(wp, opened(wp, VILLAGE), "edits", 422, op="move", buildings=there, to=MICRO)
    mine, of_others = refused["findings"]
    assert (mine["value"], of_others["value"]) == tuple(there)
    assert mine["where"] == pytest.approx(middle(0, 2))
    assert "where" not in of_others


def test_a_polygon_may_come_back_as_it_was_given_out(wp):
    plan = opened(wp)
    given = features(plan)[MICRO]["geometry"]
    assert given["type"] == "MultiPolygon"
    ring = line((0, 0), (1.2, 0), (1.2, 1), (0, 1), (0, 0))["coordinates"]
    shape = {"type": "MultiPolygon", "coordinates": [[ring]]}
    drawn = step(wp, plan, "edits", op="reshape", grid=MICRO, polygon=shape)
    assert geometry(features(drawn)[MICRO]) != geometry(features(plan)[MICRO])
    two = {"type": "MultiPolygon", "coordinates": shape["coordinates"] * 2}
    assert step(wp, drawn, "edits", 422, op="reshape", grid=MICRO, polygon=two)["code"] == "invalid_input"


def test_from_submission_to_approval(county, wp):
    plan = split(wp, opened(wp))
    assert "submit" in plan["may"]
    submitted = step(wp, plan, "submit")
    assert (submitted["state"], submitted["submitted_by"]) == ("submitted", "wp")
    assert rename(wp, submitted, "x", status=409)["code"] == "wrong_state"
    approver = county.as_("wa")
    assert approver.get(f"/api/plans/{plan['id']}").json()["may"] == ["approve", "reject", "comment"]
    approved = step(approver, submitted, "approve")
    assert (approved["state"], approved["approved_by"], approved["notice_until"]) == ("approved", "wa", None)
    assert approved["may"] == ["reject", "publish", "comment"]
    assert step(approver, approved, "approve", 409)["code"] == "wrong_state"
    with county.database.reader() as session:
        actions = session.execute(
            sa.text("SELECT action, actor FROM audit WHERE object = :object ORDER BY id"),
            {"object": f"plan:{plan['id']}"},
        ).all()
    assert [tuple(row) for row in actions] == [
        ("plan.open", "wp"),
        ("plan.split", "wp"),
        ("plan.submit", "wp"),
        ("plan.approve", "wa"),
    ]


@pytest.mark.parametrize("how", ["submitted", "edited", "edited and undone"])
def test_nobody_approves_what_they_drew_or_submitted(county, wp, how):
    both = county.as_("both")
    plan = opened(wp)
    if how == "submitted":
        plan = step(both, rename(wp, plan, "甲"), "submit")
    else:
        plan = rename(both, plan, "甲")
        if how == "edited and undone":
            plan = rename(wp, step(wp, plan, "undo"), "乙")
        plan = step(wp, plan, "submit")
    assert "approve" not in both.get(f"/api/plans/{plan['id']}").json()["may"]
    assert step(both, plan, "approve", 403)["code"] == "own_plan"
    assert step(county.as_("wa"), plan, "approve")["state"] == "approved"


def test_rejected_and_withdrawn_plans_are_taken_up_again(county, wp):
    plan = step(wp, rename(wp, opened(wp), "甲"), "submit")
    rejected = step(county.as_("wa"), plan, "reject", reason="名称不妥")
    assert (rejected["state"], rejected["rejected_by"], rejected["rejected_reason"]) == (
        "rejected",
        "wa",
        "名称不妥",
    )
    drawn = rename(wp, rejected, "乙")
    assert (drawn["state"], drawn["rejected_reason"]) == ("draft", "名称不妥")
    submitted = step(wp, drawn, "submit")
    assert submitted["rejected_reason"] is None
    withdrawn = step(wp, submitted, "withdraw")
    assert withdrawn["state"] == "withdrawn"
    assert step(wp, withdrawn, "withdraw", 409)["code"] == "wrong_state"
    assert step(wp, withdrawn, "undo")["state"] == "draft"


def test_a_plan_may_be_rejected_without_a_word(county, wp):
    plan = step(wp, rename(wp, opened(wp), "甲"), "submit")
    rejected = step(county.as_("wa"), plan, "reject")
    assert (rejected["state"], rejected["rejected_reason"]) == ("rejected", None)
    assert step(county.as_("wa"), rejected, "reject", 409)["code"] == "wrong_state"


def test_what_changes_nothing_is_not_submitted(wp):
    plan = opened(wp)
    assert step(wp, plan, "submit", 422)["code"] == "nothing_changed"
    undone = step(wp, rename(wp, plan, "甲"), "undo")
    assert step(wp, undone, "submit", 422)["code"] == "nothing_changed"


def test_the_check_finds_ranges_and_no_errors(wp):
    plan = split(wp, opened(wp))
    told = wp.get(f"/api/plans/{plan['id']}/check").json()
    assert told["errors"] == 0
    assert {each["code"] for each in told["findings"]} == {"households_out_of_range"}
    assert {each["severity"] for each in told["findings"]} == {"warning"}


def test_errors_that_the_edition_did_not_have_keep_it_from_being_submitted(county, wp):
    plan = rename(wp, opened(wp), "甲")
    with county.database.writer() as session:  # as no edit can make it
        session.execute(
            sa.text("UPDATE plan_area SET geom = ST_Multi(ST_Scale(geom, ST_MakePoint(0.5, 0.5), ST_Centroid(geom)))"
                    " WHERE plan = :plan"), {"plan": plan["id"]})  # fmt: skip
    told = wp.get(f"/api/plans/{plan['id']}/check").json()
    assert told["errors"] > 0
    refused = step(wp, plan, "submit", 422)
    assert refused["code"] == "check_failed"
    assert {each["code"] for each in refused["findings"]} == {"gap"}
    assert all(each["where"] for each in refused["findings"])


def test_codes_of_other_plans_are_not_given_again(wp):
    first, second = split(wp, opened(wp)), split(wp, opened(wp))
    assert len({*born(first), *born(second)}) == 2


def test_a_code_that_is_asked_for_hangs_from_the_parent(wp):
    plan = opened(wp)
    drawing = {"op": "split", "grid": MICRO, "line": line((0.3, -1), (0.3, 5))}
    refused = step(wp, plan, "edits", 422, **drawing, code="99012600100100298")
    assert refused["code"] == "bad_code"
    assert "not from 990126001001001" in refused["detail"]
    assert born(step(wp, plan, "edits", **drawing, code="99012600100100198")) == ["99012600100100198"]


def test_only_areas_that_differ_or_none(wp):
    plan = split(wp, opened(wp))
    path = f"/api/plans/{plan['id']}"
    changed = wp.get(f"{path}?areas=changed").json()
    assert set(features(changed)) < set(features(plan))
    assert MICRO in features(changed)
    none = wp.get(f"{path}?areas=false").json()
    assert "areas" not in none
    whole = wp.get(path)
    same = wp.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    rename(wp, plan, "甲")
    assert wp.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 200


def test_the_list_by_state_scope_and_page(county, wp):
    mine = [opened(wp, VILLAGE)["id"] for _ in range(3)]
    first = wp.get(f"/api/plans?scope={VILLAGE}&state=draft&limit=2").json()
    assert [each["id"] for each in first["plans"]] == mine[:0:-1]
    second = wp.get(first["next"]).json()
    assert second["plans"][0]["id"] == mine[0]
    assert wp.get("/api/plans?state=drawn").json()["code"] == "unknown_state"
    assert wp.get(f"/api/plans?scope={EAST}").status_code == 404
    assert all(each["scope"] == EAST for each in county.as_("ep").get("/api/plans").json()["plans"])


def test_who_sees_and_who_draws(county, wp):
    plan = opened(wp)
    path = f"/api/plans/{plan['id']}"
    east = county.as_("ep")
    assert east.get(path).json()["code"] == "unknown_plan"
    assert rename(east, plan, "x", status=404)["code"] == "unknown_plan"
    assert county.as_("dispatcher").get(path).status_code == 403
    assert county.as_("commander").get("/api/plans").status_code == 403
    approver = county.as_("wa")
    assert approver.get(path).status_code == 200
    assert rename(approver, plan, "x", status=403)["code"] == "role_forbids"
    assert step(wp, plan, "approve", 403)["code"] == "role_forbids"
    # who approves a village alone sees no plan of the town
    assert county.as_("va").get(path).status_code == 404
    assert wp.post("/api/plans", json={"name": "东", "scope": EAST}).json()["code"] == "unknown_area"
    assert wp.post("/api/plans", json={"name": "叶", "scope": MICRO}).json()["code"] == "bad_scope"
    assert approver.post("/api/plans", json={"name": "x", "scope": TOWN}).status_code == 403


def test_two_edits_at_once_one_goes_the_other_is_told(county):
    plan = opened(county.as_("wp"))
    callers = [county.as_(name) for name in ("wp", "wp2")] * 3
    body = {"revision": plan["revision"], "op": "split", "grid": MICRO, "line": line((0.3, -1), (0.3, 3))}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: each.post(f"/api/plans/{plan['id']}/edits", json=body), callers))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 5
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"stale_revision"}


def test_plans_drawn_at_once_give_different_codes(county, wp):
    plans = [opened(wp, VILLAGE) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        drawn = list(pool.map(lambda plan: split(county.as_("wp"), plan), plans))
    assert len({code for plan in drawn for code in born(plan)}) == 5


@pytest.mark.parametrize(
    ("who", "below", "told"),
    [
        ("wp", None, True),
        ("wp", f"990126.{TOWN}.{VILLAGE}", True),
        ("wp", "990126", True),
        ("wp", f"990126.{EAST}", False),
        ("ep", None, False),
        ("village", None, False),
        ("va", None, False),
    ],
)
def test_open_pages_hear_of_it(county, who, below, told):
    principal = county.service.identities.read(county.service.tokens.read(county.token(who)))
    change = Change(7, "plan", 3, 1, (f"990126.{TOWN}",))
    said = site._said(change, principal, below)
    assert (said == b'id: 7\nevent: plan\ndata: {"id":3}\n\n') if told else (said is None)


@pytest.mark.parametrize("name", [" ", "\u202e调整", "调整\x07"])
def test_a_plan_has_a_name_that_can_be_seen(wp, name):
    refused = wp.post("/api/plans", json={"name": name, "scope": VILLAGE})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_name")
