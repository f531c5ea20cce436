"""The requests of the permission matrix: something in either town, and an account for each role in the western one."""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
import sqlalchemy as sa

from gridmap import accounts
from gridmap.access import ROLES
from tests.api.asking import Answer, ask
from tests.api.conftest import PASSWORD, App, middle

OWN, OTHER = "990126001", "990126002"
PERIOD = "from=2026-08-01&to=2026-09-01"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Target:
    """Something that a request is about.

    Attributes:
        area, grid: codes.
        event: its number.
        account: whose.
        place: longitude and latitude.
        tile: zoom, column, row.
        plan: its number; opened by `planner` on the area, with an edit in force and one to be redone.
    """

    area: str
    grid: str
    event: int
    account: str
    place: tuple[float, float]
    tile: str
    plan: int = 10**9


def event_at(who: str, target: Target, **more: Any) -> dict[str, Any]:
    return {
        "source": who if who == "as_source" else "12345",
        "external_id": f"n{next(_numbers)}",
        "category": "dispute",
        "occurred_at": "2026-08-24T13:51:00+08:00",
        "title": "楼上装修噪声引发口角",
        "grid": target.grid,
        **more,
    }


def _form(target: Target) -> dict[str, Any]:
    body = urlencode({"username": target.account, "password": "no such password"}).encode()
    return {"body": body, "headers": {"content-type": "application/x-www-form-urlencoded"}}


def _file() -> dict[str, Any]:
    return {
        "body": b"%%PDF-1.7\n%d\n%%%%EOF" % next(_numbers),
        "headers": {"content-type": "application/pdf"},
    }


def _account(target: Target) -> dict[str, Any]:
    return {"name": f"new{next(_numbers)}", "roles": [{"role": "commander", "area": target.area}]}


# How each operation is asked about a target, by whom. What reads: its query.
READING: dict[str, str] = {
    "GET /api/me": "",
    "GET /api/locate": "?lon={place[0]}&lat={place[1]}",
    "GET /api/areas": "?within={area}",
    "GET /api/areas/{code}": "",
    "GET /api/areas/{code}/lineage": "",
    "GET /api/editions": "",
    "GET /api/search": "?q={grid}",
    "GET /api/events": "?area={area}",
    "GET /api/retention": "",
    "GET /api/categories": "",
    "GET /api/events/counts": "?grid={grid}",
    "GET /api/events/{event}": "",
    "GET /api/events/{event}/history": "",
    "GET /api/events/{event}/attachments": "",
    "GET /api/events/{event}/attachments/{number}": "",
    "GET /api/heat": f"?area={{area}}&{PERIOD}",
    "GET /api/heat/map": f"?area={{area}}&{PERIOD}",
    "GET /api/heat/map.png": f"?area={{area}}&{PERIOD}&width=200&height=200",
    "GET /api/indicators": f"?area={{area}}&{PERIOD}",
    "GET /api/tiles/{layer}/{z}/{x}/{y}.mvt": "",
    "GET /api/workers": "?area={grid}",
    "GET /api/units": "?area={grid}",
    "GET /api/assignments": "?area={grid}",
    "GET /api/users": "?q={account}",
    "GET /api/users/{name}": "",
    "GET /api/users/{name}/tokens": "",
    "GET /api/audit": "?area={area}&action=nothing",
    "GET /api/plans": "?scope={area}",
    "GET /api/plans/{plan}": "",
    "GET /api/plans/{plan}/check": "",
    "GET /api/plans/{plan}/metrics": "",
    "GET /api/plans/{plan}/impact": "",
    "GET /api/plans/{plan}/export": "?format=page",
    "GET /api/plans/{plan}/comments": "",
    "GET /healthz": "",
    "GET /readyz": "",
    "GET /metrics": "",
    "GET /api/stream": "?area={area}",
}
NAMED = {
    "POST /api/events/{event}/attachments": "?name=a.pdf",
    "DELETE /api/events/{event}/attachments/{number}": "?reason=asked+for",
}
# What writes: its body.
WRITING: dict[str, Callable[[str, Target], dict[str, Any]]] = {
    "POST /api/token": lambda _, target: _form(target),
    "POST /api/me/password": lambda *_: {"json": {"old": "not the old one", "new": PASSWORD}},
    "POST /api/events": lambda who, target: {"json": event_at(who, target)},
    "POST /api/events/batch": lambda who, target: {"body": orjson.dumps(event_at(who, target))},
    "POST /api/events/reassign": lambda _, target: {"json": {"area": target.area, "dry_run": False}},
    "POST /api/categories": lambda *_: {"json": {"category": "other", "closed_to": [], "reason": "x"}},
    "POST /api/retention": lambda *_: {"json": {"category": "other", "days": 9, "reason": "x"}},
    "POST /api/events/{event}/erase": lambda *_: {"json": {"reason": "asked for"}},
    "POST /api/events/{event}/attachments": lambda *_: _file(),
    "DELETE /api/events/{event}/attachments/{number}": lambda *_: {},
    "POST /api/users": lambda _, target: {"json": _account(target)},
    "POST /api/users/{name}/actions": lambda *_: {"json": {"action": "revoke"}},
    "POST /api/users/{name}/tokens": lambda *_: {"json": {"label": "a machine"}},
    "POST /api/plans": lambda _, target: {"json": {"name": "x", "scope": target.area}},
    "POST /api/plans/{plan}/edits": lambda _, target: {
        "json": {"revision": 0, "op": "rename", "grid": target.grid, "name": f"n{next(_numbers)}"}
    },
    **{
        f"POST /api/plans/{{plan}}/{step}": lambda *_: {"json": {"revision": 0}}
        for step in ("undo", "redo", "submit", "withdraw", "approve", "rebase", "publish")
    },
    "POST /api/plans/{plan}/reject": lambda *_: {"json": {"revision": 0, "reason": "x"}},
    "POST /api/plans/{plan}/revert": lambda *_: {"json": {"revision": 0, "reason": "x"}},
    "POST /api/plans/{plan}/comments": lambda *_: {"json": {"text": "x"}},
}
# The state in which a step on a plan is possible; else `draft`.
STATES = {
    "POST /api/plans/{plan}/approve": "submitted",
    "POST /api/plans/{plan}/reject": "submitted",
    "POST /api/plans/{plan}/rebase": "submitted",
    "POST /api/plans/{plan}/publish": "approved",
    "GET /api/plans/{plan}/comments": "approved",
    "POST /api/plans/{plan}/comments": "approved",
}
OPERATIONS = [*READING, *WRITING]
LAYERS = ("grids", "areas", "buildings", "streets", "events", "heat")


