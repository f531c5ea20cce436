"""What a demonstration city is made of: frozen records of parallel arrays, no database in sight."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmap.errors import InvalidInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Objects = NDArray[np.object_]
Flags = NDArray[np.bool_]

MICRO_RANGE = (50, 100)
COMPREHENSIVE_RANGE = (300, 500)


@dataclass(frozen=True)
class Size:
    """How much of everything. The counts of grids, villages, towns and events are met exactly.

    Args:
        households: met exactly where the ranges allow it, otherwise as nearly as they do.
        micro_grids: four to six make a comprehensive grid, so between 4 and 6 times `comprehensive`.
        comprehensive: at least one a village.
        villages: at least one a town.
        towns: at least one.
        events: may be 0.
        history_rows: history entries that are kept of an event at most, at least 2.

    Raises:
        InvalidInput: the counts do not fit together (code `bad_size`).
    """

    households: int
    micro_grids: int
    comprehensive: int
    villages: int
    towns: int
    events: int
    history_rows: int = 4

    def __post_init__(self) -> None:
        fits = (
            1 <= self.towns <= self.villages <= self.comprehensive
            and 4 * self.comprehensive <= self.micro_grids <= 6 * self.comprehensive
            and 60 <= self.households / self.micro_grids <= 90
            and self.events >= 0
            and self.history_rows >= 2
            and self.villages <= 99 * self.towns
            and self.comprehensive <= 400 * self.villages
        )
        if not fits:
            raise InvalidInput(
                "These counts make no city: 60 to 90 households a micro-grid, 4 to 6 micro-grids a"
                " comprehensive grid, towns ≤ villages ≤ comprehensive grids.",
                code="bad_size",
            )

    @classmethod
    def of(cls, households: int, events: int) -> "Size":
        """A size in the usual proportions; from about 400 households on."""
        comprehensive = max(1, round(households / 382))
        villages = max(min(2, comprehensive), round(comprehensive / 6))
        return cls(
            households=households,
            micro_grids=max(4 * comprehensive, round(households / 75)),
            comprehensive=comprehensive,
            villages=villages,
            towns=max(min(2, villages), round(villages / 5)),
            events=events,
        )


TOWN = Size(households=60_000, micro_grids=800, comprehensive=157, villages=19, towns=5, events=100_000)
FULL = Size(
    households=525_000,
    micro_grids=7_000,
    comprehensive=1_374,
    villages=248,
    towns=21,
    events=1_000_000,
    history_rows=2,
)


@dataclass(frozen=True)
class Areas:
    """Every area of the first edition; parents stand before their children. Object arrays, EPSG:4326."""

    kind: Objects
    code: Objects
    name: Objects
    setting: Objects  # None for jurisdictions
    parent: Objects  # None for the largest
    path: Objects
    geom: Objects  # MultiPolygon

    def __len__(self) -> int:
        return len(self.code)

    def rows_of(self, kind: str) -> Ints:
        """Rows of one kind, in the order of codes."""
        return np.flatnonzero(self.kind == kind)


@dataclass(frozen=True)
class Buildings:
    """Footprints with households; `place` (lon, lat) lies inside its footprint."""

    code: Objects
    name: Objects
    kind: Objects
    households: Ints
    geom: Objects  # Polygon, EPSG:4326
    lon: Floats
    lat: Floats
    micro: Ints  # row in Areas
    owner: Ints  # row in Areas: the dedicated grid where there is one, else the micro-grid
    paths: Objects  # "{a.b,c.d}" as PostgreSQL writes an ltree[]

    def __len__(self) -> int:
        return len(self.code)


@dataclass(frozen=True)
class Streets:
    """Centre lines; also the river."""

    code: Objects
    name: Objects
    rank: Objects  # main, street, lane, path, river: the table's `class`
    geom: Objects  # MultiLineString, EPSG:4326


@dataclass(frozen=True)
class People:
    """Units, workers, the areas that they serve, and weekly duty in local time. Ids are row + 1."""

    unit_code: Objects
    unit_name: Objects
    unit_kind: Objects
    worker_code: Objects
    worker_name: Objects
    role: Objects
    capacity: Ints
    worker_unit: Ints  # row of a unit or -1
    service_worker: Ints  # row or -1, parallel with service_unit and service_area
    service_unit: Ints
    service_area: Ints  # row in Areas
    shift_worker: Ints
    weekday: Ints  # ISO, Monday = 1
    starts_at: Ints  # minutes after midnight
    ends_at: Ints  # minutes after midnight; not after starts_at: ends on the next day


@dataclass(frozen=True)
class Events:
    """Columns of events in the order of reporting; times are seconds of the Unix epoch, NaN = not yet.

    `category`, `subcategory`, `urgency`, `source`, `method`, `status` and `why` hold positions in the
    tuples of the same name in `vocabulary`; -1 stands for null.
    """

    vocabulary: Mapping[str, tuple[str, ...]]
    source: Ints
    external_id: Objects
    category: Ints
    subcategory: Ints
    urgency: Ints
    occurred_at: Floats
    reported_at: Floats
    lon: Floats  # WGS-84, NaN without a place
    lat: Floats
    x: Floats  # as it came, in `crs`
    y: Floats
    crs: Ints
    accuracy_m: Floats
    method: Ints
    distance_m: Floats
    owner: Ints  # row in Areas or -1
    leaf: Ints  # row in Areas or -1
    paths: Ints  # position in vocabulary["paths"]
    cell: Ints  # H3 at resolution 12, -1 without a place
    status: Ints
    revision: Ints
    worker: Ints  # row in People or -1
    unit: Ints
    why: Ints
    accept_due_at: Floats
    resolve_due_at: Floats
    accepted_at: Floats
    resolved_at: Floats
    verified_at: Floats
    closed_at: Floats
    wording: Ints  # which of the templates of its sub-category
    street: Ints  # row in Streets that its address names, or -1
    number: Ints  # house number

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class City:
    """An invented county with everything that happened in it up to `now`."""

    size: Size
    seed: int
    now: datetime
    areas: Areas
    buildings: Buildings
    streets: Streets
    people: People
    events: Events

    def summary(self) -> dict[str, Any]:
        """Counts for a progress line or a log."""
        return {
            "households": int(self.buildings.households.sum()),
            "buildings": len(self.buildings),
            "areas": len(self.areas),
            "workers": len(self.people.worker_code),
            "events": len(self.events),
        }
