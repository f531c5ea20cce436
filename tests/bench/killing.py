"""A small county in service, clients that post to it, and somebody who kills at random.

Shared by the test of the suite and the benchmark. What a client was told is written down as it is told; afterwards
that is compared with what the database holds.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridmap import db
from gridmap.cluster import home as cluster_home
from gridmap.cluster import process
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.api.conftest import furnish, middle
from tests.bench.reconciling import Balance, Told, reconcile
from tests.bench.served import GRIDMAP, free_port
from tests.quick_folder import quick_folder

KINDS = ("service", "server", "backends", "both")
PATIENCE_S = 40  # without a single new answer: then it did not come back by itself
BATCH = 20

# Imports what the service needs once, then forks a `gridmap up` for every line: importing takes two of the three
# seconds of a start, and forty starts shall fit into a minute. The number of the process comes back.
NURSERY = """
import os, sys
import numpy, uvicorn, api.app, api.cli_up, gridmap.snapshot
from api.cli import main
from gridmap.index import AreaIndex
from tests.api.conftest import county
areas = county()
index = AreaIndex.from_arrays([a.geom for a in areas], [a.code for a in areas], [a.kind for a in areas],
                              [a.code for a in areas])
index.locate(numpy.array([112.001]), numpy.array([30.001]))
index.locate_one(112.001, 30.001)
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    os.setsid()
    os.dup2(2, 1)
    main(line.split())
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Service:
    """`gridmap up` on a home of its own, to be killed and started again.

    Args:
        home: furnished.
        quick: fork it from a process that has imported everything already.
    """

    def __init__(self, home: Path, *, quick: bool) -> None:
        self.home, self.port, self._quick = home, free_port(), quick
        self._log = (home.parent / "service.log").open("ab")
        self._env = {**os.environ, "GRIDMAP_HOME": str(home)}
        self._env.pop("GRIDMAP_DATABASE_URL", None)
        self._nursery = self._popen([sys.executable, "-c", NURSERY]) if quick else None
        self._process: subprocess.Popen | None = None
        self.pid = 0
        self.starts = 0

    def _popen(self, argv: Sequence[object]) -> subprocess.Popen:
        return subprocess.Popen(
            list(map(str, argv)),
            env=self._env,
            stdin=subprocess.PIPE if self._quick else subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._quick else self._log,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def start(self) -> None:
        """Starts it and does not wait."""
        self.starts += 1
        options = ["up", "--port", str(self.port)]
        if self._nursery is not None:
            self._nursery.stdin.write(" ".join(options) + "\n")
            self._nursery.stdin.flush()
            self.pid = int(self._nursery.stdout.readline())
        else:
            self._process = self._popen([GRIDMAP, *options])
            self.pid = self._process.pid

    def wait(self) -> None:
        """Waits for its end."""
        if self._nursery is not None:
            assert self._nursery.stdout.readline() == "ended\n"
        elif self._process is not None:
            self._process.wait(40)

    def close(self) -> None:
        if self.pid and _alive(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()
        if self._nursery is not None:
            self._nursery.stdin.close()
            self._nursery.wait(10)
            self._nursery.stdout.close()
        self._log.close()


class Clients:
    """Several clients that post until each post is answered; two of them post the same."""

    def __init__(self, port: int, token: str, *, singles: int = 5) -> None:
        self.told = Told()
        self._port, self._token = port, token
        self._stopping, self._giving_up = threading.Event(), threading.Event()
        # Clients 0 and 1 post the same: who is first is chance.
        self._threads = [
            threading.Thread(target=self._post, args=(f"c{max(1, number)}", number))
            for number in range(singles)
        ]
        self._threads.append(threading.Thread(target=self._post_batches))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No new posts; waits until all that were begun are answered."""
        self._stopping.set()
        deadline = time.monotonic() + PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.told.wrong.append("a post was never answered")
        self._giving_up.set()

    @staticmethod
    def body(source: str, key: str) -> dict:
        number = int(key.rpartition("-")[2])
        lon, lat = middle(number % 8, number // 8 % 4)
        return {"source": source, "external_id": key, "category": ("dispute", "appeal", "hazard")[number % 3],
                "occurred_at": "2026-08-24T13:51:00+08:00", "lon": lon, "lat": lat, "title": f"事件 {key}",
                "contact": "13900000000"}  # fmt: skip

    def _post(self, source: str, seed: int) -> None:
        dice = random.Random(seed)
        for number in itertools.count():
            if self._stopping.is_set():
                return
            key = f"s-{number}"
            status, answer = self._until_answered(
                "/api/events", json.dumps(self.body(source, key)).encode(), "application/json"
            )
            if status == 201:
                self.told.stored[source, key] += 1
            before = self.told.numbers.setdefault((source, key), answer.get("id"))
            if before != answer.get("id") or answer.get("external_id") != key:
                self.told.wrong.append(f"{source} {key}: {before}, then {answer}")
            time.sleep(dice.uniform(0, 0.03))

    def _post_batches(self) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                return
            keys = [f"b-{n}" for n in range(number * BATCH, (number + 1) * BATCH)]
            lines = "\n".join(json.dumps(self.body("batch", key)) for key in keys).encode()
            _, answer = self._until_answered("/api/events/batch", lines, "application/x-ndjson")
            if answer.get("accepted", 0) + answer.get("repeated", 0) != BATCH or answer["rejected"]:
                self.told.wrong.append(f"batch {number}: {answer}")
            self.told.batched.update(("batch", key) for key in keys)
            time.sleep(0.05)

    def _until_answered(self, path: str, body: bytes, media: str) -> tuple[int, dict]:
        while True:
            status, headers, content = self._once(path, body, media)
            self.told.answers[status] += 1
            if status in {200, 201}:
                return status, json.loads(content)
            if status == 503 and not headers.get("retry-after", "").isdigit():
                self.told.wrong.append(f"503 without Retry-After: {content[:200]!r}")
            if status not in {0, 503}:
                self.told.wrong.append(f"{path} was answered {status}: {content[:300]!r}")
            if len(self.told.wrong) > 20 or self._giving_up.is_set():
                raise SystemExit  # of this thread
            time.sleep(0.1)  # Retry-After says more; here the point is to be in the way

    def _once(self, path: str, body: bytes, media: str) -> tuple[int, dict, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                answer.read(),
            )
        except (OSError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            connection.close()


class Killer:
    """Kills with SIGKILL, at random moments, until every kind had its turns."""

    def __init__(self, service: Service, clients: Clients, dice: random.Random) -> None:
        self._service, self._clients, self._dice = service, clients, dice
        self._cluster = Cluster(service.home)
        self.kills: Counter = Counter()
        self.gaps_s: dict[str, list[float]] = {kind: [] for kind in KINDS}

    def kill(self, kinds: Sequence[str]) -> None:
        """Each of these once, in this order; mostly waits in between until posts are taken again."""
        for kind, following in itertools.pairwise([*kinds, "nothing"]):
            time.sleep(self._dice.uniform(0, 0.1))
            while not self._once(kind):
                time.sleep(0.02)
            self.kills[kind] += 1
            if following in {"server", "backends"} and self._dice.random() < 0.5:
                continue  # the database dies while something is still coming back
            began = time.monotonic()
            self._wait_for_answers(kind)
            self.gaps_s[kind].append(time.monotonic() - began)

    def _wait_for_answers(self, kind: str) -> None:
        told = self._clients.told
        have, deadline = len(told.numbers), time.monotonic() + PATIENCE_S
        while len(told.numbers) < have + 4:
            if time.monotonic() > deadline:
                raise AssertionError(f"no post was taken for {PATIENCE_S} s after a kill of {kind}")
            if told.wrong:
                raise AssertionError(told.wrong[:5])
            if not _alive(self._service.pid):
                raise AssertionError(f"the service ended by itself after a kill of {kind}")
            time.sleep(0.01)

    def _once(self, kind: str) -> bool:
        place = cluster_home.recorded(self._service.home)
        assert place is not None
        server = process.postmaster_pid(place)
        if kind == "backends":
            return server is not None and self._kill_backends(server)
        if kind in {"server", "both"} and server is None:
            return False
        victims = {"service": [self._service.pid], "server": [server], "both": [self._service.pid, server]}[
            kind
        ]
        self._dice.shuffle(victims)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        if self._service.pid in victims:
            self._service.wait()
            self._service.start()
        return True

    def _kill_backends(self, server: int) -> bool:
        """One to three of the server's processes: those that serve, now and then one that writes the log."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, IndexError):
                if (
                    entry.name.isdigit()
                    and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == server
                ):
                    title = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if "gridmap_service gridmap" in title or "walwriter" in title:
                        found.append(int(entry.name))
        if len(found) < 2:
            return False
        for pid in self._dice.sample(found, min(len(found), self._dice.randint(1, 3))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return True


@contextlib.contextmanager
def furnished() -> Iterator[Path]:
    """The home of a small county, its private database at rest; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gridmap-kills-", dir=quick_folder(2 << 30)))
    folder.chmod(0o711)
    home = folder / "home"
    cluster = Cluster(home)
    try:
        url = cluster.start()
        db.upgrade(url)
        furnish(url, Settings(home=home))
        cluster.stop()
        yield home
    finally:
        with contextlib.suppress(Exception):
            cluster.stop()
        if place := cluster_home.recorded(home):
            shutil.rmtree(place.base, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    kills: Counter
    starts: int
    told: Told
    balance: Balance
    gaps_s: dict
    seconds: float


def run(home: Path, kinds: Sequence[str], *, seed: int, quick: bool) -> Run:
    """Serves a small county, lets clients post, kills in this order, and draws the balance.

    Args:
        home: furnished; its database is at rest before and afterwards.
        kinds: of `KINDS`.
        seed: of all chance but the system's.
        quick: as of `Service`.
    """
    env = {**os.environ, "GRIDMAP_HOME": str(home)}
    token = subprocess.run(
        [GRIDMAP, "token", "dispatcher"], env=env, check=True, capture_output=True, text=True
    )
    service = Service(home, quick=quick)
    clients = Clients(service.port, token.stdout.strip())
    killer = Killer(service, clients, random.Random(seed))
    began = time.monotonic()
    try:
        service.start()
        clients.start()
        killer._wait_for_answers("nothing")
        killer.kill(kinds)
    finally:
        clients.stop()
        service.close()
        said = (home.parent / "service.log").read_text(encoding="utf-8")
        if sys.exc_info()[0] or clients.told.wrong:
            print(said[-6000:])
    seconds = time.monotonic() - began
    cluster = Cluster(home)
    balance = reconcile(cluster.start(), clients.told)
    cluster.stop()
    return Run(killer.kills, service.starts, clients.told, balance, killer.gaps_s, seconds)
