"""Signing in and out: tries counted, tokens and sessions issued, renewed, ended; all of it recorded."""

import contextlib
import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from api.tokens import LIFETIME, Claims, Kind, Tokens
from gridmap import accounts, provider_identities, throttle, tokens_issued
from gridmap.account_changes import change_own_password, check_new_password
from gridmap.audit import Entry, record
from gridmap.db import Database, Writer
from gridmap.errors import Forbidden, NotFound, Unauthorised
from gridmap.provider_identities import Proven


@dataclass(frozen=True)
class SigningIn:
    """The way in.

    Args:
        database: where accounts stand and tries are counted.
        tokens: signs them.
    """

    database: Database
    tokens: Tokens

    def by_password(self, name: str, password: str, address: str | None, kind: Kind) -> str:
        """A token for whoever knows the password.

        Raises:
            Unauthorised: wrong, or locked after too many tries.
        """
        name = name.replace("\x00", "\ufffd")  # no account has one, and the database takes none
        with self.database.writer() as session:
            left = throttle.take(session, name, address)
        if left is None:
            raise Unauthorised(
                f"Too many failed tries; wait {throttle.LOCKED_S / 60:.0f} minutes", code="sign_in_locked"
            )
        with self.database.reader() as session:  # argon2 takes its time: no row is held meanwhile
            account = accounts.authenticate(session, name, password)
        with self.database.writer() as session:
            if account is not None:
                throttle.give_back(session, name, address)
                with contextlib.suppress(NotFound):  # closed while its password was looked at
                    return self._issue(session, name, kind, {"address": address})
            self._record_failure(session, name, address, left)
        raise Unauthorised(
            f"Name or password is wrong; {left} tries left", code="sign_in_failed", findings=[{"left": left}]
        )

    def _record_failure(self, session: Writer, name: str, address: str | None, left: int) -> None:
        number = session.execute(
            sa.text("SELECT id FROM account WHERE name = :name"), {"name": name}
        ).scalar_one_or_none()
        paths = () if number is None else accounts.audited_paths(session, number)
        # What was typed is nobody's name, so it may be a password.
        target = "account:-" if number is None else f"account:{name}"
        actions = ["sign_in.failed", *(["sign_in.locked"] if left == 0 else [])]
        detail = {"address": address}
        record(session, *[Entry("-", action, target, paths=paths, detail=detail) for action in actions])

    def by_provider(self, proven: Proven, address: str | None) -> str:
        """A session for whomever an external provider's word binds.

        Raises:
            Unauthorised: `identity_unknown` where no account has the identity, `account_disabled`.
        """
        detail: dict[str, object] = {"address": address, "provider": proven.issuer, "subject": proven.subject}
        with self.database.writer() as session:
            # Once more at the end: it may have been bound by an attempt at the same moment.
            look, take = provider_identities.holder, provider_identities.take_awaited
            found = look(session, proven) or take(session, proven) or look(session, proven)
            if found is not None and not found.disabled:
                with contextlib.suppress(NotFound):  # closed at this moment
                    return self._issue(session, found.name, "session", detail)
            target = "account:-" if found is None else f"account:{found.name}"
            paths = () if found is None else accounts.audited_paths(session, found.account)
            refused = {**detail, "named": proven.named}
            record(session, Entry("-", "sign_in.failed", target, paths=paths, detail=refused))
        if found is None:
            raise Unauthorised("No account is bound to this identity", code="identity_unknown")
        raise Unauthorised("The account is disabled", code="account_disabled")

    def change_password(self, name: str, old: str, new: str, address: str | None, claims: Claims) -> str:
        """Somebody's own password; a new token of the same kind, since all others end.

        Raises:
            Forbidden: the old one is wrong, or the name is locked after too many tries.
            InvalidInput: the new one will not do.
        """
        check_new_password(old, new)  # before a try is counted
        with self.database.writer() as session:
            left = throttle.take(session, name, address)
        if left is None:
            raise Forbidden("Too many failed tries; wait a while", code="sign_in_locked")
        with self.database.writer() as session:
            if change_own_password(session, name, old, new):
                throttle.give_back(session, name, address)
                return self._issue(session, name, claims.kind, {"address": address}, claims.csrf)
            self._record_failure(session, name, address, left)
        raise Forbidden(f"The old password is wrong; {left} tries left", code="wrong_password")

    def for_operator(self, name: str, user: str) -> str:
        """A bearer token without a password, for whoever has the machine's command line.

        Raises:
            NotFound: no such account, or it is disabled.
        """
        with self.database.writer() as session:
            return self._issue(session, name, "bearer", {"user": user}, by=accounts.THE_OPERATOR.name)

    def _issue(  # each names a fact of the record
        self,
        session: Writer,
        name: str,
        kind: Kind,
        detail: dict[str, object],
        csrf: str | None = None,
        by: str | None = None,
    ) -> str:
        account, version = accounts.account_number(session, name)
        number = tokens_issued.new_id()
        now = dt.datetime.now(dt.UTC)
        tokens_issued.note(session, account, number, kind, now + LIFETIME, by or name)
        action = "token.issue" if by else "sign_in"
        paths = accounts.audited_paths(session, account)
        record(
            session,
            Entry(
                by or name,
                action,
                f"account:{name}",
                paths=paths,
                detail={**detail, "kind": kind, "token": number},
            ),
        )
        if by is None:
            session.execute(
                sa.text("UPDATE account SET signed_in_at = now() WHERE id = :account"), {"account": account}
            )
        return self.tokens.issue(account, version, kind, number=number, csrf=csrf)

    def out(self, name: str, claims: Claims) -> None:
        """Ends the session that a token belongs to."""
        with self.database.writer() as session:
            tokens_issued.end(session, claims.account, claims.id)
            paths = accounts.audited_paths(session, claims.account)
            record(
                session, Entry(name, "sign_out", f"account:{name}", paths=paths, detail={"token": claims.id})
            )
