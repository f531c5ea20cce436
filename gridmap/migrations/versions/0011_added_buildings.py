"""Buildings say with which edition they were added, so that a planner sees what was built since.

Revision ID: 0011
Revises: 0010
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """What is stored came with the first load: nobody said otherwise."""
    # The edition in force when it was added to land that had buildings; null: it came with the first load.
    op.execute("ALTER TABLE building ADD COLUMN added_in integer REFERENCES edition")


def downgrade() -> None:
    """What is new is not told any more."""
    op.execute("ALTER TABLE building DROP COLUMN added_in")
