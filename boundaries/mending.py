"""Repairing polygons on their way in, with a finding for each: nothing is changed silently."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from boundaries import repair
from boundaries.findings import Finding
from boundaries.job import Job
from boundaries.places import GEOMETRY
from boundaries.topology import Flaw
from boundaries.values import Rows


def mend(
    rows: Rows,
    job: Job,
    polygons: NDArray[np.object_],
    flaws: Mapping[int, Flaw],
    codes: Sequence[str | None],
) -> NDArray[np.object_]:
    """Polygons of a chunk with the invalid ones made valid; what nothing is left of is refused.

    Args:
        rows: under check.
        job: counts the repairs.
        polygons: of the chunk.
        flaws: what is wrong, by position.
        codes: of the polygons.
    """
    broken = np.array(sorted(flaws))
    repaired = repair.make_valid(polygons[broken])
    mended = polygons.copy()
    mended[broken] = repaired.polygons
    results = zip(broken.tolist(), repaired.changed_m2.tolist(), repaired.widened.tolist(), strict=True)
    for at, changed_m2, widened in results:
        flaw = flaws[at]
        if mended[at] is None:
            message = f"{flaw.reason}; nothing of an area is left"
            rows.refuse(at, "invalid", message, field=GEOMETRY, where=flaw.where, area=codes[at])
            continue
        job.mended_m2[int(rows.chunk.rows[at])] = changed_m2
        job.summary.repaired += 1
        job.summary.repaired_m2 += changed_m2
        job.findings.add(
            Finding(
                "repaired",
                repair.describe(flaw.reason, changed_m2, widened=widened),
                severity="warning" if widened else "info",
                file=job.file,
                row=int(rows.chunk.rows[at]),
                area=codes[at],
                where=flaw.where,
                measure=round(changed_m2, 3),
                unit="m2",
            )
        )
    return mended
