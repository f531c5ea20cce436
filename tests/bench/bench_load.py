"""A million buildings and events from CSV: rows a second beside plain COPY, and memory that does not grow.

`bench_load.py [--rows 1000000] [--events 200000]`. The private cluster is durable, as in service.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import psycopg
import shapely

from gridmap import db
from gridmap.embedded import Cluster

SIDE = 80  # micro-grids along each side of a county of half a degree
MEMORY_MB = 500
GROWTH = 1.25  # of the peak, from a tenth of the rows to all of them


def areas(path: Path) -> None:
    """County, towns, villages, comprehensive grids and micro-grids as squares; 8,426 of them."""
    rows = []
    for kind, count in (("county", 1), ("town", 5), ("village", 20), ("comprehensive", 40), ("micro", SIDE)):
        edges = np.linspace(0, 0.5, count + 1)
        rows += [
            (
                f"{kind[:3]}{i}_{j}",
                kind,
                shapely.box(112 + edges[i], 30 + edges[j], 112 + edges[i + 1], 30 + edges[j + 1]),
            )
            for i in range(count)
            for j in range(count)
        ]
    codes, kinds, shapes = zip(*rows, strict=True)
    gpd.GeoDataFrame({"code": codes, "kind": kinds}, geometry=list(shapes), crs=4490).to_file(path)


def points(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return 112 + 0.5 * rng.random(rows), 30 + 0.5 * rng.random(rows)


def buildings(path: Path, rows: int) -> None:
    lon, lat = points(rows)
    with path.open("w") as stream:
        stream.write("code,name,households,lon,lat\n")
        stream.writelines(
            f"B{i},{i % 97}栋,{i % 120},{x:.7f},{y:.7f}\n"
            for i, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
        )


def events(path: Path, rows: int) -> None:
    lon, lat = points(rows)
    words = ("dispute", "police_case", "appeal", "hazard", "service", "other")
    with path.open("w") as stream:
        stream.write("source,external_id,category,occurred_at,lon,lat,title\n")
        stream.writelines(
            f"12345,E{i},{words[i % 6]},2025-{i % 12 + 1:02}-{i % 28 + 1:02}T08:30:00+08:00,{x:.7f},{y:.7f},t{i}\n"
            for i, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
        )


def load(url: str, home: Path, *words: object) -> tuple[float, float, str]:
    """Runs `gridmap load` in a process of its own; returns seconds, its peak in MB, and what it said."""
    code = (
        "from api.cli import main\n"
        "try: main(prog_name='gridmap')\n"
        # not ru_maxrss, which a process inherits from the one that started it
        "finally: print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    environment = {**os.environ, "GRIDMAP_DATABASE_URL": url, "GRIDMAP_HOME": str(home)}
    argv = [sys.executable, "-c", code, "load", *map(str, words), "--commit"]
    start = time.perf_counter()
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    match = re.search(r"VmHWM:\s+(\d+)", done.stdout)
    return seconds, float(match[1]) / 1024 if match else 0.0, done.stdout


def plain_copy(url: str) -> float:
    """Seconds of COPY of the stored buildings into an empty table with the same indexes, in one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE peer (LIKE building INCLUDING ALL)")
        with connection.cursor() as source, source.copy("COPY building TO STDOUT") as out:
            blocks = list(out)
        start = time.perf_counter()
        with connection.cursor() as target, target.copy("COPY peer FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
        connection.commit()
        seconds = time.perf_counter() - start
        connection.execute("DROP TABLE peer")
    return seconds


def empty(cluster: Cluster, noun: str) -> None:
    """Takes out what a smaller run left; history refuses to be emptied by anybody but a superuser."""
    tables = "building" if noun == "buildings" else "event_key, event_text, event, event_history"
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"TRUNCATE {tables}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=200_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster.temporary(durable=True) as cluster:
        home = Path(folder)
        url = str(cluster.status().url)
        db.upgrade(url)
        areas(home / "areas.gpkg")
        load(url, home, "areas", home / "areas.gpkg")
        peaks = {}
        for noun, rows, write in (("buildings", given.rows, buildings), ("events", given.events, events)):
            for part in (rows // 10, rows):
                write(home / f"{noun}.csv", part)
                if part == rows:
                    empty(cluster, noun)
                seconds, peaks[part], _ = load(url, home, noun, home / f"{noun}.csv")
            verdict = (
                "ok" if peaks[rows] < MEMORY_MB and peaks[rows] < GROWTH * peaks[rows // 10] else "MISSED"
            )
            print(
                f"load {rows:,} {noun}: {rows / seconds:,.0f} rows/s, peak {peaks[rows]:.0f} MB"
                f" ({peaks[rows // 10]:.0f} MB for a tenth; limits {MEMORY_MB} MB, {GROWTH} times)  {verdict}"
            )
            if noun == "buildings":
                peer = plain_copy(url)
                times = seconds / peer
                print(
                    f"  plain COPY of the same rows, same indexes: {rows / peer:,.0f} rows/s ({times:.1f} times)"
                )
    own = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"  processor time of all loads: {own:.0f} s")


if __name__ == "__main__":
    main()
