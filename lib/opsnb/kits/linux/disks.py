"""Disks: ``/proc/mounts`` and the counters of ``statvfs``, as ``df`` shows them. Sizes are GiB (2**30 bytes)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from opsnb.base.errors import UsageError

GIB = 2**30
# What holds no files of anybody: the kernel's own interfaces.
PSEUDO = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs",
    "sysfs", "tracefs",
})  # fmt: skip
IMAGES = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})  # full and read-only by nature
KERNEL_TREES = ("/proc/", "/sys/")  # a tmpfs below them holds directories for other mounts only
COLUMNS = ["mount", "used_percent", "available_gib", "used_gib", "size_gib", "inodes_percent", "type", "device",
           "read_only", "answered"]  # fmt: skip  # what matters first: a phone shows four


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One line of ``/proc/mounts``.

    Args:
        device: What is mounted.
        point: Where.
        kind: The file system's type.
        options: Mount options.
    """

    device: str
    point: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Filesystem:
    """Counters of a mounted file system.

    Args:
        size: Bytes.
        free: Bytes free for root.
        available: Bytes free for everybody else.
        inodes: Inodes; 0 where the file system has no fixed number.
        inodes_free: Inodes that are free.
    """

    size: int
    free: int
    available: int
    inodes: int
    inodes_free: int

    @property
    def used_percent(self) -> float:
        """What ``df`` calls Use%: used / (used + available), so that 100 means full for everybody but root."""
        used = self.size - self.free
        return 100 * used / (used + self.available) if used + self.available else 0.0

    @property
    def inodes_percent(self) -> float:
        """Inodes in use, in %; 0 where their number is not fixed."""
        return 100 * (self.inodes - self.inodes_free) / self.inodes if self.inodes else 0.0


def parse_mounts(text: str) -> list[Mount]:
    """Return what is mounted, in order; blanks in names come as octal escapes and are turned back.

    Raises:
        UsageError: If a line has another number of columns than six.
    """
    mounts = []
    for line in text.strip("\n").split("\n"):  # not splitlines(): a name may hold other line ends
        words = line.split(" ")
        if len(words) != 6:  # noqa: PLR2004  (device, point, type, options, and two numbers of fstab)
            raise UsageError(f"/proc/mounts has a line without six columns: {line[:80]!r}")
        device, point, kind, options = (_unescape(word) for word in words[:4])
        mounts.append(Mount(device=device, point=point, kind=kind, options=tuple(options.split(","))))
    return mounts


def storage(mounts: list[Mount]) -> list[Mount]:
    """Return the mounts that hold files: no kernel interfaces, no images; a device that is mounted twice once."""
    kept = (m for m in mounts if m.kind not in PSEUDO | IMAGES and not m.point.startswith(KERNEL_TREES))
    on_top = {m.point: m for m in kept}  # a later mount hides an earlier one
    chosen: dict[str, Mount] = {}
    for mount in sorted(on_top.values(), key=lambda m: (len(m.point), m.point)):
        device = mount.device if mount.device.startswith("/") else mount.point  # tmpfs, overlay: each is its own
        chosen.setdefault(device, mount)
    return sorted(chosen.values(), key=lambda m: m.point)


def parse_filesystem(text: str) -> Filesystem:
    """Return counters from ``stat -f --format='%S %b %f %a %c %d'``.

    Raises:
        UsageError: If the text is not six numbers.
    """
    try:
        block, blocks, free, available, inodes, inodes_free = (int(word) for word in text.split())
    except ValueError as error:
        raise UsageError(f"a file system's counters are six numbers, found {text[:80]!r}") from error
    return Filesystem(
        size=block * blocks, free=block * free, available=block * available, inodes=inodes, inodes_free=inodes_free
    )


def disk_table(mounts: list[Mount], filesystems: dict[str, Filesystem]) -> pd.DataFrame:
    """Return one row for each mount that has a size or did not answer, fullest first.

    Columns: ``mount``, ``used_percent`` (as df's Use%), ``available_gib`` (for users), ``used_gib``, ``size_gib``,
    ``inodes_percent``, ``type``, ``device``, ``read_only``, ``answered`` (False: it did not answer in time, and its
    numbers are NaN).
    """
    rows = [
        _row(m, filesystems.get(m.point)) for m in mounts if m.point not in filesystems or filesystems[m.point].size
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["answered", "used_percent", "mount"], ascending=[True, False, True], ignore_index=True)


def _row(mount: Mount, found: Filesystem | None) -> tuple[object, ...]:
    about = mount.kind, mount.device, "ro" in mount.options
    if found is None:
        return (mount.point, *[float("nan")] * 5, *about, False)
    sizes = (found.available / GIB, (found.size - found.free) / GIB, found.size / GIB)
    return (mount.point, found.used_percent, *sizes, found.inodes_percent, *about, True)


def _unescape(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), word)
