"""Parquet points spread over a Dask cluster: what is checked and begun before Dask is imported."""

from contextlib import nullcontext
from importlib.util import find_spec

from boundaries.assign_answer import Tally
from boundaries.assign_job import Job, Options, Progress, is_parquet_out
from boundaries.assign_parquet import ParquetPoints
from boundaries.assign_workers import Building
from gridmap.errors import InvalidInput


def spread(job: Job, options: Options, progress: Progress) -> Tally:
    """Assigns a Parquet file or folder over a cluster.

    Args:
        job: opened files.
        options: which cluster.
        progress: told how much is done, 0 to 1.

    Raises:
        InvalidInput: points or output are no Parquet; what a worker refused.
        NotPossible: Dask is not installed; no scheduler at the address, or a worker does not see the files.
    """
    if not isinstance(job.points, ParquetPoints) or not is_parquet_out(job.out):
        raise InvalidInput(
            "--engine dask spreads Parquet parts: POINTS and OUT are Parquet files or folders of them; otherwise"
            " take --engine local",
            code="no_parquet",
        )
    job.grids.check()  # what is wrong with the grids is said here, not by every worker
    own = options.scheduler is None and find_spec("distributed") is not None
    with Building(job.grids, bulk=job.is_long) if own else nullcontext() as building:
        from boundaries import assign_dask  # noqa: PLC0415  # the extra need not be installed

        return assign_dask.run(job, options, progress, building)
