"""What a run cannot see on a host, in words, and how to see it there."""

from __future__ import annotations

import pandas as pd

# A kernel runs without capabilities under Landlock: it reads /proc, but not what other processes hold open.
BLIND_SPOTS = (
    ("which process owns a listening socket or a connection", "/proc/PID/fd of other processes is closed to a run",
     "sudo ss -ltnup"),
    ("command lines of processes", "left out on purpose: they hold passwords, and a record is kept for ever",
     "ps -fp PID"),
    ("which files a process holds open, deleted ones too", "/proc/PID/fd of other processes is closed to a run",
     "sudo lsof -p PID; sudo lsof +L1"),
    ("bytes read and written by a process", "/proc/PID/io of other users' processes is closed to a run",
     "sudo iotop -obn 3"),
    ("the kernel's log (OOM kills, disk errors)", "a run has no capabilities", "sudo dmesg -T | tail -50"),
    ("sockets in other network namespaces (containers)", "/proc/net shows the run's own namespace",
     "sudo nsenter -t PID -n ss -tn"),
)  # fmt: skip


# On another host a script reads what its login may see; that is less than root sees, and no more is asked for.
LOGIN = "the login sees its own processes only, unless it is root; a triage asks for no more"
BLIND_ELSEWHERE = (
    ("which process owns a socket of another user", LOGIN, "sudo ss -ltnup"),
    BLIND_SPOTS[1],
    ("which files a process holds open, deleted ones too", LOGIN, "sudo lsof -p PID; sudo lsof +L1"),
    ("bytes read and written by a process", LOGIN, "sudo iotop -obn 3"),
    ("the kernel's log (OOM kills, disk errors)", "often for root only", "sudo dmesg -T | tail -50"),
    ("sockets in other network namespaces (containers)", "/proc/net shows the login's own namespace",
     "sudo nsenter -t PID -n ss -tn"),
)  # fmt: skip


def blind_spots(host: str = "HOST", *, confined: bool = True) -> pd.DataFrame:
    """Return what a run does not see, why, and the command that shows it: columns ``not_seen``, ``why``, ``by_ssh``.

    Args:
        host: The name to put into the commands.
        confined: Whether it is about this machine, seen from a confined kernel, or about hosts of the fleet.
    """
    spots = BLIND_SPOTS if confined else BLIND_ELSEWHERE
    rows = [(what, why, f"ssh {host} '{command}'") for what, why, command in spots]
    return pd.DataFrame(rows, columns=["not_seen", "why", "by_ssh"])
