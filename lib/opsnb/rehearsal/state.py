"""What a rehearsal fleet leaves in ``.opsnb/rehearsal/``: its plan, one process a host, keys, and a lock.

A process is named by its number, its start time and the boot it belongs to; nothing else is ever signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.base.errors import OpsnbError

PLAN = "fleet.json"
END_SECONDS = 10.0  # how long a killed process may take to end
LOCK_MODE = 0o600
_STATE, _START = 0, 19  # fields of /proc/PID/stat after the name: proc(5) 3 and 22


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that was started here.

    Args:
        pid: Its number.
        start: Its start time in clock ticks since boot: ``/proc/PID/stat``, field 22.
        boot: The kernel's id of this boot.
    """

    pid: int
    start: int
    boot: str

    def alive(self) -> bool:
        """Whether this very process still runs: not another one with its number, not a zombie."""
        return self.boot == boot() and started(self.pid) == self.start

    def signal(self, number: int) -> bool:
        """Send a signal to this very process; return whether it was there."""
        with contextlib.suppress(ProcessLookupError), _descriptor(self.pid) as descriptor:
            if self.alive():  # asked after the descriptor was opened: the number cannot have changed hands since
                signal.pidfd_send_signal(descriptor, number)
                return True
        return False

    def kill(self) -> bool:
        """Kill this very process and wait for its end; return whether it was there.

        Raises:
            OpsnbError: If it does not end.
        """
        with contextlib.suppress(ProcessLookupError), _descriptor(self.pid) as descriptor:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            if not select.select([descriptor], [], [], END_SECONDS)[0]:
                raise OpsnbError(f"process {self.pid} was killed and has not ended in {END_SECONDS:.0f} s")
            return True
        return False


@contextlib.contextmanager
def _descriptor(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def boot() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def started(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in {"Z", "X"} else int(fields[_START])


def process(pid: int) -> Process:
    """Return a process that runs now, as it is remembered.

    Raises:
        OpsnbError: If it has ended.
    """
    start = started(pid)
    if start is None:
        raise OpsnbError(f"process {pid} ended as soon as it was started")
    return Process(pid=pid, start=start, boot=boot())


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one step: it is whole or not there."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None when there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def remember(path: Path, process: Process) -> None:
    """Write down a process that was started."""
    write(path, json.dumps({"pid": process.pid, "start": process.start, "boot": process.boot}))


def recall(path: Path) -> Process | None:
    """Return the process that was written down; None when there is none."""
    value = read(path)
    return Process(pid=int(value["pid"]), start=int(value["start"]), boot=str(value["boot"])) if value else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the fleet's lock, which programs started meanwhile may inherit; give its descriptor.

    The lock lies beside the folder, since ``down`` removes the folder.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder.with_name(folder.name + ".lock")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, LOCK_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                break  # not the lock that a `down` has just removed
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        if not folder.exists():
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # only if nothing else is in it
        os.close(descriptor)
