"""Another user of the system for kernels (``kernel_user`` in opsnb.yaml): found, looked at, become.

The supervisor stays who it is: it alone writes records, and signals and reaps what the other user runs.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.base.errors import SettingsError

PR_SET_DUMPABLE = 4
LOOK_SECONDS = 10.0  # how long one look at a path may take


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of this system: its name, number, group, and every group that it is in."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Account:
        """Read ``asdict`` of one."""
        return cls(**{**value, "groups": tuple(value["groups"])})


def account(name: str) -> Account:
    """Return the user for kernels.

    Raises:
        SettingsError: If there is none of that name, it is root, or we may not become it; says what to do.
    """
    try:
        row = pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(
            f"kernel_user: this system has no user '{name}'", hint=f"useradd --system --no-create-home {name}"
        ) from None
    if row.pw_uid == 0:
        raise SettingsError(f"kernel_user: '{name}' is root", hint="name a user that owns nothing")
    if os.geteuid() not in {0, row.pw_uid}:
        raise SettingsError(
            f"kernel_user: only root can start kernels as '{name}'", hint="run opsnb up as root, or leave it out"
        )
    groups = tuple(os.getgrouplist(name, row.pw_gid)) if os.geteuid() == 0 else tuple(os.getgroups())
    return Account(name=name, uid=row.pw_uid, gid=row.pw_gid, groups=groups)


def unreadable(user: Account, paths: Iterable[str]) -> list[str]:
    """Return those of ``paths`` that the user cannot read; of a directory, or a program, also not enter or execute."""
    return [path for path in dict.fromkeys(paths) if Path(path).exists() and not _may(user, path)]


def unwritable(user: Account | None, folders: Iterable[str]) -> list[str]:
    """Return those directories in which the user (``None``: we ourselves) can make no file."""
    if user is None:
        return [path for path in folders if not os.access(path, os.W_OK | os.X_OK)]
    return [path for path in folders if not _answers(user, ["-w", path, "-a", "-x", path])]


def _may(user: Account, path: str) -> bool:
    runs = Path(path).is_dir() or os.access(path, os.X_OK)
    return _answers(user, ["-r", path, *(["-a", "-x", path] if runs else [])])


def _answers(user: Account, question: list[str]) -> bool:
    """Return what test(1) answers to the user: modes, groups, access lists and mounts as the system reads them."""
    argv = ["/usr/bin/test", *question]
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": user.uid, "group": user.gid, "extra_groups": user.groups}
    done = subprocess.run(argv, cwd="/", timeout=LOOK_SECONDS, check=False, **who)
    return done.returncode == 0


def become(user: Account) -> None:
    """Be the user, for good: this process and what it starts.

    Its entries in /proc are its own again afterwards: the system hides them when a process changes its user, and a
    kernel that cannot list its own descriptors is a slow one.
    """
    if os.geteuid() == 0:
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    os.environ.update({"USER": user.name, "LOGNAME": user.name})
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