@dataclass(frozen=True)
class World:
    """The county with something to see in both towns, and an account for each role in the western one."""

    app: App
    own: Target
    other: Target
    absent: Target
    posted: int  # what the source itself posted in the west

    def prepare(self, operation: str) -> None:
        """Puts both plans back to where the operation is possible."""
        if "{plan}" not in operation:
            return
        plans = {"plans": [self.own.plan, self.other.plan]}
        with self.app.database.writer() as session:
            session.execute(
                sa.text(
                    "UPDATE plan SET state = :state, head = 1, submitted_by = 'planner', edition = NULL,"
                    " base = (SELECT max(id) FROM edition) WHERE id = ANY(:plans)"
                ),
                {"state": STATES.get(operation, "draft"), **plans},
            )
            # a name that no edition has: whoever published took the last one
            session.execute(
                sa.text("UPDATE plan_area SET name = :name WHERE plan = ANY(:plans) AND edit = 1"),
                {"name": f"n{next(_numbers)}", **plans},
            )
            session.execute(
                sa.text("DELETE FROM plan_step WHERE plan = ANY(:plans) AND actor <> 'planner'"), plans
            )

    def _revision(self, plan: int) -> int:
        with self.app.database.reader() as session:
            found = session.execute(sa.text("SELECT revision FROM plan WHERE id = :plan"), {"plan": plan})
            return found.scalar_one_or_none() or 1

    def ask(self, who: str | None, operation: str, target: Target, layer: str = "grids") -> Answer:
        """Asks an operation about a target."""
        method, path = operation.split(" ")
        given = WRITING[operation](who or "", target) if operation in WRITING else {}
        if "revision" in given.get("json", {}):
            given["json"]["revision"] = self._revision(target.plan)
        query = {**READING, **NAMED}.get(operation, "").format(**vars(target))
        for name, value in (
            ("{code}", target.area),
            ("{event}", str(target.event)),
            ("{plan}", str(target.plan)),
            ("{name}", target.account),
            ("{number}", "1"),
            ("{layer}", layer),
            ("{z}/{x}/{y}", target.tile),
        ):
            path = path.replace(name, value)
        return ask(self.app.client, method, path + query, token=who and token(self.app, who), **given)


