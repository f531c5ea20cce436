"""Accounts changed: roles, passwords, closing; within the areas of whoever administers, recorded, at once.

Who administers some areas sees accounts with a role in them, and of these the roles in them. Roles are given and
taken within them; what touches the whole account (its password, closing it) is for those whose areas hold all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import EVERYWHERE, Scope
from gridmap.accounts import (
    Administrator,
    audited_paths,
    authenticate,
    check_password,
    check_role,
    hash_password,
    tell,
)
from gridmap.audit import Entry, record
from gridmap.db import LOCK_SPACE, Writer
from gridmap.errors import Conflict, Forbidden, InvalidInput, NotFound
from gridmap.in_force import HELD

LOCK_ACCOUNTS = 4
LARGEST_PAGE = 500


@dataclass(frozen=True)
class Account:
    """An account as an administrator sees it: the roles within their areas, and whether there are others."""

    id: int
    name: str
    display_name: str
    roles: tuple[tuple[str, str], ...]
    elsewhere: bool
    worker: int | None
    source: str | None
    has_password: bool
    created_at: Any
    signed_in_at: Any
    disabled_at: Any


_SEEN = f"""
WITH {HELD.format(codes="(SELECT DISTINCT area FROM account_role)")}
SELECT a.id, a.name, a.display_name, a.worker, a.source, a.password_hash IS NOT NULL AS has_password, a.created_at,
    a.signed_in_at, a.disabled_at, coalesce(json_agg(json_build_array(r.role, r.area) ORDER BY r.role, r.area)
        FILTER (WHERE {{held}}), '[]') AS roles,
    count(r.*) FILTER (WHERE NOT coalesce({{held}}, false)) > 0 AS elsewhere
FROM account a LEFT JOIN account_role r ON r.account = a.id
WHERE {{where}} GROUP BY a.id HAVING {{seen}} ORDER BY a.name LIMIT :limit
"""


def _select(
    session: Session, scope: Scope, where: str, binds: dict[str, Any], limit: int
) -> Sequence[Account]:
    # All of what holds its land, where its area lives no more; null where nothing does.
    condition, given = scope.condition("p.path")
    held = f"(SELECT bool_and({condition}) FROM held p WHERE p.code = r.area)"
    if scope.paths is None:
        held, seen = "r.role IS NOT NULL", "TRUE"
    else:
        seen = f"bool_or(coalesce({held}, false))"
    rows = session.execute(
        sa.text(_SEEN.format(held=held, where=where, seen=seen)), {**binds, **given, "limit": limit}
    ).mappings()
    return [Account(**{**row, "roles": tuple((role, area) for role, area in row["roles"])}) for row in rows]


def page(
    session: Session, scope: Scope, *, q: str = "", after: str = "", limit: int = 100
) -> Sequence[Account]:
    """Accounts with a role in the scope by their names; `q` is part of the name or of what the pages show."""
    where = "a.name > :after AND (:q = '' OR strpos(lower(a.name || ' ' || a.display_name), lower(:q)) > 0)"
    return _select(session, scope, where, {"q": q, "after": after}, limit)


def one(session: Session, scope: Scope, name: str) -> Account:
    """An account.

    Raises:
        NotFound: there is none of this name with a role in the scope.
    """
    found = _select(session, scope, "a.name = :name", {"name": name}, 1)
    if not found:
        raise NotFound(f"No account {name} within your areas", code="unknown_account")
    return found[0]


def _begin(session: Writer, by: Administrator, name: str, *, whole: bool) -> Account:
    """One change after the other, so that no two take the last administrator's role at once."""
    session.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {LOCK_ACCOUNTS})"))
    found = one(session, by.scope, name)
    if whole and found.elsewhere:
        raise Forbidden(
            f"{name} also holds roles beyond your areas: you may take those within, not change the account",
            code="beyond_your_areas",
        )
    return found


