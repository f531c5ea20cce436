"""Checks a coverage: every place of it has one area of each kind, and every area is as it should be.

A pure function on arrays. `gridmap check` puts files in front of it; plans and the import gate give what they
hold in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import check_codes, check_households, check_parents, check_shapes
from boundaries.check_areas import Areas
from boundaries.check_coverage import Coverage
from boundaries.check_findings import TOLERANCE_M2, CoverageFinding, Examination, in_order
from boundaries.check_households import BuildingCount, Ranges
from gridmap.codes import DEFAULT, Scheme
from gridmap.errors import InvalidInput
from gridmap.index import KINDS

__all__ = ["Areas", "CoverageFinding", "Examination", "Rules", "check", "examine", "in_order"]

Rows = NDArray[np.int64]
Shapes = NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a coverage is held to.

    Attributes:
        ranges: least and most households by kind; empty checks none.
        scheme: of the codes; None means the default one where the codes follow it.
        tolerance_m2: overlaps, gaps and parts outside of at most this size are counted and not listed.
        sliver_m: least mean width of a polygon in metres.
    """

    ranges: Ranges | None = None
    scheme: Scheme | None = None
    tolerance_m2: float = TOLERANCE_M2
    sliver_m: float = check_shapes.SLIVER_M


def check(
    areas: Areas,
    *,
    within: Areas | None = None,
    rules: Rules | None = None,
    buildings: tuple[NDArray[np.float64], NDArray[np.float64], Rows] | None = None,
) -> list[CoverageFinding]:
    """Everything that is wrong with areas, in a fixed order.

    Each kind is a coverage of its own. Within a kind no two areas overlap (overlays may: precincts, courts);
    jurisdictions, comprehensive and micro-grids leave no enclosed hole and fill the areas that they belong to;
    dedicated grids lie over the others, and fill what these leave free for them.

    Args:
        areas: EPSG:4326.
        within: areas that these must lie in and fill, EPSG:4326.
        rules: ranges, tolerances and the scheme of codes.
        buildings: longitudes, latitudes and households; counted instead of what the areas state.

    Raises:
        InvalidInput: `bad_tolerance`, `bad_within`; whatever is wrong with the areas is a finding.
    """

    def counted(count: BuildingCount) -> None:
        if buildings is not None:
            count.add(*buildings)

    return examine(areas, within=within, rules=rules, count=None if buildings is None else counted).findings


def examine(
    areas: Areas,
    *,
    within: Areas | None = None,
    rules: Rules | None = None,
    count: Callable[[BuildingCount], None] | None = None,
) -> Examination:
    """The same with what was within the tolerance, and notes on what was assumed or not checked.

    Args:
        areas: as of `check`.
        within: as of `check`.
        rules: as of `check`.
        count: puts buildings into a count, in as many portions as it likes.
    """
    rules = rules or Rules()
    if not (0.0 <= rules.tolerance_m2 < np.inf and 0.0 <= rules.sliver_m < np.inf):
        raise InvalidInput("tolerances are numbers from 0 on", code="bad_tolerance")
    report = Examination(rules.tolerance_m2)
    report.areas.update(kind for kind in KINDS for _ in range(areas.kind.count(kind)))
    geom, repaired = check_shapes.sound_shapes(report, areas)
    check_codes.add_codes(report, areas, geom, rules.scheme)
    outer = None if within is None else (within, _sound_outer(report, within))
    parents = check_parents.find_parents(report, areas, geom, outer, rules.scheme or DEFAULT)
    Coverage(report, areas, geom, parents).examine()
    check_shapes.add_pieces(report, areas, geom, repaired, rules.sliver_m)
    if rules.ranges:
        counts = check_households.stated_counts(areas, parents)
        if count is not None:
            counting = BuildingCount(areas, geom, parents)
            count(counting)
            counts = counting.counts
            if counting.unowned:
                report.notes.append(
                    f"{counting.unowned} 户不在任何区域内 households live in none of the areas"
                )
        check_households.add_households(report, areas, geom, counts, rules.ranges)
    report.sort()
    return report


def _sound_outer(report: Examination, within: Areas) -> Shapes:
    aside = Examination(report.tolerance_m2)
    geom, _ = check_shapes.sound_shapes(aside, within)
    if shapely.is_missing(geom).all():
        raise InvalidInput("what the areas shall lie in holds no polygon", code="bad_within")
    report.notes += [f"--within：{finding.message}" for finding in aside.findings]
    return geom
