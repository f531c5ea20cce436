"""Administration: accounts, roles and areas, the audit, one's own password."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PASSWORD = "a long enough password"


@pytest.fixture
def admin(visit):
    seen = visit("admin")
    seen.page.goto(f"{seen.server.url}/admin")
    seen.page.wait_for_selector("#list tbody tr")
    return seen


def test_the_map_leads_administrators_there_and_nobody_else(visit):
    page = visit("admin").open("/")
    page.click("nav >> text=管理")
    expect(page).to_have_url(re.compile(r"/admin$"))
    expect(page.locator("#list tbody tr")).not_to_have_count(0)
    other = visit("commander").open("/")
    expect(other.locator("nav a")).to_have_count(1)
    other.goto(other.url.split("?")[0].rstrip("/") + "/admin")
    expect(other).not_to_have_url(re.compile("/admin"))


def test_an_account_is_added_given_a_role_and_closed(admin):
    page = admin.page
    page.click("text=新建账号")
    page.fill("dialog [name=name]", "wang.li")
    page.fill("dialog [name=display_name]", "王丽")
    page.select_option("dialog [name=role]", "dispatcher")
    page.fill("dialog [name=area]", "nowhere")
    page.fill("dialog [name=password]", PASSWORD)
    page.click("dialog .primary")
    expect(page.locator("dialog .banner.bad")).to_be_visible()
    admin.allowed.append("422")
    page.fill("dialog [name=area]", "*")
    page.click("dialog .primary")
    expect(page.locator("#detail h2")).to_have_text("王丽")
    expect(page.locator("dialog")).to_have_count(0)
    row = page.locator("#list tr", has_text="王丽")
    expect(row).to_contain_text("调度员 · 全域")
    page.select_option("#detail [name=role]", "planner")
    page.fill("#detail [name=area]", "*")
    page.click("#detail form button")
    expect(row).to_contain_text("规划员 · 全域")
    page.click("#detail [aria-label='收回角色 规划员 · 全域']")
    page.fill("dialog [name=reason]", "借调结束")
    page.click("dialog .danger")
    expect(row).not_to_contain_text("规划员")
    page.click("#detail >> text=停用账号")
    page.click("dialog .danger")
    expect(row).to_contain_text("停用")
    expect(page.locator("#detail .banner.bad")).to_contain_text("停用")
    expect(page.locator("dialog")).to_have_count(0)
    page.fill("#list [type=search]", "王丽")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.click("#tabs >> text=审计")
    page.fill("[name=object]", "account:wang.li")
    page.click("#list .primary")
    expect(page.locator("#list tbody tr")).to_have_count(4)
    expect(page.locator("#list tbody tr").nth(1)).to_contain_text("借调结束")


def test_a_dialog_closes_once_its_deed_is_done_whatever_arrives_late(admin):
    page = admin.page
    held = []
    page.route("**/api/users/zhao.min/tokens", lambda route: held.append(route))  # noqa: PLW0108  # playwright marks its handlers
    page.click("text=新建账号")
    page.fill("dialog [name=name]", "zhao.min")
    page.select_option("dialog [name=role]", "dispatcher")
    page.fill("dialog [name=area]", "*")
    page.fill("dialog [name=password]", PASSWORD)
    with page.expect_request("**/api/users/zhao.min/tokens"):
        page.click("dialog .primary")
    expect(page.locator("dialog")).to_have_count(0)
    page.fill("#detail [name=area]", "*")
    expect(page.locator("#detail [name=area]")).to_have_value("*")
    held[0].continue_()


def test_what_arrives_late_takes_nothing_back_that_is_being_filled_in(admin):
    page = admin.page
    held = []
    page.route("**/api/users/admin/tokens", lambda route: held.append(route))  # noqa: PLW0108  # playwright marks its handlers
    with page.expect_request("**/api/users/admin/tokens"):
        page.click("#list [data-key=admin]")
    expect(page.locator("#detail [name=role]")).to_have_value("")
    page.select_option("#detail [name=role]", "planner")
    page.fill("#detail [name=area]", "*")
    held[0].continue_()
    expect(page.locator("#tokens li")).not_to_have_count(0)
    expect(page.locator("#detail [name=role]")).to_have_value("planner")
    expect(page.locator("#detail [name=area]")).to_have_value("*")


def test_the_audit_is_filtered_and_says_what_is_sealed(admin):
    page = admin.page
    page.goto(f"{admin.server.url}/admin?lang=en#audit")
    page.reload()
    page.wait_for_selector("#list tbody tr")
    page.select_option("[name=action]", "sign_in")
    page.click("#list .primary")
    expect(page.locator("#list tbody tr").first).to_contain_text("Sign-in")
    expect(page.locator("#list th").first).to_have_text("When")


def test_ones_own_password(visit):
    seen = visit("planner")
    page = seen.open("/")
    page.click(".account summary")
    for language in ("Change password", "修改密码"):  # what is drawn anew meanwhile leaves the menu open
        page.click("[data-key=language]")
        expect(page.locator(f".account[open] >> text={language}")).to_be_visible()
    page.click("text=修改密码")
    page.fill("dialog [name=old]", PASSWORD)
    page.fill("dialog [name=new]", "the first new password")
    page.fill("dialog [name=again]", "another new password")
    page.click("dialog .primary")
    expect(page.locator("dialog .banner.bad")).to_contain_text("不一致")
    for old, new in ((PASSWORD, "the first new password"), ("the first new password", PASSWORD)):
        if not page.locator("dialog").count():
            if not page.locator(".account[open]").count():
                page.click(".account summary")
            page.click("text=修改密码")
        page.fill("dialog [name=old]", old)
        page.fill("dialog [name=new]", new)
        page.fill("dialog [name=again]", new)
        page.click("dialog .primary")
        expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".toast").last).to_contain_text("密码已修改")


def test_what_was_asked_before_the_password_changed_is_asked_again(visit):
    seen = visit("planner")
    page = seen.open("/")
    old = page.context.cookies()
    held = []
    page.route("**/api/search?*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/api/search?*"):
        page.keyboard.press("/")
        page.keyboard.type("村")
    for before, after in ((PASSWORD, "the first new password"), ("the first new password", PASSWORD)):
        page.evaluate(
            """async ([old, now]) => {
              const page = document.querySelector("script[type=module][src*='/app.js']").src;
              const { renew, send } = await import(page.replace("app.js", "api.js"));
              await renew(() => send("POST", "/api/me/password", { old, new: now }, { last: true }));
            }""",
            [before, after],
        )
    assert {each["value"] for each in old} != {each["value"] for each in page.context.cookies()}
    seen.allowed.append("401")
    with page.expect_response(lambda answer: "/api/search" in answer.url and answer.ok):
        held[0].fulfill(status=401, json={"code": "unauthorised"})
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_is_wider_than_the_window(visit, width, height, tmp_path):
    seen = visit("admin", viewport={"width": width, "height": height})
    page = seen.page
    page.goto(f"{seen.server.url}/admin")
    page.click("#list tbody tr:first-child button")
    page.wait_for_selector("#detail h2")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / f"admin-{width}.png")
    page.goto(f"{seen.server.url}/admin?lang=en")
    page.get_by_role("tab", name="Categories").or_(page.get_by_role("button", name="Categories")).click()
    last = page.locator("#list tbody button").last.bounding_box()
    assert last["x"] + last["width"] <= width
    assert page.locator(".bar nav").evaluate("node => node.scrollWidth - node.clientWidth") <= 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_category_is_closed_to_a_role_and_opened_again(admin, visit):
    page = admin.page
    page.click("#tabs >> text=类别")
    row = page.locator("#list tbody tr", has_text="警情")
    expect(row).to_contain_text("对所有角色开放")
    for closed in (True, False):
        row.get_by_role("button").click()
        page.locator("dialog").get_by_label("指挥长").set_checked(closed)
        page.fill("dialog [name=reason]", "只限派出所")
        page.click("dialog .primary")
        expect(row.locator("td").nth(1)).to_have_text("指挥长" if closed else "对所有角色开放")
        expect(page.locator("dialog")).to_have_count(0)
        police = visit("commander").open("/").locator("[data-key=category-police_case]")
        expect(police).to_be_disabled() if closed else expect(police).to_be_enabled()
        expect(police.locator(".mid")).to_have_count(0 if closed else 1)
    page.reload()
    expect(page.locator("#list tbody tr")).to_have_count(6)
    page.click("#tabs >> text=审计")
    expect(page.locator("#list tbody tr", has_text="类别开放范围")).not_to_have_count(0)
