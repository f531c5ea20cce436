"""What a plan changes, before it is published: grids, buildings, and who serves what.

Pure functions of a draft, the buildings under it, and the day after as `gridmap.foresight` tells it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boundaries.draft import Draft
from boundaries.homes import Homes
from gridmap.affected import Floats
from gridmap.foresight import Foresight
from gridmap.index import GRIDS
from gridmap.routing import Office, Person, Roster
from gridmap.snapshot import ORDER
from gridmap.succession import Step

NESTING_GRIDS = ("micro", "comprehensive")  # the finest first
_FOREMOST = ("split", "merge", "retire", "create", "reshape", "rename")


@dataclass(frozen=True, slots=True)
class Flow:
    """Land that one area gives another, or keeps; None for nobody's."""

    old: str | None
    new: str | None
    households: int
    buildings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GridChange:
    """Areas of one kind that change together.

    Attributes:
        old: codes before, in order; `new` those after.
        change: `split merge retire create reshape rename`; the first of these that is among it.
        households: of all who live there.
        flows: from which to which, the largest first.
    """

    kind: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    change: str
    households: int
    flows: tuple[Flow, ...]


@dataclass(frozen=True)
class Moved:
    """Where buildings lie, as arrays parallel to the ground's.

    Attributes:
        before: code of the finest nesting grid that holds each; None where none does.
        after: the same by the draft.
        by_kind: buildings and households that have another grid of a kind.
    """

    before: NDArray[np.object_]
    after: NDArray[np.object_]
    by_kind: Mapping[str, tuple[int, int]]

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Buildings that lie in another grid than before."""
        return np.flatnonzero(self.before != self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Somebody who serves other areas inside the scope than before, or other people.

    Attributes:
        households: in what they serve there, each counted once.
    """

    who: Person | Office
    old: tuple[str, ...]
    new: tuple[str, ...]
    households_before: int
    households: int


@dataclass(frozen=True)
class Impact:
    """What a draft changes; `retired` and `born` are codes in order."""

    grids: list[GridChange]
    buildings: Moved
    people: list[Serving]
    offices: list[Serving]
    retired: list[str]
    born: list[str]


def impact(
    draft: Draft,
    homes: Homes,
    seen: Foresight,
    roster: Roster,
    households: tuple[Mapping[str, int], Mapping[str, int]],
) -> Impact:
    """What a draft changes.

    Args:
        draft: of a plan.
        homes: living buildings inside its scope.
        seen: the day after.
        roster: who serves what now.
        households: of every area inside the scope in the edition, and of those of the draft.
    """
    before, after = _holders(draft, homes, seen)
    return Impact(
        grids=_grids(draft, homes, seen.steps, before, after),
        buildings=_moved(homes, before, after),
        people=_serving(draft, (roster.people_of, seen.roster.people_of), households),
        offices=_serving(draft, (roster.offices_of, seen.roster.offices_of), households),
        retired=draft.retired,
        born=sorted(code for code, area in draft.areas.items() if area and code not in draft.base.row),
    )


_Held = dict[str, NDArray[np.object_]]


def _holders(draft: Draft, homes: Homes, seen: Foresight) -> tuple[_Held, _Held]:
    """By kind the code that holds each building before and after; None where none does."""
    base = draft.base
    found = base.index.locate(homes.lon, homes.lat, 0.0)
    before = {kind: base.codes(rows) for kind, rows in found.holds.items()}
    after = {kind: codes.copy() for kind, codes in before.items()}
    # Whoever holds a place outside of these holds it still; around them the snapshot is not the whole edition.
    near = np.flatnonzero(_in_boxes(homes, seen.boxes))
    if len(near):
        again = seen.snapshot.index.locate(homes.lon[near], homes.lat[near], 0.0)
        changed = {change.kind for change in seen.following.changes.values()}
        changed |= {area.kind for area in seen.following.before.values()}
        for kind in changed & before.keys():
            after[kind][near] = seen.snapshot.codes(again.holds[kind])
    return before, after


def _in_boxes(homes: Homes, boxes: Floats) -> NDArray[np.bool_]:
    inside = np.zeros(len(homes), dtype=bool)
    for west, south, east, north in boxes.tolist():
        inside |= (homes.lon >= west) & (homes.lon <= east) & (homes.lat >= south) & (homes.lat <= north)
    return inside


