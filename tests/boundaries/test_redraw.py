"""Edits of a plan: what each does, what it refuses, and that a coverage stays exact whatever is asked."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from boundaries import redraw
from boundaries.draft import Draft, PlannedArea
from boundaries.exact import combine
from boundaries.homes import World
from boundaries.redrawing import named_after
from gridmap import demo
from gridmap.errors import InvalidInput, NotFound
from tests.boundaries.redraw_ground import edition_of, geojson, ground


@pytest.fixture(scope="module")
def town(base):
    return str(base.code[base.kind == "town"][0])


@pytest.fixture(scope="module")
def draft(base, town):
    return Draft.open(base, town)


@pytest.fixture(scope="module")
def world(city, base, town):
    return ground(city, base.geom[base.row[town]])


def of_kind(draft, kind, holding=None):
    return [area for area in draft.inside() if area.kind == kind and holding in (None, area.parent)]


def neighbours(draft, kind):
    """Two areas of a kind with one parent that share a border."""
    areas = of_kind(draft, kind)
    for one in areas:
        for other in areas:
            if one.parent == other.parent and one.code < other.code:
                together = combine([one.geom, other.geom])
                if len(shapely.get_parts(together)) == 1:
                    return one, other
    raise AssertionError


def across(area, share=0.5):
    """A line right across an area."""
    west, south, east, north = area.geom.bounds
    x = west + (east - west) * share
    return geojson(shapely.LineString([(x, south - 0.01), (x, north + 0.01)]))


def done(draft, world, **request):
    return draft.after(redraw.apply(draft, world, request))


def simple(areas, draft, world):
    """The first area that a line down its middle leaves in two pieces, and the step."""
    for area in areas:
        try:
            step = redraw.apply(draft, world, {"op": "split", "grid": area.code, "line": across(area)})
        except InvalidInput:
            continue
        return area, step
    raise AssertionError


def test_a_split_leaves_the_code_to_the_piece_with_more_households(draft, world):
    area, step = simple(of_kind(draft, "micro"), draft, world)
    after = draft.after(step)
    (born,) = (code for code in step.causes if step.causes[code] == "split")
    kept, new = after.take(area.code), after.take(born)
    count = [int(world.homes.households[world.homes.within(each.geom)].sum()) for each in (kept, new)]
    assert count[0] >= count[1]
    assert sum(count) == world.homes.households[world.homes.within(area.geom)].sum()
    assert new.parent == kept.parent
    assert new.kind == "micro"
    assert born not in world.used
    assert not shapely.overlaps(kept.geom, new.geom)
    assert shapely.area(kept.geom) + shapely.area(new.geom) == pytest.approx(
        shapely.area(area.geom), rel=1e-9
    )
    assert draft.get(born) is None


def test_a_cut_puts_its_vertices_bit_for_bit_on_every_border_that_it_meets(draft, world, base):
    area, step = simple(of_kind(draft, "micro"), draft, world)
    new = set(map(tuple, shapely.get_coordinates(step.areas[area.code].geom).tolist())) - set(
        map(tuple, shapely.get_coordinates(area.geom).tolist())
    )
    touched = [each for each in step.areas.values() if each.touched]
    assert {area.parent} <= {each.code for each in touched}
    for each in touched:
        before = base.geom[base.row[each.code]]
        gained = set(map(tuple, shapely.get_coordinates(each.geom).tolist())) - set(
            map(tuple, shapely.get_coordinates(before).tolist())
        )
        assert gained
        assert gained <= new
        assert shapely.area(each.geom) == pytest.approx(shapely.area(before), rel=1e-12)


def test_both_pieces_are_new_where_nothing_shall_keep_the_code(draft, world):
    area, _ = simple(of_kind(draft, "micro"), draft, world)
    after = done(draft, world, op="split", grid=area.code, line=across(area), keep="none")
    assert after.retired == [area.code]
    assert sum(cause == "split" for cause in after.causes.values()) == 3
    with pytest.raises(NotFound):
        after.take(area.code)


def test_a_grid_that_holds_others_is_divided_along_their_borders(draft, world):
    area, step = simple(of_kind(draft, "comprehensive"), draft, world)
    after = draft.after(step)
    (born,) = step.causes
    both = after.children(area.code), after.children(born)
    assert all(both)
    assert {child.code for group in both for child in group} == {c.code for c in draft.children(area.code)}
    for code, held in zip((area.code, born), both, strict=True):
        assert combine([after.take(code).geom], [child.geom for child in held]).is_empty
    assert not after.touched


def test_a_line_that_misses_says_into_how_many_pieces_it_divides(draft, world):
    area = of_kind(draft, "micro")[0]
    west, south, east, _ = area.geom.bounds
    line = geojson(shapely.LineString([(west, south - 0.01), (east, south - 0.01)]))
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "split", "grid": area.code, "line": line})
    assert error.value.code == "not_two_pieces"
    assert error.value.findings[0]["measure"] == 1
    assert shapely.intersects_xy(shapely.buffer(area.geom, 1e-6), *error.value.findings[0]["where"])


def test_merging_keeps_the_code_of_into_and_retires_the_others(draft, world):
    one, other = neighbours(draft, "micro")
    after = done(draft, world, op="merge", grids=[one.code, other.code], into=other.code)
    assert after.retired == [one.code]
    assert after.causes == {one.code: "merge"}
    assert shapely.area(after.take(other.code).geom) == pytest.approx(
        shapely.area(one.geom) + shapely.area(other.geom), rel=1e-12
    )
    assert after.get(one.parent) == draft.get(one.parent)


def test_merging_across_parents_shrinks_the_other_parent(draft, world):
    grids = of_kind(draft, "micro")
    one, other = next(
        (a, b) for a in grids for b in grids
        if a.parent != b.parent and a.parent[:12] == b.parent[:12]
        and len(shapely.get_parts(combine([a.geom, b.geom]))) == 1 and len(draft.children(b.parent)) > 1
    )  # fmt: skip
    after = done(draft, world, op="merge", grids=[one.code, other.code], into=one.code)
    for code in (one.parent, other.parent):
        held = [child.geom for child in after.children(code)]
        assert combine([after.take(code).geom], held).is_empty
    assert shapely.area(after.take(other.parent).geom) < shapely.area(other.geom) + shapely.area(
        draft.take(other.parent).geom
    )


def test_grids_that_do_not_touch_are_not_merged(draft, world):
    grids = of_kind(draft, "micro")
    one = grids[0]
    far = next(each for each in grids if shapely.distance(each.geom, one.geom) > 0.001)
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "merge", "grids": [one.code, far.code], "into": one.code})
    assert error.value.code in {"not_touching", "crosses_parent"}
    assert error.value.findings[0]["where"]


def test_a_dragged_vertex_takes_the_neighbours_along(draft, world):
    one, other = neighbours(draft, "micro")
    shared = set(map(tuple, shapely.get_coordinates(one.geom).tolist())) & set(
        map(tuple, shapely.get_coordinates(other.geom).tolist())
    )
    places = shapely.get_coordinates(shapely.get_parts(one.geom)[0].exterior)[:-1]
    parent = draft.take(one.parent).geom
    inner = [row for row, place in enumerate(map(tuple, places.tolist()))
             if place in shared and shapely.contains_properly(parent, shapely.Point(place))]  # fmt: skip
    middle = np.array(shapely.get_coordinates(shapely.point_on_surface(one.geom))[0])
    places[inner[0]] += (middle - places[inner[0]]) * 0.3
    after = done(draft, world, op="reshape", grid=one.code, polygon=geojson(shapely.Polygon(places)))
    assert shapely.area(after.take(one.code).geom) < shapely.area(one.geom)
    assert len(after.changed) >= 2
    assert tuple(places[inner[0]].tolist()) in set(
        map(tuple, shapely.get_coordinates(after.take(one.code).geom).tolist())
    )
    assert after.get(one.parent).touched or after.get(one.parent) == draft.get(one.parent)


def test_a_polygon_that_crosses_its_parents_border_is_refused_with_the_place(draft, world):
    area = of_kind(draft, "micro")[0]
    parent = draft.take(area.parent)
    polygon = geojson(shapely.box(*shapely.buffer(parent.geom, 0.002).bounds))
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "reshape", "grid": area.code, "polygon": polygon})
    assert error.value.code == "outside_parent"
    assert not shapely.intersects_xy(parent.geom, *error.value.findings[0]["where"])


def test_what_would_take_all_of_a_neighbour_is_a_merge(draft, world):
    one, other = neighbours(draft, "micro")
    polygon = shapely.get_parts(combine([one.geom, other.geom]))[0]
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "reshape", "grid": one.code, "polygon": geojson(polygon)})
    assert error.value.code == "swallows"


def test_a_new_grid_is_carved_out_of_those_that_lie_there(draft, world):
    area = max(of_kind(draft, "micro"), key=lambda each: shapely.area(each.geom))
    inside = shapely.get_parts(shapely.buffer(area.geom, -0.0001))[0]
    polygon = geojson(shapely.box(*shapely.buffer(shapely.point_on_surface(inside), 0.00005).bounds))
    after = done(draft, world, op="create", polygon=polygon, kind="micro", name="新格")
    (born,) = (code for code, cause in after.causes.items() if cause == "create")
    made = after.take(born)
    assert made.name == "新格"
    assert made.parent == area.parent
    assert combine([after.take(area.code).geom, made.geom], [area.geom]).is_empty


def test_a_retired_code_is_never_given_again(draft, world):
    one, other = neighbours(draft, "micro")
    after = done(draft, world, op="retire", grid=one.code, into=other.code)
    assert after.causes == {one.code: "retire"}
    box = shapely.box(*shapely.buffer(shapely.point_on_surface(after.take(other.code).geom), 0.00003).bounds)
    asked = {"op": "create", "polygon": geojson(box), "kind": "micro"}
    born = list(redraw.apply(after, world, asked).causes)
    assert one.code not in born
    with pytest.raises(InvalidInput, match="用过"):
        redraw.apply(after, world, {**asked, "code": one.code})


def test_a_name_that_is_the_same_changes_nothing(draft, world):
    area = of_kind(draft, "micro")[0]
    after = done(draft, world, op="rename", grid=area.code, name="东门第一格")
    assert after.take(area.code).name == "东门第一格"
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "rename", "grid": area.code, "name": area.name})
    assert error.value.code == "nothing_changes"


def test_two_villages_merge_by_the_same_means(draft, world):
    one, other = neighbours(draft, "village")
    after = done(draft, world, op="merge", grids=[one.code, other.code], into=one.code)
    assert after.retired == [other.code]
    assert {child.parent for child in after.inside() if child.kind == "comprehensive"} & {other.code} == set()
    assert after.path(draft.children(other.code)[0].code).split(".")[-2] == one.code


def test_grids_of_different_villages_do_not_move_the_villages_border(draft, world):
    grids = of_kind(draft, "comprehensive")
    one, other = next(
        (a, b) for a in grids for b in grids
        if a.parent != b.parent and len(shapely.get_parts(combine([a.geom, b.geom]))) == 1
    )  # fmt: skip
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "merge", "grids": [one.code, other.code], "into": one.code})
    assert error.value.code == "crosses_parent"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"op": "explode"},
        {"op": "split", "grid": 7},
        {"op": "split", "grid": "CODE", "line": {"type": "LineString", "coordinates": [[0, 0]]}},
        {"op": "split", "grid": "CODE", "line": {"type": "LineString", "coordinates": [[0, "x"], [1, 1]]}},
        {"op": "split", "grid": "CODE", "line": {"type": "LineString", "coordinates": [[0, 0], [1e400, 1]]}},
        {"op": "reshape", "grid": "CODE", "polygon": {"type": "Polygon", "coordinates": []}},
        {"op": "reshape", "grid": "CODE", "polygon": {
            "type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}},
        {"op": "merge", "grids": ["CODE"], "into": "CODE"},
        {"op": "create", "kind": "castle", "polygon": None},
        {"op": "rename", "grid": "CODE", "name": "  "},
        {"op": "move", "buildings": [], "to": "CODE"},
        {"op": "move", "buildings": ["nobody"], "to": "CODE"},
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_in_words(draft, world, request_):
    code = of_kind(draft, "micro")[0].code
    with pytest.raises((InvalidInput, NotFound)) as error:
        redraw.apply(draft, world, {k: code if v == "CODE" else v for k, v in request_.items()})
    assert str(error.value)


def test_buildings_move_with_their_ground_and_name_those_in_between(draft, world):
    one, other = neighbours(draft, "micro")
    rows = world.homes.within(one.geom)
    away = shapely.distance(other.geom, shapely.points(world.homes.lon[rows], world.homes.lat[rows]))
    near, far = (str(world.homes.code[rows[at]]) for at in (np.argmin(away), np.argmax(away)))
    after = done(draft, world, op="move", buildings=[near], to=other.code)
    row = int(world.homes.rows([near])[0])
    place = shapely.Point(world.homes.lon[row], world.homes.lat[row])
    assert shapely.intersects(after.take(other.code).geom, place)
    assert not shapely.intersects(after.take(one.code).geom, place)
    both = combine([after.take(one.code).geom, after.take(other.code).geom])
    lost = shapely.symmetric_difference(both, combine([one.geom, other.geom]))
    assert shapely.area(lost) < 1e-16  # a new vertex lies on an edge as near as numbers can say
    with pytest.raises(InvalidInput) as error:
        redraw.apply(draft, world, {"op": "move", "buildings": [far], "to": other.code})
    assert error.value.code == "not_movable"
    assert error.value.findings[0]["reason"] in {"apart", "torn"}
    named = error.value.findings[0]["buildings"]
    step = redraw.apply(draft, world, {"op": "move", "buildings": [far], "to": other.code, "along": True})
    assert sorted(step.told["along"]) == sorted(named)


def test_a_compound_that_is_torn_apart_is_named(draft, world):
    one, other = neighbours(draft, "micro")
    rows = world.homes.within(one.geom)
    away = shapely.distance(other.geom, shapely.points(world.homes.lon[rows], world.homes.lat[rows]))
    group = np.full(len(world.homes), None, dtype=object)
    group[rows] = "和平小区"
    near = str(world.homes.code[rows[np.argmin(away)]])
    held = replace(world, homes=replace(world.homes, group=group))
    step = redraw.apply(draft, held, {"op": "move", "buildings": [near], "to": other.code})
    (torn,) = step.told["torn"]
    assert (torn["group"], torn["count"]) == ("和平小区", len(rows) - 1)


@pytest.mark.parametrize(
    ("name", "code", "born", "expected"),
    [
        ("05-02 微网格", "99012600100100502", "99012600100100507", "05-07 微网格"),
        ("第2网格", "990126001001002", "990126001001011", "第11网格"),
        ("和平里", "99012600100100502", "99012600100100507", "和平里·7"),
        ("12号院", "99012600100100502", "99012600100100507", "12号院·7"),
    ],
)
def test_a_piece_is_named_by_its_own_number(name, code, born, expected):
    area = PlannedArea(
        code=code, kind="micro", name=name, setting=None, parent=None, geom=shapely.MultiPolygon()
    )
    assert named_after(area, born) == expected


def test_what_lies_outside_the_scope_is_not_there(draft, world, base):
    other = str(base.code[base.kind == "town"][1])
    with pytest.raises(NotFound):
        redraw.apply(draft, world, {"op": "rename", "grid": other, "name": "x"})
    with pytest.raises(NotFound):
        redraw.apply(draft, world, {"op": "rename", "grid": draft.scope, "name": "x"})


def test_a_step_taken_back_leaves_no_trace(draft, world):
    area, step = simple(of_kind(draft, "micro"), draft, world)
    (born,) = step.causes
    split = draft.after(step)
    merged = done(split, world, op="merge", grids=[area.code, born], into=area.code)
    assert born not in merged.areas
    assert merged.take(area.code).touched or merged.areas[area.code] is not None


def column(*values):
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def test_a_vertex_that_only_one_of_two_neighbours_has_is_given_to_both():
    """Layers digitised apart: a village whose long edges have none of the vertices of the grids inside."""
    village = shapely.box(110, 30, 110.02, 30.01)
    left, right = shapely.box(110, 30, 110.01, 30.01), shapely.box(110.01, 30, 110.02, 30.01)
    low, high = shapely.box(110, 30, 110.01, 30.005), shapely.box(110, 30.005, 110.01, 30.01)
    base = edition_of(
        demo.Areas(
            kind=column("village", "comprehensive", "comprehensive", "micro", "micro"),
            code=column("v", "c1", "c2", "m1", "m2"),
            name=column("v", "c1", "c2", "m1", "m2"),
            setting=column(*[None] * 5),
            parent=column(None, "v", "v", "c1", "c1"),
            path=column("v", "v.c1", "v.c2", "v.c1.m1", "v.c1.m2"),
            geom=column(*(shapely.MultiPolygon([each]) for each in (village, left, right, low, high))),
        )
    )
    opened = Draft.open(base, "v")
    merged = done(opened, World(), op="merge", grids=["c1", "c2"], into="c1")
    assert shapely.equals(merged.take("c1").geom, village)
    line = {"type": "LineString", "coordinates": [[110.005, 29], [110.005, 31]]}
    halves = done(
        opened, World(), op="split", grid="c2", line={**line, "coordinates": [[110.015, 29], [110.015, 31]]}
    )
    (born,) = halves.causes
    moved = done(halves, World(), op="merge", grids=["c1", "c2"], into="c1")
    assert shapely.area(moved.take(born).geom) == pytest.approx(0.00005)
    split = done(opened, World(), op="split", grid="m1", line=line)
    (piece,) = split.causes
    after = done(split, World(), op="merge", grids=["m2", piece], into="m2")
    left_over = shapely.difference(after.take("c1").geom, shapely.union_all(after.shapes(["m1", "m2"])))
    assert shapely.area(left_over) < 1e-16
    across = done(after, World(), op="merge", grids=["c1", "c2"], into="c2")
    assert {child.parent for child in across.inside() if child.kind == "micro"} == {"c2"}
