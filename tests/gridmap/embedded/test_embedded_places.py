"""Where private clusters lie: side by side, moved, copied, under long paths, where only root may go."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import typing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from gridmap.embedded import Cluster
from gridmap.errors import NotPossible

if typing.TYPE_CHECKING:
    from tests.gridmap.embedded.conftest import Lab

ROOT = os.geteuid() == 0


def test_two_homes_side_by_side(lab: "Lab", made: Path, under: Path) -> None:
    one, two = Cluster(lab.copy(made, under / "one")), Cluster(under / "two")
    url_one, url_two = one.start(), two.start()
    with psycopg.connect(url_one) as connection:
        connection.execute("INSERT INTO kept VALUES ('of one')")
    assert lab.ask(url_two, "SELECT to_regclass('kept')") is None
    swapped = url_two.replace(urlsplit(url_two).password or "-", urlsplit(url_one).password or "-")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(swapped)
    two.stop()
    assert not two.status().running
    assert one.status().running
    assert lab.names(url_one) == ["first", "of one"]


def test_a_long_path_gets_a_short_socket(lab: "Lab", made: Path, under: Path) -> None:
    (under / ("d" * 60)).mkdir()
    cluster = Cluster(lab.copy(made, under / ("d" * 60) / ("e" * 60)))
    url = cluster.start()
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    assert len(str(folder)) < 90
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert lab.names(url) == ["first"]
    assert cluster.start() == url
    cluster.stop()
    # Somebody else's folder under that name (after a reboot emptied it) is not trusted.
    folder.chmod(0o755)
    moved = cluster.start()
    assert moved != url
    assert lab.names(moved) == ["first"]
    cluster.stop()
    for path in (folder, Path(parse_qs(urlsplit(moved).query)["host"][0])):
        shutil.rmtree(path)


def test_a_moved_home_follows_a_torn_copy_does_not(lab: "Lab", home: Path, under: Path) -> None:
    Cluster(home).start()
    torn = lab.copy(home, under / "torn")
    with pytest.raises(NotPossible, match="taken while its database was running") as caught:
        Cluster(torn).start()
    assert caught.value.code == "torn_copy"
    assert Cluster(home).status().running
    Cluster(home).stop()
    home.rename(under / "elsewhere")
    assert lab.names(Cluster(under / "elsewhere").start()) == ["first"]


@pytest.mark.skipif(not ROOT, reason="only root can have a home that the server's account cannot enter")
def test_a_home_that_only_root_can_enter(lab: "Lab", under: Path) -> None:
    (under / "closed").mkdir(mode=0o700)
    home = under / "closed" / "home"
    cluster = Cluster(home)
    cluster._durable = False  # the disk's speed is not the matter here
    url = cluster.start()
    data = cluster.status().data_dir
    assert data is not None
    try:
        assert not data.is_relative_to(under)
        assert lab.ask(url, "SELECT 1") == 1
        owner = pwd.getpwuid(Path(f"/proc/{lab.server(home)}").stat().st_uid)
        assert owner.pw_uid != 0
        cluster.stop()

        twin = lab.copy(home, under / "closed" / "twin")
        for action in (Cluster(twin).start, Cluster(twin).stop, Cluster(twin).status):
            with pytest.raises(NotPossible, match=r"of which .* is a copy"):
                action()
        home.rename(under / "closed" / "moved")
        assert lab.ask(Cluster(under / "closed" / "moved").start(), "SELECT 1") == 1
        with pytest.raises(NotPossible, match="belongs to the home"):
            Cluster(twin).start()
        Cluster(under / "closed" / "moved").stop()
        data.parent.parent.rename(data.parent.parent.with_name("away"))
        with pytest.raises(NotPossible, match="bring that folder back"):
            Cluster(under / "closed" / "moved").start()
    finally:
        shutil.rmtree(data.parent.parent, ignore_errors=True)
        shutil.rmtree(data.parent.parent.with_name("away"), ignore_errors=True)


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs the server as themselves")
def test_root_that_may_not_look_at_other_users_processes(lab: "Lab", home: Path) -> None:
    """In a container root usually lacks CAP_SYS_PTRACE; a running server must still be recognised."""
    url = Cluster(home).start()
    pid = lab.server(home)
    argv = [
        "setpriv",
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-sys_ptrace",
        sys.executable,
        "-c",
        lab.START,
        str(home),
    ]
    env = {**os.environ, "PYTHONPATH": lab.PROJECT}
    done = subprocess.run(argv, check=False, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == url, done.stderr
    assert lab.server(home) == pid
