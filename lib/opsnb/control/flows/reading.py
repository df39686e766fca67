"""What there is: hosts and runbooks that hold, each only to who may see runs of it.

* What holds is shown: with several people the active revision's inventory, schedules and notebooks, not their files.
* A host is shown to who may read runs of some runbook there; a runbook to who may read its runs on some host. Selectors
  choose among the hosts that one may see, so neither an answer nor a hint tells of others.
* What is not there and what one may not see answer alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import InventoryError, NotFoundError, UsageError
from opsnb.base.nearest import did_you_mean
from opsnb.control.catalog import Broken, Catalog, Runbook
from opsnb.control.flows.active import active, text_of
from opsnb.control.flows.seal import name_of
from opsnb.control.people.rules import Directory, may_partly
from opsnb.control.people.store import directory
from opsnb.control.people.values import Action, Actor, Site, Target
from opsnb.control.records import Risk
from opsnb.control.revision import store
from opsnb.control.revision.values import Part
from opsnb.fleet.inventory import THIS_MACHINE, Host, Inventory, row_of, shown
from opsnb.fleet.inventory.edit import referers, schedules_of

if TYPE_CHECKING:
    from opsnb.control.flows.services import Services

PAGE, MOST = 500, 1000  # hosts on a page
Sees = Callable[[Host], bool]


def hosts(services: Services, actor: Actor, *, selector: str = "", after: str = "", most: int = PAGE) -> dict[str, Any]:
    """Return a page of the hosts that a selector chooses; ``next`` is what ``after`` has to be for the next one.

    Raises:
        UsageError: If it is no selector, or means no host; if ``after`` is none of these hosts.
    """
    inventory, sees = services.inventory(), _sees(services, actor)
    seen = _seen(inventory, sees)
    chosen = _chosen(inventory, seen, sees, selector) if selector else seen
    if after and after not in chosen:
        raise UsageError(f"'{after[:100]}' is not among these hosts", hint="begin with the first page again")
    begin, most = chosen.index(after) + 1 if after else 0, max(1, min(most, MOST))
    page = chosen[begin : begin + most]
    more = page[-1] if begin + most < len(chosen) else None
    return {"hosts": [_bounded(inventory, sees, row_of(inventory, name)) for name in page], "next": more}


def host(services: Services, actor: Actor, name: str) -> dict[str, Any]:
    """Return everything that holds for a host, and what refers to it.

    Raises:
        NotFoundError: If nobody is called so, or one may not see it.
    """
    inventory, sees = services.inventory(), _sees(services, actor)
    seen = _seen(inventory, sees)
    if name not in seen and not (name == THIS_MACHINE and sees(inventory.host(name))):
        raise NotFoundError(f"no host is called '{name[:100]}'", hint=did_you_mean(name, seen, what="hosts"))
    part = _part(inventory, seen)
    found = shown(inventory, name, referers(part, name, _schedules(services)))
    found["services"] = [service for service in found["services"] if service in part.services]
    return _bounded(inventory, sees, found)


def runbooks(services: Services, actor: Actor) -> dict[str, Any]:
    """Return what can run, and what is broken and why."""
    found = _catalog(services)
    sees = _reads(services, actor)
    return {
        "runbooks": [r.summary() for r in found.runbooks if sees(r)],
        "built_in": [r.summary() for r in found.built_in if sees(r)],
        "broken": [b.as_json() for b in found.broken if sees(b)],
    }


def runbook(services: Services, actor: Actor, name: str) -> dict[str, Any]:
    """Return a runbook by its id or its path in the workspace: its facts and its parameters.

    Raises:
        NotFoundError: If there is none, or one may not see it.
        NotebookError: If it is broken.
    """
    found = _catalog(services)
    sees = _reads(services, actor)
    entries: list[Runbook | Broken] = [*found.runbooks, *found.broken, *found.built_in]
    there = [entry for entry in entries if sees(entry)]
    entry = next((e for e in there if e.path == name or (e.id and e.id == name.upper())), None)
    if entry is None:
        hint = did_you_mean(name, [e.id or e.path for e in there], what="runbooks")
        raise NotFoundError(f"no runbook is called {name!r:.120}", hint=hint)
    if isinstance(entry, Broken):
        raise entry.error
    return entry.as_json()


# -- hosts ---------------------------------------------------------------------------------------------------------


def _sees(services: Services, actor: Actor) -> Sees:
    """Return who says of a host whether the one who acts may see it; hosts in one environment and group are alike."""
    there = _directory(services)
    known: dict[tuple[str, tuple[str, ...]], bool] = {}

    def sees(host: Host) -> bool:
        kind = (host.environment, host.groups)
        if kind not in known:
            site = Site(name=host.name, environment=host.environment, groups=frozenset(host.groups))
            known[kind] = may_partly(there, actor, Action.READ, Target(sites=(site,)))
        return known[kind]

    return sees


def _seen(inventory: Inventory, sees: Sees) -> list[str]:
    return [name for name, host in inventory.hosts.items() if sees(host)]


def _chosen(inventory: Inventory, seen: Sequence[str], sees: Sees, selector: str) -> list[str]:
    """Return which of the hosts that one may see a selector means."""
    here = sees(inventory.host(THIS_MACHINE))  # it is there without being listed
    found = [name for name in _part(inventory, seen).select(selector) if name != THIS_MACHINE or here]
    if not found:
        raise InventoryError(f"selector '{selector:.200}' means no host", hint="see: opsnb host list")
    return found


def _part(inventory: Inventory, seen: Sequence[str]) -> Inventory:
    """Return the inventory of these hosts alone, with the groups and services that have one of them."""
    if len(seen) == len(inventory.hosts):
        return inventory
    part = replace(inventory.only(seen), services=inventory.services)
    groups = {name: group for name, group in part.groups.items() if group.members}
    services = {name: service for name, service in part.services.items() if part.hosts_of(name)}
    return replace(part, groups=groups, services=services)


def _bounded(inventory: Inventory, sees: Sees, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in which a jump host that one may not see has nothing but its name."""
    jumps = row.get("via", [])
    return (
        row | {"via": [j if sees(inventory.host(j["name"])) else {"name": j["name"]} for j in jumps]} if jumps else row
    )


