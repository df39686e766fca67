"""Does a file look as if it held a secret? Rules only; it errs on the side of asking.

What is found is named by line and kind, never by its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_FINDINGS = 20  # of one file
PRIVATE_KEY = "a private key"
NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|credentials?"
)
VALUE = r"""["']?(?P<value>[^\s"',;#]+)"""
HEADER = r"""authorization["']?:?\s+["']?(?:basic|bearer)\s+"""
RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (PRIVATE_KEY, re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a password or token", re.compile(rf"""[\w.-]*(?:{NAMES})["']?\s*(?:=>|[:=])\s*{VALUE}""", re.IGNORECASE)),
    ("a password", re.compile(rf"^\s*(?:requirepass|masterauth|password|bindpw)\s+(?![=:]){VALUE}", re.IGNORECASE)),
    ("a login in a URL", re.compile(r"\w://[^\s/:@]+:(?P<value>[^\s/@]+)@")),
    ("an authorization header", re.compile(rf"""{HEADER}(?P<value>\S+)""", re.IGNORECASE)),
    ("an access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a token", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
)  # fmt: skip
NO_SECRET = re.compile(
    r"[$%<{*].*|none|null|nil|true|false|yes|no|on|off|required|optional|prompt|ask|x+|\.{2,}|0|1|/[\w./-]+",
    re.IGNORECASE,
)
"""A value that is none: a variable, a placeholder, stars, a word for nothing, a path."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """One line that looks as if it held a secret."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line} looks like {self.what}"


def suspicions(text: str) -> list[Suspicion]:
    """Return the lines of a text that look as if they held a secret, at most ``MAX_FINDINGS``."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if what := _what(line[:4000]):
            found.append(Suspicion(line=number, what=what))
        if len(found) == MAX_FINDINGS:
            break
    return found


def _what(line: str) -> str:
    for what, pattern in RULES:
        for match in pattern.finditer(line):
            value = match.groupdict().get("value")
            if value is None or not NO_SECRET.fullmatch(value.rstrip("]})>")):
                return what
    return ""
