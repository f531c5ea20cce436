"""Points in a file, grids in another: every point's grid into a third, without a database.

The rows go through in their order, batch by batch: read, answered by `GridIndex`, written. Nothing is kept of
them but counts, so any length will do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boundaries.assign_ahead import ahead
from boundaries.assign_answer import Assigner, Tally
from boundaries.assign_grids import sample_suspicion
from boundaries.assign_job import (
    Job,
    Options,
    Progress,
    answers,
    check_paths,
    is_folder,
    is_parquet_out,
    of_part,
    prepare,
)
from boundaries.assign_parquet import ParquetPoints, Part
from boundaries.assign_spread import spread
from boundaries.assign_write import Rows, parquet_form, whole, write_parquet, write_rows

__all__ = ["Options", "Summary", "assign_file"]


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes:
        tally: counts over all points.
        notes: what was assumed and what is suspicious, for people.
    """

    tally: Tally
    notes: list[str]


def assign_file(
    points: Path, grids: Path, out: Path, options: Options, *, progress: Progress = lambda _: None
) -> Summary:
    """Writes every point with its grid.

    Args:
        points: a file of any kind that is read, or a folder of Parquet parts.
        grids: a file with polygons and their codes.
        out: the file that is made, its kind by its ending; without an ending a folder of Parquet parts. A file
            of that name is replaced in the moment the new one is whole.
        options: how.
        progress: told how much is done, 0 to 1.

    Raises:
        InvalidInput: what cannot be read, found or written; with file, row and column. Nothing is written then.
        NotPossible: Dask is asked for and not installed, or its scheduler does not answer.
    """
    points, grids, out = Path(points), Path(grids), Path(out)
    check_paths(points, grids, out)
    job = prepare(points, grids, out, options)
    tally = spread(job, options, progress) if options.engine == "dask" else _run(job, progress)
    return Summary(tally, [*job.points.notes, *job.grids.notes, *_afterwards(job, tally)])


def _run(job: Job, progress: Progress) -> Tally:
    assigner, tally = job.assigner(), Tally()
    with whole(job.out) as partial:
        if not isinstance(job.points, ParquetPoints) or not is_parquet_out(job.out):
            answered = answers(assigner, job.points.batches(), tally, progress)
            write_rows(partial, Rows(job.points, job.where.system, job.names, answered))
        elif is_folder(job.out):
            _write_parts(job, job.points.parts(), assigner, partial, tally, progress)
        else:
            schema, layout = parquet_form(job.points, job.where.system, job.names)
            # reading and answering in one thread, encoding and compressing in another
            with ahead(answers(assigner, job.points.batches(), tally, progress)) as answered:
                write_parquet(partial, schema, layout, answered)
    return tally


def _write_parts(
    job: Job, parts: list[Part], assigner: Assigner, folder: Path, tally: Tally, progress: Progress
) -> None:
    schema, layout = parquet_form(job.points, job.where.system, job.names)
    total = max(job.points.rows or 0, 1)
    for part in parts:
        path = folder / part.name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = tally.rows

        def told(fraction: float, done: int = before, rows: int = part.rows) -> None:
            progress((done + fraction * rows) / total)

        with ahead(answers(assigner, of_part(part), tally, told)) as answered:
            write_parquet(path, schema, layout, answered)


def _afterwards(job: Job, tally: Tally) -> Iterator[str]:
    file = job.points.path.name
    if tally.first is not None:
        row, text = tally.first
        yield (
            f"warning: {file}: {tally.unreadable} coordinates are no numbers or no geometry (the first: row {row},"
            f" {text[:40]!r}); these points are nobody's"
        )
    if tally.rows and tally.in_grid < tally.located and job.where.system.definition is None:
        x, y = (np.concatenate(each) for each in zip(*tally.sample, strict=True))
        message = sample_suspicion(job.grids, x, y, job.where.system.name)
        if message:
            yield f"warning: {file}: {message}"
