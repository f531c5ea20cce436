"""Two years of events: what happened becomes what was reported, whose it was, and what became of it."""

from dataclasses import fields
from datetime import datetime
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import orjson

from gridmap import crs
from gridmap.demo import lifecycle, places, rhythm, scenes
from gridmap.demo.assignment import assign
from gridmap.demo.city import Areas, Buildings, Events, Flags, Floats, Ints, Objects, People, Size
from gridmap.demo.coverage import Layout
from gridmap.demo.people import Posts
from gridmap.demo.wording import ACCURACY_M, CATEGORIES, SOURCE_SHARES, SOURCES, TOPICS, URGENCIES
from gridmap.events import STATES
from gridmap.index import METHODS

CELL_RESOLUTION = 12
SYSTEMS = ("wgs84", "gcj02")
WITHOUT_PLACE = 0.02
UNCLAIMED_S = 40 * 3600  # so long an event that nobody's area holds may wait for a dispatcher


def report(
    size: Size,
    layout: Layout,
    homes: tuple[Buildings, Ints],
    staff: tuple[People, Posts],
    when: tuple[datetime, np.random.Generator],
) -> Events:
    """Everything that was reported up to now, in the order of reporting.

    Args:
        size: how many events.
        layout: where they may be.
        homes: the buildings, and the row of the street beside each micro-grid.
        staff: who may get them.
        when: now, and where chance comes from.
    """
    buildings, beside = homes
    now, rng = when
    happened = scenes.happen(size.events, layout, buildings, now, rng)
    happened, reported_at, source = _in_order(happened, *_reports(happened, now, rng))
    topic, micro, count = happened.topic, happened.micro, len(source)
    sent, without = _as_sent(happened, source, rng)
    found = places.locate(layout.areas, sent["lon"], sent["lat"])
    owner, leaf, method, held, paths = _placed(layout, found, micro, without, rng)
    nobody = (method == METHODS.index("none")) & (reported_at > now.timestamp() - UNCLAIMED_S)
    categories = np.array([each.category for each in TOPICS], dtype=object)[topic]
    worker, unit, level = assign(layout, staff, (categories, reported_at, nobody), (owner, leaf, held, paths))
    courses = lifecycle.run(urgency := _urgency(topic, rng), reported_at, nobody, now.timestamp(), rng)
    why, reasons = _reasons(
        layout.areas, staff[0], (method, owner, leaf, found.distance_m), (worker, unit, level)
    )
    texts = np.array([len(each.texts) for each in TOPICS])[topic]
    as_sent: dict[str, Any] = sent | {"crs": sent["crs"].astype(np.int64)}
    return Events(
        vocabulary=_vocabulary(paths, reasons),
        source=source,
        external_id=_external_ids(source, reported_at),
        category=np.array([CATEGORIES.index(each.category) for each in TOPICS])[topic],
        subcategory=topic,
        urgency=urgency,
        occurred_at=happened.occurred_at,
        reported_at=reported_at,
        **as_sent,
        method=method,
        distance_m=found.distance_m,
        owner=owner,
        leaf=leaf,
        paths=held,
        cell=cells(sent["lon"], sent["lat"]),
        worker=worker,
        unit=unit,
        why=why,
        **vars(courses),
        wording=(rng.random(count) * texts).astype(np.int64),
        street=np.where(micro >= 0, beside[micro], -1),
        number=rng.integers(1, 240, count),
    )


