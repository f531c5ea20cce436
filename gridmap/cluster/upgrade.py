"""Taking a private cluster over to a newer PostgreSQL.

Tried from 15 (PostGIS 3.3) to 17 (3.5) with both installed, after a killed server; the tests take the
machine's own version over to itself, as a system release brings one version only.

The old data folder is only ever renamed. It is removed after the new one has started; until then going
back means renaming. A process killed on the way leaves the old folder in its place, or `settle_swap`
puts it back.
"""

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from gridmap.cluster.config import HBA
from gridmap.cluster.creation import initdb, set_admin_password, single_user
from gridmap.cluster.home import ADMIN, Place, data_version, socket_folder, sync_folder, write_privately
from gridmap.cluster.programs import PROGRAMS_VARIABLE, Programs, find_programs
from gridmap.cluster.trouble import require_space
from gridmap.errors import NotPossible


def programs_for(place: Place) -> Programs:
    """The programs to run this data folder with; newer than the folder where it can be taken over.

    Raises:
        NotPossible: the programs of the folder's version are not here.
    """
    version = int(data_version(place) or 0)
    try:
        newest = find_programs()
    except NotPossible as error:
        raise NotPossible(
            f"The database was made by PostgreSQL {version}. {error.message}", code=error.code
        ) from error
    if newest.major == version:
        return newest
    try:
        find_programs(version)
    except NotPossible as error:
        raise NotPossible(
            f"The database of {place.home} was made by PostgreSQL {version}, and this machine has"
            f" {newest.major}: apt-get install postgresql-{version}-postgis-3"
            + (f" (the next start then takes it over to {newest.major})." if newest.major > version else "."),
            code="wrong_version",
        ) from error
    return newest


def upgrade_cluster(place: Place, *, old: Programs, new: Programs, words: Mapping[str, str]) -> None:
    """Makes the data folder one of `new`. The server must not be running; call under the lock.

    Copies (the old folder stays whole), so it needs as much free space again.

    Raises:
        NotPossible: too little space, or pg_upgrade refused; the old folder is untouched then.
    """
    for left in place.server.glob("data.up-*"):
        shutil.rmtree(left, ignore_errors=True)
    require_space(place.server, _size(place.data))
    single_user(place, old, place.data)  # after a crash: recovers and shuts down in order
    fresh = place.server / f"data.up-{secrets.token_hex(4)}"
    initdb(place, new, fresh)
    set_admin_password(place, new, fresh, words[ADMIN])
    write_privately(place.base / "pg_hba.conf", HBA, 0o644)
    argv = [f"--old-bindir={old.folder}", f"--new-bindir={new.folder}", "--old-datadir=data"]
    argv += [f"--new-datadir={fresh.name}", f"--username={ADMIN}", f"--socketdir={socket_folder(place)}"]
    argv += ["--old-options=-c hba_file=../pg_hba.conf", "--new-options=-c hba_file=../pg_hba.conf"]
    done = place.account.run(
        [new.path("pg_upgrade"), *argv], folder=place.server, environment={"PGPASSWORD": words[ADMIN]}
    )
    if done.returncode != 0:
        report = place.base / "upgrade.log"
        write_privately(report, done.stdout + done.stderr + _logs_of(fresh))
        shutil.rmtree(fresh, ignore_errors=True)
        raise NotPossible(
            f"The database of PostgreSQL {old.major} could not be taken over to {new.major} and is unchanged: see"
            f" {report}; to go on with it as it is, set {PROGRAMS_VARIABLE}={old.folder}.",
            code="not_upgraded",
        )
    place.data.rename(place.server / f"data.old-{old.major}")
    fresh.rename(place.data)
    sync_folder(place.server)


def settle_swap(place: Place) -> None:
    """Puts the old data folder back where a takeover was killed between its two renames."""
    kept = _kept(place)
    if kept and not place.data.exists():
        kept[-1].rename(place.data)
        sync_folder(place.server)


def drop_old(place: Place) -> bool:
    """Removes the old data folder after the new one has started; says whether there was one."""
    kept = _kept(place)
    for folder in kept:
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("delete_old_cluster.sh", "update_extensions.sql"):  # done here, and by the start
        (place.server / name).unlink(missing_ok=True)
    return bool(kept)


def _kept(place: Place) -> list[Path]:
    found = [path for path in place.server.glob("data.old-*") if re.fullmatch(r"data\.old-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _logs_of(fresh: Path) -> str:
    """What pg_upgrade and the two servers wrote, the latest last."""
    found = sorted(fresh.glob("pg_upgrade_output.d/**/*.log"), key=lambda path: path.stat().st_mtime)
    return "".join(
        f"\n== {path.name}\n{path.read_text(encoding='utf-8', errors='replace')}" for path in found
    )


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
