"""Plans that are published: the next edition, one after the other, rebased, on notice.

Each test has comprehensive grids of its own in the module's county.
"""

import datetime as dt
import json
from dataclasses import replace

import pytest
import shapely
import sqlalchemy as sa

from boundaries.exact import combine
from tests.api.conftest import SIDE, SOUTH, WEST
from tests.api.planning import TOWN, born, features, line, opened, rename, split, staffed, step


@pytest.fixture
def wa(county):
    return county.as_("wa")


def micro(village, comprehensive, number):
    return f"{TOWN}00{village}00{comprehensive}0{number}"


def cut(caller, plan, village, comprehensive, number, part=0.3):
    """Splits a micro-grid at a part of its width."""
    column = 2 * (comprehensive - 1) + (number - 1) % 2
    return split(caller, plan, micro(village, comprehensive, number), column + part)


def approved(wp, wa, plan):
    return step(wa, step(wp, plan, "submit"), "approve")


def newest(county):
    with county.database.reader() as session:
        return session.execute(sa.text("SELECT max(id) FROM edition")).scalar_one()


def test_published_it_is_the_next_edition(county, wp, wa):
    before = newest(county)
    drawn = cut(wp, opened(wp), 1, 1, 1)
    (new,) = born(drawn)
    tile = "/api/tiles/grids/12/3322/1689.mvt"
    tag = wp.get(tile).headers["etag"]
    plan = step(wa, approved(wp, wa, drawn), "publish")
    assert (plan["state"], plan["edition"], plan["published_by"]) == ("published", before + 1, "wa")
    assert plan["may"] == ["revert"]
    assert plan["in_force_from"]
    assert plan["history"][-1]["detail"]["areas_created"] == 1
    with county.database.reader() as session:
        living = "SELECT name FROM area WHERE code = :code AND edition_to IS NULL"
        assert session.execute(sa.text(living), {"code": new}).scalar_one()
    assert rename(wp, plan, "x", status=409)["code"] == "wrong_state"
    assert step(wa, plan, "publish", 409)["code"] == "wrong_state"
    seen = wp.get(f"/api/plans/{plan['id']}").json()
    assert born(seen) == [new]  # against what it was drawn on
    assert opened(wp)["base"] == before + 1
    assert wp.get(tile).headers["etag"] != tag
    assert wp.get(tile, params={"edition": before}).headers["etag"] == tag
    assert wp.get(tile, params={"at": plan["in_force_from"]}).headers["etag"] != tag
    assert wp.get(tile, params={"edition": before + 100}).json()["code"] == "unknown_edition"
    there = {"lon": WEST + SIDE * 0.5, "lat": SOUTH + SIDE * 0.5}
    for asked in ({"edition": before}, {}):
        answer = wp.get("/api/locate", params={**there, **asked}).json()
        assert answer["edition"] == asked.get("edition", before + 1)
    assert wp.get("/api/locate", params={**there, "edition": before + 100}).status_code == 404
    editions = wp.get("/api/editions").json()["editions"]
    assert [each["plan"] for each in (editions[0], editions[-1])] == [plan["id"], None]


def test_who_is_told_that_it_is_published_finds_it(county, wp, wa, monkeypatch):
    monkeypatch.setattr(county.service.live, "changed", lambda: None)  # whoever listens hears of it later
    for number in range(3):
        name = f"现行{number}"
        plan = step(wa, approved(wp, wa, rename(wp, opened(wp), name)), "publish")
        found = wp.get("/api/areas/99012600100100102").json()["properties"]
        assert (found["edition"], found["name"]) == (plan["edition"], name)
    back = step(wa, plan, "revert", reason="撤")
    assert wp.get("/api/editions").json()["current"] == plan["edition"] + 1, back


def households(plan):
    return sum(
        each["properties"]["households"]
        for each in features(plan).values()
        if each["properties"]["kind"] == "micro"
    )


def halved(caller, plan, grid, x):
    """Splits a micro-grid; whoever lives there has another code then."""
    return step(caller, plan, "edits", op="split", grid=grid, line=line((x, -1), (x, 5)), keep="none")


def test_nobody_is_lost_from_plans_on_an_earlier_edition(wp, wa):
    other = opened(wp)
    plan = step(wa, approved(wp, wa, halved(wp, opened(wp), micro(1, 2, 3), 2.3)), "publish")
    for each in (plan, other):
        assert households(wp.get(f"/api/plans/{each['id']}").json()) == households(other)


