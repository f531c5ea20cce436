"""The command map in a real browser: looked at, listened to, pressed."""

import datetime as dt
import re
from urllib.parse import parse_qs, urlsplit

import httpx2
import numpy as np
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PASSWORD = "a long enough password"
MAP = {"x": 330, "y": 170, "width": 720, "height": 580}


def tokens(page, names):
    script = "names => { const s = getComputedStyle(document.documentElement);"
    script += " return Object.fromEntries(names.map(n => [n, s.getPropertyValue('--' + n).trim()])); }"
    given = page.evaluate(script, names)
    return {name: np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for name, colour in given.items()}


def share(picture, colour):
    """Part of a picture that has a colour, give or take what blending at edges does."""
    return float((np.abs(picture.astype(int) - colour).max(axis=2) <= 6).mean())


def settle(page, milliseconds=1000):
    """Lets the map draw: tiles come and are painted after the last answer."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(milliseconds)


def classes(page):
    """What the legend lists: label → number of units."""
    rows = page.locator("#legend .class").all()
    return {
        row.locator(".name").inner_text(): int(row.locator(".number").inner_text().replace(",", ""))
        for row in rows
    }


def test_the_map_is_drawn_in_the_colours_of_its_classes_and_one_can_be_looked_at_alone(visit, pixels):
    page = visit("dispatcher").open("/?layers=&measure=count")
    settle(page)
    listed = classes(page)
    assert sum(listed.values()) > 50
    picture = pixels(page.screenshot(clip=MAP))
    seen = {
        name: share(picture, colour)
        for name, colour in tokens(page, [f"seq{i}" for i in range(1, 7)]).items()
    }
    assert sum(part > 0.004 for part in seen.values()) >= 4, seen
    assert 0.15 < sum(seen.values()) < 0.95, seen
    dark = visit("dispatcher", color_scheme="dark").open("/?layers=&measure=count")
    settle(dark)
    night = pixels(dark.screenshot(clip=MAP))
    assert night.mean() < 90 < picture.mean()
    assert share(night, tokens(dark, ["seq5"])["seq5"]) > 0.002
    colour, others = (tokens(page, [name])[name] for name in ("seq6", "seq3"))
    page.locator("#legend .class").first.click()
    page.mouse.move(700, 860)
    settle(page, 600)
    alone = pixels(page.screenshot(clip=MAP))
    assert share(alone, colour) == pytest.approx(share(picture, colour), rel=0.25)
    assert share(alone, others) < share(picture, others) / 4
    expect(page.locator("#legend .class").first).to_have_attribute("aria-pressed", "true")


def test_what_is_withheld_is_hatched_and_said(visit, pixels):
    page = visit("planner").open("/?layers=&measure=count&category=other")
    settle(page)
    hatched = page.locator("#legend .class", has=page.locator(".hatch"))
    expect(hatched).to_have_count(1)
    expect(hatched.locator(".name")).to_contain_text("< 3")
    picture = pixels(page.screenshot(clip=MAP)).astype(int)
    ends = tokens(page, ["hatch-line", "hatch-ground"])
    # Fine lines are blended with their ground: what counts is anything from one to the other.
    blended = np.clip(picture, ends["hatch-line"], ends["hatch-ground"])
    striped = (np.abs(picture - blended).max(axis=2) <= 2) & (
        picture.max(axis=2) < ends["hatch-ground"].max() - 4
    )
    assert striped.mean() > 0.04
    expect(page.locator("#drill")).to_be_hidden()


def grid(client, ahead=0):
    """A micro-grid's code and a point in it."""
    answer = client.get("/api/areas", params={"kind": "micro", "limit": 40}).json()
    feature = answer["features"][7 + ahead]
    west, south, east, north = feature["properties"]["bbox"]
    for part in np.linspace(0.5, 0.05, 10):
        lon, lat = west + (east - west) * part, south + (north - south) * 0.5
        owner = client.get("/api/locate", params={"lon": lon, "lat": lat}).json()["grid"]
        if owner and owner["code"] == feature["properties"]["code"]:
            return owner["code"], lon, lat
    pytest.fail("no point of the grid was found")


def event(number, lon, lat):
    return {
        "source": "12345", "external_id": f"browser-{number}", "category": "hazard", "subcategory": "fire",
        "occurred_at": dt.datetime.now(dt.UTC).isoformat(), "lon": lon, "lat": lat, "title": "消防通道被占用",
    }  # fmt: skip


