"""Tools of the planning desk that make, name and give up grids, move buildings, measure: all on one page."""

import itertools
import math
import re

import numpy as np
import pytest
import shapely
from playwright.sync_api import expect

from tests.browser.conftest import context_of, signed_in
from tests.browser.desk import SMALL, DeskPage, middle, neighbours, opened, ring, step, village

pytestmark = pytest.mark.browser

NAME = "桥头一格"


@pytest.fixture(scope="module")
def kept(browser, server):
    """A plan on the desk that all tests of this module draw on."""
    context = context_of(browser, viewport=SMALL)
    visitor = signed_in(context, server, "planner")
    with server.client("planner") as client:
        number = opened(client, village(client))
        visitor.page.goto(f"{server.url}/plan?id={number}")
        yield DeskPage(visitor.page, client, number).ready()
        visitor.check()
    context.close()


@pytest.fixture
def desk(kept):
    """The same with nothing in hand."""
    for _ in range(3):
        kept.page.keyboard.press("Escape")
    expect(kept.page.locator("tr.chosen")).to_have_count(0)
    expect(kept.page.locator("#tool-help")).to_be_hidden()
    return kept


def chosen(desk, code):
    """A grid that is chosen in the list, and seen from near."""
    desk.page.locator(f'[data-key="grid-{code}"]').click()
    desk.settle()


def roomy(desk):
    """The largest grid."""
    grids = desk.micro()
    return max(grids, key=lambda code: shapely.Polygon(ring(grids[code])).area)


def households(grids):
    return {code: each["properties"]["households"] for code, each in grids.items()}


def shown(desk):
    """Households on the last line of the card."""
    return int(re.sub(r"[^\d]", "", desk.page.locator("#tool-card .piece b").last.inner_text()))


def test_a_grid_is_drawn_and_has_a_name(desk):
    page, grids = desk.page, desk.micro()
    now = desk.stored()["revision"]
    code = roomy(desk)
    chosen(desk, code)
    desk.tool("n", "create")
    centre = middle(grids[code])
    corners = [
        (centre[0] + (x - centre[0]) / 2, centre[1] + (y - centre[1]) / 2) for x, y in corners_of(grids[code])
    ]
    for place in (*corners, corners[0]):
        desk.click(*place)
    name = page.locator("#tool-card input")
    name.fill(NAME)
    counted = shown(desk)
    # What ends the composition of a word is no answer to the card.
    name.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    assert desk.stored()["revision"] == now
    name.press("Enter")
    desk.revision(now + 1)
    after = desk.micro()
    (born,) = set(after) - set(grids)
    assert after[born]["properties"]["name"] == NAME
    was, now_has = households(grids), households(after)
    assert now_has[born] == counted
    assert now_has[code] == was[code] - counted
    expect(page.locator(f'tr[data-code="{born}"]')).to_contain_text("新增")
    short = page.locator(f'[data-key="grid-{born}"]').inner_text()
    page.click('[data-key="tab-edits"]')
    expect(page.locator(".journal li").first).to_contain_text(short)
    page.click('[data-key="tab-grids"]')


def corners_of(feature):
    """Corners of the smallest turned box around a grid, which the demonstration's grids nearly fill."""
    around = shapely.minimum_rotated_rectangle(shapely.Polygon(ring(feature)))
    return list(around.exterior.coords)[:4]


def test_a_name_is_typed_over_and_escape_leaves_it(desk):
    page = desk.page
    now = desk.stored()["revision"]
    code = min(desk.micro())
    chosen(desk, code)
    desk.tool("r", "rename")
    field = page.locator('#tool-card [data-key="rename"]')
    expect(field).to_be_focused()
    field.press("Escape")
    expect(page.locator("#tool-card")).to_be_hidden()
    desk.tool("r", "rename")
    page.keyboard.type("桥尾一格")
    page.keyboard.press("Enter")
    desk.revision(now + 1)
    assert desk.micro()[code]["properties"]["name"] == "桥尾一格"
    expect(page.locator("#tool-card")).to_be_hidden()


