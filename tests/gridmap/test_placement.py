"""Where an event belongs: each rule, and that one by one, in bulk and in SQL it is the same place."""

import datetime as dt
import threading
from dataclasses import replace

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmap.access import Scope
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.intake import Outcome
from gridmap.placement import Placement, cell, place_many, place_one

TOLERANCE_M = 50.0
METRE = 1 / 111_320  # degrees of latitude


@pytest.fixture(scope="module")
def snapshot(gappy_desk):
    return gappy_desk.memory.snapshot


@pytest.fixture(scope="module")
def gappy_desk(shared_desk, county):
    """The county, and east of it a village with one grid and a dedicated one in its middle, else gaps."""
    area, box = county.area, county.box
    shared_desk.load(
        area("village", "990126002009", box(8, 0, 4, 4), parent="990126002"),
        area("comprehensive", "990126002009001", box(8, 0, 1, 1), parent="990126002009"),
        area("dedicated", "990126D02", box(10, 2, 1, 1), parent="990126002009"),
        area("section", "990126S1", box(-2, 0, 3, 4), parent="990126"),
    )
    return shared_desk


def reasons(placement):
    return [(mark, code) for mark, code, _ in placement.why]


def test_inside_a_micro_grid(snapshot, county):
    found = place_one(snapshot, county.event(2.5, 1.5), TOLERANCE_M)
    owner = county.micro(2, 1)
    assert (found.method, found.distance_m, found.owner, found.leaf) == ("inside", 0.0, owner, owner)
    grid = county.comprehensive(2, 1)
    assert found.paths == (
        f"990126.990126001.990126001001.{grid}.{owner}",
        "990126.990126P1",
    )
    assert found.chain == (owner, grid, "990126001001", "990126001", "990126", "990126P1")
    assert reasons(found) == [("ok", "inside")]


def test_on_a_border_the_smallest_code(snapshot, county):
    found = place_one(
        snapshot, county.event(2, 1), TOLERANCE_M
    )  # four squares and two comprehensive grids meet
    assert (found.method, found.owner) == ("border", min(county.micro(x, y) for x in (1, 2) for y in (0, 1)))
    assert reasons(found) == [("warn", "border")]


def test_a_dedicated_grid_goes_first_and_its_chain_is_finest_first(snapshot, county):
    found = place_one(snapshot, county.event(5.5, 2.5), TOLERANCE_M)
    micro, grid = county.micro(5, 2), county.comprehensive(5, 2)
    assert (found.method, found.owner, found.leaf) == ("inside", "990126D01", micro)
    assert found.chain == (
        "990126D01", micro, grid, "990126002002", "990126002", "990126", "990126P2",
    )  # fmt: skip
    assert reasons(found) == [("ok", "inside"), ("ok", "dedicated")]


def test_in_a_gap_the_nearest_grid_of_the_village_up_to_the_tolerance(snapshot, county):
    lon, lat = county.at(8.5, 1)
    for metres, method, owner in (
        (1, "nearest", "990126002009001"),
        (49, "nearest", "990126002009001"),
        (51, "jurisdiction", None),
    ):
        found = place_one(snapshot, replace(county.event(), lon=lon, lat=lat + metres * METRE), TOLERANCE_M)
        assert (found.method, found.owner) == (method, owner)
        assert found.leaf == (owner or "990126002009")  # it counts where it was given to
        if owner:
            assert found.distance_m == pytest.approx(metres, rel=0.02)
            assert any(path.endswith(owner) for path in found.paths)
        else:
            assert found.distance_m is None
            assert reasons(found) == [("warn", "jurisdiction")]
    # a grid of another village is not the nearest, however near
    lon, lat = county.at(8, 2.5)
    found = place_one(snapshot, replace(county.event(), lon=lon + 5 * METRE, lat=lat), TOLERANCE_M)
    assert (found.method, found.owner, found.leaf) == ("jurisdiction", None, "990126002009")


def test_nearest_to_a_dedicated_grid_it_still_counts_in_its_village(snapshot, county):
    lon, lat = county.at(10.5, 3)
    found = place_one(snapshot, replace(county.event(), lon=lon, lat=lat + 10 * METRE), TOLERANCE_M)
    assert (found.method, found.owner, found.leaf) == ("nearest", "990126D02", "990126002009")
    assert found.chain == ("990126D02", "990126002009", "990126002", "990126")