def test_an_event_posted_appears_without_a_reload(visit, server):
    with server.client("dispatcher") as client:
        code, lon, lat = grid(client)
        page = visit("dispatcher").open(f"/?grid={code}&measure=count")
        expect(page.locator("#live")).to_contain_text("实时")
        count = page.locator("#drill .fact").nth(1).locator("b")
        hazards = page.locator('[data-key="category-hazard"] .mid')
        expect(count).to_have_text(re.compile(r"\d+"))
        expect(hazards).to_have_text(re.compile(r"\d+"))
        before, all_before = int(count.inner_text()), int(hazards.inner_text().replace(",", ""))
        assert client.post("/api/events", json=event(1, lon, lat)).status_code == 201
        expect(count).to_have_text(str(before + 1))
        expect(hazards).to_have_text(f"{all_before + 1:,}")
        expect(page.locator("#drill .event").first).to_contain_text("消防通道占用")
        assert "消防通道被占用" not in page.content()  # free text has no place on this page


def test_the_address_restores_the_view(visit):
    first = visit()
    page = first.open("/")
    page.click('[data-key="measure-count"]')
    page.click('[data-key="unit-comprehensive"]')
    page.click('[data-key="category-police_case"]')
    page.click('[data-key="preset-30"]')
    page.locator("#ranking tbody button").first.click()
    expect(page.locator("#drill h2")).to_be_visible()
    page.click('[data-key="descend"]')
    settle(page)
    address, shown = urlsplit(page.url), classes(page)
    query = parse_qs(address.query, keep_blank_values=True)
    assert {"area", "category", "measure", "by", "from", "to"} <= set(query)
    assert any(re.fullmatch(r"@-?[\d.]+,-?[\d.]+,[\d.]+", key) for key in query)
    again = visit().open(f"{address.path}?{address.query}")
    expect(again.locator('[data-key="measure-count"]')).to_have_attribute("aria-pressed", "true")
    expect(again.locator('[data-key="unit-comprehensive"]')).to_have_attribute("aria-pressed", "true")
    expect(again.locator('[data-key="category-police_case"]')).to_have_attribute("aria-pressed", "false")
    expect(again.locator('[data-key="preset-30"]')).to_have_attribute("aria-pressed", "true")
    settle(again)
    assert classes(again) == shown
    assert urlsplit(again.url).query == address.query


def test_keys_and_search_and_a_language_that_stays(visit, server):
    with server.client("commander") as client:
        code = grid(client)[0]
    page = visit().open("/")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type(code)
    expect(page.locator("#found [role=option]").first).to_contain_text(code)
    page.keyboard.press("Enter")
    expect(page.locator("#drill .code")).to_contain_text(code)
    page.keyboard.press("Escape")
    expect(page.locator("#drill")).to_be_hidden()
    before = page.locator(".period").inner_text()
    page.keyboard.press("[")
    expect(page.locator(".period")).not_to_have_text(before)
    page.keyboard.press("]")
    expect(page.locator(".period")).to_have_text(before)
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.help")).to_have_count(0)
    expect(page.locator("#topic h2")).to_have_text("专题")
    page.click('[data-key="language"]')
    expect(page.locator("#topic h2")).to_have_text("Topic")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator("#topic h2")).to_have_text("Topic")
    page.goto(page.url.split("?")[0] + "?lang=zh")
    expect(page.locator("#topic h2")).to_have_text("专题")


def test_the_pointer_asks_and_chooses(visit):
    page = visit("dispatcher").open("/?measure=count")
    settle(page)
    page.mouse.move(690, 460)
    page.mouse.move(692, 462)
    expect(page.locator(".tip")).to_be_visible()
    expect(page.locator(".tip")).to_contain_text("件")
    page.mouse.click(692, 462)
    expect(page.locator("#drill .drill-head h2")).to_be_visible()
    assert "grid=" in page.url
    page.mouse.dblclick(640, 430)
    expect(page.locator("#topic .crumbs button")).to_have_count(1)
    assert "area=" in page.url


def test_a_place_that_is_not_mine_is_as_if_it_were_not_there(visit):
    visitor = visit()
    visitor.allowed.append("404")
    page = visitor.open("/?grid=nowhere")
    expect(page.locator("#drill .empty")).to_contain_text("不在您的区域内")


