"""The edits of a plan: split, merge, reshape, move, create, retire, rename.

Each is a function of a draft and the ground under it, and gives a `Step`. An area that holds others (a comprehensive
grid its micro-grids, a town its villages) is never cut: what it holds goes whole to the side where most of it lies.
Codes stay with the land; one that is retired is never used again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from boundaries import redraw_faces, redraw_shape
from boundaries.cutting import cut
from boundaries.draft import Draft, PlannedArea, Step
from boundaries.exact import combine, shared_length
from boundaries.homes import World
from boundaries.redraw_request import code_of, codes_of, drawing, kind_of, text_of
from boundaries.redrawing import (
    SPLINTER_M2,
    Redrawing,
    most_inside,
    named_after,
    refused,
    require_one_piece,
)
from gridmap.crs_measures import area_m2
from gridmap.errors import InvalidInput

Request = Mapping[str, Any]


def apply(draft: Draft, world: World, request: Request) -> Step:
    """What an edit does to a draft.

    Args:
        draft: stays as it is.
        world: the ground under it.
        request: `op` and what it needs (interface.md, Edits); geometry as GeoJSON in EPSG:4326.

    Raises:
        InvalidInput: it is malformed or impossible; with a place where there is one.
        NotFound: it names an area that is not inside the scope.
    """
    op = str(request.get("op"))
    if op not in OPS:
        raise InvalidInput(
            f"op={op[:40]!r}: {', '.join(OPS)}",
            code="unknown_op",
            findings=[{"field": "op", "value": op[:40], "message": "unknown"}],
        )
    work = Redrawing(draft, world)
    try:
        OPS[op](work, request)
    except InvalidInput as error:
        if error.code != "inexact":
            raise
        # Files bring areas whose common border has a vertex in one of them alone. Where it lies on the other's edge
        # nothing moves by giving it to both.
        work = Redrawing(draft, world)
        if not work.align(_concerned(work, request)):
            raise
        OPS[op](work, request)
    return work.step()


def _concerned(work: Redrawing, request: Request) -> list[Any]:
    """Shapes of the areas that an edit names, and what was drawn."""
    named = [request.get(field) for field in ("grid", "into", "to")]
    grids = request.get("grids")
    named += grids if isinstance(grids, list) else []
    areas = [work.get(code) for code in named if isinstance(code, str)]
    drawn = [drawing(request, "polygon", "Polygon")] if request.get("polygon") else []
    homes = work.world.homes
    asked = request.get("buildings")
    points = [shapely.Point(homes.lon[row], homes.lat[row]) for row in (homes.rows(asked) if asked else ())]
    return [*(area.geom for area in areas if area is not None), *drawn, *points]


def split(work: Redrawing, request: Request) -> None:
    """`{grid, line, keep?, code?, name?}`: in two by a line; the piece with more households keeps the code."""
    area = work.take(code_of(request, "grid"))
    line = drawing(request, "line", "LineString")
    pieces = _by_children(work, area, line) if work.held(area.code) else _by_line(work, area, line)
    area = work.take(area.code)  # it may have got vertices
    ranked = sorted(
        pieces, key=lambda piece: (-work.households(piece), -float(area_m2(piece)), *piece.bounds)
    )
    both = request.get("keep", "larger") == "none"
    if request.get("keep", "larger") not in {"none", "larger"}:
        raise InvalidInput("保留编码选项 keep: larger or none", code="bad_keep")
    born = ranked if both else ranked[1:]
    asked = [text_of(request, "code")] if request.get("code") and len(born) == 1 else [None] * len(born)
    held = work.children(area.code)
    for piece, code in zip(born, asked, strict=True):
        fresh = _fresh(work, area.kind, area.parent, piece, code=code, like=area.code)
        name = text_of(request, "name") if request.get("name") and not both else named_after(area, fresh)
        work.born(replace(area, code=fresh, name=name, geom=piece, touched=False), "split")
        for child in most_inside(held, piece):
            work.put(replace(work.take(child.code), parent=fresh, touched=False))
    if both:
        work.retire(area.code, "split")
    else:
        work.put(replace(area, geom=ranked[0], touched=False))


def _by_line(work: Redrawing, area: PlannedArea, line: Any) -> list[Any]:
    """Two pieces of an area without children; its neighbours get the new vertices."""
    pieces = cut([area.geom], line)
    face = pieces.face[pieces.owner == 0]
    real = area_m2(face) >= SPLINTER_M2
    parts = shapely.get_parts(area.geom)
    of_part = _holders(parts, face)
    in_two = [part for part in range(len(parts)) if (real & (of_part == part)).sum() > 1]
    halves = face[real & np.isin(of_part, in_two)]
    if len(in_two) != 1 or len(halves) != 2:
        raise _not_two(area, 1 + len(halves) - len(in_two), line)
    work.insert(pieces.inserted)
    lesser = [halves[1]]
    for splinter in face[~real]:  # of an imprecise hand: with the half that it lies along
        along = shared_length(splinter, halves)
        if along[1] > along[0]:
            lesser.append(splinter)
    piece = combine(lesser)
    return [combine([work.take(area.code).geom], [piece]), piece]


def _holders(parts: Any, face: Any) -> Any:
    """Which part each face is a piece of."""
    holder = np.full(len(face), -1)
    at, which = shapely.STRtree(parts).query(shapely.point_on_surface(face), predicate="within")
    holder[at] = which
    return holder


def _not_two(area: PlannedArea, count: int, line: Any) -> InvalidInput:
    within = shapely.intersection(line, area.geom)
    return refused(
        "not_two_pieces",
        f"此线把 {area.code} 分成 {count} 块，应为 2 块 The line makes {count} pieces of {area.code}, not 2",
        area.geom if shapely.is_empty(within) else within,
        measure=count,
        unit="pieces",
    )


def _by_children(work: Redrawing, area: PlannedArea, line: Any) -> list[Any]:
    """Two pieces of an area along the borders of what it holds, which is not cut."""
    pieces = cut([area.geom], line)
    face = pieces.face[pieces.owner == 0]
    face = face[area_m2(face) >= SPLINTER_M2]
    held = work.held(area.code)
    groups = [group for each in face if (group := most_inside(held, each))]
    if len(groups) != 2:
        raise _not_two(area, len(groups), line)
    lesser = combine([child.geom for child in min(groups, key=len)])
    require_one_piece(lesser, area.code)
    return [combine([area.geom], [lesser]), lesser]


def merge(work: Redrawing, request: Request) -> None:
    """`{grids, into}`: areas that touch become one, which keeps the code and the parent of `into`."""
    codes = codes_of(request, "grids")
    into = work.take(code_of(request, "into") if request.get("into") else codes[0])
    others = [work.take(code) for code in codes if code != into.code]
    if not others:
        raise refused("too_few", "至少选两个区域 grids: two areas at least", into.geom, field="grids")
    _absorb(work, into, others, "merge")


def retire(work: Redrawing, request: Request) -> None:
    """`{grid, into}`: an area is no more, its land goes to another that touches it."""
    area = work.take(code_of(request, "grid"))
    if request.get("into") is None and area.kind == "dedicated":
        work.hand_over(area.geom, area.code, None)
        work.retire(area.code, "retire")
        return
    _absorb(work, work.take(code_of(request, "into")), [area], "retire")


def _absorb(work: Redrawing, into: PlannedArea, others: Sequence[PlannedArea], cause: Any) -> None:
    for other in others:
        if other.code == into.code:
            raise refused(
                "into_itself", f"{into.code} 不能并入自己 cannot go into itself", into.geom, field="into"
            )
        if other.kind != into.kind:
            raise refused(
                "other_kind",
                f"{other.code} 与 {into.code} 不同类 {other.code} is a {other.kind}, {into.code} a {into.kind}:"
                " areas of one kind are merged",
                other.geom,
            )
    before = len(shapely.get_parts(into.geom)) + sum(len(shapely.get_parts(each.geom)) - 1 for each in others)
    together = combine([into.geom, *(each.geom for each in others)])
    parts = shapely.get_parts(together)
    if len(parts) > before:
        away = parts[int(np.argmin(area_m2(parts)))]
        raise refused(
            "not_touching",
            "要合并的网格不相邻 The areas do not share a border, so they cannot become one",
            away,
        )
    for other in others:
        held = work.children(other.code)
        work.hand_over(other.geom, other.code, into.code)
        work.retire(other.code, cause)
        for child in held:
            work.put(replace(child, parent=into.code, touched=False))


def rename(work: Redrawing, request: Request) -> None:
    """`{grid, name}`."""
    area = work.take(code_of(request, "grid"))
    name = text_of(request, "name")
    if name == area.name:
        raise refused("nothing_changes", "没有变化 This changes nothing", area.geom, field="name", value=name)
    work.put(replace(area, name=name, touched=False))


def create(work: Redrawing, request: Request) -> None:
    """`{polygon, kind, code?, name?, setting?}`: a new area; those of its kind that lie there give the land."""
    kind = kind_of(request)
    polygon = drawing(request, "polygon", "Polygon")
    parent = redraw_shape.parent_for(work, kind, polygon)
    hint = text_of(request, "code") if request.get("code") else None
    code = _fresh(work, kind, parent, polygon, code=hint)
    name = text_of(request, "name") if request.get("name") else code
    draft = PlannedArea(
        code=code,
        kind=kind,
        name=name,
        setting=text_of(request, "setting") if request.get("setting") else None,
        parent=parent,
        geom=shapely.MultiPolygon(),
    )
    redraw_shape.draw_new(work, draft, polygon)


def _fresh(
    work: Redrawing, kind: str, parent: str | None, polygon: Any, *, code: str | None = None, like: str = ""
) -> str:
    """The code of a new area: the one asked for, if it is free and well formed, or the next one."""
    if code is None:
        return work.code_for(kind, parent, polygon, like)
    free = code not in {*work.world.used, *work.draft.base.row, *work.draft.areas}
    level = work.world.scheme.level(kind)
    # A parent with a code of its own gives none by the scheme.
    hangs = level is not None and parent and work.world.scheme.check(parent, level.above) is None
    reason = (
        work.world.scheme.check(code, kind, parent if hangs else None)
        if free
        else "已用过，退役编码不再使用 was used before, and is never again"
    )
    # A county whose codes follow no scheme gives its own.
    follows = any(
        work.world.scheme.check(each.code, kind) is None for each in work.draft.inside() if each.kind == kind
    )
    if reason is not None and (not free or follows or not code.replace("_", "").isalnum()):
        raise refused("bad_code", f"编码 code {code}: {reason}", polygon)
    return code


def reshape(work: Redrawing, request: Request) -> None:
    """`{grid, polygon}`: what lies in the polygon is the grid's, what it leaves its neighbours'."""
    redraw_shape.reshape(work, work.take(code_of(request, "grid")), drawing(request, "polygon", "Polygon"))


def move(work: Redrawing, request: Request) -> None:
    """`{buildings, to, along?}`: buildings go to a neighbour with their ground; `along`: also those in between."""
    to = work.take(code_of(request, "to"))
    redraw_faces.move(work, codes_of(request, "buildings"), to, along=request.get("along") is True)


OPS: Mapping[str, Callable[[Redrawing, Request], None]] = {
    "split": split,
    "merge": merge,
    "reshape": reshape,
    "move": move,
    "create": create,
    "retire": retire,
    "rename": rename,
}
