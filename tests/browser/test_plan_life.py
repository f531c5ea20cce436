"""The life of a plan on its pages: submitted, approved, published, overtaken by others; languages, the phone."""

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from tests.browser.desk import SMALL, DeskPage, middle, neighbours, opened, ring, step, village

pytestmark = pytest.mark.browser


def on_desk(visitor, client, number, query=""):
    visitor.page.goto(f"{visitor.server.url}/plan?id={number}{query}")
    return DeskPage(visitor.page, client, number).ready()


def merged(client, number, nth=0):
    """Two neighbours merged, by way of the interface; their codes."""
    grids = DeskPage(None, client, number).micro()
    pairs = sorted({(a, b) for a, b, _ in neighbours(grids)})
    a, b = pairs[nth]
    step(client, number, "edits", op="merge", grids=[a, b], into=a)
    return a, b


def comment(page):
    page.click('[data-key="tab-comments"]')
    expect(page.locator("#plan-panel")).to_contain_text("还没有意见")
    page.fill("[name=comment]", "沿街商铺应归一格")
    page.click("#plan-panel form .primary")
    expect(page.locator(".comments li")).to_contain_text("沿街商铺应归一格")
    expect(page.locator("[name=comment]")).to_have_value("")
    page.click('[data-key="tab-impact"]')


def on_notice(page, storage, number, left):
    """A plan is on notice for so long from now; the page looks, as when somebody comes back to it."""
    with storage.writer() as session:
        session.execute(
            sa.text("UPDATE plan SET notice_until = now() + CAST(:left AS interval) WHERE id = :plan"),
            {"left": left, "plan": number},
        )
    page.evaluate("dispatchEvent(new Event('focus'))")


def noticed(page, client, storage, number):
    """Nothing is published while people may still speak; the page sees by itself when that is over."""
    notice, publish = page.locator('[data-key="notice"]'), page.locator('[data-key="publish"]')
    on_notice(page, storage, number, "74 hours")
    expect(notice).to_contain_text("还有 3 天")
    expect(page.locator("#publish-note")).to_contain_text("期满后可发布")
    expect(publish).to_be_disabled()
    refused = client.post(f"/api/plans/{number}/publish", json={"revision": 4})
    assert (refused.status_code, refused.json()["code"]) == (409, "notice_runs")
    comment(page)
    on_notice(page, storage, number, "1 second")
    expect(notice).to_have_count(0)
    expect(publish).to_be_enabled()


def half_a_moment(page):
    """What is half typed reads as nothing, which would be at once; what is drawn anew meanwhile leaves it as it is."""
    field, dialog = page.locator('[data-key="effective"]'), page.locator("dialog[open]")
    field.focus()
    page.keyboard.type("12")
    page.click('[data-key="tab-grids"]')
    page.click('[data-key="tab-impact"]')
    assert field.evaluate("node => node.validity.badInput && !node.value")
    page.click('[data-key="publish"]')
    expect(page.locator("#publish-note")).to_contain_text("没有填完")
    expect(field).to_be_focused()
    expect(dialog).to_have_count(0)
    field.fill("2020-01-01T00:00")
    page.click('[data-key="publish"]')
    expect(page.locator("#publish-note")).to_contain_text("生效时间已过")
    expect(dialog).to_have_count(0)
    field.fill("")


def test_one_submits_another_approves_and_publishes(visit, server, storage):
    with server.client("planner") as client:
        number = opened(client, village(client))
        a, b = merged(client, number)
        drawing = on_desk(visit("planner", viewport=SMALL), client, number)
        page = drawing.page
        expect(page.locator('[data-key="submit"]')).to_be_enabled()
        page.click('[data-key="submit"]')
        drawing.revision(3)
        expect(page.locator(".steps .now")).to_contain_text("审批")
        expect(page.locator('[data-key="tool-split"]')).to_be_disabled()
        expect(page.locator('[data-key="approve"]')).to_have_count(0)
    with server.client("approver") as client:
        deciding = on_desk(visit("approver", viewport=SMALL), client, number)
        page = deciding.page
        expect(page.locator('[data-key="tab-impact"]')).to_have_attribute("aria-selected", "true")
        expect(page.locator("body")).to_have_attribute("data-swipe", "ready")
        line = page.locator(".swipe")
        at = line.bounding_box()["x"]
        line.press("ArrowLeft")
        assert line.bounding_box()["x"] < at
        expect(page.locator(".lineage text", has_text="停用")).to_have_count(1)
        expect(page.locator(".ready li")).not_to_have_count(0)
        publish = page.locator('[data-key="publish"]')
        expect(publish).to_be_disabled()
        page.click('[data-key="approve"]')
        deciding.revision(4)
        noticed(page, client, storage, number)
        half_a_moment(page)
        base = client.get(f"/api/plans/{number}?areas=false").json()["base"]
        expect(publish).to_have_text(f"发布为第 {base + 1} 版")
        publish.click()
        page.click("dialog .primary")
        deciding.revision(5)
        expect(page.locator(".saved")).to_contain_text(f"第 {base + 1} 版")
        newest = client.get("/api/editions").json()["editions"][0]
        assert newest["id"] == base + 1
        codes = {
            each["properties"]["code"]
            for each in client.get("/api/areas", params={"kind": "micro"}).json()["features"]
        }
        assert a in codes
        assert b not in codes
        page.click('[data-key="revert"]')
        page.fill("dialog [name=reason]", "居民意见未达成一致")
        page.click("dialog .danger")
        deciding.revision(6)
        expect(page.locator('[data-key="revert"]')).to_have_count(0)
        assert client.get("/api/editions").json()["editions"][0]["id"] == base + 2
        again = client.get("/api/areas", params={"kind": "micro"}).json()["features"]
        assert b in {each["properties"]["code"] for each in again}


