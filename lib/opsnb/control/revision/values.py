"""A revision of the workspace's files, as a value. Rules without I/O.

* A revision is a mapping of path to SHA-256; its own digest is the SHA-256 of that mapping's canonical bytes. So the
  same files are the same revision, whenever and by whomever they were put there.
* What belongs to it: ``opsnb.yaml``, the inventory, ``schedules/``, everything under ``runbooks/``, and the manifests
  under ``configs/``. Nothing hidden, and no symbolic link but those that the inventory's own reader follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from opsnb.base.canonical import canonical, sha256

SETTINGS = "opsnb.yaml"
INVENTORY = "inventory.yaml"
INVENTORY_FOLDER = "inventory/"
SCHEDULES = "schedules/"
RUNBOOKS = "runbooks/"
CONFIGS = "configs/"
NOTEBOOK = ".ipynb"


class Part(StrEnum):
    """What a file is part of."""

    SETTINGS = "settings"  # opsnb.yaml, with its policies
    INVENTORY = "inventory"  # hosts, groups, services, credentials by reference
    SCHEDULES = "schedules"  # what fires when
    NOTEBOOK = "notebook"  # what can run
    SCRIPT = "script"  # what else lies under runbooks/
    CONFIGS = "configs"  # which of a service's files go where


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The files of a workspace at one moment: path to SHA-256."""

    files: Mapping[str, str]

    @cached_property
    def manifest(self) -> bytes:
        """The bytes that the revision's digest is of."""
        return canonical({"files": dict(self.files)})

    @cached_property
    def digest(self) -> str:
        """What tells this revision from any other."""
        return sha256(self.manifest)

    @cached_property
    def inventory(self) -> tuple[tuple[str, str], ...]:
        """The inventory's files and their digests; each of a run's hosts asks for them."""
        return tuple(self.of(Part.INVENTORY).items())

    def differing(self, other: Revision) -> tuple[str, ...]:
        """Return the paths that are not the same in ``other``, sorted."""
        return tuple(sorted(p for p in {*self.files, *other.files} if self.files.get(p) != other.files.get(p)))

    def of(self, *parts: Part) -> dict[str, str]:
        """Return the files of some parts, in the order in which they are read."""
        return {path: self.files[path] for path in sorted(self.files, key=_order) if part_of(path) in parts}


@dataclass(frozen=True, kw_only=True)
class Activated:
    """A revision that was activated.

    Args:
        number: From 1.
        revision: Its files.
        by: Who activated it, by id.
        at: When.
        automatic: Whether that was because a second person came, and nobody was asked.
    """

    number: int
    revision: Revision
    by: str
    at: str
    automatic: bool


def part_of(path: str) -> Part:
    """Return what a file of a revision is part of."""
    if path == SETTINGS:
        return Part.SETTINGS
    if path == INVENTORY or path.startswith(INVENTORY_FOLDER):
        return Part.INVENTORY
    if path.startswith(SCHEDULES):
        return Part.SCHEDULES
    if path.startswith(CONFIGS):
        return Part.CONFIGS
    return Part.NOTEBOOK if path.endswith(NOTEBOOK) else Part.SCRIPT


def _order(path: str) -> tuple[bool, str]:
    return path != INVENTORY, path  # inventory.yaml stands before those in the folder
