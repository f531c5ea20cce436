"""Signing in at an external provider: who gets in, as whom, and what a browser is led to."""

import datetime as dt
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse

from api import oidc_attempt
from gridmap import account_changes, accounts, provider_identities
from gridmap.access import Scope
from gridmap.audit import Wanted, page
from gridmap.settings import Settings
from tests.api.conftest import PASSWORD, serve
from tests.api.provider import CLIENT, SECRET, provided

HERE = "http://127.0.0.1"
SUBJECT = "248289761001"


def settings_at(provider, home):
    """Of a service that believes this provider."""
    return Settings(
        home=home,
        secret_key="a secret for tests only",
        public_url=HERE,
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
    )


@pytest.fixture(scope="module")
def provider():
    with provided() as provider:
        yield provider


@pytest.fixture(scope="module")
def served(module_url, tmp_path_factory, provider):
    settings = settings_at(provider, tmp_path_factory.mktemp("home"))
    yield from serve(module_url, settings)


@pytest.fixture
def app(served, provider):
    """West is bound to the person whom the provider knows; afterwards nobody is."""
    fresh = type(provider)(provider.url)
    provider.__dict__.update({**fresh.__dict__, "keys": provider.keys})
    served.client.cookies.clear()
    bind(served, "west", subject=SUBJECT)
    yield served
    with served.service.database.writer() as session:
        session.execute(sa.text("DELETE FROM account_identity"))
        session.execute(sa.text("UPDATE account SET disabled_at = NULL"))


def bind(app, name, **identity):
    with app.database.writer() as session:
        provider_identities.bind(session, accounts.THE_OPERATOR, name, app.settings.oidc_issuer, **identity)


def begin(client, path="/login/oidc", **more):
    """Presses the button → the address at the provider."""
    answer = client.get(path, follow_redirects=False, **more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agree(url):
    """What the provider's page does → the path and query of the way back."""
    answer = httpx2.get(url, trust_env=False)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{HERE}/login/oidc/callback"
    return f"{back.path}?{back.query}"


def arrive(client, path="/login/oidc", **more):
    """The whole way."""
    return client.get(agree(begin(client, path, **more)), follow_redirects=False)


def said(answer):
    """The banner's first words."""
    found = re.search(r'class="banner[^>]*>.*?<b>(.*?)</b>', answer.text, re.DOTALL)
    return found and found[1]


def recorded(app, action, limit=1):
    with app.database.reader() as session:
        return page(session, Scope(None), Wanted(action=action))[:limit]


def test_who_is_bound_gets_a_session_like_any_other(app):
    answer = arrive(app.client, "/login/oidc?next=/%3Fmeasure%3Dcount%23a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?measure=count#a")
    cookies = answer.headers.get_list("set-cookie")
    session = next(each for each in cookies if each.startswith("gridmap_session="))
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert any(each.startswith('gridmap_oidc=""') and "Max-Age=0" in each for each in cookies)
    assert app.client.get("/api/me").json()["name"] == "west"
    # A page's session: what changes something needs its CSRF value, and signing out ends it.
    assert app.client.post("/api/events", json={}).status_code == 403
    value = re.search(r'name="csrf" content="([^"]+)"', app.client.get("/").text)
    kept = app.client.cookies["gridmap_session"]
    answer = app.client.post("/logout", data={"csrf": value[1]}, follow_redirects=False)
    assert answer.headers["location"] == "/login?left=provider"
    app.client.cookies.set("gridmap_session", kept)
    assert app.client.get("/api/me").status_code == 401
    entry = recorded(app, "sign_in")[0]
    assert (entry["actor"], entry["object"]) == ("west", "account:west")
    assert [entry["detail"][key] for key in ("subject", "kind")] == [SUBJECT, "session"]
    assert entry["detail"]["provider"] == app.settings.oidc_issuer


def test_what_is_asked_of_the_provider(app, provider):
    arrive(app.client)
    asked = provider.seen[-1]
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT
    assert asked["scope"] == "openid profile"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert min(len(asked["state"]), len(asked["nonce"])) == 43
    arrive(app.client)
    assert provider.seen[-1]["state"] != asked["state"]
    assert provider.seen[-1]["nonce"] != asked["nonce"]
    assert "prompt" not in asked
    begun = begin(app.client, "/login/oidc?again=1")
    assert parse_qs(urlsplit(begun).query)["prompt"] == ["login"]


def test_the_cookie_tells_nothing_and_goes_nowhere_else(app):
    answer = app.client.get("/login/oidc", follow_redirects=False)
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("gridmap_oidc"))
    assert {"HttpOnly", "Max-Age=600", "Path=/login/oidc", "SameSite=lax"} <= set(cookie.split("; "))
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    attempt = app.service.attempts.resumed(app.client.cookies["gridmap_oidc"], query["state"][0])
    assert attempt is not None
    for value in (attempt.state, attempt.nonce, attempt.verifier):
        assert value not in cookie


