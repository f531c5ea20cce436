"""Who may sign in: accounts, their passwords, their roles and areas."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from gridmap.access import EVERYWHERE, ROLES, Principal, Role, Scope
from gridmap.audit import OPERATOR, Entry, paths_of, record
from gridmap.db import Writer
from gridmap.errors import Conflict, Forbidden, InvalidInput, NotFound
from gridmap.in_force import HELD, LIVING

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256


@dataclass(frozen=True)
class Administrator:
    """Who changes accounts.

    Attributes:
        name: as the audit says it.
        scope: what they administer; roles beyond it are neither seen nor given.
        detail: what the audit says besides.
    """

    name: str
    scope: Scope
    detail: Mapping[str, Any] = field(default_factory=dict)


THE_OPERATOR = Administrator(OPERATOR, Scope(None))


def hash_password(password: str) -> str:
    """Argon2id with the library's parameters (RFC 9106, low memory).

    Raises:
        InvalidInput: too short or too long.
    """
    check_password(password)
    return PasswordHasher().hash(password)


def check_password(password: str) -> None:
    """Whether it will do.

    Raises:
        InvalidInput: too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, this one {len(password)}",
            code="bad_password",
        )


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
    by: Administrator = THE_OPERATOR,
) -> int:
    """Adds an account with roles, each held for an area code or `*`; None as password: only tokens.

    Raises:
        InvalidInput: the name, a role, an area or the password will not do.
        NotFound: an area is not within those of `by`, or the worker serves others.
        Forbidden: `by` may not give roles everywhere, or a source that others use.
        Conflict: the name is taken.
    """
    if not roles:
        raise InvalidInput("An account needs at least one role", code="no_role")
    for role, area in roles:
        check_role(session, by, role, area)
    source = source or (name if any(role == "source" for role, _ in roles) else None)
    check_bound(session, by, worker, source)
    hashed = hash_password(password) if password is not None else None
    values = {
        "name": name,
        "display_name": display_name or name,
        "hashed": hashed,
        "worker": worker,
        "source": source,
    }
    try:
        with session.begin_nested():
            account = session.execute(
                sa.text(
                    "INSERT INTO account (name, display_name, password_hash, worker, source)"
                    " VALUES (:name, :display_name, :hashed, :worker, :source) RETURNING id"
                ),
                values,
            ).scalar_one()
    except sa.exc.IntegrityError as error:
        if "account_name_key" in str(error.orig):
            raise Conflict(f"There is an account {name} already", code="name_taken") from error
        if "account_worker_fkey" in str(error.orig):
            raise InvalidInput(f"There is no worker {worker}", code="unknown_worker") from error
        raise InvalidInput(
            f"{name!r} is no account name: letters, digits and . _ @ - only, 64 at most", code="bad_name"
        ) from error
    held = list(dict.fromkeys(roles))
    for role, area in held:
        session.execute(
            sa.text("INSERT INTO account_role (account, role, area) VALUES (:account, :role, :area)"),
            {"account": account, "role": role, "area": area},
        )
    state = {"display_name": display_name or name, "roles": sorted(map(list, held)), "source": source}
    record(
        session,
        Entry(
            by.name,
            "account.add",
            f"account:{name}",
            paths=audited_paths(session, account),
            after={**state, "worker": worker},
            detail={**by.detail, "roles": [f"{role} {area}" for role, area in held]},
        ),
    )
    tell(session)
    return int(account)


def tell(session: Session) -> None:
    """Has every process ask anew who is who, once this transaction is committed."""
    session.execute(sa.text("NOTIFY gridmap, 'accounts'"))


def check_role(session: Session, by: Administrator, role: str, area: str) -> None:
    """Whether somebody may give or take this role for this area.

    Raises:
        InvalidInput: no such role.
        NotFound, InvalidInput: no such living area; for whom areas are bounded also one beyond them.
        Forbidden: everywhere is for those who administer everywhere.
    """
    if role not in ROLES:
        raise InvalidInput(f"{role!r} is no role; allowed: {', '.join(ROLES)}", code="unknown_role")
    if area == EVERYWHERE:
        if by.scope.paths is not None:
            raise Forbidden(
                "Roles for all areas are given by those who administer all", code="beyond_your_areas"
            )
        return
    path = next(iter(paths_of(session, [area])), None)
    if by.scope.paths is None and path is None:
        raise InvalidInput(f"No living area has the code {area!r}; * means all", code="unknown_area")
    if path is None or not by.scope.holds(path):
        raise NotFound(f"No area {area} within your areas", code="unknown_area")


def check_bound(session: Session, by: Administrator, worker: int | None, source: str | None) -> None:
    """Whether somebody may bind an account to a worker, whose events it would read, or to a source, whose posts.

    Raises:
        NotFound: the worker serves areas beyond those of `by`.
        Forbidden: the source has posted already or belongs to another account.
    """
    if by.scope.paths is None:
        return
    if worker is not None:
        served = (
            session.execute(
                sa.text(
                    "SELECT a.path::text FROM service_area s"
                    f" LEFT JOIN {LIVING} a ON a.code = s.area"
                    " WHERE s.worker = :worker AND (s.valid_to IS NULL OR s.valid_to > now())"
                ),
                {"worker": worker},
            )
            .scalars()
            .all()
        )
        if not served or not all(path is not None and by.scope.holds(path) for path in served):
            raise NotFound(f"No worker {worker} within your areas", code="unknown_worker")
    if (
        source is not None
        and session.execute(
            sa.text(
                "SELECT EXISTS (SELECT FROM event_key WHERE source = :source)"
                " OR EXISTS (SELECT FROM account WHERE source = :source)"
            ),
            {"source": source},
        ).scalar_one()
    ):
        raise Forbidden(
            f"The source {source} is in use; those who administer all areas bind it", code="source_in_use"
        )


def audited_paths(session: Session, account: int) -> tuple[str, ...]:
    """Whose administrators read what concerns an account: those of its areas, where it holds none everywhere."""
    areas = "SELECT area FROM account_role WHERE account = :account"
    rows = session.execute(
        sa.text(
            f"WITH {HELD.format(codes=f'({areas})')} SELECT DISTINCT path::text FROM held"
            f" WHERE :everywhere NOT IN ({areas}) ORDER BY 1"
        ),
        {"account": account, "everywhere": EVERYWHERE},
    )
    return tuple(rows.scalars())


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
            f"WITH {HELD.format(codes='(SELECT area FROM account_role WHERE account = :account)')}"
            " SELECT r.role, coalesce(a.now, r.area), a.path::text FROM account_role r"
            " LEFT JOIN held a ON a.code = r.area WHERE r.account = :account ORDER BY 1, 2"
        ),
        {"account": account},
    )
    held = tuple(Role(role, area, path) for role, area, path in roles)
    closed = session.execute(sa.text("SELECT category, role FROM category_closed ORDER BY category, role"))
    closings = tuple((category, role) for category, role in closed)
    who = Principal(row.name, row.display_name, held, account, row.worker, row.source, closings)
    return who, int(row.token_version)


def random_password() -> str:
    """A password for a first account that nobody has to invent."""
    return secrets.token_urlsafe(15)
