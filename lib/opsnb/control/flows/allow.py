"""Who may do what with a run: decided with the runbook, the risk and the hosts that are sealed in its request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from opsnb.base.clock import now
from opsnb.base.errors import NotFoundError, RefusedError
from opsnb.control.flows.leave import BY_HAND
from opsnb.control.flows.people import permit
from opsnb.control.flows.services import Services
from opsnb.control.people.rules import decide
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Site, Target
from opsnb.control.records import Risk
from opsnb.control.runs import store


def target_of(body: Mapping[str, Any]) -> Target:
    """Return what a sealed request is about."""
    return Target.of(str(body["runbook"]), str(body["risk"]), body["hosts"])


def permit_run(
    connection: Connection, actor: Actor, run: str, action: Action, *, own: Action | None = None
) -> Row[Any]:
    """Return a run's row when somebody may do this with it.

    Args:
        connection: The transaction.
        actor: Who acts.
        run: The run's id.
        action: What they are about to do.
        own: What it takes when they asked for the run themselves.

    Raises:
        NotFoundError: If there is no such run.
        RefusedError: Says why not.
    """
    row = store.run_row(connection, run)
    request = store.request_row(connection, row.request)
    wanted = own if own is not None and request.requester == actor.person.id else action
    body = json.loads(request.body)
    # What is done by hand on a host is covered by the right to do that.
    by_hand = BY_HAND.get(str(body["runbook"])) if wanted in {Action.APPLY, Action.PLAN} else None
    permit(directory(connection), actor, by_hand or wanted, target_of(body), now())
    return row


def seen(connection: Connection, actor: Actor, rows: list[Row[Any]]) -> list[Row[Any]]:
    """Return those of these runs that somebody may see."""
    there, moment = directory(connection), now()
    everything = Target(risk=Risk.DANGER)  # of no runbook: only "*" means that
    if decide(there, actor, Action.READ, everything, moment).ok:
        return rows
    return [
        row for row in rows if decide(there, actor, Action.READ, target_of(_body(connection, row.request)), moment).ok
    ]


def permit_trust(services: Services, actor: Actor, host: str) -> None:
    """Refuse to pin the keys of a host for somebody who may not there.

    Raises:
        NotFoundError: If there is no such host.
        RefusedError: Says why not.
    """
    found = services.inventory().hosts.get(host)
    if found is None:
        raise NotFoundError(f"no host is called '{host[:100]}' in the inventory", hint=f"opsnb host add {host[:100]}")
    site = Site(name=host, environment=found.environment, groups=frozenset(found.groups))
    with services.database.transaction() as connection:
        permit(directory(connection), actor, Action.TRUST, Target(sites=(site,)), now())


def keep_inside(root: Path, state: Path, path: Path) -> None:
    """Refuse a file of this machine to somebody elsewhere, unless it lies in the workspace and is no state of it.

    Raises:
        RefusedError: If it does not.
    """
    found = path.resolve()
    if not found.is_relative_to(root.resolve()) or found.is_relative_to(state.resolve()):
        raise RefusedError(
            f"{path} is not a file of the workspace, and from elsewhere only those are taken",
            hint="opsnb cp sends files along; anything else that reads one runs on the control plane's machine",
        )


def _body(connection: Connection, request: str) -> dict[str, Any]:
    return dict(json.loads(store.request_row(connection, request).body))
