"""Two processes' worth of the service on one database while boundaries are published."""

import threading
import time

import sqlalchemy as sa

from gridmap.areas import import_areas

PLACE = {"lon": 112.0015, "lat": 30.001}  # in the first micro-grid, or in the second, as the layout is
PATIENCE_S = 1.0


def publish(app, layout):
    with app.database.writer() as session:
        return import_areas(session, layout, actor="test", settings=app.settings).edition


def test_a_publication_is_served_by_every_process_within_a_second(own_app, another, layouts):
    for number in range(3):
        edition = publish(own_app, layouts[(number + 1) % 2])
        until = time.monotonic() + PATIENCE_S
        for app in (own_app, another):
            caller = app.as_("dispatcher")
            while True:
                answer = caller.get("/api/locate", params=PLACE).json()
                if answer["edition"] == edition:
                    break
                assert time.monotonic() < until, (app is another, answer["edition"], edition)
                time.sleep(0.01)
            assert answer["grid"]["code"] == f"9901260010010010{2 - number % 2}"


def test_a_list_in_pages_is_of_one_edition(own_app, layouts):
    def pages(path):
        found = []
        while path:
            answer = caller.get(path).json()
            found += [(each["properties"]["code"], str(each["geometry"])) for each in answer["features"]]
            path = answer["next"]
            yield found

    caller = own_app.as_("dispatcher")
    whole = next(pages("/api/areas"))
    paged = pages("/api/areas?limit=1")
    next(paged)
    publish(own_app, layouts[1])
    own_app.service.memory.refresh_boundaries()
    assert [*paged][-1] == whole
    assert next(pages("/api/areas")) != whole
    # The first edition is in force since ever, and a page after the first is of the moment that was asked for.
    early = [*pages("/api/areas?limit=1&at=0001-01-01")][-1]
    assert early == whole
    both = caller.get("/api/areas?at=0001-01-01&edition=1")
    assert (both.status_code, both.json()["code"]) == (422, "edition_and_at")


def test_posts_to_two_processes_during_publications_lie_where_the_last_edition_says(
    own_app, another, layouts, event
):
    stop, failures, posted = threading.Event(), [], []

    def posting(app, source):
        try:
            caller, number = app.as_("dispatcher"), 0
            while not stop.is_set():
                number += 1
                body = event(source=source, external_id=str(number), **PLACE)
                answer = caller.post("/api/events", json=body)
                assert answer.status_code in {201, 409}, answer.text
                if answer.status_code == 201:
                    posted.append(answer.json()["id"])
                else:  # one publication after the other: told to post again
                    assert answer.json()["code"] == "boundaries_change"
        except BaseException as error:  # noqa: BLE001  # a thread's failure is the test's
            failures.append(error)

    threads = [
        threading.Thread(target=posting, args=(app, f"{name}{n}"))
        for name, app in (("a", own_app), ("b", another))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for number in range(7):
        last = publish(own_app, layouts[(number + 1) % 2])
        time.sleep(0.15)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(posted) > 10  # a slow machine posts few between publications
    with own_app.database.reader() as session:
        rows = session.execute(sa.text("SELECT id, owner_now, edition FROM event ORDER BY id")).all()
    assert sorted(posted) == [row.id for row in rows]
    assert {row.owner_now for row in rows} == {"99012600100100102"}
    assert max(row.edition for row in rows) == last
