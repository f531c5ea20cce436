"""Files of events on their way in: the same rules as for a post, many at a time.

A table without a column for them gets: `source` from the file's name, `external_id` from file name and row
(so that the same file loaded twice is stored once), `title` from the category.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray

from boundaries.job import Job, Summary
from boundaries.places import Places, System, place
from boundaries.suspicion import Suspicion, refuse_swapped
from boundaries.values import Rows, as_text
from gridmap.access import Scope
from gridmap.buildings import Stored
from gridmap.db import Writer
from gridmap.errors import GridmapError
from gridmap.events import CATEGORIES, URGENCIES, EventDraft
from gridmap.intake_bulk import store_many
from gridmap.memory import Memory
from gridmap.sealing import Seal
from gridmap.snapshot import GRIDS, Snapshot

BLOCK: Final = 5_000  # events a call of intake: what it holds in memory stays small
CATEGORY_WORDS: Final[Mapping[str, str]] = {
    "矛盾纠纷": "dispute", "纠纷": "dispute", "警情": "police_case", "群众诉求": "appeal", "诉求": "appeal",
    "安全隐患": "hazard", "隐患": "hazard", "办事服务": "service", "服务": "service", "其他": "other",
}  # fmt: skip
URGENCY_WORDS: Final[Mapping[str, str]] = {
    "低": "low", "一般": "normal", "普通": "normal", "高": "high", "紧急": "urgent", "特急": "urgent",
}  # fmt: skip
TITLES: Final[Mapping[str, str]] = {
    "dispute": "矛盾纠纷", "police_case": "警情", "appeal": "群众诉求", "hazard": "安全隐患",
    "service": "办事服务", "other": "其他",
}  # fmt: skip
EVERYWHERE: Final = Scope(None)  # who may run this command line sees everything
MOST_REPEATS: Final = 100_000  # events that one row may stand for
CLOCKS_MAY_DIFFER: Final = dt.timedelta(days=1)


@dataclass(frozen=True)
class Way:
    """By what events find their way: boundaries and roster in memory, and the seal for contacts."""

    memory: Memory
    seal: Seal


def load_events(session: Writer, job: Job, way: Way) -> Summary:
    """Reads events in a stream, finds their owners, and stores them.

    Args:
        session: its owner commits or rolls back.
        job: the file.
        way: the edition in force must be the one in its memory.

    Raises:
        Conflict: no boundaries are loaded.
        StaleBoundaries: an edition came into force meanwhile; nothing may be committed.
    """
    job.require("category", "occurred_at")
    if "x" in job.mapped or "y" in job.mapped:
        job.require("x", "y")
    system = job.system()
    snapshot = way.memory.snapshot
    reader = _Reader(session, job, system, snapshot)
    for rows in job.rows():
        drafts, at = reader.drafts(rows)
        for start in range(0, len(drafts), BLOCK):
            block = slice(start, start + BLOCK)
            outcomes = store_many(
                session,
                way.memory,
                way.seal,
                drafts[block],
                actor=job.options.actor,
                scope=EVERYWHERE,
                tolerance_m=job.options.settings.tolerance_m,
            )
            _count(rows, job.summary, at[block], outcomes)
    message = reader.suspicion.message()
    if message:
        job.summary.notes.append(f"warning: {message}")
    return job.done()


def _count(rows: Rows, summary: Summary, at: Sequence[int], outcomes: Sequence[Any]) -> None:
    """Counts what became of a block; what intake refused is refused here."""
    created = 0
    for place_in_chunk, outcome in zip(at, outcomes, strict=True):
        if isinstance(outcome, GridmapError):
            field = "grid" if outcome.code == "unknown_grid" else "external_id"
            code = "unknown_area" if outcome.code == "unknown_grid" else "conflict"
            value = (rows.raw(field) or [None] * len(rows))[place_in_chunk]
            if rows.good[place_in_chunk]:  # a row that stands for many events is refused once
                rows.refuse(place_in_chunk, code, outcome.message, field=field, value=value)
        else:
            created += outcome.state == "stored"
    refused = sum(isinstance(outcome, GridmapError) for outcome in outcomes)
    summary.add(Stored(created, 0, len(outcomes) - created - refused))


class _Reader:
    """Makes drafts of rows and counts where they fall."""

    def __init__(self, session: Writer, job: Job, system: System, snapshot: Snapshot) -> None:
        self._job, self._system, self._snapshot = job, system, snapshot
        self._subcategories, self._subcategory_words = _subcategories(session)
        self._latest = dt.datetime.now(dt.UTC) + CLOCKS_MAY_DIFFER
        self.suspicion = Suspicion(snapshot, system)

    def drafts(self, rows: Rows) -> tuple[list[EventDraft], list[int]]:
        """Drafts of the good rows of a chunk, and the place in the chunk that each comes from."""
        columns = self._columns(rows)
        places = place(rows, self._system, "point", required=False)
        self._check(rows, columns)
        lon, lat = shapely.get_x(places.geom), shapely.get_y(places.geom)
        self._survey(rows, places, lon, lat)
        drafts: list[EventDraft] = []
        origin: list[int] = []
        x, y = places.x.tolist(), places.y.tolist()
        lons, lats = lon.tolist(), lat.tolist()
        for at in np.flatnonzero(rows.good).tolist():
            values = {name: column[at] for name, column in columns.items()}
            repeats = values.pop("count")
            external_id = values.pop("external_id")
            if math.isfinite(lons[at]):
                values |= {
                    "x": x[at],
                    "y": y[at],
                    "crs": self._system.name,
                    "lon": lons[at],
                    "lat": lats[at],
                }
            for number in range(1, (1 if repeats is None else repeats) + 1):
                name = external_id if repeats is None else f"{external_id}-{number}"
                drafts.append(EventDraft(external_id=name, **values))
                origin.append(at)
        return drafts, origin

    def _columns(self, rows: Rows) -> dict[str, list[Any]]:
        """Fields of the chunk by name, as an event's draft calls them."""
        job, empty = self._job, [None] * len(rows)
        zone, days = job.options.time_zone, job.options.settings.time_zone
        category = rows.choice("category", CATEGORIES, CATEGORY_WORDS, code="unknown_category") or empty
        stem = job.source.path.name.partition(".")[0][:64]
        own = [f"{job.file}:{row}"[-200:] for row in rows.chunk.rows.tolist()]
        external = rows.texts("external_id", required=True, longest=200)
        count = rows.whole("count", default=0)
        if count is not None:
            for at in np.flatnonzero(count > MOST_REPEATS).tolist():
                message = f"one row stands for at most {MOST_REPEATS} events"
                rows.refuse(at, "bad_value", message, field="count", value=int(count[at]))
        return {
            "source": _filled(rows.texts("source", longest=64), stem, len(rows)),
            "external_id": external or own,
            "count": empty if count is None else count.tolist(),
            "category": category,
            "subcategory": self._of_subcategory(rows, category),
            "urgency": _filled(
                rows.choice("urgency", URGENCIES, URGENCY_WORDS, code="bad_value", required=False),
                "normal",
                len(rows),
            ),
            "occurred_at": rows.moments("occurred_at", zone, days) or empty,
            "title": [
                title or TITLES.get(each or "", "")
                for title, each in zip(rows.texts("title", longest=200) or empty, category, strict=True)
            ],
            "accuracy_m": rows.number("accuracy_m", least=0) or empty,
            "grid": rows.codes("grid", required=False) or empty,
            "address": rows.texts("address", longest=500) or empty,
            "description": rows.texts("description", longest=20_000) or empty,
            "contact": rows.texts("contact", longest=500) or empty,
            "due_at": rows.moments("due_at", zone, days, required=False) or empty,
        }

    def _of_subcategory(self, rows: Rows, category: Sequence[str | None]) -> list[str | None]:
        found = rows.choice(
            "subcategory",
            sorted(self._subcategories),
            self._subcategory_words,
            code="unknown_category",
            required=False,
        )
        if found is None:
            return [None] * len(rows)
        for at, (sub, own) in enumerate(zip(found, category, strict=True)):
            if sub is not None and own is not None and self._subcategories[sub] != own:
                message = f"is a sub-category of {self._subcategories[sub]}, not of {own}"
                rows.refuse(at, "unknown_category", message, field="subcategory", value=sub)
        return found

    def _check(self, rows: Rows, columns: Mapping[str, Sequence[Any]]) -> None:
        for at, moment in enumerate(columns["occurred_at"]):
            if moment is not None and moment > self._latest:
                message = "lies in the future"
                rows.refuse(at, "bad_time", message, field="occurred_at", value=moment.isoformat())

    def _survey(self, rows: Rows, places: Places, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
        """Counts where the chunk's events fall, by which method, and whether the stated area agrees."""
        snapshot, summary = self._snapshot, self._job.summary
        found = snapshot.index.locate(lon, lat, self._job.options.settings.tolerance_m)
        method = np.asarray(found.method, dtype=object).copy()
        refuse_swapped(rows, snapshot, lon, lat, np.flatnonzero(method == "none"))
        stated = rows.raw("stated") or rows.raw("grid")
        named = _stated_rows(snapshot, stated)
        self.suspicion.add(places, named)
        weight = np.array(rows.raw("count") or [1] * len(rows), dtype=object)
        good = rows.good
        times = np.zeros(len(rows), dtype=np.int64)
        times[good] = [_weight(each) for each in weight[good]]
        without = good & ~np.isfinite(lon)
        grid = rows.raw("grid") or [None] * len(rows)
        in_grid = good & (found.owner >= 0) & (method != "jurisdiction")
        for at in np.flatnonzero(without).tolist():
            code = as_text(grid[at]) if grid[at] is not None else None
            row = snapshot.row.get(code, -1) if code else -1
            method[at] = "stated" if row >= 0 else "none"
            in_grid[at] = row >= 0 and snapshot.kind[row] in GRIDS
        counts: Counter[str] = summary.methods
        for name in set(method[good].tolist()):
            counts[name] += int(times[good & (method == name)].sum())
        located = good & np.isfinite(lon) & (method != "none")
        summary.in_grid += int(times[in_grid].sum())
        summary.located += int(times[located].sum())
        if stated is not None:
            self._compare(stated, found.holds, good & np.isfinite(lon), times)

    def _compare(
        self,
        stated: Sequence[Any],
        holds: Mapping[str, NDArray[np.int32]],
        usable: NDArray[np.bool_],
        times: NDArray[np.int64],
    ) -> None:
        """Compares what the source states, a code or a name, with the areas that hold the place."""
        snapshot, summary = self._snapshot, self._job.summary
        held = np.column_stack(list(holds.values()))
        for at in np.flatnonzero(usable).tolist():
            if stated[at] is None:
                continue
            wanted = as_text(stated[at]).casefold()
            rows = held[at][held[at] >= 0]
            ways = {row for each in rows.tolist() for row in snapshot.ancestors(each)}
            summary.stated += int(times[at])
            if any(
                wanted in {str(snapshot.code[row]).casefold(), str(snapshot.name[row]).casefold()}
                for row in ways
            ):
                summary.agreed += int(times[at])


def _filled(values: Sequence[Any] | None, default: str, length: int) -> list[Any]:
    return [default] * length if values is None else [value or default for value in values]


def _weight(value: Any) -> int:
    return 0 if value is None else int(float(value))


def _stated_rows(snapshot: Snapshot, stated: Sequence[Any] | None) -> NDArray[np.int64] | None:
    if stated is None:
        return None
    return np.array(
        [-1 if value is None else snapshot.row.get(as_text(value), -1) for value in stated], dtype=np.int64
    )


def _subcategories(session: Writer) -> tuple[dict[str, str], dict[str, str]]:
    """Category by sub-category, and sub-category by its name in 中文 or English."""
    rows = session.execute(sa.text("SELECT code, category, name_zh, name_en FROM subcategory")).all()
    words = {row.name_zh: row.code for row in rows} | {row.name_en.casefold(): row.code for row in rows}
    return {row.code: row.category for row in rows}, words
