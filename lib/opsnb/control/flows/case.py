"""A case: everything that decides about one request, read in one transaction.

It joins what was sealed, what was asked, what people did about it, who they are now, and the policy that holds now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from opsnb.base.canonical import digestible
from opsnb.base.errors import RefusedError
from opsnb.control.approvals import store as approvals
from opsnb.control.approvals.policy import GLASS, Policies, Policy
from opsnb.control.approvals.rules import chosen_step, fold, judge
from opsnb.control.approvals.values import Act, ActKind, Flow, State, Subject
from opsnb.control.flows.who import Known
from opsnb.control.people.rules import Directory, decide, may
from opsnb.control.people.store import directory as read_directory
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.records import Risk
from opsnb.control.runs import store

MAX_TRIED = 500  # people who are asked whether they may approve, to name some of them
MAX_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request and all that decides about it.

    Args:
        row: The request's row.
        body: What was sealed.
        policy: What holds now.
        subject: What is asked for, with the digests that count now.
        acts: What people did about it.
        who: People now.
        asked: Whether an approval was asked for at all.
    """

    row: Row[Any]
    body: dict[str, Any]
    policy: Policy
    subject: Subject
    acts: tuple[Act, ...]
    who: Known
    asked: bool

    @property
    def flow(self) -> Flow:
        """What has to be said."""
        if self.row.runbook == GLASS:
            return self.policy.broken(min(float(self.body["seconds"]), self.policy.glass_most))
        return self.policy.flow(self.subject, self.who)

    @property
    def directory(self) -> Directory:
        """People now."""
        return self.who.directory

    def state(self, now: datetime) -> State:
        """Return what was said adds up to."""
        return fold(self.flow, self.subject, self.acts, self.who, now)

    def with_acts(self, more: Iterable[Act]) -> Case:
        """Return it with more acts."""
        return replace(self, acts=(*self.acts, *more))

    def same_policy(self) -> bool:
        """Whether the policy that holds now says what the sealed one said."""
        return bool(digestible(self.policy.as_json()) == self.body["policy"])

    def approve(self, person: str, now: datetime, *, step: str = "", on_behalf_of: str = "", comment: str = "") -> Act:
        """Return the approval of exactly this request and plan by somebody, at the step that they may approve."""
        step = step or chosen_step(self.flow, self.subject, self.acts, self.who, person, now, on_behalf_of)
        return Act(
            kind=ActKind.APPROVE, person=person, at=now, request=self.subject.digest, plan=self.subject.plan,
            step=step, on_behalf_of=on_behalf_of, comment=comment,
        )  # fmt: skip

    def able(self, now: datetime, most: int = MAX_NAMED) -> list[str]:
        """Return the names of some who may approve now; ``bob for carol`` where one may as a delegate."""
        found: list[str] = []
        steps = [step for step in self.state(now).steps if step.open]
        named = frozenset[str]().union(*(step.people for step in steps)) if steps else frozenset()
        there = self.directory.persons
        for person in [*sorted(named & there), *sorted(there - named)[:MAX_TRIED]]:
            for other in self.ways(person, now):
                found.append(self.who.name(person) + (f" for {self.who.name(other)}" if other else ""))
                break
            if len(found) >= most:
                break
        return sorted(found)

    def ways(self, person: str, now: datetime) -> Iterator[str]:
        """Yield for whom somebody may approve now: the empty text for themselves, ids of those they stand in for."""
        for other in ("", *self.directory.stands_for(person, now)):
            act = self.approve(person, now, on_behalf_of=other)
            if judge(self.flow, self.subject, self.acts, act, self.who).ok:
                yield other


def policy_of(
    policies: Policies, runbook: str, risk: Risk, hosts: list[dict[str, Any]], wanted: dict[str, Any]
) -> Policy:
    """Return the policy that holds for a runbook on hosts, tightened as its notebook wants."""
    environments = {str(row.get("environment") or "") for row in hosts}
    wanted = {**wanted, "validity": float(wanted["validity"])} if "validity" in wanted else wanted
    return policies.choose(risk, environments, runbook).tightened(wanted)


def open_case(connection: Connection, policies: Policies, request: str, now: datetime) -> Case:
    """Read a case in the caller's transaction.

    Raises:
        NotFoundError: If there is no such request.
    """
    row = store.request_row(connection, request)
    query = select(approvals.approvals).where(approvals.approvals.c.request == request)
    found = connection.execute(query).one_or_none()
    acts = approvals.acts_of(connection, request) if found else ()
    return _case(row, found, acts, policies, read_directory(connection), now)


def open_cases(
    connection: Connection, policies: Policies, rows: Sequence[Row[Any]], now: datetime, there: Directory
) -> dict[str, Case]:  # fmt: skip
    """Read the cases of some rows of the table of approvals, by their requests, all at once.

    Args:
        connection: The transaction in which the rows and people were read.
        policies: What holds now.
        rows: Rows of requests for which somebody was asked.
        now: The moment.
        there: People now.
    """
    names = [row.request for row in rows]
    sealed, acts = store.request_rows(connection, names), approvals.acts_of_each(connection, names)
    return {
        row.request: _case(sealed[row.request], row, acts.get(row.request, ()), policies, there, now) for row in rows
    }


def _case(
    row: Row[Any], found: Row[Any] | None, acts: tuple[Act, ...], policies: Policies, there: Directory, now: datetime
) -> Case:  # fmt: skip
    body = json.loads(row.body)
    known = approvals.subject_of(found) if found else None
    subject = Subject(
        request=row.id, digest=row.digest, plan=row.plan_digest or "", requester=row.requester,
        authors=frozenset(body.get("authors", [])), runbook=row.runbook, risk=Risk(row.risk),
        environments=frozenset(str(h.get("environment") or "") for h in body["hosts"]),
        groups=frozenset(str(g) for h in body["hosts"] for g in h.get("groups") or ()),
        asked=known.asked if known else now, review_due=known.review_due if known else None,
    )  # fmt: skip
    return Case(
        row=row, body=body,
        policy=policy_of(policies, row.runbook, subject.risk, body["hosts"], body.get("tightened", {})),
        subject=subject, acts=acts, asked=found is not None,
        who=Known(directory=there, target=Target.of(row.runbook, row.risk, body["hosts"])),
    )  # fmt: skip


def unseen(there: Directory, actor: Actor, requester: str, target: Target, now: datetime) -> str:
    """Return why somebody may not see a request; empty: they asked for it, may read it, or may approve it.

    Args:
        there: People now.
        actor: Who wants to see it.
        requester: Id of who asked for it.
        target: What it is about.
        now: The moment.
    """
    decision = decide(there, actor, Action.READ, target, now)
    if decision.ok:
        return ""
    person = actor.person.id
    own = person == requester and there.is_active(person)
    theirs = own or may(there, person, Action.APPROVE, target, now).ok
    return "" if theirs and actor.in_scope(Action.READ) else decision.reason


def permit_seeing(case: Case, actor: Actor, now: datetime) -> None:
    """Refuse to show a case to who may not see it.

    Raises:
        RefusedError: Says why.
    """
    if why := unseen(case.directory, actor, case.row.requester, case.who.target, now):
        raise RefusedError(why)
