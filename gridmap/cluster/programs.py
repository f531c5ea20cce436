"""PostgreSQL as this machine has it: its programs, and the account that may run its server.

The server refuses to run as root, so a service started by root runs it as an unprivileged account.
"""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridmap.errors import NotPossible

PROGRAMS_VARIABLE = "GRIDMAP_POSTGRES_BIN"
ACCOUNTS = ("postgres", "gridmap")
"""Accounts that may run the server for root, in this order; the last is made where none exists."""

_DEBIAN_VERSIONS = {"12": 15, "13": 17}
_LATEST_TESTED = 17


@dataclass(frozen=True)
class Programs:
    """The programs of one PostgreSQL.

    Attributes:
        folder: where `postgres`, `initdb`, `pg_ctl`, `pg_dump` and the others lie.
        major: major version, for example 15.
        version: full version, for example "15.18".
        has_postgis: whether the extension is installed for this version.
    """

    folder: Path
    major: int
    version: str
    has_postgis: bool

    def path(self, name: str) -> str:
        """Full path of a program, for example of `pg_dump`."""
        return str(self.folder / name)


@dataclass(frozen=True)
class Account:
    """Who runs the server.

    Attributes:
        name: login name, for messages.
        uid: user number.
        gid: number of the user's own group.
        switches: whether this process has to become that user first (it is root, then).
    """

    name: str
    uid: int
    gid: int
    switches: bool

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        feed: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program as this account in `folder`, in a session of its own, and waits for its end.

        Nothing of this process leaks into it: a clean environment (a stray PGHOST or PGOPTIONS would
        lead it astray), no open files, no terminal (so Ctrl-C ends the service, never a half-made
        database).

        Raises:
            NotPossible: this account may not execute the program, or not enter the folder.
        """
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", **(environment or {})}
        try:
            return subprocess.run(  # noqa: S603  the programs are those found by `find_programs`
                list(argv),
                cwd=folder,
                env=env,
                input="" if feed is None else feed,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                start_new_session=True,
                umask=0o077,
                user=self.uid if self.switches else None,
                group=self.gid if self.switches else None,
                extra_groups=[] if self.switches else None,
            )
        except PermissionError as error:
            raise NotPossible(
                f"The account {self.name!r} may not run {argv[0]} in {folder}: let it pass (chmod a+x on the"
                f" folders above), or choose other programs by {PROGRAMS_VARIABLE}.",
                code="postgres_not_runnable",
            ) from error

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can pass into `folder`, and so everything above it lets it through."""
        if not self.switches:
            return os.access(folder, os.X_OK)
        # Asked of the kernel as that user: access lists and mounts decide it, not only mode bits.
        done = self.run([shutil.which("test", path="/usr/bin:/bin") or "/usr/bin/test", "-x", str(folder)],
                        folder=Path("/"))  # fmt: skip
        return done.returncode == 0


def account_for(server_folder: Path | None = None) -> Account:
    """The account that runs the server whose files lie in `server_folder`.

    An ordinary user runs it as themselves. Root runs it as the folder's owner where the folder exists
    (it may have been made by an ordinary user), otherwise as one of `ACCOUNTS`.

    Raises:
        NotPossible: root, and no unprivileged account exists or can be made.
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(_name_of(uid), uid, os.getegid(), switches=False)
    if server_folder is not None and server_folder.exists() and (owner := server_folder.stat().st_uid):
        try:
            gid = pwd.getpwuid(owner).pw_gid
        except KeyError:
            gid = server_folder.stat().st_gid
        return Account(_name_of(owner), owner, gid, switches=True)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid, switches=True)
    return _make_account(ACCOUNTS[-1])


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make_account(name: str) -> Account:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    argv = [
        program or "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
    ]
    done = None
    if program:
        done = subprocess.run([*argv, name], capture_output=True, text=True, check=False)  # noqa: S603  constants
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        reason = done.stderr.strip() if done else "there is no useradd"
        raise NotPossible(
            f"PostgreSQL does not run as root and no account for it could be made ({reason}):"
            f" {' '.join(['useradd', *argv[1:], name])}",
            code="no_account",
        ) from error
    return Account(name, entry.pw_uid, entry.pw_gid, switches=True)


def find_programs(major: int | None = None) -> Programs:
    """The newest PostgreSQL here that also has PostGIS, or the one of version `major`.

    Looks into `GRIDMAP_POSTGRES_BIN` alone where it is set; otherwise into the folders of Debian's and
    of PostgreSQL's own packages, and where `pg_config` on the PATH points to.

    Raises:
        NotPossible: there is none; the message says what to install.
    """
    found = [programs for folder in _folders() if (programs := _look_into(folder))]
    fitting = [p for p in found if p.has_postgis and major in {None, p.major}]
    if fitting:
        return max(fitting, key=lambda programs: programs.major)
    chosen = os.environ.get(PROGRAMS_VARIABLE)
    if chosen and not found:
        raise NotPossible(
            f"There are no PostgreSQL programs in {chosen}: set {PROGRAMS_VARIABLE} to a folder with"
            f" postgres, initdb and pg_ctl, or unset it and run: {_remedy(major)}",
            code="postgres_missing",
        )
    if same := [p for p in found if major in {None, p.major}]:
        newest = max(p.major for p in same)
        raise NotPossible(
            f"PostgreSQL {newest} is here without PostGIS: {_remedy(newest)}", code="postgis_missing"
        )
    wanted = "PostgreSQL with PostGIS" if major is None else f"PostgreSQL {major} with PostGIS"
    raise NotPossible(f"{wanted} is missing on this machine: {_remedy(major)}", code="postgres_missing")


def _remedy(major: int | None) -> str:
    return f"apt-get install postgresql-{major or _distributed_version()}-postgis-3"


def _distributed_version() -> int:
    """The PostgreSQL that this release of the system brings."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return _LATEST_TESTED
    release = re.search(r'^VERSION_ID="?(\d+)', text, re.MULTILINE)
    return _DEBIAN_VERSIONS.get(release.group(1) if release else "", _LATEST_TESTED)


def _folders() -> list[Path]:
    chosen = os.environ.get(PROGRAMS_VARIABLE)
    if chosen:
        return [Path(chosen).absolute()]
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    asked = shutil.which("pg_config")
    if asked and (answer := _ask(asked, "--bindir")):
        folders.append(Path(answer))
    return list(dict.fromkeys(folders))


def _look_into(folder: Path) -> Programs | None:
    if not all((folder / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
        return None
    match = re.search(r"\(PostgreSQL\) ((\d+)[.\w]*)", _ask(str(folder / "postgres"), "--version"))
    if match is None:
        return None
    major = int(match.group(2))
    shares = [
        Path(f"/usr/share/postgresql/{major}"),
        folder.parent / "share" / "postgresql",
        folder.parent / "share",
    ]
    if (folder / "pg_config").exists() and (answer := _ask(str(folder / "pg_config"), "--sharedir")):
        shares.insert(0, Path(answer))
    has_postgis = any((share / "extension" / "postgis.control").exists() for share in shares)
    return Programs(folder, major, match.group(1), has_postgis)


def _ask(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603  found above
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
