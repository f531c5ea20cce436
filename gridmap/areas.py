"""Loading areas: each load makes an edition, whole or not at all.

What a file does not name stays as it is. Areas that change get a new row and close the old one; whatever lay
in a changed area, events and buildings, is placed anew in the same transaction.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.audit import Entry, record
from gridmap.db import Writer, copy_rows, lock_edition
from gridmap.errors import InvalidInput
from gridmap.relocation import relocate
from gridmap.routing import load_roster
from gridmap.settings import Settings
from gridmap.snapshot import KINDS, NESTING, ORDER, OVERLAYS, Snapshot

_CODE = re.compile(r"[A-Za-z0-9_]{1,255}")  # a label of PostgreSQL's ltree
# Coarser kinds that may be the parent of a kind where the file names none, the finest first.
_ABOVE: Mapping[str, tuple[str, ...]] = {
    **{kind: NESTING[:order][::-1] for order, kind in enumerate(NESTING)},
    **dict.fromkeys(OVERLAYS, ("county", "city", "province")),
    "dedicated": ("village", "town", "county", "city", "province"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaDraft:
    """An area as a file gives it; `geom` is a valid MultiPolygon in EPSG:4326, `row` counts from 1."""

    kind: str
    code: str
    name: str
    geom: shapely.MultiPolygon
    setting: str | None = None
    parent: str | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What a load of areas did."""

    edition: int
    created: int
    changed: int
    unchanged: int
    moved_along: int  # areas whose path changed because an area above them did
    events_moved: int = 0
    buildings_moved: int = 0


def import_areas(
    session: Writer, drafts: Sequence[AreaDraft], *, actor: str, settings: Settings, note: str = ""
) -> ImportResult:
    """Makes the next edition out of the current one and these areas, and places anew what lay in them.

    The first load is in force since ever, later ones from now on. The caller commits, then renews memory.

    Raises:
        InvalidInput: with findings by row: a code twice, a code retired or of another kind, an unknown parent,
            a parent that is not coarser, a circle of parents.
    """
    lock_edition(session, exclusive=True)
    base = snapshots.load(session, _newest(session))
    result = _merge(base, drafts)
    findings = [*_code_findings(session, base, drafts), *result.findings]
    if findings:
        raise InvalidInput(
            f"{len(findings)} of {len(drafts)} areas cannot be taken", code="areas_refused", findings=findings
        )
    changed = [code for code, row in result.table.items() if not row.same]
    if not changed:
        return ImportResult(base.edition, 0, 0, len(drafts), 0)
    edition = _next_edition(session, actor, note, len(changed))
    detail = {"areas_changed": len(changed), "note": note}
    record(session, Entry(actor, "edition.publish", f"edition:{edition}", edition=edition, detail=detail))
    _write(session, edition, base, result.table, changed)
    box = _box(base, result.table, changed)
    snapshot = snapshots.load(session, edition)
    roster = load_roster(session, settings.time_zone)
    events, buildings = relocate(session, snapshot, roster, box, settings.tolerance_m)
    loaded = {draft.code for draft in drafts}
    created = sum(code not in base.row for code in changed)
    return ImportResult(
        edition=edition,
        created=created,
        changed=sum(code in base.row and code in loaded for code in changed),
        unchanged=len(drafts) - sum(code in loaded for code in changed),
        moved_along=sum(code not in loaded for code in changed),
        events_moved=events,
        buildings_moved=buildings,
    )


@dataclass(slots=True)
class _Row:
    kind: str
    name: str
    setting: str | None
    parent: str | None
    geom: shapely.MultiPolygon
    row: int | None = None
    path: str = ""
    same: bool = True


@dataclass(frozen=True)
class _Merged:
    table: dict[str, _Row]
    findings: list[dict[str, object]]


def _newest(session: Writer) -> int | None:
    """The newest edition, also one whose moment has not come: the next one builds on it."""
    newest: int | None = session.execute(sa.text("SELECT max(id) FROM edition")).scalar_one()
    return newest


