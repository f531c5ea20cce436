"""Parquet parts spread over a Dask cluster: the same answers, all or nothing.

Each worker process has the index once, from when it joins: those of this machine open the one that was built for
them, those of another cluster build their own. Tasks carry the names of files and numbers of row groups, never rows.
Workers and the caller see the same files. Importing this module needs the extra `cluster`; workers are forked from
a process that has imported it already (boundaries/assign_workers.py).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from boundaries.assign_answer import PACKED, Assigner, Tally
from boundaries.assign_job import Job, Options, Progress, answers, is_folder, of_part
from boundaries.assign_parquet import Layout, Part
from boundaries.assign_workers import Building
from boundaries.assign_write import packed_schema, parquet_form, whole, write_parquet
from gridmap import index_store
from gridmap.errors import NotPossible
from gridmap.index_engine import warm

try:
    import dask.config
    import distributed
except ImportError as error:
    raise NotPossible(
        "--engine dask needs Dask, which is not installed: pip install 'gridmap-service[cluster]'",
        code="no_dask",
    ) from error

PARTS_A_WORKER: Final = 12  # so that nobody waits long for the last one
CONNECT_S: Final = 10  # to an address where nobody answers
# A worker's time is its own: nobody looks at the profile that would be taken of it a hundred times a second
OWN_CLUSTER: Final = {
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.worker.profile.enabled": False,
}


@dataclass(frozen=True)
class Form:
    """How every part is written."""

    schema: pa.Schema
    layout: Layout


class Indexed(distributed.WorkerPlugin):  # type: ignore[misc]  # it has no types
    """Gives every worker the index when the worker joins, and drops it when the run is over.

    Args:
        name: of the plugin.
        job: what is asked.
        built: folder with the index; None: every worker builds its own.
    """

    def __init__(self, name: str, job: Job, built: Path | None) -> None:
        self.name = name
        self._codes, self._of_job = job.grids.codes, (job.where, job.tolerance_m, job.engine)
        self._built, self._grids, self._is_long = built, None if built else job.grids, job.is_long
        self.assigner: Assigner | None = None

    def setup(self, worker: Any) -> None:  # noqa: ARG002  # as the base class has it
        """Opens or builds the index, and keeps pyarrow from taking the cores of other workers."""
        pa.set_cpu_count(1)
        index = (
            self._grids.index(bulk=self._is_long)
            if self._grids
            else index_store.load(Path(self._built or ""))
        )
        where, tolerance_m, engine = self._of_job
        self.assigner = Assigner(index, self._codes, where, tolerance_m=tolerance_m, engine=engine)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002  # as the base class has it
        """Drops the index."""
        self.assigner = None


class Warm(distributed.WorkerPlugin):  # type: ignore[misc]  # as above
    """Loads the compiled code while the index is being built in another process."""

    def setup(self, worker: Any) -> None:  # noqa: ARG002  # as above
        """Takes 0.8 s, or ten where nothing has been compiled yet."""
        warm()


def run(job: Job, options: Options, progress: Progress, building: Building | None) -> Tally:
    """Assigns a Parquet file or folder.

    Args:
        job: opened files; the output is Parquet too.
        options: which cluster.
        progress: told how much is done, 0 to 1.
        building: where workers of this machine get their index from; None: they build it.

    Raises:
        InvalidInput: what a worker refused.
        NotPossible: no scheduler at the address, or a worker does not see the files.
    """
    cluster = _client(options) if options.scheduler else _own_client(job, options)
    with whole(job.out) as partial, cluster as client:
        return _Run(job, client, partial, progress).all_parts(building.folder() if building else None)


@contextmanager
def _client(options: Options) -> Iterator[Any]:
    """A client of the cluster that is named."""
    try:
        client = distributed.Client(options.scheduler, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise NotPossible(
            f"no Dask scheduler answers at {options.scheduler}; start one with `dask scheduler`, or leave"
            " --scheduler out",
            code="no_scheduler",
        ) from error
    with client:
        yield client


@contextmanager
def _own_client(job: Job, options: Options) -> Iterator[Any]:
    """A client of a cluster of this machine that ends with the run."""
    workers = options.workers or len(os.sched_getaffinity(0))
    # what workers import is imported already where they are forked from; left to itself, Dask would now import
    # pandas and its like to name them
    distributed.utils._forkserver_preload_set = True  # noqa: SLF001  # there is no setting for it
    with (
        dask.config.set(OWN_CLUSTER),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any port: another run may have the usual one
            silence_logs=logging.CRITICAL,
            memory_limit=0,  # it goes by the block; nothing has to be watched
            plugins=(Warm(),) if job.engine == "compiled" else (),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class _Run:
    """One run: parts handed out, counted and gathered in their order."""

    def __init__(self, job: Job, client: Any, partial: Path, progress: Progress) -> None:
        self._points: Any = job.points
        self._job, self._client, self._progress = job, client, progress
        self._form = Form(*parquet_form(job.points, job.where.system, job.names))
        self._joined = None if is_folder(job.out) else partial
        self._folder = partial if self._joined is None else partial.parent / "parts"

    def all_parts(self, built: Path | None) -> Tally:
        """Hands out the parts and waits for them; `built` is the folder with the index, if there is one."""
        client, name = self._client, f"gridmap-assign-{uuid4()}"
        threads = sum(client.nthreads().values())
        parts = [
            replace(part, path=part.path.resolve())
            for part in self._points.parts(PARTS_A_WORKER * max(threads, 1))
        ]
        for part in parts:
            (self._folder / part.name).parent.mkdir(parents=True, exist_ok=True)
        try:
            client.register_plugin(Indexed(name, self._job, built))
            futures = [
                client.submit(_one_part, name, part, self._path(part).resolve(), self._form, pure=False)
                for part in parts
            ]
            try:
                tallies = self._gathered(parts, futures)
            finally:
                client.cancel(futures, force=True)
        finally:
            with suppress(OSError, TimeoutError, ValueError, KeyError):
                client.unregister_worker_plugin(name)
        tally = Tally()
        for each in tallies:
            tally.add(each)
        return tally

    def _path(self, part: Part) -> Path:
        return self._folder / part.name

    def _gathered(self, parts: list[Part], futures: list[Any]) -> list[Tally]:
        """Counts of the parts in their order; with one file for all, each is appended when its turn comes."""
        number = {future.key: at for at, future in enumerate(futures)}
        total = max(sum(part.rows for part in parts), 1)
        found: dict[int, Tally] = {}
        done = 0
        with _Joined(self._joined, self._form) as joined:
            appended = 0
            for future in distributed.as_completed(futures):
                at = number[future.key]
                found[at] = future.result()
                done += parts[at].rows
                self._progress(done / total)
                while self._joined is not None and appended in found:
                    joined.append(self._path(parts[appended]))
                    appended += 1
        if self._joined is not None:
            self._folder.rmdir()
        return [found[at] for at in range(len(parts))]


class _Joined:
    """One Parquet file out of many of the same form; nothing where parts stay parts."""

    def __init__(self, path: Path | None, form: Form) -> None:
        self._form = form
        self._packed = packed_schema(form.schema)
        self._writer = None if path is None else form.layout.writer(path, form.schema, self._packed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def append(self, path: Path) -> None:
        """Appends a file's row groups as they are, and removes the file."""
        added = self._form.schema.names[-len(PACKED) :]
        with pq.ParquetFile(path, read_dictionary=added[:2]) as file:
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                table = pa.Table.from_arrays(table.columns, schema=self._packed)
                if self._writer is not None:
                    self._writer.write_table(table, max(table.num_rows, 1))
        path.unlink()


def _one_part(name: str, part: Part, path: Path, form: Form) -> Tally:
    """Runs in a worker."""
    plugin: Any = distributed.get_worker().plugins[name]
    if not part.path.exists() or not path.parent.is_dir():
        raise NotPossible(
            f"a worker does not see {part.path} or the folder of OUT; all need the same files under the same names",
            code="no_shared_files",
        )
    tally = Tally()
    answered = answers(plugin.assigner, of_part(part), tally, lambda _: None)
    write_parquet(path, form.schema, form.layout, answered)
    return tally