def token(app: App, who: str) -> str:
    """A bearer token; made once, since nothing here ends one of those who ask."""
    if (app.url, who) not in _tokens:
        _tokens[app.url, who] = app.token(who)
    return _tokens[app.url, who]


_tokens: dict[tuple[str, str], str] = {}


def tile_at(place: tuple[float, float], zoom: int = 18) -> str:
    size = 1 << zoom  # at 18 some 150 m
    lat = math.radians(place[1])
    row = (1 - math.asinh(math.tan(lat)) / math.pi) / 2 * size
    return f"{zoom}/{int((place[0] + 180) / 360 * size)}/{int(row)}"


def post(app: App, name: str, body: dict[str, Any]) -> int:
    """An event's number."""
    answer = ask(app.client, "POST", "/api/events", token=token(app, name), json=body)
    assert answer.status == 201, answer.body
    return int(answer.json()["id"])


def made(app: App) -> World:
    """The county with something to see in both towns, and an account for each role in the western one."""
    with app.database.writer() as session:
        worker = session.execute(
            sa.text("SELECT id FROM worker WHERE code = 'w990126001001001'")
        ).scalar_one()
        for role in ROLES:
            linked = {"worker": worker} if role == "worker" else {}
            accounts.add_account(session, f"as_{role}", [(role, OWN)], **linked)
        accounts.add_account(session, "own_machine", [("source", OWN)])
        accounts.add_account(session, "far_machine", [("source", OTHER)])
        session.execute(
            sa.text(
                "INSERT INTO street (code, name, class, geom) VALUES ('s1', '西街', 'main',"
                " ST_GeomFromText('MULTILINESTRING((112.0001 30.001, 112.0039 30.001))', 4326)), ('s2', '东街', 'main',"
                " ST_GeomFromText('MULTILINESTRING((112.0101 30.001, 112.0139 30.001))', 4326))"
            )
        )
    app.service.memory.refresh()
    own = Target(
        "990126001001001", "99012600100100101", 0, "own_machine", middle(0, 0), tile_at(middle(0, 0))
    )
    other = Target(
        "990126002001001", "99012600200100101", 0, "far_machine", middle(5, 0), tile_at(middle(5, 0))
    )
    absent = Target("990126009009009", "99012600900900909", 10**9, "no_machines", (0.5, 0.5), "18/0/0")
    numbers = [
        post(app, "dispatcher", event_at("", target, lon=target.place[0], lat=target.place[1]))
        for target in (own, other)
    ]
    mine = post(app, "as_source", event_at("as_source", own))
    for number in numbers:
        path = f"/api/events/{number}/attachments?name=a.pdf"
        answer = ask(app.client, "POST", path, token=token(app, "dispatcher"), **_file())
        assert answer.status == 201, answer.body
    drawn = [plan_at(app, target) for target in (own, other)]
    return World(
        app,
        replace(own, event=numbers[0], plan=drawn[0]),
        replace(other, event=numbers[1], plan=drawn[1]),
        absent,
        posted=mine,
    )


def plan_at(app: App, target: Target) -> int:
    """A plan's number."""
    bearer = token(app, "planner")
    plan = ask(
        app.client, "POST", "/api/plans", token=bearer, json={"name": "x", "scope": target.area}
    ).json()
    edit = {"op": "rename", "grid": target.grid}
    for step, body in (("edits", {**edit, "name": "a"}), ("edits", {**edit, "name": "b"}), ("undo", {})):
        path = f"/api/plans/{plan['id']}/{step}"
        answer = ask(app.client, "POST", path, token=bearer, json={"revision": plan["revision"], **body})
        assert answer.status == 200, answer.body
        plan = answer.json()
    return int(plan["id"])


def as_said(answer: Answer, target: Target) -> tuple[int, dict[str, str], bytes]:
    """An answer without its number, and without what it repeats of the question."""
    body = re.sub(rb'"instance":"\w*"', b'"instance":""', answer.body)
    body = re.sub(rb"[0-9a-f]{32}", b"", body)  # folium names what it draws by chance
    body = re.sub(rb'"head":"\d+:', b'"head":"', body)  # the audit's newest block is everybody's
    for word in (target.grid, target.area, target.account):
        body = body.replace(word.encode(), b"?")
    body = body.replace(f"No event {target.event} ".encode(), b"No event ? ")
    body = body.replace(f"No plan {target.plan} ".encode(), b"No plan ? ")
    # The length follows from the body, which is compared as such.
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "content-length"}
    }
    return answer.status, headers, body
