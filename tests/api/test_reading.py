"""Reading events and areas: filters, pages, scope, languages."""

import datetime as dt
import json

import numpy as np
import pytest

from gridmap import crs


@pytest.fixture
def posted(app, event):
    """Six events: four in the west, two in the east, one of them long ago."""
    caller = app.as_("dispatcher")
    bodies = [
        event(0, 0, external_id="a", occurred_at="2026-08-01T10:00:00+08:00"),
        event(1, 0, external_id="b", category="police_case", occurred_at="2026-08-02T10:00:00+08:00"),
        event(2, 1, external_id="c", category="hazard", occurred_at="2026-08-02T11:00:00+08:00"),
        event(3, 3, external_id="d", urgency="urgent", occurred_at="2026-08-04T10:00:00+08:00"),
        event(
            5, 0, external_id="e", subcategory="domestic_violence", occurred_at="2026-08-05T10:00:00+08:00"
        ),
        event(6, 3, external_id="f", occurred_at="2025-08-01T10:00:00+08:00"),
    ]
    return {body["external_id"]: caller.post("/api/events", json=body).json() for body in bodies}


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [feature["properties"]["external_id"] for feature in answer.json()["features"]]


def test_newest_first_and_pages_follow_each_other(app, posted):
    caller = app.as_("dispatcher")
    path, seen = "/api/events?limit=2", []
    while path:
        answer = caller.get(path)
        seen += ids(answer)
        assert len(answer.json()["features"]) <= 2
        path = answer.json()["next"]
    assert seen == ["e", "d", "c", "b", "a", "f"]
    assert len(posted) == 6


def test_pages_split_between_events_of_one_moment(app, event):
    caller = app.as_("dispatcher")
    numbers = [caller.post("/api/events", json=event(external_id=str(n))).json()["id"] for n in range(7)]
    path, seen = "/api/events?limit=3", []
    while path:
        answer = caller.get(path).json()
        seen += [feature["id"] for feature in answer["features"]]
        path = answer["next"]
    assert seen == sorted(numbers, reverse=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("category=police_case,hazard", ["c", "b"]),
        ("from=2026-08-02&to=2026-08-04", ["c", "b"]),
        ("from=2026-08-04T10:00:00%2B08:00", ["e", "d"]),
        ("grid=99012600100100101", ["a"]),
        ("grid=990126001001001", ["b", "a"]),
        ("area=990126001", ["d", "c", "b", "a"]),
        ("area=990126P2", ["e", "f"]),
        ("bbox=112,30,112.004,30.002", ["b", "a"]),
        ("near=112.001,30.001&radius_m=150", ["a"]),
        ("near=112.001,30.001&radius_m=250&sort=near", ["a", "b"]),
        ("status=unassigned", []),
        ("subcategory=domestic_violence", ["e"]),
        ("sort=due&category=dispute&area=990126001", ["d", "a"]),
    ],
)
def test_filters(app, posted, query, found):
    assert posted
    assert ids(app.as_("dispatcher").get(f"/api/events?{query}")) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("category=gossip", "unknown_category"),
        ("status=lost", "unknown_status"),
        ("from=yesterday", "bad_time"),
        ("from=2026-08-02T10:00:00", "bad_time"),
        ("bbox=1,2,3", "bad_bbox"),
        ("bbox=nan,0,1,1", "bad_bbox"),
        ("near=1", "bad_near"),
        ("sort=near", "bad_sort"),
        ("cursor=zzz", "bad_cursor"),
        ("limit=0", "invalid_input"),
        ("worker=x", "invalid_input"),
    ],
)
def test_queries_that_cannot_be(app, query, code):
    answer = app.as_("dispatcher").get(f"/api/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_counts_use_the_same_filters(app, posted):
    answer = app.as_("dispatcher").get("/api/events/counts?area=990126001")
    assert answer.json() == {"counts": {"assigned": 4}, "total": 4}
    assert posted


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("west", ["d", "c", "b", "a"]),
        ("east", ["e", "f"]),
        ("station", ["d", "c", "b", "a"]),
        ("village", ["c", "b", "a"]),
        ("commander", ["d", "c", "b", "a", "f"]),
        ("dispatcher", ["e", "d", "c", "b", "a", "f"]),
    ],
)
def test_everybody_sees_their_areas_only(app, posted, name, found):
    caller = app.as_(name)
    assert ids(caller.get("/api/events")) == found
    for external_id, body in posted.items():
        expected = 200 if external_id in found else 404
        assert caller.get(f"/api/events/{body['id']}").status_code == expected
        assert caller.get(f"/api/events/{body['id']}/history").status_code == expected
    assert caller.get("/api/events/counts").json()["total"] == len(found)


