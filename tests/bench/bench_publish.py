"""Publishing a redraw of two grids, beside placing the whole county anew, with intake going on.

python tests/bench/bench_publish.py            # the full county: 7,000 grids, 1,000,000 events
python tests/bench/bench_publish.py --town     # the demonstration town, for trying

The two grids change places: each has the other's polygon afterwards, so that everything in them moves and the coverage
stays what it was. First with nothing beside, which is what placing the whole county anew has too; then with clients
that post into the two, thousands of events by the end.
"""

import datetime as dt
import http.client
import json
import random
import statistics
import sys
import threading
import time
import uuid
from typing import Self

import served as service
from served import Served

from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.memory import Memory
from gridmap.publishing import Change, publish
from gridmap.settings import Settings
from gridmap.sight import EVERYTHING
from gridmap.snapshot import Snapshot

TIMES = 6
CLIENTS = 4
AT_MOST = 1 / 200
LONGEST_S = 1.0
PAUSE_S = 2.0  # between publications: no county has one on the heels of the other


class Posting:
    """Clients that post into the two grids, one event after the other, and how long each answer took."""

    def __init__(self, served: Served, token: str, box: list[float], clients: int) -> None:
        self._served, self._token, self._box = served, token, box
        self._stopping = threading.Event()
        self.spent: list[float] = []
        self.refused = 0
        self._threads = [threading.Thread(target=self._post) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _post(self) -> None:
        rng = random.Random(time.time_ns())
        connection = http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=60)
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        west, south, east, north = self._box
        while not self._stopping.is_set():
            body = {
                "source": "bench",
                "external_id": str(uuid.UUID(int=rng.getrandbits(128))),
                "category": "appeal",
                "occurred_at": dt.datetime.now(dt.UTC).isoformat(),
                "lon": rng.uniform(west, east),
                "lat": rng.uniform(south, north),
                "title": "x",
            }
            began = time.perf_counter()
            connection.request("POST", "/api/events", json.dumps(body), head)
            answer = connection.getresponse()
            answer.read()
            self.spent.append(time.perf_counter() - began)
            self.refused += answer.status != 201
            self._stopping.wait(0.02)  # some 150 a second: a busy county's worst hour, not a flood


def neighbours(snapshot: Snapshot) -> tuple[str, str]:
    """Two micro-grids of one parent."""
    rows = snapshot.rows_of("micro")
    one = rows[len(rows) // 2]
    other = next(row for row in snapshot.children(snapshot.parent[one]) if row != one)
    return snapshot.code[one], snapshot.code[other]


def exchanged(snapshot: Snapshot, one: str, other: str) -> list[Change]:
    return [
        Change(
            code=code,
            geom=snapshot.geom[snapshot.row[of]],
            kind=snapshot.kind[row],
            name=snapshot.name[row],
            setting=snapshot.setting[row],
            parent=snapshot.parent[row],
        )
        for code, of in ((one, other), (other, one))
        for row in (snapshot.row[code],)
    ]


def seen(served: Served, token: str, edition: int) -> float:
    """Seconds until the service answers by an edition."""
    began = time.perf_counter()
    while True:
        _, body = served.get("/api/editions", token)
        if json.loads(body)["current"] == edition:
            return time.perf_counter() - began
        time.sleep(0.005)


def publications(served: Served, database: Database, settings: Settings, clients: int) -> list[float]:
    """Seconds that each took, beside so many clients that post; and says what became of their posts."""
    token = served.token("admin")
    memory = Memory(database, settings.time_zone)
    memory.refresh_boundaries()
    pair = neighbours(memory.snapshot)
    box = memory.snapshot.bounds[[memory.snapshot.row[code] for code in pair]]
    spent, arrived, moved = [], [], 0
    around = [*box[:, :2].min(axis=0), *box[:, 2:].max(axis=0)]
    with Posting(served, token, around, clients) as posting:
        for _ in range(TIMES):
            snapshot = memory.snapshot
            changes = exchanged(snapshot, *pair)
            time.sleep(PAUSE_S)
            began = time.perf_counter()
            with database.writer(EVERYTHING) as session:
                made = publish(session, snapshot.edition, changes, actor="bench", settings=settings)
            spent.append(time.perf_counter() - began)
            arrived.append(seen(served, token, made.edition))
            moved += made.events_moved
            memory.refresh_boundaries()
    print(
        f"publishing two of {len(memory.snapshot):,} areas, {TIMES} times, {clients} clients posting: median"
        f" {statistics.median(spent) * 1e3:.0f} ms, longest {max(spent) * 1e3:.0f} ms; {moved} events moved"
    )
    print(
        f"  served by it, at the latest after {max(arrived):.2f} s, limit 1 s: {verdict(max(arrived) <= 1)}"
    )
    took = sorted(posting.spent)
    if took:
        print(f"  {len(took):,} posts meanwhile: median {statistics.median(took) * 1e3:.0f} ms, longest"
              f" {took[-1] * 1e3:.0f} ms, limit {LONGEST_S:.0f} s: {verdict(took[-1] <= LONGEST_S)};"
              f" not stored: {posting.refused}")  # fmt: skip
    return spent


def verdict(good: bool) -> str:
    return "met" if good else "NOT met"


def measure(served: Served) -> None:
    settings = Settings(home=served.home)
    database = Database(Cluster(served.home).status().url, pool_size=2, restricted=True)
    try:
        # Beside the same as what it is compared with: nothing. What posts feel of it is shown by itself.
        spent = statistics.median(publications(served, database, settings, 0))
        publications(served, database, settings, CLIENTS)
    finally:
        database.close()
    began = time.perf_counter()
    said = served.run("reassign", "--closed").splitlines()[0]
    whole = time.perf_counter() - began
    print(f"placing the whole county anew: {whole:.1f} s ({said})")
    print(f"  ratio 1/{whole / spent:,.0f}, limit 1/200: {verdict(spent <= AT_MOST * whole)}")


if __name__ == "__main__":
    with service.demonstration("town" if "--town" in sys.argv else "full") as city:
        measure(city)
