"""A quarter of an hour at a hundred events a second: does anything grow that should not?

python tests/bench/bench_soak.py [--minutes 15] [--rate 100]

The demonstration town by `gridmap up` on loopback. Events are posted at their moments whether the ones before are
answered or not (latency counts from the moment at which one was due); beside that one live stream is followed, and
somebody looks at lists, counts, heat, indicators and a tile every two seconds. `load` is the machine's: latency says
little of the service where others work, the processor's time a post does.
"""

import argparse
import asyncio
import datetime as dt
import http.client
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from served import Served, demonstration, flood, request

from gridmap.embedded import Cluster

CONNECTIONS = 24
WARM_UP = 0.2  # of the run, three minutes at most
SAMPLE_S = 5.0
LOOK_S = 2.0
BOX = (111.98, 29.98, 112.02, 30.02)  # the middle of the town
LOOKS = (
    "/api/events?limit=100",
    "/api/events/counts",
    "/api/heat?by=grid&kind=micro&geometry=false",
    "/api/indicators",
    "/api/tiles/events/12/3322/1690.mvt",
)
MEMORY_MB_A_MINUTE = 0.5  # over a day less than the half of what a process may take
MOST_THREADS = 60  # 40 of the framework, which come and go, and the service's own
LATENCY_RISE = 1.25
WORK_RISE = 1.15


@dataclass
class Minute:
    """What one minute showed."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    work_s: list[float] = field(default_factory=list)
    load: float = 0.0

    @property
    def work_ms(self) -> float:
        """Processor time of the service a post, in milliseconds; what others do on the machine changes it little."""
        return (
            (self.work_s[-1] - self.work_s[0])
            / (SAMPLE_S * (len(self.work_s) - 1))
            * 60
            / len(self.seconds)
            * 1e3
        )

    def at(self, share: float) -> float:
        """Milliseconds within which that share of the minute's posts was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


@dataclass
class Run:
    """What is collected."""

    began: float
    minutes: list[Minute]
    acknowledged: Counter[int] = field(default_factory=Counter)
    numbers: set[int] = field(default_factory=set)
    wrong: Counter[str] = field(default_factory=Counter)
    told: int = 0
    looked: int = 0

    def minute(self, moment: float) -> Minute:
        return self.minutes[min(len(self.minutes) - 1, max(0, int((moment - self.began) / 60)))]


def event(rng: random.Random, number: int, run: str) -> dict[str, object]:
    return {
        "source": run,
        "external_id": str(number),
        "category": rng.choice(["dispute", "police_case", "appeal", "hazard"]),
        "occurred_at": dt.datetime.now(dt.UTC).isoformat(),
        "lon": rng.uniform(BOX[0], BOX[2]),
        "lat": rng.uniform(BOX[1], BOX[3]),
        "title": "楼上装修噪声引发口角",
        "description": "x" * rng.randrange(400),
        "contact": "no number",
    }


async def _poster(port: int, token: str, name: str, plan: "Plan", run: Run) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    rng = random.Random(id(writer))
    for number in plan.numbers:
        due = run.began + number / plan.rate
        if due >= plan.ends:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(request("POST", "/api/events", token, event(rng, number, name)))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ).split(b":")[1]
        body = await reader.readexactly(int(length))
        run.minute(due).seconds.append(time.monotonic() - due)
        status = int(head[9:12])
        run.acknowledged[status] += 1
        if status == 201:
            run.numbers.add(json.loads(body)["id"])
        else:
            run.wrong[f"{status} {body[:120]!r}"] += 1
    writer.close()


@dataclass
class Plan:
    """Which posts are due, and until when."""

    rate: float
    ends: float
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)


async def _post(served: Served, token: str, name: str, plan: Plan, run: Run) -> None:
    await asyncio.gather(*(_poster(served.port, token, name, plan, run) for _ in range(CONNECTIONS)))


def _look(served: Served, token: str, run: Run, stopping: threading.Event) -> None:
    """Somebody before a map."""
    for path in itertools.cycle(LOOKS):
        if stopping.wait(LOOK_S):
            return
        try:
            served.get(path, token)
            run.looked += 1
        except (OSError, http.client.HTTPException, SystemExit) as error:
            run.wrong[f"{path}: {error}"] += 1


