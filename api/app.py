"""The application: routes, static files, compression, and the guard around all."""

import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from api import problems, rendering
from api.express import Express
from api.guard import Guard
from api.parameters import describe_parameters
from api.routes import (
    attachments,
    audit,
    categories,
    events,
    heat,
    indicators,
    intake,
    maps,
    oidc,
    people,
    places,
    plan_impact,
    plan_numbers,
    plan_publication,
    plans,
    reassignment,
    retention,
    session,
    site,
    users,
)
from api.schemas import Problem
from api.service import Service
from gridmap.settings import Settings

DISTRIBUTION = "gridmap-service"
EXPRESS = {("POST", "/api/events"): intake.post_event, ("GET", "/api/locate"): places.locate}
FOR_EVER = "public, max-age=31536000, immutable"


class _Kept(StaticFiles):
    """Static files whose address changes with their content, so that they may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 404."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Cache-Control"] = FOR_EVER
        return response


def create_app(settings: Settings, url: str, *, keep: bool = False) -> ASGIApp:
    """The whole application on a migrated database.

    Args:
        settings: of the installation.
        url: of the database.
        keep: whether the database is the home's private one, to be started again when it dies.
    """
    service = Service(settings, url, keep=keep)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await to_thread.run_sync(service.start)
        try:
            with _streams_end_at_a_signal(service):
                yield
        finally:
            await to_thread.run_sync(service.stop)

    app = FastAPI(
        title="gridmap",
        version=version(DISTRIBUTION),
        lifespan=lifespan,
        docs_url=None,  # the usual pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # what is not there is not there; no answer depends on a Host that was made up
        openapi_url="/api/openapi.json",
    )
    app.state.service = service
    problems.install(app)
    for each in (
        session,
        oidc,
        places,
        intake,
        reassignment,
        retention,
        attachments,
        categories,
        events,
        heat,
        indicators,
        maps,
        people,
        plans,
        plan_impact,
        plan_numbers,
        plan_publication,
        users,
        audit,
        site,
    ):
        app.include_router(each.router)
    app.mount("/static/{version}/vendor", _Kept(directory=rendering.PAGES / "vendor"), name="vendor")
    app.mount("/static/{version}", _Kept(directory=rendering.PAGES / "static"), name="static")
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's documented way
    origin = urlsplit(settings.basemap_url or "")
    basemap = f"{origin.scheme}://{origin.netloc}" if origin.netloc else ""
    # Large answers are compressed; level 5: three quarters of what 9 saves at a fifth of its time.
    app.add_middleware(GZipMiddleware, minimum_size=4096, compresslevel=5)
    return Guard(Express(app, EXPRESS), service, basemap)


@contextmanager
def _streams_end_at_a_signal(service: Service) -> Iterator[None]:
    """Live streams never end by themselves: a stop would wait for them as for requests."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no process of its own: who runs the app here ends it otherwise
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        service.hub.close()
        following = before[signal.Signals(number)]
        if callable(following):
            following(number, frame)

    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description with what every route shares: how to sign in, and the form of problems."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, routes=app.routes)
        components = described.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "gridmap_session"},
        }
        open_paths = {"/api/token", "/api/openapi.json", "/healthz", "/readyz"}
        for path, methods in described["paths"].items():
            for operation in methods.values():
                if path not in open_paths:
                    operation["security"] = [{"bearer": []}, {"session": []}]
                _describe_limits(operation)
                describe_parameters(path, operation)
        app.openapi_schema = described
    return app.openapi_schema


def _describe_limits(operation: dict[str, Any]) -> None:
    """What the guard may answer to any request, and to any with content."""
    statuses = (408, 413, 429) if "requestBody" in operation else (429,)
    for status, said in problems.documented(*statuses).items():
        operation["responses"].setdefault(str(status), said)
