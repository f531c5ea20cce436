"""A run of `gridmap assign`: what was asked for, the files that were opened, and all that is checked beforehand."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from boundaries.assign_answer import Answers, Assigner, Tally, check_names
from boundaries.assign_grids import Grids, read_grids
from boundaries.assign_parquet import ParquetPoints, Part
from boundaries.assign_place import Where, find_place
from boundaries.assign_source import Batches, Points, is_parquet, open_points
from boundaries.read import PARQUET_ENDINGS
from boundaries.write import ending_of
from gridmap.errors import InvalidInput
from gridmap.index_engine import Engine, warm

Progress = Callable[[float], None]

COMPILED_FROM: Final = (
    5_000_000  # points for which compiled code is worth its start, even if it must be compiled
)
FINER_FROM: Final = 20_000_000  # points for which a finer lattice is worth its building


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

    @property
    def is_long(self) -> bool:
        """Whether the finer lattice pays."""
        return (self.points.rows or 0) >= FINER_FROM

    def assigner(self) -> Assigner:
        """What answers batches.

        Raises:
            InvalidInput: the grids are no coverage to ask; with file and row.
        """
        if self.engine == "compiled":
            # Numba is loaded meanwhile; building leaves it half of the machine
            with ThreadPoolExecutor(1) as beside:
                beside.submit(warm)
                index = self.grids.index(bulk=self.is_long)
        else:
            index = self.grids.index(bulk=self.is_long)
        return Assigner(index, self.grids.codes, self.where, tolerance_m=self.tolerance_m, engine=self.engine)


def is_folder(out: Path) -> bool:
    """Whether the output is a folder of Parquet parts: a name without an ending."""
    return not out.suffix or out.is_dir()


def is_parquet_out(out: Path) -> bool:
    """Whether the output is Parquet, a file or a folder."""
    return is_folder(out) or out.name.lower().endswith(PARQUET_ENDINGS)


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


def check_paths(points: Path, grids: Path, out: Path) -> None:
    """Checks that the output may be written and is none of the inputs.

    Raises:
        InvalidInput: `no_such_file`, `same_file`, `out_exists`, `unknown_ending`.
    """
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
