"""A small invented county for tests of the core: squares, with people; databases that hold it; a desk that posts."""

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import shapely
import sqlalchemy as sa

from gridmap.access import Scope
from gridmap.areas import AreaDraft, ImportResult, import_areas
from gridmap.db import Database, Writer
from gridmap.errors import GridmapError
from gridmap.events import EventDraft
from gridmap.intake import Outcome, Post, StaleBoundaries, store_few
from gridmap.intake_bulk import store_many
from gridmap.memory import Memory
from gridmap.sealing import Seal
from gridmap.settings import Settings
from tests.conftest import Copied

_numbers = itertools.count(1)
ZONE = ZoneInfo("Asia/Shanghai")


def insert(session: Writer, table: str, **values: Any) -> int:
    """Puts one row in and returns its id."""
    names, binds = ", ".join(values), ", ".join(f":{name}" for name in values)
    statement = sa.text(f"INSERT INTO {table} ({names}) VALUES ({binds}) RETURNING id")
    return int(session.execute(statement, values).scalar_one())


class County:
    """County 990126, 8 squares wide and 4 high: 2 towns side by side, each of 2 villages one above the other,

    each of 2 comprehensive grids side by side, each of 2×2 micro-grids of one square. Overlays: precinct P1 over
    the western town, P2 over the eastern. Dedicated grid D01 in the middle of square (5, 2). A square's side is
    0.002°, about 200 m.
    """

    west, south, side = 112.0, 30.0, 0.002
    insert = staticmethod(insert)

    def at(self, column: float, row: float) -> tuple[float, float]:
        """Longitude and latitude of a place counted in squares; (0.5, 0.5) is the middle of the first."""
        return self.west + self.side * column, self.south + self.side * row

    def box(self, column: float, row: float, columns: float = 1, rows: float = 1) -> shapely.MultiPolygon:
        """A rectangle of squares whose corners and sides carry a vertex at every square's corner."""
        xs = [self.at(column + i, 0)[0] for i in range(math.ceil(columns))] + [
            self.at(column + columns, 0)[0]
        ]
        ys = [self.at(0, row + i)[1] for i in range(math.ceil(rows))] + [self.at(0, row + rows)[1]]
        ring = [(x, ys[0]) for x in xs] + [(xs[-1], y) for y in ys[1:]]
        ring += [(x, ys[-1]) for x in xs[-2::-1]] + [(xs[0], y) for y in ys[-2:0:-1]]
        return shapely.MultiPolygon([shapely.Polygon(ring)])

    def comprehensive(self, column: int, row: int) -> str:
        """Code of the comprehensive grid of a square."""
        return f"99012600{column // 4 + 1}00{row // 2 + 1}00{column % 4 // 2 + 1}"

    def micro(self, column: int, row: int) -> str:
        """Code of the micro-grid of a square."""
        return f"{self.comprehensive(column, row)}0{column % 2 + row % 2 * 2 + 1}"

    def area(self, kind: str, code: str, geom: shapely.MultiPolygon, **more: Any) -> AreaDraft:
        """An area whose name says kind and code."""
        return AreaDraft(kind=kind, code=code, geom=geom, **{"name": f"{kind} {code}", **more})

    def drafts(self) -> list[AreaDraft]:
        """Every area of the county, parents stated."""
        area, box = self.area, self.box
        drafts = [area("county", "990126", box(0, 0, 8, 4))]
        for t in (0, 1):
            town = f"99012600{t + 1}"
            drafts.append(area("town", town, box(4 * t, 0, 4, 4), parent="990126"))
            drafts.append(area("precinct", f"990126P{t + 1}", box(4 * t, 0, 4, 4), parent="990126"))
            for v in (0, 1):
                village = f"{town}00{v + 1}"
                drafts.append(area("village", village, box(4 * t, 2 * v, 4, 2), parent=town))
                for c in (0, 1):
                    column, row = 4 * t + 2 * c, 2 * v
                    grid = self.comprehensive(column, row)
                    drafts.append(area("comprehensive", grid, box(column, row, 2, 2), parent=village))
                    for m in range(4):
                        x, y = column + m % 2, row + m // 2
                        drafts.append(area("micro", self.micro(x, y), box(x, y), parent=grid))
        market = shapely.MultiPolygon([shapely.box(*self.at(5.1, 2.1), *self.at(5.9, 2.9))])
        drafts.append(area("dedicated", "990126D01", market, parent="990126002002"))
        return drafts

    def people(self, session: Writer) -> None:
        """A full-time worker (3 in hand at most) for each comprehensive grid, a centre a town, a station a precinct."""
        codes = session.execute(
            sa.text("SELECT kind, code FROM area WHERE edition_to IS NULL ORDER BY code")
        ).all()
        units = {"town": "centre", "precinct": "police_station"}
        for kind, code in codes:
            if kind == "comprehensive":
                worker = insert(
                    session, "worker", code=f"w{code}", name=f"专{code}", role="worker_full_time", capacity=3
                )
                insert(session, "service_area", worker=worker, area=code)
            elif kind in units:
                unit = insert(session, "unit", code=f"u{code}", name=f"单位{code}", kind=units[kind])
                insert(session, "service_area", unit=unit, area=code)

    def event(self, column: float | None = 0.5, row: float | None = 0.5, **changes: Any) -> EventDraft:
        """An event at a place counted in squares; without a place where `column` is None."""
        lon, lat = (None, None) if column is None or row is None else self.at(column, row)
        draft = EventDraft(
            source="12345",
            external_id=str(next(_numbers)),
            category="appeal",
            occurred_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            title="路灯不亮",
            x=lon,
            y=lat,
            crs=None if lon is None else "wgs84",
            lon=lon,
            lat=lat,
        )
        return replace(draft, **changes)


