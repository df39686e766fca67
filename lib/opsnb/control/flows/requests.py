"""Requests as people see them: lists by page, and one with its plan, its steps, who may act, and what became of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, exists
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import UsageError
from opsnb.base.plan import CHANGE_FIELDS
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.policy import GLASS
from opsnb.control.approvals.values import Act, ActKind, State, Status, StepState
from opsnb.control.flows import review
from opsnb.control.flows.case import Case, open_case, open_cases, permit_seeing, unseen
from opsnb.control.flows.leave import GRANTED, held_as_grant
from opsnb.control.flows.people import permit_looking
from opsnb.control.flows.void import void
from opsnb.control.notify import store as notices
from opsnb.control.people.rules import Directory, decide
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.records import Risk
from opsnb.control.runs import claims, store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

WAITING = "waiting"  # open and approved ones: what somebody still has to do something about
USED = "used"  # a run took the change, once: whatever its approvals add up to later is about nothing any more


def listed(
    services: Services, actor: Actor, *, status: str = "", mine: bool = False, runbook: str = "",
    before: int | None = None, most: int = approvals.PAGE, now: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a page of requests, newest first; ``next`` is what ``before`` has to be for the next one."""
    (wanted, only), now = _statuses(status), now or current()
    with services.database.transaction() as connection:
        there = directory(connection)
        permit_looking(there, actor)
        rows = approvals.page(
            connection, status=wanted, requester=actor.person.id if mine else "", runbook=runbook, before=before,
            most=most, only=only,
        )  # fmt: skip
        seen = rows if _sees_all(there, actor, now) else _seen(connection, there, actor, rows, now)
        used = claims.applied(connection, [r.request for r in seen])
        open_ones = [r for r in seen if r.status == Status.OPEN and r.request not in used]
        cases = open_cases(connection, services.policies, open_ones, now, there)
        yours = {name for name, case in cases.items() if next(case.ways(actor.person.id, now), None) is not None}
        ends = {name: _time(case.state(now).until) for name, case in cases.items()}  # the row has the clock's next look
        first = _first(connection, there, actor, now) if before is None else {}
    names = ("number", "request", "runbook", "risk", "asked", "until", "review_due", "reviewed")
    found = [
        {
            **{n: getattr(r, n) for n in names}, "until": ends.get(r.request, r.until),
            "requester": there.name(r.requester), "status": USED if r.request in used else r.status,
            "for_you": r.request in yours,
        }
        for r in seen
    ]  # fmt: skip
    return {
        "requests": found,
        "next": rows[-1].number if rows and len(rows) >= min(most, approvals.MAX_PAGE) else None,
        **first,
    }


def _sees_all(there: Directory, actor: Actor, now: datetime) -> bool:
    return decide(there, actor, Action.READ, Target(risk=Risk.DANGER), now).ok  # of no runbook: only "*" means that


def _seen(
    connection: Connection, there: Directory, actor: Actor, rows: list[Row[Any]], now: datetime
) -> list[Row[Any]]:  # fmt: skip
    """Return those of these rows that somebody may see."""
    sealed = store.request_rows(connection, [row.request for row in rows])
    hosts = {name: json.loads(row.body)["hosts"] for name, row in sealed.items()}
    targets = {row.request: Target.of(row.runbook, row.risk, hosts[row.request]) for row in rows}
    return [row for row in rows if not unseen(there, actor, row.requester, targets[row.request], now)]


def _first(connection: Connection, there: Directory, actor: Actor, now: datetime) -> dict[str, Any]:
    """Return what a list begins with, whatever is asked for: broken glass, owed reviews, one's notices."""
    return {
        "glass": review.open_glass(connection, there, now), "owed": review.owed(connection, there, now),
        "notices": notices.unseen(connection, actor.person.id),
    }  # fmt: skip


def shown(
    services: Services, actor: Actor, request: str, now: datetime | None = None, *, whole: bool = False
) -> dict[str, Any]:
    """Return one request with everything that decides about it; ``whole``: with each change before and after."""
    now = now or current()
    with services.database.transaction() as connection:
        case = open_case(connection, services.policies, request, now)
        permit_seeing(case, actor, now)
        return told(connection, case, now, whole=whole)


