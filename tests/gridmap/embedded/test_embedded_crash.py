"""The private cluster after violence: killed servers, killed starters, stale files, lost passwords."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import typing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from gridmap.cluster import home as cluster_home
from gridmap.cluster import process, programs
from gridmap.embedded import Cluster

if typing.TYPE_CHECKING:
    from tests.gridmap.embedded.conftest import Lab

ROOT = os.geteuid() == 0


def test_committed_rows_survive_a_killed_server(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES ('acknowledged')")
    with psycopg.connect(url) as open_one:
        open_one.execute("INSERT INTO kept VALUES ('never committed')")
        lab.kill(home)
        assert not cluster.status().running
        with pytest.raises(psycopg.OperationalError):
            open_one.execute("SELECT 1")
    assert cluster.start() == url
    assert lab.names(url) == ["acknowledged", "first"]


def test_a_backend_that_outlived_the_server_does_not_stop_the_start(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()

    def busy() -> None:
        with contextlib.suppress(psycopg.Error), psycopg.connect(url) as connection:
            connection.execute("SELECT count(*) FROM generate_series(1, 4000000000)")

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        place = cluster_home.recorded(home)
        assert place is not None
        deadline = time.monotonic() + 10
        while "SELECT" not in " ".join(titles(place)) and time.monotonic() < deadline:
            time.sleep(0.02)
        lab.kill(home)
        assert process._orphans(place), "the test needs a backend that goes on"
        cluster.start()
        assert lab.names(url) == ["first"]
    finally:
        thread.join(20)


def titles(place: cluster_home.Place) -> list[str]:
    found = []
    for pid in process._orphans(place):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return found


def test_a_stale_pid_file_whose_number_is_another_process(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()
    place = cluster_home.recorded(home)
    assert place is not None
    lab.kill(home)
    # PostgreSQL itself refuses to start when the number belongs to a living process of the same user.
    uid = place.account.uid if ROOT else None
    other = subprocess.Popen(["/bin/sleep", "60"], cwd="/", user=uid, extra_groups=[] if ROOT else None)
    try:
        for path in (place.data / "postmaster.pid", Path(place.server / "run" / ".s.PGSQL.5432.lock")):
            lines = path.read_text().splitlines()
            path.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not cluster.status().running
        assert cluster.status().postmaster_pid is None
        cluster.stop()
        assert other.poll() is None, "stop must not end a foreign process"
        assert cluster.start() == url
        assert lab.names(url) == ["first"]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_removed_socket_is_made_again(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()
    first = lab.server(home)
    (Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432").unlink()
    assert cluster.start() == url
    assert lab.server(home) != first
    assert lab.names(url) == ["first"]


def test_starters_at_once_make_one_cluster(lab: "Lab", under: Path) -> None:
    starters = [lab.python(lab.START, under / "home") for _ in range(3)]
    answers = [starter.communicate(timeout=60) for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    place = cluster_home.recorded(under / "home")
    assert place is not None
    assert sorted(path.name for path in place.server.iterdir()) == ["data", "run", "start.log"]


def test_a_starter_killed_while_making_leaves_nothing_in_the_way(lab: "Lab", under: Path) -> None:
    starter = lab.python(lab.START, under / "home")
    deadline = time.monotonic() + 20
    while not list(under.glob("home/postgres/server/data.new-*/PG_VERSION")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    assert list(under.glob("home/postgres/server/data.new-*")), "the test came too late"
    assert not (under / "home/postgres/server/data").exists()
    assert not Cluster(under / "home").status().running
    url = Cluster(under / "home").start()
    assert lab.ask(url, "SELECT postgis_lib_version() IS NOT NULL") is True
    assert not list(under.glob("home/postgres/server/data.new-*"))


def test_the_server_outlives_its_starter(lab: "Lab", home: Path) -> None:
    code = lab.START + "; sys.stdout.flush(); import time; keep = open('/dev/zero'); time.sleep(60)"
    starter = lab.python(code, home)
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    pid = lab.server(home)
    assert os.getsid(pid) not in {os.getsid(0), starter.pid}
    files = {os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    assert not files & {str(home / "cluster.lock"), "/dev/zero"}
    os.killpg(starter.pid, signal.SIGINT)  # Ctrl-C
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    assert lab.names(url) == ["first"]
    assert lab.server(home) == pid


def test_a_start_killed_while_furnishing_is_completed(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    cluster.start()
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE gridmap")
        connection.execute("DROP ROLE gridmap")
    url = cluster.start()
    assert lab.ask(url, "SELECT count(*)::int FROM pg_extension") == 5
    with psycopg.connect(cluster.admin_url("postgres")) as connection:
        stranger = "SELECT bool_or(has_database_privilege('public', oid, 'CONNECT')) FROM pg_database"
        where = " WHERE datname IN ('gridmap', 'postgres')"
        assert connection.execute(stranger + where).fetchone() == (False,)


@pytest.mark.parametrize("is_running", [False, True])
def test_lost_passwords_are_replaced(lab: "Lab", home: Path, *, is_running: bool) -> None:
    old = Cluster(home).start()
    if not is_running:
        Cluster(home).stop()
    (home / "cluster-passwords.json").unlink()
    new = Cluster(home).start()
    assert new != old
    assert lab.names(new) == ["first"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(old)


def test_a_takeover_killed_between_its_renames_is_undone(lab: "Lab", home: Path) -> None:
    place = cluster_home.recorded(home)
    assert place is not None
    place.data.rename(place.server / f"data.old-{programs.find_programs().major}")
    assert lab.names(Cluster(home).start()) == ["first"]


def test_temporary_clusters_leave_nothing(lab: "Lab", under: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(under))
    with Cluster.temporary(durable=False) as cluster:
        assert lab.ask(cluster.start(), "SHOW fsync") == "off"
        folder, data = cluster.home, cluster.status().data_dir
        pid = cluster.status().postmaster_pid
    assert data is not None
    assert not folder.exists()
    assert not data.exists()
    assert lab.gone(pid)


def test_a_temporary_cluster_whose_maker_was_killed_is_swept(
    lab: "Lab", made: Path, under: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(under))
    left = Path(tempfile.mkdtemp(prefix="gridmap-temporary-"))
    left.chmod(0o711)
    lab.copy(made, left / "inner")
    for path in (left / "inner").iterdir():
        path.rename(left / path.name)
    (left / "owner.lock").touch()
    Cluster(left).start()
    pid = lab.server(left)
    os.utime(left, (time.time() - 3600,) * 2)
    with Cluster.temporary(durable=False):
        assert not left.exists()
        assert lab.gone(pid)


def test_a_strangers_socket_is_no_server(under: Path) -> None:
    assert not process.accepts(str(under))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(under / ".s.PGSQL.5432"))
        listener.listen()
        assert process.accepts(str(under))
