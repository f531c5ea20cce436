"""What the documentation says is true of the code: commands, options, settings, links, targets."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from api.cli import main
from gridmap.settings import Settings

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docker").glob("*.md")})
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CALL = re.compile(r"(?:GRIDMAP_\w+=\S+ +)*(?:[\w./-]*/)?(gridmap .*)")
# An interface named in a guide or record, not a line to type.
PLACEHOLDER = re.compile(r"[A-Z…]|\|")
HOSTS = (
    r"pypi[.]org|pythonhosted|registry[.]npmjs|npmjs[.](org|com)|deb[.]debian|security[.]debian|yarnpkg|"
    r"crates[.]io|ghcr[.]io|quay[.]io|docker[.]io|jsdelivr|unpkg"
)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(text(page))


def command_lines(page: Path) -> Iterator[str]:
    """Lines of shell blocks that call gridmap, continued lines joined."""
    for language, block in blocks(page):
        if language not in {"sh", ""}:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            start = CALL.match(line.strip())
            if start:
                yield start.group(1)


def mentioned(page: Path) -> Iterator[str]:
    """Commands named in running text and tables."""
    for span in re.findall(r"`([^`\n]*)`", FENCE.sub("", text(page))):
        start = CALL.match(span)
        if start:
            yield start.group(1)


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The click command that the words lead to, and what is left of them."""
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no `{words[0]}` in `gridmap {command.name or ''}`"
        command, words = found, words[1:]
    return command, words


def options(command: click.Command) -> set[str]:
    own = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    return own | {"-h", "--help"}


def alternatives(line: str) -> Iterator[str]:
    """`gridmap load a|b FILE` for each noun."""
    nouns = re.match(r"(gridmap (?:load|dump)) ([a-z]+(?:\\?\|[a-z]+)+)(.*)", line)
    if nouns is None:
        yield line
        return
    for noun in re.split(r"\\?\|", nouns.group(2)):
        yield f"{nouns.group(1)} {noun}{nouns.group(3)}"


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=name)
def test_the_readme_shows_the_main_command_and_its_test(page: Path) -> None:
    shown = "\n".join(block for language, block in blocks(page) if language == "sh")
    assert "make demo" in shown
    assert "make test" in shown
    assert len(list(command_lines(page))) >= 10


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_is_understood(page: Path) -> None:
    # Parsed, never invoked: a path need not exist to be a path.
    for line in [each for said in command_lines(page) for each in said.split(" && ")]:
        words = shlex.split(line.split(" | ")[0], comments=True)
        command, left = resolve(words[1:])
        assert not isinstance(command, click.Group), f"{line!r} is not whole"
        with command.make_context(command.name, list(left), resilient_parsing=False) as context:
            assert context.command is command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_named_has_the_options_named(page: Path) -> None:
    for line in [each for said in mentioned(page) for each in alternatives(said)]:
        words = re.findall(r"[^\s\[\]]+", line)
        path = []
        for word in words[1:]:
            if word.startswith("-") or PLACEHOLDER.match(word):
                break
            path.append(word)
        command, _ = resolve(path)
        unknown = {word for word in words if word.startswith("--")} - options(command)
        assert not unknown, f"{name(page)}: {line!r} knows no {sorted(unknown)}"


def variable(setting: str) -> str:
    return f"GRIDMAP_{setting.upper()}"


SETTINGS = {variable(field.name) for field in dataclasses.fields(Settings)}
# Of the database's programs and of the container's entrypoint, not of the service.
BESIDE = {"GRIDMAP_POSTGRES_BIN", "GRIDMAP_DATABASE_PASSWORD_FILE"}


def table_variables(page: Path) -> set[str]:
    return set(re.findall(r"^\| `(GRIDMAP_\w+)` \|", text(page), re.MULTILINE))


def test_operations_list_every_setting_and_no_other() -> None:
    page = ROOT / "docs" / "operations.md"
    assert table_variables(page) == SETTINGS
    assert set(re.findall(r"GRIDMAP_[A-Z_]+", text(page))) == SETTINGS | BESIDE


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=name)
def test_the_readme_lists_every_setting_and_no_other(page: Path) -> None:
    assert table_variables(page) == SETTINGS


