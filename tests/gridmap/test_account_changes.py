"""Accounts changed: within the areas of whoever administers, recorded, and never without an administrator."""

import datetime as dt
import threading

import pytest
import sqlalchemy as sa

from gridmap import account_changes, accounts, audit, tokens_issued
from gridmap.access import Scope
from gridmap.accounts import THE_OPERATOR, Administrator
from gridmap.audit import Wanted
from gridmap.errors import Conflict, Forbidden, GridmapError, InvalidInput, NotFound

TOWN, OTHER, COUNTY = "990126001", "990126002", "990126"
MAYOR = Administrator("mayor", Scope.of([f"{COUNTY}.{TOWN}"]))
EVERYWHERE = Scope(None)


@pytest.fixture
def session(shared_desk):
    with shared_desk.database.writer() as session:
        accounts.add_account(session, "chief", [("admin", "*")])
        accounts.add_account(session, "west", [("dispatcher", TOWN)], display_name="西镇调度")
        accounts.add_account(session, "east", [("dispatcher", OTHER)])
        accounts.add_account(session, "both", [("dispatcher", TOWN), ("planner", OTHER)])
        yield session
        session.rollback()


def roles(session, name):
    return account_changes.one(session, EVERYWHERE, name).roles


def names(session, scope, **asked):
    return [each.name for each in account_changes.page(session, scope, **asked)]


def test_who_administers_a_town_sees_its_accounts_and_of_them_the_roles_there(session):
    assert names(session, EVERYWHERE) == ["both", "chief", "east", "west"]
    assert names(session, MAYOR.scope) == ["both", "west"]
    assert names(session, Scope(())) == []
    both = account_changes.one(session, MAYOR.scope, "both")
    assert (both.roles, both.elsewhere) == ((("dispatcher", TOWN),), True)
    assert account_changes.one(session, EVERYWHERE, "both").elsewhere is False
    for name in ("east", "chief", "nobody"):
        with pytest.raises(NotFound, match=f"No account {name}"):
            account_changes.one(session, MAYOR.scope, name)
    assert names(session, EVERYWHERE, q="西镇") == ["west"]
    assert names(session, EVERYWHERE, q="%") == []
    assert names(session, EVERYWHERE, after="chief", limit=1) == ["east"]


@pytest.mark.parametrize(
    ("role", "error", "code"),
    [
        (("admin", "*"), Forbidden, "beyond_your_areas"),
        (("planner", OTHER), NotFound, "unknown_area"),
        (("planner", COUNTY), NotFound, "unknown_area"),
        (("planner", "nowhere"), NotFound, "unknown_area"),
        (("king", TOWN), InvalidInput, "unknown_role"),
        (("dispatcher", TOWN), Conflict, "role_held"),
    ],
)
def test_nobody_gives_what_they_do_not_administer(session, role, error, code):
    before = roles(session, "west")
    with pytest.raises(error) as caught:
        account_changes.add_role(session, MAYOR, "west", role)
    assert caught.value.code == code
    assert roles(session, "west") == before
    if code in {"beyond_your_areas", "unknown_area"}:
        with pytest.raises(error):
            accounts.add_account(session, "new", [role], by=MAYOR)


def test_roles_are_given_and_taken_within_the_town_and_recorded(session):
    account_changes.add_role(session, MAYOR, "both", ("commander", TOWN), "holiday")
    assert ("commander", TOWN) in roles(session, "both")
    account_changes.remove_role(session, MAYOR, "both", ("commander", TOWN))
    account_changes.remove_role(session, MAYOR, "both", ("dispatcher", TOWN))
    assert roles(session, "both") == (("planner", OTHER),)
    with pytest.raises(NotFound):  # gone from the mayor's areas
        account_changes.add_role(session, MAYOR, "both", ("commander", TOWN))
    with pytest.raises(NotFound, match="is not planner"):
        account_changes.remove_role(session, MAYOR, "west", ("planner", TOWN))
    with pytest.raises(Conflict, match="without a role"):
        account_changes.remove_role(session, MAYOR, "west", ("dispatcher", TOWN))
    found = audit.page(session, MAYOR.scope, Wanted(object="account:both"))
    last, middle, first, added = found
    assert [each["action"] for each in found] == [
        "account.role_remove", "account.role_remove", "account.role_add", "account.add",
    ]  # fmt: skip
    assert (first["actor"], first["reason"], first["area"]) == ("mayor", "holiday", TOWN)
    assert first["before"] != first["after"] == middle["before"]
    assert middle["after"] == first["before"] == last["before"]
    assert added["detail"]["roles"] == [f"dispatcher {TOWN}", f"planner {OTHER}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda s, name: account_changes.disable(s, MAYOR, name),
        lambda s, name: account_changes.set_password(s, MAYOR, name, "a long enough password"),
        lambda s, name: account_changes.revoke(s, MAYOR, name),
        lambda s, name: tokens_issued.issue_machine_token(s, MAYOR, name, "x"),
        lambda s, name: tokens_issued.listed(s, MAYOR.scope, name),
    ],
)
def test_the_whole_account_is_for_those_whose_areas_hold_all_of_it(session, change):
    with pytest.raises(Forbidden) as caught:
        change(session, "both")
    assert caught.value.code == "beyond_your_areas"
    for name in ("east", "chief"):
        with pytest.raises(NotFound):
            change(session, name)


def test_closing_ends_tokens_and_opening_lets_in_again(session):
    version = accounts.account_number(session, "west")[1]
    account_changes.disable(session, MAYOR, "west", "left the town")
    with pytest.raises(NotFound):
        accounts.account_number(session, "west")
    with pytest.raises(Conflict, match="disabled already"):
        account_changes.disable(session, MAYOR, "west")
    account_changes.enable(session, MAYOR, "west")
    assert accounts.account_number(session, "west")[1] > version
    with pytest.raises(Conflict, match="not disabled"):
        account_changes.enable(session, MAYOR, "west")


