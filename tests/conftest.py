"""A private PostGIS for the tests, made by the migrations; copies of it where tests write."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import hypothesis
import psycopg
import pytest
from argon2 import PasswordHasher

from gridmap import accounts, db
from gridmap.db import Database, Reader, Writer
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.quick_folder import quick_folder

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_numbers = itertools.count(1)
ROOM = 4 << 30  # bytes that the databases of the tests may need at once
Copied = Callable[[str], AbstractContextManager[str]]
# Modules that take longest, begun first: one of them begun last leaves the other processes idle for minutes.
LONG = (
    "api/test_nothing_lost", "browser/test_command_map", "browser/test_plan_life", "browser/test_admin",
    "gridmap/test_backup", "api/loading/test_real_data", "api/test_schema", "browser/test_plan", "api/test_permissions",
    "browser/test_oidc", "browser/test_plan_tools", "gridmap/test_index_at_work", "gridmap/test_index_geos",
    "api/test_operation", "gridmap/embedded/test_embedded_crash", "gridmap/embedded/test_embedded_trouble",
    "gridmap/test_migrations", "api/test_permissions_kept", "api/test_fuzz", "api/loading/test_load_others",
    "gridmap/test_index", "api/test_cli_assign", "gridmap/test_point_in_time", "gridmap/test_sight",
    "gridmap/embedded/test_embedded_places", "api/test_closed_categories", "gridmap/test_relocation",
    "api/test_plan_publication", "api/test_oidc", "api/test_users", "gridmap/demo/test_county", "api/test_reading",
    "browser/test_login", "api/test_oidc_away",
)  # fmt: skip


def pytest_configure() -> None:
    """How long a drawn example takes decides nothing: other work beside it is no fault."""
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, in the order of `LONG`; the others stay as they are."""
    root = Path(__file__).parent
    order = {f"{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def light_passwords() -> Iterator[None]:
    """Argon2 is slow on purpose, and who signs in here shows something else; `test_accounts` takes it as it is."""
    light = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "PasswordHasher", light)
        patch.setattr(accounts, "_NOBODY", light().hash("of nobody"))
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A temporary cluster; without fsync, since a crash of the machine would end the tests too."""
    with Cluster.temporary(durable=False, under=quick_folder(ROOM)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The database that all others are copies of: migrated, empty."""
    name = "gridmap"
    db.upgrade(_url(cluster, name))
    return name


def _url(cluster: Cluster, name: str) -> str:
    url = cluster.status().url
    assert url is not None
    return url.replace("/gridmap?", f"/{name}?")


@pytest.fixture(scope="session")
def copied(cluster: Cluster) -> Copied:
    """`with copied(name) as url`: a new database out of another one, which nobody may be using; dropped at the end.

    Hundreds of them would not fit into memory, and on a disk it takes a minute to remove them with the cluster.
    """
    # As files, which is the quickest in memory; on a disk, what writes them page by page.
    strategy = "FILE_COPY" if cluster.home.parent == quick_folder(0) else "WAL_LOG"

    @contextmanager
    def copy(name: str) -> Iterator[str]:
        new = f"t{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {new} TEMPLATE {name} STRATEGY {strategy} OWNER gridmap")
        yield _url(cluster, new)
        with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {new} WITH (FORCE)")

    return copy


@pytest.fixture(scope="module")
def database_url(template: str, copied: Copied) -> Iterator[str]:
    """A fresh, migrated database for one module."""
    with copied(template) as url:
        yield url


@pytest.fixture
def fresh_url(template: str, copied: Copied) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with copied(template) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=4)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    """A transaction that is rolled back."""
    with Writer(database.engine, autoflush=False) as session:
        yield session
        session.rollback()


@pytest.fixture
def reader(database: Database) -> Iterator[Reader]:
    with database.reader() as session:
        yield session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", secret_key="a secret for tests only", time_zone=ZoneInfo("Asia/Shanghai")
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is missing."""
    if not DATA.is_dir():
        pytest.skip("the folder of real data (../shared/data) is not here")
    return DATA
