"""Connections as `gridmap up` has them served: whose word about addresses counts, and who is too slow."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest
import uvicorn
from click.testing import CliRunner

from api import connections
from api.cli import main


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def ask(port, path, headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().read().decode()


@pytest.fixture
def as_up_serves(own_app, tmp_path, monkeypatch):
    """Serves an app as `gridmap up` has uvicorn serve it, in this process; yields the port for some settings."""
    with ExitStack() as opened:

        def serve(app, **env):
            given = {}
            monkeypatch.setattr(uvicorn, "run", lambda _, **options: given.update(options))
            environment = {"GRIDMAP_HOME": str(tmp_path), "GRIDMAP_DATABASE_URL": own_app.url, **env}
            result = CliRunner(env=environment).invoke(main, ["up", "--port", str(free_port())])
            assert result.exit_code == 0, result.output
            given.pop("factory"), given.pop("workers")
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **given))
            thread = threading.Thread(target=server.run)
            thread.start()
            opened.callback(thread.join)
            opened.callback(setattr, server, "should_exit", True)  # noqa: FBT003  # an attribute's value
            while not server.started:
                time.sleep(0.01)
            return given["port"]

        yield serve


async def who_asks(scope, receive, send):
    """Answers with the address and the scheme that a request came by."""
    text = f"{scope['client'][0]} {scope['scheme']}".encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def test_what_a_proxy_says_of_an_address_is_believed_from_a_known_one_alone(as_up_serves):
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
    # the last one, which the proxy itself added: what stands before it came from the client
    assert ask(as_up_serves(who_asks), "/", headers) == "198.51.100.7 https"
    assert ask(as_up_serves(who_asks, GRIDMAP_PROXIES="none"), "/", headers) == "127.0.0.1 http"
    other = as_up_serves(who_asks, GRIDMAP_PROXIES="192.0.2.0/24,198.51.100.7")
    assert ask(other, "/", headers) == "127.0.0.1 http"


def test_connections_that_ask_nothing_or_take_nothing_are_closed(as_up_serves, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    monkeypatch.setattr(connections, "LOOK_S", 0.1)
    monkeypatch.setattr(connections, "STUCK_LOOKS", 3)

    async def much(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def app(scope, receive, send):
        await {"/much": much}.get(scope["path"], who_asks)(scope, receive, send)

    port = as_up_serves(app)

    def closed_after(*said, pause=0.0):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            began = time.monotonic()
            with suppress(OSError):
                for each in said:
                    connection.sendall(each)
                    time.sleep(pause)
                while connection.recv(1 << 16):
                    pass
            return time.monotonic() - began

    assert closed_after() < 5, "nothing asked"
    assert closed_after(b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 40, pause=0.05) < 2, "a head that never ends"
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert closed_after(whole, b"GET", pause=0.2) < 5, "the second head of a connection"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1.0)
        taken = 0
        with suppress(OSError):
            while part := connection.recv(1 << 20):
                taken += len(part)
    assert taken < 30_000_000, "what was on its way, and no more"
    # Who is slow, but comes, is served; and a connection may be kept between requests.
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as kept:
        for _ in range(3):
            kept.request("GET", "/")
            assert kept.getresponse().read().startswith(b"127.0.0.1")
            time.sleep(0.6)
