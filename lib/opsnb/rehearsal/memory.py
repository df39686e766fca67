"""How much memory a host uses: the proportional share of all its processes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from opsnb.rehearsal.shared import descendants

KIB = 1024


def used(pid: int) -> int:
    """Return the bytes that a host's first process and all below it use; shared pages count in shares."""
    return sum(_share(number) for number in {pid, *(process.pid for process in descendants(pid))})


def _share(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(
            r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.MULTILINE
        )
        return int(found[1]) * KIB if found else 0
    return 0
