"""The next edition: what is written, what is refused, and who follows whom."""

import datetime as dt

import pytest
import shapely
import sqlalchemy as sa

from gridmap.areas import editions
from gridmap.audit import paths_of
from gridmap.db import Database
from gridmap.errors import Conflict
from gridmap.households import count_households
from gridmap.publishing import publish
from gridmap.sight import EVERYTHING
from tests.gridmap.redrawn import change, give_worker, gone, lineage, merge, published, refused, serve, split


def test_a_split_writes_edition_areas_codes_lineage_audit_and_log(desk, county):
    code = county.micro(0, 0)
    made = published(desk, *split(county), note="分格")
    assert (made.edition, made.changed, made.created, made.retired) == (2, (code,), ("new1",), ())
    assert made.in_force
    snapshot = desk.memory.snapshot
    assert (snapshot.edition, snapshot.in_force_from) == (2, made.in_force_from)
    assert (
        snapshot.path[snapshot.row["new1"]] == snapshot.path[snapshot.row[code]].rpartition(".")[0] + ".new1"
    )
    assert desk.one("SELECT published_by, note, areas_changed FROM edition WHERE id = 2") == (
        "发布人",
        "分格",
        2,
    )
    assert lineage(desk, 2) == {(code, code, "split"), (code, "new1", "split")}
    assert desk.one("SELECT kind, retired_in FROM area_code WHERE code = 'new1'") == ("micro", None)
    record = desk.one(
        "SELECT actor, object, edition, paths::text[], detail FROM audit WHERE action = 'edition.publish'"
        " AND edition = 2"
    )
    assert record[:3] == ("发布人", "edition:2", 2)
    assert record[3] == [snapshot.path[snapshot.row[county.comprehensive(0, 0)]]]
    assert (record[4]["changed"], record[4]["created"]) == ([code], ["new1"])
    assert desk.one("SELECT count(*) FROM change_log WHERE topic = 'edition' AND edition = 2") == 1
    assert desk.one("SELECT max(edition) FROM edition_placed") == 2


def test_events_buildings_and_workers_follow_a_split(desk, county):
    code = county.micro(0, 0)
    give_worker(desk, county, code, "ww")
    moved = desk.post(county.event(0.75, 0.5)).event
    stays = desk.post(county.event(0.25, 0.5)).event
    made = published(desk, *split(county))
    assert made.events_moved == 1
    owners = desk.rows("SELECT owner_now FROM event WHERE id = ANY(:ids) ORDER BY id", ids=[moved, stays])
    assert sorted(row[0] for row in owners) == sorted(["new1", code])
    assert serve(desk, "new1") == serve(desk, code) == ["ww"]
    assert {p.code for p in desk.memory.roster.people_of["new1"]} == {"ww"}


def test_who_has_accepted_an_event_is_offered_to_hand_it_over(desk, county):
    """By hand to whom, where another one serves there; who serves there too has nobody to hand it to."""
    west, east = county.micro(1, 0), county.micro(2, 0)
    numbers = [desk.post(county.event(1.75, 0.5)).event for _ in range(2)]
    desk.do("UPDATE event SET status = 'accepted' WHERE id = ANY(:ids)", ids=numbers)
    stays = desk.post(county.event(0.75, 0.5)).event
    desk.do("UPDATE event SET status = 'accepted' WHERE id = :n", n=stays)
    before = desk.one("SELECT worker FROM event WHERE id = :n", n=numbers[0])
    published(
        desk,
        change(county, county.micro(0, 0), county.box(0, 0, 0.5, 1)),
        change(county, west, county.box(0.5, 0, 1, 1)),
        change(county, east, county.box(1.5, 0, 1.5, 1)),
    )
    there = desk.one("SELECT id FROM worker WHERE code = :c", c=f"w{county.comprehensive(2, 0)}")
    said = "SELECT detail->'offered'->'worker' FROM event_history WHERE event = :n ORDER BY id DESC LIMIT 1"
    for number in numbers:
        row = desk.one("SELECT owner_now, worker, status, why FROM event WHERE id = :n", n=number)
        assert row[:3] == (east, before, "accepted")
        assert ["warn", "handover", {"grid": east}] in row[3]
        assert desk.one(said, n=number) == there
    owner, why = desk.one("SELECT owner_now, why FROM event WHERE id = :n", n=stays)
    assert owner == west
    assert "handover" not in {reason[1] for reason in why}


