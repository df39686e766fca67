"""Where text about a host comes from: reading is separate from parsing, so that another transport can take its place.

A source answers one question in one go (one round trip when it is remote): what files say at two times, and the
counters of mounted file systems in the form that ``stat -f --format='%S %b %f %a %c %d'`` prints.
"""

from __future__ import annotations

import glob
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from opsnb.base.errors import OpsnbError
from opsnb.fleet.local import LocalTransport
from opsnb.fleet.values import Command
from opsnb.kits.linux.disks import parse_mounts, storage

MAX_FILE = 32 * 1024 * 1024  # bytes; /proc/net/tcp of a host with 200,000 connections is 30 MB
ANSWER_SECONDS = 2.0  # a file system that does not answer statvfs for this long is reported, not waited for
SADF = ("sadf", "-j", "300", "--", "-u", "-q", "-n", "DEV")
SADF_SECONDS = 20.0  # a day of samples takes a tenth of a second
NO_PROGRAM = 127
REFUSED = "refused"  # instead of counters: this user may not ask that file system
PENDING = "pending"  # instead of counters: the host's answer ended before this one came
SKIPPED = "skipped"  # instead of counters: there are more file systems than are asked
COUNTED = ("/proc/stat", "/proc/net/dev", "/proc/[0-9]*/stat")  # read twice
STANDING = (
    "/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/mounts", "/proc/uptime", "/proc/pressure/*",
    "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/[0-9]*/status", "/etc/passwd",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Texts that were read at one time.

    Args:
        at: Seconds on a clock of the host that only goes forward.
        texts: Path to text; files that could not be read are left out.
    """

    at: float
    texts: dict[str, str]

    def matching(self, prefix: str, suffix: str) -> dict[str, str]:
        """Return texts whose path starts and ends so, by the part between: ``("/proc/", "/stat")`` gives pids."""
        cut = len(suffix)
        return {
            path[len(prefix) : -cut]: text
            for path, text in self.texts.items()
            if path.startswith(prefix) and path.endswith(suffix) and path[len(prefix) : -cut].isdigit()
        }


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What a source saw of a host.

    Args:
        first: The files of ``COUNTED``.
        second: The same later, and the files of ``STANDING``.
        counters: Mount point to ``"block_size blocks free available inodes inodes_free"``, or one of the words above;
            a mount point without any did not answer. ``None`` where none was asked.
        tools: Output of tools by name: ``ss``, ``netstat``, ``sadf``.
        notes: What could not be seen or was cut, in words.
        reader: Pid of what read; it must stand among the processes.
        byteorder: Byte order of the host: addresses of sockets are printed in it.
        received: Bytes that came over the line.
    """

    first: Sample
    second: Sample
    counters: dict[str, str] | None
    tools: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reader: int = 0
    byteorder: Literal["little", "big"] = sys.byteorder
    received: int = 0


class Source(Protocol):
    """Reads from one host."""

    def capture(self, seconds: float) -> Capture:
        """Return what files say at two times, ``seconds`` apart, and the counters of file systems."""


class ThisMachine:
    """The machine on which the kernel runs."""

    def capture(self, seconds: float) -> Capture:
        """Return two samples of this machine's files, and the counters of its file systems."""
        first = self.files(COUNTED)
        time.sleep(seconds)
        second = self.files((*COUNTED, *STANDING))
        points = mount_points(second.texts.get("/proc/mounts", ""))
        return Capture(
            first=first, second=second, counters=self.filesystems(points), tools=_collected(), reader=os.getpid(),
        )  # fmt: skip

    def files(self, patterns: Sequence[str]) -> Sample:
        """Return the text of every readable file that matches a shell pattern; other bytes than UTF-8 as escapes."""
        texts: dict[str, str] = {}
        at = time.monotonic()
        for pattern in patterns:
            for path in glob.glob(pattern) if glob.has_magic(pattern) else (pattern,):  # noqa: PTH207  (a hot path)
                text = _text(path)
                if text is not None:
                    texts[path] = text
        return Sample(at=at, texts=texts)

    def filesystems(self, mount_points: Sequence[str]) -> dict[str, str]:
        """Return the counters of each mount point that answers within ``ANSWER_SECONDS``; all are asked at once."""
        answers: dict[str, str] = {}
        askers = [threading.Thread(target=_ask, args=(path, answers), daemon=True) for path in mount_points]
        for asker in askers:
            asker.start()
        limit = time.monotonic() + ANSWER_SECONDS
        for asker in askers:
            asker.join(max(0.0, limit - time.monotonic()))
        return dict(answers)


def _collected() -> dict[str, str]:
    """Return what sysstat collected on this machine today; nothing where there is no sadf."""
    result = LocalTransport().run(Command(argv=SADF, seconds=SADF_SECONDS))
    return {} if result.exit == NO_PROGRAM else {"sadf": (result.text or result.errors)[:MAX_FILE]}


def mount_points(text: str) -> list[str]:
    """Return where file systems that hold files are mounted; none when ``/proc/mounts`` has another form."""
    try:
        return [m.point for m in storage(parse_mounts(text))]
    except OpsnbError:
        return []


def _text(path: str) -> str | None:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_FILE).decode("utf-8", "backslashreplace")
    except OSError:  # the process ended meanwhile, or it may not be read: the reader counts what is missing
        return None


def _ask(path: str, answers: dict[str, str]) -> None:
    try:
        s = os.statvfs(path)
    except PermissionError:
        answers[path] = REFUSED
        return
    except OSError:
        return
    answers[path] = f"{s.f_frsize} {s.f_blocks} {s.f_bfree} {s.f_bavail} {s.f_files} {s.f_ffree}"
