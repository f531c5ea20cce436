"""The picture: the colours of the classes where the areas are."""

import datetime as dt
import struct
import zlib

import numpy as np
import pytest
import shapely

from gridmap.errors import InvalidInput
from layers import colors
from layers.heat import HeatQuery, heat
from layers.legend import legend
from layers.picture import heat_picture

SINCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def pixels(png):
    """Decodes what this package writes: 8-bit RGB, no filter."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, content, texts, size = 8, b"", {}, (0, 0)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checked,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert checked == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            content += body
        elif kind == b"iTXt":
            key, text = body.split(b"\0\0\0\0\0")
            texts[key.decode()] = text.decode()
        at += 12 + length
    width, height = size
    lines = np.frombuffer(zlib.decompress(content), dtype=np.uint8).reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3), texts


def rgb(token, *, dark=False):
    return tuple(bytes.fromhex(colors.palette(dark=dark)[token][1:]))


@pytest.mark.parametrize("dark", [False, True])
def test_every_area_has_the_colour_of_its_class(city, reading, everything, dark):
    answer = heat(reading, city.snapshot, HeatQuery(since=SINCE), everything)
    image, texts = pixels(heat_picture(answer, title="云江县", width=800, height=500, dark=dark))
    assert image.shape == (500, 800, 3)
    assert texts["Title"] == "云江县"
    assert "2026" in texts["Description"]
    told = legend(answer)
    tokens = {one.key: one.token for one in told.entries}
    seen = {tuple(colour) for colour in image.reshape(-1, 3)}
    assert {rgb(tokens[key], dark=dark) for key in set(told.of.tolist())} <= seen
    # Eight by four squares: their middles, west to east and north to south.
    places = shapely.get_coordinates(shapely.centroid(answer.outlines.geometries()))
    west, east = places[:, 0].min() - 0.001, places[:, 0].max() + 0.001
    x = 24 + (places[:, 0] - west) / (east - west) * (800 - 48)
    tall = (800 - 48) / 2 / np.cos(np.radians(30))
    y = 250 - (places[:, 1] - 30.004) / 0.008 * tall
    for key, across, down in zip(told.of.tolist(), x, y, strict=True):
        if 0 < down < 320:  # above the legend
            assert tuple(image[round(down), round(across)]) == rgb(tokens[key], dark=dark)


def test_what_is_withheld_is_hatched(city, reading, audience):
    answer = heat(reading, city.snapshot, HeatQuery(since=SINCE), audience("commander", "990126", "990126"))
    assert answer.withheld.any()
    image, _ = pixels(heat_picture(answer, width=800, height=500))
    seen = {tuple(colour) for colour in image.reshape(-1, 3)}
    assert {rgb("hatch-ground"), rgb("hatch-line")} <= seen


def test_hexagons_change_and_nothing_are_drawn(city, reading, everything, audience):
    for query in (
        HeatQuery(by="hex", res=9, since=SINCE),
        HeatQuery(kind="village", measure="change", since=SINCE),
        HeatQuery(measure="hotspot", since=SINCE),
    ):
        image, _ = pixels(
            heat_picture(heat(reading, city.snapshot, query, everything), width=400, height=300)
        )
        assert len({tuple(colour) for colour in image.reshape(-1, 3)}) > 4
    nothing = heat(reading, city.snapshot, HeatQuery(since=SINCE), audience("source"))
    assert pixels(heat_picture(nothing, width=200, height=200))[0].shape == (200, 200, 3)


def test_a_hole_stays_open(city, reading, everything):
    from dataclasses import replace

    from layers.answer import Outlines

    answer = heat(reading, city.snapshot, HeatQuery(kind="county", since=SINCE), everything)
    square = shapely.box(0, 0, 9, 9)
    shape = shapely.MultiPolygon([square.difference(shapely.box(3, 3, 6, 6))])
    drawn = np.empty(1, dtype=object)
    drawn[0] = shape
    open_ = replace(answer, outlines=Outlines(city.snapshot, np.array([-1]), drawn))
    image, _ = pixels(heat_picture(open_, width=400, height=400))
    assert tuple(image[200, 200]) == rgb("paper")
    assert tuple(image[200, 60]) != rgb("paper")


@pytest.mark.parametrize("size", [(100, 500), (500, 5000)])
def test_a_size_out_of_range_is_refused(city, reading, everything, size):
    answer = heat(reading, city.snapshot, HeatQuery(kind="town", since=SINCE), everything)
    with pytest.raises(InvalidInput, match="pixels"):
        heat_picture(answer, width=size[0], height=size[1])
