"""Loading areas: each load makes an edition, whole or not at all.

What a file does not name stays as it is. Areas that change get a new row and close the old one; whatever lay
in a changed area, events and buildings, is placed anew in the same transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import shapely
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.db import Writer
from gridmap.errors import Conflict, InvalidInput
from gridmap.next_edition import ABOVE, CODE, Change
from gridmap.publishing import Order, make_edition
from gridmap.settings import Settings
from gridmap.settling import lock_publications, newest_edition
from gridmap.snapshot import KINDS, NESTING, Snapshot


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
    in_force: bool = True  # else it follows an edition whose moment is yet to come


@dataclass(frozen=True, slots=True)
class Preview:
    """What the newest edition would be with some areas in it.

    Attributes:
        base: the newest edition as it is.
        areas: all areas by code, each with the parent that it gets; `row` is None for those that are stored.
        findings: by row, why areas cannot be taken; then `areas` may lack parents.
    """

    base: Snapshot
    areas: Mapping[str, AreaDraft]
    findings: Sequence[Mapping[str, object]]


def preview(session: Writer, drafts: Sequence[AreaDraft]) -> Preview:
    """Puts areas into the newest edition without storing anything; no lock is taken."""
    base = snapshots.load(session, newest_edition(session).id or None)
    result = _merge(base, drafts)
    merged = {
        code: AreaDraft(
            kind=row.kind,
            code=code,
            name=row.name,
            geom=row.geom,
            setting=row.setting,
            parent=row.parent,
            row=row.row,
        )
        for code, row in result.table.items()
    }
    return Preview(base, merged, [*_code_findings(session, base, drafts), *result.findings])


def import_areas(
    session: Writer,
    drafts: Sequence[AreaDraft],
    *,
    actor: str,
    settings: Settings,
    note: str = "",
    expected: int | None = None,
) -> ImportResult:
    """Makes the next edition out of the current one and these areas, and places anew what lay in them.

    The first load is in force since ever, later ones from now on. The caller commits, then renews memory.

    Args:
        session: the transaction.
        drafts: the areas.
        actor: who loads.
        settings: of the installation.
        note: stands in the edition and in the audit.
        expected: the edition on which the areas were checked; None takes any.

    Raises:
        Conflict: `stale_boundaries`, another edition was published since.
        InvalidInput: with findings by row: a code twice, a code retired or of another kind, an unknown parent,
            a parent that is not coarser, a circle of parents.
    """
    lock_publications(session)
    base = snapshots.load(session, newest_edition(session).id or None)
    if expected is not None and base.edition != expected:
        raise Conflict(
            "New boundaries were published during the load; nothing was stored, start it again",
            code="stale_boundaries",
        )
    result = _merge(base, drafts)
    findings = [*_code_findings(session, base, drafts), *result.findings]
    if findings:
        raise InvalidInput(
            f"{len(findings)} of {len(drafts)} areas cannot be taken", code="areas_refused", findings=findings
        )
    changes = [
        Change(
            code=draft.code,
            geom=draft.geom,
            kind=draft.kind,
            name=draft.name,
            setting=draft.setting,
            parent=result.table[draft.code].parent,
        )
        for draft in drafts
        if not result.table[draft.code].same
    ]
    order = Order(actor=actor, note=note, after_pending=True, imported=True)
    published = make_edition(session, base.edition, changes, order, settings)
    if published is None:
        return ImportResult(base.edition, 0, 0, len(drafts), 0)
    loaded = {draft.code for draft in drafts}
    along = sum(code not in loaded for code in published.along)
    return ImportResult(
        edition=published.edition,
        created=len(published.created),
        changed=len(published.changed) + len(published.along) - along,
        unchanged=len(drafts) - len(changes),
        moved_along=along,
        events_moved=published.events_moved,
        buildings_moved=published.buildings_moved,
        in_force=published.in_force,
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
        if not any(above in ABOVE.get(kind, ()) for kind in kinds):
            continue
        codes = [code for code, row in table.items() if row.kind == above]
        waiting = [
            code
            for code in orphans
            if table[code].parent is None and above in ABOVE.get(table[code].kind, ())
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
        elif table[parent].kind not in ABOVE[draft.kind]:
            allowed = ", ".join(ABOVE[draft.kind]) or "none"
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
        "value": {"parent": draft.parent, "kind": draft.kind}.get(field, draft.code),
        "area": draft.code,
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
    seen: dict[str, int | None] = {}
    for draft in drafts:
        if draft.kind not in KINDS:
            findings.append(_finding(draft, "kind", "bad_kind", f"allowed: {', '.join(KINDS)}"))
        if not CODE.fullmatch(draft.code):
            findings.append(_finding(draft, "code", "bad_code", "a code is made of A-Z a-z 0-9 _ alone"))
        if draft.code in seen:
            message = f"the code stands in row {seen[draft.code]} already"
            findings.append(_finding(draft, "code", "duplicate_code", message))
        seen.setdefault(draft.code, draft.row)
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


def editions(session: sa.orm.Session) -> list[dict[str, object]]:
    """Editions, newest first.

    `in_force_from` is None for since ever, `pending` says that it is yet to come; `plan` is the one that made it, None
    for a load and for one that takes an earlier edition back.
    """
    rows = session.execute(
        sa.text(
            "SELECT e.id, nullif(in_force_from, '-infinity') AS in_force_from, e.published_at, e.published_by,"
            " p.id AS plan, note, areas_changed, in_force_from > clock_timestamp() AS pending"
            " FROM edition e LEFT JOIN plan p ON p.edition = e.id ORDER BY e.id DESC"
        )
    ).mappings()
    return [dict(row) for row in rows]
