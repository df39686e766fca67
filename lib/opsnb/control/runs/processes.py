"""The processes of one run, seen through /proc: counted, measured, and all of them ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
SWEEP_SECONDS = 10.0  # how long a sweep insists before it says what it could not end


def parents() -> dict[int, int]:
    """Return the parent of every process that can be seen."""
    table = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            table[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return table


def descendants(root: int, *, without: frozenset[int] = frozenset()) -> list[int]:
    """Return every descendant of ``root`` from one look at /proc, nearest first.

    Args:
        root: A pid.
        without: Pids to leave out, with all of theirs.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    queue = [root]
    while queue:
        for child in children.get(queue.pop(0), ()):
            if child not in without:
                found.append(child)
                queue.append(child)
    return found


def resident(root: int) -> int:
    """Return the bytes resident in all descendants of ``root``; pages that a fork shares count in each."""
    total = 0
    for pid in descendants(root):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def sweep(keep: frozenset[int] = frozenset(), seconds: float = SWEEP_SECONDS) -> list[int]:
    """Kill and reap every descendant of this process (a subreaper), except those in ``keep`` and theirs.

    Only descendants are touched: a pid that was reused elsewhere is not one. Returns those that would not end.
    """
    end = time.monotonic() + seconds
    while True:
        _reap(keep)
        left = descendants(os.getpid(), without=keep)
        if not left or time.monotonic() > end:
            return left
        for pid in left:  # stopped first, so that none forks while the others are killed
            _send(pid, signal.SIGSTOP)
        for pid in left:
            _send(pid, signal.SIGKILL)
        time.sleep(0.002)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _reap(keep: frozenset[int]) -> None:
    for pid, parent in parents().items():
        if parent == os.getpid() and pid not in keep:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
