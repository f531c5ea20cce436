"""A provider (OpenID Connect) on this machine that keeps to the standard, and breaks it on demand.

It has keys of its own, a code that holds once and for one client, redirect address and verifier, and remembers what
it was asked. `Faults` are what a wrong or hostile provider, or somebody on the way, would do.
"""

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode

import anyio
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "gridmap", "a client's secret + with / signs"
LASTS_S = 300


def new_key(kind: str = "RS256", kid: str | None = None) -> RSAKey | ECKey:
    """A key for an algorithm."""
    parameters = {"kid": kid or secrets.token_hex(4), "use": "sig", "alg": kind}
    if kind.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[kind], parameters)
    return RSAKey.generate_key(2048, parameters)


@dataclass
class Faults:
    """What shall be wrong; nothing unless told."""

    claims: Callable[[dict[str, Any]], None] | None = None  # changes a token's claims in place
    sign: Callable[["Provider", dict[str, Any]], str] | None = None  # instead of signing as is right
    document: Callable[[dict[str, Any]], None] | None = None
    answers: dict[str, Callable[[], Response]] = field(default_factory=dict)  # by the path's last part
    delay_s: dict[str, float] = field(default_factory=dict)
    tell_issuer: str | None = None  # as `iss` of the answer


class Provider:
    """The provider's state; one person is signed in at a time, as in a browser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[RSAKey | ECKey] = [new_key()]
        self.person: dict[str, Any] = {"sub": "248289761001", "preferred_username": "zhang.san"}
        self.in_token = True  # whether the token carries the person's claims, or userinfo alone
        self.faults = Faults()
        self.asked: Counter[str] = Counter()
        self.challenged: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.seen: list[dict[str, str]] = []  # parameters of each authorization request
        self.methods = ["client_secret_basic", "client_secret_post", "none"]

    @property
    def key(self) -> RSAKey | ECKey:
        """By which it signs now."""
        return self.keys[-1]

    def document(self) -> dict[str, Any]:
        """Of discovery."""
        where = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "jwks",
            "userinfo_endpoint": "userinfo",
            "end_session_endpoint": "leave",
        }
        document = {
            "issuer": self.url,
            **{name: f"{self.url}/{path}" for name, path in where.items()},
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": self.methods,
        }
        if self.faults.document:
            self.faults.document(document)
        return document

    def id_token(self, asked: dict[str, str], access: str) -> str:
        """A token for who asked, as right or as wrong as told."""
        now = int(time.time())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + LASTS_S,
            "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **(self.person if self.in_token else {"sub": self.person["sub"]}),
        }
        if not str(self.key.get("alg")).endswith("256"):
            del claims["at_hash"]  # it would be of another digest
        if self.faults.claims:
            self.faults.claims(claims)
        return self.faults.sign(self, claims) if self.faults.sign else self.signed(claims)

    def signed(self, claims: dict[str, Any], key: RSAKey | ECKey | None = None, **header: Any) -> str:
        """A token's text; a header of None is left out."""
        key = key or self.key
        whole = {"alg": key.get("alg") or "RS256", "kid": key.kid, **header}
        registry = JWSRegistry(algorithms=[whole["alg"]], strict_check_header=False)
        return jwt.encode({k: v for k, v in whole.items() if v is not None}, claims, key, registry=registry)

    async def authorize(self, request: Request) -> Response:
        """Knows who it is and agrees."""
        asked = dict(request.query_params)
        self.seen.append(asked)
        code = secrets.token_urlsafe(16)
        self.challenged[code] = asked
        back = {"code": code, "state": asked["state"]}
        if self.faults.tell_issuer:
            back["iss"] = self.faults.tell_issuer
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", status_code=302)

    async def token(self, request: Request) -> Response:
        """Takes a code once, from the client, the address and the verifier that it was given for."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.challenged.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        known = {
            "client_secret_basic": request.headers.get("authorization") == f"Basic {basic}",
            "client_secret_post": form.get("client_secret") == SECRET,
            "none": "client_secret" not in form and "authorization" not in request.headers,
        }
        if not any(known[method] for method in self.methods):
            return JSONResponse({"error": "invalid_client"}, 401)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or asked.get("code_challenge_method") != "S256"
            or create_s256_code_challenge(form.get("code_verifier", "")) != asked.get("code_challenge")
        ):
            return JSONResponse({"error": "invalid_grant", "error_description": "no such code"}, 400)
        access = secrets.token_urlsafe(16)
        self.tokens[access] = dict(self.person)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": LASTS_S}
        return JSONResponse({**answer, "id_token": self.id_token(asked, access)})

    async def jwks(self, _: Request) -> Response:
        """Its public keys, one for ciphers too, and one that nobody should ever believe."""
        keys = [key.as_dict(private=False) for key in self.keys]
        cipher = {**keys[0], "use": "enc", "kid": "cipher"}
        return JSONResponse({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, cipher, *keys]})

    async def userinfo(self, request: Request) -> Response:
        """Of whom the access token is."""
        access = request.headers.get("authorization", "").removeprefix("Bearer ")
        return JSONResponse(self.tokens[access]) if access in self.tokens else Response(status_code=401)

    async def described(self, _: Request) -> Response:
        """Discovery."""
        return JSONResponse(self.document())

    async def leave(self, _: Request) -> Response:
        """Ends its session."""
        return Response("left")

    def app(self) -> Starlette:
        """Served with faults."""

        def faulty(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
            async def answer(request: Request) -> Response:
                name = request.url.path.rpartition("/")[2]
                self.asked[name] += 1
                await anyio.sleep(self.faults.delay_s.get(name, 0))
                instead = self.faults.answers.get(name)
                found: Response = instead() if instead else await handler(request)
                return found

            return answer

        handlers = [self.authorize, self.token, self.jwks, self.userinfo, self.leave]
        routes = [
            Route(f"/{each.__name__}", faulty(each), methods=["GET", "POST"])  # type: ignore[attr-defined]
            for each in handlers
        ]
        return Starlette(routes=[*routes, Route("/.well-known/openid-configuration", faulty(self.described))])


@contextmanager
def serving(app: Any, listening: socket.socket, **options: Any) -> Iterator[None]:
    """Serves an application from a thread; options are uvicorn's."""
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2, **options)
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not runner.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    assert runner.started, "the service did not start"
    yield
    runner.should_exit = True
    thread.join(15)


@contextmanager
def provided(**options: Any) -> Iterator[Provider]:
    """Serves one on a port of its own; options are uvicorn's."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        scheme = "https" if options else "http"
        provider = Provider(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}")
        with serving(provider.app(), listening, **options):
            yield provider


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    text = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(sign(text))).decode()
