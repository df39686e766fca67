"""Files that somebody elsewhere sends along with what they ask for: kept below the state, by their digest.

They are no files of the workspace: a supervisor copies them into the scratch folder of the run they were sent for, and
nothing else reads them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from opsnb.base.canonical import sha256
from opsnb.base.errors import RefusedError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.control.files import write_atomic

MOST = 1024**3  # bytes that are kept of all of them
KEEP_SECONDS = 30 * 86400.0  # how long one is kept that nobody sent again
NAME = re.compile(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]{1,200}")
MOST_NAME = 200  # bytes: a file system takes 255, and something stands before and behind it while it is written


def place_of(workspace: Workspace, name: str, content: bytes) -> Path:
    """Return where a file that was sent is kept.

    Raises:
        UsageError: If its name is none of a file.
    """
    if not NAME.fullmatch(name) or len(name.encode("utf-8", "replace")) > MOST_NAME:
        hint = f"one name, without '/', of at most {MOST_NAME} bytes"
        raise UsageError(f"{name!r:.100} is no name of a file", hint=hint)
    return workspace.state / "uploads" / sha256(content) / name


def keep(workspace: Workspace, files: Mapping[str, bytes]) -> None:
    """Write what was sent, once.

    Raises:
        RefusedError: If too much is kept already.
    """
    if not files:
        return
    folder = workspace.state / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    held = sum(path.stat().st_size for path in folder.glob("*/*"))
    if held + sum(map(len, files.values())) > MOST:
        raise RefusedError(
            f"{held} bytes that others sent are kept already, and {MOST} is the most",
            hint="what is 30 days old goes at the next start of opsnb up; or run it on the control plane's machine",
        )
    for name, content in files.items():
        path = place_of(workspace, name, content)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomic(path, content, mode=0o600)


def remove_old(workspace: Workspace, now: float | None = None) -> None:
    """Remove what nobody has sent for long; a request that still names it says that it is gone."""
    for folder in (workspace.state / "uploads").glob("*"):
        with contextlib.suppress(OSError):
            newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
            if newest < (now or time.time()) - KEEP_SECONDS:
                shutil.rmtree(folder)
