"""Areas as coverages of the plane, one a kind, and as children that fill their parents."""

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import check_gaps, check_overlaps, check_parents
from boundaries.check_areas import Areas, inner_points
from boundaries.check_edges import Edges, edges_of, loose
from boundaries.check_findings import Examination
from boundaries.check_parents import NONE, Parents
from gridmap.index import NESTING

Rows = NDArray[np.int64]
Shapes = NDArray[np.object_]
NOTHING = np.empty(0, dtype=object)


class Coverage:
    """Looks at areas kind by kind, then at parents and children.

    Args:
        report: takes the findings.
        areas: under check.
        geom: their sound polygons, None where there is none.
        parents: of the areas.
    """

    def __init__(self, report: Examination, areas: Areas, geom: Shapes, parents: Parents) -> None:
        self._report, self._areas, self._geom, self._parents = report, areas, geom, parents
        self._kind = np.array(areas.kind, dtype=object)
        self._there = ~shapely.is_missing(geom)
        self._nested = np.isin(self._kind, NESTING) & self._there
        self._edges: Edges = edges_of(parents.geom)

    def examine(self) -> None:
        """Reports overlaps and holes of every kind, what reaches beyond its parent, and unfilled parents."""
        number_of = {kind: number for number, kind in enumerate((*NESTING, "dedicated"))}
        group = np.full(len(self._parents.geom), NONE, dtype=np.int64)
        group[: len(self._areas)] = [number_of.get(kind, NONE) for kind in self._areas.kind]
        of_edge = group[self._edges.owner]
        open_edge, crowded = loose(self._edges.number, self._edges.sign, of_edge)
        known = NOTHING
        for kind, number in number_of.items():
            rows = self._rows(kind)
            if not len(rows):
                continue
            own = of_edge == number
            suspects = np.unique(self._edges.owner[own & (open_edge | crowded)])
            check_overlaps.add_overlaps(self._report, self._areas, rows, self._geom, suspects)
            if kind in NESTING:
                known = np.concatenate([known, self._add_holes(kind, rows, own & open_edge, known)])
        self._examine_parents(known)

    def _rows(self, kind: str) -> Rows:
        return np.flatnonzero((self._kind == kind) & self._there)

    def _add_holes(self, kind: str, rows: Rows, edges: NDArray[np.bool_], known: Shapes) -> Shapes:
        """Reports the holes that areas of a kind enclose, less what is not theirs to fill."""
        gaps = check_gaps.holes(self._edges.ends[edges], self._geom[rows])
        if not len(gaps):
            return gaps
        fillers = [self._geom[self._rows("dedicated")], self._undivided(kind, rows), self._lakes(), known]
        gaps = check_gaps.subtract(gaps, np.concatenate(fillers))
        meaning = f"{kind} 之间的空洞", f"a hole enclosed by {kind} areas"
        check_gaps.add_gaps(self._report, self._areas, gaps, (rows, self._geom[rows]), meaning)
        return gaps

    def _undivided(self, kind: str, rows: Rows) -> Shapes:
        """Coarser areas in which there is no area of this kind: not every comprehensive grid is divided."""
        coarse = np.flatnonzero(np.isin(self._kind, NESTING[: NESTING.index(kind)]) & self._there)
        if not len(coarse):
            return NOTHING
        divided = np.zeros(len(self._parents.geom), dtype=bool)
        above = self._parents.parent[rows]
        divided[above[above >= 0]] = True
        tree = shapely.STRtree(self._geom[coarse])
        _, holder = tree.query(inner_points(self._geom[rows]), predicate="intersects")
        divided[coarse[holder]] = True
        return self._geom[coarse[~divided[coarse]]]

    def _lakes(self) -> Shapes:
        """Holes of what the areas shall lie in: nothing that they have to fill."""
        if self._parents.outline < 0:
            return NOTHING
        parts = shapely.get_parts(self._parents.geom[[self._parents.outline]])
        rings, of_part = shapely.get_rings(parts, return_index=True)
        inner = np.ones(len(rings), dtype=bool)
        inner[np.unique(of_part, return_index=True)[1]] = False
        return np.asarray(shapely.polygons(rings[inner]), dtype=object)

    def _examine_parents(self, known: Shapes) -> None:
        """Reports children that reach beyond their parent, and parents that their children do not fill."""
        parent = self._parents.parent
        # a city has hundreds of parents and, where it is dirty, tens of thousands of gaps: one tree for all
        told, everybody = check_gaps.Fillers(known), check_gaps.Fillers(self._geom)
        filling = np.where(self._nested, parent, NONE)
        ends, group = self._left(filling)
        suspects = np.unique(group)
        check_parents.add_outside(self._report, self._areas, self._geom, self._parents, suspects)
        # a file's own areas are filled by their children; what shall hold all is filled by all that stand on top
        for holder in suspects[suspects < len(self._areas)].tolist():
            rows = np.flatnonzero(filling == holder)
            self._add_unfilled(holder, rows, ends[group == holder], told, everybody)
        outline = self._parents.outline
        if outline >= 0:
            top = self._nested & ((parent < 0) | (parent >= len(self._areas)))
            ends, _ = self._left(np.where(top, outline, NONE), outline)
            self._add_unfilled(outline, np.flatnonzero(top), ends, told, everybody)

    def _left(self, parent: Rows, always: int = NONE) -> tuple[NDArray[np.float64], Rows]:
        """Edges of parents and their children that do not cancel against each other.

        Args:
            parent: position of the parent by area, negative for areas that take no part.
            always: a parent that takes part even without children.

        Returns:
            ends, float64 (n, 2, 2), and the parent that each belongs to.
        """
        edges = self._edges
        as_child = np.full(len(self._parents.geom), NONE, dtype=np.int64)
        as_child[: len(parent)] = parent
        as_parent = np.full(len(self._parents.geom), NONE, dtype=np.int64)
        holders = np.unique(np.append(parent[parent >= 0], [always] if always >= 0 else []).astype(np.int64))
        as_parent[holders] = holders
        group = np.concatenate([as_child[edges.owner], as_parent[edges.owner]])
        open_edge, _ = loose(np.tile(edges.number, 2), np.concatenate([edges.sign, -edges.sign]), group)
        at = np.flatnonzero(open_edge)
        return edges.ends[at % len(edges)], group[at]

    def _add_unfilled(
        self,
        holder: int,
        rows: Rows,
        ends: NDArray[np.float64],
        told: check_gaps.Fillers,
        everybody: check_gaps.Fillers,
    ) -> None:
        """Reports what areas leave of the one that they shall fill together, less the holes told already."""
        gaps = check_gaps.uncovered(ends, self._parents.geom[holder], self._geom[rows])
        gaps = told.without(gaps)
        if not len(gaps):
            return
        if holder < len(self._areas):
            finer = NESTING[NESTING.index(self._areas.kind[holder]) + 1 :]
            meaning = (
                f"{self._areas.named(holder)} 未被下级覆盖",
                f"{self._areas.named(holder)} is not covered by the areas in it",
            )
        else:
            finer = NESTING
            meaning = "给定范围内未覆盖", "not covered within what shall hold it"
        others = np.isin(self._kind, (*finer, "dedicated")) & self._there
        others[rows] = False
        gaps = everybody.out_of(gaps, others)
        check_gaps.add_gaps(self._report, self._areas, gaps, (rows, self._geom[rows]), meaning)
