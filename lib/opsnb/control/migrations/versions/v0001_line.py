"""The line end to end: requests, runs, intents, notes, locks, people, ledger."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    from opsnb.control.database import metadata

    metadata.create_all(op.get_bind())
