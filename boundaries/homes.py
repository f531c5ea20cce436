"""What a redraw needs to know of the ground: where people live, where streets run, which codes are taken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.codes import DEFAULT, Scheme
from gridmap.errors import InvalidInput

LISTED = 200  # of buildings that are not there


@dataclass(frozen=True)
class Homes:
    """Living buildings, as parallel arrays in the order of their codes.

    Attributes:
        code: their codes.
        lon: longitude of a point inside each, EPSG:4326.
        lat: latitude of that point.
        households: resident households.
        geom: footprint or point.
        group: what shall stay together (a compound, a villagers' group); None where nothing says so.
    """

    code: NDArray[np.object_]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    households: NDArray[np.int64]
    geom: NDArray[np.object_]
    group: NDArray[np.object_]

    @classmethod
    def none(cls) -> "Homes":
        """Where nobody lives."""
        nothing, number = np.empty(0, dtype=object), np.empty(0)
        return cls(nothing, number, number, np.empty(0, dtype=np.int64), nothing, nothing)

    def __len__(self) -> int:
        return len(self.code)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {code: row for row, code in enumerate(self.code.tolist())}

    def rows(self, codes: Iterable[Any]) -> NDArray[np.intp]:
        """Rows of buildings.

        Raises:
            InvalidInput: `unknown_building`, with the first of those that are not there.
        """
        wanted = [str(code) for code in codes]
        missing = [code for code in wanted if code not in self._row]
        if missing:
            raise InvalidInput(
                f"{len(missing)} 栋楼不在本方案区域内 buildings are not in the area of this plan:"
                f" {', '.join(missing[:5])}",
                code="unknown_building",
                findings=[
                    {"code": "unknown_building", "value": code, "message": "no such building"}
                    for code in missing[:LISTED]
                ],
            )
        return np.array([self._row[code] for code in dict.fromkeys(wanted)], dtype=np.intp)

    def within(self, polygon: shapely.Geometry) -> NDArray[np.intp]:
        """Rows of the buildings whose point lies in a polygon or on its border."""
        west, south, east, north = shapely.bounds(polygon).tolist()
        near = np.flatnonzero(
            (self.lon >= west) & (self.lon <= east) & (self.lat >= south) & (self.lat <= north)
        )
        shapely.prepare(polygon)
        inside: NDArray[np.intp] = near[shapely.intersects_xy(polygon, self.lon[near], self.lat[near])]
        return inside


@dataclass(frozen=True)
class Streets:
    """Lines on the ground.

    Attributes:
        geom: LineStrings or MultiLineStrings, EPSG:4326.
        kind: `motorway main street lane path river railway`.
        name: empty where it has none.
    """

    geom: NDArray[np.object_]
    kind: NDArray[np.object_]
    name: NDArray[np.object_]

    @classmethod
    def none(cls) -> "Streets":
        """Where no street is known."""
        nothing = np.empty(0, dtype=object)
        return cls(nothing, nothing, nothing)


@dataclass(frozen=True)
class World:
    """The ground under a plan; the same for all its edits.

    Attributes:
        homes: living buildings of the plan's scope.
        streets: asked for when an edit needs them, with the polygon around which they are needed.
        used: every code that was ever used, and those that other plans have taken.
        scheme: how codes are built.
    """

    homes: Homes = field(default_factory=Homes.none)
    streets: Callable[[shapely.Geometry], Streets] = lambda _: Streets.none()
    used: frozenset[str] = frozenset()
    scheme: Scheme = DEFAULT
