"""Whom an external provider's word binds: identities by issuer and subject.

Revision ID: 0005
Revises: 0004
"""

from collections.abc import Sequence

from alembic import op

from gridmap.sight import SERVICE

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

IDENTITY = f"""
CREATE TABLE account_identity (
    account         integer NOT NULL REFERENCES account ON DELETE CASCADE,
    issuer          text NOT NULL,
    subject         text,                                 -- null: awaited
    named           text,                                 -- as the provider calls the person; counts while awaited
    added_at        timestamptz NOT NULL DEFAULT now(),
    added_by        text NOT NULL,
    bound_at        timestamptz,
    awaited_until   timestamptz,
    PRIMARY KEY (account, issuer),
    UNIQUE (issuer, subject),
    CHECK ((subject IS NULL) = (bound_at IS NULL)),
    CHECK ((subject IS NULL) = (awaited_until IS NOT NULL)),
    CHECK (subject IS NOT NULL OR named IS NOT NULL)
);
CREATE UNIQUE INDEX account_identity_awaited ON account_identity (issuer, named) WHERE subject IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON account_identity TO {SERVICE};
"""


def upgrade() -> None:
    """Nobody is bound before an administrator says so."""
    op.execute(IDENTITY)


def downgrade() -> None:
    """Accounts stay, and their passwords."""
    op.execute("DROP TABLE account_identity")
