"""Every building its land: faces tile any area exactly, however its buildings stand."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from boundaries import faces as faces_module
from boundaries.border_vertices import keys, vertices_of, with_vertices
from boundaries.faces import Buildings, faces_of
from gridmap.errors import InvalidInput
from tests.boundaries.landscape import area, box, buildings_in, line, place, polygon, shapes, streets, tiles

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SCOPE = box(0, 0, 100, 100)


def stock(*geoms):
    return Buildings(geom=shapes(*geoms), households=np.arange(1, len(geoms) + 1))


def exact(faces):
    """What holds for any faces."""
    assert tiles(faces.scope, faces.polygon)
    assert (shapely.get_type_id(faces.polygon) == shapely.GeometryType.POLYGON).all()
    grown = with_vertices(shapes(faces.scope), faces.added)
    assert np.isin(keys(faces.added.vertex), keys(vertices_of(grown))).all()
    lived_in = faces.building >= 0
    assert (faces.face_of[faces.building[lived_in]] == np.flatnonzero(lived_in)).all()
    assert (np.diff(faces.building[lived_in]) > 0).all()
    assert not faces.households[~lived_in].any()
    assert len(faces.undivided) == 0
    return True


def inside(faces, points):
    return shapely.intersects(faces.polygon[faces.face_of], points)


def test_houses_in_a_row_get_a_strip_each():
    houses = [box(x, 40, x + 10, 60) for x in (5, 30, 55, 80)]
    found = faces_of(SCOPE, stock(*houses))
    assert exact(found)
    assert found.building.tolist() == [0, 1, 2, 3]
    assert found.households.tolist() == [1, 2, 3, 4]
    assert shapely.covers(found.polygon, found.shape).all()
    assert len(found.added) == 6
    middle = [(found.polygon[at].bounds[2] - SCOPE.bounds[0]) * 1e5 for at in range(3)]
    assert middle == pytest.approx([22.5, 47.5, 72.5], abs=1.0)


def test_a_face_ends_at_its_street_and_an_empty_block_is_nobodys():
    found = faces_of(
        SCOPE,
        stock(box(10, 10, 20, 20), place(30, 80)),
        shapes(line((-10, 50), (110, 50)), line((60, 50), (60, 110))),
    )
    assert exact(found)
    assert found.building.tolist() == [0, 1, -1]
    assert len(set(found.block.tolist())) == 3
    assert found.polygon[0].equals(box(0, 0, 100, 50))


def test_without_buildings_there_are_empty_faces():
    found = faces_of(SCOPE, stock(), shapes(line((50, -10), (50, 110))))
    assert exact(found)
    assert found.building.tolist() == [-1, -1]
    assert len(found.face_of) == 0


def test_party_walls_are_borders_to_the_last_bit():
    row = [box(x, 40, x + 15, 60) for x in (10, 25, 40)]
    found = faces_of(SCOPE, stock(*row, box(70, 40, 80, 60)))
    assert exact(found)
    assert len(found.cut) == 0
    wall = shapely.LineString(shapely.get_coordinates(row[0])[[1, 2]])
    assert shapely.covers(shapely.intersection(found.polygon[0], found.polygon[1]), wall)


def test_a_courtyard_holds_what_stands_in_it():
    ring = box(20, 20, 80, 80).difference(box(30, 30, 70, 70))
    found = faces_of(SCOPE, stock(ring, box(45, 45, 55, 55)))
    assert exact(found)
    assert len(found.polygon[0].interiors) == 1
    assert shapely.covers(found.polygon, found.shape).all()


def test_buildings_that_nothing_parts_share_a_face():
    house = box(20, 20, 30, 30)
    found = faces_of(SCOPE, stock(house, house, box(60, 60, 70, 70), place(80, 20), place(80, 20)))
    assert exact(found)
    assert found.shared.tolist() == [0, 1, 3, 4]
    assert found.face_of.tolist() == [0, 0, 1, 2, 2]
    assert found.households.tolist() == [3, 3, 9]


def test_footprints_that_overlap_are_named():
    found = faces_of(SCOPE, stock(box(10, 40, 40, 60), box(35, 40, 70, 60), box(80, 10, 90, 20)))
    assert exact(found)
    assert 1 in found.cut.tolist()
    assert 2 not in found.cut.tolist()


def test_a_footprint_across_the_border_is_cut_there_and_named():
    found = faces_of(SCOPE, stock(box(-4, 40, 20, 60), box(60, 40, 80, 60)))
    assert exact(found)
    assert found.cut.tolist() == [0]


def test_a_broken_footprint_is_repaired():
    found = faces_of(SCOPE, stock(polygon([(10, 10), (40, 40), (40, 10), (10, 40)]), box(60, 60, 80, 80)))
    assert exact(found)
    assert shapely.is_valid(found.shape).all()


def test_the_given_place_decides():
    # an L whose inner point lies elsewhere than what is stored
    house = polygon([(10, 10), (60, 10), (60, 20), (20, 20), (20, 60), (10, 60)])
    given_place = shapes(place(15, 55), place(50, 50))
    found = faces_of(
        SCOPE,
        Buildings(geom=shapes(house, box(45, 45, 55, 55)), households=np.ones(2, int), place=given_place),
    )
    assert exact(found)
    assert inside(found, given_place).all()


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_where_lines_do_not_come_out_right_faces_stay_exact(failing, monkeypatch):
    real, drawn = faces_module.drawn, []

    def torn(plan, exact, whole):
        drawn.append(whole.copy())
        pieces, places, stuck = real(plan, exact, whole)
        return (pieces[1:] if len(drawn) <= failing else pieces), places, stuck

    monkeypatch.setattr(faces_module, "drawn", torn)
    found = faces_of(
        SCOPE, stock(place(20, 20), place(40, 20), place(20, 80)), shapes(line((-9, 50), (109, 50)))
    )
    assert len(drawn) == failing + 1
    assert tiles(SCOPE, found.polygon)
    assert (len(found.undivided) > 0) == (failing > 1)
    assert inside(found, found.shape).all()
    assert found.households.sum() == 6


def test_buildings_outside_are_named():
    with pytest.raises(InvalidInput) as refused:
        faces_of(SCOPE, stock(place(50, 50), place(-5, 50), box(150, 0, 160, 10)))
    assert refused.value.code == "outside_scope"
    assert [each["row"] for each in refused.value.findings] == [1, 2]
    assert refused.value.findings[0]["where"] == [place(-5, 50).x, place(-5, 50).y]


def test_buildings_without_a_shape_are_named():
    odd = [None, shapely.Polygon(), line((1, 1), (2, 2)), shapely.Point(np.nan, 1), place(50, 50)]
    with pytest.raises(InvalidInput) as refused:
        faces_of(SCOPE, stock(*odd))
    assert refused.value.code == "bad_building"
    assert [each["row"] for each in refused.value.findings] == [0, 1, 2, 3]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_faces_tile_any_area(seed):
    rng = np.random.default_rng(seed)
    scope = area(rng)
    geoms = buildings_in(scope, int(rng.integers(0, 30)), rng)
    found = faces_of(scope, stock(*geoms), streets(int(rng.integers(0, 6)), rng, scope))
    assert exact(found)
    points = found.shape.copy()
    solid = shapely.get_dimensions(points) == 2
    points[solid] = shapely.point_on_surface(points[solid])
    assert inside(found, points).all()
    # who stands alone, away from the border, keeps all of it
    tree = shapely.STRtree(found.shape)
    one, two = tree.query(found.shape, predicate="dwithin", distance=1e-5)
    crowd = np.zeros(len(geoms), dtype=bool)
    crowd[one[one != two]] = True
    alone = ~crowd & shapely.covered_by(found.shape, scope)
    assert not np.isin(np.flatnonzero(alone), found.cut).any()
    assert not np.isin(np.flatnonzero(alone), found.shared).any()


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not here")
@pytest.mark.parametrize(("name", "at_most"), [("osm_kouvola2019", 0), ("osm_helsinki2019", 8)])
def test_faces_of_real_places(name, at_most):
    homes, roads = (
        pyogrio.read_dataframe(DATA / f"{name}.gpkg", layer=layer).geometry.to_numpy()
        for layer in ("buildings", "roads")
    )
    west, south, east, north = shapely.total_bounds(homes)
    # a quarter of each, cut anyhow
    scope = affinity.scale(shapely.box(west, south, east, north), 0.4, 0.4)
    homes = homes[shapely.intersects(scope, shapely.point_on_surface(homes))]
    found = faces_of(scope, Buildings(geom=homes, households=np.ones(len(homes), int)), roads)
    assert exact(found)
    within = shapely.covered_by(homes[found.cut], scope)
    assert within.sum() <= at_most
    assert len(found.shared) <= 4
    assert inside(found, shapely.point_on_surface(homes)).all()
