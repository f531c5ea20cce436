"""What a database holds, in numbers that can be compared: rows, checksums, sequences.

A checksum is the sum over a table's rows of the first 64 bits of the MD5 of the row as text: the same in whatever
order rows lie, on every version of PostgreSQL. It finds accidents, not forgers (for these there is the audit chain).
"""

from collections.abc import Callable, Collection
from typing import Any

import psycopg
from psycopg import sql

from gridmap.backup_file import Contents

# How values read as text must not depend on the server's configuration.
OPTIONS = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex"
    " -c jit=off -c statement_timeout=0 -c search_path=public"
)
Progress = Callable[[str], None]
Connection = psycopg.Connection[tuple[Any, ...]]

_OURS = """
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
        AND d.deptype = 'e')
"""
_RELATIONS = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY(%s) AND {_OURS} ORDER BY 1, 2
"""
_ROLES = f"""
SELECT DISTINCT r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    LATERAL (SELECT (aclexplode(c.relacl)).grantee AS role UNION
        SELECT unnest(polroles) FROM pg_policy WHERE polrelid = c.oid) AS named
    JOIN pg_roles r ON r.oid = named.role
WHERE {_OURS} AND r.oid <> c.relowner ORDER BY 1
"""


def relations(connection: Connection, kinds: str = "r") -> list[tuple[str, str]]:
    """Schema and name of what is not PostgreSQL's or an extension's; kinds as in `pg_class.relkind`."""
    return [(str(a), str(b)) for a, b in connection.execute(_RELATIONS, [list(kinds)]).fetchall()]


def contents(
    connection: Connection, progress: Progress, left_out: Collection[str] = ()
) -> dict[str, Contents]:
    """Rows and checksum of each table, in the connection's transaction."""
    found = {}
    for schema, name in relations(connection):
        if f"{schema}.{name}" in left_out:
            continue
        progress(f"checksum of {name}")
        row = connection.execute(
            sql.SQL(
                "SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0)::text"
                " FROM {} AS t"
            ).format(sql.Identifier(schema, name))
        ).fetchone() or (0, "0")
        found[f"{schema}.{name}"] = Contents(int(row[0]), str(row[1]))
    return found


def sequences(connection: Connection) -> dict[str, int | None]:
    """The last number of each sequence."""
    return {
        f"{schema}.{name}": (
            connection.execute(
                "SELECT last_value FROM pg_sequences WHERE (schemaname, sequencename) = (%s, %s)",
                [schema, name],
            ).fetchone()
            or (None,)
        )[0]
        for schema, name in relations(connection, "S")
    }


def roles(connection: Connection) -> list[str]:
    """Who is given rights besides the owners."""
    return [str(row[0]) for row in connection.execute(_ROLES).fetchall()]
