"""How much memory a host uses: the proportional share of all its processes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from opsnb.rehearsal.shared import below, children

KIB = 1024


def used(pids: Iterable[int]) -> dict[int, int]:
    """Return the bytes that each host uses, by its first process: that and all below; shared pages count in shares."""
    known = children()
    return {pid: sum(_share(number) for number in (pid, *below(pid, known))) for pid in pids}


def _share(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(
            r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.MULTILINE
        )
        return int(found[1]) * KIB if found else 0
    return 0
