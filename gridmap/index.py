"""Whose place is it: the owner of any place, the same whichever way it is asked.

The rule (docs/adr/0007): a dedicated grid before a micro-grid before a comprehensive grid. Within a kind the
grid that holds the place in its interior, the smallest code where several do; else the smallest code among
those whose border holds it. Where no grid does, the nearest grid of the same village within the tolerance, in
true metres; else the jurisdiction. Inside and border are those of GEOS on the polygons as they are stored.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridmap.errors import InvalidInput
from gridmap.index_answers import (
    JURISDICTION,
    METHODS,
    NEAREST,
    NONE,
    Answer,
    Codes,
    Floats,
    Place,
    Places,
    Rows,
)
from gridmap.index_border import Outline
from gridmap.index_checks import check_polygons, check_tolerance, checked, refused
from gridmap.index_engine import Engine, warm
from gridmap.index_frame import read_frame
from gridmap.index_layer import Layer
from gridmap.index_nearest import NearestGrid
from gridmap.index_patch import Patched, followed

__all__ = ["KINDS", "METHODS", "Answer", "AreaIndex", "GridIndex", "Place", "Places"]

JURISDICTIONS = ("province", "city", "county", "town", "village")
NESTING = (*JURISDICTIONS, "comprehensive", "micro")
GRIDS = ("dedicated", "micro", "comprehensive")  # in the order in which they win
OVERLAYS = ("precinct", "court", "procuratorate", "justice", "section")
KINDS = (*GRIDS, *JURISDICTIONS, *OVERLAYS)
NOBODY = -1

_STEP_ACROSS_M = 0.01
_MOST_OUTLINES = 1024


class AreaIndex:
    """All areas of one edition in memory; immutable, safe to ask from many threads."""

    def __init__(
        self,
        geoms: Any,
        codes: Sequence[str],
        kinds: Sequence[str],
        paths: Sequence[str],
        *,
        bulk: bool = False,
    ) -> None:
        self._set(geoms, codes, kinds, paths, bulk=bulk)
        for kind, rows in self._rows.items():
            self._layers[kind] = Layer(geoms[rows], rows, bulk=bulk)

    def _set(
        self, geoms: Any, codes: Sequence[str], kinds: Sequence[str], paths: Sequence[str], *, bulk: bool
    ) -> None:
        self._geoms = geoms
        kind_of = np.asarray(kinds, dtype=object)
        rank = np.empty(len(geoms), dtype=np.int64)
        rank[sorted(range(len(geoms)), key=codes.__getitem__)] = np.arange(len(geoms))
        self._layers: dict[str, Layer | Patched] = {}
        self._rows: dict[str, Rows] = {}
        for kind in KINDS:
            members = np.flatnonzero(kind_of == kind)
            if len(members):
                self._rows[kind] = members[np.argsort(rank[members])].astype(np.int32)
        self._kind_of, self._rank, self._paths, self._codes = kind_of, rank, paths, codes
        self._bulk = bulk
        self._lock = Lock()
        self._nearest_grid: NearestGrid | None = None
        self._outlines: dict[int, Outline] = {}

    def following(
        self,
        areas: tuple[Any, Sequence[str], Sequence[str], Sequence[str]],
        rows: Rows,
        boxes: Mapping[str, Floats],
    ) -> "AreaIndex":
        """The index of a later edition; its cost follows what differs, and it answers as one built from nothing.

        Args:
            areas: geometries, codes, kinds and paths of the later edition, as `from_arrays` takes them, checked.
            rows: for each row of this one that of the later edition, -1 where there is none; and one more -1.
            boxes: by kind, west, south, east, north of whatever may be held by another area of the kind.
        """
        made = AreaIndex.__new__(AreaIndex)
        geoms, codes, kinds, paths = areas
        made._set(geoms, codes, kinds, paths, bulk=self._bulk)  # noqa: SLF001  # one of this class
        nothing = np.empty((0, 4))
        for kind, members in made._rows.items():  # noqa: SLF001  # the same
            earlier = self._layers.get(kind)
            made._layers[kind] = (  # noqa: SLF001  # the same
                Layer(geoms[members], members, bulk=self._bulk)
                if earlier is None
                else followed(earlier, rows, boxes.get(kind, nothing), geoms[members], members)
            )
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was built from: building is faster than sending a lattice."""
        built_from = (self._geoms, self._codes, list(self._kind_of), self._paths)
        return partial(AreaIndex, bulk=self._bulk), built_from

    @property
    def nbytes(self) -> int:
        """Memory of the lattices and of what finds the nearest grid; the polygons are the caller's."""
        nearest = 0 if self._nearest_grid is None else self._nearest_grid.nbytes
        return nearest + sum(layer.nbytes for layer in self._layers.values())

    @classmethod
    def from_arrays(
        cls,
        geoms: Any,
        codes: Sequence[str],
        kinds: Sequence[str],
        paths: Sequence[str],
        *,
        bulk: bool = False,
    ) -> "AreaIndex":
        """Index of areas given as parallel sequences.

        Args:
            geoms: shapely polygons and multipolygons, EPSG:4326; None and empty ones hold nothing.
            codes: unique codes.
            kinds: members of `KINDS`.
            paths: codes from the largest area down to this one, joined by dots.
            bulk: finer lattices, for many millions of places; twice the memory.

        Raises:
            InvalidInput: `bad_shape`, `bad_kind`, `duplicate_code`, `not_a_polygon`, `bad_coordinates`; findings
                name the row.
        """
        polygons = np.empty(len(geoms), dtype=object)
        polygons[:] = geoms
        texts = [str(code) for code in codes]
        if not len(polygons) == len(texts) == len(kinds) == len(paths):
            raise InvalidInput("geometries, codes, kinds and paths differ in number", code="bad_shape")
        check_polygons(polygons)
        seen: set[str] = set()
        for row, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
            if kind not in KINDS:
                raise refused(row, "kind", f"{kind!r} is no kind of area", "bad_kind")
            if text in seen:
                raise refused(row, "code", f"code {text!r} is there already", "duplicate_code")
            seen.add(text)
        return cls(polygons, texts, [str(kind) for kind in kinds], [str(path) for path in paths], bulk=bulk)

    def locate(
        self, lon: ArrayLike, lat: ArrayLike, tolerance_m: float = 50.0, *, engine: Engine = "auto"
    ) -> Places:
        """Owner and areas of many places.

        Args:
            lon: longitudes, WGS-84 degrees, 1-d.
            lat: latitudes.
            tolerance_m: how far a place may lie from the nearest grid and still be its.
            engine: `numpy` or `compiled`; `auto` takes what is ready sooner (gridmap/index_engine.py).

        Returns:
            Arrays of the same length. NaN and infinite coordinates are nobody's (`none`).

        Raises:
            InvalidInput: `bad_shape`, `bad_tolerance`.
        """
        x, y = checked(lon, lat, tolerance_m)
        nothing = np.full(len(x), NOBODY, dtype=np.int32)
        nothing.flags.writeable = False  # shared by all kinds that this edition lacks
        holds, states = dict.fromkeys(KINDS, nothing), {}
        for kind, layer in self._layers.items():
            holds[kind], states[kind] = layer.locate(x, y, engine)
        owner, method = nothing.copy(), np.full(len(x), NONE, dtype=np.uint8)
        for kind in GRIDS:
            if kind in self._layers:
                take = (owner < 0) & (holds[kind] >= 0)
                owner[take] = holds[kind][take]
                method[take] = states[kind][take]
        distance = np.where(owner >= 0, 0.0, np.nan)
        leaf = nothing
        for kind in reversed(NESTING):
            leaf = np.where(leaf < 0, holds[kind], leaf)
        self._fill_gaps(x, y, tolerance_m, (owner, method, distance, holds["village"]))
        in_area = (method == NONE) & np.logical_or.reduce([holds[kind] >= 0 for kind in JURISDICTIONS])
        method[in_area] = JURISDICTION
        return Places(owner, method, distance, leaf, holds)

    def owners(
        self, lon: ArrayLike, lat: ArrayLike, tolerance_m: float = 50.0, *, engine: Engine = "auto"
    ) -> tuple[Rows, Codes, Floats]:
        """Owners only: rows, method codes and distances as in `Places`, without a look at other areas.

        A place that only a jurisdiction holds is nobody's here.
        """
        x, y = checked(lon, lat, tolerance_m)
        kinds = [kind for kind in GRIDS if kind in self._layers]
        owner, method = np.full(len(x), NOBODY, dtype=np.int32), np.full(len(x), NONE, dtype=np.uint8)
        if kinds:
            owner, method = self._layers[kinds[0]].locate(x, y, engine)
        for kind in kinds[1:]:
            left = np.flatnonzero(owner < 0)
            owner[left], method[left] = self._layers[kind].locate(x[left], y[left], engine)
        missing = np.flatnonzero(owner < 0)
        distance = np.zeros(len(x))
        distance[missing] = np.nan
        if len(missing) and tolerance_m > 0.0:
            part = x[missing], y[missing]
            village = self._layers["village"].locate(*part, engine)[0] if "village" in self._layers else owner
            gap = owner[missing], method[missing], distance[missing], village
            self._fill_gaps(*part, tolerance_m, gap)
            owner[missing], method[missing], distance[missing] = gap[:3]
        return owner, method, distance

    def _fill_gaps(
        self, x: Floats, y: Floats, tolerance_m: float, answer: tuple[Rows, Codes, Floats, Rows]
    ) -> None:
        """Gives places in gaps to the nearest grid of their village."""
        owner, method, distance, village = answer
        missing = (owner < 0) & np.isfinite(x) & np.isfinite(y)
        wanted = None
        if "village" in self._layers:
            missing &= village >= 0  # without a village there is no grid of the same one
            wanted = village
        gap = np.flatnonzero(missing)
        if len(gap) and tolerance_m > 0.0:
            group = None if wanted is None else wanted[gap].astype(np.int64)
            found, metres = self._nearest().find(x[gap], y[gap], tolerance_m, group)
            hit = found >= 0
            owner[gap[hit]] = self._grid_rows[found[hit]]
            method[gap[hit]] = NEAREST
            distance[gap[hit]] = metres[hit]

    @cached_property
    def _grid_rows(self) -> Rows:
        rows = [self._rows[kind] for kind in GRIDS if kind in self._rows]
        return np.concatenate([np.zeros(0, dtype=np.int32), *rows]).astype(np.int32)

    def _nearest(self) -> NearestGrid:
        with self._lock:
            if self._nearest_grid is None:
                # positions run through the kinds as they win, then through the codes: that is the order
                order = np.arange(len(self._grid_rows))
                group = self._village_of_grids() if "village" in self._layers else None
                self._nearest_grid = NearestGrid(self._geoms[self._grid_rows], order, group)
            return self._nearest_grid

    def complete(self) -> None:
        """Builds at once what is otherwise built for the first place in a gap."""
        self._nearest()

    def _village_of_grids(self) -> NDArray[np.int64]:
        """Row of the village on each grid's path, -1 where there is none."""
        village = {self._codes[row]: int(row) for row in self._rows["village"]}
        return np.array(
            [
                next(
                    (village[label] for label in reversed(self._paths[row].split(".")) if label in village),
                    -1,
                )
                for row in self._grid_rows
            ],
            dtype=np.int64,
        )

    def locate_one(self, lon: float, lat: float, tolerance_m: float = 50.0) -> Place:
        """Owner and areas of one place; the same answer as `locate`.

        Raises:
            InvalidInput: `bad_tolerance`.
        """
        check_tolerance(tolerance_m)
        lon, lat = float(lon), float(lat)
        holds, owner, state = dict.fromkeys(KINDS, NOBODY), NOBODY, NONE
        for kind, layer in self._layers.items():
            row, how = layer.locate_one(lon, lat)
            holds[kind] = row
            if row >= 0 and owner < 0 and kind in GRIDS:
                owner, state = row, how
        leaf = next((holds[kind] for kind in reversed(NESTING) if holds[kind] >= 0), NOBODY)
        if owner >= 0:
            return Place(owner, METHODS[state], 0.0, leaf, holds)
        distance = math.nan
        if tolerance_m > 0.0:
            answer = np.array([NOBODY], np.int32), np.array([NONE], np.uint8), np.array([math.nan])
            village = np.array([holds["village"]], np.int32)
            self._fill_gaps(np.array([lon]), np.array([lat]), tolerance_m, (*answer, village))
            owner, state, distance = (array[0].item() for array in answer)
        if owner < 0 and any(holds[kind] >= 0 for kind in JURISDICTIONS):
            state = JURISDICTION
        return Place(owner, METHODS[state], distance, leaf, holds)

    def nearest_border(self, lon: float, lat: float, row: int) -> tuple[float, int]:
        """How far a place is from the border of an area, and who is its neighbour there.

        Args:
            lon: longitude, WGS-84 degrees.
            lat: latitude.
            row: an area.

        Returns:
            Metres to the nearest point of its border, and the row of the area of the same kind a centimetre
            beyond that point (on the border: another one that holds it); -1 where there is none.
        """
        lon, lat = float(lon), float(lat)
        border_lon, border_lat, metres = self._outline(row).nearest(lon, lat)
        layer = self._layers[str(self._kind_of[row])]
        if metres < _STEP_ACROSS_M / 1000.0:
            others = [other for other in layer.holders(lon, lat) if other != row]
            return metres, others[0] if others else NOBODY
        # a step across the border, along the shortest way to it
        step = _STEP_ACROSS_M / metres
        across, _ = layer.locate_one(
            border_lon + (border_lon - lon) * step, border_lat + (border_lat - lat) * step
        )
        return metres, NOBODY if across == row else across

    def _outline(self, row: int) -> Outline:
        """Outlines of the areas that were asked for last: where many places are asked, these are few."""
        outline = self._outlines.get(row)
        if outline is None:
            if len(self._outlines) >= _MOST_OUTLINES:
                self._outlines.clear()
            outline = self._outlines[row] = Outline(self._geoms[row])
        return outline


