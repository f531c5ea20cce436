"""Alembic's environment: always on a connection that gridmap.db.upgrade opened and locked."""

from alembic import context

import gridmap.models_plans  # its tables belong to the same metadata
import gridmap.models_rules  # noqa: F401  # the same
from gridmap.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
