"""Moving buildings from a grid to its neighbour: the ground around them goes along."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from boundaries.draft import PlannedArea
from boundaries.face_buildings import Buildings
from boundaries.face_graph import graph_of
from boundaries.face_moves import Move, moved, planned_move
from boundaries.faces import Faces, faces_of
from boundaries.redrawing import Redrawing, refused

LISTED = 20
_TROUBLE = {
    "not_neighbours": ("与目标网格不相邻", "does not border on it"),
    "apart": ("与目标网格之间还有别的楼栋", "other buildings stand between"),
    "torn": ("移走后本网格会断成几块", "what stays would be in several parts"),
    "all": (
        "移走后本网格不再有楼栋，请用合并",
        "nothing that is lived in would stay: merge the grids instead",
    ),
}


def move(work: Redrawing, buildings: Sequence[str], to: PlannedArea, *, along: bool = False) -> None:
    """Gives the faces of buildings to a grid that borders on theirs.

    Faces where nobody lives go along where they lie in between, or would be cut off. Other buildings only do where
    that is asked for.

    Args:
        work: the edit.
        buildings: their codes; those that are in the grid already stay.
        to: the grid that gets them; it holds no others.
        along: take along the buildings that stand in the way.

    Raises:
        InvalidInput: `unknown_building`, `holds_others`, `not_movable` with the buildings that would have to go
            along.
    """
    if work.held(to.code):
        raise refused(
            "holds_others",
            f"{to.code} 下有微网格，请选其中一个 {to.code} holds other grids: choose one of these",
            to.geom,
        )
    homes = work.world.homes
    rows = homes.rows(buildings)
    for code, wanted in _by_owner(work, rows, to).items():
        _move_from(work, work.take(code), work.take(to.code), wanted, along=along)
    torn = _torn_groups(work, rows)
    if torn:
        work.told["torn"] = torn


def _by_owner(work: Redrawing, rows: Any, to: PlannedArea) -> dict[str, list[int]]:
    """Rows of buildings by the grid of the kind that holds them, but for those that are there already."""
    homes = work.world.homes
    grids = [area for area in work.draft.inside() if area.kind == to.kind]
    shapes = np.array([area.geom for area in grids], dtype=object)
    which, holder = shapely.STRtree(shapes).query(
        shapely.points(homes.lon[rows], homes.lat[rows]), predicate="intersects"
    )
    owner: dict[int, str] = {}
    for at, grid in sorted(zip(which.tolist(), holder.tolist(), strict=True), reverse=True):
        owner[at] = grids[grid].code  # on a border: the smallest code, which comes last
    found: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows.tolist()):
        if at not in owner:
            raise refused(
                "unknown_building",
                f"楼栋 {homes.code[row]} 不在任何同类网格内 lies in no {to.kind} grid of this plan",
                shapely.Point(homes.lon[row], homes.lat[row]),
            )
        if owner[at] != to.code:
            found[owner[at]].append(row)
    return dict(sorted(found.items()))


def _move_from(
    work: Redrawing, giver: PlannedArea, to: PlannedArea, wanted: Sequence[int], *, along: bool
) -> None:
    homes = work.world.homes
    rows = homes.within(giver.geom)
    faces = faces_of(
        giver.geom,
        Buildings(
            geom=homes.geom[rows],
            households=homes.households[rows],
            place=np.asarray(shapely.points(homes.lon[rows], homes.lat[rows]), dtype=object),
        ),
        work.world.streets(giver.geom).geom,
    )
    plan = planned_move(faces, graph_of(faces), np.searchsorted(rows, sorted(wanted)), to.geom)
    if plan.trouble and not (along and plan.trouble in {"apart", "torn"} and len(plan.buildings)):
        raise _not_movable(work, giver, rows[plan.buildings], plan)
    others = homes.code[rows[plan.buildings]].tolist()
    if others:
        work.told["along"] = [*work.told.get("along", ()), *others]
    _give(work, giver, to, faces, plan)


def _give(work: Redrawing, giver: PlannedArea, to: PlannedArea, faces: Faces, plan: Move) -> None:
    after = moved(faces, plan, to.geom)
    work.insert(after.added.inserted)
    work.hand_over(after.land, giver.code, to.code)


def _not_movable(work: Redrawing, giver: PlannedArea, rows: Any, plan: Move) -> Exception:
    homes = work.world.homes
    named = homes.code[rows].tolist()
    chinese, english = _TROUBLE[plan.trouble]
    if named:
        chinese += f"；须一并划转 {len(named)} 栋"
        english += f"; these would have to go along: {', '.join(named[:LISTED])}"
    error = refused(
        "not_movable",
        f"{giver.code}：{chinese} {english}",
        giver.geom,
        reason=plan.trouble,
        buildings=named,
    )
    if len(rows):
        error.findings[0]["where"] = [float(homes.lon[rows[0]]), float(homes.lat[rows[0]])]
    return error


def _torn_groups(work: Redrawing, rows: Any) -> list[dict[str, Any]]:
    """Sets that shall stay together, of which some went and some did not."""
    homes = work.world.homes
    moved_groups = {each for each in homes.group[rows].tolist() if each is not None}
    if not moved_groups:
        return []
    going = set(rows.tolist())
    torn = []
    for group in sorted(moved_groups):
        members = np.flatnonzero(homes.group == group).tolist()
        left = [row for row in members if row not in going]
        if left:
            torn.append({"group": group, "left": homes.code[left].tolist()[:LISTED], "count": len(left)})
    return torn
