"""Tokens that can be revoked one by one, failed sign-ins that all processes know of, an audit sealed in blocks.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ACCOUNTS = """
ALTER TABLE account ADD COLUMN signed_in_at timestamptz;

CREATE TABLE token (                                      -- what was issued, so that each can be revoked by itself
    id              text PRIMARY KEY,
    account         integer NOT NULL REFERENCES account ON DELETE CASCADE,
    kind            text NOT NULL CHECK (kind IN ('bearer','session','machine')),
    label           text NOT NULL DEFAULT '',
    issued_at       timestamptz NOT NULL DEFAULT now(),
    issued_by       text NOT NULL,
    expires_at      timestamptz,                          -- null: until revoked
    revoked_at      timestamptz,
    CHECK (kind = 'machine' OR expires_at IS NOT NULL)
);
CREATE INDEX token_account ON token (account, expires_at);

CREATE TABLE sign_in_failure (                            -- by name and by address: survives restarts, holds for all
    key             bytea PRIMARY KEY,                    -- a digest: a password typed as a name is not kept
    failures        integer NOT NULL,
    last_at         timestamptz NOT NULL
);
CREATE INDEX sign_in_failure_last ON sign_in_failure (last_at);
"""

AUDIT = """
ALTER TABLE audit
    ALTER COLUMN at SET DEFAULT clock_timestamp(),
    ADD COLUMN paths ltree[] NOT NULL DEFAULT '{}',       -- whose administrators may read it; none: those of all
    ADD COLUMN detail jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN events bigint[],                           -- whose text was read
    DROP COLUMN previous_hash,
    DROP COLUMN hash;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_object ON audit (object, id);
CREATE INDEX audit_paths ON audit USING gist (paths);
CREATE INDEX audit_events ON audit USING gin (events);
DROP TRIGGER append_only ON audit;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE audit_block (                                -- seals rows of audit and event_history, block by block
    number          bigint PRIMARY KEY CHECK (number > 0),
    sealed_at       timestamptz NOT NULL,
    audit_rows      int8multirange NOT NULL,              -- numbers of the rows sealed here
    history_rows    int8multirange NOT NULL,
    marks           bytea NOT NULL,                       -- 8 bytes of each row's digest: to name the one that differs
    previous_hash   bytea NOT NULL,
    hash            bytea NOT NULL UNIQUE,
    next_xid        xid8 NOT NULL,                        -- first transaction number not given out when it was sealed
    audit_to        bigint NOT NULL,                      -- largest number sealed so far
    history_to      bigint NOT NULL,
    audit_open      int8multirange NOT NULL,              -- smaller numbers that may still be committed
    history_open    int8multirange NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_block
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    """Rows of the audit that are there stay, and are sealed with the rest."""
    op.execute(ACCOUNTS)
    op.execute(AUDIT)


def downgrade() -> None:
    """The seals go; what they sealed stays."""
    op.execute("DROP TABLE audit_block")
    op.execute(
        "DROP TRIGGER append_only ON audit; CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    for name in ("at", "actor", "action", "object", "paths", "events"):
        op.execute(f"DROP INDEX audit_{name}")
    op.execute(
        "ALTER TABLE audit ALTER COLUMN at SET DEFAULT now(), DROP COLUMN paths, DROP COLUMN detail,"
        " DROP COLUMN events, ADD COLUMN previous_hash bytea, ADD COLUMN hash bytea"
    )
    op.execute("DROP TABLE sign_in_failure, token")
    op.execute("ALTER TABLE account DROP COLUMN signed_in_at")
