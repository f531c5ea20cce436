"""A redraw in work: an edition, and what differs from it so far.

Nothing here ever changes: an edit makes a `Step`, and a draft after a step is another draft. So undo is going back
to the draft before, and two people who look at one draft see the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import shapely

from gridmap.errors import InvalidInput, NotFound
from gridmap.snapshot import NESTING, ORDER, Snapshot

Cause = Literal["split", "merge", "create", "retire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedArea:
    """An area as a draft has it.

    Attributes:
        geom: EPSG:4326, valid; vertices that it shares with other areas are theirs bit for bit.
        touched: against the base edition it only got vertices where a neighbour's new border meets its own.
    """

    code: str
    kind: str
    name: str
    setting: str | None
    parent: str | None
    geom: shapely.MultiPolygon
    touched: bool = False


@dataclass(frozen=True)
class Step:
    """What one edit does.

    Attributes:
        areas: every area that is another one afterwards, by code; None where it is retired.
        causes: why a code was born or retired.
        told: what was decided on the way, for people and for doing it again: the code given to a new piece,
            faces that went along, sets that were torn apart.
    """

    areas: Mapping[str, PlannedArea | None]
    causes: Mapping[str, Cause] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """An edition with changes inside one area.

    Attributes:
        base: the edition that it builds on; shared, read-only.
        scope: code of the area whose inside is redrawn; its own border stays.
        areas: what differs from the base, by code; None where retired. Outside the scope these are touched alone.
        causes: why codes that differ were born or retired.
    """

    base: Snapshot
    scope: str
    areas: Mapping[str, PlannedArea | None] = field(default_factory=dict)
    causes: Mapping[str, Cause] = field(default_factory=dict)
    _inside: tuple[str, ...] = field(default=(), repr=False)
    _known: dict[str, PlannedArea] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, base: Snapshot, scope: str) -> "Draft":
        """A draft without changes.

        Raises:
            NotFound: `unknown_area`.
            InvalidInput: `bad_scope`: the area holds no others, so nothing inside it can be redrawn.
        """
        if scope not in base.row:
            raise NotFound(f"There is no area {scope}", code="unknown_area")
        row = base.row[scope]
        if base.kind[row] not in NESTING[:-1]:
            raise InvalidInput(
                f"{scope} is a {base.kind[row]}: a plan opens on an area that holds others", code="bad_scope"
            )
        above = f"{base.path[row]}."
        inside = tuple(
            code for code, path in zip(base.code, base.path, strict=True) if path.startswith(above)
        )
        return cls(base, scope, _inside=inside)

    def after(self, step: Step) -> "Draft":
        """The draft after a step; an area that is again as in the base differs no more."""
        areas = {**self.areas, **step.areas}
        causes = {**self.causes, **step.causes}
        for code in step.areas:
            if self._as_in_base(code, areas[code]):
                del areas[code]
                causes.pop(code, None)
        return replace(self, areas=MappingProxyType(areas), causes=MappingProxyType(causes))

    @property
    def codes_of_base(self) -> tuple[str, ...]:
        """Codes of the areas inside the scope in the base edition, in their order; the scope itself is not one."""
        return self._inside

    def _as_in_base(self, code: str, area: PlannedArea | None) -> bool:
        if area is None:
            return code not in self.base.row  # born and retired in this draft
        before = self.before(code)
        return (
            before is not None
            and (before.kind, before.name, before.setting, before.parent)
            == (area.kind, area.name, area.setting, area.parent)
            and bool(shapely.equals_identical(before.geom, area.geom))
        )

    def before(self, code: str) -> PlannedArea | None:
        """An area of the base edition."""
        row = self.base.row.get(code)
        if row is None:
            return None
        known = self._known.get(code)
        if known is not None:
            return known
        base = self.base
        found = self._known[code] = PlannedArea(
            code=code,
            kind=base.kind[row],
            name=base.name[row],
            setting=base.setting[row],
            parent=base.parent[row],
            geom=base.geom[row],
        )
        return found

    def get(self, code: str) -> PlannedArea | None:
        """An area as it is in this draft, inside the scope or not; None where there is none."""
        return self.areas[code] if code in self.areas else self.before(code)

    def inside(self) -> Iterator[PlannedArea]:
        """The living areas inside the scope, in the order of kinds and codes; the scope itself is not one."""
        return iter(self._living)

    @cached_property
    def _living(self) -> tuple[PlannedArea, ...]:
        born = [code for code in self.areas if code not in self.base.row]
        living = [area for code in (*self._inside, *born) if (area := self.get(code)) is not None]
        return tuple(sorted(living, key=lambda area: (ORDER[area.kind], area.code)))

    @cached_property
    def _held(self) -> dict[str | None, list[PlannedArea]]:
        held: dict[str | None, list[PlannedArea]] = {}
        for area in self._living:
            held.setdefault(area.parent, []).append(area)
        return held

    def take(self, code: str) -> PlannedArea:
        """A living area inside the scope.

        Raises:
            NotFound: `unknown_area`: there is none, or it lies outside.
        """
        area = self.get(code)
        if area is None or code == self.scope or self.scope not in self.path(code).split("."):
            raise NotFound(
                f"本方案区域内没有 {code} There is no area {code} inside {self.scope}", code="unknown_area"
            )
        return area

    def children(self, code: str) -> list[PlannedArea]:
        """Living areas that hang from one inside the scope, or from the scope itself."""
        return list(self._held.get(code, ()))

    def path(self, code: str) -> str:
        """Codes from the largest area down to a living one, joined by dots."""
        if code in self.base.row and code not in self.areas and self._stands(code):
            path: str = self.base.path[self.base.row[code]]
            return path
        area = self.get(code)
        if area is None:
            raise NotFound(f"There is no area {code}", code="unknown_area")
        return f"{self.path(area.parent)}.{code}" if area.parent else code

    def _stands(self, code: str) -> bool:
        labels = self.base.path[self.base.row[code]].split(".")
        return not any(label in self.areas for label in labels)

    @property
    def retired(self) -> list[str]:
        """Codes of the base that live no more, in order."""
        return sorted(code for code, area in self.areas.items() if area is None)

    @property
    def changed(self) -> list[PlannedArea]:
        """Areas that are another one than in the base, or new; not those touched alone."""
        living = (area for area in self.areas.values() if area is not None and not area.touched)
        return sorted(living, key=lambda area: (ORDER[area.kind], area.code))

    @property
    def touched(self) -> list[PlannedArea]:
        """Areas that only got vertices."""
        living = (area for area in self.areas.values() if area is not None and area.touched)
        return sorted(living, key=lambda area: area.code)

    def differing(self, other: "Draft") -> set[str]:
        """Codes of the areas that are another one than in a draft on the same edition."""
        return {
            code
            for code in self.areas.keys() | other.areas.keys()
            if (now := self.get(code)) is not (then := other.get(code)) and now != then
        }

    def shapes(self, codes: list[str]) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Polygons of living areas."""
        shapes = np.empty(len(codes), dtype=object)
        shapes[:] = [area.geom for code in codes if (area := self.get(code)) is not None]
        return shapes
