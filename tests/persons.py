"""A person at a terminal: the real program on a real pty, keys typed, the screen read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from places import OPSNB

PROMPT = rb"P> \Z"
LOOK_BACK = 100_000  # bytes of what was shown that are looked at: a flood is long


class Person:
    """Runs ``opsnb ARGV`` on a pseudo-terminal.

    Args:
        argv: Words behind ``opsnb``.
        cwd: Where.
        columns: Width of the terminal.
        rows: Its height.
        through: The program and its first words, where it is not ``opsnb`` itself.
        env: Variables that are others.
    """

    def __init__(
        self, *argv: str, cwd: Path, columns: int = 100, rows: int = 30, through: tuple[str, ...] = (str(OPSNB),),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ |= {"TERM": "xterm-256color", **env}
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(through[0], [*through, *argv])
        self.seen = b""  # and not waited for yet
        self.before = termios.tcgetattr(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        """Drag the window's corner."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Type; what is shown meanwhile is taken, or nobody would read what we write."""
        while keys:
            ready, free, _ = select.select([self.fd], [self.fd], [], 30)
            if free:
                keys = keys[os.write(self.fd, keys[:1024]) :]
            elif ready:
                self._take()

    def wait(self, pattern: bytes, seconds: float = 30.0) -> bytes:
        """Wait until the screen shows ``pattern``; return everything up to it."""
        end, matcher = time.monotonic() + seconds, re.compile(pattern)
        while not (match := matcher.search(self.seen, max(0, len(self.seen) - LOOK_BACK))):
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{pattern!r} was not shown; shown was {self.seen[-500:]!r}"
            self._take()
        shown, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return shown

    def shell(self) -> None:
        """Wait for the shell and give it a prompt that is easily told from everything else."""
        self.wait(rb"[#$] \Z")
        self.type(b"bind 'set enable-bracketed-paste off' 2>/dev/null; PS1='P''> '\r")
        self.wait(PROMPT)

    def run(self, line: bytes, seconds: float = 30.0) -> str:
        """Type a line and return what is shown until the next prompt."""
        self.type(line + b"\r")
        return self.wait(PROMPT, seconds).decode("utf-8", "replace")

    def end(self) -> tuple[str, int]:
        """Wait until the program has ended; return what is left on the screen, and its exit code."""
        while self._take():
            continue
        status = os.waitpid(self.pid, 0)[1]
        self.pid = -1
        return self.seen.decode("utf-8", "replace"), os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Leave, whatever is still there."""
        if self.pid > 0:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _take(self) -> bool:
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.seen = (self.seen + data)[-2 * LOOK_BACK :]
        return bool(data)
