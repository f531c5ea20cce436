"""Vector tiles of everything that a map draws, each for one principal.

    found = tile(session, snapshot, TileQuery("grids", TileAddress(12, 3322, 1689)), principal)
    if found is None: …            # nothing here: 204
    found.content, found.etag

Tiles of areas and grids are kept, under everything that decides what is in them; streets, buildings and events
are cut anew each time, since nothing cheap says whether they are still the same.
"""

import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from gridmap.access import Principal
from gridmap.db import plan_for_these_values
from gridmap.errors import NotFound
from gridmap.event_queries import EventFilter
from gridmap.snapshot import Snapshot
from gridmap.withholding import Audience
from layers import tile_areas, tile_points
from layers.heat import HeatQuery, heat
from layers.kept import Kept
from layers.tile_grid import TileAddress, drawable
from layers.tile_heat import heat_tile

LAYERS = ("areas", "grids", "buildings", "streets", "events", "heat")
KEPT_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class TileQuery:
    """What is asked for.

    Attributes:
        layer: one of LAYERS.
        kinds: for `areas` and `grids`: these alone; none means all that the layer has.
        crs: in which the map is drawn: `wgs84`, or `gcj02`, `bd09` (areas, grids and heat).
        events: filters of `events`.
        heat: what `heat` shows.
        withhold_below: small counts of `heat`, see gridmap.withholding.

    Raises:
        NotFound: no such layer (`unknown_layer`).
    """

    layer: str
    address: TileAddress
    kinds: tuple[str, ...] = ()
    crs: str = "wgs84"
    events: EventFilter = field(default_factory=EventFilter)
    heat: HeatQuery = field(default_factory=HeatQuery)
    withhold_below: int = 3

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise NotFound(f"No layer {self.layer[:40]!r}: {', '.join(LAYERS)}", code="unknown_layer")


@dataclass(frozen=True)
class Tile:
    """A tile: `application/vnd.mapbox-vector-tile`; the etag is quoted and strong."""

    content: bytes
    etag: str

    @classmethod
    def of(cls, content: bytes) -> "Tile | None":
        """A tile, or None where nothing is in it."""
        if not content:
            return None
        return cls(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')


def tile(session: Session, snapshot: Snapshot, query: TileQuery, principal: Principal) -> Tile | None:
    """One tile, or None where there is nothing in it for this principal.

    Args:
        session: a reader's; not touched for areas and grids.
        snapshot: the edition in force.
        query: what is asked for.
        principal: for whom; what lies outside their areas is not in it.

    Raises:
        Forbidden: no role allows to see what the layer shows.
        InvalidInput: an unknown kind or reference system.
    """
    crs = drawable(query.crs)
    if query.layer in {"areas", "grids"}:
        return _area_tile(snapshot, query, principal, crs)
    address = query.address
    if query.layer == "heat":
        audience = Audience.of(principal, query.withhold_below)
        principal.require("counts")
        return Tile.of(heat_tile(heat(session, snapshot, query.heat, audience), address, crs))
    if query.layer == "events":
        principal.require("events")
        plan_for_these_values(session)
        return Tile.of(tile_points.events(session, address, snapshot, principal, query.events))
    scope = principal.require("areas")
    if query.layer == "buildings":
        return Tile.of(tile_points.buildings(session, address, principal))
    return Tile.of(tile_points.streets(session, address, scope, snapshot))


def _area_tile(snapshot: Snapshot, query: TileQuery, principal: Principal, crs: str) -> Tile | None:
    scope = principal.require("areas")
    shelf = _shelves.get(snapshot)
    # Household counts change within an edition.
    key = (
        query.layer,
        query.address,
        query.kinds,
        crs,
        scope.paths,
        zlib.crc32(snapshot.households.tobytes()),
    )
    found, kept = shelf.get(key)
    if not found:
        draw = tile_areas.areas if query.layer == "areas" else tile_areas.grids
        kept = Tile.of(draw(snapshot, query.address, query.kinds, scope, crs))
        shelf.put(key, kept)
    return kept


class Shelf:
    """The tiles of one edition that were asked for last, up to a number of bytes."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Hashable, Tile | None] = OrderedDict()

    def get(self, key: Hashable) -> tuple[bool, Tile | None]:
        """Whether the tile is known, and the tile, None for an empty one."""
        with self._lock:
            if key not in self._tiles:
                return False, None
            self._tiles.move_to_end(key)
            return True, self._tiles[key]

    def put(self, key: Hashable, kept: Tile | None) -> None:
        """Keeps a tile; the oldest make room."""
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = kept
            self._bytes += _weight(kept)
            while self._bytes > self._most:
                self._bytes -= _weight(self._tiles.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._tiles)


def _weight(kept: Tile | None) -> int:
    return 512 + (len(kept.content) if kept else 0)  # a key and its node weigh about as much


_shelves: Kept[Shelf] = Kept(lambda _snapshot, _key: Shelf())
