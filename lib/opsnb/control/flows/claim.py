"""Claim: a queued run begins, and a change only if everything is still as it was approved, looked at once more.

What is done by hand begins only if its starter still may: by a role, and on protected hosts by a grant. The looking
and the claiming are one transaction. What keeps a run from beginning is said, recorded in the ledger as
``claim.refused`` with its cause, and the run ends without a kernel; its approval is not used up by that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from opsnb.base.canonical import digestible, sha256
from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import OpsnbError, RefusedError
from opsnb.base.plan import Plan
from opsnb.control.approvals.freeze import blocked
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.flows.approve import settle
from opsnb.control.flows.ask import ask_in
from opsnb.control.flows.case import Case, open_case
from opsnb.control.flows.glass import Broken, covers, use
from opsnb.control.flows.ground import Ground, Workspace
from opsnb.control.flows.leave import leave_of
from opsnb.control.flows.review import UNDER, WITHOUT
from opsnb.control.flows.telling import tell, told_of
from opsnb.control.flows.void import void
from opsnb.control.ledger.events import RunClaimed
from opsnb.control.ledger.events_claims import ClaimRefused
from opsnb.control.ledger.store import append
from opsnb.control.notify.values import NoticeKind
from opsnb.control.people.rules import may
from opsnb.control.people.values import Action
from opsnb.control.records import Cause, Mode, Verdict
from opsnb.control.runs import claims, store

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

REFUSED = "refused"  # the kind of note that says why a run did not begin
LEAVE = "leave"  # the kind of note that says under which grant a run by hand began
BY = "by"  # the kind of note that says who started a run
ISOLATION_HINT = "set allow_unconfined_changes: true in opsnb.yaml if you accept that"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What keeps a change from beginning."""

    cause: Cause
    why: str
    hint: str = ""

    def raised(self) -> RefusedError:
        """Return it as an error."""
        return RefusedError(self.why, hint=self.hint)


def claim_next(services: Services, now: datetime | None = None) -> str | None:
    """Begin the oldest queued run whose locks are free; return its id."""
    with services.database.transaction() as connection:
        return begin_next(connection, Workspace(services), now or current())


def begin_next(connection: Connection, ground: Ground, now: datetime) -> str | None:
    """Begin the oldest queued run whose locks are free, in the caller's transaction; return its id.

    A change, or a run by hand, that is refused begins too, but only to be recorded: ``noted(REFUSED)`` says why.
    """
    for row in store.startable(connection):
        request = store.request_row(connection, row.request)
        by, mode = starter(connection, row.id) or request.requester, Mode(row.mode)
        stop = by_hand(connection, ground, row, by, now)
        if stop is None and mode.changes:
            stop = take(connection, ground, row, by, now)
        store.take(connection, row)
        if stop is None:
            append(connection, RunClaimed(run=row.id, request=row.request, mode=mode, by=by))
        else:
            append(connection, ClaimRefused(run=row.id, request=row.request, mode=mode, cause=stop.cause, by=by))
            store.note(connection, row.id, REFUSED, {"cause": stop.cause.value, "why": stop.why})
        return str(row.id)
    return None


def by_hand(connection: Connection, ground: Ground, row: Row[Any], by: str, now: datetime) -> Stop | None:
    """Return what stops a run that works by hand: no role lets its starter any more, or no grant on protected hosts.

    ``noted(LEAVE)`` says under which grant or broken glass it begins, and which approvals of that count.
    """
    body = json.loads(store.request_row(connection, row.request).body)
    found = leave_of(connection, ground.policies(), body, by, now)
    if found is None or not found.ok:
        return Stop(cause=found.cause, why=found.why, hint=found.hint) if found else None
    if found.source:
        grant = open_case(connection, ground.policies(), found.source, now)
        store.note(connection, row.id, LEAVE, {"source": found.source, "approvals": counting(grant, now)})
    if found.glass:
        use(connection, found.glass, row.id, row.request, Mode(row.mode), by, now)
        _note_glass(connection, grant, row.id, found.glass)
    return None


def take(connection: Connection, ground: Ground, row: Row[Any], by: str, now: datetime) -> Stop | None:
    """Claim what a queued run is to change, or return what stops it."""
    mode = Mode(row.mode)
    case = open_case(connection, ground.policies(), row.request, now)
    slot = slot_of(connection, row, mode)
    under = _under(connection, ground, case, row.id, by, now)
    stop = (
        next(stops(case, ground, by, now, under), None) or _claimed(connection, slot) or _before(connection, row, mode)
    )
    if stop is not None:
        return stop
    broken = under if isinstance(under, Broken) and next(lacking(case, now), None) else None
    if broken is None and not case.asked:  # its policy asks for nobody: what it owes is kept all the same
        case = ask_in(connection, case, now)
    elif broken is None and not case.flow.steps:  # nor now, though it did when it was asked for
        settle(connection, case, now)
    claims.add(
        connection, run=row.id, request=row.request, mode=mode, slot=slot, by=by, at=now, approvals=counting(case, now)
    )
    if broken is not None:
        use(connection, broken, row.id, row.request, mode, by, now)
    _tell(connection, case, row.id, broken, now)
    return None


