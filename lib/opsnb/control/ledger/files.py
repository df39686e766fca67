"""Files that are whole or not there: write aside, fsync, rename, fsync the directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from opsnb.control.files import sync_directory

__all__ = ["read_if_there", "replace_file", "sync", "sync_directory"]


def replace_file(path: Path, chunks: Iterable[bytes], *, staging: Path, mode: int = 0o644) -> None:
    """Write ``path`` atomically and durably.

    Args:
        path: The file; an older one is replaced in one step.
        chunks: Its bytes.
        staging: A directory on the same file system for the unfinished file.
        mode: Permission bits.
    """
    aside = staging / f".{path.name}.{os.getpid()}.new"
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            for chunk in chunks:
                stream.write(chunk)
            sync(stream.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync(descriptor: int) -> None:
    """Bring what was written to ``descriptor`` to the disk."""
    os.fsync(descriptor)


def read_if_there(path: Path) -> bytes | None:
    """Return a file's bytes, or ``None`` when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
