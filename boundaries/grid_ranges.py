"""Grids that a load of buildings takes out of the range of households that their kind should have."""

from collections.abc import Mapping

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from boundaries.findings import Finding
from boundaries.ground import ranges_of
from boundaries.job import Job
from gridmap.household_ranges import breach
from gridmap.snapshot import Snapshot

Counts = Mapping[str, tuple[int, int]]
_NOWHERE = (0, 0)
_NAMED = 10  # in the summary; the report has all


def count_grids(session: Session) -> dict[str, tuple[int, int]]:
    """Households and buildings of every area that has any, by code."""
    rows = session.execute(sa.text("SELECT code, households, buildings FROM household_count"))
    return {row.code: (row.households, row.buildings) for row in rows}


def tell_ranges(job: Job, snapshot: Snapshot, before: Counts, after: Counts) -> None:
    """Reports grids that were in range and are not any more, and says how many are out of it.

    Args:
        job: takes findings (warnings: nothing is refused for them) and notes.
        snapshot: the edition in force.
        before: as of `count_grids`, before the buildings were stored.
        after: the same afterwards.
    """
    ranges = ranges_of(job.options.settings.household_ranges)
    if before == after:
        return
    fell: list[str] = []
    out = 0
    rows = np.flatnonzero(np.isin(snapshot.kind.astype(str), sorted(ranges)))
    for row in rows.tolist():
        code, limits = snapshot.code[row], ranges[snapshot.kind[row]]
        was, now = before.get(code, _NOWHERE), after.get(code, _NOWHERE)
        how = breach(*now, limits)
        out += how is not None
        if how is None or breach(*was, limits) is not None:
            continue
        fell.append(f"{code} {was[0]} → {now[0]}")
        place = shapely.point_on_surface(snapshot.geom[row])
        job.findings.add(
            Finding(
                code="households_out_of_range",
                message=f"{snapshot.name[row]} {code}: {was[0]} → {now[0]} 户，应为 {limits[0]}–{limits[1]} 户"
                f" households; {limits[0]} to {limits[1]} are meant for a {snapshot.kind[row]}",
                severity="warning",
                file=job.file,
                area=code,
                where=(place.x, place.y),
                measure=float(now[0]),
                unit="households",
            )
        )
    if fell:
        more = " …" if len(fell) > _NAMED else ""
        job.summary.notes.append(
            f"{len(fell)} 个网格户数超出范围 grids fell out of their range of households:"
            f" {'; '.join(fell[:_NAMED])}{more}"
        )
    if out:
        job.summary.notes.append(f"户数超限的网格共 {out} 个 grids out of range in all: {out} of {len(rows)}")