def _under(connection: Connection, ground: Ground, case: Case, run: str, by: str, now: datetime) -> Broken | str:
    """Return the broken glass under which a run is started, or why it is worth nothing; empty: under none."""
    noted = store.noted(connection, run, UNDER)
    if not noted:
        return ""
    if by != case.row.requester:
        return f"{case.who.name(by)} did not ask for it, and a broken glass is for what one planned oneself"
    return covers(connection, ground.policies(), str(noted[-1]), by, case.policy, case.body["hosts"], now)


def _tell(connection: Connection, case: Case, run: str, broken: Broken | None, now: datetime) -> None:
    """Tell whom the policy names of a change that begins, and keep for its record why nobody had to approve it."""
    told = case.policy.told(case.subject, case.who, glass=broken is not None)
    free = not case.flow.steps
    kind = NoticeKind.GLASS_RUN if broken else NoticeKind.FREE if free else NoticeKind.RUN
    tell(connection, told, kind, case.row.id, run, now=now)
    names = sorted(case.who.name(person) for person in told)
    if broken is not None:
        _note_glass(connection, case, run, broken)
    elif free:
        due = case.state(now).review_due
        policy = case.policy.name
        store.note(connection, run, WITHOUT, {"policy": policy, "review_due": stamp(due) if due else "", "told": names})


def slot_of(connection: Connection, row: Row[Any], mode: Mode) -> str:
    """Return what the run would take; an attempt to undo or retry is another only after the one before was claimed."""
    same = [c for c in claims.of_request(connection, row.request) if c.mode == mode.value and c.run != row.id]
    attempts = sum(1 for c in same if mode is not Mode.UNDO or store.run_row(connection, c.run).undoes == row.undoes)
    return claims.slot_of(row.request, mode, str(row.undoes or ""), attempts)


def _note_glass(connection: Connection, case: Case, run: str, broken: Broken) -> None:
    """Keep for a run's record under which broken glass it began, and who was told when that was broken."""
    told = sorted(case.who.name(person) for person in told_of(connection, broken.request, NoticeKind.GLASS))
    store.note(connection, run, WITHOUT, {**broken.as_json(), "told": told})


def stops(case: Case, ground: Ground, by: str, now: datetime, under: Broken | str = "") -> Iterator[Stop]:
    """Yield what keeps a change from beginning, what was sealed first, what people said last.

    Args:
        case: The request and all that decides about it.
        ground: The world outside.
        by: Id of who starts it.
        now: The moment.
        under: The broken glass under which it is started, which stands for approvals and goes through a freeze, or why
            that is worth nothing; empty: it is started under none.
    """
    again = f"plan anew: opsnb run {case.row.runbook} ..."
    yield from (Stop(cause=c, why=w, hint=again) for c, w in _altered(case))
    if found := ground.moved(case.body):
        yield Stop(cause=found[0], why=found[1], hint=ISOLATION_HINT if found[0] is Cause.ISOLATION else again)
    if not case.same_policy():
        why = f"policy {case.policy.name} is not what request {case.row.id} was sealed with"
        yield Stop(cause=Cause.POLICY, why=why, hint=again)
    yield from _people(case, by, now)
    for stop in lacking(case, now):
        if stop.cause is Cause.ENDED or not under:  # a veto holds against a broken glass, too
            yield stop
        elif isinstance(under, str):
            yield Stop(cause=Cause.GLASS, why=under, hint=stop.why)


def lacking(case: Case, now: datetime) -> Iterator[Stop]:
    """Yield what a broken glass stands for: a freeze that holds, and what people have not said."""
    if why := blocked(case.policy.freezes, now, float(case.body["limits"]["run_seconds"])):
        yield Stop(cause=Cause.FREEZE, why=why)
    yield from unapproved(case, now)


