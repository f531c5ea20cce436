"""An ID token: whose signature it carries, and whether it was made for this service, this browser, just now."""

import base64
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry, extract_compact

from gridmap.errors import Unauthorised
from gridmap.provider_identities import LONGEST

# Signatures by a private key alone: with HS* the provider's public key would do as the secret, `none` needs no key.
ALGORITHMS = tuple(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))
LEEWAY_S = 60
OLDEST_S = 600
SHORTEST_RSA = 2048
MOST_KEYS = 100
Key = RSAKey | ECKey


class UnknownKey(Exception):  # noqa: N818  # not an error yet: the keys are read anew
    """No key of the set fits the token's header."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None


def refused(why: str) -> Unauthorised:
    """The provider's word does not stand; `why` is for the log."""
    return Unauthorised(why, code="provider_token")


def usable_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Public keys of a JWK set that may sign; what else stands there, or is broken or weak, is left out."""
    listed = document.get("keys")
    keys: list[Key] = []
    for each in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or "d" in each:
            continue
        with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
            if each.get("kty") == "EC":
                keys.append(ECKey.import_key(each))
            elif each.get("kty") == "RSA" and _bits(str(each["n"])) >= SHORTEST_RSA:
                keys.append(RSAKey.import_key(each))
    return tuple(keys)


def _bits(modulus: str) -> int:
    """Of an RSA modulus: a weak key is left out before the library warns of it."""
    return int.from_bytes(base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()


def verified(token: str, keys: Sequence[Key], expected: Expected) -> Mapping[str, Any]:
    """A token's claims, checked.

    Raises:
        UnknownKey: none of the keys is the one that it names.
        Unauthorised: it is none, or its signature or one of its claims does not fit.
    """
    try:
        header = extract_compact(token.encode()).headers()
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise refused(f"signed by {str(algorithm)[:20]!r}")
        key = _key(keys, header, algorithm)
        # Unknown members of the header are to be ignored (RFC 7515, 4); `crit` is looked at all the same.
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        decoded = jwt.decode(token, key, [algorithm], registry=registry)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
            },
            params={
                "nonce": expected.nonce,
                "client_id": expected.client_id,
                "access_token": expected.access_token,
            },
        )
        claims.validate(now=int(time.time()), leeway=LEEWAY_S)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise refused(f"{type(error).__name__}: {str(error)[:200]}") from error
    if claims["iat"] < time.time() - OLDEST_S - LEEWAY_S:
        raise refused("issued too long ago")
    subject = claims["sub"]
    if not (1 <= len(subject) <= LONGEST and subject.isprintable() and subject == subject.strip()):
        raise refused("its subject is no text of 1 to 255 characters")
    return dict(claims)


def _key(keys: Sequence[Key], header: Mapping[str, Any], algorithm: str) -> Key:
    kind = ECKey if algorithm.startswith("ES") else RSAKey
    fitting = [key for key in keys if isinstance(key, kind) and key.get("alg") in {None, algorithm}]
    if "kid" in header:
        fitting = [key for key in fitting if key.kid == header["kid"]]
    if len(fitting) != 1:  # without a number there must be no choice
        raise UnknownKey
    return fitting[0]
