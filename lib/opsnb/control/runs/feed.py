"""What happens in a run, told to everyone who watches it: a list that grows and a way to wait for more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

MAX_EVENTS = 20_000  # kept of one run for those who come late; text beyond that is in the record


class Feed:
    """The events of one run, in order. Written by one thread, read by any number of tasks."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._over = False

    @property
    def told(self) -> bool:
        """Whether anything was told."""
        return bool(self._events)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._over

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event and wake those who wait."""
        with self._lock:
            if event["ev"] != "text" or len(self._events) < MAX_EVENTS:
                self._events.append(event)
            self._wake()

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._lock:
            self._over = True
            self._wake()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every event from the first, until the end."""
        position = 0
        while True:
            signal = asyncio.Event()
            with self._lock:
                fresh = self._events[position:]
                over = self._over
                if not fresh and not over:
                    self._waiting.append((asyncio.get_running_loop(), signal))
            for event in fresh:
                yield event
            position += len(fresh)
            if fresh:
                continue
            if over:
                return
            await signal.wait()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for loop, signal in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(signal.set)
