"""Ask: a planned request is put before the people whom its policy names, with when it is to start."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from opsnb.base.canonical import canonical, salted
from opsnb.base.clock import now as current
from opsnb.base.clock import parse, stamp
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.policy import Policies
from opsnb.control.approvals.values import Act, ActKind, Status
from opsnb.control.flows.approve import keep, settle
from opsnb.control.flows.case import Case, open_case
from opsnb.control.flows.people import permit
from opsnb.control.ledger.events_approvals import RequestAsked
from opsnb.control.ledger.events_claims import StartSet
from opsnb.control.ledger.store import append
from opsnb.control.people.values import Action, Actor
from opsnb.control.records import Risk, Start
from opsnb.control.runs import claims

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def when(text: str) -> tuple[Start, datetime | None]:
    """Return what ``approved``, ``asked`` or a time with an offset means.

    Raises:
        UsageError: If it is none of them.
    """
    if text in {Start.APPROVED.value, Start.ASKED.value}:
        return Start(text), None
    try:
        due = datetime.fromisoformat(text)
        stamp(due)
    except (ValueError, OverflowError):  # no time, or one that UTC does not reach
        due = None
    if due is None or due.tzinfo is None:
        hint = "approved, asked, or like 2026-12-01T22:00+08:00"
        raise UsageError(
            f"a request starts when 'approved', when 'asked' or at a time, not at {text[:40]!r}", hint=hint
        )
    return Start.TIME, due


def set_start(connection: Connection, request: str, start: str, actor: Actor, now: datetime) -> None:
    """Keep when a request is to start, with its entry in the ledger.

    Raises:
        RefusedError: If it is to start by itself, and the one who asks came by what is not good for starting.
    """
    kind, due = when(start)
    if kind is not Start.ASKED and not actor.in_scope(Action.APPLY):
        raise RefusedError(f"this {actor.via} of {actor.person.name} is not good for '{Action.APPLY}'")
    claims.set_start(connection, request, kind, due, actor.person.id)
    append(connection, StartSet(request=request, start=kind, due=stamp(due or now), by=actor.person.id))


def ask(services: Services, actor: Actor, request: str, reason: str, start: str) -> None:
    """Ask for the approval of a request that was planned before.

    Raises:
        RefusedError: If it is somebody else's, has no plan, or was asked for and is not over.
    """
    now = parse(stamp(current()))
    with services.database.transaction() as connection:
        case = open_case(connection, services.policies, request, now)
        if case.subject.risk is Risk.READ:
            raise RefusedError(
                f"{case.row.runbook} only reads: it needs no approval", hint=f"opsnb run {case.row.runbook}"
            )
        if actor.person.id != case.row.requester:
            raise RefusedError(
                f"request {request} was planned by {case.who.name(case.row.requester)}, who may ask for it"
            )
        permit(case.directory, actor, Action.REQUEST, case.who.target, now)
        if case.row.plan_digest is None:
            raise RefusedError(f"request {request} has no plan yet", hint="wait for the run that plans it")
        if case.asked:
            raise RefusedError(
                f"request {request} was asked for already: {case.state(now).reason}",
                hint=f"opsnb requests show {request}",
            )
        set_start(connection, request, start, actor, now)
        case = ask_in(connection, case, now)
        if reason:
            keep(connection, case, Act(
                kind=ActKind.COMMENT, person=actor.person.id, at=now, request=case.subject.digest,
                plan=case.subject.plan, comment=reason,
            ))  # fmt: skip


def planned(connection: Connection, policies: Policies, request: str, now: datetime) -> None:
    """Ask for the approval of a request whose plan is ready now, if that was wanted."""
    if claims.start_of(connection, request) is None:
        return
    case = open_case(connection, policies, request, now)
    if case.same_policy():
        ask_in(connection, case, now)
    else:
        claims.kept_back(connection, request, f"policy {case.policy.name} is not what it was sealed with", None)


def ask_in(connection: Connection, case: Case, now: datetime) -> Case:
    """Put a case before people, in the caller's transaction; one whose policy asks for nobody is approved at once.

    Raises:
        RefusedError: If the policy is not the sealed one any more.
    """
    if not case.same_policy():
        raise RefusedError(
            f"policy {case.policy.name} is not what request {case.row.id} was sealed with",
            hint=f"plan anew: opsnb run {case.row.runbook} ...",
        )
    case = replace(case, subject=replace(case.subject, asked=now), asked=True)
    state = case.state(now)
    approvals.ask(connection, case.subject, state)
    salt = case.row.salts["plan"]
    append(connection, RequestAsked(
        request=case.row.id, by=case.row.requester, plan=salted(salt, case.subject.plan.encode()),
        policy=salted(salt, canonical(case.body["policy"])),
    ))  # fmt: skip
    if state.status is Status.APPROVED:
        settle(connection, case, now)
    return case
