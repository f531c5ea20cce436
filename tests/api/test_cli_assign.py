"""`gridmap assign` as it is typed: what it prints and where, how it ends, and what is left on the disk."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from click.testing import CliRunner

from api.cli import main


@pytest.fixture
def files(tmp_path):
    boxes = [shapely.box(112 + n / 100, 30, 112.01 + n / 100, 30.01) for n in range(3)]
    gpd.GeoDataFrame({"code": ["a", "b", "c"]}, geometry=boxes, crs=4326).to_parquet(
        tmp_path / "grids.parquet"
    )
    (tmp_path / "p.csv").write_text("id,lon,lat\n1,112.005,30.005\n2,112.01,30.005\n3,1,1\n4,,\n")
    return tmp_path


def run(*words, code=0):
    # no home and no database: the command needs neither
    result = CliRunner(
        env={"GRIDMAP_HOME": "/nonexistent", "GRIDMAP_DATABASE_URL": "postgresql://nowhere"}
    ).invoke(main, ["assign", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def test_counts_and_rates_are_printed_and_notes_beside(files):
    result = run(files / "p.csv", files / "grids.parquet", files / "o.csv")
    assert result.stdout.splitlines() == [
        "inside 1 · border 1 · nearest 0 · none 2",
        "入格率 in-grid rate 2/4 = 50.00 %",
        "定位率 located rate 3/4 = 75.00 %",
    ]
    assert "WGS-84 assumed" in result.stderr
    assert pd.read_csv(files / "o.csv")["grid"].fillna("").tolist() == ["a", "a", "", ""]


def test_options_reach_their_place(files):
    (files / "q.csv").write_bytes("编号;east;north;grid\n一;112.005;30.005;x\n".encode("gb18030"))
    run(
        files / "q.csv", files / "grids.parquet", files / "o.parquet",
        "--x", "east", "--y", "north", "--crs", "cgcs2000", "--grids-crs", "wgs84", "--code", "code",
        "--tolerance-m", "0", "--encoding", "gb18030", "--prefix", "my_",
    )  # fmt: skip
    (row,) = pq.read_table(files / "o.parquet").to_pylist()
    assert (row["编号"], row["grid"], row["my_grid"]) == ("一", "x", "a")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["p.csv", "grids.parquet", "p.csv"], "is POINTS itself"),
        (["q.csv", "grids.parquet", "o.csv"], "there is no such file"),
        (["p.csv", "q.gpkg", "o.csv"], "there is no such file"),
        (["p.csv", "grids.parquet", "o.csv", "--x", "z"], "no column 'z' (--x); it has id, lon, lat"),
        (["p.csv", "grids.parquet", "o.csv", "--workers", "2"], "go with --engine dask"),
        (["p.csv", "grids.parquet", "o.csv", "--engine", "dask"], "spreads Parquet parts"),
        (["p.csv", "grids.parquet", "o.csv", "--tolerance-m", "nan"], "a number from 0 on"),
    ],
)
def test_what_will_not_do_is_one_sentence(files, words, sentence):
    result = run(*(files / word if "." in word else word for word in words), code=1)
    assert result.stdout == ""
    assert sentence in result.stderr.splitlines()[0]
    assert sorted(each.name for each in files.iterdir()) == ["grids.parquet", "p.csv"]


def process(*words, **more):
    command = [sys.executable, "-c", "from api.cli import main; main()", "assign", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def many(path, rows, group=100_000):
    rng = np.random.default_rng(1)
    columns = {
        "id": pa.array(np.arange(rows)),
        "lon": rng.uniform(112, 112.03, rows),
        "lat": rng.uniform(30, 30.01, rows),
    }
    pq.write_table(pa.table(columns), path, row_group_size=group)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_ended_halfway_leaves_nothing(files, number):
    many(files / "p.parquet", 2_000_000, 2_000)
    (files / "o.csv").write_text("what was there")
    running = process(files / "p.parquet", files / "grids.parquet", files / "o.csv")
    deadline = time.monotonic() + 30
    while not list(files.glob(".o.csv.*.partial/o.csv")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, number)
    out, err = running.communicate(timeout=30)
    assert running.returncode in {128 + number, 1}, err
    assert (out, "Traceback" in err) == ("", False)
    assert sorted(each.name for each in files.iterdir()) == ["grids.parquet", "o.csv", "p.csv", "p.parquet"]
    assert (files / "o.csv").read_text() == "what was there"


def test_a_full_disk_is_a_sentence_and_nothing_stays(files):
    many(files / "p.parquet", 200_000)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    for target in ("o.parquet", "o.gpkg"):
        running = process(files / "p.parquet", files / "grids.parquet", files / target, preexec_fn=limit)
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (1, ""), err
        assert "Traceback" not in err, err
        assert sorted(each.name for each in files.iterdir()) == ["grids.parquet", "p.csv", "p.parquet"]


# KiB; not ru_maxrss, which a process inherits from the one that started it
PEAK = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(files):
    peaks = []
    for rows in (300_000, 1_200_000):
        many(files / "p.parquet", rows)
        code = (
            "from pathlib import Path; from boundaries.assign import Options, assign_file;"
            f"f=Path({str(files)!r}); assign_file(f/'p.parquet', f/'grids.parquet', f/'o.parquet', Options()); {PEAK}"
        )
        peaks.append(int(subprocess.check_output([sys.executable, "-c", code], timeout=100)))
    # Numba's own 80 MB come with the second
    assert peaks[1] - peaks[0] < 150_000, peaks
    assert peaks[1] < 600_000, peaks


def test_geojson_for_a_page(files):
    run(files / "p.csv", files / "grids.parquet", files / "o.geojson")
    features = json.loads((files / "o.geojson").read_text())["features"]
    assert features[0] == {
        "type": "Feature",
        "properties": {
            "id": "1",
            "lon": "112.005",
            "lat": "30.005",
            "grid": "a",
            "method": "inside",
            "distance_m": 0.0,
        },
        "geometry": {"type": "Point", "coordinates": [112.005, 30.005]},
    }
    assert features[3]["geometry"] is None
