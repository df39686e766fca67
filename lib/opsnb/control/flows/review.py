"""Reviews of what went without an approval: who may make one, and which are owed or made."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection

from opsnb.control.approvals.policy import GLASS
from opsnb.control.approvals.values import Status
from opsnb.control.flows.case import Case
from opsnb.control.people.rules import may
from opsnb.control.people.values import Action, Target
from opsnb.control.runs import claims, store


def unreviewable(connection: Connection, case: Case, person: str, now: datetime) -> str:
    """Return why a broken glass is not reviewed yet, or not by a person; empty: they may review it.

    A review counts for everything that was done under it, so it comes when nothing more can be done, and from somebody
    who might have approved each thing.
    """
    if case.row.runbook != GLASS:
        return ""
    if case.state(now).status is Status.APPROVED:
        return "it still holds: close it first, opsnb requests withdraw or opsnb veto"
    for row in claims.under_glass(connection, case.row.id):
        if store.run_row(connection, row.run).verdict is None:
            return f"run {row.run} under it has not ended"
        decision = may(case.directory, person, Action.APPROVE, _target(connection, row.request), now)
        if not decision.ok or decision.on_behalf_of:
            return f"run {row.run} was done under it: {decision.reason}"
    return ""


def _target(connection: Connection, request: str) -> Target:
    row = store.request_row(connection, request)
    return Target.of(row.runbook, row.risk, json.loads(row.body)["hosts"])
