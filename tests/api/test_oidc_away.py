"""A provider that is away, slow, or answers nonsense: a sentence and 503, and everything else goes on."""

import asyncio
import datetime as dt
import gzip
import ipaddress
import json
import logging
import ssl
import threading
import time
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from api import oidc_provider
from api.oidc_attempt import Attempts
from api.oidc_provider import Provider
from gridmap.errors import NotPossible, Unavailable
from tests.api.conftest import PASSWORD, in_a_loop, serve
from tests.api.provider import SECRET, Faults, provided
from tests.api.test_oidc import SUBJECT, agree, arrive, begin, bind, said, settings_at
from tests.api.test_oidc_faults import AWAY, REFUSED, begun_anew, changed, forget, outcome


@pytest.fixture(scope="module")
def provider():
    with provided() as provider:
        yield provider


@pytest.fixture(scope="module")
def served(module_url, tmp_path_factory, provider):
    settings = settings_at(provider, tmp_path_factory.mktemp("home"))
    for app in serve(module_url, settings):
        bind(app, "west", subject=SUBJECT)
        yield app


@pytest.fixture
def app(served, provider):
    return begun_anew(served, provider)


def without(*names):
    def change(document):
        for name in names:
            del document[name]

    return change


WRONG_DOCUMENTS = {
    "another issuer": changed(issuer="https://evil.example"),
    "the issuer with a stroke": changed(issuer=lambda d: d["issuer"] + "/"),
    "no issuer": without("issuer"),
    "no keys": without("jwks_uri"),
    "no token endpoint": without("token_endpoint"),
    "a list of token endpoints": changed(token_endpoint=lambda d: [d["token_endpoint"]]),
    "keys without https": changed(jwks_uri="http://192.0.2.1/jwks"),
    "tokens without https": changed(token_endpoint="http://192.0.2.1/token"),
    "signing in without https": changed(authorization_endpoint="http://192.0.2.1/authorize"),
    "signing in by a script": changed(authorization_endpoint="javascript:alert(1)"),
    "signing in with a line break": changed(authorization_endpoint="https://a.example/\r\nSet-Cookie: a=b"),
    "an address that is none": changed(authorization_endpoint="https://[/"),
    "no S256": changed(code_challenge_methods_supported=["plain"]),
}


@pytest.mark.parametrize("fault", WRONG_DOCUMENTS.values(), ids=WRONG_DOCUMENTS)
def test_a_document_that_leads_astray(app, provider, fault):
    provider.faults.document = fault
    answer = app.client.get("/login/oidc?next=/admin", follow_redirects=False)
    assert outcome(answer) == AWAY
    assert answer.headers["retry-after"]
    assert "gridmap_oidc" not in answer.cookies


NONSENSE = {
    "an error": lambda: Response("no", status_code=500),
    "not found": lambda: JSONResponse({"error": "nothing here"}, 404),
    "a page": lambda: HTMLResponse("<h1>Welcome</h1>"),
    "nothing": Response,
    "a list": lambda: JSONResponse([1, 2]),
    "no text": lambda: Response(b"\xff\xfe\x00", media_type="application/json"),
    "elsewhere": lambda: Response(status_code=302, headers={"location": "https://evil.example/"}),
    "very deep": lambda: Response("[" * 200_000, media_type="application/json"),
}


@pytest.mark.parametrize("where", ["openid-configuration", "token", "jwks"])
@pytest.mark.parametrize("what", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_is_none(app, provider, where, what):
    provider.faults.answers[where] = what
    if where == "openid-configuration":
        answer = app.client.get("/login/oidc", follow_redirects=False)
    else:
        answer = arrive(app.client)
    assert outcome(answer) == AWAY
    assert answer.headers["retry-after"]


def test_no_more_is_taken_than_an_answer_needs(app, provider):
    sent = []

    def parts():
        for _ in range(10_000):
            sent.append(65_536)
            yield b" " * 65_536

    provider.faults.answers["openid-configuration"] = lambda: StreamingResponse(parts())
    assert outcome(app.client.get("/login/oidc", follow_redirects=False)) == AWAY
    assert sum(sent) < 20_000_000  # what lay on the way already, of 655 MB
    # Packed, little on the way may be much here: refused whatever it is.
    whole = gzip.compress(json.dumps(provider.document()).encode())
    packed = {"content-encoding": "gzip"}
    provider.faults.answers["openid-configuration"] = lambda: Response(whole, headers=packed)
    assert outcome(app.client.get("/login/oidc", follow_redirects=False)) == AWAY


@pytest.mark.parametrize(
    "given", [{"error": "invalid_client"}, {"error": ["a"]}, {"access_token": 5}, {"id_token": 5}, {}]
)
def test_a_token_endpoint_that_gives_no_token(app, provider, given):
    provider.faults.answers["token"] = lambda: JSONResponse(given, 401 if "error" in given else 200)
    answer = arrive(app.client)
    assert outcome(answer) in {REFUSED, AWAY}


def test_a_wrong_secret_is_the_installations_fault(app, provider, monkeypatch, caplog):
    wrong = replace(app.settings, oidc_client_secret="another")
    monkeypatch.setattr(app.service.provider, "_settings", wrong)
    with caplog.at_level(logging.WARNING, "gridmap.oidc"):
        assert outcome(arrive(app.client)) == AWAY
    assert "invalid_client" in caplog.text
    assert "another" not in caplog.text


def test_an_answer_that_another_provider_gave(app, provider):
    """RFC 9207: of two providers one could pass on the other's code."""
    provider.faults.tell_issuer = "https://evil.example"
    assert outcome(arrive(app.client)) == REFUSED
    provider.faults.tell_issuer = provider.url
    assert arrive(app.client).status_code == 303
    forget(app)
    provider.faults.document = lambda d: d.update(authorization_response_iss_parameter_supported=True)
    assert arrive(app.client).status_code == 303
    provider.faults.tell_issuer = None
    assert outcome(arrive(app.client)) == REFUSED


def test_nobody_waits_for_a_provider_that_does_not_answer(app, provider, monkeypatch):
    monkeypatch.setattr(oidc_provider, "STEP_S", 3.0)
    begun = agree(begin(app.client))
    provider.faults.delay_s["token"] = 6.0
    kept, answers = app.client.cookies["gridmap_oidc"], []

    def come():
        headers = {"cookie": f"gridmap_oidc={kept}"}
        answers.append(app.client.get(begun, headers=headers, follow_redirects=False))

    waiting = threading.Thread(target=come)
    waiting.start()
    time.sleep(0.2)
    assert app.client.get("/healthz").status_code == 200
    assert app.client.post("/api/token", data={"username": "admin", "password": PASSWORD}).status_code == 200
    assert answers == []  # the first still waits
    waiting.join(20)
    assert outcome(answers[0]) == AWAY


def test_an_answer_drop_by_drop_ends_too(app, provider, monkeypatch):
    monkeypatch.setattr(oidc_provider, "WHOLE_S", 0.8)

    async def drops():
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.1)

    provider.faults.answers["openid-configuration"] = lambda: StreamingResponse(drops())
    began = time.perf_counter()
    assert outcome(app.client.get("/login/oidc", follow_redirects=False)) == AWAY
    assert time.perf_counter() - began < 8  # of ten that the drops would take


