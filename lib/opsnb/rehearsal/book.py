"""The inventory file of a rehearsal fleet: ``inventory/rehearsal.yaml`` in the workspace, written by ``up`` alone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import yaml

from opsnb.base.errors import UsageError
from opsnb.base.workspace import Workspace
from opsnb.rehearsal.hosts import Host, Login, inventory
from opsnb.rehearsal.keys import Keys
from opsnb.rehearsal.state import write

HEAD = "# Written by `opsnb rehearse up`, removed by `opsnb rehearse down`: do not edit, do not keep in git.\n"


class Book:
    """The inventory file of a workspace's rehearsal fleet."""

    def __init__(self, place: Workspace) -> None:
        self.root = place.root.absolute()
        self.path = self.root / "inventory" / "rehearsal.yaml"

    def check(self, names: Sequence[str]) -> None:
        """See that no other inventory file has one of the hosts.

        Raises:
            UsageError: If one has, with file and name.
        """
        for path in [self.root / "inventory.yaml", *sorted((self.root / "inventory").glob("*.yaml"))]:
            if path == self.path or not path.is_file():
                continue
            with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError):  # a broken file is its reader's to report
                value = yaml.safe_load(path.read_text(encoding="utf-8"))
                taken = value.get("hosts") if isinstance(value, dict) else None
                clash = [name for name in names if isinstance(taken, dict) and name in taken]
                if clash:
                    raise UsageError(
                        f"{path.relative_to(self.root)} has a host '{clash[0]}' already, and so has a rehearsal fleet",
                        hint="rehearse in a workspace of its own: opsnb init DIR",
                    )

    def write(self, hosts: Sequence[Host], keys: Keys, login: Login) -> None:
        """Write the file."""
        self.path.parent.mkdir(exist_ok=True)
        text = yaml.safe_dump(inventory(hosts, keys.public, login=login), sort_keys=False, width=1000)
        write(self.path, HEAD + text, 0o644)

    def remove(self) -> None:
        """Remove the file, and its folder when nothing else is in it."""
        for path in (self.path, self.path.with_name(self.path.name + ".part")):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
