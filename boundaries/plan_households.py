"""Households by area, of a draft: counted once for its edition, then only where areas differ."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.draft import Draft, PlannedArea
from boundaries.homes import Homes

Counts = dict[str, int]
Holders = dict[str, NDArray[np.object_]]
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
        base = draft.base
        inside = frozenset(draft.codes_of_base)
        found = base.index.locate(homes.lon, homes.lat, 0.0) if len(homes) else None
        self._holder: Holders = {}
        self._counts: Counts = dict.fromkeys(inside, 0)
        for kind in {base.kind[base.row[code]] for code in inside} if found is not None else ():
            assert found is not None  # noqa: S101  # no kind is looked at without
            held = base.codes(found.holds[kind])
            self._holder[kind] = np.array(
                [code if code in inside else _NOBODY for code in held], dtype=object
            )
            self._add(self._counts, self._holder[kind], self._weight)
        fresh = Draft.open(base, draft.scope)
        self._last: tuple[Draft, Counts, Holders] = (fresh, self._counts, self._holder)

    @property
    def of_base(self) -> Counts:
        """Households of every area inside the scope in the edition."""
        return dict(self._counts)

    def of(self, draft: Draft) -> Counts:
        """Households of every living area inside the scope of a draft on the same edition.

        Cost follows what differs from the draft that was counted last.
        """
        since, counts, holder = self._last
        counts, holder = dict(counts), dict(holder)
        differs: dict[str, list[PlannedArea]] = {}
        for code in draft.differing(since):
            then, now = since.get(code), draft.get(code)
            if now is None:
                counts.pop(code, None)
            elif then is None:
                counts[code] = 0
            if then is None or now is None or not (now.touched and (then.touched or code not in since.areas)):
                for area in (then, now):
                    if area is not None:
                        differs.setdefault(area.kind, []).append(area)
        for areas in differs.values():
            self._move(counts, holder, draft, areas)
        self._last = draft, dict(counts), holder
        return counts

    def _move(self, counts: Counts, holder: Holders, draft: Draft, areas: Sequence[PlannedArea]) -> None:
        """Takes the buildings in areas that differ from who held them, and gives them to who does now."""
        homes, kind = self._homes, areas[0].kind
        rows = np.unique(np.concatenate([homes.within(area.geom) for area in areas]))
        if not len(rows):
            return
        held = holder[kind].copy() if kind in holder else np.full(len(homes), _NOBODY, dtype=object)
        self._add(counts, held[rows], -self._weight[rows])
        held[rows] = holders(draft, kind, (homes.lon[rows], homes.lat[rows]))
        self._add(counts, held[rows], self._weight[rows])
        holder[kind] = held

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
