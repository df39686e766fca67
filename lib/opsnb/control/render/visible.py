"""Text that a machine wrote, made safe to look at: what would steer a reader's screen is shown, never obeyed.

Rules:

* A control character shows as its picture (``␛``), an invisible or direction-changing one as its code (``U+202E``).
* Only colours and weights of a traceback's own ANSI sequences become classes; no background, no concealment.
* Everything returned is escaped for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import Markup, escape

NOTHING = Markup()

# Unicode categories Cc, Cf, Cs, Zl, Zp without tab and newline; and letters that draw nothing (Hangul fillers).
# Supplementary variation selectors (U+E0100-U+E01EF) stay: they choose between real forms of Chinese characters.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
HIDDEN = re.compile(f"[{_HIDDEN}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
WEIGHTS = {1: "bold", 3: "italic", 4: "underline"}
SPACE, DELETE = 0x20, 0x7F
# The names of U+0000 to U+001F (ISO 646).
_NAMES = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
CONTROLS = _NAMES.split()
MAX_RUN = 8  # of one hidden character, shown one by one
BRIGHT = 90  # first of the eight bright foreground colours
NORMAL = 30  # first of the eight normal ones
CUBE = {38, 48}  # followed by 5;n or 2;r;g;b


def symbol(character: str) -> str:
    """Return what stands for one hidden character: ``␛`` for a control character, else ``U+202E``."""
    code = ord(character)
    if code < SPACE:
        return chr(0x2400 + code)
    return "␡" if code == DELETE else f"U+{code:04X}"


def text(value: str) -> Markup:
    """Return ``value`` escaped, every hidden character shown in a ``<span class="ctl">``; CRLF counts as a newline."""
    return in_html(escape(value.replace("\r\n", "\n")))


def plain(value: str) -> str:
    """Return ``value`` with hidden characters replaced by what stands for them: for attributes, not yet escaped."""
    return HIDDEN.sub(lambda m: _symbols(m[0]), value.replace("\r\n", "\n"))


def without_surrogates(value: str) -> str:
    """Return ``value`` with lone surrogates, which have no UTF-8 form, as their codes."""
    return _SURROGATE.sub(lambda m: symbol(m[0]), value)


def in_html(html: str) -> Markup:
    """Show the hidden characters in text nodes of safe HTML, whose attributes hold none of them."""
    return Markup(HIDDEN.sub(_badge, html))  # noqa: S704  (safe HTML in)


def _badge(match: re.Match[str]) -> str:
    """Return the span that shows a run. The style sheet draws its title, as many fonts lack the control pictures."""
    return f'<span class="ctl" title="{_run(match[0], _word)}">{_symbols(match[0])}</span>'


def _word(character: str) -> str:
    code = ord(character)
    return CONTROLS[code] if code < SPACE else symbol(character) if code != DELETE else "DEL"


def _symbols(run: str) -> str:
    return _run(run, symbol)


def _run(run: str, show: Callable[[str], str]) -> str:
    """Return what stands for a run, words set apart by spaces; an endless run of one character is counted."""
    if len(run) > MAX_RUN and run == run[0] * len(run):
        return f"{show(run[0])}×{len(run)}"
    shown = [show(c) for c in run]
    return "".join(shown) if all(len(s) == 1 for s in shown) else " ".join(shown)


def coloured(value: str) -> Markup:
    """Return a traceback escaped, its ANSI colours and weights as classes, every other sequence shown."""
    made: list[str] = []
    end = 0
    classes: tuple[str, ...] = ()
    for match in _SGR.finditer(value):
        made.append(_span(value[end : match.start()], classes))
        classes, end = _after(match[1], classes), match.end()
    return Markup("".join([*made, _span(value[end:], classes)]))  # noqa: S704  (each piece is escaped)


def _span(piece: str, classes: tuple[str, ...]) -> str:
    if not piece:
        return ""
    shown = str(text(piece))
    return f'<span class="{" ".join(f"ansi-{c}" for c in classes)}">{shown}</span>' if classes else shown


def _after(codes: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that hold after one SGR sequence (ECMA-48 section 8.3.117)."""
    numbers = [int(n[:4] or 0) for n in codes.split(";")]
    if CUBE & set(numbers):  # a colour of the 256 or 16 million: shown plain
        return tuple(c for c in classes if c not in COLOURS)
    for number in numbers:
        if number == 0:
            classes = ()
        elif number in WEIGHTS:
            classes = (*(c for c in classes if c != WEIGHTS[number]), WEIGHTS[number])
        elif number == 22:  # noqa: PLR2004  (normal weight)
            classes = tuple(c for c in classes if c != "bold")
        elif number == 39:  # noqa: PLR2004  (default colour)
            classes = tuple(c for c in classes if c not in COLOURS)
        elif number - NORMAL in range(8) or number - BRIGHT in range(8):
            colour = COLOURS[number % 10]
            classes = (*(c for c in classes if c not in COLOURS), colour)
    return classes
