"""Break-glass: act without an approval in an emergency; for a short time, loudly, and reviewed by somebody else.

A broken glass is a request like a grant, sealed with its hosts and its reason, which holds at once and owes a review.
While it holds, whoever broke it works by hand on its hosts, and starts what they planned themselves on them without an
approval and through a freeze. It is looked at where it is used, in that transaction: one that is over, was closed, or
stands under another policy than it was sealed with is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from opsnb.base.canonical import digestible, sha256
from opsnb.base.clock import new_id, parse, stamp
from opsnb.base.clock import now as current
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.policy import GLASS, Policies, Policy
from opsnb.control.approvals.values import Status, Subject
from opsnb.control.flows.ask import ask_in
from opsnb.control.flows.case import Case, open_case, policy_of
from opsnb.control.flows.hosts import rows_of
from opsnb.control.flows.people import permit
from opsnb.control.flows.telling import able_to_approve, tell
from opsnb.control.flows.who import Known
from opsnb.control.flows.worded import body_of, seal_words
from opsnb.control.ledger.events_glass import GlassBroken, GlassUsed
from opsnb.control.ledger.store import append
from opsnb.control.notify.values import NoticeKind
from opsnb.control.people.rules import may
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.records import Mode, Risk
from opsnb.control.runs import claims

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

MAX_LOOKED_AT = 20  # of somebody's latest that hold
Hosts = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A broken glass that holds and covers what is done: its request, who broke it, until when, review until when."""

    request: str
    who: str
    until: datetime
    review_due: datetime

    def as_json(self) -> dict[str, str]:
        """Return it as a record keeps it."""
        until, due = stamp(self.until), stamp(self.review_due)
        return {"glass": self.request, "who": self.who, "until": until, "review_due": due}


def break_glass(services: Services, actor: Actor, selector: str, reason: str, seconds: float) -> str:
    """Break the glass on the hosts that a selector chooses; return the request."""
    now = parse(stamp(current()))
    hosts = rows_of(services, selector)
    with services.database.transaction() as connection:
        return break_in(connection, services.policies, actor, hosts, reason, seconds, now, selector=selector)


def break_in(
    connection: Connection, policies: Policies, actor: Actor, hosts: Hosts, reason: str, seconds: float, now: datetime,
    *, selector: str = "",
) -> str:  # fmt: skip
    """Break the glass on hosts, in the caller's transaction; return the request, which holds from now on.

    Raises:
        RefusedError: If no policy of these hosts names the person, they may not on every host, or owe a review.
        UsageError: If it has no reason, no host, or would hold longer than the policy lets it.
    """
    if not reason.strip() or not hosts:
        raise UsageError("who breaks the glass says why, and on which hosts")
    there = directory(connection)
    policy, target = policy_of(policies, GLASS, Risk.CHANGE, hosts, {}), Target.of(GLASS, Risk.CHANGE, hosts)
    permit(there, actor, Action.BREAK_GLASS, target, now)
    person, who = actor.person.id, Known(directory=there, target=target)
    if not policy.may_break(_subject(person, now), who):
        raise RefusedError(
            f"policy {policy.name} does not name {actor.person.name} as one who may break the glass",
            hint="break_glass: {for: [person:NAME]} of the policy in opsnb.yaml names who may",
        )
    if 0 < policy.max_hosts < len(hosts):
        raise RefusedError(f"{len(hosts)} hosts were chosen, and policy {policy.name} allows {policy.max_hosts}")
    if not 0 < seconds <= policy.glass_most:
        most = f"{policy.glass_most / 60:g} minutes at most, not {seconds / 60:g}"
        raise UsageError(f"policy {policy.name} lets a broken glass hold {most}")
    if owed := overdue(connection, person, now):
        raise RefusedError(
            f"the review of what {actor.person.name} did under {owed} is overdue",
            hint=f"somebody else looks at it first: opsnb requests review {owed} --comment TEXT",
        )
    request = new_id()
    seal_words(connection, actor, body_of(
        request, GLASS, f"break-glass for {seconds / 60:g} minutes", hosts, policy,
        selector=selector, why=reason, seconds=seconds,
    ))  # fmt: skip
    case = ask_in(connection, open_case(connection, policies, request, now), now)
    _said(connection, case, seconds, now)
    return request