def _merge(base: Snapshot, drafts: Sequence[AreaDraft]) -> _Merged:
    table = {
        code: _Row(base.kind[row], base.name[row], base.setting[row], base.parent[row], base.geom[row])
        for code, row in base.row.items()
    }
    for draft in drafts:
        table[draft.code] = _Row(
            draft.kind, draft.name, draft.setting, draft.parent, draft.geom, draft.row, same=False
        )
    _find_parents(table, [draft.code for draft in drafts if draft.parent is None])
    findings = _parent_findings(table, drafts)
    if not findings:
        for code in table:
            _path(table, code)
        for code, row in table.items():
            row.same = code in base.row and _unchanged(base, base.row[code], row)
    return _Merged(table, findings)


def _unchanged(base: Snapshot, number: int, row: _Row) -> bool:
    before = (base.kind[number], base.name[number], base.setting[number], base.path[number])
    return before == (row.kind, row.name, row.setting, row.path) and bool(
        shapely.equals_identical(base.geom[number], row.geom)
    )


def _find_parents(table: dict[str, _Row], orphans: Sequence[str]) -> None:
    """Gives areas without a stated parent the finest coarser area that holds a point inside them."""
    kinds = {table[code].kind for code in orphans}
    for above in NESTING[::-1]:
        if not any(above in _ABOVE.get(kind, ()) for kind in kinds):
            continue
        codes = [code for code, row in table.items() if row.kind == above]
        waiting = [
            code
            for code in orphans
            if table[code].parent is None and above in _ABOVE.get(table[code].kind, ())
        ]
        if not codes or not waiting:
            continue
        points = shapely.point_on_surface([table[code].geom for code in waiting])
        tree = shapely.STRtree([table[code].geom for code in codes])
        which, holder = tree.query(points, predicate="intersects")
        for each, parent in sorted(zip(which.tolist(), holder.tolist(), strict=True), reverse=True):
            table[waiting[each]].parent = codes[parent]


def _parent_findings(table: Mapping[str, _Row], drafts: Iterable[AreaDraft]) -> list[dict[str, object]]:
    findings: list[dict[str, object]] = []
    for draft in drafts:
        parent = table[draft.code].parent
        if parent is None or draft.kind not in KINDS:
            continue
        if parent not in table:
            findings.append(_finding(draft, "parent", "unknown_parent", f"no area has the code {parent}"))
        elif table[parent].kind not in _ABOVE[draft.kind]:
            allowed = ", ".join(_ABOVE[draft.kind]) or "none"
            message = f"a {table[parent].kind} cannot hold a {draft.kind}; allowed: {allowed}"
            findings.append(_finding(draft, "parent", "bad_parent", message))
    return findings


def _path(table: Mapping[str, _Row], code: str) -> str:
    # Parents are strictly coarser, so this ends after as many steps as there are kinds.
    row = table[code]
    if not row.path:
        row.path = f"{_path(table, row.parent)}.{code}" if row.parent else code
    return row.path


def _finding(draft: AreaDraft, field: str, code: str, message: str) -> dict[str, object]:
    where = shapely.point_on_surface(draft.geom)
    return {
        "row": draft.row,
        "field": field,
        "value": draft.code,
        "code": code,
        "message": message,
        "where": [where.x, where.y],
    }


