"""What a terminal showed, as text that a person can read: control sequences interpreted, never written.

A small terminal (the common part of ECMA-48 and xterm): carriage return, backspace, tabs, erasing, inserting and
deleting, moving on the screen, lines that wrap. What scrolls off or is cleared is written out; a full-screen program
(alternate screen) is named, not drawn: the asciicast shows it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

MAX_LINE = 16 * 1024  # characters of one line that are kept
FULL_SCREEN = "[opsnb: a full-screen program; session.cast shows it]"
ALTERNATE = frozenset({"?47", "?1047", "?1049"})
SEQUENCE = re.compile(
    r"(?P<line>[ -~]*)\r\n"
    r"|\x1b\[(?P<params>[0-?]*)(?P<middle>[ -/]*)(?P<final>[@-~])"
    r"|\x1b[\]PX^_](?P<string>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b[ -/]+[0-~]|\x1b[0-Z\\^-~]"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]*)?\Z")
WIDE = frozenset("WF")


@dataclass
class Row:
    """One row of the screen; a wide character takes two cells, the second one empty."""

    cells: list[str] = field(default_factory=list)
    wraps: bool = False  # it goes on in the next row

    def put(self, column: int, cells: list[str]) -> None:
        """Write cells over what is there."""
        if column > len(self.cells):
            self.cells += [" "] * (column - len(self.cells))
        self.cells[column : column + len(cells)] = cells


class Transcript:
    """Takes what a terminal is sent; gives the lines that will not change any more.

    Args:
        columns: Width of the terminal.
        rows: Its height: how far back a program can still write.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._screen = [Row()]
        self._row = self._column = 0
        self._left = ""
        self._alternate = False
        self._lines: list[str] = []
        self._open = ""  # a wrapped line that goes on

    def resize(self, columns: int, rows: int) -> None:
        """Take a new size; what is on the screen stays as it is."""
        self._columns, self._rows = columns, rows

    def feed(self, text: str) -> list[str]:
        """Take output, in any pieces; return the lines that are finished."""
        text = self._left + text
        unfinished = UNFINISHED.search(text, max(0, len(text) - MAX_LINE))
        self._left = text[unfinished.start() :] if unfinished else ""
        for match in SEQUENCE.finditer(text, 0, len(text) - len(self._left)):
            if match["line"] is not None:
                self._line(match["line"])
            elif match["final"]:
                self._csi(match["final"], match["params"], match["middle"])
            elif match["text"] and not self._alternate:
                self._text(match["text"])
            elif match["control"] and not self._alternate:
                self._control(match["control"])
        return self._taken()

    def note(self, text: str) -> list[str]:
        """Put a line of our own between what was shown; return the lines that are finished."""
        self._flush_all()
        self._lines.append(text)
        return self._taken()

    def finish(self) -> list[str]:
        """Return the lines that are still on the screen."""
        self._flush_all()
        return self._taken()

    def _line(self, text: str) -> None:
        """Take a whole line: most of what terminals are sent."""
        if self._alternate:
            return
        row = self._screen[self._row]
        if self._column == 0 and not row.cells and len(text) <= self._columns:
            row.cells = list(text)
        elif text:
            self._text(text)
        self._down()
        self._column = 0

    # -- what a terminal does --------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        cells = list(text) if text.isascii() else _cells(text)
        while cells:
            room = self._columns - self._column
            if room <= 0 or (len(cells) > 1 and cells[1] == "" and room == 1):
                self._screen[self._row].wraps = True
                self._down()
                self._column = 0
                continue
            cut = min(room, len(cells))
            cut -= cut < len(cells) and cells[cut] == ""
            self._screen[self._row].put(self._column, cells[:cut])
            self._column += cut
            cells = cells[cut:]

    def _control(self, control: str) -> None:
        if control in "\n\v\f":
            self._down()
        elif control == "\r":
            self._column = 0
        elif control == "\b":
            self._column = max(0, min(self._column, self._columns) - 1)
        elif control == "\t":
            self._column = min(self._column // 8 * 8 + 8, max(self._columns - 1, 0))

    def _down(self) -> None:
        self._row += 1
        if self._row >= len(self._screen):
            self._screen.append(Row())
        if len(self._screen) > self._rows:
            self._flush(1)

    def _csi(self, final: str, params: str, middle: str) -> None:
        if final in "hl" and set(params.split(";")) & ALTERNATE:
            self._switch(on=final == "h")
        elif not self._alternate and not middle and not params.startswith(("?", ">", "=")):
            numbers = [int(p[:5]) if p.isdecimal() and p.isascii() else 0 for p in re.split("[;:]", params)]
            move = _MOVES.get(final)
            if move:
                move(self, numbers)

    def _switch(self, *, on: bool) -> None:
        if on and not self._alternate:
            self._flush_all()
            self._lines.append(FULL_SCREEN)
        self._alternate = on

    def _erase_line(self, numbers: list[int]) -> None:
        row = self._screen[self._row]
        if numbers[0] == 0:
            del row.cells[self._column :]
            row.wraps = False
        elif numbers[0] == 1:
            row.put(0, [" "] * min(self._column + 1, len(row.cells)))
        else:
            row.cells.clear()

    def _erase_screen(self, numbers: list[int]) -> None:
        if numbers[0] == 0:
            self._erase_line([0])
            del self._screen[self._row + 1 :]
        elif numbers[0] > 1:
            self._flush(len(self._screen))

    def _delete(self, numbers: list[int]) -> None:
        del self._screen[self._row].cells[self._column : self._column + max(1, numbers[0])]

    def _insert(self, numbers: list[int]) -> None:
        blanks = [" "] * min(max(1, numbers[0]), self._columns)
        self._screen[self._row].cells[self._column : self._column] = blanks

    def _blank(self, numbers: list[int]) -> None:
        cells = self._screen[self._row].cells
        self._screen[self._row].put(self._column, [" "] * min(max(1, numbers[0]), max(0, len(cells) - self._column)))

    def _to_column(self, column: int) -> None:
        self._column = max(0, min(column, self._columns - 1))

    def _to_row(self, row: int) -> None:
        self._row = max(0, min(row, self._rows - 1))
        while len(self._screen) <= self._row:
            self._screen.append(Row())

    def _place(self, numbers: list[int]) -> None:
        self._to_row(max(1, numbers[0]) - 1)
        self._to_column((max(1, numbers[1]) if len(numbers) > 1 else 1) - 1)

    # -- what is given out -----------------------------------------------------------------------------------------

    def _flush(self, count: int) -> None:
        """Write out the uppermost rows and take them from the screen."""
        for row in self._screen[:count]:
            self._open += "".join(row.cells)
            if not row.wraps or len(self._open) > MAX_LINE:
                self._lines.append(self._open[:MAX_LINE].rstrip())
                self._open = ""
        del self._screen[:count]
        if not self._screen:
            self._screen.append(Row())
        self._row = max(0, self._row - count)

    def _flush_all(self) -> None:
        if not self._screen[-1].cells and not self._open:  # the cursor's row, where nothing stands yet
            self._screen.pop()
        self._flush(len(self._screen))
        self._row = self._column = 0

    def _taken(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines


def _cells(text: str) -> list[str]:
    cells: list[str] = []
    for char in text:
        if unicodedata.combining(char) or unicodedata.category(char) == "Cf":
            if cells:
                last = -2 if cells[-1] == "" and len(cells) > 1 else -1
                cells[last] += char if unicodedata.combining(char) else ""
            continue
        cells.append(char)
        if unicodedata.east_asian_width(char) in WIDE:
            cells.append("")
    return cells


_MOVES = {
    "A": lambda t, n: t._to_row(t._row - max(1, n[0])),
    "B": lambda t, n: t._to_row(t._row + max(1, n[0])),
    "C": lambda t, n: t._to_column(t._column + max(1, n[0])),
    "D": lambda t, n: t._to_column(t._column - max(1, n[0])),
    "G": lambda t, n: t._to_column(max(1, n[0]) - 1),
    "d": lambda t, n: t._to_row(max(1, n[0]) - 1),
    "H": Transcript._place, "f": Transcript._place, "J": Transcript._erase_screen, "K": Transcript._erase_line,
    "P": Transcript._delete, "@": Transcript._insert, "X": Transcript._blank,
}  # fmt: skip
