"""What is recorded of reading and doing, who may read it, and the commands that verify and export it."""

import hashlib
import json
import time

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli import main
from gridmap.access import Scope
from gridmap.audit import Wanted, page


@pytest.fixture
def gridmap(own_app):
    environment = {
        "GRIDMAP_HOME": str(own_app.settings.home),
        "GRIDMAP_DATABASE_URL": own_app.url,
        "GRIDMAP_SECRET_KEY": own_app.settings.secret_key,
    }

    def run(*arguments, code=0):
        result = CliRunner(env=environment).invoke(main, [str(each) for each in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def records(own_app):
    """Waits for records of an action: what is read is recorded a moment later."""

    def find(action, count=1):
        until = time.monotonic() + 5
        while True:
            with own_app.database.reader() as session:
                found = page(session, Scope(None), Wanted(action=action))
            if len(found) >= count or time.monotonic() > until:
                assert len(found) == count
                return found
            time.sleep(0.05)

    return find


def test_reading_text_is_recorded_and_reading_without_is_not(own_app, event, records):
    dispatcher = own_app.as_("dispatcher")
    numbers = [
        dispatcher.post("/api/events", json=event(column=at, external_id=str(at))).json()["id"]
        for at in (0, 5)
    ]
    own_app.as_("commander").get("/api/events")
    own_app.as_("commander").get(f"/api/events/{numbers[0]}")
    own_app.as_("west").get(f"/api/events/{numbers[1]}")  # not in their areas
    dispatcher.get(f"/api/events/{numbers[0]}")
    dispatcher.get("/api/events?grid=nowhere")
    dispatcher.get("/api/events")
    dispatcher.get("/api/events?category=hazard")  # nothing is found
    many, one = records("event.read", 2)
    assert (one["actor"], one["object"], one["events"]) == ("dispatcher", f"event:{numbers[0]}", [numbers[0]])
    assert (many["object"], sorted(many["events"])) == ("events", sorted(numbers))
    assert many["edition"] == 1
    text = json.dumps([dict(row) for row in (many, one)], default=str)
    assert event()["title"] not in text


def test_administrators_read_records_of_their_areas(own_app, event, records):
    with own_app.database.writer() as session:
        from gridmap import accounts

        accounts.add_account(session, "chief", [("admin", "990126001")])
    west, east = own_app.as_("west"), own_app.as_("east")
    first = west.post("/api/events", json=event(external_id="w")).json()["id"]
    second = east.post("/api/events", json=event(column=5, external_id="e")).json()["id"]
    west.get(f"/api/events/{first}")
    east.get(f"/api/events/{second}")
    records("event.read", 2)

    def objects(name, **asked):
        answer = own_app.as_(name).get("/api/audit", params=asked)
        assert answer.status_code == 200, answer.text
        return [each["object"] for each in answer.json()["records"]]

    assert objects("chief", action="event.read") == [f"event:{first}"]
    assert objects("admin", action="event.read") == [f"event:{second}", f"event:{first}"]
    assert objects("chief", object=f"event:{second}") == []
    assert objects("admin", object=f"event:{second}", actor="east") == [f"event:{second}"]
    assert objects("admin", action="event.read", area="990126002") == [f"event:{second}"]
    assert objects("admin", action="event.read", to="2020-01-01") == []
    assert "edition:1" in objects("admin", action="edition.")
    assert "edition:1" not in objects("chief")
    for name in ("dispatcher", "commander", "planner", "hotline"):
        assert own_app.as_(name).get("/api/audit").status_code == 403
    read = records("audit.read", 8)
    assert {row["actor"] for row in read} == {"admin", "chief"}


def test_records_come_in_pages(own_app):
    admin = own_app.as_("admin")
    whole = [each["id"] for each in admin.get("/api/audit?action=account.&limit=100").json()["records"]]
    assert len(whole) == 9
    found, path = [], "/api/audit?action=account.&limit=4"
    while path:
        answer = admin.get(path).json()
        found += [each["id"] for each in answer["records"]]
        path = answer["next"]
    assert found == whole
    for bad in ("cursor=x", "from=yesterday", "area=a'b", "limit=0"):
        assert admin.get(f"/api/audit?{bad}").status_code == 422, bad


def test_publications_loads_dumps_and_reassignments_are_recorded(own_app, gridmap, records, tmp_path, event):
    own_app.as_("dispatcher").post("/api/events", json=event())
    (published,) = records("edition.publish")
    assert (published["object"], published["edition"]) == ("edition:1", 1)
    path = tmp_path / "events.csv"
    path.write_text("source,external_id,category,occurred_at,lon,lat,title\n"
                    "a,1,hazard,2026-03-01,112.001,30.001,secret words\n", encoding="utf-8")  # fmt: skip
    gridmap("load", "events", path)  # a trial
    gridmap("load", "events", path, "--commit")
    (loaded,) = records("load.events")
    assert (loaded["actor"], loaded["object"], loaded["detail"]["created"]) == ("operator", "events.csv", 1)
    gridmap("dump", "events", tmp_path / "out.csv")
    assert records("dump.events")[0]["detail"]["file"] == "out.csv"
    gridmap("reassign")
    gridmap("reassign", "--commit", "--area", "990126001")
    own_app.as_("west").post("/api/events/reassign", json={"dry_run": True})
    own_app.as_("west").post("/api/events/reassign", json={"dry_run": False})
    by_api, by_command = records("event.reassign", 2)
    assert (by_api["actor"], by_command["actor"], by_command["area"]) == ("west", "operator", "990126001")


def test_verify_says_that_the_chain_fits_and_what_does_not(own_app, gridmap, cluster):
    gridmap("audit", "seal")
    said = gridmap("audit", "verify").stdout
    assert "The chain fits" in said
    noted = said.splitlines()[-1].rpartition(" ")[2]
    assert own_app.as_("admin").get("/api/audit").json()["head"].split(":")[0] >= noted.split(":")[0]
    gridmap("audit", "verify", "--anchor", noted)
    number, _, digest = noted.partition(":")
    assert "rewritten" in gridmap("audit", "verify", "--anchor", f"{number}:{'0' * 64}", code=1).stderr
    assert "ends with" in gridmap("audit", "verify", "--anchor", f"99:{digest}", code=1).stderr
    assert "NUMBER:HASH" in gridmap("audit", "verify", "--anchor", "x", code=1).stderr
    name = sa.make_url(own_app.url).database
    with psycopg.connect(cluster.admin_url(str(name)), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE audit SET actor = 'somebody' WHERE id = 3")
    result = gridmap("audit", "verify", code=1)
    assert "block 1, audit row 3: is not what was sealed" in result.stderr


def test_an_export_asks_for_a_reason_carries_a_mark_and_is_recorded(own_app, gridmap, records, tmp_path):
    file = tmp_path / "audit.ndjson"
    gridmap("audit", "export", file, code=2)
    gridmap("audit", "export", file, "--reason", " ", code=1)
    assert not file.exists()
    gridmap("audit", "seal")
    gridmap("audit", "export", file, "--reason", "yearly review", "--action", "account.")
    (exported,) = records("audit.export")
    assert exported["reason"] == "yearly review"
    mark, *rows, end = [json.loads(line) for line in file.read_text().splitlines()]
    assert (mark["reason"], mark["filters"]) == ("yearly review", {"action": "account."})
    assert mark["head"] in gridmap("audit", "verify").stdout
    assert {row["action"] for row in rows} == {"account.add"}
    assert end["records"] == len(rows) == 9
    whole = b"".join(file.read_bytes().splitlines(keepends=True)[:-1])
    assert end["sha256"] == hashlib.sha256(whole).hexdigest()
    gridmap("audit", "export", file, "--reason", "again", code=1)  # never over another
