"""The approval engine: what acts add up to (:func:`fold`), and whether one more act is let in (:func:`judge`).

Rules without I/O:

* An approval counts for exactly the request digest and the plan digest that it names; a new plan makes it void.
* It counts only from a person who is active, no service account, not the requester, not an author of the notebook and
  not a delegate of the requester at any moment since the asking, and who is entitled for every environment and the
  runbook of the request *now*: when they act, and again whenever the sum is made. The one exception: the only person
  of a workspace, where the flow lets them.
* It counts while it is valid: given before the request closed, and not older than the flow's validity. When those that
  were enough become too old, the request is expired: whoever still wants it asks anew.
* Somebody who acts for another person (as their delegate at the act and now, or because a step was handed to them) uses
  that person's right, so both must be clean. A person counts once in a flow and so does a right: the first counts.
* A step is done when as many people as it needs approved; in order, a step opens when those before it are done.
* A veto ends the request whatever else was said, before or after; so do a rejection and a withdrawal, for every plan.
  A return ends this plan.
* :func:`fold` depends on the set of the acts, never on the order in which they are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from opsnb.control.approvals.handlers import conflict, standing
from opsnb.control.approvals.tally import Tally, in_time
from opsnb.control.approvals.values import Act, ActKind, Decision, Flow, State, Status, Subject, Who

COMMENTED = {ActKind.RETURN, ActKind.REJECT, ActKind.VETO, ActKind.COMMENT, ActKind.REVIEW}  # worth nothing unexplained
CLOCK = {ActKind.ESCALATE, ActKind.EXPIRE}  # done by no person


def fold(flow: Flow, subject: Subject, acts: Iterable[Act], who: Who, now: datetime) -> State:
    """Return what the acts about a request add up to at ``now``.

    Args:
        flow: What has to be said.
        subject: What is asked for, with the digests that count now.
        acts: Everything that was done about it, in any order.
        who: People as they are now.
        now: The moment.
    """
    return Tally(flow=flow, subject=subject, acts=in_time(acts, subject), who=who, now=now).state()


def judge(flow: Flow, subject: Subject, acts: Sequence[Act], act: Act, who: Who) -> Decision:
    """Return whether one more act is let in, at its own time, and else why not.

    Args:
        flow: What has to be said.
        subject: What is asked for, with the digests that count now.
        acts: Everything that was let in before.
        act: What somebody wants to do.
        who: People as they are now.
    """
    now = max((act.at, *(a.at for a in acts)))  # a clock that went back does not undo what was said
    tally = Tally(flow=flow, subject=subject, acts=in_time(acts, subject), who=who, now=now)
    state = tally.state()
    why = _meant(act, subject) or _done_by(act, who) or _over(act, state) or RULES[act.kind](tally, state, act)
    return Decision(ok=not why, reason=why)


def due(flow: Flow, subject: Subject, acts: Sequence[Act], who: Who, now: datetime) -> tuple[Act, ...]:
    """Return what the clock has to do now: escalate steps that waited too long, say that the time is over.

    The caller keeps these acts before it judges another one, and tells the people who were called.
    """
    found: list[Act] = []
    for kind, step in [(ActKind.ESCALATE, s.name) for s in flow.steps] + [(ActKind.EXPIRE, "")]:
        act = Act(kind=kind, at=now, request=subject.digest, plan=subject.plan, step=step)
        if judge(flow, subject, [*acts, *found], act, who).ok:
            found.append(act)
    return tuple(found)


def chosen_step(
    flow: Flow, subject: Subject, acts: Sequence[Act], who: Who, person: str, now: datetime, on_behalf_of: str = ""
) -> str:
    """Return the name of the first open step that a person may approve now; the first open one where they may none.

    An act names its step; this is which one somebody means who named none. Empty where no step is open.
    """
    open_steps = [s.name for s in fold(flow, subject, acts, who, now).steps if s.open]
    for step in open_steps:
        act = Act(
            kind=ActKind.APPROVE, person=person, at=now, request=subject.digest, plan=subject.plan, step=step,
            on_behalf_of=on_behalf_of,
        )  # fmt: skip
        if judge(flow, subject, acts, act, who).ok:
            return step
    return open_steps[0] if open_steps else ""


def _meant(act: Act, subject: Subject) -> str:
    """Whether the act means what counts now."""
    if act.request != subject.digest:
        return f"request {subject.request} is not what they read: its digest is another"
    if act.plan != subject.plan:
        return f"request {subject.request} has another plan than the one they read"
    return "it was not asked for yet: what they read is older" if act.at < subject.asked else ""


def _done_by(act: Act, who: Who) -> str:
    """Whether somebody did it who may do anything, and said why where that is needed."""
    if (act.kind in CLOCK) != (not act.person):
        return "only the clock escalates and expires, and it does nothing else"
    if act.person and not who.active(act.person):
        return f"{who.name(act.person)} is not an active person of this workspace"
    return "it needs a comment that says why" if act.kind in COMMENTED and not act.comment.strip() else ""


def _over(act: Act, state: State) -> str:
    """Whether the request is over for such an act; words, a review and the clock's last word still come in."""
    late = {ActKind.COMMENT, ActKind.REVIEW} | ({ActKind.EXPIRE} if state.status is Status.EXPIRED else set())
    return f"the request is over: {state.reason}" if state.status.final and act.kind not in late else ""


