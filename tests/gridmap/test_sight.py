"""The second line: without any condition a transaction sees what the conditions of access would have let through."""

import itertools
import re

import psycopg
import pytest
import sqlalchemy as sa

from gridmap import event_queries, selection, sight
from gridmap.access import Principal, Role
from gridmap.audit import Entry, record
from gridmap.db import Database
from gridmap.event_queries import EventFilter
from gridmap.withholding import held

GUARDED = {"event", "event_text", "event_attachment", "event_key", "event_history", "audit"}
HOLDINGS = [
    *itertools.product(
        ["admin", "dispatcher", "commander", "worker", "planner"],
        ["*", "990126", "990126001", "990126002001", "99012600200200101", "990126P1", "990126D01", "gone"],
    ),
    ("source", "*"),
]
CLOSINGS = {
    "nothing": (),
    "police": tuple(("police_case", role) for role in ("commander", "planner", "worker")),
    "two": (
        ("dispute", "admin"),
        ("police_case", "admin"),
        ("police_case", "dispatcher"),
        ("police_case", "source"),
    ),
}
# Of several roles, to some of which something is closed: seen is what is open to one of them, where that one holds.
SEVERAL = [
    ((("dispatcher", "990126001"), ("commander", "990126002")), "police"),
    ((("dispatcher", "990126001"), ("commander", "*")), "police"),
    ((("dispatcher", "990126P1"), ("planner", "990126"), ("worker", "990126002001")), "police"),
    ((("admin", "*"), ("commander", "990126002001")), "police"),
    ((("admin", "*"), ("commander", "990126002001")), "two"),
    ((("dispatcher", "*"), ("worker", "990126001")), "two"),
    ((("commander", "990126P2"), ("dispatcher", "990126")), "two"),
    ((("commander", "gone"), ("worker", "990126002")), "police"),
]


@pytest.fixture(scope="module")
def record_of_events(shared_desk, county):
    """In every village, sensitive and not, on borders, without a place, in no area, in a dedicated grid; audited."""
    places = [
        (0.5, 0.5),
        (2.0, 1.0),
        (4.0, 2.0),
        (5.5, 2.5),
        (7.5, 3.5),
        (6.5, 0.5),
        (None, None),
        (20.0, 20.0),
    ]
    for number, (column, row) in enumerate(places):
        for sub in (None, "neighbour", "domestic_violence", "police", "minor"):
            draft = county.event(
                column,
                row,
                category="police_case" if sub in {"police", "minor"} else "dispute",
                subcategory=None if sub == "police" else sub,
                external_id=f"{number}-{sub}",
                source="hotline" if number % 3 == 0 else "12345",
            )
            shared_desk.post(draft)
    # a worker has police cases in hand too
    shared_desk.do(
        "UPDATE event SET unit = NULL, worker = (SELECT min(worker) FROM event)"
        " WHERE category = 'police_case' AND id % 2 = 0"
    )
    with shared_desk.database.writer() as session:
        session.execute(
            sa.text(
                "INSERT INTO event_attachment (event, number, name, type, size_bytes, sha256, sent_sha256, content,"
                " added_by) SELECT id, 1, 'a.pdf', 'application/pdf', 1, '', '', '', 'x' FROM event"
            )
        )
        for path in ("990126.990126001", "990126.990126002.990126002001", ""):
            record(session, Entry("somebody", "test", "thing", paths=(path,) if path else ()))
    return shared_desk


@pytest.fixture(scope="module")
def restricted(record_of_events):
    database = Database(record_of_events.database.url, pool_size=2, restricted=True)
    yield database
    database.close()


def principal_of(desk, *holdings, closed="nothing", **more):
    roles = []
    for role, area in holdings:
        row = desk.memory.snapshot.row.get(area)
        path = None if area == "*" or row is None else desk.memory.snapshot.path[row]
        roles.append(Role(role, area, path))
    return Principal("x", "X", tuple(roles), closings=CLOSINGS[closed], **more)


def ids(session, statement, **binds):
    return sorted(session.execute(sa.text(statement), binds).scalars())


WHO = [*(((holding,), closed) for holding in HOLDINGS for closed in CLOSINGS), *SEVERAL]


