"""Edits of areas that are made of others, and of those that lie above them: villages, dedicated grids."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from boundaries import redraw
from boundaries.draft import Draft
from boundaries.exact import combine
from boundaries.ground import Ground
from boundaries.homes import Homes, World
from boundaries.plan_findings import check_plan
from boundaries.plan_households import Households
from gridmap import demo
from gridmap.errors import InvalidInput
from gridmap.index import NESTING
from gridmap.settings import Settings
from tests.boundaries.redraw_ground import edition_of, geojson

WORLD = World()
UNIT = 0.01  # degrees: a kilometre
# Kind, parent, and corners counted in squares. Village v2 has a grid with micro-grids, and two without.
ROWS = {
    "t": ("town", None, (0, 0, 5, 2)),
    "v1": ("village", "t", (0, 0, 2, 2)),
    "v2": ("village", "t", (2, 0, 5, 2)),
    "c1": ("comprehensive", "v1", (0, 0, 1, 2)),
    "c2": ("comprehensive", "v1", (1, 0, 2, 2)),
    "c3": ("comprehensive", "v2", (2, 0, 3, 2)),
    "c4": ("comprehensive", "v2", (3, 0, 4, 2)),
    "c5": ("comprehensive", "v2", (4, 0, 5, 2)),
    "m1": ("micro", "c1", (0, 0, 1, 1)),
    "m2": ("micro", "c1", (0, 1, 1, 2)),
    "m3": ("micro", "c2", (1, 0, 2, 1)),
    "m4": ("micro", "c2", (1, 1, 2, 2)),
    "m5": ("micro", "c3", (2, 0, 3, 1)),
    "m6": ("micro", "c3", (2, 1, 3, 2)),
    "d1": ("dedicated", "v1", (1.2, 0.2, 1.5, 0.5)),
    "d2": ("dedicated", "v1", (0.2, 0.2, 0.5, 0.5)),
}


def box(*corners):
    """A rectangle counted in squares, with a vertex at every whole one, as the areas around it have them."""
    ring = shapely.segmentize(shapely.box(*corners).exterior, 1.0)
    return shapely.Polygon(shapely.get_coordinates(ring) * UNIT + (110, 30))


def line(*places):
    return geojson(shapely.LineString(np.array(places) * UNIT + (110, 30)))


@pytest.fixture(scope="module")
def draft():
    def column(values):
        found = np.empty(len(ROWS), dtype=object)
        found[:] = values
        return found

    paths = {None: ""}
    for code, (_, parent, _) in ROWS.items():
        paths[code] = f"{paths[parent]}.{code}".strip(".")
    base = edition_of(
        demo.Areas(
            kind=column([kind for kind, _, _ in ROWS.values()]),
            code=column(list(ROWS)),
            name=column(list(ROWS)),
            setting=column([None] * len(ROWS)),
            parent=column([parent for _, parent, _ in ROWS.values()]),
            path=column([paths[code] for code in ROWS]),
            geom=column([shapely.MultiPolygon([box(*corners)]) for _, _, corners in ROWS.values()]),
        )
    )
    return Draft.open(base, "t")


def done(draft, **request):
    after = draft.after(redraw.apply(draft, WORLD, request))
    for holder in [*after.inside(), after.get("t")]:
        held = [each for each in after.inside() if each.parent == holder.code]
        land = [each.geom for each in held if each.kind in NESTING]
        assert not land or combine([holder.geom], land).is_empty
        assert all(holder.geom.covers(each.geom) for each in held)
    return after


def refusal(draft, **request):
    with pytest.raises(InvalidInput) as refused:
        redraw.apply(draft, WORLD, request)
    return refused.value


@pytest.mark.parametrize("x", [0.9, 1.1])
def test_dedicated_grids_go_with_the_ground_of_a_village_in_two(draft, x):
    after = done(draft, op="split", grid="v1", line=line((x, -1), (x, 3)))
    (born,) = after.causes
    assert {after.take("d1").parent, after.take("d2").parent} == {"v1", born}


def test_dedicated_grids_go_with_what_a_village_gives_away(draft):
    after = done(draft, op="reshape", grid="v1", polygon=geojson(box(0, 0, 1, 2)))
    assert (after.take("c2").parent, after.take("d1").parent, after.take("d2").parent) == ("v2", "v2", "v1")


def test_a_dedicated_grid_is_no_land_of_its_village(draft):
    small = done(draft, op="reshape", grid="d1", polygon=geojson(box(1.2, 0.2, 1.4, 0.4)))
    assert shapely.equals(small.take("d1").geom, box(1.2, 0.2, 1.4, 0.4))
    gone = done(draft, op="retire", grid="d1")
    assert gone.retired == ["d1"]
    assert set(gone.areas) == {"d1"}


def test_grids_without_others_take_nothing_from_those_that_hold_some(draft):
    polygon = geojson(box(2.5, 0, 4, 2))
    error = refusal(draft, op="reshape", grid="c4", polygon=polygon)
    assert error.code == "holds_others"
    assert 110.025 < error.findings[0]["where"][0] < 110.03


def test_a_new_grid_is_cut_out_of_those_without_others_though_there_are_some_with(draft):
    after = done(draft, op="create", kind="comprehensive", polygon=geojson(box(3.2, 0.5, 4, 1.5)))
    (born,) = after.causes
    assert shapely.area(after.take(born).geom) == pytest.approx(0.8 * UNIT**2)
    assert after.take("c3") == draft.take("c3")


@pytest.mark.parametrize(
    ("request_", "torn"),
    [
        ({"op": "reshape", "grid": "m3", "polygon": (1, 0, 2, 1, 1.4, 1, 1.6, 2)}, "m4"),
        ({"op": "create", "kind": "micro", "polygon": (1.4, 1, 1.6, 2)}, "m4"),
        ({"op": "create", "kind": "comprehensive", "polygon": (3.4, 0, 3.6, 2)}, "c4"),
    ],
)
def test_no_drawing_tears_a_neighbour_apart(draft, request_, torn):
    corners = request_["polygon"]
    drawn = shapely.union_all([box(*corners[at : at + 4]) for at in range(0, len(corners), 4)])
    error = refusal(draft, **{**request_, "polygon": geojson(drawn)})
    assert error.code == "not_contiguous"
    assert error.message.startswith(f"{torn} ")
    assert shapely.intersects(draft.take(torn).geom, shapely.Point(error.findings[0]["where"]))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"op": "merge", "grids": ["m1"], "into": "m1"}, "too_few"),
        ({"op": "retire", "grid": "m1", "into": "m1"}, "into_itself"),
        ({"op": "rename", "grid": "m1", "name": "m1"}, "nothing_changes"),
        ({"op": "split", "grid": "m1", "line": line((0.5, 0.5), (0.5, 0.5))}, "not_two_pieces"),
    ],
)
def test_a_refusal_names_the_place(draft, request_, code):
    error = refusal(draft, **request_)
    assert error.code == code
    assert shapely.intersects(draft.take("m1").geom, shapely.Point(error.findings[0]["where"]))


@pytest.mark.parametrize("place", [[30.0, 110.0], [1e300, 0.0], [110.0, -90.1]])
def test_what_is_no_place_is_named_itself(draft, place):
    drawn = {"type": "LineString", "coordinates": [[110.0, 30.0], place]}
    error = refusal(draft, op="split", grid="m1", line=drawn)
    assert error.code == "bad_drawing"
    assert (error.findings[0]["field"], error.findings[0]["value"]) == ("line[1]", place)


def test_a_grid_is_not_reshaped_to_a_splinter(draft):
    tiny = geojson(box(0.5, 0.5, 0.50001, 0.50001))
    assert refusal(draft, op="reshape", grid="m1", polygon=tiny).code == "nothing_left"


def test_a_scribble_is_refused_before_it_is_noded(draft):
    places = np.random.default_rng(1).random((300, 2))
    error = refusal(draft, op="split", grid="m1", line=line(*places))
    assert error.code == "bad_drawing"
    assert error.findings[0]["where"]


def test_a_drawing_that_meets_borders_over_and_over_is_refused(draft, monkeypatch):
    monkeypatch.setattr("boundaries.cutting.MOST_MEETINGS", 100)
    saw = [(0.1 + 0.01 * at, 2.5 if at % 2 else -0.5) for at in range(80)]
    error = refusal(draft, op="split", grid="m1", line=line(*saw))
    assert error.code == "bad_drawing"
    assert error.findings[0]["where"]


@pytest.mark.parametrize("name", ["\u202e甲", "\u200b", "a\nb"])
def test_a_name_can_be_seen(draft, name):
    assert refusal(draft, op="rename", grid="m1", name=name).code == "missing_field"


def test_of_many_unknown_buildings_the_first_are_named(draft):
    error = refusal(draft, op="move", to="m1", buildings=[f"b{number}" for number in range(5_000)])
    assert error.code == "unknown_building"
    assert "5000" in error.message
    assert len(error.findings) == 200


def test_the_check_while_drawing_finds_what_the_last_one_does(draft):
    merged = draft.after(redraw.apply(draft, WORLD, {"op": "merge", "grids": ["c3", "c4"]}))
    nobody = Households(draft, Homes.none())
    ground = Ground(Homes.none(), nobody, nobody, 0)
    settings = Settings(Path())
    last = check_plan(merged, ground, settings, whole=True).errors
    assert {each.code for each in last} == {"gap"}
    assert check_plan(merged, ground, settings).errors == last


def test_a_kind_that_nothing_in_the_plan_can_hold_is_refused_as_that(draft):
    """And not as a polygon that lies elsewhere."""
    polygon = box(0, 0, 1, 1)
    error = refusal(draft, op="create", polygon=geojson(polygon), kind="county")
    assert error.code == "bad_kind"
    assert shapely.intersects_xy(polygon, *error.findings[0]["where"])
