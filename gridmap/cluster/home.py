"""Where the files of a private cluster lie, and to which home they belong.

    HOME/cluster.json             which data folder is this home's (id, base, socket)
    HOME/cluster-passwords.json   0600
    HOME/cluster.lock             held while the cluster is made, started or stopped
    BASE/owner.json               which home the data folder belongs to
    BASE/gridmap.conf, pg_hba.conf   written anew at every start
    BASE/server/                  0700, owned by the account that runs the server: data/, run/, start.log

BASE is HOME/postgres. Only where root starts the service and the unprivileged account cannot pass into
the home, BASE is a folder of its own under /var/lib/gridmap. Files that this process writes never lie in
a folder that the other account may write to, so that account cannot lead root's writes elsewhere.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridmap.cluster.programs import Account, account_for
from gridmap.errors import NotPossible, Unavailable
from gridmap.sight import SERVICE

ADMIN = "gridmap_admin"
ROLE = DATABASE = "gridmap"  # the owner of everything in the database; the service signs in as another
OUTSIDE = Path("/var/lib/gridmap")
LOCK_PATIENCE_S = 300.0
_LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # a comma or colon in `host` would mean a list of hosts


@dataclass(frozen=True)
class Place:
    """Folders of one cluster.

    Attributes:
        home: the service's home, absolute.
        base: holds everything of the cluster.
        account: who runs the server.
    """

    home: Path
    base: Path
    account: Account

    @property
    def server(self) -> Path:
        """Folder of the account that runs the server."""
        return self.base / "server"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.server / "data"

    @property
    def start_log(self) -> Path:
        """What the server said before its own log began."""
        return self.server / "start.log"


def data_version(place: Place) -> str | None:
    """PostgreSQL's major version of the data folder, for example "15"; None where there is no folder."""
    try:
        return (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return None


def write_privately(path: Path, text: str, mode: int = 0o600) -> None:
    """Replaces a file in one step and makes it durable; a reader sees the old or the new content."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def os_trouble(home: Path) -> Iterator[None]:
    """Turns what the system refuses while the home is worked on into one sentence with the remedy."""
    try:
        yield
    except OSError as error:
        raise NotPossible(
            f"The home {home} cannot be used ({error.strerror}: {error.filename}): make it writable for this"
            " user, free some space, or set GRIDMAP_HOME to another folder.",
            code="disk_full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "home_not_writable",
        ) from error


@contextlib.contextmanager
def lock(home: Path, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Holds the home's lock: one starter or stopper at a time, across processes and threads.

    Raises:
        OSError: the home cannot be made or written.
        Unavailable: another process held the lock all the time.
    """
    # As root others must be able to pass through (the server's account); what is secret is 0600.
    home.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    handle = os.open(home / "cluster.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"Another process has been starting or stopping the database of {home} for"
                        f" {patience_s:.0f} s: wait for it or end it, then try again."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def recorded(home: Path) -> Place | None:
    """The place that the home remembers, or None where no cluster was ever begun. Changes nothing.

    Raises:
        NotPossible: the record cannot be read, or the data folder belongs to another home.
    """
    record = _read(home / "cluster.json")
    if record is None:
        return None
    base = home / "postgres" if record["base"] is None else Path(record["base"])
    owner = _read(base / "owner.json")
    if owner is None:
        raise NotPossible(
            f"The database of {home} lies in {base}, which is not there: bring that folder back, or remove"
            f" {home / 'cluster.json'} to begin with an empty database.",
            code="data_missing",
        )
    if owner["id"] != record["id"] or (owner["home"] != str(home) and _lives(owner)):
        if record["base"] is None and owner["id"] == record["id"]:
            _refuse_torn_copy(home, base, owner["home"])
        else:
            raise NotPossible(
                f"The database in {base} belongs to the home {owner['home']}, of which {home} is a copy: set"
                f" GRIDMAP_HOME={owner['home']}, or remove {home / 'cluster.json'} to begin with an empty one"
                " (gridmap db backup and restore carry the content over).",
                code="foreign_data",
            )
    return Place(home, base, account_for(base / "server"))


def settle(home: Path) -> Place:
    """The place of this home's cluster, chosen and written down at the first time. Call under the lock.

    Raises:
        NotPossible: as `recorded`, or the account cannot enter the folder.
        OSError: the folders cannot be made.
    """
    place = recorded(home)
    if place is None:
        place = _choose(home)
    else:
        _follow_move(place)
    if not place.account.can_enter(place.base):
        raise NotPossible(
            f"The account {place.account.name!r}, which runs the database, cannot pass into {place.base}:"
            " let it (chmod a+x on the folders above).",
            code="data_unreachable",
        )
    if not place.server.exists():
        place.server.mkdir(mode=0o700)
        if place.account.switches:
            os.chown(place.server, place.account.uid, place.account.gid)
    return place


def socket_folder(place: Place) -> Path:
    """A folder for the socket that its account alone may enter, and whose path is short enough.

    The kernel takes 107 bytes; a longer home gets a folder under /run or the temporary folder, and
    remembers it. Call under the lock.
    """
    folder = last_socket_folder(place)
    if folder == place.server / "run" and _fits(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    elif not _is_private(folder, place.account):
        folder = Path(tempfile.mkdtemp(prefix="gridmap-", dir=_short_parent(place.account)))
        record = _read(place.home / "cluster.json") or {}
        write_privately(place.home / "cluster.json", json.dumps({**record, "socket": str(folder)}))
    if place.account.switches:
        os.chown(folder, place.account.uid, place.account.gid)
    return folder


def last_socket_folder(place: Place) -> Path:
    """Where the socket is expected; changes nothing, and the folder need not exist."""
    near = place.server / "run"
    if _fits(near):
        return near
    record = _read(place.home / "cluster.json") or {}
    return Path(record.get("socket") or near)


def passwords(home: Path) -> dict[str, str]:
    """Passwords of the roles, generated where there are none. Call under the lock."""
    known = known_passwords(home)
    wanted = (ROLE, ADMIN, SERVICE)
    if known.keys() >= set(wanted):
        return known
    fresh = {role: known.get(role) or secrets.token_urlsafe(32) for role in wanted}
    write_privately(home / "cluster-passwords.json", json.dumps(fresh))
    return fresh


def known_passwords(home: Path) -> dict[str, str]:
    """Passwords of the roles as they stand in the home; empty where there are none."""
    return {
        str(role): str(password) for role, password in (_read(home / "cluster-passwords.json") or {}).items()
    }


def _choose(home: Path) -> Place:
    account = account_for()
    record: dict[str, Any] = {"id": secrets.token_hex(8), "base": None}
    base = home / "postgres"
    if not account.can_enter(home):
        base = OUTSIDE / f"{re.sub(r'[^A-Za-z0-9]+', '-', home.name).strip('-') or 'home'}-{record['id']}"
        record["base"] = str(base)
    base.mkdir(parents=True, exist_ok=True, mode=0o711 if account.switches else 0o700)
    # The owner's mark first: a record without its folder would look like lost data.
    write_privately(base / "owner.json", json.dumps({"id": record["id"], "home": str(home)}), 0o644)
    write_privately(home / "cluster.json", json.dumps(record))
    return Place(home, base, account_for(base / "server"))


def _follow_move(place: Place) -> None:
    """Writes down that the home was moved (or copied whole, at rest): the two may not share a socket."""
    owner = _read(place.base / "owner.json") or {}
    if owner["home"] == str(place.home):
        return
    record = _read(place.home / "cluster.json") or {}
    record.pop("socket", None)
    write_privately(place.home / "cluster.json", json.dumps(record))
    write_privately(place.base / "owner.json", json.dumps({**owner, "home": str(place.home)}), 0o644)


def _lives(owner: dict[str, Any]) -> bool:
    """Whether the home that the data folder names is still there (then the asking home is a copy)."""
    try:
        record = _read(Path(owner["home"]) / "cluster.json")
    except NotPossible:
        return True
    return record is not None and record["id"] == owner["id"]


def _refuse_torn_copy(home: Path, base: Path, original: str) -> None:
    """A copy with its own data folder may live on, unless it was taken while the server was running."""
    if (base / "server" / "data" / "postmaster.pid").exists():
        raise NotPossible(
            f"{home} is a copy of {original} taken while its database was running, so the copy may be torn:"
            " remove it and carry the content over with gridmap db backup and restore.",
            code="torn_copy",
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise NotPossible(
            f"{path} may not be read: run this as its owner (or as root).", code="home_not_readable"
        ) from error
    except (OSError, ValueError) as error:
        raise NotPossible(
            f"{path} cannot be read ({error}): restore it.", code="home_not_readable"
        ) from error
    return dict(content)


def _fits(folder: Path) -> bool:
    text = str(folder)
    return len(os.fsencode(text)) <= _LONGEST_SOCKET and _PLAIN_PATH.fullmatch(text) is not None


def _is_private(folder: Path, account: Account) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return found.st_uid == account.uid and (found.st_mode & 0o170777) == 0o040700 and _fits(folder)


def _short_parent(account: Account) -> str:
    """A folder with a short path, which both this process and the account can enter, to make one in.

    Not the user's XDG_RUNTIME_DIR: it goes when they log out, and the server stays.
    """
    for candidate in ("/run", tempfile.gettempdir()):
        if os.access(candidate, os.W_OK) and _fits(Path(candidate) / "gridmap-xxxxxxxx"):
            folder = Path(candidate)
            if account.can_enter(folder):
                return candidate
    return "/tmp"  # noqa: S108  only ever the parent of a folder made by mkdtemp
