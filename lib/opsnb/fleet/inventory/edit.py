"""Changing the inventory's files: one entry at a time, comments kept, written whole or not at all.

Every edit is read back before it is written: what comes out is a valid inventory, or the file stays as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError, RefusedError
from opsnb.base.files import write_atomic
from opsnb.base.yaml import read_yaml
from opsnb.fleet.inventory.fields import File
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.keys import key_line
from opsnb.fleet.inventory.layout import Change, edited, styled
from opsnb.fleet.inventory.reader import load, loads_all
from opsnb.fleet.inventory.selector import parse, terms
from opsnb.fleet.inventory.written import FILE, FOLDER, files_of

SCHEDULES = "schedules"
AGENT = "agent"
NOT_IN_NAMES = re.compile(r"[^\w.-]+")
Key = tuple[str, str]


def add_host(
    root: Path, name: str, settings: Mapping[str, JSON], groups: Sequence[str] = (), *, key_file: str = ""
) -> str:
    """Write a new host; groups that are not there yet are made.

    Args:
        root: The workspace.
        name: The host's name.
        settings: Its fields, as they stand in the file.
        groups: Groups in which it is listed.
        key_file: A private key's file to log in with; its credential is made where there is none.

    Returns:
        The file that was written.

    Raises:
        InventoryError: If there is such a host already, or the inventory would not be valid.
    """
    settings, changes = dict(settings), dict[Key, Change]()
    known = load(root).credentials
    if key_file:
        key_file = _from_home(key_file)
        found = next((c.name for c in known.values() if c.file and _from_home(c.file) == key_file), "")
        settings["credential"] = found or _free(Path(key_file).name, known)
        if not found:
            made = {"kind": "key", "file": key_file}
            changes["credentials", str(settings["credential"])] = lambda _: styled(made)
    elif settings.get("credential") == AGENT and AGENT not in known:
        changes["credentials", AGENT] = lambda _: styled({"kind": AGENT})
    changes["hosts", name] = _new("host", name, settings)
    changes |= {("groups", group): _listing(name) for group in groups}
    return change(root, changes)[0]


def remove_host(root: Path, name: str) -> str:
    """Remove a host to which nothing refers; return the file that was written.

    Raises:
        InventoryError: If there is no such host.
        RefusedError: If something refers to it; names who.
    """
    inventory = load(root)
    if name not in inventory.hosts:
        inventory.host(name)
        raise InventoryError(f"'{name}' is this machine and stands in no file")
    found = references(root, inventory, name)
    if found:
        raise RefusedError(f"host '{name}' is still referred to by {'; '.join(found)}", hint="change those first")
    return change(root, {("hosts", name): lambda _: None})[0]


def set_keys(root: Path, name: str, lines: Sequence[str]) -> str:
    """Pin a host's keys, in place of those that are pinned; return the file that was written.

    Raises:
        InventoryError: If there is no such host, or a line is no public key.
    """
    try:
        keys = [key_line(line) for line in lines]
    except ValueError as error:
        raise InventoryError(f"host '{name}': not a public key: it {error}") from None

    def pin(value: Any) -> Any:
        if value is None:
            raise InventoryError(f"no host is called '{name}' in the files", hint=f"opsnb host add {name}")
        value["keys"] = keys
        if value.fa.flow_style():
            value.fa.set_block_style()  # key lines are long
        return value

    return change(root, {("hosts", name): pin})[0]


def references(root: Path, inventory: Inventory, name: str) -> list[str]:
    """Return what refers to a host by its name, in words with file and line."""
    return referers(inventory, name, schedules_of(root))


def referers(inventory: Inventory, name: str, schedules: Mapping[str, str]) -> list[str]:
    """Return what refers to a host by its name, as :func:`references`; ``schedules`` are path and text."""
    found = []
    for group in inventory.groups.values():
        where = f"group '{group.name}' ({group.path} line {group.line})"
        if name in group.hosts or _names(group.select, name):
            found.append(where)
        elif group.settings.get("via") == name:
            found.append(f"{where}, as its jump host")
    found += [
        f"host '{host.name}' ({host.path} line {host.line}), as its jump host"
        for host in inventory.hosts.values()
        if host.own.get("via") == name
    ]
    found += [
        f"service '{service.name}' ({service.path} line {service.line})"
        for service in inventory.services.values()
        if any(_names(selector, name) for selector in service.hosts.values())
    ]
    return found + [f"schedule {path}" for path, text in schedules.items() if _scheduled(path, text, name)]


def change(root: Path, changes: Mapping[Key, Change]) -> list[str]:
    """Change entries in the files in which they stand, new ones in the first file; return the files written.

    Raises:
        InventoryError: If the result would not be a valid inventory; then nothing was written.
    """
    with _locked(root):
        inventory = load(root)
        by_file: dict[str, dict[Key, Change]] = {}
        for key, one in changes.items():
            by_file.setdefault(_file_of(root, inventory, *key), {})[key] = one
        texts = {str(p.relative_to(root)): p.read_text(encoding="utf-8-sig") for p in files_of(root)}
        before = dict(texts)
        for path, mine in by_file.items():
            texts[path] = edited(texts.get(path, ""), path, mine)
        loads_all(texts)
        written = [path for path in by_file if before.get(path) != texts[path]]
        for path in written:
            _write(root / path, texts[path])
        return written or list(by_file)


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays a link
    target.parent.mkdir(exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    write_atomic(target, text.encode(), mode=mode)


def _file_of(root: Path, inventory: Inventory, section: str, name: str) -> str:
    places: Mapping[str, Any] = {} if section == "credentials" else getattr(inventory, section)
    if name in places:
        return str(places[name].path)
    files = [str(path.relative_to(root)) for path in files_of(root)]
    for path in files if section == "credentials" else ():  # they do not know their file
        top = read_yaml((root / path).read_text(encoding="utf-8-sig"), File(path), limit=1 << 27).value or {}
        if name in (top.get(section) or {}):
            return path
    if FILE in files:
        return FILE
    used = [str(entry.path) for entry in places.values()]
    return used[-1] if used else f"{FOLDER}/{section}.yaml" if (root / FOLDER).is_dir() else FILE


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the workspace's directory: two commands do not write over each other."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new(what: str, name: str, settings: Mapping[str, JSON]) -> Change:
    def make(value: Any) -> Any:
        if value is not None:
            raise InventoryError(f"{what} '{name}' is there already", hint=f"opsnb host show {name}")
        return styled(settings)

    return make


def _from_home(file: str) -> str:
    """Return a file's path as it stands in an inventory that several people use: ``~/`` for a home."""
    path, home = Path(file).expanduser().absolute(), Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _free(wanted: str, known: Mapping[str, Any]) -> str:
    """Return a name that no credential has."""
    name = NOT_IN_NAMES.sub("-", wanted).strip("-.") or "key"
    return next(n for n in (name, *(f"{name}-{number}" for number in range(2, len(known) + 3))) if n not in known)


