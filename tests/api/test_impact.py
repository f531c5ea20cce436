"""The impact of a plan: what is told beforehand is what the publication then does, and to whom it is told."""

import io
import json
import re
import time
from dataclasses import replace

import openpyxl
import pyogrio
import pytest
import shapely
import sqlalchemy as sa

from boundaries import plan_store
from boundaries.plan_publish import changes
from gridmap import accounts
from gridmap.access import Scope
from gridmap.publishing import publish
from gridmap.sight import EVERYTHING
from tests.api.conftest import SIDE, SOUTH, WEST, middle

TOWN, EAST = "990126001", "990126002"
MICRO, NEXT, THIRD = (f"9901260010010010{number}" for number in (1, 2, 3))
GRID, OTHER_GRID = "990126001001001", "990126001001002"


def furnished(app):
    """With a planner and an approver of the western town, workers in two of its micro-grids, and a street."""
    with app.database.writer() as session:
        for name, role in (("wp", "planner"), ("wa", "approver"), ("head", "admin"), ("far", "planner")):
            accounts.add_account(session, name, [(role, EAST if name == "far" else TOWN)])
        for area, code in ((MICRO, "A"), (NEXT, "B")):
            worker = session.execute(
                sa.text(
                    "INSERT INTO worker (code, name, role, capacity) VALUES (:code, :code, 'worker_full_time', 3)"
                    " RETURNING id"
                ),
                {"code": code},
            ).scalar_one()
            session.execute(
                sa.text("INSERT INTO service_area (worker, area) VALUES (:worker, :area)"),
                {"worker": worker, "area": area},
            )
        session.execute(
            sa.text(
                "INSERT INTO street (code, name, class, geom) VALUES ('s1', '北岸路', 'main',"
                " ST_GeomFromText('MULTILINESTRING((112.0 30.002, 112.008 30.002))', 4326))"
            )
        )
        session.execute(
            sa.text("UPDATE building SET keep_together = '云湖苑' WHERE code IN ('b' || :a, 'b' || :b)"),
            {"a": MICRO, "b": NEXT},
        )
    app.service.memory.refresh()
    return app


def asked(caller, method, path, status=200, **body):
    answer = caller.get(path) if method == "get" else caller.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def opened(app, *edits, scope=TOWN, who="wp"):
    caller = app.as_(who)
    plan = asked(caller, "post", "/api/plans", 201, name="冬季调整", scope=scope)
    for edit in edits:
        plan = asked(caller, "post", f"/api/plans/{plan['id']}/edits", revision=plan["revision"], **edit)
    return plan


def split(x=0.3, grid=MICRO, **more):
    line = {"type": "LineString", "coordinates": [[WEST + SIDE * x, SOUTH + SIDE * y] for y in (-1, 3)]}
    return {"op": "split", "grid": grid, "line": line, **more}


def merge(*grids):
    return {"op": "merge", "grids": list(grids), "into": grids[0]}


