"""Which account an external provider's word binds: by issuer and subject, as an administrator has said before.

A name that the provider gives counts once at most: where an administrator awaits it for an account. Names there can
be changed and given to others (OpenID Connect Core, 5.7); a subject cannot.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Scope
from gridmap.account_changes import Account, one
from gridmap.accounts import Administrator, audited_paths, tell
from gridmap.audit import Entry, record
from gridmap.db import Writer
from gridmap.errors import Conflict, Forbidden, InvalidInput, NotFound

AWAITED = dt.timedelta(days=7)
LONGEST = 255  # of a subject, by the specification


@dataclass(frozen=True, slots=True)
class Proven:
    """What a provider has proven of somebody.

    Attributes:
        issuer: the provider.
        subject: its number of the person, never given to another.
        named: what it calls the person today; None where it does not say.
    """

    issuer: str
    subject: str
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An account's identity as an administrator sees it; awaited while it has no subject."""

    issuer: str
    subject: str | None
    named: str | None
    added_at: dt.datetime
    added_by: str
    bound_at: dt.datetime | None
    awaited_until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Holder:
    """The account that an identity belongs to."""

    account: int
    name: str
    disabled: bool


_HOLDER = """
SELECT a.id, a.name, a.disabled_at IS NOT NULL AS disabled FROM account_identity i JOIN account a ON a.id = i.account
WHERE i.issuer = :issuer AND {which}
"""


def holder(session: Session, proven: Proven) -> Holder | None:
    """The account that is bound to an identity; None where there is none."""
    binds = {"issuer": proven.issuer, "subject": proven.subject}
    row = session.execute(sa.text(_HOLDER.format(which="i.subject = :subject")), binds).one_or_none()
    return None if row is None else Holder(int(row.id), row.name, bool(row.disabled))


def take_awaited(session: Writer, proven: Proven) -> Holder | None:
    """Binds an identity that nobody holds to the account that awaits its name, if there is one.

    Of two who come at once with the same name one is bound. A disabled account goes on waiting.
    """
    if proven.named is None:
        return None
    which = "i.subject IS NULL AND i.named = :named AND i.awaited_until > now() FOR UPDATE OF i"
    binds = {"issuer": proven.issuer, "named": proven.named, "subject": proven.subject}
    row = session.execute(sa.text(_HOLDER.format(which=which)), binds).one_or_none()
    if row is None or row.disabled:
        return None if row is None else Holder(int(row.id), row.name, disabled=True)
    update = sa.text(
        "UPDATE account_identity SET subject = :subject, bound_at = now(), awaited_until = NULL"
        " WHERE issuer = :issuer AND account = :account"
    )
    try:
        with session.begin_nested():
            session.execute(update, {**binds, "account": row.id})
    except sa.exc.IntegrityError:  # an administrator has bound it at this very moment
        return None
    detail = {"provider": proven.issuer, "subject": proven.subject, "named": proven.named}
    entry = Entry(
        row.name,
        "account.identity_taken",
        f"account:{row.name}",
        paths=audited_paths(session, row.id),
        after=detail,
        detail=detail,
    )
    record(session, entry)
    return Holder(int(row.id), row.name, disabled=False)


def held(session: Session, scope: Scope, name: str) -> Held | None:
    """An account's identity.

    Raises:
        NotFound: no such account in the scope.
        Forbidden: it also holds roles beyond it.
    """
    return _held(session, _whole(session, scope, name).id)


def _held(session: Session, account: int) -> Held | None:
    row = session.execute(
        sa.text(
            "SELECT issuer, subject, named, added_at, added_by, bound_at, awaited_until FROM account_identity"
            " WHERE account = :account ORDER BY added_at DESC LIMIT 1"
        ),
        {"account": account},
    ).one_or_none()
    return None if row is None else Held(*row)


def _whole(session: Session, scope: Scope, name: str) -> Account:
    found = one(session, scope, name)
    if found.elsewhere:
        raise Forbidden(f"{name} also holds roles beyond your areas", code="beyond_your_areas")
    return found