def _listing(host: str) -> Change:
    def add(value: Any) -> Any:
        value = styled({}) if value is None else value
        if "hosts" not in value:
            value["hosts"] = styled({"hosts": []})["hosts"]
        if host not in value["hosts"]:
            value["hosts"].append(host)
        return value

    return add


def _names(selector: str, host: str) -> bool:
    if not selector:
        return False
    return any(not term.key and not term.glob and term.value == host for term in terms(parse(selector)))


def schedules_of(root: Path) -> dict[str, str]:
    """Return the schedules of a workspace: path and text."""
    folder = root / SCHEDULES
    found = sorted(folder.rglob("*.yaml")) if folder.is_dir() else []
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8", errors="replace") for path in found}


def _scheduled(path: str, text: str, host: str) -> bool:
    """Whether a schedule names a host; one that cannot be read counts if the name stands in it at all."""
    try:
        values = list(_hosts_in(read_yaml(text, File(path)).value))
        return any(_names(value, host) for value in values)
    except InventoryError:
        return host in text


def _hosts_in(value: JSON) -> Iterator[str]:
    """Yield every text under a key ``hosts``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "hosts":
                yield from [item for item in (inner if isinstance(inner, list) else [inner]) if isinstance(item, str)]
            yield from _hosts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _hosts_in(inner)
