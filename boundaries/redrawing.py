"""One edit at work: land that changes hands, parents that follow, vertices that come onto others' borders.

Every edit is made of the same few moves. A parent is never drawn: it gains and loses, vertex for vertex, what its
children do. So a coverage that was exact is exact afterwards, whatever was asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from boundaries.border_vertices import on_border
from boundaries.draft import Cause, Draft, PlannedArea, Step
from boundaries.exact import combine, shared_length
from boundaries.homes import World
from gridmap.borders import Inserted, insert
from gridmap.crs_measures import area_m2
from gridmap.errors import InvalidInput
from gridmap.index import GRIDS, NESTING

ALIGN_M = 0.01  # what seven decimals of a degree can say
SPLINTER_M2 = 1.0  # less is an imprecise hand, not land


class Redrawing:
    """The areas of a draft while an edit changes them; the draft itself stays as it is.

    Args:
        draft: what is edited.
        world: the ground under it.
    """

    def __init__(self, draft: Draft, world: World) -> None:
        self.draft = draft
        self.world = world
        self.told: dict[str, Any] = {}
        self._areas: dict[str, PlannedArea | None] = {}
        self._causes: dict[str, Cause] = {}

    def take(self, code: str) -> PlannedArea:
        """A living area inside the scope, as it is at this moment of the edit."""
        found = self._areas.get(code)
        return found if found is not None else self.draft.take(code)

    def get(self, code: str) -> PlannedArea | None:
        """The same for any code; None where there is no such area."""
        return self._areas[code] if code in self._areas else self.draft.get(code)

    def children(self, code: str) -> list[PlannedArea]:
        """Areas that hang from one."""
        before = {area.code for area in self.draft.children(code)}
        now = {each for each, area in self._areas.items() if area is not None and area.parent == code}
        kept = (self.get(each) for each in sorted(before | now))
        return [area for area in kept if area is not None and area.parent == code]

    def held(self, code: str) -> list[PlannedArea]:
        """Areas that an area is made of. A dedicated grid hangs from it too, but lies above these: it is none of it."""
        return [each for each in self.children(code) if each.kind in NESTING]

    def siblings(self, area: PlannedArea) -> list[PlannedArea]:
        """Other areas of the kind that hang from the same parent."""
        return [
            each
            for each in self.children(area.parent or "")
            if each.kind == area.kind and each.code != area.code
        ]

    def put(self, area: PlannedArea) -> None:
        """An area is from now on another one."""
        self._areas[area.code] = area

    def born(self, area: PlannedArea, cause: Cause) -> None:
        """A new area."""
        self._areas[area.code] = area
        self._causes[area.code] = cause

    def retire(self, code: str, cause: Cause) -> None:
        """An area is no more."""
        self._areas[code] = None
        self._causes[code] = cause

    def insert(self, inserted: Inserted) -> None:
        """Puts new vertices onto an edge wherever an area of the edition has it, inside the scope or not."""
        if not inserted:
            return
        places = np.array(list(inserted))
        west, south = places.min(axis=1).T
        east, north = places.max(axis=1).T
        base = self.draft.base
        box = base.bounds
        near = (
            (box[:, 0, None] <= west) & (box[:, 1, None] <= south)
            & (box[:, 2, None] >= east) & (box[:, 3, None] >= north)
        )  # fmt: skip
        # Land only moves between neighbours: what an area borders on lies in its box, or in that of a changed one.
        codes = set(base.code[near.any(axis=1)].tolist()) | set(self.draft.areas) | set(self._areas)
        around = shapely.box(west.min(), south.min(), east.max(), north.max())
        for code in sorted(codes):
            area = self.get(code)
            if area is None or not shapely.intersects(around, shapely.box(*area.geom.bounds)):
                continue
            grown = insert(area.geom, inserted)
            if grown is not None:
                only = code not in self._areas and (code not in self.draft.areas or area.touched)
                self._areas[code] = replace(area, geom=grown, touched=only)

    def align(self, around: Sequence[Any]) -> int:
        """Gives the areas around some places those vertices of each other that lie on their edges.

        Args:
            around: geometries.

        Returns:
            How many vertices came onto edges.
        """
        box = shapely.box(*shapely.total_bounds(np.array(around, dtype=object)))
        inside = [self.draft.scope, *(area.code for area in self.draft.inside())]
        near = [
            code for code in inside if shapely.intersects(shapely.box(*self._living(code).geom.bounds), box)
        ]
        vertices = np.unique(shapely.get_coordinates([self._living(code).geom for code in near]), axis=0)
        count = 0
        for code in near:
            missing = on_border(self._living(code).geom, vertices, ALIGN_M)
            self.insert(missing.inserted)
            count += len(missing)
        if count:
            self.told["aligned"] = count
        return count

    def _living(self, code: str) -> PlannedArea:
        area = self.get(code)
        assert area is not None  # noqa: S101  # of those inside the scope, or the scope
        return area

    def hand_over(self, land: Any, giver: str | None, taker: str | None) -> None:
        """Land passes from one area to another; whatever holds one of them and not the other follows.

        Args:
            land: (Multi)Polygon with the vertices of whatever it borders on.
            giver: code of who has it; None for nobody's.
            taker: code of who gets it; None for nobody.

        Raises:
            InvalidInput: `crosses_parent`: it would move a border of a jurisdiction, which an edit of grids leaves.
        """
        losing, gaining = self._line(giver), self._line(taker)
        for code in [each for each in losing if each not in gaining]:
            self._gain(code, land, gives=True, asked=code == giver)
        for code in [each for each in gaining if each not in losing]:
            if giver is not None or code == taker:
                self._gain(code, land, gives=False, asked=code == taker)

    def _line(self, code: str | None) -> list[str]:
        """An area and what is made of it, up to the scope, which is not one of them."""
        found: list[str] = []
        while code is not None and code != self.draft.scope:
            found.append(code)
            area = self.get(code)
            code = area.parent if area is not None and area.kind in NESTING else None
        return found

    def _gain(self, code: str, land: Any, *, gives: bool, asked: bool) -> None:
        area = self.get(code)
        if area is None:
            return
        if not asked and area.kind not in GRIDS:
            raise refused(
                "crosses_parent",
                f"会移动{area.name}的边界 This would move the border of {area.name} ({code}), a {area.kind}",
                land,
            )
        geom = combine([area.geom], [land]) if gives else combine([area.geom, land])
        if geom.is_empty:
            self.retire(code, "merge")
        else:
            self.put(replace(area, geom=geom, touched=False))

    def rehang(self, child: str, parent: str) -> None:
        """An area hangs from another parent from now on; its land goes along."""
        area = self.take(child)
        if area.parent == parent:
            return
        losing, gaining = self._line(area.parent), self._line(parent)
        for code in [each for each in losing if each not in gaining]:
            self._gain(code, area.geom, gives=True, asked=code == area.parent)
        for code in [each for each in gaining if each not in losing]:
            self._gain(code, area.geom, gives=False, asked=code == parent)
        self.put(replace(area, parent=parent, touched=False))

    def _overlays_follow(self) -> None:
        """What lies above others hangs from whoever has most of its ground."""
        changed = [area for area in self._areas.values() if area is not None and area.kind in NESTING]
        for holder in [area for area in changed if not area.touched]:
            above = [each for each in self.children(holder.code) if each.kind not in NESTING]
            staying = {each.code for each in most_inside(above, holder.geom)}
            for each in above:
                others = (area for area in changed if area.kind == holder.kind)
                to = next((area for area in others if most_inside([each], area.geom)), None)
                if each.code not in staying and to is not None:
                    self.put(replace(each, parent=to.code, touched=False))

    def step(self) -> Step:
        """What the edit does.

        Raises:
            InvalidInput: `nothing_changes`, or `invalid` where a polygon would be none.
        """
        self._overlays_follow()
        living = [area for area in self._areas.values() if area is not None]
        for area in living:
            if not area.geom.is_valid:
                reason = shapely.is_valid_reason(area.geom)
                raise refused(
                    "invalid", f"{area.code} 会成为无效多边形 would be no valid polygon: {reason}", area.geom
                )
        differs = any(
            area is None or not area.touched or self.draft.get(code) is None
            for code, area in self._areas.items()
        )
        if not differs:
            raise InvalidInput("没有变化 This changes nothing", code="nothing_changes")
        return Step(dict(self._areas), dict(self._causes), dict(self.told))

    def require_whole(self, areas: Iterable[PlannedArea]) -> None:
        """Refuses an edit that leaves a grid in more parts than it had.

        Args:
            areas: as they were before it.

        Raises:
            InvalidInput: `not_contiguous`, with a place in the smallest part.
        """
        for before in areas:
            after = self.get(before.code)
            if after is None or after.kind not in GRIDS or after.geom is before.geom:
                continue
            parts = shapely.get_parts(after.geom)
            parts = parts[area_m2(parts) >= SPLINTER_M2]
            if len(parts) > max(1, len(shapely.get_parts(before.geom))):
                require_one_piece(shapely.MultiPolygon(parts.tolist()), after.code)

    def code_for(self, kind: str, parent: str | None, polygon: Any, like: str = "") -> str:
        """A code that was never used: by the scheme, or a number behind that of another where it gives none."""
        used = {*self.world.used, *self.draft.base.row, *self.draft.areas, *self._areas}
        point = shapely.point_on_surface(polygon)
        try:
            return self.world.scheme.generate(kind, parent or "", [(point.x, point.y)], used)[0]
        except InvalidInput as error:
            if error.code == "codes_used_up":
                raise
        stem = like or f"{parent or self.draft.scope}_{kind[0]}"
        return next(code for number in range(2, 1_000_000) if (code := f"{stem}_{number}") not in used)

    def households(self, polygon: Any) -> int:
        """Resident households whose building's point lies in a polygon."""
        homes = self.world.homes
        return int(homes.households[homes.within(polygon)].sum())


