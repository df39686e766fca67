"""Which hosts a run is for: a selector, resolved against the inventory when the request is sealed.

Rules:

* The selector is what was asked for (``--hosts`` or the parameter ``hosts``), else the front matter's ``hosts``, else
  this machine. A runbook that declares neither runs on this machine only.
* A sealed row holds all that a kernel needs to reach its host, and the host's pinned key. A host that is reached by SSH
  and has no pinned key is refused: nothing is ever connected to on trust.
* An approval is for these hosts. Before an application the selector is resolved again, and a host that came, went or
  changed is a reason to plan anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opsnb.base.canonical import digest, digestible
from opsnb.base.errors import InventoryError, RefusedError, UsageError
from opsnb.control.flows.active import active
from opsnb.control.flows.machine import machine_key
from opsnb.control.records import Cause
from opsnb.control.revision import store
from opsnb.fleet.inventory.written import files_of

if TYPE_CHECKING:
    from opsnb.control.catalog import Runbook
    from opsnb.control.flows.seal import Asked
    from opsnb.control.flows.services import Services

THIS_MACHINE = "localhost"
PARAMETER = "hosts"  # by habit a selector
KEY = "host key"  # what two rows of a host may differ in
MAX_NAMED = 8  # hosts named in a message


def with_hosts(runbook: Runbook, asked: Asked) -> Asked:
    """Return what is asked for with ``--hosts`` where the runbook expects it: in its parameter ``hosts``.

    Raises:
        UsageError: If the runbook takes no hosts, or is told twice which.
    """
    if not asked.hosts:
        return asked
    if not _declares(runbook):
        if asked.hosts == THIS_MACHINE or (runbook.front and runbook.front.hosts):
            return asked
        raise UsageError(
            f"--hosts {asked.hosts}: {runbook.id or runbook.path} runs on this machine only",
            hint='a runbook that takes hosts has the parameter: hosts: str = "localhost"  # which hosts',
        )
    given = asked.texts.get(PARAMETER, asked.values.get(PARAMETER, asked.hosts))
    if given != asked.hosts:
        raise UsageError(f"--hosts {asked.hosts} and the parameter hosts={given} differ; give one of them")
    texts = {name: text for name, text in asked.texts.items() if name != PARAMETER}
    return replace(asked, texts=texts, values={**asked.values, PARAMETER: asked.hosts})


def selector_of(runbook: Runbook, asked: Asked, values: dict[str, Any]) -> str:
    """Return the selector of a run whose parameters are ``values``."""
    if _declares(runbook):
        return str(values[PARAMETER])
    return asked.hosts or (runbook.front.hosts if runbook.front else "") or THIS_MACHINE


def rows_of(services: Services, selector: str) -> list[dict[str, Any]]:
    """Return the sealed rows of the hosts that a selector chooses.

    Raises:
        UsageError: If the selector or the inventory is wrong, or it chooses nothing.
        RefusedError: If a host has no pinned key.
    """
    if selector == THIS_MACHINE:  # needs no inventory, and works with a broken one while files hold as they are
        return [_this_machine({"name": THIS_MACHINE, "transport": "local", **_said_of_this_machine(services)})]
    inventory = services.inventory()
    rows = [_this_machine(inventory.row(name)) for name in inventory.select(selector)]
    bare = [hop["name"] for row in rows for hop in (row, *row.get("via", [])) if not _pinned(hop)]
    if bare:
        raise RefusedError(
            f"no key is pinned for {_named(bare)}, so nothing connects there",
            hint=f"opsnb host trust {bare[0]}   shows the host's keys and pins them"
            + ("; then: opsnb activate" if active(services) else ""),
        )
    return rows


def _said_of_this_machine(services: Services) -> dict[str, Any]:
    """Return environment and groups of this machine, where the inventory has it: policies and roles go by them."""
    try:
        if not _names_this_machine(services):
            return {}
        row = services.inventory().row(THIS_MACHINE)
    except (InventoryError, OSError):
        if active(services):
            raise
        return {}
    return {name: row[name] for name in ("environment", "groups") if row.get(name)}


def _names_this_machine(services: Services) -> bool:
    """Whether the inventory has this machine's name in it: reading a long one costs a second, looking at it nothing."""
    name, holds = THIS_MACHINE.encode(), active(services)
    if holds is None:
        return any(name in path.read_bytes() for path in files_of(services.workspace.root))
    with services.database.looking() as connection:
        return any(name in store.content(connection, digest) for _, digest in holds.revision.inventory)


def host_changes(services: Services, body: dict[str, Any]) -> tuple[Cause, str] | None:
    """Return how the hosts that a sealed request's selector chooses now are others than it was sealed with."""
    sealed = {row["name"]: row for row in body["hosts"]}
    try:
        now = {row["name"]: digestible(row) for row in rows_of(services, body.get("selector", THIS_MACHINE))}
    except UsageError as error:
        return Cause.INVENTORY, f"the hosts of request {body['request']} cannot be found any more: {error}"
    except RefusedError as error:
        return Cause.HOST_KEY, error.message
    moved = [f"{name} has come" for name in now if name not in sealed]
    moved += [f"{name} has gone" for name in sealed if name not in now]
    other = {n: _difference(sealed[n], now[n]) for n in sealed if n in now and now[n] != sealed[n]}
    found = moved + [f"{name} has another {what}" for name, what in other.items()]
    if not found:
        return None
    cause = Cause.HOSTS if moved else Cause.HOST_KEY if KEY in other.values() else Cause.INVENTORY
    return cause, f"the hosts are not those of request {body['request']} any more: {'; '.join(found[:MAX_NAMED])}"


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    names = [n for n in (*new, *old) if old.get(n) != new.get(n)]
    return KEY if "key" in names or "keys" in names else str(names[0])


def _declares(runbook: Runbook) -> bool:
    return any(parameter.name == PARAMETER for parameter in runbook.parameters)


def _this_machine(row: dict[str, Any]) -> dict[str, Any]:
    """A local row's key is a digest of this machine's id; a container's is the digest of where it is."""
    kind = row.get("transport", "local")
    if kind == "local":
        return {**row, "key": machine_key()}
    if kind == "container":
        return {**row, "key": digest({"engine": row.get("engine", ""), "container": row.get("container", "")})}
    return row


def _pinned(row: dict[str, Any]) -> bool:
    return row.get("transport", "ssh") != "ssh" or bool(row.get("keys"))


def _named(hosts: list[str]) -> str:
    names = list(dict.fromkeys(hosts))
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
