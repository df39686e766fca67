"""A workspace's inventory as it is on the disk now, read again only when a file of it has changed."""

from __future__ import annotations

import threading
from pathlib import Path

from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.reader import load
from opsnb.fleet.inventory.written import files_of

Stamp = tuple[tuple[str, int, int, int, int], ...]


class Watched:
    """Keeps the inventory that was read last: each of a run's hosts asks for it, and reading 10,000 takes a second.

    Args:
        root: The workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._inventory: Inventory | None = None

    def now(self) -> Inventory:
        """Return the inventory.

        Raises:
            InventoryError: As :func:`opsnb.fleet.inventory.load`.
        """
        with self._lock:
            stamp = self._look()  # before reading: what changes meanwhile is read the next time
            if self._inventory is None or stamp != self._stamp:
                self._inventory, self._stamp = load(self._root), stamp
            return self._inventory

    def _look(self) -> Stamp:
        """Return what tells one state of the files from another: path, times, size, inode of each."""
        found = []
        for path in files_of(self._root):
            info = path.stat()
            found.append((str(path), info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino))
        return tuple(found)