def test_what_others_did_meanwhile_is_said_and_nothing_is_lost(visit, server):
    with server.client("planner") as client, server.client("approver") as approver:
        number = opened(client, village(client))
        visitor = visit("planner", viewport=SMALL)
        visitor.allowed.append("409")
        desk = on_desk(visitor, client, number)
        page, grids = desk.page, desk.micro()
        a, b = max((a, b) for a, b, _ in neighbours(grids))
        desk.tool("m", "merge")
        for code in (a, b):
            desk.click(*middle(grids[code]))
        expect(page.locator("#tool-card .piece")).to_have_count(3)
        other = next(code for code in grids if code not in (a, b))
        step(client, number, "edits", op="rename", grid=other, name="桥头一格")
        page.keyboard.press("Enter")
        expect(page.locator("#notices .banner.info")).to_contain_text("planner")
        assert len(desk.micro()) == len(grids)
        page.click('[data-key="notice-again"]')
        desk.revision(3)
        assert len(desk.micro()) == len(grids) - 1
        # Another plan becomes the next edition: this one is told, and follows in one step.
        publish_renamed(client, approver, next(code for code in grids if code not in (a, b, other)))
        page.locator('[data-key="rebase"]').click()
        desk.revision(4)
        expect(page.locator("#notices .banner")).to_have_count(0)
        assert desk.stored()["base_current"] is True
        assert len(desk.micro()) == len(grids) - 1
        # One that changed a merged grid is in the way: what came before the merger is kept where the planner says so.
        publish_renamed(client, approver, a)
        page.locator('[data-key="rebase"]').click()
        expect(page.locator("#notices .collisions li")).to_have_count(1)
        expect(page.locator("#notices .collisions")).to_contain_text("approver")
        page.click('[data-key="notice-keep"]')
        desk.revision(5)
        expect(page.locator("#notices .banner")).to_have_count(0)
        assert (desk.stored()["base_current"], desk.stored()["head"]) == (True, 1)
        assert len(desk.micro()) == len(grids)


def publish_renamed(client, approver, grid):
    """Somebody else's plan becomes the next edition."""
    number = opened(client, village(client))
    step(client, number, "edits", op="rename", grid=grid, name="桥头二格")
    for who, what in ((client, "submit"), (approver, "approve"), (approver, "publish")):
        step(who, number, what)


def test_both_languages_and_a_phone_that_reads_and_does_not_draw(visit, server):
    with server.client("planner") as client:
        number = opened(client, village(client))
        merged(client, number, 1)
        visitor = visit("planner", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
        page = on_desk(visitor, client, number, "&lang=en").page
        expect(page.locator('[data-key="tab-grids"]')).to_contain_text("Grids")
        expect(page.locator("#plan-tools")).to_be_hidden()
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0
        # All of the village is seen at first.
        desk = DeskPage(page, client, number)
        ground = page.locator("#map").bounding_box()
        for place in (place for grid in desk.micro().values() for place in ring(grid)):
            x, y = desk.at(*place)
            assert 0 <= x <= 390
            assert ground["y"] <= y <= ground["y"] + ground["height"]
        panel = page.locator("#plan-panel")
        assert panel.evaluate("node => { node.scrollTop = 999; return node.scrollTop; }") > 0
        page.click('[data-key="tab-impact"]')
        assert panel.evaluate("node => node.scrollTop") == 0
        page.click('[data-key="compare"]')
        expect(page.locator("body")).to_have_attribute("data-swipe", "ready")
        assert page.evaluate(wide) == 0
        page.click('[data-key="back"]')
        expect(page.locator("#plan-list h1")).to_have_text("Grid plans")
        page.goto(f"{server.url}/plan?lang=zh")
        expect(page.locator("#plan-list h1")).to_have_text("网格调整")
        expect(page.locator("#plan-list tbody tr")).not_to_have_count(0)
        assert page.evaluate(wide) == 0


def test_the_desk_is_for_those_who_plan_or_approve(visit, server):
    page = visit("commander", viewport=SMALL).page
    page.goto(f"{server.url}/plan")
    expect(page).not_to_have_url(re.compile("/plan"))
    expect(page.locator("nav a")).to_have_count(1)
    planner = visit("planner", viewport=SMALL).page
    planner.goto(f"{server.url}/")
    planner.wait_for_selector("body[data-map=ready]", state="attached")
    planner.keyboard.press("g")
    planner.keyboard.press("p")
    expect(planner).to_have_url(re.compile("/plan$"))
    planner.click('[data-key="new"]')
    dialog = planner.locator("dialog")
    with server.client("planner") as client:
        dialog.locator("[name=scope]").fill(village(client))
    expect(dialog.locator("[name=name]")).not_to_have_value("")
    dialog.locator(".primary").click()
    expect(planner.locator(".steps .now")).to_contain_text("草稿")
    nameless = planner.evaluate(
        "() => [...document.querySelectorAll('button, a, input, select, [tabindex=\"0\"]')]"
        ".filter(n => n.offsetParent && !(n.textContent.trim() || n.ariaLabel || n.labels?.length))"
        ".map(n => n.outerHTML.slice(0, 120))"
    )
    assert nameless == []
