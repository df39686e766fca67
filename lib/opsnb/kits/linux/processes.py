"""Processes: ``/proc/[pid]/stat`` and ``status``, by CPU and memory over an interval.

Formats: proc_pid_stat(5), proc_pid_status(5). Command lines are left out on purpose: they hold passwords, and what is
shown stays in the record for ever. The name is the kernel's (at most 15 bytes), and its owner may set it to anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from opsnb.base.errors import UsageError

TICKS = 100  # clock ticks a second in /proc on every Linux (USER_HZ)
KIB_IN_MIB = 1024
STATES = {
    "R": "running", "S": "sleeping", "D": "blocked", "T": "stopped", "t": "traced", "Z": "zombie", "X": "dead",
    "I": "idle", "P": "parked", "W": "waking", "K": "wakekill", "x": "dead",
}  # fmt: skip
COLUMNS = ["pid", "name", "cpu_percent", "memory_mib", "memory_percent", "state", "user", "threads", "parent"]


@dataclass(frozen=True, kw_only=True)
class ProcessStat:
    """What ``/proc/[pid]/stat`` tells.

    Args:
        pid: Process id.
        name: The kernel's name for it, as it is: it may hold blanks, brackets, newlines, escapes.
        state: One word: ``running``, ``sleeping``, ``blocked`` (uninterruptible, mostly on a disk), ``zombie``, ...
        parent: Parent's pid.
        ticks: CPU time in user and kernel mode, ticks.
        threads: Number of threads.
        started: Ticks after the machine's start; with ``pid`` it names one process.
    """

    pid: int
    name: str
    state: str
    parent: int
    ticks: int
    threads: int
    started: int


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """What ``/proc/[pid]/status`` tells besides.

    Args:
        uid: Real user id.
        resident: Resident memory, KiB; 0 for a kernel thread or a zombie.
    """

    uid: int
    resident: int


def parse_process_stat(text: str) -> ProcessStat:
    """Return one process. Its name ends at the *last* closing bracket: a name may hold brackets and newlines.

    Raises:
        UsageError: If the line has another form.
    """
    try:
        pid, rest = text.split(" (", 1)
        name, tail = rest.rsplit(") ", 1)
        words = tail.split()
        return ProcessStat(
            pid=int(pid), name=name, state=STATES.get(words[0], words[0]), parent=int(words[1]),
            ticks=int(words[11]) + int(words[12]), threads=int(words[17]), started=int(words[19]),
        )  # fmt: skip
    except (ValueError, IndexError) as error:
        raise UsageError(f"this is not a line of /proc/PID/stat: {text[:80]!r}") from error


def parse_process_status(text: str) -> ProcessStatus:
    """Return user and memory of one process; the kernel escapes a newline in the name, so no line can be forged.

    Raises:
        UsageError: If there is no ``Uid:`` line.
    """
    fields = dict(re.findall(r"^(Uid|VmRSS):\s+(\d+)", text, re.MULTILINE))
    if "Uid" not in fields:
        raise UsageError(f"/proc/PID/status has no 'Uid:' line: {text[:80]!r}")
    return ProcessStatus(uid=int(fields["Uid"]), resident=int(fields.get("VmRSS", "0")))


def parse_passwd(text: str) -> dict[int, str]:
    """Return user names by uid from ``/etc/passwd``; the first name of a uid counts, damaged lines are passed over."""
    users: dict[int, str] = {}
    for line in text.splitlines():
        words = line.split(":")
        if len(words) > 2 and words[2].isdigit():  # noqa: PLR2004  (name, password, uid)
            users.setdefault(int(words[2]), words[0])
    return users


def process_table(
    before: Mapping[int, ProcessStat], after: Mapping[int, ProcessStat], status: Mapping[int, ProcessStatus],
    *, seconds: float, memory_mib: float, users: Mapping[int, str],
) -> pd.DataFrame:  # fmt: skip
    """Return one row for each process of the second sample, busiest first.

    Args:
        before: Processes at the start, by pid.
        after: Processes at the end.
        status: User and memory at the end; who is missing has ended meanwhile and is left out.
        seconds: Time between the samples, above 0.
        memory_mib: Memory of the machine.
        users: User names by uid.

    Returns:
        Columns: ``pid``, ``name``, ``cpu_percent`` (of one CPU: 200 is two CPUs; a process that started in between
        counts from its start), ``memory_mib`` (resident, shared pages counted for each who has them),
        ``memory_percent``, ``state``, ``user``, ``threads``, ``parent``.

    Raises:
        UsageError: If ``seconds`` is not above 0.
    """
    if seconds <= 0:
        raise UsageError(f"a rate needs two samples at different times; these are {seconds} s apart")
    rows = []
    for pid, now in after.items():
        if pid not in status:
            continue
        then = before.get(pid)
        spent = now.ticks - (then.ticks if then and then.started == now.started else 0)
        resident = status[pid].resident / KIB_IN_MIB
        user = users.get(status[pid].uid, str(status[pid].uid))
        rows.append((pid, now.name, 100 * max(0, spent) / TICKS / seconds, resident, 100 * resident / memory_mib,
                     now.state, user, now.threads, now.parent))  # fmt: skip
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["cpu_percent", "memory_mib", "pid"], ascending=[False, False, True], ignore_index=True)


def top_by_memory(processes: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return the ``limit`` processes with most resident memory."""
    ordered = processes.sort_values(["memory_mib", "pid"], ascending=[False, True], ignore_index=True)
    return ordered.head(limit)
