"""Where an event belongs: owner, method, the areas that hold it, and the reasons, for one or for many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from gridmap.errors import InvalidInput
from gridmap.events import EventDraft
from gridmap.snapshot import GRIDS, NESTING, ORDER, OVERLAYS, Snapshot, outermost

CELL_RESOLUTION = 12  # about 19 m across; coarser cells follow by bit arithmetic
Reason = list[Any]  # [mark, code, parameters]


@dataclass(frozen=True, slots=True)
class Placement:
    """Whose an event is, by one edition.

    Attributes:
        owner: code of the grid whose it is.
        leaf: code of the finest nesting area that holds it.
        paths: of all areas that hold it.
        chain: codes of these areas, finest first, the owner foremost, overlays last.
        distance_m: 0 inside and on a border, to the grid for `nearest`, None without.
        why: reasons, each [mark, code, parameters].
    """

    method: str
    distance_m: float | None
    owner: str | None
    leaf: str | None
    paths: tuple[str, ...]
    chain: tuple[str, ...]
    why: tuple[Reason, ...]


NOWHERE = Placement("none", None, None, None, (), (), ())


def cell(lon: float, lat: float) -> int:
    """H3 cell of a place at resolution 12, as PostgreSQL's signed bigint."""
    number = int(h3.latlng_to_cell(lat, lon, CELL_RESOLUTION))
    return number - (1 << 64) if number >= 1 << 63 else number


def place_one(snapshot: Snapshot, draft: EventDraft, tolerance_m: float) -> Placement:
    """Places one event.

    Raises:
        InvalidInput: it has no place and the grid that it states is not there.
    """
    if draft.lon is None or draft.lat is None:
        return _stated(snapshot, draft, [])
    found = snapshot.index.locate_one(draft.lon, draft.lat, tolerance_m)
    rows = tuple(int(found.holds[kind]) for kind in found.holds)
    return _placed(
        snapshot,
        draft,
        (str(found.method), float(found.distance_m), int(found.owner), int(found.leaf)),
        rows,
        {},
    )


def place_many(
    snapshot: Snapshot, drafts: Sequence[EventDraft], tolerance_m: float
) -> list[Placement | InvalidInput]:
    """Places many events by one pass over the index; an impossible one stands as its error in its place."""
    lon = np.array([np.nan if draft.lon is None else draft.lon for draft in drafts], dtype=np.float64)
    lat = np.array([np.nan if draft.lat is None else draft.lat for draft in drafts], dtype=np.float64)
    found = snapshot.index.locate(lon, lat, tolerance_m)
    held = np.column_stack([found.holds[kind] for kind in found.holds]).tolist()
    answers = zip(
        found.method.tolist(),
        found.distance_m.tolist(),
        found.owner.tolist(),
        found.leaf.tolist(),
        held,
        strict=True,
    )
    placements: list[Placement | InvalidInput] = []
    known: _Known = {}
    for draft, (method, distance_m, owner, leaf, rows) in zip(drafts, answers, strict=True):
        try:
            if draft.lon is None:
                placements.append(_stated(snapshot, draft, []))
            else:
                placements.append(_placed(snapshot, draft, (method, distance_m, owner, leaf), rows, known))
        except InvalidInput as error:
            placements.append(error)
    return placements


# What holds a place, by the rows of owner, leaf and all that hold it: events of one grid share it.
_Known = dict[tuple[int, ...], tuple[set[str], tuple[str, ...], tuple[str, ...]]]


