"""Refuse the system calls that a runbook never needs and a hostile one would: a seccomp filter, for good.

Landlock holds files, signals, tracing and abstract sockets; this holds what it does not know: other namespaces, mounts,
another process's memory and descriptors, io_uring (a second way to every other call), the kernel's keyrings, and doors
to the system's core that have let unprivileged users in before. A deny-list is the second fence, never the first.

Numbers: asm/unistd_64.h and asm-generic/unistd.h. Structures: linux/filter.h, linux/seccomp.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Any

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_FROM, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|.., BPF_RET
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
NUMBER, MACHINE, FIRST_ARGUMENT, ARGUMENT = 0, 4, 16, 8  # offsets in struct seccomp_data, an argument's size
X32 = 0x40000000  # the bit of the other calling convention of x86_64: not needed, so not there
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS and CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET}

# Names with their numbers on (x86_64, aarch64); from 424 on they are the same everywhere.
REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
}  # fmt: skip
# Calls that reach other processes of the same user, for their limits or their share of the machine: with these values
# of the first arguments they are about the caller itself, and nothing else is let through. Landlock knows none of them.
# Not sched_setscheduler: ZeroMQ says it of its own threads, by their numbers, and aborts when it is refused.
OWN_ONLY = {
    "prlimit64": ((302, 261), (0,)), "sched_setaffinity": ((203, 122), (0,)), "sched_setparam": ((142, 118), (0,)),
    "sched_setattr": ((314, 274), (0,)),
    "setpriority": ((141, 140), (0, 0)), "ioprio_set": ((251, 30), (1, 0)),  # PRIO_PROCESS, IOPRIO_WHO_PROCESS
}  # fmt: skip
CLONE = (56, 220)
CLONE3 = 435  # its flags lie in memory, where no filter can look: "not known here", and every libc falls back to clone
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_*


def known_here() -> bool:
    """Whether the filter has numbers for this machine."""
    return os.uname().machine in MACHINES


def refuse() -> bool:
    """Put the filter on this thread and all that it will start; return whether it is there.

    ``PR_SET_NO_NEW_PRIVS`` has to be set. A system that was built without seccomp has no filter, and is told apart.

    Raises:
        OSError: If the system has seccomp and refuses.
    """
    if not known_here():
        return False
    program = instructions(os.uname().machine)
    array = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    found = Program(len(program) // 8, ctypes.cast(array, ctypes.c_void_p))
    libc: Any = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(found), 0, 0) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS}:
        return False
    raise OSError(code, f"prctl(SECCOMP): {os.strerror(code)}")


def instructions(machine: str) -> bytes:
    """Return the filter for a machine as the system reads it: eight bytes an instruction."""
    column, architecture = MACHINES[machine]
    refused = _one(RETURN, FAIL | errno.EPERM)
    rows = [
        _one(LOAD, MACHINE), _one(JUMP_EQUAL, architecture, 1, 0), refused,  # a 32-bit program's numbers are others
        _one(LOAD, NUMBER),
    ]  # fmt: skip
    if machine == "x86_64":
        rows += [_one(JUMP_FROM, X32, 0, 1), refused]
    for numbers in REFUSED.values():
        rows += [_one(JUMP_EQUAL, numbers[column], 0, 1), refused]
    for numbers, wanted in OWN_ONLY.values():
        rows += [_one(JUMP_EQUAL, numbers[column], 0, 3 * len(wanted) + 1)]
        for place, value in enumerate(wanted):
            rows += [_one(LOAD, FIRST_ARGUMENT + ARGUMENT * place), _one(JUMP_EQUAL, value, 1, 0), refused]
        rows += [_one(RETURN, ALLOW)]
    rows += [_one(JUMP_EQUAL, CLONE3, 0, 1), _one(RETURN, FAIL | errno.ENOSYS)]
    rows += [_one(JUMP_EQUAL, CLONE[column], 0, 3), _one(LOAD, FIRST_ARGUMENT)]
    rows += [_one(JUMP_ANY_BIT, NEW_NAMESPACES, 0, 1), refused]
    return b"".join([*rows, _one(RETURN, ALLOW)])


def _one(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
