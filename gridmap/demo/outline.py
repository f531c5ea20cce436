"""From the flat, straight plan to curved lines on the globe: vertices, rings of faces, lines of streets."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from gridmap.demo.city import Floats, Ints, Objects
from gridmap.demo.division import WALL, Division
from gridmap.demo.mesh import RIM
from gridmap.demo.terrain import Bend, to_lonlat

SPACING_M = 90.0  # between the vertices of a curved line: bows under half a metre between them
STEP_M = 13.0  # between the corners of a border that winds between houses
SWAY_M = 4.5  # how far such a border leaves its straight line


@dataclass(frozen=True)
class Outline:
    """The bent plan. Vertices in degrees; an edge's inner vertices run from its smaller vertex to its larger."""

    lonlat: Floats  # (n, 2)
    first: dict[tuple[int, int], int]  # edge → its first inner vertex
    inner: dict[tuple[int, int], int]  # edge → how many inner vertices
    division: Division

    def ring(self, corners: list[int]) -> list[int]:
        """All vertex numbers around a face, not closed."""
        vertices: list[int] = []
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            vertices.append(a)
            vertices.extend(self.between(a, b))
        return vertices

    def between(self, a: int, b: int) -> Iterable[int]:
        """The inner vertices of an edge on the way from a to b."""
        key = (min(a, b), max(a, b))
        start, count = self.first[key], self.inner[key]
        return range(start, start + count) if a < b else range(start + count - 1, start - 1, -1)

    def faces(self) -> Objects:
        """Every face of the mesh as a polygon, EPSG:4326."""
        rings = [self.ring(face) for face in self.division.mesh.faces]
        return polygons(self.lonlat, rings)

    def lines(self) -> Objects:
        """Every line of the division as a MultiLineString, EPSG:4326; None where nothing runs along it."""
        edges: list[list[tuple[int, int]]] = [[] for _ in self.division.lines]
        for edge, line in self.division.mesh.line_of.items():
            if line != RIM and self.division.lines[line].rank != WALL:
                edges[line].append(edge)
        result = np.full(len(edges), None, dtype=object)
        vertices = self.division.mesh.vertices
        for line, its in enumerate(edges):
            if its:
                result[line] = self._chained(its, vertices)
        return result

    def _chained(
        self, edges: list[tuple[int, int]], vertices: list[tuple[float, float]]
    ) -> shapely.MultiLineString:
        ends = np.array([vertices[a] + vertices[b] for a, b in edges])
        span = ends[:, 2:] - ends[:, :2]
        heading = span[np.argmax(np.hypot(span[:, 0], span[:, 1]))]
        chain: list[int] = []
        for i in np.argsort(
            ends[:, 0] * heading[0] + ends[:, 1] * heading[1] + (span @ heading) / 2, kind="stable"
        ):
            a, b = edges[i] if span[i] @ heading > 0 else edges[i][::-1]
            if not chain:
                chain.append(a)
            chain.extend(self.between(a, b))
            chain.append(b)
        return shapely.MultiLineString([self.lonlat[chain]])


def draw(division: Division, bend: Bend, rng: np.random.Generator) -> Outline:
    """Bends the plan; borders that follow no street wind a little between the houses."""
    mesh = division.mesh
    edges = sorted(mesh.line_of)
    ends = np.array(edges)
    xy = np.array(mesh.vertices)
    start, span = xy[ends[:, 0]], xy[ends[:, 1]] - xy[ends[:, 0]]
    length = np.hypot(span[:, 0], span[:, 1])
    wall = np.array(
        [line != RIM and division.lines[line].rank == WALL for line in (mesh.line_of[edge] for edge in edges)]
    )
    winding = wall & (length > 4 * STEP_M)
    pieces = np.maximum(
        np.ceil(length / np.where(winding, STEP_M * np.maximum(1, length / 500), SPACING_M)), 1
    )
    inner = pieces.astype(np.int64) - 1
    edge = np.repeat(np.arange(len(edges)), inner)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(inner) - inner, inner) + 1
    share = step / pieces[edge]
    points = start[edge] + share[:, None] * span[edge]
    sway = _sway(share, winding[edge], length[edge], rng)
    points[:, 0] -= sway * span[edge, 1] / length[edge]
    points[:, 1] += sway * span[edge, 0] / length[edge]
    every = np.concatenate([xy, points])
    lon, lat = to_lonlat(*bend(every[:, 0], every[:, 1]))
    first = len(xy) + np.cumsum(inner) - inner
    return Outline(
        np.column_stack([lon, lat]),
        dict(zip(edges, first.tolist(), strict=True)),
        dict(zip(edges, inner.tolist(), strict=True)),
        division,
    )


def _sway(share: Floats, winding: Floats, length: Floats, rng: np.random.Generator) -> Floats:
    # nothing near the ends, where the border meets others at an angle
    fade = np.clip(np.minimum(share, 1 - share) * length / (2 * STEP_M) - 0.5, 0, 1)
    return np.where(winding, fade * rng.uniform(-SWAY_M, SWAY_M, len(share)), 0.0)


def polygons(lonlat: Floats, rings: list[list[int]]) -> Objects:
    """Polygons from rings of vertex numbers, each closed here."""
    closed = [np.array([*ring, ring[0]]) for ring in rings]
    offsets = np.concatenate([[0], np.cumsum([len(ring) for ring in closed])])
    result: Objects = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        lonlat[np.concatenate(closed)],
        (offsets, np.arange(len(rings) + 1)),
    )
    return result


def joined(geoms: Objects, groups: Ints) -> Objects:
    """The unions of polygons that share vertices, one for each group 0…n-1, as counter-clockwise MultiPolygons."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    members = np.split(geoms[order], starts[1:])
    unions = [shapely.coverage_union_all(each) if len(each) > 1 else each[0] for each in members]
    return as_multi(np.array(unions, dtype=object))


def as_multi(geoms: Objects) -> Objects:
    """MultiPolygons with counter-clockwise shells."""
    geoms = shapely.orient_polygons(geoms)
    single = shapely.get_type_id(geoms) == shapely.GeometryType.POLYGON
    result = np.array(geoms, dtype=object)
    if single.any():
        result[single] = shapely.multipolygons(geoms[single], indices=np.arange(single.sum()))
    return result
