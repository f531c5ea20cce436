"""Pages from templates, and the version of everything static, so that browsers may keep it for ever."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response

from api.service import Service
from gridmap.access import EVERYWHERE, Principal

PAGES = Path(__file__).with_name("pages")
STATIC = (PAGES / "static", PAGES / "vendor")
LANGUAGE_COOKIE = "gridmap_language"


@cache
def static_version() -> str:
    """A digest of all static files: a changed file gets a new address."""
    digest = hashlib.sha256()
    for folder in STATIC:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(folder).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def static(path: str) -> str:
    """The address of a static file, `vendor/…` for libraries."""
    return f"/static/{static_version()}/{path}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api", "pages/templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    return environment


def page(
    request: Request, service: Service, template: str, values: Mapping[str, Any], *, status: int = 200
) -> Response:
    """A page in the visitor's language: `?lang=`, else what they chose before, else 中文."""
    chosen = request.query_params.get("lang")
    kept = request.cookies.get(LANGUAGE_COOKIE)
    language = next((each for each in (chosen, kept) if each in {"zh", "en"}), "zh")
    common = {
        "title": service.settings.title,
        "language": language,
        "version": static_version(),
        "basemap_url": service.settings.basemap_url,
        "time_zone": service.settings.time_zone.key,
        "today": dt.datetime.now(service.settings.time_zone).date().isoformat(),
        "user": None,
    }
    response = HTMLResponse(_environment().get_template(template).render({**common, **values}), status)
    response.headers["Cache-Control"] = "no-store"
    if chosen in {"zh", "en"}:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=365 * 86400, samesite="lax")
    return response


def stand_alone(template: str, values: Mapping[str, Any]) -> str:
    """A document that is taken out: all of it stands in its template and its values."""
    return _environment().get_template(template).render(values)


def user(principal: Principal, area_name: str | None) -> dict[str, Any]:
    """Who is signed in, for a page's header."""
    everywhere = any(role.area == EVERYWHERE for role in principal.roles)
    return {
        "name": principal.name,
        "display_name": principal.display_name,
        "roles": sorted({role.role for role in principal.roles}),
        "area_name": area_name or ("全域" if everywhere else ""),
    }
