"""The inventory as one value: hosts with what they inherit, groups, services, credentials; selections and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.selector import Index, parse
from opsnb.fleet.inventory.values import THIS_MACHINE, Credential, Group, Host, Service

LISTED = 8  # names in a message


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Everything that the inventory's files say.

    Args:
        hosts: Name to host, in the order of the files. This machine stands here only when it is listed.
        groups: Name to group.
        services: Name to service.
        credentials: Name to credential.
        files: The files that were read, as they lie in the workspace.
    """

    hosts: Mapping[str, Host] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def host(self, name: str) -> Host:
        """Return a host; ``localhost`` is always there.

        Raises:
            InventoryError: If nobody is called so; the hint holds the nearest name.
        """
        if name in self.hosts:
            return self.hosts[name]
        if name == THIS_MACHINE:
            return Host(name=THIS_MACHINE, transport="local")
        hint = did_you_mean(name, self.hosts, what="hosts") or f"add it with: opsnb host add {name}"
        raise InventoryError(f"no host is called '{name}'", hint=hint)

    def select(self, selector: str) -> tuple[str, ...]:
        """Return the names of the hosts that a selector means, in the order of the inventory.

        Args:
            selector: As docs/inventory.md says: ``role=nginx & env=prod & !web3``.

        Raises:
            InventoryError: If it is not a selector, names what nobody has, or means no host at all.
        """
        found = sorted(self._index.find(parse(selector), strict=True))
        if not found:
            hint = "see: opsnb host list" if self.hosts else "the inventory lists no host: opsnb host add NAME"
            raise InventoryError(f"selector '{selector:.200}' means no host", hint=hint)
        names = self._names
        return tuple(names[at] if at < len(names) else THIS_MACHINE for at in found)

    def hosts_of(self, service: str, environment: str = "") -> tuple[str, ...]:
        """Return the hosts of a service, in all environments or in one; may be empty.

        Raises:
            InventoryError: If there is no such service, or it has no such environment.
        """
        if service not in self.services:
            hint = did_you_mean(service, self.services, what="services")
            raise InventoryError(f"no service is called '{service}'", hint=hint)
        known = self.services[service].hosts
        if environment and environment not in known:
            hint = did_you_mean(environment, known, what="environments")
            raise InventoryError(f"service '{service}' has no hosts in environment '{environment}'", hint=hint)
        return tuple(self._names[at] for at in sorted(self._of_service(service, environment)) if at < len(self._names))

    def row(self, name: str) -> dict[str, Any]:
        """Return a host's sealed row: JSON; its jump hosts under ``via``, outermost first.

        Raises:
            InventoryError: If nobody is called so.
        """
        host = self.host(name)
        row = self._logged_in(host)
        jumps: list[dict[str, Any]] = []
        while host.via:
            host = self.host(host.via)
            jumps.insert(0, self._logged_in(host))
        return row | {"via": jumps} if jumps else row

    def _logged_in(self, host: Host) -> dict[str, Any]:
        """Return a host's row with who logs in to look and, where that is somebody else, who does to change."""
        row, users = host.row(), {}
        for purpose, name in host.credential.items():
            known = self.credentials.get(name)
            users[purpose] = (known.user if known else "") or host.user
        if user := users.get("observe", ""):
            row["user"] = user
        if users.get("change", "") not in {"", users.get("observe", "")}:
            row["changes_as"] = users["change"]
        return row

    def only(self, names: Sequence[str]) -> Inventory:
        """Return an inventory of these hosts alone, in their groups; without services, which might need others."""
        kept = set(names)
        groups = {
            name: replace(
                group, hosts=tuple(h for h in group.hosts if h in kept),
                members=tuple(h for h in group.members if h in kept),
            )
            for name, group in self.groups.items()
        }  # fmt: skip
        hosts = {name: self.host(name) for name in names}
        return replace(self, hosts=hosts, groups=groups, services={})

    def require_keys(self, names: Sequence[str]) -> None:
        """Check that every host, and every jump host on the way, has a pinned key.

        Raises:
            InventoryError: If one has none; names them and the command that fetches their keys.
        """
        missing: dict[str, None] = {}
        for name in names:
            row = self.row(name)
            for step in (*row.get("via", ()), row):
                if step["transport"] == "ssh" and "key" not in step:
                    missing[step["name"]] = None
        if missing:
            shown = ", ".join(list(missing)[:LISTED]) + (
                f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
            )
            raise InventoryError(
                f"no pinned host key: {shown}; nothing connects to a host whose key is not known",
                hint=f"opsnb host trust {next(iter(missing))}",
            )

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.hosts)

    @cached_property
    def _index(self) -> Index:
        hosts = self.hosts.values()
        return Index(
            names=self._names, labels=[h.labels for h in hosts], environments=[h.environment for h in hosts],
            groups={name: group.members for name, group in self.groups.items()},
            services={name: partial(self._of_service, name) for name in self.services},
        )  # fmt: skip

    def _of_service(self, name: str, environment: str = "") -> set[int]:
        selectors = self.services[name].hosts
        chosen = [selectors[environment]] if environment else selectors.values()
        return set().union(*(self._index.find(parse(selector), strict=False) for selector in chosen))
