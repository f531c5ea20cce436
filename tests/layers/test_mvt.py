"""The tile format: what is written comes back, whole and without a gap."""

import itertools

import numpy as np
import pyogrio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import mvt
from layers.tile_grid import TileAddress

squares = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), min_size=1, max_size=30, unique=True)


@given(squares, st.floats(0.2, 90))
@settings(max_examples=40, deadline=None)
def test_neighbours_stay_neighbours_however_small_they_are_drawn(places, size):
    """Squares of any size beside each other, drawn on whole units: no gap, no overlap, nothing inside out."""
    shapes = np.array([shapely.box(x * size, y * size, (x + 1) * size, (y + 1) * size) for x, y in places])
    content = mvt.polygons(
        "t", shapely.orient_polygons(shapes), {"n": list(range(len(places)))}, lambda xy: xy
    )
    drawn = decoded(content)
    for number, outline in drawn.items():
        x, y = places[number]
        box = shapely.box(*np.rint([x * size, y * size, (x + 1) * size, (y + 1) * size]))
        assert shapely.Polygon(outline[0]).equals(box)
    missing = set(range(len(places))) - set(drawn)
    for number in missing:
        x, y = places[number]
        low, high = np.rint([x * size, y * size]), np.rint([(x + 1) * size, (y + 1) * size])
        assert np.any(low == high)


def decoded(content):
    """A minimal reading of one polygon layer: rings by the value of its only property, a whole number."""
    if not content:
        return {}
    ((_, layer),) = fields(content)
    parts = list(fields(layer))
    values = [next(iter(fields(value)))[1] for number, value in parts if number == 4]
    found = {}
    for number, feature in parts:
        if number == 2:
            inside = dict(fields(feature))
            found[signed(values[varints(inside[2])[1]])] = rings(varints(inside[4]))
    return found


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def varints(data):
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            yield key >> 3, data[at : at + value]
            at += value
        else:
            yield key >> 3, value


def signed(number):
    return (number >> 1) ^ -(number & 1)


def rings(stream):
    found, pen, at = [], np.zeros(2, dtype=int), 0
    while at < len(stream):
        command, count = stream[at] & 7, stream[at] >> 3
        at += 1
        if command == 1:
            found.append([])
        for _ in range(count if command != 7 else 0):
            pen = pen + [signed(step) for step in stream[at : at + 2]]
            found[-1].append(tuple(pen))
            at += 2
    return found


def test_holes_and_islands_are_drawn():
    outer = [(0, 0), (100, 0), (100, 100), (0, 100)]
    hole = [(20, 20), (40, 20), (40, 40), (20, 40)]
    speck = [(60.1, 60.1), (60.2, 60.1), (60.2, 60.2)]
    island = shapely.box(200, 200, 300, 300)
    shape = shapely.MultiPolygon([shapely.Polygon(outer, [hole, speck]), island])
    content = mvt.polygons("t", shapely.orient_polygons(np.array([shape])), {"n": [7]}, lambda xy: xy)
    areas = [
        sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise([*ring, ring[0]])) / 2
        for ring in decoded(content)[7]
    ]
    assert areas == [10_000, -400, 10_000]


def test_values_of_every_kind_come_back(tmp_path):
    address = TileAddress(0, 0, 0)
    square = np.array([shapely.box(0, 0, 100, 100)], dtype=object)
    said = {"text": ["字</script>"], "whole": [-5], "real": [2.5], "yes": [True], "nothing": [None]}
    path = tmp_path / "0" / "0"
    path.mkdir(parents=True)
    (path / "0.mvt").write_bytes(mvt.polygons("t", shapely.orient_polygons(square), said, lambda xy: xy))
    frame = pyogrio.read_dataframe(path / f"{address.y}.mvt", layer="t")
    assert (frame["text"][0], frame["whole"][0], frame["real"][0], bool(frame["yes"][0])) == (
        "字</script>",
        -5,
        2.5,
        True,
    )
    assert "nothing" not in frame.columns or frame["nothing"].isna().all()