def _text(value: str | None, what: str) -> str | None:
    if value is None:
        return None
    if not 1 <= len(value) <= LONGEST or not value.isprintable() or value != value.strip():
        raise InvalidInput(
            f"{what} {value[:80]!r}: 1 to {LONGEST} printable characters, as the provider says it",
            code="bad_identity",
        )
    return value


def bind(
    session: Writer,
    by: Administrator,
    name: str,
    issuer: str,
    *,
    subject: str | None = None,
    named: str | None = None,
    reason: str | None = None,
) -> None:
    """Binds an account to an identity by its subject, or awaits the first who comes with a name, for `AWAITED`.

    Raises:
        InvalidInput: not one of the two, or no text.
        NotFound, Forbidden: the account is not within the areas of `by`, or not all of it.
        Conflict: it has an identity, or another account has or awaits this one.
    """
    if (subject is None) == (named is None):
        raise InvalidInput("A subject or a name to await is needed, not both", code="bad_identity")
    subject, named = _text(subject, "subject"), _text(named, "name")
    found = _whole(session, by.scope, name)
    # What was awaited in vain is no identity, and stands in nobody's way.
    vain = "DELETE FROM account_identity WHERE subject IS NULL AND awaited_until <= now()"
    session.execute(sa.text(f"{vain} AND issuer = :issuer"), {"issuer": issuer})
    if _held(session, found.id) is not None:
        raise Conflict(f"{name} has an identity already: unbind it first", code="identity_held")
    try:
        with session.begin_nested():
            session.execute(
                sa.text(
                    "INSERT INTO account_identity (account, issuer, subject, named, added_by, bound_at, awaited_until)"
                    " VALUES (:account, :issuer, :subject, :named, :by,"
                    " CASE WHEN CAST(:subject AS text) IS NOT NULL THEN now() END,"
                    " CASE WHEN CAST(:subject AS text) IS NULL THEN now() + CAST(:awaited AS interval) END)"
                ),
                {
                    "account": found.id,
                    "issuer": issuer,
                    "subject": subject,
                    "named": named,
                    "by": by.name,
                    "awaited": AWAITED,
                },
            )
    except sa.exc.IntegrityError as error:
        raise Conflict("Another account has or awaits this identity", code="identity_taken") from error
    action = "account.identity_bind" if subject is not None else "account.identity_await"
    detail = {"provider": issuer, "subject": subject, "named": named}
    _recorded(session, by, found, action, reason, {"after": detail, "detail": detail})


def unbind(session: Writer, by: Administrator, name: str, reason: str | None = None) -> None:
    """Takes its identity from an account and ends its sessions and bearer tokens.

    Raises:
        NotFound, Forbidden: the account is not within the areas of `by`, or not all of it; it has no identity.
    """
    found = _whole(session, by.scope, name)
    had = _held(session, found.id)
    if had is None:
        raise NotFound(f"{name} is bound to no identity", code="no_identity")
    binds = {"account": found.id}
    session.execute(sa.text("DELETE FROM account_identity WHERE account = :account"), binds)
    session.execute(
        sa.text("UPDATE account SET token_version = token_version + 1 WHERE id = :account"), binds
    )
    detail = {"provider": had.issuer, "subject": had.subject, "named": had.named}
    _recorded(session, by, found, "account.identity_unbind", reason, {"before": detail, "detail": detail})


def _recorded(  # each names a fact of the record
    session: Writer,
    by: Administrator,
    found: Account,
    action: str,
    reason: str | None,
    facts: Mapping[str, Any],
) -> None:
    paths = audited_paths(session, found.id)
    detail = {**by.detail, **facts["detail"]}
    entry = Entry(
        by.name,
        action,
        f"account:{found.name}",
        paths=paths,
        reason=reason,
        before=facts.get("before"),
        after=facts.get("after"),
        detail=detail,
    )
    record(session, entry)
    tell(session)