def test_planners_see_no_events(app, posted):
    assert app.as_("planner").get("/api/events").status_code == 403
    assert posted


def test_text_is_for_those_who_handle_it(app, posted):
    assert app.as_("dispatcher").get(f"/api/events/{posted['a']['id']}").json()["title"]
    for name in ("commander", "admin"):
        assert app.as_(name).get(f"/api/events/{posted['a']['id']}").json()["title"] is None


def test_history_tells_what_happened(app, posted):
    history = app.as_("dispatcher").get(f"/api/events/{posted['a']['id']}/history").json()["history"]
    assert [(step["actor"], step["action"]) for step in history] == [
        ("dispatcher", "report"),
        ("system", "assign"),
    ]
    assert history[0]["digest"]
    assert history[1]["detail"]["grid"] == "99012600100100101"


def test_an_unknown_grid_or_area_is_not_there(app):
    for query in ("grid=1", "area=1"):
        assert app.as_("dispatcher").get(f"/api/events?{query}").status_code == 404
    assert app.as_("west").get("/api/events?area=990126002").status_code == 404


def test_locate_explains_itself_in_two_languages(app):
    caller = app.as_("dispatcher")
    chinese = caller.get("/api/locate?lon=112.0015&lat=30.001").json()
    assert chinese["grid"]["code"] == "99012600100100101"
    assert chinese["method"] == "inside"
    assert chinese["edition"] == 1
    assert [area["kind"] for area in chinese["areas"]] == [
        "county",
        "town",
        "village",
        "comprehensive",
        "micro",
        "precinct",
    ]
    assert "距最近边界 48.2 m（邻 村11 01-02 微网格）" in chinese["why"][0]["text"]
    assert {reason["mark"] for reason in chinese["why"]} <= {"ok", "warn", "no"}
    english = caller.get("/api/locate?lon=112.0015&lat=30.001", headers={"Accept-Language": "en"}).json()
    assert english["why"][0]["text"].startswith("Inside 村11 01-01 微网格, 48.2 m from the nearest border")
    assert english["assignee"] == chinese["assignee"]


def test_locate_on_a_border_takes_the_smallest_code(app):
    answer = app.as_("dispatcher").get("/api/locate?lon=112.002&lat=30.001").json()
    assert (answer["method"], answer["grid"]["code"]) == ("border", "99012600100100101")


def test_locate_nowhere_and_elsewhere(app):
    assert app.as_("dispatcher").get("/api/locate?lon=0&lat=0").json()["method"] == "none"
    assert app.as_("west").get("/api/locate?lon=112.015&lat=30.001").status_code == 404
    for query in (
        "lon=30.001&lat=112.001",
        "lon=nan&lat=3",
        "lon=1",
        "lon=1&lat=2&crs=mars",
        "lon=1&lat=2&category=x",
    ):
        assert app.as_("dispatcher").get(f"/api/locate?{query}").status_code == 422


def test_areas_as_geojson(app):
    caller = app.as_("commander")
    micro = caller.get("/api/areas?kind=micro&limit=100000").json()
    assert len(micro["features"]) == 32
    assert micro["next"] is None
    first = micro["features"][0]
    assert first["properties"]["households"] == 60
    assert first["properties"]["path"].startswith("990126.990126001.")
    assert first["geometry"]["type"] == "MultiPolygon"
    one = caller.get("/api/areas/99012600100100101").json()
    assert one == first
    assert len(caller.get("/api/areas?within=990126001&kind=village,town").json()["features"]) == 3
    assert (
        len(caller.get("/api/areas?bbox=112.0001,30.0001,112.0002,30.0002&kind=micro").json()["features"])
        == 1
    )
    assert caller.get("/api/areas?kind=castle").status_code == 422
    assert caller.get("/api/areas/1").status_code == 404


