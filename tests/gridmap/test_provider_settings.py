"""Settings of an external sign-in: what is refused at the start, by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmap.errors import InvalidInput
from gridmap.provider_settings import is_safe_url
from gridmap.settings import Settings

WHOLE = {
    "GRIDMAP_PUBLIC_URL": "https://gridmap.example",
    "GRIDMAP_OIDC_ISSUER": "https://sso.example/realms/county",
    "GRIDMAP_OIDC_CLIENT_ID": "gridmap",
}


def test_off_unless_there_is_an_issuer():
    assert Settings.from_environment({}).oidc_issuer is None
    assert Settings.from_environment({"GRIDMAP_OIDC_CLIENT_ID": "a"}).oidc_issuer is None
    found = Settings.from_environment({**WHOLE, "GRIDMAP_PUBLIC_URL": "https://gridmap.example:8443/"})
    assert found.public_url == "https://gridmap.example:8443"
    assert found.oidc_issuer == WHOLE["GRIDMAP_OIDC_ISSUER"]
    assert (found.oidc_claim, found.oidc_scopes) == ("preferred_username", "openid profile")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRIDMAP_OIDC_ISSUER", "http://sso.example"),
        ("GRIDMAP_OIDC_ISSUER", "sso.example"),
        ("GRIDMAP_OIDC_ISSUER", "https://sso.example/?a=b"),
        ("GRIDMAP_OIDC_ISSUER", "https://sso.example/#a"),
        ("GRIDMAP_OIDC_ISSUER", "https://name:word@sso.example/"),
        ("GRIDMAP_OIDC_ISSUER", "https://[/"),
        ("GRIDMAP_OIDC_ISSUER", "https://sso.example:port/"),
        ("GRIDMAP_PUBLIC_URL", ""),
        ("GRIDMAP_PUBLIC_URL", "http://gridmap.example"),
        ("GRIDMAP_PUBLIC_URL", "https://gridmap.example/path"),
        ("GRIDMAP_PUBLIC_URL", "https://gridmap.example?a"),
        ("GRIDMAP_PUBLIC_URL", "//gridmap.example"),
        ("GRIDMAP_OIDC_CLIENT_ID", ""),
        ("GRIDMAP_OIDC_CLIENT_SECRET", "密钥"),
        ("GRIDMAP_OIDC_SCOPES", "profile email"),
    ],
)
def test_what_will_not_do_is_named(name, value):
    with pytest.raises(InvalidInput, match=name):
        Settings.from_environment({**WHOLE, name: value})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1:8080", "[::1]:80", "localhost", "LOCALHOST:1"])
def test_this_machine_needs_no_https(host):
    assert is_safe_url(f"http://{host}/realms/a")


@pytest.mark.parametrize(
    "url",
    [
        "", "https://", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://0.0.0.0/",
        "ftp://127.0.0.1/", "javascript:alert(1)", "https://a@b/", "http://127.0.0.1@evil.example/", "http://[::]/",
        "https://a.example/ b", "https://a.example/\n", "https://a.example\\@b.example/", "http://2130706433/",
    ],
)  # fmt: skip
def test_what_is_not_safe(url):
    assert not is_safe_url(url)


@given(st.text(max_size=60))
def test_any_text_is_an_answer_not_an_error(text):
    assert is_safe_url(f"https://{text}") in {True, False}
    assert is_safe_url(text) in {True, False}
