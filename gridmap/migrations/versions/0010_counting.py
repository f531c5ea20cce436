"""Indicators are counted along one index instead of three, and counting under a policy may be shared by processes.

Revision ID: 0010
Revises: 0009
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import LEAVES, PARTLY

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# As gridmap.stat_counts says it: what is due at another time than within so long of when it occurred is passed by
# where one walks along that, and found here.
FAR = "({0} < occurred_at OR {0} - occurred_at > interval '20 days')"
INDEXES = {
    # In the order in which lists show events; what is counted of each stands beside, numbers first, since what
    # follows a text is found more slowly.
    "event_newest": (
        "(occurred_at DESC, id DESC) INCLUDE"
        " (resolve_due_at, closed_at, accept_due_at, accepted_at, cell, category, leaf_now)"
    ),
    "event_leaf": "(leaf_now, occurred_at DESC, id DESC) INCLUDE (category)",
    "event_due_far": (
        "(resolve_due_at) INCLUDE (occurred_at, closed_at, leaf_now, category)"
        f" WHERE {FAR.format('resolve_due_at')}"
    ),
    "event_accept_due_far": (
        "(accept_due_at) INCLUDE (occurred_at, accepted_at, leaf_now, category)"
        f" WHERE {FAR.format('accept_due_at')}"
    ),
    "event_nobodys": "(occurred_at) INCLUDE (leaf_now, category) WHERE owner_now IS NULL",
}
BEFORE = {
    "event_newest": "(occurred_at DESC, id DESC)",
    "event_leaf": "(leaf_now, occurred_at DESC, id DESC)",
    "event_due": "(resolve_due_at) INCLUDE (closed_at, leaf_now, category)",
    "event_accept_due": "(accept_due_at) INCLUDE (accepted_at, leaf_now, category)",
}

# Of 0004 and 0009, but for a FROM: of a list that is selected from nothing PostgreSQL 15 does not see that several
# processes may make it, and counts with one. And what is asked for by naming what lies beyond is tried first: it is
# two codes at most, and null at once where thousands are named.
LISTED = "nullif(current_setting('gridmap.leaves', true), '')::text[]"
BEYOND = (
    "leaf_now IS NOT NULL"
    " AND leaf_now <> ALL ((SELECT nullif(current_setting('gridmap.beyond', true), '')::text[])::text[])"
)
LEAF = f"{BEYOND} OR leaf_now IN (SELECT code FROM unnest({LISTED}) AS code)"
LEAF_BEFORE = f"leaf_now IN (SELECT unnest({LISTED})) OR {BEYOND}"
ANYWHERE = "(SELECT current_setting('gridmap.scope', true) = '*')"
CLOSED = "(SELECT coalesce(nullif(current_setting('gridmap.closed', true), ''), '{}')::text[])::text[]"
OPEN = f"nullif(category = ANY ({CLOSED}), true) IS NOT NULL"


def upgrade() -> None:
    """Two indexes fewer for every event that comes in; the partial ones are nearly empty."""
    _replace(BEFORE, INDEXES)
    _policies(LEAF)


def downgrade() -> None:
    """Indexes and policies as of 0009."""
    _policies(LEAF_BEFORE)
    _replace(INDEXES, BEFORE)


def _replace(old: dict[str, str], new: dict[str, str]) -> None:
    for name in old:
        op.execute(f"DROP INDEX {name}")
    for name, columns in new.items():
        op.execute(f"CREATE INDEX {name} ON event {columns}")


def _policies(leaf: str) -> None:
    op.execute(f"ALTER POLICY leaves ON event TO {LEAVES} USING ({leaf})")
    op.execute(f"ALTER POLICY partly ON event TO {PARTLY} USING (({ANYWHERE} OR {leaf}) AND {OPEN})")
