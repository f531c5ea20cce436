"""Accounts: who may be added, how they sign in, what a principal is today."""

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from gridmap import accounts
from gridmap.access import Scope
from gridmap.errors import Conflict, InvalidInput, NotFound

PASSWORD = "correct horse battery"
NOBODY = accounts._NOBODY  # read before any test makes passwords light


@pytest.fixture(autouse=True)
def whole_passwords(monkeypatch):
    """Hashed as in service."""
    monkeypatch.setattr(accounts, "PasswordHasher", PasswordHasher)
    monkeypatch.setattr(accounts, "_NOBODY", NOBODY)


@pytest.fixture
def session(shared_desk):
    with shared_desk.database.writer() as session:
        yield session
        session.rollback()


@pytest.mark.parametrize(
    ("name", "roles", "code"),
    [
        ("x", [("king", "*")], "unknown_role"),
        ("x", [("admin", "nowhere")], "unknown_area"),
        ("x", [("admin", "")], "unknown_area"),
        ("x", [], "no_role"),
        ("", [("admin", "*")], "bad_name"),
        ("a b", [("admin", "*")], "bad_name"),
        ("张三", [("admin", "*")], "bad_name"),
        ("x" * 65, [("admin", "*")], "bad_name"),
        ("x\n", [("admin", "*")], "bad_name"),
    ],
)
def test_what_cannot_be_an_account(session, name, roles, code):
    with pytest.raises(InvalidInput) as caught:
        accounts.add_account(session, name, roles)
    assert caught.value.code == code
    assert session.execute(sa.text("SELECT count(*) FROM account")).scalar_one() == 0


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 257])
def test_what_cannot_be_a_password(session, password):
    with pytest.raises(InvalidInput, match="12 to 256") as caught:
        accounts.add_account(session, "x", [("admin", "*")], password=password)
    assert caught.value.code == "bad_password"
    assert password == "" or password not in caught.value.message


def test_a_name_is_taken_once_and_the_transaction_goes_on(session):
    accounts.add_account(session, "x", [("admin", "*")])
    with pytest.raises(Conflict, match="x already"):
        accounts.add_account(session, "x", [("planner", "*")])
    accounts.add_account(session, "y", [("planner", "*"), ("planner", "*")])  # said twice, held once
    assert session.execute(sa.text("SELECT count(*) FROM account_role")).scalar_one() == 2
    recorded = "SELECT actor, action, object FROM audit WHERE action LIKE 'account.%' ORDER BY id"
    audit = session.execute(sa.text(recorded)).all()
    assert [tuple(row) for row in audit] == [
        ("operator", "account.add", "account:x"), ("operator", "account.add", "account:y"),
    ]  # fmt: skip


def test_signing_in(session):
    number = accounts.add_account(session, "x", [("admin", "*")], password=PASSWORD)
    accounts.add_account(session, "machine", [("source", "*")])
    assert accounts.authenticate(session, "x", PASSWORD) == number
    for name, password in (
        ("x", PASSWORD + "!"), ("X", PASSWORD), ("machine", PASSWORD), ("x", PASSWORD + "x" * 10_000),
    ):  # fmt: skip
        assert accounts.authenticate(session, name, password) is None
    stored = session.execute(sa.text("SELECT password_hash FROM account WHERE name = 'x'")).scalar_one()
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    session.execute(sa.text("UPDATE account SET disabled_at = now() WHERE name = 'x'"))
    assert accounts.authenticate(session, "x", PASSWORD) is None


def test_an_unknown_name_takes_as_long_as_a_wrong_password():
    """The hash verified for nobody is a real one, as costly as those that are stored."""
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(accounts._NOBODY, PASSWORD)
    real = extract_parameters(accounts.hash_password(PASSWORD))
    assert extract_parameters(accounts._NOBODY) == real == RFC_9106_LOW_MEMORY


def test_a_principal_is_what_the_account_is_today(session):
    number = accounts.add_account(
        session, "x", [("dispatcher", "990126001"), ("planner", "*")], display_name="张三"
    )
    found = accounts.principal(session, number)
    assert found is not None
    principal, version = found
    assert (principal.name, principal.display_name, principal.account, version) == ("x", "张三", number, 1)
    assert principal.scope("text") == Scope(("990126.990126001",))
    assert principal.scope("plan") == Scope(None)
    assert principal.source is None
    assert accounts.account_number(session, "x") == (number, 1)
    session.execute(sa.text("UPDATE account SET token_version = 2"))
    assert accounts.account_number(session, "x") == (number, 2)
    session.execute(sa.text("UPDATE account SET disabled_at = now()"))
    assert accounts.principal(session, number) is None
    with pytest.raises(NotFound, match="gridmap user add x"):
        accounts.account_number(session, "x")
    assert accounts.principal(session, 10**9) is None


def test_a_role_follows_its_area_to_another_path(desk, county):
    with desk.database.writer() as session:
        number = accounts.add_account(session, "x", [("dispatcher", "990126001002")])
    village = next(draft for draft in county.drafts() if draft.code == "990126001002")
    moved = county.area(village.kind, village.code, village.geom, name=village.name, parent="990126002")
    desk.load(moved)
    with desk.database.reader() as session:
        principal, _ = accounts.principal(session, number)
    assert principal.scope("text") == Scope(("990126.990126002.990126001002",))


def test_a_source_is_bound_to_its_own_name_unless_another_is_given(session):
    for name, source, bound in (("hotline", None, "hotline"), ("gate", "12345", "12345")):
        number = accounts.add_account(session, name, [("source", "*")], source=source)
        assert accounts.principal(session, number)[0].source == bound
    number = accounts.add_account(session, "x", [("dispatcher", "*")])
    assert accounts.principal(session, number)[0].source is None


def test_passwords_made_for_somebody_are_long_and_never_the_same():
    made = {accounts.random_password() for _ in range(50)}
    assert len(made) == 50
    assert min(map(len, made)) >= accounts.SHORTEST_PASSWORD