def _state(session: Session, name: str) -> dict[str, Any]:
    found = one(session, Scope(None), name)
    return {
        "display_name": found.display_name,
        "roles": [list(role) for role in found.roles],
        "worker": found.worker,
        "source": found.source,
        "disabled": found.disabled_at is not None,
    }


def _apply(
    session: Writer,
    by: Administrator,
    found: Account,
    entry: dict[str, Any],
    statements: Sequence[tuple[str, dict[str, Any]]],
) -> None:
    """Runs the statements between two looks at the account, keeps an administrator, and records it."""
    before, paths = _state(session, found.name), set(audited_paths(session, found.id))
    had = _administrators(session)
    for statement, binds in statements:
        session.execute(sa.text(statement), {"account": found.id, **binds})
    if had and not _administrators(session):
        raise Conflict(
            f"{found.name} is the last administrator of all areas: make another one first", code="last_admin"
        )
    everywhere = any(
        area == EVERYWHERE for _, area in [*before["roles"], *_state(session, found.name)["roles"]]
    )
    paths |= set(audited_paths(session, found.id))
    detail = {**by.detail, **entry.pop("detail", {})}
    record(
        session,
        Entry(
            by.name,
            object=f"account:{found.name}",
            paths=() if everywhere else tuple(sorted(paths)),
            before=before,
            after=_state(session, found.name),
            detail=detail,
            **entry,
        ),
    )
    tell(session)


def _administrators(session: Session) -> int:
    return int(
        session.execute(
            sa.text(
                "SELECT count(*) FROM account_role r JOIN account a ON a.id = r.account"
                " WHERE r.role = 'admin' AND r.area = '*' AND a.disabled_at IS NULL"
            )
        ).scalar_one()
    )


def add_role(
    session: Writer, by: Administrator, name: str, role: tuple[str, str], reason: str | None = None
) -> None:
    """Gives an account a role for an area.

    Raises:
        NotFound: no such account or area within those of `by`.
        Forbidden: everywhere is for those who administer everywhere.
        Conflict: it holds the role already.
    """
    check_role(session, by, *role)
    found = _begin(session, by, name, whole=False)
    if role in found.roles:
        raise Conflict(f"{name} is {role[0]} for {role[1]} already", code="role_held")
    insert = "INSERT INTO account_role (account, role, area) VALUES (:account, :role, :area)"
    entry = {"action": "account.role_add", "area": _code(role[1]), "reason": reason, "detail": _said(role)}
    _apply(session, by, found, entry, [(insert, {"role": role[0], "area": role[1]})])


def remove_role(
    session: Writer, by: Administrator, name: str, role: tuple[str, str], reason: str | None = None
) -> None:
    """Takes a role for an area from an account.

    Raises:
        NotFound: no such account within the areas of `by`, or it does not hold the role there.
        Conflict: it is the account's last role, or the last administrator's of all areas.
    """
    found = _begin(session, by, name, whole=False)
    if role not in found.roles:
        raise NotFound(f"{name} is not {role[0]} for {role[1]}", code="role_not_held")
    if len(found.roles) == 1 and not found.elsewhere:
        raise Conflict(f"{name} would be left without a role: disable the account instead", code="last_role")
    delete = "DELETE FROM account_role WHERE account = :account AND role = :role AND area = :area"
    entry = {"action": "account.role_remove", "area": _code(role[1]), "reason": reason, "detail": _said(role)}
    _apply(session, by, found, entry, [(delete, {"role": role[0], "area": role[1]})])


def _code(area: str) -> str | None:
    return None if area == EVERYWHERE else area


def _said(role: tuple[str, str]) -> dict[str, str]:
    return {"role": f"{role[0]} {role[1]}"}


_REVOKE_ALL = "UPDATE account SET token_version = token_version + 1 WHERE id = :account"