def test_published_for_a_moment_to_come(own_app):
    staffed(own_app)
    wp, wa = own_app.as_("wp"), own_app.as_("wa")
    drawn = halved(wp, opened(wp), micro(1, 1, 1), 0.3)
    plan = approved(wp, wa, drawn)
    past = step(wa, plan, "publish", 422, effective_from="2020-01-01")
    assert (past["code"], past["findings"][0]["field"]) == ("past_moment", "effective_from")
    assert step(wa, plan, "publish", 422, effective_from="soon")["code"] == "bad_time"
    # what a program left empty by mistake is no order to publish at once
    assert step(wa, plan, "publish", 422, effective_from="")["code"] == "invalid_input"
    assert step(wa, plan, "publish", 422, effective_from="9999-12-31T23:00:00-12:00")["code"] == "bad_time"
    assert wa.get(f"/api/plans/{plan['id']}").json()["state"] == "approved"
    done = step(wa, plan, "publish", effective_from="2099-01-01T00:00:00+08:00")
    assert (done["state"], done["in_force_from"]) == ("published", "2098-12-31T16:00:00Z")
    onward = opened(wp)
    assert onward["base"] == 2  # who draws on draws on what will be
    assert households(onward) == households(drawn)


def test_plans_on_disjoint_areas_publish_one_after_the_other(county, wp, wa):
    first, second = cut(wp, opened(wp), 1, 1, 2), cut(wp, opened(wp), 2, 1, 1)
    undone = step(wp, rename(wp, second, "甲", grid=micro(2, 1, 2)), "undo")
    waiting = approved(wp, wa, undone)
    done = step(wa, approved(wp, wa, first), "publish")
    assert step(wa, waiting, "publish", 409)["code"] == "base_changed"
    seen = wa.get(f"/api/plans/{second['id']}").json()
    assert (seen["base_current"], seen["may"]) == (False, ["rebase", "reject", "comment"])
    # the same comes of it, so it stays approved, and the approver may do it
    rebased = step(wa, waiting, "rebase")
    assert (rebased["state"], rebased["base"]) == ("approved", done["edition"])
    assert (rebased["head"], rebased["redoable"]) == (1, 0)
    assert born(rebased) == born(second)
    assert features(rebased)[micro(1, 1, 2)]["properties"]["fate"] == "same"
    assert [each["by"] for each in rebased["journal"]] == ["wp"]
    again = step(wa, rebased, "rebase")
    assert again["revision"] == rebased["revision"]  # nothing to do
    assert step(wa, rebased, "publish")["edition"] == done["edition"] + 1


def test_a_rebase_onto_what_others_changed_names_it(wp, wa):
    grid, other = micro(1, 2, 1), micro(1, 2, 2)
    first = cut(wp, opened(wp), 1, 2, 1)
    second = rename(wp, cut(wp, opened(wp), 1, 2, 1, part=0.7), "乙", grid=other)
    done = step(wa, approved(wp, wa, first), "publish")
    refused = step(wp, second, "rebase", 409)
    assert refused["code"] == "rebase_collides"
    (finding,) = refused["findings"]
    said = {name: finding[name] for name in ("area", "edition", "by", "edit")}
    assert said == {"area": grid, "edition": done["edition"], "by": "wa", "edit": 1}
    assert f"：{grid}（第 {done['edition']} 版，wa） Others" in refused["detail"]
    lon, lat = finding["where"]
    assert WEST + 2 * SIDE < lon < WEST + 3 * SIDE
    assert SOUTH < lat < SOUTH + SIDE
    assert wp.get(f"/api/plans/{second['id']}").json()["revision"] == second["revision"]
    # without what collides it goes
    only = rename(wp, step(wp, step(wp, second, "undo"), "undo"), "乙", grid=other)
    rebased = step(wp, only, "rebase")
    assert (rebased["base"], rebased["state"], rebased["head"]) == (done["edition"], "draft", 1)
    assert features(rebased)[other]["properties"]["name"] == "乙"


