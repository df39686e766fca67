"""Sign-in from elsewhere: who is bound to which identity there."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "identities",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("person", sa.String(), sa.ForeignKey("people.id"), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("source", "authority", "subject"),
    )
    op.create_index("identities_person", "identities", ["person"])
