"""Sign-in: tokens, passwords, one-time codes, what is throttled, and who signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tokens",
        *(sa.Column(n, sa.String(), nullable=False) for n in ("id", "kind", "person", "name", "digest")),
        sa.Column("scopes", sa.JSON(), nullable=False),
        *(sa.Column(n, sa.String(), nullable=False) for n in ("created", "expires", "by")),
        *(sa.Column(n, sa.String(), nullable=True) for n in ("used", "revoked")),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("tokens_person", "tokens", ["person"])
    op.create_table(
        "passwords",
        *(sa.Column(n, sa.String(), nullable=False) for n in ("person", "hash", "changed")),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "totps",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("person"),
    )
    _watching()


def _watching() -> None:
    op.create_table(
        "throttles",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "logins",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        *(sa.Column(n, sa.String(), nullable=False) for n in ("at", "person", "way", "address", "outcome")),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("logins_person", "logins", ["person"])