def test_settings_are_read_by_the_names_that_are_documented(tmp_path: Path) -> None:
    given = {
        "GRIDMAP_HOME": str(tmp_path),
        "GRIDMAP_DATABASE_URL": "postgresql://there",
        "GRIDMAP_SECRET_KEY": "key",
        "GRIDMAP_TIME_ZONE": "Europe/Prague",
        "GRIDMAP_BASEMAP_URL": "http://tiles/{z}/{x}/{y}",
        "GRIDMAP_WITHHOLD_BELOW": "7",
        "GRIDMAP_TOLERANCE_M": "11",
        "GRIDMAP_TITLE": "title",
        "GRIDMAP_MAX_BODY_BYTES": "4096",
        "GRIDMAP_ATTACHMENT_BYTES": "2048",
        "GRIDMAP_ATTACHMENTS_PER_EVENT": "6",
        "GRIDMAP_POOL_SIZE": "5",
        "GRIDMAP_STATEMENT_TIMEOUT_S": "9",
        "GRIDMAP_REQUESTS_PER_SECOND": "50",
        "GRIDMAP_ADDRESS_REQUESTS_PER_SECOND": "20",
        "GRIDMAP_HEAVY_AT_ONCE": "2",
        "GRIDMAP_PROXIES": "10.0.0.5",
        "GRIDMAP_LOG_FORMAT": "json",
        "GRIDMAP_CODE_SCHEME": "county:6,town:3,village:3,comprehensive:2,micro:2",
        "GRIDMAP_CODE_ORDER": "rows",
        "GRIDMAP_HOUSEHOLD_RANGES": "micro=40:90",
        "GRIDMAP_NOTICE_DAYS": "7",
        "GRIDMAP_PUBLIC_URL": "https://here.example",
        "GRIDMAP_OIDC_ISSUER": "https://there.example/realms/county",
        "GRIDMAP_OIDC_CLIENT_ID": "client",
        "GRIDMAP_OIDC_CLIENT_SECRET": "secret",
        "GRIDMAP_OIDC_NAME": "name",
        "GRIDMAP_OIDC_CLAIM": "email",
        "GRIDMAP_OIDC_CA_FILE": "ca.pem",
        "GRIDMAP_OIDC_SCOPES": "openid email",
    }
    assert given.keys() == SETTINGS
    usual, changed = Settings.from_environment({}), Settings.from_environment(given)
    same = [
        field.name
        for field in dataclasses.fields(Settings)
        if getattr(usual, field.name) == getattr(changed, field.name)
    ]
    assert same == []


def test_documented_defaults_are_the_defaults() -> None:
    usual = Settings.from_environment({})
    said = dict(re.findall(r"^\| `(GRIDMAP_\w+)` \| `([^`]+)`", text(ENGLISH), re.MULTILINE))
    assert said["GRIDMAP_HOME"] == usual.home.name
    assert said["GRIDMAP_TIME_ZONE"] == usual.time_zone.key
    assert int(said["GRIDMAP_WITHHOLD_BELOW"]) == usual.withhold_below
    assert float(said["GRIDMAP_TOLERANCE_M"]) == usual.tolerance_m
    assert said["GRIDMAP_TITLE"] == usual.title
    assert int(said["GRIDMAP_MAX_BODY_BYTES"]) == usual.max_body_bytes
    assert int(said["GRIDMAP_ATTACHMENT_BYTES"]) == usual.attachment_bytes
    assert int(said["GRIDMAP_ATTACHMENTS_PER_EVENT"]) == usual.attachments_per_event
    assert int(said["GRIDMAP_POOL_SIZE"]) == usual.pool_size
    assert float(said["GRIDMAP_STATEMENT_TIMEOUT_S"]) == usual.statement_timeout_s
    assert float(said["GRIDMAP_REQUESTS_PER_SECOND"]) == usual.requests_per_second
    assert float(said["GRIDMAP_ADDRESS_REQUESTS_PER_SECOND"]) == usual.address_requests_per_second
    assert int(said["GRIDMAP_HEAVY_AT_ONCE"]) == usual.heavy_at_once
    assert said["GRIDMAP_PROXIES"].split(",") == list(usual.proxies)
    assert said["GRIDMAP_CODE_ORDER"] == usual.code_order
    assert said["GRIDMAP_HOUSEHOLD_RANGES"] == usual.household_ranges
    assert int(said["GRIDMAP_NOTICE_DAYS"]) == usual.notice_days
    assert said["GRIDMAP_LOG_FORMAT"] == usual.log_format
    assert said["GRIDMAP_OIDC_CLAIM"] == usual.oidc_claim
    assert said["GRIDMAP_OIDC_SCOPES"] == usual.oidc_scopes


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name(page)} links {target}"
        if anchor:
            assert anchor in anchors(file), f"{name(page)} links {target}"


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text(page), re.MULTILINE))
        assert named <= targets, f"{name(page)}: {named - targets}"
    shown = set(re.findall(r"`make ([a-z-]+)`", text(ENGLISH))) | {"demo", "test"}
    assert shown == targets, "the README lists them all"


def test_the_two_readmes_are_twins() -> None:
    english, chinese = text(ENGLISH), text(CHINESE)

    def levels(page: str) -> list[int]:
        return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", page), re.MULTILINE)]

    def rows(page: str) -> list[int]:
        return [line.count("|") for line in FENCE.sub("", page).splitlines() if line.startswith("|")]

    assert levels(english) == levels(chinese)
    assert rows(english) == rows(chinese)
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert set(LINK.findall(english)) - {"README.zh.md"} == set(LINK.findall(chinese)) - {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_registry_is_named_by_its_host(page: Path) -> None:
    assert re.search(HOSTS, text(page)) is None


def test_the_picture_is_a_small_png() -> None:
    picture = (ROOT / "docs" / "img" / "command.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 20_000 < len(picture) < 400_000
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1440, 900)
