"""Households by area, of a draft: counted once for its edition, then only where areas differ."""

from collections.abc import Iterable

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
        weight: what is counted of each; its households unless said.
    """

    def __init__(self, draft: Draft, homes: Homes, weight: NDArray[np.int64] | None = None) -> None:
        self._homes = homes
        self._weight = homes.households if weight is None else weight
        self._last: tuple[object, Counts] = (None, {})
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
            self._add(self._counts, self._holder[kind], self._weight)

    @property
    def of_base(self) -> Counts:
        """Households of every area inside the scope in the edition."""
        return dict(self._counts)

    def of(self, draft: Draft) -> Counts:
        """Households of every living area inside the scope of a draft on the same edition."""
        last, counts = self._last
        if last is draft.areas:  # findings and numbers ask one after the other
            return dict(counts)
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
        self._last = draft.areas, dict(counts)
        return counts

    def _move(self, counts: Counts, draft: Draft, kind: str, areas: Iterable[PlannedArea]) -> None:
        """Takes the buildings in areas that differ from who held them, and gives them to who does now."""
        homes = self._homes
        rows = np.unique(np.concatenate([homes.within(area.geom) for area in areas]))
        if not len(rows):
            return
        before = self._holder.get(kind)
        if before is not None:
            self._add(counts, before[rows], -self._weight[rows])
        now = holders(draft, kind, (homes.lon[rows], homes.lat[rows]))
        self._add(counts, now, self._weight[rows])

    @staticmethod
    def _add(counts: Counts, holder: NDArray[np.object_], households: NDArray[np.int64]) -> None:
        codes, which = np.unique(holder.astype(str), return_inverse=True)
        sums = np.bincount(which, weights=households, minlength=len(codes))
        for code, number in zip(codes.tolist(), sums.tolist(), strict=True):
            if code in counts:
                counts[code] += int(number)


def holders(
    draft: Draft, kind: str, places: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.object_]:
    """Codes of the areas of a kind inside the scope that hold places; empty where none does.

    Args:
        draft: as it is now.
        kind: of areas.
        places: longitudes and latitudes of at least one place, EPSG:4326.
    """
    areas = [area for area in draft.inside() if area.kind == kind]  # in the order of their codes
    lon, lat = places
    held = np.full(len(lon), _NOBODY, dtype=object)
    if not areas:
        return held
    shapes = np.empty(len(areas), dtype=object)
    shapes[:] = [area.geom for area in areas]
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
