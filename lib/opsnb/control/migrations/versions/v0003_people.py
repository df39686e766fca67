"""People: kinds, departments, roles, delegates. Whoever was there until now could do everything, and still can."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen the table of people and create the others."""
    _people()
    op.create_table(
        "departments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("leader", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("grants", sa.JSON(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "memberships",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("person", "role"),
    )
    _delegates()
    op.create_table(
        "people_state",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(sa.text("INSERT INTO memberships (person, role) SELECT id, 'administrator' FROM people"))
    op.execute(sa.text("INSERT INTO people_state (id, token) VALUES ('people', :t)").bindparams(t=secrets.token_hex(8)))


def _people() -> None:
    for name, default in (("kind", "person"), ("department", ""), ("display", ""), ("mail", ""), ("salt", "")):
        op.add_column("people", sa.Column(name, sa.String(), nullable=False, server_default=default))
    op.add_column("people", sa.Column("active", sa.Boolean(), nullable=False, server_default="1"))


def _delegates() -> None:
    op.create_table(
        "delegates",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("begin", sa.String(), nullable=False),
        sa.Column("end", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("removed", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["principal"], ["people.id"]),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delegates_person", "delegates", ["person"])
