"""One host's access logs counted where they lie, and how far all hosts are meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from opsnb.kits import remote
from opsnb.kits.nginx.access.answer import Answer, parse_answer
from opsnb.kits.nginx.access.logs import Log
from opsnb.kits.nginx.access.script import COUNT, SCAN
from opsnb.kits.nginx.access.window import Window

SPARE_SECONDS = 60.0  # what a host may need besides the seconds of its scan: the last lines, the way back
EVERY = 0.5  # seconds between two words about progress

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all, and what they are."""


class Meter:
    """Adds up how far all hosts are, from what their scripts say meanwhile."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._told = 0.0

    def reader(self, host: str) -> Callable[[str, bytes], None]:
        """Return what takes a host's output as it comes."""
        kept = b""
        before = current = start = 0

        def take(stream: str, piece: bytes) -> None:
            nonlocal kept, before, current, start
            if stream != "stdout":
                return
            *lines, kept = (kept + piece).split(b"\n")
            for line in lines:
                word, _, rest = line.partition(b"\t")
                if word == b"total":
                    self._sizes[host] = int(rest)
                elif word == b"open":
                    before, current, start = before + current, *(int(value) for value in rest.split(b"\t")[1:])
                    self._tell(host, before + start)
                elif word == b"at":
                    self._tell(host, before + min(current, start + int(rest)))
                elif word == b"end":
                    self._tell(host, self._sizes.get(host, 0), whole=True)

        return take

    def _tell(self, host: str, done: int, *, whole: bool = False) -> None:
        with self._lock:
            self._done[host] = done
            total = sum(self._sizes.values())
            now = time.monotonic()
            if not self._progress or (now - self._told < EVERY and not whole):
                return
            self._told = now
            self._progress(min(total, sum(self._done.values())), total, f"bytes of logs on {len(self._sizes)} hosts")


def scan(
    host: str, logs: Sequence[Log], window: Window, *, normalise: bool = True, seconds: float = 300.0,
    meter: Meter | None = None, awk: str = "",
) -> Answer:  # fmt: skip
    """Count logs of one host, there.

    Args:
        host: The host.
        logs: Which, each with its format.
        window: Which part of them.
        normalise: Whether ids in paths become ``:id``.
        seconds: How long it may count.
        meter: Is told how far it is.
        awk: The awk to count with; the fastest that the host has when it is empty.

    Raises:
        UnreachableError: If the host cannot be reached.
        OpsnbError: If a log may not be read.
    """
    words = [value for log in logs for value in (log.pattern, log.format.compiled())]
    bounds = ["" if at is None else str(at) for at in (window.since, window.until)]
    result = remote.look(
        host, SCAN, awk, COUNT, str(int(seconds)), *bounds, str(int(window.wall)), str(window.minutes),
        str(int(normalise)), *words, seconds=seconds + SPARE_SECONDS,
        on_output=meter.reader(host) if meter else None,
    )  # fmt: skip
    return parse_answer(result.stdout, [log.format.escape for log in logs])
