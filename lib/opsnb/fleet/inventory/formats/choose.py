"""Which format a file is in, and the reader and writer of each."""

from __future__ import annotations

import re
from pathlib import Path

from opsnb.base.errors import InventoryError
from opsnb.fleet.inventory.formats.exchange import Imported
from opsnb.fleet.inventory.inventory import Inventory

HEAD = 64 * 1024  # bytes looked at
ENDINGS = {
    ".ini": "ansible-ini", ".cfg": "ansible-ini", ".yaml": "ansible-yaml", ".yml": "ansible-yaml", ".csv": "csv",
    ".tsv": "csv", ".xlsx": "excel", ".xlsm": "excel", ".conf": "ssh-config",
}  # fmt: skip
NAMES = {"config": "ssh-config", "ssh_config": "ssh-config", "known_hosts": "known-hosts", "hosts": "ansible-ini"}
YAML = rb"^(---\s*$|[\w.-]+:\s*$)"
CONTENT = (
    (rb"^\s*(Host|Match|Include)\s+\S", "ssh-config"),
    (rb"^\[[^\]]+\]\s*$", "ansible-ini"),
    (YAML, "ansible-yaml"),
    (rb"\A[^\n]*[,;\t]", "csv"),
)


def read(path: Path, kind: str | None = None) -> Imported:
    """Read a file in a format, or in the one that it looks like.

    Raises:
        InventoryError: If it cannot be read as that.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", path=str(path)) from None
    kind = kind or format_of(path, head)
    if kind == "ssh-config":
        from opsnb.fleet.inventory.formats import ssh_config

        return ssh_config.read(path)
    if kind.startswith("ansible"):
        from opsnb.fleet.inventory.formats import ansible

        return ansible.read(path, kind)
    if kind in {"csv", "excel"}:
        from opsnb.fleet.inventory.formats import sheets

        return sheets.read(path, kind)
    raise InventoryError(
        "known_hosts names keys, not hosts", path=str(path), hint="opsnb host trust HOST --keys FILE pins them"
    )


def write(inventory: Inventory, kind: str) -> bytes:
    """Return an inventory in a format."""
    if kind == "ssh-config":
        from opsnb.fleet.inventory.formats import ssh_config

        return ssh_config.write(inventory).encode()
    if kind == "known-hosts":
        from opsnb.fleet.inventory.formats import known_hosts

        return known_hosts.write(inventory).encode()
    if kind.startswith("ansible"):
        from opsnb.fleet.inventory.formats import ansible_write

        return ansible_write.write(inventory, kind).encode()
    from opsnb.fleet.inventory.formats import sheets

    return sheets.write(inventory, kind)


def format_of(path: Path, head: bytes) -> str:
    """Return the format of a file by its name, else by what it begins with.

    Raises:
        InventoryError: If it looks like none.
    """
    if path.name in NAMES and not (path.name == "hosts" and _is_yaml(head)):
        return NAMES[path.name]
    if path.suffix.lower() in ENDINGS:
        return ENDINGS[path.suffix.lower()]
    if head.startswith(b"PK"):
        return "excel"
    found = next((kind for pattern, kind in CONTENT if re.search(pattern, head, re.MULTILINE | re.IGNORECASE)), "")
    if not found:
        raise InventoryError("looks like no inventory that is read", path=str(path), hint="say what it is: --format")
    return found


def _is_yaml(head: bytes) -> bool:
    return bool(re.search(YAML, head, re.MULTILINE))
