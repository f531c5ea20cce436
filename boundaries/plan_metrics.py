"""Numbers of the grids of a draft: households, events, workers, shape; and how they differ from the base's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely

from boundaries.draft import Draft, PlannedArea
from boundaries.ground import Ground
from gridmap import household_ranges
from gridmap.crs_measures import area_m2, length_m
from gridmap.index import GRIDS

MOST_DRAWN = 10_000
Fate = Literal["same", "changed", "new", "touched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridNumbers:
    """One grid of a draft.

    Attributes:
        households_before: of the same code in the base; None for a new one.
        events: by category, exact: whoever shows them withholds what is small.
        workers: who serve it; one that is new has those of the grid that it came from.
        compactness: Polsby-Popper, 4πA/P²; 1 is a circle.
        parts: pieces of land; 1 is as it should be.
        limits: least and most households of its kind; None where none are set.
    """

    area: PlannedArea
    fate: Fate
    households: int
    households_before: int | None
    buildings: int
    events: Mapping[str, int]
    workers: int
    area_m2: float
    compactness: float
    parts: int
    limits: tuple[int, int] | None

    @property
    def breach(self) -> Literal["under", "over"] | None:
        """Whether too few or too many live there; a single building over the most may stand alone."""
        return household_ranges.breach(self.households, self.buildings, self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All grids of the finest kind of a draft.

    Attributes:
        compactness: the mean; None where there is no grid.
    """

    kind: str
    grids: int
    households: int
    households_before: int
    in_range: int
    compactness: float | None


def numbers(
    draft: Draft,
    ground: Ground,
    events: Mapping[str, Mapping[str, int]],
    workers: Mapping[str, int],
    ranges: Mapping[str, tuple[int, int]],
) -> list[GridNumbers]:
    """The grids inside a draft's scope, in the order of kinds and codes.

    Args:
        draft: any.
        ground: under it.
        events: by code of the draft and category, as of `plan_events.events_of`.
        workers: how many serve each area, by code of the base.
        ranges: least and most households by kind.
    """
    grids = [area for area in draft.inside() if area.kind in GRIDS]
    households, buildings = ground.households.of(draft), ground.buildings.of(draft)
    before = ground.households.of_base
    shapes = _shapes(ground, draft, grids)
    return [
        GridNumbers(
            area=area,
            fate=fate(draft, area),
            households=households.get(area.code, 0),
            households_before=before.get(area.code, 0) if area.code in draft.base.row else None,
            buildings=buildings.get(area.code, 0),
            events=events.get(area.code, {}),
            workers=workers.get(area.code, 0),
            area_m2=shape[0],
            compactness=shape[1],
            parts=int(shape[2]),
            limits=ranges.get(area.kind),
        )
        for area, shape in zip(grids, shapes, strict=True)
    ]


def fate(draft: Draft, area: PlannedArea) -> Fate:
    """What a draft did to an area."""
    if area.code not in draft.areas:
        return "same"
    if area.touched:
        return "touched"
    return "changed" if area.code in draft.base.row else "new"


def totals(draft: Draft, ground: Ground, found: Sequence[GridNumbers]) -> Totals | None:
    """The sum over the finest kind of grids; None where there are none."""
    kinds = {each.area.kind for each in found} - {"dedicated"}
    if not kinds:
        return None
    kind = "micro" if "micro" in kinds else "comprehensive"
    of_kind = [each for each in found if each.area.kind == kind]
    of_base = ground.households.of_base
    base = draft.base
    return Totals(
        kind=kind,
        grids=len(of_kind),
        households=sum(each.households for each in of_kind),
        households_before=sum(
            of_base.get(code, 0) for code in draft.codes_of_base if base.kind[base.row[code]] == kind
        ),
        in_range=sum(each.breach is None for each in of_kind),
        compactness=float(np.mean([each.compactness for each in of_kind])) if of_kind else None,
    )


def _shapes(ground: Ground, draft: Draft, grids: Sequence[PlannedArea]) -> list[tuple[float, float, float]]:
    """Area in m², compactness and parts; nothing is measured twice while it stays as it is."""
    asked = [area for area in grids if _measured(ground, draft, area) is None]
    if asked:
        geom = np.array([area.geom for area in asked], dtype=object)
        size, around = area_m2(geom), length_m(geom)
        compactness = 4 * np.pi * size / np.maximum(around, 1e-9) ** 2
        rows = np.column_stack([size, compactness, shapely.get_num_geometries(geom)]).tolist()
        if len(ground.drawn) > MOST_DRAWN:
            ground.drawn.clear()
        for area, (first, second, third) in zip(asked, rows, strict=True):
            if area.code in draft.areas:
                ground.drawn[area.code] = area.geom, (first, second, third)
            else:
                ground.shapes[area.code] = first, second, third
    found = [_measured(ground, draft, area) for area in grids]
    return [each for each in found if each is not None]


def _measured(ground: Ground, draft: Draft, area: PlannedArea) -> tuple[float, float, float] | None:
    if area.code not in draft.areas:
        return ground.shapes.get(area.code)
    geom, measured = ground.drawn.get(area.code, (None, (0.0, 0.0, 0.0)))
    return measured if geom is area.geom or geom == area.geom else None
