"""What holds kernels here, as ``opsnb doctor`` finds it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from opsnb.base.errors import SettingsError
from opsnb.base.settings import read as read_settings
from opsnb.base.workspace import SETTINGS_FILE, Workspace
from opsnb.control.flows.finding import Finding, State
from opsnb.control.flows.isolation import kernel_user
from opsnb.control.runs import callers, cgroups, syscalls
from opsnb.control.runs.confine import SCOPE_ABI, landlock_abi

LOOKED_AT = {
    "memory": "memory is looked at, not limited", "pids": "processes are not limited",
    "cpu": "each process has a share of CPU, not each run",
}  # fmt: skip  # what holds where a controller is not there


def isolation(workspace: Workspace) -> Iterator[Finding]:
    """What holds a kernel on this machine, and whether a run is told from a person."""
    abi = landlock_abi()
    if abi >= SCOPE_ABI:
        yield Finding(name="isolation", state=State.OK, found=f"Landlock ABI {abi}: files, signals, sockets")
    elif abi:
        yield Finding(
            name="isolation", state=State.WARNING, found=f"Landlock ABI {abi}: files, but not signals",
            mend="Linux 6.12 or newer",
        )  # fmt: skip
    else:
        yield Finding(
            name="isolation", state=State.PROBLEM, found="no Landlock: kernels are not isolated, changes are refused",
            mend="Linux 5.13 or newer with lsm=landlock on the kernel command line",
        )  # fmt: skip
    yield from _kernels(workspace)


def _kernels(workspace: Workspace) -> Iterator[Finding]:
    """What holds kernels besides: fewer system calls, another user, control groups."""
    machine = os.uname().machine
    if syscalls.known_here():
        number = len(syscalls.REFUSED) + len(syscalls.OWN_ONLY)
        yield Finding(name="system calls", state=State.OK, found=f"{number} are refused to kernels, or bounded")
    else:
        yield Finding(name="system calls", state=State.NOTE, found=f"{machine}: none are refused to kernels")
    try:
        settings = read_settings(workspace.root / SETTINGS_FILE)
        user = kernel_user(settings, workspace)
        found = f"kernels run as '{user.name}'" if user else "kernels run as the user of the control plane"
        yield Finding(name="kernel user", state=State.OK if user else State.NOTE, found=found,
                      mend="" if user else "kernel_user: NAME in opsnb.yaml, as root")  # fmt: skip
        yield from _agent(shared=user is None)
    except SettingsError as error:
        yield Finding(name="kernel user", state=State.PROBLEM, found=error.message, mend=error.hint)
    yield from _callers(workspace)
    yield from _groups(workspace)


def _agent(*, shared: bool) -> Iterator[Finding]:
    """Whether an SSH agent signs for kernels: it asks which user of the system is connected, and nothing else."""
    if shared and os.environ.get("SSH_AUTH_SOCK"):
        yield Finding(
            name="SSH agent", state=State.WARNING, found="it signs for this user, so for any notebook",
            mend="kernel_user: NAME in opsnb.yaml; or keys as secrets, and opsnb up without SSH_AUTH_SOCK",
        )  # fmt: skip


def _groups(workspace: Workspace) -> Iterator[Finding]:
    """Which limits a run's control group holds: of the control plane that answers, else of one started from here."""
    pid = owner(workspace)
    where = cgroups.home(proc=f"/proc/{pid}" if pid else "/proc/self")
    holds = where.folders if where else {}
    lacks = [word for name, word in LOOKED_AT.items() if name not in holds]
    found = where.words if where else "none can be made"
    if not lacks:
        yield Finding(name="control groups", state=State.OK, found=found)
        return
    yield Finding(
        name="control groups", state=State.NOTE, found="; ".join([found, *lacks]),
        mend="cgroup v2, and root or a service with Delegate=yes in which nothing else runs",
    )  # fmt: skip


def owner(workspace: Workspace) -> int:
    """Return the pid of the control plane that listens at the workspace's socket; 0 for none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        folder = os.open(workspace.socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{workspace.socket.name}")
        finally:
            os.close(folder)
        pid, pidfd = callers.behind_unix(sock)
        os.close(pidfd)
        return pid
    return 0


def _callers(_: Workspace) -> Iterator[Finding]:
    """Whether a run that asks the API is told from a person, whatever token it found."""
    if missing := callers.untold():
        yield Finding(
            name="runs at the API", state=State.WARNING,
            found=f"over {' and '.join(missing)} this system does not tell who is connected: nobody is served there",
            mend="a /proc in which the control plane sees the processes of its own user",
        )  # fmt: skip
    else:
        yield Finding(name="runs at the API", state=State.OK, found="told from people on this machine, and refused")
