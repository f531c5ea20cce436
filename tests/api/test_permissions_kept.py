"""Nobody sees what is elsewhere, and nobody is given what was worked out for another: bytes, headers and ETags."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa

from gridmap import accounts
from gridmap.access import ROLES
from tests.api.asking import Answer, ask
from tests.api.conftest import App, middle, serve
from tests.api.permitting import (
    LAYERS,
    OTHER,
    PERIOD,
    Target,
    World,
    as_said,
    event_at,
    made,
    post,
    tile_at,
    token,
)


@pytest.fixture(scope="module")
def world(module_app: App) -> World:
    return made(module_app)


NOTHING = Target("\x00", "\x00", -1, "\x00", (0, 0), "")
MIDDLE, WEST = tile_at(middle(3, 1), 14), tile_at(middle(1, 0), 16)  # both towns in it; the western one alone
# Everything that may be read without naming what is asked for, and what a process keeps between answers.
READS = (
    "/api/areas",
    "/api/areas?kind=micro&geometry=false",
    "/api/areas?bbox=112,30,112.016,30.008",
    "/api/areas/990126001/lineage",
    "/api/locate?lon=112.001&lat=30.001",
    "/api/locate?lon=112.011&lat=30.001",
    "/api/events",
    "/api/events?sort=near&near=112.008,30.001&radius_m=5000",
    "/api/events?bbox=112,30,112.016,30.008&limit=2",
    "/api/events/counts",
    "/api/events/counts?category=dispute",
    f"/api/heat?{PERIOD}",
    f"/api/heat?{PERIOD}&geometry=false&kind=village",
    f"/api/heat?{PERIOD}&measure=hotspot&kind=comprehensive",
    f"/api/heat?{PERIOD}&measure=change&kind=precinct",
    f"/api/heat?{PERIOD}&measure=per_100_households",
    f"/api/heat?{PERIOD}&by=hex&res=9",
    f"/api/heat?{PERIOD}&boundaries=then",
    f"/api/indicators?{PERIOD}",
    f"/api/indicators?{PERIOD}&by=children",
    f"/api/indicators?{PERIOD}&by=day",
    "/api/workers",
    "/api/units",
    "/api/assignments",
    "/api/search?q=1",
    "/api/search?q=%E7%AC%AC",
    "/api/search?q=%E8%A1%97",
    "/api/users",
    "/api/users?q=o&limit=2",
    "/api/audit?action=account.",
    "/api/audit?action=token.&limit=2",
    *(f"/api/tiles/{layer}/{MIDDLE}.mvt?{PERIOD}" for layer in LAYERS),
    *(f"/api/tiles/{layer}/{WEST}.mvt?{PERIOD}" for layer in LAYERS),
    f"/api/tiles/grids/{MIDDLE}.mvt?kind=micro",
    f"/api/tiles/areas/{MIDDLE}.mvt?crs=gcj02",
)


EXPORTS = (f"/api/heat/map?{PERIOD}", f"/api/heat/map.png?{PERIOD}&width=200&height=200")


def read(app: App, who: str, path: str, **headers: str) -> Answer:
    return ask(app.client, "GET", path, token=token(app, who), headers=headers)


def plainly(answer: Answer) -> tuple[int, frozenset[tuple[str, str]], bytes]:
    status, headers, body = as_said(answer, NOTHING)
    return status, frozenset(headers.items()), body


def test_what_happens_elsewhere_changes_nothing_here(world):
    """Nothing that is done in the eastern town makes any answer in the western one differ by a byte."""
    app = world.app
    readers = [f"as_{role}" for role in ROLES]
    before = {(who, path): plainly(read(app, who, path)) for who in readers for path in (*READS, *EXPORTS)}
    assert sum(status == 200 for status, *_ in before.values()) > 150
    for number in range(6):
        more = {"subcategory": "domestic_violence"} if number % 2 else {"urgency": "urgent"}
        lon, lat = middle(4 + number % 4, number % 4)
        post(app, "dispatcher", event_at("", world.other, lon=lon, lat=lat, **more))
    with app.database.writer() as session:
        accounts.add_account(session, "far_newcomer", [("dispatcher", OTHER)])
        session.execute(sa.text("UPDATE event SET status = 'closed', closed_at = now() WHERE id = :id"),
                        {"id": world.other.event})  # fmt: skip
        session.execute(
            sa.text(
                "INSERT INTO building (code, households, geom, place, leaf, owner, paths)"
                " SELECT 'far', 999, ST_Centroid(geom), ST_Centroid(geom), code, code, ARRAY[path] FROM area"
                " WHERE code = '99012600200100104'"
            )
        )
        worker = session.execute(
            sa.text(
                "INSERT INTO worker (code, name, role, capacity) VALUES ('far', '远', 'mediator', 5) RETURNING id"
            )
        ).scalar_one()
        session.execute(
            sa.text("INSERT INTO service_area (worker, area) VALUES (:worker, '990126002001')"),
            {"worker": worker},
        )
    app.service.memory.refresh()
    erased = ask(
        app.client,
        "POST",
        f"/api/events/{world.other.event}/erase",
        token=token(app, "admin"),
        json={"reason": "asked for"},
    )
    assert erased.status == 200
    for (who, path), said in before.items():
        assert plainly(read(app, who, path)) == said, (who, path)
    assert any(
        plainly(read(app, "dispatcher", path)) != plainly(read(app, "as_dispatcher", path)) for path in READS
    )


PRINCIPALS = (
    "west",
    "commander",
    "as_commander",
    "east",
    "as_planner",
    "as_worker",
    "admin",
    "station",
    "village",
)


@pytest.fixture
def renewed(world: World) -> Iterator[Callable[[], App]]:
    """Makes the application anew on the same database: with nothing kept in memory."""

    with ExitStack() as stack:
        yield lambda: stack.enter_context(contextmanager(serve)(world.app.url, world.app.settings))


def test_an_answer_kept_for_one_is_given_to_no_other(world, renewed):
    """Whoever asks first: everybody is told what they would have been told alone."""
    one, two = renewed(), renewed()
    forwards = {(who, path): plainly(read(one, who, path)) for path in READS for who in PRINCIPALS}
    backwards = {(who, path): plainly(read(two, who, path)) for path in READS for who in reversed(PRINCIPALS)}
    again = {
        (who, path): plainly(read(one, who, path)) for path in READS for who in ("east", "as_worker", "west")
    }
    assert forwards == backwards
    assert all(forwards[key] == said for key, said in again.items())
    told = {path: {forwards[who, path] for who in PRINCIPALS} for path in READS}
    assert all(len(each) > 1 for each in told.values()), [path for path in READS if len(told[path]) == 1]


def test_anothers_etag_says_nothing_about_my_tile(world):
    seen = 0
    for layer in LAYERS:
        path = f"/api/tiles/{layer}/{MIDDLE}.mvt?{PERIOD}"
        own = {who: read(world.app, who, path) for who in PRINCIPALS}
        for mine, theirs in itertools.permutations(PRINCIPALS, 2):
            if "etag" not in own[theirs].headers:
                continue
            answer = read(world.app, mine, path, **{"if-none-match": own[theirs].headers["etag"]})
            if answer.status == 304:
                assert own[mine].body == own[theirs].body
                assert answer.body == b""
            else:
                seen += own[mine].body != own[theirs].body
                assert plainly(answer) == plainly(own[mine])
                assert own[mine].headers.get("etag") != own[theirs].headers["etag"]
            if answer.status in {200, 304}:
                assert answer.headers["vary"].startswith("Authorization, Cookie")
                assert answer.headers["cache-control"] == "private, no-cache"
    assert seen > 50


def test_small_counts_are_withheld_from_a_commander_whoever_asked_before(world):
    """The same path, the same town, another role: in both orders, in values, tiles, pages and exports."""
    path = f"/api/heat?{PERIOD}&kind=micro&geometry=false"
    for order in (("as_dispatcher", "as_commander"), ("as_commander", "as_dispatcher")):
        answers = {who: read(world.app, who, path).json()["features"] for who in order}
        exact = {each["properties"]["code"]: each["properties"] for each in answers["as_dispatcher"]}
        shown = {each["properties"]["code"]: each["properties"] for each in answers["as_commander"]}
        assert set(exact) == set(shown)
        assert not any(each["withheld"] for each in exact.values())
        small = [code for code, each in exact.items() if each["count"] < 3]
        assert small
        assert all(shown[code]["withheld"] and shown[code]["count"] is None for code in small)


def test_lineage_says_nothing_of_codes_beyond_my_areas(world):
    with world.app.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO lineage (edition, old_code, new_code, change)"
                " VALUES (1, :theirs, :mine, 'merge'), (1, :mine, :theirs, 'split'), (1, 'gone', :mine, 'merge')"
            ),
            {"mine": world.own.area, "theirs": world.other.area},
        )
    path = f"/api/areas/{world.own.area}/lineage"
    steps = {
        who: {
            (each["change"], each["old_code"], each["new_code"])
            for each in read(world.app, who, path).json()["lineage"]
        }
        for who in ("dispatcher", "as_dispatcher")
    }
    mine, theirs = world.own.area, world.other.area
    assert steps["dispatcher"] == {
        ("import", None, mine), ("merge", theirs, mine), ("split", mine, theirs), ("merge", "gone", mine)
    }  # fmt: skip
    assert steps["as_dispatcher"] == {("import", None, mine), ("merge", None, mine), ("split", mine, None)}
    assert read(world.app, "as_dispatcher", f"/api/areas/{mine}%00/lineage").status == 404