def test_a_rebase_keeps_the_edits_before_the_first_that_collides_where_it_is_told_to(wp, wa):
    mine, theirs = micro(2, 1, 1), micro(2, 1, 3)
    drawn = opened(wp)
    for name, grid in (("甲", mine), ("乙", theirs), ("丙", mine), ("丁", theirs)):
        drawn = rename(wp, drawn, name, grid=grid)
    drawn = step(wp, step(wp, drawn, "undo"), "submit")
    done = step(wa, approved(wp, wa, rename(wp, opened(wp), "他", grid=theirs)), "publish")
    assert [each["edit"] for each in step(wp, drawn, "rebase", 409)["findings"]] == [2]
    assert step(wa, drawn, "rebase", 409, keep=True)["code"] == "rebase_changes"  # that is for a planner
    assert step(wp, drawn, "rebase", 422, keep="some")["code"] == "invalid_input"
    kept = step(wp, drawn, "rebase", keep=True)
    assert (kept["base"], kept["state"], kept["head"]) == (done["edition"], "draft", 1)
    detail = kept["history"][-1]["detail"]
    assert detail["dropped"] == [{"number": 2, "op": "rename"}, {"number": 3, "op": "rename"}]
    names = {code: each["properties"]["name"] for code, each in features(kept).items()}
    assert (names[mine], names[theirs]) == ("甲", "他")
    assert step(wp, step(wp, kept, "undo"), "redo")["head"] == 1


def test_an_edit_that_is_not_possible_any_more_refuses_the_rebase(county, wp, wa):
    plan = step(wp, cut(wp, opened(wp), 2, 2, 1), "submit")
    with county.database.writer() as session:  # no plan gives what another has given, but a file may
        (new,) = born(wp.get(f"/api/plans/{plan['id']}").json())
        session.execute(sa.text("INSERT INTO area_code (code, kind) VALUES (:code, 'micro')"), {"code": new})
    step(wa, approved(wp, wa, rename(wp, opened(wp), "丙", grid=micro(2, 1, 3))), "publish")
    refused = step(wp, plan, "rebase", 409)
    assert refused["code"] == "rebase_collides"
    assert (refused["findings"][0]["edit"], refused["findings"][0]["code"]) == (1, "bad_code")
    kept = step(wp, plan, "rebase", keep=True)
    assert (kept["head"], kept["history"][-1]["detail"]["dropped"]) == (0, [{"number": 1, "op": "split"}])


def test_rebased_to_something_else_it_is_a_draft_again(county, wp, wa):
    """More households move to the lesser piece meanwhile: it keeps the code now."""
    waiting = approved(wp, wa, cut(wp, opened(wp), 2, 2, 3))
    with county.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths) SELECT 'tower', 500, p.p,"
                " p.p, :leaf, :leaf, ARRAY[path] FROM area, ST_SetSRID(ST_MakePoint(:x, :y), 4326) AS p(p)"
                " WHERE code = :leaf AND edition_to IS NULL"
            ),
            {"leaf": micro(2, 2, 3), "x": WEST + SIDE * 2.1, "y": SOUTH + SIDE * 3.5},
        )
    step(wa, approved(wp, wa, rename(wp, opened(wp), "丁", grid=micro(2, 1, 4))), "publish")
    county.service.grounds.forget()  # as the load of a file says
    assert step(wa, waiting, "rebase", 409)["code"] == "rebase_changes"
    rebased = step(wp, waiting, "rebase")
    assert (rebased["state"], rebased["approved_by"]) == ("draft", None)
    assert features(rebased)[micro(2, 2, 3)]["properties"]["households"] == 500
    assert step(wp, rebased, "undo")["head"] == 0


def test_what_was_published_is_taken_back_as_the_next_edition(county, wp, wa):
    opened_on = opened(wp)
    drawn = cut(wp, opened_on, 2, 2, 4)
    (new,) = born(drawn)
    plan = step(wa, approved(wp, wa, drawn), "publish")
    assert (
        wp.post(
            f"/api/plans/{plan['id']}/revert", json={"revision": plan["revision"], "reason": "x"}
        ).status_code
        == 403
    )
    back = step(wa, plan, "revert", reason="居民反映强烈")
    assert (back["state"], back["edition"], back["may"]) == ("published", plan["edition"], [])
    assert back["history"][-1]["op"] == "revert"
    assert back["history"][-1]["detail"]["edition"] == newest(county) == plan["edition"] + 1
    again = features(opened(wp))
    assert new not in again
    old = features(opened_on)[micro(2, 2, 4)]["geometry"]
    assert shapely.normalize(shapely.from_geojson(json.dumps(again[micro(2, 2, 4)]["geometry"]))).equals(
        shapely.from_geojson(json.dumps(old))
    )
    assert step(wa, back, "revert", 409, reason="x")["code"] == "changed_since"


def living(county, kind="micro"):
    """Polygons of the newest edition by code."""
    with county.database.reader() as session:
        rows = session.execute(
            sa.text("SELECT code, ST_AsBinary(geom) FROM area WHERE kind = :kind AND edition_to IS NULL"),
            {"kind": kind},
        )
        return {row[0]: shapely.from_wkb(bytes(row[1])) for row in rows}


