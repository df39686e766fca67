"""The files by which the system lets itself be told about control groups: a seam of six verbs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """The system's files, which are its interface here; tests have one that refuses and lies."""

    def read(self, path: str) -> str:
        """Return a file's text."""

    def write(self, path: str, text: str) -> None:
        """Write to a file in one call, which is one command to the system."""

    def there(self, path: str) -> bool:
        """Whether there is such a file or directory."""

    def writable(self, path: str) -> bool:
        """Whether we may write to it."""

    def make(self, path: str) -> None:
        """Make a directory: a group."""

    def remove(self, path: str) -> None:
        """Remove an empty group."""


class System:
    """The real ones."""

    def read(self, path: str) -> str:
        """Return a file's text."""
        return Path(path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        """Write to a file that is there."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)

    def there(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return Path(path).exists()

    def writable(self, path: str) -> bool:
        """Whether we may write to it."""
        return os.access(path, os.W_OK)

    def make(self, path: str) -> None:
        """Make a directory: a group."""
        Path(path).mkdir()

    def remove(self, path: str) -> None:
        """Remove an empty group."""
        Path(path).rmdir()


SYSTEM = System()