def _schedules(services: Services) -> dict[str, str]:
    """Return the schedules that hold: path and text."""
    holds = active(services)
    if holds is None:
        return schedules_of(services.workspace.root)
    files = {p: d for p, d in holds.revision.of(Part.SCHEDULES).items() if Path(p).suffix == ".yaml"}
    with services.database.looking() as connection:
        return {path: text_of(store.content(connection, digest)) for path, digest in files.items()}


# -- runbooks ------------------------------------------------------------------------------------------------------


def _catalog(services: Services) -> Catalog:
    """Return the notebooks that hold: the files, or with several people those of the active revision."""
    services.catalog.refresh()
    holds = active(services)
    if holds is None:
        return services.catalog
    return services.catalog.as_of(holds.revision.of(Part.NOTEBOOK), lambda digest: _content(services, digest))


def _content(services: Services, digest: str) -> bytes:
    with services.database.looking() as connection:
        return store.content(connection, digest)


def _reads(services: Services, actor: Actor) -> Callable[[Runbook | Broken], bool]:
    """Return who says of a runbook whether the one who acts may see it. What is broken has no id and no risk yet."""
    there = _directory(services)

    def sees(entry: Runbook | Broken) -> bool:
        target = Target(runbook=entry.path, risk=Risk.DANGER)
        if isinstance(entry, Runbook):
            target = Target(runbook=name_of(entry), risk=entry.risk)
        return may_partly(there, actor, Action.READ, target)

    return sees


def _directory(services: Services) -> Directory:
    with services.database.looking() as connection:
        return directory(connection)