def _code_findings(session: Writer, base: Snapshot, drafts: Sequence[AreaDraft]) -> list[dict[str, object]]:
    findings: list[dict[str, object]] = []
    used = session.execute(
        sa.text("SELECT code, kind, retired_in FROM area_code WHERE code = ANY(:codes)"),
        {"codes": [draft.code for draft in drafts]},
    ).all()
    known = {row.code: row for row in used}
    seen: set[str] = set()
    for draft in drafts:
        if draft.kind not in KINDS:
            findings.append(_finding(draft, "kind", "bad_kind", f"allowed: {', '.join(KINDS)}"))
        if not _CODE.fullmatch(draft.code):
            findings.append(_finding(draft, "code", "bad_code", "a code is made of A-Z a-z 0-9 _ alone"))
        if draft.code in seen:
            findings.append(_finding(draft, "code", "duplicate_code", "the code stands twice in the file"))
        seen.add(draft.code)
        before = known.get(draft.code)
        if before is None:
            continue
        if before.retired_in is not None and draft.code not in base.row:
            message = f"retired in edition {before.retired_in}; a retired code is never used again"
            findings.append(_finding(draft, "code", "retired_code", message))
        elif before.kind != draft.kind:
            message = f"the code belongs to a {before.kind}"
            findings.append(_finding(draft, "code", "code_of_other_kind", message))
    return findings


def _next_edition(session: Writer, actor: str, note: str, changed: int) -> int:
    return int(
        session.execute(
            sa.text(
                "INSERT INTO edition (id, in_force_from, published_by, note, areas_changed)"
                " SELECT coalesce(max(id), 0) + 1, CASE WHEN max(id) IS NULL THEN '-infinity'"
                # Moments strictly increase, also when two loads share a microsecond.
                " ELSE greatest(clock_timestamp(), max(in_force_from) + interval '1 microsecond') END,"
                " :actor, :note, :changed FROM edition RETURNING id"
            ),
            {"actor": actor, "note": note, "changed": changed},
        ).scalar_one()
    )


def _write(
    session: Writer, edition: int, base: Snapshot, table: Mapping[str, _Row], changed: Sequence[str]
) -> None:
    replaced = [code for code in changed if code in base.row]
    session.execute(
        sa.text("UPDATE area SET edition_to = :edition WHERE code = ANY(:codes) AND edition_to IS NULL"),
        {"edition": edition, "codes": replaced},
    )
    ordered = sorted(changed, key=lambda code: (ORDER[table[code].kind], code))
    wkb = shapely.to_wkb(
        shapely.set_srid(np.array([table[code].geom for code in ordered], dtype=object), 4326),
        hex=True,
        include_srid=True,
    )
    copy_rows(
        session,
        "area",
        ("kind", "code", "name", "setting", "parent", "path", "geom", "edition_from"),
        (
            (row.kind, code, row.name, row.setting, row.parent, row.path, geom, edition)
            for code, geom in zip(ordered, wkb, strict=True)
            for row in (table[code],)
        ),
    )
    fresh = [code for code in ordered if code not in base.row]
    copy_rows(session, "area_code", ("code", "kind"), ((code, table[code].kind) for code in fresh))
    copy_rows(
        session,
        "lineage",
        ("edition", "old_code", "new_code", "change"),
        ((edition, code if code in base.row else None, code, "import") for code in ordered),
    )
    session.execute(
        sa.text("INSERT INTO change_log (topic, edition) VALUES ('edition', :edition)"), {"edition": edition}
    )
    session.execute(sa.text("NOTIFY gridmap, 'edition'"))


def _box(
    base: Snapshot, table: Mapping[str, _Row], changed: Sequence[str]
) -> tuple[float, float, float, float]:
    shapes: list[object] = [table[code].geom for code in changed]
    shapes += [base.geom[base.row[code]] for code in changed if code in base.row]
    west, south, east, north = shapely.total_bounds(np.array(shapes, dtype=object)).tolist()
    return west, south, east, north


def editions(session: sa.orm.Session) -> list[dict[str, object]]:
    """Editions, newest first; `in_force_from` is None for since ever."""
    rows = session.execute(
        sa.text(
            "SELECT id, nullif(in_force_from, '-infinity') AS in_force_from, published_at, published_by,"
            " note, areas_changed FROM edition ORDER BY id DESC"
        )
    ).mappings()
    return [dict(row) for row in rows]
