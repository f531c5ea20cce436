"""Sessions: renewed while in use, ended by signing out; tries that are counted for all; all of it recorded."""

import datetime as dt
import re

import pytest
from fastapi.testclient import TestClient

from api.guard import SESSION_COOKIE
from api.tokens import IDLE, LIFETIME, RENEW_AFTER
from gridmap.access import Scope
from gridmap.audit import Wanted, page

PASSWORD = "a long enough password"


def sign_in(client, name="admin", password=PASSWORD):
    csrf = re.search(r'name="csrf"[^>]*value="([0-9a-f]+)"', client.get("/login").text).group(1)
    form = {"username": name, "password": password, "csrf": csrf}
    return client.post("/login", data=form, follow_redirects=False)


def value(answer):
    """The session that an answer gives, or None."""
    return answer.cookies.get(SESSION_COOKIE)


def aged(app, by, began=None):
    """A session whose last token is as old."""
    claims = app.service.tokens.read(app.client.cookies[SESSION_COOKIE])
    now = dt.datetime.now(dt.UTC)

    class Then(dt.datetime):
        @classmethod
        def now(cls, tz=None):  # noqa: ARG003  # as the original's
            return now - by

    return claims, Then, now - (began or by)


@pytest.fixture
def old_session(own_app, monkeypatch):
    """Signs in and makes the session as if its token were issued some time ago."""

    def make(by, began=None):
        own_app.client.cookies.clear()
        assert sign_in(own_app.client).status_code == 303
        claims, then, born = aged(own_app, by, began)
        with monkeypatch.context() as patch:
            patch.setattr("api.tokens.dt.datetime", then)
            token = own_app.service.tokens.issue(
                claims.account, claims.version, "session", number=claims.id, csrf=claims.csrf, born=born
            )
        own_app.client.cookies.clear()
        own_app.client.cookies.set(SESSION_COOKIE, token)
        return claims

    return make


MINUTE = dt.timedelta(minutes=1)


def test_a_session_in_use_is_renewed_and_keeps_its_number_and_its_csrf_value(own_app, old_session):
    before = old_session(RENEW_AFTER + MINUTE)
    answer = own_app.client.get("/api/me")
    fresh = value(answer)
    assert fresh
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"))
    after = own_app.service.tokens.read(fresh)
    assert (after.id, after.csrf, after.account) == (before.id, before.csrf, before.account)
    assert after.expires_at - after.issued_at == IDLE.total_seconds()
    own_app.client.cookies.clear()
    own_app.client.cookies.set(SESSION_COOKIE, fresh)
    assert value(own_app.client.get("/api/me")) is None  # young again


