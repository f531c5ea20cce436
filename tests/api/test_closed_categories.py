"""A category closed to somebody's roles: every answer is the one that they would get were there no event of it."""

import asyncio
import json
import re
import time

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli import main
from api.routes import site
from gridmap import accounts
from gridmap.access import ROLES
from tests.api.conftest import in_a_loop

WEST, EAST = "990126001", "990126002"
YEAR = "from=2026-01-01&to=2027-01-01"
POLICE_ONLY_FOR = ["commander", "planner", "approver", "worker"]
ACCOUNTS = {
    "chief": [("commander", "*")],
    "county": [("commander", "990126")],
    "walking": [("worker", WEST)],
    "beat": [("commander", "990126P1")],
    "both": [("dispatcher", WEST), ("commander", EAST)],
    "two": [("dispatcher", WEST), ("worker", EAST)],
    "townhall": [("admin", WEST)],
}
READERS = ("chief", "county", "walking", "beat")
ASKED = [
    "/api/events?limit=100",
    "/api/events?category=police_case",
    f"/api/events?category=police_case,dispute&area={EAST}",
    "/api/events?near=112.011,30.001&radius_m=400&sort=near",
    "/api/events?bbox=112,30,113,31",
    "/api/events/counts",
    f"/api/events/counts?category=police_case&area={EAST}",
    *(
        f"/api/heat?{YEAR}&geometry=false&{more}"
        for more in (
            "kind=town", "kind=village", "kind=micro", "kind=micro&category=police_case", "kind=precinct",
            "kind=dedicated", "by=hex&res=9", "kind=micro&boundaries=then", "kind=micro&measure=hotspot",
            "kind=village&measure=per_100_households",
            f"kind=micro&area={EAST}", "kind=town&subcategory=minor", f"by=hex&res=8&area={EAST}",
        )
    ),
    *(
        f"/api/indicators?{YEAR}{more}"
        for more in ("", f"&area={EAST}", "&by=children", "&by=day", "&by=month", "&category=police_case")
    ),
    "/api/tiles/events/12/3322/1689.mvt",
    "/api/tiles/events/9/415/211.mvt",
    f"/api/tiles/heat/12/3322/1689.mvt?{YEAR}&kind=micro",
    "/api/search?q=police-5",
    f"/api/workers?area={EAST}001001",
]  # fmt: skip


def close(app, category, roles):
    answer = app.as_("admin").post(
        "/api/categories", json={"category": category, "closed_to": roles, "reason": "只限派出所"}
    )
    assert answer.status_code == 200, answer.text
    return {each["category"]: each["closed_to"] for each in answer.json()["categories"]}


def answers(app, name):
    """Status, tag and content of every question; the request's own number left out."""
    caller, said = app.as_(name), {}
    for path in ASKED:
        answer = caller.get(path)
        content = re.sub(rb'"instance":"[0-9a-f]{12}"', b"", answer.content)
        said[path] = answer.status_code, answer.headers.get("etag"), content
    return said


@pytest.fixture(scope="module", autouse=True)
def several(module_app):
    """Accounts to which categories will be closed."""
    with module_app.database.writer() as session:
        for name, roles in ACCOUNTS.items():
            accounts.add_account(session, name, roles)


@pytest.fixture
def app(app):
    """The module's application without any events, and all that was closed opened again after each test."""
    yield app
    for category in ("police_case", "hazard"):
        close(app, category, [])


@pytest.fixture
def mixed(app, event):
    """Events that are no police cases; the posting of police cases in some columns."""
    dispatcher = app.as_("dispatcher")
    for column in range(8):
        for number in range(1 + column % 3):
            body = event(
                column, number, external_id=f"{column}-{number}", category=("dispute", "hazard")[number % 2]
            )
            assert dispatcher.post("/api/events", json=body).status_code == 201
    dispatcher.post("/api/events", json=event(5, 1, external_id="s", subcategory="domestic_violence"))

    def police(columns):
        cases = [
            event(
                column, row, external_id=f"police-{column}" if not row + again else f"police-{column}-{row}-{again}",
                category="police_case", subcategory="minor" if row == 1 else None,
            )
            for column in columns for row in range(3) for again in range(4)
        ]  # fmt: skip
        lines = "\n".join(map(json.dumps, cases))
        assert dispatcher.post("/api/events/batch", content=lines).json()["accepted"] == len(cases)
        with app.database.writer() as session:  # some are in a worker's hand
            session.execute(
                sa.text(
                    "UPDATE event SET unit = NULL, worker = (SELECT s.worker FROM service_area s WHERE s.worker"
                    " IS NOT NULL AND s.area = '990126002001001') WHERE category = 'police_case' AND id % 2 = 0"
                )
            )

    return police


