"""Heat by hexagon: for looking, not for ranking, so it is counted and never rated.

Cells without an event are listed only for a reader without exact counts, and there together with the small ones
as "fewer than k": otherwise being listed would say that something happened. Where a region would take too many
cells to list, none below k is listed at all, which says as little.

Not protected: what two resolutions, or hexagons and grids, say of each other (gridmap.withholding).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.access import Scope
from gridmap.selection import Selection, sensitive
from gridmap.snapshot import NESTING, Snapshot
from gridmap.withholding import Audience, guarded, held
from layers import classes, counting, hexes
from layers.answer import Heat, Ints, Outlines
from layers.kept import Kept

MOST_LISTED = 20_000


@dataclass(frozen=True)
class Hexagons:
    """Which hexagons are wanted.

    Attributes:
        res: H3 resolution, 5 to 11.
        within: row of the area that is looked at, or None.
        classes: how breaks are found.
    """

    res: int
    within: int | None = None
    classes: str = "round"


def hex_heat(
    session: Session, snapshot: Snapshot, selection: Selection, wanted: Hexagons, audience: Audience
) -> Heat:
    """Counts by hexagon; arguments and errors as of `layers.heat.heat`."""
    hexes.check_resolution(wanted.res)
    cells, count = counting.by_cell(session, snapshot, selection, wanted.res, wanted.within)
    region = audience.counts if wanted.within is None else counting.below(snapshot, wanted.within)
    if not _covers(audience.handled, region):
        delicate = sensitive(session, selection)
        if delicate is not None:
            some, fewer = counting.by_cell(session, snapshot, delicate, wanted.res, wanted.within)
            count[np.searchsorted(cells, some)] -= fewer
            cells, count = cells[count > 0], count[count > 0]
    hidden = np.zeros(len(cells), dtype=bool)
    exact = _covers(audience.exact, region) or audience.withhold_below <= 1
    if not exact:
        cells, count, hidden = _guarded(snapshot, region, wanted.res, (cells, count), audience.withhold_below)
    value = np.where(hidden, np.nan, count)
    found = classes.breaks(value, wanted.classes)
    return Heat(
        by="hex",
        kind="hex",
        measure="count",
        boundaries="today",
        edition=snapshot.edition,
        period=selection.period,
        code=hexes.names(cells),
        name=None,
        households=None,
        count=count,
        value=value,
        withheld=hidden,
        breaks=found if exact else classes.from_smallest(found, value, audience.withhold_below),
        withhold_below=None if exact else audience.withhold_below,
        outlines=Outlines.of_cells(snapshot, cells),
    )


def _covers(scope: Scope, region: Scope) -> bool:
    if scope.paths is None:
        return True
    return region.paths is not None and bool(scope.paths) and all(map(scope.holds, region.paths))


def _guarded(
    snapshot: Snapshot, region: Scope, res: int, counted: tuple[Ints, Ints], below: int
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    cells, count = counted
    everything = _filling.get(snapshot, (region.paths, res))
    if everything is None:
        shown = ~guarded(count, below)
        return cells[shown], count[shown], np.zeros(int(shown.sum()), dtype=bool)
    listed = np.union1d(everything, cells)
    number = np.zeros(len(listed), dtype=np.int64)
    number[np.searchsorted(listed, cells)] = count
    return listed, number, guarded(number, below)


def _fill(snapshot: Snapshot, key: tuple[tuple[str, ...] | None, int]) -> Ints | None:
    """All cells that touch the areas of a scope, ascending; None where they are too many."""
    paths, res = key
    inside = np.append(held(Scope(paths), snapshot.path) & np.isin(snapshot.kind, NESTING), False)
    rows = np.flatnonzero(inside)
    tops = [row for row in rows if not inside[snapshot.row.get(snapshot.parent[row], -1)]]
    return hexes.filling(snapshot.geom[tops], res, MOST_LISTED)


_filling: Kept[Ints | None] = Kept(_fill)
