"""A served application on a small invented county: squares, with people, buildings and accounts."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api.app import create_app
from api.guard import Guard
from api.service import Service
from api.tokens import Tokens, secret_key
from gridmap import accounts
from gridmap.areas import AreaDraft, import_areas
from gridmap.db import Database, Writer
from gridmap.embedded import Cluster
from gridmap.households import count_households
from gridmap.settings import Settings
from tests.conftest import Copied

WEST, SOUTH = 112.0, 30.0
SIDE = 0.002  # degrees of a micro-grid, about 200 m
PASSWORD = "a long enough password"


def box(column: int, row: int, columns: int, rows: int) -> shapely.MultiPolygon:
    """A rectangle of micro-grid squares; every corner of a square on its ring is a vertex of it."""
    xs = [WEST + SIDE * i for i in range(column, column + columns + 1)]
    ys = [SOUTH + SIDE * i for i in range(row, row + rows + 1)]
    ring = [(x, ys[0]) for x in xs] + [(xs[-1], y) for y in ys[1:]]
    ring += [(x, ys[-1]) for x in xs[-2::-1]] + [(xs[0], y) for y in ys[-2:0:-1]]
    return shapely.MultiPolygon([shapely.Polygon(ring)])


def county() -> list[AreaDraft]:
    """County 990126 of 2 towns side by side, each of 2 villages, each of 2 comprehensive grids of 2×2 micro-grids.

    The county is 8 squares wide and 4 high. Village (town t, village v) takes columns 4t..4t+3, rows 2v..2v+1.
    """
    drafts = [AreaDraft(kind="county", code="990126", name="云江县", geom=box(0, 0, 8, 4), parent=None)]
    for t in range(2):
        town = f"99012600{t + 1}"
        drafts.append(
            AreaDraft(kind="town", code=town, name=f"第{t + 1}镇", parent="990126", geom=box(4 * t, 0, 4, 4))
        )
        for v in range(2):
            village = f"{town}00{v + 1}"
            drafts.append(
                AreaDraft(
                    kind="village",
                    code=village,
                    name=f"村{t + 1}{v + 1}",
                    parent=town,
                    geom=box(4 * t, 2 * v, 4, 2),
                )
            )
            for c in range(2):
                grid = f"{village}00{c + 1}"
                column, row = 4 * t + 2 * c, 2 * v
                drafts.append(
                    AreaDraft(
                        kind="comprehensive",
                        code=grid,
                        name=f"第{c + 1}网格",
                        parent=village,
                        geom=box(column, row, 2, 2),
                        setting="urban",
                    )
                )
                drafts += [
                    AreaDraft(
                        kind="micro",
                        code=f"{grid}0{m + 1}",
                        name=f"{c + 1:02}-{m + 1:02} 微网格",
                        parent=grid,
                        geom=box(column + m % 2, row + m // 2, 1, 1),
                        setting="urban",
                    )
                    for m in range(4)
                ]
    drafts.append(
        AreaDraft(
            kind="precinct", code="990126P1", name="西派出所辖区", parent="990126", geom=box(0, 0, 4, 4)
        )
    )
    drafts.append(
        AreaDraft(
            kind="precinct", code="990126P2", name="东派出所辖区", parent="990126", geom=box(4, 0, 4, 4)
        )
    )
    market = shapely.MultiPolygon([shapely.box(WEST + 0.0102, SOUTH + 0.0042, WEST + 0.0118, SOUTH + 0.0058)])
    drafts.append(
        AreaDraft(
            kind="dedicated",
            code="990126D01",
            name="东市场",
            parent="990126002001",
            geom=market,
            setting="dedicated",
        )
    )
    return drafts


def in_a_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end in a thread of its own: a browser's loop may be running in this one."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, coroutine).result()


def middle(column: int, row: int) -> tuple[float, float]:
    """The middle of a micro-grid square."""
    return WEST + SIDE * (column + 0.5), SOUTH + SIDE * (row + 0.5)


def people(session: Writer) -> None:
    """A full-time worker for each comprehensive grid, a mediator a village, a centre a town, a station a precinct."""

    def insert(table: str, **values: Any) -> int:
        names, binds = ", ".join(values), ", ".join(f":{name}" for name in values)
        return int(
            session.execute(
                sa.text(f"INSERT INTO {table} ({names}) VALUES ({binds}) RETURNING id"), values
            ).scalar_one()
        )

    for area in (
        session.execute(sa.text("SELECT code FROM area WHERE kind = 'comprehensive' ORDER BY code"))
        .scalars()
        .all()
    ):
        worker = insert("worker", code=f"w{area}", name=f"专{area[-7:]}", role="worker_full_time", capacity=3)
        insert("service_area", worker=worker, area=area)
    for area in (
        session.execute(sa.text("SELECT code FROM area WHERE kind = 'village' ORDER BY code")).scalars().all()
    ):
        worker = insert("worker", code=f"m{area}", name=f"调{area[-4:]}", role="mediator", capacity=5)
        insert("service_area", worker=worker, area=area)
    for kind, unit_kind, name in (("town", "centre", "综治中心"), ("precinct", "police_station", "派出所")):
        for area in (
            session.execute(sa.text("SELECT code FROM area WHERE kind = :kind ORDER BY code"), {"kind": kind})
            .scalars()
            .all()
        ):
            unit = insert("unit", code=f"u{area}", name=f"{name}{area[-2:]}", kind=unit_kind)
            insert("service_area", unit=unit, area=area)


def buildings(session: Writer) -> None:
    """One building of 60 + n households in the middle of each micro-grid but the last."""
    session.execute(
        sa.text(
            "INSERT INTO building (code, households, geom, place, leaf, owner, paths)"
            " SELECT 'b' || code, 59 + row_number() OVER (ORDER BY code), ST_Centroid(geom), ST_Centroid(geom),"
            " code, code, ARRAY[path] FROM area WHERE kind = 'micro' ORDER BY code LIMIT 31"
        )
    )
    count_households(session)


@dataclass(frozen=True)
class App:
    """The application under test."""

    client: TestClient
    service: Service
    settings: Settings
    url: str
    database: Database  # as its owner, whom no policy keeps from looking

    def token(self, name: str) -> str:
        with self.database.reader() as session:
            number, version = accounts.account_number(session, name)
        return Tokens(secret_key(self.settings)).issue(number, version)

    def as_(self, name: str) -> "Caller":
        return Caller(self.client, {"Authorization": f"Bearer {self.token(name)}"})


@dataclass(frozen=True)
class Caller:
    """A client signed in as somebody."""

    client: TestClient
    headers: dict[str, str]

    def get(self, path: str, **kw: Any) -> Any:
        return self.client.get(path, headers={**self.headers, **kw.pop("headers", {})}, **kw)

    def post(self, path: str, **kw: Any) -> Any:
        return self.client.post(path, headers={**self.headers, **kw.pop("headers", {})}, **kw)


ACCOUNTS = (
    ("admin", "admin", "*"),
    ("dispatcher", "dispatcher", "*"),
    ("commander", "commander", "*"),
    ("planner", "planner", "*"),
    ("west", "dispatcher", "990126001"),
    ("east", "dispatcher", "990126002"),
    ("village", "commander", "990126001001"),
    ("station", "dispatcher", "990126P1"),
    ("hotline", "source", "*"),
)


def furnish(url: str, settings: Settings) -> None:
    """Loads the county, its people, buildings and accounts."""
    database = Database(url, pool_size=2)
    with database.writer() as session:
        import_areas(session, county(), actor="test", settings=settings)
        people(session)
        buildings(session)
        for name, role, area in ACCOUNTS:
            # argon2 is slow on purpose: one account signs in by password, the others by token
            accounts.add_account(
                session, name, [(role, area)], password=PASSWORD if name == "admin" else None
            )
    database.close()


@pytest.fixture(scope="session")
def furnished(template: str, copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a furnished database, to be copied: a tenth of the time of furnishing each."""
    with copied(template) as url:
        furnish(url, Settings(home=tmp_path_factory.mktemp("home")))
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="module")
def module_url(furnished: str, copied: Copied) -> Iterator[str]:
    """A furnished database for one module."""
    with copied(furnished) as url:
        yield url


