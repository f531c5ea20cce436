"""Taking many events in: the same rules as for one, by COPY, a block at a time."""

import datetime as dt
import json
from collections.abc import Sequence

import numpy as np
import shapely
import sqlalchemy as sa

from gridmap.access import Scope
from gridmap.db import Writer, copy_rows, lock_edition
from gridmap.errors import Conflict, Forbidden, GridmapError, InvalidInput, NotFound
from gridmap.events import EventDraft
from gridmap.intake import (
    Outcome,
    StaleBoundaries,
    assign,
    check_scope,
    check_subcategory,
    collision,
    event_parameters,
)
from gridmap.memory import Memory
from gridmap.placement import NOWHERE, Placement, place_many
from gridmap.routing import loads
from gridmap.sealing import Seal

EVENT_COLUMNS = (
    "id", "source", "external_id", "category", "subcategory", "urgency", "occurred_at", "reported_at", "geom",
    "x", "y", "crs", "accuracy_m", "method", "distance_m", "edition", "owner_then", "owner_now", "leaf_then",
    "leaf_now", "paths_then", "paths_now", "cell", "status", "worker", "unit", "why", "accept_due_at",
    "resolve_due_at",
)  # fmt: skip
_FROM_PARAMETERS = EVENT_COLUMNS[1:23]  # what `_parameters` gives under the same name; reported_at is `now`


def store_many(
    session: Writer,
    memory: Memory,
    seal: Seal,
    drafts: Sequence[EventDraft],
    *,
    actor: str,
    scope: Scope,
    tolerance_m: float,
) -> list[Outcome | GridmapError]:
    """Stores a block of events by COPY; each stands alone, in the order given.

    A few thousand a call keep memory small; calls may share a transaction. Equal posts within the block count
    as repeated.

    Raises:
        Conflict: no boundaries are loaded.
        StaleBoundaries: nothing of this block was stored; renew `memory` and come again.
    """
    now = dt.datetime.now(dt.UTC)
    snapshot = memory.snapshot
    if snapshot.edition == 0:
        raise Conflict("No boundaries are loaded yet: gridmap load areas FILE --commit", code="no_boundaries")
    lock_edition(session, exclusive=False)
    in_force = session.execute(
        sa.text(  # the clock, not now(): the transaction may have begun before the edition it waited for
            "SELECT id FROM edition WHERE in_force_from <= clock_timestamp()"
            " ORDER BY in_force_from DESC LIMIT 1"
        )
    ).scalar_one_or_none()
    if in_force != snapshot.edition:
        raise StaleBoundaries
    placements = [
        _checked(draft, placement, memory, scope)
        for draft, placement in zip(drafts, place_many(snapshot, drafts, tolerance_m), strict=True)
    ]
    outcomes: list[Outcome | GridmapError | None] = [
        placement if isinstance(placement, GridmapError) else None for placement in placements
    ]
    fresh = _claim_keys(session, drafts, outcomes)
    block = _Block(session, memory, seal, actor, now)
    block.store([(index, event, drafts[index], placements[index]) for index, event in fresh], tolerance_m)  # type: ignore[misc]  # errors were given their outcome and claim no key
    return [outcome for outcome in outcomes if outcome is not None]


def _checked(
    draft: EventDraft, placement: Placement | InvalidInput, memory: Memory, scope: Scope
) -> Placement | GridmapError:
    if isinstance(placement, Placement):
        try:
            check_subcategory(draft, memory.subcategories)
            check_scope(placement, scope, draft, memory.held.edition)
        except (Forbidden, InvalidInput, NotFound) as error:
            return error
    return placement


def _claim_keys(
    session: Writer, drafts: Sequence[EventDraft], outcomes: list[Outcome | GridmapError | None]
) -> list[tuple[int, int]]:
    """Claims the keys that are free and fills in every outcome; returns (index, event) of the new ones."""
    first: dict[tuple[str, str], int] = {}
    digests = [draft.digest() for draft in drafts]
    for index, draft in enumerate(drafts):
        if outcomes[index] is None:
            first.setdefault((draft.source, draft.external_id), index)
    claimed = session.execute(
        sa.text(
            "INSERT INTO event_key (source, external_id, event, digest)"
            " SELECT s, e, event, d FROM (SELECT s, e, nextval('event_id') AS event, d"
            "  FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:digests AS bytea[]))"
            "  AS new (s, e, d)) AS numbered ORDER BY s, e"  # else two blocks could wait for each other
            " ON CONFLICT DO NOTHING RETURNING source, external_id, event"
        ),
        {
            "sources": [source for source, _ in first],
            "ids": [external_id for _, external_id in first],
            "digests": [digests[index] for index in first.values()],
        },
    ).all()
    fresh = [(first[row.source, row.external_id], int(row.event)) for row in claimed]
    events = {(row.source, row.external_id): (int(row.event), None) for row in claimed}
    for index, event in fresh:
        outcomes[index] = Outcome("stored", event)
    known = _stored_keys(session, [key for key in first if key not in events])
    for index, draft in enumerate(drafts):
        if outcomes[index] is not None:
            continue
        key = (draft.source, draft.external_id)
        event, digest = known.get(key) or (events[key][0], digests[first[key]])
        outcomes[index] = Outcome("repeated", event) if digest == digests[index] else collision(draft)
    return sorted(fresh)


