"""Files of buildings on their way in: a place or footprint, and a count of households, never names."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import topology
from boundaries.grid_ranges import count_grids, tell_ranges
from boundaries.job import Job, Summary
from boundaries.mending import mend
from boundaries.places import GEOMETRY, Places, place
from boundaries.suspicion import Suspicion, refuse_swapped
from boundaries.values import Rows
from gridmap.buildings import DEFAULT_KIND, BuildingDrafts, BuildingLoad
from gridmap.db import Writer
from gridmap.snapshot import Snapshot


def load_buildings(session: Writer, job: Job, snapshot: Snapshot) -> Summary:
    """Reads buildings in a stream, finds their areas, and takes them over.

    Args:
        session: its owner commits or rolls back.
        job: the file.
        snapshot: the edition in force.
    """
    job.require("code", "households")
    job.require_place()
    system = job.system()
    load = BuildingLoad(session, snapshot)
    suspicion = Suspicion(snapshot, system)
    elsewhere = 0
    for rows in job.rows():
        codes = rows.codes("code") or []
        names = rows.names()
        kinds = rows.texts("kind", longest=64)
        households = rows.whole("households")
        together = rows.texts("keep_together", longest=200)
        places = place(rows, system, "building")
        _mend(rows, job, places, codes)
        suspicion.add(places)
        good = np.flatnonzero(rows.good)
        if not len(good):
            continue
        drafts = BuildingDrafts(
            row=rows.chunk.rows[good],
            code=[codes[at] or "" for at in good],
            name=None if names is None else [names[at] or "" for at in good],
            kind=None if kinds is None else [kinds[at] or DEFAULT_KIND for at in good],
            households=_counts(households, good),
            geom=places.geom[good],
            keep_together=None if together is None else [together[at] or "" for at in good],
        )
        held = load.add(drafts)
        elsewhere += _outside(rows, load, snapshot, places, good[~held])
    job.refuse_duplicates(load.duplicates())
    _remarks(job, suspicion.message(), elsewhere)
    before = count_grids(session)
    job.summary.add(load.store(job.options.today))
    tell_ranges(job, snapshot, before, count_grids(session))
    return job.done()


def _counts(households: NDArray[np.int64] | None, good: NDArray[np.intp]) -> NDArray[np.int64]:
    return np.zeros(len(good), dtype=np.int64) if households is None else households[good]


def _mend(rows: Rows, job: Job, places: Places, codes: Sequence[str | None]) -> None:
    """Footprints that cross themselves are refused, or repaired where that was asked for."""
    flaws = topology.flaws(places.geom)
    if job.options.repair and flaws:
        places.geom[:] = mend(rows, job, places.geom, flaws, codes)
        return
    for at, flaw in flaws.items():
        message = f"{flaw.reason}; correct the footprint, or load with --repair"
        rows.refuse(at, "invalid", message, field=GEOMETRY, where=flaw.where, area=codes[at])


def _outside(
    rows: Rows, load: BuildingLoad, snapshot: Snapshot, places: Places, outside: NDArray[np.intp]
) -> int:
    """Buildings that no area holds: refused where their axes look swapped; returns how many others."""
    if not len(outside):
        return 0
    points = np.full(len(rows), None, dtype=object)
    points[outside] = shapely.point_on_surface(places.geom[outside])
    swapped = refuse_swapped(rows, snapshot, shapely.get_x(points), shapely.get_y(points), outside)
    if swapped:
        load.drop(swapped)
    return len(outside) - len(swapped)


def _remarks(job: Job, suspicion: str | None, elsewhere: int) -> None:
    if elsewhere:
        job.summary.notes.append(f"{elsewhere} buildings lie in no area")
    if suspicion:
        job.summary.notes.append(f"warning: {suspicion}")