def test_areas_page_by_page_are_all_of_them(app):
    caller = app.as_("commander")
    path, seen = "/api/areas?kind=micro&limit=5&geometry=false", []
    while path:
        answer = caller.get(path).json()
        seen += [feature["properties"]["code"] for feature in answer["features"]]
        path = answer["next"]
    assert len(seen) == len(set(seen)) == 32
    assert seen == sorted(seen)


def test_areas_of_others_are_not_there(app):
    west = app.as_("west")
    codes = {
        feature["properties"]["code"] for feature in west.get("/api/areas?limit=1000").json()["features"]
    }
    assert codes
    assert all(code.startswith("990126001") for code in codes)
    assert west.get("/api/areas/990126002").status_code == 404
    assert west.get("/api/areas/990126002/lineage").status_code == 404
    assert west.get("/api/areas?within=990126002").status_code == 404


def test_editions_and_lineage(app):
    caller = app.as_("planner")
    editions = caller.get("/api/editions").json()
    assert [(each["id"], each["in_force_from"]) for each in editions["editions"]] == [(1, None)]
    lineage = caller.get("/api/areas/990126001/lineage").json()["lineage"]
    assert [(step["edition"], step["change"]) for step in lineage] == [(1, "import")]
    assert caller.get("/api/areas?edition=7").status_code == 404


def test_search_finds_areas_and_event_numbers_of_mine(app, posted):
    found = app.as_("dispatcher").get("/api/search?q=村1").json()["results"]
    assert [each["name"] for each in found][:2] == ["村11", "村12"]
    assert [each["code"] for each in app.as_("west").get("/api/search?q=990126002").json()["results"]] == []
    number = posted["e"]["id"]
    assert app.as_("dispatcher").get(f"/api/search?q={number}").json()["results"][0]["id"] == number
    assert app.as_("west").get(f"/api/search?q={number}").json()["results"] == []
    for q in ("%25", "_", "'", "\\", "%00", ""):
        assert app.as_("dispatcher").get(f"/api/search?q={q}").status_code == 200


def test_the_roster_of_a_grid(app):
    workers = app.as_("dispatcher").get("/api/workers?area=99012600100100101").json()["workers"]
    assert [worker["role"] for worker in workers] == ["worker_full_time", "mediator"]
    assert workers[0]["on_duty"] is True
    assert workers[0]["load"] == 0
    units = app.as_("station").get("/api/units").json()["units"]
    assert [unit["kind"] for unit in units] == ["police_station"]
    assert app.as_("west").get("/api/workers?area=990126002").status_code == 404