def posted(app, number, column, row, **more):
    lon, lat = middle(column, row)
    body = {
        "source": "12345",
        "external_id": f"e{number}",
        "category": "appeal",
        "occurred_at": "2026-08-24T13:51:00+08:00",
        "lon": lon,
        "lat": lat,
        "title": "路灯不亮",
        **more,
    }
    answer = app.as_("dispatcher").post("/api/events", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def accepted(app, event):
    with app.database.writer() as session:
        session.execute(
            sa.text("UPDATE event SET status = 'accepted', accepted_at = now() WHERE id = :id"),
            {"id": event["id"]},
        )


def impact(app, plan, who="head"):
    return asked(app.as_(who), "get", f"/api/plans/{plan['id']}/impact")


@pytest.fixture(scope="module")
def county(module_app):
    return furnished(module_app)


@pytest.fixture
def fresh(app, county):
    return app


def test_what_is_told_is_what_the_publication_does(own_app):
    """A split with an event on either side, a merge with one that waits and one in hand, all at once."""
    app = furnished(own_app)
    east = posted(app, 1, 0, 0, lon=WEST + 0.9 * SIDE)
    west = posted(app, 2, 0, 0, lon=WEST + 0.1 * SIDE)
    in_hand = posted(app, 3, 0, 1)
    accepted(app, in_hand)
    waiting = posted(app, 4, 1, 1)
    stated = posted(app, 5, 0, 0, lon=None, lat=None, grid=THIRD)
    far = posted(app, 6, 5, 0)
    plan = opened(app, split(), merge(f"{GRID}04", THIRD))
    told = impact(app, plan)
    (born,) = told["born"]
    assert told["retired"] == [THIRD]
    draft_changes = stored_changes(app, plan)
    with app.service.database.writer(EVERYTHING) as session:
        publish(session, 1, draft_changes, actor="发布人", settings=app.settings)
    with app.database.reader() as session:
        rows = {
            row.id: row
            for row in session.execute(
                sa.text("SELECT id, coalesce(owner_now, leaf_now) AS at, worker, unit FROM event")
            )
        }
        buildings = session.execute(sa.text("SELECT code, leaf FROM building")).all()
        serving = session.execute(
            sa.text(
                "SELECT DISTINCT worker, area FROM service_area WHERE worker IS NOT NULL"
                " AND (valid_to IS NULL OR valid_to > clock_timestamp()) ORDER BY 1, 2"
            )
        ).all()
    items = {each["id"]: each for each in told["events"]["items"]}
    assert set(items) == {west["id"], in_hand["id"], stated["id"]}
    for number, item in items.items():
        after = item["handler_after"]
        assert (item["to"], after and after["id"]) == (
            rows[number].at,
            rows[number].worker or rows[number].unit,
        )
    assert items[west["id"]]["to"] == born
    assert items[in_hand["id"]]["handler"] == items[in_hand["id"]]["handler_after"]
    assert (told["events"]["open"], told["events"]["routed"], told["events"]["kept"]) == (3, 2, 1)
    assert not {east["id"], waiting["id"], far["id"]} & set(items)
    moved = {each["code"]: each["to"] for each in told["buildings"]["items"]}
    assert moved == {f"b{THIRD}": f"{GRID}04"}
    assert all(dict(buildings)[code] == to for code, to in moved.items())
    for each in told["workers"]:
        assert each["to"] == [
            area for worker, area in serving if worker == each["id"] and area.startswith(TOWN)
        ]
    assert {tuple(each["to"]) for each in told["workers"]} == {(MICRO, born)}


def stored_changes(app, plan):
    with app.database.reader() as session:
        found = plan_store.find(session, Scope(None), plan["id"])
        return changes(plan_store.draft_of(session, found, app.service.memory.edition(found.base)))


def test_lineage_is_told_with_what_flows(county):
    plan = opened(county, merge(MICRO, NEXT), split(grid=f"{GRID}04", x=1.5))
    told = impact(county, plan, "wp")
    merged, cut = told["grids"]
    assert (merged["change"], merged["old"], merged["new"], merged["households"]) == (
        "merge",
        [MICRO, NEXT],
        [MICRO],
        60 + 61,
    )
    assert [
        (each["old"], each["new"], each["households"], each["buildings"]) for each in merged["flows"]
    ] == [
        (NEXT, MICRO, 61, 1),
        (MICRO, MICRO, 60, 1),
    ]
    assert (cut["change"], cut["old"]) == ("split", [f"{GRID}04"])
    assert cut["new"] == [f"{GRID}04", *told["born"]]
    assert told["retired"] == [NEXT]
    assert told["buildings"]["by_kind"] == {
        "comprehensive": {"buildings": 0, "households": 0},
        "micro": {"buildings": 1, "households": 61},
        "dedicated": {"buildings": 0, "households": 0},
    }
    served = {each["name"]: (each["from"], each["to"], each["households"]) for each in told["workers"]}
    assert served == {"A": ([MICRO], [MICRO], 121), "B": ([NEXT], [MICRO], 121)}


def test_numbers_alone_for_who_sees_no_events(fresh):
    """Rounded, small ones withheld, sensitive sub-categories not among them; no household of a single building."""
    plan = opened(fresh, merge(MICRO, NEXT))
    for number in range(2):
        posted(fresh, number, 1, 0)
    few = impact(fresh, plan, "wp")["events"]
    assert few == {
        "open": None,
        "routed": None,
        "kept": None,
        "items": [],
        "more": 0,
        "withhold_below": 3,
        "rounded_to": 5,
    }
    for number in range(2, 7):
        posted(fresh, number, 1, 0)
    with fresh.database.writer() as session:
        session.execute(
            sa.text("UPDATE event SET subcategory = (SELECT code FROM subcategory WHERE sensitive LIMIT 1)"
                    " WHERE id IN (SELECT id FROM event ORDER BY id DESC LIMIT 4)")
        )  # fmt: skip
    assert impact(fresh, plan, "wp")["events"]["open"] == 5  # three
    assert len(impact(fresh, plan, "head")["events"]["items"]) == 3  # an administrator handles none of those
    assert impact(fresh, plan, "wp")["buildings"]["items"][0]["households"] == 61
    assert impact(fresh, plan, "wa")["buildings"]["items"][0]["households"] is None
    assert impact(fresh, plan, "wa")["buildings"]["households"] == 61
    assert fresh.as_("far").get(f"/api/plans/{plan['id']}/impact").status_code == 404


def test_who_has_an_event_in_hand_keeps_it_and_is_offered_to_hand_it_over(fresh):
    event = posted(fresh, 1, 1, 0, lon=WEST + 1.1 * SIDE)
    assert event["assignee"]["name"] == "B"
    x, y = WEST + SIDE, SOUTH
    ring = [(x, y), (x + 0.4 * SIDE, y), (x + 0.4 * SIDE, y + SIDE), (x, y + SIDE), (x, y)]
    widened = shapely.union(shapely.Polygon(ring), shapely.box(WEST, SOUTH, x, y + SIDE))
    polygon = {"type": "Polygon", "coordinates": [shapely.get_coordinates(widened).tolist()]}
    plan = opened(fresh, {"op": "reshape", "grid": MICRO, "polygon": polygon})
    (told,) = impact(fresh, plan)["events"]["items"]
    assert (told["from"], told["to"], told["handler"]["name"]) == (NEXT, MICRO, "B")
    assert (told["handler_after"]["name"], told["offered"]) == ("A", None)  # waits: routed anew
    accepted(fresh, event)
    (told,) = impact(fresh, plan)["events"]["items"]
    assert (told["handler_after"]["name"], told["offered"]["name"]) == ("B", "A")
    assert (told["status"], told["accept_due_at"]) == ("accepted", event["accept_due_at"])


def failed(told):
    return {each["code"]: each["text"] for each in told["checks"] if not each["ok"]}


def test_checks_say_what_stands_in_the_way(county, monkeypatch):
    plan = opened(county, merge(MICRO, THIRD))
    assert set(failed(impact(county, plan, "wp"))) == {"households_in_range"}
    told = failed(impact(county, opened(county, merge(f"{GRID}04", NEXT)), "wp"))
    assert set(told) == {"households_in_range"}  # the compound lies in two grids already
    with county.database.writer() as session:
        session.execute(
            sa.text("UPDATE building SET keep_together = '二号院' WHERE code IN ('b' || :a, 'b' || :b)"),
            {"a": f"{OTHER_GRID}01", "b": f"{OTHER_GRID}02"},
        )
        session.execute(
            sa.text("UPDATE service_area SET valid_to = now() - interval '1 day', valid_from = '-infinity'"
                    " WHERE area = :grid"), {"grid": OTHER_GRID},
        )  # fmt: skip
    county.service.memory.refresh_roster()
    county.service.grounds.forget()
    one = opened(county, merge(f"{OTHER_GRID}01", f"{OTHER_GRID}02"))
    assert "everybody_has_a_worker" in failed(impact(county, one, "wp"))
    settings = replace(county.service.settings, notice_days=7)
    monkeypatch.setattr(county.service, "settings", settings)
    assert "7 天" in failed(impact(county, one, "wp"))["notice_over"]
    with county.database.writer() as session:
        session.execute(
            sa.text(
                "UPDATE plan SET state = 'approved', notice_until = now() + interval '1 day' WHERE id = :id"
            ),
            {"id": one["id"]},
        )
    assert "公示至" in failed(impact(county, one, "wp"))["notice_over"]


def test_a_set_that_lay_in_one_grid_and_would_lie_in_two(county):
    with county.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths, keep_together)"
                " SELECT 'n' || b.code, 9, ST_Translate(b.place, :shift, 0), ST_Translate(b.place, :shift, 0),"
                " b.leaf, b.owner, b.paths, '三号院' FROM building b WHERE b.code = 'b' || :micro"
            ),
            {"shift": -0.3 * SIDE, "micro": f"{OTHER_GRID}04"},
        )
        session.execute(
            sa.text("UPDATE building SET keep_together = '三号院' WHERE code = 'b' || :micro"),
            {"micro": f"{OTHER_GRID}04"},
        )
    county.service.grounds.forget()
    told = impact(county, opened(county, split(grid=f"{OTHER_GRID}04", x=3.3)), "wp")
    assert "三号院" in failed(told)["sets_whole"]
    assert told["buildings"]["count"] == 1