def test_a_session_that_nobody_used_has_ended(own_app, old_session):
    old_session(IDLE + MINUTE)
    answer = own_app.client.get("/api/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert value(answer) is None


def test_no_session_is_renewed_beyond_its_time(own_app, old_session):
    old_session(20 * MINUTE, LIFETIME - 10 * MINUTE)
    answer = own_app.client.get("/api/me")
    fresh = own_app.service.tokens.read(value(answer))
    assert fresh.expires_at - fresh.issued_at <= 600
    old_session(20 * MINUTE, LIFETIME + MINUTE)
    assert own_app.client.get("/api/me").status_code == 401


def test_bearer_tokens_are_not_renewed_and_no_cookie(own_app):
    token = own_app.token("admin")
    assert value(own_app.client.get("/api/me", headers={"Authorization": f"Bearer {token}"})) is None
    own_app.client.cookies.set(SESSION_COOKIE, token)
    assert own_app.client.get("/api/me").status_code == 401


def test_over_https_the_cookie_is_marked_secure(own_app, old_session):
    old_session(RENEW_AFTER + MINUTE)
    token = own_app.client.cookies[SESSION_COOKIE]
    answer = own_app.client.get("https://127.0.0.1/api/me", headers={"Cookie": f"{SESSION_COOKIE}={token}"})
    assert "Secure" in answer.headers["set-cookie"]


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(own_app):
    sign_in(own_app.client)
    token = own_app.client.cookies[SESSION_COOKIE]
    csrf = own_app.service.tokens.read(token).csrf
    assert own_app.client.get("/api/me").status_code == 200
    own_app.client.post("/logout", data={"csrf": "wrong"}, follow_redirects=False)
    assert own_app.client.get("/api/me").status_code == 200
    own_app.client.post("/logout", data={"csrf": csrf}, follow_redirects=False)
    own_app.client.cookies.clear()
    own_app.client.cookies.set(SESSION_COOKIE, token)
    answer = own_app.client.get("/api/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")


def test_a_page_changes_its_password_and_goes_on(own_app):
    sign_in(own_app.client)
    csrf = own_app.service.tokens.read(own_app.client.cookies[SESSION_COOKIE]).csrf
    change = {"old": PASSWORD, "new": "another long password"}
    assert own_app.client.post("/api/me/password", json=change).status_code == 403  # without the page's value
    answer = own_app.client.post("/api/me/password", json=change, headers={"X-CSRF-Token": csrf})
    assert (answer.status_code, answer.json()["access_token"]) == (200, None)
    assert own_app.client.get("/api/me").status_code == 200
    assert own_app.service.tokens.read(own_app.client.cookies[SESSION_COOKIE]).csrf == csrf


def token(client, name, password):
    return client.post("/api/token", data={"username": name, "password": password})


def test_a_lock_holds_in_every_process(own_app, another):
    for client in (own_app.client, another.client, own_app.client, another.client, own_app.client):
        assert token(client, "admin", "wrong").json()["code"] == "sign_in_failed"
    assert token(another.client, "admin", PASSWORD).json()["code"] == "sign_in_locked"
    assert own_app.as_("admin").get("/api/users/admin").json()["locked"] is True
    page_ = sign_in(own_app.client)
    assert page_.status_code == 401


def test_an_address_that_tries_many_names_is_locked(own_app):
    app = own_app.client.app
    stranger = TestClient(app, base_url="http://127.0.0.1", client=("10.1.1.1", 1234))
    for number in range(30):
        assert token(stranger, f"nobody{number}", "wrong").json()["code"] == "sign_in_failed"
    assert token(stranger, "admin", PASSWORD).json()["code"] == "sign_in_locked"
    neighbour = TestClient(app, base_url="http://127.0.0.1", client=("10.1.1.2", 1234))
    assert token(neighbour, "admin", PASSWORD).status_code == 200


def test_signing_in_and_out_and_failing_are_recorded_without_what_was_typed(own_app):
    stranger = TestClient(own_app.client.app, base_url="http://127.0.0.1", client=("10.1.1.1", 1234))
    for _ in range(6):
        token(stranger, "admin", "not the password")
    token(stranger, "typed.a.password.here", "x")
    sign_in(own_app.client, "commander", "x")
    own_app.client.post("/api/users/west/actions", headers=own_app.as_("admin").headers,
                        json={"action": "password", "password": PASSWORD})  # fmt: skip
    token(own_app.client, "west", PASSWORD)
    with own_app.database.reader() as session:
        found = [dict(row) for row in page(session, Scope(None), Wanted(action="sign_in"))]
        failed = [dict(row) for row in page(session, Scope(None), Wanted(action="sign_in.failed"))]
        locked = page(session, Scope(None), Wanted(action="sign_in.locked"))
        town = page(session, Scope.of(["990126.990126001"]), Wanted(action="sign_in"))
    assert [(row["actor"], row["object"]) for row in found] == [("west", "account:west")]
    assert [row["object"] for row in failed] == ["account:commander", "account:-", *["account:admin"] * 5]
    assert failed[-1]["detail"]["address"] == "10.1.1.1"
    assert len(locked) == 1
    assert [row["object"] for row in town] == ["account:west"]
    assert "password" not in str(found + failed)