def _vocabulary(paths: tuple[str, ...], reasons: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What the numbers in the columns stand for."""
    return {
        "source": SOURCES,
        "category": CATEGORIES,
        "subcategory": tuple(each.code for each in TOPICS),
        "urgency": URGENCIES,
        "crs": SYSTEMS,
        "method": METHODS,
        "status": STATES,
        "paths": paths,
        "why": reasons,
    }


def _in_order(
    happened: scenes.Happenings, reported_at: Floats, source: Ints
) -> tuple[scenes.Happenings, Floats, Ints]:
    """The same in the order of reporting."""
    order = np.lexsort((np.arange(len(reported_at)), reported_at))
    columns = {each.name: getattr(happened, each.name)[order] for each in fields(happened)}
    return scenes.Happenings(**columns), reported_at[order], source[order]


def _reports(happened: scenes.Happenings, now: datetime, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """When each was reported, shortly after, and by which source."""
    count = len(happened.topic)
    source = np.zeros(count, dtype=np.int64)
    draw = rng.random(count)
    police = np.zeros(count, dtype=bool)
    for category in CATEGORIES:
        its = np.isin(happened.topic, [n for n, topic in enumerate(TOPICS) if topic.category == category])
        source[its] = np.searchsorted(np.cumsum(SOURCE_SHARES[category])[:-1], draw[its], side="right")
        police |= its & (category == "police_case")
    delay = np.exp(rng.normal(np.where(police, np.log(240), np.log(1_500)), 0.9, count)).clip(20, 36 * 3600)
    # what happened a minute ago was reported just now
    left = np.maximum(now.timestamp() - happened.occurred_at, 2)
    late = delay >= left
    delay[late] = (left * rng.uniform(0.1, 0.9, count))[late]
    return np.floor(happened.occurred_at + delay), source


def _as_sent(
    happened: scenes.Happenings, source: Ints, rng: np.random.Generator
) -> tuple[dict[str, Floats], Flags]:
    """Coordinates as the source sent them, and the WGS-84 place that follows from them; which came without."""
    lon, lat = happened.lon, happened.lat
    count = len(lon)
    chance = np.array([0.01, 0.0, 0.05, 0.3])[source]
    shifted = rng.random(count) < chance
    x, y = lon.copy(), lat.copy()
    gcj = crs.convert(lon[shifted], lat[shifted], "wgs84", "gcj02")
    x[shifted], y[shifted] = np.round(gcj[0], 7), np.round(gcj[1], 7)
    lon, lat = lon.copy(), lat.copy()
    lon[shifted], lat[shifted] = crs.convert(x[shifted], y[shifted], "gcj02", "wgs84")
    low, high = np.array([ACCURACY_M[name] for name in SOURCES]).T
    accuracy = low[source] + (high - low)[source] * rng.beta(1.2, 2.5, count)
    sent = {
        "x": x, "y": y, "lon": lon, "lat": lat, "crs": shifted.astype(np.float64),
        "accuracy_m": np.round(accuracy, 1),
    }  # fmt: skip
    without: Flags = (rng.random(count) < WITHOUT_PLACE) & (happened.micro >= 0)
    for name, column in sent.items():
        column[without] = -1 if name == "crs" else np.nan
    return sent, without


def _placed(
    layout: Layout, found: places.Places, micro: Ints, without: Flags, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints, tuple[str, ...]]:
    """Owner, leaf, method and paths; of those without a place two thirds name a grid or a village."""
    areas = layout.areas
    owner, leaf, held = found.owner.copy(), found.leaf.copy(), found.held.copy()
    method = found.method.copy()
    draw = rng.random(len(owner))
    grid = without & (draw < 0.45)
    village = without & (draw >= 0.45) & (draw < 0.66)
    owner[grid] = leaf[grid] = layout.micro_row[micro[grid]]
    leaf[village] = layout.village_row[layout.village_of_micro[micro[village]]]
    method[grid | village] = METHODS.index("stated")
    stated, which = np.unique(leaf[grid | village], return_inverse=True)
    held[grid | village] = len(found.paths) + which
    paths = (*found.paths, *("{" + areas.path[row] + "}" for row in stated))
    return owner, leaf, method, held, paths


def _urgency(topic: Ints, rng: np.random.Generator) -> Ints:
    bounds = np.cumsum([each.urgency for each in TOPICS], axis=1)[topic]
    urgency: Ints = (rng.random(len(topic))[:, None] > bounds[:, :3]).sum(axis=1)
    return urgency


def _external_ids(source: Ints, reported_at: Floats) -> Objects:
    """12345-20260824-000123: source, local day, and a number of that day."""
    day = rhythm.local_clock(reported_at)[0]
    key = day * len(SOURCES) + source
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], key[order])
    number = np.empty(len(key), dtype=np.int64)
    number[order] = np.arange(len(key)) - starts + 1
    days, which = np.unique(day, return_inverse=True)
    said = [str(each).replace("-", "") for each in days.astype("datetime64[D]")]
    prefix = ("12345", "110", "APP", "WEB")
    ids = np.empty(len(key), dtype=object)
    ids[:] = [
        f"{prefix[s]}-{said[d]}-{n:06d}"
        for s, d, n in zip(source.tolist(), which.tolist(), number.tolist(), strict=True)
    ]
    return ids


def cells(lon: Floats, lat: Floats) -> Ints:
    """H3 cells at resolution 12, -1 without a place."""
    result = np.full(len(lon), -1)
    known = np.flatnonzero(np.isfinite(lon))
    result[known] = [
        h3.latlng_to_cell(y, x, CELL_RESOLUTION)
        for x, y in zip(lon[known].tolist(), lat[known].tolist(), strict=True)
    ]
    return result


def _reasons(
    areas: Areas,
    people: People,
    place: tuple[Ints, Ints, Ints, Floats],
    whom: tuple[Ints, Ints, Ints],
) -> tuple[Ints, tuple[str, ...]]:
    """Why it went there: for each event which of the distinct lists of reasons, as JSON."""
    method, owner, leaf, distance_m = place
    worker, unit, level = whom
    metres = np.where(method == METHODS.index("nearest"), np.rint(np.nan_to_num(distance_m) * 10), 0)
    key = np.zeros(len(method), dtype=np.int64)
    for column in (method, owner, leaf, metres.astype(np.int64), worker, unit, level):
        _, key = np.unique(key * (int(column.max(initial=0)) + 2) + column + 1, return_inverse=True)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    said = []
    for at in first.tolist():
        why = _why_there(areas, int(method[at]), int(owner[at]), int(leaf[at]), float(metres[at] / 10))
        if worker[at] >= 0:
            who = {
                "name": people.worker_name[worker[at]],
                "role": people.role[worker[at]],
                "level": int(level[at]),
            }
            why.append(["ok", "worker", who])
        elif unit[at] >= 0:
            why.append(
                ["ok", "unit", {"name": people.unit_name[unit[at]], "kind": people.unit_kind[unit[at]]}]
            )
        else:
            why.append(["no", "nobody", {}])
        said.append(orjson.dumps(why).decode())
    return which, tuple(said)


def _why_there(areas: Areas, method: int, owner: int, leaf: int, metres: float) -> list[list[object]]:
    name = METHODS[method]
    if name == "none":
        return [["no", "no_place" if leaf < 0 and owner < 0 else "outside", {}]]
    code = areas.code[owner if owner >= 0 else leaf]
    if name == "nearest":
        return [["warn", "nearest", {"grid": code, "distance_m": metres}]]
    if name in {"jurisdiction", "stated"}:
        return [["warn", name, {"area": code}]]
    why: list[list[object]] = [["ok" if name == "inside" else "warn", name, {"grid": code}]]
    if areas.kind[owner] == "dedicated":
        why.append(["ok", "dedicated", {"grid": code}])
    return why
