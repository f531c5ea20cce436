"""The three columns that `gridmap assign` adds, and the counts over them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boundaries.assign_place import Where, coordinates
from gridmap.errors import InvalidInput
from gridmap.index import METHODS, GridIndex
from gridmap.index_answers import BORDER, INSIDE, NEAREST
from gridmap.index_engine import Engine

NAMES: Final = ("grid", "method", "distance_m")
TYPES: Final = (pa.string(), pa.string(), pa.float64())
# As answers are handed on: a code is written once, not once a point.
PACKED: Final = (pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int32(), pa.string()), pa.float64())
SAMPLE: Final = 1500  # points kept for the look at their reference system
SAMPLE_A_BATCH: Final = 300

Floats = NDArray[np.float64]


@dataclass
class Tally:
    """What was found, over any number of batches.

    Attributes:
        rows: points in all.
        located: with finite coordinates, which a WGS-84 place stands for.
        methods: points by method, in the order of `METHODS`.
        unreadable: coordinates that are no numbers, or geometry that is none.
        first: row (from 1) and text of the first of these.
        sample: x and y, as they came, of some points from all over the file.
    """

    rows: int = 0
    located: int = 0
    methods: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(METHODS), dtype=np.int64))
    unreadable: int = 0
    first: tuple[int, str] | None = None
    sample: list[tuple[Floats, Floats]] = field(default_factory=list)

    @property
    def in_grid(self) -> int:
        """Points that have a grid: inside, border and nearest."""
        return int(self.methods[[INSIDE, BORDER, NEAREST]].sum())

    def counts(self) -> dict[str, int]:
        """Points by method, without those that a file of grids never answers."""
        found = dict(zip(METHODS, self.methods.tolist(), strict=True))
        return {name: found[name] for name in ("inside", "border", "nearest", "none")}

    def add(self, other: "Tally") -> None:
        """Adds what comes later in the file."""
        if self.first is None and other.first is not None:
            self.first = self.rows + other.first[0], other.first[1]
        self.rows += other.rows
        self.located += other.located
        self.methods += other.methods
        self.unreadable += other.unreadable
        self.sample = [*self.sample, *other.sample]
        if sum(len(x) for x, _ in self.sample) > 2 * SAMPLE:
            self.sample = [(x[::2], y[::2]) for x, y in self.sample]


@dataclass(frozen=True)
class Answers:
    """A batch with its answers.

    Attributes:
        columns: the three columns of `NAMES`, in the types of `PACKED`: text or null, text, metres or null.
        lon, lat: WGS-84; NaN where there is no place.
        tally: of this batch.
    """

    columns: list[pa.Array]
    lon: Floats
    lat: Floats
    tally: Tally


class Assigner:
    """Answers batches by one index; may be asked from several threads.

    Args:
        index: of the grids.
        codes: their codes by position.
        where: which columns hold the place.
        tolerance_m: how far from a grid a place in a gap is still its, in metres.
        engine: of `GridIndex.locate`.
    """

    def __init__(
        self,
        index: GridIndex,
        codes: Sequence[str],
        where: Where,
        *,
        tolerance_m: float,
        engine: Engine = "auto",
    ) -> None:
        self._index, self._where, self._tolerance_m, self._engine = index, where, tolerance_m, engine
        self._codes = pa.array(codes, pa.string())
        self._methods = pa.array(METHODS, pa.string())

    def answer(self, batch: pa.RecordBatch) -> Answers:
        """The answers to a batch, those of `GridIndex.locate` on its places in WGS-84."""
        found = coordinates(batch, self._where)
        lon, lat = self._where.system.to_wgs84(found.x, found.y)
        usable = np.isfinite(lon) & np.isfinite(lat)
        answer = self._index.locate(lon, lat, self._tolerance_m, engine=self._engine)
        position = pa.array(answer.position, mask=answer.position < 0)
        columns = [
            pa.DictionaryArray.from_arrays(position, self._codes),
            pa.DictionaryArray.from_arrays(pa.array(answer.method_code.astype(np.int32)), self._methods),
            pa.array(answer.distance_m, from_pandas=True),
        ]
        methods = np.bincount(answer.method_code, minlength=len(METHODS))
        first = None if found.first is None else (found.first[0] + 1, found.first[1])
        some = np.flatnonzero(usable)[:: max(1, int(usable.sum()) // SAMPLE_A_BATCH)]
        tally = Tally(
            batch.num_rows,
            int(usable.sum()),
            methods,
            found.unreadable,
            first,
            [(found.x[some], found.y[some])],
        )
        return Answers(columns, lon, lat, tally)


def check_names(columns: Sequence[str], prefix: str, file: str) -> tuple[str, ...]:
    """Names of the new columns.

    Raises:
        InvalidInput: a column of the file is named so already; upper and lower case are one name, as they are to
            GeoPackage.
    """
    names = tuple(prefix + name for name in NAMES)
    taken = [name for name in columns if name.lower() in {each.lower() for each in names}]
    if taken:
        raise InvalidInput(
            f"{file} has the column {', '.join(taken)} already, and nothing of the input is replaced; give the new"
            f" columns another beginning, for example --prefix new_ (then {', '.join('new_' + n for n in NAMES)})",
            code="column_taken",
            findings=[{"file": file, "field": name, "message": "name is taken"} for name in taken],
        )
    return names


def widened(schema: pa.Schema, names: Sequence[str], kinds: Sequence[pa.DataType] = TYPES) -> pa.Schema:
    """A schema with the three columns at its end; everything else, metadata too, as it was."""
    for name, kind in zip(names, kinds, strict=True):
        schema = schema.append(pa.field(name, kind))
    return schema