class GridIndex:
    """Grids from a file or a frame, without a database."""

    def __init__(self, index: AreaIndex, of_row: Rows | None = None) -> None:
        self._index = index
        self._of_row = of_row  # None where they are the same rows

    @classmethod
    def from_frame(cls, grids: Any, code: str = "code") -> "GridIndex":
        """Index of the rows of a geopandas frame.

        Args:
            grids: polygons in any reference system; they are converted to WGS-84, in which they are then
                asked (a frame without one is taken as WGS-84). Where a column `kind` exists, dedicated grids
                win over micro over comprehensive ones, rows of `village` say which village a place is in, and
                other kinds own nothing; where no row is of a grid kind, all rows are grids of one kind.
                Columns `path` or `parent` say which village a grid belongs to.
            code: the column with the unique codes.

        Raises:
            InvalidInput: `missing_column`, `no_areas`, `empty_code`, `duplicate_code`, `empty_geometry`,
                `not_a_polygon`, `bad_coordinates`; findings name the rows.
        """
        geoms, codes, kinds, paths, rows = read_frame(grids, code)
        same = len(rows) == len(grids)
        return cls(AreaIndex.from_arrays(geoms, codes, kinds, paths, bulk=True), None if same else rows)

    def locate(
        self, lon: ArrayLike, lat: ArrayLike, tolerance_m: float = 50.0, *, engine: Engine = "auto"
    ) -> Answer:
        """Owner of many places.

        Args:
            lon: longitudes, WGS-84 degrees, 1-d.
            lat: latitudes.
            tolerance_m: how far a place may lie from the nearest grid and still be its.
            engine: `numpy` or `compiled`; `auto` takes what is ready sooner (gridmap/index_engine.py).

        Returns:
            Arrays of the same length. NaN and infinite coordinates are nobody's (`none`).

        Raises:
            InvalidInput: `bad_shape`, `bad_tolerance`.
        """
        owner, method, distance = self._index.owners(lon, lat, tolerance_m, engine=engine)
        if self._of_row is not None:
            owner = np.where(owner >= 0, self._of_row[owner], NOBODY)
        return Answer(owner, method, distance)


def _main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["--warm"]:
        sys.stderr.write("python -m gridmap.index --warm: compile once, so that nobody waits for it later\n")
        return 2
    sys.stdout.write(f"compiled code is in {warm()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
