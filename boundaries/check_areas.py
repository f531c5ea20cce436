"""The areas under check, as parallel arrays, and what kind each is where nobody says."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from gridmap.codes import DEFAULT, Scheme
from gridmap.errors import InvalidInput
from gridmap.index import GRIDS, KINDS, NESTING

ALLOWED_CODE: Final = re.compile(r"[A-Za-z0-9_]{1,255}")
UNKNOWN: Final = -1  # households that nobody counted
TELLING: Final = 6  # digits of a county
USUAL_KIND: Final = "micro"  # as GridIndex takes grids without a kind


@dataclass(frozen=True)
class Areas:
    """Areas as they are to be checked.

    Attributes:
        geom: shapely geometries, EPSG:4326, longitude first; None where there is none.
        code: empty where there is none.
        kind: members of `gridmap.index.KINDS`.
        parent: code of the stated parent, empty where none is stated.
        households: int64, `UNKNOWN` where nobody counted.
        rows: int64, how a person counts the areas in their file.
        flaws: by position, why a geometry could not be read.
        buildings: int64, `UNKNOWN` where nobody counted; None where that is everywhere. With it, one building alone
            may hold more households than a grid should have.
    """

    geom: NDArray[np.object_]
    code: Sequence[str]
    kind: Sequence[str]
    parent: Sequence[str]
    households: NDArray[np.int64]
    rows: NDArray[np.int64]
    flaws: Mapping[int, str] = field(default_factory=dict)
    buildings: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.geom)

    @classmethod
    def from_arrays(
        cls,
        geom: Any,
        code: Sequence[Any],
        *,
        kind: Sequence[str | None] | None = None,
        parent: Sequence[Any] | None = None,
        households: Any = None,
        rows: Any = None,
        flaws: Mapping[int, str] | None = None,
        scheme: Scheme = DEFAULT,
    ) -> "Areas":
        """Areas out of parallel sequences of the same length.

        Args:
            geom: shapely geometries in EPSG:4326; None and broken ones become findings.
            code: codes; None and empty ones become findings.
            kind: None, also for single areas, means by the code; where the codes say nothing, `micro`.
            parent: codes of the parents, where they are known.
            households: counts, negative where unknown.
            rows: by default 1, 2, 3, …
            flaws: why geometries could not be read, by position.
            scheme: by which codes name their kinds.

        Raises:
            InvalidInput: `bad_shape` where lengths differ, `unknown_kind`.
        """
        shapes = np.empty(len(geom), dtype=object)
        shapes[:] = list(geom)
        many = len(shapes)
        codes = [code_text(each) for each in code]
        parents = [code_text(each) for each in parent] if parent is not None else [""] * many
        counts = np.full(many, UNKNOWN) if households is None else np.asarray(households)
        numbers = np.arange(1, many + 1) if rows is None else np.asarray(rows)
        stated = list(kind) if kind is not None else [None] * many
        if not many == len(codes) == len(parents) == len(counts) == len(numbers) == len(stated):
            raise InvalidInput("geometries, codes and the other columns differ in number", code="bad_shape")
        return cls(
            shapes,
            codes,
            _kinds(codes, stated, scheme),
            parents,
            counts.astype(np.int64),
            numbers.astype(np.int64),
            flaws or {},
        )

    @classmethod
    def from_frame(cls, frame: Any, code: str = "code") -> "Areas":
        """Areas out of a geopandas frame; its columns `kind`, `parent` and `households` are used where present.

        Raises:
            InvalidInput: `missing_column`, or as of `from_arrays`.
        """
        columns = [str(name) for name in frame.columns]
        if code not in columns:
            raise InvalidInput(
                f"column {code!r} is missing; there are {', '.join(columns)}", code="missing_column"
            )
        moved = frame if frame.crs is None or frame.crs.to_epsg() in {4326, 4490} else frame.to_crs(4326)
        counts = frame["households"].fillna(UNKNOWN) if "households" in columns else None
        return cls.from_arrays(
            moved.geometry.to_numpy(),
            list(frame[code]),
            kind=[code_text(each) or None for each in frame["kind"]] if "kind" in columns else None,
            parent=list(frame["parent"]) if "parent" in columns else None,
            households=counts,
        )

    def named(self, at: int) -> str:
        """How a message calls an area: its code, or its row."""
        return self.code[at] or f"第 {self.rows[at]} 行 row {self.rows[at]}"


def code_text(value: Any) -> str:
    """A code as text; whole floats, as tables make them of digits, lose their `.0`, NaN and None are empty."""
    if value is None or value != value:  # noqa: PLR0124  # NaN and NaT of every library
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def coarser(kind: str) -> tuple[str, ...]:
    """Kinds in whose areas one of this kind lies, the finest first; none for overlays."""
    if kind in NESTING:
        return NESTING[: NESTING.index(kind)][::-1]
    return NESTING[: NESTING.index("comprehensive")][::-1] if kind in GRIDS else ()


def _kinds(codes: Sequence[str], stated: Sequence[str | None], scheme: Scheme) -> list[str]:
    for row, kind in enumerate(stated):
        if kind is not None and kind not in KINDS:
            raise InvalidInput(
                f"record {row + 1}: {kind!r} is no kind of area; kinds are {', '.join(KINDS)}",
                code="unknown_kind",
            )
    read = [kind or _told(code, scheme) for kind, code in zip(stated, codes, strict=True)]
    usual = Counter(kind for kind in read if kind)
    # codes that say nothing in a file whose other codes do: of the commonest kind there
    often = usual.most_common(1)[0][0] if usual and 2 * usual.total() >= len(codes) else USUAL_KIND
    return [kind or often for kind in read]


def _told(code: str, scheme: Scheme) -> str | None:
    """Kind by a code; a number of few digits is more likely a running number than a province."""
    return scheme.kind(code) if len(code) >= TELLING else None


def inner_points(geom: NDArray[np.object_]) -> NDArray[np.object_]:
    """A point inside each polygon; None for None and empty ones."""
    points = np.asarray(shapely.point_on_surface(geom), dtype=object)
    points[shapely.is_empty(points)] = None
    return points
