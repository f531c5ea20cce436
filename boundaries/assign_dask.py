"""Parquet parts spread over a Dask cluster: the same answers, all or nothing.

Each worker process builds the index once, when it joins; tasks carry the names of files and numbers of row groups,
never rows. Workers and the caller see the same files. Importing this module needs the extra `cluster`.
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
from boundaries.assign_job import Job, Options, Progress, answers, is_folder, is_parquet_out, of_part
from boundaries.assign_parquet import Layout, ParquetPoints, Part
from boundaries.assign_write import packed_schema, parquet_form, whole, write_parquet
from gridmap.errors import InvalidInput, NotPossible

try:
    import distributed
except ImportError as error:
    raise NotPossible(
        "--engine dask needs Dask, which is not installed: pip install 'gridmap-service[cluster]'",
        code="no_dask",
    ) from error

PARTS_A_WORKER: Final = 12  # so that nobody waits long for the last one
CONNECT_S: Final = 10  # to an address where nobody answers


@dataclass(frozen=True)
class Form:
    """How every part is written."""

    schema: pa.Schema
    layout: Layout


class Indexed(distributed.WorkerPlugin):  # type: ignore[misc]  # it has no types
    """Gives every worker the index: built when the worker joins, dropped when the run is over."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._parts = (job.grids, job.where, job.tolerance_m, job.engine)
        self.assigner: Assigner | None = None

    def setup(self, worker: Any) -> None:  # noqa: ARG002  # as the base class has it
        """Builds the index, and keeps pyarrow from taking the cores of other workers."""
        pa.set_cpu_count(1)
        grids, where, tolerance_m, engine = self._parts
        self.assigner = Assigner(grids.index(), grids.codes, where, tolerance_m=tolerance_m, engine=engine)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002  # as the base class has it
        """Drops the index."""
        self.assigner = None


def run(job: Job, options: Options, progress: Progress) -> Tally:
    """Assigns a Parquet file or folder.

    Args:
        job: opened files; the output is Parquet too.
        options: which cluster.
        progress: told how much is done, 0 to 1.

    Raises:
        InvalidInput: points or output are no Parquet; what a worker refused.
        NotPossible: no scheduler at the address, or a worker does not see the files.
    """
    if not isinstance(job.points, ParquetPoints) or not is_parquet_out(job.out):
        raise InvalidInput(
            "--engine dask spreads Parquet parts: POINTS and OUT are Parquet files or folders of them; otherwise"
            " take --engine local",
            code="no_parquet",
        )
    job.grids.check()  # what is wrong with the grids is said here, not by every worker
    with whole(job.out) as partial, _client(options) as client:
        return _Run(job, client, partial, progress).all_parts()


@contextmanager
def _client(options: Options) -> Iterator[Any]:
    """A client of the cluster that is named, else of one of this machine that ends with the run."""
    if options.scheduler:
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
        return
    workers = options.workers or len(os.sched_getaffinity(0))
    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any port: another run may have the usual one
            silence_logs=logging.CRITICAL,
            memory_limit=0,  # it goes by the block; nothing has to be watched
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

    def all_parts(self) -> Tally:
        """Hands out the parts and waits for them."""
        client, name = self._client, f"gridmap-assign-{uuid4()}"
        threads = sum(client.nthreads().values())
        parts = [
            replace(part, path=part.path.resolve())
            for part in self._points.parts(PARTS_A_WORKER * max(threads, 1))
        ]
        for part in parts:
            (self._folder / part.name).parent.mkdir(parents=True, exist_ok=True)
        # workers know of the points only how many there are
        counted: Any = _Counted(self._points.rows)
        known = replace(self._job, points=counted)
        try:
            client.register_plugin(Indexed(name, known))
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


@dataclass(frozen=True)
class _Counted:
    """Of the points, what `Job.engine` looks at."""

    rows: int | None


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