def export(app, plan, which, who="wp", more="", status=200):
    answer = app.as_(who).get(f"/api/plans/{plan['id']}/export?format={which}{more}")
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture(scope="module")
def drawn(county):
    return opened(county, split(), merge(f"{GRID}04", THIRD))


def test_the_package_has_both_states_what_changed_and_a_mark(county, drawn, tmp_path):
    got = export(county, drawn, "gpkg", more="&reason=审批")
    assert got.headers["content-disposition"].endswith('.gpkg"')
    path = tmp_path / "plan.gpkg"
    path.write_bytes(got.content)
    layers = {name: pyogrio.read_dataframe(path, layer=name) for name, _ in pyogrio.list_layers(path)}
    assert list(layers) == ["before", "after", "borders", "buildings"]
    assert all(frame.crs == "EPSG:4490" for frame in layers.values())
    before, after = (set(layers[name].code) for name in ("before", "after"))
    assert before - after == {THIRD}
    (new,) = after - before
    assert layers["after"].set_index("code").fate[[MICRO, new, NEXT]].tolist() == ["changed", "new", "same"]
    shapes = layers["after"].geometry[layers["after"].kind == "micro"]
    assert shapely.coverage_is_valid(shapes.to_numpy())
    assert sorted(zip(layers["borders"].kind, layers["borders"].change, strict=True)) == [
        ("micro", "gone"),
        ("micro", "new"),
    ]
    lengths = dict(zip(layers["borders"].change, shapely.length(layers["borders"].geometry), strict=True))
    assert lengths == {"gone": pytest.approx(SIDE), "new": pytest.approx(SIDE)}
    assert layers["buildings"][["code", "households", "from", "to"]].to_numpy().tolist() == [
        [f"b{THIRD}", 62, THIRD, f"{GRID}04"]
    ]
    mark = json.loads(pyogrio.read_info(path, layer="before")["dataset_metadata"]["gridmap_export"])
    assert (mark["exported_by"], mark["reason"], mark["plan"]) == ("wp", "审批", drawn["id"])
    path.write_bytes(export(county, drawn, "gpkg", "wa", more="&crs=EPSG:4549").content)
    moved = pyogrio.read_dataframe(path, layer="buildings")
    assert moved.crs == "EPSG:4549"
    assert moved.households.isna().all()  # an approver may not see those of single buildings
    assert export(county, drawn, "gpkg", more="&crs=nowhere", status=422).json()["code"] == "unknown_crs"


