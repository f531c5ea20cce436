"""The file of a backup: an ordinary zip archive, written beside its name and renamed when whole.

database.dump   pg_dump's custom format; pg_restore reads it without gridmap
secret.key      only where that was asked for
manifest.json   last: what the file holds, and how it was when it was made
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from gridmap.cluster.home import sync_folder
from gridmap.errors import Conflict, NotFound, NotPossible

FORM = 1
DUMP, KEY, MANIFEST = "database.dump", "secret.key", "manifest.json"
_BLOCK = 1 << 20
# What reading a damaged archive raises: a turned bit may also say that it is encrypted, or packed in a way unheard of.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    LookupError,
    ValueError,
    EOFError,
    OSError,
)


@dataclass(frozen=True)
class Contents:
    """Rows and checksum of a table; the checksum does not depend on the order of rows."""

    rows: int
    sum: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        made_at: RFC 3339.
        gridmap: version of the program that made it.
        revision: of the schema.
        postgres: version of the server as a number, for example 150018.
        database_bytes: what the database took on disk.
        epoch: the upper half of the server's 64-bit transaction numbers.
        tables: contents by qualified name, without those left out.
        sequences: the last number given out, by qualified name; None where none was.
        roles: to whom rights are given besides the owner.
        left_out: tables whose rows are not in the file.
        key_print: tells which secret key belongs to it; None where there was none.
        dump_bytes, dump_sha256: of the database's dump.
    """

    made_at: str
    gridmap: str
    revision: str
    postgres: int
    database_bytes: int
    epoch: int
    tables: dict[str, Contents]
    sequences: dict[str, int | None]
    roles: list[str]
    left_out: list[str]
    key_print: str | None
    dump_bytes: int = 0
    dump_sha256: str = ""
    form: int = field(default=FORM)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(each.rows for each in self.tables.values())


def key_print(secret: str) -> str:
    """Tells secret keys apart without giving anything of them away."""
    return hashlib.blake2b(secret.encode(), digest_size=8, person=b"gridmap-print").hexdigest()


