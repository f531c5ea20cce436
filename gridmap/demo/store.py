"""Puts a city into an empty database by COPY, in the caller's one transaction."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql
from sqlalchemy.orm import Session

from gridmap.db import raw
from gridmap.demo.city import City
from gridmap.demo.columns import Block, Table, dictionaries, tables
from gridmap.errors import Conflict

Connection = psycopg.Connection[Any]
Progress = Callable[[str, int, int], None]

# Indexes and foreign keys of these are dropped before and made again after loading, which checks them as well:
# of a million events that saves about a minute and a half.
REBUILT = ("building", "event", "event_history", "shift")


def store(target: Session | Connection, city: City, progress: Progress | None = None) -> None:
    """Writes everything as edition 1, in force since ever; the caller commits.

    Args:
        target: a session, or a psycopg connection inside a transaction.
        city: what to store.
        progress: called with the table, rows written and rows in all, as it goes.

    Raises:
        Conflict: the database holds boundaries already (code `not_empty`).
    """
    connection = raw(target) if isinstance(target, Session) else target
    say = progress or (lambda _table, _done, _all: None)
    if connection.execute("SELECT EXISTS (SELECT FROM edition)").fetchone() != (False,):
        raise Conflict(
            "This database holds boundaries already; the demonstration city needs an empty one.",
            code="not_empty",
        )
    rebuild = _take_down(connection)
    _prepare_events(connection, city)
    written = []
    for table in tables(city):
        _load(connection, table, say)
        written.append(table.name)
    for done, statement in enumerate(rebuild):
        say("indexes", done, len(rebuild))
        connection.execute(statement)
    say("indexes", len(rebuild), len(rebuild))
    _count_on(connection, city)
    # Statistics of arrays of paths are dear: at half the usual size they take 1.5 s instead of 3.
    connection.execute("SET LOCAL default_statistics_target = 50")
    connection.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(map(sql.Identifier, written))))


def _take_down(connection: Connection) -> list[sql.SQL]:
    """Drops foreign keys and the indexes that keep nothing unique; returns what makes them again."""
    keys = connection.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY 1, 2",
        [list(REBUILT)],
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY(%s::regclass[]) AND NOT indisunique ORDER BY 1",
        [list(REBUILT)],
    ).fetchall()
    for table, name, _ in keys:
        connection.execute(sql.SQL(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    for name, _ in indexes:
        connection.execute(sql.SQL(f"DROP INDEX {name}"))
    connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    return [
        *(sql.SQL(definition) for _, definition in indexes),
        *(sql.SQL(f"ALTER TABLE {table} ADD CONSTRAINT {name} {key}") for table, name, key in keys),
    ]


def _prepare_events(connection: Connection, city: City) -> None:
    """Places to wait: events arrive with positions in place of paths and reasons, a third of the work."""
    connection.execute(
        "CREATE TEMPORARY TABLE demo_event ON COMMIT DROP AS"
        " SELECT *, 0 AS paths_at, 0 AS why_at FROM event WITH NO DATA"
    )
    connection.execute("CREATE TEMPORARY TABLE demo_paths (at integer, paths ltree[]) ON COMMIT DROP")
    connection.execute("CREATE TEMPORARY TABLE demo_why (at integer, why jsonb) ON COMMIT DROP")
    for name, columns in dictionaries(city):
        _copy(connection, f"demo_{name}", columns)
        # Statistics of arrays of paths are dear: at half the usual size they take 1.5 s instead of 3.
    connection.execute("SET LOCAL default_statistics_target = 50")
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(f"demo_{name}")))


def _load(connection: Connection, table: Table, say: Progress) -> None:
    done = 0
    say(table.name, 0, table.count)
    for block in _ahead(table.blocks):
        rows = len(next(iter(block.values())))
        if table.name == "event":
            _copy(connection, "demo_event", block)
            _move_events(connection, block)
        else:
            _copy(connection, table.name, block)
        done += rows
        say(table.name, min(done, table.count), table.count)


def _move_events(connection: Connection, block: Block) -> None:
    plain = [name for name in block if name not in {"paths_at", "why_at"}]
    columns = sql.SQL(", ").join(map(sql.Identifier, plain))
    connection.execute(
        sql.SQL(
            "INSERT INTO event ({columns}, paths_then, paths_now, why)"
            " SELECT {incoming}, p.paths, p.paths, w.why FROM demo_event AS e"
            " JOIN demo_paths AS p ON p.at = e.paths_at JOIN demo_why AS w ON w.at = e.why_at ORDER BY e.id"
        ).format(columns=columns, incoming=sql.SQL(", ").join(sql.Identifier("e", name) for name in plain))
    )
    connection.execute("TRUNCATE demo_event")


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Makes the next block while the server takes in this one."""
    with ThreadPoolExecutor(1) as worker:
        upcoming = worker.submit(next, blocks, None)
        while (block := upcoming.result()) is not None:
            upcoming = worker.submit(next, blocks, None)
            yield block


def _copy(connection: Connection, table: str, block: Block) -> None:
    text = io.BytesIO()
    pyarrow.csv.write_csv(
        pa.table(block), text, pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    )
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, block))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text.getbuffer())


def _count_on(connection: Connection, city: City) -> None:
    """What was numbered here is counted on from there."""
    for table, count in (("unit", len(city.people.unit_code)), ("worker", len(city.people.worker_code))):
        connection.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, max(1, count)])
    if len(city.events):
        connection.execute("SELECT setval('event_id', %s)", [len(city.events)])
