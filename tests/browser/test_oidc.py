"""Signing in at a provider as a person does it: a provider in a process of its own, on another site."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx2
import pytest
from playwright.sync_api import expect

from api.app import create_app
from gridmap import accounts, provider_identities
from gridmap.db import Database
from gridmap.settings import Settings
from tests.api.provider import serving
from tests.browser.conftest import FLAGS, context_of

pytestmark = pytest.mark.browser
ELSEWHERE = "127.0.0.2"  # also this machine, and to a browser another site
KNOWN, UNKNOWN = "5f0c1c9e-6d7f-4a57-9a0e", "00000000-nobody-has-bound-this-number"


@dataclass(frozen=True)
class Place:
    """Where the service and its provider are."""

    url: str
    issuer: str


@pytest.fixture(scope="module")
def issuer():
    """A provider that others have written; it asks for a nonce and shows its own pages."""
    with socket.socket() as free:
        free.bind((ELSEWHERE, 0))
        port = free.getsockname()[1]
    people = [json.dumps({"sub": each, "preferred_username": each}) for each in (KNOWN, UNKNOWN)]
    options = ["--host", ELSEWHERE, "--port", str(port), "--require-nonce", "true"]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", *options]
    process = subprocess.Popen([*command, *(word for each in people for word in ("--user-claims", each))])
    url = f"http://{ELSEWHERE}:{port}"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            httpx2.get(f"{url}/.well-known/openid-configuration", trust_env=False)
            break
        except httpx2.TransportError:
            assert process.poll() is None
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def place(server, cluster, issuer, tmp_path_factory):
    """The served county once more, with the provider."""
    database_url = cluster.status().url.replace("/gridmap?", "/browser?")
    database = Database(database_url, pool_size=1)
    with database.writer() as session:
        accounts.add_account(session, "wang", [("commander", "*")], display_name="王指挥")
        provider_identities.bind(session, accounts.THE_OPERATOR, "wang", issuer, subject=KNOWN)
    database.close()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = Settings(
            home=tmp_path_factory.mktemp("home"),
            secret_key="a secret for tests only",
            public_url=url,
            oidc_issuer=issuer,
            oidc_client_id="gridmap",
            oidc_client_secret="secret",
            oidc_name="县统一身份认证",
        )
        with serving(create_app(settings, database_url), listening):
            yield Place(url, issuer)


@pytest.fixture(scope="module")
def chromium(browser):
    """One that finds the other site too."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = [each.replace("EXCLUDE 127.0.0.1", f"EXCLUDE 127.0.0.1, EXCLUDE {ELSEWHERE}") for each in FLAGS]
    wider = browser.browser_type.launch(executable_path=system, args=flags)
    yield wider
    wider.close()


@pytest.fixture
def page(chromium):
    """A browser that has been nowhere."""
    context = context_of(chromium)
    yield context.new_page()
    context.close()


def agree(page, person):
    """On the provider's page."""
    expect(page.locator("h1")).to_have_text("Authorize Client")
    page.click(f'button[value="{person}"]')


def test_over_to_the_provider_and_back_onto_the_map(page, place, tmp_path):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said) if said.type == "error" else None)
    page.goto(f"{place.url}/?measure=count#map=11/30/112")
    expect(page.locator("#provider")).to_have_text("使用县统一身份认证登录")
    page.screenshot(path=tmp_path / "login.png")
    page.click("#provider")
    expect(page).to_have_url(re.compile(f"^{re.escape(place.issuer)}/"))
    agree(page, KNOWN)
    expect(page.locator("#topic h2")).to_have_text("专题")
    assert page.url.startswith(f"{place.url}/?measure=count#")
    expect(page.locator(".account summary")).to_contain_text("王指挥")
    page.click(".account summary")
    page.click(".menu form button")
    expect(page.locator(".banner")).to_contain_text("已退出本系统")
    page.screenshot(path=tmp_path / "left.png")
    page.click(".banner a")
    expect(page).to_have_url(re.compile(f"^{re.escape(place.issuer)}/oauth2/end_session"))
    page.goto(f"{place.url}/admin")
    expect(page.locator("h1")).to_have_text("登录")
    # The provider's own pages want fonts from elsewhere.
    ours = [each for each in errors if isinstance(each, str) or each.location["url"].startswith(place.url)]
    assert ours == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1440, 390])
def test_who_is_not_bound_reads_what_to_do(page, place, tmp_path, language, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{place.url}/login?lang={language}&next=/healthz")
    page.screenshot(path=tmp_path / f"login-{language}-{width}.png", full_page=True)
    page.click("#provider")
    agree(page, UNKNOWN)
    words = {"zh": "该身份尚未绑定账号", "en": "No account is bound to this identity"}
    expect(page.locator(".banner.bad b")).to_have_text(words[language])
    expect(page.locator(".banner .subject")).to_have_text(UNKNOWN)
    page.screenshot(path=tmp_path / f"unknown-{language}-{width}.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    page.click(".banner a")  # another identity
    agree(page, KNOWN)
    expect(page).to_have_url(f"{place.url}/healthz")


def test_the_button_works_without_scripts(chromium, place):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{place.url}/login?next=/healthz")
    page.click("#provider")
    agree(page, KNOWN)
    expect(page).to_have_url(f"{place.url}/healthz")
    context.close()


def test_going_back_and_trying_the_same_answer_again(page, place):
    """An answer counts once, also in the browser that it was given to."""
    answers = []
    page.on(
        "request", lambda asked: answers.append(asked.url) if "/login/oidc/callback?" in asked.url else None
    )
    page.goto(f"{place.url}/login?next=/healthz")
    page.click("#provider")
    agree(page, KNOWN)
    expect(page).to_have_url(f"{place.url}/healthz")
    page.goto(answers[0])
    expect(page.locator(".banner.bad b")).to_have_text("这次登录已失效")


def test_an_administrator_binds_an_account(page, place, tmp_path):
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{place.url}/login?next=/admin")
    page.fill("#username", "admin")
    page.fill("#password", "a long enough password")
    page.click("button[type=submit]")
    page.click("[data-key=planner]")
    facts = page.locator("#detail .facts")
    expect(facts).to_contain_text("未绑定")
    page.click("#detail [data-key='admin.identity_bind']")
    page.fill("dialog [name=subject]", KNOWN)
    page.click("dialog .primary")
    expect(page.locator("dialog .banner.bad")).to_contain_text("已绑定或预留给别的账号")
    page.fill("dialog [name=subject]", "")
    page.fill("dialog [name=named]", UNKNOWN)
    page.click("dialog .primary")
    expect(facts).to_contain_text(f"等候 {UNKNOWN}")
    page.screenshot(path=tmp_path / "admin.png")
    page.click("#detail [data-key='admin.identity_unbind']")
    page.fill("dialog [name=reason]", "form 12")
    page.click("dialog .danger")
    expect(facts).to_contain_text("未绑定")
