"""Households: how many live in each grid, and whether that is what a grid should have."""

import numpy as np
from numpy.typing import NDArray

from boundaries.check_areas import UNKNOWN, Areas
from boundaries.check_findings import Examination, place_in
from boundaries.check_parents import Parents
from gridmap.household_ranges import USUAL, Ranges, breach, parse_ranges
from gridmap.index import AreaIndex

__all__ = ["USUAL", "BuildingCount", "Ranges", "add_households", "parse_ranges", "stated_counts"]

Counts = NDArray[np.int64]


class BuildingCount:
    """Counts households of buildings into the grids that own them.

    A building belongs to its owner as everywhere else (docs/adr/0007), and to every coarser area that this
    one lies in: what a micro-grid has, its comprehensive grid has too. A building that only an area of another
    kind holds counts there.

    Args:
        areas: under check.
        geom: their sound polygons.
        parents: of the areas.

    Attributes:
        counts: int64, households by area.
        unowned: households of buildings that no area holds.
    """

    def __init__(self, areas: Areas, geom: NDArray[np.object_], parents: Parents) -> None:
        # codes may be there twice; their order decides on borders, so it is kept
        order = sorted(range(len(areas)), key=lambda row: (areas.code[row], row))
        names = np.empty(len(areas), dtype=object)
        names[order] = [f"{place:09d}" for place in range(len(areas))]
        chains = [_chain(row, parents.parent) for row in range(len(areas))]
        paths = [".".join(names[each] for each in chain[::-1]) for chain in chains]
        self._index = AreaIndex.from_arrays(geom, names.tolist(), areas.kind, paths)
        self._chains = chains
        self._own = np.zeros(len(areas), dtype=np.int64)
        self.unowned = 0

    def add(self, lon: NDArray[np.float64], lat: NDArray[np.float64], households: Counts) -> None:
        """Takes buildings: places in WGS-84 degrees, and how many households each has."""
        found = self._index.locate(lon, lat, 0.0)  # as buildings are stored
        holder = np.where(found.owner >= 0, found.owner, found.leaf)
        np.add.at(self._own, holder[holder >= 0], households[holder >= 0])
        self.unowned += int(households[holder < 0].sum())

    @property
    def counts(self) -> Counts:
        """Households by area, those of the areas in it included."""
        total = np.zeros_like(self._own)
        for row, chain in enumerate(self._chains):
            total[chain] += self._own[row]
        return total


def _chain(row: int, parent: Counts) -> list[int]:
    """The area and the areas above it; a circle ends where it closes."""
    chain = [row]
    while 0 <= (above := int(parent[chain[-1]])) < len(parent) and above not in chain:
        chain.append(above)
    return chain


def stated_counts(areas: Areas, parents: Parents) -> Counts:
    """Households as the areas state them; those of a grid that states none are the sum of its micro-grids'."""
    counts = areas.households.copy()
    sums = np.zeros(len(areas), dtype=np.int64)
    known = np.zeros(len(areas), dtype=bool)
    for row in range(len(areas)):
        above = int(parents.parent[row])
        if areas.kind[row] == "micro" and counts[row] >= 0 and 0 <= above < len(areas):
            sums[above] += counts[row]
            known[above] = True
    fill = (counts < 0) & known & np.array([kind == "comprehensive" for kind in areas.kind], dtype=bool)
    counts[fill] = sums[fill]
    return counts


def add_households(
    report: Examination, areas: Areas, geom: NDArray[np.object_], counts: Counts, ranges: Ranges
) -> None:
    """Reports areas with more or fewer households than their kind should have, by `breach`.

    Args:
        report: takes the findings.
        areas: under check.
        geom: their sound polygons, for a place.
        counts: households by area, negative where unknown.
        ranges: least and most by kind.
    """
    unknown = 0
    buildings = np.full(len(areas), UNKNOWN) if areas.buildings is None else areas.buildings
    for row in range(len(areas)):
        if areas.kind[row] not in ranges:
            continue
        limits = least, most = ranges[areas.kind[row]]
        number, built = int(counts[row]), int(buildings[row])
        unknown += number < 0
        if number < 0 or breach(number, None if built < 0 else built, limits) is None:
            continue
        message = (
            f"{areas.named(row)} 有 {number} 户，应为 {least}–{most} 户"
            f" has {number} households; {least} to {most} are meant for a {areas.kind[row]}"
        )
        report.add(
            "households_out_of_range", areas.code[row], message, where=place_in(geom[row]),
            measure=float(number), unit="households",
        )  # fmt: skip
    if unknown:
        report.notes.append(
            f"{unknown} 个区域户数未知，未检查 areas state no households and are not checked for them"
        )
