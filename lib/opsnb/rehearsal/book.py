"""The inventory file of a rehearsal fleet: ``inventory/rehearsal.yaml`` in the workspace, written by ``up`` alone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import yaml

from opsnb.base.workspace import Workspace
from opsnb.fleet.inventory import load
from opsnb.rehearsal.hosts import Host, Login, inventory
from opsnb.rehearsal.keys import Keys
from opsnb.rehearsal.state import write

HEAD = "# Written by `opsnb rehearse up`, removed by `opsnb rehearse down`: do not edit, do not keep in git.\n"


class Book:
    """The inventory file of a workspace's rehearsal fleet."""

    def __init__(self, place: Workspace) -> None:
        self.root = place.root.absolute()
        self.path = self.root / "inventory" / "rehearsal.yaml"

    def write(self, hosts: Sequence[Host], keys: Keys, login: Login, *, ports: Mapping[str, int]) -> None:
        """Write the file, and see that it goes together with the rest of the inventory.

        Args:
            hosts: The hosts.
            keys: The fleet's keys.
            login: How one logs in to them.
            ports: The port on which each serves HTTP, for those that do.

        Raises:
            InventoryError: If it does not, such as when another file has one of its names; with file and line.
        """
        self.path.parent.mkdir(exist_ok=True)
        text = yaml.safe_dump(inventory(hosts, keys.public, login=login, ports=ports), sort_keys=False, width=1000)
        write(self.path, HEAD + text, 0o644)
        load(self.root)

    def remove(self) -> None:
        """Remove the file, and its folder when nothing else is in it."""
        for path in (self.path, self.path.with_name(self.path.name + ".part")):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
