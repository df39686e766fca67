"""Lists of somebody's own requests for one runbook: as fast with many requests as with few."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("approvals_by_requester_and_runbook", "approvals", ["requester", "runbook", "number"])
    op.create_index(
        "approvals_by_requester_runbook_and_status", "approvals", ["requester", "runbook", "status", "number"]
    )
