"""Loading areas: the first since ever, later ones an edition each; refused by row; whole or not at all."""

import datetime as dt
import threading
from dataclasses import replace

import pytest
import shapely
import sqlalchemy as sa

from gridmap import areas, settling, snapshot
from gridmap.errors import InvalidInput
from gridmap.snapshot import KINDS

TABLES = ("edition", "area", "area_code", "lineage", "change_log", "event_history")


def stored(desk):
    return {table: desk.one(f"SELECT count(*) FROM {table}") for table in TABLES}


def living(desk):
    return {
        row.code: row
        for row in desk.rows(
            "SELECT id, code, kind, parent, path::text, edition_from FROM area WHERE edition_to IS NULL"
        )
    }


def refused(desk, *drafts):
    before = stored(desk)
    with pytest.raises(InvalidInput) as caught:
        desk.load(*drafts)
    assert stored(desk) == before
    assert caught.value.code == "areas_refused"
    return [(finding["row"], finding["field"], finding["code"]) for finding in caught.value.findings]


def test_the_first_load_is_in_force_since_ever(empty_desk, county):
    result = empty_desk.load(*county.drafts())
    assert (result.edition, result.created, result.changed, result.unchanged) == (1, 50, 0, 0)
    assert empty_desk.one("SELECT in_force_from = '-infinity' FROM edition")
    long_ago = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
    with empty_desk.database.reader() as session:
        assert snapshot.current_edition(session, long_ago) == 1
        (edition,) = areas.editions(session)
    assert (edition["id"], edition["in_force_from"], edition["published_by"]) == (1, None, "test")
    assert empty_desk.memory.at(long_ago).edition == 1
    assert len(empty_desk.memory.snapshot) == 50


def test_what_is_stored_is_what_was_given_to_the_bit(empty_desk, county):
    empty_desk.load(*county.drafts())
    made = empty_desk.memory.snapshot
    for draft in county.drafts():
        row = made.row[draft.code]
        assert (made.kind[row], made.name[row], made.parent[row]) == (draft.kind, draft.name, draft.parent)
        assert shapely.equals_identical(made.geom[row], draft.geom)


def test_a_second_load_makes_an_edition_and_keeps_untouched_rows(desk, county):
    before = living(desk)
    result = desk.load(
        county.area("micro", county.micro(0, 0), county.box(0, 0, 1, 0.5), parent=county.comprehensive(0, 0)),
        *(draft for draft in county.drafts() if draft.code in {county.micro(1, 0), "990126"}),
        county.area("village", "990126001009", county.box(9, 0), parent="990126001"),
        note="重划",
    )
    assert (result.edition, result.created, result.changed, result.unchanged, result.moved_along) == (
        2,
        1,
        1,
        2,
        0,
    )
    after = living(desk)
    changed = {code for code, row in after.items() if before.get(code) != row}
    assert changed == {county.micro(0, 0), "990126001009"}
    old = desk.one(
        "SELECT edition_from, edition_to FROM area WHERE id = :id", id=before[county.micro(0, 0)].id
    )
    assert tuple(old) == (1, 2)
    assert desk.one("SELECT note, areas_changed FROM edition WHERE id = 2") == ("重划", 2)
    told = desk.rows("SELECT topic, edition FROM change_log ORDER BY id DESC LIMIT 1")
    assert [tuple(row) for row in told] == [("edition", 2)]
    with desk.database.reader() as session:  # the earlier edition is as it was
        then = snapshot.load(session, 1)
    assert shapely.equals_identical(then.geom[then.row[county.micro(0, 0)]], county.box(0, 0))
    assert "990126001009" not in then.row


def test_the_same_again_makes_no_edition(desk, county):
    before = stored(desk)
    result = desk.load(*county.drafts())
    assert (result.edition, result.created, result.changed, result.unchanged) == (1, 0, 0, 50)
    assert stored(desk) == before


def test_parents_are_found_by_place(empty_desk, county):
    """Whatever the order of rows; a kind that may be missing is passed over."""
    drafts = [replace(draft, parent=None) for draft in county.drafts()]
    empty_desk.load(*reversed(drafts))
    found = living(empty_desk)
    for draft in county.drafts():
        # a dedicated grid hangs from its village, precincts from the county: as the county's own file says
        assert found[draft.code].parent == draft.parent, draft.code
    assert found[county.micro(5, 3)].path == (
        "990126.990126002.990126002002.990126002002001." + county.micro(5, 3)
    )


def test_kinds_may_come_in_parts_and_without_some_between(empty_desk, county):
    area, box = county.area, county.box
    empty_desk.load(area("county", "c", box(0, 0, 4, 4)))
    empty_desk.load(area("micro", "m", box(0, 0)))
    assert living(empty_desk)["m"].parent == "c"
    result = empty_desk.load(area("town", "t", box(0, 0, 2, 2)))
    assert living(empty_desk)["m"].path == "c.m"  # whose file stated nothing else, stays where it was
    assert (result.created, result.moved_along) == (1, 0)
    result = empty_desk.load(area("micro", "m", box(0, 0)))
    assert living(empty_desk)["m"].path == "c.t.m"
    assert (result.created, result.changed) == (0, 1)


