"""The control plane's part of a terminal session: what was typed waits for the kernel, what came back for the person.

Both ways are bounded. Typing beyond the bound is refused; output beyond it is not taken from the kernel, which then
stops reading the host's terminal: a flood waits at its source, and Ctrl-C overtakes it. The kernel is woken when there
is something for it, so nothing is polled. One person is attached at a time; when that one goes, the session ends.
"""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from opsnb.base.errors import RefusedError, UsageError

SESSION = "HST-005"  # the runbook that is a session
MAX_SESSIONS = 16  # beside the workers; further ones take a worker each
MAX_TYPED = 64 * 1024  # bytes that wait for the kernel
MAX_SHOWN = 256 * 1024  # bytes that wait for the person
MAX_PIECE = 64 * 1024  # bytes of one answer to the kernel, of one piece for the person
MAX_SIDE = 1000  # columns, rows
LOOK_SECONDS = 0.5  # how often it is looked whether the person is still there

GONE = "the terminal went away"
CLOSED = "closed by the person"


class Terminal:
    """One session's two queues. Used by the run's conductor, by requests that type, and by one that shows."""

    def __init__(self) -> None:
        self.signal = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._typed = bytearray()
        self._shown = bytearray()
        self._said = bytearray()  # by us, for the person alone
        self._size: list[int] | None = None
        self._end = ""  # why the session is to end
        self._attached = self._over = False
        # what the kernel knows: who is there; asked and has nothing; has no room for output; has some for input
        self._told = self._waits = self._full = self._takes = False
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    # -- the conductor's side --------------------------------------------------------------------------------------

    def exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take what the host said and return what is for it.

        Args:
            message: ``output``: base64, at most as many bytes as there was ``room``; ``take``: how many bytes of input
                the kernel has room for, because its host takes them.

        Returns:
            ``{"input": base64, "size": [columns, rows] or null, "end": why or "", "room": bytes, "attached": bool}``.

        Raises:
            RefusedError: If it says more than there is room for.
        """
        output = base64.b64decode(str(message.get("output", "")), validate=True)
        take = max(0, min(MAX_PIECE, int(message.get("take", MAX_PIECE))))
        with self._lock:
            if len(output) > MAX_SHOWN - len(self._shown):
                raise RefusedError("more output than there is room for")
            self._shown += output
            if output:
                self._wake_person()
            typed, self._typed, self._takes = self._typed[:take], self._typed[take:], take > 0
            size, self._size = self._size, None
            room = MAX_SHOWN - len(self._shown)
            self._waits, self._full, self._told = True, room < MAX_PIECE, self._attached
            return {
                "input": base64.b64encode(typed).decode(), "size": size, "end": self._end, "room": room,
                "attached": self._attached,
            }  # fmt: skip

    def due(self) -> bool:
        """Take the signal; return whether the kernel has to be woken now."""
        try:
            os.eventfd_read(self.signal)
        except BlockingIOError:
            return False
        with self._lock:
            roomy = self._full and len(self._shown) <= MAX_SHOWN // 2
            keys = self._takes and self._typed
            news = keys or self._size or self._end or roomy or self._attached is not self._told
            due, self._waits = bool(self._waits and news), self._waits and not news
            return due

    def close(self) -> None:
        """The run has ended: nothing more comes."""
        with self._lock:
            self._over = True
            self._wake_person()

    def release(self) -> None:
        """Give the descriptor up; nobody may use this any more."""
        with self._lock:
            os.close(self.signal)
            self.signal = -1

    def say(self, text: str) -> None:
        """Show the person a line of ours; it is not recorded, and takes no room from what the host says."""
        with self._lock:
            self._said += f"\r\n[opsnb: {text}]\r\n".encode()
            self._wake_person()

    def finish(self, why: str) -> None:
        """End the session, for a reason that is not the person's."""
        with self._lock:
            self._end = self._end or why
            self._ring()

    @property
    def attached(self) -> bool:
        """Whether somebody is shown this session."""
        return self._attached

    # -- the person's side -----------------------------------------------------------------------------------------

    def type(self, data: bytes, size: tuple[int, int] | None, *, end: bool) -> None:
        """Queue what was typed, a new size of the window, the wish to end.

        Raises:
            UsageError: If the size is none.
            RefusedError: If too much waits already, or nobody listens any more.
        """
        if size and not all(1 <= side <= MAX_SIDE for side in size):
            raise UsageError(f"a window has 1 to {MAX_SIDE} columns and rows, found {size[0]} × {size[1]}")
        with self._lock:
            if self._over:
                raise RefusedError("the session has ended")
            if len(self._typed) + len(data) > MAX_TYPED:
                raise RefusedError(
                    f"more than {MAX_TYPED} bytes of input wait for the host", hint="send it again later"
                )
            self._typed += data
            if size:
                self._size = list(size)
            if end and not self._end:
                self._end = CLOSED
            self._ring()

    async def follow(self, there: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """Yield what the host says until the session is over; whoever stops listening ends it.

        Args:
            there: Whether the person is still connected.

        Raises:
            RefusedError: If somebody is attached already.
        """
        with self._lock:
            if self._attached:
                raise RefusedError("somebody is attached to this session already")
            self._attached = True
            self._ring()
        try:
            async for piece in self._pieces(there):
                yield piece
        finally:
            with self._lock:
                self._attached = False
                self._end = self._end or GONE
                self._ring()

    async def _pieces(self, there: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        while True:
            signal = asyncio.Event()
            with self._lock:
                piece, self._shown = bytes(self._said + self._shown[:MAX_PIECE]), self._shown[MAX_PIECE:]
                self._said.clear()
                over = self._over
                if self._full:
                    self._ring()
                if not piece:
                    self._waiting = (asyncio.get_running_loop(), signal)
            if piece:
                yield piece
                continue
            if over or not await there():
                return
            try:
                await asyncio.wait_for(signal.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    def _wake_person(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting and not waiting[0].is_closed():
            waiting[0].call_soon_threadsafe(waiting[1].set)

    def _ring(self) -> None:
        if self.signal >= 0:
            os.eventfd_write(self.signal, 1)
