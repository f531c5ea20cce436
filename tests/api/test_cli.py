"""The command line: what it prints and nothing else, and one sentence where something will not do."""

import json
import socket
import stat
import threading

import pytest
from click.testing import CliRunner

from api.cli import main
from api.tokens import SECRET_FILE, Tokens, secret_key
from gridmap.errors import NotPossible
from gridmap.settings import Settings


@pytest.fixture
def gridmap(module_app, settings):
    """Runs a command on the module's installation; its secret is the settings'."""
    environment = {
        "GRIDMAP_HOME": str(settings.home),
        "GRIDMAP_DATABASE_URL": module_app.url,
        "GRIDMAP_SECRET_KEY": module_app.settings.secret_key,
    }

    def run(*arguments, standard_input=None, **changes):
        runner = CliRunner(env={**environment, **changes})
        result = runner.invoke(main, [str(each) for each in arguments], input=standard_input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def one_sentence(result, code=1):
    """The error alone, on one line of standard error."""
    assert result.exit_code == code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("gridmap: ")
    return line


def test_a_token_and_nothing_else(gridmap, module_app):
    result = gridmap("token", "dispatcher")
    assert (result.exit_code, result.stderr) == (0, "")
    token = result.stdout.removesuffix("\n")
    assert token.split() == [token]
    answer = module_app.client.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json()["name"] == "dispatcher"


def test_a_token_for_nobody(gridmap):
    assert "gridmap user add nobody" in one_sentence(gridmap("token", "nobody"))


def test_an_account_is_added_and_signs_in(gridmap, module_app):
    result = gridmap(
        "user", "add", "new.one", "--role", "dispatcher", "--role", "planner", "--area", "990126001",
        "--password-stdin", standard_input="twelve letters 一\nsecond line",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, "")
    answer = module_app.client.post(
        "/api/token", data={"username": "new.one", "password": "twelve letters 一"}
    )
    assert answer.status_code == 200
    me = module_app.client.get(
        "/api/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}
    ).json()
    assert {role["role"] for role in me["roles"]} == {"dispatcher", "planner"}
    assert "new.one already" in one_sentence(
        gridmap(
            "user",
            "add",
            "new.one",
            "--role",
            "admin",
            "--area",
            "*",
            "--password-stdin",
            standard_input="x" * 12,
        )
    )


@pytest.mark.parametrize(
    ("name", "role", "area", "password", "words"),
    [
        ("x", "king", "*", "x" * 12, "'king' is no role; allowed: admin"),
        ("x", "admin", "nowhere", "x" * 12, "'nowhere'; * means all"),
        ("x y", "admin", "*", "x" * 12, "no account name"),
        ("x", "admin", "*", "short", "12 to 256 characters"),
        ("x", "admin", "*", "", "12 to 256 characters"),
    ],
)
def test_an_account_that_cannot_be(gridmap, name, role, area, password, words):
    result = gridmap(
        "user",
        "add",
        name,
        "--role",
        role,
        "--area",
        area,
        "--password-stdin",
        standard_input=password + "\n",
    )
    assert words in one_sentence(result)


def test_options_that_are_missing_are_named(gridmap):
    result = gridmap("user", "add", "x", "--area", "*")
    assert result.exit_code == 2
    assert "--role" in result.stderr


def test_the_database_says_how_it_is(gridmap, module_app):
    result = gridmap("db", "status", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {"running", "url", "data_dir", "postmaster_pid"} <= set(found)
    assert (found["running"], found["url"]) == (True, module_app.url)
    plain = gridmap("db", "status")
    assert "running: True" in plain.stdout
    assert module_app.url not in plain.stdout  # it carries the password
    gone = gridmap("db", "status", "--json", GRIDMAP_DATABASE_URL="postgresql://a:b@127.0.0.1:1/c")
    assert json.loads(gone.stdout)["running"] is False
    assert "not ours to stop" in gridmap("db", "stop").stdout
    assert gridmap("db", "upgrade").exit_code == 0


def test_without_a_cluster_status_changes_nothing(gridmap, tmp_path):
    home = tmp_path / "never made"
    found = json.loads(
        gridmap("db", "status", "--json", GRIDMAP_DATABASE_URL="", GRIDMAP_HOME=str(home)).stdout
    )
    assert (found["running"], found["url"], found["data_dir"], found["postmaster_pid"]) == (
        False,
        None,
        None,
        None,
    )
    assert not home.exists()


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ((112.001, 30.001), {}),
        ((112.001, 30.001), {"category": "police_case", "lang": "en"}),
        ((112.011, 30.005), {"lang": "en"}),
        ((112.002, 30.002), {}),
        ((112.0055, 30.0025), {"crs": "gcj02"}),
        ((-70.5, -33.25), {"at": "2020-01-01"}),
    ],
)
def test_locate_answers_as_the_service_does(gridmap, module_app, place, options):
    lon, lat = place
    extra = [part for key, value in options.items() for part in (f"--{key}", value)]
    result = gridmap("locate", *extra, lon, lat)
    assert result.exit_code == 0, result.stderr
    query = {"lon": lon, "lat": lat, **options}
    answer = module_app.as_("dispatcher").get("/api/locate", params=query)
    assert answer.status_code == 200
    assert json.loads(result.stdout) == answer.json()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("locate", 30.001, 112.001), "look swapped"),
        (("locate", "nan", 30), "nowhere on Earth"),
        (("locate", 112, 30, "--crs", "mars"), "mars"),
        (("locate", 112, 30, "--at", "yesterday"), "at='yesterday'"),
        (("locate", 112, 30, "--category", "gossip"), "'gossip' is no category"),
    ],
)
def test_a_place_that_cannot_be(gridmap, arguments, words):
    result = gridmap(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr.splitlines()[0]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRIDMAP_TIME_ZONE", "Mars/Olympus"),
        ("GRIDMAP_TIME_ZONE", "../../etc/passwd"),
        ("GRIDMAP_WITHHOLD_BELOW", "few"),
        ("GRIDMAP_WITHHOLD_BELOW", "-1"),
        ("GRIDMAP_TOLERANCE_M", "nan"),
        ("GRIDMAP_POOL_SIZE", "0"),
        ("GRIDMAP_MAX_BODY_BYTES", "1e999"),
        ("GRIDMAP_DATABASE_URL", "nonsense"),
        ("GRIDMAP_DATABASE_URL", "mysql://a/b"),
        ("GRIDMAP_DATABASE_URL", "postgresql://h:port/b"),
    ],
)
def test_a_setting_that_cannot_be_is_named(gridmap, name, value):
    for command in (("db", "status"), ("token", "dispatcher"), ("locate", 112, 30)):
        assert name in one_sentence(gridmap(*command, **{name: value}))


