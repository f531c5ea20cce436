"""The way to PostgreSQL: engines, sessions of two kinds, COPY, migrations under a lock.

A `Reader` runs READ ONLY transactions, a `Writer` commits at the end of its context or leaves no trace.
Core functions may flush, never commit; whoever opened the session owns the transaction.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy.orm import Session

from gridmap.errors import NotPossible, Unavailable
from gridmap.sight import FOR_ADMINISTRATORS, INTAKE, SERVICE, Sight

# Two-key advisory locks, so that they do not meet those of others on a shared server.
LOCK_SPACE = 0x6772
LOCK_MIGRATE = 1
LOCK_EDITION = 2
LOCK_PUBLISH = 5

Row = Sequence[object]


class Reader(Session):
    """A session whose transaction is READ ONLY."""


class Writer(Session):
    """A session that may write; its context commits at the end."""


@sa.event.listens_for(Session, "after_begin")
def _take_sight(session: Session, _: object, connection: sa.Connection) -> None:
    """Every transaction of a session has the session's sight, also one after a rollback."""
    sight: Sight | None = session.info.get("sight")
    if sight is not None:
        sight.take(connection)


def sqlalchemy_url(url: str) -> sa.URL:
    """A libpq-style URL as SQLAlchemy wants it, with the psycopg 3 driver.

    Raises:
        NotPossible: it is no URL of a PostgreSQL server.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise NotPossible(
            "GRIDMAP_DATABASE_URL cannot be read: postgresql://USER:PASSWORD@HOST:PORT/DATABASE is needed"
        ) from error
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise NotPossible(f"GRIDMAP_DATABASE_URL must begin with postgresql://, not {parsed.drivername}://")
    return parsed.set(drivername="postgresql+psycopg")


class Database:
    """A server, reached through one pool of connections.

    Args:
        url: `postgresql://…`; a unix socket folder goes into `?host=`.
        pool_size: connections kept; as many again may be opened for a moment.
        statement_timeout_s: longest statement of a request; 0 means no limit.
        restricted: work as the service's role, which sees of events what `gridmap.sight` lets it, instead of as the
            one that signs in. What sessions are given as their sight is ignored otherwise.
    """

    def __init__(
        self, url: str, *, pool_size: int = 12, statement_timeout_s: float = 0, restricted: bool = False
    ) -> None:
        # As libpq reads it: the listener connects without SQLAlchemy.
        self.url = "postgresql://" + url.partition("://")[2]
        self.restricted = restricted
        options = "-c timezone=UTC -c jit=off"
        if restricted:
            options += f" -c role={SERVICE}"
        if statement_timeout_s:
            options += f" -c statement_timeout={int(statement_timeout_s * 1000)}"
        self.engine = sa.create_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            pool_pre_ping=False,  # a round trip each; a broken one answers 503, the pool renews
            hide_parameters=True,  # an error is logged; what an event's text says is not
            connect_args={"options": options, "prepare_threshold": 3, "connect_timeout": 10},
        )
        self._read_engine = self.engine.execution_options(postgresql_readonly=True)

    @contextmanager
    def reader(self, sight: Sight | None = None) -> Iterator[Reader]:
        """A read-only session, rolled back at the end; without a sight it sees no events."""
        info = self._info(sight)
        with _storage_errors(), Reader(self._read_engine, autoflush=False, info=info) as session:
            yield session

    @contextmanager
    def writer(self, sight: Sight | None = None) -> Iterator[Writer]:
        """A session that commits at the end of its context; any exception leaves no trace. Sight as of `reader`."""
        info = self._info(sight)
        with (
            _storage_errors(),
            Writer(self.engine, autoflush=False, expire_on_commit=False, info=info) as session,
        ):
            yield session
            session.commit()

    def _info(self, sight: Sight | None) -> dict[Any, Any]:
        return {"sight": sight} if self.restricted else {}

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of its own beside the pool, without a transaction around statements."""
        role = f"-c role={SERVICE}" if self.restricted else ""
        return psycopg.connect(self.url, autocommit=True, options=role)

    @contextmanager
    def flight(self) -> Iterator[psycopg.Connection[Any]]:
        """A bare connection that takes events in, for a short transaction whose statements go out together.

        They are not waited for; fetching waits for all that was sent. What is not committed inside is rolled back.
        """
        with _storage_errors():
            pooled = self.engine.raw_connection()
            try:
                connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
                with connection.pipeline():
                    if self.restricted:
                        connection.execute(f"SET LOCAL ROLE {INTAKE}")
                    yield connection
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                lost = pooled.driver_connection is None or cast("Any", pooled.driver_connection).closed
                pooled.invalidate(error)
                if lost:  # the others went with the same server, and each would cost somebody an answer
                    self.engine.dispose()
                raise
            finally:
                pooled.close()

    @property
    def in_use(self) -> int:
        """Connections that are not idle in the pool."""
        return cast("sa.QueuePool", self.engine.pool).checkedout()

    def vacuum(self, *tables: str) -> None:
        """VACUUM (ANALYZE), outside a transaction: after a bulk load, so that index-only scans work."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.execute(sa.text(f"VACUUM (ANALYZE) {table}"))

    def close(self) -> None:
        """Closes the pool."""
        self.engine.dispose()


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Storage that is away, for whatever reason, is `Unavailable`: nothing is half done, try again."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Unavailable("The database is busy: no connection was free in time. Try again.") from error
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise _unavailable(error.orig) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # of what went past SQLAlchemy
        raise _unavailable(error) from error


def _unavailable(cause: BaseException | None) -> Unavailable:
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return Unavailable("The database took too long and was stopped. Try again.")
    # At a lost COMMIT nobody knows; what is posted again is stored once.
    return Unavailable("The database is away. Nothing is half done, and posting again is safe: try again.")


def raw(session: Session) -> psycopg.Connection[Any]:
    """The session's psycopg connection, inside the session's transaction."""
    return cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)


def _copy_statement(table: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )


def copy_rows(session: Session, table: str, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Streams rows into a table by COPY and returns their number; geometry as hex EWKB text."""
    count = 0
    with raw(session).cursor() as cursor, cursor.copy(_copy_statement(table, columns)) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def copy_text(session: Session, table: str, columns: Sequence[str], blocks: Iterable[bytes]) -> int:
    """Streams ready-made blocks of COPY's text format into a table; returns the number of rows."""
    with raw(session).cursor() as cursor:
        with cursor.copy(_copy_statement(table, columns)) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def lock_edition(session: Session, *, exclusive: bool) -> None:
    """Intake holds it shared until its commit, publication exclusively: no event meets half an edition."""
    function: LiteralString = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    session.execute(sa.text(f"SELECT {function}({LOCK_SPACE}, {LOCK_EDITION})"))


