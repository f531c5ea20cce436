"""Who gets in: tokens, the sign-in form, CSRF, and the 401 that comes before everything."""

import re
import time

import pytest
import sqlalchemy as sa

from gridmap import accounts

PASSWORD = "a long enough password"


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/events",
        "/api/nothing/here",
        "/api/areas/1",
        "/api/heat",
        "/api/tiles/grids/0/0/0.mvt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_without_credentials_401_before_anything_else(app, path, method):
    answer = app.client.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["status"] == 401
    assert app.client.request(method, path, headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_open_paths(app):
    for path in ("/healthz", "/readyz", "/login", "/api/openapi.json"):
        assert app.client.get(path).status_code == 200, path


def test_a_token_for_a_password(app):
    answer = app.client.post("/api/token", data={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 200
    token = answer.json()
    assert token["token_type"] == "bearer"
    me = app.client.get("/api/me", headers={"Authorization": f"Bearer {token['access_token']}"}).json()
    assert me["roles"] == [{"role": "admin", "area": "*"}]
    assert me["home"] == "990126"
    assert "admin" in me["may"]
    assert "text" not in me["may"]


def test_a_failed_form_keeps_the_name_that_was_typed(app):
    page = app.client.get("/login")
    csrf = re.search(r'name="csrf"[^>]*value="([0-9a-f]+)"', page.text).group(1)
    form = {"username": "nobody<at>all", "password": "wrong", "csrf": csrf}
    answer = app.client.post("/login", data=form)
    assert answer.status_code == 401
    assert 'value="nobody&lt;at&gt;all"' in answer.text


def test_wrong_passwords_are_counted_and_the_name_is_locked(own_app):
    for left in (4, 3, 2, 1, 0):
        answer = own_app.client.post("/api/token", data={"username": "admin", "password": "wrong"})
        assert answer.status_code == 401
        assert answer.json()["findings"] == [{"left": left}]
    locked = own_app.client.post("/api/token", data={"username": "admin", "password": PASSWORD})
    assert locked.json()["code"] == "sign_in_locked"


def test_the_form_signs_in_with_its_csrf_value_and_only_with_it(app):
    page = app.client.get("/login?next=/?kind=micro")
    csrf = re.search(r'name="csrf"[^>]*value="([0-9a-f]+)"', page.text).group(1)
    form = {"username": "admin", "password": PASSWORD, "next": "/?kind=micro"}
    assert app.client.post("/login", data=form, follow_redirects=False).status_code == 403
    answer = app.client.post("/login", data={**form, "csrf": csrf}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?kind=micro")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    start = app.client.get("/")
    assert start.status_code == 200
    token = re.search(r'<meta name="csrf" content="([^"]+)"', start.text).group(1)
    # the session reads; it writes only with the page's value
    assert app.client.get("/api/me").json()["name"] == "admin"
    assert app.client.post("/api/events", json={}).status_code == 403
    assert app.client.post("/api/events", json={}, headers={"X-CSRF-Token": token}).status_code == 422


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_away_after_signing_in(app, onward):
    page = app.client.get("/login", params={"next": onward})
    assert 'name="next" value="/"' in page.text


def test_pages_ask_to_sign_in_and_come_back(app):
    answer = app.client.get("/?grid=1", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2F%3Fgrid%3D1"


def test_a_raised_version_revokes_and_a_changed_role_works_at_once(own_app):
    caller = own_app.as_("west")
    assert caller.get("/api/me").status_code == 200
    with own_app.database.writer() as session:
        session.execute(
            sa.text(
                "UPDATE account_role SET area = '990126002'"
                " WHERE account = (SELECT id FROM account WHERE name = 'west')"
            )
        )
        session.execute(sa.text("NOTIFY gridmap, 'accounts'"))
    for _ in range(50):
        if caller.get("/api/me").json()["home"] == "990126002":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the change did not arrive")
    with own_app.database.writer() as session:
        session.execute(sa.text("UPDATE account SET token_version = 2 WHERE name = 'west'"))
        session.execute(sa.text("NOTIFY gridmap, 'accounts'"))
    for _ in range(50):
        if caller.get("/api/me").status_code == 401:
            return
        time.sleep(0.05)
    pytest.fail("the token is still valid")


def test_a_session_cookie_is_no_bearer_token(app):
    with app.database.reader() as session:
        number, version = accounts.account_number(session, "admin")
    token = app.service.tokens.issue(number, version, "session")
    assert app.client.get("/api/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_security_headers_and_request_ids(app):
    answer = app.client.get("/login")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] != app.client.get("/login").headers["x-request-id"]
    assert app.as_("admin").get("/api/me").headers["cache-control"] == "no-store"


def test_too_large_a_body_is_refused(app):
    caller = app.as_("dispatcher")
    line = b"x" * (1024 * 1024)
    answer = caller.post("/api/events", content=(line for _ in range(65)))
    assert answer.status_code == 413


def test_the_description_covers_every_route_with_its_errors(app):
    described = app.client.get("/api/openapi.json").json()
    assert "/api/events" in described["paths"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/api/") and path != "/api/token":
                assert "401" in operation["responses"], (method, path)
                assert operation["security"], (method, path)
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), (method, path, parameter["name"])