def test_nothing_that_is_answered_knows_of_a_closed_category(app, mixed):
    without = {name: answers(app, name) for name in READERS}
    mixed(range(8))
    open_ = {name: answers(app, name) for name in READERS}
    assert close(app, "police_case", POLICE_ONLY_FOR)["police_case"] == sorted(
        POLICE_ONLY_FOR, key=ROLES.index
    )
    for name in READERS:
        assert app.as_(name).get("/api/me").json()["closed"] == ["police_case"]
        closed = answers(app, name)
        for path in ASKED:
            assert closed[path] == without[name][path], (name, path)
    # and nearly every question would have told somebody
    dumb = [path for path in ASKED if all(open_[name][path] == without[name][path] for name in READERS)]
    assert dumb == []
    assert app.as_("dispatcher").get("/api/events/counts?category=police_case").json()["total"] == 96
    close(app, "police_case", [])
    assert answers(app, "county") == open_["county"]


def test_a_category_closed_to_one_of_two_roles_is_told_of_the_other_ones_areas(app, mixed):
    mixed(range(4))
    before = answers(app, "both")
    close(app, "police_case", POLICE_ONLY_FOR)
    assert app.as_("both").get("/api/me").json()["closed"] == []
    mixed(range(4, 8))
    after = answers(app, "both")
    for path in ASKED:
        assert after[path] == before[path] or path.startswith("/api/workers"), path
    both = app.as_("both")
    assert both.get(f"/api/events/counts?category=police_case&area={WEST}").json()["total"] == 48
    assert both.get(f"/api/events/counts?category=police_case&area={EAST}").json()["total"] == 0
    texts = both.get("/api/events?category=police_case&limit=100").json()["features"]
    assert {each["properties"]["areas"][1]["code"] for each in texts} == {WEST}
    assert all(each["properties"]["title"] for each in texts)


def test_one_event_by_its_number_is_not_there_and_a_tag_of_before_no_longer_holds(app, mixed):
    mixed(range(8))
    chief = app.as_("chief")
    number = chief.get("/api/events?category=police_case").json()["features"][0]["id"]
    tile = "/api/tiles/events/12/3322/1689.mvt"
    tag = chief.get(tile).headers["etag"]
    assert chief.get(tile, headers={"If-None-Match": tag}).status_code == 304
    close(app, "police_case", ["commander"])
    assert chief.get(tile, headers={"If-None-Match": tag}).status_code == 200
    for path in (f"/api/events/{number}", f"/api/events/{number}/history"):
        closed, absent = chief.get(path), chief.get(path.replace(str(number), "999999"))
        assert (closed.status_code, closed.json()["code"]) == (404, absent.json()["code"])
    close(app, "police_case", ["admin"])
    admin = app.as_("admin")
    assert admin.post(f"/api/events/{number}/erase", json={"reason": "x"}).status_code == 404
    looked_at = admin.post("/api/events/reassign", json={"dry_run": True}).json()["looked_at"]
    assert looked_at == admin.get("/api/events/counts").json()["total"] + 1  # the sensitive one
    assert chief.get(f"/api/events/{number}").status_code == 200


def test_what_is_closed_is_not_posted(app, event):
    close(app, "police_case", ["source", "worker"])
    body = event(source="hotline", external_id="p1", category="police_case")
    refused = app.as_("hotline").post("/api/events", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "category_closed")
    assert "police_case" in refused.json()["detail"]
    lines = "\n".join(
        json.dumps(each) for each in (body, {**body, "external_id": "d1", "category": "dispute"})
    )
    batch = app.as_("hotline").post("/api/events/batch", content=lines).json()
    assert (batch["accepted"], batch["rejected"][0]["code"]) == (1, "category_closed")
    assert app.as_("dispatcher").post("/api/events", json=body).status_code == 201
    two = app.as_("two")
    assert two.post("/api/events", json={**body, "external_id": "west"} | place(event, 0)).status_code == 201
    refused = two.post("/api/events", json={**body, "external_id": "east"} | place(event, 5))
    assert (refused.status_code, refused.json()["code"]) == (403, "category_closed")


def place(event, column):
    return {name: value for name, value in event(column).items() if name in {"lon", "lat"}}


class _Asking:
    async def is_disconnected(self):
        return False


