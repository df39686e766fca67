"""Text as a difference shows it: what looks like a secret never, whoever put it into a file where none belongs."""

from __future__ import annotations

import re
from typing import Any

NOT_SHOWN = "(not shown)"
NAME = r"[\w.-]*(?:passw|passphrase|pwd|secret|token|api_?key|private_?key|credential)[\w.-]*"
NAMED = re.compile(NAME, re.IGNORECASE)
ASSIGNED = re.compile(rf"""(?P<name>["']?{NAME}["']?\s*(?::\s*\w+\s*=|[:=])\s*)(?P<value>\S.*)$""", re.IGNORECASE)
OPTION = re.compile(rf"(?P<name>--{NAME}\s+)(?P<value>\S+)", re.IGNORECASE)
IN_ADDRESS = re.compile(r"(?P<name>\w://[^\s/:@]*:)[^\s/@]+(?=@)")
BEARER = re.compile(r"(?P<name>\b(?:Bearer|Basic)\s+)[\w+/=.~-]{8,}", re.IGNORECASE)
KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
CALLED = re.compile(r"\w+(?=\()")  # in what is assigned: the name of what is called
PIECE = re.compile(r"""(?P<called>\.?\w+(?=\())|'(?:\\.|[^'\\])*'?|"(?:\\.|[^"\\])*"?|[^\s()'".]+""")
MAX_SHOWN = 200  # characters of one value or line


def line(text: str) -> str:
    """Return a line of a file without what looks like a secret, at most ``MAX_SHOWN`` characters of it."""
    for form in (OPTION, IN_ADDRESS, BEARER, ASSIGNED):
        text = form.sub(lambda m: m["name"] + NOT_SHOWN, text)
    return _cut(text)


def code(text: str) -> str:
    """Return a line of Python as :func:`line` does, with what it calls.

    Otherwise whoever calls a variable ``token`` would hide from whoever activates it what the line does.
    """
    for form in (OPTION, IN_ADDRESS, BEARER):
        text = form.sub(lambda m: m["name"] + NOT_SHOWN, text)
    return _cut(ASSIGNED.sub(lambda m: m["name"] + _calls(m["value"]), text))


def _calls(value: str) -> str:
    """Return what is assigned without its values, where it calls something; else nothing of it."""
    if not CALLED.search(value):
        return NOT_SHOWN
    return PIECE.sub(lambda m: m["called"] or NOT_SHOWN, value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def has_key(text: str) -> bool:
    """Return whether a private key stands in a text: none of its lines is shown then."""
    return KEY_BLOCK.search(text) is not None


def value(name: str, found: Any) -> str:
    """Return a value in words; ``name`` is the dotted name of where it stands."""
    if NAMED.search(name):
        return NOT_SHOWN
    if found is None or found == "":
        return "nothing"
    text = ", ".join(str(v) for v in found) if isinstance(found, list | tuple) else str(found)
    return NOT_SHOWN if has_key(text) else line(text.replace("\n", " "))
