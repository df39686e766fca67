"""Scratch folders: one for each run, locked by its supervisor as long as anything of the run lives.

A supervisor removes its folder. One that is killed cannot, and the folder may hold what its run was given: so every
start of a control plane removes the folders that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "opsnb-run-"
YOUNG = 60.0  # seconds in which a folder is left alone: it may not be locked yet


def make(base: str) -> tuple[Path, int]:
    """Make a folder and lock it; return it and the descriptor that holds the lock, which children inherit by fork."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return folder, descriptor


def remove_stale(base: str) -> int:
    """Remove this user's folders that nobody holds; return how many."""
    removed = 0
    for folder in Path(base).glob(f"{PREFIX}*"):
        try:
            info = folder.lstat()
            if info.st_uid != os.geteuid() or time.time() - info.st_mtime < YOUNG:
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or no folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        except OSError:  # somebody holds it
            continue
        finally:
            os.close(descriptor)
    return removed