def told(connection: Connection, case: Case, now: datetime, *, whole: bool = False) -> dict[str, Any]:
    """Return a case as a JSON object."""
    row, body = case.row, case.body
    runs = store.runs_of_request(connection, row.id)
    start = claims.start_of(connection, row.id)
    without = review.of_runs(connection, case.directory, runs)
    planned = next((r for r in runs if r.id == row.plan_run), None)
    return {
        "request": row.id, "digest": row.digest, "runbook": row.runbook, "title": body["title"], "risk": row.risk,
        "requester": case.who.name(row.requester), "why": body["why"], "created": row.created,
        "policy": case.policy.name, "own": case.who.alone() and case.flow.own,
        "hosts": [h["name"] for h in body["hosts"]],
        "parameters": {p["name"]: row.parameters.get(p["name"]) for p in body["labels"]},
        "files": [{n: f[n] for n in ("parameter", "name", "sha256")} for f in body.get("files", ())],
        "authors": [case.who.name(a) for a in body.get("authors", [])],
        "plan": _plan(row, planned, whole=whole), "leave": _leave(case, now), **_said(case, now),
        **_used(connection, row.id),
        "start": {"start": start.start, "due": start.due, "run": start.run, "why": start.why} if start else None,
        "runs": [{**_run(r), "without": without.get(r.id)} for r in runs],
        "under": review.done_under(connection, row.id) if row.runbook == GLASS else None,
    }  # fmt: skip


def _said(case: Case, now: datetime) -> dict[str, Any]:
    if not case.asked:
        return {"status": None, "reason": "nobody was asked to approve it", "steps": [], "acts": [], "able": []}
    state = case.state(now)
    holds = case.row.runbook == GLASS and state.status is Status.APPROVED
    return {
        "status": state.status.value, "reason": f"it holds until {_time(state.until)}" if holds else state.reason,
        "asked": stamp(case.subject.asked),
        "until": _time(state.until), "review_due": _time(state.review_due), "reviewed": state.reviewed,
        "overdue": bool(state.review_due and not state.reviewed and state.review_due <= now),
        "steps": [_step(case, step) for step in state.steps],
        "acts": [_act(case, act, state, now) for act in case.acts],
        "able": case.able(now) if state.status is Status.OPEN else [],
    }  # fmt: skip


def _used(connection: Connection, request: str) -> dict[str, Any]:
    """Return what stands instead of the sum of the approvals once a run took the change."""
    run = claims.applied(connection, [request]).get(request)
    if run is None:
        return {}
    verdict = store.run_row(connection, run).verdict
    said = f"run {run} took it: {verdict}" if verdict else f"run {run} took it, and goes on"
    return {"status": USED, "reason": said}


def _leave(case: Case, now: datetime) -> dict[str, Any] | None:
    """Return until when a grant holds, or why it does not; ``None`` for every other request."""
    if case.row.runbook not in set(GRANTED):
        return None
    held = held_as_grant(case, case.body["hosts"], now)
    return {"until": None if held.why else stamp(held.until), "why": held.why}


def _plan(row: Any, run: Any, *, whole: bool) -> dict[str, Any] | None:
    if row.plan_digest is None:
        return None
    record = f"outputs/{run.path}/run.html" if run is not None and run.path else None
    names = CHANGE_FIELDS if whole else ("host", "what")
    changes = [{name: c[name] for name in names} for c in row.plan["changes"]]
    return {"digest": row.plan_digest, "run": row.plan_run, "record": record, "changes": changes}


def _run(row: Any) -> dict[str, Any]:
    return {"run": row.id, **{name: getattr(row, name) for name in ("mode", "state", "verdict", "reason")}}


def _step(case: Case, step: StepState) -> dict[str, Any]:
    return {
        "step": step.name, "open": step.open, "done": step.done, "needed": step.needed, "has": len(step.approvals),
        "people": sorted(case.who.name(p) for p in step.people), "anyone": step.anyone, "escalated": step.escalated,
    }  # fmt: skip


def _act(case: Case, act: Act, state: State, now: datetime) -> dict[str, Any]:
    name, counts = case.who.name, act in state.approvals
    approval = act.kind is ActKind.APPROVE and not counts and act.plan == case.subject.plan
    found = void(case, act, now) if approval else None
    return {
        "act": act.kind.value, "by": name(act.person) if act.person else "the clock", "at": stamp(act.at),
        "for": name(act.on_behalf_of) if act.on_behalf_of else "", "to": name(act.to) if act.to else "",
        "step": act.step, "comment": act.comment, "counts": counts, "void": found[1] if found else "",
    }  # fmt: skip


def _statuses(status: str) -> tuple[tuple[Status, ...], ColumnElement[bool] | None]:
    """Return the statuses that a list asks for, and what else has to hold: none of them is meant of what was used."""
    taken = exists().where(claims.claims.c.slot == claims.applying(approvals.approvals.c.request))
    if status == USED:
        return (), taken
    if status == WAITING:
        return (Status.OPEN, Status.APPROVED), ~taken
    try:
        wanted = tuple(Status(word) for word in status.split(",") if word)
    except ValueError:
        known = ", ".join((WAITING, USED, *Status))
        raise UsageError(f"there is no status {status[:40]!r}", hint=f"one or several of: {known}") from None
    return wanted, ~taken if wanted else None


def _time(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None