@dataclass(frozen=True)
class Desk:
    """A database and what a process keeps of it: takes events in as the service does."""

    database: Database
    memory: Memory
    seal: Seal
    settings: Settings

    def post(self, draft: EventDraft, scope: Scope | None = None, tries: int = 4) -> Outcome:
        """Stores one event; comes again where boundaries were stale."""
        post = Post(draft, "test", scope or Scope(None))
        for _ in range(tries):
            (result,) = store_few(self.database, self.memory, self.seal, [post], self.settings.tolerance_m)
            if isinstance(result, Outcome):
                return result
            if not isinstance(result, StaleBoundaries):
                raise result
            self.memory.refresh_boundaries()
        raise StaleBoundaries

    def post_many(self, drafts: Sequence[EventDraft], tries: int = 4) -> list[Outcome | GridmapError]:
        """Stores a block in a transaction of its own, likewise."""
        for _ in range(tries):
            try:
                with self.database.writer() as session:
                    return store_many(
                        session,
                        self.memory,
                        self.seal,
                        drafts,
                        actor="test",
                        scope=Scope(None),
                        tolerance_m=self.settings.tolerance_m,
                    )
            except StaleBoundaries:
                self.memory.refresh_boundaries()
        raise StaleBoundaries

    def load(self, *drafts: AreaDraft, **more: Any) -> ImportResult:
        """Loads areas in a transaction of its own and renews the memory."""
        with self.database.writer() as session:
            result = import_areas(session, drafts, actor="test", settings=self.settings, **more)
        self.memory.refresh()
        return result

    def rows(self, statement: str, **binds: Any) -> Sequence[sa.Row[Any]]:
        """What the database answers."""
        with self.database.reader() as session:
            return session.execute(sa.text(statement), binds).all()

    def one(self, statement: str, **binds: Any) -> Any:
        """Its one row, or its one value."""
        (row,) = self.rows(statement, **binds)
        return row[0] if len(row) == 1 else row

    def do(self, statement: str, **binds: Any) -> None:
        """A change, committed."""
        with self.database.writer() as session:
            session.execute(sa.text(statement), binds)


@pytest.fixture(scope="session")
def county() -> County:
    return County()


@pytest.fixture(scope="session")
def county_template(template: str, copied: Copied, county: County) -> Iterator[str]:
    """Name of a database with the county and its people, to be copied."""
    with copied(template) as url:
        database = Database(url, pool_size=1)
        with database.writer() as session:
            settings = Settings(home=".", time_zone=ZONE)  # type: ignore[arg-type]  # nothing is kept there
            import_areas(session, county.drafts(), actor="test", settings=settings)
            county.people(session)
        database.close()
        yield str(sa.make_url(url).database)


def _desk(url: str, settings: Settings) -> Iterator[Desk]:
    database = Database(url, pool_size=4)
    memory = Memory(database, settings.time_zone)
    memory.refresh()
    yield Desk(database, memory, Seal("a secret"), settings)
    database.close()


@pytest.fixture
def desk(county_template: str, copied: Copied, settings: Settings) -> Iterator[Desk]:
    """A desk on a county of its own."""
    with copied(county_template) as url:
        yield from _desk(url, settings)


@pytest.fixture(scope="module")
def shared_desk(county_template: str, copied: Copied) -> Iterator[Desk]:
    """A desk on a county for a whole module: for tests that leave it as it was."""
    settings = Settings(home=".", time_zone=ZONE)  # type: ignore[arg-type]  # nothing is kept there
    with copied(county_template) as url:
        yield from _desk(url, settings)


@pytest.fixture
def empty_desk(fresh_url: str, settings: Settings) -> Iterator[Desk]:
    """A desk on a database without areas."""
    yield from _desk(fresh_url, settings)
