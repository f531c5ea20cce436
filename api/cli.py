"""The command line. Every command works on the installation that `GRIDMAP_HOME` or `GRIDMAP_DATABASE_URL` names."""

import importlib
import json
import sys
from typing import Any

import click

from api.cli_db import backup, restore
from api.operator import Tool
from gridmap.errors import GridmapError

EXIT_REFUSED = 1

# Loaded when asked for: `gridmap token` shall not wait for geopandas.
_LATER = {
    "audit": "api.cli_audit:audit",
    "check": "api.cli_check:check",
    "up": "api.cli_up:up",
    "load": "api.cli_load:load",
    "dump": "api.cli_dump:dump",
    "assign": "api.cli_assign:assign",
    "reassign": "api.cli_reassign:reassign",
}


class _Commands(click.Group):
    """A group whose larger commands are imported when used; core errors end in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_LATER})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _LATER:
            module, _, attribute = _LATER[name].partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
        return super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GridmapError as error:
            click.echo(f"gridmap: {error.message}", err=True)
            for finding in error.findings[:20]:
                click.echo("  " + ", ".join(f"{key}={value}" for key, value in finding.items()), err=True)
            if len(error.findings) > 20:
                click.echo(f"  … and {len(error.findings) - 20} more", err=True)
            ctx.exit(EXIT_REFUSED)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="gridmap-service")
@click.pass_context
def main(ctx: click.Context) -> None:
    """gridmap: whose place is it. Grids, events and heat maps for a county or a city.

    网格化服务管理：每一处，都有人管。
    """
    ctx.obj = Tool()
    ctx.call_on_close(ctx.obj.close)


@main.group("db")
def database() -> None:
    """数据库 The database: upgrade, backup, restore, stop, status."""


database.add_command(backup)
database.add_command(restore)


@database.command()
@click.pass_obj
def upgrade(tool: Tool) -> None:
    """Bring the database to this version; make it first where there is none."""
    tool.url()
    click.echo("The database is up to date.")


@database.command()
@click.pass_obj
def stop(tool: Tool) -> None:
    """Stop the private database. Nothing is lost; the next command starts it again."""
    click.echo(tool.stop())


@database.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@click.pass_obj
def status(tool: Tool, as_json: bool) -> None:
    """Whether it runs, and where."""
    found = tool.status()
    if as_json:
        click.echo(json.dumps(found))
    else:
        for key, value in found.items():
            if key != "url":  # it carries the password; --json is for programs
                click.echo(f"{key}: {value}")


@main.group()
def user() -> None:
    """账号 Accounts."""


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="Once for each role.")
@click.option("--area", "areas", multiple=True, required=True, help="Code of the area, or '*' for all.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)
@click.option("--display-name", default="", help="As the pages show it.")
@click.pass_obj
def add(  # click hands over options by name
    tool: Tool,
    name: str,
    roles: tuple[str, ...],
    areas: tuple[str, ...],
    password_stdin: bool,
    display_name: str,
) -> None:
    """Add an account NAME with roles, each held for every area given. Asks for a password, or takes it from a pipe.

    Roles: admin planner approver dispatcher commander worker source.
    """
    from gridmap import accounts  # noqa: PLC0415  # argon2 is not needed by other commands

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    held = [(role, area) for role in dict.fromkeys(roles) for area in dict.fromkeys(areas)]
    with tool.database().writer() as session:
        accounts.add_account(session, name, held, password=password, display_name=display_name)
    click.echo(f"Account {name} added.", err=True)


@main.command()
@click.argument("name")
@click.pass_obj
def token(tool: Tool, name: str) -> None:
    """Print a bearer token for the account NAME, and nothing else."""
    from api.tokens import Tokens, secret_key  # noqa: PLC0415  # as above
    from gridmap import accounts  # noqa: PLC0415  # as above

    with tool.database().reader() as session:
        number, version = accounts.account_number(session, name)
    click.echo(Tokens(secret_key(tool.settings)).issue(number, version))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("lon", type=float)
@click.argument("lat", type=float)
@click.option("--crs", default="wgs84", show_default=True, help="wgs84, cgcs2000, gcj02, bd09 or EPSG:n.")
@click.option("--at", "at", default=None, help="By the boundaries of this moment: RFC 3339, or a date.")
@click.option("--category", default="other", show_default=True)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.pass_obj
def locate(tool: Tool, lon: float, lat: float, crs: str, at: str | None, category: str, lang: str) -> None:
    """Whose the place LON LAT is, as JSON: as GET /api/locate answers."""
    from api.located import located  # noqa: PLC0415  # as above

    click.echo(json.dumps(located(tool, lon, lat, crs, at, category, lang), ensure_ascii=False, indent=2))
