"""A run of a test's own, with the hosts of a workspace's inventory: kits reach them as they do inside a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsnb import fleet
from opsnb.fleet.inventory import Inventory

# Options of find: not the tools' own backups and caches, and not what shows through from the machine while another test
# has a user there: its rule for sudo (fleet/test_sudo.py), and the locks and drafts of the tools for accounts.
STAYS = r"""! -name '*-' ! -name ld.so.cache ! -path './sudoers.d/opsnb*' \
  ! -regex '\./\(passwd\|shadow\|group\|gshadow\|subuid\|subgid\|\.pwd\)\(\.lock\|\.[0-9]+\|\+\)'"""
# /etc, packages, homes: what must be as it was
SNAPSHOT = rf"""cd /etc
find . -type f {STAYS} -exec sha256sum {{}} + | sort
find . {STAYS} -printf '%p %y %m %U %G %l\n' | sort
dpkg-query -W -f '${{Package}} ${{db:Status-Status}} ${{Version}}\n' | sort
find /home /var/mail -printf '%p %y %m %U\n' | sort"""


class RunWithKeys:
    """Sealed rows from an inventory, and credentials from the key files that it names."""

    def __init__(self, inventory: Inventory, names: Sequence[str]) -> None:
        self.rows = [inventory.row(name) for name in names]
        self._inventory = inventory

    def credential(self, host: str, purpose: str) -> dict[str, Any]:
        """Return the key of a host's credential."""
        row = next(row for row in self.every if row["name"] == host)
        name = row["credential"]["change" if purpose == "change" else "observe"]
        found = self._inventory.credentials[name]
        return {"kind": "key", "key": Path(str(found.file)).read_text(encoding="utf-8")}

    @property
    def every(self) -> list[dict[str, Any]]:
        """The rows and those of their jump hosts."""
        return [hop for row in self.rows for hop in (row, *row.get("via", []))]


def opened(root: Path, *names: str) -> fleet.Fleet:
    """Open hosts of the workspace at ``root`` for the kits of this process."""
    from opsnb.fleet.inventory import load

    return fleet.of(RunWithKeys(load(root), names))


def differences(before: str, after: str) -> list[str]:
    """Return the lines of two snapshots that stand in one of them only."""
    return sorted(set(before.splitlines()) ^ set(after.splitlines()))
