"""A provider, or somebody on the way, that does what it must not: nobody gets in, nothing breaks, nothing waits."""

import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import OctKey, RSAKey

from api.oidc_token import usable_keys
from tests.api.conftest import serve
from tests.api.provider import CLIENT, SECRET, Faults, by_hand, new_key, provided
from tests.api.test_oidc import SUBJECT, arrive, bind, said, settings_at

REFUSED, AWAY = (403, "认证服务的答复无法核实"), (503, "认证服务暂时不可用")


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


def begun_anew(served, provider):
    """The service as if nobody had asked, with a provider as it should be."""
    provider.faults = Faults()
    provider.keys = provider.keys[:1]
    provider.asked.clear()
    served.client.cookies.clear()
    forget(served)
    return served


def forget(app):
    """As a process that has just begun."""
    known = app.service.provider
    known._document, known._keys = {}, ()
    known._document_at = known._keys_at = known._keys_tried_at = -1e9


def outcome(answer):
    assert "gridmap_session" not in answer.cookies
    return answer.status_code, said(answer)


def changed(**claims):
    """Claims with other values; None: without them."""

    def change(given):
        for name, value in claims.items():
            given[name] = value(given) if callable(value) else value
            if value is None:
                del given[name]

    return change


NOW = time.time
WRONG_CLAIMS = {
    "another issuer": changed(iss="https://evil.example"),
    "the issuer with a stroke": changed(iss=lambda c: c["iss"] + "/"),
    "no issuer": changed(iss=None),
    "for another client": changed(aud="another"),
    "for others": changed(aud=["another", "third"]),
    "for others too, and nobody authorised": changed(aud=[CLIENT, "another"]),
    "for others too, who are authorised": changed(aud=[CLIENT, "another"], azp="another"),
    "authorised another": changed(azp="another"),
    "for nobody": changed(aud=None),
    "for no text": changed(aud={"client": CLIENT}),
    "over": changed(exp=lambda _: NOW() - 61),
    "without an end": changed(exp=None),
    "an end in words": changed(exp="2099-01-01"),
    "an end that is no number": changed(exp=lambda _: float("inf")),
    "not begun": changed(nbf=lambda _: NOW() + 120),
    "from the future": changed(iat=lambda _: NOW() + 120),
    "from long ago": changed(iat=lambda _: NOW() - 700),
    "from no time": changed(iat=None),
    "another nonce": changed(nonce="another"),
    "no nonce": changed(nonce=None),
    "an empty nonce": changed(nonce=""),
    "a list of nonces": changed(nonce=lambda c: [c["nonce"]]),
    "another access token": changed(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no subject": changed(sub=None),
    "an empty subject": changed(sub=""),
    "a number as subject": changed(sub=248289761001),
    "a list as subject": changed(sub=[SUBJECT]),
    "a long subject": changed(sub="2" * 256),
    "a subject with a zero": changed(sub=f"{SUBJECT}\x00"),
    "a subject with a space": changed(sub=f" {SUBJECT}"),
}


@pytest.mark.parametrize("fault", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_token_that_says_the_wrong_thing(app, provider, fault):
    provider.faults.claims = fault
    assert outcome(arrive(app.client)) == REFUSED


def test_a_token_made_by_hand_can_be_right(app, provider):
    """Else the hands' tokens below would be refused for what they are, not for what they say."""
    provider.faults.sign = lambda p, c: rightly(p, c, hashes.SHA256())
    assert arrive(app.client).status_code == 303


def test_clocks_may_differ_by_less_than_a_minute(app, provider):
    provider.faults.claims = changed(exp=lambda _: NOW() - 50, iat=lambda _: NOW() + 50)
    assert arrive(app.client).status_code == 303
    provider.faults.claims = changed(aud=[CLIENT, "another"], azp=CLIENT)
    assert arrive(app.client).status_code == 303


def hs256(secret):
    def sign(provider, claims):
        def code(text):
            return hmac.new(secret(provider), text, hashlib.sha256).digest()

        return by_hand({"alg": "HS256", "typ": "JWT", "kid": provider.key.kid}, claims, code)

    return sign


def altered(provider, claims):
    head, _, signature = provider.signed(claims).split(".")
    _, body, _ = provider.signed({**claims, "sub": SUBJECT, "extra": 1}).split(".")
    return f"{head}.{body}.{signature}"


def rightly(provider, claims, digest, **header):
    """By the provider's own key, whatever the header says."""
    key = provider.key.private_key
    whole = {"alg": "RS256", "kid": provider.key.kid, **header}
    return by_hand(whole, claims, lambda text: key.sign(text, padding.PKCS1v15(), digest))


FOREIGN = RSAKey.generate_key(2048, {"kid": "foreign"})
WEAK_SIGN = {
    "none": lambda _, c: by_hand({"alg": "none"}, c, lambda _: b""),
    "None, with the key's number": lambda p, c: by_hand({"alg": "None", "kid": p.key.kid}, c, lambda _: b""),
    "no algorithm": lambda p, c: by_hand({"kid": p.key.kid}, c, lambda _: b""),
    "a list of algorithms": lambda p, c: by_hand({"alg": ["RS256"], "kid": p.key.kid}, c, lambda _: b""),
    "HS256 by the public key in PEM": hs256(lambda p: p.key.as_pem(private=False)),
    "HS256 by the public key as JWK": hs256(lambda p: json.dumps(p.key.as_dict(private=False)).encode()),
    "HS256 by the client's secret": hs256(lambda _: SECRET.encode()),
    "HS256 by the shared key of the set": lambda p, c: p.signed(
        c, OctKey.import_key({"kty": "oct", "k": "c2VjcmV0"}), alg="HS256", kid="shared"
    ),
    "a key that is not published": lambda p, c: p.signed(c, FOREIGN),
    "another key under the number": lambda p, c: p.signed(c, FOREIGN, kid=p.key.kid),
    "another key, and no number": lambda p, c: p.signed(c, FOREIGN, kid=None),
    "a key that it brings along": lambda p, c: p.signed(
        c, FOREIGN, jwk=FOREIGN.as_dict(private=False), kid=p.key.kid
    ),
    "a key from elsewhere": lambda p, c: p.signed(c, FOREIGN, jku="https://evil.example/jwks", kid=p.key.kid),
    "the key for ciphers": lambda p, c: p.signed(c, kid="cipher"),
    "another algorithm of the same key": lambda p, c: rightly(p, c, hashes.SHA512(), alg="RS512"),
    "what must be understood is not": lambda p, c: rightly(p, c, hashes.SHA256(), crit=["exp"], exp=1),
    "altered afterwards": altered,
    "cut off": lambda p, c: p.signed(c)[:-10],
    "no signature": lambda p, c: p.signed(c).rpartition(".")[0] + ".",
    "encrypted": lambda *_: "e30.a.b.c.d",
    "nothing": lambda *_: "",
    "no token": lambda *_: "not a token",
    "no text": lambda *_: {"sub": SUBJECT},
    "null": lambda *_: None,
    "very deep": lambda *_: by_hand({"alg": "RS256"}, {}, lambda _: b"").replace("e30", "W1tb" * 30_000),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # the hostile side's keys are bad
@pytest.mark.parametrize("sign", WEAK_SIGN.values(), ids=WEAK_SIGN)
def test_a_token_that_is_not_signed_by_the_provider(app, provider, sign):
    provider.faults.sign = sign
    assert outcome(arrive(app.client)) == REFUSED


@pytest.mark.parametrize("kind", ["RS256", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512"])
def test_keys_that_hold(app, provider, kind):
    provider.keys = [*provider.keys, new_key(kind)]
    assert arrive(app.client).status_code == 303


def test_keys_may_change_at_any_time(app, provider):
    assert arrive(app.client).status_code == 303
    assert arrive(app.client).status_code == 303
    assert (provider.asked["openid-configuration"], provider.asked["jwks"]) == (1, 1)
    app.service.provider._keys_tried_at = -1e9  # some time has passed
    provider.keys = [new_key("ES256")]
    assert arrive(app.client).status_code == 303
    assert arrive(app.client).status_code == 303
    assert (provider.asked["openid-configuration"], provider.asked["jwks"]) == (1, 2)
    provider.keys = [new_key()]


def test_a_number_that_nobody_knows_does_not_ask_for_the_keys_over_and_over(app, provider):
    provider.faults.sign = WEAK_SIGN["a key that is not published"]
    for _ in range(4):
        assert outcome(arrive(app.client)) == REFUSED
    assert provider.asked["jwks"] == 1


def test_one_key_needs_no_number(app, provider):
    provider.faults.sign = lambda p, c: p.signed(c, kid=None)
    assert arrive(app.client).status_code == 303
    provider.keys = [*provider.keys, new_key()]
    forget(app)
    assert outcome(arrive(app.client)) == REFUSED  # of two, which?


def test_keys_that_are_none():
    short = {"kty": "RSA", "kid": "short", "n": "A" * 340 + "w" * 8, "e": "AQAB"}
    good = RSAKey.generate_key(2048, {"kid": "good"})
    listed = [
        short, {"kty": "RSA", "n": 5, "e": []}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "!", "y": "é"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}, {"kty": "oct", "k": "AAAA"}, {"kty": "ML-DSA"}, {}, None,
        5, good.as_dict(private=True), {**good.as_dict(private=False), "use": "enc"}, good.as_dict(private=False),
    ]  # fmt: skip
    assert [key.kid for key in usable_keys({"keys": listed})] == ["good"]
    assert usable_keys({}) == usable_keys({"keys": "none"}) == usable_keys({"keys": {"kid": "a"}}) == ()
