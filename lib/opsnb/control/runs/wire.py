"""JSON lines over a socket: how the control plane, the zygote and the supervisors talk."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

MAX_LINE = 64 * 1024 * 1024  # bytes of one message; a record with a long plan fits


class Closed(OSError):  # noqa: N818  (a state of the line, not a fault)
    """The other end is gone."""


class Lines:
    """One end of a line-based connection; reading never blocks unless asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._sending = threading.Lock()  # an order to stop comes from another thread
        self.closed = False

    def fileno(self) -> int:
        """Return the descriptor, for polling."""
        return self.sock.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            Closed: If the other end is gone.
        """
        try:
            with self._sending:
                self.sock.sendall(json.dumps(message, ensure_ascii=True).encode() + b"\n")
        except OSError as error:
            self.closed = True
            raise Closed(str(error)) from error

    def arrived(self) -> list[dict[str, Any]]:
        """Return the messages that are there now; sets ``closed`` at the end of the stream."""
        while not self.closed:
            try:
                chunk = self.sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            if not chunk:
                self.closed = True
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE:
                self.closed = True
                self._buffer.clear()
        return self._whole()

    def ended(self) -> bool:
        """Whether the other end is gone; what has arrived stays to be read."""
        try:
            return self.closed or self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def next(self) -> dict[str, Any] | None:
        """Wait for at least one message and return the first; ``None`` at the end of the stream."""
        while b"\n" not in self._buffer:
            try:
                chunk = self.sock.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                self.closed = True
                return None
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return _parse(line)

    def _whole(self) -> list[dict[str, Any]]:
        if b"\n" not in self._buffer:
            return []
        data, _, rest = bytes(self._buffer).rpartition(b"\n")
        self._buffer = bytearray(rest)
        return [_parse(line) for line in data.split(b"\n")]

    def close(self) -> None:
        """Close this end."""
        self.closed = True
        self.sock.close()


def _parse(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("a message is an object")  # noqa: TRY004  (to readers, as wrong as text that is not JSON)
    return value
