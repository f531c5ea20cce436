"""Tools of the planning desk that make, name and give up grids, move buildings, measure: all on one page."""

import io
import itertools
import math
import re

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import context_of, signed_in
from tests.browser.desk import SMALL, DeskPage, middle, neighbours, opened, ring, step, village
from tests.browser.desk_ground import buildings_moved, in_the_way, movable, moved_along, on_streets, same

pytestmark = pytest.mark.browser

NAME = "桥头一格"
GROWN: list[float] = []  # longitude and latitude


@pytest.fixture(scope="module")
def kept(browser, server, storage):
    """A plan on the desk that all tests of this module draw on."""
    context = context_of(browser, viewport=SMALL)
    visitor = signed_in(context, server, "planner")
    with server.client("planner") as client:
        number = opened(client, village(client))
        add(storage, village(client))
        visitor.page.goto(f"{server.url}/plan?id={number}")
        visitor.allowed += [r"(409|422) .*/edits", "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_RESET"]
        yield DeskPage(visitor.page, client, number).ready()
        visitor.check()
    context.close()


def add(storage, code):
    """Leaves a building as a later load leaves it: `GROWN` is where it lies."""
    with storage.writer() as session:
        GROWN[:] = session.execute(
            sa.text(
                "UPDATE building SET added_in = (SELECT max(id) FROM edition)"
                " WHERE id = (SELECT id FROM building WHERE valid_to IS NULL AND leaf LIKE :inside"
                " ORDER BY ST_Area(geom) DESC, id LIMIT 1) RETURNING ST_X(place), ST_Y(place)"
            ),
            {"inside": f"{code}%"},
        ).one()


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


def test_a_building_that_was_added_since_the_base_is_tinted(desk):
    (code,) = [
        code
        for code, each in desk.micro().items()
        if shapely.Polygon(ring(each)).contains(shapely.Point(GROWN))
    ]
    chosen(desk, code)
    x, y = desk.at(*GROWN)
    near = {"x": x - 40, "y": y - 40, "width": 80, "height": 80}
    with Image.open(io.BytesIO(desk.page.screenshot(clip=near))) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int)
    warm = (
        pixels[..., 0] - pixels[..., 2] > 50
    )  # nothing else there is: grids in range are green, houses grey
    assert warm.any()


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


@pytest.fixture
def compound(storage):
    """Says of buildings that they shall stay together."""

    def keep(codes, name):
        with storage.writer() as session:
            session.execute(
                sa.text("UPDATE building SET keep_together = :name WHERE code = ANY(:codes)"),
                {"name": name, "codes": codes},
            )
            session.execute(sa.text("NOTIFY gridmap, 'households'"))

    yield keep
    with storage.reader() as session:
        kept = session.execute(sa.text("SELECT code FROM building WHERE keep_together IS NOT NULL"))
        codes = list(kept.scalars())
    keep(codes, None)


def test_what_stands_in_the_way_goes_along_where_that_is_wanted_and_it_is_said(desk, compound):
    page, client, grids = desk.page, desk.client, desk.micro()
    now = desk.stored()["revision"]
    trial = opened(client, village(client))
    giver, taker, building, others, left = in_the_way(desk, trial)
    compound([building["code"], left], "桥头小区")
    while "torn" not in moved_along(client, trial, building["code"], taker):
        step(client, trial, "undo")  # the service has not heard of it yet
    chosen(desk, giver)
    desk.tool("h", "move")
    desk.click(building["lon"], building["lat"])
    card = page.locator("#tool-card")
    expect(card).to_contain_text("已选 1 栋")
    card.locator("select").select_option(taker)
    card.locator("select").press("Enter")
    refusal = page.locator("#notices .banner.bad")
    expect(refusal).to_contain_text(f"须一并划转 {len(others)} 栋")
    expect(refusal).not_to_contain_text(giver)  # a code in short, as the list has it
    assert desk.stored()["revision"] == now
    expect(card).to_contain_text("已选 1 栋")
    page.click('[data-key="notice-along"]')
    desk.revision(now + 1)
    said = page.locator(".toast", has_text=f"另有 {len(others)} 栋一并划转")
    expect(said).to_contain_text("拆开了：桥头小区")
    expect(card).to_be_hidden()
    places = {each["code"]: shapely.Point(each["lon"], each["lat"]) for each in buildings_moved(desk)}
    land = shapely.Polygon(ring(desk.micro()[taker]))
    assert all(land.contains(places[code]) for code in (building["code"], *others))
    # Taken back, it is said no more.
    page.keyboard.press("Control+z")
    desk.revision(now + 2)
    expect(said).to_have_count(0)
    assert households(desk.micro()) == households(grids)


