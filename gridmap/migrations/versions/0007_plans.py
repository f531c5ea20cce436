"""Plans: redraws in work, their edits, who did what with them, and what people say of them.

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import ALL, SERVICE

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLANS = f"""
CREATE TABLE plan (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    scope           text NOT NULL,                        -- code of the area whose inside is redrawn
    path            ltree NOT NULL,                       -- of that area when the plan was opened
    base            integer NOT NULL REFERENCES edition,
    state           text NOT NULL DEFAULT 'draft' CHECK (state IN
                        ('draft','submitted','approved','published','rejected','withdrawn')),
    revision        integer NOT NULL DEFAULT 1,           -- raised by every accepted call
    head            integer NOT NULL DEFAULT 0,           -- edits up to this number are in force
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    submitted_by    text,
    submitted_at    timestamptz,
    approved_by     text,
    approved_at     timestamptz,
    rejected_by     text,
    rejected_at     timestamptz,
    rejected_reason text,
    notice_until    timestamptz,                          -- published no earlier
    published_by    text,
    published_at    timestamptz,
    edition         integer UNIQUE REFERENCES edition,    -- that it became
    CHECK ((state = 'published') = (edition IS NOT NULL))
);
CREATE INDEX plan_unpublished ON plan (id) WHERE state <> 'published';

CREATE TABLE plan_edit (                                  -- in force up to the plan's head; beyond it to be redone
    plan            integer NOT NULL REFERENCES plan,
    number          integer NOT NULL,
    op              text NOT NULL,
    request         jsonb NOT NULL,                       -- as it was sent, without the revision
    told            jsonb NOT NULL,                       -- what was decided on the way
    actor           text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan, number)
);

CREATE TABLE plan_area (                                  -- areas as an edit leaves them
    plan            integer NOT NULL,
    edit            integer NOT NULL,
    code            text NOT NULL,
    retired         boolean NOT NULL,
    kind            text,
    name            text,
    setting         text,
    parent          text,
    geom            geometry(MultiPolygon, 4326),
    touched         boolean NOT NULL DEFAULT false,       -- only got vertices where a neighbour's border meets it
    cause           text CHECK (cause IN ('split','merge','create','retire')),
    PRIMARY KEY (plan, code, edit),
    FOREIGN KEY (plan, edit) REFERENCES plan_edit ON DELETE CASCADE,
    CHECK (retired OR (kind IS NOT NULL AND name IS NOT NULL AND geom IS NOT NULL))
);
CREATE INDEX plan_area_edit ON plan_area (plan, edit);
CREATE INDEX plan_area_born ON plan_area (plan, code) WHERE cause IS NOT NULL AND NOT retired;

CREATE TABLE plan_step (                                  -- one for each revision
    plan            integer NOT NULL REFERENCES plan,
    revision        integer NOT NULL,
    op              text NOT NULL,
    actor           text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    redraws         boolean NOT NULL,                     -- changed areas: who did it does not approve
    detail          jsonb NOT NULL DEFAULT '{{}}',
    PRIMARY KEY (plan, revision)
);

CREATE TABLE plan_comment (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan            integer NOT NULL REFERENCES plan,
    actor           text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    text            text NOT NULL
);
CREATE INDEX plan_comment_plan ON plan_comment (plan, id);

GRANT SELECT, INSERT, UPDATE ON plan TO {SERVICE}, {ALL};
GRANT SELECT, INSERT, UPDATE, DELETE ON plan_edit, plan_area TO {SERVICE}, {ALL};
GRANT SELECT, INSERT ON plan_step, plan_comment TO {SERVICE}, {ALL};

ALTER TABLE building ADD COLUMN keep_together text;       -- compound or group that one grid shall hold; null: none
"""


def upgrade() -> None:
    """No plan is open; nothing is kept together before a load says so."""
    op.execute(PLANS)


def downgrade() -> None:
    """What plans became stays published."""
    op.execute("ALTER TABLE building DROP COLUMN keep_together")
    op.execute("DROP TABLE plan_comment, plan_step, plan_area, plan_edit, plan")