def _placed(
    snapshot: Snapshot,
    draft: EventDraft,
    answer: tuple[str, float, int, int],
    rows: Sequence[int],
    known: _Known,
) -> Placement:
    method, distance_m, owner, leaf = answer
    if method == "none":
        why: list[Reason] = [["no", "outside", {}]]
        if draft.grid and draft.grid in snapshot.row:
            return _stated(snapshot, draft, why)
        return Placement("none", None, None, None, (), (), (*why, *_disputed(snapshot, draft, None)))
    if method == "nearest":  # it counts where it was given to; a dedicated grid is no leaf
        leaf = leaf if snapshot.kind[owner] == "dedicated" else owner
        rows = [*rows, owner]
    key = (owner, leaf, *rows)
    if key not in known:
        held = {snapshot.path[row] for row in rows if row >= 0}
        known[key] = held, tuple(outermost(held)), _chain(snapshot, owner, leaf, rows)
    held, paths, chain = known[key]
    code = snapshot.code
    owner_code = code[owner] if owner >= 0 else None
    why = [_reason(snapshot, method, owner if owner >= 0 else leaf, distance_m)]
    if owner >= 0 and snapshot.kind[owner] == "dedicated":
        why.append(["ok", "dedicated", {"grid": owner_code}])
    return Placement(
        method,
        None if distance_m != distance_m else distance_m,  # noqa: PLR0124  # NaN
        owner_code,
        code[leaf] if leaf >= 0 else None,
        paths,
        chain,
        (*why, *_disputed(snapshot, draft, owner_code, held)),
    )


def _reason(snapshot: Snapshot, method: str, row: int, distance_m: float) -> Reason:
    code = snapshot.code[row]
    if method == "inside":
        return ["ok", "inside", {"grid": code}]
    if method == "border":
        return ["warn", "border", {"grid": code}]
    if method == "nearest":
        return ["warn", "nearest", {"grid": code, "distance_m": round(distance_m, 1)}]
    return ["warn", "jurisdiction", {"area": code}]


def _disputed(
    snapshot: Snapshot, draft: EventDraft, owner: str | None, held: set[str] | None = None
) -> list[Reason]:
    """What the source stated, where it differs from what was found."""
    if not draft.grid or draft.grid == owner:
        return []
    row = snapshot.row.get(draft.grid)
    if row is None:
        return [["warn", "stated_unknown", {"stated": draft.grid}]]
    path = snapshot.path[row]
    if held and any(each == path or each.startswith(path + ".") for each in held):
        return []
    return [["warn", "stated_differs", {"stated": draft.grid}]]


def _stated(snapshot: Snapshot, draft: EventDraft, why: list[Reason]) -> Placement:
    """Without a usable place: the grid or area that the source stated, else nobody."""
    if not draft.grid:
        return Placement("none", None, None, None, (), (), (*why, ["no", "no_place", {}]))
    row = snapshot.row.get(draft.grid)
    if row is None:
        raise unknown_grid(draft.grid, snapshot.edition)
    grid = snapshot.kind[row] in GRIDS
    nesting = snapshot.kind[row] in NESTING
    return Placement(
        "stated",
        None,
        draft.grid if grid else None,
        # A dedicated grid or an overlay has no leaf of its own, but its parent nests.
        draft.grid if nesting else snapshot.parent[row],
        (snapshot.path[row],),
        _chain(snapshot, row if grid else -1, row, [row]),
        (*why, ["warn", "stated", {"area": draft.grid}]),
    )


def unknown_grid(code: str, edition: int) -> InvalidInput:
    """The refusal of what has no place and states an area that is not there."""
    return InvalidInput(
        f"grid {code!r} is no area of edition {edition}: give a living code, or a place",
        code="unknown_grid",
        findings=[{"field": "grid", "message": "unknown or retired code"}],
    )


def _chain(snapshot: Snapshot, owner: int, leaf: int, rows: Sequence[int]) -> tuple[str, ...]:
    chain = dict.fromkeys(reversed(snapshot.path[leaf].split("."))) if leaf >= 0 else {}
    if owner >= 0 and owner != leaf:  # a dedicated grid: finer than all, its own areas need not be the leaf's
        chain.update(dict.fromkeys(reversed(snapshot.path[owner].split("."))))
        chain = dict.fromkeys(sorted(chain, key=lambda code: -ORDER[snapshot.kind[snapshot.row[code]]]))
    for row in rows:
        if row >= 0 and snapshot.kind[row] in OVERLAYS:
            chain[snapshot.code[row]] = None
    return tuple(chain)
