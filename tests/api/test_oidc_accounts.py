"""Binding accounts to a provider's people: by the command line and over HTTP, within one's areas."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from api.cli import main
from gridmap import accounts
from tests.api.conftest import PASSWORD, serve
from tests.bench.served import free_port

ISSUER = "https://sso.example/realms/county"
TOWN = "990126001"


@pytest.fixture
def own_app(own_url, settings):
    """The application, with a provider that nobody needs to reach."""
    settings = replace(
        settings, public_url="https://gridmap.example", oidc_issuer=ISSUER, oidc_client_id="gridmap"
    )
    yield from serve(own_url, settings)


@pytest.fixture
def gridmap(own_app):
    environment = {
        "GRIDMAP_HOME": str(own_app.settings.home),
        "GRIDMAP_DATABASE_URL": own_app.url,
        "GRIDMAP_OIDC_ISSUER": ISSUER,
        "GRIDMAP_OIDC_CLIENT_ID": "gridmap",
        "GRIDMAP_PUBLIC_URL": "https://gridmap.example",
    }

    def run(*arguments, code=0, **more):
        result = CliRunner(env={**environment, **more}).invoke(main, ["user", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def identity(gridmap, name):
    return json.loads(gridmap("show", name).stdout)["identity"]


def test_by_the_command_line(own_app, gridmap):
    assert identity(gridmap, "west") is None
    gridmap("identity", "bind", "west", "--subject", "1", "--reason", "form 12")
    found = identity(gridmap, "west")
    assert (found["issuer"], found["subject"], found["added_by"]) == (ISSUER, "1", "operator")
    assert "identity already" in gridmap("identity", "bind", "west", "--subject", "2", code=1).stderr
    assert "Another account" in gridmap("identity", "bind", "east", "--subject", "1", code=1).stderr
    gridmap("identity", "unbind", "west")
    assert identity(gridmap, "west") is None
    assert "no identity" in gridmap("identity", "unbind", "west", code=1).stderr
    gridmap("identity", "bind", "west", "--named", "li.si")
    assert (identity(gridmap, "west")["named"], identity(gridmap, "west")["subject"]) == ("li.si", None)
    for wrong in ([], ["--subject", "1", "--named", "li.si"]):
        gridmap("identity", "bind", "east", *wrong, code=2)
    nobody = gridmap("identity", "bind", "east", "--subject", "3", code=1, GRIDMAP_OIDC_ISSUER="")
    assert "GRIDMAP_OIDC_ISSUER" in nobody.stderr
    other = ("--issuer", "https://other.example")
    gridmap("identity", "bind", "east", "--subject", "3", *other, GRIDMAP_OIDC_ISSUER="")
    assert identity(gridmap, "east")["issuer"] == "https://other.example"


def test_an_account_can_be_left_without_a_password(own_app, gridmap):
    asked = {"username": "admin", "password": PASSWORD}
    token = own_app.client.post("/api/token", data=asked).json()["access_token"]
    gridmap("password", "admin", "--remove", "--reason", "by the provider from now on")
    assert own_app.client.post("/api/token", data=asked).status_code == 401
    own_app.service.identities.forget()
    held = {"Authorization": f"Bearer {token}"}
    assert own_app.client.get("/api/me", headers=held).status_code == 401
    assert json.loads(gridmap("show", "admin").stdout)["has_password"] is False
    gridmap("password", "admin", "--remove", "--password-stdin", code=2)


def test_over_http_within_ones_areas(own_app):
    with own_app.database.writer() as session:
        accounts.add_account(session, "mayor", [("admin", TOWN)])
        accounts.add_account(session, "both", [("dispatcher", TOWN), ("planner", "*")])
    mayor, admin = own_app.as_("mayor"), own_app.as_("admin")

    def act(caller, name, action, **given):
        answer = caller.post(f"/api/users/{name}/actions", json={"action": action, **given})
        return answer.status_code, answer.json().get("code")

    assert act(mayor, "west", "identity_bind", subject="1", reason="form 12") == (200, None)
    shown = mayor.get("/api/users/west").json()["identity"]
    assert (shown["issuer"], shown["subject"], shown["added_by"]) == (ISSUER, "1", "mayor")
    assert mayor.get("/api/users/both").json()["identity"] is None
    assert act(mayor, "west", "identity_bind", named="w") == (409, "identity_held")
    assert act(mayor, "village", "identity_bind", subject="1") == (409, "identity_taken")
    assert act(mayor, "village", "identity_bind") == (422, "bad_identity")
    assert act(mayor, "village", "identity_bind", subject="1", named="w") == (422, "bad_identity")
    assert act(mayor, "east", "identity_bind", subject="2") == (404, "unknown_account")
    assert act(mayor, "both", "identity_bind", subject="2") == (403, "beyond_your_areas")
    assert act(mayor, "both", "identity_unbind") == (403, "beyond_your_areas")
    assert act(own_app.as_("dispatcher"), "west", "identity_bind", subject="2")[0] == 403
    assert act(admin, "both", "identity_bind", subject="2") == (200, None)
    assert mayor.get("/api/users/both").json()["identity"] is None  # it holds roles elsewhere
    assert act(mayor, "west", "identity_unbind") == (200, None)
    assert act(mayor, "west", "identity_unbind") == (404, "no_identity")
    records = mayor.get("/api/audit", params={"object": "account:west"}).json()["records"]
    done = [each["action"] for each in records if "identity" in each["action"]]
    assert done == ["account.identity_unbind", "account.identity_bind"]


def test_settings_that_will_not_do_stop_the_service_before_any_work(tmp_path):
    environment = {
        "GRIDMAP_HOME": str(tmp_path / "home"),
        "GRIDMAP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "GRIDMAP_PUBLIC_URL": "https://gridmap.example",
        "GRIDMAP_OIDC_CLIENT_ID": "gridmap",
    }
    for wrong, named in (
        ({"GRIDMAP_OIDC_ISSUER": "http://sso.example"}, "GRIDMAP_OIDC_ISSUER"),
        ({"GRIDMAP_OIDC_ISSUER": ISSUER, "GRIDMAP_OIDC_CLIENT_ID": ""}, "GRIDMAP_OIDC_CLIENT_ID"),
        (
            {"GRIDMAP_OIDC_ISSUER": ISSUER, "GRIDMAP_OIDC_CA_FILE": str(tmp_path / "no.pem")},
            "GRIDMAP_OIDC_CA_FILE",
        ),
    ):
        result = CliRunner(env={**environment, **wrong}).invoke(main, ["up", "--port", str(free_port())])
        assert result.exit_code == 1
        assert result.stderr.startswith(f"gridmap: {named}=")
        assert "\n" not in result.stderr.strip()
