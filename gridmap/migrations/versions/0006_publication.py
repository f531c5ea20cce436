"""Publication by the service: what its role may write of editions, and by which edition everything is placed.

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import ALL, AREAS, COUNTS, INTAKE, LEAVES, SERVICE

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLACED = f"""
CREATE TABLE edition_placed (                             -- events and buildings have been placed by these
    edition         integer PRIMARY KEY REFERENCES edition,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    events          integer NOT NULL,
    buildings       integer NOT NULL
);
INSERT INTO edition_placed (edition, at, events, buildings)
    SELECT id, published_at, 0, 0 FROM edition WHERE in_force_from <= now();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON edition_placed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE INDEX area_from ON area (edition_from);
CREATE INDEX area_to ON area (edition_to) WHERE edition_to IS NOT NULL;
GRANT SELECT ON edition_placed TO {SERVICE}, {ALL}, {AREAS}, {COUNTS}, {LEAVES}, {INTAKE};
"""
# Of what stands, an area's end and a code's alone; the triggers see to it that the first is written once.
RIGHTS = (
    "INSERT ON edition, edition_placed, area, area_code, lineage, service_area, household_count",
    "UPDATE (edition_to) ON area",
    "UPDATE (retired_in) ON area_code",
    "UPDATE (valid_to) ON service_area",
    "UPDATE (leaf, owner, paths) ON building",
    "UPDATE (households, buildings), DELETE ON household_count",
)


def upgrade() -> None:
    """Whatever stands is placed: every edition so far was by whoever loaded it."""
    op.execute(PLACED)
    for right in RIGHTS:
        op.execute(f"GRANT {right} TO {ALL}")


def downgrade() -> None:
    """An edition whose moment has not come would then not move anything."""
    for right in RIGHTS:
        op.execute(f"REVOKE {right.replace(', edition_placed', '')} FROM {ALL}")
    op.execute("DROP INDEX area_from; DROP INDEX area_to")
    op.execute("DROP TABLE edition_placed")
