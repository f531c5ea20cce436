"""Where things happen: the usual by households, hot spots by the dozen, a few beyond every border."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import shapely

from gridmap.demo import rhythm
from gridmap.demo.city import Buildings, Floats, Ints
from gridmap.demo.coverage import Layout
from gridmap.demo.wording import CATEGORIES, SHARES, TOPICS

AT_A_BUILDING, BY_THE_STREET, ON_THE_BORDER, BEYOND = range(4)


@dataclass(frozen=True)
class Happenings:
    """What happened when and where, before anybody reported it; `lon`, `lat` are where it truly was."""

    topic: Ints  # position in TOPICS
    occurred_at: Floats
    micro: Ints  # position of the micro-grid, -1 beyond
    lon: Floats
    lat: Floats


@dataclass(frozen=True)
class _HotSpot:
    topics: tuple[str, ...]
    micros: Ints
    weights: Floats
    first_day: int  # days of the record in which it is hot
    last_day: int
    share: float  # of the county's events
    building: int  # everything happens there, or -1


# What gathers: sub-categories, how many micro-grids, how long ago it began and ended as a share of the record,
# how strong
_PATTERNS = (
    (("brawl", "nuisance", "theft"), 4, (0.0, 1.0), 1.4),
    (("noise", "street_trading", "parking"), 5, (0.0, 1.0), 1.4),
    (("property_management", "neighbour"), 6, (0.0, 1.0), 1.6),
    (("labour", "debt"), 3, (0.35, 1.0), 0.9),
    (("flood", "structure"), 7, (0.0, 1.0), 0.6),
    (("neighbour", "noise"), 4, (0.9, 1.0), 0.8),
    (("theft", "fraud"), 6, (0.82, 1.0), 0.9),
    (("land", "family"), 8, (0.0, 0.7), 0.9),
    (("traffic",), 3, (0.0, 1.0), 0.9),
    (("utilities",), 6, (0.93, 1.0), 0.5),
    (("property_management",), 5, (0.2, 0.75), 0.8),
    (("fire", "electric"), 4, (0.0, 1.0), 0.5),
)
HOT_SHARE = 0.14


def happen(
    count: int, layout: Layout, buildings: Buildings, now: dt.datetime, rng: np.random.Generator
) -> Happenings:
    """Draws `count` happenings."""
    middles = shapely.get_coordinates(shapely.centroid(layout.areas.geom[layout.micro_row]))
    spots = _hot_spots(layout, buildings, middles, now, rng)
    hot_counts = (
        rng.multinomial(round(count * HOT_SHARE), [spot.share for spot in spots])
        if count
        else np.zeros(len(spots), dtype=np.int64)
    )
    usual = count - int(hot_counts.sum())
    topics, moments, micros, at = [], [], [], []
    for category, number in zip(CATEGORIES, rng.multinomial(usual, SHARES), strict=True):
        topics.append(_topics(category, number, rng))
        moments.append(rhythm.moments(category, number, now, rng))
        micros.append(rng.choice(len(middles), number, p=_rates(category, layout, buildings, rng)))
        at.append(np.full(number, -1))
    for spot, number in zip(spots, hot_counts, strict=True):
        chosen = rng.choice([_POSITION[code] for code in spot.topics], number)
        topics.append(chosen)
        moments.append(_hot_moments(spot, chosen, now, rng))
        micros.append(rng.choice(spot.micros, number, p=spot.weights))
        at.append(np.full(number, spot.building))
    topic, micro = np.concatenate(topics), np.concatenate(micros)
    building = np.concatenate(at)
    lon, lat, micro = _places(layout, buildings, micro, building, rng)
    return Happenings(topic, np.concatenate(moments), micro, lon, lat)


_POSITION = {topic.code: number for number, topic in enumerate(TOPICS)}


def _topics(category: str, count: int, rng: np.random.Generator) -> Ints:
    numbers = [number for number, topic in enumerate(TOPICS) if topic.category == category]
    shares = np.array([TOPICS[number].share for number in numbers])
    return rng.choice(numbers, count, p=shares / shares.sum())


def _rates(category: str, layout: Layout, buildings: Buildings, rng: np.random.Generator) -> Floats:
    """Share of a category's usual events that falls on each micro-grid."""
    count = len(layout.micro_row)
    position = np.full(len(layout.areas), -1)
    position[layout.micro_row] = np.arange(count)
    households = np.bincount(position[buildings.micro], weights=buildings.households, minlength=count)
    village = layout.village_of_micro
    urban = np.where(layout.urban_village[village], 1.25, 0.8)
    if category == "police_case":
        urban = urban**2
    by_village = np.exp(rng.normal(0, 0.28, len(layout.village_row)))[village]
    rates = households * urban * by_village * np.exp(rng.normal(0, 0.42, count))
    shares: Floats = rates / rates.sum()
    return shares


