"""Points in a file, grids in another: every point's grid into a third, without a database.

The rows go through in their order, batch by batch: read, answered by `GridIndex`, written. Nothing is kept of
them but counts, so any length will do.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from boundaries.assign_ahead import ahead
from boundaries.assign_answer import Answers, Assigner, Tally, check_names
from boundaries.assign_grids import Grids, read_grids, sample_suspicion
from boundaries.assign_parquet import ParquetPoints, Part
from boundaries.assign_place import Where, find_place
from boundaries.assign_source import Batches, Points, is_parquet, open_points
from boundaries.assign_write import Rows, is_folder, parquet_form, whole, write_parquet, write_rows
from boundaries.read import PARQUET_ENDINGS
from boundaries.write import ending_of
from gridmap.errors import InvalidInput
from gridmap.index_engine import Engine

Progress = Callable[[float], None]

COMPILED_FROM: Final = (
    5_000_000  # points for which compiled code is worth its start, even if it must be compiled
)


@dataclass(frozen=True)
class Options:
    """How points are assigned.

    Attributes:
        x: column of longitudes or eastings; None: as `assign_place.find_place` finds it.
        y: column of latitudes or northings.
        crs: reference system of the points; None: the file's own, else WGS-84.
        grids_crs: reference system of the grids; likewise.
        code: column of the grids' codes; None: the one that is named so.
        tolerance_m: how far from a grid a place in a gap is still its, in metres.
        encoding: of CSV and Shapefile.
        layer: layer or sheet of the points.
        prefix: before the names of the three new columns.
        engine: `local`, or `dask` for Parquet.
        scheduler: address of a Dask scheduler; None: a cluster of this machine, for this run.
        workers: processes of such a cluster; None: one for each core.
    """

    x: str | None = None
    y: str | None = None
    crs: str | None = None
    grids_crs: str | None = None
    code: str | None = None
    tolerance_m: float = 50.0
    encoding: str | None = None
    layer: str | None = None
    prefix: str = ""
    engine: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes:
        tally: counts over all points.
        notes: what was assumed and what is suspicious, for people.
    """

    tally: Tally
    notes: list[str]


@dataclass(frozen=True)
class Job:
    """Files that were opened, and what was found out about them.

    Attributes:
        points: the points.
        grids: the grids.
        where: which columns of the points hold the place.
        names: of the three new columns.
        out: target.
        tolerance_m: metres.
    """

    points: Points
    grids: Grids
    where: Where
    names: tuple[str, ...]
    out: Path
    tolerance_m: float

    @property
    def engine(self) -> Engine:
        """Of the index: compiled code at once where there is much to do."""
        return "compiled" if (self.points.rows or 0) >= COMPILED_FROM else "auto"

    def assigner(self) -> Assigner:
        """What answers batches.

        Raises:
            InvalidInput: the grids are no coverage to ask; with file and row.
        """
        index = self.grids.index()
        return Assigner(index, self.grids.codes, self.where, tolerance_m=self.tolerance_m, engine=self.engine)


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
    _check_paths(points, grids, out)
    job = prepare(points, grids, out, options)
    if options.engine == "dask":
        from boundaries import assign_dask  # noqa: PLC0415  # the extra need not be installed

        tally = assign_dask.run(job, options, progress)
    else:
        tally = _run(job, progress)
    return Summary(tally, [*job.points.notes, *job.grids.notes, *_afterwards(job, tally)])


def prepare(points: Path, grids: Path, out: Path, options: Options) -> Job:
    """Opens both files and checks everything that can be checked before the first row."""
    if not 0.0 <= options.tolerance_m < np.inf:
        raise InvalidInput(
            f"tolerance of {options.tolerance_m} m: a number from 0 on is needed", code="bad_tolerance"
        )
    source: Points
    if is_parquet(points):
        source = ParquetPoints(points)
    else:
        source = open_points(points, layer=options.layer, encoding=options.encoding)
    names = check_names(source.schema.names, options.prefix, points.name)
    where = find_place(source, options.x, options.y, options.crs)
    polygons = read_grids(grids, code=options.code, chosen_crs=options.grids_crs, encoding=options.encoding)
    polygons.notes[:] = [f"{polygons.file}: {note}" if "assumed" in note else note for note in polygons.notes]
    job = Job(source, polygons, where, names, out, options.tolerance_m)
    if where.system.name != polygons.system.name:
        polygons.notes.append(
            f"坐标系 reference systems: points {where.system.name}, grids {polygons.system.name}; both are converted"
            " to WGS-84"
        )
    if is_folder(out) and not isinstance(source, ParquetPoints):
        raise InvalidInput(
            f"{out}: a folder of Parquet parts is written from Parquet; name a file", code="unknown_ending"
        )
    if isinstance(source, ParquetPoints) and source.is_folder and not is_folder(out):
        _check_partitions(source)
    return job


def _check_paths(points: Path, grids: Path, out: Path) -> None:
    if not out.parent.is_dir():
        raise InvalidInput(f"{out.parent}: there is no such folder", code="no_such_file")
    if not points.exists():
        raise InvalidInput(f"{points}: there is no such file", code="no_such_file")
    for name, path in (("POINTS", points), ("GRIDS", grids)):
        if out.exists() and path.exists() and out.samefile(path):
            raise InvalidInput(
                f"{out}: is {name} itself, which is never written to; name another file", code="same_file"
            )
    if points.is_dir() and points.resolve() in out.resolve().parents:
        raise InvalidInput(f"{out}: lies in the folder of POINTS; name a file elsewhere", code="same_file")
    if not is_folder(out):
        ending_of(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInput(
            f"{out}: is there already, and no folder is replaced; name another, or empty it",
            code="out_exists",
        )


def _check_partitions(points: ParquetPoints) -> None:
    """Columns that stand in names of folders (`year=2026`) would be lost in one file."""
    named = next((part.name for part in points.parts() if "=" in part.name.rpartition("/")[0]), None)
    if named:
        raise InvalidInput(
            f"{points.path}: columns stand in the names of its folders ({named}), which one file cannot keep; name a"
            " folder for OUT",
            code="partitioned",
        )


def _run(job: Job, progress: Progress) -> Tally:
    assigner, tally = job.assigner(), Tally()
    with whole(job.out) as partial:
        if not isinstance(job.points, ParquetPoints) or not _is_parquet_out(job.out):
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


def _is_parquet_out(out: Path) -> bool:
    return is_folder(out) or out.name.lower().endswith(PARQUET_ENDINGS)


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


def of_part(part: Part) -> Batches:
    """The rows of a part, and how much of it has been read."""
    done = 0
    for block in part.blocks():
        done += block.num_rows
        yield block, done / max(part.rows, 1)


def answers(
    assigner: Assigner, batches: Iterable[tuple[pa.RecordBatch, float]], tally: Tally, progress: Progress
) -> Iterator[tuple[pa.RecordBatch, Answers]]:
    """Batches with their answers, counted as they pass."""
    for batch, fraction in batches:
        found = assigner.answer(batch)
        tally.add(found.tally)
        progress(fraction)
        yield batch, found


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