@pytest.mark.parametrize(("held_roles", "closed"), WHO)
@pytest.mark.parametrize("handles", [False, True], ids=["", "has-some-in-hand"])
def test_a_forgotten_condition_lets_nothing_else_through(
    record_of_events, restricted, held_roles, closed, handles
):
    desk = record_of_events
    worker = desk.one("SELECT min(worker) FROM event") if handles else None
    source = "hotline" if held_roles[0][0] == "source" else None
    asker = principal_of(desk, *held_roles, closed=closed, worker=worker, source=source)
    where, binds = event_queries.visible(asker)
    condition = " AND ".join(where)
    if asker.source:
        condition, binds = f"(({condition}) OR e.source = :own)", {**binds, "own": asker.source}
    with desk.database.reader() as owner:
        wanted = ids(owner, f"SELECT id FROM event e WHERE {condition}", **binds)
        handled = [
            row.id
            for row in owner.execute(
                sa.text("SELECT id, paths_now::text[] AS paths, worker, category FROM event ORDER BY id")
            )
            if row.id in wanted and asker.reads_text(row.paths, row.worker, row.category)
        ]
        steps = ids(owner, "SELECT id FROM event_history WHERE event = ANY(:seen)", seen=wanted)
        scope, more = asker.scope("admin").condition("paths")
        entries = ids(owner, f"SELECT id FROM audit WHERE {scope}", **more)
    with restricted.reader(sight.rows(asker)) as session:
        assert ids(session, "SELECT id FROM event") == wanted
        assert ids(session, "SELECT event FROM event_text") == handled
        assert ids(session, "SELECT event FROM event_attachment") == handled
        assert ids(session, "SELECT event FROM event_key") == wanted
        assert ids(session, "SELECT id FROM event_history") == steps
    with restricted.reader(sight.rows(asker, "admin")) as session:
        assert ids(session, "SELECT id FROM audit") == entries


@pytest.mark.parametrize(("held_roles", "closed"), WHO)
def test_what_is_counted_for_somebody_lies_in_their_areas(record_of_events, restricted, held_roles, closed):
    desk, snapshot = record_of_events, record_of_events.memory.snapshot
    asker = principal_of(desk, *held_roles, closed=closed)
    scope = asker.reach("counts")
    condition, binds = scope.condition("paths_now")
    leaves = snapshot.code[held(scope, snapshot.path)].tolist() if scope.paths is not None else None
    kinds, more = scope.categories("paths_now")
    with desk.database.reader() as owner:
        wanted = ids(owner, f"SELECT id FROM event WHERE {condition}", **binds)
        statement = f"SELECT id FROM event WHERE leaf_now = ANY(:leaves) AND {kinds}"
        by_leaf = ids(owner, statement, leaves=leaves or [], **more)
    with restricted.reader(sight.counts(asker)) as session:
        assert ids(session, "SELECT id FROM event") == wanted
        with selection.seen_as_asked(session, scope, snapshot, {"leaves": []}):
            inside = ids(session, "SELECT id FROM event")
        across = {"*", "990126P1", "990126P2", "990126D01", "gone"} & {area for _, area in held_roles}
        nests = scope.paths is not None and not across and not scope.partly
        assert inside == (by_leaf if nests else wanted)
        assert ids(session, "SELECT id FROM event") == wanted  # and afterwards as before
        with selection.seen_as_asked(session, scope, snapshot, {"scope": ""}):  # a condition of paths
            assert ids(session, "SELECT id FROM event") == wanted


def test_lists_and_counts_are_the_same_with_and_without(record_of_events, restricted):
    desk, snapshot = record_of_events, record_of_events.memory.snapshot
    for held_roles, closed in WHO:
        asker = principal_of(desk, *held_roles, closed=closed)
        found = []
        for database in (desk.database, restricted):
            with database.reader(sight.rows(asker)) as session:
                page = event_queries.page(session, snapshot, asker, EventFilter())
                found.append(
                    ([dict(row) for row in page.rows],
                     event_queries.counts(session, snapshot, asker, EventFilter()))
                )  # fmt: skip
        assert found[0] == found[1], (held_roles, closed)


def test_who_says_not_for_whom_sees_nothing(restricted):
    for table in sorted(GUARDED - {"audit", "event_key"}):
        with (
            restricted.reader() as session,
            pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
        ):
            session.execute(sa.text(f"SELECT * FROM {table} LIMIT 1"))
    nobody = sight.Sight(sight.AREAS)
    with restricted.reader(nobody) as session:
        assert ids(session, "SELECT id FROM event") == []
        assert ids(session, "SELECT event FROM event_text") == []
        assert ids(session, "SELECT event FROM event_attachment") == []


