"""The system calls that make a host: namespaces, mounts, capabilities. By ctypes, so that no package is needed.

Numbers are those of ``linux/sched.h``, ``linux/mount.h``, ``linux/capability.h`` and ``linux/prctl.h``.
"""

from __future__ import annotations

import ctypes
import os
from enum import IntFlag
from pathlib import Path


class Namespaces(IntFlag):
    """Which namespaces a process leaves (``unshare(2)``)."""

    MOUNTS = 0x00020000
    NAMES = 0x04000000  # host name and domain name
    IPC = 0x08000000
    PROCESSES = 0x20000000
    NETWORK = 0x40000000


class Mount(IntFlag):
    """Flags of ``mount(2)``."""

    NONE = 0
    READ_ONLY = 1
    NO_SETUID = 2
    NO_DEVICES = 4
    NO_EXECUTION = 8
    REMOUNT = 32
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18


DETACH = 2  # umount2(2): out of sight now, gone when the last user leaves
DROP_FROM_BOUNDING_SET = 24  # prctl(2)
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}  # syscall number by machine

# What root on a host keeps: what a container engine gives by default, and the processes of others on the same host.
# Not among them: mounting, devices, modules, the clock, the network's settings: these would reach the machine itself.
KEPT_CAPABILITIES = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
    "net_bind_service": 10, "net_raw": 13, "sys_chroot": 18, "sys_ptrace": 19, "sys_nice": 23, "mknod": 27,
    "audit_write": 29, "setfcap": 31,
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(spaces: Namespaces) -> None:
    """Leave the machine's namespaces for new ones.

    Raises:
        OSError: If the kernel does not let this process.
    """
    _check(_libc.unshare(int(spaces)), f"unshare {spaces!r}")


def mount(source: str | Path, target: str | Path, kind: str = "", flags: Mount = Mount.NONE, options: str = "") -> None:
    """Mount, by ``mount(2)``.

    Raises:
        OSError: With the target in its text.
    """
    words = [str(source).encode(), str(target).encode(), kind.encode() or None]
    _check(_libc.mount(*words, ctypes.c_ulong(int(flags)), options.encode() or None), f"mount {kind} on {target}")


def bind(source: str | Path, target: str | Path, *, read_only: bool = False) -> None:
    """Make a file or directory seen at another place too.

    Raises:
        OSError: With the target in its text.
    """
    mount(source, target, flags=Mount.BIND)
    if read_only:
        mount("none", target, flags=Mount.BIND | Mount.REMOUNT | Mount.READ_ONLY | Mount.NO_SETUID | Mount.NO_DEVICES)


def change_root(root: Path) -> None:
    """Make ``root`` the root directory and let go of everything that was mounted before (``pivot_root(2)``).

    Raises:
        OSError: If the kernel does not let this process, or the machine's processor is not known here.
    """
    number = PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, f"pivot_root: no call number is known for {os.uname().machine}")
    os.chdir(root)
    _check(_libc.syscall(ctypes.c_long(number), b".", b"."), f"pivot_root {root}")
    _check(_libc.umount2(b".", DETACH), "umount of the machine's root")
    os.chdir("/")


def drop_capabilities() -> None:
    """Take from this process and all that come after it what would reach the machine.

    Raises:
        OSError: If the kernel does not let this process.
    """
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="utf-8"))
    for number in range(last + 1):
        if number not in KEPT_CAPABILITIES.values():
            _check(_libc.prctl(DROP_FROM_BOUNDING_SET, ctypes.c_ulong(number), 0, 0, 0), f"drop capability {number}")