def test_the_ledger_has_a_row_a_grid_with_its_limits(county, drawn):
    book = openpyxl.load_workbook(io.BytesIO(export(county, drawn, "xlsx", more="&reason=台账").content))
    assert [sheet.title.split()[0] for sheet in book] == ["网格台账", "沿革", "楼栋", "汇总"]
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert "台账" in rows[2][0]
    assert "wp" in rows[2][0]
    header, grids = rows[4], {row[0]: row for row in rows[5:]}
    assert [each.split()[0] for each in header[:3]] == ["编码", "名称", "类型"]
    assert len(grids) == 4 + 16
    limits = grids[MICRO][9]
    assert "北至北岸路" in limits
    assert "东至01-02 微网格" in limits.replace("村11", "")
    assert grids[MICRO][7] == "A（专职）"
    assert grids[f"{GRID}04"][4:6] == (125, 2)
    assert grids[MICRO][10].startswith("变动")
    lineage = list(book.worksheets[1].iter_rows(min_row=6, values_only=True))
    assert {row[1].split()[1] for row in lineage} == {"split", "merge"}


@pytest.mark.parametrize("which", ["map", "page"])
def test_paper_loads_nothing_and_says_whose_it_is(county, drawn, which):
    got = export(county, drawn, which, more="&reason=上会")
    text = got.text
    assert "wp" in text
    assert "上会" in text
    assert not re.search(r"<script|<link|<img|url\((?!#)|@import|(href|src)=", text)
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert all(word in text for word in ("提交", "审批", "公章", "日期", drawn["name"]))
    if which == "map":
        assert "A3 landscape" in text
        assert all(word in text for word in ("比例尺", "图例", "北 N", TOWN, ">00101<", ">125 户<", ">村11<"))
        assert text.count("<svg") > 5
    else:
        assert all(word in text for word in (THIRD, "拆分", "合并", "&lt;3 ", "✗"))


def test_every_export_is_recorded(county, drawn):
    export(county, drawn, "page", more="&reason=为何")
    while county.service.scribe._notes:  # they leave the line once they are stored
        time.sleep(0.02)
    with county.database.reader() as session:
        row = session.execute(
            sa.text(
                "SELECT actor, reason, detail, paths::text[] AS paths FROM audit"
                " WHERE action = 'export.plan.page' ORDER BY id DESC LIMIT 1"
            )
        ).one()
    assert (row.actor, row.reason, row.detail["filters"]["plan"]) == ("wp", "为何", str(drawn["id"]))
    assert row.paths == [f"990126.{TOWN}"]
    export(county, drawn, "page", "far", status=404)
    export(county, drawn, "pdf", status=422)