def test_a_sight_ends_with_its_transaction_and_comes_back_with_the_next_of_its_session(restricted):
    with restricted.reader(sight.EVERYTHING) as session:
        assert ids(session, "SELECT id FROM event")
        session.rollback()
        assert ids(session, "SELECT id FROM event")
    for _ in range(3):  # whichever connection of the pool comes
        with restricted.reader() as session:
            assert session.execute(sa.text("SELECT current_user")).scalar_one() == sight.SERVICE
            assert session.execute(sa.text("SELECT current_setting('gridmap.scope', true)")).scalar_one() in {
                "",
                None,
            }


@pytest.mark.parametrize(
    "taken", [None, sight.EVERYTHING, sight.TAKING_IN, sight.Sight(sight.AREAS, "*", "*")]
)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE event_history SET actor = 'x'",
        "DELETE FROM event_history",
        "UPDATE audit_block SET marks = ''",
        "DELETE FROM audit_block",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON audit",
        "ALTER TABLE event DISABLE ROW LEVEL SECURITY",
        "DROP POLICY areas ON event",
        "DELETE FROM event",
        "DELETE FROM event_attachment",
        "UPDATE event_attachment SET sha256 = ''",
        "UPDATE edition SET note = 'x'",
        "UPDATE area SET name = 'x'",
        "CREATE TABLE mine (x int)",
        "SET LOCAL session_replication_role = replica",
        "ALTER ROLE gridmap_service BYPASSRLS",
    ],
)
def test_the_service_cannot_alter_what_stands(restricted, taken, statement):
    with (
        pytest.raises(sa.exc.DBAPIError, match=r"permission denied|must be owner|must be superuser"),
        restricted.writer(taken) as session,
    ):
        session.execute(sa.text(statement))


def test_who_takes_events_in_reads_no_text_and_no_place(restricted):
    for column in ("title", "content", "geom", "source", "why"):
        table = {"title": "event_text", "content": "event_attachment"}.get(column, "event")
        with (
            restricted.reader(sight.TAKING_IN) as session,
            pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
        ):
            session.execute(sa.text(f"SELECT {column} FROM {table} LIMIT 1"))


def test_the_role_that_signs_in_owns_nothing_and_passes_by_nothing(cluster):
    with psycopg.connect(cluster.service_url()) as connection:
        assert connection.execute("SELECT current_user, session_user").fetchone() == (sight.SERVICE,) * 2
        assert connection.execute(
            "SELECT rolsuper, rolbypassrls, rolinherit, rolcreaterole, rolcreatedb,"
            " (SELECT count(*) FROM pg_class WHERE relowner = r.oid)"
            " FROM pg_roles r WHERE rolname = current_user"
        ).fetchone() == (False, False, False, False, False, 0)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE gridmap")


def test_every_table_is_guarded_or_meant_to_be_open(record_of_events):
    guarded = {row[0] for row in record_of_events.rows("SELECT relname FROM pg_class WHERE relrowsecurity")}
    assert guarded == GUARDED
    readable = {
        row[0]
        for row in record_of_events.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            f" AND has_table_privilege('{sight.SERVICE}', oid, 'SELECT')"
        )
    }
    everything = {
        row[0]
        for row in record_of_events.rows(
            "SELECT relname FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')"
        )
    }
    # a new table says in its migration who reads it
    assert everything - readable == GUARDED | {"audit_block"}


def test_boxes_walk_along_their_index_below_a_policy(record_of_events, restricted):
    asker = principal_of(record_of_events, ("dispatcher", "990126001"))
    with restricted.reader(sight.rows(asker)) as session:
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(
            session.execute(
                sa.text(
                    "EXPLAIN SELECT id FROM event WHERE geom && ST_MakeEnvelope(112, 30, 112.001, 30.001, 4326)"
                )
            ).scalars()
        )
    assert "event_geom" in plan, plan
    assert "Index Cond: (geom &&" in plan, plan


def police_cases(session, paths="TRUE"):
    return ids(session, f"SELECT id FROM event e WHERE category = 'police_case' AND {paths}")


