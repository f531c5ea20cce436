"""Backup of an installation into one file while it serves, and its restoring: whole, compared, or not at all.

    backup(server, Path("county.backup"), version="0.1.0", secret=None, with_key=False, progress=print)
    restore_home(home, archive, progress=print)            # makes the private database of an empty home
    restore_server(server, archive, progress=print)        # fills an empty database of one's own

See docs/adr/0013-nothing-lost.md for the choices.
"""

import contextlib
import datetime as dt
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from gridmap import db
from gridmap.backup_file import KEY, Archive, Contents, Manifest, draft, key_print
from gridmap.backup_programs import Failed, Server, listed, running, write_list
from gridmap.backup_sums import OPTIONS, Connection, Progress, contents, relations, roles, sequences
from gridmap.cluster.creation import EXTENSIONS
from gridmap.cluster.home import lock, os_trouble, sync_folder
from gridmap.cluster.programs import find_programs
from gridmap.cluster.trouble import require_space
from gridmap.embedded import Cluster
from gridmap.errors import Conflict, NotPossible, Unavailable
from gridmap.sight import MAKE_ROLES, SERVICE

LEFT_OUT = ("public.change_log",)
"""What live readers follow: worth nothing later, and bound to the transaction numbers of its server."""

_REVISION = "public.alembic_version"
_STAGING = ".restoring-"
_NOT_IN_THE_WAY = {KEY, "cluster.lock", "lost+found"}