def test_with_shift_the_ends_of_a_line_come_to_lie_on_streets(desk, storage):
    page, grids = desk.page, desk.micro()
    now = desk.stored()["revision"]
    streets, code, *ends = on_streets(desk, storage)
    chosen(desk, code)
    border = shapely.LinearRing([desk.at(*place) for place in ring(grids[code])])
    (x1, y1), (x2, y2) = (desk.at(*end) for end in ends)
    length = math.hypot(x2 - x1, y2 - y1)
    way = np.array([x2 - x1, y2 - y1]) / length
    # Inside, and too far from the border to be put on it without the key.
    off = [
        next(
            place
            for k in range(60)
            if border.distance(shapely.Point(place := start + k * by)) > 11.5
        )
        for start, by in ((np.array([x1, y1]), way), (np.array([x2, y2]), -way))
    ]  # fmt: skip
    card = page.locator("#tool-card")
    desk.tool("s", "split")

    def draw():
        for x, y in off:
            page.mouse.move(x - 2, y - 2)
            page.mouse.move(x, y)
            page.mouse.click(x, y)

    draw()
    page.keyboard.press("Enter")
    expect(card).to_be_hidden()  # it ends inside
    page.keyboard.press("Escape")
    page.keyboard.down("Shift")
    draw()
    page.keyboard.up("Shift")
    expect(card.locator(".piece")).to_have_count(2)
    page.keyboard.press("Enter")
    desk.revision(now + 1)
    after = desk.micro()
    (born,) = set(after) - set(grids)
    known = {tuple(place) for each in grids.values() for place in ring(each)}
    both = {tuple(place) for place in ring(after[born])} & {tuple(place) for place in ring(after[code])}
    assert len(both) == 2
    for place in both - known:
        assert streets.distance(shapely.Point(place)) * 111_000 < 1
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    desk.revision(now + 2)


def test_what_is_drawn_outlasts_the_network(desk):
    page, grids = desk.page, desk.micro()
    now = desk.stored()["revision"]
    a, b, _ = next(pair for pair in neighbours(grids) if all(same(grids[code]) for code in pair[:2]))
    page.click('[data-key="zoom-home"]')
    desk.settle()
    desk.tool("m", "merge")
    for code in (a, b):
        desk.click(*middle(grids[code]))
    pieces, notice = page.locator("#tool-card .piece"), page.locator("#notices .banner.bad")
    expect(pieces).to_have_count(3)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(notice).to_contain_text("没有收到答复")
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator('[data-key="submit"]')).to_be_disabled()
    expect(pieces).to_have_count(3)
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()  # it finds out by itself
    assert desk.stored()["revision"] == now
    page.click('[data-key="notice-retry"]')
    desk.revision(now + 1)
    expect(page.locator("#tool-card")).to_be_hidden()
    expect(notice).to_have_count(0)
    assert set(grids) - set(desk.micro()) in ({a}, {b})
    page.keyboard.press("Control+z")
    desk.revision(now + 2)


def test_an_edit_whose_answer_was_lost_is_not_done_twice(desk):
    page = desk.page
    now = desk.stored()["revision"]
    code = max(desk.micro())
    chosen(desk, code)
    desk.tool("r", "rename")

    def lose(route):
        route.fetch()
        route.abort("connectionreset")

    page.route("**/edits?*", lose)
    # Nor does it find out by itself: what is pressed comes first.
    looking = re.compile(r"/api/(me|plans/\d+\?areas=false)$")
    page.route(looking, lambda route: route.abort("connectionreset"))
    page.keyboard.type("桥西一格")
    page.keyboard.press("Enter")
    expect(page.locator("#notices .banner.bad")).to_contain_text("没有收到答复")
    assert desk.stored()["revision"] == now + 1
    page.unroute("**/edits?*")
    page.click('[data-key="notice-retry"]')
    desk.revision(now + 1)
    expect(page.locator(".toast", has_text="没有重复执行")).to_contain_text("改名")
    expect(page.locator("#notices .banner")).to_have_count(0)
    expect(page.locator("#tool-card")).to_be_hidden()
    assert desk.stored()["revision"] == now + 1
    assert desk.micro()[code]["properties"]["name"] == "桥西一格"
    page.unroute(looking)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#offline")).to_be_hidden()