def test_outside_everything_nobody_or_the_stated_grid(snapshot, county):
    far = county.event(40.5, 40.5)
    assert place_one(snapshot, far, TOLERANCE_M) == Placement(
        "none", None, None, None, (), (), (["no", "outside", {}],)
    )
    stated = place_one(snapshot, replace(far, grid=county.micro(1, 1)), TOLERANCE_M)
    assert (stated.method, stated.owner) == ("stated", county.micro(1, 1))
    assert reasons(stated) == [("no", "outside"), ("warn", "stated")]
    unknown = place_one(snapshot, replace(far, grid="unheard_of"), TOLERANCE_M)
    assert (unknown.method, reasons(unknown)) == ("none", [("no", "outside"), ("warn", "stated_unknown")])


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        ("99012600100100101", []),
        ("990126001001001", []),  # an area above says the same
        ("990126P1", []),
        ("99012600100100102", [("warn", "stated_differs")]),
        ("990126P2", [("warn", "stated_differs")]),
        ("unheard_of", [("warn", "stated_unknown")]),
    ],
)
def test_a_place_goes_before_what_was_stated_and_says_where_they_differ(snapshot, county, grid, reason):
    found = place_one(snapshot, county.event(0.5, 0.5, grid=grid), TOLERANCE_M)
    assert found.owner == county.micro(0, 0)
    assert reasons(found) == [("ok", "inside"), *reason]


@pytest.mark.parametrize(
    ("grid", "owner", "leaf"),
    [
        ("99012600100100101", "99012600100100101", "99012600100100101"),
        ("990126001001001", "990126001001001", "990126001001001"),
        ("990126001001", None, "990126001001"),
        ("990126", None, "990126"),
        ("990126P1", None, "990126"),  # an overlay is no leaf
        ("990126D01", "990126D01", "990126002002"),  # nor is a dedicated grid
    ],
)
def test_without_a_place_what_the_source_stated(snapshot, county, grid, owner, leaf):
    found = place_one(snapshot, county.event(None, grid=grid), TOLERANCE_M)
    assert (found.method, found.owner, found.leaf, found.distance_m) == ("stated", owner, leaf, None)
    assert found.paths == (snapshot.path[snapshot.row[grid]],)
    assert grid in found.chain
    assert reasons(found) == [("warn", "stated")]


def test_without_place_and_grid_nobody(snapshot, county):
    found = place_one(snapshot, county.event(None, address="某处"), TOLERANCE_M)
    assert (found.method, found.paths, reasons(found)) == ("none", (), [("no", "no_place")])


def test_without_a_place_an_unknown_grid_is_refused(snapshot, county):
    draft = county.event(None, grid="unheard_of")
    with pytest.raises(InvalidInput, match="unheard_of") as caught:
        place_one(snapshot, draft, TOLERANCE_M)
    assert (caught.value.code, caught.value.findings[0]["field"]) == ("unknown_grid", "grid")
    good, bad = place_many(snapshot, [county.event(), draft], TOLERANCE_M)
    assert isinstance(good, Placement)
    assert isinstance(bad, InvalidInput)
    assert bad.findings == caught.value.findings


# anywhere near the county; on lines and corners of its squares; a hair beside them; with and without a grid stated
squares = st.one_of(
    st.floats(-3, 14, allow_nan=False),
    st.integers(-2, 13).map(float),
    st.tuples(st.integers(-2, 13), st.sampled_from([-1e-12, 1e-12, -1e-7, 1e-7, 0.24, 0.26])).map(sum),
)
stated = st.sampled_from([None, "99012600100100101", "990126001", "990126D01", "990126P2", "unheard_of"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.one_of(st.none(), squares), squares, stated), min_size=1, max_size=40))
def test_one_and_many_are_the_same(snapshot, county, places):
    drafts = [
        county.event(column, None if column is None else row, grid=grid, external_id="x")
        for column, row, grid in places
    ]
    for draft, found in zip(drafts, place_many(snapshot, drafts, TOLERANCE_M), strict=True):
        if isinstance(found, InvalidInput):
            with pytest.raises(InvalidInput):
                place_one(snapshot, draft, TOLERANCE_M)
        else:
            assert place_one(snapshot, draft, TOLERANCE_M) == found


