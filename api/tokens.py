"""Signed tokens: a bearer token for programs, a session for the pages with a CSRF value bound to it."""

import contextlib
import datetime as dt
import hashlib
import hmac
import math
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jwt

from gridmap.errors import NotPossible, Unauthorised
from gridmap.settings import Settings

ALGORITHM = "HS256"
LIFETIME = dt.timedelta(hours=12)
IDLE = dt.timedelta(minutes=30)  # a session that nobody uses ends
RENEW_AFTER = dt.timedelta(minutes=5)
KEPT_TOKENS = 10_000
SECRET_FILE = "secret.key"  # noqa: S105  # its name, not its content
Kind = Literal["bearer", "session", "machine"]


def secret_key(settings: Settings) -> str:
    """The installation's secret: from the settings, else made once and kept in the home, readable by its owner.

    Raises:
        NotPossible: it cannot be read or made, or its file is empty.
    """
    if settings.secret_key:
        return settings.secret_key
    path = settings.home / SECRET_FILE
    try:
        if not path.exists():
            _write_secret(path, secrets.token_urlsafe(48))
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotPossible(
            f"The secret key {path} cannot be read or made ({error}): set GRIDMAP_HOME to a folder of yours,"
            " or GRIDMAP_SECRET_KEY"
        ) from error
    if not secret:
        raise NotPossible(f"The secret key {path} is empty: restore it, or remove it to have a new one made")
    return secret


def keep_secret(settings: Settings, secret: str) -> None:
    """Puts a secret that came with a backup into the home, unless there is one.

    Raises:
        NotPossible: it cannot be written.
    """
    try:
        _write_secret(settings.home / SECRET_FILE, secret)
    except OSError as error:
        raise NotPossible(
            f"The secret key cannot be written to {settings.home} ({error.strerror})"
        ) from error


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not there: another process that starts at the same moment must never read half of it.
    descriptor, name = tempfile.mkstemp(prefix=f".{SECRET_FILE}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret)
        with contextlib.suppress(FileExistsError):  # the other one was first
            os.link(name, path)
    finally:
        os.unlink(name)  # noqa: PTH108  # beside os.link


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    account: int
    version: int
    kind: Kind
    csrf: str
    id: str = ""
    born: float = 0.0  # when somebody signed in, as seconds since 1970 like those that follow
    issued_at: float = 0.0
    expires_at: float = math.inf


class Tokens:
    """Signs and reads tokens.

    Args:
        secret: of the installation; tokens signed with another are not valid.
    """

    def __init__(self, secret: str) -> None:
        self._seen: dict[str, Claims] = {}
        self._key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"gridmap-tokens").digest()

    def issue(  # each is a claim
        self,
        account: int,
        version: int,
        kind: Kind = "bearer",
        *,
        number: str | None = None,
        csrf: str | None = None,
        born: dt.datetime | None = None,
    ) -> str:
        """A token for an account.

        Args:
            account: its number.
            version: its token version; raised, all but machine tokens end.
            kind: a bearer token holds `LIFETIME`; a session `IDLE`, renewed while it is used up to `LIFETIME`; a
                machine token until it is revoked.
            number: by which it is revoked alone; made where none is given.
            csrf: what a page sends back; made where none is given.
            born: when somebody signed in; now where it is not a renewal.
        """
        now = dt.datetime.now(dt.UTC)
        began = born or now
        claims: dict[str, object] = {
            "sub": str(account),
            "ver": version,
            "kind": kind,
            "csrf": csrf or secrets.token_urlsafe(18),
            "jti": number or secrets.token_urlsafe(12),
            "born": int(began.timestamp()),
            "iat": now,
        }
        if kind != "machine":
            claims["exp"] = min(now + IDLE, began + LIFETIME) if kind == "session" else began + LIFETIME
        return jwt.encode(claims, self._key, ALGORITHM)

    def renewed(self, claims: Claims) -> str | None:
        """The next token of a session in use; None while the one it has is young, or its time is up."""
        now = time.time()
        young = now < claims.issued_at + RENEW_AFTER.total_seconds()
        over = now >= claims.born + LIFETIME.total_seconds()
        if claims.kind != "session" or young or over:
            return None
        born = dt.datetime.fromtimestamp(claims.born, dt.UTC)
        return self.issue(
            claims.account, claims.version, "session", number=claims.id, csrf=claims.csrf, born=born
        )

    def read(self, token: str) -> Claims:
        """What a token says.

        Raises:
            Unauthorised: not ours, altered, or expired.
        """
        known = self._seen.get(token)
        if known is not None and known.expires_at > time.time():
            return known
        try:
            said = jwt.decode(
                token, self._key, [ALGORITHM], options={"require": ["sub", "iat", "ver", "kind"]}
            )
            kind: Kind = said["kind"]
            if kind != "machine" and "exp" not in said:
                raise jwt.MissingRequiredClaimError("exp")
            read = Claims(
                account=int(said["sub"]),
                version=int(said["ver"]),
                kind=kind,
                csrf=str(said.get("csrf", "")),
                id=str(said.get("jti", "")),
                born=float(said.get("born", said["iat"])),
                issued_at=float(said["iat"]),
                expires_at=float(said.get("exp", math.inf)),
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthorised("The token has expired; sign in again", code="token_expired") from error
        except (jwt.InvalidTokenError, ValueError, KeyError) as error:
            raise Unauthorised("The token is not valid; sign in again", code="token_invalid") from error
        # Checking a signature takes 0.1 ms, a sixth of a whole post; revocation is looked up apart from it.
        if len(self._seen) >= KEPT_TOKENS:
            self._seen.clear()
        self._seen[token] = read
        return read

    def form_value(self, nonce: str) -> str:
        """What a form must send back beside the cookie that carries the nonce, before anybody is signed in."""
        return hmac.new(self._key, nonce.encode(), "sha256").hexdigest()

    def form_fits(self, nonce: str, value: str) -> bool:
        """Whether a form's value belongs to the cookie's nonce."""
        return bool(nonce) and hmac.compare_digest(self.form_value(nonce), value)