def _grids(
    draft: Draft, homes: Homes, steps: Sequence[Step], before: _Held, after: _Held
) -> list[GridChange]:
    kinds = {code: _kind(draft, code) for step in steps for code in (step.old, step.new) if code}
    changes = []
    for group in _together(steps):
        old = tuple(sorted({step.old for step in group if step.old}))
        new = tuple(sorted({step.new for step in group if step.new}))
        kind = kinds[(old or new)[0]]
        flows = _flows(homes, before[kind], after[kind], (old, new)) if kind in before else ()
        changes.append(
            GridChange(
                kind=kind,
                old=old,
                new=new,
                change=min((step.change for step in group), key=_FOREMOST.index),
                households=sum(flow.households for flow in flows),
                flows=flows,
            )
        )
    return sorted(changes, key=lambda each: (ORDER[each.kind], each.old or each.new))


def _kind(draft: Draft, code: str) -> str:
    area = draft.get(code) or draft.before(code)
    assert area is not None  # noqa: S101  # a step is of areas that are there before or after
    return area.kind


def _together(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps that share a code, before or after, belong together."""
    head: dict[str, str] = {}

    def top(code: str) -> str:
        while head.setdefault(code, code) != code:
            code = head[code]
        return code

    for step in steps:
        codes = [code for code in (step.old, step.new) if code]
        for code in codes[1:]:
            head[top(code)] = top(codes[0])
    groups: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        groups[top(step.old or step.new or "")].append(step)
    return list(groups.values())


def _flows(
    homes: Homes, before: NDArray[Any], after: NDArray[Any], codes: tuple[Collection[str], Collection[str]]
) -> tuple[Flow, ...]:
    old, new = set(codes[0]), set(codes[1])
    sums: dict[tuple[str | None, str | None], list[int]] = defaultdict(lambda: [0, 0])
    rows = np.flatnonzero(np.isin(before, list(old)) | np.isin(after, list(new)))
    for row, number in zip(rows.tolist(), homes.households[rows].tolist(), strict=True):
        flow = sums[before[row], after[row]]
        flow[0] += number
        flow[1] += 1
    flows = [Flow(*pair, *count) for pair, count in sums.items()]
    return tuple(
        sorted(flows, key=lambda flow: (-flow.households, -flow.buildings, flow.old or "", flow.new or ""))
    )


def _moved(homes: Homes, before: _Held, after: _Held) -> Moved:
    by_kind = {}
    for kind in sorted(GRIDS, key=ORDER.__getitem__):
        if kind in before:
            other = before[kind] != after[kind]
            by_kind[kind] = (int(other.sum()), int(homes.households[other].sum()))
    return Moved(_finest(before, len(homes)), _finest(after, len(homes)), by_kind)


def _finest(held: _Held, number: int) -> NDArray[np.object_]:
    finest = np.full(number, None, dtype=object)
    for kind in NESTING_GRIDS[::-1]:
        if kind in held:
            known = held[kind] != None  # noqa: E711  # elementwise
            finest[known] = held[kind][known]
    return finest


_Served = Mapping[str, Iterable[Person | Office]]


def _serving(
    draft: Draft,
    served: tuple[_Served, _Served],
    households: tuple[Mapping[str, int], Mapping[str, int]],
) -> list[Serving]:
    """Who serves other areas inside the scope, or other people in them, by their numbers."""
    base = draft.base
    paths = {code: base.path[base.row[code]] for code in (draft.scope, *draft.codes_of_base)}
    now = {area.code: draft.path(area.code) for area in draft.inside()} | {
        draft.scope: draft.path(draft.scope)
    }
    who: dict[int, Person | Office] = {}
    areas: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, (serving, living) in enumerate(zip(served, (paths, now), strict=True)):
        for code in living:
            for each in serving.get(code, ()):
                who[each.id] = each
                areas[each.id][side].append(code)
    told = []
    for number in sorted(who):
        old, new = (tuple(sorted(codes)) for codes in areas[number])
        were, are = _sum(old, paths, households[0]), _sum(new, now, households[1])
        if old != new or were != are:
            told.append(Serving(who=who[number], old=old, new=new, households_before=were, households=are))
    return told


def _sum(codes: Sequence[str], paths: Mapping[str, str], households: Mapping[str, int]) -> int:
    """Households in areas, those in two of them once."""
    served = set(codes)
    return sum(
        households.get(code, 0) for code in codes if not served.intersection(paths[code].split(".")[:-1])
    )
