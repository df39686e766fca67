"""The person's end of a terminal session: raw terminal, escapes, window size, typing out, showing in.

Three threads: one shows what comes, one sends what was typed (several keys in one message when they come faster than
they are sent), the caller's reads the terminal. Whatever happens, the terminal is restored.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import OpsnbError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from opsnb.client import Client

PIECE = 16 * 1024  # bytes read from the terminal at once
WAITING = 256 * 1024  # bytes typed or pasted that wait to be sent; then the terminal is not read
RETRY_SECONDS = 0.05  # until input that was refused for lack of room is sent again
DEFAULT_SIZE = (80, 24)  # columns and rows of a terminal that does not know its size
LAST_SECONDS = 2.0  # how long what was typed last may take to be sent
HELP = """
At the beginning of a line:
 ~.   close the session
 ~?   this
 ~~   type one ~
"""


class Escapes:
    """Finds ``~.``, ``~?`` and ``~~`` at the beginning of lines, as OpenSSH does."""

    def __init__(self) -> None:
        self._fresh = True  # at the beginning of a line
        self._tilde = False

    def take(self, data: bytes) -> tuple[bytes, str]:
        """Return what is to be sent of ``data``, and what was asked for: ``""``, ``"close"`` or ``"help"``."""
        out = bytearray()
        asked = ""
        for number in data:
            byte = bytes((number,))
            if self._tilde:
                self._tilde = False
                if byte == b".":
                    return bytes(out), "close"
                if byte == b"?":
                    asked, self._fresh = "help", True
                    continue
                out += b"~" if byte == b"~" else b"~" + byte
            elif self._fresh and byte == b"~":
                self._tilde = True
                continue
            else:
                out += byte
            self._fresh = byte in b"\r\n"
        return bytes(out), asked


class Sender:
    """Sends what was typed, in order, one message at a time."""

    def __init__(self, client: Client, run: str) -> None:
        self._client, self._path = client, f"/api/runs/{run}/input"
        self._condition = threading.Condition()
        self._data = bytearray()
        self._size: tuple[int, int] | None = None
        self._end = self._over = False
        self.lost = ""
        threading.Thread(target=self._send, daemon=True).start()

    def give(self, data: bytes = b"", size: tuple[int, int] | None = None, *, end: bool = False) -> None:
        """Queue something to be sent."""
        with self._condition:
            self._data += data
            self._size = size or self._size
            self._end = self._end or end
            self._condition.notify_all()

    @property
    def room(self) -> bool:
        """Whether more may be typed."""
        return len(self._data) < WAITING

    def finish(self) -> None:
        """Send what is left, and no more."""
        with self._condition:
            self._over = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._pending(), LAST_SECONDS)

    def _pending(self) -> bool:
        return bool(self._data or self._size or self._end) and not self.lost

    def _send(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending() or self._over)
                if not self._pending():
                    return
                data, size, end = bytes(self._data[:PIECE]), self._size, self._end and len(self._data) <= PIECE
            if self._posted(data, size, end=end):
                with self._condition:
                    del self._data[: len(data)]
                    self._size = None if self._size == size else self._size
                    self._end = self._end and not end
                    self._condition.notify_all()

    def _posted(self, data: bytes, size: tuple[int, int] | None, *, end: bool) -> bool:
        try:
            self._client.post(self._path, {"data": base64.b64encode(data).decode(), "size": size, "end": end})
        except RefusedError as error:
            if "has ended" in error.message:
                self.lost = error.message
            else:  # the host does not take more now
                time.sleep(RETRY_SECONDS)
            return False
        except UnavailableError as error:
            if "has not begun" in error.message:
                time.sleep(RETRY_SECONDS)
            else:
                self.lost = error.message
            return False
        except OpsnbError as error:
            self.lost = error.message
            return False
        return True


class Attached:
    """One person's terminal, attached to one run."""

    def __init__(self, client: Client, run: str, size: tuple[int, int]) -> None:
        self._client, self._run, self._size = client, run, size
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._over = threading.Event()
        self._sender = Sender(client, run)
        self._escapes = Escapes()

    def carry(self) -> None:
        """Carry bytes both ways until the session or the terminal ends."""
        threading.Thread(target=self._show, daemon=True).start()
        with _raw(sys.stdin.fileno()), self._signals():
            while not self._over.is_set():
                self._once()
        self._sender.finish()
        self._over.wait(LAST_SECONDS)

    def _once(self) -> None:
        stdin = sys.stdin.fileno()
        ready, _, _ = select.select([self._wake, *([stdin] if self._sender.room else [])], [], [], 0.5)
        if self._wake in ready:
            os.read(self._wake, PIECE)
            if (size := window()) != self._size:
                self._size = size
                self._sender.give(size=size)
        if stdin in ready:
            try:
                self._typed(os.read(stdin, PIECE))
            except OSError:  # the terminal is gone
                self._over.set()

    def _typed(self, data: bytes) -> None:
        if not data:  # the terminal was hung up
            self._over.set()
            return
        data, asked = self._escapes.take(data)
        if data:
            self._sender.give(data)
        if asked == "help":
            _write(HELP.replace("\n", "\r\n").encode())  # shown by us, not recorded
        elif asked == "close":
            self._sender.give(end=True)

    def _show(self) -> None:
        try:
            with self._client.stream(f"/api/runs/{self._run}/terminal") as stream:
                while piece := stream.read1(PIECE * 4):
                    _write(piece)
        except (OpsnbError, OSError):
            pass  # the run's result says what happened
        finally:
            self._over.set()
            self._ring()

    def _ring(self, *_: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(self._waker, b"\0")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def leave(number: int, _: Any) -> None:
            raise SystemExit(128 + number)

        wanted: dict[int, Any] = {signal.SIGWINCH: self._ring, signal.SIGTERM: leave, signal.SIGHUP: leave}
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def window() -> tuple[int, int]:
    """Return columns and rows of the terminal."""
    try:
        found = os.get_terminal_size(sys.stdin.fileno())
    except OSError:
        return DEFAULT_SIZE
    return (found.columns or DEFAULT_SIZE[0], found.lines or DEFAULT_SIZE[1])


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Make a terminal raw, and what it was before when this ends, however it ends."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
