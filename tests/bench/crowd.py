"""A served village of 300 grids and 20,000 buildings that lie in one view of the planning desk."""

import contextlib
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
import sqlalchemy as sa
from playwright.sync_api import BrowserContext

from api.app import create_app
from gridmap import accounts, db
from gridmap.areas import AreaDraft, import_areas
from gridmap.buildings import count_households
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.api.provider import serving
from tests.bench.furnished import unhurried

COLUMNS, ROWS, BUILDINGS = 20, 15, 20_000
SCOPE = "990126001001"
WEST, SOUTH, SIDE = 112.0, 30.0, 0.00083  # degrees: all of it fits at zoom 15, from which buildings are drawn
BENDS = 10  # vertices on a grid's side: a real border has a dozen on all four
PASSWORD = "a long enough password"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _nodes() -> np.ndarray:
    """Places of all vertices, (columns × bends + 1) × (rows × bends + 1) × 2: a lattice, shaken a little."""
    chance = np.random.default_rng(1)
    x, y = np.meshgrid(np.arange(COLUMNS * BENDS + 1), np.arange(ROWS * BENDS + 1), indexing="ij")
    shaken = np.stack([x, y], axis=-1) / BENDS + chance.uniform(-0.02, 0.02, (*x.shape, 2))
    return np.round(np.array([WEST, SOUTH]) + shaken * SIDE, 9)


def _block(nodes: np.ndarray, column: int, row: int, columns: int, rows: int) -> shapely.MultiPolygon:
    x0, x1, y0, y1 = (BENDS * each for each in (column, column + columns, row, row + rows))
    ring = np.concatenate(
        [nodes[x0:x1, y0], nodes[x1, y0:y1], nodes[x1:x0:-1, y1], nodes[x0, y1:y0:-1]],
    )
    return shapely.MultiPolygon([shapely.Polygon(ring)])


def areas() -> list[AreaDraft]:
    """A county of one village, whose comprehensive grids have five micro-grids each."""
    nodes = _nodes()
    whole = _block(nodes, 0, 0, COLUMNS, ROWS)
    found = [
        AreaDraft(kind="county", code="990126", name="云江县", geom=whole),
        AreaDraft(kind="town", code="990126001", name="新河镇", parent="990126", geom=whole),
        AreaDraft(kind="village", code=SCOPE, name="大社区", parent="990126001", geom=whole),
    ]
    corners = [(column, row) for column in range(COLUMNS) for row in range(0, ROWS, 5)]
    for number, (column, row) in enumerate(corners, 1):
        grid = f"{SCOPE}{number:03}"
        found.append(
            AreaDraft(
                kind="comprehensive", code=grid, name=f"第{number}网格", parent=SCOPE, setting="urban",
                geom=_block(nodes, column, row, 1, 5),
            )
        )  # fmt: skip
        found += [
            AreaDraft(
                kind="micro", code=f"{grid}{j + 1:02}", name=f"{j + 1}", parent=grid,
                setting="urban", geom=_block(nodes, column, row + j, 1, 1),
            )
            for j in range(5)
        ]  # fmt: skip
    return found


_HOUSES = """
INSERT INTO building (code, households, geom, place, leaf, owner, paths)
SELECT 'b' || k, 1, ST_MakeEnvelope(x - :w, y - :h, x + :w, y + :h, 4326), place, a.code, a.code, ARRAY[a.path]
FROM (SELECT k, x, y, ST_SetSRID(ST_MakePoint(x, y), 4326) AS place
      FROM unnest(CAST(:x AS float8[]), CAST(:y AS float8[])) WITH ORDINALITY AS t (x, y, k)) t
JOIN area a ON a.kind = 'micro' AND ST_Contains(a.geom, place)
"""
_STREETS = """
INSERT INTO street (name, class, geom)
SELECT '路' || k, 'street', ST_Multi(ST_SetSRID(ST_MakeLine(ST_MakePoint(x0, y0), ST_MakePoint(x1, y1)), 4326))
FROM unnest(CAST(:x0 AS float8[]), CAST(:y0 AS float8[]), CAST(:x1 AS float8[]), CAST(:y1 AS float8[]))
     WITH ORDINALITY AS t (x0, y0, x1, y1, k)
"""


def _furnish(database: Database, settings: Settings) -> int:
    """Fills an empty database; number of buildings."""
    across = round((BUILDINGS * COLUMNS / ROWS) ** 0.5) + 1
    up = BUILDINGS // across + 2
    x, y = np.meshgrid((np.arange(across) + 0.5) / across, (np.arange(up) + 0.5) / up)
    east, north = COLUMNS * SIDE, ROWS * SIDE
    columns, rows = WEST + SIDE * np.arange(COLUMNS + 1), SOUTH + SIDE * np.arange(ROWS + 1)
    streets = {
        "x0": [*columns, *[WEST] * len(rows)], "y0": [*[SOUTH] * len(columns), *rows],
        "x1": [*columns, *[WEST + east] * len(rows)], "y1": [*[SOUTH + north] * len(columns), *rows],
    }  # fmt: skip
    with database.writer() as session:
        import_areas(session, areas(), actor="bench", settings=settings)
        places = {"x": (WEST + east * x).ravel().tolist(), "y": (SOUTH + north * y).ravel().tolist()}
        session.execute(sa.text(_HOUSES), {**places, "w": east / across * 0.28, "h": north / up * 0.28})
        session.execute(sa.text(_STREETS), {name: list(map(float, each)) for name, each in streets.items()})
        count_households(session)
        accounts.add_account(session, "planner", [("planner", "*")], password=PASSWORD, display_name="规划员")
        return int(session.execute(sa.text("SELECT count(*) FROM building")).scalar_one())


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The service in a thread, on a database that goes with it."""
    with Cluster.temporary(durable=False) as cluster, tempfile.TemporaryDirectory() as home:
        url = cluster.status().url
        assert url is not None
        db.upgrade(url)
        settings = unhurried(Settings(home=Path(home), secret_key="a secret for a benchmark only"))
        database = Database(url, pool_size=2)
        found = _furnish(database, settings)
        database.close()
        assert found >= BUILDINGS, found
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with serving(create_app(settings, url), listening):
                yield address


def sign_in(context: BrowserContext, url: str) -> None:
    """As the planner."""
    form = context.request.get(f"{url}/login").text()
    csrf = re.search(r'name="csrf" value="([^"]+)"', form)
    assert csrf is not None
    fields = {"csrf": csrf.group(1), "username": "planner", "password": PASSWORD, "next": "/healthz"}
    assert context.request.post(f"{url}/login", form=fields).ok
