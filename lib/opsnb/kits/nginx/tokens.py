r"""The words of an nginx configuration, taken apart as nginx's own reader does (``ngx_conf_read_token``).

Rules:

* Words are separated by space, tab, CR, LF and ended by ``;`` or ``{``. A ``}`` counts only where a word could begin.
* A quote counts only where a word begins. After the closing one comes a space, ``;``, ``{`` or ``)``.
* A backslash takes the next character with it. In the value ``\"``, ``\'``, ``\\``, ``\t``, ``\r``, ``\n`` are
  replaced, all others stay as they are, so that regular expressions need no second backslash.
* The ``{`` of ``${name}`` ends no word. A ``#`` begins a comment only where a word could begin.
* A word of 4096 bytes or more is refused; usually a closing quote is missing.
* What stands in a ``*_by_lua_block`` is Lua: its strings, comments and long brackets may hold braces.

nginx reads bytes. Text is UTF-8 here, every other byte a lone surrogate (``surrogateescape``), so that GBK or latin-1
files keep their bytes: ``text.encode("utf-8", "surrogateescape")``.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from opsnb.base.errors import UsageError

WILD = frozenset("*?[")  # what makes a path a pattern
MAX_WORD = 4096  # bytes: NGX_CONF_BUFFER

Span = tuple[int, int]

_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_PLAIN = re.compile(r"(?:[^ \t\r\n;{\\$]|\\.|\$\{*)*", re.DOTALL)
_QUOTED = {quote: re.compile(rf"{quote}[^{quote}\\]*(?:\\.[^{quote}\\]*)*{quote}", re.DOTALL) for quote in "\"'"}
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_REPLACED = {"t": "\t", "r": "\r", "n": "\n"}
_LUA = re.compile(r"--\[(?P<note>=*)\[|--|\[(?P<long>=*)\[|[\"'{}]")


def shown(text: str, most: int = 40) -> str:
    """Return text from a file so that it can be printed: quoted, on one line, short."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return f"'{safe}{'...' if len(text) > most else ''}'"


def decode(data: bytes) -> str:
    """Return a file's bytes as text that keeps all of them."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of text that came from :func:`decode`."""
    return text.encode("utf-8", "surrogateescape")


class Tokens:
    """The words of one file.

    Args:
        text: The file's text.
        file: Its name, for what is refused.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self._ends = [m.start() for m in re.finditer("\n", text)]
        if text.startswith("\ufeff"):
            raise self.refused(0, "a byte order mark", "none: nginx takes it as part of the first word")
        if (at := text.find("\0")) >= 0:
            raise self.refused(at, "a NUL byte", "text")

    def line(self, at: int) -> int:
        """Return the line of an offset, from 1."""
        return bisect_left(self._ends, at) + 1

    def refused(self, at: int, found: str, wanted: str) -> UsageError:
        """Return the refusal of what stands at an offset."""
        return UsageError(f"{shown(self.file, 200)[1:-1]}:{self.line(at)}: found {found}, wanted {wanted}")

    def skip(self, at: int) -> int:
        """Return the offset after spaces and comments."""
        found = _GAP.match(self.text, at)
        return found.end() if found else at

    def end(self, at: int) -> int:
        """Return the end of the word that begins at an offset.

        Raises:
            UsageError: If it has no end, or is too long.
        """
        quote = self.text[at]
        quoted = quote in _QUOTED
        found = (_QUOTED[quote] if quoted else _PLAIN).match(self.text, at)
        end = found.end() if found else len(self.text)
        size = end - at - (2 if found and quoted else quoted)
        if size >= MAX_WORD or (size * 3 >= MAX_WORD and len(encode(self.text[at:end])) - 2 * quoted >= MAX_WORD):
            why = f"; a closing {quote} may be missing" if quoted else ""
            raise self.refused(at, f"a word of {MAX_WORD} bytes or more: {shown(self.text[at:end])}", f"less{why}")
        if not found:
            raise self.refused(at, f"{quote} without its end: {shown(self.text[at:end])}", f"a closing {quote}")
        if end >= len(self.text) or (not quoted and self.text[end] == "\\"):
            raise self.refused(at, f"the end of the file after {shown(self.text[at:end])}", "';' or '{'")
        if quoted and self.text[end] not in " \t\r\n;{)":
            raise self.refused(end, f"{shown(self.text[end])} after a closing {quote}", "a space, ';' or '{'")
        return end

    def value(self, span: Span) -> str:
        """Return what a word means: without its quotes, escapes replaced."""
        word = self.text[slice(*span)]
        if word[0] in _QUOTED:
            word = word[1:-1]
        return _ESCAPE.sub(lambda m: _REPLACED.get(m[1], m[1]), word) if "\\" in word else word

    def lua(self, at: int) -> int:
        """Return the offset of the ``}`` that ends a block of Lua whose text begins at ``at``.

        Raises:
            UsageError: If there is none.
        """
        depth, begin = 1, at
        while found := _LUA.search(self.text, at):
            if found[0] == "}" and depth == 1:
                return found.start()
            depth += {"{": 1, "}": -1}.get(found[0], 0)
            at = self._past(found)
        raise self.refused(begin, "a block of Lua without its end", "'}'")

    def _past(self, found: re.Match[str]) -> int:
        """Return the offset after a brace, a string, a comment or a long bracket of Lua."""
        if found[0] in "{}":
            return found.end()
        if found[0] in _QUOTED:
            whole = _QUOTED[found[0]].match(self.text, found.start())
            if not whole:
                raise self.refused(found.start(), f"a Lua string without its end in {found[0]}", "a closing quote")
            return whole.end()
        if found[0] == "--":
            end = self.text.find("\n", found.end())
            return end + 1 if end >= 0 else len(self.text)
        close = f"]{found['note'] if found['note'] is not None else found['long']}]"
        end = self.text.find(close, found.end())
        if end < 0:
            raise self.refused(found.start(), f"Lua's {found[0]} without its end", close)
        return end + len(close)
