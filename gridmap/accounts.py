"""Who may sign in: accounts, their passwords, their roles and areas."""

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from gridmap.access import EVERYWHERE, ROLES, Principal, Role
from gridmap.db import Writer
from gridmap.errors import Conflict, InvalidInput, NotFound

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256


def hash_password(password: str) -> str:
    """Argon2id with the library's parameters (RFC 9106, low memory).

    Raises:
        InvalidInput: too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, this one {len(password)}",
            code="bad_password",
        )
    return PasswordHasher().hash(password)


# Verified against when there is no such account, so that the time taken does not tell.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$Kmzj1KWyVHG0mXx7nTzBcPN2ElyPEIAR4DnwPcLoPbE"


def authenticate(session: Session, name: str, password: str) -> int | None:
    """The account's number if name and password are right and it is not disabled, else None."""
    row = session.execute(
        sa.text("SELECT id, password_hash FROM account WHERE name = :name AND disabled_at IS NULL"),
        {"name": name},
    ).one_or_none()
    stored = row.password_hash if row is not None and row.password_hash else _NOBODY
    try:
        PasswordHasher().verify(stored, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return None
    return int(row.id) if row is not None and row.password_hash else None


def add_account(
    session: Writer,
    name: str,
    roles: Sequence[tuple[str, str]],
    *,
    password: str | None = None,
    display_name: str = "",
    worker: int | None = None,
    source: str | None = None,
) -> int:
    """Adds an account with roles, each held for an area code or `*`; None as password: only tokens.

    Raises:
        InvalidInput: the name, a role, an area or the password will not do.
        Conflict: the name is taken.
    """
    _check_roles(session, roles)
    hashed = hash_password(password) if password is not None else None
    try:
        with session.begin_nested():
            account = session.execute(
                sa.text(
                    "INSERT INTO account (name, display_name, password_hash, worker, source)"
                    " VALUES (:name, :display_name, :hashed, :worker, :source) RETURNING id"
                ),
                {
                    "name": name,
                    "display_name": display_name or name,
                    "hashed": hashed,
                    "worker": worker,
                    "source": source or (name if any(role == "source" for role, _ in roles) else None),
                },
            ).scalar_one()
    except sa.exc.IntegrityError as error:
        if "account_name_key" in str(error.orig):
            raise Conflict(f"There is an account {name} already", code="name_taken") from error
        raise InvalidInput(
            f"{name!r} is no account name: letters, digits and . _ @ - only, 64 at most", code="bad_name"
        ) from error
    for role, area in dict.fromkeys(roles):
        session.execute(
            sa.text("INSERT INTO account_role (account, role, area) VALUES (:account, :role, :area)"),
            {"account": account, "role": role, "area": area},
        )
    session.execute(
        sa.text("INSERT INTO audit (actor, action, object) VALUES ('operator', 'account.add', :name)"),
        {"name": name},
    )
    session.execute(sa.text("NOTIFY gridmap, 'accounts'"))
    return int(account)


def _check_roles(session: Session, roles: Sequence[tuple[str, str]]) -> None:
    if not roles:
        raise InvalidInput("An account needs at least one role", code="no_role")
    for role, area in roles:
        if role not in ROLES:
            raise InvalidInput(f"{role!r} is no role; allowed: {', '.join(ROLES)}", code="unknown_role")
        if area == EVERYWHERE:
            continue
        known = session.execute(
            sa.text("SELECT 1 FROM area WHERE code = :code AND edition_to IS NULL"), {"code": area}
        ).scalar_one_or_none()
        if known is None:
            raise InvalidInput(f"No living area has the code {area!r}; * means all", code="unknown_area")


def account_number(session: Session, name: str) -> tuple[int, int]:
    """Number and token version of an account.

    Raises:
        NotFound: there is none of this name, or it is disabled.
    """
    row = session.execute(
        sa.text("SELECT id, token_version FROM account WHERE name = :name AND disabled_at IS NULL"),
        {"name": name},
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"No account {name}: gridmap user add {name} --role … --area …", code="unknown_account"
        )
    return int(row.id), int(row.token_version)


def principal(session: Session, account: int) -> tuple[Principal, int] | None:
    """Who an account is today and its token version; None where it is disabled or gone."""
    row = session.execute(
        sa.text(
            "SELECT name, display_name, worker, source, token_version FROM account"
            " WHERE id = :account AND disabled_at IS NULL"
        ),
        {"account": account},
    ).one_or_none()
    if row is None:
        return None
    roles = session.execute(
        sa.text(
            "SELECT r.role, r.area, a.path::text FROM account_role r"
            " LEFT JOIN area a ON a.code = r.area AND a.edition_to IS NULL"
            " WHERE r.account = :account ORDER BY r.role, r.area"
        ),
        {"account": account},
    )
    held = tuple(Role(role, area, path) for role, area, path in roles)
    who = Principal(row.name, row.display_name, held, account, row.worker, row.source)
    return who, int(row.token_version)


def random_password() -> str:
    """A password for a first account that nobody has to invent."""
    return secrets.token_urlsafe(15)
