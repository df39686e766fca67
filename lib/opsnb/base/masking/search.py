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
MAX_GAP = 4096  # bytes of line breaks and escapes that one match may hold: a stream's memory is bounded


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
        rows = sorted(self._all(data), key=lambda f: (f.start, -f.end))
        merged: list[Found] = []
        for row in rows:
            if merged and row.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = Found(last.start, max(last.end, row.end), last.name)
            else:
                merged.append(row)
        return merged

    def any(self, data: bytes) -> bool:
        """Whether anything may give a secret away; :meth:`found` says what does."""
        return any(self._pattern.search(view.text) for view in _views(data))

    def undecided(self, data: bytes) -> int:
        """Return where the longest end of ``data`` begins that may become a match; its length where there is none."""
        window = self._window(data)
        hold = len(window)
        if b"\x1b" in window and (match := UNFINISHED.search(window, max(0, len(window) - MAX_ESCAPE))):
            hold = match.start()
        for view in _views(window[:hold]):
            for place in self._unfinished(view.text):
                start = view.place(place)
                if len(window) - start - (len(view.text) - place) <= MAX_GAP:  # else no more text makes it a match
                    hold = min(hold, start)
                    break
        while 0 < hold < len(window) and 0x80 <= window[hold] < 0xC0:  # noqa: PLR2004  (the middle of a character)
            hold -= 1
        return len(data) - len(window) + hold

    def _all(self, data: bytes) -> Iterator[Found]:
        for view in _views(data):
            match = self._pattern.search(view.text)
            while match is not None:
                begin = int(match.start())
                start = view.place(begin)
                found: Any = match
                while found is not None:  # the longest one that does not hold too much besides
                    end = view.place(found.end() - 1, keep=False) + 1
                    if end - start - (found.end() - begin) <= MAX_GAP:
                        yield Found(start, end, self._names[found.group()])
                        break
                    found = self._pattern.match(view.text, begin, found.end() - 1)
                match = self._pattern.search(view.text, begin + 1)  # another may begin inside

    def _window(self, data: bytes) -> bytes:
        """Return an end of ``data`` in which every unfinished match begins."""
        size = self._longest + MAX_GAP + 2 * MAX_ESCAPE  # its first escape may have been cut in half: one more
        return data[-size:]

    def _unfinished(self, text: bytes) -> Iterator[int]:
        """Yield the places whose rest is the beginning of a needle, and less than all of it."""
        place = max(0, len(text) - self._longest + 1)
        while match := self._heads.search(text, place):
            begin = int(match.start())
            if self._begins(text[begin:]):
                yield begin
            place = begin + 1
        for begin in range(max(place, len(text) - HEAD + 1), len(text)):
            if self._begins(text[begin:]):
                yield begin

    def _begins(self, text: bytes) -> bool:
        place = bisect_left(self._sorted, text)
        place += place < len(self._sorted) and self._sorted[place] == text
        return place < len(self._sorted) and self._sorted[place].startswith(text)


class _View:
    """Text without line breaks, and without escapes if asked; brings its places back to places in the text itself."""

    def __init__(self, data: bytes, *, escapes: bool) -> None:
        self._shown = ESCAPES.sub(b"", data) if escapes else data
        self.text = self._shown.translate(None, BREAKS)
        self._data = data if escapes else b""
        self._escapes: tuple[list[int], list[int]] | None = None
        self._known = (0, 0)  # a place in this text, and where it stands in what is shown

    def place(self, place: int, *, keep: bool = True) -> int:
        """Return where the byte at ``place`` stands; quick for places that grow, which ``keep`` remembers."""
        known, shown = self._known if place >= self._known[0] else (0, 0)
        wanted = place - known
        while wanted:  # so many bytes further, and one more for each line break among them
            end = shown + wanted
            wanted = self._shown.count(b"\n", shown, end) + self._shown.count(b"\r", shown, end)
            shown = end
        while self._shown[shown] in BREAKS:
            shown += 1
        if keep:
            self._known = (place, shown)
        return shown + self._before(shown) if self._data else shown

    def _before(self, shown: int) -> int:
        """Return how many bytes of escapes stand before a place in what is shown."""
        if self._escapes is None:
            places, taken, total = [], [], 0
            for match in ESCAPES.finditer(self._data):
                places.append(match.start() - total)
                total += match.end() - match.start()
                taken.append(total)
            self._escapes = places, taken
        places, taken = self._escapes
        index = bisect_right(places, shown)
        return taken[index - 1] if index else 0


def _views(data: bytes) -> Iterator[_View]:
    yield _View(data, escapes=False)
    if b"\x1b" in data:
        yield _View(data, escapes=True)


def _compile(texts: list[bytes]) -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are bytes
    options.longest_match = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = MEMORY
    return re2.compile(b"|".join(re2.escape(text) for text in texts), options)
