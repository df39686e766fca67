"""From files to the inventory: read, put together, check what refers to what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.base.yaml import Document
from opsnb.fleet.inventory.fields import is_address
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.membership import Membership
from opsnb.fleet.inventory.selector import terms
from opsnb.fleet.inventory.values import DEFAULT_PORT, SETTINGS, SUDO, Group, Host
from opsnb.fleet.inventory.written import Entry, Written, add, add_document, entries, files_of, read

MAX_JUMPS = 8  # jump hosts on the way to one host


def load(root: Path) -> Inventory:
    """Read the inventory of a workspace: ``inventory.yaml`` and ``inventory/*.yaml``; none is an empty inventory.

    Args:
        root: The workspace.

    Raises:
        InventoryError: On anything that is not as docs/inventory.md says; names file and line.
    """
    return _assembled(read(root), tuple(str(path.relative_to(root)) for path in files_of(root)))


def loads(text: str, path: str = "inventory.yaml") -> Inventory:
    """Read an inventory from text.

    Args:
        text: What would stand in the file.
        path: What errors call it.

    Raises:
        InventoryError: As :func:`load`.
    """
    return loads_all({path: text})


def from_value(value: JSON, path: str) -> Inventory:
    """Read an inventory from what a file would hold.

    Args:
        value: Sections with entries.
        path: What errors call it.

    Raises:
        InventoryError: As :func:`load`.
    """
    written = Written()
    add_document(written, Document(value=value), path)
    return _assembled(written, (path,))


def loads_all(texts: Mapping[str, str]) -> Inventory:
    """Read an inventory from the texts of several files.

    Args:
        texts: What errors call the file, to what stands in it.

    Raises:
        InventoryError: As :func:`load`.
    """
    written = Written()
    for path, text in texts.items():
        add(written, text, path)
    return _assembled(written, tuple(texts))


def _assembled(written: Written, files: tuple[str, ...]) -> Inventory:
    for entry in entries(written):
        for name in entry.settings.get("credential", {}).values():
            if name not in written.credentials:
                hint = did_you_mean(name, written.credentials, what="credentials")
                hint = hint or "write it under credentials: first"
                raise entry.fields.error("credential", f"no credential is called '{name}'", hint)
    membership = Membership(written)
    hosts = {name: _host(entry, membership) for name, entry in written.hosts.items()}
    members = membership.members()
    groups = {
        name: Group(
            name=name, hosts=entry.settings["hosts"], groups=entry.settings["groups"],
            select=entry.settings["select"], settings={k: v for k, v in entry.fields.values.items() if k in SETTINGS},
            members=members.get(name, tuple(hosts)), path=entry.path, line=entry.line,
        )
        for name, entry in written.groups.items()
    }  # fmt: skip
    _check_jumps(written, hosts)
    inventory = Inventory(
        hosts=hosts, groups=groups, services={name: service for name, (_, service) in written.services.items()},
        credentials=written.credentials, files=files,
    )  # fmt: skip
    _check_services(written, inventory)
    return inventory


def _host(entry: Entry, membership: Membership) -> Host:
    found, origins = membership.settings_of(entry.name)
    ssh = found["transport"] == "ssh"
    address = found.get("address", "") or (entry.name if ssh else "")
    if ssh and not is_address(address):
        raise entry.fields.error("", f"'{entry.name}' is no host name that resolves", "write address: NAME or IP")
    kind, secret = found.get("sudo", (SUDO[0], ""))
    return Host(
        name=entry.name, transport=found["transport"], address=address, port=found.get("port", DEFAULT_PORT),
        user=found.get("user", ""), via=found.get("via", "") if ssh else "",
        environment=found.get("environment", ""), labels=found.get("labels", {}),
        variables=found.get("variables", {}), credential=found.get("credential", {}) if ssh else {},
        sudo=kind, sudo_secret=secret, keys=found.get("keys", ()),
        legacy=found.get("legacy", False), container=found.get("container", ""),
        engine=found.get("engine", ""), groups=membership.groups_of(entry.name), own=entry.fields.values,
        origins=origins, path=entry.path, line=entry.line,
    )  # fmt: skip


def _check_jumps(written: Written, hosts: Mapping[str, Host]) -> None:
    jumps: dict[str, int] = {}  # host to how many jump hosts stand before it
    for host in hosts.values():
        way = [host]
        while way[-1].via and way[-1].name not in jumps:
            wrong, hint = _wrong_jump(way, hosts)
            if wrong:
                origin = way[-1].origins.get("via")
                entry = written.groups[origin] if origin else written.hosts[way[-1].name]
                raise entry.fields.error("via", wrong, hint)
            way.append(hosts[way[-1].via])
        before = jumps.get(way[-1].name, 0)
        jumps.update({step.name: before + at for at, step in enumerate(reversed(way))})
        if jumps[host.name] > MAX_JUMPS:
            names = " → ".join(step.name for step in way)
            raise written.hosts[host.name].fields.error("via", f"more than {MAX_JUMPS} jump hosts: {names}")


def _wrong_jump(way: list[Host], hosts: Mapping[str, Host]) -> tuple[str, str]:
    via, names = way[-1].via, [step.name for step in way]
    if via not in hosts:
        return f"no host is called '{via}'", did_you_mean(via, hosts, what="hosts")
    if via in names:
        return f"jump hosts in a circle: {' → '.join([*names[names.index(via) :], via])}", ""
    if hosts[via].transport != "ssh":
        return f"'{via}' is not reached by ssh, so nothing jumps through it", ""
    return "", ""


def _check_services(written: Written, inventory: Inventory) -> None:
    for name, (entry, service) in written.services.items():
        for at, other in enumerate(service.depends):
            if other not in inventory.services:
                hint = did_you_mean(other, inventory.services, what="services")
                raise entry.fields.error(f"depends.{at}", f"no service is called '{other}'", hint)
            if other == name:
                raise entry.fields.error(f"depends.{at}", "a service does not depend on itself")
        for environment in service.hosts:
            key = f"hosts.{environment}"
            node = written.selectors[f"service {name}", environment]
            if any(term.key == "service" for term in terms(node)):
                raise entry.fields.error(key, "a service cannot select by service")
            try:
                inventory.hosts_of(name, environment)
            except InventoryError as error:
                raise entry.fields.error(key, error.message, error.hint) from None
