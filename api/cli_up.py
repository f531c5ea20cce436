"""`gridmap up`: the service, from nothing."""

import datetime as dt
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import ssl
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection
from pathlib import Path

import click
import uvicorn

from api import logs
from api.connections import Impatient
from api.metrics import FOLDER_VARIABLE
from api.operator import Tool
from gridmap import accounts, provider_settings
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.errors import Conflict, NotPossible, Unavailable
from gridmap.settings import Settings

ACCOUNTS_FILE = "demo-accounts.txt"
START_PATIENCE_S = 60
START_TRIES = 6  # in a row, of a server that ends as it starts
STOP_WITHIN_S = 20
DEMO_NOTE = "演示城市"  # how the note of its edition begins
DEMO_TABLES = (
    "area",
    "building",
    "street",
    "event",
    "event_key",
    "event_text",
    "event_history",
    "household_count",
)
# name, role, what they do here
DEMO_ACCOUNTS = (
    ("commander", "commander", "指挥长 sees the state of the county"),
    ("dispatcher", "dispatcher", "调度员 sends events to the right worker"),
    ("planner", "planner", "规划员 redraws grids"),
    ("approver", "approver", "审批人 approves and publishes"),
    ("admin", "admin", "管理员 users and settings"),
)


@click.command()
@click.option("--demo", is_flag=True, help="演示 Fill an empty database with an invented county.")
@click.option("--demo-size", type=click.Choice(["town", "full"]), default="town", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--certificate", type=click.Path(path_type=Path), help="证书链 PEM; with --key: serve HTTPS.")
@click.option("--key", type=click.Path(path_type=Path), help="私钥 PEM, without a passphrase.")
@click.pass_obj
def up(  # click hands over options by name
    tool: Tool,
    demo: bool,
    demo_size: str,
    host: str,
    port: int,
    processes: int,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """启动服务 Serve: makes, migrates and starts the database when needed, then answers on HOST:PORT."""
    logs.configure(tool.settings.log_format)
    _require_port(host, port)
    _require_key_pair(certificate, key)
    provider_settings.trust(tool.settings.oidc_ca_file)  # workers would only die of it, over and over
    url = _running_database(tool)
    if demo:
        _demonstrate(tool, demo_size)
    tool.close()
    scheme = "https" if certificate else "http"
    click.echo(f"\n  gridmap  →  {scheme}://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/\n")  # noqa: S104  # compared
    _say_accounts(tool.settings)
    # Workers are processes of their own and read their settings anew.
    os.environ["GRIDMAP_HOME"] = str(tool.settings.home)
    # The private database knows a role that owns nothing; on another server the one that is named takes it.
    os.environ["GRIDMAP_RUN_URL"] = (
        url if tool.settings.database_url else Cluster(tool.settings.home).service_url()
    )
    if processes > 1:
        os.environ[FOLDER_VARIABLE] = str(_empty_folder(tool.settings.home / "metrics" / str(port)))
    uvicorn.run(
        "api.cli_up:application",
        factory=True,
        host=host,
        port=port,
        workers=processes,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        access_log=False,
        server_header=False,
        http=Impatient,
        ws="none",
        forwarded_allow_ips=list(tool.settings.proxies),
        timeout_graceful_shutdown=STOP_WITHIN_S,
        timeout_keep_alive=30,
        timeout_worker_healthcheck=60,  # 5 s kill a process that is still importing on a busy machine
        log_config=None,
        log_level="warning",
    )
    if not tool.settings.database_url:
        click.echo("Stopped. The database goes on; `gridmap db stop` ends it too.", err=True)


def _running_database(tool: Tool) -> str:
    """The database's URL; one that dies while it is started or migrated is started again.

    Raises:
        NotPossible, Unavailable: it did not come in time.
    """
    deadline = time.monotonic() + START_PATIENCE_S
    in_a_row = 0
    while True:
        try:
            return tool.url()
        except (Unavailable, NotPossible) as error:
            # A server killed while it starts looks like one that cannot start; that one does so every time.
            in_a_row = 0 if isinstance(error, Unavailable) else in_a_row + 1
            again = isinstance(error, Unavailable) or error.code == "database_failed"
            if not again or in_a_row == START_TRIES or time.monotonic() > deadline:
                raise
            click.echo(f"gridmap: {error.message}", err=True)
            time.sleep(0.5)


def _empty_folder(path: Path) -> Path:
    """A folder with nothing in it; a service that was killed left its counts there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, mode=0o700)
    return path


def _require_port(host: str, port: int) -> None:
    """Finds out before a minute's work that somebody else answers there.

    Raises:
        NotPossible: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NotPossible(
                f"{host}:{port} cannot be served ({error.strerror}): choose another with --host and --port",
                code="port_taken",
            ) from error


def _require_key_pair(certificate: Path | None, key: Path | None) -> None:
    """Finds out before a minute's work that HTTPS cannot be served.

    Raises:
        NotPossible: one of the two is missing, cannot be read, or they do not belong together.
    """
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise NotPossible("HTTPS needs both --certificate and --key", code="bad_certificate")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise NotPossible(
            f"{certificate} and {key} cannot be used together ({error}): PEM files are needed, the key without a"
            " passphrase, the certificate first in its chain",
            code="bad_certificate",
        ) from error


def application() -> object:
    """The app of one process, for uvicorn; its database is up and migrated."""
    from api.app import create_app  # noqa: PLC0415  # the parent process of several needs none of it

    settings = Settings.from_environment()
    logs.configure(settings.log_format)
    _end_with_parent()
    return create_app(settings, os.environ["GRIDMAP_RUN_URL"], keep=not settings.database_url)


def _end_with_parent() -> None:
    """One of several processes ends when the first is killed: it would keep the port from the next start."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_WITHIN_S + 10)
        os._exit(1)

    threading.Thread(target=wait, name="gridmap-parent", daemon=True).start()


def _demonstrate(tool: Tool, size: str) -> None:
    database = tool.database()
    if _is_filled(database):
        return
    click.echo("Building the invented county …", err=True)
    began = time.monotonic()
    # In a process of its own: a whole county takes half a gigabyte, which the service would keep.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        apart.submit(_build, size, database.url).result()
    database.vacuum(*DEMO_TABLES)
    _make_accounts(tool.settings, database)
    click.echo(f"  ready after {time.monotonic() - began:.1f} s", err=True)


def _build(size: str, url: str) -> None:
    from gridmap import demo  # noqa: PLC0415  # only the first start builds a city

    database = Database(url, pool_size=1)
    with database.writer() as session:
        city = demo.build(
            demo.FULL if size == "full" else demo.TOWN, now=dt.datetime.now(dt.UTC), progress=_say_step
        )
        demo.store(session, city, lambda table, done, _: _say_step(f"storing {table}") if done == 0 else None)
    database.close()


def _say_step(step: str) -> None:
    click.echo(f"  {step}", err=True)


def _is_filled(database: Database) -> bool:
    """Whether the demonstration city is there already.

    Raises:
        Conflict: there are boundaries of another kind; invented cases are never put among real ones.
    """
    import sqlalchemy as sa  # noqa: PLC0415  # with the rest of the database, when needed

    with database.reader() as session:
        note = session.execute(sa.text("SELECT note FROM edition ORDER BY id LIMIT 1")).scalar_one_or_none()
    if note is None:
        return False
    if not note.startswith(DEMO_NOTE):
        raise Conflict(
            "This database holds boundaries already; the demonstration city goes into an empty one:"
            " set GRIDMAP_HOME to another folder, or start without --demo",
            code="not_empty",
        )
    return True


def _make_accounts(settings: Settings, database: Database) -> None:
    password = secrets.token_urlsafe(12)
    lines = []
    with database.writer() as session:
        for name, role, what in DEMO_ACCOUNTS:
            accounts.add_account(
                session, name, [(role, "*")], password=password, display_name=what.split()[0]
            )
            lines.append(f"  {name:<12} {password}   {what}")
    path = settings.home / ACCOUNTS_FILE
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _say_accounts(settings: Settings) -> None:
    path: Path = settings.home / ACCOUNTS_FILE
    if path.exists():
        click.echo("  演示账号 demonstration accounts (name, password):\n" + path.read_text(encoding="utf-8"))
