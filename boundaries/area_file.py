"""Files of areas on their way in: codes, names, parents, and polygons that must be valid."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import gate, topology
from boundaries.fields import map_fields, require
from boundaries.job import Job, Summary
from boundaries.mending import mend
from boundaries.places import GEOMETRY, Places, System, place
from boundaries.read import open_source
from boundaries.suspicion import of_areas
from boundaries.values import Refused, Rows, as_text, read_code
from gridmap import snapshot as snapshots
from gridmap.areas import AreaDraft, ImportResult, import_areas
from gridmap.areas import preview as preview_areas
from gridmap.buildings import Stored
from gridmap.codes import DEFAULT
from gridmap.db import Writer
from gridmap.errors import InvalidInput
from gridmap.snapshot import KINDS, Snapshot

KIND_WORDS: Final[Mapping[str, str]] = {
    "省": "province", "市": "city", "地级市": "city", "县": "county", "区": "county", "区县": "county",
    "镇": "town", "乡": "town", "街道": "town", "乡镇": "town", "镇街": "town", "乡镇街道": "town",
    "村": "village", "社区": "village", "村社区": "village", "村居": "village",
    "派出所": "precinct", "派出所辖区": "precinct", "警务区": "precinct", "法院": "court", "法庭": "court",
    "检察院": "procuratorate", "司法所": "justice", "片区": "section",
    "综合网格": "comprehensive", "网格": "comprehensive", "微网格": "micro", "专属网格": "dedicated",
}  # fmt: skip
SETTINGS: Final = ("urban", "rural", "dedicated")
SETTING_WORDS: Final[Mapping[str, str]] = {
    "城市": "urban", "城镇": "urban", "城区": "urban", "农村": "rural", "乡村": "rural", "专属": "dedicated",
}  # fmt: skip

Register = Mapping[str, tuple[str, str | None]]


def load_areas(session: Writer, job: Job) -> Summary:
    """Reads areas, checks each, and makes an edition of them.

    Args:
        session: its owner commits or rolls back.
        job: the file.
    """
    job.require("code", "kind")
    job.require_place()
    system = job.system()
    register = _register(job)
    drafts: list[AreaDraft] = []
    households: dict[str, int] = {}
    for rows in job.rows():
        names, parents = _names_and_parents(rows, register)
        codes = rows.codes("code") or []
        kinds = rows.choice("kind", KINDS, KIND_WORDS, code="unknown_kind") or []
        settings = rows.choice("setting", SETTINGS, SETTING_WORDS, code="unknown_setting", required=False)
        # counted from buildings once they are loaded; until then what the file says is held to the ranges
        counts = rows.whole("households", default=0)
        if counts is not None:
            households |= {
                code: count for code, count in zip(codes, counts.tolist(), strict=True) if code and count
            }
        places = place(rows, system, "area")
        polygons = topology.as_multi(_valid(rows, job, places, codes))
        drafts += [
            AreaDraft(
                kind=kinds[at] or "",
                code=codes[at] or "",
                name=names[at] or "",
                setting=settings[at] if settings else None,
                parent=parents[at],
                geom=polygons[at],
                row=int(rows.chunk.rows[at]),
            )
            for at in np.flatnonzero(rows.good).tolist()
        ]
    before = snapshots.load(session)
    drafts = [_filled(_same_shape(draft, before), before, job) for draft in drafts]
    if register is not None:
        drafts = _known_parents(before, job, drafts)
    _suspect(before, job, drafts, system)
    drafts, expected = _passed(session, job, drafts, households)
    result = _import(session, job, drafts, expected)
    if result is not None:
        job.summary.edition = result.edition
        job.summary.add(Stored(result.created, result.changed, result.unchanged))
        if not result.in_force:
            job.summary.notes.append(
                "an edition that was published before is yet to come into force: this one does right after it"
            )
        if result.events_moved or result.buildings_moved:
            job.summary.notes.append(
                f"{result.events_moved} events and {result.buildings_moved} buildings changed hands"
            )
    return job.done()


def _valid(rows: Rows, job: Job, places: Places, codes: Sequence[str | None]) -> NDArray[np.object_]:
    """Polygons of the chunk, the invalid ones refused or repaired."""
    polygons = places.geom
    flaws = topology.flaws(polygons)
    if not flaws:
        return polygons
    if not job.options.repair:
        for at, flaw in flaws.items():
            message = f"{flaw.reason}; correct the polygon, or load with --repair"
            rows.refuse(at, "invalid", message, field=GEOMETRY, where=flaw.where, area=codes[at])
        return polygons
    return mend(rows, job, polygons, flaws, codes)


def _register(job: Job) -> Register | None:
    """Names and parents by code, from a table without polygons."""
    path = job.options.names
    if path is None:
        return None
    source = open_source(Path(path))
    mapped = map_fields("areas", source.columns, {}, {}, file=source.path.name)
    require(mapped, ("code", "name"), source.columns, file=source.path.name)
    register: dict[str, tuple[str, str | None]] = {}
    columns = [mapped.columns[name] for name in ("code", "name", "parent") if name in mapped]
    for chunk in source.chunks(columns):
        values = [chunk.columns[column] for column in columns]
        for row, entry in zip(chunk.rows, zip(*values, strict=True), strict=True):
            try:
                code = read_code(entry[0]) if entry[0] is not None else ""
            except Refused as refused:
                raise InvalidInput(
                    f"{source.path.name}, row {row}: {entry[0]!r}: {refused.message}", code=refused.code
                ) from refused
            if code and entry[1]:
                parent = as_text(entry[2]) if len(entry) > 2 and entry[2] is not None else None
                register[code] = (as_text(entry[1]), parent)
    return register


def _names_and_parents(rows: Rows, register: Register | None) -> tuple[list[str | None], list[str | None]]:
    """Names and parents, where the file has none from the register."""
    empty: list[str | None] = [None] * len(rows)
    names = rows.names() or list(empty)
    parents = rows.codes("parent", required=False) or list(empty)
    if register is None:
        return names, parents
    for at, code in enumerate(rows.raw("code") or []):
        entry = register.get(as_text(code)) if code is not None else None
        if entry is not None:
            names[at] = entry[0]
            parents[at] = parents[at] or entry[1]
    return names, parents


def _same_shape(draft: AreaDraft, before: Snapshot) -> AreaDraft:
    """The polygon as it is stored where only rings are turned round or begin elsewhere, as kinds of file do.

    Otherwise a dump that is loaded again would make an edition of areas that nobody changed.
    """
    row = before.row.get(draft.code)
    if row is None or not shapely.equals_exact(draft.geom, before.geom[row], 0.0, normalize=True):
        return draft
    return replace(draft, geom=before.geom[row])


def _filled(draft: AreaDraft, before: Snapshot, job: Job) -> AreaDraft:
    """With the name and setting that are stored where the file says none: boundaries come without them often."""
    row = before.row.get(draft.code)
    if row is None:
        return draft if draft.name else replace(draft, name=draft.code)
    setting = draft.setting if "setting" in job.mapped else before.setting[row]
    return replace(draft, name=draft.name or before.name[row], setting=setting)


def _known_parents(before: Snapshot, job: Job, drafts: Sequence[AreaDraft]) -> list[AreaDraft]:
    """Leaves out parents that the register names and nobody has loaded; they are then found by place."""
    if "parent" in job.mapped:
        return list(drafts)
    known = {*before.row, *(draft.code for draft in drafts)}
    absent = {draft.parent for draft in drafts if draft.parent and draft.parent not in known}
    if absent:
        job.summary.notes.append(
            f"{len(absent)} parents of the register are not loaded ({', '.join(sorted(absent)[:5])}):"
            " these areas stand without"
        )
    return [
        draft if draft.parent is None or draft.parent in known else replace(draft, parent=None)
        for draft in drafts
    ]


def _suspect(before: Snapshot, job: Job, drafts: Sequence[AreaDraft], system: System) -> None:
    """Says where the areas look shifted against what is stored, as GCJ-02 given as WGS-84 does."""
    coming = {draft.code for draft in drafts}
    holders = [_holder(draft, before, coming) for draft in drafts]
    known = [at for at, holder in enumerate(holders) if holder is not None]
    if not known:
        return
    geom = np.array([drafts[at].geom for at in known], dtype=object)
    rows = np.array([before.row[holders[at] or ""] for at in known], dtype=np.int64)
    message = of_areas(geom, rows, before, system)
    if message:
        job.summary.notes.append(f"warning: {message}")


def _holder(draft: AreaDraft, before: Snapshot, coming: Collection[str]) -> str | None:
    """Code of a stored area in which an area should lie: its parent, one that its code hangs from, or itself."""
    if draft.parent is not None:
        return draft.parent if draft.parent in before.row and draft.parent not in coming else None
    try:
        chain = DEFAULT.chain(draft.code)[-2::-1]
    except InvalidInput:
        chain = ()
    for code in (*chain, draft.code):
        if code in before.row and (code == draft.code or code not in coming):
            return code
    return None


def _passed(
    session: Writer, job: Job, drafts: list[AreaDraft], households: Mapping[str, int]
) -> tuple[list[AreaDraft], int | None]:
    """The areas that may be stored, repaired where that was asked for, and the edition that they were checked on."""
    while drafts:
        preview = preview_areas(session, drafts)
        if not preview.findings:
            return gate.passed(preview, job, drafts, households), preview.base.edition
        rows = {int(str(each["row"])) for each in preview.findings}
        for each in preview.findings:
            _refuse(job, each)
        drafts = [draft for draft in drafts if draft.row not in rows]
    return drafts, None


def _import(
    session: Writer, job: Job, drafts: Sequence[AreaDraft], expected: int | None
) -> ImportResult | None:
    if not drafts:
        return None
    options = job.options
    return import_areas(
        session, drafts, actor=options.actor, settings=options.settings, note=job.file, expected=expected
    )


def _refuse(job: Job, finding: Mapping[str, object]) -> None:
    field = str(finding.get("field") or "code")
    where = finding.get("where")
    job.findings.refuse(
        int(str(finding["row"])),
        str(finding.get("code", "invalid")),
        str(finding["message"]),
        field=job.mapped.columns.get(field, field),
        value=finding.get("value"),
        where=(float(where[0]), float(where[1])) if isinstance(where, list) else None,
        area=str(finding.get("area")),
    )
