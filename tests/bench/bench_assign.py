"""Points to grids from file to file: times beside plain pyarrow on the same file, memory by length, two workers.

`bench_assign.py [--points 10000000] [--cluster-points 50000000] [--quick]`. Each run is a process of its own, from
its start to its end, as people run it; so is pyarrow's. Figures are wall-clock; on a machine with other work both
sides of a ratio suffer alike.
"""

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from gridmap import index_engine
from gridmap.index import GridIndex

RATIO = 3.0  # of the time that pyarrow needs to read and write the same file
GROWTH = 1.25  # of the peak, from 2 million points to all of them; threads meet differently each time
SPEEDUP = 1.6  # of two workers over one
GROUP = 1 << 20
SIDE = 84  # grids along each side

PLAIN = "import sys, pyarrow.parquet as pq; pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2])"
ASSIGN = "import sys; from api.cli import main; main(['assign', *sys.argv[1:]])"


def grids(path: Path) -> gpd.GeoDataFrame:
    """A county of 7,056 grids of 130 vertices, whose neighbours share winding borders."""
    rng = np.random.default_rng(1)
    nodes = np.stack(np.meshgrid(np.arange(SIDE + 1.0), np.arange(SIDE + 1.0)), axis=-1)
    nodes = (nodes + rng.uniform(-0.18, 0.18, nodes.shape)) * [0.01, 0.008] + [116.0, 39.0]

    def border(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        share = np.linspace(0.0, 1.0, 33)[:, None]
        line = a[..., None, :] * (1 - share) + b[..., None, :] * share
        line[..., 1:-1, :] += rng.normal(0.0, 1e-4, (*line.shape[:-2], 31, 2))
        return line

    along, up = border(nodes[:, :-1], nodes[:, 1:]), border(nodes[:-1], nodes[1:])
    rings = [along[:-1, :, :-1], up[:, 1:, :-1], along[1:, :, :0:-1], up[:, :-1, :0:-1]]
    polygons = shapely.polygons(np.concatenate(rings, axis=2).reshape(SIDE * SIDE, -1, 2))
    frame = gpd.GeoDataFrame({"code": [f"{n:015d}" for n in range(SIDE * SIDE)]}, geometry=polygons, crs=4326)
    frame.to_parquet(path)
    return frame


def points(path: Path, many: int, columns: str) -> None:
    """Events all over the county and a little beyond, written as pyarrow writes by itself."""
    rng = np.random.default_rng(2)
    categories = pa.array(["dispute", "police_case", "appeal", "hazard", "service"])
    with pq.ParquetWriter(path, _table(rng, 1, categories, columns).schema) as writer:
        for begin in range(0, many, GROUP):
            writer.write_table(_table(rng, min(GROUP, many - begin), categories, columns))


def _table(rng: np.random.Generator, many: int, categories: pa.Array, columns: str) -> pa.Table:
    place = {"lon": rng.uniform(115.99, 116.85, many), "lat": rng.uniform(38.99, 39.68, many)}
    if columns == "places":
        return pa.table({"id": rng.integers(0, 1 << 40, many), **place})
    when = pa.array(
        rng.integers(1_700_000_000, 1_790_000_000, many) * 1_000_000, pa.timestamp("us", "Asia/Shanghai")
    )
    return pa.table(
        {
            "id": pa.array(rng.integers(0, 1 << 40, many)).cast(pa.string()),
            "category": categories.take(pa.array(rng.integers(0, 5, many))),
            "occurred_at": when,
            **place,
        }
    )


def run(code: str, *words: object) -> tuple[float, int]:
    """Seconds and peak memory in MB of a process."""
    peak = 0
    with tempfile.TemporaryFile("w+") as said:
        begin = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.DEVNULL, stderr=said
        )
        while child.poll() is None:
            peak = max(peak, _high_water(child.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - begin
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"failed: {said.read()}")
    return seconds, peak


def _high_water(process: int) -> int:
    """MB; not ru_maxrss, which a process inherits from the one that started it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    return 0


def against_pyarrow(folder: Path, many: int, columns: str) -> bool:
    """The ratio of the figure, from tries that take turns."""
    source, out = folder / "points.parquet", folder / "out.parquet"
    points(source, many, columns)
    ours, theirs = [], []
    for _ in range(3):
        theirs.append(run(PLAIN, source, folder / "plain.parquet")[0])
        ours.append(run(ASSIGN, source, folder / "grids.parquet", out)[0])
    ratio = min(ours) / min(theirs)
    wrong = differing(folder, out)
    print(f"{many:,} points ({columns}): {min(ours):.2f} s, {many / min(ours) / 1e6:.2f} million a second")
    print(
        f"  pyarrow reads and writes the same file in {min(theirs):.2f} s: {ratio:.2f} times (limit {RATIO})"
    )
    print(f"  {wrong} answers differ from GridIndex")
    return ratio <= RATIO and wrong == 0


def differing(folder: Path, out: Path) -> int:
    frame = gpd.read_parquet(folder / "grids.parquet")
    index, codes = GridIndex.from_frame(frame), np.append(frame["code"].to_numpy(dtype=object), None)
    wrong = 0
    for batch in pq.ParquetFile(out).iter_batches(GROUP):
        answer = index.locate(batch["lon"].to_numpy(), batch["lat"].to_numpy(), 50.0)
        wrong += np.count_nonzero(batch["grid"].to_numpy(zero_copy_only=False) != codes[answer.position])
        wrong += np.count_nonzero(batch["method"].to_numpy(zero_copy_only=False) != answer.method)
    return int(wrong)


def memory(folder: Path, sizes: list[int]) -> bool:
    """Peaks by length; from 2 million on, compiled code is loaded in all of them."""
    peaks = []
    for many in sizes:
        points(folder / "points.parquet", many, "events")
        seconds, peak = run(
            ASSIGN, folder / "points.parquet", folder / "grids.parquet", folder / "out.parquet"
        )
        peaks.append(peak)
        print(f"  {many:>11,} points: {seconds:6.2f} s, peak {peak} MB")
    growth = peaks[-1] / peaks[1]
    print(f"  peak of the longest over that of the second: {growth:.2f} (limit {GROWTH})")
    return growth <= GROWTH


def two_workers(folder: Path, many: int) -> bool:
    """The same file spread over one worker and over two, each in a process of one thread.

    Beside it what the machine gives to two runs that know nothing of each other: no cluster does better.
    """
    source = folder / "points.parquet"
    points(source, many, "places")
    took = {}
    for workers in (1, 2):
        out = folder / f"parts{workers}"
        took[workers], _ = run(ASSIGN, *_spread(folder, out, workers))
    apart = _side_by_side([_spread(folder, folder / f"apart{number}", 1) for number in (1, 2)])
    same = pq.read_table(folder / "parts1", columns=["grid"]).equals(
        pq.read_table(folder / "parts2", columns=["grid"])
    )
    speedup = took[1] / took[2]
    print(f"{many:,} points by Dask: one worker {took[1]:.1f} s, two {took[2]:.1f} s")
    print(
        f"  two runs of one worker side by side, twice the work: {apart:.1f} s, {2 * took[1] / apart:.2f} times as fast"
    )
    print(
        f"  {speedup:.2f} times as fast (limit {SPEEDUP}); the answers are {'the same' if same else 'NOT the same'}"
    )
    return speedup >= SPEEDUP and same


def _spread(folder: Path, out: Path, workers: int) -> list[object]:
    return [
        folder / "points.parquet",
        folder / "grids.parquet",
        out,
        "--engine",
        "dask",
        "--workers",
        workers,
    ]


def _side_by_side(runs: list[list[object]]) -> float:
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda words: run(ASSIGN, *words), runs))
    return time.perf_counter() - begin


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--points", type=int, default=10_000_000)
    options.add_argument("--cluster-points", type=int, default=50_000_000)
    options.add_argument("--only", choices=["ratio", "memory", "cluster"])
    options.add_argument("--quick", action="store_true", help="a tenth of the points")
    chosen = options.parse_args()
    share = 10 if chosen.quick else 1
    many = chosen.points // share
    print(f"compiled code in {re.sub(r'^.*/(?=gridmap/)', '', index_engine.warm())}")
    fine = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grids(folder / "grids.parquet")
        if chosen.only in {None, "ratio"}:
            fine += [against_pyarrow(folder, many, columns) for columns in ("places", "events")]
        if chosen.only in {None, "memory"}:
            fine.append(memory(folder, [many // 10, many // 5, many * 2 // 5, many]))
        if chosen.only in {None, "cluster"}:
            fine.append(two_workers(folder, chosen.cluster_points // share))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
