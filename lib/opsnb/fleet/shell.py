"""An open terminal on a host, as the session sees it; and the one on this machine.

A kernel may open no terminal device (Landlock), so it gets a pair that was opened before it was confined:
``OPSNB_TERMINAL`` holds the two descriptors' numbers. Without a control plane a pair is opened here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import pwd
import signal
import struct
import subprocess
import sys
import termios
from typing import Protocol

from opsnb.base.errors import OpsnbError

TERMINAL_VARIABLE = "OPSNB_TERMINAL"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
END_SECONDS = 2.0  # how long a shell may take to end after its terminal was hung up
# The child makes the terminal its own and becomes the shell; a function between fork and exec could hang a process
# that has threads.
BECOME = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], [sys.argv[2]])"
)


class Shell(Protocol):
    """A login shell on a terminal of a host."""

    @property
    def lost(self) -> str:
        """Why nothing more comes although the shell was not seen to end; empty when it was."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is output, or when the shell has ended."""

    def read(self, most: int) -> bytes | None:
        """Return what there is, ``None`` when there is nothing now, ``b""`` when there will be nothing more."""

    def write(self, data: bytes) -> int:
        """Type; return how many bytes were taken, 0 when none can be taken now."""

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its new size."""

    def close(self) -> int | None:
        """Hang up and return the shell's exit code, ``None`` when nobody knows it."""


class LocalShell:
    """The user's shell on this machine. See :class:`Shell`."""

    lost: str = ""  # a terminal of this machine is not lost

    def __init__(self, term: str, columns: int, rows: int) -> None:
        self._terminal, inner = _pair()
        os.set_blocking(self._terminal, False)
        self.resize(columns, rows)
        user = pwd.getpwuid(os.geteuid())
        shell = user.pw_shell if os.access(user.pw_shell or "", os.X_OK) else "/bin/sh"
        environment = {
            "PATH": PATH, "HOME": os.environ.get("HOME", "/"), "TERM": term, "LANG": "C.UTF-8", "SHELL": shell,
            "USER": user.pw_name, "LOGNAME": user.pw_name,
        }  # fmt: skip
        argv = [sys.executable, "-I", "-S", "-c", BECOME, shell, f"-{os.path.basename(shell)}"]  # noqa: PTH119
        try:
            self._process = subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, env=environment)
        except OSError as error:
            os.close(self._terminal)
            raise OpsnbError(f"no shell could be started on this machine: {error.strerror}") from error
        finally:
            os.close(inner)

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._terminal

    def read(self, most: int) -> bytes | None:
        """Return what the shell wrote."""
        found = bytearray()
        while len(found) < most:
            try:
                piece = os.read(self._terminal, most - len(found))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # that is how Linux says that nobody holds the other end
                    raise
                piece = b""
            if not piece:
                return bytes(found)
            found += piece
        return bytes(found) or None

    def write(self, data: bytes) -> int:
        """Type."""
        try:
            return os.write(self._terminal, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the shell has ended: reading says so

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size; programs are told by SIGWINCH."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> int | None:
        """Hang up: the shell gets SIGHUP, and SIGKILL when it does not listen."""
        os.close(self._terminal)
        try:
            return _code(self._process.wait(END_SECONDS))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return _code(self._process.wait())


def _pair() -> tuple[int, int]:
    given = os.environ.pop(TERMINAL_VARIABLE, "")
    if given:
        outer, inner = (int(number) for number in given.split(","))
        return outer, inner
    try:
        return pty.openpty()
    except OSError as error:
        raise OpsnbError(f"no terminal can be opened here: {error.strerror}", hint="ask through opsnb ssh") from error


def _code(status: int) -> int:
    return status if status >= 0 else 128 - status
