"""The schema: up from nothing and from every revision, down again, two at once; what it refuses; its models."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import gridmap.models_plans  # its tables belong to the same metadata
import gridmap.models_rules  # noqa: F401  # the same
from gridmap import db
from gridmap.column_types import XID8, Ltree
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.errors import NotPossible, Unavailable
from gridmap.models import Base
from gridmap.sight import EVERYTHING, FOR_ADMINISTRATORS
from tests.quick_folder import quick_folder

ROOT = Path(__file__).resolve().parents[2]
REVISIONS = [script.revision for script in ScriptDirectory.from_config(db.migrations()).walk_revisions()][
    ::-1
]
OF_EXTENSIONS = {"spatial_ref_sys", "geography_columns", "geometry_columns"}


@pytest.fixture(scope="module")
def bare(template, copied):
    """Name of a database with the extensions and nothing else."""
    with copied(template) as url:
        db.upgrade(url, "base")
        yield sa.make_url(url).database


@pytest.fixture
def bare_url(bare, copied):
    """A copy of it."""
    with copied(bare) as url:
        yield url


def _schema(url):
    """Tables, columns, indexes, constraints, triggers and functions of ours, in words."""
    with psycopg.connect(url) as connection:
        return connection.execute("""
            SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default
                FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT tablename, indexname, indexdef, '', '', '' FROM pg_indexes
                WHERE schemaname = 'public'
            UNION ALL SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid), '', '', ''
                FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace
            UNION ALL SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', '', ''
                FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT proname, prosrc, '', '', '', '' FROM pg_proc p WHERE prolang =
                (SELECT oid FROM pg_language WHERE lanname = 'plpgsql') AND NOT EXISTS (SELECT 1 FROM pg_depend
                WHERE objid = p.oid AND deptype = 'e')
            ORDER BY 1, 2, 3""").fetchall()


def _revision(url):
    engine = sa.create_engine(db.sqlalchemy_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_down_to_nothing_and_up_again_is_the_same(bare_url, cluster):
    whole = cluster.status().url
    left = {row[0] for row in _schema(bare_url)} - OF_EXTENSIONS - {"alembic_version"}
    assert left == set()
    assert _revision(bare_url) is None
    db.upgrade(bare_url)
    assert _revision(bare_url) == REVISIONS[-1]
    assert _schema(bare_url) == _schema(whole)
    db.upgrade(bare_url)  # a second time changes nothing
    assert _schema(bare_url) == _schema(whole)


@pytest.mark.parametrize("revision", REVISIONS)
def test_up_from_every_earlier_revision(bare_url, cluster, revision):
    db.upgrade(bare_url, revision)
    assert _revision(bare_url) == revision
    db.upgrade(bare_url)
    assert _schema(bare_url) == _schema(cluster.status().url)


@pytest.mark.parametrize("revision", REVISIONS[::-1])
def test_down_to_every_earlier_revision(bare_url, revision):
    db.upgrade(bare_url)
    db.upgrade(bare_url, revision)
    assert _revision(bare_url) == revision


def test_services_that_start_at_once_migrate_one_after_the_other(bare_url, cluster):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(db.upgrade, [bare_url] * 4))
    assert _schema(bare_url) == _schema(cluster.status().url)


def test_an_upgrade_waits_for_the_lock_and_gives_it_back(bare_url):
    with psycopg.connect(bare_url, autocommit=True) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(f"SELECT pg_advisory_lock({db.LOCK_SPACE}, {db.LOCK_MIGRATE})")
        running = pool.submit(db.upgrade, bare_url)
        with pytest.raises(TimeoutError):
            running.result(timeout=0.5)
        holder.execute(f"SELECT pg_advisory_unlock({db.LOCK_SPACE}, {db.LOCK_MIGRATE})")
        running.result(timeout=30)
        free = holder.execute(f"SELECT pg_try_advisory_lock({db.LOCK_SPACE}, {db.LOCK_MIGRATE})").fetchone()
        assert free == (True,)


def test_a_newer_database_is_left_alone(fresh_url):
    with psycopg.connect(fresh_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    before = _schema(fresh_url)
    with pytest.raises(NotPossible, match="from_the_future"):
        db.upgrade(fresh_url)
    assert _schema(fresh_url) == before
    with psycopg.connect(fresh_url, autocommit=True) as connection:  # nothing is left locked
        free = connection.execute(f"SELECT pg_try_advisory_lock({db.LOCK_SPACE}, {db.LOCK_MIGRATE})")
        assert free.fetchone() == (True,)


def test_a_server_that_refuses_the_extensions_says_the_remedy(cluster):
    """The service's role may not create PostGIS; in the private cluster its administrator has done so before."""
    with psycopg.connect(cluster.admin_url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS without_postgis")
        connection.execute("CREATE DATABASE without_postgis TEMPLATE template0 OWNER gridmap")
    url = cluster.status().url.replace("/gridmap?", "/without_postgis?")
    with pytest.raises(NotPossible, match="CREATE EXTENSION postgis"):
        db.upgrade(url)
    assert _schema(url) == []  # a migration happens whole or not at all


def test_a_server_that_makes_no_roles_says_what_its_administrator_runs():
    """As on a server of one's own: an owner that may make nothing, and an administrator who follows the page."""
    said = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    script = (ROOT / "docker/database/10-gridmap.sh").read_text(encoding="utf-8")
    assert FOR_ADMINISTRATORS in said
    assert FOR_ADMINISTRATORS in script
    with Cluster.temporary(durable=False, under=quick_folder(1 << 30)) as ours:
        url, admin = ours.status().url, ours.admin_url()
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("REVOKE ALL ON DATABASE gridmap FROM gridmap_all, gridmap_service")
            roles = ("service", "all", "intake", "areas", "counts", "leaves", "partly")
            connection.execute("DROP ROLE " + ", ".join(f"gridmap_{name}" for name in roles))
            with pytest.raises(NotPossible) as refused:
                db.upgrade(url)
            assert refused.value.code == "roles_missing"
            assert FOR_ADMINISTRATORS in refused.value.message
            assert connection.execute("SELECT to_regclass('area')").fetchone() == (None,)
            connection.execute(FOR_ADMINISTRATORS)
        db.upgrade(url)
        database = Database(url, restricted=True)  # becomes the service's role
        with database.reader() as session, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            session.execute(sa.text("SELECT * FROM event"))
        with database.reader(EVERYTHING) as session:
            assert session.execute(sa.text("SELECT count(*) FROM event")).scalar_one() == 0
        database.close()


def test_no_server_is_unavailable():
    with pytest.raises(Unavailable):
        db.upgrade("postgresql://nobody@127.0.0.1:1/none")


def _ours(_object, name, kind, _reflected, _compare_to):
    # Indexes stand in the migrations alone: partial, covering and GiST ones say more than the models need.
    return kind != "index" and not (kind == "table" and name in OF_EXTENSIONS | {"alembic_version"})


def _same_type(_context, _inspected, _metadata, inspected_type, model_type):
    if isinstance(model_type, Ltree | XID8):
        return None if isinstance(inspected_type, sa.types.NullType | Ltree | XID8) else True
    if isinstance(model_type, sa.ARRAY) and isinstance(model_type.item_type, Ltree):
        return not isinstance(inspected_type, sa.ARRAY)
    if type(model_type).__name__ == "Geometry":
        same = (inspected_type.geometry_type, inspected_type.srid) == (
            model_type.geometry_type,
            model_type.srid,
        )
        return not same
    return None


def test_models_agree_with_the_migrations(fresh_url):
    engine = sa.create_engine(db.sqlalchemy_url(fresh_url), poolclass=sa.NullPool)
    with engine.connect() as connection, warnings.catch_warnings():
        # SQLAlchemy has no types for ltree and xid8 to reflect them as; they are compared by hand below.
        warnings.filterwarnings("ignore", message="Did not recognize type '(ltree|xid8)'")
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": _same_type, "include_object": _ours, "compare_server_default": False},
        )
        assert compare_metadata(context, Base.metadata) == []


