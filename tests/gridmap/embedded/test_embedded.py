"""The private cluster on the machine's real PostgreSQL: made, started, stopped, and what is inside."""

import contextlib
import json
import stat
import subprocess
import typing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from gridmap.cluster import programs
from gridmap.embedded import Cluster

if typing.TYPE_CHECKING:
    from tests.gridmap.embedded.conftest import Lab

ODD_NAME = "家 $(touch pwned) 'q\" ;,:"
"""A home may be called anything: blanks, quotes, what a shell would run, what a list of hosts is split by."""


def test_made_started_stopped_and_started_again(lab: "Lab", under: Path) -> None:
    cluster = Cluster(under / ODD_NAME)
    before = cluster.status()
    assert (before.running, before.url, before.data_dir, before.postmaster_pid) == (False, None, None, None)
    assert not (under / ODD_NAME).exists(), "asking must not make anything"

    url = cluster.start()
    assert cluster.start() == url, "a second start finds it running"
    status = cluster.status()
    assert status.running
    assert status.url == url
    assert status.version == str(programs.find_programs().major)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (name text)")
        connection.execute("INSERT INTO kept VALUES ('网格')")
    first_pid = status.postmaster_pid
    assert first_pid is not None

    cluster.stop()
    assert not cluster.status().running
    assert cluster.status().postmaster_pid is None
    assert lab.gone(first_pid)
    cluster.stop()

    assert cluster.start() == url
    assert lab.names(url) == ["网格"]
    assert lab.server(under / ODD_NAME) != first_pid
    assert [path.name for path in under.iterdir()] == [ODD_NAME], "the shell ran a part of the path"


def test_what_is_inside(lab: "Lab", home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()
    with psycopg.connect(url) as connection:
        extensions = {row[0] for row in connection.execute("SELECT extname FROM pg_extension")}
        rows = connection.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolcanlogin")
        roles: dict[str, bool] = dict(rows.fetchall())
        owner = connection.execute(
            "SELECT pg_get_userbyid(datdba), datcollate, datctype, pg_encoding_to_char(encoding)"
            " FROM pg_database WHERE datname = 'gridmap'"
        ).fetchone()
        wanted = [
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "data_checksums",
            "jit",
            "TimeZone",
            "listen_addresses",
        ]
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in wanted]
        assert connection.execute("SELECT cardinality(show_trgm('网格员'))").fetchone() == (4,)
    assert extensions >= {"postgis", "ltree", "pg_trgm", "btree_gist"}
    assert roles == {"gridmap": False, "gridmap_admin": True, "gridmap_service": False}
    assert owner == ("gridmap", "C", "C.UTF-8", "UTF8")
    assert [value[0] for value in settings if value] == ["on", "on", "on", "on", "off", "UTC", ""]
    assert lab.ask(cluster.admin_url("postgres"), "SHOW is_superuser") == "on"
    assert Path(cluster.program("pg_dump")).exists()


def test_passwords_are_required_and_kept_private(home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.start()
    socket_folder = parse_qs(urlsplit(url).query)["host"][0]
    for user in ("gridmap", "gridmap_service", "gridmap_admin", "postgres"):
        for password in (None, "", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(host=socket_folder, port=5432, user=user, dbname="gridmap", password=password,
                                passfile="/nonexistent")  # fmt: skip
    words = json.loads((home / "cluster-passwords.json").read_text())
    assert all(len(word) >= 40 for word in words.values())
    assert len(set(words.values())) == 3
    assert stat.S_IMODE((home / "cluster-passwords.json").stat().st_mode) == 0o600
    data = cluster.status().data_dir
    assert data is not None
    for folder in (Path(socket_folder), data, data.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # Nothing of the passwords lies where other programs' users could read it.
    for name in ("gridmap.conf", "pg_hba.conf", "owner.json"):
        text = (data.parent.parent / name).read_text()
        assert not any(word in text for word in words.values())
    assert "trust" not in (data.parent.parent / "pg_hba.conf").read_text()
    stock = [line for line in (data / "pg_hba.conf").read_text().splitlines() if line and line[0] != "#"]
    assert all(line.split()[-1] == "reject" for line in stock)


def test_it_does_not_listen_on_tcp(lab: "Lab", home: Path) -> None:
    Cluster(home).start()
    pid = lab.server(home)
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = [
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    assert inodes, "the check itself sees no sockets"
    assert not inodes & set(listening)


def test_what_is_made_is_what_a_backup_holds(home: Path) -> None:
    """What a single-user server makes would count as PostgreSQL's own and be left out of a dump."""
    cluster = Cluster(home)
    cluster.start()
    argv = [cluster.program("pg_dump"), "--schema-only", cluster.admin_url()]
    dump = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for name in ("postgis", "ltree", "pg_trgm", "btree_gist"):
        assert f"CREATE EXTENSION IF NOT EXISTS {name} " in dump
    assert "CREATE TABLE public.kept" in dump
