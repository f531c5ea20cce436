"""Edits by a drawn polygon: another shape for an area, and a new area."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from boundaries.check_areas import coarser
from boundaries.cutting import SNAP_M, Pieces, cut
from boundaries.draft import PlannedArea
from boundaries.exact import combine
from boundaries.redrawing import (
    SPLINTER_M2,
    Redrawing,
    most_inside,
    refused,
    require_one_piece,
    with_longest_border,
)
from gridmap.crs_measures import area_m2, length_m
from gridmap.errors import InvalidInput


def reshape(work: Redrawing, area: PlannedArea, polygon: Any) -> None:
    """What lies in the polygon becomes the area's; what it leaves its neighbours take.

    Raises:
        InvalidInput: `outside_parent`, `swallows`, `nobody_takes`, `nothing_left`, `not_contiguous` where it would tear
            a grid apart; each with a place.
    """
    parent = work.get(area.parent or work.draft.scope)
    if parent is not None:
        _require_inside(polygon, parent)
    if work.held(area.code):
        siblings = work.siblings(area)
        _reshape_by_children(work, area, polygon)
        work.require_whole([area, *siblings])
        return
    near = _near(
        work.siblings(area), shapely.union(shapely.box(*polygon.bounds), shapely.box(*area.geom.bounds))
    )
    free = _free(work, area, parent)
    pieces = cut([area.geom, *(each.geom for each in near), *free], polygon)
    work.insert(pieces.inserted)
    inside = _inside(pieces, polygon)
    real = area_m2(pieces.face) >= SPLINTER_M2
    lost = pieces.face[(pieces.owner == 0) & ~inside & real]
    if len(lost) and not (inside & real & (pieces.owner == 0)).any():
        raise refused("nothing_left", f"{area.code} 将不在原处 would have none of its land any more", polygon)
    for at, giver in enumerate(near, start=1):
        gained = pieces.face[(pieces.owner == at) & inside & real]
        if len(gained):
            _require_left(pieces, at, inside, giver)
            _require_whole(work, giver, gained)
            work.hand_over(combine(gained.tolist()), giver.code, area.code)
    gained = pieces.face[(pieces.owner == len(near) + 1) & inside & real]
    if len(gained):
        work.hand_over(combine(gained.tolist()), None, area.code)
    for land in shapely.get_parts(combine(lost.tolist())) if len(lost) else ():
        taker = with_longest_border(land, [work.take(each.code) for each in near])
        if taker is None and area.kind != "dedicated":
            raise refused(
                "nobody_takes", f"{area.code} 让出的地无邻格可接 No neighbour can take this land", land
            )
        work.hand_over(land, area.code, None if taker is None else taker.code)
    work.require_whole([area, *near])


def _reshape_by_children(work: Redrawing, area: PlannedArea, polygon: Any) -> None:
    siblings = work.siblings(area)
    held = {child.code: child for child in work.held(area.code)}
    pool = [*held.values(), *(child for each in siblings for child in work.held(each.code))]
    chosen = {child.code: child for child in most_inside(pool, polygon)}
    if not chosen.keys() & held.keys():
        raise refused("nothing_left", f"{area.code} 将不在原处 would have none of its land any more", polygon)
    for code, child in chosen.items():
        if code not in held:
            _rehang(work, child, area.code)
    for code, child in held.items():
        if code not in chosen:
            taker = with_longest_border(child.geom, [work.take(each.code) for each in siblings])
            if taker is None:
                raise refused("nobody_takes", f"{code} 无邻格可接 No neighbour can take {code}", child.geom)
            work.rehang(code, taker.code)


def parent_for(work: Redrawing, kind: str, polygon: Any) -> str:
    """Code of the finest area inside the scope, or the scope, that holds a new one of a kind.

    Raises:
        InvalidInput: `bad_kind`: nothing in the plan can hold the kind; `outside_parent`: the polygon lies in
            none, or crosses its border.
    """
    scope = work.draft.before(work.draft.scope)
    known = [*work.draft.inside(), *([scope] if scope is not None else [])]
    if not {each.kind for each in known} & set(coarser(kind)):
        raise refused(
            "bad_kind", f"本方案内不能有此类区域 Nothing in {work.draft.scope} can hold a {kind}", polygon
        )
    for above in coarser(kind):
        holders = [each for each in known if each.kind == above and shapely.intersects(each.geom, polygon)]
        if not holders:
            continue
        best = max(holders, key=lambda each: shapely.area(shapely.intersection(each.geom, polygon)))
        _require_inside(polygon, best)
        return best.code
    raise refused(
        "outside_parent", f"所画范围不在本方案区域内 The polygon lies outside {work.draft.scope}", polygon
    )


def draw_new(work: Redrawing, area: PlannedArea, polygon: Any) -> None:
    """Puts a new area where a polygon was drawn.

    Args:
        work: the edit.
        area: the new one, still without land.
        polygon: inside the area's parent.

    Raises:
        InvalidInput: `swallows`, `not_contiguous`, `nothing_there`.
    """
    work.born(area, "create")
    siblings = work.siblings(area)
    parent = work.get(area.parent or work.draft.scope)
    under = [each for each in siblings if _overlap(each, polygon)]
    pool = [child for each in under for child in work.held(each.code)]
    if pool:
        for child in most_inside(pool, polygon):
            _rehang(work, child, area.code)
    else:
        near = _near(siblings, polygon)
        pieces = cut([*(each.geom for each in near), *_free(work, area, parent)], polygon)
        work.insert(pieces.inserted)
        inside = _inside(pieces, polygon) & (area_m2(pieces.face) >= SPLINTER_M2)
        for at, giver in enumerate(near):
            gained = pieces.face[(pieces.owner == at) & inside]
            if len(gained):
                _require_left(pieces, at, inside, giver)
                work.hand_over(combine(gained.tolist()), giver.code, area.code)
        gained = pieces.face[(pieces.owner == len(near)) & inside]
        if len(gained):
            work.hand_over(combine(gained.tolist()), None, area.code)
    made = work.take(area.code)
    if made.geom.is_empty:
        raise refused("nothing_there", "所画范围内没有可划入的地 No land lies in the polygon", polygon)
    require_one_piece(made.geom, area.code)
    work.require_whole(siblings)
    work.born(replace(made, touched=False), "create")


def _rehang(work: Redrawing, child: PlannedArea, parent: str) -> None:
    """A child passes to another parent, unless it is the last of its own."""
    before = child.parent or ""
    if len(work.held(before)) == 1:
        raise _swallowed(work.take(before))
    work.rehang(child.code, parent)


def _near(areas: Sequence[PlannedArea], where: Any) -> list[PlannedArea]:
    return [each for each in areas if shapely.intersects(shapely.box(*each.geom.bounds), where)]


def _free(work: Redrawing, area: PlannedArea, parent: PlannedArea | None) -> list[Any]:
    """The land of a parent that none of the kind has, as a list of one or none."""
    if parent is None:
        return []
    taken = [each.geom for each in (*work.siblings(area), area) if not each.geom.is_empty]
    left = combine([parent.geom], taken)
    return [] if left.is_empty else [left]


def _inside(pieces: Pieces, polygon: Any) -> Any:
    points = shapely.point_on_surface(pieces.face)
    shapely.prepare(polygon)
    return shapely.contains_xy(polygon, shapely.get_x(points), shapely.get_y(points))


def _require_inside(polygon: Any, parent: PlannedArea) -> None:
    outside = shapely.difference(polygon, parent.geom)
    size = float(area_m2(outside)) if shapely.get_dimensions(outside) == 2 else 0.0
    if size > max(SPLINTER_M2, SNAP_M * float(length_m(polygon))):
        parts = shapely.get_parts(outside)
        raise refused(
            "outside_parent",
            f"所画范围超出 {parent.name} 界外 {size:.0f} m² The polygon crosses the border of {parent.code}",
            parts[int(np.argmax(area_m2(parts)))],
            measure=round(size, 1),
            unit="m2",
        )


def _require_left(pieces: Pieces, owner: int, inside: Any, giver: PlannedArea) -> None:
    if not ((pieces.owner == owner) & ~inside & (area_m2(pieces.face) >= SPLINTER_M2)).any():
        raise _swallowed(giver)


def _require_whole(work: Redrawing, giver: PlannedArea, land: Any) -> None:
    if work.held(giver.code):
        raise refused(
            "holds_others",
            f"{giver.code} 由下级网格组成，不能切开；请调整该网格，或先划分本网格 {giver.code} is made of other areas,"
            " which are not cut: reshape that one, or divide this one first",
            land[0],
        )


def _overlap(area: PlannedArea, polygon: Any) -> bool:
    return (
        _near([area], polygon) != []
        and float(area_m2(shapely.intersection(area.geom, polygon))) >= SPLINTER_M2
    )


def _swallowed(area: PlannedArea) -> InvalidInput:
    return refused(
        "swallows",
        f"{area.code} 将一块不剩，请用合并 Nothing would be left of {area.code}: merge it instead",
        area.geom,
    )
