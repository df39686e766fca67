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
LIST, CHINESE_LIST = "; ", "；"  # between the sentences of a list
MAX_DEPTH = 8  # sentences within each other
SLOTS = frozenset({  # hold sentences; all others hold names
    "attempt", "first", "how", "kinds", "rest", "verb", "what", "where", "why",
})  # fmt: skip
LOCALE = Path(__file__).resolve().parent.parent / "locale"

_FIELD = re.compile(r"\{(\w+)\}")
_LINE = re.compile(r'(msgctxt|msgid|msgstr)?\s*(".*")$')


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a catalogue: the English text, its translation, and the context it is used in."""

    context: str
    message: str
    translation: str


@dataclass(frozen=True, kw_only=True)
class _Sentence:
    """An entry as it is looked for: ``part`` is its longest literal part, ``words`` counts its literal characters."""

    pattern: re.Pattern[str]
    part: str
    words: int
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
    """Return a finished English sentence in ``language``, or as it is where no entry of the catalogue made it.

    What filled ``{why}`` and the other places of ``SLOTS`` may be a sentence itself. Of several ways to read one, that
    with the most words of ours is taken: ``nothing was touched: the toolkit has changed since request R was sealed`` is
    one sentence in another, and not one about a file of the name ``nothing was touched: the toolkit``. So is a list of
    sentences, parted by ``;``, one of them after the other.
    """
    language = language_of(language)
    if language == ENGLISH or len(text) > MAX_RETOLD:
        return text
    return _read(text, language, {}, MAX_DEPTH)[1]


def _read(text: str, language: str, known: dict[str, tuple[int, str]], depth: int) -> tuple[int, str]:
    """Return how much of a text are words of ours, and the text told again."""
    if text in known or depth == 0:
        return known.get(text, (0, text))
    best = (0, text)
    for sentence in _sentences(language):
        if sentence.part not in text or not (match := sentence.pattern.fullmatch(text)):
            continue
        read = {
            name: _read(value, language, known, depth - 1) if name in SLOTS else (0, value)
            for name, value in match.groupdict().items()
        }
        ours = sentence.words + sum(count for count, _ in read.values())
        if ours > best[0]:
            best = ours, _fill(sentence.translation, {name: told for name, (_, told) in read.items()})
    if LIST in text:
        rows = [_read(part, language, known, depth - 1) for part in text.split(LIST)]
        if sum(count for count, _ in rows) > best[0]:
            best = sum(count for count, _ in rows), CHINESE_LIST.join(told for _, told in rows)
    known[text] = best
    return best


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
def _sentences(language: str) -> list[_Sentence]:
    """The sentences, those with the most words first, so that of two equal readings the closest one wins."""
    made = [_sentence(e) for e in catalogue(language) if e.context == SENTENCE]
    return sorted(made, key=lambda s: -s.words)


def _sentence(entry: Entry) -> _Sentence:
    own = _FIELD.sub("\0", entry.message).split("\0")
    return _Sentence(
        pattern=_pattern(entry.message), part=max(own, key=len), words=sum(map(len, own)),
        translation=entry.translation,
    )  # fmt: skip


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
