"""From a file to the database, whatever it holds."""

from collections.abc import Callable
from pathlib import Path

from boundaries.area_file import load_areas
from boundaries.building_file import load_buildings
from boundaries.event_file import Way, load_events
from boundaries.findings import Findings
from boundaries.job import Job, Options, Progress, Summary
from boundaries.street_file import load_streets
from boundaries.worker_file import load_workers
from gridmap import snapshot as snapshots
from gridmap.db import Database, Writer
from gridmap.errors import Conflict
from gridmap.intake import StaleBoundaries
from gridmap.memory import Memory
from gridmap.sealing import Seal


def load_file(
    noun: str,
    path: Path,
    options: Options,
    findings: Findings,
    *,
    session: Writer,
    database: Database,
    seal: Callable[[], Seal],
    progress: Progress | None = None,
) -> Summary:
    """Reads a file and stores what can be stored, inside the session's transaction.

    The caller commits, or rolls back where it is a dry run or rows were refused.

    Args:
        noun: `areas`, `buildings`, `streets`, `workers` or `events`.
        path: the file.
        options: how to read it.
        findings: takes refusals and repairs.
        session: the transaction.
        database: where boundaries and roster are read from, for events.
        seal: gives what closes contacts, for events.
        progress: called with how much of the file has been read, 0 to 1.

    Raises:
        InvalidInput: the file as a whole cannot be read; nothing was stored.
        Conflict: no boundaries are loaded, or they changed during the load.
    """
    job = Job(noun, path, options, findings, progress)
    if noun == "areas":
        return load_areas(session, job)
    if noun == "streets":
        return load_streets(session, job)
    if noun == "buildings":
        return load_buildings(session, job, snapshots.load(session))
    if noun == "workers":
        return load_workers(session, job, snapshots.load(session))
    memory = Memory(database, options.settings.time_zone)
    memory.refresh()
    try:
        return load_events(session, job, Way(memory, seal()))
    except StaleBoundaries as error:
        raise Conflict(
            "New boundaries came into force during the load; nothing was stored, start it again",
            code="stale_boundaries",
        ) from error
