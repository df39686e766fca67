"""Leave to work by hand: whether somebody may do this on these hosts now, and until when.

One question, asked when a run by hand is asked for, when a worker claims it, and again while it goes on. On hosts that
a policy protects the answer comes from a grant, or from a broken glass; everywhere it needs a role that lets them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from opsnb.base.canonical import digestible, sha256
from opsnb.base.clock import stamp
from opsnb.base.errors import RefusedError
from opsnb.control.approvals.policy import GLASS, Policies, Policy
from opsnb.control.approvals.values import Status
from opsnb.control.flows.case import Case, open_case, policy_of
from opsnb.control.flows.glass import Broken, covering, covers
from opsnb.control.people.rules import may
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Target
from opsnb.control.records import Cause, Risk
from opsnb.control.runs import store

BY_HAND = {"HST-004": Action.EXEC, "HST-005": Action.SSH, "HST-006": Action.CP, "HST-007": Action.CP}
PLANNED = "HST-006"  # it is planned, and its own approval is its grant
GRANTED = frozenset(BY_HAND.values())  # what a grant may be for
MAX_LOOKED_AT = 50  # of somebody's latest grants
MAX_NAMED = 8  # hosts in a refusal
SOON = timedelta(seconds=60)  # before the end of a leave it is said, and looked whether another one holds


@dataclass(frozen=True, kw_only=True)
class Leave:
    """An answer.

    Args:
        ok: Whether they may.
        why: What stands against it.
        hint: What to do about that.
        cause: What it is.
        until: When it ends, if nothing ends it before; ``None``: at no time that is known.
        source: Id of the request that gives it; empty where none is needed.
        glass: The broken glass that gives it, where no grant does.
    """

    ok: bool
    why: str = ""
    hint: str = ""
    cause: Cause = Cause.GRANT
    until: datetime | None = None
    source: str = ""
    glass: Broken | None = None

    def raised(self) -> RefusedError:
        """Return a no as an error."""
        return RefusedError(self.why, hint=self.hint)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What lets somebody work by hand on protected hosts: which request, until when, ``why`` it does not.

    ``waits``: for an approval.
    """

    source: str
    until: datetime
    why: str = ""
    waits: bool = False


def leave(
    connection: Connection, policies: Policies, person: str, action: Action, hosts: list[dict[str, Any]], now: datetime,
    under: str = "",
) -> Leave:  # fmt: skip
    """Return whether a person, by id, may do this by hand on these hosts now, and until when.

    Args:
        connection: The caller's transaction.
        policies: Those that hold.
        person: Who.
        action: ``exec``, ``ssh`` or ``cp``.
        hosts: The sealed rows of the hosts.
        now: The moment.
        under: What gave it before. While that holds and does not end soon nothing else is looked at, and when nothing
            holds any more the answer says what became of it. What goes on under it may go on under another grant; a
            glass is broken for what begins under it.
    """
    if stop := _without_role(connection, person, action, hosts, now):
        return stop
    policy = policy_of(policies, action.value, Risk.CHANGE, hosts, {})
    if not policy.protected:
        return Leave(ok=True)
    before = held_by(connection, policies, under, person, policy, hosts, now) if under else None
    if before and not before.why and before.until - now > SOON:
        return Leave(ok=True, until=before.until, source=under)
    found = list(_held(connection, policies, person, action, hosts, now))
    if good := [held for held in (*found, *([before] if before else ())) if not held.why]:
        longest = max(good, key=lambda held: held.until)
        return Leave(ok=True, until=longest.until, source=longest.source)
    broken = None if under else covering(connection, policies, person, policy, hosts, now)
    if broken:
        return Leave(ok=True, until=broken.until, source=broken.request, glass=broken)
    names = sorted({str(row["name"]) for row in hosts})[:MAX_NAMED]
    last = f"; {found[0].why}" if found else ""
    needed = f"policy {policy.name} protects {', '.join(names)}: '{action}' needs a grant{last}"
    hint = f"opsnb grant {action} {','.join(names)} --reason '...'"
    hint = f"who may approve it: opsnb requests show {found[0].source}" if found and found[0].waits else hint
    return Leave(ok=False, why=before.why if before else needed, hint=hint)