def _follow(served: Served, token: str, run: Run, stopping: threading.Event) -> None:
    """A live stream, which must neither end nor fall silent."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request("GET", "/api/stream", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        while not stopping.is_set():
            line = answer.readline()
            if not line:
                run.wrong["the stream ended"] += 1
                return
            run.told += line.startswith(b"event: event")
    except OSError as error:
        if not stopping.is_set():
            run.wrong[f"the stream: {error}"] += 1
    finally:
        connection.close()


def _sample(served: Served, run: Run, stopping: threading.Event) -> None:
    folder = Path(f"/proc/{served.process.pid}")
    with psycopg.connect(Cluster(served.home).status().url, autocommit=True) as connection:
        while not stopping.wait(SAMPLE_S):
            minute = run.minute(time.monotonic())
            said = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            minute.work_s.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
            minute.load = os.getloadavg()[0]
            minute.memory_mb.append(int(said["VmRSS"].split()[0]) * 1024 / 1e6)
            minute.threads.append(int(said["Threads"]))
            minute.files.append(len(os.listdir(folder / "fd")))  # noqa: PTH208  # names alone
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            minute.connections.append(row[0])


def slope(values: list[float]) -> float:
    """Least squares, a step of the list."""
    middle = (len(values) - 1) / 2
    below = sum((at - middle) ** 2 for at in range(len(values)))
    mean = sum(values) / len(values)
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / below if below else 0.0


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def judge(run: Run, stored: tuple[int, int]) -> list[tuple[str, str, bool]]:
    """What was promised, what was seen, and whether it was met; after the warm-up."""
    skipped = min(3, max(1, round(len(run.minutes) * WARM_UP)))
    minutes = run.minutes[skipped:]
    third = max(1, len(minutes) // 3)
    first, last = minutes[:third], minutes[-third:]

    def most(what: str, some: list[Minute]) -> int:
        return max(max(getattr(each, what)) for each in some)

    memory = [value for each in minutes for value in each.memory_mb]
    rise_mb = slope(memory) * 60 / SAMPLE_S
    verdicts = [
        ("memory flat", f"{rise_mb:+.2f} MB a minute, {max(memory):.0f} MB at most (limit {MEMORY_MB_A_MINUTE:+.1f})",
         rise_mb <= MEMORY_MB_A_MINUTE),
    ]  # fmt: skip
    for name, share, slack_ms in (("p50", 0.5, 1.0), ("p99", 0.99, 10.0)):
        before, after = (_median([each.at(share) for each in some]) for some in (first, last))
        limit = before * LATENCY_RISE + slack_ms
        seen = f"{before:.1f} → {after:.1f} ms, first to last third (limit {limit:.1f})"
        verdicts.append((f"{name} not growing", seen, after <= limit))
    before, after = (_median([each.work_ms for each in some]) for some in (first, last))
    seen = f"{before:.2f} → {after:.2f} ms of the processor (limit {before * WORK_RISE:.2f})"
    verdicts.append(("work for a post not growing", seen, after <= before * WORK_RISE))
    for name, what in (("database connections", "connections"), ("open files", "files")):
        before, after = most(what, first), most(what, last)
        verdicts.append((f"{name} constant", f"{before} → {after} (limit {before + 2})", after <= before + 2))
    threads = most("threads", minutes)
    verdicts.append(("threads bounded", f"{threads} (limit {MOST_THREADS})", threads <= MOST_THREADS))
    acknowledged = run.acknowledged[201]
    verdicts += [
        ("no errors", f"{sum(run.wrong.values())} {dict(run.wrong.most_common(3)) or ''}", not run.wrong),
        ("stored = acknowledged",
         f"{stored[0]} rows, {stored[1]} with text; {acknowledged} told, {len(run.numbers)} numbers",
         stored == (acknowledged, acknowledged) and len(run.numbers) == acknowledged),
        ("the stream told of all", f"{run.told} of {acknowledged}", run.told >= acknowledged),
    ]  # fmt: skip
    return verdicts


def soak(served: Served, minutes: int, rate: float) -> bool:
    name = f"soak-{time.time_ns()}"
    token, admin = served.token("dispatcher"), served.token("commander")
    # All that the pools will ever hold is there before it is looked at whether something grows.
    flood(served.port, [request("GET", path, admin) for path in LOOKS * 40], in_flight=40)
    run = Run(time.monotonic() + 2.0, [Minute() for _ in range(minutes)])
    stopping = threading.Event()
    beside = [
        threading.Thread(target=_look, args=(served, admin, run, stopping)),
        threading.Thread(target=_follow, args=(served, token, run, stopping), daemon=True),
        threading.Thread(target=_sample, args=(served, run, stopping)),
    ]
    for each in beside:
        each.start()
    asyncio.run(_post(served, token, name, Plan(rate, run.began + 60 * minutes), run))
    time.sleep(2.0)  # the stream tells of the last ones
    stopping.set()
    beside[0].join()
    beside[2].join()
    with psycopg.connect(Cluster(served.home).status().url) as connection:
        stored = connection.execute(
            "SELECT count(*), count(t.event) FROM event_key k LEFT JOIN event_text t USING (event)"
            " WHERE k.source = %s", (name,),
        ).fetchone()  # fmt: skip
    print(f"{'minute':>6} {'posts':>6} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'RSS MB':>7} {'files':>5}"
          f" {'threads':>7} {'connections':>11} {'work ms':>7} {'load':>5}")  # fmt: skip
    for number, each in enumerate(run.minutes, 1):
        print(f"{number:>6} {len(each.seconds):>6} {each.at(0.5):>7.1f} {each.at(0.99):>7.1f}"
              f" {max(each.seconds) * 1e3:>7.0f} {_median(each.memory_mb):>7.1f} {max(each.files):>5}"
              f" {max(each.threads):>7} {max(each.connections):>11}"
              f" {each.work_ms:>7.2f} {each.load:>5.1f}")  # fmt: skip
    verdicts = judge(run, stored)
    for promised, seen, good in verdicts:
        print(f"{promised}: {seen}: {'met' if good else 'NOT met'}")
    print(f"{run.looked} looks beside it")
    return all(good for *_, good in verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=15)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    asked = parser.parse_args()
    with demonstration("town") as served:
        if not soak(served, max(3, asked.minutes), asked.rate):
            sys.exit("FAILED: not all was met")


if __name__ == "__main__":
    main()