def named_after(area: PlannedArea, code: str) -> str:
    """A name for a piece of an area: with its own number where the name holds the area's, else with it behind."""
    for digits in (3, 2, 1):
        old, new = area.code[-digits:], code[-digits:]
        if digits == 1:
            old, new = area.code[-2:].lstrip("0"), code[-2:].lstrip("0")
        head, found, rest = area.name.rpartition(old)
        if found and old.isdigit() and not head[-1:].isdigit() and not rest[:1].isdigit():
            return f"{head}{new}{rest}"
    return f"{area.name}·{code[-2:].lstrip('0') or code[-2:]}"


def with_longest_border(land: Any, among: Sequence[PlannedArea]) -> PlannedArea | None:
    """The area with which land shares the longest border; None where it touches none."""
    lengths = shared_length(land, [area.geom for area in among]) if among else []
    best = int(np.argmax(lengths)) if lengths else -1
    return among[best] if best >= 0 and lengths[best] > 0 else None


def most_inside(areas: Iterable[PlannedArea], polygon: Any) -> list[PlannedArea]:
    """Those of some areas of which more than half lies in a polygon."""
    shapely.prepare(polygon)
    return [
        area
        for area in areas
        if shapely.contains_properly(polygon, area.geom)
        or shapely.area(shapely.intersection(area.geom, polygon)) > shapely.area(area.geom) / 2
    ]


def require_one_piece(geom: Any, code: str) -> None:
    """Refuses land in several parts.

    Raises:
        InvalidInput: `not_contiguous`, with a place in the smallest part.
    """
    parts = shapely.get_parts(geom)
    if len(parts) > 1:
        smallest = parts[int(np.argmin(area_m2(parts)))]
        raise refused(
            "not_contiguous",
            f"{code} 会分成 {len(parts)} 块 would be in {len(parts)} parts; they must share a border",
            smallest,
        )


def refused(code: str, message: str, where: Any, **more: Any) -> InvalidInput:
    """The error of an edit that cannot be, with a place."""
    point = shapely.point_on_surface(where)
    place = None if point.is_empty else [point.x, point.y]
    return InvalidInput(
        message, code=code, findings=[{"code": code, "where": place, "message": message, **more}]
    )
