"""Login: a host's credential goes to a run that may have it, by reference through the inventory.

``observe`` any time, ``sudo`` any time (a plan has to read what only root reads), ``change`` only in apply and undo
after the plan was let through. Only hosts that are sealed in the request, and the jump hosts on the way to them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import NotFoundError, RefusedError
from opsnb.base.parameters import did_you_mean
from opsnb.control.flows.reveal import release
from opsnb.control.ledger.events import Purpose
from opsnb.control.runs.launcher import AGENT
from opsnb.fleet.inventory import Credential, Inventory

if TYPE_CHECKING:
    from opsnb.control.flows.converse import Conversation
    from opsnb.control.flows.services import Services


def credential(conversation: Conversation, message: dict[str, Any]) -> dict[str, Any]:
    """Answer the link's ``credential``: how to log in to one of the sealed hosts, or its password for sudo.

    Raises:
        RefusedError: If the host is not sealed, or the purpose is ``change`` and nothing may be changed now.
    """
    host, purpose = str(message["host"]), Purpose(message["purpose"])
    if purpose is Purpose.REVEAL:
        raise RefusedError("a credential is released for observe, change or sudo")
    row = _sealed_row(conversation, host)
    changing = conversation.mode.changes and conversation.let_through and not conversation.drifted
    if purpose is Purpose.CHANGE and not changing:
        raise RefusedError(
            f"the credential for changes on '{host}' is released when a plan was let through, and in mode "
            f"{conversation.mode.value} none was" + (" after a drift" if conversation.drifted else "")
        )
    inventory = conversation.services.inventory()
    if purpose is Purpose.SUDO:
        found = _sudo(inventory, host)
        return {"kind": "password", "password": _named(conversation, found, purpose)}
    name = row.get("credential", {}).get(purpose.value, "")
    if not name:
        return {"kind": "agent"}
    if name not in inventory.credentials:
        hint = did_you_mean(name, inventory.credentials, what="credentials")
        raise NotFoundError(f"host '{host}' was sealed with credential '{name}', which the inventory lacks now; {hint}")
    return _login(conversation, inventory.credentials[name], purpose)


def agent_for(services: Services, rows: Iterable[Mapping[str, Any]]) -> str:
    """Return where the SSH agent listens, for a run that is sealed with a host which is reached by it; else nothing."""
    place = os.environ.get(AGENT, "")
    steps = [step for row in rows for step in (row, *row.get("via", ()))] if place else []
    by_ssh = [step.get("credential") or {} for step in steps if step.get("transport", "ssh") == "ssh"]
    names = {str(named.get(purpose, "")) for named in by_ssh for purpose in (Purpose.OBSERVE, Purpose.CHANGE)}
    engine = any(str(step.get("engine", "")).startswith("ssh://") for step in steps)
    if not names and not engine:
        return ""
    known = services.inventory().credentials
    signs = engine or any(name not in known or known[name].kind == "agent" for name in names)
    return place if signs else ""


def _login(conversation: Conversation, found: Credential, purpose: Purpose) -> dict[str, Any]:
    if found.kind == "agent":
        return {"kind": "agent"}
    if found.kind == "password":
        return {"kind": "password", "password": _named(conversation, found.secret, purpose)}
    if found.file:
        key = release(conversation, conversation.services.secrets.read_file(found.file), purpose)
    else:
        key = _named(conversation, found.secret, purpose)
    made = {"kind": "key", "key": key}
    for field in ("passphrase", "certificate"):
        if reference := getattr(found, field):
            made[field] = _named(conversation, reference, purpose)
    return made


def _sudo(inventory: Inventory, host: str) -> str:
    found = inventory.host(host).sudo_secret
    if not found:
        raise NotFoundError(f"the inventory names no password for sudo on '{host}'; sudo: {{secret: NAME}}")
    return found


def _sealed_row(conversation: Conversation, host: str) -> dict[str, Any]:
    for row in conversation.body["hosts"]:
        for step in (row, *row.get("via", ())):
            if step["name"] == host:
                return dict(step)
    raise RefusedError(f"host '{host[:100]}' is not sealed in this request, so nothing logs in to it")


def _named(conversation: Conversation, reference: str, purpose: Purpose) -> str:
    return release(conversation, conversation.services.secrets.read(reference), purpose)
