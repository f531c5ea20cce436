"""An external provider (OpenID Connect): where it is, by which keys it signs, and what it says of who comes back.

Its document and keys are kept for an hour; while it is away what is known holds on. Nothing is asked of it before
somebody wants to sign in. Every call has an end: five seconds a step, ten for all of an attempt, 1 MiB an answer.
"""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode

import anyio
import httpx2
import orjson
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.discovery import get_well_known_url

from api.oidc_attempt import Attempt
from api.oidc_token import Expected, Key, UnknownKey, refused, usable_keys, verified
from api.oidc_transport import Bounded
from gridmap.errors import InvalidInput, Unauthorised, Unavailable
from gridmap.provider_identities import LONGEST, Proven
from gridmap.provider_settings import is_safe_url, trust
from gridmap.settings import Settings

CALLBACK = "/login/oidc/callback"
KEPT_S = 3600.0
KEYS_ANEW_S = 10.0  # at most so often for a key that is not known
PAUSE_S = 30.0  # before a document that could not be read anew is tried again
STEP_S = 5.0
WHOLE_S = 10.0
AT_ONCE = 8
_log = logging.getLogger("gridmap.oidc")


def away(why: str) -> Unavailable:
    """The provider cannot be asked, or answers what is no answer; `why` is for the log."""
    return Unavailable(why, code="provider_away")


