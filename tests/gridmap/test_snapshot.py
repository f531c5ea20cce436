"""One edition in memory: its arrays, the tree of its areas, and the paths that hold a place."""

import dataclasses
import itertools

import numpy as np
import psycopg
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from gridmap import db, index_patch
from gridmap import snapshot as snapshots
from gridmap.areas import import_areas
from gridmap.index import GRIDS, KINDS, NESTING, OVERLAYS
from gridmap.index_patch import Patched
from gridmap.publishing import Change, publish
from gridmap.snapshot import ORDER, outermost


@pytest.fixture(scope="module")
def made(shared_desk):
    return shared_desk.memory.snapshot


def test_arrays_are_parallel_and_in_the_order_of_codes(made, county):
    assert len(made) == len(county.drafts()) == 50
    for column in (made.kind, made.name, made.setting, made.parent, made.path, made.geom, made.households):
        assert len(column) == 50
    assert made.code.tolist() == sorted(made.code)
    assert [made.row[code] for code in made.code] == list(range(50))
    assert (made.edition, made.in_force_from) == (1, None)


def test_codes_are_ordered_by_their_bytes(cluster, county, settings):
    """As Python compares them: the smallest code wins a border, whatever the server's collation."""
    name = "ordered_otherwise"
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} OWNER gridmap TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        )
    with psycopg.connect(cluster.admin_url(name), autocommit=True) as connection:
        for extension in ("postgis", "ltree", "pg_trgm", "btree_gist"):
            connection.execute(f"CREATE EXTENSION {extension}")
    url = cluster.status().url.replace("/gridmap?", f"/{name}?")
    db.upgrade(url)
    database = db.Database(url, pool_size=1)
    drafts = [county.area("town", code, county.box(i, 0)) for i, code in enumerate("aB_b1A")]
    with database.writer() as session:
        import_areas(session, drafts, actor="test", settings=settings)
        by_server = session.execute(sa.text("SELECT code FROM area ORDER BY code")).scalars().all()
        made = snapshots.load(session)
    database.close()
    assert by_server != sorted(by_server)  # so that this test can fail
    assert made.code.tolist() == sorted(by_server)


def test_the_tree(made, county):
    micro = made.row[county.micro(5, 2)]
    above = [made.code[row] for row in made.ancestors(micro)]
    grid = county.comprehensive(5, 2)
    assert above == ["990126", "990126002", "990126002002", grid, county.micro(5, 2)]
    assert {made.code[row] for row in made.children(grid)} == {
        county.micro(x, y) for x in (4, 5) for y in (2, 3)
    }
    assert {made.code[row] for row in made.children("990126")} == {
        "990126001", "990126002", "990126P1", "990126P2",
    }  # fmt: skip
    assert len(made.children("nowhere")) == 0
    assert len(made.rows_of("micro")) == 32
    assert len(made.rows_of("court")) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_lift_is_the_area_above_of_a_kind(made, kind):
    lift = made.lift(kind)
    assert lift.dtype == np.int32
    assert len(lift) == len(made)
    for row, lifted in enumerate(lift):
        labels = [label for label in made.path[row].split(".") if made.kind[made.row[label]] == kind]
        assert lifted == (made.row[labels[0]] if labels else -1)
    assert made.lift(kind) is lift


def test_codes_of_rows(made):
    assert made.codes(np.array([0, -1, 3])).tolist() == [made.code[0], None, made.code[3]]


def test_paths_of_places_are_the_outermost_of_each(made, county):
    places = [county.at(0.5, 0.5), county.at(5.5, 2.5), county.at(-5, 0), county.at(4, 2)]
    found = made.paths_of(made.index.locate(*np.array(places).T, 0.0))
    assert found[2] == []
    assert len(found[1]) == 3  # micro-grid, dedicated grid and precinct
    for (lon, lat), paths in zip(places, found, strict=True):
        one = made.index.locate_one(lon, lat, 0.0)
        held = {made.path[row] for row in one.holds.values() if row >= 0}
        assert paths == outermost(held)


label = st.sampled_from(["a", "b", "ab", "a_", "1"])


