"""Footprints on the globe, numbered and named."""

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.demo import names
from gridmap.demo.city import Areas, Buildings, Floats, Ints, Objects
from gridmap.demo.coverage import Layout
from gridmap.demo.fabric import Footprints
from gridmap.demo.terrain import Bend, to_lonlat
from gridmap.errors import InvalidInput

_PUBLIC_NAMES = {
    "school": "教学楼",
    "market": "市场",
    "hospital": "门诊楼",
    "industrial": "厂房",
    "public": "公共服务站",
}


def stand(footprints: Footprints, layout: Layout, bend: Bend, rng: np.random.Generator) -> Buildings:
    """Buildings on the globe, in the order of their micro-grids' codes.

    Raises:
        InvalidInput: a building does not lie inside its grid (code `bad_size`).
    """
    areas = layout.areas
    micro = layout.micro_row[footprints.micro]
    dedicated = footprints.dedicated >= 0
    owner = micro.copy()
    owner[dedicated] = layout.dedicated_row[footprints.dedicated[dedicated]]
    order = np.lexsort((footprints.x, -footprints.y, micro))
    geom, lon, lat = _within(footprints, areas.geom[owner], bend)
    micro, owner = micro[order], owner[order]
    kind = footprints.kind[order]
    return Buildings(
        code=_codes(areas, micro),
        name=_names(kind, layout, footprints.micro[order], rng),
        kind=kind,
        households=footprints.households[order],
        geom=geom[order],
        lon=lon[order],
        lat=lat[order],
        micro=micro,
        owner=owner,
        paths=np.full(len(kind), "{}", dtype=object),
    )


def _within(footprints: Footprints, grids: Objects, bend: Bend) -> tuple[Objects, Floats, Floats]:
    """Footprints turned with the land around them; what then leaves its grid, or meets another, is made smaller."""
    east, north = bend.axes(footprints.x, footprints.y)
    # the mean of how far the land turns rows and columns, so that neither looks askew
    turn = (east + north - np.pi / 2) / 2
    x, y = bend(footprints.x, footprints.y)
    angle = footprints.angle + turn
    lon, lat = to_lonlat(x, y)
    scale = np.ones(len(x))
    geom = _rectangles(x, y, angle, footprints, scale)
    shapely.prepare(grids)
    outside = ~shapely.contains_properly(grids, geom) | _meeting(geom)
    for smaller in (0.85, 0.7, 0.5, 0.3, 0.15):
        if not outside.any():
            break
        scale[outside] = smaller
        geom[outside] = _rectangles(x, y, angle, footprints, scale)[outside]
        outside[outside] = ~shapely.contains_properly(grids[outside], geom[outside])
        outside |= _meeting(geom)
    if outside.any():
        raise InvalidInput(f"{int(outside.sum())} buildings would leave their grids.", code="bad_size")
    return geom, lon, lat


def _meeting(geom: Objects) -> NDArray[np.bool_]:
    """Which footprints another one meets: two whose ground turns differently can, where the land bends."""
    one, other = shapely.STRtree(geom).query(geom, predicate="intersects")
    meets = np.zeros(len(geom), dtype=bool)
    meets[one[one != other]] = True
    return meets


def _rectangles(x: Floats, y: Floats, angle: Floats, footprints: Footprints, scale: Floats) -> Objects:
    across = footprints.width_m * scale / 2
    along = footprints.depth_m * scale / 2
    cos, sin = np.cos(angle), np.sin(angle)
    corners = np.empty((len(x), 5, 2))
    for i, (a, b) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))):
        corners[:, i, 0], corners[:, i, 1] = to_lonlat(
            x + a * across * cos - b * along * sin, y + a * across * sin + b * along * cos
        )
    return np.asarray(shapely.polygons(corners), dtype=object)


def _codes(areas: Areas, micro: Ints) -> Objects:
    """The village's code, B, and a number within the village."""
    village = np.array([code[:12] for code in areas.code[micro]], dtype=object)
    _, where = np.unique(village, return_inverse=True)
    order = np.argsort(where, kind="stable")
    starts = np.searchsorted(where[order], where[order])
    number = np.empty(len(micro), dtype=np.int64)
    number[order] = np.arange(len(micro)) - starts + 1
    codes = np.empty(len(micro), dtype=object)
    codes[:] = [f"{code}B{each:05d}" for code, each in zip(village, number.tolist(), strict=True)]
    return codes


def _names(kind: Objects, layout: Layout, micro: Ints, rng: np.random.Generator) -> Objects:
    """Estates number their buildings; village houses have a number in their group."""
    estate = names.estates(len(layout.micro_row), rng)
    hamlet = _hamlets(layout)
    starts = np.flatnonzero(np.concatenate([[True], micro[1:] != micro[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(micro)]]))
    number = np.arange(len(micro)) - np.repeat(starts, lengths) + 1
    result = np.empty(len(micro), dtype=object)
    result[:] = [
        _PUBLIC_NAMES.get(its, f"{group}{n}号" if its == "house" else f"{name}{n}幢")
        for its, name, group, n in zip(kind, estate[micro], hamlet[micro], number.tolist(), strict=True)
    ]
    return result


def _hamlets(layout: Layout) -> Objects:
    """石原村3组: the groups of a village are its micro-grids in the order of their codes."""
    order = np.argsort(layout.micro_row, kind="stable")
    village = layout.village_of_micro
    group = np.zeros(len(village), dtype=np.int64)
    for each in range(len(layout.village_row)):
        members = order[village[order] == each]
        group[members] = np.arange(1, len(members) + 1)
    name = layout.areas.name[layout.village_row]
    hamlets = np.empty(len(village), dtype=object)
    hamlets[:] = [
        f"{name[each].replace('社区', '里')}{number}组"
        for each, number in zip(village.tolist(), group.tolist(), strict=True)
    ]
    return hamlets