def plan_for_these_values(session: Session) -> None:
    """Has the rest of the transaction planned for its own values, each time.

    A statement that a connection has run a few times is otherwise planned once for any values: for ten codes
    instead of thousands, for a day instead of a year. Seen: 111 s in place of half a second.
    """
    session.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))


def migrations() -> Config:
    """Alembic's configuration for the migrations that travel inside the package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def revisions() -> list[str]:
    """The schema's revisions that this version knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions()]


def upgrade(url: str, revision: str = "head") -> None:
    """Brings a database to a revision, forwards or backwards, under a lock.

    Two services that start at once do it one after the other.

    Raises:
        NotPossible: the server lacks PostGIS, the role may not create it, or the database is newer than
            this version of gridmap.
        Unavailable: the server cannot be reached.
    """
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
    try:
        with _storage_errors(), engine.connect() as connection:
            connection.execute(sa.text(f"SELECT pg_advisory_lock({LOCK_SPACE}, {LOCK_MIGRATE})"))
            connection.commit()
            try:
                _migrate(connection, revision)
            finally:
                connection.rollback()
                connection.execute(sa.text(f"SELECT pg_advisory_unlock({LOCK_SPACE}, {LOCK_MIGRATE})"))
                connection.commit()
    finally:
        engine.dispose()


def _migrate(connection: sa.Connection, revision: str) -> None:
    config = migrations()
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise NotPossible(
            f"The database is at revision {current}, which this version of gridmap does not know:"
            " start the newer version, or restore a backup made by this one"
        )
    config.attributes["connection"] = connection
    order = [script.revision for script in scripts.walk_revisions()][::-1]
    target = order[-1] if revision == "head" else revision
    down = target == "base" or (current is not None and order.index(target) < order.index(current))
    try:
        (command.downgrade if down else command.upgrade)(config, target)
    except (sa.exc.NotSupportedError, sa.exc.ProgrammingError) as error:
        text = str(error.orig).splitlines()[0]
        if current is None and isinstance(error.orig, psycopg.errors.DuplicateTable):
            raise NotPossible(
                "The database holds tables of gridmap without a revision: a restore was broken off there. Drop and"
                " create the database, then restore again",
                code="broken_restore",
            ) from error
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege) and re.search("role|bypassrls", text):
            raise NotPossible(
                "The service works under roles of its own, which the database server did not let be made"
                f" ({text}). As its administrator run, in this database:\n{FOR_ADMINISTRATORS}",
                code="roles_missing",
            ) from error
        if "extension" in text:
            raise NotPossible(
                f"The database server refused an extension ({text}). Install PostGIS on it, and as its"
                " administrator run: CREATE EXTENSION postgis; CREATE EXTENSION ltree;"
                " CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist"
            ) from error
        raise
    connection.commit()
