"""Whom a provider's word binds: one person one account, within an administrator's areas, on record."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
import sqlalchemy as sa

from gridmap import accounts
from gridmap import provider_identities as identities
from gridmap.access import Scope
from gridmap.accounts import THE_OPERATOR, Administrator
from gridmap.audit import Wanted, page
from gridmap.db import Database
from gridmap.errors import Conflict, Forbidden, InvalidInput, NotFound
from gridmap.provider_identities import Proven

ISSUER = "https://sso.example/realms/county"
TOWN = "990126001"


@pytest.fixture(scope="module")
def database(county_template, copied):
    with copied(county_template) as url:
        database = Database(url, pool_size=8)
        with database.writer() as session:
            accounts.add_account(session, "wang", [("dispatcher", TOWN)])
            accounts.add_account(session, "li", [("dispatcher", "990126002")])
            accounts.add_account(session, "both", [("dispatcher", TOWN), ("commander", "*")])
        yield database
        database.close()


@pytest.fixture
def mayor(writer):
    path = writer.execute(
        sa.text("SELECT path::text FROM area WHERE code = :code"), {"code": TOWN}
    ).scalar_one()
    return Administrator("mayor", Scope((path,)))


def bind(session, name, by=THE_OPERATOR, **identity):
    identities.bind(session, by, name, ISSUER, **identity)


def test_bound_by_subject_and_by_nothing_else(writer):
    bind(writer, "wang", subject="1")
    assert identities.holder(writer, Proven(ISSUER, "1")).name == "wang"
    for other in (
        Proven(ISSUER, "2", "wang"),
        Proven(ISSUER, "1 "),
        Proven(ISSUER + "/", "1"),
        Proven("", "1"),
    ):
        assert identities.holder(writer, other) is None
        assert identities.take_awaited(writer, other) is None
    held = identities.held(writer, Scope(None), "wang")
    assert (held.issuer, held.subject, held.added_by, held.awaited_until) == (ISSUER, "1", "operator", None)
    assert held.bound_at is not None


def test_one_person_one_account(writer):
    bind(writer, "wang", subject="1")
    for name, identity in (("wang", {"subject": "2"}), ("wang", {"named": "w"}), ("li", {"subject": "1"})):
        with pytest.raises(Conflict):
            bind(writer, name, **identity)
    bind(writer, "li", named="l")
    with pytest.raises(Conflict, match="Another account"):
        bind(writer, "both", named="l")
    identities.unbind(writer, THE_OPERATOR, "wang")
    bind(writer, "wang", subject="2")
    with pytest.raises(NotFound):
        identities.unbind(writer, THE_OPERATOR, "both")


@pytest.mark.parametrize(
    "identity",
    [
        {},
        {"subject": "1", "named": "w"},
        {"subject": ""},
        {"subject": "2" * 256},
        {"named": " w"},
        {"named": "w\n"},
    ],
)
def test_what_is_no_identity(writer, identity):
    with pytest.raises(InvalidInput):
        bind(writer, "wang", **identity)


def test_what_was_awaited_in_vain_stands_in_nobodys_way(writer):
    bind(writer, "li", named="w")
    writer.execute(sa.text("UPDATE account_identity SET awaited_until = now() - interval '1 second'"))
    assert identities.take_awaited(writer, Proven(ISSUER, "1", "w")) is None
    bind(writer, "wang", named="w")
    assert identities.held(writer, Scope(None), "li") is None
    wait = identities.held(writer, Scope(None), "wang").awaited_until - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=6, hours=23) < wait <= dt.timedelta(days=7)
    assert identities.take_awaited(writer, Proven(ISSUER, "1", "w")).name == "wang"
    assert identities.take_awaited(writer, Proven(ISSUER, "2", "w")) is None


def test_only_within_an_administrators_areas(writer, mayor):
    bind(writer, "wang", by=mayor, subject="1")
    for name, error in (("li", NotFound), ("both", Forbidden)):
        with pytest.raises(error):
            bind(writer, name, by=mayor, subject="2")
        with pytest.raises(error):
            identities.held(writer, mayor.scope, name)
        with pytest.raises(error):
            identities.unbind(writer, mayor, name)
    identities.unbind(writer, mayor, "wang", "left")


def test_every_change_is_on_record_and_unbinding_ends_sessions(writer, mayor):
    version = accounts.account_number(writer, "wang")[1]
    bind(writer, "wang", by=mayor, named="w", reason="form 12")
    identities.take_awaited(writer, Proven(ISSUER, "1", "w"))
    assert accounts.account_number(writer, "wang")[1] == version
    identities.unbind(writer, mayor, "wang", "left")
    assert accounts.account_number(writer, "wang")[1] == version + 1
    found = [
        row for row in page(writer, mayor.scope, Wanted(object="account:wang")) if "identity" in row["action"]
    ]
    assert [(row["actor"], row["action"], row["reason"]) for row in found] == [
        ("mayor", "account.identity_unbind", "left"),
        ("wang", "account.identity_taken", None),
        ("mayor", "account.identity_await", "form 12"),
    ]
    assert found[1]["detail"] == {"provider": ISSUER, "subject": "1", "named": "w"}
    assert found[0]["before"]


def test_of_two_who_come_at_once_with_the_awaited_name_one_is_bound(database):
    with database.writer() as session:
        bind(session, "li", named="l")
    ready = Barrier(8)

    def come(number):
        ready.wait(20)
        with database.writer() as session:
            return identities.take_awaited(session, Proven(ISSUER, str(number), "l"))

    with ThreadPoolExecutor(8) as pool:
        found = [each for each in pool.map(come, range(8)) if each is not None]
    assert [each.name for each in found] == ["li"]
    with database.writer() as session:
        identities.unbind(session, THE_OPERATOR, "li")


@pytest.mark.parametrize(
    "row",
    [
        "NULL, NULL, NULL, now()",  # awaits nobody
        "NULL, 'w', NULL, NULL",  # awaits for ever
        "'1', NULL, NULL, NULL",  # bound at no time
        "'1', 'w', now(), now()",  # bound, and awaited
    ],
)
def test_half_an_identity_cannot_be_stored(writer, row):
    number = accounts.account_number(writer, "wang")[0]
    statement = (
        "INSERT INTO account_identity (account, issuer, added_by, subject, named, bound_at, awaited_until)"
        f" VALUES ({number}, 'i', 'a', {row})"
    )
    with pytest.raises(sa.exc.IntegrityError) as refused:
        writer.execute(sa.text(statement))
    assert isinstance(refused.value.orig, psycopg.errors.CheckViolation)
