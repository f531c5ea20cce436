"""The command line on a database of its own, and a small county in files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
import sqlalchemy as sa
from click.testing import CliRunner, Result

from api.cli import main
from gridmap.db import Database
from tests.conftest import Copied


@dataclass(frozen=True)
class Line:
    """Runs commands and looks at what they left."""

    database: Database
    environment: dict[str, str]

    def __call__(self, *words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words], env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.database.reader() as session:
            return [tuple(row) for row in session.execute(sa.text(sql), values)]

    def one(self, sql: str, **values: Any) -> Any:
        return self.rows(sql, **values)[0][0]


def line(url: str, folder: Path) -> Iterator[Line]:
    """The command line with a home in a folder."""
    database = Database(url, pool_size=2)
    environment = {
        "GRIDMAP_DATABASE_URL": url,
        "GRIDMAP_HOME": str(folder / "home"),
        "GRIDMAP_SECRET_KEY": "a secret for tests only",
        "GRIDMAP_TIME_ZONE": "Asia/Shanghai",
    }
    yield Line(database, environment)
    database.close()


@pytest.fixture
def gridmap(fresh_url: str, tmp_path: Path) -> Iterator[Line]:
    yield from line(fresh_url, tmp_path)


# A county of two villages, each of two micro-grids; a market in the last.
AREAS = [
    ("990126", "county", "云江县", None, (112.00, 30.00, 112.04, 30.01)),
    ("990126001001", "village", "东村", "990126", (112.00, 30.00, 112.02, 30.01)),
    ("990126001002", "village", "西村", "990126", (112.02, 30.00, 112.04, 30.01)),
    ("99012600100100101", "micro", "东一", "990126001001", (112.00, 30.00, 112.01, 30.01)),
    ("99012600100100102", "micro", "东二", "990126001001", (112.01, 30.00, 112.02, 30.01)),
    ("99012600100200101", "micro", "西一", "990126001002", (112.02, 30.00, 112.03, 30.01)),
    ("99012600100200102", "micro", "西二", "990126001002", (112.03, 30.00, 112.04, 30.01)),
    ("990126D01", "dedicated", "市场", "990126001002", (112.035, 30.00, 112.04, 30.005)),
]


def county_frame() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "code": [area[0] for area in AREAS],
            "kind": [area[1] for area in AREAS],
            "name": [area[2] for area in AREAS],
            "parent": [area[3] for area in AREAS],
        },
        geometry=[shapely.box(*area[4]) for area in AREAS],
        crs=4490,
    )


@pytest.fixture
def frame() -> gpd.GeoDataFrame:
    return county_frame()


@pytest.fixture(scope="session")
def loaded(template: str, copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database with the county loaded, to be copied."""
    folder = tmp_path_factory.mktemp("loaded")
    county_frame().to_file(folder / "county.gpkg")
    with copied(template) as url:
        for gridmap in line(url, folder):
            gridmap("load", "areas", folder / "county.gpkg", "--commit")
        yield str(sa.make_url(url).database)


@pytest.fixture
def county(loaded: str, copied: Copied, tmp_path: Path) -> Iterator[Line]:
    """The command line with the county loaded."""
    with copied(loaded) as url:
        yield from line(url, tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV of lines."""

    def write(*lines: str, name: str = "f.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return write


@pytest.fixture
def findings(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Findings of the report `r.json`."""

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((tmp_path / "r.json").read_text("utf-8"))["findings"]
        return found

    return read
