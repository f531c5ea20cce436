"""Grids that are no clean coverage do not get in, unless they are repaired; jurisdictions may be what they are."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from boundaries import gate

METRE = 1 / 111_195


def moved(frame, code, corner, metres):
    """The county with one corner of one area moved east and north."""
    shape = frame.loc[frame.code == code, "geometry"].iloc[0]
    xy = shapely.get_coordinates(shape)
    at = np.isclose(xy, corner, atol=1e-9).all(axis=1)
    xy[at] += np.asarray(metres) * METRE
    changed = frame.copy()
    changed.loc[changed.code == code, "geometry"] = gpd.GeoSeries(
        [shapely.Polygon(xy)], index=changed.index[changed.code == code], crs=frame.crs
    )
    return changed


def report_of(line, path, tmp_path, findings, *words, code=0):
    result = line("load", "areas", path, "--report", tmp_path / "r.json", *words, code=code)
    return result, findings()


def test_a_crack_between_grids_is_named_with_place_and_measure_and_nothing_is_stored(
    gridmap, frame, tmp_path, findings
):
    moved(frame, "99012600100100102", (112.01, 30.0), (0.5, 0)).to_file(tmp_path / "f.gpkg")
    dry = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, code=1)
    asked = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, "--commit", code=1)
    assert dry[1] == asked[1]
    (found,) = dry[1]
    assert (found["code"], found["severity"], found["unit"]) == ("gap", "error", "m2")
    assert (found["file"], found["row"]) == ("f.gpkg", 5)
    assert {found["area"], found["other"]} == {"99012600100100101", "99012600100100102"}
    assert found["where"] == pytest.approx([112.01, 30.003], abs=0.003)
    assert found["measure"] == pytest.approx(0.5 * 0.5 * np.cos(np.radians(30)) * 1109, rel=0.02)
    assert "--repair would settle it" in found["message"]
    assert "would settle 1 of them" in asked[0].output
    assert gridmap.one("SELECT count(*) FROM area") == 0


def test_a_repair_closes_it_says_by_how_much_and_moves_no_parent(gridmap, frame, tmp_path, findings):
    dirty = moved(frame, "99012600100100102", (112.01, 30.0), (0.5, 0.3))
    dirty = moved(dirty, "99012600100200101", (112.02, 30.01), (-0.4, 0.2))
    dirty.to_file(tmp_path / "f.gpkg")
    dry = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, "--repair")
    result, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, "--repair", "--commit")
    assert found == dry[1]
    assert "edition 1" in result.output
    assert {each["code"] for each in found} == {"fitted"}
    assert {each["severity"] for each in found} == {"info"}
    assert {each["area"] for each in found} <= {"99012600100100101", "99012600100100102", "99012600100200101"}
    assert sum(each["measure"] for each in found) > 100
    stored = gridmap.rows("SELECT kind, ST_AsBinary(geom) FROM area ORDER BY code")
    micro = shapely.from_wkb([bytes(row[1]) for row in stored if row[0] == "micro"])
    assert shapely.coverage_is_valid(micro)
    whole = [row[1] for row in gridmap.rows("SELECT code, ST_AsBinary(geom) FROM area WHERE kind = 'county'")]
    assert shapely.from_wkb(bytes(whole[0])).equals(shapely.box(112, 30, 112.04, 30.01))
    assert shapely.union_all(micro).equals(shapely.box(112, 30, 112.04, 30.01))


def test_what_is_wider_blocks_with_and_without_repair_until_the_width_is_stated(
    gridmap, frame, tmp_path, findings
):
    moved(frame, "99012600100100102", (112.01, 30.0), (-3, 0)).to_file(tmp_path / "f.gpkg")
    for words in ((), ("--repair",)):
        _, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, *words, "--commit", code=1)
        assert [each["code"] for each in found if each["severity"] == "error"] == ["overlap"]
        assert gridmap.one("SELECT count(*) FROM area") == 0
    words = ("--repair", "--repair-width", "4", "--commit")
    assert "edition 1" in gridmap("load", "areas", tmp_path / "f.gpkg", *words).output


def test_every_kind_of_finding_on_grids_blocks(gridmap, frame, tmp_path, findings):
    shapes = {
        "99012600100100102": shapely.box(112.0095, 30, 112.02, 30.01),  # overlaps its neighbour
        "99012600100200102": shapely.box(112.03, 30, 112.0402, 30.01),  # leaves village and county
        "99012600100200101": shapely.MultiPolygon(
            [shapely.box(112.02, 30, 112.025, 30.01), shapely.box(112.026, 30, 112.03, 30.01)]
        ),
    }
    for code, shape in shapes.items():
        frame.loc[frame.code == code, "geometry"] = gpd.GeoSeries(
            [shape], index=frame.index[frame.code == code], crs=frame.crs
        )
    frame.loc[frame.code == "99012600100100101", "code"] = "990126001001X1"
    frame.to_file(tmp_path / "f.gpkg")
    _, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, "--commit", code=1)
    errors = {each["code"] for each in found if each["severity"] == "error"}
    assert errors == {"overlap", "outside_parent", "not_contiguous", "gap", "bad_code"}
    assert errors < gate.BLOCKING
    allowed = ("--allow", "gap,not_contiguous", "--commit")
    _, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, *allowed, code=1)
    errors = {each["code"] for each in found if each["severity"] == "error"}
    assert errors == {"overlap", "outside_parent", "bad_code"}
    refused = gridmap("load", "areas", tmp_path / "f.gpkg", "--allow", "overlap", code=1)
    assert "only gap and not_contiguous can be allowed" in refused.output


def test_a_gap_that_a_refused_row_leaves_is_told_as_that(gridmap, frame, tmp_path, findings):
    frame.loc[frame.code == "99012600100100102", "parent"] = "99012600100199"
    frame.to_file(tmp_path / "f.gpkg")
    result, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, code=1)
    parent, gap = found
    assert (parent["code"], parent["value"], parent["area"]) == (
        "unknown_parent",
        "99012600100199",
        "99012600100100102",
    )
    assert gap["code"] == "gap"
    assert "a refused row leaves" in gap["message"]
    assert "--repair" not in gap["message"]
    assert "1 refused rows are not in this check" in result.output


def test_a_code_that_stands_twice_names_both_rows(gridmap, frame, tmp_path, findings):
    frame.loc[frame.code == "99012600100100102", "code"] = "99012600100100101"
    frame.to_file(tmp_path / "f.gpkg")
    _, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, code=1)
    assert (found[0]["row"], found[0]["message"]) == (5, "the code stands in row 4 already")


def test_the_gate_holds_files_to_the_scheme_and_ranges_of_the_installation(
    gridmap, frame, tmp_path, findings
):
    gridmap.environment["GRIDMAP_CODE_SCHEME"] = "county:6,village:6,micro:6"
    gridmap.environment["GRIDMAP_HOUSEHOLD_RANGES"] = "micro=10:20"
    frame["households"] = [0, 0, 0, 15, 60, 15, 15, 0]
    micro = frame.kind == "micro"
    right = frame.copy()
    right.loc[micro, "code"] = [f"{parent}{at:06d}" for at, parent in enumerate(frame.parent[micro], 1)]
    right.to_file(tmp_path / "f.gpkg")
    _, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings)
    assert [(each["code"], each["row"]) for each in found] == [("households_out_of_range", 5)]
    frame.to_file(tmp_path / "g.gpkg")
    _, found = report_of(gridmap, tmp_path / "g.gpkg", tmp_path, findings, code=1)
    assert {each["row"] for each in found if each["code"] == "bad_code"} == {4, 5, 6, 7}


def test_jurisdictions_may_lie_over_each_other_in_parts_and_without_a_parent(gridmap, tmp_path, findings):
    shapes = [
        shapely.MultiPolygon([shapely.box(112, 30, 112.01, 30.01), shapely.box(113, 30, 113.01, 30.01)]),
        shapely.box(112.009, 30, 112.02, 30.01),
    ]
    gpd.GeoDataFrame({"code": ["990101", "990102"], "kind": "county"}, geometry=shapes, crs=4490).to_file(
        tmp_path / "f.gpkg"
    )
    result, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, "--commit")
    assert found == []
    assert "edition 1" in result.output


def test_an_edition_more_is_checked_with_what_is_stored_and_repaired_against_it(
    county, frame, tmp_path, findings
):
    stored = county.rows("SELECT code, ST_AsBinary(geom) FROM area ORDER BY code")
    one = moved(frame, "99012600100100102", (112.02, 30.0), (0.6, 0))
    one[one.code == "99012600100100102"].to_file(tmp_path / "g.gpkg")
    _, found = report_of(county, tmp_path / "g.gpkg", tmp_path, findings, "--commit", code=1)
    assert {each["code"] for each in found} == {"overlap", "outside_parent"}
    assert {each["row"] for each in found} == {1}
    result = county("load", "areas", tmp_path / "g.gpkg", "--repair", "--commit")
    assert "unchanged 1" in result.output
    assert county.rows("SELECT code, ST_AsBinary(geom) FROM area ORDER BY code") == stored


def test_what_was_wrong_in_the_store_is_not_held_against_a_file(county, frame, tmp_path):
    # a hole that somebody allowed
    hole = frame[frame.code == "99012600100200101"].copy()
    hole.geometry = [shapely.box(112.02, 30, 112.03, 30.01) - shapely.box(112.024, 30.004, 112.026, 30.006)]
    hole.to_file(tmp_path / "g.gpkg")
    county("load", "areas", tmp_path / "g.gpkg", "--commit", code=1)
    county("load", "areas", tmp_path / "g.gpkg", "--commit", "--allow", "gap")
    frame.loc[frame.code == "990126D01", "name"] = "新市场"
    frame[frame.code == "990126D01"].to_file(tmp_path / "h.gpkg")
    assert "changed 1" in county("load", "areas", tmp_path / "h.gpkg", "--commit").output


def test_rows_that_are_left_out_leave_gaps_which_are_told(gridmap, frame, tmp_path, findings):
    moved(frame, "99012600100200102", (112.04, 30.01), (9, 0)).to_file(tmp_path / "f.gpkg")
    words = ("--commit", "--skip-refused")
    result, found = report_of(gridmap, tmp_path / "f.gpkg", tmp_path, findings, *words, code=1)
    assert [each["code"] for each in found] == ["outside_parent"]
    assert "created 7" in result.output
    assert gridmap.one("SELECT count(*) FROM area WHERE code = '99012600100200102'") == 0
