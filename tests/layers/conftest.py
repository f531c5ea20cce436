"""A small invented county of squares with a few hundred events, for everything that shows counts."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.access import Principal, Role, Scope
from gridmap.areas import AreaDraft, import_areas
from gridmap.db import Database, Reader, Writer
from gridmap.events import EventDraft
from gridmap.placement import cell, place_many
from gridmap.settings import Settings
from gridmap.snapshot import Snapshot
from gridmap.withholding import Audience

WEST, SOUTH, SIDE = 112.0, 30.0, 0.002
ZONE = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=ZONE)
SINCE = dt.datetime(2026, 1, 1, tzinfo=ZONE)
UNTIL = dt.datetime(2027, 1, 1, tzinfo=ZONE)


def box(column: int, row: int, columns: int, rows: int) -> shapely.MultiPolygon:
    """A rectangle of squares with every square's corner on its ring."""
    xs = [WEST + SIDE * i for i in range(column, column + columns + 1)]
    ys = [SOUTH + SIDE * i for i in range(row, row + rows + 1)]
    ring = [(x, ys[0]) for x in xs] + [(xs[-1], y) for y in ys[1:]]
    ring += [(x, ys[-1]) for x in xs[-2::-1]] + [(xs[0], y) for y in ys[-2:0:-1]]
    return shapely.MultiPolygon([shapely.Polygon(ring)])


def county() -> list[AreaDraft]:
    """County 990126: 2 towns of 4×4 squares, each of 2 villages, each of 2 comprehensive grids, each of 2×2."""
    drafts = [AreaDraft(kind="county", code="990126", name="云江县", geom=box(0, 0, 8, 4))]

    def add(kind: str, code: str, parent: str, geom: shapely.MultiPolygon) -> str:
        drafts.append(AreaDraft(kind=kind, code=code, name=f"{kind} <{code[6:]}>", parent=parent, geom=geom))
        return code

    for t in range(2):
        town = add("town", f"99012600{t + 1}", "990126", box(4 * t, 0, 4, 4))
        for v in range(2):
            village = add("village", f"{town}00{v + 1}", town, box(4 * t, 2 * v, 4, 2))
            for c in range(2):
                column, row = 4 * t + 2 * c, 2 * v
                grid = add("comprehensive", f"{village}00{c + 1}", village, box(column, row, 2, 2))
                for m in range(4):
                    add("micro", f"{grid}0{m + 1}", grid, box(column + m % 2, row + m // 2, 1, 1))
    add("precinct", "990126P1", "990126", box(0, 0, 5, 4))
    add("precinct", "990126P2", "990126", box(5, 0, 3, 4))
    market = shapely.MultiPolygon([shapely.box(WEST + 0.0021, SOUTH + 0.0021, WEST + 0.0059, SOUTH + 0.0059)])
    add("dedicated", "990126D01", "990126001001", market)
    return drafts


def insert_events(session: Writer, snapshot: Snapshot, drafts: list[EventDraft]) -> None:
    """Stores events placed by a snapshot, as intake would, without routing or text."""
    statement = sa.text(
        "INSERT INTO event (source, external_id, category, subcategory, occurred_at, geom, method, edition,"
        " owner_then, owner_now, leaf_then, leaf_now, paths_then, paths_now, cell, status) VALUES"
        " ('test', :id, :category, :subcategory, :at,"
        " ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326),"
        " :method, :edition, :owner, :owner, :leaf, :leaf, CAST(:paths AS ltree[]), CAST(:paths AS ltree[]), :cell,"
        " 'assigned')"
    )
    rows = []
    for draft, placed in zip(drafts, place_many(snapshot, drafts, 50.0), strict=True):
        assert not isinstance(placed, Exception)
        rows.append(
            {
                "id": draft.external_id,
                "category": draft.category,
                "subcategory": draft.subcategory,
                "at": draft.occurred_at,
                "lon": draft.lon,
                "lat": draft.lat,
                "method": placed.method,
                "edition": snapshot.edition,
                "owner": placed.owner,
                "leaf": placed.leaf,
                "paths": list(placed.paths),
                "cell": None if draft.lon is None else cell(draft.lon, draft.lat or 0.0),
            }
        )
    session.execute(statement, rows)


def draft(number: int, lon: float | None, lat: float | None, **more: object) -> EventDraft:
    """An event of this year, a dispute unless said otherwise."""
    said: dict[str, object] = {"category": "dispute", "occurred_at": NOW, **more}
    return EventDraft(source="test", external_id=str(number), title="", lon=lon, lat=lat, **said)


def scattered(seed: int = 5, number: int = 420) -> list[EventDraft]:
    """Events over the county and a little beyond, few in most squares, over two years."""
    rng = np.random.default_rng(seed)
    lon = WEST + SIDE * (8.6 * rng.beta(1.2, 2.5, number) - 0.3)
    lat = SOUTH + SIDE * (4.4 * rng.random(number) - 0.2)
    categories = rng.choice(["dispute", "police_case", "appeal"], number)
    days = rng.integers(0, 700, number)
    delicate = rng.random(number) < 0.1
    drafts = []
    for i in range(number):
        sub = (
            {"dispute": "domestic_violence", "police_case": "minor"}.get(categories[i])
            if delicate[i]
            else None
        )
        place = (None, None) if i % 40 == 7 else (float(lon[i]), float(lat[i]))
        at = NOW - dt.timedelta(days=int(days[i]), hours=i % 24)
        drafts.append(draft(i, *place, category=str(categories[i]), subcategory=sub, occurred_at=at))
    return drafts


@dataclass(frozen=True)
class City:
    """A database with the county and its events."""

    database: Database
    snapshot: Snapshot
    settings: Settings


@pytest.fixture(scope="module")
def city(database: Database, tmp_path_factory: pytest.TempPathFactory) -> City:
    """The county with households 60, 61, … a micro-grid (none in the first) and its scattered events."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with database.writer() as session:
        import_areas(session, county(), actor="test", settings=settings)
        session.execute(
            sa.text(
                "INSERT INTO household_count (code, households, buildings) SELECT code,"
                " CASE WHEN code LIKE '%00101' THEN 0 ELSE 59 + row_number() OVER (ORDER BY code) END, 1"
                " FROM area WHERE kind = 'micro'"
            )
        )
        insert_events(session, snapshots.load(session), scattered())
    with database.reader() as session:
        return City(database, snapshots.load(session), settings)


@pytest.fixture
def reading(city: City) -> Iterator[Reader]:
    with city.database.reader() as session:
        yield session


def principal(role: str, area: str = "*", path: str | None = None) -> Principal:
    return Principal(name=role, display_name=role, roles=(Role(role, area, path),))


@pytest.fixture(scope="session")
def somebody() -> Callable[..., Principal]:
    """Makes a principal of a role, for an area with its path or for all."""
    return principal


@pytest.fixture(scope="session")
def audience() -> Callable[..., Audience]:
    """Makes the audience of a principal of a role, who sees counts from 3 on."""

    def make(role: str, area: str = "*", path: str | None = None, below: int = 3) -> Audience:
        return Audience.of(principal(role, area, path), below)

    return make


@pytest.fixture(scope="session")
def everything() -> Audience:
    """An audience from which nothing is withheld."""
    return Audience(Scope(None), Scope(None), Scope(None), Scope(None), 3)


@pytest.fixture
def add_events() -> Callable[[Writer, Snapshot, list[EventDraft]], None]:
    """Stores events."""
    return insert_events


@pytest.fixture
def event() -> Callable[..., EventDraft]:
    """Makes an event."""
    return draft
