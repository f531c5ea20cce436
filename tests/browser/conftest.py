"""A served invented county and a headless Chromium that can reach nothing but it."""

import base64
import datetime as dt
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from api.app import create_app
from gridmap import accounts, demo
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.api.provider import serving

SIZE = demo.Size.of(households=4_500, events=9_000)
PASSWORD = "a long enough password"
PEOPLE = (
    ("commander", "指挥长"), ("dispatcher", "调度员"), ("planner", "规划员"),
    ("approver", "审批人"), ("admin", "管理员"),
)  # fmt: skip
# Of what Chromium does by itself: the last list that it is given counts, so this one repeats Playwright's.
UNWANTED = (
    # The address bar's suggestions are two pages, made for every context though there is no address bar: they took
    # as long as opening the map does.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", f"--disable-features={','.join(UNWANTED)}",
    # Whatever a page might ask for elsewhere has no address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


# Whatever is waited for comes at once, or on a machine with other work late; how late is for tests/bench to say.
expect.set_options(timeout=20_000)


@dataclass(frozen=True)
class Server:
    """The service under test."""

    url: str

    def client(self, name: str) -> httpx2.Client:
        """A program's client, signed in by a bearer token."""
        form = {"username": name, "password": PASSWORD}
        token = httpx2.post(f"{self.url}/api/token", data=form).raise_for_status().json()["access_token"]
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture(scope="session")
def server(cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service on a port of its own, in a thread, with a small demonstration city."""
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE browser TEMPLATE {template} OWNER gridmap")
    running = cluster.status().url
    assert running is not None
    url = running.replace("/gridmap?", "/browser?")
    database = Database(url, pool_size=2)
    with database.writer() as session:
        demo.store(session, demo.build(SIZE, now=dt.datetime.now(dt.UTC)))
        for name, shown in PEOPLE:
            accounts.add_account(session, name, [(name, "*")], password=PASSWORD, display_name=shown)
    with database.reader() as session:
        assert session.execute(sa.text("SELECT count(*) FROM event")).scalar_one() == SIZE.events
    database.close()
    settings = Settings(home=tmp_path_factory.mktemp("home"), secret_key="a secret for tests only")
    yield from _served(create_app(settings, url))


@pytest.fixture(scope="session")
def storage(server: Server, cluster: Cluster) -> Iterator[Database]:
    """What the service under test has stored, for what no page can bring about: that time went by, say."""
    running = cluster.status().url
    assert running is not None
    database = Database(running.replace("/gridmap?", "/browser?"), pool_size=1)
    yield database
    database.close()


def _served(app: Any) -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        with serving(app, listening):
            yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or Playwright's own where that is installed."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        if system is None and not Path(playwright.chromium.executable_path).exists():
            if os.environ.get("CI"):
                pytest.fail("Chromium is missing: apt-get install chromium")
            pytest.skip("Chromium is missing: apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=system, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of a signed-in person, and what it asked for."""

    page: Page
    server: Server
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url')}")

    def open(self, path: str = "/") -> Page:
        """Goes there and waits until the map is filled."""
        self.page.goto(self.server.url + path)
        self.page.wait_for_selector("body[data-map=ready][data-heat=ready]", state="attached")
        self.page.wait_for_selector("#legend .class", state="attached")
        return self.page

    def check(self) -> None:
        """Nothing left the machine, and nothing went wrong that was not expected."""
        assert self.requests
        elsewhere = [
            url
            for url in self.requests
            if urlsplit(url).scheme not in {"data", "blob"} and urlsplit(url).hostname != "127.0.0.1"
        ]
        assert elsewhere == []
        assert [each for each in self.errors if not any(re.search(a, each) for a in self.allowed)] == []


def context_of(browser: Browser, **options: Any) -> BrowserContext:
    """A browser context as all tests have it, but for what is said otherwise."""
    context = browser.new_context(
        **{
            "viewport": {"width": 1440, "height": 900},
            # A quarter of the pixels: they are drawn without a graphics card, which took half of the time.
            "device_scale_factor": 0.5,
            "locale": "zh-CN",
            "reduced_motion": "reduce",
            **options,
        }
    )
    context.set_default_timeout(40_000)
    return context


def signed_in(context: BrowserContext, server: Server, name: str) -> Visit:
    """A page in which somebody is signed in."""
    visit = Visit(context.new_page(), server)
    visit.watch(visit.page)
    form = context.request.get(f"{server.url}/login").text()
    csrf = re.search(r'name="csrf" value="([^"]+)"', form)
    assert csrf is not None
    fields = {"csrf": csrf.group(1), "username": name, "password": PASSWORD, "next": "/healthz"}
    assert context.request.post(f"{server.url}/login", form=fields).ok
    return visit


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts and closes them."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        made.append(context_of(browser, **options))
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture
def visit(server: Server, contexts: Callable[..., BrowserContext]) -> Iterator[Callable[..., Visit]]:
    """Signs somebody in: `visit("dispatcher", **options of the context)`. What they did is checked at the end."""
    visits: list[Visit] = []

    def sign_in(name: str = "commander", **options: Any) -> Visit:
        visits.append(signed_in(contexts(**options), server, name))
        return visits[-1]

    yield sign_in
    for each in visits:
        each.check()


@pytest.fixture(scope="session")
def pixels(browser: Browser) -> Iterator[Callable[[bytes], np.ndarray]]:
    """Decodes a PNG by the browser itself → rows × columns × 3, 8 bits."""
    darkroom = browser.new_page()

    def decode(png: bytes) -> np.ndarray:
        developed = darkroom.evaluate(DEVELOP, base64.b64encode(png).decode())
        raw = np.frombuffer(base64.b64decode(developed["data"]), np.uint8)
        return raw.reshape(developed["height"], developed["width"], 4)[:, :, :3]

    yield decode
    darkroom.close()


DEVELOP = """async png => {
  // Not an <img>: a page in the background may wait for ever to decode one.
  const bytes = Uint8Array.from(atob(png), c => c.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const data = pen.getImageData(0, 0, picture.width, picture.height).data;
  let text = "";
  for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
  return { width: picture.width, height: picture.height, data: btoa(text) };
}"""
