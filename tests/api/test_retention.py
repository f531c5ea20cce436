"""Periods and erasing over HTTP and on the command line."""

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli import main

TEXT = {"description": "张三与李四", "address": "3 栋 201", "contact": "13800000000"}


@pytest.fixture
def posted(app, event):
    answer = app.as_("dispatcher").post("/api/events", json=event(**TEXT))
    assert answer.status_code == 201
    return answer.json()["id"]


def words(app, number):
    body = app.as_("dispatcher").get(f"/api/events/{number}").json()
    return [body[name] for name in ("title", *TEXT)]


def test_an_administrator_of_the_area_erases_with_a_reason(app, posted):
    path = f"/api/events/{posted}/erase"
    assert None not in words(app, posted)
    for name in ("dispatcher", "commander", "planner"):
        assert app.as_(name).post(path, json={"reason": "x"}).status_code == 403
    for body in ({}, {"reason": ""}, {"reason": "x", "all": True}):
        assert app.as_("admin").post(path, json=body).status_code == 422
    assert app.as_("admin").post("/api/events/777777/erase", json={"reason": "x"}).status_code == 404
    assert None not in words(app, posted)
    assert app.as_("admin").post(path, json={"reason": "§47"}).json() == {"erased": True}
    assert words(app, posted) == [None] * 4
    assert app.as_("admin").post(path, json={"reason": "§47"}).json() == {"erased": False}
    steps = app.as_("dispatcher").get(f"/api/events/{posted}/history").json()["history"]
    assert [(step["action"], step["actor"]) for step in steps][-1] == ("erase", "admin")


def test_periods_are_set_by_administrators_of_everything(own_app):
    caller = own_app.as_("admin")
    assert caller.get("/api/retention").json()["days"]["dispute"] == 1095
    body = {"category": "dispute", "days": 730, "reason": "decided on 2026-11-20"}
    assert own_app.as_("dispatcher").post("/api/retention", json=body).status_code == 403
    assert caller.post("/api/retention", json={**body, "days": 0}).status_code == 422
    assert caller.post("/api/retention", json={**body, "category": "gossip"}).status_code == 422
    assert caller.post("/api/retention", json=body).json()["days"]["dispute"] == 730
    with own_app.database.reader() as session:
        row = session.execute(
            sa.text("SELECT actor, reason, detail FROM audit WHERE action = 'retention.set'")
        ).one()
    assert tuple(row) == ("admin", body["reason"], {"from": 1095, "to": 730})


def test_on_the_command_line(own_app, event):
    caller = own_app.as_("dispatcher")
    first, second = (
        caller.post("/api/events", json=event(external_id=name, **TEXT)).json()["id"] for name in "ab"
    )
    with own_app.database.writer() as session:
        session.execute(
            sa.text(
                "UPDATE event SET status = 'closed', closed_at = now() - interval '9 years' WHERE id = :id"
            ),
            {"id": second},
        )

    def run(*words):
        env = {"GRIDMAP_DATABASE_URL": own_app.url, "GRIDMAP_HOME": str(own_app.settings.home)}
        return CliRunner().invoke(main, [str(word) for word in words], env=env)

    assert "dispute      1095" in run("retention").output
    assert run("retention", "dispute", 900).exit_code == 1  # no reason
    assert "dispute      900" in run("retention", "dispute", 900, "--reason", "shorter").output
    assert "would erase 1" in run("erase", "--due").output
    assert None not in words(own_app, second)
    assert "erased 1" in run("erase", "--due", "--commit").output
    assert words(own_app, second) == [None] * 4
    assert None not in words(own_app, first)
    assert run("erase", first, "--commit").exit_code == 1  # no reason
    assert run("erase", 777777, "--reason", "x", "--commit").exit_code == 1
    assert run("erase").exit_code == 2
    assert "erased 1" in run("erase", first, "--reason", "§47", "--commit").output
    assert words(own_app, first) == [None] * 4
