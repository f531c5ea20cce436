"""`gridmap db backup` and `gridmap db restore`."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.operator import Tool
from gridmap.embedded import Cluster
from gridmap.errors import Conflict, GridmapError, NotPossible

if TYPE_CHECKING:
    from gridmap.backup_file import Archive, Manifest
    from gridmap.backup_programs import Server

_FILE = click.argument("file", type=click.Path(path_type=Path))


def _say(what: str) -> None:
    click.echo(f"  {what}", err=True)


@click.command()
@_FILE
@click.option(
    "--with-key", is_flag=True, help="把密钥一并存入 Put the secret key into FILE: who has it reads contacts."
)
@click.pass_obj
def backup(tool: Tool, file: Path, with_key: bool) -> None:
    """备份 Write the whole database into FILE while the service goes on.

    FILE appears when it is whole; one that is there is never replaced. Contacts in it are sealed with the secret key
    (secret.key in the home, or GRIDMAP_SECRET_KEY), which stays out of it: keep a copy of the key elsewhere, or put
    it in by --with-key and guard FILE as you guard the key.
    """
    from gridmap import backup as backups  # noqa: PLC0415  # other commands need none of it

    secret = _secret(tool)
    if with_key and secret is None:
        raise NotPossible(
            "There is no secret key to put into the backup: leave --with-key out", code="no_key"
        )
    server = _server(tool)
    _recorded(tool, server.url, file, with_key=with_key)
    manifest = backups.backup(
        server,
        file,
        version=version("gridmap-service"),
        secret=secret,
        with_key=with_key,
        progress=_say,
    )
    click.echo(f"{file}: {_described(manifest)}, {file.stat().st_size / 1e6:.1f} MB.")
    if with_key:
        click.echo(
            "密钥在内：请妥善保管此文件。 The secret key is in it: who has the file can read contacts."
        )
    elif secret is not None:
        click.echo("密钥不在内：请另存 secret.key。 The secret key is not in it: keep secret.key apart, or contacts"
                   " cannot be read after a restore.")  # fmt: skip


@click.command()
@_FILE
@click.pass_obj
def restore(tool: Tool, file: Path) -> None:
    """恢复 Make an empty home, or an empty database of GRIDMAP_DATABASE_URL, what FILE holds.

    Rows and checksums of every table are compared, and the schema is brought to this version. Where anything fails
    nothing is left that looks like an installation.
    """
    from api.tokens import SECRET_FILE, keep_secret  # noqa: PLC0415  # as above
    from gridmap import backup as backups  # noqa: PLC0415  # as above
    from gridmap.backup_file import opened  # noqa: PLC0415  # as above

    with opened(file) as archive:
        backups.require_known(archive.manifest)
        if not tool.settings.database_url:
            backups.refuse_occupied(tool.settings.home)
        _require_key(tool, archive)
        _say("checking the file")
        archive.check()
        if tool.settings.database_url:
            backups.restore_server(_own_server(tool.settings.database_url), archive, progress=_say)
        else:
            backups.restore_home(tool.settings.home, archive, progress=_say)
        if archive.secret is not None and _secret(tool) is None:
            keep_secret(tool.settings, archive.secret)
        wanted = archive.manifest.key_print
        click.echo(f"Restored and compared: {_described(archive.manifest)}.")
    if wanted and _secret(tool) is None:
        click.echo(
            f"密钥不在备份内。 The secret key was not in it: put the installation's {SECRET_FILE} into"
            f" {tool.settings.home} before the service starts, or contacts cannot be read.",
            err=True,
        )


def _recorded(tool: Tool, url: str, file: Path, *, with_key: bool) -> None:
    """Notes in the audit that a backup is about to be made, so that it holds its own record.

    A backup is never refused for want of a record: it may be wanted because the database takes nothing any more.
    """
    import sqlalchemy as sa  # noqa: PLC0415  # as above

    from gridmap.audit import OPERATOR, Entry, record  # noqa: PLC0415  # as above
    from gridmap.db import Database  # noqa: PLC0415  # as above

    detail = {"file": file.name, "with_key": with_key, "user": tool.user}
    database = Database(url, pool_size=1)
    try:
        with database.writer() as session:
            record(session, Entry(OPERATOR, "db.backup", "database", detail=detail))
    except (GridmapError, sa.exc.SQLAlchemyError) as error:  # away, read-only, full, of an older version
        _say(f"审计未能记录此次备份 the audit could not record this backup ({type(error).__name__})")
    finally:
        database.close()


def _described(manifest: "Manifest") -> str:
    events = manifest.tables.get("public.event")
    return (
        f"{manifest.rows} rows in {len(manifest.tables)} tables, {events.rows if events else 0} events,"
        f" as of {manifest.made_at}, revision {manifest.revision}"
    )


def _secret(tool: Tool) -> str | None:
    """The installation's secret key, if it has one yet."""
    if tool.settings.secret_key:
        return tool.settings.secret_key
    from api.tokens import SECRET_FILE  # noqa: PLC0415  # as above

    path = tool.settings.home / SECRET_FILE
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPossible(
            f"The secret key {path} cannot be read ({error.strerror})", code="no_key"
        ) from error


def _require_key(tool: Tool, archive: "Archive") -> None:
    """Refuses to restore beside a key that does not open the backup's contacts.

    Raises:
        Conflict: there is another key.
    """
    from api.tokens import SECRET_FILE  # noqa: PLC0415  # as above
    from gridmap.backup_file import key_print  # noqa: PLC0415  # as above

    secret, wanted = _secret(tool), archive.manifest.key_print
    if secret is not None and wanted is not None and key_print(secret) != wanted:
        where = "GRIDMAP_SECRET_KEY" if tool.settings.secret_key else str(tool.settings.home / SECRET_FILE)
        raise Conflict(
            f"{where} is not the key that the backup's contacts are sealed with: put that one there, or take this"
            " one away",
            code="other_key",
        )


def _server(tool: Tool) -> "Server":
    """The database as it is: a backup before an upgrade must not begin with it."""
    from gridmap.backup_programs import Server  # noqa: PLC0415  # as above

    if tool.settings.database_url:
        return _own_server(tool.settings.database_url)
    cluster = Cluster(tool.settings.home)
    if cluster.status().url is None:
        raise NotPossible(
            f"There is no database in {tool.settings.home}: set GRIDMAP_HOME to the installation's home",
            code="not_made",
        )
    cluster.start()
    return Server(cluster.admin_url(), cluster.program)


def _own_server(url: str) -> "Server":
    from gridmap.backup_programs import Server, any_program  # noqa: PLC0415  # as above
    from gridmap.db import sqlalchemy_url  # noqa: PLC0415  # as above

    sqlalchemy_url(url)  # says so where it is none
    return Server("postgresql://" + url.partition("://")[2], any_program)
