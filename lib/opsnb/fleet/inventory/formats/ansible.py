"""Ansible inventories, INI and YAML, with the ``group_vars`` and ``host_vars`` beside them.

What each host's variables are is worked out by Ansible's own rule (a deeper group wins over a shallower one, then the
later name; the host wins over all), and where ours would give another value the host gets Ansible's. Connection
variables become fields, groups stay groups, everything else becomes variables. Nothing secret is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsnb.base.canonical import JSON, same
from opsnb.base.errors import InventoryError, UsageError
from opsnb.fleet.inventory.fields import NAME, is_address
from opsnb.fleet.inventory.formats import lenient
from opsnb.fleet.inventory.formats.exchange import SECRET_LIKE, Imported
from opsnb.fleet.inventory.selector import RESERVED
from opsnb.fleet.inventory.values import EVERY, THIS_MACHINE

UNGROUPED = "ungrouped"
CONNECTION = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    "connection": ("ansible_connection",),
    "environment": ("opsnb_environment",),
    "labels": ("opsnb_labels",),
    "via": ("opsnb_via",),
}
ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
JUMP = re.compile(r"(?:-J\s*|ProxyJump[=\s]\s*)[\"']?(?P<jump>[^\s\"',]+)(?P<more>,)?")
THROUGH = re.compile(r"ProxyCommand[=\s]\s*[\"']?ssh\b(?P<words>[^\"']*)")
TARGET = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<address>[^:\s@]+)(?::(?P<port>\d+))?")
PASSWORDS = re.compile(r"ansible_(ssh_|become_|sudo_|su_)?pass(word|phrase)?|ansible_.*_(password|passphrase)")
MAX_HOSTS = 100_000


@dataclass
class Group:
    """A group as Ansible reads it."""

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, JSON] = field(default_factory=dict)


@dataclass
class Source:
    """What an inventory says, before anything is inherited; ``all`` and ``ungrouped`` are there always."""

    hosts: dict[str, dict[str, JSON]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=lambda: {EVERY: Group(), UNGROUPED: Group()})

    def group(self, name: str) -> Group:
        """Return a group, made where it is not there."""
        return self.groups.setdefault(name, Group())

    def host(self, name: str) -> dict[str, JSON]:
        """Return a host's variables, made where it is not there.

        Raises:
            UsageError: If there are more than are read.
        """
        if len(self.hosts) >= MAX_HOSTS:
            raise UsageError(f"names more than {MAX_HOSTS} hosts")
        return self.hosts.setdefault(name, {})


def read(path: Path, kind: str) -> Imported:
    """Read an Ansible inventory.

    Args:
        path: The file.
        kind: ``ansible-ini`` or ``ansible-yaml``.

    Raises:
        InventoryError: If it is none; names file and line.
    """
    from opsnb.fleet.inventory.formats import ansible_ini, ansible_yaml

    imported = Imported()
    text = lenient.text_of(path)
    reader = ansible_ini if kind == "ansible-ini" else ansible_yaml
    source = reader.parse(text, str(path), imported)
    for folder, places in (("group_vars", source.groups), ("host_vars", source.hosts)):
        for name in places:
            _beside(path.parent / folder, name, source, imported)
    return taken(source, imported, str(path))


def taken(source: Source, imported: Imported, path: str) -> Imported:
    """Turn what an inventory says into ours."""
    depths = _depths(source, path)
    effective = _effective(source, depths)
    names = {host: imported.name_of(host, local=_local(host, effective[host])) for host in source.hosts}
    if len(set(names.values())) != len(names):
        raise InventoryError("two hosts would have the same name here", path=path, hint="rename one there")
    reader = _Taker(source, imported, names, effective)
    for host in source.hosts:
        reader.host(host)
    reader.groups(depths)
    reader.settle()
    return imported


class _Taker:
    """Turns hosts and groups into fields of ours."""

    def __init__(
        self, source: Source, imported: Imported, names: Mapping[str, str], effective: Mapping[str, dict[str, JSON]]
    ) -> None:
        self._source, self._imported, self._names, self._effective = source, imported, names, effective
        self._wanted: dict[str, dict[str, JSON]] = {}  # host of ours to the variables that it must have
        self._groups: dict[str, str] = {}

    def host(self, name: str) -> None:
        """Take one host over."""
        ours, variables = self._names[name], dict(self._effective[name])
        fields: dict[str, JSON] = {}
        found = {key: next((variables[n] for n in names if n in variables), None) for key, names in CONNECTION.items()}
        local = _local(name, variables)
        address = str(found["address"] or name).strip("[]")
        if local:
            fields["transport"] = "local"
        elif address != ours or not is_address(ours):
            fields["address"] = address
        if not local:
            self._login(ours, fields, found, variables)
        elif found["user"]:
            self._imported.note(f"host '{ours}' is local; its user '{found['user']}' is left out")
        if found["environment"]:
            fields["environment"] = str(found["environment"])
        if isinstance(found["labels"], dict):
            fields["labels"] = {str(key): str(value) for key, value in found["labels"].items() if key not in RESERVED}
        if found["connection"] not in {None, "ssh", "local", "smart", "paramiko", "paramiko_ssh"}:
            self._imported.note(f"host '{ours}': ansible_connection={found['connection']} is taken for ssh")
        self._imported.hosts[ours] = fields
        self._wanted[ours] = self._kept(variables)

    def groups(self, depths: Mapping[str, int]) -> None:
        """Take the groups over, shallow ones first: between equals, the one further down wins with us too."""
        order = sorted(self._source.groups, key=lambda name: (depths.get(name, 0), name))
        for name in order:
            if name != UNGROUPED:
                self._groups[name] = EVERY if name == EVERY else self._group_name(name)
        for name, ours in self._groups.items():
            group = self._source.groups[name]
            fields: dict[str, JSON] = {}
            if name != EVERY:
                fields["hosts"] = [self._names[host] for host in group.hosts]
                fields["groups"] = [self._groups[c] for c in group.children if c != UNGROUPED]
            fields["variables"] = self._kept(group.variables)
            fields = {key: value for key, value in fields.items() if value}
            if name != EVERY or fields:
                self._imported.groups[ours] = fields

    def settle(self) -> None:
        """Give hosts the variables that they have in Ansible where inheritance of ours says otherwise."""
        found = self._imported.inventory()
        for name, wanted in self._wanted.items():
            have = found.hosts[name].variables
            own = {key: value for key, value in wanted.items() if key not in have or not same(have[key], value)}
            if own:
                self._imported.hosts[name]["variables"] = own

    def _group_name(self, name: str) -> str:
        ours = self._imported.name_of(name, "group")
        if ours in self._imported.hosts:
            self._imported.note(f"group '{name}' is called '{ours}-group' here: a host has its name")
            ours = f"{ours}-group"
        return ours

    def _login(
        self, ours: str, fields: dict[str, JSON], found: Mapping[str, JSON], variables: Mapping[str, JSON]
    ) -> None:
        if found["port"] is not None and str(found["port"]).isdecimal() and int(found["port"]) != 22:  # noqa: PLR2004
            fields["port"] = int(found["port"])
        elif found["port"] is not None and not str(found["port"]).isdecimal():
            self._imported.note(f"host '{ours}': port {found['port']!r} is left out")
        if found["user"]:
            fields["user"] = str(found["user"])
        if found["file"]:
            fields["credential"] = self._imported.credential_of_file(str(found["file"]))
        via = str(found["via"] or "") or self._jump(ours, variables)
        if via:
            fields["via"] = self._jump_host(via, ours)

    def _jump(self, ours: str, variables: Mapping[str, JSON]) -> str:
        for name in ARGUMENTS:
            text = str(variables.get(name) or "")
            match = JUMP.search(text)
            if match:
                if match["more"]:
                    self._imported.note(f"host '{ours}': of its jump hosts only the first is taken over")
                return match["jump"]
            through = THROUGH.search(text)
            words = [w for w in (through["words"].split() if through else []) if TARGET.fullmatch(w) and w[0] != "-"]
            if words:
                port = re.search(r"-p\s*(\d+)", through["words"]) if through else None
                hops = [w for w in words if not w.isdecimal() and "%" not in w]
                return f"{hops[-1]}:{port[1]}" if hops and port else hops[-1] if hops else ""
        return ""

    def _jump_host(self, target: str, ours: str) -> JSON:
        match = TARGET.fullmatch(target)
        if match is None:
            self._imported.note(f"host '{ours}': jump host '{target}' is not understood and left out")
            return None
        known = self._names.get(match["address"])
        by_address = next((h for h, f in self._imported.hosts.items() if f.get("address") == match["address"]), None)
        name = known or by_address or self._imported.name_of(match["address"])
        if name == ours:
            return None
        if name not in self._names.values() and name not in self._imported.hosts:
            fields: dict[str, JSON] = {"address": match["address"]} if match["address"] != name else {}
            fields |= {"user": match["user"]} if match["user"] else {}
            fields |= {"port": int(match["port"])} if match["port"] else {}
            self._imported.hosts[name] = fields
            self._imported.note(f"jump host '{name}' is added")
        return name

    def _kept(self, variables: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the variables that are taken over as such."""
        taken = {name for names in CONNECTION.values() for name in names} | set(ARGUMENTS)
        kept: dict[str, JSON] = {}
        for name, value in variables.items():
            if name in taken:
                continue
            if PASSWORDS.fullmatch(name) or SECRET_LIKE.search(name) or lenient.hidden(value):
                self._imported.note(f"variable '{name}' is a secret and left out: store it with opsnb secret set")
            elif not NAME.fullmatch(name):
                self._imported.note(f"variable '{name[:80]}' has no name that is read, and is left out")
            else:
                kept[name] = value
        return kept


