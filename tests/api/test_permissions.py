"""Who may what, and where: every operation that the service describes, for every role, inside and outside its areas.

What is expected stands in permissions.md. A new operation without a row there, or without a request in permitting.py,
fails.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gridmap.access import ROLES
from tests.api.asking import ask
from tests.api.conftest import App
from tests.api.permitting import LAYERS, OPERATIONS, World, as_said, event_at, made, token

TABLE = Path(__file__).with_name("permissions.md")
ALWAYS_WRITTEN = {"audit", "audit_block", "sign_in_failure", "token", "alembic_version", "spatial_ref_sys"}


def rows() -> dict[str, dict[str, str]]:
    """The table: by operation, by column."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head, body = cells[0], cells[2:]
    assert head == ["operation", *ROLES, "outside", "anonymous"]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


@pytest.fixture(scope="module")
def world(module_app: App) -> World:
    return made(module_app)


def described(app: App) -> set[str]:
    paths = ask(app.client, "GET", "/api/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_every_operation_has_its_row_and_every_row_its_operation(module_app):
    assert described(module_app) == set(rows()) == set(OPERATIONS)


def digest(app: App) -> dict[str, tuple[int, str]]:
    """Rows and content of every table that a refused request must leave alone."""
    with app.database.reader() as session:
        names = session.execute(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        names = sorted(set(names.scalars()) - ALWAYS_WRITTEN)
        return {
            name: tuple(
                session.execute(
                    sa.text(
                        f"SELECT count(*), md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), ''))"
                        f" FROM {name} t"
                    )
                ).one()
            )
            for name in names
        }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_row_of_the_table(world, operation):
    row = rows()[operation]
    writes = not operation.startswith("GET")
    assert str(world.ask(None, operation, world.own).status) == row["anonymous"], "anonymous"
    for role in ROLES:
        who, wanted = f"as_{role}", int(row[role])
        own = replace(world.own, event=world.posted) if role == "source" else world.own
        world.prepare(operation)
        before = digest(world.app) if writes else {}
        answer = world.ask(who, operation, own)
        assert answer.status == wanted, (role, "inside", answer.body[:300])
        if wanted >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            if writes:
                assert digest(world.app) == before, (role, "inside")
        if operation == "POST /api/events/batch" and wanted == 200:
            assert answer.json()["accepted"] == 1
        if row["outside"] == "–":
            continue
        world.prepare(operation)
        before = digest(world.app) if writes else {}
        outside, absent = (world.ask(who, operation, target) for target in (world.other, world.absent))
        assert str(outside.status) == (str(wanted) if wanted == 403 else row["outside"]), (role, "outside")
        assert as_said(outside, world.other) == as_said(absent, world.absent), (
            role,
            "as if it were not there",
        )
        if writes:
            assert digest(world.app) == before, (role, "outside")
        if wanted < 400 and row["outside"] == "200" and operation != "GET /api/audit":
            assert as_said(outside, world.other)[2] != as_said(answer, own)[2]


def test_a_source_does_not_read_what_others_posted_also_in_its_own_areas(world):
    for operation in ("GET /api/events/{event}", "GET /api/events/{event}/history"):
        answers = [
            world.ask("as_source", operation, target) for target in (world.own, world.other, world.absent)
        ]
        assert [each.status for each in answers] == [404] * 3


def test_a_batch_is_told_of_other_areas_as_of_codes_that_are_not_there(world):
    before = digest(world.app)
    for role in ("admin", "dispatcher", "worker", "source"):
        answers = [
            (world.ask(f"as_{role}", "POST /api/events/batch", target), target)
            for target in (world.other, world.absent)
        ]
        assert answers[0][0].json()["rejected"][0]["code"] == "unknown_grid"
        assert as_said(*answers[0]) == as_said(*answers[1])
        place = {"lon": world.other.place[0], "lat": world.other.place[1], "grid": None}
        single = ask(
            world.app.client,
            "POST",
            "/api/events",
            token=token(world.app, f"as_{role}"),
            json=event_at(f"as_{role}", world.other, **place),
        )
        assert (single.status, single.json()["code"]) == (404, "outside_areas")
    assert digest(world.app) == before


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("role", ROLES)
def test_tiles_of_every_layer(world, role, layer):
    forbidden = role == "source" or (layer == "events" and role in {"planner", "approver"})
    operation = "GET /api/tiles/{layer}/{z}/{x}/{y}.mvt"
    answers = [
        (world.ask(f"as_{role}", operation, target, layer), target)
        for target in (world.own, world.other, world.absent)
    ]
    statuses = [each.status for each, _ in answers]
    assert statuses == ([403] * 3 if forbidden else [200, 204, 204])
    assert as_said(*answers[1]) == as_said(*answers[2])
    assert all(each.headers["cache-control"] in {"private, no-cache", "no-store"} for each, _ in answers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/no/such/path"),
        ("DELETE", "/api/events"),
        ("PUT", "/api/users/admin"),
        ("OPTIONS", "/api/areas"),
        ("HEAD", "/api/events/1"),
        ("TRACE", "/api/me"),
        ("GET", "/api/../api/areas"),
        ("GET", "/api/tiles/none/0/0/0.mvt"),
        ("POST", "/api/openapi"),
        ("GET", "/api/token/"),
    ],
)
def test_nobody_learns_without_credentials_which_paths_there_are(world, method, path):
    answer = ask(world.app.client, method, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (answer.json()["code"], answer.json()["detail"]) == (
        "unauthorised",
        "Credentials are needed: a bearer token, or sign in at /login",
    )


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_path_is_not_there_for_every_role(world, role):
    bearer = token(world.app, f"as_{role}")
    assert ask(world.app.client, "GET", "/api/no/such/path", token=bearer).status == 404
    assert ask(world.app.client, "DELETE", "/api/events", token=bearer).status == 405


def test_what_may_be_kept_is_kept_for_one_person(world):
    for operation in rows():
        if operation.startswith("GET /api"):
            kept = world.ask("as_dispatcher", operation, world.own).headers["cache-control"]
            assert kept in {"no-store", "private, no-cache", "private, no-store"}, operation
