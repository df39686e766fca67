"""Reviews of what went without an approval: who may make one, and which are owed or made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from opsnb.base.clock import stamp
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.policy import GLASS
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.flows.case import Case
from opsnb.control.people.rules import Directory, may
from opsnb.control.people.values import Action, Target
from opsnb.control.records import Mode
from opsnb.control.runs import claims, store

MAX_OWED = 50  # that a list begins with
WITHOUT = "without"  # the kind of note that says why nobody had to approve a run, who was told, when it is reviewed
UNDER = "under"  # the kind of note that names the broken glass under which a run is started


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


# -- what is owed, and what was made -----------------------------------------------------------------------------------


def open_glass(connection: Connection, there: Directory, now: datetime) -> list[dict[str, Any]]:
    """Return the broken glass that holds now."""
    rows = approvals.page(connection, status=[Status.APPROVED], runbook=GLASS, most=MAX_OWED)
    return [
        {"request": r.request, "who": there.name(r.requester), "until": r.until, "review_due": r.review_due}
        for r in rows
        if r.until and r.until > stamp(now)
    ]


def owed(connection: Connection, there: Directory, now: datetime) -> list[dict[str, Any]]:
    """Return the reviews that nobody has made yet, the most urgent first."""
    return [
        {
            "request": r.request, "runbook": r.runbook, "who": there.name(r.requester), "due": r.review_due,
            "overdue": r.review_due <= stamp(now),
        }
        for r in approvals.unreviewed(connection, MAX_OWED)
    ]  # fmt: skip


def of_runs(connection: Connection, there: Directory, runs: Iterable[Row[Any]]) -> dict[str, dict[str, Any]]:
    """Return, of these runs, what is owed or was made for those that nobody had to approve.

    Each is ``{"glass": request or None, "review": request, "due", "reviewed": {"by", "at"} or None}``.
    """
    changing = [row for row in runs if Mode(row.mode).changes or Mode(row.mode) is Mode.READ]
    glass = claims.glass_of(connection, [row.id for row in changing])
    about = {row.id: glass.get(row.id) or row.request for row in changing if row.id in glass or Mode(row.mode).changes}
    table, wanted = approvals.approvals, sorted(set(about.values()))
    query = select(table.c.request, table.c.review_due).where(table.c.request.in_(wanted))
    due = {row.request: row.review_due for row in connection.execute(query) if row.review_due}
    made = reviews(connection, there, due)
    return {
        run: {"glass": glass.get(run), "review": request, "due": due[request], "reviewed": made.get(request)}
        for run, request in about.items()
        if request in due
    }


def reviews(connection: Connection, there: Directory, requests: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return who reviewed these requests, and when."""
    table = approvals.acts
    here = (table.c.kind == ActKind.REVIEW.value) & table.c.request.in_(sorted(requests))
    rows = connection.execute(select(table.c.request, table.c.person, table.c.at).where(here).order_by(table.c.number))
    return {row.request: {"by": there.name(row.person), "at": row.at} for row in rows}


def done_under(connection: Connection, glass: str) -> list[dict[str, Any]]:
    """Return everything that was done under a broken glass, oldest first: what its reviewer has to look at."""
    found = []
    for use in claims.under_glass(connection, glass):
        run, request = store.run_row(connection, use.run), store.request_row(connection, use.request)
        found.append({
            "run": use.run, "request": use.request, "runbook": run.runbook, "title": run.title, "mode": use.mode,
            "at": use.at, "verdict": run.verdict, "state": run.state, "reason": run.reason,
            "hosts": [host["name"] for host in json.loads(request.body)["hosts"]],
            "command": request.parameters.get("command"), "why": json.loads(request.body)["why"],
            "record": f"outputs/{run.path}/run.html" if run.path else None,
        })  # fmt: skip
    return found


def started_under(connection: Connection, run: str) -> dict[str, Any] | None:
    """Return the broken glass under which a run is started, with its end; ``None``: under none."""
    noted = store.noted(connection, run, UNDER)
    if not noted:
        return None
    row = approvals.row(connection, str(noted[-1]))
    return {"request": row.request, "until": row.until, "review_due": row.review_due}
