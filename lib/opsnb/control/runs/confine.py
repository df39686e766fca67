"""Confine the calling thread and all that it will start: no capabilities, Landlock as an allow-list, fewer calls.

Call it before the first other thread exists: Landlock restricts the calling thread and what that thread creates, it
can never be widened later, and it cannot subtract a folder from an allowed parent, so siblings are listed instead.
Numbers and structures: linux/landlock.h, linux/capability.h, linux/prctl.h. It needs no privilege and costs 0.5 ms.
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from opsnb.control.runs import syscalls
from opsnb.control.runs.account import Account

SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 36, 38, 47
PR_GET_CHILD_SUBREAPER, PR_CAP_AMBIENT_CLEAR_ALL = 37, 4
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63  # the bounding set is dropped up to the first one that the system does not know

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, REFER, IOCTL_DEV = 1 << 14, 1 << 13, 1 << 15
BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many access bits an ABI knows; 16 from 5 on
SCOPE_ABI, SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 6, 1, 2
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

# What a kernel reads besides the interpreter and the toolkit. /etc and /run are listed entry by entry.
SYSTEM_READS = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/proc", "/sys", "/run/systemd/resolve")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
OWN_TERMINAL = "/dev/tty"  # leads to the terminal of the process that opens it, and a kernel has none but its session's
ETC_HIDDEN = frozenset({
    "shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "sudoers.d", "ssh", "krb5.keytab", "opsnb", "letsencrypt",
})  # fmt: skip
SSL_HIDDEN = "private"
SYSTEM_CALLS = "system-calls"  # the word for what runs.syscalls does


class Isolation(StrEnum):
    """What holds a kernel."""

    LANDLOCK = "landlock"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What holds a kernel: the allow-list, and whether system calls are refused besides."""

    isolation: Isolation
    calls: bool

    def line(self) -> str:
        """Return it as one line, from a kernel to its supervisor."""
        return f"{self.isolation.value} {SYSTEM_CALLS}" if self.calls else self.isolation.value


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What one kernel may, and as whom.

    Args:
        reads: Files and directories that it may read, besides the system and the interpreter.
        writes: Existing directories that it may read and write.
        user: The user that it becomes; ``None``: it stays who its supervisor is.
        groups: Files of control groups, to be entered by writing 0 into each.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    user: Account | None = None
    groups: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the allow-list as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Confinement:
        """Read what :meth:`as_json` wrote."""
        return cls(
            reads=tuple(value["reads"]), writes=tuple(value["writes"]), groups=tuple(value["groups"]),
            user=Account.from_json(value["user"]) if value["user"] else None,
        )  # fmt: skip


def landlock_abi() -> int:
    """Return the Landlock ABI of this kernel, 0 where there is none."""
    abi = int(_libc().syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION))
    return max(abi, 0)


def confine(confinement: Confinement) -> Held:
    """Drop every capability, apply the allow-list and refuse system calls: this thread and its children, for good.

    Raises:
        OSError: If the system has Landlock and refuses; the caller must not go on then.
    """
    libc = _libc()
    _call(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)")
    abi = landlock_abi()
    if abi:
        _restrict(libc, abi, confinement)
    _drop_capabilities(libc)
    return Held(isolation=Isolation.LANDLOCK if abi else Isolation.NONE, calls=syscalls.refuse())


def system_reads() -> tuple[str, ...]:
    """Return what every kernel may read of the system: entries of /etc one by one, without those that hold secrets."""
    paths = list(SYSTEM_READS)
    for name in sorted(os.listdir("/etc")):  # noqa: PTH208  (names are wanted)
        if name == "ssl":
            paths += [f"/etc/ssl/{n}" for n in sorted(os.listdir("/etc/ssl")) if n != SSL_HIDDEN]  # noqa: PTH208
        elif name not in ETC_HIDDEN:
            paths.append(f"/etc/{name}")
    return tuple(paths)


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the thread that forked us dies; leave at once if it died already."""
    _libc().prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def become_subreaper() -> None:
    """Have orphaned descendants handed to this process, so that none can escape it by double forking."""
    _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_subreaper() -> bool:
    """Whether orphaned descendants are handed to this process."""
    found = ctypes.c_int()
    _libc().prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0)
    return bool(found.value)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _restrict(libc: Any, abi: int, confinement: Confinement) -> None:
    rights = (1 << BITS_BY_ABI.get(abi, 16)) - 1
    scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if abi >= SCOPE_ABI else 0
    attributes = struct.pack("=QQQ", rights, 0, scoped)
    size = 24 if abi >= SCOPE_ABI else 16 if abi >= 4 else 8  # noqa: PLR2004  (the structure grew with the ABI)
    ruleset = _call(libc.syscall(SYS_LANDLOCK_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    try:
        read = EXECUTE | READ_FILE | READ_DIR
        for path in (*system_reads(), *confinement.reads):
            _allow(libc, ruleset, path, read)
        for path in DEVICES:
            _allow(libc, ruleset, path, READ_FILE | WRITE_FILE)
        _allow(libc, ruleset, OWN_TERMINAL, READ_FILE | WRITE_FILE | (rights & IOCTL_DEV))
        for path in confinement.writes:
            _allow(libc, ruleset, path, rights & ~IOCTL_DEV)
        _call(libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    try:
        if not Path(f"/proc/self/fd/{descriptor}").is_dir():
            rights &= FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _call(
            libc.syscall(SYS_LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0),
            f"landlock_add_rule({path})",
        )
    finally:
        os.close(descriptor)


def _drop_capabilities(libc: Any) -> None:
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(LAST_CAPABILITY + 1):
        if libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break  # not privileged, or past the last one
    machine = os.uname().machine
    if machine in SYS_CAPSET:
        header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
        _call(libc.syscall(SYS_CAPSET[machine], header, b"\0" * 24), "capset")
