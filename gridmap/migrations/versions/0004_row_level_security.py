"""Roles of the service that own nothing, what each may do, and which rows each sees. See gridmap/sight.py.

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import ALL, AREAS, COUNTS, INTAKE, LEAVES, MAKE_ROLES, SERVICE

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

EVERYBODY = f"{SERVICE}, {ALL}, {AREAS}, {COUNTS}, {LEAVES}, {INTAKE}"
SHARED = (
    "alembic_version, edition, area, area_code, lineage, building, household_count, street, unit, worker,"
    " service_area, shift, subcategory, retention"
)
# What is counted, and what is read to be counted: no number of a source, no reasons.
COUNTED = (
    "id, category, subcategory, urgency, occurred_at, reported_at, geom, owner_then, owner_now, leaf_then, leaf_now,"
    " paths_then, paths_now, cell, status, accept_due_at, resolve_due_at, accepted_at, resolved_at, closed_at"
)
RIGHTS = f"""
GRANT SELECT ON {SHARED} TO {EVERYBODY};
GRANT SELECT, INSERT, UPDATE, DELETE ON account, account_role, token, sign_in_failure TO {SERVICE};
GRANT SELECT ON account, account_role TO {ALL}, {AREAS};
GRANT SELECT (source) ON event_key TO {SERVICE};
GRANT UPDATE ON retention TO {SERVICE};
GRANT SELECT ON change_log TO {SERVICE}, {ALL};
GRANT INSERT ON change_log TO {SERVICE}, {ALL}, {INTAKE};
GRANT INSERT ON audit TO {SERVICE}, {ALL}, {AREAS};
GRANT USAGE ON SEQUENCE event_id TO {INTAKE};

GRANT SELECT, INSERT, UPDATE ON event, event_text TO {ALL};
GRANT SELECT, INSERT ON event_key, event_history, audit_block TO {ALL};
GRANT SELECT ON audit TO {ALL};

GRANT SELECT ON event, event_text, event_key, event_history, audit, audit_block TO {AREAS};
GRANT SELECT ({COUNTED}) ON event TO {COUNTS}, {LEAVES};

GRANT SELECT, INSERT ON event_key TO {INTAKE};
GRANT INSERT ON event, event_text, event_history TO {INTAKE};
GRANT SELECT (id, worker, unit, status) ON event TO {INTAKE};
"""

# Each setting is read once a statement: a scalar subquery is not run again for every row.
BEYOND = "(SELECT nullif(current_setting('gridmap.beyond', true), '')::text[])::text[]"
ANYWHERE, HANDLES_ALL = (
    f"(SELECT current_setting('gridmap.{name}', true) = '*')" for name in ("scope", "handled")
)
# IS TRUE keeps the index on paths out of it: the statement's own condition says what to walk along.
IN_SCOPE, IN_HANDLED = (
    f"({{0}} <@ ANY ((SELECT sight_paths('gridmap.{name}'))::ltree[])) IS TRUE"
    for name in ("scope", "handled")
)
OWN = "source = (SELECT nullif(current_setting('gridmap.source', true), ''))"
IN_HAND = "worker = (SELECT nullif(current_setting('gridmap.worker', true), '')::integer)"
PLAIN = "subcategory IS NULL OR subcategory NOT IN (SELECT code FROM subcategory WHERE sensitive)"
HANDLED = f"{HANDLES_ALL} OR {IN_HANDLED.format('paths_now')} OR {IN_HAND}"
POLICIES = f"""
CREATE FUNCTION sight_paths(setting text) RETURNS ltree[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN coalesce(current_setting(setting, true), '') IN ('', '*') THEN '{{}}'::ltree[]
        ELSE current_setting(setting, true)::ltree[] END
$$;

CREATE POLICY areas ON event FOR SELECT TO {AREAS} USING (
    ({ANYWHERE} OR {IN_SCOPE.format("paths_now")} OR {OWN}) AND ({HANDLED} OR {OWN} OR {PLAIN}));
CREATE POLICY counts ON event FOR SELECT TO {COUNTS} USING ({ANYWHERE} OR {IN_SCOPE.format("paths_now")});
CREATE POLICY leaves ON event FOR SELECT TO {LEAVES} USING (
    leaf_now IN (SELECT unnest(nullif(current_setting('gridmap.leaves', true), '')::text[]))
    OR leaf_now IS NOT NULL AND leaf_now <> ALL ({BEYOND}));
CREATE POLICY areas ON event_text FOR SELECT TO {AREAS} USING (
    EXISTS (SELECT FROM event WHERE event.id = event_text.event AND ({HANDLED})));
CREATE POLICY areas ON event_key FOR SELECT TO {AREAS} USING (
    EXISTS (SELECT FROM event WHERE event.id = event_key.event));
CREATE POLICY areas ON event_history FOR SELECT TO {AREAS} USING (
    EXISTS (SELECT FROM event WHERE event.id = event_history.event));
CREATE POLICY areas ON audit FOR SELECT TO {AREAS} USING ({ANYWHERE} OR {IN_SCOPE.format("paths")});
CREATE POLICY sources ON event_key FOR SELECT TO {SERVICE} USING (true);  -- the column source alone, see rights
CREATE POLICY notes ON audit FOR INSERT TO {SERVICE}, {AREAS} WITH CHECK (true);
"""
GUARDED = ("event", "event_text", "event_key", "event_history", "audit")


def upgrade() -> None:
    """The owner goes on passing by all policies: migrations, commands and backups are its."""
    op.execute(MAKE_ROLES)
    op.execute(RIGHTS)
    op.execute(POLICIES)
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    """The roles stay: other databases of the server may use them."""
    for table in GUARDED:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY areas ON {table}")
    op.execute("DROP POLICY counts ON event; DROP POLICY leaves ON event")
    op.execute("DROP POLICY sources ON event_key; DROP POLICY notes ON audit")
    op.execute("DROP FUNCTION sight_paths(text)")
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {EVERYBODY}")
    op.execute(f"REVOKE ALL ON SEQUENCE event_id FROM {EVERYBODY}")
    op.execute(f"REVOKE SELECT (source) ON event_key FROM {SERVICE}")
    op.execute(f"REVOKE SELECT ({COUNTED}) ON event FROM {COUNTS}, {LEAVES}")
    op.execute(f"REVOKE SELECT (id, worker, unit, status) ON event FROM {INTAKE}")
