"""`gridmap load events`: the same rules as for a post, many at a time."""

import pytest

HEADER = "source,external_id,category,occurred_at,lon,lat,title"
GOOD = "12345,{0},dispute,2026-03-0{0}T08:30:00+08:00,112.00{0},30.005,楼上噪声"


def lines(*numbers):
    return [GOOD.format(number) for number in numbers]


def test_events_are_stored_with_owner_history_and_key_once(county, table):
    path = table(HEADER, *lines(1, 2, 3))
    result = county("load", "events", path, "--commit")
    assert "created 3" in result.output
    assert "in-grid rate 3/3 = 100.00 %" in result.output
    assert county.rows("SELECT DISTINCT owner_now, method, status FROM event") == [
        ("99012600100100101", "inside", "unassigned")
    ]
    assert county.one("SELECT count(*) FROM event_history") == 6
    assert "repeated 3" in county("load", "events", path, "--commit").output
    assert county.one("SELECT count(*) FROM event") == 3


def test_a_dry_run_leaves_no_trace(county, table):
    assert "created 3" in county("load", "events", table(HEADER, *lines(1, 2, 3))).output
    for name in ("event", "event_key", "event_text", "event_history"):
        assert county.one(f"SELECT count(*) FROM {name}") == 0


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        ("12345,9,quarrel,2026-03-01T08:00:00+08:00,112.001,30.005,t", "unknown_category", "category"),
        ("12345,9,dispute,2026-03-01T08:00:00,112.001,30.005,t", "missing_time_zone", "occurred_at"),
        ("12345,9,dispute,2126-03-01,112.001,30.005,t", "bad_time", "occurred_at"),
        ("12345,9,dispute,,112.001,30.005,t", "missing", "occurred_at"),
        ("12345,9,dispute,2026-03-01,NaN,30.005,t", "not_finite", "lon"),
        ("12345,9,dispute,2026-03-01,inf,30.005,t", "not_finite", "lon"),
        ("12345,9,dispute,2026-03-01,1120,30.005,t", "out_of_range", "geometry"),
        ("12345,9,dispute,2026-03-01,30.005,112.001,t", "swapped_axes", "geometry"),
        ("12345,9,dispute,2026-03-01,112.001,,t", "missing", "lat"),
        ("12345,,dispute,2026-03-01,112.001,30.005,t", "missing", "external_id"),
        ("12345,1,dispute,2026-03-01,112.001,30.005,another", "conflict", "external_id"),
        ("12345,9,dispute,2026-03-01,112.001,30.005", "bad_row", None),
    ],
)
def test_each_impossible_row_is_named_and_nothing_is_stored(
    county, table, tmp_path, findings, line, code, field
):
    path = table(HEADER, *lines(1), line, *lines(2))
    result = county("load", "events", path, "--commit", "--report", tmp_path / "r.json", code=1)
    assert [(each["row"], each["code"], each["field"]) for each in findings()] == [(3, code, field)]
    assert "refused 1" in result.output
    assert county.one("SELECT count(*) FROM event") == 0
    county("load", "events", path, "--commit", "--skip-refused", code=1)
    assert county.one("SELECT count(*) FROM event") == 2


def test_half_a_character_refuses_its_line(county, tmp_path):
    text = "\n".join([HEADER, *lines(1, 2)]).encode()
    (tmp_path / "f.csv").write_bytes(text + "\n12345,3,dispute,2026-03-01,112,30,吵".encode()[:-1])
    result = county("load", "events", tmp_path / "f.csv", "--commit", code=1)
    assert "f.csv, row 4, title" in result.stderr
    assert "half a character" in result.stderr
    assert county.one("SELECT count(*) FROM event") == 0


def test_a_stated_grid_stands_in_for_a_place_and_an_unknown_one_is_refused(county, table):
    path = table(
        "external_id,category,occurred_at,lon,lat,grid",
        "1,纠纷,2026-03-01,,,99012600100200101",
        "2,警情,2026-03-01,,,990126001002",
        "3,诉求,2026-03-01,,,",
        "4,隐患,2026-03-01,,,nobody",
        "5,隐患,2026-03-01,112.036,30.001,990126D01",
    )
    result = county("load", "events", path, "--commit", "--skip-refused", code=1)
    assert "f.csv, row 5, grid: 'nobody'" in result.stderr
    assert "in-grid rate 2/4" in result.output or "in-grid rate 2/5" in result.output
    rows = county.rows("SELECT external_id, method, owner_now, category FROM event ORDER BY external_id")
    assert rows == [
        ("1", "stated", "99012600100200101", "dispute"),
        ("2", "stated", None, "police_case"),
        ("3", "none", None, "appeal"),
        ("5", "inside", "990126D01", "hazard"),
    ]