def _local(name: str, variables: Mapping[str, JSON]) -> bool:
    """Return whether Ansible runs on this machine for a host."""
    address = any(variables.get(key) for key in CONNECTION["address"])
    return variables.get("ansible_connection") == "local" or (name == THIS_MACHINE and not address)


def _effective(source: Source, depths: Mapping[str, int]) -> dict[str, dict[str, JSON]]:
    """Return every host's variables as Ansible merges them."""
    parents: dict[str, list[str]] = {name: [] for name in source.groups}
    for name, group in source.groups.items():
        for child in group.children:
            parents[child].append(name)
    direct: dict[str, list[str]] = {host: [] for host in source.hosts}
    for name, group in source.groups.items():
        for host in group.hosts:
            direct[host].append(name)
    order = sorted(source.groups, key=lambda name: (depths.get(name, 0), name))
    merged: dict[frozenset[str], dict[str, JSON]] = {}
    found = {}
    for host, variables in source.hosts.items():
        groups = frozenset(direct[host])
        if groups not in merged:
            above, left = {EVERY}, list(groups)
            while left:
                name = left.pop()
                if name not in above:
                    above.add(name)
                    left += parents[name]
            merged[groups] = {}
            for name in (n for n in order if n in above):
                merged[groups].update(source.groups[name].variables)
        found[host] = {**merged[groups], **variables}
    return found


