"""Which tokens were issued to an account, and which of them still hold."""

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Scope
from gridmap.account_changes import one
from gridmap.accounts import Administrator, audited_paths
from gridmap.audit import Entry, record
from gridmap.db import Writer
from gridmap.errors import Conflict, Forbidden

KEPT_AFTER = dt.timedelta(days=180)  # those that have expired stay listed for as long


@dataclass(frozen=True)
class Issued:
    """A session, a bearer token or a machine token; never its content."""

    id: str
    kind: str
    label: str
    issued_at: dt.datetime
    issued_by: str
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


def new_id() -> str:
    """A number for a token."""
    return secrets.token_urlsafe(12)


def note(
    session: Writer,
    account: int,
    token: str,
    kind: str,
    expires_at: dt.datetime | None,
    by: str,
    label: str = "",
) -> None:
    """Keeps that a token was issued, and forgets what expired long ago."""
    session.execute(
        sa.text(
            "DELETE FROM token WHERE account = :account AND expires_at < now() - CAST(:kept AS interval)"
        ),
        {"account": account, "kept": KEPT_AFTER},
    )
    session.execute(
        sa.text(
            "INSERT INTO token (id, account, kind, label, issued_by, expires_at)"
            " VALUES (:id, :account, :kind, :label, :by, :expires_at)"
        ),
        {"id": token, "account": account, "kind": kind, "label": label, "by": by, "expires_at": expires_at},
    )


def issue_machine_token(session: Writer, by: Administrator, name: str, label: str) -> tuple[int, str]:
    """Notes a token without an end for a machine that posts; account and the token's number.

    Raises:
        NotFound, Forbidden: the account is not within the areas of `by`, or not all of it.
        Conflict: it is disabled, or it does more than post.
    """
    found = one(session, by.scope, name)
    if found.elsewhere:
        raise Forbidden(f"{name} also holds roles beyond your areas", code="beyond_your_areas")
    if found.disabled_at is not None:
        raise Conflict(f"{name} is disabled", code="already_disabled")
    if {role for role, _ in found.roles} != {"source"}:
        raise Conflict(
            f"Machine tokens are for accounts that only post: {name} holds other roles than source",
            code="not_a_source",
        )
    number = new_id()
    note(session, found.id, number, "machine", None, by.name, label)
    detail = {**by.detail, "kind": "machine", "label": label, "token": number}
    paths = audited_paths(session, found.id)
    record(session, Entry(by.name, "token.issue", f"account:{name}", paths=paths, detail=detail))
    return found.id, number


def listed(session: Session, by_scope: Scope, name: str) -> Sequence[Issued]:
    """What was issued to an account, the newest first; what has ended too.

    Raises:
        NotFound: no such account in the scope.
        Forbidden: it also holds roles beyond it.
    """
    found = one(session, by_scope, name)
    if found.elsewhere:
        raise Forbidden(f"{name} also holds roles beyond your areas", code="beyond_your_areas")
    rows = session.execute(
        sa.text(
            "SELECT id, kind, label, issued_at, issued_by, expires_at, revoked_at FROM token"
            " WHERE account = :account ORDER BY issued_at DESC, id LIMIT 200"
        ),
        {"account": found.id},
    )
    return [Issued(*row) for row in rows]


def holding(session: Session, account: int) -> tuple[frozenset[str], frozenset[str]]:
    """Numbers of the machine tokens that hold, and of other tokens that were revoked before their end."""
    rows = session.execute(
        sa.text(
            "SELECT id, revoked_at IS NULL FROM token WHERE account = :account"
            " AND (kind = 'machine' AND revoked_at IS NULL"
            " OR kind <> 'machine' AND revoked_at IS NOT NULL AND expires_at > now())"
        ),
        {"account": account},
    ).all()
    return frozenset(key for key, live in rows if live), frozenset(key for key, live in rows if not live)


def end(session: Writer, account: int, token: str) -> None:
    """Revokes one token of an account: somebody signs out."""
    session.execute(
        sa.text(
            "UPDATE token SET revoked_at = now() WHERE id = :token AND account = :account AND revoked_at IS NULL"
        ),
        {"token": token, "account": account},
    )
    session.execute(sa.text("NOTIFY gridmap, 'accounts'"))
