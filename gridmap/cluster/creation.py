"""Making the data folder of a private cluster: whole or not at all."""

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from gridmap.cluster.home import ADMIN, DATABASE, ROLE, Place, sync_folder
from gridmap.cluster.programs import Programs
from gridmap.cluster.trouble import explain

EXTENSIONS = ("postgis", "ltree", "pg_trgm", "btree_gist")


def create(place: Place, programs: Programs, words: Mapping[str, str]) -> None:
    """Makes the data folder beside its place and renames it in, so that there is all of it or nothing."""
    for left in place.server.glob("data.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = place.server / f"data.new-{secrets.token_hex(4)}"
    initdb(place, programs, fresh)
    roles = (
        f"CREATE ROLE {ROLE} LOGIN",
        *set_passwords(words),
        f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
        f"REVOKE CONNECT, TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC",
        "REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC",
    )
    single_user(place, programs, fresh, "postgres", roles)
    single_user(place, programs, fresh, DATABASE, tuple(f"CREATE EXTENSION {name}" for name in EXTENSIONS))
    done = place.account.run(
        [programs.path("initdb"), "--sync-only", f"--pgdata={fresh.name}"], folder=place.server
    )
    if done.returncode != 0:
        raise explain(place, "could not be made", done.stdout + done.stderr)
    fresh.rename(place.data)
    sync_folder(place.server)


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


def set_passwords(words: Mapping[str, str]) -> tuple[str, ...]:
    """Statements that give each role of `words` its password."""
    # token_urlsafe holds no quotes; no value of anybody else comes here.
    return tuple(f"ALTER ROLE {role} PASSWORD '{word}'" for role, word in words.items())


def single_user(place: Place, programs: Programs, data: Path, database: str, steps: tuple[str, ...]) -> None:
    """Runs statements as superuser without a server: nobody else can connect, and it ends with its input."""
    argv = [programs.path("postgres"), "--single", "-j", "-D", data.name]
    # A folder that is being made is synchronised as a whole at its end.
    argv += ["-c", f"fsync={'on' if data == place.data else 'off'}"]
    argv += ["-c", "password_encryption=scram-sha-256"]
    feed = "".join(f"{step};\n\n" for step in steps)
    done = place.account.run([*argv, database], folder=place.server, feed=feed)
    # A failed statement does not end it, and PostGIS' script catches errors, so exit_on_error is no way.
    if done.returncode != 0 or re.search(r"\b(?:ERROR|FATAL|PANIC):", done.stderr):
        raise explain(place, "could not be made", done.stdout + done.stderr)
