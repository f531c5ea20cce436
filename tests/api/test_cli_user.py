"""`gridmap user` and `gridmap token`."""

import json

import pytest
from click.testing import CliRunner

from api.cli import main
from gridmap.access import Scope
from gridmap.audit import Wanted, page

PASSWORD = "twelve letters 一"


@pytest.fixture
def gridmap(own_app):
    environment = {
        "GRIDMAP_HOME": str(own_app.settings.home),
        "GRIDMAP_DATABASE_URL": own_app.url,
        "GRIDMAP_SECRET_KEY": own_app.settings.secret_key,
    }

    def run(*arguments, code=0, standard_input=None):
        result = CliRunner(env=environment).invoke(main, ["user", *arguments], input=standard_input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def sign_in(app, name, password=PASSWORD):
    answer = app.client.post("/api/token", data={"username": name, "password": password})
    return answer.json().get("access_token")


def test_an_accounts_life(own_app, gridmap):
    gridmap("add", "li", "--role", "dispatcher", "--area", "990126001", "--password-stdin",
            standard_input=f"{PASSWORD}\n")  # fmt: skip
    bearer = {"Authorization": f"Bearer {sign_in(own_app, 'li')}"}
    assert own_app.client.get("/api/me", headers=bearer).status_code == 200
    gridmap("role", "add", "li", "planner", "--area", "*", "--reason", "project")
    shown = json.loads(gridmap("show", "li").stdout)
    assert shown["roles"] == [{"role": "dispatcher", "area": "990126001"}, {"role": "planner", "area": "*"}]
    assert [each["kind"] for each in shown["tokens"]] == ["bearer"]
    gridmap("role", "remove", "li", "planner", "--area", "*")
    assert "no longer" not in gridmap("role", "remove", "li", "planner", "--area", "*", code=1).stdout
    gridmap("password", "li", "--password-stdin", standard_input="another long password\n")
    assert sign_in(own_app, "li") is None
    assert sign_in(own_app, "li", "another long password")
    gridmap("disable", "li", "--reason", "left")
    assert sign_in(own_app, "li", "another long password") is None
    assert "disabled" in next(line for line in gridmap("list").stdout.splitlines() if line.startswith("li "))
    gridmap("enable", "li")
    gridmap("revoke", "li")
    accounts = json.loads(gridmap("list", "--json").stdout)
    assert next(each for each in accounts if each["name"] == "li")["disabled_at"] is None
    with own_app.database.reader() as session:
        found = page(session, Scope(None), Wanted(object="account:li"))
    assert {row["actor"] for row in found if row["action"].startswith("account.")} == {"operator"}
    assert {row["reason"] for row in found} == {None, "project", "left"}
    assert all("user" in row["detail"] for row in found if row["actor"] == "operator")


def test_what_will_not_do_is_one_sentence(gridmap):
    for words, said in (
        (("show", "nobody"), "No account nobody"),
        (("password", "nobody"), "No account nobody"),
        (("disable", "admin"), "last administrator"),
        (("role", "remove", "admin", "admin", "--area", "*"), "without a role"),
        (("role", "add", "admin", "planner", "--area", "nowhere"), "nowhere"),
        (("revoke", "west", "--token", "x"), "no token x"),
    ):
        (line,) = gridmap(*words, code=1).stderr.splitlines()
        assert said in line
    assert gridmap("role", "add", "admin", "king", "--area", "*", code=2)


def test_a_machine_posts_as_its_source_until_its_token_is_revoked(own_app, gridmap, event):
    gridmap("add", "gate", "--role", "source", "--area", "*", "--no-password", "--source", "12345")
    environment = {"GRIDMAP_HOME": str(own_app.settings.home), "GRIDMAP_DATABASE_URL": own_app.url,
                   "GRIDMAP_SECRET_KEY": own_app.settings.secret_key}  # fmt: skip
    result = CliRunner(env=environment).invoke(main, ["token", "gate", "--machine", "north gate"])
    assert result.exit_code == 0
    machine = {"Authorization": f"Bearer {result.stdout.strip()}"}
    assert own_app.client.post("/api/events", json=event(), headers=machine).status_code == 201
    assert own_app.client.get("/api/areas", headers=machine).status_code == 403
    (issued,) = json.loads(gridmap("show", "gate").stdout)["tokens"]
    assert (issued["kind"], issued["label"], issued["expires_at"]) == ("machine", "north gate", None)
    gridmap("revoke", "gate", "--token", issued["id"])
    own_app.service.identities.forget()  # the notice takes a moment
    assert own_app.client.post("/api/events", json=event(), headers=machine).status_code == 401
    refused = CliRunner(env=environment).invoke(main, ["token", "west", "--machine", "x"])
    assert (refused.exit_code, refused.stdout) == (1, "")
