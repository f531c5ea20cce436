"""The columns of every table, as blocks of Arrow arrays ready to be written as CSV."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from gridmap.demo import telling
from gridmap.demo.city import Areas, City, Floats, Ints, Objects

Column = Any  # a pyarrow array; the library is untyped
Block = dict[str, Column]

EDITION = 1
ROWS_A_BLOCK = 50_000


@dataclass(frozen=True)
class Table:
    """A table, how many things it is about, and its rows in blocks."""

    name: str
    count: int
    blocks: Iterator[Block]


def tables(city: City) -> Iterator[Table]:
    """Tables in the order of their references, each as blocks of columns."""
    areas, people, events = city.areas, city.people, city.events
    yield Table("edition", 1, iter([_edition(city)]))
    yield Table("area", len(areas), iter([_areas(areas)]))
    yield Table("area_code", len(areas), iter([{"code": _text(areas.code), "kind": _text(areas.kind)}]))
    imported = {
        "edition": _same(EDITION, len(areas)),
        "new_code": _text(areas.code),
        "change": _same("import", len(areas)),
    }
    yield Table("lineage", len(areas), iter([imported]))
    yield Table("building", len(city.buildings), _building_blocks(city))
    yield Table("household_count", len(areas), iter([_household_counts(city)]))
    # All lies where this edition has it: nobody need place it anew.
    placed = {
        name: _same(number, 1) for name, number in (("edition", EDITION), ("events", 0), ("buildings", 0))
    }
    yield Table("edition_placed", 1, iter([placed]))
    yield Table("street", len(city.streets.code), iter([_streets(city)]))
    yield Table("unit", len(people.unit_code), iter([_units(city)]))
    yield Table("worker", len(people.worker_code), iter([_workers(city)]))
    yield Table("service_area", len(people.service_area), iter([_service_areas(city)]))
    yield Table("shift", len(people.shift_worker), iter([_shifts(city)]))
    yield Table("event", len(events), (_events(city, block) for block in _blocks(len(events))))
    yield Table("event_key", len(events), (_event_keys(city, block) for block in _blocks(len(events))))
    yield Table("event_text", len(events), (_event_texts(city, block) for block in _blocks(len(events))))
    yield Table("event_history", len(events), (_history(city, block) for block in _blocks(len(events))))


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, ROWS_A_BLOCK):
        yield slice(start, min(count, start + ROWS_A_BLOCK))


def _same(value: Any, count: int) -> Column:
    return pa.repeat(pa.scalar(value), count)


def _text(values: Objects | Sequence[str | None]) -> Column:
    return pa.array(values, pa.string())


def _numbers(values: Ints) -> Column:
    """Ids and the like: -1 is null."""
    return pa.array(values, mask=values < 0)


def _rows_to_ids(rows: Ints) -> Column:
    return pa.array(rows + 1, mask=rows < 0)


def _floats(values: Floats) -> Column:
    return pa.array(values, mask=np.isnan(values))


def _moments(seconds: Floats) -> Column:
    unknown = np.isnan(seconds)
    return pa.array(np.where(unknown, 0, seconds).astype(np.int64), pa.int64(), mask=unknown).cast(
        pa.timestamp("s", "UTC")
    )


def _words(positions: Ints, words: Sequence[str]) -> Column:
    """The words at these positions; -1 is null."""
    return pa.array(words, pa.string()).take(_numbers(positions))


def _picked(rows: Ints, values: Objects) -> Column:
    return _text(values).take(_numbers(rows))


def _geometry(geoms: Objects) -> Column:
    texts: Any = shapely.to_wkb(shapely.set_srid(geoms, 4326), hex=True, include_srid=True)
    return _text(texts)


_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("x", "<f8"), ("y", "<f8")])


def _points(lon: Floats, lat: Floats) -> Column:
    """EWKB in hex, written by hand: ten times as fast as by way of geometries; NaN is null."""
    points = np.empty(len(lon), dtype=_POINT)
    points["order"], points["type"], points["srid"] = 1, 0x20000001, 4326
    points["x"], points["y"] = lon, lat
    texts = np.frombuffer(points.tobytes().hex().encode(), dtype=f"S{2 * _POINT.itemsize}")
    return pa.array(texts, pa.binary(), mask=np.isnan(lon)).cast(pa.string())


def _edition(city: City) -> Block:
    first = float(city.events.occurred_at.min()) if len(city.events) else city.now.timestamp()
    return {
        "id": _same(EDITION, 1),
        "in_force_from": _same("-infinity", 1),
        "published_at": _moments(np.array([np.floor(first)])),
        "published_by": _same("demo", 1),
        "note": _same("演示城市 Demonstration city", 1),
        "areas_changed": _same(len(city.areas), 1),
    }


def _areas(areas: Areas) -> Block:
    return {
        "kind": _text(areas.kind),
        "code": _text(areas.code),
        "name": _text(areas.name),
        "setting": _text(areas.setting),
        "parent": _text(areas.parent),
        "path": _text(areas.path),
        "geom": _geometry(areas.geom),
        "edition_from": _same(EDITION, len(areas)),
    }


def _building_blocks(city: City) -> Iterator[Block]:
    buildings, areas = city.buildings, city.areas
    for block in _blocks(len(buildings)):
        yield {
            "code": _text(buildings.code[block]),
            "name": _text(buildings.name[block]),
            "kind": _text(buildings.kind[block]),
            "households": pa.array(buildings.households[block]),
            "geom": _geometry(buildings.geom[block]),
            "place": _points(buildings.lon[block], buildings.lat[block]),
            "leaf": _picked(buildings.micro[block], areas.code),
            "owner": _picked(buildings.owner[block], areas.code),
            "paths": _text(buildings.paths[block]),
        }


def _household_counts(city: City) -> Block:
    """Households and buildings of every area: what its path holds, and what lies in an overlay."""
    areas, buildings = city.areas, city.buildings
    row = {code: number for number, code in enumerate(areas.code)}
    households = np.zeros(len(areas), dtype=np.int64)
    count = np.zeros(len(areas), dtype=np.int64)
    distinct, which = np.unique(buildings.paths.astype(str), return_inverse=True)
    sums = np.bincount(which, weights=buildings.households).astype(np.int64)
    numbers = np.bincount(which)
    for paths, total, number in zip(distinct.tolist(), sums.tolist(), numbers.tolist(), strict=True):
        for code in {label for path in paths[1:-1].split(",") for label in path.split(".")}:
            households[row[code]] += total
            count[row[code]] += number
    return {"code": _text(areas.code), "households": pa.array(households), "buildings": pa.array(count)}


def _streets(city: City) -> Block:
    streets = city.streets
    return {
        "code": _text(streets.code),
        "name": _text(streets.name),
        "class": _text(streets.rank),
        "geom": _geometry(streets.geom),
    }


def _units(city: City) -> Block:
    people = city.people
    return {
        "id": pa.array(np.arange(1, len(people.unit_code) + 1)),
        "code": _text(people.unit_code),
        "name": _text(people.unit_name),
        "kind": _text(people.unit_kind),
    }


def _workers(city: City) -> Block:
    people = city.people
    return {
        "id": pa.array(np.arange(1, len(people.worker_code) + 1)),
        "code": _text(people.worker_code),
        "name": _text(people.worker_name),
        "role": _text(people.role),
        "capacity": pa.array(people.capacity),
        "unit": _rows_to_ids(people.worker_unit),
    }


def _service_areas(city: City) -> Block:
    people = city.people
    return {
        "worker": _rows_to_ids(people.service_worker),
        "unit": _rows_to_ids(people.service_unit),
        "area": _picked(people.service_area, city.areas.code),
    }


def _shifts(city: City) -> Block:
    people = city.people
    clock = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)]
    return {
        "worker": _rows_to_ids(people.shift_worker),
        "weekday": pa.array(people.weekday),
        "starts_at": _words(people.starts_at, clock),
        "ends_at": _words(people.ends_at, clock),
    }


def _events(city: City, block: slice) -> Block:
    """`paths` and `why` as positions: the server reads each distinct one once, in `dictionaries`."""
    events, codes = city.events, city.areas.code
    words = events.vocabulary
    owner, leaf = _picked(events.owner[block], codes), _picked(events.leaf[block], codes)
    named: dict[str, Ints] = {name: getattr(events, name)[block] for name in _NAMED}
    return {
        "id": pa.array(np.arange(block.start + 1, block.stop + 1)),
        "external_id": _text(events.external_id[block]),
        **{name: _words(positions, words[name]) for name, positions in named.items()},
        **{name: _moments(getattr(events, name)[block]) for name in _MOMENTS},
        "geom": _points(events.lon[block], events.lat[block]),
        **{name: _floats(getattr(events, name)[block]) for name in ("x", "y", "accuracy_m", "distance_m")},
        "edition": _same(EDITION, block.stop - block.start),
        "owner_then": owner, "owner_now": owner, "leaf_then": leaf, "leaf_now": leaf,
        "cell": _numbers(events.cell[block]),
        "revision": pa.array(events.revision[block]),
        "worker": _rows_to_ids(events.worker[block]),
        "unit": _rows_to_ids(events.unit[block]),
        "paths_at": pa.array(events.paths[block]),
        "why_at": pa.array(events.why[block]),
    }  # fmt: skip


def dictionaries(city: City) -> Iterator[tuple[str, Block]]:
    """The distinct `paths` and `why` of events, by position."""
    for name in ("paths", "why"):
        words = city.events.vocabulary[name]
        yield name, {"at": pa.array(np.arange(len(words))), name: _text(words)}


_NAMED = ("source", "category", "subcategory", "urgency", "crs", "method", "status")
_MOMENTS = (
    "occurred_at", "reported_at", "accept_due_at", "resolve_due_at", "accepted_at", "resolved_at", "closed_at"
)  # fmt: skip


def _event_keys(city: City, block: slice) -> Block:
    events = city.events
    salt = f"demo {city.seed} ".encode()
    digests = [
        "\\x" + hashlib.sha256(salt + external_id.encode()).hexdigest()
        for external_id in events.external_id[block]
    ]
    return {
        "source": _words(events.source[block], events.vocabulary["source"]),
        "external_id": _text(events.external_id[block]),
        "event": pa.array(np.arange(block.start + 1, block.stop + 1)),
        "digest": _text(digests),
    }


def _event_texts(city: City, block: slice) -> Block:
    texts = telling.told(city, block)
    return {
        "event": pa.array(np.arange(block.start + 1, block.stop + 1)),
        "title": _text(texts.title),
        "description": _text(texts.description),
        "address": _text(texts.address),
    }


def _history(city: City, block: slice) -> Block:
    steps = telling.steps(city, block, telling.told(city, block))
    count = len(steps.event)
    return {
        "event": pa.array(steps.event + 1),
        "at": _moments(steps.at),
        "actor": _text(steps.actor),
        "action": _text(steps.action),
        "status": _text(steps.status),
        "edition": _same(EDITION, count),
        "digest": _text(steps.digest),
        "detail": _text(steps.detail),
    }