def _hot_spots(
    layout: Layout, buildings: Buildings, middles: Floats, now: dt.datetime, rng: np.random.Generator
) -> list[_HotSpot]:
    """About one for every sixty micro-grids, in built-up places rather than in fields."""
    record = rhythm.days(now)[1]
    chance = 1 / np.sqrt(layout.micro_m2)
    centres = rng.choice(
        len(middles), min(len(middles), max(4, len(middles) // 60)), replace=False, p=chance / chance.sum()
    )
    squeeze = np.array([np.cos(np.radians(middles[:, 1].mean())), 1.0])
    position = {int(row): number for number, row in enumerate(layout.dedicated_row)}
    of_dedicated: dict[int, list[int]] = {}
    for building, owner in enumerate(buildings.owner.tolist()):
        if owner in position:
            of_dedicated.setdefault(int(layout.micro_of_dedicated[position[owner]]), []).append(building)
    spots = []
    for number, centre in enumerate(centres.tolist()):
        topics, wide, (begin, end), strength = _PATTERNS[number % len(_PATTERNS)]
        distance = np.hypot(*((middles - middles[centre]) * squeeze).T)
        nearest = np.argsort(distance, kind="stable")[: min(wide, len(middles))]
        weights = np.exp(-1.2 * np.arange(len(nearest)) / len(nearest)) * rng.uniform(0.6, 1.4, len(nearest))
        spots.append(
            _HotSpot(
                topics,
                nearest,
                weights / weights.sum(),
                int(begin * (record - 1)),
                int(end * (record - 1)),
                strength * wide / 5 * rng.uniform(0.7, 1.3) * (end - begin) ** 0.6,
                -1,
            )
        )
    spots += _at_dedicated(of_dedicated, record, max(1, len(middles) // 160), rng)
    total = sum(spot.share for spot in spots)
    return [
        _HotSpot(s.topics, s.micros, s.weights, s.first_day, s.last_day, s.share / total, s.building)
        for s in spots
    ]


def _at_dedicated(
    of_dedicated: dict[int, list[int]], record: int, count: int, rng: np.random.Generator
) -> list[_HotSpot]:
    """A market or a hospital where the same thing happens again and again."""
    micros = sorted(of_dedicated)
    chosen = rng.permutation(len(micros))[:count]
    return [
        _HotSpot(
            ("street_trading", "parking", "theft", "debt"),
            np.array([micros[number]]),
            np.ones(1),
            0,
            record - 1,
            rng.uniform(0.25, 0.6),
            int(rng.choice(of_dedicated[micros[number]])),
        )
        for number in chosen
    ]


def _hot_moments(spot: _HotSpot, topics: Ints, now: dt.datetime, rng: np.random.Generator) -> Floats:
    result = np.empty(len(topics))
    for category in CATEGORIES:
        its = np.array([TOPICS[topic].category == category for topic in topics], dtype=bool)
        if its.any():
            weights = rhythm.day_weights(category, now).copy()
            weights[: spot.first_day] = 0
            weights[spot.last_day + 1 :] = 0
            number = rng.choice(len(weights), int(its.sum()), p=weights / weights.sum())
            result[its] = rhythm.hours_on(category, number, now, rng)
    return result


def _places(
    layout: Layout, buildings: Buildings, micro: Ints, building: Ints, rng: np.random.Generator
) -> tuple[Floats, Floats, Ints]:
    """A place for each: by a building, on the way from it to the street, rarely on a border or beyond."""
    count = len(micro)
    how = rng.choice(4, count, p=(0.72, 0.2755, 0.0025, 0.002))
    how[building >= 0] = AT_A_BUILDING
    house = _houses(layout, buildings, micro, rng)
    house = np.where(building >= 0, building, house)
    lon, lat = buildings.lon[house], buildings.lat[house]
    vertices, index = shapely.get_coordinates(layout.areas.geom[layout.micro_row], return_index=True)
    starts = np.searchsorted(index, np.arange(len(layout.micro_row) + 1))
    corner = starts[micro] + (rng.random(count) * np.diff(starts)[micro]).astype(np.int64)
    towards = np.where(how == BY_THE_STREET, rng.uniform(0.72, 0.97, count), 0.0)
    metre = np.array([1 / 96_300, 1 / 111_195])  # degrees, near enough for scattering
    scatter = rng.normal(0, 5.0, (count, 2)).clip(-14, 14) * metre
    scatter[building >= 0] *= 3.0
    lon = lon + towards * (vertices[corner, 0] - lon) + scatter[:, 0]
    lat = lat + towards * (vertices[corner, 1] - lat) + scatter[:, 1]
    lon, lat = np.round(lon, 7), np.round(lat, 7)
    exact = how == ON_THE_BORDER
    lon[exact], lat[exact] = vertices[corner[exact]].T
    beyond = how == BEYOND
    lon[beyond], lat[beyond] = _beyond(layout, int(beyond.sum()), rng)
    return lon, lat, np.where(beyond, -1, micro)


def _houses(layout: Layout, buildings: Buildings, micro: Ints, rng: np.random.Generator) -> Ints:
    """A building of each micro-grid, by households; public ones count as eight."""
    position = np.full(len(layout.areas), -1)
    position[layout.micro_row] = np.arange(len(layout.micro_row))
    weight = np.where(buildings.households > 0, buildings.households, 8).astype(np.float64)
    its_micro = position[buildings.micro]
    order = np.argsort(its_micro, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    starts = np.searchsorted(its_micro[order], np.arange(len(layout.micro_row) + 1))
    low, high = total[starts[micro]], total[starts[micro + 1]]
    found = np.searchsorted(total, low + rng.random(len(micro)) * (high - low), side="right") - 1
    houses: Ints = order[np.clip(found, starts[micro], starts[micro + 1] - 1)]
    return houses


def _beyond(layout: Layout, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Outside the county: from a few metres to a kilometre away from its border."""
    county = layout.areas.geom[layout.areas.rows_of("county")[0]]
    rim = shapely.get_coordinates(county)
    middle = shapely.get_coordinates(county.centroid)[0]
    start = rim[rng.integers(0, len(rim), count)]
    heading = start - middle
    heading /= np.hypot(heading[:, 0], heading[:, 1])[:, None]
    reach = np.exp(rng.uniform(np.log(8), np.log(1_000), count)) / 111_195
    lon, lat = (start + heading * reach[:, None]).T
    return np.round(lon, 7), np.round(lat, 7)