def test_models_name_types_and_defaults_as_the_database_does(fresh_url):
    with psycopg.connect(fresh_url) as connection:
        found = {
            (row[0], row[1]): row[2:]
            for row in connection.execute(
                "SELECT a.attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,"
                " atthasdef OR attidentity <> '' FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                " WHERE attnum > 0 AND NOT attisdropped AND c.relkind = 'r'"
                " AND c.relnamespace = 'public'::regnamespace"
            )
        }
    dialect = sa.dialects.postgresql.dialect()
    for table in Base.metadata.tables.values():
        for column in table.columns:
            kind, required, filled = found[table.name, column.name]
            said = column.type.compile(dialect).lower().replace("float", "double precision")
            assert said.split("(")[0] == kind.split("(")[0], column
            assert required == (not column.nullable), column
            assert filled == (column.server_default is not None or column.identity is not None), column


@pytest.fixture(scope="module")
def furnished(county_template, copied, county):
    """A database with two editions, an event, its history and an audit entry."""
    with copied(county_template) as url:
        yield from _furnished(url, county)


def _furnished(url, county):
    database = Database(url, pool_size=1)
    with database.writer() as session:
        for statement in (
            "INSERT INTO edition VALUES (2, now(), now(), 'test', '', 1)",
            f"UPDATE area SET edition_to = 2 WHERE code = '{county.micro(0, 0)}'",
            (
                "INSERT INTO event (source, external_id, category, occurred_at, method, edition, owner_then,"
                " owner_now, leaf_then, leaf_now, paths_then, paths_now, status) VALUES ('s', '1', 'other', now(),"
                " 'stated', 1, 'a', 'a', 'a', 'a', '{a}', '{a}', 'assigned')"
            ),
            (
                "INSERT INTO event_history (event, actor, action, status, edition)"
                " SELECT id, 't', 'report', 'assigned', 1 FROM event"
            ),
            "INSERT INTO audit (actor, action, object) VALUES ('t', 'user.add', 'x')",
            ("INSERT INTO audit_block VALUES (1, now(), '{[1,2)}', '{}', '', '', '', '1', 1, 0, '{}', '{}')"),
        ):
            session.execute(sa.text(statement))
    yield database
    database.close()


