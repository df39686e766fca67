"""Who is at the other end of a connection, asked of the system once and when it is needed."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Collection

from opsnb.control.runs import callers

STATE = "peer"  # under which a request's state holds it; a request without a socket has none


class Peer:
    """One connection's other end.

    Args:
        transport: The connection, just made.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        sock: socket.socket = transport.get_extra_info("socket")
        self._lock = threading.Lock()
        self._known: list[callers.Caller | None] = []
        self._unix: tuple[int, int] | None = None
        if sock.family == socket.AF_UNIX:
            self._unix = callers.behind_unix(sock)
        else:
            self._client = callers.place_of(transport.get_extra_info("peername"))
            self._server = callers.place_of(transport.get_extra_info("sockname"))

    def caller(self, others: Collection[int] = ()) -> callers.Caller | None:
        """Return who it is; ``None`` for another machine.

        Raises:
            UntoldError: If that cannot be told.
        """
        with self._lock:
            if not self._known:
                unix = self._unix
                self._known.append(
                    callers.of_unix(*unix) if unix else callers.of_tcp(self._client, self._server, others)
                )
            return self._known[0]

    def close(self) -> None:
        """Let go of the process."""
        with self._lock:
            if self._unix is not None and self._unix[1] >= 0:
                os.close(self._unix[1])
                self._unix = (self._unix[0], -1)
