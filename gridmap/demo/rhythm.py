"""When things happen: growth over the years, seasons, festivals, weekdays, hours. Local time, UTC+8."""

import datetime as dt
from collections.abc import Mapping

import numpy as np

from gridmap.demo.city import Floats, Ints

ZONE = dt.timezone(dt.timedelta(hours=8))
YEARS = 2
SPRING_FESTIVAL = {
    2021: (2, 12), 2022: (2, 1), 2023: (1, 22), 2024: (2, 10), 2025: (1, 29), 2026: (2, 17),
    2027: (2, 6), 2028: (1, 26), 2029: (2, 13), 2030: (2, 3), 2031: (1, 23), 2032: (2, 11),
}  # fmt: skip

# Monday…Sunday
WEEKDAYS: Mapping[str, tuple[float, ...]] = {
    "dispute": (1.0, 0.95, 0.95, 0.97, 1.02, 1.22, 1.18),
    "police_case": (0.92, 0.9, 0.92, 0.95, 1.1, 1.22, 1.08),
    "appeal": (1.22, 1.1, 1.05, 1.03, 1.0, 0.82, 0.76),
    "hazard": (1.1, 1.08, 1.06, 1.05, 1.05, 0.86, 0.76),
    "service": (1.45, 1.3, 1.22, 1.2, 1.15, 0.4, 0.26),
    "other": (1.25, 1.15, 1.1, 1.1, 1.05, 0.7, 0.6),
}
# January…December
MONTHS: Mapping[str, tuple[float, ...]] = {
    "dispute": (1.08, 1.02, 0.93, 0.92, 0.95, 1.0, 1.06, 1.06, 0.98, 0.95, 0.97, 1.06),
    "police_case": (0.95, 0.9, 0.92, 0.97, 1.02, 1.1, 1.2, 1.18, 1.02, 0.95, 0.9, 0.92),
    "appeal": (1.1, 0.95, 0.85, 0.85, 0.92, 1.08, 1.24, 1.2, 0.98, 0.88, 0.95, 1.08),
    "hazard": (0.9, 0.85, 0.85, 0.92, 1.05, 1.35, 1.45, 1.25, 0.98, 0.85, 0.8, 0.85),
    "service": (0.95, 0.85, 1.1, 1.02, 1.0, 1.0, 0.98, 1.0, 1.1, 1.02, 1.0, 0.98),
    "other": (1.0,) * 12,
}
HOURS: Mapping[str, tuple[float, ...]] = {
    "dispute": (1.2, 0.8, 0.5, 0.4, 0.4, 0.6, 1.5, 3, 5, 6, 6, 5, 4, 4, 5, 5.5, 6, 6.5, 7.5, 8.5, 8, 6, 4, 2.2),
    "police_case": (4, 3.2, 2.4, 1.6, 1.2, 1.2, 2, 4, 5, 4.5, 4.2, 4, 3.6, 3.6, 4, 4.4, 5, 6, 6, 6, 6.4, 6.6, 6, 5),
    "appeal": (1.2, 0.8, 0.5, 0.4, 0.4, 0.8, 2, 4.5, 8, 8, 7, 5.5, 4, 5, 6.5, 6.5, 6, 5, 4.5, 5, 5.2, 5, 3.8, 2.2),
    "hazard": (0.8, 0.5, 0.4, 0.4, 0.5, 1, 2.5, 5, 8, 9, 8.5, 6, 4, 5.5, 7.5, 7.5, 6.5, 5, 4, 3.6, 3, 2.2, 1.6, 1),
    "service": (0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.8, 3, 11, 13, 12, 7, 3, 6, 10, 10, 8, 4, 1.5, 1, 0.8, 0.5, 0.2, 0.1),
    "other": (0.5, 0.3, 0.2, 0.2, 0.2, 0.5, 1, 3, 7, 8, 7, 5, 4, 5, 7, 7, 6, 4, 3, 3, 3, 2.5, 2, 1),
}  # fmt: skip


def days(now: dt.datetime) -> tuple[dt.date, int]:
    """The first local day of the record, and how many there are, today's included."""
    today = now.astimezone(ZONE).date()
    count = round(YEARS * 365.25) + 1
    return today - dt.timedelta(days=count - 1), count


def day_weights(category: str, now: dt.datetime) -> Floats:
    """How much of a category falls on each local day; today counts as far as it has gone."""
    first, count = days(now)
    weights = np.empty(count)
    for number in range(count):
        day = first + dt.timedelta(days=number)
        growth = 1 + 0.16 * number / count
        weights[number] = growth * WEEKDAYS[category][day.weekday()] * _season(category, day)
        weights[number] *= _festival(category, day)
    local = now.astimezone(ZONE)
    passed = (local.hour * 60 + local.minute) / 1440
    hours = np.array(HOURS[category])
    weights[-1] *= (
        np.interp(passed * 24, np.arange(25), np.concatenate([[0], np.cumsum(hours)])) / hours.sum()
    )
    shares: Floats = weights / weights.sum()
    return shares


def _season(category: str, day: dt.date) -> float:
    """Between the middles of two months by a straight line."""
    months = MONTHS[category]
    place = day.month - 1 + (day.day - 15) / 30
    low = int(np.floor(place))
    share = place - low
    return months[low % 12] * (1 - share) + months[(low + 1) % 12] * share


def _festival(category: str, day: dt.date) -> float:
    factor = 1.0
    for year in (day.year, day.year + 1):
        if year in SPRING_FESTIVAL:
            distance = (day - dt.date(year, *SPRING_FESTIVAL[year])).days
            if -10 <= distance < -1:
                factor *= {"dispute": 1.45, "police_case": 1.2}.get(category, 1.05)
            elif -1 <= distance <= 6:
                factor *= {"dispute": 1.12, "police_case": 1.1, "service": 0.2, "appeal": 0.7}.get(
                    category, 0.5
                )
    if (day.month, day.day) in {(10, each) for each in range(1, 8)}:
        factor *= {"police_case": 1.18, "service": 0.35, "hazard": 0.75}.get(category, 0.95)
    return factor


def moments(category: str, count: int, now: dt.datetime, rng: np.random.Generator) -> Floats:
    """Random moments, in seconds of the Unix epoch, before `now`."""
    number = rng.choice(days(now)[1], count, p=day_weights(category, now))
    return hours_on(category, number, now, rng)


def hours_on(category: str, number: Ints, now: dt.datetime, rng: np.random.Generator) -> Floats:
    """A moment on each day given by its number; on the last one before `now`."""
    first, count = days(now)
    hours = np.array(HOURS[category])
    share = np.concatenate([[0], np.cumsum(hours)]) / hours.sum()
    start = dt.datetime.combine(first, dt.time(), ZONE).timestamp()
    last = now.timestamp() - (start + 86_400 * (count - 1))
    draw = rng.random(len(number))
    draw = np.where(number == count - 1, draw * np.interp(last / 3600, np.arange(25), share), draw)
    within = np.interp(draw, share, np.arange(25) * 3600.0)
    return np.asarray(np.floor(start + 86_400.0 * number + np.minimum(within, 86_399)))


def local_clock(seconds: Floats) -> tuple[Ints, Ints, Ints]:
    """Days since 1970-01-01, ISO weekday and minute of the day of moments, in local time."""
    local = np.floor(seconds).astype(np.int64) + 8 * 3600
    day, second = np.divmod(local, 86_400)
    return day, (day + 3) % 7 + 1, second // 60