def _stored_keys(
    session: Writer, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, bytes]]:
    if not keys:
        return {}
    rows = session.execute(
        sa.text(
            "SELECT source, external_id, event, digest FROM event_key JOIN unnest(CAST(:sources AS text[]),"
            " CAST(:ids AS text[])) AS asked (s, e) ON source = s AND external_id = e"
        ),
        {"sources": [source for source, _ in keys], "ids": [external_id for _, external_id in keys]},
    ).all()
    return {(row.source, row.external_id): (int(row.event), bytes(row.digest)) for row in rows}


class _Block:
    """The rows of new events, by table, and their way in."""

    def __init__(self, session: Writer, memory: Memory, seal: Seal, actor: str, now: dt.datetime) -> None:
        self._session, self._memory, self._seal = session, memory, seal
        self._actor, self._now = actor, now

    def store(self, fresh: Sequence[tuple[int, int, EventDraft, Placement]], tolerance_m: float) -> None:
        """Routes and writes events that have their numbers."""
        if not fresh:
            return
        edition = self._memory.snapshot.edition
        then = self._then([draft for _, _, draft, _ in fresh], [p for *_, p in fresh], tolerance_m)
        load = loads(self._session)
        events: list[tuple[object, ...]] = []
        words: list[tuple[object, ...]] = []
        history: list[tuple[object, ...]] = []
        log: list[tuple[object, ...]] = []
        geoms = _ewkb([draft for _, _, draft, _ in fresh])
        for (_, event, draft, placement), before, geom in zip(fresh, then, geoms, strict=True):
            row = event_parameters(edition, draft, placement, before, self._now)
            candidates = self._memory.roster.candidates(draft.category, placement.chain, self._now)
            given = assign(candidates, load)
            paths = "{" + ",".join(placement.paths) + "}"
            row |= {
                "geom": geom,
                "paths_now": paths,
                "paths_then": "{" + ",".join(before.paths) + "}",
            }
            events.append(
                (
                    event,
                    *(row[name] for name in _FROM_PARAMETERS),
                    given.status,
                    given.worker,
                    given.unit,
                    json.dumps([*placement.why, given.reason]),
                    row["accept_due_at"],
                    row["resolve_due_at"],
                )
            )
            words.append(
                (event, draft.title, draft.description, draft.address, self._seal.close(draft.contact))
            )
            steps = (
                (self._actor, "report", draft.text_digest(), json.dumps({"source": draft.source})),
                (
                    "system",
                    "assign",
                    None,
                    json.dumps({"worker": given.worker, "unit": given.unit, "grid": placement.owner}),
                ),
            )
            history += [(event, self._now, a, b, given.status, edition, c, d) for a, b, c, d in steps]
            log.append(("event", event, edition, paths))
        copy_rows(self._session, "event", EVENT_COLUMNS, events)
        copy_rows(self._session, "event_text", ("event", "title", "description", "address", "contact"), words)
        copy_rows(
            self._session,
            "event_history",
            ("event", "at", "actor", "action", "status", "edition", "digest", "detail"),
            history,
        )
        copy_rows(self._session, "change_log", ("topic", "event", "edition", "paths"), log)

    def _then(
        self, drafts: Sequence[EventDraft], placements: Sequence[Placement], tolerance_m: float
    ) -> list[Placement]:
        """Placements by the edition in force when each occurred; the present ones where that is the same."""
        current = self._memory.snapshot
        then = list(placements)
        older: dict[int, list[int]] = {}
        for index, draft in enumerate(drafts):
            edition = self._memory.edition_at(draft.occurred_at)
            if edition is not None and edition != current.edition:
                older.setdefault(edition, []).append(index)
        for edition, members in older.items():
            found = place_many(self._memory.edition(edition), [drafts[i] for i in members], tolerance_m)
            for index, placement in zip(members, found, strict=True):
                then[index] = placement if isinstance(placement, Placement) else NOWHERE
        return then


def _ewkb(drafts: Sequence[EventDraft]) -> list[str | None]:
    """Places as the database reads them, None where there is none; at once, as each alone takes ten times as long."""
    lon, lat = (np.array(each, dtype=float) for each in ([d.lon for d in drafts], [d.lat for d in drafts]))
    points = shapely.set_srid(shapely.points(lon, lat), 4326)
    written = np.asarray(shapely.to_wkb(points, hex=True, include_srid=True), dtype=object)
    written[~(np.isfinite(lon) & np.isfinite(lat))] = None
    texts: list[str | None] = written.tolist()
    return texts
