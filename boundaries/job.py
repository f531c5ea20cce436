"""What every load of a file has in common: options in, rows through, a summary out."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from boundaries.fields import Mapped, map_fields, require
from boundaries.findings import Findings
from boundaries.places import System, system_of
from boundaries.read import CHUNK_ROWS, Source, open_source
from boundaries.values import Rows
from gridmap.buildings import Duplicate, Stored
from gridmap.index import GRIDS
from gridmap.settings import Settings

EVENT_CHUNK_ROWS = 10_000  # an event in memory is an object with a dozen texts; a building is a few numbers


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is to be read.

    Attributes:
        settings: of the installation: whose midnights plain dates are, how far a place in a gap may lie.
        fields: column by field.
        constants: text by field, the same for all rows.
        crs: of the coordinates; None means the file's own, else WGS-84.
        encoding: of CSV and Shapefile; None means detected.
        layer: layer or sheet, where there are several.
        repair: whether polygons are repaired: invalid ones made valid, grids fitted to each other and their parents.
        repair_width_m: how far apart borders may be that a repair brings together.
        repair_kinds: kinds of areas that are fitted to each other.
        allow: codes of coverage findings on grids that are told and do not block.
        skip_refused: whether good rows are taken although others are refused.
        names: a register of names and parents by code, for areas.
        time_zone: of local times without zone; None refuses them.
        actor: who loads, for editions and histories.
    """

    settings: Settings
    fields: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    crs: str | None = None
    encoding: str | None = None
    layer: str | None = None
    repair: bool = False
    repair_width_m: float = 1.0
    repair_kinds: frozenset[str] = frozenset(GRIDS)
    allow: frozenset[str] = frozenset()
    skip_refused: bool = False
    names: Path | None = None
    time_zone: ZoneInfo | None = None
    actor: str = "gridmap load"
    chunk_rows: int = CHUNK_ROWS

    @property
    def today(self) -> dt.date:
        """The day that it is where the files speak of."""
        return dt.datetime.now(self.settings.time_zone).date()


@dataclass
class Summary:
    """What a load did, or would do.

    Attributes:
        read: rows in the file, refused ones included.
        created, changed, unchanged: rows that the load put in, replaced, or found stored already.
        refused: rows that were refused.
        repaired, repaired_m2: polygons that were made valid, and by how many m² they changed altogether.
        fitted, gained_m2, lost_m2: polygons that were fitted to their neighbours and parents, and what they gained
            and lost altogether.
        edition: number of the edition that a load of areas made.
        methods: events by the way in which their owner was found.
        in_grid, located: events that fell into a grid; that have a usable place.
        agreed, stated: events whose stated area holds them; that state one and have a usable place.
        notes: what was assumed on the way.
    """

    read: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    repaired: int = 0
    repaired_m2: float = 0.0
    fitted: int = 0
    gained_m2: float = 0.0
    lost_m2: float = 0.0
    edition: int | None = None
    methods: Counter[str] = field(default_factory=Counter)
    in_grid: int = 0
    located: int = 0
    agreed: int = 0
    stated: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Events that were placed."""
        return sum(self.methods.values())

    def add(self, stored: Stored) -> None:
        """Counts what was stored."""
        self.created += stored.created
        self.changed += stored.changed
        self.unchanged += stored.unchanged


Progress = Callable[[float], None]


class Job:
    """One file on its way in.

    Args:
        noun: one of `fields.NOUNS`.
        path: the file.
        options: how to read it.
        findings: takes refusals.
        progress: called with how much has been read, 0 to 1.

    Raises:
        InvalidInput: the file cannot be read, or columns are missing.
    """

    def __init__(
        self,
        noun: str,
        path: Path,
        options: Options,
        findings: Findings,
        progress: Progress | None = None,
    ) -> None:
        self.options, self.findings = options, findings
        self.source: Source = open_source(
            path,
            layer=options.layer,
            encoding=options.encoding,
            chunk_rows=min(options.chunk_rows, EVENT_CHUNK_ROWS if noun == "events" else CHUNK_ROWS),
        )
        self.mapped: Mapped = map_fields(
            noun, self.source.columns, options.fields, options.constants, file=path.name
        )
        self.summary = Summary(notes=self.source.notes)
        self.mended_m2: dict[int, float] = {}  # by row, how much of a polygon was made when it was made valid
        self._progress = progress

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.source.path.name

    def require(self, *names: str) -> None:
        """Checks that fields have a column or a constant."""
        require(self.mapped, names, self.source.columns, file=self.file)

    def system(self) -> System:
        """The reference system of the coordinates; what was assumed is noted."""
        return system_of(self.source, self.options.crs, self.mapped)

    def require_place(self) -> None:
        """Checks that the file has geometry or columns of coordinates."""
        if not self.source.has_geometry and "wkt" not in self.mapped:
            self.require("x", "y")

    def rows(self) -> Iterator[Rows]:
        """The chunks of the file, each under check."""
        columns = list(dict.fromkeys(self.mapped.columns.values()))
        for chunk in self.source.chunks(columns):
            self.summary.read += len(chunk.rows) + len(chunk.problems)
            yield Rows(chunk, self.mapped, self.findings)
            if self._progress:
                self._progress(chunk.fraction)

    def refuse_duplicates(self, duplicates: Collection[Duplicate]) -> None:
        """Refuses rows whose code stood in the file before."""
        column = self.mapped.columns.get("code", "code")
        for each in duplicates:
            message = f"the code stands in row {each.first_row} already"
            where = (each.lon, each.lat)
            self.findings.refuse(
                each.row,
                "duplicate_code",
                message,
                field=column,
                value=each.code,
                where=where,
                area=each.code,
            )

    def done(self) -> Summary:
        """The summary, with the rows refused."""
        self.summary.refused = self.findings.refused
        return self.summary
