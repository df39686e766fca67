"""What an import found, in the inventory's own terms, and how it is merged into the files.

Nothing secret is taken over: passwords in other inventories are left where they are, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON, same
from opsnb.fleet.inventory.edit import NOT_IN_NAMES, Key, change
from opsnb.fleet.inventory.fields import NAME
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.layout import Change, styled
from opsnb.fleet.inventory.reader import from_value, load
from opsnb.fleet.inventory.values import EVERY, THIS_MACHINE

MAX_TEXT = 64 * 1024 * 1024  # characters of one file
SECRET_LIKE = re.compile(r"(^|_)(pass(word|wd|phrase)?|secret|token|api_?key|private_key)$", re.IGNORECASE)


@dataclass(kw_only=True)
class Imported:
    """Hosts, groups and credentials as they would stand in ``inventory.yaml``.

    Args:
        hosts: Name to fields.
        groups: Name to fields.
        credentials: Name to fields.
        notes: What was not taken over, or was taken over differently, in sentences.
    """

    hosts: dict[str, dict[str, JSON]] = field(default_factory=dict)
    groups: dict[str, dict[str, JSON]] = field(default_factory=dict)
    credentials: dict[str, dict[str, JSON]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def inventory(self) -> Inventory:
        """Return what this is as an inventory of its own.

        Raises:
            InventoryError: If it is not a valid one.
        """
        return from_value({"credentials": self.credentials, "hosts": self.hosts, "groups": self.groups}, "import")

    def note(self, text: str) -> None:
        """Remember a sentence, once."""
        if text not in self.notes:
            self.notes.append(text)

    def name_of(self, text: str, what: str = "host", *, local: bool = False) -> str:
        """Return a name that the inventory takes; a note says when it is another one. ``local``: it is this machine."""
        if NAME.fullmatch(text) and (local or text not in {EVERY, THIS_MACHINE}):
            return text
        name = NOT_IN_NAMES.sub("-", text).strip("-.")[:200] or what
        name = f"{what}-{name}" if name in {EVERY, THIS_MACHINE} or not NAME.fullmatch(name) else name
        if name != text:
            self.note(f"{what} '{text}' is called '{name}' here")
        return name

    def credential_of_file(self, file: str) -> str:
        """Return the name of the credential that reads a private key's file."""
        stem = NOT_IN_NAMES.sub("-", Path(file).name).strip("-.") or "key"
        for number in range(1, 1000):
            name = stem if number == 1 else f"{stem}-{number}"
            if self.credentials.setdefault(name, {"kind": "key", "file": file}) == {"kind": "key", "file": file}:
                return name
        return stem


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge did.

    Args:
        added: Hosts that are new.
        changed: Hosts that were there and were changed.
        same: Hosts that were there as they are.
        different: Hosts that were there otherwise and stay as they were, to the fields that differ.
        groups: Groups that are new or got hosts.
        files: Files that were written.
        notes: What the reader has to know.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    different: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


def merge(root: Path, imported: Imported, *, replace: bool = False, dry: bool = False) -> Merged:
    """Write what was imported into the inventory.

    Args:
        root: The workspace.
        imported: What was found.
        replace: Whether fields that differ are replaced; otherwise such hosts stay as they are.
        dry: Whether nothing is written.

    Raises:
        InventoryError: If the result would not be a valid inventory; then nothing was written.
    """
    now = load(root)
    changes: dict[Key, Change] = {}
    added, changed, alike, different = [], [], [], {}
    for name, fields in imported.hosts.items():
        if name not in now.hosts:
            added.append(name)
            changes["hosts", name] = _set(fields)
            continue
        own = now.hosts[name].own
        differing = tuple(key for key, value in fields.items() if not same(own.get(key), value))
        if not differing:
            alike.append(name)
        elif replace:
            changed.append(name)
            changes["hosts", name] = _set({key: fields[key] for key in differing})
        else:
            different[name] = differing
    groups = _merge_groups(now, imported, changes)
    notes = list(imported.notes)
    for name, fields in imported.credentials.items():
        if name not in now.credentials:
            changes["credentials", name] = _set(fields)
        elif not same({k: v for k, v in vars(now.credentials[name]).items() if v and k != "name"}, fields):
            notes.append(f"credential '{name}' is there already and stays as it is")
    files = change(root, changes) if changes and not dry else []
    return Merged(
        added=tuple(added), changed=tuple(changed), same=tuple(alike), different=different, groups=tuple(groups),
        files=tuple(files), notes=tuple(notes),
    )  # fmt: skip


def _merge_groups(now: Inventory, imported: Imported, changes: dict[Key, Change]) -> list[str]:
    touched = []
    for name, fields in imported.groups.items():
        there = now.groups.get(name)
        lists = {key: fields.get(key, []) for key in ("hosts", "groups")}
        missing = {
            key: [item for item in items if there is None or item not in getattr(there, key)]
            for key, items in lists.items()
        }
        settings = {
            key: value
            for key, value in fields.items()
            if key not in lists and (there is None or key not in there.settings)
        }
        if there is None or any(missing.values()) or settings:
            touched.append(name)
            changes["groups", name] = _extend(missing, settings)
    return touched


def _set(fields: Mapping[str, JSON]) -> Change:
    def make(value: Any) -> Any:
        new = styled(dict(fields))
        if value is None:
            return new
        for key in new:
            value[key] = new[key]
        return value

    return make


def _extend(lists: Mapping[str, Sequence[str]], settings: Mapping[str, JSON]) -> Change:
    def make(value: Any) -> Any:
        new = styled({**{k: list(v) for k, v in lists.items() if v}, **settings})
        if value is None:
            return new
        for key in new:
            if key in lists and key in value:
                value[key].extend(item for item in new[key] if item not in value[key])
            else:
                value[key] = new[key]
        return value

    return make
