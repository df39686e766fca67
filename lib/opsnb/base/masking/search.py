"""Finds needles in bytes, as a reader sees them: with line breaks and terminal escapes taken out.

Fast because most text holds none: one pass of a finite automaton (RE2). Only where something is found, or could begin
at the end, are places in the stripped text brought back to places in the text itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsnb.base.masking.needles import BREAKS

MEMORY = 256 * 1024**2  # bytes that the automaton may use before it starts anew
HEAD = 3  # bytes of a needle by which candidates for an unfinished match are found
MAX_ESCAPE = 1100  # bytes of the longest escape sequence that is one to us
ESCAPE = rb"\x1b(?:\[[0-?]{0,48}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,1024}(?:\x07|\x1b\\)|[ -/]{0,3}[0-Z\\^_`-~])"
ESCAPES = re.compile(ESCAPE)
# What could become one with more text behind it; it must accept every beginning of what ESCAPE accepts.
UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]{0,48}[ -/]{0,4}|\][^\x07\x1b]{0,1024}\x1b?|[ -/]{0,3})\Z")
MAX_GAP = (
    64  # line breaks and escapes in a row that a match may hold; more end it, so that a stream's memory is bounded
)


@dataclass(frozen=True)
class _View:
    """One way to look at text: ``gaps`` are taken out, and ``long`` ones end what stood before them."""

    gaps: re.Pattern[bytes]
    long: re.Pattern[bytes]


BREAKS_OUT = _View(re.compile(rb"[\r\n]+"), re.compile(rb"[\r\n]{%d,}" % (MAX_GAP + 1)))
ESCAPES_OUT = _View(
    re.compile(rb"(?:" + ESCAPE + rb"|[\r\n])+"), re.compile(rb"(?:" + ESCAPE + rb"|[\r\n]){%d,}" % (MAX_GAP + 1))
)


@dataclass(frozen=True)
class Found:
    """Bytes ``start`` to ``end`` give the secret ``name`` away."""

    start: int
    end: int
    name: str


class Search:
    """Finds the needles of several secrets.

    Args:
        names: Each needle, without line breaks, and the secret it gives away.
    """

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._names = names
        self._sorted = sorted(names)
        self._longest = max(map(len, names))
        self._pattern = _compile(self._sorted)
        self._heads = _compile(sorted({needle[:HEAD] for needle in names}))

    def found(self, data: bytes) -> list[Found]:
        """Return what gives a secret away, in order; overlapping matches are one, under the first one's name."""
        rows = sorted(self._all(data), key=lambda f: f.start)
        merged: list[Found] = []
        for row in rows:
            if merged and row.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = Found(last.start, max(last.end, row.end), last.name)
            else:
                merged.append(row)
        return merged

    def any(self, data: bytes) -> bool:
        """Whether anything gives a secret away."""
        return any(self._pattern.search(stripped) for stripped, _ in _views(data))

    def undecided(self, data: bytes) -> int:
        """Return where the longest end of ``data`` begins that may become a match; its length where there is none."""
        window = self._window(data)
        offset = len(data) - len(window)
        hold = len(window)
        if b"\x1b" in window and (match := UNFINISHED.search(window, max(0, len(window) - MAX_ESCAPE))):
            hold = match.start()
        for stripped, view in _views(window[:hold]):
            place = self._unfinished(stripped)
            if place < len(stripped):
                hold = min(hold, _Map(window, view).raw(place))
        while 0 < hold < len(window) and 0x80 <= window[hold] < 0xC0:  # noqa: PLR2004  (the middle of a character)
            hold -= 1
        return offset + hold

    def _all(self, data: bytes) -> Iterator[Found]:
        for stripped, view in _views(data):
            match = self._pattern.search(stripped)
            if match is None:
                continue
            places = _Map(data, view)
            while match is not None:
                start, end = match.span()
                yield Found(places.raw(start), places.raw(end - 1) + 1, self._names[match.group()])
                match = self._pattern.search(stripped, start + 1)  # another may begin inside

    def _window(self, data: bytes) -> bytes:
        """Return an end of ``data`` in which every unfinished match begins."""
        wanted = self._longest + MAX_ESCAPE
        size = 2 * wanted
        while size < len(data):
            window = data[-size:]
            if len(ESCAPES.sub(b"", window).translate(None, BREAKS)) >= wanted:
                return window
            size *= 2
        return data

    def _unfinished(self, stripped: bytes) -> int:
        """Return the first place whose rest is the beginning of a needle, and less than all of it."""
        place = max(0, len(stripped) - self._longest + 1)
        while match := self._heads.search(stripped, place):
            begin = int(match.start())
            if self._begins(stripped[begin:]):
                return begin
            place = begin + 1
        for place in range(max(0, len(stripped) - HEAD + 1), len(stripped)):
            if self._begins(stripped[place:]):
                return place
        return len(stripped)

    def _begins(self, text: bytes) -> bool:
        place = bisect_left(self._sorted, text)
        place += place < len(self._sorted) and self._sorted[place] == text
        return place < len(self._sorted) and self._sorted[place].startswith(text)


class _Map:
    """Brings places in stripped text back to places in the text."""

    def __init__(self, data: bytes, view: _View) -> None:
        self._places: list[int] = []  # in the stripped text, where something was taken out before
        self._taken: list[int] = []  # how much was taken out up to there
        taken = 0
        for match in view.gaps.finditer(data):
            size = match.end() - match.start()
            left = 1 if size > MAX_GAP and view.long.match(data, match.start()) else 0  # one byte stands for a long gap
            self._places.append(match.start() - taken + left)
            taken += size - left
            self._taken.append(taken)

    def raw(self, place: int) -> int:
        index = bisect_right(self._places, place)
        return place + (self._taken[index - 1] if index else 0)


def _views(data: bytes) -> Iterator[tuple[bytes, _View]]:
    """Return ``data`` as a reader sees it, a long gap as one line break, which no needle holds."""
    stripped = data.translate(None, BREAKS)
    if len(data) - len(stripped) > MAX_GAP and _may_be_long(data):
        parts = BREAKS_OUT.long.split(data)
        stripped = b"\n".join(part.translate(None, BREAKS) for part in parts)
    yield stripped, BREAKS_OUT
    if b"\x1b" not in data:
        return
    stripped = ESCAPES.sub(b"", data).translate(None, BREAKS)
    if len(data) - len(stripped) > MAX_GAP and ESCAPES_OUT.long.search(data):
        parts = ESCAPES_OUT.long.split(data)
        stripped = b"\n".join(ESCAPES.sub(b"", part).translate(None, BREAKS) for part in parts)
    yield stripped, ESCAPES_OUT


def _may_be_long(data: bytes) -> bool:
    """Whether there may be a long gap of line breaks: any such gap holds two of these samples."""
    samples = data[:: MAX_GAP // 2]
    return len(samples) - len(samples.translate(None, BREAKS)) > 1


def _compile(texts: list[bytes]) -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are bytes
    options.longest_match = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = MEMORY
    return re2.compile(b"|".join(re2.escape(text) for text in texts), options)
