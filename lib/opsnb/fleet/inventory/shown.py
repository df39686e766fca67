"""A host as a list and a page of it show it: JSON, no secret, credentials by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsnb.fleet.inventory.inventory import Inventory


def row_of(inventory: Inventory, name: str) -> dict[str, Any]:
    """Return a host as a list shows it: its sealed row, and whether its key is pinned.

    Raises:
        InventoryError: If nobody is called so.
    """
    host = inventory.host(name)
    return inventory.row(name) | {"pinned": bool(host.keys) or host.transport != "ssh"}


def shown(inventory: Inventory, name: str, referred_to_by: Sequence[str]) -> dict[str, Any]:
    """Return everything that holds for a host, which group it comes from, and where it stands.

    Raises:
        InventoryError: If nobody is called so.
    """
    host, row = inventory.host(name), row_of(inventory, name)
    own = {"user"} if row.get("user", "") != host.user else set()  # the credential's user comes from no group
    services = [service for service in inventory.services if name in inventory.hosts_of(service)]
    return row | {
        "origins": {field: group for field, group in host.origins.items() if field not in own},
        "file": host.path, "line": host.line, "services": services, "referred_to_by": list(referred_to_by),
    }  # fmt: skip