def leave_of(
    connection: Connection, policies: Policies, body: Mapping[str, Any], person: str, now: datetime, under: str = ""
) -> Leave | None:
    """Return the leave that a sealed run needs; ``None`` where it does nothing by hand.

    What is planned needs its role alone: its own approval is its grant.
    """
    action = BY_HAND.get(str(body.get("id") or ""))
    if action is None:
        return None
    if body["id"] == PLANNED:
        return _without_role(connection, person, action, body["hosts"], now) or Leave(ok=True)
    return leave(connection, policies, person, action, body["hosts"], now, under)


def held_by(
    connection: Connection, policies: Policies, source: str, person: str, policy: Policy, hosts: list[dict[str, Any]],
    now: datetime,
) -> Held:  # fmt: skip
    """Return until when one request, a grant or a broken glass, lets a person work on these hosts by hand."""
    case = open_case(connection, policies, source, now)
    if case.row.runbook != GLASS:
        return held_as_grant(case, hosts, now)
    found = covers(connection, policies, source, person, policy, hosts, now)
    if isinstance(found, Broken):
        return Held(source=source, until=found.until)
    return Held(source=source, until=now, why=found)


def _without_role(
    connection: Connection, person: str, action: Action, hosts: list[dict[str, Any]], now: datetime
) -> Leave | None:
    there = directory(connection)
    decision = may(there, person, action, Target.of(action.value, Risk.CHANGE, hosts), now)
    if decision.ok:
        return None
    return Leave(ok=False, why=decision.reason, cause=Cause.ROLE if there.is_active(person) else Cause.PERSON)


def _held(
    connection: Connection, policies: Policies, person: str, action: Action, hosts: list[dict[str, Any]], now: datetime
) -> Iterator[Held]:
    """Yield what somebody holds or held for these hosts, the latest first."""
    mine = (store.requests.c.requester == person) & (store.requests.c.runbook == action.value)
    rows = connection.execute(
        select(store.requests.c.id).where(mine).order_by(store.requests.c.created.desc()).limit(MAX_LOOKED_AT)
    )
    for request in rows.scalars().all():
        case = open_case(connection, policies, request, now)
        if {str(row["name"]) for row in hosts} <= {str(host["name"]) for host in case.body["hosts"]}:
            yield held_as_grant(case, hosts, now)


def held_as_grant(case: Case, hosts: list[dict[str, Any]], now: datetime) -> Held:
    """Return until when a grant holds: from its last approval for its time, while its approvals count.

    It is for hosts with all that was sealed of them: another address or key behind a name is another host.
    """
    grant, state = f"grant {case.row.id}", case.state(now)
    since = max((a.at for a in state.approvals), default=case.subject.asked)
    until = since + timedelta(seconds=float(case.body["seconds"]))
    until = min(until, state.until) if state.until else until
    there = [dict(host) for host in case.body["hosts"]]
    others = sorted(str(row["name"]) for row in hosts if dict(digestible(row)) not in there)
    why = ""
    if not case.asked or sha256(case.row.body) != case.row.digest:
        why = f"{grant} is not what was asked for"
    elif others:
        why = f"{grant} does not cover {', '.join(others[:MAX_NAMED])} as it is now"
    elif state.status is not Status.APPROVED:
        why = f"{grant}: {state.reason}"
    elif not case.same_policy():
        why = f"policy {case.policy.name} is not what {grant} was sealed with"
    elif now >= until:
        why = f"{grant} ended at {stamp(until)}"
    return Held(source=case.row.id, until=until, why=why, waits=state.status is Status.OPEN and case.same_policy())
