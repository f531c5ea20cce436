"""Spread over a cluster: the same answers in the same order, each worker's index built once, all or nothing."""

import os
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import boundaries
from boundaries import assign_workers
from boundaries.assign import Options, assign_file
from gridmap.errors import InvalidInput, NotPossible

psutil = pytest.importorskip("psutil")
distributed = pytest.importorskip("distributed")
assign_dask = pytest.importorskip("boundaries.assign_dask")

MANY, GROUP = 5000, 400


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Grids, points of many row groups, and what one process answers."""
    folder = tmp_path_factory.mktemp("spread")
    boxes = [shapely.box(112 + n / 100, 30, 112.01 + n / 100, 30.01) for n in range(3)]
    gpd.GeoDataFrame({"code": ["a", "b", "c"]}, geometry=boxes, crs=4326).to_parquet(folder / "grids.parquet")
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(111.999, 112.031, MANY), rng.uniform(29.999, 30.011, MANY)
    text = pa.array(["x", None] * (MANY // 2)).dictionary_encode()
    table = pa.table({"id": range(MANY), "lon": lon, "lat": lat, "text": text})
    pq.write_table(table, folder / "p.parquet", row_group_size=GROUP)
    assign_file(folder / "p.parquet", folder / "grids.parquet", folder / "local.parquet", Options())
    return folder


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="inproc://"
    ) as cluster:
        yield cluster


def spread(files, cluster, out, points="p.parquet"):
    options = Options(engine="dask", scheduler=cluster.scheduler_address)
    return assign_file(files / points, files / "grids.parquet", out, options)


def test_one_file_in_the_inputs_order(files, cluster, tmp_path):
    told = []
    options = Options(engine="dask", scheduler=cluster.scheduler_address)
    summary = assign_file(
        files / "p.parquet", files / "grids.parquet", tmp_path / "o.parquet", options, progress=told.append
    )
    expected, found = pq.read_table(files / "local.parquet"), pq.read_table(tmp_path / "o.parquet")
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.equals(expected)
    groups = pq.ParquetFile(tmp_path / "o.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [GROUP] * 12 + [200]
    assert summary.tally.rows == MANY
    assert summary.tally.counts()["inside"] == expected["method"].to_pylist().count("inside")
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert [each.name for each in tmp_path.iterdir()] == ["o.parquet"]


def test_a_folder_of_parts(files, cluster, tmp_path):
    spread(files, cluster, tmp_path / "parts")
    names = sorted(each.name for each in (tmp_path / "parts").iterdir())
    groups = pq.ParquetFile(files / "p.parquet").metadata.num_row_groups
    assert len(names) == groups  # fewer than twelve parts a worker's thread
    assert names[0] == "part-00000.parquet"
    assert pq.read_table(tmp_path / "parts").equals(pq.read_table(files / "local.parquet"))


def test_the_index_is_built_once_a_worker_and_dropped(files, cluster, tmp_path, monkeypatch):
    from boundaries.assign_grids import Grids

    built = []
    real = Grids.index
    monkeypatch.setattr(Grids, "index", lambda self, **more: built.append(1) or real(self, **more))
    spread(files, cluster, tmp_path / "o.parquet")
    assert len(built) == 1
    (worker,) = cluster.workers.values()
    assert not [name for name in worker.plugins if name.startswith("gridmap")]


def test_a_part_that_fails_leaves_nothing(files, cluster, tmp_path):
    data = bytearray((files / "p.parquet").read_bytes())
    at = pq.ParquetFile(files / "p.parquet").metadata.row_group(9).column(1).data_page_offset
    data[at : at + 12] = b"\xff" * 12
    (tmp_path / "p.parquet").write_bytes(data)
    for name in ("o.parquet", "parts"):
        with pytest.raises(InvalidInput, match="damaged"):
            spread(files, cluster, tmp_path / name, tmp_path / "p.parquet")
        assert [each.name for each in tmp_path.iterdir()] == ["p.parquet"]


def test_only_parquet_is_spread(files, cluster, tmp_path):
    with pytest.raises(InvalidInput, match="--engine local"):
        spread(files, cluster, tmp_path / "o.csv")


def test_no_scheduler_there(files, tmp_path, monkeypatch):
    monkeypatch.setattr(assign_dask, "CONNECT_S", 1)
    options = Options(engine="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(NotPossible, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        assign_file(files / "p.parquet", files / "grids.parquet", tmp_path / "o.parquet", options)
    assert list(tmp_path.iterdir()) == []


def test_without_dask_one_sentence_with_the_remedy(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "boundaries.assign_dask")
    monkeypatch.delattr(boundaries, "assign_dask")
    with pytest.raises(NotPossible, match=r"pip install 'gridmap-service\[cluster\]'"):
        assign_file(
            files / "p.parquet", files / "grids.parquet", tmp_path / "o.parquet", Options(engine="dask")
        )


def test_bad_grids_are_said_by_the_caller(files, cluster, tmp_path):
    frame = gpd.GeoDataFrame(
        {"code": ["a", "b"]}, geometry=[shapely.box(0, 0, 1, 1), shapely.Point(1, 2)], crs=4326
    )
    frame.to_parquet(tmp_path / "grids.parquet")
    options = Options(engine="dask", scheduler=cluster.scheduler_address)
    with pytest.raises(InvalidInput, match=r"grids.parquet: no polygon in row 2"):
        assign_file(files / "p.parquet", tmp_path / "grids.parquet", tmp_path / "o.parquet", options)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """What `Building.folder` answered; files for the while go where the test sees them."""
    found, real = [], assign_workers.Building.folder
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(assign_workers.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(assign_workers.Building, "folder", lambda self: found.append(real(self)) or found[-1])
    return found


def own_workers():
    """Processes of a cluster of this machine: those that were forked from the one that imported for them."""
    children = psutil.Process().children()
    servers = [each for each in children if "multiprocessing.forkserver" in " ".join(each.cmdline())]
    return [worker for server in servers for worker in server.children()]


def test_workers_of_this_machine_share_one_index_and_one_may_die(files, folders, tmp_path):
    killed = []

    def kill_one(_):
        if not killed:
            killed.append(own_workers()[0])
            killed[0].kill()

    options = Options(engine="dask", workers=2)
    assign_file(files / "p.parquet", files / "grids.parquet", tmp_path / "parts", options, progress=kill_one)
    assert pq.read_table(tmp_path / "parts").equals(pq.read_table(files / "local.parquet"))
    assert folders[0].parent == tmp_path / "tmp"
    assert killed
    assert own_workers() == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["parts", "tmp"]
    assert list((tmp_path / "tmp").glob("gridmap-index-*")) == []


def test_where_building_fails_workers_build(files, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(assign_workers, "_build", os._exit)  # which does not take what it is given
    options = Options(engine="dask", workers=1)
    assign_file(files / "p.parquet", files / "grids.parquet", tmp_path / "o.parquet", options)
    assert pq.read_table(tmp_path / "o.parquet").equals(pq.read_table(files / "local.parquet"))
    assert folders == [None]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["o.parquet", "tmp"]
    assert list((tmp_path / "tmp").glob("gridmap-index-*")) == []


def test_a_folder_for_temporary_files_with_a_long_name_keeps_no_worker_from_beginning(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    said = "from boundaries import assign_workers; assign_workers.begin(); print('begun')"
    done = subprocess.run(
        [sys.executable, "-c", said],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "begun\n"), done.stderr
