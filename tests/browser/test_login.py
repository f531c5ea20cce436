"""Signing in, as a person does it."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_wrong_password_is_said_and_the_right_one_opens_the_map(contexts, server):
    page = contexts().new_page()
    page.goto(f"{server.url}/?measure=count")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    expect(page.locator("h1")).to_have_text("登录")
    page.fill("#username", "commander")
    page.fill("#password", "not this one")
    page.click("button[type=submit]")
    expect(page.locator(".banner.bad")).to_contain_text(re.compile(r"账号或密码不正确，还可再试 \d+ 次"))
    page.fill("#username", "commander")
    page.fill("#password", "a long enough password")
    page.click("button[type=submit]")
    expect(page.locator("#topic h2")).to_have_text("专题")
    assert "measure=count" in page.url
    page.click(".account summary")
    page.click(".menu form button")
    expect(page.locator("h1")).to_have_text("登录")


def test_the_password_can_be_shown_and_caps_lock_is_said(contexts, server):
    page = contexts().new_page()
    page.goto(f"{server.url}/login?lang=en")
    expect(page.locator("h1")).to_have_text("Sign in")
    page.fill("#password", "abc")
    page.click("#reveal")
    expect(page.locator("#password")).to_have_attribute("type", "text")
    page.click("#reveal")
    expect(page.locator("#password")).to_have_attribute("type", "password")
    expect(page.locator("#caps span")).to_be_hidden()
    shout = "new KeyboardEvent('keydown', {key: 'A', modifierCapsLock: true, bubbles: true})"
    page.evaluate(f"document.getElementById('password').dispatchEvent({shout})")
    expect(page.locator("#caps span")).to_be_visible()


def test_the_form_works_without_scripts(contexts, server):
    page = contexts(java_script_enabled=False).new_page()
    page.goto(f"{server.url}/login?next=/healthz")
    page.fill("#username", "planner")
    page.fill("#password", "a long enough password")
    page.click("button[type=submit]")
    expect(page).to_have_url(re.compile("/healthz$"))


def test_a_phone_shows_the_whole_form(contexts, server):
    page = contexts(viewport={"width": 390, "height": 844}, is_mobile=True).new_page()
    page.goto(f"{server.url}/login")
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") == 0
    expect(page.locator("button[type=submit]")).to_be_in_viewport()