class Provider:
    """The provider of the settings.

    Args:
        settings: with an issuer, a client and a public address.
        clock: seconds that never go back.

    Raises:
        NotPossible: the authority's file cannot be read.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        if not (settings.oidc_issuer and settings.oidc_client_id and settings.public_url):
            raise InvalidInput(
                "A provider needs an issuer, a client and a public address", code="bad_setting"
            )
        self.issuer: str = settings.oidc_issuer
        self.client_id: str = settings.oidc_client_id
        self.public_url: str = settings.public_url
        self._settings, self._clock = settings, clock
        self._trust = trust(settings.oidc_ca_file)
        self._document: Mapping[str, Any] = {}
        self._keys: tuple[Key, ...] = ()
        self._document_at = self._keys_at = self._keys_tried_at = -KEPT_S
        self._one_reads = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def authorization_url(self, attempt: Attempt, *, again: bool = False) -> str:
        """Where to send a browser that begins.

        Args:
            attempt: what the answer must fit.
            again: whether the provider shall ask who it is even where it knows.

        Raises:
            Unavailable: the provider is away.
        """
        async with self._asking() as client:
            document = await self._described(client)
            url, _ = client.create_authorization_url(
                document["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **({"prompt": "login"} if again else {}),
            )
        return str(url)

    async def proven(self, code: str, answered_by: str | None, attempt: Attempt) -> Proven:
        """Who came back with a code.

        Args:
            code: as the browser brought it.
            answered_by: the answer's `iss`, where it has one (RFC 9207).
            attempt: to which it is the answer.

        Raises:
            Unavailable: the provider is away, or answers what is no answer.
            Unauthorised: the code does not hold (`provider_code`), or what it gave does not stand (`provider_token`).
        """
        async with self._asking() as client:
            document = await self._described(client)
            told = document.get("authorization_response_iss_parameter_supported") is True
            if answered_by != self.issuer and (told or answered_by is not None):
                raise refused(f"answered by {str(answered_by)[:200]!r}")
            token = await self._token(client, document, code, attempt)
            access = token.get("access_token")
            expected = Expected(
                self.issuer, self.client_id, attempt.nonce, access if isinstance(access, str) else None
            )
            claims = await self._claims(client, document, str(token.get("id_token")), expected)
            named = await self._named(client, document, claims, expected.access_token)
        return Proven(self.issuer, claims["sub"], named)

    async def end_session_url(self) -> str | None:
        """Where a browser can end the provider's own session; None where it offers no such thing or is away."""
        try:
            async with self._asking() as client:
                where = (await self._described(client)).get("end_session_endpoint")
        except Unavailable as error:
            _log.warning("signing out at the provider: %s", error.message)
            return None
        if not isinstance(where, str) or not is_safe_url(where):
            return None
        query = urlencode(
            {"client_id": self.client_id, "post_logout_redirect_uri": f"{self.public_url}/login"}
        )
        return f"{where}{'&' if '?' in where else '?'}{query}"

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncOAuth2Client]:
        """A client for one attempt; whatever goes wrong on the way is one of our errors."""
        if self._room.locked():
            raise away(f"{AT_ONCE} are at it already")
        try:
            async with self._room:
                with anyio.fail_after(WHOLE_S):
                    async with self._client() as client:
                        yield client
        except TimeoutError as error:
            raise away(f"no answer within {WHOLE_S:.0f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]  # some of the library's have several lines
            raise away(f"{type(error).__name__}: {said}") from error

    def _client(self) -> AsyncOAuth2Client:
        client = AsyncOAuth2Client(
            client_id=self.client_id,
            client_secret=self._settings.oidc_client_secret,
            scope=self._settings.oidc_scopes,
            redirect_uri=self.public_url + CALLBACK,
            code_challenge_method="S256",
            transport=Bounded(self._trust),
            timeout=httpx2.Timeout(STEP_S),
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client

    async def _described(self, client: AsyncOAuth2Client) -> Mapping[str, Any]:
        async with self._one_reads:
            if self._clock() < self._document_at + KEPT_S:
                return self._document
            try:
                document = await _json(client, get_well_known_url(self.issuer, external=True))
                self._check(document)
            except (Unavailable, httpx2.HTTPError, OSError) as error:
                if not self._document:
                    raise
                _log.warning("the provider's document cannot be read anew: %s", error)
                self._document_at = self._clock() - KEPT_S + PAUSE_S
                return self._document
            self._document, self._document_at = document, self._clock()
            return document

    def _check(self, document: Mapping[str, Any]) -> None:
        if document.get("issuer") != self.issuer:
            raise away(
                f"its document names the issuer {str(document.get('issuer'))[:200]!r}, not {self.issuer!r}"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            where = document.get(name)
            if not isinstance(where, str) or not is_safe_url(where):
                raise away(f"{name} of its document is {str(where)[:200]!r}: https is needed")
        methods = document.get("code_challenge_methods_supported", ["S256"])
        if not isinstance(methods, list) or "S256" not in methods:
            raise away("it knows no code challenge by S256")

    async def _token(
        self, client: AsyncOAuth2Client, document: Mapping[str, Any], code: str, attempt: Attempt
    ) -> Mapping[str, Any]:
        methods = document.get("token_endpoint_auth_methods_supported")
        if client.client_secret and isinstance(methods, list) and "client_secret_basic" not in methods:
            client.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  # the method's name
        try:
            token = await client.fetch_token(
                document["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
            )
        except OAuthError as error:
            why = f"its token endpoint says {str(error.error)[:80]!r}: {str(error.description)[:200]!r}"
            if error.error == "invalid_grant":
                raise Unauthorised(why, code="provider_code") from error
            raise away(why) from error
        except (ValueError, RecursionError) as error:
            raise away(f"its token endpoint gives no token: {str(error)[:200]}") from error
        if not isinstance(token, dict):
            raise away("its token endpoint gives no token")
        return token

    async def _claims(
        self, client: AsyncOAuth2Client, document: Mapping[str, Any], token: str, expected: Expected
    ) -> Mapping[str, Any]:
        keys = await self._known_keys(client, document, anew=False)
        try:
            return verified(token, keys, expected)
        except UnknownKey:
            keys = await self._known_keys(client, document, anew=True)
        try:
            return verified(token, keys, expected)
        except UnknownKey:
            raise refused("signed by a key that the provider does not publish") from None

    async def _known_keys(
        self, client: AsyncOAuth2Client, document: Mapping[str, Any], *, anew: bool
    ) -> tuple[Key, ...]:
        async with self._one_reads:
            now = self._clock()
            old = now >= self._keys_at + KEPT_S
            if not (old or (anew and now >= self._keys_tried_at + KEYS_ANEW_S)):
                return self._keys
            self._keys_tried_at = now
            try:
                keys = usable_keys(await _json(client, document["jwks_uri"]))
                if not keys:
                    raise away("its key set has no key to check a signature by")
            except (Unavailable, httpx2.HTTPError, OSError) as error:
                if not self._keys:
                    raise
                _log.warning("the provider's keys cannot be read anew: %s", error)
                return self._keys
            self._keys, self._keys_at = keys, now
            return keys

    async def _named(
        self,
        client: AsyncOAuth2Client,
        document: Mapping[str, Any],
        claims: Mapping[str, Any],
        access_token: str | None,
    ) -> str | None:
        """The name to compare with awaited ones; asked for where the token lacks it. Nobody fails for want of it."""
        wanted = self._settings.oidc_claim
        where = document.get("userinfo_endpoint")
        if wanted not in claims and access_token and isinstance(where, str) and is_safe_url(where):
            try:
                told = await _json(client, where, {"Authorization": f"Bearer {access_token}"})
            except (Unavailable, httpx2.HTTPError, OSError) as error:
                _log.warning("the provider's userinfo cannot be read: %s", error)
                return None
            if told.get("sub") != claims["sub"]:
                _log.warning("the provider's userinfo is somebody else's")
                return None
            claims = told
        named = claims.get(wanted)
        if not isinstance(named, str) or not 1 <= len(named) <= LONGEST or not named.isprintable():
            return None
        return None if wanted == "email" and claims.get("email_verified") is not True else named


def _basic(
    client: Any, _: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Id and secret in a header, each encoded first (OAuth 2.0, 2.3.1), which Authlib leaves out."""
    # Seen: a provider that decodes takes a plus sign for a space, and refuses the client.
    words = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(words.encode()).decode()}"
    return uri, headers, body


async def _json(
    client: AsyncOAuth2Client, url: str, headers: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    whole = {"Accept": "application/json", **(headers or {})}
    answer = await client.request("GET", url, headers=whole, withhold_token=True)
    if answer.status_code != httpx2.codes.OK:
        raise away(f"{url} answers {answer.status_code}")
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError as error:
        raise away(f"{url} gives no JSON") from error
    if not isinstance(document, dict):
        raise away(f"{url} gives no JSON object")
    return document
