"""What a check of a coverage finds: one shape for command line, planning desk and import gate."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.findings import Severity
from gridmap import crs

# In the order in which they are listed: what makes the following ones doubtful comes first.
TITLES: Final[Mapping[str, str]] = {
    "invalid": "图形无效",
    "duplicate_code": "编码重复",
    "bad_code": "编码不合规",
    "overlap": "重叠",
    "gap": "缝隙",
    "outside_parent": "超出上级范围",
    "not_contiguous": "不连片",
    "sliver": "碎面",
    "households_out_of_range": "户数超出范围",
}
ORDER: Final[Mapping[str, int]] = {code: order for order, code in enumerate(TITLES)}
WARNINGS: Final = frozenset({"not_contiguous", "sliver", "households_out_of_range"})
# Digits of the last bit of a longitude leave 1e-7 m² beside a border of 100 m; nobody surveys a square centimetre.
TOLERANCE_M2: Final = 1e-4

Where = tuple[float, float]
Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class CoverageFinding:
    """One thing that is wrong with a coverage.

    Attributes:
        code: a key of `TITLES`.
        severity: an `error` breaks the rule that every place has one owner; a `warning` may be meant.
        area: code of the area concerned; of an overlap the smaller code, of a gap the neighbour with the
            longest shared border.
        other: the second area, where there is one.
        where: longitude and latitude in degrees of a place inside the finding; None where there is no shape.
        measure: how much, in `unit`.
        unit: `m2` (true square metres), `areas` or `households`.
        message: one sentence, 中文 and English.
    """

    code: str
    severity: Severity
    area: str | None
    other: str | None
    where: Where | None
    measure: float | None
    unit: str | None
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `where` as a list."""
        return {**asdict(self), "where": list(self.where) if self.where else None}

    @property
    def title(self) -> str:
        """中文 for the code."""
        return TITLES[self.code]


@dataclass
class Examination:
    """What a check found.

    Attributes:
        findings: in a fixed order: by code as in `TITLES`, then by area, other and place.
        areas: how many areas were looked at, by kind.
        tolerance_m2: overlaps, gaps and parts outside of at most this size are not among the findings.
        below: how many these were, by code.
        below_m2: the largest of them, in m².
        notes: what was assumed or could not be checked.
    """

    tolerance_m2: float = TOLERANCE_M2
    findings: list[CoverageFinding] = field(default_factory=list)
    areas: Counter[str] = field(default_factory=Counter)
    below: Counter[str] = field(default_factory=Counter)
    below_m2: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        code: str,
        area: str | None,
        message: str,
        *,
        other: str | None = None,
        where: Where | None = None,
        measure: float | None = None,
        unit: str | None = None,
    ) -> None:
        """Takes a finding; its severity follows from its code."""
        severity: Severity = "warning" if code in WARNINGS else "error"
        self.findings.append(
            CoverageFinding(code, severity, area or None, other or None, where, measure, unit, message)
        )

    def is_noise(self, code: str, measure_m2: float) -> bool:
        """Whether a measure is within the tolerance; then it is counted, and nothing else."""
        if measure_m2 > self.tolerance_m2:
            return False
        if measure_m2 > 0.0:
            self.below[code] += 1
            self.below_m2 = max(self.below_m2, measure_m2)
        return True

    def sort(self) -> None:
        """Puts the findings into their fixed order."""
        self.findings = in_order(self.findings)


def in_order(findings: Iterable[CoverageFinding]) -> list[CoverageFinding]:
    """Findings in their fixed order."""
    return sorted(
        findings,
        key=lambda each: (
            ORDER[each.code],
            each.area or "",
            each.other or "",
            each.where or (0.0, 0.0),
            each.message,
        ),
    )


def counts(findings: Iterable[CoverageFinding]) -> dict[str, int]:
    """How many findings of each code, in the order of `TITLES`; those that are not there are left out."""
    found = Counter(each.code for each in findings)
    return {code: found[code] for code in TITLES if found[code]}


def polygonal(shapes: Shapes) -> tuple[Shapes, NDArray[np.intp]]:
    """The polygons in shapes of any kind, and the position of the shape that each is part of."""
    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    nested, of_part = shapely.get_parts(parts, return_index=True)
    solid = (shapely.get_type_id(nested) == shapely.GeometryType.POLYGON) & (shapely.area(nested) > 0.0)
    return np.asarray(nested[solid], dtype=object), np.asarray(of_shape[of_part[solid]], dtype=np.intp)


def place_in(shape: shapely.Geometry) -> Where | None:
    """A place inside the largest polygon of a shape."""
    parts, _ = polygonal(np.array([shape], dtype=object))
    if not len(parts):
        return None
    point = shapely.point_on_surface(parts[np.argmax(shapely.area(parts))])
    return float(point.x), float(point.y)


def mean_width_m(shapes: Shapes, areas_m2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean width in metres of the polygons in each shape: of a strip its width, of a square half its side."""
    parts, of_shape = polygonal(shapes)
    around = np.bincount(of_shape, weights=crs.length_m(parts), minlength=len(shapes))
    width: NDArray[np.float64] = np.divide(
        2.0 * areas_m2, around, out=np.zeros_like(areas_m2), where=around > 0
    )
    return width


def in_m2(measure: float) -> str:
    """`1,234.5 m²`; what is tiny keeps its digits."""
    return f"{measure:,.3f} m²" if measure >= 0.01 else f"{measure:.2g} m²"


def in_m(measure: float) -> str:
    """`12.30 m`, or `0.0031 m`."""
    return f"{measure:,.2f} m" if measure >= 0.1 else f"{measure:.2g} m"
