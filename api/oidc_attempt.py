"""One attempt to sign in at a provider, tied to the browser that began it by a short-lived signed cookie.

The cookie holds a random seed and where to go afterwards. What the provider sees (state, nonce, the challenge of the
verifier) is derived from the seed under the installation's key: nothing is kept on the server, and nothing that lies
in the cookie can be used without the key.
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass

import jwt

ALGORITHM = "HS256"
HOLDS = dt.timedelta(minutes=10)
LONGEST_ONWARD = 2000  # browsers keep 4 KB of a cookie


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try.

    Attributes:
        state: comes back with the provider's answer.
        nonce: comes back within the signed token.
        verifier: proves to the provider that who asks for the token is who began (PKCE).
        onward: path to go to afterwards.
    """

    state: str
    nonce: str
    verifier: str
    onward: str


class Attempts:
    """Begins attempts and knows them again.

    Args:
        secret: of the installation; cookies made with another are not valid.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"gridmap-oidc").digest()

    def begin(self, onward: str) -> tuple[Attempt, str]:
        """A new attempt, and the cookie's value."""
        seed = secrets.token_urlsafe(32)
        onward = onward if len(onward) <= LONGEST_ONWARD else "/"
        claims = {"seed": seed, "next": onward, "exp": dt.datetime.now(dt.UTC) + HOLDS}
        return self._derived(seed, onward), jwt.encode(claims, self._key, ALGORITHM)

    def resumed(self, cookie: str, state: str) -> Attempt | None:
        """The attempt that a cookie holds, if the answer is the one to it; None where it is not, or too old."""
        try:
            said = jwt.decode(cookie, self._key, [ALGORITHM], options={"require": ["seed", "next", "exp"]})
        except jwt.InvalidTokenError:
            return None
        attempt = self._derived(str(said["seed"]), str(said["next"]))
        return attempt if hmac.compare_digest(attempt.state.encode(), state.encode()) else None

    def _derived(self, seed: str, onward: str) -> Attempt:
        def value(purpose: str) -> str:
            digest = hmac.new(self._key, f"{purpose} {seed}".encode(), hashlib.sha256).digest()
            return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

        return Attempt(value("state"), value("nonce"), value("verifier"), onward)