@pytest.mark.parametrize("header", ["host", "x-forwarded-host", "x-original-host", "forwarded"])
def test_where_the_answer_comes_to_is_nobodys_to_say(app, provider, header):
    value = "host=evil.example;proto=https" if header == "forwarded" else "evil.example"
    url = begin(app.client, headers={header: value, "x-forwarded-proto": "https"})
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{HERE}/login/oidc/callback"]
    assert "evil" not in url


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "javascript:alert(1)",
        "http:evil.example", "evil.example", "//[", "https://[", "", "/\r\nSet-Cookie: a=b", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_nobody_is_led_away(app, onward):
    url = begin(app.client, str(httpx2.URL("/login/oidc", params={"next": onward})))
    answer = app.client.get(agree(url), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "a" not in answer.cookies
    assert app.client.get("/login", params={"next": onward}).status_code == 200


def test_nobody_is_bound_unless_an_administrator_said_so(app, provider):
    """The name that the provider gives is an account's name, and its e-mail, and that changes nothing."""
    provider.person = {
        "sub": "another",
        "preferred_username": "admin",
        "email": "admin",
        "email_verified": True,
    }
    with app.database.reader() as session:
        before = session.execute(sa.text("SELECT count(*), sum(token_version) FROM account")).one()
    answer = arrive(app.client)
    assert answer.status_code == 403
    assert said(answer) == "该身份尚未绑定账号"
    assert '<code class="subject">another</code>' in answer.text
    assert "gridmap_session" not in answer.cookies
    english = app.client.get(agree(begin(app.client)) + "&lang=en", follow_redirects=False)
    assert said(english) == "No account is bound to this identity"
    entry = recorded(app, "sign_in.failed")[0]
    assert (entry["actor"], entry["object"]) == ("-", "account:-")
    assert [entry["detail"][key] for key in ("subject", "named")] == ["another", "admin"]
    assert entry["detail"]["provider"] == provider.url
    with app.database.reader() as session:
        assert session.execute(sa.text("SELECT count(*), sum(token_version) FROM account")).one() == before


def test_a_disabled_account_stays_closed(app):
    with app.database.writer() as session:
        account_changes.disable(session, accounts.THE_OPERATOR, "west")
    answer = arrive(app.client)
    assert (answer.status_code, said(answer)) == (403, "账号已停用")
    assert SUBJECT not in answer.text
    assert "gridmap_session" not in answer.cookies
    entry = recorded(app, "sign_in.failed")[0]
    assert entry["object"] == "account:west"


def test_an_awaited_name_is_taken_once_and_for_good(app, provider):
    bind(app, "east", named="li.si")
    provider.person = {"sub": "first", "preferred_username": "li.si"}
    assert arrive(app.client).status_code == 303
    assert app.client.get("/api/me").json()["name"] == "east"
    taken = recorded(app, "account.identity_taken")[0]
    assert (taken["actor"], taken["detail"]["subject"]) == ("east", "first")
    app.client.cookies.clear()
    provider.person = {"sub": "second", "preferred_username": "li.si"}
    assert said(arrive(app.client)) == "该身份尚未绑定账号"
    provider.person = {"sub": "first", "preferred_username": "renamed"}
    assert arrive(app.client).status_code == 303
    assert app.client.get("/api/me").json()["name"] == "east"


@pytest.mark.parametrize("why", ["too late", "another letter", "disabled", "no name", "a list"])
def test_an_awaited_name_is_not_taken(app, provider, why):
    bind(app, "east", named="li.si")
    named = {"another letter": "Li.si", "no name": None, "a list": ["li.si"]}.get(why, "li.si")
    provider.person = {"sub": "first", **({} if named is None else {"preferred_username": named})}
    with app.database.writer() as session:
        if why == "too late":
            session.execute(
                sa.text("UPDATE account_identity SET awaited_until = now() WHERE named = 'li.si'")
            )
        if why == "disabled":
            account_changes.disable(session, accounts.THE_OPERATOR, "east")
    answer = arrive(app.client)
    assert said(answer) == ("账号已停用" if why == "disabled" else "该身份尚未绑定账号")
    with app.database.reader() as session:
        bound = session.execute(sa.text("SELECT subject FROM account_identity WHERE named = 'li.si'"))
        assert bound.scalars().all() == [None]


@pytest.mark.parametrize(("told", "gets_in"), [("first", True), ("somebody else", False), (None, False)])
def test_a_name_may_stand_in_userinfo_alone(app, provider, told, gets_in):
    bind(app, "east", named="li.si")
    provider.person = {"sub": "first", "preferred_username": "li.si"}
    provider.in_token = False
    if told != "first":
        body = {"sub": told, "preferred_username": "li.si"} if told else ["nonsense"]
        provider.faults.answers["userinfo"] = lambda: JSONResponse(body)
    answer = arrive(app.client)
    assert answer.status_code == (303 if gets_in else 403)
    provider.person["sub"] = SUBJECT  # who is bound already needs no name
    assert arrive(app.client).status_code == 303


@pytest.mark.parametrize("verified", [True, False, "true", None])
def test_an_address_counts_only_when_it_is_verified(app, provider, verified, monkeypatch):
    monkeypatch.setattr(app.service.provider, "_settings", replace(app.settings, oidc_claim="email"))
    bind(app, "east", named="li@example.org")
    provider.person = {"sub": "first", "email": "li@example.org", "email_verified": verified}
    assert arrive(app.client).status_code == (303 if verified is True else 403)


def test_unbinding_ends_the_session_at_once(app):
    arrive(app.client)
    assert app.client.get("/api/me").status_code == 200
    with app.database.writer() as session:
        provider_identities.unbind(session, accounts.THE_OPERATOR, "west", "left")
    app.service.identities.forget()
    assert app.client.get("/api/me").status_code == 401
    assert said(arrive(app.client)) == "该身份尚未绑定账号"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_secret_goes_as_the_provider_wants_it(app, provider, method):
    provider.methods = [method]
    app.service.provider._document_at = -1e9
    assert arrive(app.client).status_code == 303
    app.service.provider._document_at = -1e9


def test_a_client_without_a_secret(app, provider, monkeypatch):
    provider.methods = ["none"]
    public = replace(app.settings, oidc_client_secret=None)
    monkeypatch.setattr(app.service.provider, "_settings", public)
    assert arrive(app.client).status_code == 303


def test_an_answer_counts_once(app, provider):
    url = begin(app.client)
    kept = app.client.cookies["gridmap_oidc"]
    back = agree(url)
    assert app.client.get(back, follow_redirects=False).status_code == 303
    app.client.cookies.clear()
    again = app.client.get(back, follow_redirects=False)
    assert (again.status_code, said(again)) == (400, "这次登录已失效")
    # Even where the cookie was kept aside: the provider's code holds once.
    again = app.client.get(back, headers={"cookie": f"gridmap_oidc={kept}"}, follow_redirects=False)
    assert (again.status_code, said(again)) == (400, "这次登录已失效")
    assert "gridmap_session" not in again.cookies


def test_an_answer_counts_in_the_browser_that_asked(app):
    """Somebody else's answer would sign this browser in as them."""
    theirs = agree(begin(app.client))
    app.client.cookies.clear()
    assert app.client.get(theirs, follow_redirects=False).status_code == 400  # no attempt of its own
    mine = agree(begin(app.client))
    kept = app.client.cookies["gridmap_oidc"]
    assert app.client.get(theirs, follow_redirects=False).status_code == 400  # another attempt's answer
    # Their code under my state: the verifier is not theirs.
    code = {name: parse_qs(urlsplit(url).query)["code"][0] for name, url in (("their", theirs), ("my", mine))}
    mixed = mine.replace(code["my"], code["their"])
    answer = app.client.get(mixed, headers={"cookie": f"gridmap_oidc={kept}"}, follow_redirects=False)
    assert answer.status_code == 400
    assert "gridmap_session" not in app.client.cookies


@pytest.mark.parametrize("wrong", ["old", "altered", "another key", "a session", "nothing", "garbage"])
def test_a_cookie_that_does_not_hold(app, monkeypatch, wrong):
    if wrong == "old":
        monkeypatch.setattr(oidc_attempt, "HOLDS", dt.timedelta(seconds=-1))
    url = begin(app.client)
    state = parse_qs(urlsplit(url).query)["state"][0]
    cookie = app.client.cookies.get("gridmap_oidc", "")
    if wrong == "old":
        cookie = app.service.attempts.begin("/")[1]
    if wrong == "altered":
        cookie = cookie[:-4] + ("AAAA" if cookie[-4:] != "AAAA" else "BBBB")
    if wrong == "another key":
        cookie = oidc_attempt.Attempts("another secret").begin("/")[1]
    if wrong == "a session":
        cookie = app.service.tokens.issue(1, 1, "session")
    if wrong == "garbage":
        cookie = "a.b.c"
    app.client.cookies.clear()
    headers = {} if wrong == "nothing" else {"cookie": f"gridmap_oidc={cookie}"}
    answer = app.client.get(f"/login/oidc/callback?code=x&state={state}", headers=headers)
    assert (answer.status_code, said(answer)) == (400, "这次登录已失效")
    assert not app.service.attempts.resumed(cookie, "")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        ("access_denied", 403, "登录已取消"),
        ("temporarily_unavailable", 503, "认证服务暂时不可用"),
        ("server_error", 503, "认证服务暂时不可用"),
        ("invalid_scope", 403, "认证服务的答复无法核实"),
        ("<script>", 403, "认证服务的答复无法核实"),
        ("", 403, "认证服务的答复无法核实"),
    ],
)
def test_what_the_provider_refuses(app, error, status, words):
    state = parse_qs(urlsplit(begin(app.client, "/login/oidc?next=/admin")).query)["state"][0]
    answer = app.client.get("/login/oidc/callback", params={"error": error, "state": state})
    assert (answer.status_code, said(answer)) == (status, words)
    assert "<script>" not in answer.text
    assert 'name="next" value="/admin"' in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    # Without the state of an attempt it is nobody's answer.
    answer = app.client.get("/login/oidc/callback", params={"error": error, "state": "x"})
    assert (answer.status_code, said(answer)) == (400, "这次登录已失效")


