"""What the flows work with: every service of one workspace, wired."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from opsnb.base.errors import UnavailableError
from opsnb.base.masking import Masker
from opsnb.base.settings import Settings
from opsnb.base.workspace import Workspace
from opsnb.control.approvals.policy import Policies
from opsnb.control.catalog import Catalog
from opsnb.control.database import Database
from opsnb.control.flows.active import Kept, active, inventory_of
from opsnb.control.ledger.signer import Signer
from opsnb.control.runs.feed import Feed
from opsnb.control.runs.launcher import Launched, Launcher
from opsnb.control.runs.terminal import Terminal
from opsnb.control.runs.toolkit import Toolkit
from opsnb.control.secrets import Sources
from opsnb.fleet.inventory import Inventory, Watched

RESERVE_BYTES = 2 * 1024**2  # given up to write the last words of a full disk
SPACE_TO_START = 1024**2  # bytes that must be free, besides the reserve, before a run starts


@dataclass
class Services:
    """The services of one workspace, as its one owner holds them."""

    workspace: Workspace
    settings: Settings
    database: Database
    catalog: Catalog
    signer: Signer
    launcher: Launcher
    toolkit: Toolkit
    secrets: Sources
    policies: Policies = field(default_factory=Policies)
    feeds: dict[str, Feed] = field(default_factory=dict)
    running: dict[str, Launched] = field(default_factory=dict)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    maskers: dict[str, Masker] = field(default_factory=dict)  # of the runs that go on; no value outlives its run
    kept: Kept = field(default_factory=Kept)  # of the active revision
    publishing: threading.RLock = field(default_factory=threading.RLock)
    work: threading.Condition = field(default_factory=threading.Condition)
    news: int = 0  # how often there may have been something to do
    ending: str = ""  # why nothing goes on any more

    def __post_init__(self) -> None:
        self._inventory = Watched(self.workspace.root)

    def feed(self, run: str) -> Feed:
        """Return the live events of a run."""
        return self.feeds.setdefault(run, Feed())

    def masker(self, run: str) -> Masker:
        """Return the masker of a run that goes on."""
        return self.maskers.setdefault(run, Masker())

    def masked(self, text: str) -> str:
        """Return text masked for every run that goes on."""
        for masker in list(self.maskers.values()):
            text = masker.text(text)
        return text

    def wake(self) -> None:
        """Tell the workers that there may be something to do."""
        with self.work:
            self.news += 1
            self.work.notify_all()

    def rest(self, news: int, seconds: float) -> None:
        """Wait until there may be something to do, that was not there when ``news`` was read, or for some seconds."""
        with self.work:
            if self.news == news:
                self.work.wait(timeout=seconds)

    def inventory(self) -> Inventory:
        """Return the inventory that holds: the files' as they are now, or the active revision's."""
        holds = active(self)
        return self._inventory.now() if holds is None else inventory_of(self, holds.revision)

    # -- disk space ------------------------------------------------------------------------------------------------

    @property
    def reserves(self) -> tuple[Path, Path]:
        """The reserve files: one beside the database, one beside the records."""
        return self.workspace.state / "reserve", self.workspace.incoming / "reserve"

    def keep_reserve(self) -> None:
        """Set space aside (again) where there is enough of it."""
        for path in self.reserves:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size == RESERVE_BYTES:
                continue
            if shutil.disk_usage(path.parent).free > 2 * RESERVE_BYTES:
                with contextlib.suppress(OSError), path.open("wb") as stream:
                    os.posix_fallocate(stream.fileno(), 0, RESERVE_BYTES)

    def give_up_reserve(self) -> None:
        """Free the reserved space: somebody has last words to write."""
        for path in self.reserves:
            with contextlib.suppress(OSError):
                path.unlink()

    def require_space(self) -> None:
        """Refuse to start what could not be recorded.

        Raises:
            UnavailableError: If the disk is full: no ledger write, no run.
        """
        self.keep_reserve()
        for path in self.reserves:
            free = shutil.disk_usage(path.parent).free
            if free < SPACE_TO_START or not path.exists():
                raise UnavailableError(
                    f"only {free // 1024} KiB are free in {path.parent}: a run could not be recorded, so none starts",
                    hint="free some space there and ask again",
                )