def _altered(case: Case) -> Iterator[tuple[Cause, str]]:
    """What stands in the database beside the sealed bytes has to be what was sealed and approved."""
    row = case.row
    if sha256(row.body) != row.digest:
        yield Cause.REQUEST, f"request {row.id} is not what was sealed: its bytes in the database were altered"
    if digestible(row.parameters) != case.body["parameters"]:
        yield Cause.PARAMETERS, f"the parameters of request {row.id} in the database are not the sealed ones"
    if row.plan_digest is None:
        yield Cause.PLAN, f"request {row.id} has no plan yet"
    elif _digest_of(row.plan) != row.plan_digest:
        yield Cause.PLAN, f"the plan of request {row.id} in the database is not the one that was made"


def _digest_of(plan: Any) -> str:
    try:
        return Plan.from_json(plan).digest
    except (OpsnbError, KeyError, TypeError, ValueError):
        return ""


def _people(case: Case, by: str, now: datetime) -> Iterator[Stop]:
    """Who asked for it and who starts it must be here still, and may."""
    for person, action, did in ((case.row.requester, Action.REQUEST, "asked for it"), (by, Action.APPLY, "starts it")):
        decision = may(case.directory, person, action, case.who.target, now)
        if not decision.ok:
            cause = Cause.ROLE if case.who.active(person) else Cause.PERSON
            yield Stop(cause=cause, why=f"{case.who.name(person)}, who {did}, may not: {decision.reason}")


def unapproved(case: Case, now: datetime) -> Iterator[Stop]:
    """Yield what people have not said, an approval that counts no more first."""
    state = case.state(now)
    if state.status is Status.APPROVED:
        return
    for act in case.acts:
        counts = act.kind is ActKind.APPROVE and act.plan == case.subject.plan and act not in state.approvals
        if counts and state.status is Status.OPEN and (found := void(case, act, now)):
            yield Stop(cause=found[0], why=f"an approval does not count any more: {found[1]}", hint=ask_hint(case, now))
    if state.status is Status.EXPIRED:
        yield Stop(cause=Cause.EXPIRED, why=f"request {case.row.id} has expired: {state.reason}")
    elif state.status.final:
        yield Stop(cause=Cause.ENDED, why=f"request {case.row.id} is {state.status.value}: {state.reason}")
    yield Stop(
        cause=Cause.APPROVALS,
        why=f"request {case.row.id} needs the approval of another person",
        hint=ask_hint(case, now),
    )


def ask_hint(case: Case, now: datetime) -> str:
    """Return whom to ask."""
    if not case.asked:
        return f"ask for it: opsnb request {case.row.id} --reason '...'"
    able = ", ".join(case.able(now))
    return f"who may approve it: {able}" if able else "nobody here may approve it now; see: opsnb role list"


def _claimed(connection: Connection, slot: str) -> Stop | None:
    found = claims.taken(connection, slot)
    if found is None:
        return None
    return Stop(cause=Cause.CLAIMED, why=f"it was claimed already, by run {found.run}")


def _before(connection: Connection, row: Row[Any], mode: Mode) -> Stop | None:
    """Return what keeps an undo or a retry from following what was claimed before it, as a second one in the queue."""
    if mode is Mode.APPLY:
        return None
    earlier = [store.run_row(connection, claim.run) for claim in claims.of_request(connection, row.request)]
    if going := [r.id for r in earlier if r.verdict is None]:
        return Stop(cause=Cause.CLAIMED, why=f"run {going[0]} of the same request has not ended")
    undone = [r for r in earlier if r.mode == Mode.UNDO]
    if mode is Mode.UNDO:
        done = [r.id for r in undone if r.undoes == row.undoes and r.verdict == Verdict.DONE]
        why = f"run {row.undoes} is undone already by run {done[0]}" if done else ""
        why = why or ("" if store.made(connection, row.undoes) else f"run {row.undoes} changed nothing")
    else:
        left = len(store.request_row(connection, row.request).plan["changes"]) - len(
            store.made_of_request(connection, row.request)
        )
        why = f"what request {row.request} applied was undone by run {undone[-1].id}" if undone else ""
        why = why or ("" if earlier and left else f"nothing of request {row.request} is left to retry")
    return Stop(cause=Cause.CLAIMED, why=why) if why else None


def counting(case: Case, now: datetime) -> list[dict[str, Any]]:
    """Return the approvals that let a claim through, as the record shows them."""
    name = case.who.name
    return [
        {
            "who": name(a.person) + (f" on behalf of {name(a.on_behalf_of)}" if a.on_behalf_of else ""),
            "at": stamp(a.at), "self": a.person == case.subject.requester,
        }
        for a in case.state(now).approvals
    ]  # fmt: skip


def starter(connection: Connection, run: str) -> str:
    """Return the id of who started a run."""
    return str((store.noted(connection, run, BY) or [""])[-1])
