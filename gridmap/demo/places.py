"""Whose every place is: asked of the same index that the service asks."""

from dataclasses import dataclass, replace

import numpy as np

from gridmap.demo.city import Areas, Buildings, Floats, Ints
from gridmap.index import AreaIndex
from gridmap.index_answers import NEAREST
from gridmap.snapshot import outermost

TOLERANCE_M = 50.0


@dataclass(frozen=True)
class Places:
    """Answers for many places; rows of Areas, -1 for none."""

    owner: Ints
    leaf: Ints
    method: Ints  # position in METHODS
    distance_m: Floats
    held: Ints  # position in `paths`
    paths: tuple[str, ...]  # distinct, as PostgreSQL writes an ltree[]


def locate(areas: Areas, lon: Floats, lat: Floats) -> Places:
    """Asks the index for every place; NaN has none."""
    index = AreaIndex.from_arrays(areas.geom, areas.code.tolist(), areas.kind.tolist(), areas.path.tolist())
    found = index.locate(lon, lat, TOLERANCE_M)
    holds = np.column_stack([found.holds[kind] for kind in found.holds]).astype(np.int64)
    owner, leaf = found.owner.astype(np.int64), found.leaf.astype(np.int64)
    method = found.method_code.astype(np.int64)
    nearest = method == NEAREST
    leaf[nearest] = owner[nearest]  # it counts where it was given to
    holds = np.column_stack([holds, np.where(nearest, owner, -1)])
    distinct, held = _distinct(holds)
    paths = tuple(_written([areas.path[row] for row in rows if row >= 0]) for rows in distinct)
    return Places(owner, leaf, method, found.distance_m, held, paths)


def _written(paths: list[str]) -> str:
    return "{" + ",".join(outermost(paths) if paths else ()) + "}"


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The distinct rows of a table, and for each row which; by one key of all columns, since that is quick."""
    key = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        # renumbered after each column, so that the product never leaves 63 bits
        _, key = np.unique(key * (int(column.max(initial=0)) + 2) + column + 1, return_inverse=True)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return rows[first], which


def with_paths(buildings: Buildings, areas: Areas) -> Buildings:
    """The buildings with the paths of all areas that hold them."""
    places = locate(areas, buildings.lon, buildings.lat)
    return replace(buildings, paths=np.array(places.paths, dtype=object)[places.held])
