"""The run link, kernel side: one inherited descriptor, JSON lines, one answer for each question.

A line is ``{"id": n, "op": name, ...}``; its answer is ``{"id": n, "ok": true, "value": ...}`` or
``{"id": n, "ok": false, "error": text}``. Unasked comes only ``{"wake": true}``: there is something for a terminal
session. The link carries facts to the control plane and never decides: what it refuses stays refused. ``OPSNB_LINK``
holds the descriptor's number; without it there is no control plane, and a runbook observes and plans and records
nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
from functools import cache
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import LinkError

LINK_VARIABLE = "OPSNB_LINK"
MAX_LINE = 4 * 1024 * 1024  # bytes of one message; a plan of some thousand changes fits


class RunLink:
    """A question-and-answer line to the control plane; safe to use from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._buffer = b""
        self._pid = os.getpid()

    def ask(self, op: str, **fields: JSON) -> Any:
        """Send one message and return its answer's value.

        Raises:
            LinkError: If the control plane refuses, the link is broken, or a forked child tries to use it.
        """
        if os.getpid() != self._pid:
            raise LinkError("a forked child of the kernel cannot speak for the run")
        with self._lock:
            number = next(self._ids)
            line = json.dumps({"id": number, "op": op, **fields}, ensure_ascii=True).encode() + b"\n"
            if len(line) > MAX_LINE:
                raise LinkError(f"'{op}' is {len(line)} bytes long; at most {MAX_LINE} are accepted")
            try:
                self._sock.sendall(line)
                while (answer := json.loads(self._read_line())).get("wake"):
                    continue  # whoever is woken asks, and that is what happens here
            except (OSError, ValueError) as error:
                raise LinkError(f"the control plane did not answer '{op}': {error}") from error
        if answer.get("id") != number:
            raise LinkError(f"the answer to '{op}' belongs to another question")
        if not answer.get("ok"):
            raise LinkError(str(answer.get("error", "refused")))
        return answer.get("value")

    def fileno(self) -> int:
        """Return the descriptor; readable when :meth:`woken` has to look."""
        return self._sock.fileno()

    def woken(self) -> bool:
        """Return whether the control plane has something for us; never waits.

        Raises:
            LinkError: If the link is broken.
        """
        with self._lock:
            try:
                chunk = self._sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                chunk = None
            except OSError as error:
                raise LinkError(f"the control plane is gone: {error}") from error
            if chunk == b"":
                raise LinkError("the control plane is gone")
            self._buffer += chunk or b""
            lines, _, rest = self._buffer.rpartition(b"\n")
            self._buffer = rest
            return bool(lines)

    def _read_line(self) -> bytes:
        while b"\n" not in self._buffer:
            chunk = self._sock.recv(65536)
            if not chunk:
                raise OSError("link closed")
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE:
                raise OSError("answer too long")
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line


def connect() -> RunLink | None:
    """Return the link of this run, or ``None`` where no control plane started this kernel.

    A process has one: two would take each other's answers.
    """
    number = os.environ.get(LINK_VARIABLE)
    return _connected(number) if number else None


@cache
def _connected(number: str) -> RunLink | None:
    try:
        return RunLink(socket.socket(fileno=int(number)))
    except (OSError, ValueError):
        return None
