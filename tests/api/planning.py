"""Plans as planners and approvers of the tests' small county work at them, over HTTP."""

import itertools
from typing import Any

import orjson
import sqlalchemy as sa

from gridmap import accounts
from tests.api.conftest import SIDE, SOUTH, WEST, App, Caller

TOWN, VILLAGE = "990126001", "990126001001"
MICRO, NEXT = "99012600100100101", "99012600100100102"
EAST = "990126002"
Plan = dict[str, Any]
_names = itertools.count(1)


def staffed(app: App) -> App:
    """With planners and approvers of the western town, the eastern one and a village."""
    with app.database.writer() as session:
        for name, role, area in (
            ("wp", "planner", TOWN),
            ("wp2", "planner", TOWN),
            ("ep", "planner", EAST),
            ("wa", "approver", TOWN),
            ("va", "approver", VILLAGE),
            ("both", "planner", TOWN),
        ):
            accounts.add_account(session, name, [(role, area)])
        session.execute(
            sa.text("INSERT INTO account_role SELECT id, 'approver', :town FROM account WHERE name = 'both'"),
            {"town": TOWN},
        )
    return app


def opened(caller: Caller, scope: str = TOWN) -> Plan:
    """A new plan."""
    answer = caller.post("/api/plans", json={"name": f"方案{next(_names)}", "scope": scope})
    assert answer.status_code == 201, answer.text
    plan: Plan = answer.json()
    return plan


def line(*places: tuple[float, float]) -> dict[str, Any]:
    """A line through places that are counted in squares."""
    coordinates = [[WEST + SIDE * x, SOUTH + SIDE * y] for x, y in places]
    return {"type": "LineString", "coordinates": coordinates}


def step(caller: Caller, plan: Plan, what: str, status: int = 200, **body: Any) -> Plan:
    """What a call answers; the plan as it was given, so that its revision may be stale."""
    answer = caller.post(f"/api/plans/{plan['id']}/{what}", json={"revision": plan["revision"], **body})
    assert answer.status_code == status, answer.text
    said: Plan = answer.json()
    return said


def split(caller: Caller, plan: Plan, grid: str = MICRO, x: float = 0.3, status: int = 200) -> Plan:
    """A grid in two, from south to north."""
    return step(caller, plan, "edits", status, op="split", grid=grid, line=line((x, -1), (x, 5)))


def rename(caller: Caller, plan: Plan, name: str, grid: str = NEXT, status: int = 200) -> Plan:
    """A grid with another name."""
    return step(caller, plan, "edits", status, op="rename", grid=grid, name=name)


def features(plan: Plan) -> dict[str, Any]:
    """Areas by code."""
    return {each["properties"]["code"]: each for each in plan["areas"]["features"]}


def born(plan: Plan) -> list[str]:
    """Codes that the base does not have."""
    return [code for code, each in features(plan).items() if each["properties"]["fate"] == "new"]


def geometry(feature: dict[str, Any]) -> str:
    """A feature's geometry as text."""
    return orjson.dumps(feature["geometry"]).decode()
