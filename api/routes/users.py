"""Accounts, for administrators within their areas."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api import problems, shapes
from api.deps import ThePrincipal, TheReader, TheService
from api.schemas_accounts import (
    MachineToken,
    MachineTokenIn,
    TokenList,
    User,
    UserAction,
    UserIn,
    UserPage,
    UserQuery,
)
from gridmap import account_changes, accounts, provider_identities, throttle, tokens_issued
from gridmap.access import Principal
from gridmap.account_changes import Account
from gridmap.accounts import Administrator
from gridmap.db import Writer
from gridmap.errors import Conflict, InvalidInput, NotFound

router = APIRouter(prefix="/api/users", tags=["users"])
LARGEST_PAGE = 500
TheName = Annotated[str, Path(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]


def _administrator(principal: Principal) -> Administrator:
    return Administrator(principal.name, principal.require("admin"))


def _shaped(found: Account) -> dict[str, Any]:
    shaped = asdict(found)
    del shaped["id"]
    shaped["roles"] = [{"role": role, "area": area} for role, area in found.roles]
    return shaped


@router.get("", responses={200: {"model": UserPage}, **problems.documented(401, 403, 422, 503)})
def users(
    asked: Annotated[UserQuery, Query()], request: Request, principal: ThePrincipal, session: TheReader
) -> Response:
    """Accounts with a role within my areas, by name, with those roles; `elsewhere` says that there are others."""
    scope = principal.require("admin")
    after = str(shapes.read_cursor(asked.cursor, (str,))[0]) if asked.cursor else ""
    limit = min(asked.limit, LARGEST_PAGE)
    found = account_changes.page(session, scope, q=asked.q, after=after, limit=limit + 1)
    following = shapes.following(request, (found[limit - 1].name,)) if len(found) > limit else None
    return shapes.json_response({"users": [_shaped(each) for each in found[:limit]], "next": following})


@router.post(
    "", responses={201: {"model": User}, **problems.documented(401, 403, 404, 409, 422, 503)}, status_code=201
)
def add(service: TheService, principal: ThePrincipal, asked: UserIn) -> Response:
    """Adds an account. Without a password it has tokens only."""
    by = _administrator(principal)
    with service.database.writer() as session:
        accounts.add_account(
            session,
            asked.name,
            [(each.role, each.area) for each in asked.roles],
            password=asked.password,
            display_name=asked.display_name,
            worker=asked.worker,
            source=asked.source,
            by=by,
        )
        shaped = _shaped(account_changes.one(session, by.scope, asked.name))
    return shapes.json_response(shaped, 201)


@router.get("/{name}", responses={200: {"model": User}, **problems.documented(401, 403, 404, 422, 503)})
def user(name: TheName, service: TheService, principal: ThePrincipal, session: TheReader) -> Response:
    """One account; `locked` while its name waits after too many wrong passwords."""
    scope = principal.require("admin")
    found = account_changes.one(session, scope, name)
    identity = None if found.elsewhere else provider_identities.held(session, scope, name)
    return shapes.json_response(
        {
            **_shaped(found),
            "locked": throttle.is_locked(session, name),
            "identity": None if identity is None else asdict(identity),
            "provider": service.settings.oidc_issuer,
        }
    )


def _role(asked: UserAction) -> tuple[str, str]:
    if asked.role is None or asked.area is None:
        raise InvalidInput(f"{asked.action} needs role and area", code="invalid_input")
    return asked.role, asked.area


def _password(asked: UserAction) -> str:
    if asked.password is None:
        raise InvalidInput("password needs a password", code="invalid_input")
    return asked.password


def _bind(session: Writer, by: Administrator, name: str, asked: UserAction, issuer: str | None) -> None:
    if issuer is None:
        raise Conflict("No external provider is configured", code="no_provider")
    provider_identities.bind(
        session, by, name, issuer, subject=asked.subject, named=asked.named, reason=asked.reason
    )


_ACTIONS: dict[str, Callable[[Writer, Administrator, str, UserAction], None]] = {
    "role_add": lambda s, by, name, a: account_changes.add_role(s, by, name, _role(a), a.reason),
    "role_remove": lambda s, by, name, a: account_changes.remove_role(s, by, name, _role(a), a.reason),
    "password": lambda s, by, name, a: account_changes.set_password(s, by, name, _password(a), a.reason),
    "identity_unbind": lambda s, by, name, a: provider_identities.unbind(s, by, name, a.reason),
    "disable": lambda s, by, name, a: account_changes.disable(s, by, name, a.reason),
    "enable": lambda s, by, name, a: account_changes.enable(s, by, name, a.reason),
    "revoke": lambda s, by, name, a: account_changes.revoke(s, by, name, a.token, a.reason),
}


@router.post(
    "/{name}/actions",
    responses={200: {"model": User | None}, **problems.documented(401, 403, 404, 409, 422, 503)},
)
def act(name: TheName, service: TheService, principal: ThePrincipal, asked: UserAction) -> Response:
    """Changes an account, at once, also on open streams.

    Actions: `role_add`, `role_remove` (with `role`, `area`), `password`, `disable`, `enable`, `revoke` (all tokens
    and sessions, or one `token`), `identity_bind` (to a person of the external provider by `subject`, or whoever
    comes first with the name `named`), `identity_unbind`. The answer is the account as it is now, null where the last
    of its roles within my areas was taken.
    """
    by = _administrator(principal)
    with service.database.writer() as session:
        if asked.action == "identity_bind":
            _bind(session, by, name, asked, service.settings.oidc_issuer)
        else:
            _ACTIONS[asked.action](session, by, name, asked)
        try:
            shaped = _shaped(account_changes.one(session, by.scope, name))
        except NotFound:  # no longer within my areas
            shaped = None
    service.accounts_changed()
    return shapes.json_response(shaped)


@router.get(
    "/{name}/tokens", responses={200: {"model": TokenList}, **problems.documented(401, 403, 404, 422, 503)}
)
def tokens(name: TheName, principal: ThePrincipal, session: TheReader) -> Response:
    """Sessions and tokens that were issued to an account, the newest first; never their content."""
    found = tokens_issued.listed(session, principal.require("admin"), name)
    return shapes.json_response({"tokens": [asdict(each) for each in found]})


@router.post(
    "/{name}/tokens",
    responses={201: {"model": MachineToken}, **problems.documented(401, 403, 404, 409, 422, 503)},
    status_code=201,
)
def issue(name: TheName, service: TheService, principal: ThePrincipal, asked: MachineTokenIn) -> Response:
    """A machine token for an account that only posts: it holds until it is revoked, and is shown this once."""
    by = _administrator(principal)
    with service.database.writer() as session:
        account, number = tokens_issued.issue_machine_token(session, by, name, asked.label)
        accounts.tell(session)
    service.accounts_changed()
    token = service.tokens.issue(account, 0, "machine", number=number)
    return shapes.json_response({"id": number, "label": asked.label, "token": token}, 201)
