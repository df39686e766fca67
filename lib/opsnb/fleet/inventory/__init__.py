"""The inventory: hosts, groups, services, selectors, as values read from `inventory.yaml`."""

from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.keys import fingerprint, key_line, keys_digest
from opsnb.fleet.inventory.reader import load, loads, loads_all
from opsnb.fleet.inventory.shown import row_of, shown
from opsnb.fleet.inventory.values import THIS_MACHINE, Credential, Group, Host, Service
from opsnb.fleet.inventory.watched import Watched

__all__ = [
    "THIS_MACHINE", "Credential", "Group", "Host", "Inventory", "Service", "Watched", "fingerprint", "key_line",
    "keys_digest", "load", "loads", "loads_all", "row_of", "shown",
]  # fmt: skip
