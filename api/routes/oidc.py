"""Signing in at an external provider: to it, back from it, and out of it."""

import logging

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.deps import TheService
from api.oidc_attempt import HOLDS, Attempt
from api.problems import RETRY_AFTER_S
from api.routes.session import (
    PROVIDER_COOKIE,
    START,
    address_of,
    give_session,
    local_path,
    sign_in_page,
)
from api.service import Service
from gridmap.errors import GridmapError, Unauthorised, Unavailable

router = APIRouter(include_in_schema=False)
COOKIE = "gridmap_oidc"
_log = logging.getLogger("gridmap.oidc")
# Code of what went wrong → what the page says, and the status.
_SAID = {
    "identity_unknown": ("provider_unknown", 403),
    "account_disabled": ("provider_disabled", 403),
    "provider_code": ("provider_expired", 400),
    "provider_token": ("provider_refused", 403),
    "provider_away": ("provider_away", 503),
}
# What a provider answers where it could not even ask the person (OAuth 2.0, 4.1.2.1).
_OUT_OF_ORDER = frozenset({"server_error", "temporarily_unavailable"})


@router.get(START)
async def begin(
    request: Request,
    service: TheService,
    next: str = "/",  # noqa: A002  # the URL's word
    again: bool = False,
) -> Response:
    """Leads to the provider; `again` has it ask who it is even where it knows."""
    onward = local_path(next)
    if service.provider is None:
        return RedirectResponse("/login", status_code=303)
    attempt, cookie = service.attempts.begin(onward)
    try:
        url = await service.provider.authorization_url(attempt, again=again)
    except Unavailable as error:
        return _page(request, service, onward, error)
    response = RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(HOLDS.total_seconds()),
        path=START,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get(f"{START}/callback")
async def callback(
    request: Request,
    service: TheService,
    state: str = "",
    code: str = "",
    error: str = "",
    iss: str | None = None,
) -> Response:
    """The provider's answer; whatever it is, the attempt is over."""
    if service.provider is None:
        return RedirectResponse("/login", status_code=303)
    attempt = service.attempts.resumed(request.cookies.get(COOKIE, ""), state)
    if attempt is None:
        response = sign_in_page(request, service, "/", error="provider_expired", status=400)
    elif error or not code:
        response = _declined(request, service, attempt, error)
    else:
        response = await _signed_in(request, service, attempt, code, iss)
    response.delete_cookie(COOKIE, path=START)
    return response


def _declined(request: Request, service: Service, attempt: Attempt, error: str) -> Response:
    _log.warning("the provider answers %r", error[:80])
    if error in _OUT_OF_ORDER:
        return _page(request, service, attempt.onward, Unavailable(error, code="provider_away"))
    said = "provider_denied" if error == "access_denied" else "provider_refused"
    return sign_in_page(request, service, attempt.onward, error=said, status=403)


async def _signed_in(
    request: Request, service: Service, attempt: Attempt, code: str, iss: str | None
) -> Response:
    subject = ""
    try:
        assert service.provider is not None  # noqa: S101  # the caller has looked
        proven = await service.provider.proven(code, iss, attempt)
        subject = proven.subject
        token = await to_thread.run_sync(service.signing_in.by_provider, proven, address_of(request))
    except (Unauthorised, Unavailable) as error:
        if error.code not in _SAID:  # the database is away
            raise
        return _page(request, service, attempt.onward, error, subject)
    response = RedirectResponse(attempt.onward, status_code=303)
    give_session(request, response, token)
    response.set_cookie(
        PROVIDER_COOKIE, "1", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return response


def _page(
    request: Request, service: Service, onward: str, error: GridmapError, subject: str = ""
) -> Response:
    """The sign-in page with a sentence; the reason is for the log."""
    said, status = _SAID[error.code]
    if error.code.startswith("provider_"):
        _log.warning("%s: %s", error.code, error.message)
    shown = subject if error.code == "identity_unknown" else ""
    response = sign_in_page(request, service, onward, error=said, subject=shown, status=status)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


@router.get(f"{START}/out")
async def out(service: TheService) -> Response:
    """Leads to where the provider ends its own session, if it offers that; ours is over already."""
    url = await service.provider.end_session_url() if service.provider is not None else None
    return RedirectResponse(url or "/login", status_code=303)
