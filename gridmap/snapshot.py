"""One edition of boundaries in memory, shared read-only by everything that asks for the owner of a place."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from gridmap.affected import BOXES, IN_BOX, box_binds, moved
from gridmap.index import GRIDS, KINDS, NESTING, OVERLAYS, AreaIndex, Places

ORDER = {kind: order for order, kind in enumerate((*NESTING, "dedicated", *OVERLAYS))}

Rows = NDArray[np.int32]

__all__ = ["GRIDS", "KINDS", "NESTING", "ORDER", "OVERLAYS", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """The areas of one edition, as parallel arrays in the order of their codes.

    Attributes:
        edition: its number; 0 where nothing is loaded yet.
        in_force_from: None means since ever.
        geom: shapely MultiPolygons, EPSG:4326.
        households: resident households today, 0 where none are known.
        index: finds the owner of a place.
        said: what was said of its areas before, by whoever says it often; at most some entries an area.
    """

    edition: int
    in_force_from: dt.datetime | None
    code: NDArray[np.object_]
    kind: NDArray[np.object_]
    name: NDArray[np.object_]
    setting: NDArray[np.object_]
    parent: NDArray[np.object_]
    path: NDArray[np.object_]
    geom: NDArray[np.object_]
    households: NDArray[np.int64]
    index: AreaIndex
    row: dict[str, int] = field(repr=False)
    said: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)
    _lifts: dict[str, Rows] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.code)

    def rows_of(self, kind: str) -> NDArray[np.intp]:
        """Rows of a kind, in the order of their codes."""
        return np.flatnonzero(self.kind == kind)

    def children(self, code: str) -> NDArray[np.intp]:
        """Rows whose parent is this area."""
        return np.flatnonzero(self.parent == code)

    def ancestors(self, row: int) -> list[int]:
        """Rows from the largest area down to this one, this one included."""
        return [self.row[label] for label in self.path[row].split(".") if label in self.row]

    def lift(self, kind: str) -> Rows:
        """For every row the row of its ancestor-or-self of a kind, or -1."""
        if kind not in self._lifts:
            lift = np.full(len(self), -1, np.int32)
            for row in range(len(self)):
                for above in self.ancestors(row):
                    if self.kind[above] == kind:
                        lift[row] = above
            self._lifts[kind] = lift
        return self._lifts[kind]

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """West, south, east, north of every row, in degrees."""
        return np.asarray(shapely.bounds(self.geom), dtype=np.float64).reshape(-1, 4)

    @cached_property
    def is_grid(self) -> NDArray[np.bool_]:
        """Whether a row is a grid of any kind."""
        return np.isin(self.kind, GRIDS)

    @cached_property
    def finest_grids(self) -> NDArray[np.bool_]:
        """Whether a row is a micro-grid, or a comprehensive grid without any."""
        micro = self.kind == "micro"
        divided = set(self.parent[micro])
        undivided = np.fromiter((code not in divided for code in self.code), bool, len(self))
        finest: NDArray[np.bool_] = micro | (self.kind == "comprehensive") & undivided
        return finest

    def paths_of(self, places: Places) -> NDArray[np.object_]:
        """The outermost paths of all areas that hold each place: an array of lists, shared where equal."""
        held = np.column_stack([places.holds[kind] for kind in places.holds])
        distinct, which = np.unique(held, axis=0, return_inverse=True)
        lists = np.empty(len(distinct), dtype=object)
        lists[:] = [outermost(self.path[row] for row in rows if row >= 0) for rows in distinct]
        return lists[which.reshape(-1)]

    def codes(self, rows: NDArray[Any]) -> NDArray[np.object_]:
        """Codes of rows, None where a row is -1."""
        codes = np.empty(len(self) + 1, dtype=object)  # the last one, None, is what -1 takes
        codes[:-1] = self.code
        taken: NDArray[np.object_] = codes[rows]
        return taken


def outermost(paths: Iterable[str]) -> list[str]:
    """Paths, sorted, without those that another one already says: `a.b` where there is `a.b.c`."""
    ordered = sorted(set(paths))
    inner = {path for path, following in pairwise(ordered) if following.startswith(path + ".")}
    return [path for path in ordered if path not in inner]


def empty() -> Snapshot:
    """What there is before the first load."""
    return _build(0, None, [], {})


def load(session: Session, edition: int | None = None) -> Snapshot:
    """Reads one edition; by default the one in force now.

    About a second for 9,000 areas.
    """
    if edition is None:
        edition = current_edition(session)
    if edition is None:
        return empty()
    rows = session.execute(sa.text(f'{_COLUMNS} ORDER BY code COLLATE "C"'), {"edition": edition}).all()
    return _build(*_head(session, edition), rows, households(session))


_COLUMNS = (
    "SELECT code, kind, name, setting, parent, path::text, ST_AsBinary(geom) FROM area"
    " WHERE edition_from <= :edition AND (edition_to IS NULL OR edition_to > :edition)"
)


def _head(session: Session, edition: int) -> tuple[int, dt.datetime | None]:
    """Number and moment of an edition."""
    moment = session.execute(
        sa.text("SELECT nullif(in_force_from, '-infinity') FROM edition WHERE id = :edition"),
        {"edition": edition},
    ).scalar_one()
    return edition, moment


def follow(session: Session, held: Snapshot, edition: int) -> Snapshot:
    """Reads what a later edition changed of one in memory, and is the same as `load`: what is alike is shared.

    A few ten milliseconds for a few areas out of 9,000.
    """
    if not 0 < held.edition < edition:
        return load(session, edition)
    binds = {"held": held.edition, "edition": edition}
    rows = session.execute(sa.text(f"{_COLUMNS} AND edition_from > :held"), binds).all()
    ended = session.execute(
        sa.text("SELECT DISTINCT code FROM area WHERE edition_to > :held AND edition_to <= :edition"), binds
    ).scalars()
    changed = {row.code for row in rows} | {code for code in ended if code in held.row}
    if len(changed) * 4 > len(held):
        return load(session, edition)
    return _followed(held, _head(session, edition), rows, sorted(changed), households(session))


def _followed(
    held: Snapshot,
    head: tuple[int, dt.datetime | None],
    rows: Sequence[sa.Row[Any]],
    changed: Sequence[str],
    counts: dict[str, int],
) -> Snapshot:
    fresh = _columns(rows)
    kept = np.ones(len(held), dtype=bool)
    kept[[held.row[code] for code in changed if code in held.row]] = False
    before = (held.code, held.kind, held.name, held.setting, held.parent, held.path, held.geom)
    joined = [np.concatenate([old[kept], new]) for old, new in zip(before, fresh, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    code, kind, name, setting, parent, path, geom = (column[order] for column in joined)
    place = {each: number for number, each in enumerate(code)}
    now = np.array([*(place.get(each, -1) for each in held.code), -1], dtype=np.int32)
    boxes: dict[str, list[NDArray[np.float64]]] = {}
    for each in changed:
        old, new = held.row.get(each, -1), place.get(each, -1)
        shapes = np.array([held.geom[old]] * (old >= 0) + [geom[new]] * (new >= 0), dtype=object)
        boxes.setdefault(held.kind[old] if old >= 0 else kind[new], []).append(
            moved(shapes) if len(shapes) > 1 else shapely.bounds(shapes).reshape(-1, 4)
        )
    index = held.index.following(
        (geom, code.tolist(), kind.tolist(), path.tolist()),
        now,
        {each: np.concatenate(some) for each, some in boxes.items()},
    )
    return Snapshot(
        *head,
        code=code,
        kind=kind,
        name=name,
        setting=setting,
        parent=parent,
        path=path,
        geom=geom,
        households=np.array([counts.get(each, 0) for each in code], dtype=np.int64),
        index=index,
        row=place,
    )


def around(session: Session, edition: int, boxes: NDArray[np.float64], codes: Iterable[str] = ()) -> Snapshot:
    """What of an edition holds places in boxes, with all that these areas hang from: for them it answers as the whole.

    Args:
        session: any.
        edition: its number.
        boxes: west, south, east, north in degrees, a row each; wide enough for what may be the nearest.
        codes: areas that are wanted besides.

    Returns:
        A snapshot without household counts; its cost follows what lies in the boxes.
    """
    at_hand = session.execute(
        sa.text(f"{_COLUMNS} AND id IN (SELECT area.id FROM {BOXES} JOIN area ON area.geom {IN_BOX})"),
        {"edition": edition, **box_binds(boxes)},
    ).all()
    found, wanted = list(at_hand), set(codes)
    while missing := wanted.union(*(row.path.split(".") for row in found)) - {row.code for row in found}:
        more = session.execute(
            sa.text(f"{_COLUMNS} AND code = ANY(:codes)"), {"edition": edition, "codes": sorted(missing)}
        ).all()
        if not more:
            break
        found += more
    # as PostgreSQL's "C" sorts them, by which the whole edition is in order
    return _build(*_head(session, edition), sorted(found, key=lambda row: row.code), {})


def households(session: Session) -> dict[str, int]:
    """Resident households by area code, as counted today."""
    rows = session.execute(sa.text("SELECT code, households FROM household_count"))
    return {row.code: row.households for row in rows}


def current_edition(session: Session, at: dt.datetime | None = None) -> int | None:
    """The edition in force now, or at a moment; None before the first load."""
    return session.execute(
        sa.text(
            "SELECT id FROM edition WHERE in_force_from <= coalesce(CAST(:at AS timestamptz), now())"
            " ORDER BY in_force_from DESC LIMIT 1"
        ),
        {"at": at},
    ).scalar_one_or_none()


def _columns(rows: Sequence[sa.Row[Any]]) -> list[NDArray[np.object_]]:
    columns = [np.empty(len(rows), dtype=object) for _ in range(7)]
    for number, column in enumerate(columns):
        column[:] = [row[number] for row in rows]
    if len(rows):
        columns[6] = np.asarray(shapely.from_wkb(columns[6]), dtype=object)
    return columns


def _build(
    edition: int,
    moment: dt.datetime | None,
    rows: Sequence[sa.Row[Any]],
    counts: dict[str, int],
) -> Snapshot:
    return of_columns(edition, moment, _columns(rows), counts)


def of_columns(
    edition: int,
    moment: dt.datetime | None,
    columns: Sequence[NDArray[np.object_]],
    counts: Mapping[str, int],
) -> Snapshot:
    """A snapshot of some areas.

    Args:
        edition: its number.
        moment: from which it is in force; None means since ever.
        columns: code, kind, name, setting, parent, path, polygon; in the order of codes.
        counts: households by code.
    """
    code, kind, name, setting, parent, path, geom = columns
    return Snapshot(
        edition=edition,
        in_force_from=moment,
        code=code,
        kind=kind,
        name=name,
        setting=setting,
        parent=parent,
        path=path,
        geom=geom,
        households=np.array([counts.get(each, 0) for each in code], dtype=np.int64),
        index=AreaIndex.from_arrays(geom, code.tolist(), kind.tolist(), path.tolist()),
        row={each: number for number, each in enumerate(code)},
    )
