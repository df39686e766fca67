"""Names: what somebody, a role or a department may be called, so that no name pretends to be another.

Rules without I/O:

* What one signs in with is ASCII: letters, digits and ``. _ @ + -``.
* Other names are one line of NFC text without control, direction or invisible characters, without letters of another
  width or style, and of one script (Chinese, Japanese and Korean stand beside Latin).
* Two names of a kind that look alike are one: ``web-ops``, ``Web-Ops`` and ``wеb-оps`` with Cyrillic letters.
"""

from __future__ import annotations

import re
import unicodedata

from opsnb.base.errors import UsageError

LOGIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9_])?")
ROLE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
MAX_TEXT = 80  # characters of a full name or of a department's
SHOWN = 40  # characters of a wrong name that an error repeats
MAX_MARKS = 2  # combining marks in a row
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"})
RESERVED = frozenset('/\\;"<>|*?%')  # separators of files, lists, globs and markup


def login_name(text: str) -> str:
    """Return a name that a new account may have.

    Raises:
        UsageError: If it is none.
    """
    if not LOGIN.fullmatch(text):
        raise UsageError(
            f"'{shown(text)}' is no name to sign in with",
            hint="1 to 64 of A-Z a-z 0-9 . _ @ + -, with a letter, digit or _ at both ends; the full name goes into "
            "--display",
        )
    return text


def role_name(text: str) -> str:
    """Return a name that an own role may have: policies name it, so it is plain.

    Raises:
        UsageError: If it is none.
    """
    if not ROLE.fullmatch(text):
        raise UsageError(f"'{shown(text)}' is no name for a role", hint="1 to 40 of a-z 0-9 . _ -, like web-ops")
    return text


def mail_address(text: str) -> str:
    """Return an address that mail may be sent to; empty for none.

    Raises:
        UsageError: If it is none.
    """
    if text and (not MAIL.fullmatch(text) or ".." in text):
        raise UsageError(f"'{shown(text)}' is no mail address", hint="like kai@example.com")
    return text


def full_text(text: str, what: str, *, empty: bool = False) -> str:
    """Return a name in any script, in NFC.

    Args:
        text: What was given.
        what: What it is, for the error: ``department``.
        empty: Whether there may be none.

    Raises:
        UsageError: Says which character is wrong, by its code.
    """
    found = unicodedata.normalize("NFC", text) if len(text) <= MAX_TEXT else text
    problem = "it is empty" if not found and not empty else _problem(found)
    if problem:
        raise UsageError(f"'{shown(text)}' is no {what}: {problem}", hint=f"one line of at most {MAX_TEXT} characters")
    return found


def shown(text: str) -> str:
    """Return a wrong name as an error may repeat it: short, and nothing in it acts."""
    cut = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    return "".join(c if c.isprintable() and unicodedata.category(c) not in UNSEEN else f"\\u{ord(c):04x}" for c in cut)


def _problem(text: str) -> str:
    """Return what is wrong with a name, in words; empty when nothing is."""
    if len(text) > MAX_TEXT:
        return f"it has {len(text)} characters, at most {MAX_TEXT} are kept"
    if text != text.strip(" ") or "  " in text:
        return "it begins or ends with a space, or has two in a row"
    wrong = (f"character {number} is {_wrong(c)}" for number, c in enumerate(text, 1) if _wrong(c))
    if found := next(wrong, ""):
        return found
    if _marks(text) > MAX_MARKS:
        return "it piles marks on a letter"
    if text and not any(c.isalnum() for c in text):
        return "it has no letter and no digit"
    scripts = {unicodedata.name(c, "UNKNOWN").split()[0].split("-")[0] for c in text if c.isalpha()} - EAST_ASIAN
    return f"it mixes letters of {' and '.join(sorted(s.title() for s in scripts))}" if len(scripts) > 1 else ""


def _wrong(character: str) -> str:
    if unicodedata.category(character) in UNSEEN or (character.isspace() and character != " "):
        return f"U+{ord(character):04X}, which nobody sees"
    if character in RESERVED:
        return f"'{character}', which separates or marks up elsewhere"
    if character.isalpha() and unicodedata.normalize("NFKC", character) != character:
        return f"U+{ord(character):04X}, a letter in another form"
    return ""


def _marks(text: str) -> int:
    """Return how many combining marks stand in a row at most."""
    most = row = 0
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        most = max(most, row)
    return most
