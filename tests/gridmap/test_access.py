"""Who may do what, and where: the roles of interface.md, and scopes that say the same in Python and in SQL."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmap import access, event_queries, locating
from gridmap.access import MAY, ROLES, Principal, Role, Scope
from gridmap.errors import Forbidden, NotFound
from gridmap.event_queries import EventFilter

# the table of interface.md, row by row: who may, from left to right
TABLE = {
    "areas": "admin planner approver dispatcher commander worker",
    "events": "admin dispatcher commander worker",
    "counts": "admin planner approver dispatcher commander worker",
    "text": "dispatcher",
    "exact": "admin dispatcher",
    "exact_villages": "admin dispatcher commander",
    "post": "admin dispatcher worker source",
    "act": "admin dispatcher worker",
    "plan": "admin planner",
    "approve": "admin approver",
    "admin": "admin",
    "households": "admin planner",
}

label = st.sampled_from(["a", "b", "ab", "A", "a_b", "0", "01", "99", "z" * 30])
path = st.lists(label, min_size=1, max_size=5).map(".".join)
paths = st.lists(path, max_size=6)


def who(*roles, **more):
    return Principal("x", "X", tuple(Role(*role) for role in roles), **more)


@pytest.mark.parametrize("action", TABLE)
def test_the_roles_of_the_interface(action):
    assert {role for role in ROLES if action in MAY[role]} == set(TABLE[action].split())


def test_every_action_is_in_the_table():
    assert set(TABLE) == set(access.get_args(access.Action)) == set.union(*map(set, MAY.values()))
    assert set(ROLES) == set(re.findall(r"'(\w+)'", _schema_roles()))


def _schema_roles():
    text = (Path(access.__file__).parent / "migrations/versions/0001_foundation.py").read_text()
    return text.split("role            text NOT NULL CHECK (role IN")[1].split("),")[0]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scope=paths, held=st.lists(paths, min_size=1, max_size=8), single=st.lists(path, min_size=1, max_size=8)
)
def test_scopes_say_the_same_in_python_and_in_sql(reader, scope, held, single):
    for made in (Scope.of(scope), Scope(tuple(scope)), Scope(None)):
        condition, binds = made.condition("p")
        one = reader.execute(
            sa.text(
                f"SELECT coalesce({condition}, false) FROM unnest(CAST(:paths AS ltree[]))"
                " WITH ORDINALITY AS t (p, n) ORDER BY n"
            ),
            {"paths": single, **binds},
        ).scalars()
        assert list(one) == [made.holds(each) for each in single]
        condition, binds = made.condition("CAST(:held AS ltree[])")
        for each in held:
            found = reader.execute(sa.text(f"SELECT {condition}"), {"held": each, **binds}).scalar_one()
            assert found == made.holds_any(each) == bool(made.paths is None or any(map(made.holds, each)))


@given(scope=paths, other=paths, place=path)
def test_scopes_are_normal_forms(scope, other, place):
    made = Scope.of(scope)
    assert made.holds(place) == Scope(tuple(scope)).holds(place)
    assert Scope.of(reversed(scope)) == made == Scope.of(made.paths)
    assert hash(made) == hash(Scope.of(scope))
    if made == Scope.of(other):  # equal as cache keys only if they allow the same
        assert all(made.holds(each) for each in other)
    assert bool(made) == bool(scope)


def test_a_label_is_not_its_beginning():
    scope = Scope.of(["990126.99012600"])
    assert scope.holds("990126.99012600.1")
    assert not scope.holds("990126.990126001")
    assert not scope.holds("990126")


def test_nowhere_is_nothing_and_everywhere_all():
    assert not Scope(())
    assert Scope(None)
    assert Scope(()).condition("p") == ("FALSE", {})
    assert Scope(None).condition("p") == ("TRUE", {})
    assert Scope(None).holds_any(
        []
    )  # what lies in no area is seen by those who see everything, and only by them
    assert not Scope.of(["a"]).holds_any([])


def test_a_principal_may_where_its_roles_allow_it():
    somebody = who(("dispatcher", "t1", "c.t1"), ("planner", "*"), ("commander", "gone", None))
    assert somebody.scope("text") == Scope(("c.t1",))
    assert somebody.scope("areas") == Scope(None)
    assert somebody.scope("events") == Scope(("c.t1",))  # an area that is gone adds nothing
    assert somebody.scope("approve") == Scope(())
    assert not somebody.may("approve")
    assert somebody.require("text") == Scope(("c.t1",))
    with pytest.raises(Forbidden, match="approve"):
        somebody.require("approve")
    assert set(somebody.actions()) == set(MAY["dispatcher"] | MAY["planner"] | MAY["commander"])


def test_text_is_read_by_its_areas_dispatchers_and_by_who_has_it():
    assert who(("dispatcher", "t1", "c.t1")).reads_text(["c.t1.v", "c.p"], worker=None, category="dispute")
    assert not who(("dispatcher", "t1", "c.t1")).reads_text(["c.t2"], worker=None, category="dispute")
    assert not who(("commander", "*")).reads_text(["c.t1"], worker=None, category="dispute")
    assert who(("worker", "t1", "c.t1"), worker=7).reads_text([], worker=7, category="dispute")
    assert not who(("worker", "t1", "c.t1"), worker=7).reads_text(["c.t1"], worker=8, category="dispute")
    assert not who(("worker", "t1", "c.t1")).reads_text(["c.t1"], worker=None, category="dispute")


@pytest.fixture(scope="module")
def sensitive(shared_desk, county):
    """A case of domestic violence and an ordinary one, both in hand of the same worker, in the first square."""
    drafts = [
        county.event(0.5, 0.5, category="dispute", subcategory=sub, external_id=f"sensitive-{sub}")
        for sub in ("domestic_violence", "neighbour")
    ]
    return [shared_desk.post(draft).event for draft in drafts]


@pytest.mark.parametrize(
    ("role", "area", "has_it", "seen"),
    [
        ("dispatcher", "*", False, "both"),
        ("dispatcher", "990126001", False, "both"),
        ("dispatcher", "990126002", False, "none"),
        ("commander", "*", False, "ordinary"),
        ("admin", "*", False, "ordinary"),
        ("worker", "990126001001001", False, "ordinary"),
        ("worker", "990126001001001", True, "both"),
        ("worker", "990126002", True, "none"),
    ],
)
def test_sensitive_events_are_for_those_who_handle_them(shared_desk, sensitive, role, area, has_it, seen):
    """The same answer in lists, counts, one by one, and in the search by number and by the source's own id."""
    snapshot = shared_desk.memory.snapshot
    worker = shared_desk.one("SELECT worker FROM event WHERE id = :n", n=sensitive[0]) if has_it else None
    path = None if area == "*" else snapshot.path[snapshot.row[area]]
    principal = who((role, area, path), worker=worker)
    expected = {"both": sensitive, "ordinary": sensitive[1:], "none": []}[seen]
    with shared_desk.database.reader() as session:
        listed = event_queries.page(session, snapshot, principal, EventFilter())
        assert sorted(row["id"] for row in listed.rows) == expected
        assert sum(event_queries.counts(session, snapshot, principal, EventFilter()).values()) == len(
            expected
        )
        for number in sensitive:
            found = locating.search_events(session, principal, str(number), 10)
            assert [each["id"] for each in found] == [n for n in [number] if n in expected]
            if number in expected:
                assert event_queries.one(session, principal, number)["id"] == number
            else:
                with pytest.raises(NotFound):
                    event_queries.one(session, principal, number)
        by_id = locating.search_events(session, principal, "sensitive-domestic_violence", 10)
        assert [each["id"] for each in by_id] == [n for n in sensitive[:1] if n in expected]
