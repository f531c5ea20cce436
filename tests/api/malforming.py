"""Malformed requests at the running application: queries, paths, bodies and batches that nobody should send."""

import base64
import random
import re
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from tests.api.asking import Answer, ask
from tests.api.conftest import App
from tests.api.permitting import token
from tests.bench import malformed, pictured
from tests.bench.fuzzing import EVENT, Tally

GOOD_PATHS = {
    "code": "990126001",
    "event": "1",
    "number": "1",
    "name": "west",
    "plan": "1",
    "layer": "events",
    "z": "14",
    "x": "13287",
    "y": "6767",
}
GOOD = {
    "lon": "112.001", "lat": "30.001", "bbox": "112,30,112.02,30.01", "near": "112.001,30.001", "crs": "gcj02",
    "from": "2026-08-01", "to": "2026-09-01", "at": "2026-08-24T13:51:00Z", "area": "990126001", "by": "hex",
    "kind": "micro", "within": "990126", "edition": "1", "q": "第", "sort": "near", "limit": "5", "category": "dispute",
    "grid": "990126001001001", "width": "200", "height": "200", "measure": "hotspot", "action": "account.",
    "format": "xlsx",
}  # fmt: skip
EVERYBODY = {"admin": 5, "dispatcher": 5, "as_worker": 1, "as_planner": 1, "as_source": 1, "as_commander": 1}
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/events": EVENT,
    "POST /api/events/reassign": {"from": "2026-08-01", "to": None, "area": "990126001", "closed": True},
    "POST /api/events/{event}/erase": {"reason": "asked for"},
    "POST /api/categories": {"category": "other", "closed_to": [], "reason": "open to all"},
    "POST /api/retention": {"category": "other", "days": 400, "reason": "a year and a bit"},
    "POST /api/users": {"name": "x1", "display_name": "某人", "roles": [{"role": "commander", "area": "990126001"}]},
    "POST /api/users/{name}/actions": {"action": "role_add", "role": "worker", "area": "990126001", "reason": "x"},
    "POST /api/users/{name}/tokens": {"label": "a machine"},
    "POST /api/plans": {"name": "调整", "scope": "990126001"},
    "POST /api/plans/{plan}/edits": {
        "revision": 1, "op": "split", "grid": "99012600100100101", "keep": "none",
        "line": {"type": "LineString", "coordinates": [[112.001, 29.9], [112.001, 30.1]]},
    },
    "POST /api/plans/{plan}/reject": {"revision": 1, "reason": "x"},
    "POST /api/plans/{plan}/publish": {"revision": 1, "effective_from": "2099-01-01"},
    "POST /api/plans/{plan}/comments": {"text": "x"},
    "POST /api/me/password": {"old": "a long enough password", "new": "x"},
}  # fmt: skip
COUNTED = (
    "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM event_key), (SELECT count(*) FROM event_text),"
    " (SELECT count(*) FROM event_attachment)"
)
RAW = (
    b"\xff",
    b"%ff%fe",
    b"%ED%A0%80",
    b"%00",
    b"%",
    b"%zz",
    b"+",
    b"%2B",
    b"&",
    b"=",
    b";",
    b"a[]=1",
    b"\x80=\x80",
)


