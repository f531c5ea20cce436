"""Attachments over HTTP: who adds and who reads, what comes back, what it costs and what is recorded."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from PIL import Image

from gridmap import accounts
from tests.api.conftest import serve
from tests.bench.pictured import PDF, SECRET, picture

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def people(module_app):
    """The worker of the grid in whose hands an event there is, another one of the same town, two sources, an admin."""
    with module_app.database.writer() as session:
        ids = dict(session.execute(sa.text("SELECT code, id FROM worker")).all())
        for name, code in (("handler", "w990126001001001"), ("colleague", "w990126001001002")):
            accounts.add_account(session, name, [("worker", "990126001")], worker=ids[code])
        accounts.add_account(session, "12345", [("source", "*")])
        accounts.add_account(session, "another_line", [("source", "*")])
        accounts.add_account(session, "chief", [("admin", "990126001")])
    return module_app


@pytest.fixture
def posted(app, people, event):
    """An event of the source 12345 in the hands of `handler`."""
    answer = app.as_("12345").post("/api/events", json=event(contact="13800000000"))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def send(app, who, number, content=PDF, name="笔录.pdf", **headers):
    path = f"/api/events/{number}/attachments"
    return app.as_(who).post(path, params={"name": name}, content=content, headers=headers)


def path(number, attachment=1):
    return f"/api/events/{number}/attachments/{attachment}"


def test_a_photograph_is_added_listed_read_and_erased(app, posted):
    sent = picture("jpeg", 6)
    answer = send(app, "handler", posted, sent, "现场.jpg", **{"content-type": "text/html"})
    assert answer.status_code == 201
    added = answer.json()
    assert (added["id"], added["name"], added["type"], added["added_by"]) == (
        1,
        "现场.jpg",
        "image/jpeg",
        "handler",
    )
    assert added["sha256"] != added["sent_sha256"]
    again = send(app, "dispatcher", posted, sent, "other.jpg")
    assert (again.status_code, again.json()) == (200, added)
    assert app.as_("dispatcher").get(path(posted, "")[:-1]).json() == {"attachments": [added]}
    taken = app.as_("handler").get(path(posted))
    assert taken.status_code == 200
    assert taken.headers["content-type"] == "image/jpeg"
    assert taken.headers["content-disposition"] == (
        f"attachment; filename=\"{posted}-1.jpg\"; filename*=UTF-8''%E7%8E%B0%E5%9C%BA.jpg"
    )
    assert taken.headers["x-content-type-options"] == "nosniff"
    assert taken.headers["cache-control"] == "private, no-store"
    assert taken.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert len(taken.content) == added["bytes"]
    assert SECRET.encode() not in taken.content
    with Image.open(io.BytesIO(taken.content)) as shown:
        assert shown.size == (40, 60)
        assert not shown.getexif()
    history = app.as_("commander").get(f"/api/events/{posted}/history").json()["history"]
    assert [(step["action"], step["digest"]) for step in history][-1] == ("attach", added["sha256"])
    assert app.as_("dispatcher").client.delete(
        path(posted), params={"reason": "x"}, headers=app.as_("dispatcher").headers
    ).status_code == 403  # fmt: skip
    chief = app.as_("chief")
    assert app.client.delete(path(posted), headers=chief.headers).status_code == 422
    for erased in (True, False):
        order = app.client.delete(path(posted), params={"reason": "§47"}, headers=chief.headers)
        assert (order.status_code, order.json()) == (200, {"erased": erased})
    gone = app.as_("handler").get(path(posted))
    assert (gone.status_code, gone.json()["code"]) == (404, "attachment_erased")
    (left,) = app.as_("handler").get(path(posted, "")[:-1]).json()["attachments"]
    assert left == {**added, "name": None, "erased_at": left["erased_at"]}
    assert left["erased_at"] is not None
    assert send(app, "handler", posted, sent).json() == left


def test_an_order_to_erase_the_event_takes_its_attachments_along(app, posted):
    assert send(app, "dispatcher", posted).status_code == 201
    assert app.as_("chief").post(f"/api/events/{posted}/erase", json={"reason": "§47"}).json() == {
        "erased": True
    }
    assert app.as_("handler").get(path(posted)).json()["code"] == "attachment_erased"


def test_who_acts_on_it_or_posted_it_adds_and_nobody_else(app, posted, event):
    for number, (who, status, code) in enumerate(
        [
            ("dispatcher", 201, None),
            ("handler", 201, None),
            ("12345", 201, None),
            ("chief", 201, None),
            ("colleague", 403, "not_yours"),
            ("another_line", 404, "unknown_event"),
            ("east", 404, "unknown_event"),
            ("commander", 403, "role_forbids"),
            ("planner", 403, "role_forbids"),
        ]
    ):
        answer = send(app, who, posted, PDF + b"%d" % number)
        assert answer.status_code == status, (who, answer.text)
        assert code is None or answer.json()["code"] == code
    assert app.client.post(path(posted, "")[:-1] + "?name=a", content=PDF).status_code == 401
    # whoever reported it, although it is in another's hands, and reads it no more than before
    reported = app.as_("colleague").post("/api/events", json=event(source="x", external_id="2")).json()
    assert reported["title"] is None
    assert send(app, "colleague", reported["id"], name="mine.pdf").json()["name"] == "mine.pdf"
    assert app.as_("colleague").get(path(reported["id"])).status_code == 404


def test_who_handles_it_reads_and_nobody_else(app, posted):
    assert send(app, "handler", posted, name="张三.pdf").status_code == 201
    for who, status, code in (
        ("dispatcher", 200, None),
        ("handler", 200, None),
        ("colleague", 404, "unknown_attachment"),
        ("east", 404, "unknown_event"),
        ("commander", 403, "role_forbids"),
        ("admin", 403, "role_forbids"),
        ("12345", 403, "role_forbids"),
    ):
        for asked in (path(posted), path(posted, "")[:-1]):
            answer = app.as_(who).get(asked)
            assert answer.status_code == status, (who, asked)
            assert code is None or answer.json()["code"] == code
    missing, hidden = app.as_("dispatcher").get(path(posted, 2)), app.as_("colleague").get(path(posted, 2))
    assert (missing.status_code, missing.json()["detail"]) == (404, hidden.json()["detail"])
    again = send(
        app, "12345", posted, name="x.pdf"
    )  # it has the bytes; what another called them it does not learn
    assert (again.status_code, again.json()["name"]) == (200, None)


def test_reading_is_recorded_by_name_and_event(app, posted):
    send(app, "handler", posted)
    app.as_("dispatcher").get(path(posted))
    app.as_("dispatcher").get(path(posted, "")[:-1])
    app.as_("colleague").get(path(posted))
    while app.service.scribe._notes:  # they leave the line once they are stored
        time.sleep(0.01)
    with app.database.reader() as session:
        rows = session.execute(
            sa.text(
                "SELECT actor, action, detail, paths <> '{}' FROM audit WHERE object = :o"
                " AND starts_with(action, 'attachment.') ORDER BY id"
            ),
            {"o": f"event:{posted}"},
        ).all()
    assert [tuple(row) for row in rows] == [
        ("dispatcher", "attachment.read", {"attachment": 1}, True),
        ("dispatcher", "attachment.list", {}, True),
    ]


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"<html>", "a.jpg", 422, "unknown_type"),
        (b"", "a.jpg", 422, "unknown_type"),
        (picture("jpeg")[:300], "a.jpg", 422, "picture_broken"),
        (PDF, "../a.pdf", 422, "bad_name"),
        (PDF, "", 422, "invalid_input"),
        (PDF + bytes(10 * 1024 * 1024), "a.pdf", 413, "too_large"),
    ],
)
def test_what_will_not_do_is_refused_and_leaves_nothing(app, posted, content, name, status, code):
    answer = send(app, "handler", posted, content, name)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    with app.database.reader() as session:
        assert session.execute(sa.text("SELECT count(*) FROM event_attachment")).scalar_one() == 0


def test_the_largest_one_goes_in_and_comes_out(app, posted):
    content = PDF[:9] + bytes(10 * 1024 * 1024 - len(PDF)) + PDF[9:]
    assert send(app, "handler", posted, content).status_code == 201
    assert app.as_("handler").get(path(posted)).content == content


def test_the_same_bytes_sent_at_once_are_stored_once(app, posted):
    sent = picture("png")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(app, "dispatcher", posted, sent, "a.png"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert {answer.json()["id"] for answer in answers} == {1}


def test_settings_say_how_large_and_how_many(app, posted):
    settings = replace(app.settings, attachment_bytes=2000, attachments_per_event=1)
    for other in serve(app.url, settings):
        assert send(other, "dispatcher", posted, PDF + bytes(2000)).status_code == 413
        assert send(other, "dispatcher", posted).status_code == 201
        full = send(other, "dispatcher", posted, PDF + b"%")
        assert (full.status_code, full.json()["code"]) == (409, "too_many_attachments")
