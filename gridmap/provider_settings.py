"""Settings of an external sign-in: which provider, and under which address browsers know this service."""

import ipaddress
import ssl
from collections.abc import Mapping
from typing import TypedDict
from urllib.parse import urlsplit

from gridmap.errors import InvalidInput, NotPossible

CLAIM = "preferred_username"
SCOPES = "openid profile"


class ProviderSettings(TypedDict):
    """The fields of `gridmap.settings.Settings` of the same names."""

    public_url: str | None
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_name: str | None
    oidc_claim: str
    oidc_ca_file: str | None
    oidc_scopes: str


def is_safe_url(url: str) -> bool:
    """Whether a secret may go there: https, or http on this machine alone, without a name or password in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is none raises as well
    except ValueError:
        return False
    if not host or parts.username is not None or not url.isprintable() or " " in url or "\\" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trust(authority: str | None) -> ssl.SSLContext:
    """Whose certificates are believed: a file's alone, or the system's.

    Raises:
        NotPossible: the file cannot be read as certificates.
    """
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # ssl's errors too
        raise NotPossible(
            f"GRIDMAP_OIDC_CA_FILE={authority!r} cannot be read as certificates in PEM: {error}"
        ) from error


def read(env: Mapping[str, str]) -> ProviderSettings:
    """Reads `GRIDMAP_PUBLIC_URL` and `GRIDMAP_OIDC_*`.

    Raises:
        InvalidInput: a value cannot be used, or one is missing; the message names the variable.
    """
    issuer = env.get("GRIDMAP_OIDC_ISSUER") or None
    secret = env.get("GRIDMAP_OIDC_CLIENT_SECRET") or None
    if issuer is not None and (not is_safe_url(issuer) or urlsplit(issuer).query or "#" in issuer):
        raise _refused(
            "GRIDMAP_OIDC_ISSUER", issuer, "an address with https, as the provider's document says it"
        )
    if secret is not None and not (secret.isascii() and secret.isprintable()):
        raise _refused("GRIDMAP_OIDC_CLIENT_SECRET", "…", "printable ASCII, as the provider gave it")
    scopes = env.get("GRIDMAP_OIDC_SCOPES") or SCOPES
    if "openid" not in scopes.split():
        raise _refused("GRIDMAP_OIDC_SCOPES", scopes, "words separated by spaces, openid among them")
    read_ = ProviderSettings(
        public_url=_public_url(env.get("GRIDMAP_PUBLIC_URL") or None),
        oidc_issuer=issuer,
        oidc_client_id=env.get("GRIDMAP_OIDC_CLIENT_ID") or None,
        oidc_client_secret=secret,
        oidc_name=env.get("GRIDMAP_OIDC_NAME") or None,
        oidc_claim=env.get("GRIDMAP_OIDC_CLAIM") or CLAIM,
        oidc_ca_file=env.get("GRIDMAP_OIDC_CA_FILE") or None,
        oidc_scopes=scopes,
    )
    if issuer is not None and not (read_["oidc_client_id"] and read_["public_url"]):
        lacking = "GRIDMAP_OIDC_CLIENT_ID" if not read_["oidc_client_id"] else "GRIDMAP_PUBLIC_URL"
        raise _refused(lacking, "", "it is needed beside GRIDMAP_OIDC_ISSUER")
    return read_


def _public_url(url: str | None) -> str | None:
    if url is None:
        return None
    whole = url.rstrip("/")
    parts = urlsplit(whole) if is_safe_url(whole) else None
    if parts is None or parts.path or parts.query or parts.fragment:
        raise _refused(
            "GRIDMAP_PUBLIC_URL", url, "an address with https and without a path: https://gridmap.example"
        )
    return whole


def _refused(name: str, value: str, needed: str) -> InvalidInput:
    return InvalidInput(f"{name}={value!r}: {needed}", code="bad_setting")
