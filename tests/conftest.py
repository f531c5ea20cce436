"""A private PostGIS for the tests, made by the migrations; copies of it where tests write."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from gridmap import db
from gridmap.db import Database, Reader, Writer
from gridmap.embedded import Cluster
from gridmap.settings import Settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_numbers = itertools.count(1)
# Modules that take longest, begun first: one of them begun last leaves the other processes idle for minutes.
LONG = (
    "api/test_nothing_lost", "api/test_operation", "api/loading/test_real_data", "browser/test_command_map",
    "browser/test_plan", "browser/test_plan_life", "api/test_cli_assign", "browser/test_admin", "api/test_schema",
    "gridmap/test_index_at_work", "gridmap/test_index_geos", "gridmap/test_backup", "api/test_permissions",
    "gridmap/embedded/test_embedded_trouble", "api/test_fuzz", "api/test_closed_categories", "gridmap/test_sight",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, in the order of `LONG`; the others stay as they are."""
    root = Path(__file__).parent
    order = {f"{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(root).as_posix(), len(LONG)))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A temporary cluster; without fsync, since a crash of the machine would end the tests too."""
    with Cluster.temporary(durable=False) as cluster:
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


def _copy(cluster: Cluster, template: str) -> str:
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER gridmap")
    return _url(cluster, name)


@pytest.fixture(scope="module")
def database_url(cluster: Cluster, template: str) -> str:
    """A fresh, migrated database for one module."""
    return _copy(cluster, template)


@pytest.fixture
def fresh_url(cluster: Cluster, template: str) -> str:
    """A fresh, migrated database for one test."""
    return _copy(cluster, template)


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
