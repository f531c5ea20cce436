"""`gridmap user identity`: whom an external provider's word binds."""

from typing import Any

import click

from api.operator import Tool
from gridmap import provider_identities
from gridmap.accounts import THE_OPERATOR, Administrator
from gridmap.errors import InvalidInput
from gridmap.provider_identities import Held

_REASON = click.option("--reason", help="事由 Why; it is recorded.")


def _by(tool: Tool) -> Administrator:
    return Administrator(THE_OPERATOR.name, THE_OPERATOR.scope, {"user": tool.user})


@click.group()
def identity() -> None:
    """统一身份认证 Which person of an external provider signs in by the account."""


@identity.command()
@click.argument("name")
@click.option(
    "--subject", help="The person's number there (sub), as the refused sign-in and the audit show it."
)
@click.option("--named", help="Await, for seven days, the first who comes under this name.")
@click.option("--issuer", help="The provider; that of GRIDMAP_OIDC_ISSUER unless given.")
@_REASON
@click.pass_obj
def bind(
    tool: Tool, name: str, subject: str | None, named: str | None, issuer: str | None, reason: str | None
) -> None:
    """绑定 Bind the account to a person by --subject, or await them by --named."""
    if (subject is None) == (named is None):
        raise click.UsageError("--subject or --named, one of them")
    issuer = issuer or tool.settings.oidc_issuer
    if issuer is None:
        raise InvalidInput(
            "No provider is configured: set GRIDMAP_OIDC_ISSUER, or give --issuer", code="no_provider"
        )
    with tool.database().writer() as session:
        provider_identities.bind(
            session, _by(tool), name, issuer, subject=subject, named=named, reason=reason
        )
    told = f"bound to {subject}" if subject else f"awaits {named} for {provider_identities.AWAITED.days} days"
    click.echo(f"{name}: {told}", err=True)


@identity.command()
@click.argument("name")
@_REASON
@click.pass_obj
def unbind(tool: Tool, name: str, reason: str | None) -> None:
    """解绑 Take the identity from the account; its sessions end."""
    with tool.database().writer() as session:
        provider_identities.unbind(session, _by(tool), name, reason)
    click.echo(f"{name}: bound to nobody; its sessions have ended.", err=True)


def facts(found: Held | None) -> dict[str, Any] | None:
    """An identity as JSON has it."""
    if found is None:
        return None
    return {
        "issuer": found.issuer,
        "subject": found.subject,
        "named": found.named,
        "added_at": found.added_at.isoformat(),
        "added_by": found.added_by,
        "bound_at": found.bound_at.isoformat() if found.bound_at else None,
        "awaited_until": found.awaited_until.isoformat() if found.awaited_until else None,
    }
