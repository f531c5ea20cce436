"""The private PostGIS cluster of an installation that names no server of its own.

    cluster = Cluster(settings.home)
    url = cluster.start()      # makes it when needed, starts it when needed, repairs what a crash left

The server listens on a unix socket in a folder that its account alone may enter, wants a password from
everybody, and outlives the process that started it. See docs/adr/0005-private-database.md.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from gridmap.cluster import process, upgrade
from gridmap.cluster.config import write_config
from gridmap.cluster.creation import create, furnish, may_sign_in, set_admin_password
from gridmap.cluster.home import (
    ADMIN,
    DATABASE,
    ROLE,
    Place,
    data_version,
    known_passwords,
    last_socket_folder,
    lock,
    os_trouble,
    passwords,
    recorded,
    settle,
    socket_folder,
)
from gridmap.cluster.programs import Programs, find_programs
from gridmap.cluster.trouble import explain, is_full, require_space
from gridmap.errors import NotPossible, Unavailable
from gridmap.sight import SERVICE

START_PATIENCE_S = 600
"""Crash recovery reads at most `max_wal_size` of log; a slow disk may need minutes for it."""
_TEMPORARY = "gridmap-temporary-"


@dataclass(frozen=True)
class Status:
    """How a private cluster is doing.

    Attributes:
        running: whether it accepts connections.
        url: the service's URL with its password; None before the cluster was made.
        data_dir: PostgreSQL's data folder; None before the cluster was made.
        postmaster_pid: process id of the server; None where it is not running.
        version: PostgreSQL's major version of the data folder, for example "15".
    """

    running: bool
    url: str | None
    data_dir: Path | None
    postmaster_pid: int | None
    version: str | None


class Cluster:
    """The private cluster of one home. Making the object does nothing.

    Args:
        home: the service's home; made when the cluster is started.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(os.path.realpath(home))
        self._durable = True

    def start(self) -> str:
        """Makes, upgrades, repairs and starts the cluster, as far as each is needed.

        Safe to call from several processes at once, and when it is running already.

        Returns:
            The owner's URL: `postgresql://gridmap:…@/gridmap?host=…&port=5432`.

        Raises:
            NotPossible: the machine lacks something; one sentence with the remedy.
            Unavailable: another process is still starting or stopping it.
        """
        with os_trouble(self.home), lock(self.home):
            return self._start()

    def revive(self) -> bool:
        """Starts a cluster whose server died; says whether it did.

        Not where it was never made, runs already (a recovery may be under way), or was ended by `stop`.

        Raises:
            NotPossible, Unavailable: as `start`.
        """
        place = recorded(self.home)
        if place is None or not _is_gone(place) or self._stopped_mark.exists():
            return False
        with os_trouble(self.home), lock(self.home):
            if not _is_gone(place) or self._stopped_mark.exists():
                return False  # somebody was quicker
            self._start()
            return True

    def _start(self) -> str:
        place = settle(self.home)
        words = passwords(self.home)
        if not _answers(place):
            process.halt(place)
            self._launch(place, self._prepare(place, words))
        self._furnish(place, words)
        self._stopped_mark.unlink(missing_ok=True)
        return self._url(place, ROLE, DATABASE)

    @property
    def _stopped_mark(self) -> Path:
        """There while the cluster is meant to be at rest: a server that is gone without it was killed."""
        return self.home / "cluster.stopped"

    def stop(self) -> None:
        """Ends the cluster in order and waits for it: open transactions are rolled back, nothing is lost.

        A service that is running leaves it ended. Does nothing where it is not running.
        """
        if not (self.home / "cluster.json").exists():
            return
        with os_trouble(self.home), lock(self.home):
            place = recorded(self.home)
            if place is not None:
                self._stopped_mark.touch()
                process.halt(place)

    def status(self) -> Status:
        """How it is doing; changes nothing and needs no PostgreSQL programs.

        Raises:
            NotPossible: the home cannot be read, or its data folder is another home's or gone.
        """
        place = recorded(self.home)
        version = data_version(place) if place else None
        if place is None or version is None:
            return Status(running=False, url=None, data_dir=None, postmaster_pid=None, version=None)
        return Status(
            running=process.state(place) == process.READY,
            url=self._url(place, ROLE, DATABASE),
            data_dir=place.data,
            postmaster_pid=process.postmaster_pid(place),
            version=version,
        )

    def service_url(self) -> str:
        """URL of the role that the service signs in as: it owns nothing and sees by `gridmap.sight`.

        Raises:
            NotPossible: the cluster was never made.
        """
        return self._url(self._made(), SERVICE, DATABASE)

    def admin_url(self, database: str = DATABASE) -> str:
        """URL of the superuser `gridmap_admin`, for backups, restoring and copies of the database.

        Raises:
            NotPossible: the cluster was never made.
        """
        return self._url(self._made(), ADMIN, database)

    def program(self, name: str) -> str:
        """Full path of a PostgreSQL program that fits the cluster's version, for example `pg_dump`."""
        place = recorded(self.home)
        version = data_version(place) if place else None
        return find_programs(int(version) if version else None).path(name)

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a PostgreSQL program as the server's account in the folder that holds `data`.

        Raises:
            NotPossible: the cluster was never made, or the program cannot be run.
        """
        place = self._made()
        return place.account.run([self.program(name), *arguments], folder=place.server)

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, *, durable: bool = True, under: Path | None = None) -> Iterator["Cluster"]:
        """A started cluster in a temporary folder, for tests; stopped and removed at the end.

        Args:
            durable: False gives up fsync, for speed. Nowhere else can it be given up.
            under: where the folder is made, if not where the system keeps what is temporary.
        """
        under = under or Path(tempfile.gettempdir())
        _sweep_temporary(under)
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=under))
        folder.chmod(0o711)
        with (folder / "owner.lock").open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            cluster = cls(folder)
            cluster._durable = durable
            try:
                cluster.start()
                yield cluster
            finally:
                cluster.remove()

    def remove(self) -> None:
        """Ends the server at once and removes the home with its data folder: for what is temporary or unfinished."""
        with contextlib.suppress(NotPossible):
            place = recorded(self.home)
            if place is not None:
                process.halt(place, signal.SIGQUIT)
                shutil.rmtree(place.base, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def _made(self) -> Place:
        place = recorded(self.home)
        if place is None:
            raise NotPossible(f"There is no database in {self.home} yet: gridmap db upgrade", code="not_made")
        return place

    def _url(self, place: Place, role: str, database: str) -> str:
        words = known_passwords(self.home)
        host = quote(process.socket_in_use(place) or str(last_socket_folder(place)), safe="")
        # The port is said, as a PGPORT in the environment would lead elsewhere.
        return f"postgresql://{role}:{words.get(role, '')}@/{quote(database)}?host={host}&port=5432"

    def _prepare(self, place: Place, words: Mapping[str, str]) -> Programs:
        """Brings the data folder into a state that the returned programs can start."""
        upgrade.settle_swap(place)
        version = data_version(place)
        if version is None:
            programs = find_programs()
            require_space(place.server)
            create(place, programs, words, durable=self._durable)
            return programs
        programs = upgrade.programs_for(place)
        process.clear_after_crash(place)
        if int(version) != programs.major:
            upgrade.upgrade_cluster(place, old=find_programs(int(version)), new=programs, words=words)
        return programs

    def _launch(self, place: Place, programs: Programs) -> None:
        folder = socket_folder(place)
        write_config(place, folder, durable=self._durable)
        for left in folder.glob(".s.PGSQL.5432*"):
            left.unlink(missing_ok=True)
        place.start_log.unlink(missing_ok=True)
        # Relative paths only: pg_ctl hands them to a shell, and a home may be called anything.
        argv = ["start", "--wait", "--silent", "--timeout=10", "--pgdata=server/data"]
        argv += ["--log=server/start.log", "--options=-c config_file=gridmap.conf"]
        done = place.account.run([programs.path("pg_ctl"), *argv], folder=place.base)
        if not _answers(place):
            process.halt(place, signal.SIGQUIT)
            raise explain(place, "did not start", done.stdout + done.stderr)

    def _furnish(self, place: Place, words: Mapping[str, str]) -> None:
        def url_of(role: str, database: str) -> str:
            return self._url(place, role, database)

        try:
            if not may_sign_in(url_of(ADMIN, "postgres")):
                # The passwords were lost and generated anew. Who may write the home may set them.
                process.halt(place)
                programs = self._prepare(place, words)
                set_admin_password(place, programs, place.data, words[ADMIN])
                self._launch(place, programs)
            furnish(url_of, words)
            if upgrade.drop_old(place):
                with psycopg.connect(url_of(ADMIN, DATABASE), autocommit=True) as connection:
                    connection.execute("ANALYZE")  # pg_upgrade does not carry the planner's figures over
        except psycopg.Error as error:
            if is_full(place.server):
                raise explain(place, "cannot work", str(error)) from error
            first = str(error).partition("\n")[0]
            raise Unavailable(f"The private database does not answer as it should: {first}") from error


def _is_gone(place: Place) -> bool:
    """Whether no server runs, or one that nobody can reach."""
    folder = process.socket_in_use(place)
    state = process.state(place)
    return state == process.GONE or (state == process.READY and not (folder and process.accepts(folder)))


def _answers(place: Place) -> bool:
    """Whether the server is running and can be reached; waits while it recovers from a crash."""
    deadline = time.monotonic() + START_PATIENCE_S
    while (state := process.state(place)) == process.STARTING and time.monotonic() < deadline:
        if is_full(place.server):
            return False
        time.sleep(0.1)
    folder = process.socket_in_use(place)
    return state == process.READY and folder is not None and process.accepts(folder)


def _sweep_temporary(under: Path) -> None:
    """Removes temporary clusters whose makers were killed."""
    for folder in under.glob(f"{_TEMPORARY}*"):
        try:
            if time.time() - folder.stat().st_mtime < 60:
                continue  # its maker may not have locked it yet
            with (folder / "owner.lock").open("r+") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Cluster(folder).remove()
        except OSError:
            continue  # somebody's, or in use
