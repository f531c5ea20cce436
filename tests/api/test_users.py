"""Accounts over HTTP: within one's areas, at once, also on open streams; machine tokens; one's own password."""

import asyncio
import re
import time

import pytest

from api.routes import site
from gridmap import accounts
from tests.api.conftest import in_a_loop

TOWN, OTHER = "990126001", "990126002"
PASSWORD, NEXT = "a long enough password", "another long password"


@pytest.fixture
def admin(own_app):
    return own_app.as_("admin")


@pytest.fixture
def mayor(own_app):
    with own_app.database.writer() as session:
        accounts.add_account(session, "mayor", [("admin", TOWN)])
    return own_app.as_("mayor")


def act(caller, name, action, **given):
    return caller.post(f"/api/users/{name}/actions", json={"action": action, **given})


def names(caller, **asked):
    return [each["name"] for each in caller.get("/api/users", params=asked).json()["users"]]


def test_accounts_are_listed_within_ones_areas_in_pages(admin, mayor):
    everybody = names(admin)
    assert everybody == sorted(everybody)
    assert {"admin", "west", "east", "mayor", "hotline"} <= set(everybody)
    assert names(mayor) == ["mayor", "village", "west"]
    found, path = [], "/api/users?limit=3"
    while path:
        answer = admin.get(path).json()
        found += [each["name"] for each in answer["users"]]
        path = answer["next"]
    assert found == everybody
    assert names(admin, q="mmand") == ["commander"]
    west = mayor.get("/api/users/west").json()
    assert west["roles"] == [{"role": "dispatcher", "area": TOWN}]
    assert (west["has_password"], west["locked"], west["signed_in_at"]) == (False, False, None)
    for name in ("east", "admin", "nobody"):
        assert mayor.get(f"/api/users/{name}").status_code == 404
    assert admin.get("/api/users/no such").status_code == 422


def test_only_administrators_come_here(own_app):
    for name in ("dispatcher", "commander", "planner", "hotline"):
        caller = own_app.as_(name)
        assert caller.get("/api/users").status_code == 403
        assert caller.get("/api/users/west").status_code == 403
        assert caller.get("/api/users/west/tokens").status_code == 403
        body = {"name": "n", "roles": [{"role": "admin", "area": "*"}]}
        assert caller.post("/api/users", json=body).status_code == 403
        assert act(caller, name, "role_add", role="admin", area="*").status_code == 403
        assert caller.post("/api/users/hotline/tokens", json={"label": "x"}).status_code == 403


def test_adding_and_signing_in(own_app, admin, mayor):
    body = {
        "name": "new",
        "display_name": "新人",
        "roles": [{"role": "dispatcher", "area": TOWN}],
        "password": PASSWORD,
    }
    answer = mayor.post("/api/users", json=body)
    assert answer.status_code == 201
    assert answer.json()["display_name"] == "新人"
    assert mayor.post("/api/users", json=body).json()["code"] == "name_taken"
    signed_in = own_app.client.post("/api/token", data={"username": "new", "password": PASSWORD})
    assert signed_in.status_code == 200
    assert admin.get("/api/users/new").json()["signed_in_at"] is not None
    for change, status, code in (
        ({"roles": [{"role": "dispatcher", "area": "*"}]}, 403, "beyond_your_areas"),
        ({"roles": [{"role": "dispatcher", "area": OTHER}]}, 404, "unknown_area"),
        ({"roles": []}, 422, "invalid_input"),
        ({"password": "short"}, 422, "bad_password"),
        ({"name": "a b"}, 422, "bad_name"),
        ({"more": 1}, 422, "invalid_input"),
    ):
        refused = mayor.post("/api/users", json={**body, "name": "other", **change})
        assert (refused.status_code, refused.json()["code"]) == (status, code), change


def test_a_role_works_at_once_and_so_does_its_end(own_app, admin):
    west = own_app.as_("west")
    assert west.get("/api/audit").status_code == 403
    assert act(admin, "west", "role_add", role="admin", area=TOWN, reason="stands in").status_code == 200
    assert west.get("/api/audit").status_code == 200
    assert act(admin, "west", "role_remove", role="admin", area=TOWN).status_code == 200
    assert west.get("/api/audit").status_code == 403
    assert act(admin, "west", "disable").json()["disabled_at"] is not None
    assert west.get("/api/me").status_code == 401
    act(admin, "west", "enable")
    assert west.get("/api/me").status_code == 401  # sign in anew
    assert own_app.as_("west").get("/api/me").status_code == 200
    assert act(admin, "west", "role_add", role="admin").status_code == 422
    assert act(admin, "west", "password").status_code == 422
    assert act(admin, "west", "dance").status_code == 422
    assert act(admin, "admin", "disable").json()["code"] == "last_admin"


def test_a_town_takes_its_role_from_somebody_who_then_is_no_longer_its(admin, mayor):
    act(admin, "east", "role_add", role="commander", area=TOWN)
    assert act(mayor, "east", "disable").status_code == 403
    answer = act(mayor, "east", "role_remove", role="commander", area=TOWN)
    assert (answer.status_code, answer.json()) == (200, None)
    assert act(mayor, "east", "role_remove", role="dispatcher", area=OTHER).status_code == 404


def test_another_process_hears_of_it_within_a_moment(own_app, another, admin):
    west = another.as_("west")
    assert west.get("/api/me").status_code == 200
    act(admin, "west", "disable")
    until = time.monotonic() + 2
    while west.get("/api/me").status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.02)


