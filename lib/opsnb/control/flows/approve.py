"""Approve, return, reject, veto, withdraw, hand on, comment, review: what people do about a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, update

from opsnb.base.canonical import salted
from opsnb.base.clock import now as current
from opsnb.base.clock import parse, stamp
from opsnb.base.errors import NotFoundError, RefusedError, UsageError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.handlers import meant
from opsnb.control.approvals.policy import Policies
from opsnb.control.approvals.rules import due, judge
from opsnb.control.approvals.values import Act, ActKind, Decision, State, Status
from opsnb.control.flows.case import Case, open_case, permit_seeing
from opsnb.control.flows.review import unreviewable
from opsnb.control.flows.telling import tell
from opsnb.control.ledger.events_approvals import RequestActed, RequestApproved, RequestSettled
from opsnb.control.ledger.store import append
from opsnb.control.notify.values import NoticeKind
from opsnb.control.people.values import Action, Actor
from opsnb.control.records import Start
from opsnb.control.runs import claims, store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

CLOCK = "clock"  # who did it in the ledger, where the time did
STEPPED = {ActKind.APPROVE, ActKind.RETURN, ActKind.REJECT, ActKind.DELEGATE}  # about one step
BY_PEOPLE = frozenset(ActKind) - {ActKind.ESCALATE, ActKind.EXPIRE}
SCOPES = {ActKind.WITHDRAW: Action.REQUEST, ActKind.COMMENT: Action.READ}  # all others: approve


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What somebody wants to do about a request.

    Args:
        kind: What.
        comment: What they write.
        step: The step they mean; empty: the one that they may handle.
        on_behalf_of: Name of the person for whom they act, as their delegate.
        to: Name of the person to whom they hand a step.
        plan: The beginning of the plan's digest that they read; empty: they read the newest.
    """

    kind: ActKind
    comment: str = ""
    step: str = ""
    on_behalf_of: str = ""
    to: str = ""
    plan: str = ""


def act(services: Services, actor: Actor, request: str, deed: Deed, now: datetime | None = None) -> State:
    """Do something about a request; return what it adds up to then.

    Raises:
        RefusedError: Says why it is not let in, and who may.
        NotFoundError: If there is no such request or person.
    """
    now = parse(stamp(now or current()))
    with services.database.transaction() as connection:
        state = act_in(connection, services.policies, actor, request, deed, now)
    services.wake()
    return state


def act_in(connection: Connection, policies: Policies, actor: Actor, request: str, deed: Deed, now: datetime) -> State:
    """Do something about a request in the caller's transaction."""
    scope = SCOPES.get(deed.kind, Action.APPROVE)
    if deed.kind not in BY_PEOPLE:
        raise UsageError(f"'{deed.kind}' is not done by people")
    if not actor.in_scope(scope):
        raise RefusedError(f"this {actor.via} of {actor.person.name} is not good for '{scope}'")
    case = open_case(connection, policies, request, now)
    if deed.kind is ActKind.COMMENT:  # all others want more than to see it
        permit_seeing(case, actor, now)
    case = tick(connection, case, now)
    if not case.asked:
        raise RefusedError(
            f"nobody asked for an approval of request {request}", hint=f"opsnb request {request} --reason '...'"
        )
    if deed.kind is ActKind.APPROVE and not case.same_policy():
        raise RefusedError(
            f"policy {case.policy.name} is not what request {request} was sealed with",
            hint=f"plan anew: opsnb run {case.row.runbook} ...",
        )
    wanted = _meant(case, actor, deed, now)
    decision = judge(case.flow, case.subject, case.acts, wanted, case.who)
    if decision.ok and deed.kind is ActKind.REVIEW and (why := unreviewable(connection, case, actor.person.id, now)):
        decision = Decision(ok=False, reason=why)
    if not decision.ok:
        why = decision.reason
        if (ended := _ended(case, wanted, now)).startswith(why):
            why = ended
        hint = _who_may(case, wanted, now) if deed.kind is ActKind.APPROVE else ""
        raise RefusedError(f"{deed.kind} of request {request}: {why}", hint=hint)
    return settle(connection, keep(connection, case, wanted), now)


def _who_may(case: Case, refused: Act, now: datetime) -> str:
    """Return who may approve a case; whoever may as a delegate, and did not say so, is told how."""
    if other := next((one for one in case.ways(refused.person, now) if one and not refused.on_behalf_of), ""):
        return f"in the place of {case.who.name(other)}: opsnb approve {case.row.id} --for {case.who.name(other)}"
    able = case.able(now)
    return f"who may approve it: {', '.join(able)}" if able else ""