def test_a_merge_passes_people_on_and_ends_the_code(desk, county):
    into, other = county.micro(0, 0), county.micro(1, 0)
    give_worker(desk, county, other, "ww")
    number = desk.post(county.event(1.5, 0.5)).event
    made = published(desk, *merge(county))
    assert (made.retired, made.changed) == ((other,), (into,))
    assert lineage(desk, 2) == {(into, into, "merge"), (other, into, "merge")}
    assert (serve(desk, other), serve(desk, into)) == ([], ["ww"])
    assert desk.one("SELECT owner_now, owner_then FROM event WHERE id = :n", n=number) == (into, other)
    assert desk.one("SELECT retired_in FROM area_code WHERE code = :c", c=other) == 2
    findings = refused(desk, change(county, other, county.box(1, 0)), base=2).findings
    assert [finding["code"] for finding in findings] == ["retired_code"]


def test_reshape_rename_create_and_retire_are_told_apart(desk, county):
    one, two, three = county.micro(0, 0), county.micro(1, 0), county.micro(4, 0)
    published(
        desk,
        change(county, one, county.box(0, 0, 0.5, 1)),
        change(county, two, county.box(0.5, 0, 1.5, 1)),
        change(county, three, name="改名"),
        change(county, "990126D02", county.box(6, 0), kind="dedicated", name="市场", parent="990126002001",
               cause="create"),
        gone("990126D01", cause="retire"),
    )  # fmt: skip
    assert lineage(desk, 2) == {
        (one, one, "reshape"),
        (one, two, "reshape"),
        (two, two, "reshape"),
        (three, three, "rename"),
        (None, "990126D02", "create"),
        ("990126D01", None, "retire"),
    }
    assert serve(desk, two) == []  # a border that moved gives nobody another area


def test_touched_areas_get_a_row_and_nothing_else(desk, county):
    """A vertex on the common border of square (1, 0) with its neighbour to the east."""
    other = county.micro(2, 0)
    number = desk.post(county.event(2.5, 0.5)).event
    before = desk.one("SELECT revision, edition FROM event WHERE id = :n", n=number)
    ring = [county.at(*corner) for corner in ((2, 0), (3, 0), (3, 1), (2, 1), (2, 0.5))]
    touched = shapely.MultiPolygon([shapely.Polygon(ring)])
    made = published(desk, change(county, other, touched, touched=True), *merge(county))
    assert (made.touched, made.changed) == ((other,), (county.micro(0, 0),))
    assert {step for step in lineage(desk, 2) if other in step} == set()
    assert desk.one(
        "SELECT touched, edition_from FROM area WHERE code = :c AND edition_to IS NULL", c=other
    ) == (True, 2)
    assert desk.one("SELECT areas_changed FROM edition WHERE id = 2") == 2
    assert desk.one("SELECT revision, edition FROM event WHERE id = :n", n=number) == before


def test_what_hangs_from_an_area_moves_along(desk, county):
    """A comprehensive grid goes to the village above it: its micro-grids and their events follow."""
    grid = county.comprehensive(0, 0)
    number = desk.post(county.event(0.5, 0.5)).event
    desk.do("UPDATE event SET status = 'closed' WHERE id = :n", n=number)
    stated = desk.post(county.event(None, None, grid=county.micro(1, 1), address="某处")).event
    made = published(desk, change(county, grid, parent="990126001002"))
    assert made.changed == (grid,)
    assert made.along == tuple(sorted(county.micro(x, y) for x in (0, 1) for y in (0, 1)))
    snapshot = desk.memory.snapshot
    path = snapshot.path[snapshot.row[county.micro(0, 0)]]
    assert path == f"990126.990126001.990126001002.{grid}.{county.micro(0, 0)}"
    assert shapely.equals_identical(snapshot.geom[snapshot.row[county.micro(0, 0)]], county.box(0, 0))
    paths, then, status = desk.one(
        "SELECT paths_now::text[], paths_then::text[], status FROM event WHERE id = :n", n=number
    )
    assert path in paths
    assert path not in then
    assert status == "closed"
    (now,) = desk.one("SELECT paths_now::text[] FROM event WHERE id = :n", n=stated)
    assert now.startswith(f"990126.990126001.990126001002.{grid}.")


