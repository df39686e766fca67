"""The recording of a terminal session: an asciicast and a readable transcript, masked, and bounded.

* ``session.cast``: asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/): a header, then ``[seconds, "o",
  text]`` for what was shown, ``"r"`` for a new size, ``"m"`` for a note of ours. What was typed is not in it.
* ``transcript.txt``: the same without control sequences (:mod:`opsnb.fleet.transcript`).
* All text passes the mask before it is written. Both files grow as the session goes on, so what broke off is kept.
* A flood is recorded up to ``BURST_BYTES``, then ``RATE_BYTES`` a second, and with its end; how much is left out stands
  at that place.
"""

from __future__ import annotations

import codecs
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from opsnb.fleet.transcript import Transcript

if TYPE_CHECKING:
    from io import TextIOWrapper

CAST, TRANSCRIPT = "session.cast", "transcript.txt"
MAX_BYTES = 48 * 1024 * 1024  # of the asciicast; then the session ends rather than go on unrecorded
BURST_BYTES = 1024 * 1024  # recorded of what comes at once
RATE_BYTES = 64 * 1024  # a second, of what goes on
TAIL_BYTES = 8 * 1024  # of the end of a flood

FULL = "the recording is full"


class Mask(Protocol):
    """What all text passes before it is written; it may hold some back until it knows more."""

    def feed(self, text: str) -> str:
        """Take text, return what can be written."""

    def flush(self) -> str:
        """Return what was held back."""


class Unmasked:
    """Hides nothing: where this process holds no secret."""

    def feed(self, text: str) -> str:
        """Return the text."""
        return text

    def flush(self) -> str:
        """Nothing was held back."""
        return ""


class Recording:
    """Two files that grow.

    Args:
        folder: Where they go.
        title: What it is a recording of.
        term: The terminal's type.
        columns: Its width.
        rows: Its height.
        mask: What all text passes.
    """

    def __init__(self, folder: Path, *, title: str, term: str, columns: int, rows: int, mask: Mask) -> None:
        self.folder = folder
        self.cut = 0  # bytes left out of floods
        self._mask = mask
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._transcript = Transcript(columns, rows)
        self._cast = (folder / CAST).open("w", encoding="utf-8")
        self._text = (folder / TRANSCRIPT).open("w", encoding="utf-8")
        self._started = time.monotonic()
        self._room, self._asked = float(BURST_BYTES), 0.0  # bytes that may be recorded now, and when that was computed
        self._over, self._tail = 0, b""  # bytes beyond it, and their end
        header = {
            "version": 2, "width": columns, "height": rows, "timestamp": int(time.time()), "title": title,
            "env": {"TERM": term},
        }  # fmt: skip
        self._put(self._cast, json.dumps(header, ensure_ascii=False))

    def say(self, data: bytes) -> str:
        """Record what the host said; return why the session cannot go on, "" when it can."""
        try:
            now = time.monotonic() - self._started
            self._room = min(BURST_BYTES, self._room + (now - self._asked) * RATE_BYTES)
            self._asked = now
            if self._room >= RATE_BYTES:
                self._end_flood()
            data = self._taken(data)
            self._write(self._mask.feed(self._decoder.decode(data)))
        except OSError as error:
            return f"the recording cannot be written: {error.strerror}"
        return FULL if self._cast.tell() > MAX_BYTES else ""

    def resized(self, columns: int, rows: int) -> None:
        """Record a new size of the window."""
        self._transcript.resize(columns, rows)
        self._event("r", f"{columns}x{rows}")

    def close(self, why: str, code: int | None) -> None:
        """Record how it ended and close the files."""
        if self._cast.closed:
            return
        try:
            self._end_flood()
            self._write(self._mask.feed(self._decoder.decode(b"", final=True)) + self._mask.flush())
            note = f"session ended: {why}" + (f", exit code {code}" if code is not None else "")
            self._note(note)
            self._lines(self._transcript.finish())
        finally:
            self._cast.close()
            self._text.close()

    def _taken(self, data: bytes) -> bytes:
        """Return what is recorded of ``data`` now; once something was left out, all is until there is room again."""
        room = 0 if self._over else int(self._room)
        if len(data) > room:
            self._over += len(data) - room
            self._tail = (self._tail + data[room:])[-TAIL_BYTES:]
            data = data[:room]
        self._room -= len(data)
        return data

    def _end_flood(self) -> None:
        over, tail = self._over, self._tail
        if not over:
            return
        self._over, self._tail = 0, b""
        left = over - len(tail)
        self.cut += left
        if left:
            self._write(self._mask.feed(self._decoder.decode(b"", final=True)) + self._mask.flush())
            self._decoder.reset()
            self._note(f"{left} bytes of a flood are left out here")
            tail = tail.partition(b"\n")[2] or tail
        self._write(self._mask.feed(self._decoder.decode(tail)))

    def _note(self, text: str) -> None:
        self._event("m", text)
        self._lines(self._transcript.note(f"[opsnb: {text}]"))

    def _write(self, text: str) -> None:
        if text:
            self._event("o", text)
            self._lines(self._transcript.feed(text))

    def _event(self, kind: str, text: str) -> None:
        now = round(time.monotonic() - self._started, 4)
        self._put(self._cast, json.dumps([now, kind, text], ensure_ascii=False))

    def _lines(self, lines: list[str]) -> None:
        for line in lines:
            self._put(self._text, line)

    def _put(self, stream: TextIOWrapper, line: str) -> None:
        stream.write(line + "\n")
        stream.flush()
