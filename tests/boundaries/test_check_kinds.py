"""Several kinds in one file: each a coverage of its own, children in their parents, households of each."""

import numpy as np
import pytest
import shapely

from boundaries.check import Areas, Rules, check, examine
from boundaries.check_findings import counts
from boundaries.check_households import parse_ranges
from gridmap.codes import Scheme
from gridmap.crs import area_m2
from gridmap.errors import InvalidInput

VILLAGE = "990126001001"
SIDE = 0.001


def square(x, y, wide=1, high=1):
    return shapely.box(112 + x * SIDE, 30 + y * SIDE, 112 + (x + wide) * SIDE, 30 + (y + high) * SIDE)


def town():
    """A village of 4 x 4 squares: comprehensive grids of four micro-grids each, and a market over some."""
    areas = [("village", VILLAGE, shapely.box(112, 30, 112 + 4 * SIDE, 30 + 4 * SIDE), "")]
    corners = [(0, 0), (2, 0), (0, 2), (2, 2)]
    for number, (x, y) in enumerate(corners, start=1):
        code = f"{VILLAGE}{number:03d}"
        micro = [square(x + dx, y + dy) for dy in (0, 1) for dx in (0, 1)]
        areas.append(("comprehensive", code, shapely.coverage_union_all(micro), VILLAGE))
        areas += [("micro", f"{code}{n:02d}", shape, code) for n, shape in enumerate(micro, start=1)]
    whole = shapely.coverage_union_all([shape for kind, _, shape, _ in areas if kind == "micro"])
    areas[0] = ("village", VILLAGE, whole, "")
    areas.append(("dedicated", f"{VILLAGE}901", square(0.5, 0.5, 2, 1), VILLAGE))
    areas.append(("precinct", "p1", square(-1, -1, 3, 3), ""))
    areas.append(("precinct", "p2", square(0, 0, 3, 3), ""))
    return areas


def areas_of(rows, parents=True, **columns):
    kinds, codes, shapes, parent = zip(*rows, strict=True)
    return Areas.from_arrays(shapes, codes, kind=kinds, parent=parent if parents else None, **columns)


def replaced(rows, code, shape):
    return [(kind, own, shape if own == code else old, parent) for kind, own, old, parent in rows]


def without(rows, *codes):
    return [row for row in rows if row[1] not in codes]


def shape_of(rows, code):
    return next(shape for _, own, shape, _ in rows if own == code)


def brief(findings):
    return [(each.code, each.area, each.other) for each in findings]


@pytest.mark.parametrize("parents", [True, False])
def test_a_town_is_clean_with_grids_over_grids_and_overlapping_precincts(parents):
    report = examine(areas_of(town(), parents))
    assert report.findings == []
    assert not report.below
    assert report.areas == {"micro": 16, "comprehensive": 4, "precinct": 2, "village": 1, "dedicated": 1}


@pytest.mark.parametrize("parents", [True, False])
def test_a_micro_grid_that_reaches_over_its_comprehensive_grid(parents):
    rows = town()
    first, neighbour = f"{VILLAGE}00102", f"{VILLAGE}00201"
    wider = shape_of(rows, first).union(square(2, 0, 0.25, 1))
    findings = check(areas_of(replaced(rows, first, wider), parents))
    assert brief(findings) == [("overlap", first, neighbour), ("outside_parent", first, f"{VILLAGE}001")]
    size = float(area_m2(square(2, 0, 0.25, 1)))
    assert [each.measure for each in findings] == pytest.approx([size, size])
    assert all(square(2, 0, 0.25, 1).contains(shapely.Point(each.where)) for each in findings)
    assert [each.severity for each in findings] == ["error", "error"]


def test_a_micro_grid_outside_of_everything_and_one_in_another_comprehensive_grid():
    rows = [*town(), ("micro", f"{VILLAGE}00105", square(9, 9), f"{VILLAGE}001")]
    (finding,) = check(areas_of(rows))
    assert brief([finding]) == [("outside_parent", f"{VILLAGE}00105", f"{VILLAGE}001")]
    assert finding.measure == pytest.approx(float(area_m2(square(9, 9))))
    stated = f"{VILLAGE}00101"
    swapped = [(k, c, g, f"{VILLAGE}002" if c == stated else p) for k, c, g, p in town()]
    found = brief(check(areas_of(swapped)))
    assert ("outside_parent", stated, f"{VILLAGE}002") in found
    # its square is not filled by those who say that it is theirs; by the plane's coverage it is
    assert {code for code, _, _ in found} == {"outside_parent"}


def test_a_missing_micro_grid_at_the_border_is_a_gap_of_its_comprehensive_grid():
    rows = without(town(), f"{VILLAGE}00101")
    (gap,) = check(areas_of(rows))
    assert gap.code == "gap"
    # the market lies over a quarter of the square
    assert gap.measure == pytest.approx(0.75 * float(area_m2(square(0, 0))), rel=1e-6)
    assert f"{VILLAGE}001" in gap.message
    assert square(0, 0).difference(square(0.5, 0.5, 2, 1)).contains(shapely.Point(gap.where))


