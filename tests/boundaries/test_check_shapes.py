"""Broken single areas: said, put right for the other checks where that is possible, and never a stack trace."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from boundaries.check import Areas, Rules, check, examine
from gridmap.crs import area_m2
from gridmap.errors import InvalidInput

SIDE = 0.001


def square(x, y, wide=1.0, high=1.0):
    return shapely.box(112 + x * SIDE, 30 + y * SIDE, 112 + (x + wide) * SIDE, 30 + (y + high) * SIDE)


def codes(many):
    return [f"g{number}" for number in range(many)]


def brief(findings):
    return [(each.code, each.area) for each in findings]


@np.errstate(invalid="ignore")
def test_what_cannot_be_used_is_said_and_takes_no_part():
    shapes = [
        square(0, 0),
        None,
        shapely.Polygon(),
        shapely.Point(112, 30),
        shapely.Polygon([(112.001, 30), (np.nan, 30), (112.002, 30.001), (112.001, 30)]),
        shapely.Polygon([(112.001, 30), (np.inf, 30), (112.002, 30.001), (112.001, 30)]),
        shapely.Polygon([(30, 112), (30, 112.001), (30.001, 112.001), (30, 112)]),
        shapely.Polygon([(112, 30), (112.001, 30), (112.002, 30), (112, 30)]),
        shapely.GeometryCollection([square(0, 0)]),
    ]
    findings = check(Areas.from_arrays(shapes, codes(9)))
    assert brief(findings) == [("invalid", f"g{number}") for number in range(1, 9)]
    texts = [each.message for each in findings]
    parts = [
        "no geometry",
        "no geometry",
        "is a Point",
        "NaN",
        "NaN",
        "latitude",
        "without area",
        "GeometryCollection",
    ]
    assert all(part in text for part, text in zip(parts, texts, strict=True))
    assert findings[3].where == (112.001, 30.0)
    assert findings[0].where is None
    assert {each.severity for each in findings} == {"error"}


def test_an_invalid_area_is_checked_further_as_it_is_repaired():
    # its east side crosses itself: a triangle of it is lost, and lies open between the two
    bow = shapely.Polygon([(0, 0), (1, 0), (1, 0.4), (0.8, 0.6), (1, 0.6), (0.8, 0.4), (1, 1), (0, 1)])
    bow = shapely.transform(bow, lambda xy: 112 + xy * SIDE - [0, 82])
    neighbour = square(0.9, 0)
    findings = check(Areas.from_arrays([bow, neighbour], ["a", "b"]))
    assert brief(findings)[:2] == [("invalid", "a"), ("overlap", "a")]
    assert findings[0].measure is not None
    common = shapely.make_valid(bow, method="structure", keep_collapsed=False).intersection(neighbour)
    assert findings[1].measure == pytest.approx(float(area_m2(common)))


def test_a_spike_is_invalid_and_nothing_else():
    ring = shapely.get_coordinates(square(0, 0))
    spiked = shapely.Polygon([ring[0], ring[0] - 1e-5, *ring])
    (finding,) = check(Areas.from_arrays([spiked, square(1, 0)], ["a", "b"]))
    assert (finding.code, finding.area) == ("invalid", "a")
    assert finding.where == pytest.approx(tuple(ring[0]), abs=2e-5)


def test_a_grid_in_pieces_and_a_county_that_may_be():
    pieces = shapely.MultiPolygon([square(0, 0), square(2, 0, 0.5), square(4, 0, 0.25)])
    (finding,) = check(Areas.from_arrays([pieces], ["a"]))
    assert (finding.code, finding.severity) == ("not_contiguous", "warning")
    away = [square(2, 0, 0.5), square(4, 0, 0.25)]
    assert finding.measure == pytest.approx(float(area_m2(away).sum()))
    assert away[0].contains(shapely.Point(finding.where))
    assert "3 pieces" in finding.message
    corner = shapely.MultiPolygon([square(0, 0), square(1, 1)])
    assert brief(check(Areas.from_arrays([corner], ["a"]))) == [("not_contiguous", "a")]
    assert check(Areas.from_arrays([pieces], ["a"], kind=["county"])) == []


def test_a_sliver_by_its_mean_width_whatever_way_it_lies():
    thin = square(1, 0, 0.01)  # 1 m by 111 m
    turned = shapely.Polygon([(112.01, 30.01), (112.02, 30.02), (112.02, 30.02001), (112.01, 30.01001)])
    wide = square(5, 5, 0.1, 0.1)
    areas = Areas.from_arrays([square(0, 0), thin, turned, wide], codes(4))
    found = check(areas)
    assert brief(found) == [("sliver", "g1"), ("sliver", "g2")]
    assert found[0].measure == pytest.approx(float(area_m2(thin)))
    assert thin.contains(shapely.Point(found[0].where))
    assert brief(check(areas, rules=Rules(sliver_m=0.8))) == [("sliver", "g2")]
    assert check(areas, rules=Rules(sliver_m=0.0)) == []


def test_codes_that_are_there_twice_in_the_same_or_another_kind():
    shapes = [square(n, 0) for n in range(4)]
    areas = Areas.from_arrays(shapes, ["a", "b", "a", "b"], kind=["micro", "micro", "micro", "county"])
    found = check(areas)
    assert [(each.code, each.area, each.measure, each.unit) for each in found] == [
        ("duplicate_code", "a", 2.0, "areas"),
        ("duplicate_code", "b", 2.0, "areas"),
    ]
    assert shapes[2].contains(shapely.Point(found[0].where))
    assert "rows 1, 3" in found[0].message


def test_a_frame_in_another_system_is_converted():
    frame = gpd.GeoDataFrame(
        {"code": [990126001001001.0, None], "households": [3, None]},
        geometry=[square(0, 0), square(1, 0)],
        crs=4326,
    ).to_crs(4547)
    areas = Areas.from_frame(frame)
    assert areas.code == ["990126001001001", ""]
    assert areas.households.tolist() == [3, -1]
    assert areas.kind == ["comprehensive"] * 2
    assert shapely.equals_exact(areas.geom[0], square(0, 0), 1e-9)
    with pytest.raises(InvalidInput, match="column 'code' is missing; there are id, geometry"):
        Areas.from_frame(gpd.GeoDataFrame({"id": [1]}, geometry=[square(0, 0)], crs=4326))


def test_arguments_that_make_no_sense():
    with pytest.raises(InvalidInput, match="differ in number"):
        Areas.from_arrays([square(0, 0)], ["a", "b"])
    one = Areas.from_arrays([square(0, 0)], ["a"])
    for rules in (Rules(tolerance_m2=-1), Rules(tolerance_m2=float("nan")), Rules(sliver_m=float("inf"))):
        with pytest.raises(InvalidInput, match="from 0 on"):
            check(one, rules=rules)
    with pytest.raises(InvalidInput, match="holds no polygon"):
        check(one, within=Areas.from_arrays([None], [""]))


def test_a_broken_outline_is_repaired_and_said():
    bow = shapely.Polygon([(112, 30), (112.002, 30), (112.002, 30.001), (112, 30.001), (112.002, 30.0005)])
    report = examine(Areas.from_arrays([square(0, 0)], ["a"]), within=Areas.from_arrays([bow], ["w"]))
    assert any(note.startswith("--within") for note in report.notes)
    assert {each.code for each in report.findings} == {"gap", "outside_parent"}
