"""What went wrong with a private cluster, in one sentence with the remedy."""

import re
import shutil
from pathlib import Path

from gridmap.cluster.home import Place
from gridmap.errors import NotPossible

NEEDED_BYTES = 256 * 1024 * 1024
"""A new cluster takes about 70 MB and wants room for its log."""

_HARDLY_ANY_BYTES = 4 * 1024 * 1024
_CAUSES = (
    (
        "No space left on device|Disk quota exceeded",
        "disk_full",
        "the disk is full: free some space on the file system of {server}, then start again.",
    ),
    (
        "could not (?:map anonymous|create) shared memory|Cannot allocate memory|out of memory",
        "no_memory",
        "there is too little memory: end other programs, or set less shared_buffers in {base}/local.conf.",
    ),
    (
        "could not (?:access|load|open)[^\n]*(?:postgis|\\.so)|extension [^\n]* is not available",
        "postgis_missing",
        "an extension is not installed: apt-get install postgresql-{major} postgresql-{major}-postgis-3.",
    ),
    (
        "invalid locale name|locale [^\n]*requires",
        "no_locale",
        "the locale C.UTF-8 is missing: apt-get install libc-bin.",
    ),
    (
        "Read-only file system",
        "read_only",
        "the file system of {server} is read-only: mount it writable, or set GRIDMAP_HOME to another folder.",
    ),
    (
        "Permission denied",
        "not_permitted",
        "the account {account!r} may not use {server}: give it back to that account (chown -R).",
    ),
)
_SERIOUS = re.compile(r"(?:FATAL|PANIC|ERROR|[a-z_]+: error):\s*(.+)")


def explain(place: Place, what: str, output: str) -> NotPossible:
    """The error to raise after a PostgreSQL program failed.

    Args:
        place: the cluster.
        what: what it did not do, for example "did not start".
        output: what the program said; the server's own logs are read as well.
    """
    text = "\n".join([output, _tail(place.start_log), _tail(_newest(place.data / "log"))])
    if is_full(place.server):
        text = f"No space left on device\n{text}"  # the server's log may not have had the room to say so
    for pattern, code, sentence in _CAUSES:
        if re.search(pattern, text):
            remedy = sentence.format(
                server=place.server, base=place.base, account=place.account.name, major=_major(place)
            )
            return NotPossible(f"The private database {what}, {remedy}", code=code)
    said = _SERIOUS.findall(text)
    cause = said[-1].strip() if said else (output.strip().splitlines() or ["no word of why"])[-1]
    return NotPossible(
        f"The private database {what} ({cause}): see {place.start_log} and {place.data / 'log'}.",
        code="database_failed",
    )


def require_space(folder: Path, size: int = 0) -> None:
    """Refuses to begin a data folder that would not fit.

    Args:
        folder: where it is to lie.
        size: bytes that it takes beyond those of an empty one.

    Raises:
        NotPossible: less than `NEEDED_BYTES` and `size` are free.
    """
    needed = NEEDED_BYTES + size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NotPossible(
            f"A new database needs {needed // 2**20} MB, and {folder} has {free // 2**20} MB free: free some"
            " space, or set GRIDMAP_HOME to a folder on another disk.",
            code="disk_full",
        )


def is_full(folder: Path) -> bool:
    """Whether the folder's disk has no room to speak of.

    On a full disk a server dies while it recovers, and tries again and again, without a word.
    """
    try:
        return shutil.disk_usage(folder).free < _HARDLY_ANY_BYTES
    except OSError:
        return False


def _major(place: Place) -> str:
    try:
        return (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return "15"


def _newest(folder: Path) -> Path:
    try:
        return max(folder.iterdir(), key=lambda path: path.stat().st_mtime, default=folder / "none")
    except OSError:
        return folder / "none"


def _tail(path: Path, size: int = 8192) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
