"""Storing streets: known by their code, without one by their shape."""

import numpy as np
import shapely
import sqlalchemy as sa

from gridmap.streets import StreetDrafts, StreetLoad


def line(*points):
    return shapely.MultiLineString([points])


def load(writer, *streets):
    shapes = np.empty(len(streets), dtype=object)
    shapes[:] = [shape for _, _, shape in streets]
    job = StreetLoad(writer)
    job.add(
        StreetDrafts(
            row=np.arange(1, len(streets) + 1),
            code=[code for code, _, _ in streets],
            name=[name for _, name, _ in streets],
            class_=["street"] * len(streets),
            geom=shapes,
        )
    )
    twice = job.duplicates()
    stored = job.store()
    return (stored.created, stored.changed, stored.unchanged), [each.row for each in twice]


ONE, TWO = line((112, 30), (112, 31)), line((112, 30), (113, 30))


def test_streets_are_stored_once_and_changed_in_place(writer):
    assert load(writer, ("s1", "人民路", ONE), (None, "", TWO)) == ((2, 0, 0), [])
    assert load(writer, ("s1", "人民路", ONE), (None, "", TWO)) == ((0, 0, 2), [])
    assert load(writer, ("s1", "人民大道", ONE), (None, "南街", TWO)) == ((0, 2, 0), [])
    assert load(writer, ("s1", "人民大道", TWO)) == ((0, 1, 0), [])
    rows = writer.execute(sa.text("SELECT code, name, ST_AsBinary(geom) FROM street ORDER BY code")).all()
    assert [tuple(row) for row in rows] == [("s1", "人民大道", TWO.wkb), (None, "南街", TWO.wkb)]


def test_codes_that_stand_twice_are_taken_out(writer):
    assert load(writer, ("s1", "a", ONE), ("s1", "b", TWO), (None, "", ONE), (None, "", TWO)) == (
        (3, 0, 0),
        [2],
    )
