"""Two towns merge and come apart again; what was published is taken back, unless it was changed since."""

import datetime as dt

import pytest
import shapely

from gridmap.access import Scope
from gridmap.account_changes import page
from gridmap.accounts import account_number, add_account, audited_paths, principal
from gridmap.errors import Conflict, InvalidInput, NotFound
from gridmap.undoing import revert
from tests.gridmap.redrawn import change, give_worker, gone, lineage, published, serve, split


def test_two_towns_merge(desk, county):
    """Paths, roles, people, what has happened and what was stated: all follow, and come back where it is undone."""
    west, east = "990126001", "990126002"
    number = desk.post(county.event(0.5, 0.5)).event
    stated = desk.post(county.event(None, None, grid=west, address="某处")).event
    desk.do("UPDATE event SET status = 'closed' WHERE id = :n", n=number)
    with desk.database.writer() as session:
        add_account(session, "west", [("dispatcher", west)], password="long enough, surely")
        account, _ = account_number(session, "west")
    villages = [code for code in desk.memory.snapshot.code if len(code) == 12 and code.startswith(west)]
    made = published(
        desk,
        change(county, east, county.box(0, 0, 8, 4)),
        *(change(county, village, parent=east) for village in villages),
        gone(west),
    )
    assert (made.retired, set(made.changed)) == ((west,), {east, *villages})
    assert len(made.along) == 4 + 16
    assert lineage(desk, 2) >= {(west, east, "merge"), (east, east, "merge")}
    closed = desk.one(
        "SELECT paths_now::text[], paths_then::text[], status FROM event WHERE id = :n", n=number
    )
    assert all(path.startswith((f"990126.{east}.", "990126.990126P1")) for path in closed[0])
    assert any(path.startswith(f"990126.{west}.") for path in closed[1])
    row = desk.one("SELECT paths_now::text[], leaf_now, method, why FROM event WHERE id = :n", n=stated)
    assert row[:3] == ([f"990126.{east}"], east, "stated")
    assert ["warn", "succeeded", {"stated": west, "area": east}] in row[3]
    units = (
        "SELECT code FROM unit u JOIN service_area s ON s.unit = u.id WHERE area = :a AND valid_to IS NULL"
    )
    assert {row[0] for row in desk.rows(units, a=east)} == {f"u{west}", f"u{east}"}
    assert desk.rows(units, a=west) == []

    def roles():
        with desk.database.reader() as session:
            (who, _) = principal(session, account)
            seen = page(session, Scope((f"990126.{east}",)))
            assert audited_paths(session, account) == tuple(sorted(role.path for role in who.roles))
            return [(role.area, role.path) for role in who.roles], [each.name for each in seen]

    assert roles() == ([(east, f"990126.{east}")], ["west"])
    with desk.database.writer() as session:
        back = revert(session, 2, actor="发布人", settings=desk.settings)
    desk.memory.refresh()
    assert (back.edition, back.created) == (3, (west,))
    assert lineage(desk, 3) >= {(east, west, "split"), (east, east, "split")}
    assert {row[0] for row in desk.rows(units, a=east)} == {f"u{east}"}
    assert {row[0] for row in desk.rows(units, a=west)} == {f"u{west}"}
    assert desk.one("SELECT retired_in FROM area_code WHERE code = :c", c=west) is None
    again = desk.one("SELECT paths_now::text[] FROM event WHERE id = :n", n=number)
    assert sorted(again) == sorted(closed[1])
    with desk.database.reader() as session:
        (who, _) = principal(session, account)
    assert [role.path for role in who.roles] == [f"990126.{west}"]
    assert same(desk.memory.edition(1), desk.memory.snapshot)


def same(one, other):
    fields = ("code", "kind", "name", "setting", "parent", "path")
    return all((getattr(one, name) == getattr(other, name)).all() for name in fields) and bool(
        shapely.equals_identical(one.geom, other.geom).all()
    )


def test_what_was_published_is_taken_back_unless_it_was_changed_since(desk, county):
    code = county.micro(0, 0)

    def undo(edition, **more):
        with desk.database.writer() as session:
            return revert(session, edition, actor="x", settings=desk.settings, **more)

    give_worker(desk, county, code, "ww")
    number = desk.post(county.event(0.75, 0.5)).event
    published(desk, *split(county))
    published(desk, change(county, county.micro(6, 0), name="改名"), base=2)  # elsewhere: in nobody's way
    back = undo(2)
    assert (back.edition, back.retired, back.events_moved) == (4, ("new1",), 1)
    assert lineage(desk, 4) == {("new1", code, "merge"), (code, code, "merge")}
    assert desk.one("SELECT owner_now FROM event WHERE id = :n", n=number) == code
    assert (serve(desk, code), serve(desk, "new1")) == (["ww"], [])
    assert desk.one("SELECT action, detail->'undone' FROM audit WHERE edition = 4") == ("edition.revert", 2)
    with pytest.raises(Conflict) as caught:
        undo(2)
    assert (caught.value.code, code in caught.value.message) == ("changed_since", True)
    assert undo(4).created == ("new1",)  # what was taken back may be published again
    for edition, expected in ((1, InvalidInput), (99, NotFound)):
        with pytest.raises(expected):
            undo(edition)
    # before its moment, an edition is taken back right after it
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    published(desk, *merge_again(county), base=5, effective_from=moment)
    pending = undo(6)
    assert (pending.in_force, pending.in_force_from) == (False, moment + dt.timedelta(microseconds=1))
    assert same(desk.memory.edition(5), desk.memory.edition(7))


def merge_again(county):
    """What `split` made is one again, under a name of its own."""
    return [change(county, county.micro(0, 0), name="并回"), gone("new1")]


def test_what_others_put_there_since_is_in_the_way(desk, county):
    market, grid = "990126D01", county.comprehensive(0, 0)
    moved = [county.micro(0, 0), county.micro(0, 1)]

    def refused(edition):
        with desk.database.writer() as session, pytest.raises(Conflict) as caught:
            revert(session, edition, actor="x", settings=desk.settings)
        assert caught.value.code == "changed_since"
        return [(each["area"], each["edition"], each["by"]) for each in caught.value.findings]

    # where land comes back lies another area of the kind by now
    published(desk, gone(market, "retire"))
    published(
        desk, change(county, "D2", county.box(5, 2), kind="dedicated", name="学校", parent=None), base=2
    )
    assert refused(2) == [("D2", 3, "发布人")]
    # and what the edition made holds something since
    published(
        desk,
        change(county, grid, county.box(1, 0, 1, 2)),
        change(
            county, "half", county.box(0, 0, 1, 2), kind="comprehensive", name="半", parent="990126001001"
        ),
        *(change(county, code, parent="half") for code in moved),
        base=3,
    )
    published(desk, change(county, "D3", county.box(0, 0), kind="micro", name="新", parent="half"), base=4)
    assert refused(4) == [("D3", 5, "发布人")]
    published(desk, gone("D3", "retire"), base=5)
    with desk.database.writer() as session:
        back = revert(session, 4, actor="x", settings=desk.settings)
    assert (set(back.changed), back.retired) == ({grid, *moved}, ("half",))
    assert desk.one("SELECT count(*) FROM area WHERE parent = :g AND edition_to IS NULL", g=grid) == 4