def disable(session: Writer, by: Administrator, name: str, reason: str | None = None) -> None:
    """Closes an account: nobody signs in, sessions and tokens end; machine tokens wait for its being opened again.

    Raises:
        NotFound, Forbidden: not within the areas of `by`, or not all of it.
        Conflict: it is closed, or the last administrator's of all areas.
    """
    found = _begin(session, by, name, whole=True)
    if found.disabled_at is not None:
        raise Conflict(f"{name} is disabled already", code="already_disabled")
    close = "UPDATE account SET disabled_at = now() WHERE id = :account"
    _apply(
        session, by, found, {"action": "account.disable", "reason": reason}, [(close, {}), (_REVOKE_ALL, {})]
    )


def enable(session: Writer, by: Administrator, name: str, reason: str | None = None) -> None:
    """Opens a closed account again.

    Raises:
        NotFound, Forbidden: not within the areas of `by`, or not all of it.
        Conflict: it is open.
    """
    found = _begin(session, by, name, whole=True)
    if found.disabled_at is None:
        raise Conflict(f"{name} is not disabled", code="not_disabled")
    update = "UPDATE account SET disabled_at = NULL WHERE id = :account"
    _apply(session, by, found, {"action": "account.enable", "reason": reason}, [(update, {})])


def set_password(
    session: Writer, by: Administrator, name: str, password: str | None, reason: str | None = None
) -> None:
    """Gives an account another password, or None, and ends its sessions and bearer tokens.

    Raises:
        NotFound, Forbidden: not within the areas of `by`, or not all of it.
        InvalidInput: too short or too long.
    """
    hashed = None if password is None else hash_password(password)
    found = _begin(session, by, name, whole=True)
    update = "UPDATE account SET password_hash = :hashed WHERE id = :account"
    entry = {
        "action": "account.password",
        "reason": reason,
        "detail": {} if password else {"removed": True},
    }
    _apply(session, by, found, entry, [(update, {"hashed": hashed}), (_REVOKE_ALL, {})])


def check_new_password(old: str, new: str) -> None:
    """Whether it will do in place of the old one.

    Raises:
        InvalidInput: it is the old one, too short or too long.
    """
    check_password(new)
    if old == new:
        raise InvalidInput("The new password is the old one", code="bad_password")


def change_own_password(session: Writer, name: str, old: str, new: str) -> bool:
    """Somebody's own password, by the old one; ends all sessions and bearer tokens.

    Returns:
        False where the old one is wrong.

    Raises:
        InvalidInput: the new one is the old one, too short or too long.
    """
    check_new_password(old, new)
    account = authenticate(session, name, old)
    if account is None:
        return False
    hashed = hash_password(new)
    session.execute(
        sa.text(
            "UPDATE account SET password_hash = :hashed, token_version = token_version + 1 WHERE id = :account"
        ),
        {"hashed": hashed, "account": account},
    )
    paths = audited_paths(session, account)
    record(session, Entry(name, "account.password", f"account:{name}", paths=paths, detail={"own": True}))
    tell(session)
    return True


def revoke(
    session: Writer, by: Administrator, name: str, token: str | None = None, reason: str | None = None
) -> None:
    """Ends all sessions and tokens of an account, machine tokens too; or one of them.

    Raises:
        NotFound, Forbidden: not within the areas of `by`, or not all of it; no such token.
    """
    found = _begin(session, by, name, whole=True)
    entry = {"action": "token.revoke", "reason": reason, "detail": {"token": token or "all"}}
    update = "UPDATE token SET revoked_at = now() WHERE account = :account AND revoked_at IS NULL"
    if token is None:
        _apply(session, by, found, entry, [(update, {}), (_REVOKE_ALL, {})])
        return
    known = session.execute(
        sa.text("SELECT 1 FROM token WHERE id = :token AND account = :account AND revoked_at IS NULL"),
        {"token": token, "account": found.id},
    ).scalar_one_or_none()
    if known is None:
        raise NotFound(f"{name} has no token {token}", code="unknown_token")
    _apply(session, by, found, entry, [(f"{update} AND id = :token", {"token": token})])