@given(st.lists(st.lists(label, min_size=1, max_size=4).map(".".join), max_size=8))
def test_outermost_leaves_out_what_another_path_says(paths):
    kept = outermost(paths)
    assert kept == outermost(reversed(paths)) == sorted(set(kept))
    for path in paths:
        assert any(each == path or each.startswith(path + ".") for each in kept)
    for one, other in itertools.permutations(kept, 2):
        assert not other.startswith(one + ".")


def test_a_snapshot_cannot_be_changed(made):
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.edition = 2


def test_before_the_first_load_everything_answers_nobody():
    empty = snapshots.empty()
    assert (len(empty), empty.edition) == (0, 0)
    assert empty.bounds.shape == (0, 4)
    assert empty.index.locate([112.0], [30.0]).method.tolist() == ["none"]
    assert empty.index.locate_one(112.0, 30.0).owner == -1


def test_every_kind_has_its_place_in_the_order():
    assert set(ORDER) == set(KINDS) == {*NESTING, *OVERLAYS, *GRIDS}
    assert sorted(NESTING, key=ORDER.__getitem__) == list(NESTING)


def test_an_edition_that_follows_one_in_memory_is_the_same_as_one_read_whole(desk, county, monkeypatch):
    """Split, merged, moved, hung elsewhere, retired and touched; asked at every corner and border, and beside."""
    monkeypatch.setattr(index_patch, "MOST_PATCHED", 1)  # so few areas would be built anew
    rng = np.random.default_rng(5)
    half = np.arange(-1, 19) / 2
    lon, lat = (axis.ravel() for axis in np.meshgrid(county.at(0, 0)[0] + county.side * half,
                                                     county.at(0, 0)[1] + county.side * half))  # fmt: skip
    lon = np.concatenate([lon, rng.uniform(lon.min(), lon.max(), 500)])
    lat = np.concatenate([lat, rng.uniform(lat.min(), lat.max(), 500)])
    known = {draft.code: draft for draft in county.drafts()}

    def area(code, geom=None, **more):
        draft = known.get(code)
        kept = {name: getattr(draft, name) for name in ("kind", "name", "setting", "parent")} if draft else {}
        return Change(code=code, geom=geom or draft.geom, **{**kept, **more})

    grid = county.comprehensive(0, 0)
    steps = [
        [
            area(county.micro(0, 0), county.box(0, 0, 0.5, 1)),
            area("a0", county.box(0.5, 0, 0.5, 1), kind="micro", name="x", parent=grid),
        ],
        [area(county.micro(1, 0), county.box(0.5, 0, 1.5, 1)), Change(code="a0", geom=None, cause="merge")],
        [
            area(grid, parent="990126001002"),
            area("c1", county.box(9, 9), kind="court", name="法院", parent="990126"),
        ],
        [
            area("990126002", county.box(0, 0, 8, 4)),
            *(area(f"99012600100{n}", parent="990126002") for n in (1, 2)),
            Change(code="990126001", geom=None, cause="merge"),
        ],
        [Change(code="990126D01", geom=None, cause="retire"), area("990126P1", name="改名")],
    ]
    held = desk.memory.snapshot
    for number, changes in enumerate(steps, 1):
        with desk.database.writer() as session:
            publish(session, number, changes, actor="x", settings=desk.settings)
        with desk.database.reader() as session:
            whole, held = snapshots.load(session), snapshots.follow(session, held, number + 1)
        assert (held.edition, held.in_force_from, held.row) == (number + 1, whole.in_force_from, whole.row)
        for name in ("code", "kind", "name", "setting", "parent", "path", "households"):
            assert (getattr(held, name) == getattr(whole, name)).all(), name
        assert shapely.equals_identical(held.geom, whole.geom).all()
        for one, other in zip(
            _answers(held.index.locate(lon, lat)), _answers(whole.index.locate(lon, lat)), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        for x, y in zip(lon[:400].tolist(), lat[:400].tolist(), strict=True):
            assert repr(held.index.locate_one(x, y)) == repr(whole.index.locate_one(x, y))
            row = held.index.locate_one(x, y).leaf
            if row >= 0:
                assert held.index.nearest_border(x, y, row) == whole.index.nearest_border(x, y, row)
    assert any(isinstance(layer, Patched) for layer in held.index._layers.values())


def _answers(places):
    return [places.owner, places.method, places.distance_m, places.leaf, *places.holds.values()]
