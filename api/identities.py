"""Who is who: what a process remembers of accounts, as long as it hears of their changes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from api.tokens import Claims
from gridmap import accounts, tokens_issued
from gridmap.access import Principal
from gridmap.db import Database
from gridmap.errors import Unauthorised

KEPT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    principal: Principal
    version: int
    machine: frozenset[str]
    revoked: frozenset[str]


class Identities:
    """Principals by account.

    Args:
        database: where accounts stand.
        is_told: whether changes of accounts are heard of; while they are not, every request asks the database.
    """

    def __init__(self, database: Database, is_told: Callable[[], bool]) -> None:
        self._database, self._is_told = database, is_told
        self._known: dict[int, _Known] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """An account changed, or where an area lies: everybody is asked for anew."""
        with self._lock:
            self._changes += 1
            self._known.clear()

    def known(self, claims: Claims) -> Principal | None:
        """Who a token speaks for, if it is surely known; None means: `read`.

        Raises:
            Unauthorised: the token was revoked.
        """
        kept = self._known.get(claims.account)
        if kept is None or kept.until < time.monotonic() or not self._is_told():
            return None
        return _fits(claims, kept)

    def read(self, claims: Claims) -> Principal:
        """Who a token speaks for today.

        Raises:
            Unauthorised: the account is disabled or gone, or the token was revoked.
        """
        changes = self._changes
        with self._database.reader() as session:
            found = accounts.principal(session, claims.account)
            if found is None:
                raise _revoked()
            machine, revoked = tokens_issued.holding(session, claims.account)
        kept = _Known(time.monotonic() + KEPT_S, *found, machine, revoked)
        with self._lock:
            if changes == self._changes:  # else it may be what was before the change
                self._known[claims.account] = kept
        return _fits(claims, kept)


def _revoked() -> Unauthorised:
    return Unauthorised("The token was revoked; sign in again", code="token_revoked")


def _fits(claims: Claims, kept: _Known) -> Principal:
    if claims.kind == "machine":
        if claims.id not in kept.machine:
            raise _revoked()
        # Whatever else the account came to hold: a machine's token posts, and nothing more.
        only = tuple(role for role in kept.principal.roles if role.role == "source")
        return (
            kept.principal
            if only == kept.principal.roles
            else replace(kept.principal, roles=only, _reaches={})
        )
    if claims.version != kept.version or claims.id in kept.revoked:
        raise _revoked()
    return kept.principal
