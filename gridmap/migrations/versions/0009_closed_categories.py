"""Which categories are closed to which roles, and policies that know of it. See docs/adr/0018.

Revision ID: 0009
Revises: 0008
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import ALL, AREAS, COUNTS, INTAKE, LEAVES, MAKE_ROLES, PARTLY, SERVICE

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CATEGORIES = "'dispute','police_case','appeal','hazard','service','other'"
ROLES = "'admin','planner','approver','dispatcher','commander','worker','source'"
SHARED = (
    "alembic_version, edition, area, area_code, lineage, building, household_count, street, unit, worker,"
    " service_area, shift, subcategory, retention, edition_placed"
)
COUNTED = (
    "id, category, subcategory, urgency, occurred_at, reported_at, geom, owner_then, owner_now, leaf_then, leaf_now,"
    " paths_then, paths_now, cell, status, accept_due_at, resolve_due_at, accepted_at, resolved_at, closed_at"
)
TABLE = f"""
CREATE TABLE category_closed (
    category        text NOT NULL CHECK (category IN ({CATEGORIES})),
    role            text NOT NULL CHECK (role IN ({ROLES})),
    PRIMARY KEY (category, role)
);
GRANT SELECT ON category_closed TO {SERVICE}, {ALL}, {AREAS}, {COUNTS}, {LEAVES}, {PARTLY}, {INTAKE};
GRANT INSERT, DELETE ON category_closed TO {SERVICE};
GRANT SELECT ON {SHARED} TO {PARTLY};
GRANT SELECT ({COUNTED}) ON event TO {PARTLY};
GRANT SELECT (category) ON event TO {INTAKE};
"""

# What is counted by due times and by sub-category is answered from these alone, also where categories are left out.
INDEXES = {
    "event_due": "(resolve_due_at) INCLUDE (closed_at, leaf_now{})",
    "event_accept_due": "(accept_due_at) INCLUDE (accepted_at, leaf_now{})",
    "event_subcategory": "(subcategory, occurred_at) INCLUDE (leaf_now, cell{})",
}

# As of 0004.
BEYOND = "(SELECT nullif(current_setting('gridmap.beyond', true), '')::text[])::text[]"
ANYWHERE, HANDLES_ALL = (
    f"(SELECT current_setting('gridmap.{name}', true) = '*')" for name in ("scope", "handled")
)
IN_SCOPE, IN_HANDLED = (
    f"(paths_now <@ ANY ((SELECT sight_paths('gridmap.{name}'))::ltree[])) IS TRUE"
    for name in ("scope", "handled")
)
LEAF = (
    "leaf_now IN (SELECT unnest(nullif(current_setting('gridmap.leaves', true), '')::text[]))"
    f" OR leaf_now IS NOT NULL AND leaf_now <> ALL ({BEYOND})"
)
OWN = "source = (SELECT nullif(current_setting('gridmap.source', true), ''))"
IN_HAND = "worker = (SELECT nullif(current_setting('gridmap.worker', true), '')::integer)"
PLAIN = "subcategory IS NULL OR subcategory NOT IN (SELECT code FROM subcategory WHERE sensitive)"
OF_TEXT = "EXISTS (SELECT FROM event WHERE event.id = event_text.event AND ({}))"


def _not_in(setting: str) -> str:
    """That a category is not among a setting's.

    Said so because the planner takes what is not null for nearly everything, and so chooses as if nothing were asked;
    `<> ALL` of what it does not know yet it takes for a sixth.
    """
    listed = (
        f"(SELECT coalesce(nullif(current_setting('gridmap.{setting}', true), ''), '{{}}')::text[])::text[]"
    )
    return f"nullif(category = ANY ({listed}), true) IS NOT NULL"


def _open(setting: str, paths: str) -> str:
    """That a category is not closed, or not below these paths: which are read for such rows alone."""
    return f"({_not_in(setting)} OR (paths_now <@ ANY (sight_paths('gridmap.{paths}_' || category))) IS TRUE)"


OPEN, OPEN_HANDLED = _open("closed", "scope"), _open("closed_handled", "handled")
HANDLED_BEFORE = f"{HANDLES_ALL} OR {IN_HANDLED} OR {IN_HAND}"
HANDLED = f"({HANDLES_ALL} OR {IN_HANDLED}) AND {OPEN_HANDLED} OR {IN_HAND} AND {_not_in('closed_in_hand')}"
POLICIES = f"""
ALTER POLICY areas ON event USING (
    ({ANYWHERE} OR {IN_SCOPE} OR {OWN}) AND ({OWN} OR {OPEN}) AND ({HANDLED} OR {OWN} OR {PLAIN}));
ALTER POLICY counts ON event USING (({ANYWHERE} OR {IN_SCOPE}) AND {OPEN});
CREATE POLICY partly ON event FOR SELECT TO {PARTLY} USING (({ANYWHERE} OR {LEAF}) AND {_not_in("closed")});
ALTER POLICY areas ON event_text USING ({OF_TEXT.format(HANDLED)});
"""
BEFORE = f"""
ALTER POLICY areas ON event USING (
    ({ANYWHERE} OR {IN_SCOPE} OR {OWN}) AND ({HANDLED_BEFORE} OR {OWN} OR {PLAIN}));
ALTER POLICY counts ON event USING ({ANYWHERE} OR {IN_SCOPE});
DROP POLICY partly ON event;
ALTER POLICY areas ON event_text USING ({OF_TEXT.format(HANDLED_BEFORE)});
"""


def upgrade() -> None:
    """Nothing is closed before an administrator says so. The service has one role more."""
    op.execute(MAKE_ROLES)
    op.execute(TABLE)
    op.execute(POLICIES)
    _index(", category")


def downgrade() -> None:
    """What was closed is open again. The role stays: other databases of the server may use it."""
    _index("")
    op.execute(BEFORE)
    op.execute("DROP TABLE category_closed")
    op.execute(f"REVOKE SELECT (category) ON event FROM {INTAKE}")
    op.execute(f"REVOKE SELECT ({COUNTED}) ON event FROM {PARTLY}")
    op.execute(f"REVOKE SELECT ON {SHARED} FROM {PARTLY}")


def _index(more: str) -> None:
    for name, columns in INDEXES.items():
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON event {columns.format(more)}")
