"""Which area each one must lie in, and what of it lies outside."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check_areas import Areas, coarser, inner_points
from boundaries.check_findings import Examination, in_m, in_m2, mean_width_m, place_in
from gridmap import crs
from gridmap.codes import Scheme
from gridmap.errors import InvalidInput
from gridmap.index import NESTING

Rows = NDArray[np.int64]
Shapes = NDArray[np.object_]
NONE = -1


@dataclass(frozen=True)
class Parents:
    """Where each area belongs.

    Attributes:
        geom: polygons that may be parents: all areas, then those of `--within`, then their outline.
        code: of each, empty where it has none.
        parent: for each area the position in `geom` of the one it must lie in, or -1.
        outline: position in `geom` of the outline, or -1.
    """

    geom: Shapes
    code: list[str]
    parent: Rows
    outline: int


def find_parents(
    report: Examination, areas: Areas, geom: Shapes, within: tuple[Areas, Shapes] | None, scheme: Scheme
) -> Parents:
    """Parents as stated, else by the codes, else by place, else the outline of what shall hold all.

    Args:
        report: takes a `bad_code` for every stated parent that should be in the file and is not.
        areas: under check.
        geom: their sound polygons.
        within: areas that shall hold them, and their sound polygons.
        scheme: says which code a code hangs from.
    """
    shapes, codes = [geom], list(areas.code)
    outline = NONE
    if within is not None:
        outer, sound = within
        codes += [*outer.code, outer.code[0] if len(outer) == 1 else ""]
        outline = len(codes) - 1
        only = sound[0] if len(outer) == 1 else shapely.union_all(sound)
        shapes += [sound, np.array([only], dtype=object)]
    holders = np.concatenate(shapes)
    row_of: dict[str, int] = {}
    for row, code in enumerate(codes):
        if code and holders[row] is not None and row != outline:
            row_of.setdefault(code, row)
    parent = np.full(len(areas), NONE, dtype=np.int64)
    kinds = set(areas.kind)
    for row in range(len(areas)):
        if not coarser(areas.kind[row]):
            continue
        parent[row] = _by_code(areas, row, row_of, scheme)
        stated = areas.parent[row]
        if stated and stated not in row_of and _above(areas.kind[row], scheme) in kinds:
            message = f"上级 {stated} 不在文件中 its parent {stated} is not in the file"
            report.add(
                "bad_code", areas.code[row], message, other=stated, where=place_in(geom[row]), measure=None
            )
    _by_place(areas, geom, parent)
    nested = np.array([bool(coarser(kind)) or kind in NESTING for kind in areas.kind], dtype=bool)
    parent[(parent == NONE) & nested & ~shapely.is_missing(geom)] = outline
    return Parents(holders, codes, parent, outline)


def _above(kind: str, scheme: Scheme) -> str | None:
    level = scheme.level(kind)
    return level.above if level is not None else None


def _by_code(areas: Areas, row: int, row_of: Mapping[str, int], scheme: Scheme) -> int:
    """The stated parent or the nearest ancestor by the codes that is there."""
    code = areas.parent[row] or _parent_code(areas.code[row], scheme)
    while code:
        found = row_of.get(code, NONE)
        if found not in {NONE, row}:
            # a stated parent that is no coarser kind says nothing about where the area lies
            inner = found >= len(areas) or areas.kind[found] in coarser(areas.kind[row])
            return found if inner else NONE
        code = _parent_code(code, scheme)
    return NONE


def _parent_code(code: str, scheme: Scheme) -> str | None:
    try:
        return scheme.parent(code)
    except InvalidInput:
        return None


def _by_place(areas: Areas, geom: Shapes, parent: Rows) -> None:
    """Gives areas without a parent the finest coarser one that holds a point inside them."""
    kind_of = np.array(areas.kind, dtype=object)
    waiting = np.flatnonzero((parent == NONE) & ~shapely.is_missing(geom))
    for kind in NESTING[::-1]:
        rows = np.flatnonzero((kind_of == kind) & ~shapely.is_missing(geom))
        finer = [each for each in set(areas.kind) if kind in coarser(each)]
        seeking = waiting[(parent[waiting] == NONE) & np.isin(kind_of[waiting], finer)]
        if not len(rows) or not len(seeking):
            continue
        tree = shapely.STRtree(geom[rows])
        at, holder = tree.query(inner_points(geom[seeking]), predicate="intersects")
        for each, over in sorted(zip(at.tolist(), holder.tolist(), strict=True), reverse=True):
            parent[seeking[each]] = rows[over]


def add_outside(report: Examination, areas: Areas, geom: Shapes, parents: Parents, suspects: Rows) -> None:
    """Reports areas that reach beyond their parent.

    Args:
        report: takes the findings.
        areas: under check.
        geom: their sound polygons.
        parents: of the areas.
        suspects: positions in `parents.geom` whose edges do not cancel against those of their children.
    """
    # dedicated grids lie over their parent's children, so their edges say nothing
    over = (np.array(areas.kind, dtype=object) == "dedicated") & (parents.parent >= 0)
    doubtful = np.flatnonzero((np.isin(parents.parent, suspects) | over) & ~shapely.is_missing(geom))
    holders = parents.geom[parents.parent[doubtful]]
    shapely.prepare(holders)
    out = doubtful[~shapely.covers(holders, geom[doubtful])]
    beyond = np.asarray(shapely.difference(geom[out], parents.geom[parents.parent[out]]), dtype=object)
    sizes = crs.area_m2(beyond)
    widths = mean_width_m(beyond, sizes)
    for row, shape, size, width in zip(out.tolist(), beyond, sizes.tolist(), widths.tolist(), strict=True):
        if report.is_noise("outside_parent", size):
            continue
        above = parents.code[parents.parent[row]]
        message = (
            f"{areas.named(row)} 超出 {above or '给定范围'} {in_m2(size)}，平均宽 {in_m(width)}"
            f" reaches {in_m2(size)} beyond {above or 'what shall hold it'}, {in_m(width)} wide on average"
        )
        report.add(
            "outside_parent", areas.code[row], message, other=above, where=place_in(shape), measure=size,
            unit="m2",
        )  # fmt: skip