def backup(
    server: Server, file: Path, *, version: str, secret: str | None, with_key: bool, progress: Progress
) -> Manifest:
    """Writes the database as it is at one moment into a file; the service goes on.

    Args:
        server: whose database; its role reads everything.
        file: to be made; nothing may have that name.
        version: of this program.
        secret: the installation's secret key, of which the file remembers a print.
        with_key: put the key itself into the file too.
        progress: is told what is being done.

    Raises:
        Conflict: the name is taken.
        NotPossible: nothing to back up, no such program, a full disk.
        Unavailable: the server is away.
    """
    with draft(file) as written, _storage(), _connection(server.url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        manifest = replace(_described(connection, progress), gridmap=version)
        options = ["--format=custom", f"--snapshot={snapshot}", "--lock-wait-timeout=60s"]
        options += [f"--exclude-table-data={name}" for name in LEFT_OUT]
        try:
            with running(server, "pg_dump", options, progress) as dump:
                written.take(dump)
        except Failed as error:
            raise NotPossible(f"The backup was not made: {error}", code="not_backed_up") from error
        manifest = replace(
            manifest,
            dump_bytes=written.size,
            dump_sha256=written.sha256,
            key_print=key_print(secret) if secret else None,
        )
        written.finish(manifest, secret if with_key else None)
    return manifest


def require_known(manifest: Manifest) -> None:
    """Refuses what a later version made.

    Raises:
        NotPossible: the schema's revision is not among this version's.
    """
    if manifest.revision not in db.revisions():
        raise NotPossible(
            f"The backup was made by gridmap {manifest.gridmap} at revision {manifest.revision}, which this version"
            " does not know: restore it with that version or a newer one",
            code="newer_backup",
        )


def restore_home(home: Path, archive: Archive, *, progress: Progress) -> None:
    """Makes the private database of an empty home from a checked archive.

    All is made in a folder inside the home and moved to its place at the end; a secret key that lies in the home
    stays.

    Raises:
        Conflict: the home is not empty.
        NotPossible: too little space, or the content did not come back as it was; nothing is left then.
    """
    refuse_occupied(home)
    _require_version(archive.manifest, find_programs().major)
    new = not home.exists()
    with os_trouble(home), lock(home):
        _sweep(home)
        refuse_occupied(home)
        mode = 0o711 if os.geteuid() == 0 else 0o700
        staging = home / f"{_STAGING}{secrets.token_hex(4)}"
        staging.mkdir(mode=mode)
        # Under the home's name: a data folder that has to lie elsewhere is called after it.
        cluster = Cluster(staging / (home.name or "home"))
        try:
            _make(cluster, archive, progress)
            _move_in(cluster.home, home)
        except BaseException:
            cluster.remove()
            shutil.rmtree(staging, ignore_errors=True)
            if new:
                shutil.rmtree(home, ignore_errors=True)
            raise
        shutil.rmtree(staging, ignore_errors=True)


def restore_server(server: Server, archive: Archive, *, progress: Progress) -> None:
    """Fills an empty database of one's own server from a checked archive.

    Raises:
        Conflict: the database holds something.
        NotPossible: the role may not make what is needed, or the content did not come back as it was; the
            database is empty again then.
        Unavailable: the server is away.
    """
    with _storage(), _connection(server.url) as connection:
        if found := relations(connection, "rpvmSf"):
            raise Conflict(
                f"The database holds {len(found)} tables and sequences already ({found[0][1]}, …): a backup goes into"
                " an empty one",
                code="not_empty",
            )
        _require_version(archive.manifest, connection.info.server_version // 10_000)
        key = f"{db.LOCK_SPACE}, {db.LOCK_MIGRATE}"
        connection.execute(f"SELECT pg_advisory_lock({key})".encode())
        try:
            _extend(connection)
            _fill(server, connection, archive, progress)
        except BaseException:
            _empty(connection)
            raise
        finally:
            with contextlib.suppress(psycopg.Error):
                connection.execute(f"SELECT pg_advisory_unlock({key})".encode())
    progress("migrations")
    db.upgrade(server.url)


def refuse_occupied(home: Path) -> None:
    """Refuses a home that holds anything but a secret key.

    Raises:
        Conflict: there is something.
    """
    if not home.is_dir():
        if home.exists():
            raise Conflict(f"{home} is no folder", code="not_empty")
        return
    found = sorted(path.name for path in home.iterdir())
    if found := [name for name in found if name not in _NOT_IN_THE_WAY and not name.startswith(_STAGING)]:
        raise Conflict(
            f"{home} is not empty ({', '.join(found[:3])}{', …' if len(found) > 3 else ''}): a backup goes into an"
            " empty home; set GRIDMAP_HOME to another folder",
            code="not_empty",
        )


def _described(connection: Connection, progress: Progress) -> Manifest:
    if not _one(connection, "SELECT to_regclass('public.alembic_version')"):
        raise NotPossible(
            "The database holds no installation: there is nothing to back up", code="nothing_there"
        )
    return Manifest(
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        gridmap="",
        revision=str(_one(connection, "SELECT version_num FROM alembic_version")),
        postgres=connection.info.server_version,
        database_bytes=int(str(_one(connection, "SELECT pg_database_size(current_database())"))),
        epoch=int(str(_one(connection, "SELECT pg_snapshot_xmax(pg_current_snapshot())"))) >> 32,
        tables=contents(connection, progress, LEFT_OUT),
        sequences=sequences(connection),
        roles=roles(connection),
        left_out=list(LEFT_OUT),
        key_print=None,
    )


def _make(cluster: Cluster, archive: Archive, progress: Progress) -> None:
    """Makes, fills and compares the cluster, and leaves it at rest."""
    manifest = archive.manifest
    cluster.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)
    progress("a new private database")
    cluster.start()
    folder = cluster.status().data_dir
    assert folder is not None  # noqa: S101  # it was just made
    require_space(folder, manifest.database_bytes)
    _raise_epoch(cluster, manifest.epoch + 1)
    url = cluster.start()
    server = Server(cluster.admin_url(), cluster.program)
    with _storage(), _connection(server.url) as connection:
        _fill(server, connection, archive, progress)
    progress("migrations")
    db.upgrade(url)
    cluster.stop()


def _raise_epoch(cluster: Cluster, epoch: int) -> None:
    """Lets transaction numbers go on above those of the server that was backed up: rows remember them."""
    cluster.stop()
    done = cluster.run("pg_resetwal", f"--epoch={epoch}", "--pgdata=data")
    if done.returncode != 0:
        raise NotPossible(
            f"The new database could not be prepared: {done.stderr.strip()}", code="not_restored"
        )


def _move_in(made: Path, home: Path) -> None:
    """Moves what was made to its place: what makes it an installation comes last."""
    (made / "cluster.stopped").unlink(missing_ok=True)
    (made / "cluster.lock").unlink(missing_ok=True)
    last = "cluster.json"
    for path in sorted(made.iterdir(), key=lambda path: (path.name == last, path.name != "postgres")):
        path.rename(home / path.name)
    sync_folder(home)


def _sweep(home: Path) -> None:
    """Removes what a restore that was killed left in the home; nobody else restores, as the home is locked."""
    for staging in home.glob(f"{_STAGING}*"):
        for record in staging.glob("*/cluster.json"):
            Cluster(record.parent).remove()
        shutil.rmtree(staging, ignore_errors=True)


def _extend(connection: Connection) -> None:
    for name in EXTENSIONS:
        try:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported) as error:
            raise NotPossible(
                f"The database lacks the extension {name}, and this role may not make it: as the server's"
                f" administrator run CREATE EXTENSION {name}",
                code="postgis_missing",
            ) from error


