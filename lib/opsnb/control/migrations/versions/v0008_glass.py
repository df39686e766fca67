"""Break-glass: what was done under a broken glass; notices: what people have to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "glass_uses",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("glass", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "glass"),
    )
    op.create_index("glass_uses_by_glass", "glass_uses", ["glass", "at"])
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("delivered", sa.String(), nullable=True),
        sa.Column("seen", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("person", "kind", "request", "run", name="notices_once"),
    )
    op.create_index("notices_by_person", "notices", ["person", "seen", "number"])
    op.create_index("notices_by_request", "notices", ["request", "kind"])