def test_an_open_stream_follows_a_closing(app, event):
    service, said = app.service, []
    dispatcher = app.as_("dispatcher")
    claims = service.tokens.read(app.token("commander"))

    def post(number, category):
        body = event(external_id=number, category=category)
        return dispatcher.post("/api/events", json=body).json()["id"]

    async def run():
        async def read():
            async for part in site._follow(_Asking(), service, claims, None):
                said.append(part.decode())  # noqa: PERF401  # seen from outside while it goes on

        async def until(held):
            deadline = time.monotonic() + 30
            while not held():  # nothing tells of it but what is looked at
                assert time.monotonic() < deadline, said
                await asyncio.sleep(0.02)

        async def told(number):
            await until(lambda: any(f'{{"id":{number}}}' in part for part in said))

        reading = asyncio.create_task(read())
        await until(lambda: service.hub.readers)
        await told(await asyncio.to_thread(post, "1", "police_case"))
        await asyncio.to_thread(close, app, "police_case", ["commander"])
        hidden = await asyncio.to_thread(post, "2", "police_case")
        await told(await asyncio.to_thread(post, "3", "dispute"))
        await asyncio.to_thread(close, app, "police_case", [])
        await told(await asyncio.to_thread(post, "4", "police_case"))
        reading.cancel()
        return hidden

    hidden = in_a_loop(run())
    assert not any(f'{{"id":{hidden}}}' in part for part in said)


def test_closings_are_set_by_administrators_of_everything_with_a_reason(app):
    body = {"category": "hazard", "closed_to": ["commander"], "reason": "x"}
    townhall, admin = app.as_("townhall"), app.as_("admin")
    assert townhall.post("/api/categories", json=body).json()["code"] == "beyond_your_areas"
    assert townhall.get("/api/categories").json()["categories"][3] == {"category": "hazard", "closed_to": []}
    assert app.as_("commander").get("/api/categories").status_code == 403
    for wrong in ({"category": "gossip"}, {"closed_to": ["king"]}, {"reason": ""}):
        assert admin.post("/api/categories", json={**body, **wrong}).status_code == 422
    assert admin.post("/api/categories", json={**body, "reason": " "}).json()["code"] == "no_reason"
    assert close(app, "hazard", ["commander", "worker"])["hazard"] == ["commander", "worker"]
    assert close(app, "hazard", ["worker"])["hazard"] == ["worker"]
    with app.database.reader() as session:
        entries = session.execute(
            sa.text(
                "SELECT actor, object, reason, detail FROM audit WHERE action = 'category.close'"
                " AND object = 'category:hazard' ORDER BY id DESC LIMIT 2"
            )
        ).all()
    assert [tuple(each) for each in entries] == [
        ("admin", "category:hazard", "只限派出所", {"closed_to": ["worker"], "opened_to": ["commander"]}),
        ("admin", "category:hazard", "只限派出所", {"closed_to": ["commander", "worker"], "opened_to": []}),
    ]


def test_the_command_closes_and_opens(app, monkeypatch):
    monkeypatch.setenv("GRIDMAP_DATABASE_URL", app.url)
    monkeypatch.setenv("GRIDMAP_HOME", str(app.settings.home))

    def run(*words):
        return CliRunner().invoke(main, ["category", *words])

    assert run("close", "police_case", "--role", "king", "--reason", "x").exit_code == 1
    assert run("close", "gossip", "--role", "worker", "--reason", "x").exit_code == 1
    assert run("close", "police_case", "--role", "worker").exit_code == 2  # no reason
    done = run("close", "police_case", "--role", "worker", "--role", "commander", "--reason", "x")
    assert "commander, worker" in done.output
    assert app.as_("commander").get("/api/me").json()["closed"] == ["police_case"]
    assert "commander" not in run("open", "police_case", "--role", "commander", "--reason", "x").output
    listed = run("list").output
    assert "police_case  worker" in listed
    assert "hazard       —" in listed


def test_a_page_that_is_sent_on_holds_nothing_of_it(app, mixed):
    mixed(range(8))
    path = f"/api/heat/map?{YEAR}&kind=town&reason=x"
    chief = app.as_("chief")
    open_ = chief.get(path).text
    close(app, "police_case", ["commander"])
    closed = chief.get(path).text
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d\+08:00"
    assert re.sub(moment, "", closed) != re.sub(moment, "", open_)
    counts = chief.get(f"/api/heat?{YEAR}&kind=town").json()["features"]
    for feature in counts:
        assert str(feature["properties"]["count"]) in closed
