"""What the image and the compose file promise, as far as it can be seen without an engine."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are no dependency

PROJECT = Path(__file__).parents[2]
DOCKER = PROJECT / "docker"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"])


def test_bases_are_pinned(instructions: list[tuple[str, str]], services: dict[str, Any]) -> None:
    bases = [rest.split()[0] for word, rest in instructions if word == "FROM"]
    images = [*bases, *(service["image"] for service in services.values())]
    assert len(bases) == 2
    for image in images:
        assert re.fullmatch(r"[a-z/]+:\d+(\.\d+)*(-[\w.]+)?(@sha256:[0-9a-f]{64})?", image), image


def test_the_image_ends_as_an_unprivileged_user_with_a_health_check(
    instructions: list[tuple[str, str]],
) -> None:
    last = instructions[max(i for i, (word, _) in enumerate(instructions) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users
    assert users[-1].isdigit()
    assert int(users[-1]) > 0
    after = [word for word, _ in last[last.index(("USER", users[-1])) :]]
    assert not {"RUN", "COPY", "ADD"} & set(after), "nothing is made as that user, nothing as root after it"
    assert [word for word, _ in last].count("HEALTHCHECK") == 1
    environment = " ".join(rest for word, rest in last if word == "ENV")
    assert "PYTHONSAFEPATH=1" in environment


def test_no_secret_is_part_of_the_image(
    instructions: list[tuple[str, str]], services: dict[str, Any]
) -> None:
    for word, rest in instructions:
        if word in {"ENV", "ARG"}:
            assert not re.search(r"(?i)password|secret|token", rest), rest
    for service in services.values():
        for name, value in service["environment"].items():
            if re.search(r"(?i)password|secret|key|token", name):
                assert name.endswith("_FILE"), name
                assert str(value).startswith("/run/secrets/"), name
            assert not re.search(r"//[^/@]+:[^/@]+@", str(value)), "a password in a URL"
    ignored = subprocess.run(
        ["git", "check-ignore", "docker/secrets/database_password"], cwd=PROJECT, check=False
    )
    assert ignored.returncode in {0, 128}, "the secrets' folder could be committed"  # 128: no checkout of git


def test_only_what_is_allowed_is_copied(instructions: list[tuple[str, str]]) -> None:
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set()
    for word, rest in instructions:
        if word == "COPY" and "--from" not in rest:
            copied |= {name for name in rest.split()[:-1] if not name.startswith("--")}
    assert copied == allowed
    for name in allowed:
        assert (PROJECT / name).exists(), name


def test_services_have_few_rights(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert "privileged" not in service, name
    assert services["gridmap"]["read_only"] is True
    assert all(port.startswith("127.0.0.1:") for port in services["gridmap"]["ports"])
    assert "ports" not in services["database"]
    assert services["database"]["networks"] == ["back"]


@pytest.mark.parametrize("password", ["plain", "with:colon", r"back\slash", "blank and 'quote'"])
def test_the_entrypoint_hands_the_password_over_in_a_private_file(tmp_path: Path, password: str) -> None:
    fake = tmp_path / "gridmap"
    fake.write_text('#!/bin/sh\ncat "$PGPASSFILE"\nstat -c %a "$PGPASSFILE"\necho "$@"\nrm "$PGPASSFILE"\n')
    fake.chmod(0o755)
    (tmp_path / "secret").write_text(password + "\n")
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GRIDMAP_DATABASE_PASSWORD_FILE": str(tmp_path / "secret"),
    }
    done = subprocess.run(
        [DOCKER / "entrypoint", "up", "--port", "1"], env=env, check=True, capture_output=True, text=True
    )
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    assert done.stdout.splitlines() == [f"*:*:*:*:{escaped}", "600", "up --port 1"]


def test_the_runtime_part_of_the_lock() -> None:
    """All that the service asks for, with hashes, and none of the development tools."""
    script = PROJECT / ".ci" / "runtime_lock.py"
    text = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout
    names = {line.partition("==")[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[>=<]", line)[0] for line in project["dependencies"]}
    assert wanted <= names
    assert {"starlette", "psycopg-binary", "llvmlite", "pydantic-core"} <= names, "what those need in turn"
    assert not {"pytest", "mypy", "ruff", "playwright", "hypothesis", "pip-audit"} & names
    for block in re.split(r"\n(?=[a-z0-9])", text):
        assert "--hash=sha256:" in block, block[:60]