def test_offline_is_said_and_gets_over(visit):
    visitor = visit()
    visitor.allowed += ["ERR_INTERNET_DISCONNECTED", "Failed to load resource"]
    page = visitor.open("/")
    settle(page, 300)
    page.context.set_offline(True)
    page.click('[data-key="preset-30"]')
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#legend .banner")).to_contain_text("未更新")
    expect(page.locator("#legend .class").first).to_be_visible()
    page.context.set_offline(False)
    page.click('#legend [data-key="retry-what.heat"]')
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#legend .banner")).to_have_count(0)


def test_a_session_that_is_over_is_taken_up_in_place(visit):
    visitor = visit()
    visitor.allowed += ["401", "Failed to load resource"]
    page = visitor.open("/")
    page.context.clear_cookies(name="gridmap_session")
    page.click('[data-key="preset-30"]')
    dialog = page.locator("dialog.expired")
    dialog.locator("input").fill("not this one")
    dialog.locator("button[type=submit]").click()
    expect(dialog.locator(".banner")).to_be_visible()
    dialog.locator("input").fill(PASSWORD)
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#legend .banner")).to_have_count(0)
    expect(page.locator('[data-key="preset-30"]')).to_have_attribute("aria-pressed", "true")


def test_a_phone_has_no_sideways_overflow(visit, pixels):
    page = visit(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True).open("/")
    settle(page)
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    top = page.locator("#right").bounding_box()["y"]
    assert 300 < top < 600
    picture = pixels(page.screenshot(clip={"x": 0, "y": 150, "width": 390, "height": top - 150}))
    seq = [share(picture, colour) for colour in tokens(page, [f"seq{i}" for i in range(2, 7)]).values()]
    assert sum(seq) > 0.01
    page.locator(".grip").press("ArrowUp")
    expect(page.locator("body")).to_have_attribute("data-sheet", "full")
    page.locator(".grip").press("ArrowDown")
    page.locator(".grip").press("ArrowDown")
    expect(page.locator("body")).to_have_attribute("data-sheet", "peek")
    page.click('[data-key="filter"]')
    expect(page.locator("#topic h2")).to_be_visible()
    assert page.evaluate(wide) == 0
    small = page.evaluate(
        "() => [...document.querySelectorAll('#topic button, #topic label')]"
        ".filter(n => n.offsetParent && n.getBoundingClientRect().height < 39.5).map(n => n.textContent)"
    )
    assert [each for each in small if each.strip()] == []


def test_the_first_page_is_light_its_controls_have_names_its_rates_fractions_and_the_map_one_stop(visit):
    visitor = visit()
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
    page = visitor.open("/")
    settle(page)
    assert len(sizes) > 40
    assert sum(sizes) < 3_000_000
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('button, a, input, select, summary, [tabindex=\"0\"]')]"
        ".filter(n => n.offsetParent && !(n.textContent.trim() || n.ariaLabel || n.labels?.length"
        " || n.getAttribute('aria-labelledby'))).map(n => n.outerHTML.slice(0, 120))"
    )
    assert nameless == []
    assert page.locator("#map [tabindex='0']").count() == 1
    expect(page.locator("#map canvas")).to_have_attribute("aria-label", re.compile("列表"))
    expect(page.locator("#ranking caption")).to_have_count(1)
    rate = page.locator(".rate").first
    rate.focus()
    expect(rate.locator(".explain")).to_be_visible()
    expect(rate.locator(".explain")).to_contain_text(re.compile(r"[\d,]+ ÷ [\d,]+ = [\d.]+%"))


def test_the_wall_has_no_controls_and_no_police(visit):
    page = visit().open("/?wall=1&hold=1")
    settle(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator(".wall-clock")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(page.locator("#topic")).to_contain_text("矛盾纠纷")
    assert "警情" not in page.locator("main").inner_text()
    assert page.locator("button:visible").evaluate_all("n => n.filter(b => !b.closest('table')).length") == 0
    fractions = page.locator(".fraction").all_inner_texts()
    assert len(fractions) == 5
    assert all("/" in each for each in fractions)


def test_the_policy_of_the_page_is_strict(server):
    policy = httpx2.get(f"{server.url}/login").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_the_stand_alone_map_draws_offline(server, contexts, tmp_path, pixels):
    with server.client("dispatcher") as client:
        answer = client.get("/api/heat/map", params={"kind": "village"})
    assert answer.status_code == 200
    path = tmp_path / "map.html"
    path.write_text(answer.text)
    context = contexts(offline=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector(".leaflet-container canvas", state="attached")
    page.wait_for_timeout(500)
    assert {urlsplit(url).scheme for url in asked} <= {"file", "data", "blob"}
    picture = pixels(page.screenshot())
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
