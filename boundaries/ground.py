"""The ground under plans: what a process keeps in memory of the database for edits, and how it is renewed.

An edit of a plan with five thousand buildings does not read them each time. They are kept by the area that the plan
opens on, until somebody counts anew.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from boundaries.check import Rules
from boundaries.check_findings import CoverageFinding
from boundaries.draft import Draft
from boundaries.homes import Homes, Streets, World
from boundaries.plan_households import Households
from gridmap.codes import DEFAULT, Scheme
from gridmap.household_ranges import Ranges, parse_ranges
from gridmap.settings import Settings

MOST_BUILDINGS = 100_000  # of all that is kept, about 1 KB each; what was read last is kept in any case
MOST_SCOPES = 16
AROUND_DEGREES = 0.0005  # about 50 m: a street along the border belongs to it

_HOMES = sa.text(
    "SELECT code, ST_X(place) AS lon, ST_Y(place) AS lat, households, ST_AsBinary(geom) AS geom, keep_together"
    " FROM building WHERE valid_to IS NULL AND leaf = ANY(ARRAY(SELECT DISTINCT code FROM area"
    " WHERE path <@ ANY(ARRAY(SELECT path FROM area WHERE code = :scope))))"
    ' ORDER BY code COLLATE "C"'
)
_STREETS = sa.text(
    "SELECT ST_AsBinary(geom) AS geom, class, name FROM street WHERE geom && ST_MakeEnvelope(:west, :south, :east,"
    " :north, 4326) ORDER BY id"
)


@dataclass
class Ground:
    """What is kept of one area of an edition.

    Attributes:
        homes: its living buildings.
        households: counts them by the areas of the edition, and of drafts.
        buildings: counts the buildings themselves likewise.
        shapes: what was measured of areas of the edition, by code; filled by who measures.
        drawn: what was measured last of areas that a draft changes, with their polygon; likewise.
        checked: the draft that was checked last, and what was found.
        events: what was counted of them, and when; filled by who counts.
        digest: other wherever a building or its households are.
    """

    homes: Homes
    households: Households
    buildings: Households
    digest: int
    shapes: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    drawn: dict[str, tuple[shapely.Geometry, tuple[float, float, float]]] = field(default_factory=dict)
    checked: tuple[Draft, list[CoverageFinding]] | None = None
    events: dict[Hashable, tuple[float, dict[str, dict[str, int]]]] = field(default_factory=dict)
    _findings: list[list[CoverageFinding]] = field(default_factory=list)

    def findings_of_base(self, find: Callable[[], list[CoverageFinding]]) -> list[CoverageFinding]:
        """What is wrong with the edition inside the scope, found once."""
        if not self._findings:
            self._findings.append(find())
        return self._findings[0]


class Grounds:
    """The ground under the plans of one process; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Ground] = OrderedDict()
        self._codes: tuple[int, frozenset[str]] = (0, frozenset())
        self._version = 0

    def __len__(self) -> int:
        return sum(len(ground.homes) for ground in self._kept.values())

    def forget(self) -> None:
        """Buildings, their households or the boundaries changed: what is asked for next is read anew."""
        with self._lock:
            self._version += 1
            self._kept.clear()

    def under(self, session: Session, draft: Draft) -> Ground:
        """The ground under a draft, by its edition.

        Args:
            session: reads it where it is not kept.
            draft: any of the plan's; only its base and scope count.
        """
        key = (draft.scope, draft.base.edition)
        with self._lock:
            version, found = self._version, self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        homes = read_homes(session, draft)
        ones = np.ones(len(homes), dtype=np.int64)
        ground = Ground(homes, Households(draft, homes), Households(draft, homes, ones), _digest(homes))
        with self._lock:
            if version == self._version:
                self._kept[key] = ground
                while len(self._kept) > 1 and (len(self._kept) > MOST_SCOPES or len(self) > MOST_BUILDINGS):
                    self._kept.popitem(last=False)
        return ground

    def world(self, session: Session, draft: Draft, settings: Settings, taken: Iterable[str] = ()) -> World:
        """What the edits of a draft need to know.

        Args:
            session: streets are read in it when an edit asks for them.
            draft: of the plan.
            settings: say how codes are built.
            taken: codes that other plans have given.
        """
        return World(
            homes=self.under(session, draft).homes,
            streets=lambda polygon: read_streets(session, polygon),
            used=self._used(session).union(taken),
            scheme=scheme_of(settings.code_scheme, settings.code_order),
        )

    def _used(self, session: Session) -> frozenset[str]:
        """Every code that was ever used; codes come with editions and never go."""
        newest = session.execute(sa.text("SELECT max(id) FROM edition")).scalar_one() or 0
        edition, codes = self._codes
        if edition != newest:
            codes = frozenset(session.execute(sa.text("SELECT code FROM area_code")).scalars())
            self._codes = (newest, codes)
        return codes


def read_homes(session: Session, draft: Draft) -> Homes:
    """Living buildings inside a draft's scope.

    They are listed with areas of the edition in force, which may be an earlier one than the draft builds on, or a
    later: so with whatever area was in the scope at any time.
    """
    rows = session.execute(_HOMES, {"scope": draft.scope}).all()
    if not rows:
        return Homes.none()
    return Homes(
        code=_column([row.code for row in rows]),
        lon=np.array([row.lon for row in rows]),
        lat=np.array([row.lat for row in rows]),
        households=np.array([row.households for row in rows], dtype=np.int64),
        geom=np.asarray(shapely.from_wkb(_column([row.geom for row in rows])), dtype=object),
        group=_column([row.keep_together for row in rows]),
    )


def read_streets(session: Session, polygon: shapely.Geometry) -> Streets:
    """Streets, rivers and railways in and around a polygon."""
    west, south, east, north = shapely.bounds(polygon).tolist()
    box = {
        "west": west - AROUND_DEGREES,
        "south": south - AROUND_DEGREES,
        "east": east + AROUND_DEGREES,
        "north": north + AROUND_DEGREES,
    }
    rows = session.execute(_STREETS, box).all()
    if not rows:
        return Streets.none()
    return Streets(
        geom=np.asarray(shapely.from_wkb(_column([row.geom for row in rows])), dtype=object),
        kind=_column([row[1] for row in rows]),
        name=_column([row.name for row in rows]),
    )


@lru_cache(maxsize=8)
def scheme_of(text: str | None, order: Literal["west_east", "rows"]) -> Scheme:
    """How the codes of this installation are built."""
    if text is None:
        return DEFAULT if order == DEFAULT.order else Scheme(order=order)
    return Scheme.from_text(text, order)


@lru_cache(maxsize=8)
def ranges_of(text: str) -> Ranges:
    """Households that a grid of this installation should have, by kind."""
    return parse_ranges(text)


def rules_of(settings: Settings) -> Rules:
    """What coverages of this installation are held to, in files as in plans."""
    scheme = None
    if settings.code_scheme is not None:
        scheme = scheme_of(settings.code_scheme, settings.code_order)
    return Rules(ranges=ranges_of(settings.household_ranges), scheme=scheme)


def _column(values: Sequence[object]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _digest(homes: Homes) -> int:
    told = f"{len(homes)}:{','.join(homes.code.tolist())}".encode()
    return zlib.crc32(homes.households.tobytes(), zlib.crc32(told))
