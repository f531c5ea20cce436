"""Moving buildings from a grid to its neighbour: the ground around them goes along."""

from collections.abc import Sequence

from boundaries.draft import PlannedArea
from boundaries.redrawing import Redrawing


def move(work: Redrawing, buildings: Sequence[str], to: PlannedArea) -> None:
    raise NotImplementedError
