"""What the tests of the private cluster share: folders, a cluster that was made, ways to hurt it."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gridmap.cluster import home as cluster_home
from gridmap.cluster import process
from gridmap.embedded import Cluster
from gridmap.errors import NotPossible
from tests.quick_folder import quick_folder

PROJECT = Path(__file__).parents[3]


class Lab:
    """Looks at clusters from outside, and hurts them."""

    PROJECT = str(PROJECT)
    START = "import sys, pathlib, gridmap.embedded as e; print(e.Cluster(pathlib.Path(sys.argv[1])).start())"
    """A process of its own that starts the cluster of the home it is given."""

    @staticmethod
    def copy(source: Path, target: Path) -> Path:
        subprocess.run(["cp", "-a", source, target], check=True)
        return target

    @staticmethod
    def names(url: str) -> list[str]:
        with psycopg.connect(url) as connection:
            return [row[0] for row in connection.execute("SELECT name FROM kept ORDER BY name")]

    @staticmethod
    def ask(url: str, query: str) -> object:
        with psycopg.connect(url) as connection:
            row = connection.execute(query).fetchone()
            return row[0] if row else None

    @staticmethod
    def server(home: Path) -> int:
        pid = Cluster(home).status().postmaster_pid
        assert pid is not None
        return pid

    @staticmethod
    def kill(home: Path) -> None:
        """The server alone dies at once, as if the kernel had run out of memory."""
        pid = Lab.server(home)
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([handle], [], [], 10)
        os.close(handle)

    @staticmethod
    def gone(pid: int | None) -> bool:
        """Whether the process has ended; its number may linger until somebody asks for its exit status."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    @staticmethod
    def python(code: str, *argv: object) -> "subprocess.Popen[str]":
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, argv)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()


@contextlib.contextmanager
def roof() -> Iterator[Path]:
    """A folder that others may pass through, as pytest's own may not; every cluster under it ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="gridmap-embedded-", dir=quick_folder(2 << 30)))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for record in folder.rglob("cluster.json"):
            with contextlib.suppress(NotPossible):
                if place := cluster_home.recorded(record.parent):
                    process.halt(place, signal.SIGQUIT)
                    shutil.rmtree(place.base, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A home whose cluster was made, and stopped."""
    with roof() as folder:
        cluster = Cluster(folder / "made")
        url = cluster.start()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (name text PRIMARY KEY)")
            connection.execute("INSERT INTO kept VALUES ('first')")
        cluster.stop()
        yield folder / "made"


@pytest.fixture
def under() -> Iterator[Path]:
    with roof() as folder:
        yield folder


@pytest.fixture
def home(made: Path, under: Path) -> Path:
    """A copy of the made home, at rest: quicker than making another."""
    return Lab.copy(made, under / "home")


@pytest.fixture
def small_disk(under: Path) -> Iterator[Path]:
    """A file system of 400 MB of its own."""
    disk = under / "disk"
    disk.mkdir(mode=0o711)
    made = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0711", "none", disk], check=False
    )
    if not made or made.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield disk
    finally:
        for record in disk.rglob("cluster.json"):
            Cluster(record.parent).stop()
        subprocess.run(["umount", "-l", disk], check=True)
