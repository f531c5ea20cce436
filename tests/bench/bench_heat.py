"""Heat, tiles and indicators of a whole county, each beside its limit or its peer in the same run.

python tests/bench/bench_heat.py                   # builds the full demonstration county: some minutes
python tests/bench/bench_heat.py --town            # the small one
python tests/bench/bench_heat.py --url postgresql://…   # a database that holds a demonstration city already
"""

import argparse
import contextlib
import datetime as dt
import gzip
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from gridmap import demo, sight, stats
from gridmap import snapshot as snapshots
from gridmap.access import Principal, Role, Scope
from gridmap.db import Database, upgrade
from gridmap.embedded import Cluster
from gridmap.periods import Period
from gridmap.sight import EVERYTHING
from gridmap.stats import Question
from gridmap.withholding import Audience
from layers import tile_areas
from layers.heat import HeatQuery, heat
from layers.tile_grid import TileAddress, world

ZONE = ZoneInfo("Asia/Shanghai")
HEAT_LIMIT, TILE_LIMIT_MS, TILES_LIMIT_KB, INDICATORS_LIMIT_MS = 1.2, 300, 500, 300
CLOSED_LIMIT = 1.5
ALL, NONE = Scope(None), Scope(())
ADMIN = Audience(ALL, ALL, ALL, NONE, 3)
COMMANDER = Audience(ALL, NONE, ALL, NONE, 3)


@contextlib.contextmanager
def database(arguments: argparse.Namespace) -> Iterator[Database]:
    """A database with a demonstration city, worked on as the service's role."""
    if arguments.url:
        found = Database(arguments.url, pool_size=2, restricted=True)
        yield found
        found.close()
        return
    with Cluster.temporary(durable=False) as cluster:
        url = cluster.status().url
        upgrade(url)
        owner = Database(url, pool_size=1)
        city = demo.build(demo.TOWN if arguments.town else demo.FULL, now=dt.datetime.now(ZONE))
        with owner.writer() as session:
            demo.store(session, city)
        owner.vacuum("event")
        owner.close()
        found = Database(url, pool_size=2, restricted=True)
        yield found
        found.close()


def alternately(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median milliseconds of two things done in turn, so that other work on the machine strikes both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for times, work in zip(spent, (one, other), strict=True):
            began = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent[0]), statistics.median(spent[1])


def once(work: Callable[[], object], rounds: int = 3) -> float:
    return alternately(work, lambda: None, rounds)[0]


def heats(session, snapshot, until, rounds) -> list[bool]:
    since = until.replace(year=until.year - 1)
    query = HeatQuery(kind="micro", since=since, until=until)
    plain = sa.text(
        "SELECT leaf_now, count(*) FROM event WHERE occurred_at >= :since AND occurred_at < :until GROUP BY leaf_now"
    )

    def peer() -> object:
        return session.execute(plain, {"since": since, "until": until}).all()

    good = []
    for name, audience in (("exact", ADMIN), ("withheld", COMMANDER)):

        def answer(audience: Audience = audience) -> object:
            return heat(session, snapshot, query, audience).to_geojson(geometry=False)

        answer()
        ours, theirs = alternately(answer, peer, rounds)
        good.append(ours <= HEAT_LIMIT * theirs)
        print(
            f"micro-grid heat of a year, {name}: {ours:.0f} ms; plain GROUP BY {theirs:.0f} ms;"
            f" {ours / theirs:.2f} times (at most {HEAT_LIMIT})"
        )
    for more in (
        {"by": "hex"},
        {"measure": "change"},
        {"measure": "hotspot"},
        {"boundaries": "then"},
        {"kind": "precinct"},
    ):
        asked = HeatQuery(since=since, until=until, **{"kind": "micro", **more})
        spent = once(lambda asked=asked: heat(session, snapshot, asked, ADMIN).to_geojson(geometry=False))
        print(f"  {more}: {spent:.0f} ms")
    return good