def _depths(source: Source, path: str) -> dict[str, int]:
    """Return how deep each group lies below ``all``: the longest way, as Ansible counts.

    Raises:
        InventoryError: If a group holds itself.
    """
    below = {child for group in source.groups.values() for child in group.children}
    depths, level = {EVERY: 0}, [name for name in source.groups if name not in below and name != EVERY]
    level += [name for name in source.groups[EVERY].children if name not in level]
    at = 1
    while level:
        if at > len(source.groups) + 1:
            raise InventoryError(f"group '{level[0]}' holds itself", path=path)
        depths.update(dict.fromkeys(level, at))
        level = list(dict.fromkeys(child for name in level for child in source.groups[name].children))
        at += 1
    circle = next((name for name in source.groups if name not in depths), None)
    if circle:
        raise InventoryError(f"group '{circle}' holds itself", path=path)
    return depths


def _beside(folder: Path, name: str, source: Source, imported: Imported) -> None:
    """Read ``group_vars/NAME``, ``NAME.yml``, ``NAME.yaml`` or a directory of them, and the same of hosts."""
    if "/" in name or name.startswith("."):
        return
    places = [p for p in (folder / name, folder / f"{name}.yml", folder / f"{name}.yaml") if p.exists()]
    files = [f for p in places for f in (sorted(p.glob("*.y*ml")) if p.is_dir() else [p])]
    for file in files:
        try:
            value = lenient.load(lenient.text_of(file), str(file))
        except InventoryError as error:
            imported.note(f"left out: {error.message}")
            continue
        if not isinstance(value, dict):
            continue
        variables = source.groups[name].variables if folder.name == "group_vars" else source.hosts[name]
        variables.update(
            value if folder.name == "group_vars" else {k: v for k, v in value.items() if k not in variables}
        )