def test_dates_are_midnights_of_the_configured_zone(app, event):
    caller = app.as_("dispatcher")
    caller.post(
        "/api/events", json=event(occurred_at="2026-08-01T16:30:00Z")
    )  # half past midnight on the 2nd
    assert ids(caller.get("/api/events?from=2026-08-02&to=2026-08-03")) == ["1"]
    assert ids(caller.get("/api/events?from=2026-08-01&to=2026-08-02")) == []
    moment = caller.get("/api/events").json()["features"][0]["properties"]["occurred_at"]
    assert dt.datetime.fromisoformat(moment) == dt.datetime(2026, 8, 1, 16, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("system", ["gcj02", "bd09", "cgcs2000", "EPSG:4546", "EPSG:3857"])
def test_events_come_and_are_asked_for_in_any_reference_system(app, event, system):
    caller = app.as_("dispatcher")
    posted = [caller.post("/api/events", json=event(c, 0, external_id=str(c))).json() for c in (0, 3, 6)]
    lon, lat = (np.array([each[name] for each in posted]) for name in ("lon", "lat"))
    x, y = (each.tolist() for each in crs.convert(lon, lat, "wgs84", system))
    listed = caller.get("/api/events", params={"crs": system}).json()["features"]
    assert {tuple(each["geometry"]["coordinates"]) for each in listed} == set(zip(x, y, strict=True))
    one = caller.get(f"/api/events/{posted[1]['id']}", params={"crs": system}).json()
    assert (one["lon"], one["lat"]) == (x[1], y[1])
    step = 100 if system.startswith("EPSG") else 0.001
    box = f"{x[1] - step},{y[1] - step},{x[1] + step},{y[1] + step}"
    found = caller.get("/api/events", params={"crs": system, "bbox": box}).json()["features"]
    assert [each["id"] for each in found] == [posted[1]["id"]]
    assert caller.get("/api/events/counts", params={"crs": system, "bbox": box}).json()["total"] == 1
    close = {"crs": system, "near": f"{x[2]},{y[2]}", "radius_m": 5}
    assert [each["id"] for each in caller.get("/api/events", params=close).json()["features"]] == [
        posted[2]["id"]
    ]
    areas = caller.get("/api/areas", params={"crs": system, "bbox": box, "kind": "micro"}).json()["features"]
    assert posted[1]["grid"]["code"] in {each["properties"]["code"] for each in areas}
    assert len(areas) < 8
    for query in ({"bbox": "1,2,3"}, {"bbox": "nan,1,2,3"}, {"bbox": "5,1,2,3"}, {"near": "x"}):
        assert caller.get("/api/events", params={"crs": system, **query}).status_code == 422, query


def test_an_unknown_reference_system_is_named(app):
    for path in ("/api/events", "/api/events/counts", "/api/events/1", "/api/areas?bbox=1,2,3,4"):
        answer = app.as_("dispatcher").get(path, params={"crs": "mars"})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_crs"), path


def test_each_area_lists_what_says_that_it_lies_there(app, event):
    """Also what a dedicated grid owns, by the area that it hangs from, and what has no place but a stated area."""
    caller = app.as_("dispatcher")
    for number in range(32):
        body = event(number % 8, number // 8, external_id=f"m{number}")
        assert caller.post("/api/events", json=body).status_code == 201
    for name, more in {
        "in the market": {"lon": 112.011, "lat": 30.005},
        "stated": {"lon": None, "lat": None, "grid": "990126002001"},
        "stated market": {"lon": None, "lat": None, "grid": "990126D01"},
    }.items():
        assert caller.post("/api/events", json=event(external_id=name, **more)).status_code == 201
    events = [each["properties"] for each in caller.get("/api/events?limit=1000").json()["features"]]
    areas = [
        each["properties"] for each in caller.get("/api/areas?limit=1000&geometry=false").json()["features"]
    ]
    assert {each["kind"] for each in areas} > {"county", "town", "village", "micro", "dedicated", "precinct"}
    for area in areas:
        listed = caller.get("/api/events", params={"area": area["code"], "limit": 1000}).json()["features"]
        told = {each["id"] for each in events if area["code"] in {one["code"] for one in each["areas"]}}
        assert {each["id"] for each in listed} == told, area["code"]
        total = caller.get("/api/events/counts", params={"area": area["code"]}).json()["total"]
        assert total == len(told)


def test_a_stated_grid_of_other_areas_is_told_as_one_that_is_not_there(app, event):
    """Beside a place it does not keep an event out; its name, and that it exists, stay in its own areas."""
    west, told = app.as_("west"), []
    for number, grid in (("1", "990126002001001"), ("2", "990126009001001")):
        posted = west.post("/api/events", json=event(external_id=number, grid=grid))
        assert posted.status_code == 201
        again = west.get(f"/api/events/{posted.json()['id']}").json()
        steps = west.get(f"/api/events/{posted.json()['id']}/history").json()["history"]
        said = [posted.json()["why"], again["why"], [step["detail"].get("why") for step in steps]]
        told.append(json.dumps(said, ensure_ascii=False).replace(grid, "…"))
    assert told[0] == told[1]
    assert "stated_unknown" in told[0]
    listed = app.as_("dispatcher").get("/api/events").json()["features"]
    words = [each["text"] for feature in listed for each in feature["properties"]["why"]]
    assert any("村21 第1网格" in text for text in words)  # who sees that area is told its name
