"""Signing in and out: tokens for programs, sessions for the pages."""

import secrets
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from anyio import to_thread
from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from api import problems, rendering
from api.deps import ThePrincipal, TheService
from api.guard import SESSION_COOKIE, session_cookie
from api.schemas import Me, Token
from api.schemas_accounts import PasswordChange, PasswordChanged
from api.service import Service
from api.shapes import json_response
from api.tokens import IDLE, LIFETIME, Claims
from gridmap.access import EVERYWHERE, Principal
from gridmap.errors import Forbidden, Unauthorised

router = APIRouter()
FORM_COOKIE = "gridmap_form"
PROVIDER_COOKIE = "gridmap_by_provider"  # whose session was begun at the provider
START = "/login/oidc"
_LIFETIME_S, _IDLE_S = int(LIFETIME.total_seconds()), int(IDLE.total_seconds())
_PAGE_ERRORS = {"sign_in_locked": "locked"}
_NOTHING_SAID = {"error": "", "left": None, "username": "", "subject": "", "left_provider": False}


def address_of(request: Request) -> str | None:
    """Where a request came from; behind nginx what it says, which is believed from this machine alone."""
    return request.client.host if request.client else None


@router.post(
    "/api/token", tags=["session"], responses={200: {"model": Token}, **problems.documented(401, 422, 503)}
)
def token(
    request: Request,
    service: TheService,
    username: Annotated[str, Form(min_length=1, max_length=64)],
    password: Annotated[str, Form(min_length=1, max_length=256)],
) -> Response:
    """A bearer token for a name and its password."""
    issued = service.signing_in.by_password(username, password, address_of(request), "bearer")
    return json_response({"access_token": issued, "token_type": "bearer", "expires_in": _LIFETIME_S})


@router.get("/api/me", tags=["session"], responses={200: {"model": Me}, **problems.documented(401, 503)})
async def me(service: TheService, principal: ThePrincipal) -> Response:
    """Who I am, what I may do, and where my part of the map is."""
    code, name, box = home(service, principal)
    return json_response(
        {
            "name": principal.name,
            "display_name": principal.display_name,
            "roles": [{"role": role.role, "area": role.area} for role in principal.roles],
            "may": list(principal.actions()),
            "closed": list(principal.closed()),
            "home": code,
            "home_name": name,
            "bbox": box,
        }
    )