def test_a_closed_category_is_seen_in_the_areas_of_the_role_to_which_it_is_open(record_of_events, restricted):
    """A dispatcher of the western town who is also commander of the eastern sees police cases of the western alone."""
    desk = record_of_events
    both = principal_of(desk, ("dispatcher", "990126001"), ("commander", "990126002"), closed="police")
    west, east = (f"paths_now <@ '990126.99012600{town}'" for town in (1, 2))
    with desk.database.reader() as owner:
        here, there = police_cases(owner, west), police_cases(owner, east)
        assert here
        assert there
        others = ids(
            owner,
            f"SELECT id FROM event WHERE category <> 'police_case' AND ({west} OR {east})"
            " AND (subcategory IS DISTINCT FROM 'domestic_violence' OR paths_now <@ '990126.990126001')",
        )
    for database in (desk.database, restricted):
        with database.reader(sight.rows(both)) as session:
            page = event_queries.page(session, desk.memory.snapshot, both, EventFilter(), limit=1000)
            assert sorted(row["id"] for row in page.rows) == sorted([*here, *others])
            asked = event_queries.page(
                session, desk.memory.snapshot, both, EventFilter(categories=("police_case",))
            )
            assert sorted(row["id"] for row in asked.rows) == here
            assert all(row["title"] for row in asked.rows)
            empty = event_queries.page(
                session,
                desk.memory.snapshot,
                both,
                EventFilter(categories=("police_case",), area="990126002"),
            )
            assert not empty.rows
    with restricted.reader(sight.rows(both)) as session:
        assert police_cases(session) == here
    with restricted.reader(sight.counts(both)) as session:
        assert police_cases(session) == here


def test_in_hand_is_no_way_round_what_is_closed_to_workers(record_of_events, restricted):
    """A commander to whom police cases are open, and who as a worker has one in hand, sees it without its text."""
    desk = record_of_events
    worker = desk.one(
        "SELECT worker FROM event WHERE category = 'police_case' AND worker IS NOT NULL LIMIT 1"
    )
    theirs = "SELECT event FROM event_text JOIN event ON id = event WHERE category = 'police_case'"
    for closings, told in (((), True), ((("police_case", "worker"),), False)):
        asker = Principal(
            "x", "X", (Role("commander", "*"), Role("worker", "*")), worker=worker, closings=closings
        )
        with restricted.reader(sight.rows(asker)) as session:
            assert bool(ids(session, theirs)) == told
        with desk.database.reader() as session:
            found = event_queries.page(
                session, desk.memory.snapshot, asker, EventFilter(categories=("police_case",))
            )
            assert any(row["worker"] == worker for row in found.rows)
            assert any(row["title"] for row in found.rows) == told


def test_nothing_closed_changes_no_condition_and_no_role(record_of_events):
    for holding in HOLDINGS:
        asker = principal_of(record_of_events, holding)
        for closed in ((), (("hazard", "approver"),)):
            same = Principal("x", "X", asker.roles, closings=closed)
            if holding[0] != "approver":
                assert event_queries.visible(same) == event_queries.visible(asker)
                assert sight.rows(same) == sight.rows(asker)
                assert sight.counts(same) == sight.counts(asker)
                assert same.reach("counts") == asker.reach("counts")


def test_for_whom_whole_categories_are_closed_heat_goes_by_its_index_alone(record_of_events, restricted):
    desk, snapshot = record_of_events, record_of_events.memory.snapshot
    heat = "EXPLAIN SELECT leaf_now, count(*) FROM event WHERE occurred_at >= '2020-01-01' GROUP BY leaf_now"
    for area in ("*", "990126001"):
        for closed, role in (("nothing", sight.LEAVES), ("police", sight.PARTLY)):
            asker = principal_of(desk, ("commander", area), closed=closed)
            with restricted.reader(sight.counts(asker)) as session:
                session.execute(sa.text("SET LOCAL enable_seqscan = off"))
                session.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
                with selection.seen_as_asked(session, asker.reach("counts"), snapshot, {"leaves": []}):
                    taken = session.execute(sa.text("SELECT current_user")).scalar_one()
                    plan = "\n".join(session.execute(sa.text(heat)).scalars())
            assert taken == (sight.ALL if (area, closed) == ("*", "nothing") else role)
            # either holds all that is asked; where there are many events, heat's is the smaller one
            assert re.search("Index Only Scan using event_(heat|newest)", plan), plan