def test_an_enclosed_hole_is_said_once_although_two_kinds_miss_it():
    missing = f"{VILLAGE}00104"
    findings = check(areas_of(without(town(), missing, f"{VILLAGE}901")))
    assert [each.code for each in findings] == ["gap"]
    assert findings[0].measure == pytest.approx(float(area_m2(square(1, 1))))


def test_a_comprehensive_grid_need_not_be_divided():
    micro = [f"{VILLAGE}001{number:02d}" for number in (1, 2, 3, 4)]
    assert check(areas_of(without(town(), *micro))) == []


def test_a_comprehensive_grid_in_the_middle_need_not_be_divided_either():
    codes = [f"{VILLAGE}{number:03d}" for number in range(1, 10)]
    whole = [("comprehensive", code, square(n % 3, n // 3), "") for n, code in enumerate(codes)]
    micro = [("micro", f"{code}01", shape, code) for _, code, shape, _ in whole]
    assert check(areas_of([*whole, *micro[:4], *micro[5:]])) == []
    halved = ("micro", f"{codes[4]}01", square(1, 1, 0.5), codes[4])
    assert brief(check(areas_of([*whole, *micro[:4], halved, *micro[5:]]))) == [
        ("gap", f"{codes[4]}01", f"{codes[5]}01")
    ]


def test_dedicated_grids_overlap_each_other_and_leave_their_village():
    rows = [*town(), ("dedicated", f"{VILLAGE}902", square(2, 0.5, 3, 1), VILLAGE)]
    findings = check(areas_of(rows))
    assert brief(findings) == [
        ("overlap", f"{VILLAGE}901", f"{VILLAGE}902"),
        ("outside_parent", f"{VILLAGE}902", VILLAGE),
    ]
    assert findings[1].measure == pytest.approx(float(area_m2(square(4, 0.5))), rel=1e-9)


def test_a_dedicated_grid_may_fill_a_hole_and_half_of_one():
    cut = town()
    hole = f"{VILLAGE}00104"
    assert (
        check(
            areas_of(
                [*without(cut, hole, f"{VILLAGE}901"), ("dedicated", f"{VILLAGE}901", square(1, 1), VILLAGE)]
            )
        )
        == []
    )
    half = ("dedicated", f"{VILLAGE}901", square(1, 1, 0.5, 1), VILLAGE)
    (gap,) = check(areas_of([*without(cut, hole, f"{VILLAGE}901"), half]))
    assert gap.code == "gap"
    assert gap.measure == pytest.approx(float(area_m2(square(1.5, 1, 0.5, 1))), rel=1e-6)


def test_within_says_what_is_uncovered_and_what_lies_outside():
    micro = [row for row in town() if row[0] == "micro" and row[1] != f"{VILLAGE}00404"]
    outline = Areas.from_arrays([square(-0.5, 0, 4, 4)], [""])
    findings = check(areas_of(micro, parents=False), within=outline)
    assert [each.code for each in findings] == ["gap"] * 2 + ["outside_parent"] * 3
    gaps = {each.measure: each.where for each in findings if each.code == "gap"}
    sizes = [float(area_m2(square(-0.5, 0, 0.5, 4))), float(area_m2(square(3, 3, 0.5, 1)))]
    assert sorted(gaps) == pytest.approx(sorted(sizes), rel=1e-6)
    outside = [each for each in findings if each.code == "outside_parent"]
    assert [each.area for each in outside] == [f"{VILLAGE}002{n}" for n in ("02", "04")] + [f"{VILLAGE}00402"]
    assert {each.other for each in outside} == {None}
    assert outside[0].measure == pytest.approx(float(area_m2(square(3.5, 0, 0.5, 1))), rel=1e-6)


def test_within_with_codes_holds_each_to_its_own_village_and_a_lake_need_not_be_covered():
    lake = square(1, 1)
    village = shapely.Polygon(square(0, 0, 4, 4).exterior, [lake.exterior])
    micro = [row for row in town() if row[0] == "micro" and row[1] != f"{VILLAGE}00104"]
    within = Areas.from_arrays([village], [VILLAGE], kind=["village"])
    assert check(areas_of(micro), within=within) == []
    assert [each.code for each in check(areas_of(micro))] == ["gap"]
    elsewhere = Areas.from_arrays(
        [village, square(4, 0, 4, 4)], [VILLAGE, "990126001002"], kind=["village"] * 2
    )
    strayed = [*micro, ("micro", f"{VILLAGE}00105", square(4, 0), "")]
    found = check(areas_of(strayed), within=elsewhere)
    assert brief(found)[-1] == ("outside_parent", f"{VILLAGE}00105", VILLAGE)
    assert found[0].code == "gap"
    assert found[0].measure == pytest.approx(15 * float(area_m2(square(4, 0))), rel=1e-4)


def test_a_parent_that_is_not_in_the_file():
    rows = [(k, c, g, f"{VILLAGE}009" if c == f"{VILLAGE}00101" else p) for k, c, g, p in town()]
    (finding,) = check(areas_of(rows))
    assert brief([finding]) == [("bad_code", f"{VILLAGE}00101", f"{VILLAGE}009")]
    micro = [row for row in town() if row[0] == "micro"]
    assert check(areas_of(micro)) == []  # nobody's parents are there: nothing is said of them


def test_codes_are_held_to_the_scheme_where_most_follow_it():
    rows = town()
    rows = [(k, "99012600100100X" if c == f"{VILLAGE}00101" else c, g, p) for k, c, g, p in rows]
    (finding,) = check(areas_of(rows))
    assert (finding.code, finding.area) == ("bad_code", "99012600100100X")
    shapes = [square(n, 0) for n in range(3)]
    own = Areas.from_arrays(shapes, ["A_1", "A_2", "A 3"])
    assert brief(check(own)) == [("bad_code", "A 3", None)]
    strict = check(own, rules=Rules(scheme=Scheme()))
    assert [each.area for each in strict] == ["A 3", "A_1", "A_2"]
    assert (
        brief(check(Areas.from_arrays(shapes, ["A1", None, float("nan")]))) == [("bad_code", None, None)] * 2
    )


def test_kinds_by_the_codes_and_running_numbers_that_are_none():
    codes = [code for _, code, _, _ in town() if code.isdigit()]
    shapes = [shape for _, code, shape, _ in town() if code.isdigit()]
    report = examine(Areas.from_arrays(shapes, codes))
    assert report.findings == []
    assert report.areas == {"micro": 16, "comprehensive": 4, "village": 1, "dedicated": 1}
    assert Areas.from_arrays([None] * 20, list(range(20))).kind == ["micro"] * 20
    with pytest.raises(InvalidInput, match="record 1: 'street' is no kind"):
        Areas.from_arrays([None], ["1"], kind=["street"])


RANGES = {"micro": (50, 100), "comprehensive": (300, 500)}


def test_households_as_stated_and_summed_up():
    rows = town()[:-3]
    counts_of = [(-1 if kind != "micro" else 80) for kind, _, _, _ in rows]
    counts_of[2], counts_of[3], counts_of[4] = 49, 100, 101
    findings = check(areas_of(rows, households=counts_of), rules=Rules(ranges=RANGES))
    assert [(each.area, each.measure, each.unit) for each in findings] == [
        (f"{VILLAGE}00101", 49.0, "households"),
        (f"{VILLAGE}00103", 101.0, "households"),
    ]
    assert {each.severity for each in findings} == {"warning"}
    counts_of[5] = 45
    findings = check(areas_of(rows, households=counts_of), rules=Rules(ranges=RANGES))
    assert (f"{VILLAGE}001", 295.0) in {(each.area, each.measure) for each in findings}
    assert check(areas_of(rows, households=counts_of)) == []
    unknown = examine(areas_of(rows), rules=Rules(ranges=RANGES))
    assert unknown.findings == []
    assert any("20 " in note for note in unknown.notes)


def test_households_of_buildings_go_to_their_owner_and_up():
    rows = town()
    points = [(x + 0.25, y + 0.25) for y in range(4) for x in range(4)]
    lon = np.array([112 + x * SIDE for x, _ in points] + [112 + 0.7 * SIDE, 200.0])
    lat = np.array([30 + y * SIDE for _, y in points] + [30 + 0.7 * SIDE, 0.0])
    number = np.array([90] * 16 + [40, 7], dtype=np.int64)
    number[0] = 30
    findings = check(
        areas_of(rows), rules=Rules(ranges={**RANGES, "dedicated": (50, 60)}), buildings=(lon, lat, number)
    )
    # 0.25 lies outside of the market, which begins at 0.5; (1.25, 0.25) too; (1.25, 1.25) in it
    assert {(each.area, each.measure) for each in findings} == {
        (f"{VILLAGE}00101", 30.0),
        (f"{VILLAGE}00104", 0.0),
        (f"{VILLAGE}00203", 0.0),
        (f"{VILLAGE}001", 210.0),
        (f"{VILLAGE}002", 270.0),
        (f"{VILLAGE}901", 220.0),
    }


@pytest.mark.parametrize(
    "text", ["micro", "micro=50", "micro=100:50", "micro=a:b", "street=1:2", "micro=1:2,micro=1:2", ""]
)
def test_ranges_that_are_none(text):
    with pytest.raises(InvalidInput, match="KIND=LEAST:MOST"):
        parse_ranges(text)


def test_ranges():
    assert parse_ranges("micro=50:100, comprehensive=300:500") == RANGES
    assert counts([]) == {}