@pytest.fixture
def own_url(furnished: str, copied: Copied) -> Iterator[str]:
    """A furnished database for one test."""
    with copied(furnished) as url:
        yield url


@pytest.fixture(scope="module")
def module_app(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The application on a database of its own, for a module."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), secret_key="a secret for tests only")
    yield from serve(module_url, settings)


@pytest.fixture(scope="module", name="county")
def staffed_county(module_app: App) -> App:
    """The module's application with planners and approvers."""
    from tests.api.planning import staffed  # which builds upon this file

    return staffed(module_app)


@pytest.fixture
def wp(county: App) -> Caller:
    """A planner of the western town."""
    return county.as_("wp")


def _empty(connection: psycopg.Connection) -> None:
    """Empties what holds events; the service's own threads read it meanwhile, in an order of theirs."""
    for _ in range(9):
        try:
            connection.execute(
                "TRUNCATE event, event_key, event_text, event_attachment, event_history, change_log"
            )
        except psycopg.errors.DeadlockDetected:
            continue
        return
    pytest.fail("the service reads events all the time")


@pytest.fixture
def app(module_app: App, cluster: Cluster) -> App:
    """The module's application without any events."""
    name = sa.make_url(module_app.url).database
    with psycopg.connect(cluster.admin_url(str(name)), autocommit=True) as connection:
        # history refuses to be emptied; only a superuser may pass by its trigger
        connection.execute("SET session_replication_role = replica")
        _empty(connection)
    module_app.client.cookies.clear()
    return module_app


@pytest.fixture
def own_app(own_url: str, settings: Settings) -> Iterator[App]:
    """The application on a database of its own, for a test that changes more than events."""
    yield from serve(own_url, settings)


@pytest.fixture
def another(own_app: App) -> Iterator[App]:
    """A second process's worth of the service on the same database."""
    yield from serve(own_app.url, own_app.settings)


@pytest.fixture
def layouts() -> tuple[list[AreaDraft], list[AreaDraft]]:
    """The county's first two micro-grids as they are, and with their common border half a square to the west."""
    first, second = "99012600100100101", "99012600100100102"
    as_it_is = [draft for draft in county() if draft.code in {first, second}]
    parts = shapely.multipolygons([[shapely.box(WEST, SOUTH, WEST + SIDE / 2, SOUTH + SIDE)],
                                   [shapely.box(WEST + SIDE / 2, SOUTH, WEST + 2 * SIDE, SOUTH + SIDE)]])  # fmt: skip
    return as_it_is, [replace(draft, geom=geom) for draft, geom in zip(as_it_is, parts, strict=True)]


def serve(url: str, settings: Settings) -> Iterator[App]:
    """Runs the application in this process."""
    asgi = create_app(settings, url)
    assert isinstance(asgi, Guard)
    with TestClient(asgi, base_url="http://127.0.0.1", raise_server_exceptions=True) as client:
        database = Database(url, pool_size=2)
        try:
            yield App(client, asgi._service, settings, url, database)
        finally:
            database.close()


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """Makes the body of an event."""

    def make(column: int = 0, row: int = 0, **changes: Any) -> dict[str, Any]:
        lon, lat = middle(column, row)
        body = {
            "source": "12345",
            "external_id": "1",
            "category": "dispute",
            "occurred_at": "2026-08-24T13:51:00+08:00",
            "lon": lon,
            "lat": lat,
            "title": "楼上装修噪声引发口角",
        }
        return {key: value for key, value in {**body, **changes}.items() if value is not None}

    return make
