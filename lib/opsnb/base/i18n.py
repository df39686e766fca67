"""English and Simplified Chinese: messages from gettext catalogues, read at first use.

``locale/<language>/LC_MESSAGES/opsnb.po`` holds the translations. The text form is read as it is, so that no build
step stands between a changed translation and its reader. A message without a translation stays English.

Two ways in:

* :func:`translate` for text that the code writes: the msgid is the English text, ``{name}`` stands for a value.
* :func:`retell` for finished English sentences, stored ones (a verdict's reason, a note) and the messages and hints
  of errors: the catalogue's entries of context ``sentence`` are patterns, and what filled their ``{name}`` is carried
  over. Those of context ``piece`` stand only within a sentence: ``roles`` alone is somebody's name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from opsnb.base.errors import UsageError

ENGLISH = "en"
CHINESE = "zh_CN"
LANGUAGES = {ENGLISH: "en", CHINESE: "zh-Hans"}  # our name → its tag in HTML (BCP 47)
SENTENCE, PIECE = "sentence", "piece"
RETOLD = frozenset({SENTENCE, PIECE})  # the contexts of entries that retell() matches
MAX_RETOLD = 2000  # characters; a longer text is no sentence of ours
LINE = "\n"  # between sentences that stand below each other
BETWEEN = ((LINE, LINE), ("; ", "；"))  # the sentences of a list, in English and in Chinese
OF, CHINESE_OF = ": ", "："  # between what a sentence is about, a file or a field, and the sentence
MAX_DEPTH = 8  # sentences within each other
SLOTS = frozenset({  # hold sentences; all others hold names
    "attempt", "first", "how", "kinds", "rest", "verb", "what", "where", "why",
})  # fmt: skip
LOCALE = Path(__file__).resolve().parent.parent / "locale"

_FIELD = re.compile(r"\{(\w+)\}")
_PLACE = re.compile(r"( ?)\{(\w+)\}( ?)")
_HAN = re.compile(r"[\u4e00-\u9fff“”（）]")
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

    message: str
    part: str
    words: int
    translation: str
    piece: bool

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the finished sentence looks like; made when its part was found, for making all takes a second."""
        return _pattern(self.message)


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
    sentences, parted by ``;`` or each on its own line, one of them after the other; and what stands before a colon
    (``opsnb.yaml: policies.web: ...``) stays as it is where it is no sentence itself.
    """
    language = language_of(language)
    if language == ENGLISH:
        return text
    if len(text) > MAX_RETOLD:
        return text if LINE not in text else LINE.join(retell(row, language) for row in text.split(LINE))
    return _read(text, _Reading(language=language), MAX_DEPTH, within=False)[1]


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One text that is told again: in which language, and what was read of it so far."""

    language: str
    known: dict[tuple[str, bool], tuple[int, str]] = field(default_factory=dict)


def _read(text: str, reading: _Reading, depth: int, *, within: bool) -> tuple[int, str]:
    """Return how much of a text are words of ours, and the text told again; ``within`` a sentence it may be a piece."""
    if (text, within) in reading.known or depth == 0:
        return reading.known.get((text, within), (0, text))
    best = (0, text)
    for sentence in _sentences(reading.language, within=within):
        if sentence.part not in text or not (match := sentence.pattern.fullmatch(text)):
            continue
        read = {
            name: _read(value, reading, depth - 1, within=True) if name in SLOTS else (0, value)
            for name, value in match.groupdict().items()
        }
        ours = sentence.words + sum(count for count, _ in read.values())
        if ours > best[0]:
            best = ours, _tell(sentence.translation, {name: told for name, (_, told) in read.items()})
    for between, chinese in BETWEEN:
        rows = [_read(row, reading, depth - 1, within=within) for row in text.split(between)] if between in text else []
        if sum(count for count, _ in rows) > best[0]:
            best = sum(count for count, _ in rows), chinese.join(told for _, told in rows)
    about, _, rest = text.partition(OF)
    if (told := _read(rest, reading, depth - 1, within=within))[0]:
        head = _read(about, reading, depth - 1, within=True)
        if head[0] + told[0] > best[0]:
            best = head[0] + told[0], head[1] + CHINESE_OF + told[1]
    reading.known[text, within] = best
    return best


def _tell(translation: str, values: Mapping[str, str]) -> str:
    """Fill a translation; around a sentence that is Chinese itself stands no space."""

    def fill(match: re.Match[str]) -> str:
        value, sentence = values[match[2]], match[2] in SLOTS
        before = "" if sentence and _HAN.match(value[:1]) else match[1]
        return before + value + ("" if sentence and _HAN.match(value[-1:]) else match[3])

    return _PLACE.sub(fill, translation)


def _fill(message: str, values: Mapping[str, object]) -> str:
    return _FIELD.sub(lambda m: str(values.get(m[1], m[0])), message)


def parse_po(text: str) -> list[Entry]:
    """Read a gettext catalogue: msgctxt, msgid, msgstr, comments. Fuzzy and empty entries are left out.

    Raises:
        UsageError: On a line that is none of those, or where two entries stand without an empty line between; names it.
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
            if not match or not (match[1] or current) or (match[1] and fields[match[1]]):
                raise UsageError(f"a catalogue line is not msgctxt, msgid, msgstr or their text: {line!r}")
            current = match[1] or current
            fields[current] += _text(match[2])
        if fields["msgid"] and fields["msgstr"] and not fuzzy:
            entries.append(
                Entry(context=fields["msgctxt"], message=fields["msgid"], translation=fields["msgstr"]),
            )
    return entries


def _text(quoted: str) -> str:
    plain = quoted[1:-1]
    return plain if '"' not in plain and "\\" not in plain else str(ast.literal_eval(quoted))


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
    return {e.message: e.translation for e in catalogue(language) if e.context not in RETOLD}


@cache
def _sentences(language: str, *, within: bool) -> list[_Sentence]:
    """The sentences, those with the most words first, so that of two equal readings the closest one wins."""
    if not within:
        return [s for s in _sentences(language, within=True) if not s.piece]
    return sorted((_sentence(e) for e in catalogue(language) if e.context in RETOLD), key=lambda s: -s.words)


def _sentence(entry: Entry) -> _Sentence:
    own = _FIELD.sub("\0", entry.message).split("\0")
    return _Sentence(
        message=entry.message, part=max(own, key=len), words=sum(map(len, own)), translation=entry.translation,
        piece=entry.context == PIECE,
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
