"""Approvals: what was asked for, and acts that are only ever added."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# What somebody wrote may be deleted; what they did may not.
FIXED = ("number", "request", "kind", "person", "at", "request_digest", "plan_digest", "step", "on_behalf_of", '"to"')


def upgrade() -> None:
    """Create the tables, and have the database itself keep the acts as they are."""
    _approvals()
    _acts()
    keep = _on_postgresql if op.get_bind().dialect.name == "postgresql" else _on_sqlite
    for statement in keep():
        op.execute(statement)


def _approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("runbook", sa.String(), nullable=False),
        sa.Column("risk", sa.String(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=True),
        sa.Column("review_due", sa.String(), nullable=True),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("request"),
    )
    op.create_index("approvals_by_status", "approvals", ["status", "number"])
    op.create_index("approvals_by_requester", "approvals", ["requester", "number"])
    op.create_index("approvals_by_requester_and_status", "approvals", ["requester", "status", "number"])
    op.create_index("approvals_by_runbook", "approvals", ["runbook", "number"])
    op.create_index("approvals_by_runbook_and_status", "approvals", ["runbook", "status", "number"])
    op.create_index("approvals_by_end", "approvals", ["status", "until"])
    op.create_index("approvals_by_review", "approvals", ["reviewed", "review_due"])


def _acts() -> None:
    op.create_table(
        "acts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("plan_digest", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("acts_by_request", "acts", ["request", "number"])


def _on_sqlite() -> list[str]:
    says = "BEGIN SELECT RAISE(ABORT, 'acts are only ever added'); END"
    return [
        f"CREATE TRIGGER acts_stay BEFORE UPDATE OF {', '.join(FIXED)} ON acts {says}",
        f"CREATE TRIGGER acts_remain BEFORE DELETE ON acts {says}",
    ]


def _on_postgresql() -> list[str]:
    body = "BEGIN RAISE EXCEPTION 'acts are only ever added'; END"
    refused = "FOR EACH ROW EXECUTE FUNCTION acts_stay()"
    return [
        f"CREATE FUNCTION acts_stay() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER acts_stay BEFORE UPDATE OF {', '.join(FIXED)} ON acts {refused}",
        f"CREATE TRIGGER acts_remain BEFORE DELETE ON acts {refused}",
        f"CREATE TRIGGER acts_are_kept BEFORE TRUNCATE ON acts {refused.replace('ROW', 'STATEMENT')}",
    ]
