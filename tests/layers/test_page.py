"""The stand-alone page: nothing from elsewhere, data as text, the numbers of the answer."""

import datetime as dt
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers import page as page_module
from layers.heat import HeatQuery, heat
from layers.page import heat_map_page

SINCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NASTY = "</script><script>alert('云江')</script><img src=x onerror=alert(1)>{{ 7 * 7 }}{% endraw %}"


@pytest.fixture
def answers(city, reading, audience, everything):
    """Grids seen by a commander, hexagons and rates seen by everybody."""
    return [
        (
            "网格 <b>",
            heat(reading, city.snapshot, HeatQuery(since=SINCE), audience("commander", "990126", "990126")),
        ),
        ("蜂窝", heat(reading, city.snapshot, HeatQuery(by="hex", res=10, since=SINCE), everything)),
        (
            "每百户",
            heat(reading, city.snapshot, HeatQuery(measure="per_100_households", since=SINCE), everything),
        ),
    ]


class Reader(HTMLParser):
    """Collects what a browser would load and run, and the text outside scripts."""

    def __init__(self):
        super().__init__()
        self.loaded, self.handlers, self.scripts, self.texts, self._inside = [], [], [], [], None

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.loaded += [value for name, value in attrs if name in {"src", "href", "data", "action", "srcset"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        (self.scripts if self._inside in {"script", "style"} else self.texts).append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def data_of(page):
    """What stands in the page as JSON."""
    script = next(text for text in read(page).scripts if "const gridmapData = " in text)
    return json.JSONDecoder().raw_decode(script.split("const gridmapData = ", 1)[1])[0]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_loads_nothing(answers, language, dark):
    page = heat_map_page(answers, title="云江县", language=language, dark=dark)
    reader = read(page)
    assert reader.loaded == []
    assert reader.handlers == []
    said = set(re.findall(r'(?:src|href)="(https?://[^"]+)"', page))
    assert said <= {"https://leafletjs.com"}
    assert not re.findall(r"url\((?!data:|#default)", page)
    assert "@import" not in page
    assert "jquery" not in page.lower()
    assert "cdn." not in page.lower()


def test_a_base_map_is_loaded_only_where_one_is_configured(answers):
    assert "tile.example" not in heat_map_page(answers, title="t")
    assert "tile.example" in heat_map_page(
        answers, title="t", basemap_url="https://tile.example/{z}/{x}/{y}.png"
    )


def test_names_are_text_and_never_markup_or_template(city, reading, everything, monkeypatch):
    from dataclasses import replace

    answer = heat(reading, city.snapshot, HeatQuery(since=SINCE), everything)
    named = replace(answer, name=np.array([NASTY] * len(answer), dtype=object))
    page = heat_map_page([(NASTY, named)], title=NASTY)
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in re.sub(r'"[^"\n]*\\u003c[^\n]*', "", page)
    assert "49" not in re.findall(r"<title>(.*?)</title>", page)[0]
    assert data_of(page)["places"][0]["names"][0] == NASTY
    assert data_of(page)["title"] == NASTY
    assert len(read(page).handlers) == 0


def test_every_feature_has_its_class_its_words_and_its_place(answers):
    data = data_of(heat_map_page(answers, title="t"))
    assert len(data["layers"]) == 3
    assert [layer["places"] for layer in data["layers"]] == [0, 1, 0]  # the same outlines once
    for (_, answer), layer in zip(answers, data["layers"], strict=True):
        known = {entry["key"]: entry["number"] for entry in layer["legend"]["entries"]}
        assert sum(known.values()) == len(answer) == len(layer["keys"]) == len(layer["lines"])
        assert all(layer["keys"].count(key) == number for key, number in known.items())
    commander, lines = answers[0][1], data["layers"][0]["lines"]
    assert commander.withheld.any()
    for hidden, count, line in zip(commander.withheld, commander.count, lines, strict=True):
        assert ("不显示" in line) if hidden else (f"{count} 件" in line)
    assert any("以免指认" in note for note in data["layers"][0]["notes"])
    west, east = data["bounds"][0][1], data["bounds"][1][1]
    assert west <= 112.0
    assert east >= 112.016


def test_outlines_come_back_to_a_tenth_of_a_metre(answers):
    answer = answers[0][1]
    places = data_of(heat_map_page(answers[:1], title="t"))["places"][0]
    for shape, parts in zip(answer.outlines.geometries(), places["shapes"], strict=True):
        drawn = []
        for rings in parts:
            walked = [np.cumsum(np.array(ring).reshape(-1, 2), axis=0) / 1e6 for ring in rings]
            drawn.append(shapely.Polygon(walked[0], walked[1:]))
        assert shapely.hausdorff_distance(shapely.MultiPolygon(drawn), shape) < 1e-6


def test_a_page_without_features_is_still_a_page(city, reading, audience):
    nothing = heat(reading, city.snapshot, HeatQuery(since=SINCE), audience("source"))
    page = heat_map_page([("nothing", nothing)], title="t")
    assert data_of(page)["bounds"] is None
    assert "L.map(" in page


def test_leaflet_is_the_reviewed_file():
    folder = Path(page_module.__file__).with_name("vendor")
    stated = json.loads((folder / "MANIFEST.json").read_text())["packages"][0]
    assert (stated["npm"], stated["licence"]) == ("leaflet", "BSD-2-Clause")
    assert stated["version"] in (folder / "leaflet" / "leaflet.js").read_text()[:200]