def test_what_was_published_is_taken_back_beside_what_was_redrawn_since(county, wp, wa):
    """The upper grid is cut, then the lower one up to it: the upper one comes back, the lower one stays as it is."""
    upper, lower = micro(2, 1, 4), micro(2, 1, 2)
    was = living(county)
    drawn = cut(wp, opened(wp), 2, 1, 4, part=0.6)
    (piece,) = born(drawn)
    first = step(wa, approved(wp, wa, drawn), "publish")
    second = step(wa, approved(wp, wa, cut(wp, opened(wp), 2, 1, 2)), "publish")
    now, people = living(county), households(opened(wp))
    back = step(wa, first, "revert", reason="居民反映强烈")
    after = living(county)
    assert (back["history"][-1]["detail"]["edition"], newest(county)) == (second["edition"] + 1,) * 2
    assert {code for code in now if code not in after} == {piece}
    assert {code for code in after if not shapely.equals_identical(now[code], after[code])} == {upper}
    assert shapely.area(after[upper]) == pytest.approx(shapely.area(was[upper]), rel=1e-12)
    assert shapely.get_num_coordinates(after[upper]) > shapely.get_num_coordinates(was[upper])
    # bit for bit: by edges alone nothing is left of the village without its grids
    for village, area in living(county, "village").items():
        assert combine([area], [each for code, each in after.items() if code.startswith(village)]).is_empty
    assert shapely.coverage_is_valid(list(after.values()))
    assert households(opened(wp)) == people
    # what was changed itself is not taken back any more: the answer says what, by which edition, by whom and where
    last = step(wa, approved(wp, wa, rename(wp, opened(wp), "改名", grid=lower)), "publish")
    refused = step(wa, second, "revert", 409, reason="x")
    (finding,) = refused["findings"]
    assert (finding["code"], finding["area"], finding["edition"], finding["by"]) == (
        "changed_since",
        lower,
        last["edition"],
        "wa",
    )
    assert shapely.contains_xy(after[lower], *finding["where"])
    assert f"：{lower}（第 {last['edition']} 版，wa） Edition {second['edition']} " in refused["detail"]
    assert f"{lower} (edition {last['edition']})" in refused["detail"]


def test_on_notice_people_comment_and_nobody_publishes(county, wp, wa):
    service = county.service
    before, service.settings = service.settings, replace(service.settings, notice_days=3)
    try:
        drawn = cut(wp, opened(wp), 1, 2, 4)
        said = f"/api/plans/{drawn['id']}/comments"
        neighbour = county.as_("village")
        assert wp.post(said, json={"text": "早"}).json()["code"] == "wrong_state"
        submitted = step(wp, drawn, "submit")
        assert neighbour.post(said, json={"text": "x"}).status_code == 404
        assert neighbour.get(f"/api/plans/{drawn['id']}").status_code == 403
        waiting = step(wa, submitted, "approve")
        assert waiting["notice_until"] > waiting["approved_at"]
        assert "publish" not in waiting["may"]
        first = neighbour.post(said, json={"text": "沿街商铺应归一格"})
        assert (first.status_code, first.json()["by"]) == (201, "village")
        assert wp.post(said, json={"text": "收到"}).status_code == 201
        assert county.as_("east").get(said).status_code == 404
        page = neighbour.get(said, params={"limit": 1}).json()
        assert [each["text"] for each in page["comments"]] == ["沿街商铺应归一格"]
        assert [each["text"] for each in neighbour.get(page["next"]).json()["comments"]] == ["收到"]
        looked_at = neighbour.get(f"/api/plans/{drawn['id']}").json()
        assert looked_at["may"] == ["comment"]
        assert {code[:12] for code in features(looked_at)} == {f"{TOWN}001"}
        assert len(features(looked_at)) < len(features(waiting))
        assert county.as_("east").get(f"/api/plans/{drawn['id']}").status_code in {403, 404}
        refused = step(wa, waiting, "publish", 409)
        assert refused["code"] == "notice_runs"
        until = dt.datetime.fromisoformat(refused["findings"][0]["value"])
        assert until == dt.datetime.fromisoformat(waiting["notice_until"])
    finally:
        service.settings = before
    with county.database.writer() as session:
        session.execute(
            sa.text("UPDATE plan SET notice_until = now() WHERE id = :plan"), {"plan": drawn["id"]}
        )
    assert step(wa, waiting, "publish")["state"] == "published"
