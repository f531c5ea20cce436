"""Pictures and papers of an event: apart, sealed, erasable; in sight for who handles the event, as its text.

Revision ID: 0008
Revises: 0007
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import ALL, AREAS

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Whoever may not read a text has no row of event_text in sight: its policy (0004) says who handles an event.
ATTACHMENT = f"""
CREATE TABLE event_attachment (
    event           bigint NOT NULL,
    number          integer NOT NULL CHECK (number > 0),      -- within the event, from 1; never used again
    name            text,                                     -- may speak of people
    type            text NOT NULL,                            -- media type, by content
    size_bytes      integer NOT NULL CHECK (size_bytes > 0),
    sha256          bytea NOT NULL,                           -- of the content
    sent_sha256     bytea NOT NULL,                           -- of what was sent, with its metadata
    content         bytea,                                    -- encrypted
    added_by        text NOT NULL,
    added_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at       timestamptz,
    PRIMARY KEY (event, number),
    UNIQUE (event, sent_sha256),
    CHECK ((erased_at IS NULL) = (content IS NOT NULL AND name IS NOT NULL)),
    CHECK (erased_at IS NULL OR content IS NULL AND name IS NULL)
);
ALTER TABLE event_attachment ALTER content SET STORAGE EXTERNAL;  -- nothing is gained by compressing what is encrypted
CREATE INDEX event_attachment_kept ON event_attachment (event) WHERE erased_at IS NULL;

GRANT SELECT, INSERT, UPDATE (name, content, erased_at) ON event_attachment TO {ALL};
GRANT SELECT ON event_attachment TO {AREAS};
ALTER TABLE event_attachment ENABLE ROW LEVEL SECURITY;
CREATE POLICY areas ON event_attachment FOR SELECT TO {AREAS} USING (
    EXISTS (SELECT FROM event_text WHERE event_text.event = event_attachment.event));
"""


def upgrade() -> None:
    """Events have none before somebody sends one."""
    op.execute(ATTACHMENT)


def downgrade() -> None:
    """What was attached goes; history keeps its digests."""
    op.execute("DROP TABLE event_attachment")
