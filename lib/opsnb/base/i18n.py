"""English and Simplified Chinese: messages from gettext catalogues, read at first use.

``locale/<language>/LC_MESSAGES/opsnb.po`` holds the translations. The text form is read as it is, so that no build
step stands between a changed translation and its reader. A message without a translation stays English.

Two ways in:

* :func:`translate` for text that the code writes: the msgid is the English text, ``{name}`` stands for a value.
* :func:`retell` for finished English sentences that were stored (a verdict's reason, a note): the catalogue's entries
  of context ``sentence`` are patterns, and what filled their ``{name}`` is carried over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from opsnb.base.errors import UsageError

ENGLISH = "en"
CHINESE = "zh_CN"
LANGUAGES = {ENGLISH: "en", CHINESE: "zh-Hans"}  # our name → its tag in HTML (BCP 47)
SENTENCE = "sentence"  # the context of entries that retell() matches
MAX_RETOLD = 2000  # characters; a longer text is no sentence of ours
LOCALE = Path(__file__).resolve().parent.parent / "locale"

_FIELD = re.compile(r"\{(\w+)\}")
_LINE = re.compile(r'(msgctxt|msgid|msgstr)?\s*(".*")$')


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a catalogue: the English text, its translation, and the context it is used in."""

    context: str
    message: str
    translation: str


def language_of(tag: str) -> str:
    """Return the language that serves ``tag``: ``zh``, ``zh-CN``, ``zh_CN.UTF-8`` are Chinese, all else is English."""
    return CHINESE if re.split(r"[-_.@]", tag.strip().lower())[0] == "zh" else ENGLISH


def html_lang(language: str) -> str:
    """Return the value of an HTML ``lang`` attribute for ``language``."""
    return LANGUAGES[language_of(language)]


def mark(message: str) -> str:
    """Return ``message`` as it is; marks it for the catalogue where it is written before it is translated."""
    return message


def translate(message: str, language: str, /, **values: object) -> str:
    """Return ``message`` in ``language``, each ``{name}`` replaced by its value.

    Args:
        message: The English text.
        language: ``en``, ``zh_CN``, or a tag that :func:`language_of` understands.
        values: What fills the places; a place without a value stays as written.
    """
    found = _messages(language_of(language)).get(message, message)
    return _fill(found, values) if values else found


def retell(text: str, language: str) -> str:
    """Return a finished English sentence in ``language``, or as it is where no entry of the catalogue made it."""
    language = language_of(language)
    if language == ENGLISH or len(text) > MAX_RETOLD:
        return text
    for pattern, translation in _sentences(language):
        match = pattern.fullmatch(text)
        if match:
            values = {name: retell(value, language) for name, value in match.groupdict().items()}
            return _fill(translation, values)
    return text


def _fill(message: str, values: Mapping[str, object]) -> str:
    return _FIELD.sub(lambda m: str(values.get(m[1], m[0])), message)


def parse_po(text: str) -> list[Entry]:
    """Read a gettext catalogue: msgctxt, msgid, msgstr, comments. Fuzzy and empty entries are left out.

    Raises:
        UsageError: On a line that is none of those; names it.
    """
    entries: list[Entry] = []
    for block in re.split(r"\n\s*\n", text):
        fields = {"msgctxt": "", "msgid": "", "msgstr": ""}
        current, fuzzy = "", False
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
                continue
            match = _LINE.match(line)
            if not match or not (match[1] or current):
                raise UsageError(f"a catalogue line is not msgctxt, msgid, msgstr or their text: {line!r}")
            current = match[1] or current
            fields[current] += ast.literal_eval(match[2])
        if fields["msgid"] and fields["msgstr"] and not fuzzy:
            entries.append(
                Entry(context=fields["msgctxt"], message=fields["msgid"], translation=fields["msgstr"]),
            )
    return entries


@cache
def catalogue(language: str) -> tuple[Entry, ...]:
    """Return the entries of ``language``; none for English.

    Raises:
        UsageError: If the catalogue that ships with opsnb cannot be read.
    """
    if language == ENGLISH:
        return ()
    path = LOCALE / language / "LC_MESSAGES" / "opsnb.po"
    try:
        return tuple(parse_po(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the message catalogue {path} cannot be read: {error}", hint="install opsnb again") from error


@cache
def _messages(language: str) -> dict[str, str]:
    return {e.message: e.translation for e in catalogue(language) if e.context != SENTENCE}


@cache
def _sentences(language: str) -> list[tuple[re.Pattern[str], str]]:
    """The sentence patterns, those with the most literal text first, so that the closest one wins."""
    entries = [e for e in catalogue(language) if e.context == SENTENCE]
    entries.sort(key=lambda e: -len(_FIELD.sub("", e.message)))
    return [(_pattern(e.message), e.translation) for e in entries]


def _pattern(message: str) -> re.Pattern[str]:
    parts = _FIELD.split(message)  # literal, name, literal, name, ...
    seen: set[str] = set()
    made = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            made.append(re.escape(part))
        else:
            made.append(f"(?P={part})" if part in seen else f"(?P<{part}>.+?)")
            seen.add(part)
    return re.compile("".join(made), re.DOTALL)