def test_leaving_the_provider_too(app):
    arrive(app.client)
    left = app.client.get("/login?left=provider").text
    assert 'href="/login/oidc/out"' in left
    url = app.client.get("/login/oidc/out", follow_redirects=False).headers["location"]
    query = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{app.settings.oidc_issuer}/leave?")
    assert query == {"client_id": [CLIENT], "post_logout_redirect_uri": [f"{HERE}/login"]}


def test_passwords_go_on_beside_it(app):
    form = app.client.get("/login").text
    assert 'id="provider"' in form
    assert 'href="/login/oidc?next=%2F"' in form
    csrf = re.search(r'name="csrf" value="([^"]+)"', form)[1]
    fields = {"csrf": csrf, "username": "admin", "password": PASSWORD}
    assert app.client.post("/login", data=fields, follow_redirects=False).status_code == 303
    value = re.search(r'name="csrf" content="([^"]+)"', app.client.get("/").text)[1]
    left = app.client.post("/logout", data={"csrf": value}, follow_redirects=False)
    assert left.headers["location"] == "/login"  # this session was not begun there


def test_without_a_provider_there_is_none(own_app):
    assert "oidc" not in own_app.client.get("/login?left=provider").text
    for path in ("/login/oidc", "/login/oidc/callback?code=a&state=b", "/login/oidc/out"):
        answer = own_app.client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    admin = own_app.as_("admin")
    asked = {"action": "identity_bind", "subject": "1"}
    answer = admin.post("/api/users/west/actions", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_provider")


def test_any_process_knows_the_attempt_that_another_began(app):
    back = agree(begin(app.client))
    cookie = {"cookie": f"gridmap_oidc={app.client.cookies['gridmap_oidc']}"}
    for other in serve(app.url, app.settings):
        answer = other.client.get(back, headers=cookie, follow_redirects=False)
        assert answer.status_code == 303
        assert other.client.get("/api/me").json()["name"] == "west"


def test_a_name_locked_by_wrong_passwords_is_not_locked_there(app):
    wrong = {"username": "west", "password": "a wrong password"}
    codes = [app.client.post("/api/token", data=wrong).json()["code"] for _ in range(6)]
    assert codes[-1] == "sign_in_locked"
    assert arrive(app.client).status_code == 303
