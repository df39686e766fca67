"""Exact edits of one server line in an nginx configuration: text in, text out, every other byte untouched.

Rules:

* A word is put in where it belongs (`weight` after the address, `down` after the last word) and taken out with the
  blanks before it, so that setting and removing a word gives the old text back, to the byte.
* Comments stay; the one behind a line that is removed becomes a line of its own. Only what stands between the words of
  a removed directive goes with it.
* A new line is indented as the server line before it and ends as that one's does (LF or CRLF).
* Quotes and backslashes are read as nginx reads them: `"down"` is the word `down`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opsnb.base.errors import UsageError
from opsnb.kits.nginx.grammar import Directive
from opsnb.kits.nginx.tokens import Tokens

BLANKS = re.compile(r"\s*")
REST = re.compile(r"[^\S\r\n]*(#[^\r\n]*)?(?=\r?\n|\Z)")  # what may follow a directive that has its line for itself
DOWN, WEIGHT = "down", "weight="


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of a directive.

    Args:
        text: What nginx takes it for.
        start: Where it begins in the file's text, its quotes included.
        end: Where it ends.
        tight: Where the blanks before it begin; behind a comment, where the comment's line ends.
    """

    text: str
    start: int
    end: int
    tight: int


def set_down(text: str, server: Directive) -> str:
    """Return the text in which a server line is marked ``down``; the same when it is."""
    words = _words(text, server)
    if any(word.text == DOWN for word in words[2:]):
        return text
    return _put(text, words[-1].end, words[-1].end, f" {DOWN}")


def remove_down(text: str, server: Directive) -> str:
    """Return the text in which a server line is not marked ``down``; the same when it is not."""
    return remove_word(text, server, DOWN)


def remove_word(text: str, server: Directive, name: str) -> str:
    """Return the text in which a server line has no word ``name`` behind its address: ``down``, ``backup``."""
    for word in reversed(_words(text, server)[2:]):
        if word.text == name:
            text = _put(text, word.tight, word.end, "")
    return text


def set_weight(text: str, server: Directive, weight: int) -> str:
    """Return the text in which a server line has a weight; a line without the word that is to have 1 stays.

    Raises:
        UsageError: If the weight is below 1, which nginx refuses.
    """
    if weight < 1:
        raise UsageError(f"the weight is {weight}; nginx takes 1 and more", hint="no requests at all: mark it down")
    words = _words(text, server)
    there = [word for word in words[2:] if word.text.startswith(WEIGHT)]
    if not there:
        return text if weight == 1 else _put(text, words[1].end, words[1].end, f" {WEIGHT}{weight}")
    for word in reversed(there):
        text = _put(text, word.start, word.end, f"{WEIGHT}{weight}")
    return text


def remove_weight(text: str, server: Directive) -> str:
    """Return the text in which a server line says no weight, which means 1."""
    for word in reversed(_words(text, server)[2:]):
        if word.text.startswith(WEIGHT):
            text = _put(text, word.tight, word.end, "")
    return text


def add_server(text: str, after: Directive, words: str) -> str:
    """Return the text with one more server line behind the server line ``after``.

    Args:
        text: The file.
        after: The server line that it follows, as its neighbour in form: indentation, line ends, comment left alone.
        words: What stands behind ``server``, validated by whoever calls: ``10.0.0.9:8000 weight=2``.
    """
    line = f"server {words};"
    begin = text.rfind("\n", 0, after.start) + 1
    rest = REST.match(text, after.end)
    if text[begin : after.start].strip() or rest is None:  # shares its line
        return _put(text, after.end, after.end, f" {line}")
    ending = "\r\n" if text[rest.end() : rest.end() + 2] == "\r\n" else "\n"
    return _put(text, rest.end(), rest.end(), f"{ending}{text[begin : after.start]}{line}")


def add_first_server(text: str, upstream: Directive, words: str) -> str:
    """Return the text with a server line as the last thing of an upstream block that has none."""
    if upstream.inside is None:
        raise UsageError(f"{upstream.where}: {upstream.name} has no block")
    begin = text.rfind("\n", 0, upstream.start) + 1
    indent = BLANKS.match(text, begin, upstream.start)
    margin = indent[0] if indent else ""
    end = upstream.inside[1]
    kept = text[: upstream.inside[0]] + text[upstream.inside[0] : end].rstrip()
    return f"{kept}\n{margin}    server {words};\n{margin}{text[end:]}"


def remove_server(text: str, server: Directive) -> str:
    """Return the text without a server line; the comment behind it stays as a line of its own."""
    begin = text.rfind("\n", 0, server.start) + 1
    rest = REST.match(text, server.end)
    if text[begin : server.start].strip() or rest is None:  # shares its line: one blank goes with it
        start = server.start - 1 if text[server.start - 1 : server.start] in {" ", "\t"} else server.start
        return _put(text, start, server.end, "")
    if rest[1] is not None:
        return _put(text, server.start, rest.start(1), "")
    end = rest.end() + (2 if text.startswith("\r\n", rest.end()) else 1)
    return _put(text, begin, min(end, len(text)), "")


def comment_server(text: str, server: Directive, why: str = "") -> str:
    """Return the text with a server line turned into a comment, one ``#`` for each of its lines.

    Args:
        text: The file.
        server: The server line.
        why: A word or two in front of it: ``out``.

    Raises:
        UsageError: If it shares a line with another directive, which the comment would swallow.
    """
    begin = text.rfind("\n", 0, server.start) + 1
    if text[begin : server.start].strip() or REST.match(text, server.end) is None:
        raise UsageError(
            f"{server.where}: the server line shares its line with others; a comment would hide them",
            hint="remove it instead, or give it a line of its own first",
        )
    mark = f"# {why}: " if why else "# "
    lines = text[server.start : server.end].split("\n")
    return _put(text, server.start, server.end, mark + "\n# ".join(lines))


def _put(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _words(text: str, server: Directive) -> list[Word]:
    """Return the words of a server line, its name first.

    Raises:
        UsageError: If it is no server line with an address, or the text is not the one that it was read from.
    """
    read = Tokens(text, server.file)
    found, before = [], server.start
    for start, end in server.spans:
        gap = text[before:start]
        tight = before + gap.rfind("\n") + 1 if "#" in gap else before  # a comment keeps the end of its line
        value = read.value((start, end)) if start < len(text) else ""
        found.append(Word(text=value, start=start, end=end, tight=tight))
        before = end
    if len(found) < 2 or [word.text for word in found] != [server.name, *server.arguments]:  # noqa: PLR2004  (name, address)
        raise UsageError(
            f"{server.where}: the server line is not as it was read: {text[server.start : server.end]!r:.200}",
            hint="plan again",
        )
    return found
