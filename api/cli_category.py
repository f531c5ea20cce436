"""`gridmap category`: which categories are closed to which roles."""

from collections.abc import Callable

import click

from api.operator import Tool

_CATEGORY = click.argument("category")
_ROLES = click.option(
    "--role", "roles", multiple=True, required=True, help="角色 Which role; may be given several times."
)
_REASON = click.option("--reason", required=True, help="理由 Why; recorded in the audit.")


@click.group()
def category() -> None:
    """事件类别 Categories: which are closed to which roles."""


@category.command("list")
@click.pass_obj
def list_(tool: Tool) -> None:
    """列出 Every category and the roles to which it is closed."""
    from gridmap.closed_categories import closings  # noqa: PLC0415  # --help need not pay for the core

    with tool.database().reader() as session:
        for name, roles in closings(session).items():
            click.echo(f"{name:<12} {', '.join(roles) or '—'}")


@category.command()
@_CATEGORY
@_ROLES
@_REASON
@click.pass_obj
def close(tool: Tool, category: str, roles: tuple[str, ...], reason: str) -> None:
    """关闭 Close CATEGORY to roles: whoever holds no other role neither sees, counts nor posts its events."""
    _change(tool, category, roles, reason, lambda before: {*before, *roles})


@category.command("open")
@_CATEGORY
@_ROLES
@_REASON
@click.pass_obj
def open_(tool: Tool, category: str, roles: tuple[str, ...], reason: str) -> None:
    """开放 Open CATEGORY to roles again."""
    _change(tool, category, roles, reason, lambda before: before - {*roles})


def _change(
    tool: Tool, category: str, roles: tuple[str, ...], reason: str, after: Callable[[set[str]], set[str]]
) -> None:
    from gridmap.accounts import THE_OPERATOR, Administrator  # noqa: PLC0415  # as above
    from gridmap.closed_categories import check, closings, set_closings  # noqa: PLC0415  # as above

    check(category, roles)
    by = Administrator(THE_OPERATOR.name, THE_OPERATOR.scope, {"user": tool.user})
    with tool.database().writer() as session:
        wanted = after(set(closings(session)[category]))
        set_closings(session, by, category, wanted, reason)
        closed = closings(session)[category]
    click.echo(
        f"{category}: {'关闭 closed to ' + ', '.join(closed) if closed else '全部开放 open to all roles'}"
    )