class _Asking:
    async def is_disconnected(self):
        return False


def follow(app, name, changes):
    """What an open stream says while something happens, as whole messages."""
    service, said = app.service, []
    claims = service.tokens.read(app.token(name))

    async def run():
        async def read():
            async for part in site._follow(_Asking(), service, claims, None):
                said.append(part.decode())  # noqa: PERF401  # seen from outside while it goes on

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        for change in changes:
            await asyncio.to_thread(change)
            await asyncio.sleep(0.3)
        ended = reading.done()
        reading.cancel()
        return ended

    return in_a_loop(run()), said


def test_an_open_stream_follows_a_role_that_moves(own_app, admin, event):
    def post(number, column):
        body = event(column=column, external_id=number)
        assert own_app.as_("dispatcher").post("/api/events", json=body).status_code == 201

    def move():
        act(admin, "west", "role_add", role="dispatcher", area=OTHER)
        act(admin, "west", "role_remove", role="dispatcher", area=TOWN)

    ended, said = follow(
        own_app, "west",
        [lambda: post("1", 0), lambda: post("2", 5), move, lambda: post("3", 0), lambda: post("4", 5)],
    )  # fmt: skip
    events = [re.search(r'data: \{"id":(\d+)\}', part) for part in said if part.startswith("id:")]
    assert not ended
    dispatcher = own_app.as_("dispatcher")
    told = [dispatcher.get(f"/api/events/{found[1]}").json()["external_id"] for found in events if found]
    assert told == ["1", "4"]


@pytest.mark.parametrize("action", ["disable", "revoke", "password"])
def test_an_open_stream_ends_with_the_account_or_its_tokens(own_app, admin, action):
    given = {"password": NEXT} if action == "password" else {}
    ended, _ = follow(own_app, "west", [lambda: act(admin, "west", action, **given)])
    assert ended


def test_a_machine_token_posts_and_does_nothing_else(own_app, admin, mayor, event):
    answer = admin.post("/api/users/hotline/tokens", json={"label": "gate"})
    assert answer.status_code == 201
    machine = {"Authorization": f"Bearer {answer.json()['token']}"}
    client = own_app.client
    body = event(source="hotline", external_id="m1")
    assert client.post("/api/events", json=body, headers=machine).status_code == 201
    act(admin, "hotline", "role_add", role="admin", area="*")
    assert client.get("/api/audit", headers=machine).status_code == 403
    assert client.get("/api/areas", headers=machine).status_code == 403
    assert client.post("/api/events", json=body, headers=machine).status_code == 200
    change = {"old": PASSWORD, "new": NEXT}
    assert client.post("/api/me/password", json=change, headers=machine).status_code == 403
    (listed,) = admin.get("/api/users/hotline/tokens").json()["tokens"]
    assert (listed["label"], listed["kind"], listed["issued_by"]) == ("gate", "machine", "admin")
    assert answer.json()["token"] not in str(listed)
    assert act(admin, "hotline", "revoke", token=listed["id"]).status_code == 200
    assert client.post("/api/events", json=body, headers=machine).status_code == 401
    assert admin.post("/api/users/west/tokens", json={"label": "x"}).json()["code"] == "not_a_source"
    assert mayor.post("/api/users/hotline/tokens", json={"label": "x"}).status_code == 404


def test_machine_tokens_outlive_a_password_and_end_with_all_others(own_app, admin, event):
    token = admin.post("/api/users/hotline/tokens", json={"label": "gate"}).json()["token"]
    machine = {"Authorization": f"Bearer {token}"}
    act(admin, "hotline", "password", password=NEXT)
    assert own_app.client.get("/api/me", headers=machine).status_code == 200
    act(admin, "hotline", "disable")
    assert own_app.client.get("/api/me", headers=machine).status_code == 401
    act(admin, "hotline", "enable")
    assert own_app.client.get("/api/me", headers=machine).status_code == 200
    act(admin, "hotline", "revoke")
    assert own_app.client.get("/api/me", headers=machine).status_code == 401


def test_ones_own_password_ends_all_other_tokens(own_app):
    def token(password):
        answer = own_app.client.post("/api/token", data={"username": "admin", "password": password})
        return answer.json().get("access_token")

    mine, other = ({"Authorization": f"Bearer {token(PASSWORD)}"} for _ in range(2))

    def change(old, new, headers=mine):
        return own_app.client.post("/api/me/password", json={"old": old, "new": new}, headers=headers)

    wrong = change("not my password", NEXT)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    assert change(PASSWORD, "short").json()["code"] == "bad_password"
    assert change(PASSWORD, PASSWORD).json()["code"] == "bad_password"
    done = change(PASSWORD, NEXT)
    assert done.status_code == 200
    for headers in (mine, other):
        assert own_app.client.get("/api/me", headers=headers).status_code == 401
    fresh = {"Authorization": f"Bearer {done.json()['access_token']}"}
    assert own_app.client.get("/api/me", headers=fresh).status_code == 200
    assert token(PASSWORD) is None
    assert token(NEXT)
    for _ in range(5):
        locked = change("not my password", PASSWORD, fresh)
    assert locked.json()["code"] in {"wrong_password", "sign_in_locked"}
    assert change(NEXT, PASSWORD, fresh).json()["code"] == "sign_in_locked"