def _ended(case: Case, wanted: Act, now: datetime) -> str:
    """Return why somebody may not act as the delegate that they say they are, and when that ended."""
    return case.who.not_standing(wanted.person, wanted.on_behalf_of, now) if wanted.on_behalf_of else ""


def tick(connection: Connection, case: Case, now: datetime) -> Case:
    """Keep what the clock has to say about a case before anybody is judged."""
    if case.asked:
        for one in due(case.flow, case.subject, case.acts, case.who, now):
            case = keep(connection, case, one)
    return case


def keep(connection: Connection, case: Case, one: Act) -> Case:
    """Keep an act that was let in, with its entry in the ledger; return the case with it."""
    request = case.row.id
    kept = approvals.keep(connection, request, one)
    step = next((n for n, s in enumerate(case.flow.steps, 1) if s.name == one.step), 0)
    plan = salted(case.row.salts["plan"], one.plan.encode())
    by = one.person or CLOCK
    if one.kind is ActKind.APPROVE:
        own = one.person == case.subject.requester
        append(connection, RequestApproved(
            request=request, by=by, voice=one.voice, step=step, plan=plan, comment=kept.comment, self_approved=own,
        ))  # fmt: skip
    else:
        append(connection, RequestActed(
            request=request, act=one.kind, by=by, voice=one.voice or by, to=one.to or by, step=step, plan=plan,
            comment=kept.comment,
        ))  # fmt: skip
    if one.kind is ActKind.ESCALATE:
        called = next((s.escalate_to for s in case.flow.steps if s.name == one.step), ())
        tell(connection, meant(called, case.subject, case.who)[0], NoticeKind.ESCALATED, request, now=one.at)
    return case.with_acts((one,))


def settle(connection: Connection, case: Case, now: datetime) -> State:
    """Keep what a case adds up to now; one that is approved may be due to start."""
    state = case.state(now)
    if approvals.settle(connection, case.row.id, replace(state, until=until(case, state, now))):
        append(connection, RequestSettled(request=case.row.id, status=state.status))
    if state.status is Status.APPROVED:
        _approved(connection, case, state, now)
    return state


def until(case: Case, state: State, now: datetime) -> datetime | None:
    """Return when the clock looks at a case again.

    That is when its time is over, or that of a delegation it stands on, or a step has waited so long that others are
    called.
    """
    who, within = case.who, {step.name: step.within for step in case.flow.steps if step.escalate_to and step.within}
    ends = [who.standing_until(a.person, a.on_behalf_of, now) for a in state.approvals if a.on_behalf_of]
    ends += [
        step.since + timedelta(seconds=within[step.name])
        for step in state.steps
        if step.open and step.since and step.name in within and not (step.done or step.escalated)
    ]
    return min((end for end in (state.until, *ends) if end is not None), default=None)


def _approved(connection: Connection, case: Case, state: State, now: datetime) -> None:
    last = state.approvals[-1] if state.approvals else None
    values: dict[str, Any] = {
        "approved_at": stamp(last.at if last else now), "approved_by": last.person if last else None,
        "approved_self": state.own,
    }  # fmt: skip
    connection.execute(update(store.requests).where(store.requests.c.id == case.row.id).values(**values))
    start = claims.start_of(connection, case.row.id)
    if start is not None and start.start == Start.APPROVED and start.run is None:
        claims.kept_back(connection, case.row.id, "", now)  # due: the next turn starts it


def lapse(services: Services, now: datetime) -> None:
    """Say of every request whose time is over that it is."""
    with services.database.transaction() as connection:
        for row in approvals.lapsed(connection, now):
            settle(connection, tick(connection, open_case(connection, services.policies, row.request, now), now), now)


def _meant(case: Case, actor: Actor, deed: Deed, now: datetime) -> Act:
    """Return the act that somebody means, by ids and whole digests."""
    plan = case.subject.plan
    if deed.plan and not plan.startswith(deed.plan):
        plan = deed.plan  # they read another one: the rules say so
    behalf = _id(case, deed.on_behalf_of)
    step = deed.step
    if deed.kind in STEPPED and not step:
        step = case.approve(actor.person.id, now, on_behalf_of=behalf).step
    return Act(
        kind=deed.kind, person=actor.person.id, at=now, request=case.subject.digest, plan=plan, step=step,
        on_behalf_of=behalf, to=_id(case, deed.to), comment=deed.comment,
    )  # fmt: skip


def _id(case: Case, name: str) -> str:
    found = case.directory.named(name) if name else None
    if name and found is None:
        raise NotFoundError(f"no user is called '{name[:80]}'", hint="opsnb user list")
    return found.id if found else ""
