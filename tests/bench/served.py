"""A served demonstration city in a temporary home, for the benchmarks."""

import contextlib
import http.client
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GRIDMAP = Path(sys.executable).with_name("gridmap")
PATIENCE_S = 900
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Served:
    """A running service."""

    home: Path
    port: int
    process: subprocess.Popen
    ready_s: float

    def run(self, *argv: str, **kw) -> str:
        env = {**os.environ, "GRIDMAP_HOME": str(self.home)}
        done = subprocess.run([GRIDMAP, *argv], env=env, check=True, capture_output=True, text=True, **kw)
        return done.stdout

    def token(self, name: str) -> str:
        return self.run("token", name).strip()

    def get(self, path: str, token: str) -> tuple[float, bytes]:
        """Seconds and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        spent = time.perf_counter() - began
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"GET {path}: {answer.status} {body[:200]!r}")
        return spent, body

    def resident_mb(self) -> float:
        """Resident memory of the service process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def start(home: Path, *options: str) -> Served:
    port = free_port()
    env = {**os.environ, "GRIDMAP_HOME": str(home)}
    env.pop("GRIDMAP_DATABASE_URL", None)
    began = time.perf_counter()
    log = (home.parent / f"{home.name}.log").open("ab")
    process = subprocess.Popen(
        [GRIDMAP, "up", "--port", str(port), *options],
        env=env,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    while time.perf_counter() - began < PATIENCE_S:
        if process.poll() is not None:
            raise SystemExit(f"gridmap up ended with {process.returncode}; see {log.name}")
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return Served(home, port, process, time.perf_counter() - began)
        time.sleep(0.05)
    raise SystemExit("gridmap up was not ready in time")


def stop(served: Served, *, database: bool) -> None:
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(30)
    if database:
        served.run("db", "stop")


@contextlib.contextmanager
def demonstration(size: str = "town") -> Iterator[Served]:
    """The city, built and served; everything is removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="gridmap-bench-"))
    served = start(home, "--demo", "--demo-size", size)
    try:
        yield served
    finally:
        with contextlib.suppress(Exception):
            stop(served, database=True)
        shutil.rmtree(home, ignore_errors=True)


def flood(port: int, requests: Sequence[bytes], in_flight: int = 16) -> tuple[float, list[float]]:
    """Requests a second of one client process keeping some in flight; and the sorted seconds of each.

    Plain sockets and one selector: the client shares the machine with what it measures, and a client library took
    a fifth of it.
    """
    spent: list[float] = []
    waiting = iter(requests)
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for each in itertools.islice(waiting, in_flight):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(each)
            selector.register(connection, selectors.EVENT_READ, [each, time.perf_counter(), b""])
        while selector.get_map():
            for key, _ in selector.select(60):
                one, since, before = key.data
                answer = before + key.fileobj.recv(1 << 20)
                if not _is_whole(one, answer):
                    key.data[2] = answer
                    continue
                spent.append(time.perf_counter() - since)
                following = next(waiting, None)
                if following is None:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    continue
                key.data[:] = following, time.perf_counter(), b""
                key.fileobj.sendall(following)
        seconds = time.perf_counter() - began
    return len(requests) / seconds, sorted(spent)


def _is_whole(request: bytes, answer: bytes) -> bool:
    """Whether all of an answer is there; another than 200 or 201 ends the benchmark."""
    head, _, body = answer.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    if not answer or (found and head[9:12] not in {b"200", b"201"}):
        raise SystemExit(f"{request[:60]!r}: {answer[:300]!r}")
    return found is not None and len(body) == int(found[1])


def request(method: str, path: str, token: str, body: object = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content