def test_the_last_administrator_of_all_stays(session):
    account_changes.add_role(session, THE_OPERATOR, "chief", ("planner", "*"))
    for change in (
        lambda: account_changes.disable(session, THE_OPERATOR, "chief"),
        lambda: account_changes.remove_role(session, THE_OPERATOR, "chief", ("admin", "*")),
    ):
        with pytest.raises(Conflict) as caught, session.begin_nested():
            change()
        assert caught.value.code == "last_admin"
    account_changes.add_role(session, THE_OPERATOR, "west", ("admin", "*"))
    account_changes.remove_role(session, THE_OPERATOR, "chief", ("admin", "*"))
    with pytest.raises(Conflict), session.begin_nested():
        account_changes.disable(session, THE_OPERATOR, "west")


def test_two_who_remove_each_other_leave_one(desk):
    with desk.database.writer() as session:
        for name in ("a", "b"):
            accounts.add_account(session, name, [("admin", "*"), ("planner", "*")])
    ready, outcomes = threading.Barrier(2), []

    def remove(name):
        ready.wait()
        try:
            with desk.database.writer() as session:
                account_changes.remove_role(session, THE_OPERATOR, name, ("admin", "*"))
            outcomes.append("done")
        except GridmapError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=remove, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "last_admin"]


def test_passwords(session):
    account_changes.set_password(session, MAYOR, "west", "the first password")
    assert accounts.authenticate(session, "west", "the first password")
    with pytest.raises(InvalidInput, match="12 to 256"):
        account_changes.set_password(session, MAYOR, "west", "short")
    version = accounts.account_number(session, "west")[1]
    assert (
        account_changes.change_own_password(session, "west", "wrong one here", "the second password") is False
    )
    for new in ("short", "the first password"):
        with pytest.raises(InvalidInput):
            account_changes.change_own_password(session, "west", "the first password", new)
    assert accounts.account_number(session, "west")[1] == version
    assert account_changes.change_own_password(session, "west", "the first password", "the second password")
    assert accounts.account_number(session, "west")[1] == version + 1
    assert accounts.authenticate(session, "west", "the first password") is None
    recorded = str([dict(row) for row in audit.page(session, EVERYWHERE, Wanted(object="account:west"))])
    assert "first password" not in recorded
    assert "argon2" not in recorded


def test_machine_tokens_are_for_what_only_posts(session):
    accounts.add_account(session, "gate", [("source", TOWN)], by=MAYOR)
    account, number = tokens_issued.issue_machine_token(session, MAYOR, "gate", "north gate")
    assert tokens_issued.holding(session, account) == (frozenset({number}), frozenset())
    (listed,) = tokens_issued.listed(session, MAYOR.scope, "gate")
    assert (listed.id, listed.kind, listed.label, listed.expires_at) == (
        number,
        "machine",
        "north gate",
        None,
    )
    with pytest.raises(Conflict, match="only post"):
        tokens_issued.issue_machine_token(session, MAYOR, "west", "x")
    with pytest.raises(NotFound, match="no token"):
        account_changes.revoke(session, MAYOR, "gate", "other")
    account_changes.revoke(session, MAYOR, "gate", number)
    assert tokens_issued.holding(session, account) == (frozenset(), frozenset())
    account_changes.disable(session, MAYOR, "gate")
    with pytest.raises(Conflict):
        tokens_issued.issue_machine_token(session, MAYOR, "gate", "x")


def test_sessions_that_ended_are_known_until_they_would_have_expired(session):
    number, _ = accounts.account_number(session, "west")
    soon, gone = (
        dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        dt.datetime.now(dt.UTC) - dt.timedelta(days=400),
    )
    tokens_issued.note(session, number, "old", "session", gone, "west")
    tokens_issued.note(session, number, "one", "session", soon, "west")
    tokens_issued.note(session, number, "two", "bearer", soon, "west")
    assert tokens_issued.holding(session, number) == (frozenset(), frozenset())
    tokens_issued.end(session, number, "one")
    assert tokens_issued.holding(session, number) == (frozenset(), frozenset({"one"}))
    account_changes.revoke(session, MAYOR, "west")
    assert tokens_issued.holding(session, number)[1] == {"one", "two"}
    assert {each.id for each in tokens_issued.listed(session, EVERYWHERE, "west")} == {"one", "two"}


def test_who_administers_a_town_binds_no_source_and_no_worker_of_others(session):
    session.execute(sa.text("INSERT INTO event_key VALUES ('12345', '1', 1, '')"))
    with pytest.raises(Forbidden) as caught:
        accounts.add_account(session, "new", [("source", TOWN)], source="12345", by=MAYOR)
    assert caught.value.code == "source_in_use"
    for number in session.execute(
        sa.text(
            "SELECT s.worker FROM service_area s JOIN area a ON a.code = s.area AND a.edition_to IS NULL"
            " WHERE s.worker IS NOT NULL AND NOT a.path <@ CAST(:town AS ltree)"
        ),
        {"town": f"{COUNTY}.{TOWN}"},
    ).scalars():
        with pytest.raises(NotFound, match="No worker"):
            accounts.add_account(session, "new", [("worker", TOWN)], worker=number, by=MAYOR)
    with pytest.raises(NotFound):
        accounts.add_account(session, "new", [("worker", TOWN)], worker=10**6, by=MAYOR)
    with pytest.raises(InvalidInput, match="no worker"):
        accounts.add_account(session, "new", [("worker", TOWN)], worker=10**6)
