"""Households by area, of a draft: counted once for its edition, then only where areas differ."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.draft import Draft, PlannedArea
from boundaries.homes import Homes

Counts = dict[str, int]
_NOBODY = ""


class Households:
    """Who holds which building, by kind of area.

    A place has at most one area of each kind; on a border it is the one with the smallest code, as everywhere.

    Args:
        draft: whose edition and scope count; what differs in it does not.
        homes: living buildings inside the scope.
    """

    def __init__(self, draft: Draft, homes: Homes) -> None:
        self._homes = homes
        base = draft.base
        inside = frozenset(draft.codes_of_base)
        found = base.index.locate(homes.lon, homes.lat, 0.0) if len(homes) else None
        self._holder: dict[str, NDArray[np.object_]] = {}
        self._counts: Counts = dict.fromkeys(inside, 0)
        for kind in {base.kind[base.row[code]] for code in inside} if found is not None else ():
            assert found is not None  # noqa: S101  # no kind is looked at without
            held = base.codes(found.holds[kind])
            self._holder[kind] = np.array(
                [code if code in inside else _NOBODY for code in held], dtype=object
            )
            self._add(self._counts, self._holder[kind], homes.households)

    @property
    def of_base(self) -> Counts:
        """Households of every area inside the scope in the edition."""
        return dict(self._counts)

    def of(self, draft: Draft) -> Counts:
        """Households of every living area inside the scope of a draft on the same edition."""
        counts = self.of_base
        differs: dict[str, list[PlannedArea]] = {}
        for code, now in draft.areas.items():
            before = draft.before(code)
            for area in (before, now):
                if area is not None and (before is None or now is None or not now.touched):
                    differs.setdefault(area.kind, []).append(area)
            if now is None:
                counts.pop(code, None)
            elif before is None:
                counts[code] = 0
        for kind, areas in differs.items():
            self._move(counts, draft, kind, areas)
        return counts

    def _move(self, counts: Counts, draft: Draft, kind: str, areas: Iterable[PlannedArea]) -> None:
        """Takes the buildings in areas that differ from who held them, and gives them to who does now."""
        homes = self._homes
        rows = np.unique(np.concatenate([homes.within(area.geom) for area in areas]))
        if not len(rows):
            return
        before = self._holder.get(kind)
        if before is not None:
            self._add(counts, before[rows], -homes.households[rows])
        now = holders(draft, kind, homes, rows)
        self._add(counts, now, homes.households[rows])

    @staticmethod
    def _add(counts: Counts, holder: NDArray[np.object_], households: NDArray[np.int64]) -> None:
        codes, which = np.unique(holder.astype(str), return_inverse=True)
        sums = np.bincount(which, weights=households, minlength=len(codes))
        for code, number in zip(codes.tolist(), sums.tolist(), strict=True):
            if code in counts:
                counts[code] += int(number)


def holders(draft: Draft, kind: str, homes: Homes, rows: NDArray[Any]) -> NDArray[np.object_]:
    """Codes of the areas of a kind inside the scope that hold buildings; empty where none does.

    Args:
        draft: as it is now.
        kind: of areas.
        homes: buildings.
        rows: of those in question.
    """
    areas = [area for area in draft.inside() if area.kind == kind]  # in the order of their codes
    held = np.full(len(rows), _NOBODY, dtype=object)
    if not areas:
        return held
    shapes = np.empty(len(areas), dtype=object)
    shapes[:] = [area.geom for area in areas]
    lon, lat = homes.lon[rows], homes.lat[rows]
    west, south, east, north = shapely.bounds(shapes).T
    near = (west <= lon.max()) & (east >= lon.min()) & (south <= lat.max()) & (north >= lat.min())
    for at in np.flatnonzero(near)[::-1]:  # the smallest code last: it wins on borders
        maybe = (lon >= west[at]) & (lon <= east[at]) & (lat >= south[at]) & (lat <= north[at])
        candidates = np.flatnonzero(maybe)
        if not len(candidates):
            continue
        shapely.prepare(shapes[at])
        held[candidates[shapely.intersects_xy(shapes[at], lon[candidates], lat[candidates])]] = areas[at].code
    return held
