"""What the next edition is: the newest one and what changes, worked out area by area before anything is written.

An edition never changes, so all of this needs no lock: whoever publishes makes sure that the base is still the newest.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.errors import InvalidInput
from gridmap.snapshot import KINDS, NESTING, OVERLAYS

Cause = Literal["split", "merge", "create", "retire"]

CODE = re.compile(r"[A-Za-z0-9_]{1,255}")  # a label of PostgreSQL's ltree
SETTINGS = ("urban", "rural", "dedicated")
# Coarser kinds that may be the parent of a kind, the finest first.
ABOVE: Mapping[str, tuple[str, ...]] = {
    **{kind: NESTING[:order][::-1] for order, kind in enumerate(NESTING)},
    **dict.fromkeys(OVERLAYS, ("county", "city", "province")),
    "dedicated": ("village", "town", "county", "city", "province"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An area as the next edition has it, or that it has it no more.

    Attributes:
        geom: EPSG:4326, valid; None where the area is retired, and then nothing else but the cause counts.
        touched: it only got vertices where a neighbour's new border meets its own.
        cause: why the code was born or retired; None for an area that stays.
    """

    code: str
    geom: shapely.MultiPolygon | None
    kind: str = ""
    name: str = ""
    setting: str | None = None
    parent: str | None = None
    touched: bool = False
    cause: Cause | None = None

    @property
    def retired(self) -> bool:
        """Whether the next edition is without it."""
        return self.geom is None


@dataclass(frozen=True, slots=True)
class Stored:
    """An area as an edition has it; `geom` is None where it was not read."""

    kind: str
    name: str
    setting: str | None
    parent: str | None
    path: str
    geom: shapely.MultiPolygon | None


@dataclass(frozen=True)
class NextEdition:
    """The difference between an edition and the next one.

    Attributes:
        base: number of the edition that it builds on, 0 for none.
        before: areas of the base that change, by code, their polygons too.
        changes: what is another one than in the base, by code.
        paths: of all changed areas that live, by code.
        along: paths of areas that change in nothing else, because one above them hangs from another parent.
    """

    base: int
    before: Mapping[str, Stored]
    changes: Mapping[str, Change]
    paths: Mapping[str, str]
    along: Mapping[str, str] = field(default_factory=dict)

    @property
    def created(self) -> list[str]:
        """Codes that the base does not have."""
        return sorted(code for code in self.changes if code not in self.before)

    @property
    def retired(self) -> list[str]:
        """Codes that the next edition does not have."""
        return sorted(code for code, change in self.changes.items() if change.retired)

    @property
    def touched(self) -> list[str]:
        """Codes that only got vertices."""
        return sorted(code for code, change in self.changes.items() if change.touched)

    @property
    def changed(self) -> list[str]:
        """Codes that live in both and are another area than before, not those touched or moved along."""
        return sorted(
            code
            for code, change in self.changes.items()
            if code in self.before and not change.retired and not change.touched
        )


def work_out(
    session: Session, base: int, changes: Sequence[Change], revived: frozenset[str] = frozenset()
) -> NextEdition:
    """Checks changes against their base and finds what follows from them.

    Args:
        session: any.
        base: number of an edition, 0 where there is none.
        changes: at most one a code; those that change nothing are left out of the answer.
        revived: retired codes that may live again, as the areas that they were.

    Raises:
        InvalidInput: `changes_refused` with findings: a code twice, used before or of another kind, an unknown
            kind or setting, a polygon that is not valid, a parent that is not there or not coarser, an area whose
            parent is retired.
    """
    findings = [*_form_findings(changes), *_code_findings(session, changes, revived)]
    _refuse(findings)
    before = areas_of(session, base, [change.code for change in changes])
    table = {change.code: change for change in changes if _differs(change, before.get(change.code))}
    before = {code: area for code, area in before.items() if code in table}
    moving = [
        area.path for code, area in before.items() if table[code].retired or table[code].parent != area.parent
    ]
    below = _below(session, base, moving)
    parents = {change.parent for change in table.values() if not change.retired and change.parent}
    known = areas_of(session, base, [*(parents - table.keys() - below.keys())], shapes=False)
    _refuse(_parent_findings(table, below, known))
    paths = _Paths(table, below, known)
    along = {code: paths.of(code) for code in below if code not in table}
    return NextEdition(
        base,
        before,
        table,
        {code: paths.of(code) for code, change in table.items() if not change.retired},
        {code: path for code, path in along.items() if path != below[code].path},
    )


def areas_of(
    session: Session, edition: int, codes: Sequence[str], *, shapes: bool = True
) -> dict[str, Stored]:
    """Areas of an edition by code; those that it does not have are left out."""
    geom = "ST_AsBinary(geom)" if shapes else "NULL"
    rows = session.execute(
        sa.text(
            f"SELECT code, kind, name, setting, parent, path::text, {geom} FROM area WHERE code = ANY(:codes)"
            " AND edition_from <= :edition AND (edition_to IS NULL OR edition_to > :edition)"
        ),
        {"codes": list(codes), "edition": edition},
    )
    return {
        row[0]: Stored(row[1], row[2], row[3], row[4], row[5], None if row[6] is None else _multi(row[6]))
        for row in rows
    }


def _multi(wkb: bytes) -> shapely.MultiPolygon:
    return cast("shapely.MultiPolygon", shapely.from_wkb(bytes(wkb)))


