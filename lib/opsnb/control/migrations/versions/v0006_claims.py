"""Claims: what an approval was used for, once each, and when a request is to be applied."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "claims",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("approvals", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run"),
        sa.UniqueConstraint("slot"),
    )
    op.create_index("claims_by_request", "claims", ["request"])
    op.create_table(
        "starts",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("start", sa.String(), nullable=False),
        sa.Column("due", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request"),
    )
    op.create_index("starts_by_due", "starts", ["run", "due"])