def _said(connection: Connection, case: Case, seconds: float, now: datetime) -> None:
    """Tell whoever the policy names, everybody who may approve there, and the person in whose name it was broken."""
    told = case.policy.told(case.subject, case.who, glass=True) | able_to_approve(case, now) | {case.row.requester}
    tell(connection, told, NoticeKind.GLASS, case.row.id, now=now)
    due = case.state(now).review_due
    assert due is not None
    append(connection, GlassBroken(
        request=case.row.id, by=case.row.requester, end=stamp(now + timedelta(seconds=seconds)), due=stamp(due),
        count=len(told),
    ))  # fmt: skip


def overdue(connection: Connection, person: str, now: datetime) -> str:
    """Return a broken glass of a person whose review is overdue; empty: none is."""
    table = approvals.approvals
    mine = (table.c.requester == person) & (table.c.runbook == GLASS)
    owed = table.c.reviewed.is_(False) & (table.c.review_due <= stamp(now))
    query = select(table.c.request).where(mine & owed).order_by(table.c.review_due).limit(1)
    return str(connection.execute(query).scalar() or "")


# -- what holds --------------------------------------------------------------------------------------------------------


def covering(
    connection: Connection, policies: Policies, person: str, policy: Policy, hosts: Hosts, now: datetime
) -> Broken | None:
    """Return a broken glass of a person that lets them do something on hosts now; ``None``: there is none.

    Args:
        connection: The transaction in which it is used.
        policies: Those that hold.
        person: Id of who does it.
        policy: The one that holds for what is done: it has to name the person, too.
        hosts: The hosts as they are, each with all that was sealed of it.
        now: The moment.
    """
    table = approvals.approvals
    mine = (table.c.requester == person) & (table.c.runbook == GLASS) & (table.c.status == Status.APPROVED.value)
    query = select(table.c.request).where(mine).order_by(table.c.number.desc()).limit(MAX_LOOKED_AT)
    for request in connection.execute(query).scalars().all():
        found = covers(connection, policies, request, person, policy, hosts, now)
        if isinstance(found, Broken):
            return found
    return None


def covers(
    connection: Connection, policies: Policies, request: str, person: str, policy: Policy, hosts: Hosts, now: datetime
) -> Broken | str:
    """Return one broken glass if it lets a person do something on hosts now, else why it does not."""
    case = open_case(connection, policies, request, now)
    if why := _worth_nothing(case, person, now):
        return f"break-glass {request} is worth nothing: {why}"
    there = [dict(row) for row in case.body["hosts"]]
    outside = sorted(str(row["name"]) for row in hosts if dict(digestible(row)) not in there)
    if outside or not hosts:
        return f"break-glass {request} does not cover {', '.join(outside[:8]) or 'what has no host'} as it is now"
    if not policy.may_break(_subject(person, now), case.who):
        return f"policy {policy.name} does not name {case.who.name(person)} as one who may break the glass"
    state = case.state(now)
    assert state.until is not None
    assert state.review_due is not None
    return Broken(request=request, who=case.who.name(person), until=state.until, review_due=state.review_due)


def _worth_nothing(case: Case, person: str, now: datetime) -> str:
    """Return why a broken glass does not hold for a person at this moment; empty: it does."""
    whole = case.row.runbook == GLASS and case.asked and sha256(case.row.body) == case.row.digest
    if not whole or now < case.subject.asked:
        return "it is not what was sealed, or later than this"
    if case.row.requester != person:
        return f"{case.who.name(case.row.requester)} broke it, and it holds for nobody else"
    if not case.same_policy() or not case.policy.may_break(case.subject, case.who):
        return f"policy {case.policy.name} is not what it was sealed with, or does not name {case.who.name(person)} now"
    decision = may(case.directory, person, Action.BREAK_GLASS, case.who.target, now)
    state = case.state(now)
    return decision.reason if not decision.ok else "" if state.status is Status.APPROVED else state.reason


def use(connection: Connection, broken: Broken, run: str, request: str, mode: Mode, by: str, now: datetime) -> None:
    """Keep that a run is let by a broken glass, with its entry in the ledger; once."""
    if claims.use_glass(connection, run=run, glass=broken.request, request=request, mode=mode, by=by, at=now):
        append(connection, GlassUsed(glass=broken.request, run=run, request=request, mode=mode, by=by))


def _subject(person: str, now: datetime) -> Subject:
    """What a policy looks at when it says whom it names."""
    return Subject(request="", digest="", plan="", requester=person, asked=now)