def test_only_so_many_ask_at_once(app, provider, monkeypatch):
    monkeypatch.setattr(oidc_provider, "STEP_S", 1.5)
    provider.faults.delay_s["openid-configuration"] = 1.0

    async def crowd():
        settings = replace(app.settings)
        provider_ = Provider(settings)
        attempt = Attempts("s").begin("/")[0]
        found = await asyncio.gather(
            *[provider_.authorization_url(attempt) for _ in range(oidc_provider.AT_ONCE + 3)],
            return_exceptions=True,
        )
        return [type(each) for each in found]

    kinds = in_a_loop(crowd())
    assert kinds.count(Unavailable) == 3
    assert provider.asked["openid-configuration"] == 1  # one asks, all have it


def test_what_was_known_holds_on_while_the_provider_is_away(app, provider, caplog):
    assert arrive(app.client).status_code == 303
    known = app.service.provider
    known._document_at = known._keys_at = -1e9  # an hour has passed
    provider.faults.answers = dict.fromkeys(("openid-configuration", "jwks"), NONSENSE["an error"])
    with caplog.at_level(logging.WARNING, "gridmap.oidc"):
        assert arrive(app.client).status_code == 303
    assert "cannot be read anew" in caplog.text


def test_a_provider_that_is_not_there(served, cluster, tmp_path):
    settings = replace(served.settings, oidc_issuer="http://127.0.0.1:9")
    for app in serve(served.url, settings):
        answer = app.client.get("/login/oidc?lang=en", follow_redirects=False)
        assert (answer.status_code, said(answer)) == (503, "The sign-in service is not available")
        assert app.client.get("/login/oidc/out", follow_redirects=False).headers["location"] == "/login"
        assert app.client.get("/readyz").status_code == 200
        form = {"username": "admin", "password": PASSWORD}
        assert app.client.post("/api/token", data=form).status_code == 200


def test_no_secret_is_in_the_log(app, provider, caplog):
    with caplog.at_level(logging.DEBUG):
        url = begin(app.client)
        back = agree(url)
        app.client.get(back, follow_redirects=False)
        provider.faults.claims = changed(nonce="another")
        arrive(app.client)
        provider.faults = Faults(answers={"token": NONSENSE["a page"]})
        arrive(app.client)
    ours = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("gridmap"))
    assert "provider_token" in ours
    for secret in (SECRET, back.split("code=")[1].split("&")[0], *provider.tokens):
        assert secret not in ours
    assert SECRET not in repr(app.settings)


def certificate(subject, issuer, key, signer, authority):
    now = dt.datetime.now(dt.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    usage = x509.KeyUsage(True, False, False, False, False, authority, authority, False, False)  # noqa: FBT003  # its order
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(here, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def own_certificate(tmp_path):
    """An office's authority, and options to serve by a certificate of it."""
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("Office authority", "sso")
    ]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificate(names[0], names[0], keys[0], keys[0], authority=True))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate(names[1], names[0], keys[1], keys[0], authority=False))
    key.write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return authority, {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}


def test_an_office_with_an_authority_of_its_own(app, tmp_path, own_certificate):
    """The file's authority is believed, the system's is not, and without the file nobody is."""
    authority, options = own_certificate
    with provided(**options) as secured:
        settings = replace(app.settings, oidc_issuer=secured.url)
        attempt = Attempts("s").begin("/")[0]

        async def url(settings):
            return await Provider(settings).authorization_url(attempt)

        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            in_a_loop(url(settings))
        believed = replace(settings, oidc_ca_file=str(authority))
        assert in_a_loop(url(believed)).startswith(f"{secured.url}/authorize?")
    assert Provider(believed)._trust.get_ca_certs()[0]["subject"] == ((("commonName", "Office authority"),),)
    assert Provider(believed)._trust.verify_mode == ssl.CERT_REQUIRED
    for wrong in (tmp_path / "none.pem", __file__):
        with pytest.raises(NotPossible, match="GRIDMAP_OIDC_CA_FILE"):
            Provider(replace(settings, oidc_ca_file=str(wrong)))
