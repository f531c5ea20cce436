"""Redraws of the small county, published, and what the database says of them."""

import pytest

from gridmap.errors import InvalidInput
from gridmap.publishing import Change, publish


def change(county, code, geom=None, **more):
    """A change of one of the county's areas: what is not said stays."""
    draft = next((each for each in county.drafts() if each.code == code), None)
    kept = {name: getattr(draft, name) for name in ("kind", "name", "setting", "parent")} if draft else {}
    return Change(
        code=code, **{**kept, "geom": geom if geom is not None or draft is None else draft.geom, **more}
    )


def gone(code, cause="merge"):
    return Change(code=code, geom=None, cause=cause)


def published(desk, *changes, base=1, **more):
    with desk.database.writer() as session:
        made = publish(session, base, changes, actor="发布人", settings=desk.settings, **more)
    desk.memory.refresh()
    return made


def refused(desk, *changes, base=1, error=InvalidInput, **more):
    before = desk.one("SELECT (SELECT count(*) FROM edition), (SELECT count(*) FROM area)")
    with pytest.raises(error) as caught:
        published(desk, *changes, base=base, **more)
    assert desk.one("SELECT (SELECT count(*) FROM edition), (SELECT count(*) FROM area)") == before
    return caught.value


def split(county):
    """Square (0, 0) cut in two: the eastern half is another micro-grid."""
    code = county.micro(0, 0)
    return [
        change(county, code, county.box(0, 0, 0.5, 1)),
        change(
            county,
            "new1",
            county.box(0.5, 0, 0.5, 1),
            kind="micro",
            name="新网格",
            parent=county.comprehensive(0, 0),
            cause="split",
        ),
    ]


def merge(county):
    """Square (1, 0) is taken into (0, 0)."""
    return [change(county, county.micro(0, 0), county.box(0, 0, 2, 1)), gone(county.micro(1, 0))]


def lineage(desk, edition):
    rows = desk.rows("SELECT old_code, new_code, change FROM lineage WHERE edition = :e", e=edition)
    return {tuple(row) for row in rows}


def serve(desk, area):
    return sorted(
        row[0]
        for row in desk.rows(
            "SELECT w.code FROM service_area s JOIN worker w ON w.id = s.worker WHERE area = :a"
            " AND valid_from <= clock_timestamp() AND (valid_to IS NULL OR valid_to > clock_timestamp())",
            a=area,
        )
    )


def give_worker(desk, county, area, code):
    with desk.database.writer() as session:
        worker = county.insert(session, "worker", code=code, name=code, role="worker_full_time", capacity=9)
        county.insert(session, "service_area", worker=worker, area=area)
