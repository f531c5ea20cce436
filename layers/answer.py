"""What a question for heat comes back as: parallel columns, and their GeoJSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from gridmap import crs as reference_systems
from gridmap.periods import Period
from gridmap.snapshot import Snapshot
from layers import hexes
from layers.features import geometry_json
from layers.kept import Kept

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "count": "events",
        "per_100_households": "events per 100 households",
        "change": "percent",
        "hotspot": "z",
    }
)


@dataclass(frozen=True)
class Outlines:
    """Where the features of an answer lie: rows of a snapshot, polygons of their own, or hexagons.

    Attributes:
        rows: a row of the snapshot a feature, or -1.
        shapes: shapely geometries, EPSG:4326, of the features whose row is -1, in their order; None for hexagons,
            which are drawn when they are asked for.
        cells: of hexagons.
    """

    snapshot: Snapshot
    rows: NDArray[np.intp]
    shapes: NDArray[np.object_] | None = None
    cells: Ints | None = None

    @classmethod
    def of_cells(cls, snapshot: Snapshot, cells: Ints) -> "Outlines":
        """The outlines of hexagons."""
        return cls(snapshot, np.full(len(cells), -1, dtype=np.intp), cells=cells)

    def _own(self) -> NDArray[np.object_]:
        if self.cells is not None:
            return hexes.outlines(self.cells)
        return np.empty(0, dtype=object) if self.shapes is None else self.shapes

    def geometries(self) -> NDArray[np.object_]:
        """Shapely geometries in EPSG:4326, one a feature."""
        drawn = np.empty(len(self.rows), dtype=object)
        own = self.rows < 0
        drawn[~own] = self.snapshot.geom[self.rows[~own]]
        drawn[own] = self._own()
        return drawn

    def json(self, crs: str) -> list[bytes]:
        """GeoJSON geometries in a reference system (canonical name), one a feature, at full precision."""
        own = self.rows < 0
        texts = np.empty(len(self.rows), dtype=object)
        texts[~own] = geometry_json(self.snapshot, self.rows[~own], crs)
        if own.any():
            shapes = self._own()
            if crs != "wgs84":
                shapes = shapely.transform(
                    shapes,
                    lambda xy: np.column_stack(reference_systems.convert(xy[:, 0], xy[:, 1], "wgs84", crs)),
                )
            texts[own] = [text.encode() for text in shapely.to_geojson(shapes)]
        return list(texts)


@dataclass(frozen=True, kw_only=True)
class Heat:
    """Features in the order of their codes (or cells) as parallel columns.

    Attributes:
        by: `grid` or `hex`; `kind` of area, or `hex`.
        measure: what `value` is; `unit` in words.
        code: of the area, or H3's name of the cell.
        households: resident households; None for hexagons, whose few houses would say who lives there.
        count: events; meaningless where `withheld`.
        value: the measure, NaN where there is none.
        withheld: the count is not shown, and neither is anything that would betray it.
        before: for `change`, events in the period compared with; -1 where not shown.
        z: for `hotspot`, Gi*; `p` two-sided.
        retired: for boundaries as they were then, the last edition's number of a code that no longer lives; 0 else.
        breaks: lower bounds of the classes but the first (layers.classes).
        withhold_below: k, or None where every count is exact for who asked.
    """

    by: str
    kind: str
    measure: str
    boundaries: str
    edition: int
    period: Period
    code: NDArray[np.object_]
    name: NDArray[np.object_] | None
    households: Ints | None
    count: Ints
    value: Floats
    withheld: NDArray[np.bool_]
    breaks: list[float]
    withhold_below: int | None
    outlines: Outlines
    before: Ints | None = None
    z: Floats | None = None
    p: Floats | None = None
    retired: Ints | None = None

    def __len__(self) -> int:
        return len(self.code)

    @property
    def unit(self) -> str:
        """What one unit of `value` is."""
        return UNITS[self.measure]

    def facts(self) -> dict[str, Any]:
        """What holds for the whole collection."""
        return {
            "by": self.by,
            "kind": self.kind,
            "measure": self.measure,
            "unit": self.unit,
            "breaks": self.breaks,
            "withhold_below": self.withhold_below,
            "boundaries": self.boundaries,
            "edition": self.edition,
            "from": self.period.since,
            "to": self.period.until,
        }

    def to_geojson(
        self,
        *,
        geometry: bool = True,
        crs: str = "wgs84",
        part: slice = slice(None),
        following: str | None = None,
    ) -> bytes:
        """A FeatureCollection as JSON.

        Args:
            geometry: False leaves every geometry null: the values alone.
            crs: of the coordinates, as of `gridmap.crs.normalise`; full precision.
            part: the features of one page.
            following: path of the next page.

        Raises:
            InvalidInput: `unknown_crs`.
        """
        system = reference_systems.normalise(crs)
        heads, tails = self._heads(part), self._tails(part)
        begin = '{"type":"Feature","geometry":'
        if geometry:
            shapes = [shape.decode() for shape in self.outlines.json(system)[part]]
            pieces = zip(shapes, heads, tails, strict=True)
            features = f",{begin}".join([f"{shape},{head}{tail}" for shape, head, tail in pieces])
        else:
            begin += "null,"
            features = f",{begin}".join([head + tail for head, tail in zip(heads, tails, strict=True)])
        features = begin + features if heads else ""
        facts = orjson.dumps({"next": following, **self.facts()}).decode()
        return f'{{"type":"FeatureCollection","features":[{features}],{facts[1:]}'.encode()

    # Written as text, column by column: as 7,000 dictionaries it takes six times as long, a third of the whole
    # time of an answer. What only the edition decides is kept.

    def _heads(self, part: slice) -> list[str]:
        if self.name is None or self.households is None:
            return [_head("cell", cell) for cell in self.code[part]]
        if self.retired is None or not self.retired.any():
            kept = _named.get(self.outlines.snapshot)
            return [kept[row] for row in self.outlines.rows[part].tolist()]
        columns = (self.code[part], self.name[part], self.households[part].tolist())
        return [_head("code", *each) for each in zip(*columns, strict=True)]

    def _tails(self, part: slice) -> list[str]:
        columns: list[list[str]] = []
        if self.measure != "count":
            columns.append([f'"value":{number}' for number in _numbers(self.value[part])])
        for name, column in (("z", self.z), ("p", self.p)):
            if column is not None:
                columns.append([f'"{name}":{number}' for number in _numbers(column[part])])
        if self.before is not None:
            numbers = self.before[part].tolist()
            columns.append([f'"before":{"null" if number < 0 else number}' for number in numbers])
        if self.retired is not None and self.retired.any():
            columns.append([f'"retired":{edition or "null"}' for edition in self.retired[part].tolist()])
        if not columns:
            return self._counts(part, "}}")
        columns.insert(0, self._counts(part, ""))
        return [f"{tail}}}}}" for tail in map(",".join, zip(*columns, strict=True))]

    def _counts(self, part: slice, end: str) -> list[str]:
        """Counts and what is withheld; of 7,000 areas a few hundred differ, and each text is made once."""
        distinct, which = np.unique(np.where(self.withheld[part], -1, self.count[part]), return_inverse=True)
        also = ',"value":{0}' if self.measure == "count" else ""
        form = f'"count":{{0}}{also},"withheld":{{1}}'
        texts = [
            (form.format("null", "true") if each < 0 else form.format(each, "false")) + end
            for each in distinct.tolist()
        ]
        return [texts[place] for place in which.tolist()]


def _head(key: str, code: str, name: str | None = None, households: int | None = None) -> str:
    """The properties of a feature up to where its numbers stand."""
    named = "" if name is None else f',"name":{orjson.dumps(name).decode()},"households":{households}'
    return f'"properties":{{"{key}":{orjson.dumps(code).decode()}{named},'


def _numbers(values: Floats) -> list[str]:
    return ["null" if value != value else repr(value) for value in values.tolist()]  # noqa: PLR0124  # NaN


def _all_heads(snapshot: Snapshot, _key: object) -> list[str]:
    columns = (snapshot.code, snapshot.name, snapshot.households.tolist())
    return [_head("code", *each) for each in zip(*columns, strict=True)]


_named: Kept[list[str]] = Kept(_all_heads)