COLUMNS = (
    "source, category, subcategory, urgency, occurred_at, ST_AsEWKB(geom) AS geom, x, y, crs, accuracy_m, method,"
    " distance_m, edition, owner_then, owner_now, leaf_then, leaf_now, paths_then::text[], paths_now::text[],"
    " cell, status, revision, worker, unit, why, accept_due_at - reported_at AS accept,"
    " resolve_due_at - reported_at AS resolve, title, description, address, accepted_at, resolved_at, closed_at"
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(
        st.tuples(st.one_of(st.none(), squares), squares, stated, st.sampled_from([None, 0.1, 30.0])),
        min_size=1,
        max_size=12,
    ),
    old=st.booleans(),
)
def test_bulk_and_single_intake_store_the_same_rows(gappy_desk, county, places, old):
    """To the bit, everything but numbers and the moment of storing; also by which edition it occurred."""
    desk = gappy_desk
    drafts = [
        county.event(
            column,
            None if column is None else row,
            grid=grid,
            accuracy_m=accuracy,
            category="police_case",
            urgency="high",
            description="说明",
            contact="张三",
            occurred_at=dt.datetime(2001 if old else 2026, 1, 1, tzinfo=dt.UTC),
        )
        for column, row, grid, accuracy in places
    ]
    bulk = desk.post_many(drafts)
    for draft, outcome in zip(drafts, bulk, strict=True):
        twin = replace(draft, external_id=draft.external_id + "s")
        if not isinstance(outcome, Outcome):
            with pytest.raises(InvalidInput):
                desk.post(twin)
            continue
        rows, steps = [], []
        for number in (outcome.event, desk.post(twin).event):
            rows.append(
                desk.one(
                    f"SELECT {COLUMNS} FROM event e JOIN event_text t ON t.event = e.id WHERE id = :n",
                    n=number,
                )
            )
            sealed = desk.one("SELECT contact FROM event_text WHERE event = :n", n=number)
            assert desk.seal.open(sealed) == "张三"
            steps.append(
                desk.rows(
                    "SELECT actor, action, status, edition, digest, detail ->> 'worker', detail ->> 'unit',"
                    " detail ->> 'grid' FROM event_history WHERE event = :n ORDER BY id",
                    n=number,
                )
            )
        assert rows[0] == rows[1]
        assert steps[0] == steps[1]
        assert rows[0].edition == 2


def test_equal_posts_in_a_block_are_one_and_other_content_is_refused(gappy_desk, county):
    draft = county.event()
    first, again, other = gappy_desk.post_many([draft, draft, replace(draft, title="别的")])
    assert (first.state, again.state) == ("stored", "repeated")
    assert first.event == again.event
    assert isinstance(other, Conflict)
    (later,) = gappy_desk.post_many([draft])
    assert (later.state, later.event) == ("repeated", first.event)
    with pytest.raises(Conflict):
        gappy_desk.post(replace(draft, title="别的"))


def test_numbers_of_a_block_follow_its_lines_and_keys_are_claimed_in_one_order(gappy_desk, county):
    """Two blocks with the same events in another order would else wait for each other's keys."""
    drafts = [county.event(external_id=f"line-{name}") for name in ("z", "b", "y", "a")]
    numbers = [outcome.event for outcome in gappy_desk.post_many(drafts)]
    assert numbers == sorted(numbers)
    claimed = gappy_desk.rows(
        "SELECT external_id FROM event_key WHERE external_id LIKE 'line-%' ORDER BY ctid"
    )
    assert [row[0] for row in claimed] == ["line-a", "line-b", "line-y", "line-z"]


def test_blocks_with_the_same_events_at_once_are_stored_once(gappy_desk, county):
    drafts = [county.event() for _ in range(60)]
    outcomes, failures = [], []

    def work(block):
        try:
            outcomes.extend(gappy_desk.post_many(block))
        except Exception as error:  # noqa: BLE001  # a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(block,)) for block in (drafts, drafts[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert sorted(outcome.state for outcome in outcomes) == ["repeated"] * 60 + ["stored"] * 60


def test_nobody_posts_into_areas_of_others(gappy_desk, county):
    west = Scope.of(["990126.990126001"])
    assert gappy_desk.post(county.event(1.5, 1.5), scope=west).state == "stored"
    before = gappy_desk.one("SELECT count(*) FROM event_key")
    with pytest.raises(NotFound):
        gappy_desk.post(county.event(5.5, 1.5), scope=west)
    assert gappy_desk.one("SELECT count(*) FROM event_key") == before
    assert gappy_desk.post(county.event(None, address="某处"), scope=west).state == "stored"


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_cell_fits_a_bigint_and_holds_its_place(lon, lat):
    number = cell(lon, lat)
    assert -(2**63) <= number < 2**63
    assert h3.get_resolution(number) == 12
    assert h3.latlng_to_cell(lat, lon, 12) == np.uint64(number)
