"""How long what an event's text says of people is kept, by category.

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DAYS = 3 * 365
CATEGORIES = ("dispute", "police_case", "appeal", "hazard", "service", "other")


def upgrade() -> None:
    """Every category starts with three years after closing."""
    allowed = ", ".join(f"'{each}'" for each in CATEGORIES)
    op.execute(
        "CREATE TABLE retention ("
        f" category text PRIMARY KEY CHECK (category IN ({allowed})),"
        " days integer NOT NULL CHECK (days BETWEEN 1 AND 36500)"
        ")"
    )
    values = ", ".join(f"('{each}', {DAYS})" for each in CATEGORIES)
    op.execute(f"INSERT INTO retention (category, days) VALUES {values}")
    op.execute("CREATE INDEX event_closed ON event (category, closed_at, id) WHERE closed_at IS NOT NULL")


def downgrade() -> None:
    """What was erased stays erased."""
    op.execute("DROP INDEX event_closed")
    op.execute("DROP TABLE retention")
