"""The command line. Every command works on the installation that `GRIDMAP_HOME` or `GRIDMAP_DATABASE_URL` names."""

import importlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from gridmap.errors import GridmapError

if TYPE_CHECKING:
    from api.operator import Tool

EXIT_REFUSED = 1

# Loaded when asked for: no command waits for what another needs.
_LATER: Final = {
    "audit": "api.cli_audit:audit",
    "category": "api.cli_category:category",
    "check": "api.cli_check:check",
    "token": "api.cli_user:token",
    "up": "api.cli_up:up",
    "user": "api.cli_user:user",
    "load": "api.cli_load:load",
    "dump": "api.cli_dump:dump",
    "assign": "api.cli_assign:assign",
    "erase": "api.cli_retention:erase",
    "reassign": "api.cli_reassign:reassign",
    "retention": "api.cli_retention:retention",
}
_LATER_OF_DB: Final = {"backup": "api.cli_db:backup", "restore": "api.cli_db:restore"}
_WITHOUT_DATABASE: Final = frozenset({"assign", "check"})  # files in, files out


class _Later(click.Group):
    """A group some of whose commands are imported when used, from `module:attribute`."""

    def __init__(self, *arguments: Any, later: Mapping[str, str], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._later})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self._later:
            module, _, attribute = self._later[name].partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
        return super().get_command(ctx, name)


class _Commands(_Later):
    """Core errors end in one sentence."""

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
    cls=_Commands,
    later=_LATER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gridmap-service")
@click.pass_context
def main(ctx: click.Context) -> None:
    """gridmap: whose place is it. Grids, events and heat maps for a county or a city.

    网格化服务管理：每一处，都有人管。
    """
    if ctx.invoked_subcommand in _WITHOUT_DATABASE:
        return
    from api.operator import Tool  # noqa: PLC0415  # what speaks to a database takes a second to import

    ctx.obj = Tool()
    ctx.call_on_close(ctx.obj.close)


@main.group("db", cls=_Later, later=_LATER_OF_DB)
def database() -> None:
    """数据库 The database: upgrade, backup, restore, stop, status."""


@database.command()
@click.pass_obj
def upgrade(tool: "Tool") -> None:
    """Bring the database to this version; make it first where there is none."""
    tool.url()
    click.echo("The database is up to date.")


@database.command()
@click.pass_obj
def stop(tool: "Tool") -> None:
    """Stop the private database. Nothing is lost; the next command starts it again."""
    click.echo(tool.stop())


@database.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@click.pass_obj
def status(tool: "Tool", as_json: bool) -> None:
    """Whether it runs, and where."""
    found = tool.status()
    if as_json:
        click.echo(json.dumps(found))
    else:
        for key, value in found.items():
            if key != "url":  # it carries the password; --json is for programs
                click.echo(f"{key}: {value}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("lon", type=float)
@click.argument("lat", type=float)
@click.option("--crs", default="wgs84", show_default=True, help="wgs84, cgcs2000, gcj02, bd09 or EPSG:n.")
@click.option("--at", "at", default=None, help="By the boundaries of this moment: RFC 3339, or a date.")
@click.option("--category", default="other", show_default=True)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.pass_obj
def locate(tool: "Tool", lon: float, lat: float, crs: str, at: str | None, category: str, lang: str) -> None:
    """Whose the place LON LAT is, as JSON: as GET /api/locate answers."""
    from api.located import located  # noqa: PLC0415  # as above

    click.echo(json.dumps(located(tool, lon, lat, crs, at, category, lang), ensure_ascii=False, indent=2))