def test_a_server_that_is_away(gridmap):
    line = one_sentence(gridmap("token", "x", GRIDMAP_DATABASE_URL="postgresql://a:secret@127.0.0.1:1/c"))
    assert "away" in line
    assert "secret" not in line


def test_help_names_every_command(gridmap):
    text = gridmap("--help").stdout
    for command in ("up", "db", "user", "audit", "token", "load", "dump", "locate", "reassign"):
        assert f"\n  {command} " in text
        assert gridmap(command, "--help").exit_code == 0
    assert gridmap("--version").exit_code == 0
    assert gridmap("no-such-command").exit_code == 2


def test_the_secret_is_made_once_and_is_its_owners(tmp_path):
    settings = Settings(home=tmp_path / "a" / "home")
    made = []
    threads = [threading.Thread(target=lambda: made.append(secret_key(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert len(made[0]) >= 48
    path = settings.home / SECRET_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in settings.home.iterdir()] == [SECRET_FILE]
    token = Tokens(made[0]).issue(7, 1)
    assert Tokens(secret_key(settings)).read(token).account == 7


def test_an_empty_secret_signs_nothing(tmp_path):
    settings = Settings(home=tmp_path)
    (tmp_path / SECRET_FILE).write_text("\n")
    with pytest.raises(NotPossible, match="is empty"):
        secret_key(settings)
    (tmp_path / SECRET_FILE).unlink()
    (tmp_path / SECRET_FILE).mkdir()
    with pytest.raises(NotPossible, match="cannot be read or made"):
        secret_key(settings)


def test_a_port_that_is_taken_is_named_before_any_work(gridmap):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = gridmap("up", "--port", str(port))
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} cannot be served" in result.output
    assert "gridmap  →" not in result.output