def _fill(server: Server, connection: Connection, archive: Archive, progress: Progress) -> None:
    """Loads the dump in one transaction, compares, and only then says of which revision it is."""
    manifest = archive.manifest
    owner = str(
        _one(connection, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()")
    )
    _require_roles(connection, manifest, owner)
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-comments"]
    if owner != connection.info.user and _one(
        connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    ):
        options.append(f"--role={owner}")
    try:
        with tempfile.TemporaryDirectory(prefix="gridmap-restore-") as folder, archive.dump() as dump:
            with archive.dump() as first:
                lines = [line for line in listed(server.program("pg_restore"), first) if _wanted(line)]
            options.append(f"--use-list={write_list(lines, Path(folder))}")
            with running(server, "pg_restore", options, progress, feed=True) as pipe:
                shutil.copyfileobj(dump, pipe, 1 << 20)
    except Failed as error:
        full = "No space left on device" in str(error)
        raise NotPossible(
            f"The backup could not be restored: {error}"
            + (": free some space, then try again" if full else ""),
            code="disk_full" if full else "not_restored",
        ) from error
    _compare(connection, manifest, progress)
    connection.execute("INSERT INTO public.alembic_version VALUES (%s)", [manifest.revision])
    for schema, name in relations(connection):
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(schema, name)))


def _require_version(manifest: Manifest, here: int) -> None:
    made_by = manifest.postgres // 10_000
    if made_by > here:
        raise NotPossible(
            f"The backup comes from PostgreSQL {made_by}, and here is {here}: restore it on {made_by} or newer",
            code="wrong_version",
        )


def _wanted(line: str) -> bool:
    """Whether an entry of the dump is restored: extensions are there already, the revision comes last."""
    return not re.match(
        r"\d+; \d+ \d+ (EXTENSION|COMMENT - EXTENSION|TABLE DATA public (alembic_version|spatial_ref_sys)) ",
        line,
    )


def _require_roles(connection: Connection, manifest: Manifest, owner: str) -> None:
    if SERVICE in manifest.roles:
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # said below, each by its name
            connection.execute(MAKE_ROLES)
    known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    for role in sorted(set(manifest.roles) - known - {owner}):
        try:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotPossible(
                f"The backup gives rights to the role {role}, which this server lacks: as its administrator run"
                f" CREATE ROLE {role} NOLOGIN",
                code="role_missing",
            ) from error


def _compare(connection: Connection, manifest: Manifest, progress: Progress) -> None:
    """Compares what is there with what was backed up.

    Raises:
        NotPossible: it differs; the message names the first table.
    """
    there = contents(connection, progress, [*manifest.left_out, _REVISION])
    for name, wanted in manifest.tables.items():
        found = there.get(name, Contents(-1, ""))
        if name != _REVISION and found != wanted:
            what = (
                f"{found.rows} rows instead of {wanted.rows}"
                if found.rows != wanted.rows
                else "other content"
            )
            raise NotPossible(f"The restored database differs: {name} has {what}", code="not_restored")
    numbers = sequences(connection)
    for name, last in manifest.sequences.items():
        if last is not None and (numbers.get(name) or 0) < last:
            raise NotPossible(
                f"The restored database differs: {name} would give numbers again", code="not_restored"
            )


def _empty(connection: Connection) -> None:
    """Removes everything that a failed restore made in a database that was empty."""
    with contextlib.suppress(psycopg.Error):
        connection.execute(
            """
            DO $$ DECLARE each record; BEGIN
                FOR each IN SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LOOP
                    EXECUTE format('DROP TABLE IF EXISTS %I.%I CASCADE', each.nspname, each.relname);
                END LOOP;
                FOR each IN SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND NOT EXISTS
                    (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LOOP
                    EXECUTE format('DROP SEQUENCE IF EXISTS %I.%I CASCADE', each.nspname, each.relname);
                END LOOP;
                FOR each IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n
                    ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') LOOP
                    EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', each.name);
                END LOOP;
            END $$
            """
        )


def _connection(url: str) -> Connection:
    return psycopg.connect("postgresql://" + url.partition("://")[2], autocommit=True, options=OPTIONS)


def _one(connection: Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


@contextlib.contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        first = str(error).partition("\n")[0]
        raise Unavailable(f"The database is away ({first}). Try again.") from error