def test_each_refusal_leaves_the_edition_as_it_was(desk, county):
    one = county.micro(0, 0)
    bow = shapely.MultiPolygon([shapely.Polygon([county.at(*xy) for xy in ((0, 0), (1, 1), (1, 0), (0, 1))])])

    def codes(*changes):
        return [finding["code"] for finding in refused(desk, *changes).findings]

    new = {"kind": "micro", "name": "x", "parent": county.comprehensive(0, 0)}
    assert codes(change(county, one, bow)) == ["invalid"]
    assert codes(change(county, one, kind="galaxy")) == ["bad_kind", "code_of_other_kind"]
    assert codes(change(county, one, setting="maritime")) == ["bad_setting"]
    assert codes(change(county, "a.b", county.box(9, 0), **new)) == ["bad_code"]
    assert codes(change(county, one, name="a"), change(county, one, name="b")) == ["duplicate_code"]
    assert codes(change(county, "n", county.box(9, 0), **{**new, "parent": "nowhere"})) == ["unknown_parent"]
    assert codes(change(county, one, parent=county.micro(1, 0))) == ["bad_parent"]
    assert codes(gone("nowhere")) == ["unknown_area"]
    assert set(codes(gone(county.comprehensive(0, 0)))) == {"orphan"}
    assert refused(desk, change(county, one)).code == "nothing_changes"
    assert refused(desk, *split(county), base=7, error=Conflict).code == "base_changed"


def test_moments_strictly_increase_and_lie_ahead(desk, county):
    now = dt.datetime.now(dt.UTC)
    past = refused(desk, *split(county), effective_from=now - dt.timedelta(seconds=1))
    assert (past.code, past.message[:7]) == ("past_moment", "生效时间已过 ")
    assert refused(desk, *split(county), effective_from=dt.datetime(2999, 1, 1)).code == "bad_moment"  # noqa: DTZ001  # what is refused
    moment = now + dt.timedelta(hours=1)
    made = published(desk, *split(county), effective_from=moment)
    assert (made.edition, made.in_force_from, made.in_force) == (2, moment, False)
    assert desk.memory.snapshot.edition == 1
    assert desk.one("SELECT max(edition) FROM edition_placed") == 1
    with desk.database.reader() as session:  # nothing takes it for today's
        assert paths_of(session, ["new1"]) == ()
        assert paths_of(session, [county.micro(0, 0)]) == (
            desk.memory.snapshot.path[desk.memory.snapshot.row[county.micro(0, 0)]],
        )
        assert [(each["id"], each["pending"]) for each in editions(session)] == [(2, True), (1, False)]
    assert desk.memory.at(moment).row.keys() > desk.memory.at(now).row.keys()  # but for whoever asks for then
    other = change(county, county.micro(4, 0), name="改名")
    for effective_from in (None, moment, moment - dt.timedelta(minutes=1)):
        error = refused(desk, other, base=2, error=Conflict, effective_from=effective_from)
        assert (error.code, moment.isoformat() in error.message) == ("edition_pending", True)
    assert published(desk, other, base=2, effective_from=moment + dt.timedelta(hours=1)).edition == 3


def test_the_service_s_own_role_publishes(desk, county):
    """With a sight of everything, and without it nobody."""
    database = Database(desk.database.url, pool_size=2, restricted=True)
    lon, lat = county.at(0.75, 0.5)
    with desk.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths)"
                " SELECT 'b1', 60, point, point, code, code, ARRAY[path] FROM area,"
                " (SELECT ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS point) AS p WHERE code = :code"
            ),
            {"lon": lon, "lat": lat, "code": county.micro(0, 0)},
        )
        count_households(session)
    give_worker(desk, county, county.micro(0, 0), "ww")
    desk.post(county.event(0.75, 0.5))
    try:
        with (
            pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
            database.writer() as session,
        ):
            publish(session, 1, split(county), actor="x", settings=desk.settings)
        with database.writer(EVERYTHING) as session:
            made = publish(session, 1, split(county), actor="x", settings=desk.settings)
        with database.writer(EVERYTHING) as session:
            made = publish(
                session,
                2,
                [change(county, county.micro(0, 0)), gone("new1")],
                actor="x",
                settings=desk.settings,
            )
    finally:
        database.close()
    assert (made.edition, made.events_moved, made.buildings_moved) == (3, 1, 1)
    counted = desk.rows("SELECT code, households FROM household_count")
    assert dict(map(tuple, counted)) == dict.fromkeys(
        ("990126", "990126P1", "990126001", "990126001001", county.comprehensive(0, 0), county.micro(0, 0)),
        60,
    )
