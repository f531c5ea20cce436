"""An invented county as a base edition for redraws, without a database, and a random walk over its grids."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely

from boundaries.draft import Draft, PlannedArea
from boundaries.exact import combine
from boundaries.homes import Homes, Streets, World
from gridmap import demo
from gridmap.errors import GridmapError
from gridmap.index import AreaIndex
from gridmap.snapshot import Snapshot

NOW = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


def county(households: int, events: int = 200) -> demo.City:
    return demo.build(demo.Size.of(households=households, events=events), now=NOW)


def edition(city: demo.City) -> Snapshot:
    return edition_of(city.areas)


def edition_of(areas: demo.Areas) -> Snapshot:
    order = np.argsort(areas.code.astype(str), kind="stable")
    code, kind, path, geom = (column[order] for column in (areas.code, areas.kind, areas.path, areas.geom))
    return Snapshot(
        edition=1,
        in_force_from=None,
        code=code,
        kind=kind,
        name=areas.name[order],
        setting=areas.setting[order],
        parent=areas.parent[order],
        path=path,
        geom=geom,
        households=np.zeros(len(code), dtype=np.int64),
        index=AreaIndex.from_arrays(geom, code.tolist(), kind.tolist(), path.tolist()),
        row={each: number for number, each in enumerate(code)},
    )


def ground(city: demo.City, scope: Any) -> World:
    homes, streets = city.buildings, city.streets
    shapely.prepare(scope)
    inside = np.flatnonzero(shapely.contains_xy(scope, homes.lon, homes.lat))

    def lines(where: Any) -> Streets:
        near = shapely.STRtree(streets.geom).query(where, predicate="intersects")
        return Streets(streets.geom[near], streets.rank[near], streets.name[near])

    return World(
        homes=Homes(
            homes.code[inside],
            homes.lon[inside],
            homes.lat[inside],
            homes.households[inside].astype(np.int64),
            homes.geom[inside],
            np.full(len(inside), None, dtype=object),
        ),
        streets=lines,
        used=frozenset(city.areas.code.tolist()),
    )


def geojson(geometry: Any) -> dict[str, Any]:
    if geometry.geom_type == "LineString":
        return {"type": "LineString", "coordinates": shapely.get_coordinates(geometry).tolist()}
    rings = [shapely.get_coordinates(ring).tolist() for ring in shapely.get_rings(geometry)]
    return {"type": "Polygon", "coordinates": rings}


def requests(draft: Draft, world: World, chance: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Edits as a planner with a shaking hand might ask for; many of them cannot be."""
    while True:
        grids = [area for area in draft.inside() if area.kind in {"micro", "comprehensive"}]
        area = grids[chance.integers(len(grids))]
        op = chance.choice(["split", "merge", "reshape", "create", "retire", "rename", "move"])
        near = [each for each in grids if each.kind == area.kind and each.code != area.code and
                shapely.intersects(each.geom, area.geom)]  # fmt: skip
        other = near[chance.integers(len(near))] if near else area
        yield {"op": str(op), **_asked(str(op), area, other, world, chance)}


def _asked(
    op: str, area: PlannedArea, neighbour: PlannedArea, world: World, chance: np.random.Generator
) -> dict[str, Any]:
    west, south, east, north = area.geom.bounds
    size = np.array([east - west, north - south])
    middle = np.array(shapely.get_coordinates(shapely.point_on_surface(area.geom))[0])
    angle = chance.uniform(0, np.pi)
    along = size.max() * np.array([np.cos(angle), np.sin(angle)])
    bend = middle + chance.normal(0, 0.1, 2) * size
    inside = world.homes.within(area.geom)
    away = shapely.distance(neighbour.geom, shapely.points(world.homes.lon[inside], world.homes.lat[inside]))
    taken = inside[np.argsort(away)[: chance.integers(1, 4)]]
    other = neighbour.code
    half = size * chance.uniform(0.1, 0.4)
    asked: dict[str, dict[str, Any]] = {
        "split": {
            "grid": area.code,
            "line": geojson(shapely.LineString([middle - along, bend, middle + along])),
            "keep": str(chance.choice(["larger", "none"])),
        },
        "merge": {"grids": [area.code, other], "into": str(chance.choice([area.code, other]))},
        "retire": {"grid": area.code, "into": other},
        "rename": {"grid": area.code, "name": f"第{chance.integers(1000)}格"},
        "move": {"buildings": world.homes.code[taken].tolist() or ["none"], "to": other},
        "reshape": {"grid": area.code, "polygon": geojson(_moved(area, chance))},
        "create": {"kind": area.kind, "polygon": geojson(shapely.box(*(middle - half), *(middle + half)))},
    }
    return asked[op]


def _moved(area: PlannedArea, chance: np.random.Generator) -> Any:
    """The polygon with one vertex dragged."""
    part = max(shapely.get_parts(area.geom), key=shapely.area)
    places = shapely.get_coordinates(part.exterior)[:-1].copy()
    at = chance.integers(len(places))
    middle = np.array(shapely.get_coordinates(shapely.point_on_surface(part))[0])
    places[at] += (middle - places[at]) * chance.uniform(-0.5, 0.7)
    return shapely.Polygon(places, [ring.coords for ring in part.interiors])


def faults(draft: Draft, before: dict[str, float]) -> list[str]:
    """Whatever is not exact about a draft; empty where all is well."""
    scope = draft.before(draft.scope)
    assert scope is not None
    living = [*draft.inside()]
    scope = draft.get(draft.scope)
    found = [f"{area.code} is invalid" for area in living if not area.geom.is_valid or area.geom.is_empty]
    micro = {area.parent for area in living if area.kind == "micro"}
    for holder in [*living, scope]:
        held = [each.geom for each in living if each.parent == holder.code and each.kind != "dedicated"]
        if held and (holder.kind != "comprehensive" or holder.code in micro):
            left = combine([holder.geom], held)
            rest = before.get(holder.code, 0.0)
            if abs(shapely.area(left) - rest) > 1e-15:
                found.append(f"{holder.code} is not tiled: {shapely.area(left)} left, {rest} before")
    for kind in ("micro", "comprehensive"):
        shapes = np.array([area.geom for area in living if area.kind == kind], dtype=object)
        if not shapely.coverage_is_valid(shapes):
            found.append(f"{kind} is no coverage")
    return found


def free_land(draft: Draft) -> dict[str, float]:
    """For each area inside a fresh draft how much of it none of its children has, in square degrees."""
    living = [*draft.inside()]
    scope = draft.before(draft.scope)
    rest = {}
    for holder in [*living, scope]:
        held = [each.geom for each in living if each.parent == holder.code and each.kind != "dedicated"]
        if held:
            rest[holder.code] = float(shapely.area(combine([holder.geom], held)))
    return rest


__all__ = ["GridmapError", "county", "edition", "faults", "free_land", "geojson", "ground", "requests"]
