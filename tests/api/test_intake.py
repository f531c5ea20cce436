"""Posting events: stored once, answered truthfully, refused clearly."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa


def rows(app, table, where="true"):
    with app.database.reader() as session:
        return session.execute(sa.text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one()


def test_an_event_is_stored_once_and_answered_as_it_is(app, event):
    caller = app.as_("dispatcher")
    first = caller.post("/api/events", json=event())
    assert first.status_code == 201, first.text
    body = first.json()
    assert body["grid"] == {"code": "99012600100100101", "kind": "micro", "name": "01-01 微网格"}
    assert body["method"] == "inside"
    assert body["distance_m"] == 0
    assert [area["kind"] for area in body["areas"]] == [
        "county",
        "town",
        "village",
        "comprehensive",
        "micro",
        "precinct",
    ]
    assert body["assignee"]["kind"] == "worker"
    assert body["status"] == "assigned"
    assert body["title"] == "楼上装修噪声引发口角"
    again = caller.post("/api/events", json=event())
    assert again.status_code == 200
    assert again.json() == body
    other = caller.post("/api/events", json=event(title="别的"))
    assert other.status_code == 409
    assert other.json()["code"] == "id_carries_something_else"
    for table in ("event", "event_key", "event_text", "change_log WHERE topic = 'event' AND true"):
        assert rows(app, *table.split(" WHERE ")) == 1
    assert rows(app, "event_history") == 2


def test_concurrent_posts_of_one_event_store_it_once(app, event):
    caller = app.as_("dispatcher")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: caller.post("/api/events", json=event()), range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert rows(app, "event") == 1


def test_the_worker_whose_role_fits_gets_it_until_full_then_the_next_level(app, event):
    caller = app.as_("dispatcher")
    names = []
    for number in range(9):
        answer = caller.post("/api/events", json=event(external_id=str(number), category="appeal"))
        names.append((answer.json()["assignee"]["kind"], answer.json()["assignee"]["role"]))
    # the comprehensive grid's worker takes three, nobody else fits, then the town's centre
    assert names == [("worker", "worker_full_time")] * 3 + [("unit", "centre")] * 6


def test_a_police_case_goes_to_its_precinct_and_nobody_else(app, event):
    answer = app.as_("dispatcher").post("/api/events", json=event(5, 1, category="police_case")).json()
    assert answer["assignee"]["role"] == "police_station"
    assert "P2" in answer["assignee"]["name"]


def test_a_dedicated_grid_goes_before_the_micro_grid(app, event):
    answer = app.as_("dispatcher").post("/api/events", json=event(5, 2)).json()
    assert answer["grid"]["code"] == "990126D01"
    assert "micro" in [area["kind"] for area in answer["areas"]]


def test_without_a_place_the_stated_grid_else_nobody(app, event):
    caller = app.as_("admin")
    stated = caller.post("/api/events", json=event(lon=None, lat=None, grid="99012600100100102")).json()
    assert (stated["method"], stated["grid"]["code"]) == ("stated", "99012600100100102")
    nobody = caller.post(
        "/api/events", json=event(lon=None, lat=None, address="某处", external_id="2")
    ).json()
    assert (nobody["method"], nobody["grid"], nobody["assignee"], nobody["status"]) == (
        "none",
        None,
        None,
        "unassigned",
    )
    assert nobody["lon"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"category": "gossip"}, "category"),
        ({"occurred_at": "2026-08-24T13:51:00"}, "occurred_at"),
        ({"occurred_at": "2190-08-24T13:51:00Z"}, "occurred_at"),
        ({"lon": 112.0, "lat": None}, ""),
        ({"lon": None, "lat": None}, ""),
        ({"lon": 30.001, "lat": 112.001}, "lon"),
        ({"lon": 500.0, "lat": 5000.0}, "lon"),
        ({"crs": "mars"}, "crs"),
        ({"title": ""}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"subcategory": "no_such"}, "subcategory"),
        ({"grid": "一二"}, "grid"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"lon": None, "lat": None, "grid": "987"}, "grid"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field_and_nothing_is_stored(app, event, changes, field):
    answer = app.as_("dispatcher").post("/api/events", json=event(**changes))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [finding["field"] for finding in problem["findings"]]
    assert rows(app, "event") == rows(app, "event_key") == rows(app, "event_history") == 0


def test_swapped_axes_are_named(app, event):
    problem = app.as_("dispatcher").post("/api/events", json=event(lon=30.001, lat=112.001)).json()
    assert problem["code"] == "swapped_axes"
    assert "lon=112.001, lat=30.001" in problem["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"title": "\xe4\xb8"}', b'{"title": "\\ud800"}', b"NaN", b"\xff\xfe"]
)
def test_half_a_character_and_other_broken_bodies(app, body):
    answer = app.as_("dispatcher").post("/api/events", content=body)
    assert answer.status_code == 422
    assert rows(app, "event") == 0


def test_not_a_number_is_no_place(app, event):
    text = json.dumps(event(lon=math.nan))
    assert app.as_("dispatcher").post("/api/events", content=text.encode()).status_code == 422


def test_a_batch_takes_what_is_good_and_names_the_rest_by_line(app, event):
    lines = [
        json.dumps(event(external_id="a")).encode(),
        b"{broken",
        json.dumps(event(external_id="b", category="gossip")).encode(),
        b"",
        json.dumps(event(external_id="a")).encode(),
        json.dumps(event(external_id="a", title="别的")).encode(),
        json.dumps(event(6, 3, external_id="c", category="police_case")).encode(),
        b'{"title": "\xe4\xb8"}',
    ]
    caller = app.as_("dispatcher")
    answer = caller.post(
        "/api/events/batch", content=b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["accepted"], result["repeated"]) == (2, 1)
    assert [each["line"] for each in result["rejected"]] == [2, 3, 6, 8]
    assert result["rejected"][2]["code"] == "id_carries_something_else"
    again = caller.post("/api/events/batch", content=b"\n".join([lines[0], lines[6]])).json()
    assert (again["accepted"], again["repeated"], again["rejected"]) == (0, 2, [])
    assert rows(app, "event") == 2
    # the same as one by one
    single = caller.post("/api/events", json=event(6, 3, external_id="c", category="police_case"))
    assert single.status_code == 200
    assert single.json()["assignee"]["role"] == "police_station"


def test_bulk_and_single_intake_give_the_same_answer(app, event):
    caller = app.as_("dispatcher")
    bodies = [event(column, row, external_id=f"{column}-{row}") for column in range(8) for row in range(4)]
    caller.post("/api/events/batch", content="\n".join(map(json.dumps, bodies)).encode())
    for body in bodies:
        stored = caller.post("/api/events", json=body).json()
        single = caller.post("/api/events", json={**body, "external_id": "s" + body["external_id"]}).json()
        for key in ("method", "grid", "areas", "distance_m"):
            assert stored[key] == single[key]


def test_a_source_posts_only_as_itself_and_reads_back_only_its_own(app, event):
    caller = app.as_("hotline")
    assert caller.post("/api/events", json=event()).status_code == 403
    own = caller.post("/api/events", json=event(source="hotline"))
    assert own.status_code == 201
    assert own.json()["title"] is None
    other = app.as_("dispatcher").post("/api/events", json=event(external_id="9")).json()
    assert caller.get(f"/api/events/{own.json()['id']}").status_code == 200
    assert caller.get(f"/api/events/{other['id']}").status_code == 404
    assert caller.get("/api/events").status_code == 403


def test_nobody_posts_into_other_areas(app, event):
    assert app.as_("west").post("/api/events", json=event(6, 1)).status_code == 404
    assert app.as_("west").post("/api/events", json=event(1, 1)).status_code == 201
    assert rows(app, "event") == 1


def test_gcj02_is_converted_and_the_original_kept(app, event):
    from gridmap import crs

    lon, lat = (float(v) for v in crs.convert(112.001, 30.001, "wgs84", "gcj02"))
    answer = app.as_("dispatcher").post("/api/events", json=event(lon=lon, lat=lat, crs="GCJ02")).json()
    assert abs(answer["lon"] - 112.001) < 1e-7
    assert abs(answer["lat"] - 30.001) < 1e-7
    with app.database.reader() as session:
        x, y, system = session.execute(sa.text("SELECT x, y, crs FROM event")).one()
    assert (x, y, system) == (lon, lat, "gcj02")


def test_the_contact_is_sealed(app, event):
    answer = app.as_("dispatcher").post("/api/events", json=event(contact="张三 13800000000"))
    assert answer.json()["contact"] == "张三 13800000000"
    with app.database.reader() as session:
        sealed = bytes(session.execute(sa.text("SELECT contact FROM event_text")).scalar_one())
    assert "张三".encode() not in sealed
    assert b"13800000000" not in sealed
    assert app.as_("commander").get(f"/api/events/{answer.json()['id']}").json()["contact"] is None


def test_reassigning_is_for_those_who_act_in_their_areas_and_a_trial_by_default(app, event):
    caller = app.as_("dispatcher")
    for number, column in enumerate((0, 1, 5)):
        assert caller.post("/api/events", json=event(column, 0, external_id=str(number))).status_code == 201
    with app.database.writer() as session:
        session.execute(
            sa.text(
                "UPDATE event SET owner_now = NULL, leaf_now = '990126001', paths_now = '{990126.990126001}'"
                " WHERE external_id = '1'"
            )
        )
    for name in ("commander", "planner", "hotline"):
        assert app.as_(name).post("/api/events/reassign", json={}).status_code == 403
    assert app.client.post("/api/events/reassign", json={}).status_code == 401
    trial = {"looked_at": 3, "moved": 1, "routed": 0, "stored": False}
    assert caller.post("/api/events/reassign", json={}).json() == trial
    assert app.as_("east").post("/api/events/reassign", json={"dry_run": False}).json()["looked_at"] == 1
    assert rows(app, "event", "owner_now IS NULL") == 1
    done = app.as_("west").post("/api/events/reassign", json={"dry_run": False}).json()
    assert done == {"looked_at": 2, "moved": 1, "routed": 0, "stored": True}
    assert rows(app, "event", "owner_now IS NULL") == 0
    assert app.as_("east").post("/api/events/reassign", json={"area": "990126001"}).status_code == 404
    for body in ({"from": "yesterday"}, {"area": "a b"}, {"when": 1}):
        assert caller.post("/api/events/reassign", json=body).status_code == 422, body
