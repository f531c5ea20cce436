"""The map for paper: a round scale, true lengths, north up, and names that are text."""

import re
from xml.etree import ElementTree as ET

import pytest
import shapely

from gridmap.crs_measures import distance_m
from layers.printed_map import Area, Content, drawn

SQUARE = shapely.box(112.0, 30.0, 112.01, 30.01)
NORTH = shapely.box(112.0, 30.01, 112.01, 30.02)


def paths(svg):
    root = ET.fromstring(svg)  # noqa: S314  # our own
    return [each.attrib for each in root.iter("{http://www.w3.org/2000/svg}path")]


def points(path):
    return [tuple(map(float, each)) for each in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path["d"])]


def test_lengths_on_paper_are_those_on_the_ground():
    told = drawn(Content(areas=[Area(geom=SQUARE)]), 300, 200)
    assert told.scale % 250 == 0
    xy = points(paths(told.svg)[0])
    across, up = (max(axis) - min(axis) for axis in zip(*xy, strict=True))
    ground = distance_m(112.0, 30.005, 112.01, 30.005), distance_m(112.005, 30.0, 112.005, 30.01)
    assert across == pytest.approx(ground[0] * 1000 / told.scale, rel=1e-3)
    assert up == pytest.approx(ground[1] * 1000 / told.scale, rel=1e-3)
    assert told.bar_mm == pytest.approx(told.bar_m * 1000 / told.scale)
    assert max(across / 300, up / 200) > 0.6


def test_north_is_up():
    told = drawn(Content(areas=[Area(geom=SQUARE, fill="new"), Area(geom=NORTH, fill="changed")]), 300, 200)
    south, north = (points(path) for path in paths(told.svg)[:2])
    assert max(y for _, y in north) == pytest.approx(min(y for _, y in south), abs=0.02)


def test_borders_streets_and_outlines_are_drawn():
    line = shapely.LineString([(112.0, 30.005), (112.01, 30.005)])
    plain = drawn(Content(areas=[Area(geom=SQUARE)]), 300, 200)
    full = drawn(
        Content(areas=[Area(geom=SQUARE), Area(geom=NORTH, coarse=True)], streets=[(line, True)],
                gone=[line], come=[line]), 300, 200,
    )  # fmt: skip
    dashed = [path for path in paths(full.svg) if "stroke-dasharray" in path]
    assert len(dashed) == 1
    assert len(paths(full.svg)) == len(paths(plain.svg)) + 4


def test_names_are_text_and_nothing_is_fetched():
    told = drawn(Content(areas=[Area(geom=SQUARE, lines=("<script>&'", "66 户"))]), 300, 200)
    root = ET.fromstring(told.svg)  # noqa: S314  # our own
    assert [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")] == ["<script>&'", "66 户"]
    assert not re.search(r"href|url\(h|<image|<script|@import", told.svg.replace("&lt;script", ""))