def test_a_grid_is_given_up_to_its_neighbour_by_keys_alone(desk):
    page, grids = desk.page, desk.micro()
    now = desk.stored()["revision"]
    code, taker, _ = next(neighbours(grids))
    chosen(desk, code)
    desk.tool("x", "retire")
    page.locator("#tool-card select").select_option(taker)
    together = households(grids)[code] + households(grids)[taker]
    assert shown(desk) == together
    page.locator("#tool-card select").press("Enter")
    desk.revision(now + 1)
    after = desk.micro()
    assert set(grids) - set(after) == {code}
    assert households(after)[taker] == together
    page.keyboard.press("Control+z")
    desk.revision(now + 2)
    # From the list the key goes to the card, not to the row.
    chosen(desk, code)
    desk.tool("x", "retire")
    page.keyboard.press("Enter")
    desk.revision(now + 3)
    assert code not in desk.micro()
    page.keyboard.press("Control+z")
    desk.revision(now + 4)


def test_a_line_is_measured(desk):
    page = desk.page
    code = roomy(desk)
    chosen(desk, code)
    corners = ring(desk.micro()[code])
    a, b = max(itertools.combinations(corners, 2), key=lambda ends: apart(*ends))
    desk.tool("l", "measure")
    desk.click(*a)
    desk.click(*b)
    card = page.locator("#tool-card")
    said = int(re.sub(r"[^\d]", "", card.locator("b").inner_text()))
    assert said == pytest.approx(apart(a, b), abs=1)  # from corner to corner: it snaps to them
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def apart(one, other):
    """Metres between two places of a village."""
    wide = math.cos(math.radians(one[1]))
    return 6371008.8 * math.radians(math.hypot((other[0] - one[0]) * wide, other[1] - one[1]))


def movable(desk):
    """(from, to, building) of one that can go to the neighbour and stands apart from others, tried on another plan."""
    client, grids = desk.client, desk.micro()
    trial = opened(client, village(client))
    for giver, taker, _ in neighbours(grids):
        if any(grids[code]["properties"]["fate"] != "same" for code in (giver, taker)):
            continue
        step(client, trial, "edits", op="merge", grids=[giver, taker], into=taker)
        found = client.get(f"/api/plans/{trial}/impact").json()["buildings"]["items"]
        step(client, trial, "undo")
        places = np.array([(each["lon"], each["lat"]) for each in found])
        for i in range(len(found)):
            metres = np.hypot(*((np.delete(places, i, 0) - places[i]) * (96_000, 111_000)).T)
            if not found[i]["households"] or metres.min(initial=99) < 24:
                continue
            revision = client.get(f"/api/plans/{trial}?areas=false").json()["revision"]
            body = {"revision": revision, "op": "move", "buildings": [found[i]["code"]], "to": taker}
            if client.post(f"/api/plans/{trial}/edits?areas=false", json=body).status_code == 200:
                return giver, taker, found[i]
    pytest.fail("no building of this village can be moved")


def test_buildings_in_a_lasso_go_to_the_grid_that_is_clicked(desk, pixels):
    page, grids = desk.page, desk.micro()
    now = desk.stored()["revision"]
    giver, taker, building = movable(desk)
    chosen(desk, giver)
    x, y = desk.at(building["lon"], building["lat"])

    def colour():
        clip = {"x": x - 4, "y": y - 4, "width": 8, "height": 8}
        patch = pixels(page.screenshot(clip=clip)).reshape(-1, 3).astype(int)
        return np.median(patch.max(axis=1) - patch.min(axis=1))

    grey = colour()
    desk.tool("h", "move")
    around = [(x + 10 * math.cos(turn), y + 10 * math.sin(turn)) for turn in np.linspace(0, 6, 8)]
    desk.drag(around)
    card = page.locator("#tool-card")
    expect(card).to_contain_text("已选 1 栋")
    expect(card).to_contain_text(f"{building['households']} 户")
    desk.click(*middle(grids[taker]))
    expect(card.locator("select")).to_have_value(taker)
    page.keyboard.press("Enter")
    desk.revision(now + 1)
    after = desk.micro()
    moved = building["households"]
    assert households(after)[giver] == households(grids)[giver] - moved
    assert households(after)[taker] == households(grids)[taker] + moved
    stands = shapely.Point(building["lon"], building["lat"])
    assert shapely.Polygon(ring(grids[giver])).contains(stands)
    assert shapely.Polygon(ring(after[taker])).contains(stands)
    expect(page.locator(f'tr[data-code="{taker}"] .by')).to_have_text(f"+{moved}")
    # The building takes the colour of how its new grid stands.
    page.keyboard.press("Escape")
    desk.settle()
    assert colour() > grey + 20
