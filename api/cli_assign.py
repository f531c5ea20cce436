"""`gridmap assign`: the grid of every point of a file, without a database."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from api.progress import progress_of
from boundaries import assign_workers


@click.command()
@click.argument("points", type=click.Path(path_type=Path))
@click.argument("grids", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--x", help="经度或东坐标的列 Column of longitudes or eastings; by default lon, 经度, …")
@click.option("--y", help="纬度或北坐标的列 Column of latitudes or northings; by default lat, 纬度, …")
@click.option("--crs", help="点的坐标系 Of the points: wgs84, cgcs2000, gcj02, bd09 or EPSG:n.")
@click.option("--grids-crs", help="网格的坐标系 Of the grids; by default the file's own.")
@click.option("--code", help="网格编码的列 Column of the grids' codes; by default code, 编码, …")
@click.option(
    "--tolerance-m", type=float, default=50.0, show_default=True, help="缝隙中离网格多远仍归它，米 Metres."
)
@click.option("--encoding", help="编码 Of CSV and Shapefile; by default detected.")
@click.option("--layer", help="图层或工作表 Layer or sheet of POINTS, where it has several.")
@click.option("--prefix", default="", help="新列名的开头 Before the names of the new columns.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster; by default one for this run.")
@click.option(
    "--workers", type=click.IntRange(1, 1024), help="Of a Dask cluster for this run; by default one a core."
)
def assign(points: Path, grids: Path, out: Path, **given: Any) -> None:
    """批量归格 The grid of every point in POINTS, by the polygons in GRIDS, written to OUT.

    Writes the columns of POINTS in their order and types, then grid (code, or empty), method (inside, border,
    nearest, none) and distance_m. Needs no database.

    Kinds of file by their ending: Parquet, GeoParquet, CSV (also .gz), XLSX, GeoPackage, GeoJSON, Shapefile,
    FlatGeobuf. POINTS may be a folder of Parquet parts; OUT without an ending is one. A file OUT is replaced when
    the new one is whole.
    """
    if given["engine"] == "dask" and not given["scheduler"]:
        assign_workers.begin()  # on another core, while this one imports and reads
    # pyarrow and shapely cost a third of a second that `gridmap --help` need not pay
    from boundaries.assign import Options, assign_file  # noqa: PLC0415
    from gridmap.errors import InvalidInput  # noqa: PLC0415

    if given["engine"] == "local" and (given["scheduler"] or given["workers"]):
        raise InvalidInput("--scheduler and --workers go with --engine dask", code="bad_option")
    if given["scheduler"] and given["workers"]:
        raise InvalidInput(
            "--workers is for a cluster of this run; --scheduler names another", code="bad_option"
        )
    with _ends_cleanly(), progress_of(points.name) as progress:
        summary = assign_file(points, grids, out, Options(**given), progress=progress)
    for note in summary.notes:
        click.echo(note, err=True)
    _show(summary.tally)


def _show(tally: Any) -> None:
    def share(part: int) -> str:
        return f"{part}/{tally.rows} = {100 * part / tally.rows:.2f} %" if tally.rows else "–"

    click.echo(" · ".join(f"{name} {count}" for name, count in tally.counts().items()))
    click.echo(f"入格率 in-grid rate {share(tally.in_grid)}")
    click.echo(f"定位率 located rate {share(tally.located)}")


@contextmanager
def _ends_cleanly() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, so that nothing half done stays on the disk."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up is not interrupted
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
