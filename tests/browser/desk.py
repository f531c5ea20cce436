"""The planning desk as somebody has it before them: where places lie on the screen, and waiting for what is shown."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

Ring = list[list[float]]
# Fewer pixels: they are drawn without a graphics card.
SMALL = {"width": 1040, "height": 640}
_names = itertools.count(1)


def opened(client: Any, scope: str) -> int:
    """A new plan of whoever the client is; its number."""
    answer = client.post("/api/plans?areas=false", json={"name": f"方案 {next(_names)}", "scope": scope})
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


def village(client: Any) -> str:
    """Code of a village of few enough grids to be seen at once."""
    answer = client.get("/api/areas", params={"kind": "village", "geometry": "false"}).json()
    found = sorted((each["properties"] for each in answer["features"]), key=lambda each: each["households"])
    return next(str(each["code"]) for each in found if each["households"] > 700)


def step(client: Any, plan: int, what: str, **body: Any) -> dict[str, Any]:
    """A step by way of the interface, at the newest revision."""
    revision = client.get(f"/api/plans/{plan}?areas=false").json()["revision"]
    answer = client.post(f"/api/plans/{plan}/{what}", json={"revision": revision, **body})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def ring(feature: dict[str, Any]) -> Ring:
    """The outer ring of an area in one piece."""
    polygons = feature["geometry"]["coordinates"]
    assert len(polygons) == 1
    outer: Ring = polygons[0][0]
    return outer


def box(places: Ring) -> tuple[float, float, float, float]:
    """West, south, east and north."""
    lon, lat = [place[0] for place in places], [place[1] for place in places]
    return min(lon), min(lat), max(lon), max(lat)


def middle(feature: dict[str, Any]) -> tuple[float, float]:
    """The middle of an area's box; of the demonstration's convex grids it lies inside."""
    west, south, east, north = box(ring(feature))
    return (west + east) / 2, (south + north) / 2


def neighbours(grids: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, tuple[float, float]]]:
    """Pairs of micro-grids of one parent, each with a vertex in the middle of their common border."""
    of: dict[tuple[float, float], list[str]] = {}
    for code, each in grids.items():
        for lon, lat in ring(each)[:-1]:
            of.setdefault((lon, lat), []).append(code)

    def beside(code: str, place: tuple[float, float]) -> set[tuple[float, ...]]:
        places = ring(grids[code])[:-1]
        at = places.index(list(place))
        return {tuple(places[(at + by) % len(places)]) for by in (-1, 1)}

    for place, codes in of.items():
        if len(codes) == 2 and len({grids[code]["properties"]["parent"] for code in codes}) == 1:
            a, b = codes
            if beside(a, place) == beside(b, place):
                yield a, b, place


@dataclass
class DeskPage:
    """A plan on the desk."""

    page: Page
    client: Any
    plan: int

    def stored(self) -> dict[str, Any]:
        """The plan as the service has it."""
        answer: dict[str, Any] = self.client.get(f"/api/plans/{self.plan}").json()
        return answer

    def micro(self) -> dict[str, dict[str, Any]]:
        """Its micro-grids by code."""
        features = self.stored()["areas"]["features"]
        return {
            each["properties"]["code"]: each for each in features if each["properties"]["kind"] == "micro"
        }

    def ready(self) -> "DeskPage":
        """Waits for the map, for the numbers, and for all tiles to be there."""
        self.page.wait_for_selector("body[data-map=ready][data-metrics][data-check]", state="attached")
        self.settle()
        return self

    def settle(self) -> None:
        """Until the map has drawn everything that it was given."""
        self.page.wait_for_selector("body[data-drawn=yes]", state="attached")

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a place lies on the screen, by what the address says of the view."""
        seen = re.search(r"@(-?[\d.]+),(-?[\d.]+),([\d.]+)", self.page.url)
        assert seen is not None, self.page.url
        here_lat, here_lon, zoom = (float(each) for each in seen.groups())
        ground = self.page.locator("#map").bounding_box()
        assert ground is not None
        size = 512 * 2**zoom

        def world(x: float, y: float) -> tuple[float, float]:
            north = math.asinh(math.tan(math.radians(y))) / math.pi
            return (x + 180) / 360 * size, (1 - north) / 2 * size

        (x0, y0), (x1, y1) = world(here_lon, here_lat), world(lon, lat)
        return ground["x"] + ground["width"] / 2 + x1 - x0, ground["y"] + ground["height"] / 2 + y1 - y0

    def click(self, lon: float, lat: float) -> None:
        """A click on a place; the pointer comes there before, as a hand does."""
        x, y = self.at(lon, lat)
        self.page.mouse.move(x - 2, y - 2)
        self.page.mouse.move(x, y)
        self.page.mouse.click(x, y)

    def drag(self, places: list[tuple[float, float]]) -> None:
        """The button goes down at the first place and up at the last; on the screen's pixels."""
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for x, y in places[1:]:
            self.page.mouse.move(x, y, steps=6)
        self.page.mouse.up()

    def revision(self, number: int) -> None:
        """Waits until the page shows a revision, with its numbers."""
        self.page.wait_for_selector(
            f"body[data-revision='{number}'][data-metrics='{number}']", state="attached"
        )

    def tool(self, key: str, name: str) -> None:
        """Takes a tool by its key."""
        self.page.keyboard.press(key)
        expect(self.page.locator(f'[data-key="tool-{name}"]')).to_have_attribute("aria-pressed", "true")
