"""The audit trail, read from a workspace's ``outputs/`` as an auditor reads it: files only, no account, no service.

``read_trail`` reads ledger, record folders and manifests; ``coverage``, ``stands_out`` and the tables say what they
mean; ``verify`` runs the verifier that lies beside the evidence. Nothing here needs the control plane or its key.
"""

from opsnb.kits.audit.charts import entries_chart, verdicts_chart
from opsnb.kits.audit.coverage import Coverage, RunLife, Uncovered, coverage, run_lives
from opsnb.kits.audit.entries import Entry, Head, merkle_root, parse_checkpoint, parse_entries
from opsnb.kits.audit.manifests import Recorded, parse_manifest
from opsnb.kits.audit.periods import entries_by_period, verdicts_by_period
from opsnb.kits.audit.reading import read_head, read_trail, suits
from opsnb.kits.audit.standout import Finding, findings_text, stands_out
from opsnb.kits.audit.tables import (
    approvals_table,
    coverage_table,
    earlier_table,
    heads_text,
    kinds_table,
    ledger_table,
    longest_gaps,
    open_table,
    self_approved,
    uncovered_table,
    unknown_table,
    unrun_table,
    verdicts_table,
)
from opsnb.kits.audit.trail import Trail
from opsnb.kits.audit.verification import Verification, parse_report, verification_text, verify

__all__ = [
    "Coverage",
    "Entry",
    "Finding",
    "Head",
    "Recorded",
    "RunLife",
    "Trail",
    "Uncovered",
    "Verification",
    "approvals_table",
    "coverage",
    "coverage_table",
    "earlier_table",
    "entries_by_period",
    "entries_chart",
    "findings_text",
    "heads_text",
    "kinds_table",
    "ledger_table",
    "longest_gaps",
    "merkle_root",
    "open_table",
    "parse_checkpoint",
    "parse_entries",
    "parse_manifest",
    "parse_report",
    "read_head",
    "read_trail",
    "run_lives",
    "self_approved",
    "stands_out",
    "suits",
    "uncovered_table",
    "unknown_table",
    "unrun_table",
    "verdicts_by_period",
    "verdicts_chart",
    "verdicts_table",
    "verification_text",
    "verify",
]
