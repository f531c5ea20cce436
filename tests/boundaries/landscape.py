"""Invented land to make faces of: areas, buildings and streets, tidy and dirty."""

import numpy as np
import shapely

from boundaries.border_vertices import located, outer_vertices, with_vertices
from boundaries.check_edges import edges_of
from boundaries.repair import make_valid

LON, LAT, METRE = 112.0, 30.0, 1e-5  # a "metre" here is some 10 % off, which matters to nothing


def place(x, y):
    return shapely.Point(LON + x * METRE, LAT + y * METRE)


def polygon(corners):
    return shapely.Polygon([(LON + x * METRE, LAT + y * METRE) for x, y in corners])


def box(west, south, east, north):
    return polygon([(west, south), (east, south), (east, north), (west, north)])


def line(*corners):
    return shapely.LineString([(LON + x * METRE, LAT + y * METRE) for x, y in corners])


def shapes(*each):
    array = np.empty(len(each), dtype=object)
    array[:] = each
    return array


def area(rng):
    """A star with a ragged border, now and then with a hole or a second part."""
    corners = int(rng.integers(4, 40))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners)) + 0.01 * np.arange(corners) / corners
    radius = rng.uniform(120, 250, corners)
    star = polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    star = shapely.make_valid(star, method="structure", keep_collapsed=False)
    kind = rng.integers(4)
    if kind == 0:
        star = shapely.difference(star, box(-30, -20, 10, 30))
    if kind == 1:
        star = shapely.union(star, box(300, -50, 400, 60))
    parts = shapely.get_parts(star)
    parts = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1e-9)]
    return shapely.MultiPolygon(list(parts))


def building(rng, near=None):
    """A house turned anyhow, a point, a courtyard, a bow tie or the like of one that stands."""
    x, y = rng.uniform(-200, 200, 2)
    kind = rng.integers(8)
    if near is not None and kind == 0:
        return near
    if near is not None and kind == 1:
        return shapely.transform(near, lambda xy: xy + rng.uniform(-15, 15, 2) * METRE)
    if kind == 2:
        return place(x, y)
    wide, deep, turn = rng.uniform(2, 30), rng.uniform(2, 20), rng.choice([0.0, rng.uniform(0, 3)])
    corners = np.array([(-wide, -deep), (wide, -deep), (wide, deep), (-wide, deep)]) / 2
    if kind == 3:
        corners = corners[[0, 2, 1, 3]]
    cos, sin = np.cos(turn), np.sin(turn)
    if kind == 4:
        # on whole metres, so that walls coincide
        return box(*np.rint([x, y, x + wide, y + deep]) // 5 * 5 + [0, 0, 5, 5])
    solid = polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + [x, y])
    if kind == 5 and solid.is_valid:
        return solid.difference(shapely.affinity.scale(solid, 0.6, 0.6))
    return solid


def buildings_in(scope, count, rng):
    """Buildings whose inner point lies in the area."""
    found = []
    for _ in range(count):
        one = building(rng, found[-1] if found else None)
        valid = one if one.geom_type == "Point" else make_valid(shapes(one)).polygons[0]
        if scope.intersects(shapely.point_on_surface(valid)):
            found.append(one)
    return shapes(*found)


def streets(count, rng, scope=None):
    """Crooked lines in and out of the land, some of them along an area's border."""
    found = []
    for _ in range(count):
        steps = int(rng.integers(2, 7))
        start = rng.uniform(-220, 220, 2)
        found.append(line(*(start + np.cumsum(rng.uniform(-90, 90, (steps, 2)), axis=0))))
    if scope is not None and rng.random() < 0.5:
        ring = shapely.get_coordinates(scope)[: int(rng.integers(2, 12))]
        found.append(shapely.LineString(ring + rng.choice([0.0, 1e-9, 1e-5])))
    return shapes(*found)


def new_vertices(scope, polygons):
    """Which vertices the border of a coverage has that the area it tiles has not, and on which edges."""
    return located(scope, outer_vertices(edges_of(polygons)))


def tiles(scope, polygons):
    """Whether polygons are a valid coverage of the scope, bit for bit but for the vertices on its border."""
    whole = shapely.coverage_union_all(polygons)
    grown = with_vertices(shapes(scope), new_vertices(scope, polygons))[0]
    same = [shapely.normalize(shapely.multipolygons(shapely.get_parts(each))) for each in (whole, grown)]
    return shapely.coverage_is_valid(polygons) and shapely.equals_exact(*same, 0.0)
