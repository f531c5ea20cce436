"""Making the data folder of a private cluster: whole or not at all."""

import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from gridmap.cluster.home import ADMIN, DATABASE, ROLE, Place, sync_folder
from gridmap.cluster.programs import Programs
from gridmap.cluster.trouble import explain
from gridmap.sight import ALL, MAKE_ROLES, PARTLY, SERVICE

EXTENSIONS = ("postgis", "ltree", "pg_trgm", "btree_gist")


def create(place: Place, programs: Programs, words: Mapping[str, str], *, durable: bool) -> None:
    """Makes the data folder beside its place and renames it in, so that there is all of it or nothing.

    Without `durable` it is not brought to disk before.
    """
    for left in place.server.glob("data.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = place.server / f"data.new-{secrets.token_hex(4)}"
    initdb(place, programs, fresh)
    set_admin_password(place, programs, fresh, words[ADMIN])
    if durable:
        argv = [programs.path("initdb"), "--sync-only", f"--pgdata={fresh.name}"]
        done = place.account.run(argv, folder=place.server)
        if done.returncode != 0:
            raise explain(place, "could not be made", done.stdout + done.stderr)
    fresh.rename(place.data)
    sync_folder(place.server)


def furnish(url_of: Callable[[str, str], str], words: Mapping[str, str]) -> None:
    """Brings the running cluster's roles, database and extensions to what this release needs.

    Each step stands alone and is left out where it was done, so a start that was killed is completed by
    the next one. Nothing of this is done without a server: what a single-user server creates counts as
    PostgreSQL's own (its object ids are below 16384), and pg_dump and pg_upgrade leave it out.

    Args:
        url_of: URL for a role and a database.
        words: passwords of the owner and of the service.
    """
    with psycopg.connect(url_of(ADMIN, "postgres"), autocommit=True) as connection:
        known = connection.execute(
            "SELECT to_regrole(%s) IS NOT NULL, to_regrole(%s) IS NOT NULL AND to_regrole(%s) IS NOT NULL,"
            " count(*) = 2,"
            " bool_or(has_database_privilege('public', oid, 'CONNECT'))"
            " FROM pg_database WHERE datname IN (%s, 'postgres')",
            [ROLE, SERVICE, PARTLY, DATABASE],  # the roles of the service, and the one that came last
        ).fetchone()
        has_owner, has_service, has_database, is_open = known or (False, False, False, True)
        if not has_owner or (has_database and not may_sign_in(url_of(ROLE, DATABASE))):
            _let_sign_in(connection, ROLE, words[ROLE], known=has_owner)
        if not has_database:
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        if is_open or not has_database:
            connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {DATABASE}, postgres FROM PUBLIC")
        if not has_service or not has_database or not may_sign_in(url_of(SERVICE, DATABASE)):
            connection.execute(MAKE_ROLES)
            connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {SERVICE}")
            connection.execute(f"GRANT TEMPORARY ON DATABASE {DATABASE} TO {ALL}")
            connection.execute(f"GRANT {SERVICE} TO {ROLE}")
            _let_sign_in(connection, SERVICE, words[SERVICE], known=True)
    refresh_extensions(url_of(ADMIN, DATABASE))


def _let_sign_in(connection: psycopg.Connection[Any], role: str, word: str, *, known: bool) -> None:
    # Hashed here: a statement may be logged, and must not hold the password then.
    hashed = connection.pgconn.encrypt_password(word.encode(), role.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL(("ALTER" if known else "CREATE") + " ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(hashed.decode())
        )
    )


def may_sign_in(url: str) -> bool:
    """Whether the server takes the URL's password and lets its role in.

    Raises:
        psycopg.OperationalError: any other reason for not connecting.
    """
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        if any(each in str(error) for each in ("password authentication failed", "permission denied")):
            return False
        raise
    return True


# Operators that say nothing of their arguments but their answer: declared so, they may walk along an index below a
# policy, else a box of a town is looked for in all events. Only a superuser may declare it.
_LEAKPROOF = """
SELECT p.oid::regprocedure::text FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE NOT p.proleakproof AND (o.oprname, o.oprleft::regtype::text, o.oprright::regtype::text) IN
    (('&&', 'geometry', 'geometry'), ('<@', 'ltree', 'ltree'), ('<@', 'ltree[]', 'ltree'))
"""


def refresh_extensions(admin_url: str) -> None:
    """Adds extensions that this release needs and follows a newer library (PostGIS 3.3 to 3.5, say)."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        wanted = connection.execute(
            "SELECT a.name, e.extversion IS NULL FROM pg_available_extensions a"
            " LEFT JOIN pg_extension e ON e.extname = a.name WHERE a.name = ANY(%s)"
            " AND e.extversion IS DISTINCT FROM a.default_version",
            [list(EXTENSIONS)],
        ).fetchall()
        for name, is_missing in wanted:
            step = "CREATE EXTENSION {}" if is_missing else "ALTER EXTENSION {} UPDATE"
            connection.execute(sql.SQL(step).format(sql.Identifier(name)))
        for (function,) in connection.execute(_LEAKPROOF).fetchall():
            connection.execute(f"ALTER FUNCTION {function} LEAKPROOF")


def initdb(place: Place, programs: Programs, data: Path) -> None:
    """Makes an empty data folder, not yet synchronised to disk.

    Text sorts by code point (the same everywhere, whatever the system's C library becomes); the kinds of
    characters are Unicode's. Nobody can sign in by the configuration that lies in the data folder itself.
    """
    argv = ["--username=" + ADMIN, "--auth=reject", "--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8"]
    argv += ["--lc-messages=C", "--lc-monetary=C", "--lc-numeric=C", "--lc-time=C", "--data-checksums"]
    argv += ["--no-sync", "--no-instructions", f"--pgdata={data.name}"]
    done = place.account.run([programs.path("initdb"), *argv], folder=place.server)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise explain(place, "could not be made", done.stdout + done.stderr)


def set_admin_password(place: Place, programs: Programs, data: Path, word: str) -> None:
    """Gives the superuser its password while nobody can connect."""
    # token_urlsafe holds no quotes; no value of anybody else comes here.
    single_user(place, programs, data, f"ALTER ROLE {ADMIN} PASSWORD '{word}'")


def single_user(place: Place, programs: Programs, data: Path, step: str = "") -> None:
    """Runs a statement as superuser without a server; without a statement it only recovers.

    It must not create anything, see `furnish`.
    """
    argv = [programs.path("postgres"), "--single", "-j", "-D", data.name]
    # A folder that is being made is synchronised as a whole at its end.
    argv += ["-c", f"fsync={'on' if data == place.data else 'off'}"]
    argv += ["-c", "password_encryption=scram-sha-256"]
    feed = f"{step};\n\n" if step else ""
    done = place.account.run([*argv, "postgres"], folder=place.server, feed=feed)
    if done.returncode != 0 or re.search(r"\b(?:ERROR|FATAL|PANIC):", done.stderr):
        raise explain(place, "could not be made", done.stdout + done.stderr)
