"""The line end to end: requests, runs, intents, notes, locks, people, ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _who_and_what()
    _runs()
    _said()
    _ledger()


def _who_and_what() -> None:
    """People and sealed requests."""
    op.create_table(
        "people",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("submission", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("salts", sa.JSON(), nullable=False),
        sa.Column("runbook", sa.String(), nullable=False),
        sa.Column("risk", sa.String(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=True),
        sa.Column("plan_digest", sa.String(), nullable=True),
        sa.Column("plan_run", sa.String(), nullable=True),
        sa.Column("approved_at", sa.String(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_self", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("submission"),
    )


def _runs() -> None:
    """Runs."""
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("runbook", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("started", sa.String(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("supervisor", sa.Integer(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("undoes", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("ledger_index", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("runs_by_state", "runs", ["state"], unique=False)
    op.create_index("runs_by_request", "runs", ["request"], unique=False)


def _said() -> None:
    """What runs said and did: intents, notes, locks."""
    op.create_table(
        "intents",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "change"),
    )
    op.create_table(
        "locks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_notes_run", "notes", ["run"], unique=False)


def _ledger() -> None:
    """The ledger and its head."""
    op.create_table(
        "ledger_entries",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=80), nullable=True),
        sa.Column("request", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index("ix_ledger_entries_kind", "ledger_entries", ["kind"], unique=False)
    op.create_index("ix_ledger_entries_request", "ledger_entries", ["request"], unique=False)
    op.create_index("ix_ledger_entries_run", "ledger_entries", ["run"], unique=False)
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.Text(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
