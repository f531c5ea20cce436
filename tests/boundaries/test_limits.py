"""Limits in words: streets and rivers by their names, neighbours where there are none."""

import numpy as np
import pytest
import shapely

from boundaries.homes import Streets
from boundaries.limits import limits
from tests.boundaries.redraw_ground import county, edition

WEST, SOUTH, SIDE = 112.0, 30.0, 0.002


def square(column, row, columns=1):
    x, y = WEST + SIDE * column, SOUTH + SIDE * row
    return shapely.box(x, y, x + SIDE * columns, y + SIDE)


def streets(*lines):
    geom, names = np.empty(len(lines), dtype=object), np.empty(len(lines), dtype=object)
    geom[:] = [
        shapely.LineString([(WEST + SIDE * x, SOUTH + SIDE * y) for x, y in places]) for _, places in lines
    ]
    names[:] = [name for name, _ in lines]
    return Streets(geom, np.full(len(lines), "street", dtype=object), names)


def test_sides_are_named_by_streets_else_by_neighbours():
    around = [square(1, 1), square(0, 1), square(2, 1), square(1, 2)]
    known = streets(
        ("青云路", [(-1, 1.02), (4, 1.02)]),  # 4 m north of the southern side
        ("", [(1, 0), (1, 4)]),  # along the western side, without a name
        ("横街", [(0, 1.5), (4, 1.5)]),  # across
        ("远路", [(2.3, 0), (2.3, 4)]),  # too far east
    )
    (found,) = limits([around[0]], known, around, ["自己", "西格", "东格", "北格"])
    assert found.zh == "东至东格，南至青云路，西至西格，北至北格"
    assert found.en == "east to 东格, south to 青云路, west to 西格, north to 北格"


def test_a_side_of_two_parts_names_both_in_order_and_a_corner_not():
    grid, left, right = square(0, 0, 2), square(0, 1), square(1, 1)
    known = streets(("短巷", [(0, -0.02), (0.3, -0.02)]), ("长街", [(0.3, -0.02), (2, -0.02)]))
    (found,) = limits([grid], known, [grid, left, right], ["自己", "左", "右"])
    assert found.north == ("左", "右")
    assert found.south == ("长街",)
    assert (found.east, found.west) == ((), ())


def test_a_stub_of_a_street_is_not_the_limit_of_a_side_that_has_none():
    grid = square(0, 0, 2)
    known = streets(("短巷", [(0, -0.02), (0.2, -0.02)]), ("半街", [(0, 1.02), (0.7, 1.02)]))
    (found,) = limits([grid], known, [grid], ["自己"])
    assert found.south == ()
    assert found.north == ("半街", "")
    assert found.zh == "东至辖区边界，南至辖区边界，西至辖区边界，北至半街、辖区边界"
    assert found.en.endswith("north to 半街 / the outer border")
    assert found.zh.startswith("东至辖区边界")


@pytest.fixture(scope="module")
def city():
    return county(1200)


def test_every_grid_of_the_demonstration_city_is_described(city):
    base = edition(city)
    known = Streets(city.streets.geom, city.streets.rank, city.streets.name)
    rows = np.flatnonzero(base.kind == "micro")
    names = [f"{name}" for name in base.name[rows]]
    found = limits(base.geom[rows].tolist(), known, base.geom[rows].tolist(), names)
    called = set(known.name.tolist())
    said = [set(each.east + each.south + each.west + each.north) for each in found]
    assert all(each <= called | set(names) for each in said)
    assert np.mean([bool(each & called) for each in said]) > 0.9
    assert any("云江" in each.zh for each in found)
    # What is said to the east of one is said to the west of the one beyond, where a street runs between.
    shapes = base.geom[rows]
    pairs = shapely.STRtree(shapes).query(shapes, predicate="touches").T.tolist()
    for one, other in pairs:
        shared = shapely.intersection(shapes[one], shapes[other])
        if shared.length > 0.0004:
            both = said[one] & said[other] & called
            assert both or names[other] in said[one] or names[one] in said[other] or len(said[one]) >= 6