def test_plain_dates_are_local_midnights_and_local_times_need_the_option(county, table):
    path = table(
        "external_id,category,occurred_at,lon,lat",
        "1,other,2026-03-01,112.001,30.005",
        "2,other,2026/3/1 08:30,112.001,30.005",
    )
    county("load", "events", path, "--commit", "--time-zone", "Asia/Shanghai")
    assert county.rows("SELECT (occurred_at AT TIME ZONE 'UTC')::text FROM event ORDER BY external_id") == [
        ("2026-02-28 16:00:00",),
        ("2026-03-01 00:30:00",),
    ]
    wrong = county("load", "events", path, "--time-zone", "Mars/Olympus", code=1)
    assert "is no time zone" in wrong.output


def test_constants_fill_what_the_file_does_not_say(county, table):
    path = table("lon,lat", "112.001,30.005", "112.011,30.005", name="places.csv")
    constants = ("--set", "category=hazard,occurred_at=2026-03-01", "--set", "subcategory=fire")
    county("load", "events", path, *constants, "--commit")
    rows = county.rows(
        "SELECT source, external_id, subcategory, title FROM event JOIN event_text ON event = id ORDER BY id"
    )
    assert rows == [
        ("places", "places.csv:2", "fire", "安全隐患"),
        ("places", "places.csv:3", "fire", "安全隐患"),
    ]
    assert "repeated 2" in county("load", "events", path, *constants, "--commit").output


def test_a_subcategory_of_another_category_is_refused(county, table):
    path = table(
        "external_id,category,subcategory,occurred_at,lon,lat", "1,dispute,theft,2026-03-01,112.001,30.005"
    )
    result = county("load", "events", path, code=1)
    assert "is a sub-category of police_case, not of dispute" in result.stderr


def test_a_row_may_stand_for_many_events(county, table):
    path = table("n,lon,lat", "3,112.001,30.005", "0,112.001,30.005", "1,112.011,30.005")
    county(
        *("load", "events", path, "--fields", "count=n", "--set", "category=other,occurred_at=2026-03-01"),
        "--commit",
    )
    assert [row[0] for row in county.rows("SELECT external_id FROM event ORDER BY 1")] == [
        "f.csv:2-1",
        "f.csv:2-2",
        "f.csv:2-3",
        "f.csv:4-1",
    ]


def test_contacts_are_sealed(county, table):
    path = table("external_id,category,occurred_at,grid,电话", "1,other,2026-03-01,990126,13800000000")
    county("load", "events", path, "--commit")
    assert b"13800000000" not in bytes(county.one("SELECT contact FROM event_text"))


def test_events_that_state_their_grid_need_no_columns_of_places(county, table):
    path = table("external_id,category,occurred_at,grid", *(f"{n},other,2026-03-01,990126" for n in range(3)))
    county("load", "events", path, "--commit")
    found = county.one("SELECT count(*) FROM event WHERE geom IS NULL AND method = 'stated'")
    assert found >= 3


def test_axes_swapped_within_the_possible_are_refused(gridmap, table, frame, tmp_path):
    frame = frame.set_geometry(frame.translate(-60, 0))  # around longitude 52, where latitudes can be, too
    frame.to_file(tmp_path / "county.gpkg")
    gridmap("load", "areas", tmp_path / "county.gpkg", "--commit")
    path = table(HEADER, "s,1,other,2026-03-01,30.005,52.001,t")
    result = gridmap("load", "events", path, code=1)
    assert "swapped" in result.stderr
    assert "(52.001000, 30.005000)" in result.stderr


def test_coordinates_in_gcj02_are_recognised_when_given_as_wgs84(county, table):
    import numpy as np

    from gridmap import crs

    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(112.0, 112.04, 800), rng.uniform(30.0, 30.01, 800)
    x, y = crs.convert(lon, lat, "wgs84", "gcj02")
    path = table(
        "external_id,category,occurred_at,lon,lat",
        *(f"{i},other,2026-03-01,{a},{b}" for i, (a, b) in enumerate(zip(x, y, strict=True))),
    )
    assert "warning: these points look like GCJ-02" in county("load", "events", path).output
    right = county("load", "events", path, "--crs", "gcj02")
    assert "warning" not in right.output
    assert "in-grid rate 800/800" in right.output


def test_without_boundaries_events_belong_nowhere(gridmap, table):
    result = gridmap("load", "events", table(HEADER, *lines(1)), "--commit", code=1)
    assert "gridmap load areas" in result.output
