"""What the machine may lack: programs, another version, space, a home. One sentence each, with the remedy."""

import contextlib
import os
import shutil
import time
import typing
from pathlib import Path

import psycopg
import pytest

from gridmap import db
from gridmap.cluster import home as cluster_home
from gridmap.cluster import process, programs, trouble, upgrade
from gridmap.cluster.config import memory_bytes
from gridmap.embedded import Cluster
from gridmap.errors import NotPossible, Unavailable

if typing.TYPE_CHECKING:
    from tests.gridmap.embedded.conftest import Lab


@pytest.mark.parametrize("version", ["9", "98"])
def test_a_data_folder_of_another_version(home: Path, version: str) -> None:
    place = cluster_home.recorded(home)
    assert place is not None
    (place.data / "PG_VERSION").write_text(version + "\n")
    with pytest.raises(
        NotPossible, match=rf"made by PostgreSQL {version}.*postgresql-{version}-postgis-3"
    ) as caught:
        Cluster(home).start()
    assert caught.value.code == "wrong_version"
    assert caught.value.message.count("\n") == 0
    assert (place.data / "PG_VERSION").exists()


def test_a_finished_takeover_drops_the_old_folder_after_the_start(lab: "Lab", home: Path) -> None:
    place = cluster_home.recorded(home)
    assert place is not None
    lab.copy(place.data, place.server / "data.old-9")
    assert lab.names(Cluster(home).start()) == ["first"]
    assert not list(place.server.glob("data.old-*"))


def test_an_upgrade_to_the_same_version_keeps_the_content(lab: "Lab", home: Path) -> None:
    """The machine has one version; pg_upgrade takes the same one, so every step of the way is walked."""
    place = cluster_home.recorded(home)
    assert place is not None
    here = programs.find_programs()
    words = cluster_home.known_passwords(home)
    # With the real tables: pg_dump and pg_restore have to get along with every trigger and constraint.
    db.upgrade(Cluster(home).start())
    lab.kill(home)  # a takeover may well come after a crash
    process.clear_after_crash(place)
    before = (place.data / "global" / "pg_control").stat().st_ino
    upgrade.upgrade_cluster(place, old=here, new=here, words=words)
    assert (place.data / "global" / "pg_control").stat().st_ino != before
    url = Cluster(home).start()
    assert lab.names(url) == ["first"]
    assert lab.ask(url, "SELECT postgis_lib_version() IS NOT NULL") is True
    assert sorted(path.name for path in place.server.iterdir()) == ["data", "run", "start.log"]


def test_a_refused_takeover_leaves_the_database_as_it_was(lab: "Lab", home: Path) -> None:
    place = cluster_home.recorded(home)
    assert place is not None
    here = programs.find_programs()
    Cluster(home).start()
    with psycopg.connect(Cluster(home).admin_url(), autocommit=True) as connection:
        # What pg_dump writes for this cannot be restored: with an empty search path there is no such operator.
        connection.execute("CREATE TABLE odd (path ltree)")
        connection.execute(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        connection.execute(
            "CREATE TRIGGER odd BEFORE UPDATE ON odd FOR EACH ROW"
            " WHEN (OLD.path IS DISTINCT FROM NEW.path) EXECUTE FUNCTION nothing()"
        )
    Cluster(home).stop()
    words = cluster_home.known_passwords(home)
    with pytest.raises(
        NotPossible, match=r"unchanged: see .*upgrade.log; to go on .*GRIDMAP_POSTGRES_BIN="
    ) as caught:
        upgrade.upgrade_cluster(place, old=here, new=here, words=words)
    assert caught.value.code == "not_upgraded"
    assert "operator does not exist" in (place.base / "upgrade.log").read_text()
    assert not list(place.server.glob("data.*"))
    assert lab.names(Cluster(home).start()) == ["first"]


def test_missing_programs(under: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (under / "empty").mkdir()
    monkeypatch.setenv(programs.PROGRAMS_VARIABLE, str(under / "empty"))
    with pytest.raises(
        NotPossible, match=r"no PostgreSQL programs.*apt-get install postgresql-\d+-postgis-3"
    ):
        Cluster(under / "home").start()
    assert not Cluster(under / "home").status().running


def test_programs_without_postgis(under: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (under / "bin").mkdir()
    for name in ("postgres", "initdb", "pg_ctl"):
        (under / "bin" / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 31.2'\n")
        (under / "bin" / name).chmod(0o755)
    monkeypatch.setenv(programs.PROGRAMS_VARIABLE, str(under / "bin"))
    with pytest.raises(
        NotPossible, match="without PostGIS: apt-get install postgresql-31-postgis-3"
    ) as caught:
        Cluster(under / "home").start()
    assert caught.value.code == "postgis_missing"


def test_a_home_that_is_a_file(under: Path) -> None:
    (under / "home").write_text("")
    with pytest.raises(NotPossible, match="set GRIDMAP_HOME to another folder"):
        Cluster(under / "home").start()


def test_a_lock_that_nobody_gives_back(under: Path) -> None:
    with (
        cluster_home.lock(under),
        pytest.raises(Unavailable, match="Another process"),
        cluster_home.lock(under, patience_s=0.1),
    ):
        pass


def test_a_full_disk(lab: "Lab", made: Path, small_disk: Path) -> None:
    home = lab.copy(made, small_disk / "home")
    (small_disk / "filler").write_bytes(b"0" * (shutil.disk_usage(small_disk).free - (100 << 20)))
    with pytest.raises(NotPossible, match="free some space") as caught:
        Cluster(small_disk / "new").start()
    assert caught.value.code == "disk_full"
    url = Cluster(home).start()
    with psycopg.connect(url) as connection:  # something to recover
        connection.execute("CREATE TABLE recovered AS SELECT generate_series(1, 100000) AS number")
    lab.kill(home)
    place = cluster_home.recorded(home)
    assert place is not None
    while process._orphans(place):
        time.sleep(0.01)
    handle = os.open(small_disk / "filler", os.O_WRONLY | os.O_APPEND)
    with contextlib.suppress(OSError):
        while os.write(handle, b"0" * (1 << 20)):
            pass
    os.close(handle)
    with pytest.raises(NotPossible) as caught:
        Cluster(home).start()
    assert caught.value.code == "disk_full"
    assert "free some space" in caught.value.message
    assert "\n" not in caught.value.message
    (small_disk / "filler").unlink()
    assert Cluster(home).start() == url
    assert lab.names(url) == ["first"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("FATAL:  could not write lock file: No space left on device", "disk_full"),
        ("initdb: error: could not change permissions: Read-only file system", "read_only"),
        ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "no_memory"),
        ('FATAL:  something "new"', "database_failed"),
        ("", "database_failed"),
    ],
)
def test_each_trouble_is_one_sentence(under: Path, said: str, code: str) -> None:
    place = cluster_home.Place(under, under / "postgres", programs.account_for())
    error = trouble.explain(place, "did not start", said)
    assert error.code == code
    assert error.message.startswith("The private database did not start")
    assert "\n" not in error.message


def test_memory_is_that_of_this_process() -> None:
    assert 64 << 20 < memory_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_an_account_is_never_root() -> None:
    account = programs.account_for()
    assert account.uid != 0
    done = account.run(["/usr/bin/id", "-u"], folder=Path("/"))
    assert done.stdout.strip() == str(account.uid)
    assert "PGHOST" not in account.run(["/usr/bin/env"], folder=Path("/")).stdout