def _below(session: Session, edition: int, paths: Sequence[str]) -> dict[str, Stored]:
    """Areas that hang, however deep, from areas of an edition; without their polygons."""
    if not paths:
        return {}
    rows = session.execute(
        sa.text(
            "SELECT code, kind, name, setting, parent, path::text FROM area"
            " WHERE path <@ CAST(:paths AS ltree[]) AND path <> ALL (CAST(:paths AS ltree[]))"
            " AND edition_from <= :edition AND (edition_to IS NULL OR edition_to > :edition)"
        ),
        {"paths": list(paths), "edition": edition},
    )
    return {row[0]: Stored(row[1], row[2], row[3], row[4], row[5], None) for row in rows}


def _differs(change: Change, area: Stored | None) -> bool:
    if area is None:
        return not change.retired
    if change.geom is None:
        return True
    return (area.kind, area.name, area.setting, area.parent) != (
        change.kind,
        change.name,
        change.setting,
        change.parent,
    ) or not bool(shapely.equals_identical(area.geom, change.geom))


class _Paths:
    """Paths in the next edition. Parents are strictly coarser, so looking for one ends."""

    def __init__(
        self, table: Mapping[str, Change], below: Mapping[str, Stored], known: Mapping[str, Stored]
    ) -> None:
        self._table, self._below, self._known = table, below, known
        self._found: dict[str, str] = {}

    def of(self, code: str) -> str:
        if code not in self._table and code not in self._below:
            return self._known[code].path
        if code not in self._found:
            area = self._table.get(code) or self._below[code]
            self._found[code] = f"{self.of(area.parent)}.{code}" if area.parent else code
        return self._found[code]


def _refuse(findings: Sequence[Mapping[str, object]]) -> None:
    if findings:
        raise InvalidInput(
            f"{len(findings)} findings: the next edition cannot be made",
            code="changes_refused",
            findings=[*findings],
        )


def _finding(change: Change, code: str, message: str) -> dict[str, object]:
    finding: dict[str, object] = {"code": code, "area": change.code, "message": message}
    if change.geom is not None and not change.geom.is_empty:
        where = shapely.point_on_surface(change.geom)
        finding["where"] = [where.x, where.y]
    return finding


def _form_findings(changes: Sequence[Change]) -> list[dict[str, object]]:
    findings = []
    seen: set[str] = set()
    for change in changes:
        if change.code in seen:
            findings.append(_finding(change, "duplicate_code", "the code is changed twice"))
        seen.add(change.code)
        if change.geom is None:
            continue
        if not CODE.fullmatch(change.code):
            findings.append(_finding(change, "bad_code", "a code is made of A-Z a-z 0-9 _ alone"))
        if change.kind not in KINDS:
            findings.append(_finding(change, "bad_kind", f"allowed: {', '.join(KINDS)}"))
        if change.setting is not None and change.setting not in SETTINGS:
            findings.append(_finding(change, "bad_setting", f"allowed: {', '.join(SETTINGS)}"))
    alive = [change for change in changes if change.geom is not None]
    shapes = np.array([change.geom for change in alive], dtype=object)
    if alive:
        good = shapely.is_valid(shapes) & ~shapely.is_empty(shapes)
        findings += [
            _finding(alive[each], "invalid", "the polygon is empty or not valid")
            for each in np.flatnonzero(~good)
        ]
    return findings


def _code_findings(
    session: Session, changes: Sequence[Change], revived: frozenset[str]
) -> list[dict[str, object]]:
    """A code belongs to one area for ever."""
    known = {
        row.code: row
        for row in session.execute(
            sa.text(
                "SELECT code, kind, retired_in, EXISTS (SELECT FROM area WHERE area.code = c.code"
                " AND edition_to IS NULL) AS lives FROM area_code c WHERE code = ANY(:codes)"
            ),
            {"codes": [change.code for change in changes]},
        )
    }
    findings = []
    for change in changes:
        code = known.get(change.code)
        if change.retired and (code is None or not code.lives):
            findings.append(_finding(change, "unknown_area", f"there is no area {change.code} to retire"))
        if change.retired or code is None:
            continue
        if not code.lives and change.code not in revived:
            message = f"retired in edition {code.retired_in}; a retired code is never used again"
            findings.append(_finding(change, "retired_code", message))
        elif code.kind != change.kind:
            findings.append(_finding(change, "code_of_other_kind", f"the code belongs to a {code.kind}"))
    return findings


def _parent_findings(
    table: Mapping[str, Change], below: Mapping[str, Stored], known: Mapping[str, Stored]
) -> list[dict[str, object]]:
    findings = []
    for change in table.values():
        if change.geom is None or change.parent is None:
            continue
        above = table.get(change.parent) or below.get(change.parent) or known.get(change.parent)
        if above is None or (isinstance(above, Change) and above.retired):
            findings.append(_finding(change, "unknown_parent", f"no area has the code {change.parent}"))
        elif above.kind not in ABOVE[change.kind]:
            allowed = ", ".join(ABOVE[change.kind]) or "none"
            findings.append(
                _finding(
                    change, "bad_parent", f"a {above.kind} cannot hold a {change.kind}; allowed: {allowed}"
                )
            )
    retired = {code for code, change in table.items() if change.retired}
    findings += [
        {"code": "orphan", "area": code, "message": f"it hangs from {area.parent}, which is retired"}
        for code, area in below.items()
        if code not in table and area.parent in retired
    ]
    return findings
