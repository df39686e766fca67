"""Our inventory for Ansible. Groups and variables as they are; labels and environment under names of ours.

What Ansible's rules would merge otherwise than ours is written at the host. Secrets and pinned keys stay here:
``--format known-hosts`` writes the keys for ssh.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.values import DEFAULT_PORT, EVERY, Host

HEADER = "# Written by: opsnb host export"


def write(inventory: Inventory, kind: str) -> str:
    """Return the inventory as ``ansible-ini`` or ``ansible-yaml``."""
    hosts = {host.name: variables(inventory, host) for host in inventory.hosts.values()}
    return _ini(inventory, hosts) if kind == "ansible-ini" else _yaml(inventory, hosts)


def variables(inventory: Inventory, host: Host) -> dict[str, JSON]:
    """Return everything that Ansible has to know of a host; all of its variables, so that no merging matters."""
    found: dict[str, JSON] = dict(host.variables)
    if host.transport == "local":
        found["ansible_connection"] = "local"
    elif host.transport == "container":
        found |= {"ansible_connection": "docker", "ansible_host": host.container}
    else:
        found |= {"ansible_host": host.address} if host.address != host.name else {}
        found |= {"ansible_port": host.port} if host.port != DEFAULT_PORT else {}
        found |= {"ansible_user": host.user} if host.user else {}
        credential = inventory.credentials.get(host.credential.get("observe", ""))
        if credential and credential.file:
            found["ansible_ssh_private_key_file"] = credential.file
        if host.via:
            found |= {"ansible_ssh_common_args": f"-o ProxyJump={_jumps(inventory, host)}", "opsnb_via": host.via}
    found |= {"opsnb_environment": host.environment} if host.environment else {}
    return found | ({"opsnb_labels": dict(host.labels)} if host.labels else {})


def _jumps(inventory: Inventory, host: Host) -> str:
    hops: list[str] = []
    while host.via and (host := inventory.hosts.get(host.via, Host(name=host.via, address=host.via))):
        user = f"{host.user}@" if host.user else ""
        address = f"[{host.address}]" if ":" in host.address else host.address
        hops.insert(0, f"{user}{address}" + (f":{host.port}" if host.port != DEFAULT_PORT else ""))
    return ",".join(hops)


def _members(inventory: Inventory) -> dict[str, list[str]]:
    """Return the hosts that Ansible must list in a group: those that are in none of its children."""
    found = {}
    for name, group in inventory.groups.items():
        if name == EVERY:
            continue
        below = {host for child in group.groups for host in inventory.groups[child].members}
        found[name] = [host for host in group.members if host not in below or host in group.hosts]
    return found


def _yaml(inventory: Inventory, hosts: dict[str, dict[str, JSON]]) -> str:
    import yaml

    children: dict[str, Any] = {}
    for name, members in _members(inventory).items():
        group: dict[str, Any] = {"hosts": dict.fromkeys(members)} if members else {}
        if inventory.groups[name].groups:
            group["children"] = dict.fromkeys(inventory.groups[name].groups)
        children[name] = group or None
    document: dict[str, Any] = {"hosts": {name: values or None for name, values in hosts.items()}}
    document |= {"children": children} if children else {}
    text = yaml.safe_dump({EVERY: document}, sort_keys=False, allow_unicode=True, width=4096, default_flow_style=False)
    return f"{HEADER}\n{text}"


def _ini(inventory: Inventory, hosts: dict[str, dict[str, JSON]]) -> str:
    lines = [HEADER]
    for name, values in hosts.items():
        lines.append(" ".join([name, *(shlex.quote(f"{key}={_literal(value)}") for key, value in values.items())]))
    for name, members in _members(inventory).items():
        lines += ["", f"[{name}]", *members]
        if inventory.groups[name].groups:
            lines += ["", f"[{name}:children]", *inventory.groups[name].groups]
    return "\n".join(lines) + "\n"


def _literal(value: JSON) -> str:
    """Return a value as Ansible reads it back from an INI file: a Python literal; plain text where it stays text."""
    from opsnb.fleet.inventory.formats.ansible_ini import value_of

    if isinstance(value, str) and value_of(value) == value and value.isprintable() and value.strip() == value:
        return value
    return repr(json.loads(json.dumps(value)))