def test_what_lies_below_a_moved_area_moves_along(desk, county):
    village = next(draft for draft in county.drafts() if draft.code == "990126001002")
    number = desk.post(county.event(0.5, 2.5)).event
    result = desk.load(replace(village, parent="990126002"))
    assert (result.changed, result.moved_along) == (1, 2 + 8)
    assert living(desk)[county.micro(0, 2)].path.startswith("990126.990126002.990126001002.")
    paths = desk.one("SELECT paths_now::text[] FROM event WHERE id = :n", n=number)
    assert any(path.startswith("990126.990126002.990126001002.") for path in paths)
    assert not any("990126.990126001." in path for path in paths)


def test_each_refusal_names_its_row(desk, county):
    area, box = county.area, county.box
    here = county.comprehensive(0, 0)
    assert refused(
        desk,
        area("micro", "n1", box(0, 0), parent=here, row=1),
        area("micro", "n1", box(0, 0), parent=here, row=2),
        area("micro", "n2", box(0, 0), parent="nowhere", row=3),
        area("village", "990126001", box(0, 0), parent="990126", row=4),
        area("comprehensive", "n3", box(0, 0), parent=county.micro(0, 0), row=5),
        area("county", "n4", box(0, 0), parent="990126001", row=6),
        area("dedicated", "n5", box(0, 0), parent=here, row=7),
        area("court", "n6", box(0, 0), parent="990126001", row=8),
        area("micro", "n7", box(0, 0), parent=here, row=9),
    ) == [
        (2, "code", "duplicate_code"),
        (4, "code", "code_of_other_kind"),
        (3, "parent", "unknown_parent"),
        (5, "parent", "bad_parent"),
        (6, "parent", "bad_parent"),
        (7, "parent", "bad_parent"),
        (8, "parent", "bad_parent"),
    ]


@pytest.mark.parametrize("parent", [None, "990126"])
def test_an_unknown_kind_and_a_code_that_is_none_are_refused(desk, county, parent):
    area, box = county.area, county.box
    assert refused(
        desk,
        area("galaxy", "g1", box(0, 0), parent=parent, row=1),
        area("town", "a.b", box(0, 0), parent=parent, row=2),
        area("town", "甲", box(0, 0), parent=parent, row=3),
        area("town", "", box(0, 0), parent=parent, row=4),
        area("town", "x" * 256, box(0, 0), parent=parent, row=5),
        area("town", "x\n", box(0, 0), parent=parent, row=6),
    ) == [(1, "kind", "bad_kind"), *((row, "code", "bad_code") for row in (2, 3, 4, 5, 6))]


def test_findings_say_where(desk, county):
    with pytest.raises(InvalidInput) as caught:
        desk.load(county.area("micro", "n", county.box(3, 2), parent="nowhere", row=7))
    (finding,) = caught.value.findings
    assert (finding["area"], finding["value"]) == ("n", "nowhere")
    assert county.box(3, 2).contains(shapely.Point(finding["where"]))


def test_a_retired_code_is_never_used_again(desk, county):
    desk.load(county.area("town", "t9", county.box(9, 0), parent="990126"))
    desk.do("INSERT INTO edition VALUES (3, now() + interval '1 ms', now(), 'test', '', 1)")
    desk.do("UPDATE area SET edition_to = 3 WHERE code = 't9'")
    desk.do("UPDATE area_code SET retired_in = 3 WHERE code = 't9'")
    again = county.area("town", "t9", county.box(9, 0), parent="990126", row=1)
    assert refused(desk, again) == [(1, "code", "retired_code")]
    other = county.area("village", "t9", county.box(9, 0), parent="990126", row=1)
    assert refused(desk, other) == [(1, "code", "retired_code")]


@pytest.mark.parametrize("step", ["look", "finish"])
def test_a_load_that_fails_at_its_end_leaves_no_trace(desk, county, monkeypatch, step):
    desk.post(county.event(0.5, 0.5))
    before, memory = stored(desk), desk.memory.snapshot.edition

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(settling.Relocation, step, fail)
    with pytest.raises(ZeroDivisionError):
        desk.load(county.area("micro", county.micro(0, 0), county.box(0, 0, 1, 0.5)))
    assert stored(desk) == before
    desk.memory.refresh()
    assert desk.memory.snapshot.edition == memory


def test_two_loads_at_once_build_on_each_other(desk, county):
    """The second waits, and starts from what the first has made."""

    def load(code, column):
        desk.load(county.area("town", code, county.box(column, 0), parent="990126"))

    threads = [threading.Thread(target=load, args=(f"n{i}", 10 + i)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {"n0", "n1", "n2"} <= set(living(desk))
    assert desk.one("SELECT max(id) FROM edition") == 4
    with desk.database.reader() as session:
        assert {"n0", "n1", "n2"} <= set(snapshot.load(session, 4).row)


def test_nothing_given_changes_nothing(empty_desk):
    assert empty_desk.load().edition == 0
    assert stored(empty_desk) == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_stored(shared_desk, county, kind):
    """The kinds of the index, of areas and of the table's own check are the same."""
    with shared_desk.database.writer() as session:
        areas.import_areas(
            session,
            [county.area(kind, f"new_{kind}", county.box(20, 20))],
            actor="test",
            settings=shared_desk.settings,
        )
        assert session.execute(
            sa.text("SELECT kind FROM area WHERE code = :code"), {"code": f"new_{kind}"}
        ).scalar_one()
        session.rollback()
