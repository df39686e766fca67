"""Why somebody may do something, or may not: the very decision that would be taken, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsnb.base.clock import now as current
from opsnb.base.errors import NotFoundError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.flows.hosts import THIS_MACHINE
from opsnb.control.flows.people import looked
from opsnb.control.flows.seal import chosen, name_of
from opsnb.control.people.names import shown
from opsnb.control.people.rules import may
from opsnb.control.people.values import ON_HOSTS, ON_RUNBOOKS, Action, Actor, Target
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services


def explain(services: Services, actor: Actor, name: str, action: str, runbook: str, hosts: str) -> dict[str, Any]:
    """Return whether a user may do this by their roles, and why.

    Args:
        services: What the flow needs.
        actor: Who asks.
        name: Whom it is about.
        action: What they would do.
        runbook: An id, for what is done with runbooks.
        hosts: A selector; this machine where it is empty.

    Raises:
        NotFoundError: If there is no such user, runbook or host.
        UsageError: If there is no such action, or it is not said with which runbook.
    """
    there = looked(services, actor)
    person = there.named(name)
    if person is None:
        hint = did_you_mean(name, [p.name for p in there.people.values()], what="users")
        raise NotFoundError(f"no user is called '{shown(name)}'", hint=hint)
    if action not in set(Action):
        hint = did_you_mean(action, list(Action), what="actions")
        raise UsageError(f"'{shown(action)}' is nothing that a role may allow", hint=hint)
    what, known, risk = Action(action), "", Risk.READ
    if what in ON_RUNBOOKS:
        if not runbook:
            raise UsageError(f"'{what}' is about a runbook, and none is named", hint="--runbook NGX-010")
        found = chosen(services, runbook)
        known, risk = name_of(found), found.risk
    rows = _rows(services, hosts) if what in ON_HOSTS else []
    decision = may(there, person.id, what, Target.of(known, risk, rows), current())
    return {
        "user": person.name, "action": what.value, "runbook": known, "hosts": [row["name"] for row in rows],
        "ok": decision.ok, "reason": decision.reason,
        "on_behalf_of": there.name(decision.on_behalf_of) if decision.on_behalf_of else "",
    }  # fmt: skip


def _rows(services: Services, hosts: str) -> list[dict[str, Any]]:
    """Return the hosts that are meant; nothing connects to them, so they need no pinned key."""
    if hosts in {"", THIS_MACHINE}:
        return [{"name": THIS_MACHINE}]
    inventory = services.inventory()
    return [dict(inventory.row(name)) for name in inventory.select(hosts)]
