"""The words of events and the steps of their history, made when they are stored: a million are too many to keep."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from gridmap.demo.city import City, Floats, Ints, Objects
from gridmap.demo.lifecycle import POSITION
from gridmap.demo.wording import TOPICS

VILLAGE_LEVEL = 4  # labels before it in a path: province, city, county, town


@dataclass(frozen=True)
class Told:
    """What sources wrote, parallel."""

    title: Objects
    description: Objects
    address: list[str | None]

    def digests(self) -> list[str]:
        """SHA-256 of each text, as `EventDraft.text_digest` makes it, in hex."""
        # None of these texts holds what JSON escapes, so its encoder, five times as slow, is not needed.
        return [
            sha256(
                f'["{title}", "{description}", {chr(34) + address + chr(34) if address else "null"}, null]'.encode()
            ).hexdigest()
            for title, description, address in zip(self.title, self.description, self.address, strict=True)
        ]


@dataclass(frozen=True)
class Steps:
    """History entries, parallel arrays; `event` is a position, `digest` hex or None."""

    event: Ints
    at: Floats
    actor: Objects
    action: Objects
    status: Objects
    digest: Objects
    detail: Objects


def told(city: City, block: slice) -> Told:
    """The texts of some events."""
    events, streets = city.events, city.streets.name
    starts = np.cumsum([0] + [len(topic.texts) for topic in TOPICS])
    text = starts[events.subcategory[block]] + events.wording[block]
    titles, descriptions = np.array([text for topic in TOPICS for text in topic.texts], dtype=object).T
    village = _village_names(city)
    addresses = [
        f"{village[leaf]}{streets[street] if street >= 0 else ''}{number}号"
        if leaf >= 0 or street >= 0
        else None
        for leaf, street, number in zip(
            events.leaf[block].tolist(),
            events.street[block].tolist(),
            events.number[block].tolist(),
            strict=True,
        )
    ]
    return Told(titles[text], descriptions[text], addresses)


def _village_names(city: City) -> list[str]:
    """For every area the name of the village that it is in; empty above villages, and for -1 at the end."""
    areas = city.areas
    name = {code: str(areas.name[row]) for row, code in enumerate(areas.code)}
    names = []
    for kind, path in zip(areas.kind, areas.path, strict=True):
        labels = path.split(".")
        inside = kind in {"village", "comprehensive", "micro", "dedicated"}
        names.append(name[labels[VILLAGE_LEVEL]] if inside else "")
    return [*names, ""]


def steps(city: City, block: slice, texts: Told) -> Steps:
    """History of some events: reported, assigned, accepted, and how far it has come.

    Where fewer are kept than there are, the middle ones go.
    """
    events = city.events
    count = block.stop - block.start
    status = events.status[block]
    furthest, action, reached = _furthest(city, block)
    at = np.column_stack(
        [events.reported_at[block], events.reported_at[block], events.accepted_at[block], furthest]
    )
    keep = np.isfinite(at)
    room = city.size.history_rows - 1
    for column in (1, 2):  # the first to go where there is no room
        crowded = keep[:, 1:].sum(axis=1) > room
        keep[crowded, column] = False
    actions = np.empty((count, 4), dtype=object)
    actions[:, 0], actions[:, 1], actions[:, 2], actions[:, 3] = "report", "assign", "accept", action
    states = np.empty((count, 4), dtype=object)
    assigned = np.where(status == POSITION["unassigned"], "unassigned", "assigned")
    states[:, 0], states[:, 1], states[:, 2], states[:, 3] = assigned, assigned, "accepted", reached
    actors = np.empty((count, 4), dtype=object)
    handler = _handlers(city, block)
    source = np.array(events.vocabulary["source"], dtype=object)[events.source[block]]
    actors[:, 0], actors[:, 1], actors[:, 2] = source, "system", handler
    actors[:, 3] = np.where(np.isin(action, ("close", "verify", "reject")), "dispatcher", handler)
    details = np.full((count, 4), "{}", dtype=object)
    details[:, 0] = [f'{{"source": "{name}"}}' for name in source]
    details[:, 1] = _assignments(city, block)
    digests = np.full((count, 4), None, dtype=object)
    digests[:, 0] = ["\\x" + digest for digest in texts.digests()]
    event = np.repeat(np.arange(block.start, block.stop)[:, None], 4, axis=1)
    return Steps(
        event[keep], at[keep], actors[keep], actions[keep], states[keep], digests[keep], details[keep]
    )


def _furthest(city: City, block: slice) -> tuple[Floats, Objects, Objects]:
    """When the last step beyond acceptance was made, its action, and the state that it led to."""
    events = city.events
    at = np.full(block.stop - block.start, np.nan)
    action = np.full(len(at), "", dtype=object)
    state = np.full(len(at), "", dtype=object)
    for column, name, reached in (
        (events.resolved_at, "resolve", "resolved"),
        (events.verified_at, "verify", "verified"),
        (events.closed_at, "close", "closed"),
    ):
        known = np.isfinite(column[block])
        at[known], action[known], state[known] = column[block][known], name, reached
    status = events.status[block]
    half_way = (
        events.reported_at[block] * 0.4 + np.minimum(events.accept_due_at[block], city.now.timestamp()) * 0.6
    )
    for name, reached in (
        ("reject", "rejected"),
        ("transfer", "transferred"),
        ("escalate", "escalated"),
        ("suspend", "suspended"),
    ):
        its = status == POSITION[reached]
        since = np.where(np.isfinite(events.accepted_at[block]), events.accepted_at[block], half_way)
        at[its], action[its], state[its] = np.floor(since[its]), name, reached
    return at, action, state


def _handlers(city: City, block: slice) -> Objects:
    """The code of the worker or unit that has each event, `dispatcher` where nobody has."""
    people = city.people
    codes = np.concatenate([people.worker_code, people.unit_code, ["dispatcher"]]).astype(object)
    worker, unit = city.events.worker[block], city.events.unit[block]
    row = np.where(worker >= 0, worker, np.where(unit >= 0, len(people.worker_code) + unit, len(codes) - 1))
    handlers: Objects = codes[row]
    return handlers


def _assignments(city: City, block: slice) -> list[str]:
    events = city.events
    grid = [None, *city.areas.code.tolist()]
    return [
        f'{{"worker": {worker + 1 if worker >= 0 else "null"}, "unit": {unit + 1 if unit >= 0 else "null"},'
        f' "grid": {chr(34) + grid[owner + 1] + chr(34) if owner >= 0 else "null"}}}'
        for worker, unit, owner in zip(
            events.worker[block].tolist(),
            events.unit[block].tolist(),
            events.owner[block].tolist(),
            strict=True,
        )
    ]