class Malforming:
    """Sends what a seed makes up and judges the answers.

    Args:
        app: where the county of `permitting.made` lives.
        rng: decides all.
        tally: takes the verdicts.
    """

    def __init__(self, app: App, rng: random.Random, tally: Tally) -> None:
        self._app, self._rng, self._tally = app, rng, tally
        self._paths = ask(app.client, "GET", "/api/openapi.json").json()["paths"]
        self._reading = [path for path, methods in self._paths.items() if "get" in methods]

    def queries(self, number: int) -> None:
        """Reads with parameters that are none."""
        for _ in range(number):
            path = self._rng.choice(self._reading)
            names = [
                each["name"]
                for each in self._paths[path]["get"].get("parameters", ())
                if each["in"] == "query"
            ]
            given = {name: GOOD[name] for name in names if name in GOOD and self._rng.random() < 0.5}
            if path == "/api/locate":
                given |= {"lon": GOOD["lon"], "lat": GOOD["lat"]}
            for name in self._rng.sample(names, min(len(names), self._rng.choice((0, 1, 1, 2)))):
                given[name] = self._value(GOOD.get(name, "x"))
            query = "&".join(
                f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in given.items()
            )
            raw = query.encode() + (b"&" + self._rng.choice(RAW) if self._rng.random() < 0.1 else b"")
            self._send("GET", path, self._filled(path, 0.3) + (b"?" + raw if raw else b""), "queries")

    def bodies(self, number: int) -> None:
        """Writes with bodies that are none."""
        for _ in range(number):
            operation = self._rng.choice([*BODIES, "POST /api/events", "POST /api/events"])
            method, path = operation.split(" ")
            content = malformed.json_value(self._rng, BODIES[operation])
            kind = self._rng.choice(
                ("application/json",) * 6 + ("text/plain", "application/x-ndjson", "\xff")
            )
            self._send(method, path, self._filled(path, 0.1), "bodies", content, {"content-type": kind})

    def batches(self, number: int) -> None:
        """Batches whose lines are none; what is wrong with one line keeps no other back."""
        for _ in range(number):
            lines = [
                malformed.json_value(self._rng, EVENT).replace(b"\n", b" ")
                for _ in range(self._rng.randrange(5))
            ]
            ending = self._rng.choice((b"\n", b"\r\n", b"\n\n", b"\x00\n"))
            self._send("POST", "/api/events/batch", b"/api/events/batch", "NDJSON", ending.join(lines))

    def attachments(self, number: int) -> None:
        """Files that are none, under names that are none; and orders to erase what is not there."""
        good = [*map(pictured.picture, ("jpeg", "png", "webp")), pictured.PDF]
        path = "/api/events/{event}/attachments"
        for _ in range(number):
            content = malformed.spoilt(self._rng, self._rng.choice(good)) or b"x"
            name = quote(self._value("a.jpg").encode("utf-8", "replace"))
            target = self._filled(path, 0.1) + b"?name=" + name.encode()
            self._send("POST", path, target, "attachments", content, {"content-type": "image/jpeg"})
            one = f"{path}/{{number}}"
            self._send("DELETE", one, self._filled(one, 0.5) + b"?reason=" + name.encode(), "attachments")

    def tokens(self, number: int) -> None:
        """Credentials that are none: 401, whatever stands in them."""
        good = token(self._app, "dispatcher")
        for _ in range(number):
            bad = malformed.text(self._rng, (good,)).encode("utf-8", "replace")[:20_000]
            header = self._rng.choice(
                (
                    {"authorization": b"Bearer " + bad},
                    {"authorization": bad},
                    {"cookie": b"gridmap_session=" + bad},
                )
            )
            answer = ask(self._app.client, "GET", "/api/me", headers=header)
            # Base64 passes over other characters and over the last bits: the same token, written otherwise.
            same = answer.status == 200 and _decoded(bad) == _decoded(good.encode())
            verdict = ("read", "") if same else ("finding", f"credentials: {answer.status}")
            verdict = ("refused", "") if answer.status == 401 else verdict
            self._tally.add("credentials", verdict, header)

    def _value(self, good: str) -> str:
        return malformed.text(self._rng, (good,))[:3000]

    def _filled(self, path: str, share: float) -> bytes:
        def fill(match: re.Match[str]) -> str:
            text = GOOD_PATHS[match[1]]
            return (
                quote(self._value(text).encode("utf-8", "replace"), safe="")
                if self._rng.random() < share
                else text
            )

        return re.sub(r"\{(\w+)\}", fill, path).encode()

    def _send(
        self,
        method: str,
        path: str,
        target: bytes,
        parser: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> None:
        who = self._rng.choices(list(EVERYBODY), list(EVERYBODY.values()))[0]
        before = self._counts() if body else []
        answer = ask(self._app.client, method, target, token=self._app.token(who), body=body, headers=headers)
        verdict = self._judged(self._paths[path][method.lower()], answer)
        if body and verdict[0] == "refused" and self._counts() != before:
            verdict = ("finding", f"{answer.status}, and rows changed")
        self._tally.add(parser, verdict, (method, target, body[:200], answer.body[:200]))

    def _judged(self, operation: dict[str, Any], answer: Answer) -> tuple[str, str]:
        if answer.status >= 500 or str(answer.status) not in {*operation["responses"], "404", "405"}:
            return "finding", f"{answer.status}"
        if answer.status < 400:
            return "read", ""
        said = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
        if not said.get("code") or not said.get("detail"):
            return "finding", f"{answer.status} without a word"
        return "refused", said["code"]

    def _counts(self) -> list[int]:
        with self._app.database.reader() as session:
            return list(session.execute(sa.text(COUNTED)).one())


def _decoded(written: bytes) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + b"==") for part in written.strip().split(b".")]
