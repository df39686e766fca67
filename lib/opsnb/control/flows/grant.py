"""Grants: commands, terminals and copies by hand on protected hosts, for a reason and for a time.

A grant is a request like any other: sealed, asked for under the policy of its hosts, approved by the same people, shown
in the same lists. Its runbook is what it grants: ``exec``, ``ssh`` or ``cp``. It begins when it is approved.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from opsnb.base.canonical import digestible
from opsnb.base.clock import new_id, parse, stamp
from opsnb.base.clock import now as current
from opsnb.base.errors import RefusedError, UsageError
from opsnb.control.approvals.policy import Policies
from opsnb.control.approvals.values import ActKind, Status
from opsnb.control.flows.approve import Deed, act_in
from opsnb.control.flows.ask import ask_in
from opsnb.control.flows.case import open_case, policy_of
from opsnb.control.flows.hosts import rows_of
from opsnb.control.flows.leave import GRANTED, leave
from opsnb.control.flows.people import permit
from opsnb.control.flows.worded import body_of, seal_words
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Target
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def ask_grant(services: Services, actor: Actor, action: Action, selector: str, reason: str, seconds: float) -> str:
    """Ask for a grant; return its request. The only person of a workspace gives it to themselves, and that is recorded.

    Raises:
        RefusedError: If the one who asks may not do that on every host.
        UsageError: If no grant is needed there, it needs a reason, or it would hold longer than the policy lets it.
    """
    now = parse(stamp(current()))
    if action not in GRANTED or not reason.strip():
        raise UsageError(f"a grant is for {', '.join(sorted(GRANTED))}, and says why")
    hosts = [dict(digestible(row)) for row in rows_of(services, selector)]
    policy = policy_of(services.policies, action.value, Risk.CHANGE, hosts, {})
    if not policy.protected:
        raise UsageError(f"policy {policy.name} protects none of these hosts: no grant is needed for '{action}'")
    if not 0 < seconds <= policy.grant:
        raise UsageError(
            f"policy {policy.name} lets a grant hold {policy.grant / 60:g} minutes at most, not {seconds / 60:g}"
        )
    request = new_id()
    body = body_of(
        request, action.value, f"{action} by hand for {seconds:.0f} s", hosts, policy,
        selector=selector, why=reason, seconds=seconds,
    )  # fmt: skip
    with services.database.transaction() as connection:
        target = Target.of(action.value, Risk.CHANGE, hosts)
        permit(directory(connection), actor, action, target, now)
        seal_words(connection, actor, body)
        case = ask_in(connection, open_case(connection, services.policies, request, now), now)
        if case.who.alone() and case.flow.own and case.state(now).status is Status.OPEN:
            act_in(connection, services.policies, actor, request, Deed(kind=ActKind.APPROVE), now)
    return request


def require_grant(
    connection: Connection, policies: Policies, actor: Actor, action: Action, hosts: list[dict[str, Any]], now: datetime
) -> None:
    """Refuse what is done by hand without the right to, or on protected hosts without a grant that holds now.

    Raises:
        RefusedError: Says why, and how to ask for one.
    """
    permit(directory(connection), actor, action, Target.of(action.value, Risk.CHANGE, hosts), now)
    found = leave(connection, policies, actor.person.id, action, hosts, now)
    if not found.ok:
        raise found.raised()
    if found.glass and not actor.in_scope(Action.BREAK_GLASS):
        raise RefusedError(f"this {actor.via} of {actor.person.name} is not good for '{Action.BREAK_GLASS}'")
