"""The toolkit's digest: the sources of base, fleet, kits and runbook, which a sealed request binds."""

from __future__ import annotations

import threading
from pathlib import Path

from opsnb.base.canonical import digest, sha256

PACKAGES = ("base", "fleet", "kits", "runbook")


class Toolkit:
    """Computes the digest, and again only when a file's state has changed.

    The time at which its content changed says nothing by itself: anybody sets that as they like.
    """

    def __init__(self) -> None:
        self.root = Path(__file__).resolve().parents[2]
        self._lock = threading.Lock()
        self._seen: tuple[tuple[str, int, int, int, int], ...] = ()
        self._digest = ""

    def digest(self) -> str:
        """Return the toolkit's digest as the files stand now."""
        files = sorted(p for name in PACKAGES for p in (self.root / name).rglob("*.py"))
        seen = tuple((str(p), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p in files for s in [p.stat()])
        with self._lock:
            if seen != self._seen:
                rows = {str(p.relative_to(self.root)): sha256(p.read_bytes()) for p in files}
                self._digest, self._seen = digest(rows), seen
            return self._digest
