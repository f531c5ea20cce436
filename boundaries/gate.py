"""The gate before an edition: grids that are no clean coverage do not get in, unless they are repaired.

What is loaded is checked together with what is stored round it. What was wrong in the store before is not held
against the file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.check import Areas, CoverageFinding, Rules, examine
from boundaries.check_areas import UNKNOWN
from boundaries.check_findings import TITLES
from boundaries.findings import Finding, Severity
from boundaries.ground import rules_of
from boundaries.job import Job
from boundaries.places import GEOMETRY
from boundaries.repair_coverage import Layers, Mended, Repair, repair
from gridmap.areas import AreaDraft, Preview
from gridmap.errors import InvalidInput
from gridmap.index import GRIDS
from gridmap.snapshot import Snapshot

BLOCKING: Final = frozenset(
    {"invalid", "overlap", "gap", "outside_parent", "not_contiguous", "duplicate_code", "bad_code"}
)
ALLOWABLE: Final = (
    "gap",
    "not_contiguous",
)  # a lake that is nobody's, a grid with an island: they may be meant
SAME_M2: Final = 0.01

Shapes = NDArray[np.object_]
Key = tuple[str, str | None, str | None, int | None]


@dataclass(frozen=True)
class _Merged:
    """The edition as it would be, as parallel arrays in the order of the codes."""

    drafts: Sequence[AreaDraft]
    geom: Shapes
    parent: NDArray[np.int64]
    movable: NDArray[np.bool_]
    households: NDArray[np.int64]

    def examined(self, geom: Shapes, rules: Rules) -> list[CoverageFinding]:
        """What is wrong where the areas have these polygons."""
        areas = Areas.from_arrays(
            geom,
            [draft.code for draft in self.drafts],
            kind=[draft.kind for draft in self.drafts],
            parent=[draft.parent for draft in self.drafts],
            households=self.households,
            rows=[draft.row or 0 for draft in self.drafts],
        )
        return examine(areas, rules=rules).findings

    def repaired(self, job: Job) -> Repair:
        """The areas after a repair."""
        owed = np.array([job.mended_m2.get(draft.row or 0, 0.0) for draft in self.drafts])
        layers = Layers(self.geom, [draft.kind for draft in self.drafts], self.parent, self.movable, owed)
        return repair(layers, width_m=job.options.repair_width_m, kinds=job.options.repair_kinds)


def passed(
    preview: Preview, job: Job, drafts: Sequence[AreaDraft], households: Mapping[str, int]
) -> list[AreaDraft]:
    """The areas that may be stored; whatever is wrong with grids becomes a refusal.

    Args:
        preview: the edition as it would be.
        job: takes findings and notes; says whether to repair, and what is allowed.
        drafts: the areas of the file.
        households: stated ones, by code.

    Raises:
        InvalidInput: `bad_width`.
    """
    _check_options(job)
    merged = _merge(preview, households)
    if not any(draft.kind in (*GRIDS, *job.options.repair_kinds) and draft.row for draft in merged.drafts):
        return list(drafts)
    geom = merged.geom
    if job.options.repair:
        result = merged.repaired(job)
        geom = result.geom
        for at, mended in sorted(result.mended.items()):
            _tell_mended(job, merged.drafts[at], geom[at], mended)
        if result.unsettled:
            places = ", ".join(f"({lon:.6f}, {lat:.6f})" for lon, lat in result.unsettled[:5])
            job.summary.notes.append(
                f"{len(result.unsettled)} 处边界无法精确贴合，保持原样"
                f" places where borders could not be fitted exactly and stay as they are: {places}"
            )
    rules = rules_of(job.options.settings)
    found = _new(merged.examined(geom, rules), preview.base, rules)
    grids = {draft.code for draft in merged.drafts if draft.kind in GRIDS}
    on_grids = [each for each in found if {each.area, each.other} & grids]
    _note_others(job, [each for each in found if not {each.area, each.other} & grids])
    blocking = [each for each in on_grids if each.code in BLOCKING - job.options.allow]
    hints = _Hints(job, merged, blocking)
    rows = {draft.code: draft.row for draft in merged.drafts}
    for each in on_grids:
        _tell(job, each, rows, hints)
    polygon = {draft.code: shape for draft, shape in zip(merged.drafts, geom, strict=True)}
    return [
        draft if polygon[draft.code] is draft.geom else replace(draft, geom=polygon[draft.code])
        for draft in drafts
        if draft.row is None or not job.findings.is_refused(draft.row)
    ]


def _check_options(job: Job) -> None:
    unknown = job.options.allow - set(ALLOWABLE)
    if unknown:
        raise InvalidInput(
            f"--allow {', '.join(sorted(unknown))}: only {' and '.join(ALLOWABLE)} can be allowed;"
            " everything else would give a place two owners or none",
            code="bad_allow",
        )


def _merge(preview: Preview, households: Mapping[str, int]) -> _Merged:
    drafts = [preview.areas[code] for code in sorted(preview.areas)]
    number = {draft.code: at for at, draft in enumerate(drafts)}
    geom = np.empty(len(drafts), dtype=object)
    geom[:] = [draft.geom for draft in drafts]
    base = preview.base
    movable = [
        draft.row is not None
        and not (
            draft.code in base.row
            and bool(shapely.equals_identical(base.geom[base.row[draft.code]], draft.geom))
        )
        for draft in drafts
    ]
    return _Merged(
        drafts,
        geom,
        np.array([number.get(draft.parent or "", -1) for draft in drafts], dtype=np.int64),
        np.array(movable, dtype=bool),
        np.array([households.get(draft.code, UNKNOWN) for draft in drafts], dtype=np.int64),
    )


def _new(found: list[CoverageFinding], base: Snapshot, rules: Rules) -> list[CoverageFinding]:
    """Findings that the store has not had before the load."""
    if not found or not len(base):
        return found
    areas = Areas.from_arrays(base.geom, list(base.code), kind=list(base.kind), parent=list(base.parent))
    before = {_key(each) for each in examine(areas, rules=replace(rules, ranges={})).findings}
    return [each for each in found if _key(each) not in before]


def _key(found: CoverageFinding) -> Key:
    size = None if found.measure is None else round(found.measure / SAME_M2)
    return found.code, found.area, found.other, size


class _Hints:
    """What a repair would make of each finding; tried only where there is something to say."""

    def __init__(self, job: Job, merged: _Merged, blocking: Sequence[CoverageFinding]) -> None:
        self._asked = job.options.repair
        self._width_m = job.options.repair_width_m
        self._refused = job.findings.refused
        self._left: set[tuple[str, str | None, str | None]] = set()
        if not blocking or self._asked:
            return
        result = merged.repaired(job)
        examined = merged.examined(result.geom, rules_of(job.options.settings))
        left = [each for each in examined if each.code in BLOCKING]
        self._left = {(each.code, each.area, each.other) for each in left}
        settled = sum(not self.stays(each) for each in blocking)
        gained = sum(each.gained_m2 for each in result.mended.values())
        lost = sum(each.lost_m2 for each in result.mended.values())
        without = (
            f"；被拒的 {self._refused} 行未参与检查，缝隙可能由此而来"
            f" ({self._refused} refused rows are not in this check: gaps may be theirs)"
            if self._refused
            else ""
        )
        job.summary.notes.append(
            f"网格问题 {len(blocking)} 处，不能入库；--repair（宽度 {self._width_m:g} m）可消除其中 {settled} 处，"
            f"改动 {len(result.mended)} 个图形（增 {gained:.1f} m²，减 {lost:.1f} m²）"
            f" {len(blocking)} findings on grids: nothing can be stored. --repair, {self._width_m:g} m wide,"
            f" would settle {settled} of them and change {len(result.mended)} polygons"
            f" (+{gained:.1f} m², -{lost:.1f} m²){without}"
        )

    def stays(self, found: CoverageFinding) -> bool:
        """Whether a repair would leave a finding of this code between these areas."""
        return (found.code, found.area, found.other) in self._left

    def on(self, found: CoverageFinding) -> str:
        """What to do about a finding."""
        if found.code == "bad_code":
            return "correct the code"
        if found.code == "gap" and self._refused:
            return "it may be what a refused row leaves: correct that first"
        if self._asked:
            return f"wider than {self._width_m:g} m or not to be settled by itself: correct the polygons"
        if self.stays(found):
            return f"--repair would leave it (it settles at most {self._width_m:g} m): correct the polygons"
        return "--repair would settle it"


def _tell(job: Job, found: CoverageFinding, rows: Mapping[str, int | None], hints: _Hints) -> None:
    row = next((rows[code] for code in (found.area, found.other) if code and rows.get(code)), None)
    severity: Severity = "warning"
    message = found.message
    if found.code in BLOCKING - job.options.allow:
        message = f"{message}; {hints.on(found)}"
        # where rows may be left out there are gaps: of these two wishes one has to give way
        severity = "warning" if found.code == "gap" and job.options.skip_refused else "error"
    job.findings.add(
        Finding(
            found.code,
            message,
            severity=severity,
            file=job.file,
            row=row,
            field=job.mapped.columns.get("code", "code") if found.code == "bad_code" else GEOMETRY,
            area=found.area,
            other=found.other,
            where=found.where,
            measure=None if found.measure is None else round(found.measure, 4),
            unit=found.unit,
        )
    )


def _tell_mended(job: Job, draft: AreaDraft, shape: shapely.Geometry, mended: Mended) -> None:
    summary = job.summary
    summary.fitted += 1
    summary.gained_m2 += mended.gained_m2
    summary.lost_m2 += mended.lost_m2
    done = [f"vertices moved by at most {mended.moved_m:.3f} m"] if mended.moved_m > 0 else []
    done += [
        f"{count} {what}"
        for count, what in (
            (mended.gaps, "gaps taken"),
            (mended.overlaps, "overlaps decided"),
            (mended.outside, "parts outside of its parent cut off"),
        )
        if count
    ]
    message = (
        f"边界贴合：增 {mended.gained_m2:.3f} m²，减 {mended.lost_m2:.3f} m²"
        f" fitted to its neighbours and parent: {', '.join(done) or 'vertices of neighbours put in'};"
        f" +{mended.gained_m2:.3f} m², -{mended.lost_m2:.3f} m²"
    )
    point = shapely.point_on_surface(shape)
    job.findings.add(
        Finding(
            "fitted",
            message,
            severity="info",
            file=job.file,
            row=draft.row,
            field=GEOMETRY,
            area=draft.code,
            where=(float(point.x), float(point.y)),
            measure=round(mended.gained_m2 + mended.lost_m2, 4),
            unit="m2",
        )
    )


def _note_others(job: Job, found: Sequence[CoverageFinding]) -> None:
    """Jurisdictions come as they are: what is wrong with them is counted."""
    counted = Counter(each.code for each in found)
    if counted:
        listed = ", ".join(f"{TITLES[code]} {code} {counted[code]}" for code in TITLES if counted[code])
        job.summary.notes.append(
            f"辖区（不阻止入库，明细见 gridmap check）：{listed}"
            " of jurisdictions; they do not block, gridmap check lists them"
        )
