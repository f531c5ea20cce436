"""An edit of a plan on a town of the demonstration city, from the request to the answer; and the check beside it.

    python tests/bench/bench_plans.py [--edits N]

In one process, through the whole application. Promised: state, check and numbers in 100 ms; of that an edit and its
answer take at most 40. Beside the time on the wall stands that of this process (client and server together, without
the database's), which other load on the machine does not stretch.
"""

import argparse
import contextlib
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa

from gridmap import accounts, db, demo
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.api.conftest import App, Caller, serve
from tests.bench.furnished import unhurried

WITHIN_MS = 40.0


@contextlib.contextmanager
def city() -> Iterator[App]:
    with Cluster.temporary(durable=True) as cluster, tempfile.TemporaryDirectory() as home:
        url = cluster.status().url
        assert url is not None
        db.upgrade(url)
        settings = unhurried(Settings(home=Path(home), secret_key="a secret for a benchmark only"))
        database = Database(url, pool_size=2)
        with database.writer() as session:
            built = demo.build(replace(demo.TOWN, events=1000), now=dt.datetime.now(dt.UTC))
            demo.store(session, built)
        with database.writer() as session:
            accounts.add_account(session, "bench", [("planner", "*")])
        database.vacuum("building", "area", "street")
        database.close()
        with contextlib.contextmanager(serve)(url, settings) as app:
            yield app


def middle_line(feature: dict[str, Any], east: bool) -> dict[str, Any]:
    """A line through the middle of an area."""
    west, south, east_, north = shapely.bounds(shapely.geometry.shape(feature["geometry"])).tolist()
    if east:
        y = (south + north) / 2
        return {"type": "LineString", "coordinates": [[west - 1e-4, y], [east_ + 1e-4, y]]}
    x = (west + east_) / 2
    return {"type": "LineString", "coordinates": [[x, south - 1e-4], [x, north + 1e-4]]}


class Timed:
    """Times of requests by name, in milliseconds."""

    def __init__(self) -> None:
        self.spent: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, name: str, ask: Callable[[], Any]) -> Any:
        began, worked = time.perf_counter(), time.process_time()
        answer = ask()
        spent = (time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000
        if answer.status_code == 200:
            self.spent.setdefault(name, []).append(spent)
        return answer

    def say(self) -> None:
        for name, both in self.spent.items():
            wall, own = ([each[at] for each in both] for at in (0, 1))
            print(
                f"{name:22} {len(both):4} times   wall: median {statistics.median(wall):6.1f} ms,"
                f" 95 % {np.quantile(wall, 0.95):6.1f} ms   process: median {statistics.median(own):5.1f} ms"
            )


def work(planner: Caller, town: str, edits: int) -> Timed:
    """Splits, undone every third time, with the plan as a whole and with what changed alone."""
    timed = Timed()
    plan = planner.post("/api/plans", json={"name": "bench", "scope": town}).json()
    path = f"/api/plans/{plan['id']}"
    micro = [each for each in plan["areas"]["features"] if each["properties"]["kind"] == "micro"]
    households = sum(each["properties"]["households"] for each in micro)
    print(
        f"{town}: {len(plan['areas']['features'])} areas, {len(micro)} micro-grids, {households} households"
    )
    for number in range(edits):
        grid = micro[number % len(micro)]
        body = {
            "revision": plan["revision"],
            "op": "split",
            "grid": grid["properties"]["code"],
            "line": middle_line(grid, number % 2 == 0),
        }
        which = ("true", "changed")[number % 2]
        answer = timed(f"edit, areas={which}", lambda: planner.post(f"{path}/edits?areas={which}", json=body))  # noqa: B023  # done at once
        if answer.status_code != 200:
            continue
        plan = answer.json()
        if number % 3 == 0:
            body = {"revision": plan["revision"]}
            plan = timed("undo", lambda: planner.post(f"{path}/undo?areas=changed", json=body)).json()  # noqa: B023  # the same
        if number % 5 == 0:
            timed("check", lambda: planner.get(f"{path}/check"))
            timed("get", lambda: planner.get(path))
    return timed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--edits", type=int, default=60)
    asked = options.parse_args()
    with city() as app:
        planner = app.as_("bench")
        with app.database.reader() as session:
            towns = session.execute(
                sa.text("SELECT a.code FROM area a WHERE kind = 'town' ORDER BY a.code")
            ).scalars()
            town = list(towns)[1]
            print(session.execute(sa.text("SELECT count(*) FROM building")).scalar_one(), "buildings in all")
        timed = work(planner, town, asked.edits)
        timed.say()
        own = statistics.median(each[1] for each in timed.spent["edit, areas=changed"])
        print(f"an edit takes {own:.1f} ms of the process, at most {WITHIN_MS:.0f} ms: {own <= WITHIN_MS}")


if __name__ == "__main__":
    main()