class Draft:
    """A backup that is being written; see `draft`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.size, self._digest = 0, hashlib.sha256()

    def take(self, dump: IO[bytes]) -> None:
        """Takes the dump from a pipe to its end."""
        with self._archive.open(DUMP, "w", force_zip64=True) as member:
            while block := dump.read(_BLOCK):
                member.write(block)
                self._digest.update(block)
                self.size += len(block)

    @property
    def sha256(self) -> str:
        """Of the dump taken so far."""
        return self._digest.hexdigest()

    def finish(self, manifest: Manifest, secret: str | None) -> None:
        """Adds the key where there is one to add, and the manifest."""
        if secret is not None:
            self._archive.writestr(KEY, secret)
        self._archive.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1))


@contextlib.contextmanager
def draft(file: Path) -> Iterator[Draft]:
    """A file to be, readable for its owner alone; it has its name when the context ends well, else it is gone.

    Raises:
        Conflict: the name is taken.
        NotPossible: it cannot be written there, or the disk is full.
    """
    refuse_existing(file)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    except OSError as error:
        raise _unwritten(file, error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
                yield Draft(archive)
            raw.flush()
            os.fsync(raw.fileno())
        _name(part, file)
    except OSError as error:
        raise _unwritten(file, error) from error
    finally:
        part.unlink(missing_ok=True)


def refuse_existing(file: Path) -> None:
    """Refuses a name that is taken.

    Raises:
        Conflict: something of that name is there.
    """
    if file.exists() or file.is_symlink():
        raise Conflict(f"{file} is there already: choose another name, or remove it", code="file_exists")


def _name(part: Path, file: Path) -> None:
    try:
        os.link(part, file)  # unlike a rename it does not replace what came meanwhile
    except FileExistsError:
        refuse_existing(file)
        raise
    except OSError:  # a file system without hard links
        refuse_existing(file)
        part.rename(file)
    sync_folder(file.absolute().parent)


def _unwritten(file: Path, error: OSError) -> NotPossible:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        free = shutil.disk_usage(file.absolute().parent).free // 2**20
        return NotPossible(
            f"The disk of {file.absolute().parent} is full ({free} MB free); nothing was left there: free some"
            " space, or write the backup to another disk",
            code="disk_full",
        )
    return NotPossible(
        f"{file} cannot be written ({error.strerror or error}): choose a folder of yours", code="not_writable"
    )


class Archive:
    """A backup that was opened for reading, its manifest read; close it."""

    def __init__(self, file: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.file, self.manifest, self._archive = file, manifest, archive

    def check(self) -> None:
        """Reads all of it once.

        Raises:
            NotPossible: it is not what was written.
        """
        digest, size = hashlib.sha256(), 0
        try:
            with self.dump() as dump:
                while block := dump.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
            _ = self.secret
        except _BROKEN as error:
            raise _damaged(self.file) from error
        if (digest.hexdigest(), size) != (self.manifest.dump_sha256, self.manifest.dump_bytes):
            raise _damaged(self.file)

    def dump(self) -> IO[bytes]:
        """The database's dump from its beginning."""
        return self._archive.open(DUMP)

    @property
    def secret(self) -> str | None:
        """The secret key, where it is in the file.

        Raises:
            NotPossible: it is damaged.
        """
        try:
            return self._archive.read(KEY).decode() if KEY in self._archive.namelist() else None
        except _BROKEN as error:
            raise _damaged(self.file) from error

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """A backup to read.

    Raises:
        NotFound: there is no such file.
        NotPossible: it is no backup, cut short, damaged, or of a later version's form.
    """
    try:
        with file.open("rb") as raw:
            begins_well = raw.read(4) == b"PK\x03\x04"
        if not begins_well:
            raise NotPossible(f"{file} is no backup made by gridmap db backup", code="no_backup")
        archive = zipfile.ZipFile(file)
    except OSError as error:
        raise NotFound(f"{file} cannot be read ({error.strerror})", code="no_file") from error
    except _BROKEN as error:
        raise _damaged(file) from error
    with archive:
        if not {DUMP, MANIFEST} <= set(archive.namelist()):
            raise NotPossible(f"{file} is no backup made by gridmap db backup", code="no_backup")
        yield Archive(file, archive, _manifest(file, archive))


def _manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        content: dict[str, Any] = json.loads(archive.read(MANIFEST))
    except _BROKEN as error:
        raise _damaged(file) from error
    if not isinstance(content, dict):
        raise _damaged(file)
    if content.get("form") != FORM:
        raise NotPossible(
            f"{file} was made by gridmap {content.get('gridmap')} in a form that this version does not know:"
            " restore it with that version or a newer one",
            code="newer_backup",
        )
    try:
        content["tables"] = {name: Contents(**each) for name, each in content["tables"].items()}
        manifest = Manifest(**content)
    except (TypeError, KeyError, AttributeError) as error:
        raise _damaged(file) from error
    if not _sound(manifest):
        raise _damaged(file)
    return manifest


def _sound(manifest: Manifest) -> bool:
    """Whether everything is of its kind: what is not would be met halfway through a restore."""
    numbers = (manifest.postgres, manifest.database_bytes, manifest.epoch, manifest.dump_bytes)
    rows = (each.rows for each in manifest.tables.values())
    texts = (manifest.made_at, manifest.gridmap, manifest.revision, manifest.dump_sha256)
    sums = (each.sum for each in manifest.tables.values())
    lists = isinstance(manifest.roles, list) and isinstance(manifest.left_out, list)
    names = (*manifest.roles, *manifest.left_out) if lists else (None,)
    return (
        all(type(each) is int and 0 <= each < 2**63 for each in (*numbers, *rows))
        and all(isinstance(each, str) for each in (*texts, *sums, *names))
        and isinstance(manifest.sequences, dict)
        and all(each is None or type(each) is int for each in manifest.sequences.values())
        and isinstance(manifest.key_print, str | None)
    )


def _damaged(file: Path) -> NotPossible:
    return NotPossible(
        f"{file} is cut short or damaged: copy it again from where it was made, or take another backup",
        code="damaged_backup",
    )
