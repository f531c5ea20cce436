"""`gridmap user` and `gridmap token`: accounts from the machine's command line, which administers everywhere."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from api import cli_identity
from api.operator import Tool
from api.signing_in import SigningIn
from api.tokens import Tokens, secret_key
from gridmap import account_changes, accounts, provider_identities, tokens_issued
from gridmap.access import ROLES, Scope
from gridmap.account_changes import Account
from gridmap.accounts import Administrator

EVERYWHERE = Scope(None)
PAGE = 500


def _by(tool: Tool) -> Administrator:
    return Administrator(accounts.THE_OPERATOR.name, EVERYWHERE, {"user": tool.user})


def _password(from_stdin: bool) -> str:  # click's flag
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)
_REASON = click.option("--reason", help="事由 Why; it is recorded.")


@click.group()
def user() -> None:
    """账号 Accounts: add, list, show, password, role, identity, disable, enable, revoke."""


user.add_command(cli_identity.identity)


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="Once for each role.")
@click.option("--area", "areas", multiple=True, required=True, help="Code of the area, or '*' for all.")
@_STDIN
@click.option(
    "--no-password", is_flag=True, help="No password: tokens, as for machines, or an external provider."
)
@click.option("--display-name", default="", help="As the pages show it.")
@click.option("--source", help="What a machine posts as; its name unless told otherwise.")
@click.option("--worker", type=int, help="Number of the worker who signs in by it.")
@click.pass_obj
def add(  # click hands over options by name
    tool: Tool,
    name: str,
    roles: tuple[str, ...],
    areas: tuple[str, ...],
    password_stdin: bool,
    no_password: bool,
    display_name: str,
    source: str | None,
    worker: int | None,
) -> None:
    """Add an account NAME with roles, each held for every area given. Asks for a password, or takes it from a pipe.

    Roles: admin planner approver dispatcher commander worker source.
    """
    if password_stdin and no_password:
        raise click.UsageError("--password-stdin or --no-password, not both")
    password = None if no_password else _password(password_stdin)
    held = [(role, area) for role in dict.fromkeys(roles) for area in dict.fromkeys(areas)]
    with tool.database().writer() as session:
        accounts.add_account(
            session,
            name,
            held,
            password=password,
            display_name=display_name,
            source=source,
            worker=worker,
            by=_by(tool),
        )
    click.echo(f"Account {name} added.", err=True)


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@click.pass_obj
def list_accounts(tool: Tool, as_json: bool) -> None:
    """列表 All accounts with their roles."""
    found: list[Account] = []
    with tool.database().reader() as session:
        while part := account_changes.page(
            session, EVERYWHERE, after=found[-1].name if found else "", limit=PAGE
        ):
            found += part
    if as_json:
        click.echo(json.dumps([_facts(each) for each in found], ensure_ascii=False))
        return
    for each in found:
        closed = "  停用 disabled" if each.disabled_at else ""
        click.echo(f"{each.name:<20} {_roles(each.roles)}{closed}")


def _roles(roles: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{role} {area}" for role, area in roles)


def _facts(found: Account) -> dict[str, Any]:
    def told(moment: Any) -> str | None:
        return moment.isoformat() if moment else None

    return {
        "name": found.name,
        "display_name": found.display_name,
        "roles": [{"role": role, "area": area} for role, area in found.roles],
        "worker": found.worker,
        "source": found.source,
        "has_password": found.has_password,
        "created_at": told(found.created_at),
        "signed_in_at": told(found.signed_in_at),
        "disabled_at": told(found.disabled_at),
    }


@user.command()
@click.argument("name")
@click.pass_obj
def show(tool: Tool, name: str) -> None:
    """详情 One account with what was issued to it, as JSON."""
    with tool.database().reader() as session:
        facts = _facts(account_changes.one(session, EVERYWHERE, name))
        facts["identity"] = cli_identity.facts(provider_identities.held(session, EVERYWHERE, name))
        issued = tokens_issued.listed(session, EVERYWHERE, name)
    facts["tokens"] = [
        {
            "id": each.id,
            "kind": each.kind,
            "label": each.label,
            "issued_at": each.issued_at.isoformat(),
            "issued_by": each.issued_by,
            "expires_at": each.expires_at.isoformat() if each.expires_at else None,
            "revoked_at": each.revoked_at.isoformat() if each.revoked_at else None,
        }
        for each in issued
    ]
    click.echo(json.dumps(facts, ensure_ascii=False, indent=2))


@user.command()
@click.argument("name")
@_STDIN
@click.option("--remove", is_flag=True, help="No password from now on: tokens, or an external provider.")
@_REASON
@click.pass_obj
def password(tool: Tool, name: str, password_stdin: bool, remove: bool, reason: str | None) -> None:
    """密码 Give the account another password, or none; its sessions and bearer tokens end."""
    if password_stdin and remove:
        raise click.UsageError("--password-stdin or --remove, not both")
    with tool.database().reader() as session:  # before anybody types
        account_changes.one(session, EVERYWHERE, name)
    chosen = None if remove else _password(password_stdin)
    with tool.database().writer() as session:
        account_changes.set_password(session, _by(tool), name, chosen, reason)
    click.echo(f"Password of {name} {'removed' if remove else 'changed'}; its sessions have ended.", err=True)


@user.group("role")
def roles_of() -> None:
    """角色 Roles of an account."""


_ROLE = (
    click.argument("name"),
    click.argument("role", type=click.Choice(ROLES)),
    click.option("--area", required=True, help="Code of the area, or '*' for all."),
)


@roles_of.command("add")
@_ROLE[0]
@_ROLE[1]
@_ROLE[2]
@_REASON
@click.pass_obj
def add_role(tool: Tool, name: str, role: str, area: str, reason: str | None) -> None:
    """授予 Give the account a role for an area; it works at once."""
    with tool.database().writer() as session:
        account_changes.add_role(session, _by(tool), name, (role, area), reason)
    click.echo(f"{name}: {role} {area}", err=True)


@roles_of.command("remove")
@_ROLE[0]
@_ROLE[1]
@_ROLE[2]
@_REASON
@click.pass_obj
def remove_role(tool: Tool, name: str, role: str, area: str, reason: str | None) -> None:
    """收回 Take a role for an area from the account; it works at once."""
    with tool.database().writer() as session:
        account_changes.remove_role(session, _by(tool), name, (role, area), reason)
    click.echo(f"{name}: no longer {role} {area}", err=True)


@user.command()
@click.argument("name")
@_REASON
@click.pass_obj
def disable(tool: Tool, name: str, reason: str | None) -> None:
    """停用 Close the account: its sessions and tokens end at once."""
    with tool.database().writer() as session:
        account_changes.disable(session, _by(tool), name, reason)
    click.echo(f"{name} is disabled.", err=True)


@user.command()
@click.argument("name")
@_REASON
@click.pass_obj
def enable(tool: Tool, name: str, reason: str | None) -> None:
    """启用 Open a closed account again."""
    with tool.database().writer() as session:
        account_changes.enable(session, _by(tool), name, reason)
    click.echo(f"{name} is enabled.", err=True)


@user.command()
@click.argument("name")
@click.option("--token", help="Number of one token, as `gridmap user show` lists it; without it all.")
@_REASON
@click.pass_obj
def revoke(tool: Tool, name: str, token: str | None, reason: str | None) -> None:
    """注销 End the account's sessions and tokens at once, machine tokens too."""
    with tool.database().writer() as session:
        account_changes.revoke(session, _by(tool), name, token, reason)
    click.echo(f"{name}: {'token ' + token if token else 'all sessions and tokens'} revoked.", err=True)


@click.command()
@click.argument("name")
@click.option(
    "--machine", metavar="LABEL", help="机器令牌 Holds until it is revoked; for accounts that only post."
)
@click.pass_obj
def token(tool: Tool, name: str, machine: str | None) -> None:
    """Print a bearer token for the account NAME, and nothing else. It holds for 12 hours."""
    tokens = Tokens(secret_key(tool.settings))
    if machine is None:
        click.echo(SigningIn(tool.database(), tokens).for_operator(name, tool.user))
        return
    with tool.database().writer() as session:
        account, number = tokens_issued.issue_machine_token(session, _by(tool), name, machine)
        accounts.tell(session)
    click.echo(tokens.issue(account, 0, "machine", number=number))