CLOSED, LIVING = "edition_to IS NOT NULL", "code = '99012600100100102' AND edition_to IS NULL"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event_history SET actor = 'x'",
        "DELETE FROM event_history",
        "TRUNCATE event_history",
        "UPDATE audit SET reason = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit_block SET hash = 'x'",
        "DELETE FROM audit_block",
        "TRUNCATE audit_block",
        "DELETE FROM edition",
        "TRUNCATE edition CASCADE",
        "DELETE FROM area",
        "TRUNCATE area",
        f"UPDATE area SET name = 'x' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, name = 'x' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, code = 'x' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, path = 'x' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, kind = 'town' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, setting = 'rural' WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, edition_from = 0 WHERE {LIVING}",
        f"UPDATE area SET geom = ST_Translate(geom, 1, 0) WHERE {LIVING}",
        f"UPDATE area SET edition_to = 2, geom = ST_Translate(geom, 1, 0) WHERE {LIVING}",
        f"UPDATE area SET edition_to = NULL WHERE {CLOSED}",
        f"UPDATE area SET name = 'x' WHERE {CLOSED}",
        "UPDATE event SET paths_then = '{b}'",
        "UPDATE event SET owner_then = NULL",
        "UPDATE event SET leaf_then = 'b'",
    ],
)
def test_what_is_written_once_cannot_be_changed(furnished, statement):
    with pytest.raises(sa.exc.IntegrityError), furnished.writer() as session:
        session.execute(sa.text(statement))


def test_what_may_change_does(furnished):
    """The same rows take what is meant to follow: an area ends, an event's present changes."""
    with furnished.writer() as session:
        session.execute(sa.text("UPDATE event SET paths_now = '{b}', owner_now = 'b', leaf_now = 'b'"))
        session.execute(sa.text("UPDATE event SET paths_then = paths_then"))
        session.execute(sa.text(f"UPDATE area SET edition_to = 2 WHERE {LIVING}"))
        session.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO area (kind, code, name, path, geom, edition_from) SELECT kind, code, name, path, geom, 2"
            " FROM area WHERE code = '990126'"
        ),
        "INSERT INTO edition SELECT 3, in_force_from, now(), 't', '', 0 FROM edition WHERE id = 2",
        "INSERT INTO area_code VALUES ('990126', 'county')",
        "INSERT INTO event_key SELECT 's', '1', 1, '' FROM generate_series(1, 2)",
    ],
)
def test_what_is_one_cannot_be_two(furnished, statement):
    with pytest.raises(sa.exc.IntegrityError), furnished.writer() as session:
        session.execute(sa.text(statement))
