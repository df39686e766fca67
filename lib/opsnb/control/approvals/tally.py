"""What the acts about a request add up to at one moment: the sum behind ``rules.fold``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from opsnb.control.approvals.handlers import conflict, meant, standing
from opsnb.control.approvals.values import (
    Act,
    ActKind,
    Flow,
    Handler,
    Need,
    State,
    Status,
    Step,
    StepState,
    Subject,
    Who,
)

ENDS = {ActKind.VETO: Status.VETOED, ActKind.WITHDRAW: Status.WITHDRAWN, ActKind.REJECT: Status.REJECTED}
SAID = {
    Status.VETOED: "{name} vetoed it",
    Status.WITHDRAWN: "{name} withdrew it",
    Status.REJECTED: "{name} rejected it",
    Status.RETURNED: "{name} returned it: plan anew",
}


def in_time(acts: Iterable[Act], subject: Subject) -> tuple[Act, ...]:
    """Return the acts about this very request, oldest first."""
    own = [a for a in acts if a.request == subject.digest]
    return tuple(sorted(own, key=lambda a: (a.at, a.step, a.person, a.voice, a.kind, a.to)))


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One sum: the arguments of :func:`opsnb.control.approvals.rules.fold`, the acts in the order of time."""

    flow: Flow
    subject: Subject
    acts: tuple[Act, ...]
    who: Who
    now: datetime

    def state(self) -> State:
        """Return the sum."""
        steps = self._steps()
        until = self._until(steps)
        status, reason = self._status(steps, until)
        return State(
            status=status, reason=reason, steps=steps,
            until=until if status in {Status.OPEN, Status.APPROVED} else None,
            own=any(a.person == self.subject.requester for s in steps for a in s.approvals),
            review_due=self.review_due,
            reviewed=any(a.kind is ActKind.REVIEW for a in self.of_plan),
        )  # fmt: skip

    @property
    def of_plan(self) -> tuple[Act, ...]:
        """The acts about the plan that counts now."""
        return tuple(a for a in self.acts if a.plan == self.subject.plan)

    @property
    def expired(self) -> bool:
        """Whether the clock said that the time is over; what it said before it was asked for anew is over itself."""
        return any(a.kind is ActKind.EXPIRE and a.at >= self.subject.asked for a in self.of_plan)

    @property
    def review_due(self) -> datetime | None:
        """When what went without an approval has to be reviewed: as kept then, else as the flow says."""
        if self.subject.review_due or self.flow.steps or not self.flow.review:
            return self.subject.review_due
        return self.subject.asked + timedelta(seconds=self.flow.review)

    @property
    def closes(self) -> datetime:
        """When approvals are no longer taken."""
        return self.subject.asked + timedelta(seconds=self.flow.open_for)

    def ends(self, act: Act) -> datetime:
        """When an approval is too old."""
        return act.at + timedelta(seconds=self.flow.validity)

    def _status(self, steps: tuple[StepState, ...], until: datetime) -> tuple[Status, str]:
        for kind, status in ENDS.items():
            if found := [a for a in self.acts if a.kind is kind]:
                return status, SAID[status].format(name=self.who.name(found[0].person))
        if found := [a for a in self.of_plan if a.kind is ActKind.RETURN]:
            return Status.RETURNED, SAID[Status.RETURNED].format(name=self.who.name(found[0].person))
        if self.expired or self.now >= until:
            return Status.EXPIRED, "its time is over: ask anew"
        if all(s.done for s in steps):
            return Status.APPROVED, "everybody it needs approved it" if steps else "its policy asks for nobody"
        step = next(s for s in steps if s.open)
        return Status.OPEN, f"step '{step.name}' has {len(step.approvals)} of {step.needed} approvals"

    def _until(self, steps: tuple[StepState, ...]) -> datetime:
        """When an approved request lapses, or an open one closes; one that was approved once is not approved again."""
        if not steps:
            return self.subject.asked + timedelta(seconds=self.flow.validity)
        lapses = self._lapses()
        if lapses and (self.now >= lapses or all(s.done for s in steps)):
            return lapses
        return self.closes

    def _lapses(self) -> datetime | None:
        """When the approvals that were enough for the first time are too old; ``None``: they never were enough."""
        for act in self.of_plan:
            if act.kind is ActKind.APPROVE and act.at <= self.now:
                steps = replace(self, now=act.at)._steps()  # noqa: SLF001  (of the same class)
                if all(s.done for s in steps):
                    return min(self.ends(s.approvals[-s.needed]) for s in steps)
        return None

    def _steps(self) -> tuple[StepState, ...]:
        given = self._counting()
        found: list[StepState] = []
        since: datetime | None = self.subject.asked
        for step in self.flow.steps:
            approvals = tuple(a for a in given if a.step == step.name)
            needed = self.needed(step)
            done = since is not None and len(approvals) >= needed
            found.append(
                StepState(
                    name=step.name, open=since is not None and not done, done=done, needed=needed, approvals=approvals,
                    people=self.people(step), anyone=meant(step.handlers, self.subject, self.who)[1],
                    handed=self.handed(step), escalated=self.escalated(step), since=since,
                )
            )  # fmt: skip
            if not self.flow.parallel and since is not None:
                since = max(since, approvals[needed - 1].at) if done else None
        return tuple(found)

    def _counting(self) -> list[Act]:
        """The approvals that count, oldest first: of several by one person or with one right, the first."""
        seen: set[str] = set()
        rights: set[str] = set()
        found = []
        for act in self.of_plan:
            if act.kind is ActKind.APPROVE and self.counts(act) and act.person not in seen and act.voice not in rights:
                seen.add(act.person)
                rights.add(act.voice)
                found.append(act)
        return found

    def counts(self, act: Act) -> bool:
        """Whether an approval is worth something now."""
        step = self.step(act.step)
        in_its_time = self.subject.asked <= act.at < self.closes and act.at <= self.now < self.ends(act)
        return step is not None and in_its_time and not self.unfit(act, step)

    def unfit(self, act: Act, step: Step) -> str:
        """Why the person of an act, and whom they acted for, may not handle a step; empty: they may."""
        for person in dict.fromkeys((act.person, act.voice)):
            if why := conflict(person, self.flow, self.subject, self.who, self.now):
                return why
        if not self.who.active(act.person):
            return f"{self.who.name(act.person)} is not an active person of this workspace"
        if not self.handles(step, act.voice):
            return f"{self.who.name(act.voice)} is not one of those who handle step '{step.name}'"
        return self._without_right(act, step)

    def _without_right(self, act: Act, step: Step) -> str:
        """Why the right of a handler is not in the hands of whoever acted: handed on, not delegated, not entitled."""
        who, to = self.who, self.handed(step).get(act.voice, "")
        if act.on_behalf_of and to == act.person:
            return standing(act.person, self.subject, who, self.now)
        if act.on_behalf_of and not all(act.on_behalf_of in who.stands_for(act.person, t) for t in (act.at, self.now)):
            return f"{who.name(act.person)} is not a delegate of {who.name(act.on_behalf_of)}"
        if to:
            return f"{who.name(act.voice)} handed step '{step.name}' to {who.name(to)}"
        return standing(act.voice, self.subject, who, self.now)

    def step(self, name: str) -> Step | None:
        """The step of a name."""
        return next((s for s in self.flow.steps if s.name == name), None)

    def handles(self, step: Step, person: str) -> bool:
        """Whether a step means a person."""
        people, anyone = meant(self.handlers(step), self.subject, self.who)
        return anyone or person in people

    def people(self, step: Step) -> frozenset[str]:
        """Who may handle a step now, whoever ``anyone`` means left out."""
        handed = self.handed(step)
        return (meant(self.handlers(step), self.subject, self.who)[0] - set(handed)) | set(handed.values())

    def needed(self, step: Step) -> int:
        """How many people a step needs."""
        if step.need is not Need.ALL:
            return step.count if step.need is Need.SOME else 1
        people = meant(step.handlers, self.subject, self.who)[0]
        able = sum(not self.left_out(p) for p in people)
        nobody = sum(meant([h], self.subject, self.who) == (frozenset(), False) for h in step.handlers)
        return max(step.count, able + nobody)  # who is named and is not there does not make it fewer

    def left_out(self, person: str) -> bool:
        """Whether ``all`` does not mean a person, who may not approve. Whom the requester appoints is not left out.

        Or the requester would choose how many have to approve.
        """
        subject, who = self.subject, self.who
        appointed = person not in subject.authors and who.stood_for(person, subject.requester, subject.asked, self.now)
        return bool(conflict(person, self.flow, subject, who, self.now)) and not appointed

    def escalated(self, step: Step) -> bool:
        """Whether the clock called the further handlers."""
        return any(a.kind is ActKind.ESCALATE and a.step == step.name for a in self.of_plan)

    def handed(self, step: Step) -> dict[str, str]:
        """Who handed their part of a step to whom; the first time counts."""
        found: dict[str, str] = {}
        for act in self.of_plan:
            if act.kind is ActKind.DELEGATE and act.step == step.name and not act.on_behalf_of:
                found.setdefault(act.person, act.to)
        return found

    def handlers(self, step: Step) -> tuple[Handler, ...]:
        """The handlers of a step, the further ones with them once it was escalated."""
        return (*step.handlers, *(step.escalate_to if self.escalated(step) else ()))