def home(service: Service, principal: Principal) -> tuple[str | None, str | None, list[float] | None]:
    """The area where somebody's map opens: that of the first role, or the largest there is."""
    snapshot = service.memory.snapshot
    held = [role.area for role in principal.roles if role.area in snapshot.row]
    rows = [snapshot.row[code] for code in held]
    if not rows and any(role.area == EVERYWHERE for role in principal.roles):
        rows = [row for row in range(len(snapshot)) if snapshot.parent[row] is None]
        if len(rows) > 1:  # several roots: no one area is home, but the map shows them all
            bounds = snapshot.bounds[rows]
            box = [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
            return None, None, box
        # a chain of single children (province, city) is nobody's home: go down to where it branches
        while rows and len(below := snapshot.children(snapshot.code[rows[0]])) == 1:
            rows = [int(below[0])]
    if not rows:
        return None, None, None
    return snapshot.code[rows[0]], snapshot.name[rows[0]], snapshot.bounds[rows[0]].tolist()


@router.post(
    "/api/me/password",
    tags=["session"],
    responses={200: {"model": PasswordChanged}, **problems.documented(401, 403, 422, 503)},
)
def change_password(
    request: Request, service: TheService, principal: ThePrincipal, asked: PasswordChange
) -> Response:
    """My own password, by the old one. All my other sessions and bearer tokens end; the answer is a new one.

    Wrong tries count as at signing in. A page gets a new session instead, with the same CSRF value.
    """
    claims: Claims = request.scope["state"]["claims"]
    if claims.kind == "machine":
        raise Forbidden("A machine's token changes no password", code="role_forbids")
    new = service.signing_in.change_password(
        principal.name, asked.old, asked.new, address_of(request), claims
    )
    service.identities.forget()
    if claims.kind == "session":
        response = json_response({"access_token": None, "token_type": "session", "expires_in": _IDLE_S})
        give_session(request, response, new)
        return response
    return json_response({"access_token": new, "token_type": "bearer", "expires_in": _LIFETIME_S})


@router.get("/login", include_in_schema=False)
async def login_page(
    request: Request,
    service: TheService,
    next: str = "/",  # noqa: A002  # the URL's word
    left: str = "",
) -> Response:
    """The sign-in page; `left=provider` after signing out, where the provider's own session may go on."""
    return sign_in_page(request, service, next, left_provider=left == "provider")


def sign_in_page(
    request: Request, service: Service, onward: str, *, status: int = 200, **said: object
) -> Response:
    """The sign-in page.

    Args:
        request: whose language and cookies count.
        service: of the process.
        onward: where to go afterwards.
        status: of the answer.
        said: `error` (a code that the template knows), `left` tries, `username`, `subject`, `left_provider`.
    """
    nonce = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(18)
    values = {
        **_NOTHING_SAID,
        **said,
        "csrf": service.tokens.form_value(nonce),
        "next": local_path(onward),
        "provider": _provider(service, onward),
    }
    response = rendering.page(request, service, "login.html", values, status=status)
    _set_cookie(request, response, FORM_COOKIE, nonce)
    return response


def _provider(service: Service, onward: str) -> dict[str, str | None] | None:
    if service.provider is None:
        return None
    return {"name": service.settings.oidc_name, "href": f"{START}?{urlencode({'next': local_path(onward)})}"}


def local_path(onward: str) -> str:
    """A path on this site; anything else, which could lead a person away, is the start page."""
    try:
        parts = urlsplit(onward)
    except ValueError:  # brackets that are no address
        return "/"
    local = (
        not parts.scheme
        and not parts.netloc
        and onward.startswith("/")
        and not onward.startswith(("//", "/\\"))
        and onward.isprintable()
    )
    return onward if local else "/"


def _set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def give_session(request: Request, response: Response, token: str) -> None:
    """Puts a session into the browser."""
    response.headers.append("set-cookie", session_cookie(token, secure=request.url.scheme == "https"))


@router.post("/login", include_in_schema=False)
async def login(
    request: Request,
    service: TheService,
    username: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002  # the form's word
) -> Response:
    """Signs in by the page's form."""
    if not service.tokens.form_fits(request.cookies.get(FORM_COOKIE, ""), csrf):
        return sign_in_page(request, service, next, username=username, error="csrf", status=403)
    try:
        signed_in = service.signing_in.by_password
        token = await to_thread.run_sync(signed_in, username, password, address_of(request), "session")
    except Unauthorised as error:
        left = error.findings[0]["left"] if error.findings else 0
        return sign_in_page(
            request,
            service,
            next,
            username=username,
            error=_PAGE_ERRORS.get(error.code, "bad_credentials"),
            left=left,
            status=401,
        )
    response = RedirectResponse(local_path(next), status_code=303)
    give_session(request, response, token)
    return response


@router.post("/logout", include_in_schema=False)
async def logout(request: Request, service: TheService, csrf: Annotated[str, Form()] = "") -> Response:
    """Signs out; the form carries the session's CSRF value."""
    known = str(request.scope.get("state", {}).get("csrf", ""))
    if not known or not secrets.compare_digest(known.encode(), csrf.encode()):
        return RedirectResponse("/", status_code=303)
    state = request.scope["state"]
    principal: Principal = state["principal"]
    await to_thread.run_sync(service.signing_in.out, principal.name, state["claims"])
    service.identities.forget()
    by_provider = PROVIDER_COOKIE in request.cookies
    response = RedirectResponse("/login?left=provider" if by_provider else "/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    response.delete_cookie(PROVIDER_COOKIE)
    return response
