"""The planning desk in a real browser: drawn with the mouse and the keyboard, looked at, handed on."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk import SMALL, DeskPage, box, middle, neighbours, opened, ring, village

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(visit, server):
    """A plan of one's own, on the desk."""
    visitor = visit("planner", viewport=SMALL)
    with server.client("planner") as client:
        number = opened(client, village(client))
        visitor.page.goto(f"{server.url}/plan?id={number}")
        made = DeskPage(visitor.page, client, number).ready()
        made.visitor = visitor
        yield made


def across(desk, code):
    """Two places beyond a grid's west and east ends, between which a line cuts it in two."""
    west, south, east, north = box(ring(desk.micro()[code]))
    lat = (south + north) / 2
    reach = (east - west) * 0.12
    return (west - reach, lat), (east + reach, lat)


def plain(desk):
    """A grid inside the village that a line cuts well: the one that is widest against its height."""
    grids = desk.micro()
    west, south, east, north = box([place for each in grids.values() for place in ring(each)])

    def room(code):
        a, b, c, d = box(ring(grids[code]))
        return min(a - west, b - south, east - c, north - d)

    return max(grids, key=room)


def draw_split(desk, code):
    start, end = across(desk, code)
    desk.page.locator(f'[data-key="grid-{code}"]').click()
    desk.settle()
    desk.tool("s", "split")
    desk.click(*start)
    desk.click(*end)


# Words of the side that have less room than they need, on this middling screen.
CUT = """[...document.querySelectorAll(".total dt, .total dd > *, .grids th, .plan-tabs button")]
    .filter((node) => node.scrollWidth > node.clientWidth + 1 || node.getBoundingClientRect().right > innerWidth)
    .map((node) => node.textContent)"""


def number(text):
    return int(re.sub(r"[^\d]", "", text))


def test_a_split_is_seen_before_it_is_made_and_taken_back_by_keys(desk):
    page, grids = desk.page, desk.micro()
    rows = page.locator("#plan-panel tbody tr")
    count = rows.count()
    code = plain(desk)
    draw_split(desk, code)
    card = page.locator("#tool-card")
    expect(card.locator(".piece")).to_have_count(2)
    halves = [number(each) for each in card.locator(".piece b").all_inner_texts()]
    before = grids[code]["properties"]["households"]
    assert sum(halves) == before
    page.keyboard.press("Enter")
    desk.revision(2)
    after = desk.micro()
    (born,) = set(after) - set(grids)
    counted = sorted(after[each]["properties"]["households"] for each in (code, born))
    assert counted == sorted(halves)
    expect(rows).to_have_count(count + 1)
    expect(page.locator(f'tr[data-code="{born}"]')).to_contain_text("新增")
    expect(page.locator(".total").nth(1)).to_contain_text("总数不变")
    assert page.evaluate(CUT) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    desk.revision(3)
    assert set(desk.micro()) == set(grids)
    expect(rows).to_have_count(count)
    page.keyboard.press("Control+Shift+z")
    desk.revision(4)
    assert set(desk.micro()) == set(after)


def test_grids_are_merged_by_clicks_and_what_does_not_touch_is_refused(desk):
    page, grids = desk.page, desk.micro()
    a, b, _ = next(neighbours(grids))
    desk.tool("m", "merge")
    for code in (a, b):
        desk.click(*middle(grids[code]))
    together = sum(grids[code]["properties"]["households"] for code in (a, b))
    expect(page.locator("#tool-card .piece b").last).to_have_text(str(together))
    page.keyboard.press("Enter")
    desk.revision(2)
    assert len(desk.micro()) == len(grids) - 1
    findings = page.locator("#plan-below .finding")
    expect(findings).not_to_have_count(0)
    view = page.url
    findings.first.locator("button").click()
    page.wait_for_function("before => location.href !== before", arg=view)
    # Grids at the two ends of the village do not touch.
    now = desk.micro()
    ends = sorted(now, key=lambda code: middle(now[code])[0])
    page.click('[data-key="zoom-home"]')
    desk.settle()
    page.keyboard.press("Escape")
    expect(page.locator("#tool-help")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("tr.chosen")).to_have_count(0)
    desk.tool("m", "merge")
    for code in (ends[0], ends[-1]):
        desk.click(*middle(now[code]))
    expect(page.locator("#tool-card .piece")).to_have_count(3)
    desk.visitor.allowed.append("422")
    page.keyboard.press("Enter")
    refusal, card = page.locator("#notices .banner.bad"), page.locator("#tool-card")
    expect(refusal).to_contain_text("不相邻")
    expect(card.locator(".piece")).to_have_count(3)
    low, high = refusal.bounding_box(), card.bounding_box()
    assert low["y"] >= high["y"] + high["height"]  # what was drawn is not covered
    page.keyboard.press("Escape")
    expect(refusal).to_have_count(0)
    expect(card.locator(".piece")).to_have_count(3)
    assert desk.stored()["revision"] == 2


def test_a_shared_vertex_is_dragged_and_all_others_stay_bit_for_bit(desk):
    page, grids = desk.page, desk.micro()
    a, b, place = next(neighbours(grids))
    page.locator(f'[data-key="grid-{a}"]').click()
    desk.settle()
    desk.tool("b", "reshape")
    x, y = desk.at(*place)
    desk.drag([(x, y), (x + 9, y + 14), (x + 12, y + 18)])
    expect(page.locator("#tool-card .piece")).to_have_count(2)
    page.keyboard.press("Enter")
    desk.revision(2)
    after = desk.micro()
    for code in (a, b):
        was, now = ({tuple(each) for each in ring(of[code])} for of in (grids, after))
        assert was - now == {place}
    moved = {tuple(each) for each in ring(after[a])} - {tuple(each) for each in ring(grids[a])}
    assert len(moved) == 1
    assert moved == {tuple(each) for each in ring(after[b])} - {tuple(each) for each in ring(grids[b])}
    expect(page.locator(f'tr[data-code="{a}"] .fate')).not_to_be_empty()