def _handle(tally: Tally, state: State, act: Act) -> str:
    """Approve, return, reject: what a handler of an open step may do."""
    if state.status is Status.APPROVED:
        return "everything it needs was approved already; only a veto stops it"
    if why := _open(state, act):
        return why
    if act.kind is ActKind.APPROVE:
        if any(act.person == a.person for a in state.approvals):
            return f"{tally.who.name(act.person)} approved it already, and a person counts once"
        if any(act.voice == a.voice for a in state.approvals):
            return f"the right of {tally.who.name(act.voice)} was used already, and it counts once"
    step = tally.step(act.step)
    return tally.unfit(act, step) if step else ""


def _open(state: State, act: Act) -> str:
    step = next((s for s in state.steps if s.name == act.step), None)
    if step is None:
        return f"there is no step '{act.step}'"
    if step.done:
        return f"step '{step.name}' is done"
    return "" if step.open else f"step '{step.name}' is not open yet"


def _veto(tally: Tally, _: State, act: Act) -> str:
    name = tally.who.name(act.person)
    if act.on_behalf_of:
        return "a veto is one's own"
    if act.person == tally.subject.requester:
        return f"{name} asked for it: withdraw it instead"
    if tally.who.bot(act.person):
        return f"{name} is a service account, and those never decide"
    return standing(act.person, tally.subject, tally.who, tally.now)


def _withdraw(tally: Tally, _: State, act: Act) -> str:
    if act.person == tally.subject.requester and not act.on_behalf_of:
        return ""
    return f"only {tally.who.name(tally.subject.requester)}, who asked for it, withdraws it"


def _delegate(tally: Tally, state: State, act: Act) -> str:
    """Hand one's part of a step on: from a handler by name or role to an entitled person who has no part in it."""
    if why := _open(state, act) or _own_part(tally, state, act):
        return why
    step, who = tally.step(act.step), tally.who
    if step is None or tally.handles(step, act.to) or act.to in tally.handed(step).values():
        return f"{who.name(act.to)} handles step '{act.step}' already"
    why = conflict(act.to, tally.flow, tally.subject, who, tally.now)
    return why or standing(act.to, tally.subject, who, tally.now)


def _own_part(tally: Tally, state: State, act: Act) -> str:
    step, name = tally.step(act.step), tally.who.name(act.person)
    if act.on_behalf_of:
        return "a step that was handed on is not handed on again"
    if any(act.person in {a.person, a.voice} for a in state.approvals):
        return f"{name} approved it already, and a person counts once"
    return tally.unfit(act, step) if step else ""


def _escalate(tally: Tally, state: State, act: Act) -> str:
    if why := _open(state, act):
        return why
    step, found = tally.step(act.step), next(s for s in state.steps if s.name == act.step)
    if step is None or found.escalated or not step.within or not step.escalate_to or found.since is None:
        return f"step '{act.step}' has nobody left to be called"
    due_at = found.since + timedelta(seconds=step.within)
    return "" if tally.now >= due_at else f"step '{act.step}' has time left"


def _expire(tally: Tally, state: State, _: Act) -> str:
    if state.status is not Status.EXPIRED:
        return "its time is not over"
    return "it expired already" if tally.expired else ""


def _comment(*_: object) -> str:
    return ""


def _review(tally: Tally, state: State, act: Act) -> str:
    if state.review_due is None:
        return "nothing of it went without an approval, so there is nothing to review"
    if state.reviewed:
        return "it was reviewed already"
    why = conflict(act.person, tally.flow, tally.subject, tally.who, tally.now)
    return why or standing(act.person, tally.subject, tally.who, tally.now)


RULES: dict[ActKind, Callable[[Tally, State, Act], str]] = {
    ActKind.APPROVE: _handle,
    ActKind.RETURN: _handle,
    ActKind.REJECT: _handle,
    ActKind.VETO: _veto,
    ActKind.WITHDRAW: _withdraw,
    ActKind.DELEGATE: _delegate,
    ActKind.ESCALATE: _escalate,
    ActKind.EXPIRE: _expire,
    ActKind.COMMENT: _comment,
    ActKind.REVIEW: _review,
}
