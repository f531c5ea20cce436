"""Two years of invented events: rhythm, hot spots, lives that make sense, people on duty."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely

from gridmap.crs import convert, distance_m
from gridmap.index import METHODS
from gridmap.placement import cell

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 11, 21, 14, 32, tzinfo=SHANGHAI)


def test_precincts_do_not_follow_towns(lively):
    areas = lively.areas
    towns = areas.geom[areas.rows_of("town")]
    precincts = areas.geom[areas.rows_of("precinct")]
    shared = shapely.area(shapely.intersection(towns[:, None], precincts[None, :]))
    crossed = (shared > shapely.area(towns)[:, None] * 1e-6).sum(axis=1)
    assert crossed.max() > 1


def test_disputes_gather_at_week_ends_and_services_on_workdays(lively):
    events = lively.events
    weekday = np.array(
        [dt.datetime.fromtimestamp(at, SHANGHAI).isoweekday() for at in events.occurred_at.tolist()]
    )
    for name, low, high in (("dispute", 1.1, 1.6), ("service", 0.1, 0.6)):
        its = weekday[events.category == events.vocabulary["category"].index(name)]
        ratio = ((its > 5).sum() / 2) / ((its <= 5).sum() / 5)
        assert low < ratio < high, (name, ratio)


def test_nights_are_quieter_and_summers_louder(lively):
    events = lively.events
    police = events.category == events.vocabulary["category"].index("police_case")
    local = [dt.datetime.fromtimestamp(at, SHANGHAI) for at in events.occurred_at.tolist()]
    hour, month = np.array([(at.hour, at.month) for at in local]).T
    assert (hour == 3).sum() * 4 < (hour == 19).sum()
    assert (month[police] == 7).sum() > 1.1 * (month[police] == 2).sum()


def test_the_second_year_has_more_than_the_first(lively):
    year_ago = (NOW - dt.timedelta(days=365)).timestamp()
    second = (lively.events.occurred_at >= year_ago).mean()
    assert 0.51 < second < 0.58


def test_some_grids_are_many_times_as_hot(lively):
    events, areas = lively.events, lively.areas
    counts = np.bincount(events.leaf[events.leaf >= 0], minlength=len(areas))[areas.rows_of("micro")]
    assert counts.max() > 2.5 * np.median(counts)
    brawls = events.subcategory == events.vocabulary["subcategory"].index("brawl")
    of_brawls = np.bincount(events.leaf[brawls & (events.leaf >= 0)], minlength=len(areas))
    assert of_brawls.max() > 6 * np.median(of_brawls[areas.rows_of("micro")])


def test_categories_have_their_shares(lively):
    shares = np.bincount(lively.events.category) / len(lively.events)
    assert shares == pytest.approx([0.46, 0.23, 0.17, 0.07, 0.05, 0.02], abs=0.035)


def test_about_two_in_a_hundred_have_no_place(lively):
    events = lively.events
    without = np.isnan(events.lon)
    methods = np.array(METHODS)[events.method]
    assert 0.015 < without.mean() < 0.025
    assert set(methods[without]) == {"stated", "none"}
    assert (methods[without] == "stated").mean() > 0.5
    assert (methods == "border").any()
    beyond = ~without & (methods == "none")
    assert 0 < beyond.sum() < 0.01 * len(events)
    assert (events.cell[without] == -1).all()


def test_places_follow_from_what_was_sent(lively):
    events = lively.events
    shifted = events.crs == events.vocabulary["crs"].index("gcj02")
    assert 0.01 < shifted.mean() < 0.1
    lon, lat = convert(events.x[shifted], events.y[shifted], "gcj02", "wgs84")
    assert (distance_m(lon, lat, events.lon[shifted], events.lat[shifted]) < 0.01).all()
    assert (distance_m(events.x[shifted], events.y[shifted], lon, lat) > 100).all()
    plain = ~shifted & np.isfinite(events.lon)
    assert (events.x[plain] == events.lon[plain]).all()
    assert [cell(events.lon[i], events.lat[i]) for i in np.flatnonzero(plain)[:50]] == events.cell[
        np.flatnonzero(plain)[:50]
    ].tolist()


def test_times_come_in_order_and_none_lies_ahead(lively):
    events, now = lively.events, NOW.timestamp()
    assert (np.diff(events.reported_at) >= 0).all()
    assert (events.occurred_at <= events.reported_at).all()
    steps = [events.reported_at, events.accepted_at, events.resolved_at, events.verified_at, events.closed_at]
    for before, after in pairwise(steps):
        known = np.isfinite(after)
        assert np.isfinite(before[known]).all()
        assert (before[known] <= after[known]).all()
        assert (after[known] <= now).all()
    assert (events.reported_at <= now).all()


def test_status_agrees_with_the_times(lively):
    events = lively.events
    status = np.array(events.vocabulary["status"])[events.status]
    reached = {
        "assigned": (False, False, False),
        "transferred": (False, False, False),
        "unassigned": (False, False, False),
        "rejected": (False, False, False),
        "accepted": (True, False, False),
        "escalated": (True, False, False),
        "suspended": (True, False, False),
        "resolved": (True, True, False),
        "verified": (True, True, False),
        "closed": (True, True, True),
    }
    times = np.isfinite(np.column_stack([events.accepted_at, events.resolved_at, events.closed_at]))
    for name, expected in reached.items():
        assert (times[status == name] == expected).all(), name
    old = events.reported_at < NOW.timestamp() - 90 * 86_400
    assert set(status[old]) <= {"closed", "rejected"}
    assert {"assigned", "accepted", "resolved", "closed", "rejected", "escalated"} <= set(status)
    overdue = (events.resolve_due_at < NOW.timestamp()) & ~np.isin(status, ("closed", "rejected"))
    assert 0 < overdue.sum() < 0.01 * len(events)


def test_nine_in_ten_are_closed_in_time(lively):
    events = lively.events
    closed = np.isfinite(events.closed_at)
    assert 0.87 < (events.closed_at <= events.resolve_due_at)[closed].mean() < 0.94
    assert 0.93 < (events.accepted_at <= events.accept_due_at)[closed].mean() < 0.98


def test_external_ids_are_unique_within_their_source(lively):
    assert len(set(lively.events.external_id)) == len(lively.events)
    assert lively.events.external_id[-1].split("-")[1] == "20261121"


def test_somebody_is_on_duty_at_any_hour(city):
    people = city.people
    served = people.service_worker >= 0
    fit = {"leader", "worker_full_time", "worker_part_time", "liaison"}
    villages = city.areas.code[city.areas.rows_of("village")]
    shifts = list(
        zip(
            people.shift_worker.tolist(),
            people.weekday.tolist(),
            people.starts_at.tolist(),
            people.ends_at.tolist(),
            strict=True,
        )
    )
    of_worker = {}
    for worker, area in zip(people.service_worker[served], people.service_area[served], strict=True):
        if people.role[worker] in fit:
            of_worker.setdefault(int(worker), city.areas.code[area][:12])
    for village in villages:
        covered = np.zeros(7 * 1_440, dtype=bool)
        for worker, weekday, start, end in shifts:
            if of_worker.get(worker) == village:
                begin = (weekday - 1) * 1_440 + start
                covered[np.arange(begin, begin + (end - start - 1) % 1_440 + 1) % (7 * 1_440)] = True
        assert covered.all(), village