def closed(found: Database, snapshot, until, rounds) -> list[bool]:
    """Heat of everything to a reader to whom police cases are closed, beside one to whom they are open."""
    query = HeatQuery(kind="micro", since=until.replace(year=until.year - 1), until=until)
    good = []
    county = snapshot.rows_of("county")[0]
    for role, area, path in (
        ("admin", "*", None),
        ("commander", snapshot.code[county], snapshot.path[county]),
    ):
        readers = [
            Principal("bench", "bench", (Role(role, area, path),), closings=closings)
            for closings in ((("police_case", role),), ())
        ]
        with contextlib.ExitStack() as stack:
            sessions = [stack.enter_context(found.reader(sight.counts(reader))) for reader in readers]
            answers = [
                lambda session=session, reader=reader: heat(session, snapshot, query, Audience.of(reader, 3))
                for session, reader in zip(sessions, readers, strict=True)
            ]
            for answer in answers:
                answer()
            ours, theirs = alternately(*answers, rounds)
        good.append(ours <= CLOSED_LIMIT * theirs)
        print(
            f"micro-grid heat of a year, {role}, police cases closed: {ours:.0f} ms; open {theirs:.0f} ms;"
            f" {ours / theirs:.2f} times (at most {CLOSED_LIMIT})"
        )
    return good


def tiles(snapshot) -> list[bool]:
    tops = snapshot.bounds[snapshot.rows_of("county")[0]]
    corners = world(np.array([[tops[0], tops[3]], [tops[2], tops[1]]]))
    zoom = 10
    (west, north), (east, south) = (np.floor(corners * 2**zoom)).astype(int).tolist()
    slowest, size = 0.0, 0
    for x in range(west, east + 1):
        for y in range(north, south + 1):
            address = TileAddress(zoom, x, y)
            began = time.perf_counter()
            content = tile_areas.grids(snapshot, address, (), ALL, "wgs84")
            content += tile_areas.areas(snapshot, address, (), ALL, "wgs84")
            slowest = max(slowest, 1000 * (time.perf_counter() - began))
            size += len(gzip.compress(content, 6))
    print(
        f"grids and areas of the whole county, zoom {zoom}, cold: slowest tile {slowest:.0f} ms"
        f" (at most {TILE_LIMIT_MS}), {size / 1024:.0f} KB gzipped (at most {TILES_LIMIT_KB})"
    )
    return [slowest <= TILE_LIMIT_MS, size <= TILES_LIMIT_KB * 1024]


def indicators(session, snapshot, until) -> list[bool]:
    good = []
    for days in (90, 365):
        asked = Question(period=Period(until - dt.timedelta(days=days), until))
        spent = once(lambda asked=asked: stats.indicators(session, snapshot, asked, ADMIN))
        by_category = once(lambda asked=asked: stats.by_category(session, snapshot, asked, ADMIN))
        by_day = once(lambda asked=asked: stats.by_step(session, snapshot, asked, ADMIN, ZONE))
        children = once(lambda asked=asked: stats.by_children(session, snapshot, asked, ADMIN))
        good.append(spent <= INDICATORS_LIMIT_MS)
        print(
            f"indicators of {days} days and the year before: {spent:.0f} ms (at most {INDICATORS_LIMIT_MS});"
            f" by category {by_category:.0f} ms; by day {by_day:.0f} ms; by children {children:.0f} ms"
        )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url")
    parser.add_argument("--town", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with database(arguments) as found, found.reader(EVERYTHING) as session:
        snapshot = snapshots.load(session)
        until = session.execute(sa.text("SELECT max(occurred_at) FROM event")).scalar_one().astimezone(ZONE)
        number = session.execute(sa.text("SELECT count(*) FROM event")).scalar_one()
        print(f"{len(snapshot.rows_of('micro')):,} micro-grids, {number:,} events")
        good = heats(session, snapshot, until, arguments.rounds)
        good += closed(found, snapshot, until, arguments.rounds)
        good += tiles(snapshot)
        good += indicators(session, snapshot, until)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
